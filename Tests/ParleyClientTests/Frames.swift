/// What a node says, for scripts. Changes are numbered; the tag of a position is its place.
enum Frames {
    static func connect(client: String, session: String, resumed: Bool, inFlight: Int = 256) -> String {
        """
        {"method":"connect","clientId":"\(client)","session":"\(session)","resumed":\(resumed),"node":"n1","protocol":1,\
        "heartbeatMs":10000,"graceMs":15000,"sessionMs":86400000,"rooms":[],"limits":{"inFlight":\(inFlight)}}
        """
    }

    /// - Parameter own: which of the changes are the client's, and their ids.
    static func joinReply(
        request: Int = 1, lastID: Int, refused: [Int] = [], from: Int, to: Int, own: [Int: Int] = [:],
        reset: Bool = false, diverged: Bool = false, clients: [String] = []
    ) -> String {
        let entries = clients.map { #"{"clientId":"\#($0)","profile":{"name":"Ann"}}"# }.joined(separator: ",")
        let clients = clients.isEmpty ? "" : #""clients":[\#(entries)],"#
        let refused = refused.isEmpty ? "" : #","refused":\#(refused)"#
        return """
            {"method":"join","id":\((1 << 52) + request - 1),"roomId":"r","clientId":"me","count":2,"lastId":\(lastID)\(refused),\
            \(clients)"state":\(state(from, to, own, #","reset":\#(reset)\#(diverged ? #","diverged":true"# : "")"#))}
            """
    }

    static func copy(from: Int, to: Int, own: [Int: Int] = [:]) -> String {
        #"{"method":"join","roomId":"r","count":2,"state":\#(state(from, to, own, #","values":{},"versions":{},"reset":true"#))}"#
    }

    static func update(_ from: Int, _ to: Int, own: [Int: Int] = [:], client: String = "me") -> String {
        #"{"method":"update","roomId":"r","state":\#(state(from, to, own, "", client: client))}"#
    }

    static func ack(_ id: Int) -> String { #"{"method":"ack","id":\#(id),"roomId":"r","duplicate":true}"# }

    static func error(_ code: String, id: Int, retryMs: Int? = nil) -> String {
        let retry = retryMs.map { #","temporary":true,"retryMs":\#($0)"# } ?? #","temporary":false"#
        return #"{"method":"error","id":\#(id),"code":"\#(code)","reason":"because"\#(retry),"roomId":"r"}"#
    }

    /// Of a request that is answered itself, by its number.
    static func error(_ code: String, request: Int, retryMs: Int? = nil) -> String {
        error(code, id: (1 << 52) + request - 1, retryMs: retryMs)
    }

    static func leave(request: Int? = nil, reason: String, lastID: Int) -> String {
        let id = request.map { #""id":\#((1 << 52) + $0 - 1),"# } ?? ""
        return #"{"method":"leave",\#(id)"roomId":"r","reason":"\#(reason)","lastId":\#(lastID)}"#
    }

    private static func state(
        _ from: Int, _ to: Int, _ own: [Int: Int], _ more: String, client: String = "me"
    ) -> String {
        let changes = (from..<to + 1).map { seq in
            own[seq].map { #"{"clientId":"\#(client)","id":\#($0),"at":1,"message":"m"}"# }
                ?? #"{"clientId":"other","at":1,"message":{"n":\#(seq)}}"#
        }
        return
            #"{"from":\#(from),"to":\#(to),"position":"\#(to)-\#(String(to, radix: 16))","changes":[\#(changes.joined(separator: ","))]\#(more)}"#
    }
}
