import Testing

@testable import ParleyCluster

@Suite("settings of a cluster")
struct ClusterSettingsTests {
    private func request(_ change: (inout ClusterRequest) -> Void = { _ in }) -> ClusterRequest {
        var request = ClusterRequest()
        change(&request)
        return request
    }

    @Test("a plain request gives three nodes on PostgreSQL behind port 8080")
    func defaults() throws {
        let settings = try request().settings(stored: nil, isRunning: false)
        #expect(settings == ClusterSettings())
        #expect(settings.nodes == 3)
        #expect(settings.port(ofNode: 3) == 8083)
        #expect(
            settings.serveArguments(node: 2) == [
                "serve", "--node-name", "n2", "--host", "127.0.0.1", "--port", "8082", "--allow-anonymous", "--store",
                "postgres", "--feed", "notify",
            ])
    }

    @Test("polling nodes are told how often, nodes with memory nothing of feeds")
    func storeAndFeed() throws {
        let poll = request {
            $0.feed = .poll
            $0.pollMs = 250
        }
        #expect(
            try poll.settings(stored: nil, isRunning: false).serveArguments(node: 1).suffix(4)
                == ["--feed", "poll", "--poll-ms", "250"])
        let memory = try request { $0.store = .memory }.settings(stored: nil, isRunning: false)
        #expect(memory.serveArguments(node: 1).suffix(2) == ["--store", "memory"])
    }

    @Test("what the request leaves out stays as it was stored")
    func storedStays() throws {
        var stored = ClusterSettings()
        stored.port = 9000
        stored.nodes = 5
        let same = try request().settings(stored: stored, isRunning: true)
        #expect(same == stored)
        let stopped = try request { $0.nodes = 2 }.settings(stored: stored, isRunning: false)
        #expect(stopped.nodes == 2)
        #expect(stopped.port == 9000)
    }

    @Test("a running cluster may grow and get a proxy")
    func grow() throws {
        var stored = ClusterSettings()
        stored.proxy = false
        let grown = try request {
            $0.nodes = 4
            $0.proxy = true
        }.settings(stored: stored, isRunning: true)
        #expect(grown.nodes == 4)
        #expect(grown.proxy)
    }

    @Test(
        "a running cluster refuses other settings by name",
        arguments: [
            ("fewer --nodes", { @Sendable (r: inout ClusterRequest) in r.nodes = 2 }),
            ("--no-proxy", { $0.proxy = false }),
            ("--port", { $0.port = 9000 }),
            ("--host", { $0.host = "0.0.0.0" }),
            ("--database-url", { $0.databaseURL = "postgresql://x/y" }),
            ("--postgres-port", { $0.postgresPort = 9999 }),
            ("--store", { $0.store = .memory }),
            ("--feed", { $0.feed = .poll }),
            ("--poll-ms", { $0.pollMs = 100 }),
            ("other node options", { $0.serveOptions = ["--tick-ms", "5"] }),
        ] as [(String, @Sendable (inout ClusterRequest) -> Void)])
    func runningRefuses(option: String, change: @Sendable (inout ClusterRequest) -> Void) {
        let error = #expect(throws: LocalServiceError.self) {
            try request(change).settings(stored: ClusterSettings(), isRunning: true)
        }
        #expect(error?.kind == .usage)
        #expect(error?.reason.contains("(\(option))") == true)
    }

    @Test(
        "impossible settings are refused",
        arguments: [
            { @Sendable (r: inout ClusterRequest) in r.nodes = 0 },
            { $0.nodes = 33 },
            { $0.port = 0 },
            { $0.port = 65_534 },
            { $0.pollMs = 0 },
            { $0.postgresPort = 8082 },
            {
                $0.store = .memory
                $0.databaseURL = "postgresql://x/y"
            },
        ] as [@Sendable (inout ClusterRequest) -> Void])
    func impossible(change: @Sendable (inout ClusterRequest) -> Void) {
        let error = #expect(throws: LocalServiceError.self) {
            try request(change).settings(stored: nil, isRunning: false)
        }
        #expect(error?.kind == .usage)
    }

    @Test("a node is named by its number or its name, others are refused")
    func nodeNames() throws {
        let settings = ClusterSettings()
        #expect(try settings.node(named: "2") == 2)
        #expect(try settings.node(named: "n3") == 3)
        for wrong in ["0", "4", "n", "", "x2", "n-1", "nn1"] {
            #expect(throws: LocalServiceError.self) { try settings.node(named: wrong) }
        }
    }
}
