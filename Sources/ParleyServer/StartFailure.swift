/// Why a node did not start: one line that says what, where and what to do.
public struct StartFailure: Error, CustomStringConvertible {
    public let description: String
    public init(_ description: String) { self.description = description }
}
