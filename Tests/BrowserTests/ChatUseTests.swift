import ParleyClient
import TestPostgres
import Testing

/// What the chat page offers beside the conversation itself.
@Suite(
    "Using the chat page", .heavy, .serialized, .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct ChatUseTests {
    @Test("who types is shown to others, until it is said or taken back")
    func typing() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            let bob = try await browser.open(node.page(room: "tea"))
            for tab in [ann, bob] { try await tab.isOnline(on: "n1") }
            try await ann.call(oneself: "Ann")
            try await bob.call(oneself: "Bob")
            try await ann.rosterIs(["Ann", "Bob"])
            try await bob.types("let me")
            try await ann.until("Bob types", "document.getElementById('typing').textContent.includes('Bob')")
            #expect(try await bob.value("document.getElementById('typing').textContent") == "")
            try await bob.say(" think")
            try await ann.until("he has said it", "document.getElementById('typing').textContent === ''")
            try await bob.types("or")
            try await ann.until("Bob types", "document.getElementById('typing').textContent.includes('Bob')")
            try await bob.clears()
            try await ann.until("he has not", "document.getElementById('typing').textContent === ''")
            #expect(try await ann.shows(1).map(\.text) == ["let me think"])
            #expect(await ann.problems == [])
        }
        await node.kill()
    }

    @Test("scrolling up leads to the first message, without a gap; what comes meanwhile is marked and counted")
    func older() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            let eve = ParleyClient.connect([NodeAddress(host: "127.0.0.1", port: Int(node.port))])
            let room = try await eve.join("tea")
            try await withThrowingTaskGroup(of: Void.self) { group in
                for number in 1...220 { group.addTask { try await room.send(["text": "\(number)"]) } }
                try await group.waitForAll()
            }
            try await ann.reload()
            try await ann.isOnline(on: "n1")
            #expect(try await ann.shows(50).map(\.seq) == (171...220).map(String.init))
            for first in [121, 71, 21, 1] {
                try await ann.run("document.getElementById('scroll').scrollTop = 0")
                try await ann.until(
                    "the message \(first) is there", "document.querySelector('#log li').dataset.seq === '\(first)'")
            }
            #expect(try await ann.shown.map(\.seq) == (1...220).map(String.init))

            try await ann.run("document.getElementById('scroll').scrollTop = 0")
            try await room.send(["text": "new"])
            try await ann.until("it is counted", "document.getElementById('unread').textContent.startsWith('1 new')")
            #expect(try await ann.value("document.title") == "(1) #tea · Parley")
            #expect(try await ann.value("document.querySelector('.new').parentElement.dataset.seq") == "221")
            #expect(try await ann.value("document.getElementById('scroll').scrollTop") == 0)
            try await ann.run("document.getElementById('unread').click()")
            try await ann.until("it is read", "document.getElementById('unread').hidden")
            #expect(try await ann.value("document.title") == "#tea · Parley")
            await eve.close()
            #expect(await ann.problems == [])
        }
        await node.kill()
    }

    @Test("a room is made with a click, and its link leads others there")
    func newRoom() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await ann.run("window.isFormer = true; document.getElementById('create').click()")
            try await ann.until("another room", "!window.isFormer && location.hash.length > 10")
            try await ann.isOnline(on: "n1")
            try await ann.say("who comes?")
            _ = try await ann.shows(1)
            try await ann.run("document.getElementById('share').click()")
            try await ann.until("something is said of the link", "!document.getElementById('notice').hidden")
            let bob = try await browser.open(try await ann.value("location.href"))
            #expect(try await bob.shows(1).map(\.text) == ["who comes?"])
            #expect(await ann.problems == [])
        }
        await node.kill()
    }

    @Test("by keyboard alone: each control is reached in order, and has a name for those who hear the page")
    func keyboard() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            var reached: [String] = []
            for _ in 1...6 {
                try await ann.press("Tab", code: 9)
                reached.append(
                    try await ann.value("document.activeElement.id || document.activeElement.textContent"))
            }
            #expect(reached == ["share", "create", "name", "scroll", "text", "Send"])
            let nameless = """
                [...document.querySelectorAll('button, input, textarea, [role]')].filter(item => !item.hidden
                    && !item.closest('[hidden]') && !item.textContent.trim() && !item.labels?.length
                    && !item.ariaLabel && !item.getAttribute('aria-labelledby')).length
                """
            #expect(try await ann.value(nameless) == 0)
        }
        await node.kill()
    }
}
