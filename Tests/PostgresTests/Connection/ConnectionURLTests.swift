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

    @Test(
        "what libpq says of it is told, without what could be part of a password",
        arguments: [
            ("no_such_keyword=1", #"invalid connection option "no_such_keyword""#),
            ("postgresql://h/x?sslmod=off", #"invalid URI query parameter: "sslmod""#),
            ("nonsense", #"missing "=" after "nonsense" in connection info string"#),
            ("host=h password=a secret", #"missing "=" after "…" in connection info string"#),
            ("host=h password=a secret=b", #"invalid connection option "…""#),
            (
                "postgresql://a:secret@[::1/x",
                #"end of string reached when looking for matching "]" in IPv6 host address in URI: "…""#
            ),
        ])
    func problem(url: String, problem: String) {
        #expect(ConnectionURL.problem(url) == problem)
    }

    @Test(
        "a refusal at the door lasts or not, and is told without the server's source",
        arguments: [
            (
                #"connection to server at "h", port 1 failed: FATAL: 3D000: database "x" does not exist LOCATION: f, a.c:9"#,
                #"connection to server at "h", port 1 failed: FATAL: database "x" does not exist"#, true
            ),
            (
                #"connection to server at "h", port 1 failed: FATAL: 57P03: the database system is starting up"#,
                #"connection to server at "h", port 1 failed: FATAL: the database system is starting up"#, false
            ),
            (
                "connection to server failed: FATAL: 28P01: no LOCATION: f, a.c:9 connection to server failed: refused",
                "connection to server failed: FATAL: no connection to server failed: refused", false
            ),
            ("Connection refused", "Connection refused", false),
        ])
    func refusal(text: String, message: String, isLasting: Bool) {
        let refusal = LoginRefusal(text)
        #expect(refusal.message == message)
        #expect(refusal.isLasting == isLasting)
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
