import Testing

@testable import ParleyCluster

@Suite("the table of what runs")
struct ClusterStatusTests {
    @Test("columns are aligned and what is down has dashes")
    func table() {
        let status = ClusterStatus(parts: [
            .init(name: "haproxy", pid: 7, port: 8080, state: .ready, uptime: .seconds(5), log: "h.log"),
            .init(name: "n1", port: 8081, state: .down),
            .init(name: "n2", pid: 12_345, port: 8082, state: .notReady, uptime: .seconds(7_260)),
        ])
        #expect(
            status.table == """
                         pid    port  state      up         log
                haproxy  7      8080  ready      5 s        h.log
                n1       -      8081  down       -
                n2       12345  8082  not ready  2 h 1 min
                """)
        #expect(!status.isAllReady)
        #expect(ClusterStatus(parts: [status.parts[0]]).isAllReady)
    }

    @Test(
        "uptimes are given in the two largest units",
        arguments: [
            (0, "0 s"), (59, "59 s"), (60, "1 min"), (3_599, "59 min"), (3_600, "1 h 0 min"), (90_000, "1 d 1 h"),
        ])
    func uptime(seconds: Int, text: String) {
        #expect(ClusterStatus.text(.seconds(seconds)) == text)
    }
}
