import Foundation
import TestPostgres
import Testing

/// What people do to a page, whatever it was made for.
@Suite(
    "The chat page, used roughly", .heavy, .serialized,
    .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct RoughUseTests {
    private let texts = "[...document.querySelectorAll('#log .text')].map(text => text.textContent).join()"

    @Test("reloaded while it sends: each message is there once, in order")
    func reloadWhileSending() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            let bob = try await browser.open(node.page(room: "tea"))
            for tab in [ann, bob] { try await tab.isOnline(on: "n1") }
            var count = 0
            for _ in 1...3 {
                try await ann.run(
                    """
                    for (let number = \(count); number < \(count + 10); number += 1) {
                        document.getElementById('text').value = number;
                        document.getElementById('composer').requestSubmit();
                    }
                    """)
                count += 10
                try await ann.reload()
                try await ann.isOnline(on: "n1")
            }
            let wanted = (0..<count).map(String.init)
            for tab in [ann, bob] {
                #expect(try await tab.shows(count).map(\.text) == wanted)
                try await tab.waits(toSend: 0)
            }
            try await bob.until("the same two are here", "document.getElementById('count').textContent === '2'")
            #expect(await ann.problems == [])
        }
        await node.kill()
    }

    @Test(
        "left for another page, and taken back from the browser's history: the same member, nothing missed or doubled")
    func backAndForth() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            let bob = try await browser.open(node.page(room: "tea"))
            for tab in [ann, bob] { try await tab.isOnline(on: "n1") }
            try await ann.call(oneself: "Ann")
            try await bob.call(oneself: "Bob")
            try await bob.rosterIs(["Ann", "Bob"])
            for round in 1...3 {
                try await ann.say("a\(round)")
                _ = try await bob.shows(2 * round - 1)
                try await ann.run("window.wasHere = true; location.href = '/cells'")
                try await ann.until("the other page", "!!document.getElementById('board')")
                try await bob.say("b\(round)")
                try await ann.run("history.back()")
                try await ann.until("the chat", "!!document.getElementById('log')")
                try await ann.isOnline(on: "n1")
                let seen = try await bob.shows(2 * round)
                #expect(try await ann.shows(2 * round) == seen)
                try await bob.rosterIs(["Ann", "Bob"])
            }
            #expect(try await ann.value(texts) == "a1,b1,a2,b2,a3,b3")
        }
        await node.kill()
    }

    @Test("rooms that cannot be are refused in words, and nothing breaks")
    func oddRooms() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            for room in [
                "a%20b", "..", "%3Cimg%20src=x%3E", "%E0%A4%A", String(repeating: "x", count: 65), "%F0%9F%8D%B5",
            ] {
                let tab = try await browser.open(node.page(room: room))
                try await tab.until("it is refused", "!document.getElementById('notice').hidden")
                let words: String = try await tab.value("document.getElementById('notice-text').textContent")
                #expect(words.hasPrefix("the room cannot be joined: "), "\(words)")
                try await tab.run("document.getElementById('create').click()")
                try await tab.isOnline(on: "n1")
                #expect(await tab.problems == [])
            }
            let tab = try await browser.open(node.page(room: ""))
            try await tab.isOnline(on: "n1")
            #expect(try await tab.value("document.getElementById('room').textContent") == "lobby")
        }
        await node.kill()
    }

    @Test("told that its room is no more, it says so, and begins anew when told")
    func forgotten() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            await node.kill()
            try await ann.becomes("connecting")
            try await ann.say("into the void")
            try await node.start()
            try await ann.becomes("stopped")
            #expect(
                try await ann.value("document.getElementById('notice-text').textContent.startsWith('there is no room')")
            )
            try await ann.until("it is given back", "document.querySelectorAll('#outbox .failed').length === 1")
            try await ann.run("document.getElementById('notice-action').click()")
            try await ann.isOnline(on: "n1")
            try await ann.run("document.querySelector('#outbox button').click()")
            #expect(try await ann.shows(1).map(\.text) == ["into the void"])
            try await ann.waits(toSend: 0)
        }
        await node.kill()
    }

    @Test("ended for good, it still says what it can do")
    func ended() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await ann.run("window.dispatchEvent(new Event('pagehide'))")
            try await ann.run(
                """
                const { session } = JSON.parse(sessionStorage.getItem('parley.session'));
                window.other = new WebSocket(location.origin.replace('http', 'ws') + '/ws?session=' + session)
                """)
            try await ann.becomes("stopped")
            try await ann.run("document.getElementById('create').click()")
            try await ann.say("kept in the composer")
            #expect(try await ann.value("document.getElementById('text').value") == "kept in the composer")
            try await ann.run("document.getElementById('notice-action').click()")
            try await ann.isOnline(on: "n1")
            #expect(await ann.problems == [])
        }
        await node.kill()
    }
}
