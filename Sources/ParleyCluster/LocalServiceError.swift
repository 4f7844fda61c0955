/// Why something on this machine could not be started, stopped or found, in words for the person who asked for it.
public struct LocalServiceError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// What was asked for does not make sense, or does not fit what runs already.
        case usage
        /// A program, a user or a port that is needed is not to be had.
        case unavailable
        case failed
    }

    public var kind: Kind
    /// What went wrong and what to do about it.
    public var reason: String

    public init(_ kind: Kind, _ reason: String) {
        self.kind = kind
        self.reason = reason
    }

    public var description: String { reason }
}
