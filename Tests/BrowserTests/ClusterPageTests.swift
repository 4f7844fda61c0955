import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// The chat page where it is meant to be: on several nodes behind a load balancer.
@Suite("The chat page on a cluster", .heavy, .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct ClusterPageTests {
    @Test("a node is killed: its tabs go on elsewhere, nothing is missed or doubled, and nobody came or went")
    func nodeKilled() async throws {
        let cluster = LocalCluster(
            folder: try TestPostgres.makeFolder("cluster") + "/.parley", server: Node.executable.path, say: { _ in })
        var request = ClusterRequest()
        request.nodes = 3
        request.port = try TCPPort.free(inARow: 4)
        request.databaseURL = try await TestPostgres.shared.makeDatabase()
        try await cluster.up(request)
        let page = "http://127.0.0.1:\(try #require(request.port))/#room=tea"
        try await Browser.run { browser in
            let names = ["Ann", "Bob", "Cleo"]
            var tabs: [Tab] = []
            for name in names {
                let tab = try await browser.open(page)
                try await tab.becomes("online")
                try await tab.call(oneself: name)
                tabs.append(tab)
            }
            for tab in tabs { try await tab.rosterIs(names) }

            let node = try await tabs[0].node
            var texts: [String] = []
            for round in 1...6 {
                if round == 3 { try await cluster.kill([node]) }
                for (name, tab) in zip(names, tabs) {
                    texts.append("\(name) \(round)")
                    try await tab.say("\(name) \(round)")
                }
            }
            let seen = try await tabs[0].shows(texts.count)
            for tab in tabs {
                #expect(try await tab.shows(texts.count) == seen)
                try await tab.becomes("online")
                try await tab.waits(toSend: 0)
                try await tab.rosterIs(names)
                #expect(try await tab.node != node)
                #expect(await tab.problems.filter { !$0.contains("WebSocket") } == [])
            }
            #expect(seen.map(\.text).sorted() == texts.sorted())
            for name in names {
                #expect(seen.filter { $0.name == name }.map(\.text) == (1...6).map { "\(name) \($0)" })
            }
            let story: String = try await tabs[0].value("document.getElementById('story').textContent")
            #expect(story.hasPrefix("was on \(node), now on n") && story.hasSuffix(": nothing was missed"), "\(story)")
        }
        try await cluster.down(delete: true)
    }
}
