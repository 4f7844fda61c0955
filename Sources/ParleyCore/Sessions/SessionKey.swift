/// The unguessable key of a session, 16 bytes. It travels only inside the signed token and is never logged.
public struct SessionKey: Hashable, Sendable {
    public static let length = 16
    public let bytes: [UInt8]

    /// nil unless there are exactly 16 bytes.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count == Self.length else { return nil }
        self.bytes = bytes
    }

    public static func random(using generator: inout some RandomNumberGenerator) -> SessionKey {
        SessionKey(unchecked: (0..<length).map { _ in UInt8.random(in: .min ... .max, using: &generator) })
    }

    private init(unchecked bytes: [UInt8]) { self.bytes = bytes }
}
