import NIOCore
import ParleyClient
import ParleyCluster
import TestPostgres
import Testing

/// The page in a real browser, on real nodes.
@Suite("The chat page", .heavy, .serialized, .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct ChatTests {
    @Test("two tabs on two nodes see each other and all messages, in one order")
    func twoNodes() async throws {
        let (n1, n2) = try await Node.startPair()
        try await Browser.run { browser in
            let ann = try await browser.open(n1.page(room: "tea"))
            let bob = try await browser.open(n2.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await bob.isOnline(on: "n2")
            try await ann.call(oneself: "Ann")
            try await bob.call(oneself: "Bob")
            try await ann.rosterIs(["Ann", "Bob"])
            try await bob.rosterIs(["Ann", "Bob"])

            let count = 10
            async let annSays: Void = { for number in 1...count { try await ann.say("a\(number)") } }()
            async let bobSays: Void = { for number in 1...count { try await bob.say("b\(number)") } }()
            _ = try await (annSays, bobSays)
            let seenByAnn = try await ann.shows(2 * count)
            #expect(seenByAnn == (try await bob.shows(2 * count)))
            #expect(seenByAnn.map(\.seq) == (1...2 * count).map(String.init))
            for (name, letter) in [("Ann", "a"), ("Bob", "b")] {
                #expect(seenByAnn.filter { $0.name == name }.map(\.text) == (1...count).map { "\(letter)\($0)" })
            }
            #expect(await ann.problems == [])
            #expect(await bob.problems == [])
        }
        await n1.kill()
        await n2.kill()
    }

    @Test("a node is killed and starts again: its tab comes back, and what was written meanwhile arrives once")
    func nodeKilled() async throws {
        let (n1, n2) = try await Node.startPair()
        try await Browser.run { browser in
            let ann = try await browser.open(n1.page(room: "tea"))
            let bob = try await browser.open(n2.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await bob.isOnline(on: "n2")
            try await ann.call(oneself: "Ann")
            try await bob.call(oneself: "Bob")
            try await ann.rosterIs(["Ann", "Bob"])
            try await ann.run("window.sameAsBefore = true")

            // The first is applied, and all that Ann hears is that the node lives; the next two do not get so far.
            try await ann.canBecomeDeaf()
            try await ann.run("window.isDeaf = true")
            try await ann.say("a1")
            #expect(try await bob.shows(1).map(\.text) == ["a1"])
            await n1.freeze()
            for number in 2...3 { try await ann.say("a\(number)") }
            await n1.kill()
            try await ann.becomes("connecting")
            try await ann.run("window.isDeaf = false")
            for number in 4...6 { try await ann.say("a\(number)") }
            try await ann.waits(toSend: 6)
            try await bob.say("b1")
            try await n1.start()

            try await ann.isOnline(on: "n1")
            let seenByAnn = try await ann.shows(7)
            #expect(seenByAnn == (try await bob.shows(7)))
            #expect(seenByAnn.filter { $0.name == "Ann" }.map(\.text) == (1...6).map { "a\($0)" })
            #expect(seenByAnn.filter { $0.name == "Bob" }.map(\.text) == ["b1"])
            try await ann.waits(toSend: 0)
            #expect(
                try await ann.value("document.getElementById('story').textContent")
                    == "back on n1: nothing was missed")
            // It is the same page with the same session: nobody came or went.
            #expect(try await ann.value("window.sameAsBefore"))
            try await ann.rosterIs(["Ann", "Bob"])
            try await bob.rosterIs(["Ann", "Bob"])
        }
        await n1.kill()
        await n2.kill()
    }

    @Test("PostgreSQL goes away and comes back: what was refused for the time being arrives once, in the order written")
    func databaseOutage() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("outage")
        let node = try await Node.start(
            "n1", ["--database-url", try server.url(database: "outage"), "--request-timeout-ms", "500"])
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await ann.say("0")
            _ = try await ann.shows(1)
            try await ann.keepsWhatItSends()
            _ = try await server.stop(.immediate)
            for number in 1...5 { try await ann.say("\(number)") }
            try await ann.until(
                "the first was sent again", "window.sent.filter(frame => frame.message?.text === '1').length > 2")
            for number in 6...8 { try await ann.say("\(number)") }
            _ = try await server.start()
            let seen = try await ann.shows(9)
            #expect(seen.map(\.text) == (0...8).map(String.init))
            try await ann.waits(toSend: 0)
            // All is well again: what is new goes out.
            try await ann.say("9")
            #expect(try await ann.shows(10).last?.text == "9")
            #expect(try await ann.shown.count == 10)
            try await ann.waits(toSend: 0)
        }
        await node.kill()
        _ = try await server.stop(.immediate)
    }

    @Test("PostgreSQL is slow: what is applied after it was refused for the time being is sent again and is there once")
    func databaseSlow() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("slow")
        let node = try await Node.start(
            "n1", ["--database-url", try server.url(database: "slow"), "--request-timeout-ms", "600"])
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await ann.say("0")
            _ = try await ann.shows(1)
            try await ann.keepsWhatItSends()
            _ = try await server.query(
                """
                CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
                    'BEGIN PERFORM pg_sleep(0.35); RETURN NULL; END';
                CREATE TRIGGER slow AFTER INSERT ON parley.update_log FOR EACH STATEMENT EXECUTE FUNCTION slow();
                """, database: "slow")
            // One batch is done in time; who comes just after it has to wait for two, which is too long.
            var count = 0
            let isAnySentAgain = "new Set(window.sent.map(frame => frame.id)).size < window.sent.length"
            while try await !ann.value(isAnySentAgain), count < 500 {
                count += 1
                try await ann.say("\(count)")
            }
            #expect(try await ann.value(isAnySentAgain))
            _ = try await server.query("DROP TRIGGER slow ON parley.update_log", database: "slow")
            try await ann.waits(toSend: 0)
            for _ in 1...2 {
                count += 1
                try await ann.say("\(count)")
            }
            #expect(try await ann.shows(count + 1).map(\.text) == (0...count).map(String.init))
            try await ann.waits(toSend: 0)
            #expect(try await ann.shown.count == count + 1)
            #expect(try await ann.value("document.body.dataset.state") == "online")
        }
        await node.kill()
        _ = try await server.stop(.immediate)
    }

    @Test("whatever people write is shown as text, and no script of theirs runs")
    func hostileTexts() async throws {
        let node = try await Node.startAlone()
        let texts = [
            #"<img src=x onerror="window.ran = 1">"#, "</script><script>window.ran = 2</script>",
            #"<svg onload="window.ran = 3"><a href="javascript:window.ran = 4">x</a>"#,
            "\u{202E}desrever\u{202C} \u{2066}isolated\u{2069} \u{200F}מימין\u{200F}",
            "\u{1F469}\u{200D}\u{1F469}\u{200D}\u{1F467} \u{1F3F4}\u{E0067}\u{E0062}\u{E007F} e\u{301}\u{302}\u{303}",
            "two\nlines & \"quotes\" 'and' \\u0041 \u{2028} \u{FEFF}", "__proto__",
            String(repeating: "<b>x", count: 1_000),
        ]
        let name = "\u{202E}" + #"<img src=x onerror="window.ran = 5">"#
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await ann.call(oneself: name)
            try await ann.rosterIs([name])
            for text in texts { try await ann.say(text) }
            #expect(try await ann.shows(texts.count).map(\.text) == texts)
            #expect(try await ann.shown.allSatisfy { $0.name == name })

            // And what no page would send.
            let longName = String(repeating: "<i>n", count: 1_000)
            let eve = try await ClientConnection.open(
                NodeAddress(host: "127.0.0.1", port: Int(node.port)), onText: { _ in }, onClose: { _ in })
            eve.send(#"{"method":"join","id":1,"roomId":"tea","profile":{"name":\#(longName.quoted)}}"#)
            let odd = [
                #"{"html":"<b>bold</b>"}"#, "null", "17", #""<i>plain</i>""#, #"{"text":{"toString":"<u>"}}"#,
                #"["<script>window.ran = 6</script>"]"#, #"{"__proto__":{"text":"x"}}"#,
            ]
            for message in odd { eve.send(#"{"method":"message","roomId":"tea","message":\#(message)}"#) }
            eve.send(#"{"method":"message","roomId":"tea","message":{"text":"known","newer":[1]}}"#)
            let shown = try await ann.shows(texts.count + odd.count + 1).dropFirst(texts.count)
            #expect(shown.map(\.text) == odd + ["known"])
            #expect(shown.allSatisfy { $0.name == longName })
            try await ann.rosterIs([name, longName])
            // The same roster again, now by a name that is none.
            eve.send(#"{"method":"join","id":2,"roomId":"tea","profile":{"name":["<b>"]}}"#)
            try await ann.until(
                "Eve has no name",
                "![...document.querySelectorAll('bdi')].some(who => who.textContent.includes('<i>n'))")
            await eve.close()
            try await ann.rosterIs([name])

            #expect(try await ann.value("window.ran === undefined"))
            let foreign = "img, svg, b, i, u, a, iframe, body script, #log *:not(li, p, bdi, time)"
            #expect(try await ann.value("document.querySelectorAll(\(foreign.quoted)).length") == 0)
            #expect(await ann.problems == [])
        }
        await node.kill()
    }

    @Test("the page keeps the newest 500 messages, and a reload keeps the session and shows the latest")
    func boundAndReload() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await ann.call(oneself: "Ann")
            try await ann.rosterIs(["Ann"])
            let eve = try await ClientConnection.open(
                NodeAddress(host: "127.0.0.1", port: Int(node.port)), onText: { _ in }, onClose: { _ in })
            eve.send(#"{"method":"join","id":1,"roomId":"tea"}"#)
            for number in 1...600 {
                eve.send(#"{"method":"message","roomId":"tea","message":{"text":"\#(number)"}}"#)
            }
            await eve.close()
            try await ann.until(
                "the newest is there", "document.querySelector('#log li:last-child')?.dataset.seq === '600'")
            #expect(try await ann.shown.map(\.text) == (101...600).map(String.init))
            try await ann.say("mine")
            try await ann.until("the own message is there", "document.querySelector('#log li.own') !== null")

            try await ann.reload()
            try await ann.isOnline(on: "n1")
            try await ann.rosterIs(["Ann"])
            let seen = try await ann.shows(50)
            #expect(seen.map(\.text) == (552...600).map(String.init) + ["mine"])
            #expect(try await ann.value("document.querySelectorAll('#log li.own').length") == 1)
            // Its ids go on where they were: this is no repeat of an earlier one.
            try await ann.say("mine again")
            #expect(try await ann.shows(51).last?.text == "mine again")
            #expect(await ann.problems == [])
        }
        await node.kill()
    }

    @Test(
        "a tab that copies another has a session of its own; a tab whose session was taken stops, and goes on when told"
    )
    func sessionTaken() async throws {
        let node = try await Node.startAlone()
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await ann.call(oneself: "Ann")
            try await ann.rosterIs(["Ann"])
            // It has taken its session out of the storage again, which is copied as by duplicating a tab.
            try await ann.reload()
            try await ann.isOnline(on: "n1")
            try await ann.run("window.open(location.href)")
            let copy = try await browser.opened(by: ann)
            try await copy.isOnline(on: "n1")
            try await copy.call(oneself: "Copy")
            try await ann.rosterIs(["Ann", "Copy"])
            try await ann.isOnline(on: "n1")

            // Someone else comes with the token that the page saves when it is left.
            try await ann.run("window.dispatchEvent(new Event('pagehide'))")
            let token: String = try await ann.value("JSON.parse(sessionStorage.getItem('parley.session')).session")
            let thief = try await ClientConnection.open(
                NodeAddress(host: "127.0.0.1", port: Int(node.port), path: "/ws?session=\(token)"), onText: { _ in },
                onClose: { _ in })
            try await ann.becomes("stopped")
            try await ann.run("document.getElementById('notice-action').click()")
            try await ann.isOnline(on: "n1")
            try await ann.say("here again")
            #expect(try await copy.shows(1).map(\.text) == ["here again"])
            // The old session stays where it is until it is ended; it was in the room by the same name.
            try await copy.rosterIs(["Ann", "Ann", "Copy"])
            thief.send(#"{"method":"join","id":1,"roomId":"tea"}"#)
            thief.send(#"{"method":"leave","id":2,"roomId":"tea"}"#)
            try await copy.rosterIs(["Ann", "Copy"])
            await thief.close()
            #expect(await ann.problems == [])
        }
        await node.kill()
    }
}
