import Testing

@testable import ParleyPostgres

@Suite struct ConnectionURLTests {
    private func value(_ keyword: String, _ url: ConnectionURL?) -> String? {
        url?.parameters(role: "r", settings: ConnectionSettings()).last { $0.0 == keyword }?.1
    }

    @Test(
        "the masked form has no password, however it was given",
        arguments: [
            ("postgresql://me:secret@db:5433/x?password=secret", "postgresql://me@db:5433/x"),
            ("host=a,b port=1,2 user=me password='secret' dbname=x", "postgresql://me@a,b:1,2/x"),
            ("postgresql:///x?host=/run/pg", "postgresql:///run/pg/x"),
        ])
    func masked(url: String, masked: String) {
        #expect(ConnectionURL(url)?.masked == masked)
    }

    @Test("what cannot be read is nil", arguments: ["postgresql://a:b@[::1/x", "nonsense", "no_such_keyword=1"])
    func unreadable(url: String) {
        #expect(ConnectionURL(url) == nil)
    }

    @Test("after a silent host the lists are turned together; a single port is for all")
    func turned() {
        var url = ConnectionURL("postgresql://a:1,b:2,c:3/x")
        #expect(value("host", url) == nil)
        url?.turn(past: "b")
        #expect(value("host", url) == "c,a,b")
        #expect(value("port", url) == "3,1,2")
        url?.turn(past: "c")
        #expect(value("host", url) == nil)

        var onePort = ConnectionURL("host=a,b port=9")
        onePort?.turn(past: "a")
        #expect(value("host", onePort) == "b,a")
        #expect(value("port", onePort) == nil)
    }

    @Test("a single host is never turned")
    func single() {
        var url = ConnectionURL("postgresql://a/x")
        url?.turn(past: "a")
        #expect(value("host", url) == nil)
    }
}
