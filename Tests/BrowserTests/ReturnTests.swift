import Foundation
import ParleyClient
import ParleyCluster
import TestPostgres
import Testing

/// What the page makes of a time that it was not there for.
@Suite(
    "The chat page returns", .heavy, .serialized,
    .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct ReturnTests {
    private let story = "document.getElementById('story').textContent"

    private func last(is text: String) -> String {
        "document.querySelector('#log li:last-child .text')?.textContent === \(text.quoted)"
    }

    @Test("to a room that has forgotten where it was: it shows what is kept, and says what it had not yet said, once")
    func pruned() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("pruned")
        let node = try await Node.start("n1", ["--database-url", try server.url(database: "pruned")])
        try await Browser.run { browser in
            let ann = try await browser.open(node.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            for number in 1...5 { try await ann.say("before \(number)") }
            _ = try await ann.shows(5)
            try await ann.run("window.sameAsBefore = true")
            // It is applied, and she does not hear of it.
            try await ann.canBecomeDeaf()
            try await ann.run("window.isDeaf = true")
            try await ann.say("unheard")
            try await until("it is applied") {
                try await server.query("SELECT last_seq FROM parley.rooms", database: "pruned") == "6"
            }
            await node.kill()
            try await ann.becomes("connecting")
            try await ann.run("window.isDeaf = false")
            for number in 1...3 { try await ann.say("meanwhile \(number)") }
            try await ann.waits(toSend: 4)
            // What was written a moment ago would be kept all the same.
            _ = try await server.query(
                """
                SELECT parley.publish('tea', json_build_object('text', 'by SQL ' || i)) FROM generate_series(1, 40) i;
                UPDATE parley.update_log SET at = at - interval '1 hour';
                SELECT parley.publish('tea', json_build_object('text', 'by SQL ' || i)) FROM generate_series(41, 60) i;
                SELECT parley.set_retention('tea', messages => 20), parley.prune('tea')
                """, database: "pruned")
            let first = try await server.query("SELECT first_seq FROM parley.rooms", database: "pruned")
            try await node.start()

            try await ann.isOnline(on: "n1")
            try await ann.until("the last is there", last(is: "meanwhile 3"))
            try await ann.waits(toSend: 0)
            let seen = try await ann.shown
            #expect(seen.map(\.text) == (41...60).map { "by SQL \($0)" } + (1...3).map { "meanwhile \($0)" })
            #expect(seen.map(\.seq) == (47...69).map(String.init) && first == "47")
            #expect(try await ann.value(story) == "only the newest is shown")
            #expect(try await ann.value("window.sameAsBefore"))
            try await ann.say("here again")
            #expect(try await ann.shows(24).map(\.seq) == (47...70).map(String.init))
        }
        await node.kill()
        _ = try await server.stop(.immediate)
    }

    @Test("to a history that is another one: what the database has lost goes, also from a page that never left")
    func diverged() async throws {
        let primary = try TestPostgres.makeServer()
        _ = try await primary.start()
        _ = try await primary.createDatabase("diverged")
        let replica = try await TestReplica.start(of: primary)
        let url = try replica.urlOfBoth(database: "diverged")
        let n1 = try await Node.start("n1", ["--database-url", url])
        let n2 = try await Node.start("n2", ["--database-url", url])
        try await Browser.run { browser in
            let ann = try await browser.open(n1.page(room: "tea"))
            let bob = try await browser.open(n2.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await bob.isOnline(on: "n2")
            for number in 1...3 { try await ann.say("kept \(number)") }
            for tab in [ann, bob] { _ = try await tab.shows(3) }
            try await replica.catchUp()
            try await replica.cutOff()
            for number in 1...2 { try await ann.say("lost \(number)") }
            for tab in [ann, bob] { _ = try await tab.shows(5) }

            await n2.kill()
            try await bob.becomes("connecting")
            try await bob.say("waited")
            _ = try await primary.stop(.immediate)
            try await replica.promote()
            try await ann.until("what is lost has gone", "document.querySelectorAll('#log li').length === 3")
            #expect(try await ann.shown.map(\.text) == (1...3).map { "kept \($0)" })
            try await ann.say("new")
            try await ann.until("she is heard again", last(is: "new"))
            try await n2.start()
            try await bob.isOnline(on: "n2")
            try await ann.until("he is too", last(is: "waited"))
            try await bob.until("he sees it", last(is: "waited"))
            let wanted = (1...3).map { "kept \($0)" } + ["new", "waited"]
            for tab in [ann, bob] {
                #expect(try await tab.shown.map(\.text) == wanted)
                #expect(try await tab.shown.map(\.seq) == (1...5).map(String.init))
                try await tab.waits(toSend: 0)
                #expect(try await tab.value(story) == "the database has lost what was said last")
            }
        }
        await n1.kill()
        await n2.kill()
        _ = try await replica.server.stop(.immediate)
    }

    @Test("from a network that was gone: what others and it have written meanwhile is there once, in one order")
    func offline() async throws {
        let cluster = LocalCluster(
            folder: try TestPostgres.makeFolder("cluster") + "/.parley", server: Node.executable.path, say: { _ in })
        var request = ClusterRequest()
        request.nodes = 2
        request.port = try TCPPort.free(inARow: 3)
        request.databaseURL = try await TestPostgres.shared.makeDatabase()
        try await cluster.up(request)
        let port = Int(try #require(request.port))
        try await Browser.run { browser in
            let ann = try await browser.open("http://127.0.0.1:\(port)/#room=tea")
            let bob = try await browser.open("http://127.0.0.1:\(port + 1)/#room=tea")
            for tab in [ann, bob] { try await tab.becomes("online") }
            try await ann.call(oneself: "Ann")
            try await bob.call(oneself: "Bob")
            try await ann.say("a1")
            _ = try await bob.shows(1)

            try await ann.loses(network: true)
            // Sockets that are open do not end for want of a network, but with the machine between.
            let proxy = try #require(try await cluster.status().parts.first { $0.name == "haproxy" }?.pid)
            kill(proxy, SIGKILL)
            try await ann.becomes("connecting")
            #expect(try await !ann.value("navigator.onLine"))
            for number in 2...6 { try await ann.say("a\(number)") }
            try await ann.waits(toSend: 5)
            let eve = ParleyClient.connect([NodeAddress(host: "127.0.0.1", port: port + 2)])
            let room = try await eve.join("tea")
            for number in 1...120 { try await room.send(["text": "e\(number)"]) }
            try await bob.say("b1")
            _ = try await bob.shows(122)
            try await cluster.up(ClusterRequest())
            #expect(try await ann.value("document.body.dataset.state") == "connecting")
            try await ann.loses(network: false)

            try await ann.becomes("online")
            try await ann.waits(toSend: 0)
            let seen = try await ann.shows(127)
            #expect(try await bob.shows(127) == seen)
            #expect(seen.map(\.seq) == (1...127).map(String.init))
            #expect(seen.filter { $0.name == "Ann" }.map(\.text) == (1...6).map { "a\($0)" })
            #expect(seen.map(\.text).filter { $0.hasPrefix("e") } == (1...120).map { "e\($0)" })
            #expect(try await ann.value("\(story).endsWith(': nothing was missed')"))
            await eve.close()
            try await ann.rosterIs(["Ann", "Bob"])
        }
        try await cluster.down(delete: true)
    }

    @Test("from being frozen: what was said meanwhile is there once, whether its node went on or not")
    func frozen() async throws {
        let (n1, n2) = try await Node.startPair()
        try await Browser.run { browser in
            let ann = try await browser.open(n1.page(room: "tea"))
            let bob = try await browser.open(n2.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            try await bob.isOnline(on: "n2")
            try await ann.call(oneself: "Ann")
            try await bob.call(oneself: "Bob")
            try await bob.rosterIs(["Ann", "Bob"])
            try await ann.run("document.addEventListener('freeze', () => { window.frozen = (window.frozen ?? 0) + 1 })")

            try await ann.becomes(frozen: true)
            for number in 1...3 { try await bob.say("b\(number)") }
            _ = try await bob.shows(3)
            try await ann.becomes(frozen: false)
            _ = try await ann.shows(3)
            #expect(try await ann.value("window.frozen") == 1)
            #expect(try await ann.value("document.body.dataset.state") == "online")

            try await ann.becomes(frozen: true)
            for number in 4...6 { try await bob.say("b\(number)") }
            await n1.kill()
            for number in 7...9 { try await bob.say("b\(number)") }
            _ = try await bob.shows(9)
            try await n1.start()
            try await ann.becomes(frozen: false)
            try await ann.isOnline(on: "n1")
            try await ann.say("a1")
            let seen = try await ann.shows(10)
            #expect(try await bob.shows(10) == seen)
            #expect(seen.map(\.text) == (1...9).map { "b\($0)" } + ["a1"])
            #expect(try await ann.value("window.frozen") == 2)
            try await bob.rosterIs(["Ann", "Bob"])
        }
        await n1.kill()
        await n2.kill()
    }
}

extension Tab {
    fileprivate func loses(network: Bool) async throws {
        try await tools.call("Network.enable", session: session)
        try await tools.call(
            "Network.emulateNetworkConditions",
            #"{"offline":\#(network),"latency":0,"downloadThroughput":-1,"uploadThroughput":-1}"#, session: session)
    }

    fileprivate func becomes(frozen: Bool) async throws {
        // What has the focus is not frozen.
        try await tools.call("Emulation.setFocusEmulationEnabled", #"{"enabled":\#(!frozen)}"#, session: session)
        try await tools.call(
            "Page.setWebLifecycleState", #"{"state":"\#(frozen ? "frozen" : "active")"}"#, session: session)
    }
}
