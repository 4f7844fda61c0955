import NIOCore
public import ParleyCore

/// One change as it stands in the log and in updates, its members in the order `clientId`, `id`, `userId`, `at`, `message`:
/// what reads the head of a change (the marks of a session) relies on the first two.
///
/// - Parameters:
///   - at: milliseconds since the Unix epoch.
///   - message: JSON text that was checked when it came in.
public func encodedChange(
    clientID: ClientID, userID: String?, id: Int64?, at: Int64, message: [UInt8]
) -> [UInt8] {
    var out = JSONWriter(capacity: 96 + (userID?.utf8.count ?? 0) + message.count)
    out.object { out in
        out.member("clientId", string: clientID.text)
        if let id { out.member("id", integer: id) }
        if let userID { out.member("userId", string: userID) }
        out.member("at", integer: at)
        out.name("message")
        out.raw(message)
    }
    return Array(out.buffer.readableBytesView)
}
