import Foundation
import NIOCore
import NIOPosix

/// Why no connection to a node came about, in words for whoever asked for it.
public struct ConnectFailure: CustomStringConvertible {
    public let description: String

    public init(_ error: any Error) { description = Self.text(of: error) }

    private static func text(of error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            // Of several addresses, the last one's.
            if let last = error.connectionErrors.last { return text(of: last.error) }
            return "no address of this name is known"
        case let error as IOError: return String(cString: strerror(error.errnoCode)).lowercased()
        case ChannelError.connectTimeout: return "no answer"
        default: return "\(error)"
        }
    }
}
