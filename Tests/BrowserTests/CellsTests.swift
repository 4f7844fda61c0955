import ParleyCluster
import TestPostgres
import Testing

/// The game of coloured cells in a real browser, on real nodes.
@Suite("The cells", .heavy, .serialized, .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct CellsTests {
    private let taken = "document.querySelectorAll('#board .taken').length"

    private func take(_ cell: Int, _ tab: Tab) async throws {
        try await tab.run("document.querySelectorAll('#board button')[\(cell)].click()")
    }

    private func label(_ cell: Int) -> String { "document.querySelectorAll('#board button')[\(cell)].ariaLabel" }

    private func isOnline(_ tab: Tab) async throws {
        try await tab.until("it is in the room", "document.getElementById('players')?.children.length > 0")
    }

    @Test("a cell belongs to who took it first, in all windows; who has it gives it back")
    func firstComeFirstServed() async throws {
        let (n1, n2) = try await Node.startPair()
        try await Browser.run { browser in
            let ann = try await browser.open("http://127.0.0.1:\(n1.port)/cells")
            let bob = try await browser.open("http://127.0.0.1:\(n2.port)/cells")
            try await isOnline(ann)
            try await isOnline(bob)

            try await take(0, ann)
            try await ann.until("Ann has it", "\(label(0)) === 'cell 1, you'")
            try await bob.until("Bob sees it", "\(label(0)).startsWith('cell 1, guest ')")
            // His click changes nothing, and he is told so.
            try await take(0, bob)
            try await bob.until("it was too late", "document.getElementById('news').textContent.startsWith('Too late')")

            // Of two who hardly know of each other one gets it, and both windows say the same.
            for cell in 1...20 {
                for tab in cell.isMultiple(of: 2) ? [ann, bob] : [bob, ann] { try await take(cell, tab) }
            }
            for tab in [ann, bob] {
                try await tab.until("all are taken", "\(taken) === 21 && !document.querySelector('#board .asked')")
            }
            let own = "[...document.querySelectorAll('#board button')].map(cell => cell.ariaLabel.endsWith('you'))"
            let (annHas, bobHas): ([Bool], [Bool]) = (try await ann.value(own), try await bob.value(own))
            #expect(zip(annHas, bobHas).prefix(21).allSatisfy { $0 != $1 })
            try await ann.takePictures("cells")

            try await take(0, ann)
            for tab in [ann, bob] { try await tab.until("it is free", "\(label(0)) === 'cell 1, free'") }
            try await take(0, bob)
            try await ann.until("Bob has it", "\(label(0)).startsWith('cell 1, guest ')")
            #expect(await ann.problems == [])
            #expect(await bob.problems == [])
        }
        await n1.kill()
        await n2.kill()
    }

    @Test("can be played by keyboard, and a transaction can play too; a full board is emptied for all")
    func keyboardAndSQL() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("cells")
        let node = try await Node.start("n1", ["--database-url", try server.url(database: "cells")])
        try await Browser.run { browser in
            let ann = try await browser.open("http://127.0.0.1:\(node.port)/cells")
            try await isOnline(ann)
            try await ann.run("document.querySelector('#board button[tabindex=\"0\"]').focus()")
            try await ann.press("ArrowRight", code: 39)
            try await ann.press("ArrowDown", code: 40)
            let index = "[...document.querySelectorAll('#board button')].indexOf(document.activeElement)"
            let columns = "getComputedStyle(document.getElementById('board')).gridTemplateColumns.split(' ').length"
            #expect(try await ann.value("\(index) === \(columns) + 1"))
            try await ann.run("document.activeElement.click()")
            try await ann.until("she has it", "document.activeElement.ariaLabel.endsWith('you')")
            #expect(try await ann.value("document.querySelectorAll('#board button[tabindex=\"0\"]').length") == 1)

            _ = try await server.query(
                """
                SELECT parley.set_values('cells', json_object_agg('cell' || i, 'robot'))
                FROM generate_series(0, 95) i WHERE 'cell' || i NOT IN (SELECT key FROM parley.room_values)
                """, database: "cells")
            try await ann.until("the board is full", "\(taken) === 96 && !document.getElementById('anew').hidden")
            try await ann.run("document.getElementById('anew').click()")
            try await ann.until("it is empty", "\(taken) === 0 && document.getElementById('anew').hidden")
            #expect(await ann.problems == [])
        }
        await node.kill()
        _ = try await server.stop(.immediate)
    }
}
