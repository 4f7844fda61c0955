import Foundation
import FoundationNetworking
import ParleyClient
import TestPostgres
import Testing

/// The live console in a real browser, on real nodes.
@Suite("The console", .heavy, .serialized)
struct ConsoleTests {
    private static let paths = ["/console", "/console/state", "/console.css", "/console.js", "/console-model.js"]

    private func text(_ id: String) -> String { "document.getElementById('\(id)').innerText" }

    @Test("is not there unless it was allowed, and then not for those who come by a load balancer")
    func notAllowed() async throws {
        let closed = try await Node.startAlone()
        let open = try await Node.start("n1", ["--store", "memory", "--console", "local"])
        for path in Self.paths {
            #expect(try await closed.answer(path).response.statusCode == 404, "\(path)")
            #expect(try await closed.answer(path, method: "POST").response.statusCode == 404, "\(path)")
            #expect(try await open.answer(path).response.statusCode == 200, "\(path)")
            #expect(try await open.answer(path, method: "POST").response.statusCode == 405, "\(path)")
            let passedOn = try await open.answer(path, headers: ["X-Forwarded-For": "192.0.2.7"])
            #expect(passedOn.response.statusCode == 404, "\(path)")
        }
        let state = try await open.answer("/console/state")
        #expect(state.response.value(forHTTPHeaderField: "Content-Type") == "application/json; charset=utf-8")
        #expect(state.response.value(forHTTPHeaderField: "Cache-Control") == "no-store")
        await closed.kill()
        await open.kill()
    }

    @Test(
        "shows nodes, a room with its traffic, and how long changes take; two consoles cost no more than one",
        .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
    func live() async throws {
        let url = try await TestPostgres.shared.makeDatabase()
        let settings = ["--database-url", url, "--lease-ms", "1000", "--console", "local"]
        let n1 = try await Node.start("n1", settings)
        let n2 = try await Node.start("n2", settings)
        try await Browser.run { browser in
            let chat = try await browser.open(n1.page(room: "tea"))
            try await chat.isOnline(on: "n1")
            let console = try await browser.open("http://127.0.0.1:\(n1.port)/console")
            let another = try await browser.open("http://127.0.0.1:\(n1.port)/console")
            try await console.until("it is live", "document.body?.dataset.state === 'live'")
            try await console.until(
                "both nodes live", "document.querySelectorAll('#nodes .alive').length === 2")
            #expect(try await console.value("document.querySelector('#nodes bdi').textContent") == "n1")

            try await chat.run(
                "window.chatter = setInterval(() => { document.getElementById('text').value = 'hello';"
                    + "document.getElementById('composer').requestSubmit() }, 20)")
            let talk = try await Self.talk(through: [n1, n2])
            defer { talk.cancel() }
            try await console.until(
                "tea has traffic",
                "[...document.querySelectorAll('#rooms tr')].some(row => row.querySelector('bdi').textContent === 'tea'"
                    + " && Number(row.children[1].textContent) > 3)")
            try await console.until("changes are counted", "\(text("waits-sum")).includes('half within')")
            try await console.until(
                "the line is drawn", "document.querySelector('#charts .line').getAttribute('d').split('L').length > 3")
            try await another.until("the other one too", "document.body?.dataset.state === 'live'")

            let (before, begun) = (try await looks(of: n1), ContinuousClock.now)
            try await Task.sleep(for: .seconds(3))
            let (after, took) = (try await looks(of: n1), begun.duration(to: .now))
            #expect(after > before)
            #expect(Double(after - before) <= took / .seconds(1) + 1)

            try await console.fits("console")

            // Paused, it stays as it is, and asks nothing.
            try await another.run("document.getElementById('pause').click()")
            try await another.becomes("paused")
            await n2.kill()
            try await console.until("n2 is dead", "document.querySelector('#nodes .dead bdi')?.textContent === 'n2'")
            try await console.fits("console-dead")
            #expect(try await another.value("document.querySelectorAll('#nodes .dead').length") == 0)
            try await another.run("document.getElementById('pause').click()")
            try await another.until("it is live again", "document.querySelector('#nodes .dead') !== null")
            await n1.kill()
            try await console.becomes("lost")
            #expect(await console.problems.filter { !$0.contains("ERR_CONNECTION_REFUSED") } == [])
        }
    }

    /// Keeps some rooms busy until it is cancelled.
    private static func talk(through nodes: [Node]) async throws -> Task<Void, any Error> {
        var speakers: [(room: ClientRoom, pause: Duration)] = []
        for (count, name) in ["lobby", "release-1.4", "support", "board", "watercooler"].enumerated() {
            let client = ParleyClient.connect([
                NodeAddress(host: "127.0.0.1", port: Int(nodes[count % nodes.count].port))
            ])
            _ = try await client.create(name)
            speakers.append((try await client.join(name), .milliseconds(10 * (count + 1) * (count + 1))))
        }
        return Task { [speakers] in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for (room, pause) in speakers {
                    group.addTask {
                        while !Task.isCancelled {
                            try await room.send(["text": "hello"])
                            try await Task.sleep(for: pause)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    /// How often the node has looked at the cluster for its consoles.
    private func looks(of node: Node) async throws -> Int {
        let metrics = try await node.answer("/metrics").body
        let name = "parley_database_requests_total{statement=\"overview\"} "
        return metrics.split(separator: "\n").first { $0.hasPrefix(name) }.flatMap { Int($0.dropFirst(name.count)) }
            ?? 0
    }
}
