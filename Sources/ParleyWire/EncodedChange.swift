import NIOCore
public import ParleyCore

/// What a change says, as JSON text that was checked when it came in.
public enum ChangeContent {
    case message([UInt8])
    case set([UInt8])
}

/// One change as it stands in the log and in updates, its members in the order `clientId`, `id`, `userId`, `at`, content.
/// `ChangeHead` reads all but the content by their places, without a parser, and the functions in `sql/` write the same
/// order.
///
/// - Parameter at: milliseconds since the Unix epoch.
public func encodedChange(
    clientID: ClientID, userID: String?, id: Int64?, at: Int64, _ content: ChangeContent
) -> [UInt8] {
    let (name, text): (StaticString, [UInt8]) =
        switch content {
        case .message(let text): ("message", text)
        case .set(let text): ("set", text)
        }
    var out = JSONWriter(capacity: 96 + (userID?.utf8.count ?? 0) + text.count)
    out.object { out in
        out.member("clientId", string: clientID.text)
        if let id { out.member("id", integer: id) }
        if let userID { out.member("userId", string: userID) }
        out.member("at", integer: at)
        out.name(name)
        out.raw(text)
    }
    return Array(out.buffer.readableBytesView)
}
