import NIOCore
public import ParleyCore

extension Signal {
    /// - Parameters:
    ///   - key: nil for a signal without one.
    ///   - payload: JSON text that was checked when it came in.
    public init(clientID: ClientID, key: String?, payload: [UInt8]) {
        var out = JSONWriter(capacity: 64 + (key?.utf8.count ?? 0))
        out.object { out in
            out.member("clientId", string: clientID.text)
            if let key { out.member("key", string: key) }
        }
        // The members alone, without the brackets.
        self.init(head: Array(out.buffer.readableBytesView.dropFirst().dropLast()), payload: payload)
    }
}
