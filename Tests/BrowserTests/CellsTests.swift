import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// The game of coloured cells in a real browser, on real nodes.
@Suite("The cells", .heavy, .serialized, .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct CellsTests {
    private let buttons = "document.querySelectorAll('#board button')"
    private let taken = "[...document.querySelectorAll('#board button')].filter(cell => cell.dataset.color).length"
    private let news = "document.getElementById('news').textContent"

    private func cell(_ x: Int, _ y: Int) -> String { "\(buttons)[\(y * 16 + x)]" }
    private func label(_ x: Int, _ y: Int) -> String { cell(x, y) + ".ariaLabel" }
    private func take(_ x: Int, _ y: Int, _ tab: Tab) async throws { try await tab.run("\(cell(x, y)).click()") }

    private func isOnline(_ tab: Tab) async throws {
        try await tab.until("it is in the room", "document.getElementById('players')?.children.length > 0")
    }

    @Test("the server decides whose a cell is: between two windows on two nodes, and for who writes frames by hand")
    func decided() async throws {
        let cluster = LocalCluster(
            folder: try TestPostgres.makeFolder("cluster") + "/.parley", server: Node.executable.path, say: { _ in })
        var request = ClusterRequest()
        request.nodes = 2
        request.port = try TCPPort.free(inARow: 3)
        try await cluster.up(request)
        let port = try #require(request.port)
        try await Browser.run { browser in
            let ann = try await browser.open("http://127.0.0.1:\(port + 1)/cells")
            let bob = try await browser.open("http://127.0.0.1:\(port + 2)/cells")
            for tab in [ann, bob] { try await isOnline(tab) }
            try await ann.run("document.querySelector('[value=red]').click()")
            try await bob.run("document.querySelector('[value=blue]').click()")

            try await take(5, 5, ann)
            try await ann.until("Ann has it", "\(label(5, 5)) === '5,5: you, red'")
            try await bob.until("Bob sees it", "/^5,5: guest ...., red$/.test(\(label(5, 5)))")
            try await take(5, 5, bob)
            let refusal = "/^The server says: 5,5 is the cell of guest ....: have two cells beside it first$/"
            try await bob.until("he is refused", "\(refusal).test(\(news))")
            try await take(4, 5, bob)
            try await take(5, 4, bob)
            try await bob.until(
                "he has two beside it", "[\(label(4, 5)), \(label(5, 4))].every(label => label.includes('you'))")
            try await take(5, 5, bob)
            try await ann.until(
                "Ann has lost it", "/^5,5: guest ...., blue$/.test(\(label(5, 5))) && \(news).startsWith('5,5 is lost')"
            )

            // Of two who hardly know of each other one gets it, and both windows say the same.
            for x in 0..<16 {
                for tab in x.isMultiple(of: 2) ? [ann, bob] : [bob, ann] { try await take(x, 0, tab) }
            }
            for tab in [ann, bob] {
                try await tab.until("all are taken", "\(taken) === 19 && !document.querySelector('#board .asked')")
            }
            let own = "[...\(buttons)].map(cell => cell.ariaLabel.includes('you'))"
            let (annHas, bobHas): ([Bool], [Bool]) = (try await ann.value(own), try await bob.value(own))
            #expect(zip(annHas, bobHas).prefix(16).allSatisfy { $0 != $1 })

            // No page would ask for these.
            try await ann.run(
                """
                const eve = new WebSocket(location.origin.replace('http', 'ws') + '/ws');
                const cell = { owner: 'eve', color: 'green' };
                window.answers = [];
                eve.onmessage = ({ data }) => window.answers.push(JSON.parse(data));
                eve.onopen = () => [
                    { method: 'join', roomId: 'board' },
                    { method: 'set', id: 1, roomId: 'board', set: { '5,5': cell } },
                    { method: 'message', id: 2, roomId: 'board', message: { take: { x: 5, y: 5, color: 'green' } } },
                    { method: 'message', id: 3, roomId: 'board', message: { took: '5,5', set: { '5,5': cell } } },
                ].forEach(frame => eve.send(JSON.stringify(frame)))
                """)
            try await ann.until(
                "each is refused",
                "window.answers.filter(({ code }) => code === 'forbidden').map(({ id }) => id).join() === '1,2,3'")
            #expect(try await bob.value("\(label(5, 5)) === '5,5: you, blue' && \(taken) === 19"))

            for (tab, left) in [(ann, 1), (bob, 8)] {
                for y in 3..<8 { for x in left..<left + 6 where (x * y) % 7 != 3 { try await take(x, y, tab) } }
            }
            for tab in [ann, bob] {
                try await tab.until("nothing is asked", "!document.querySelector('#board .asked')")
            }
            try await ann.fits("cells")
            #expect(await ann.problems == [])
            #expect(await bob.problems == [])
        }
        try await cluster.down(delete: true)
    }

    @Test("can be played by keyboard, and a transaction can play too; a new game is a room of its own")
    func keyboardAndSQL() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("cells")
        let url = try server.url(database: "cells")
        _ = try await Command(Node.executable.path, ["migrate", "--game", "--database-url", url])
            .succeed(within: .seconds(60), to: "make the rule")
        let node = try await Node.start("n1", ["--database-url", url])
        try await Browser.run { browser in
            let ann = try await browser.open("http://127.0.0.1:\(node.port)/cells")
            try await isOnline(ann)
            try await ann.run("document.querySelector('#board button[tabindex=\"0\"]').focus()")
            try await ann.press("ArrowRight", code: 39)
            try await ann.press("ArrowDown", code: 40)
            #expect(try await ann.value("document.activeElement === \(cell(1, 1))"))
            try await ann.run("document.activeElement.click()")
            try await ann.until("she has it", "\(label(1, 1)).startsWith('1,1: you, ')")
            #expect(try await ann.value("document.querySelectorAll('#board button[tabindex=\"0\"]').length") == 1)

            _ = try await server.query(
                #"SELECT parley.set_values('board', '{"2,1":{"owner":"robot","color":"green"},"3,1":"odd"}')"#,
                database: "cells")
            try await ann.until("the robot has one", "\(label(2, 1)) === '2,1: guest robo, green'")
            #expect(try await ann.value("\(label(3, 1)) === '3,1: free'"))

            try await ann.run("window.isFormer = true; document.getElementById('anew').click()")
            try await ann.until("another room", "!window.isFormer && location.hash.length > 10")
            try await isOnline(ann)
            #expect(try await ann.value(taken) == 0)
            try await take(2, 1, ann)
            try await ann.until("she has it there", "\(label(2, 1)).startsWith('2,1: you, ')")
            #expect(await ann.problems == [])
        }
        await node.kill()
        _ = try await server.stop(.immediate)
    }

    @Test("where the rule is missing, the page says so")
    func noRule() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open("http://127.0.0.1:\(node.port)/cells")
            let words = "The room cannot be joined: there are no rules here"
            try await ann.until("it says so", "\(news).startsWith('\(words)')")
            try await ann.becomes("stopped")
            let bob = try await browser.open(node.page(room: "tea"))
            try await bob.isOnline(on: "n1")
            let eve = try await browser.open("http://127.0.0.1:\(node.port)/cells#room=tea")
            try await isOnline(eve)
            try await take(0, 0, eve)
            try await eve.until("nobody decides", "\(news).startsWith('Nobody decides here')")
            #expect(try await eve.value(taken) == 0)
            for tab in [ann, bob, eve] { #expect(await tab.problems == []) }
        }
        await node.kill()
    }
}
