/// What the head of a stored change says of its sender. Changes are encoded with `clientId`, `id`, `userId`, `at` in this
/// order before their content, so that neither the content nor a parser is needed.
public struct ChangeHead: Equatable, Sendable {
    public let clientID: ClientID
    public let id: Int64?

    private static let clientStart = Array(#"{"clientId":""#.utf8)
    private static let idStart = Array(#","id":"#.utf8)

    /// nil for a change without a client.
    public init?(_ change: some Collection<UInt8>) {
        guard change.starts(with: Self.clientStart) else { return nil }
        let afterStart = change.dropFirst(Self.clientStart.count)
        let name = afterStart.prefix { $0 != UInt8(ascii: "\"") }
        guard let clientID = ClientID(String(decoding: name, as: UTF8.self)) else { return nil }
        self.clientID = clientID
        let rest = afterStart.dropFirst(name.count + 1)
        guard rest.starts(with: Self.idStart) else {
            id = nil
            return
        }
        let digits = rest.dropFirst(Self.idStart.count).prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
        id = Int64(String(decoding: digits, as: UTF8.self))
    }

    /// What a change says before its content: sender and time. It stays the same whatever a rule makes of the content. Empty for
    /// a change that is encoded in another way.
    public static func start(of change: [UInt8]) -> ArraySlice<UInt8> {
        guard ChangeHead(change) != nil else { return [] }
        var rest = change.dropFirst(clientStart.count).drop { $0 != UInt8(ascii: "\"") }.dropFirst()
        if rest.starts(with: idStart) { rest = rest.dropFirst(idStart.count).drop(while: isDigit) }
        if rest.starts(with: userStart) {
            rest = rest.dropFirst(userStart.count)
            while let byte = rest.first, byte != UInt8(ascii: "\"") {
                rest = rest.dropFirst(byte == UInt8(ascii: "\\") ? 2 : 1)
            }
            rest = rest.dropFirst()
        }
        guard rest.starts(with: timeStart) else { return [] }
        rest = rest.dropFirst(timeStart.count).drop(while: isDigit)
        return change[..<rest.startIndex]
    }

    private static let userStart = Array(#","userId":""#.utf8)
    private static let timeStart = Array(#","at":"#.utf8)

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// The heads of all changes of a run that have a client.
    public static func all(in run: Run) -> [ChangeHead] {
        var start = 0
        return run.changeLengths.compactMap { length in
            defer { start += length + 1 }
            return ChangeHead(run.body[start..<start + length])
        }
    }
}
