import Foundation
import NIOCore

extension Change {
    /// The JSON text of the message; nil when the change is none.
    public var messageText: String? { message.map { String(buffer: $0) } }

    /// The message as a value; nil when the change is none.
    public func message<Value: Decodable>(as type: Value.Type) throws -> Value? {
        try message.map { try JSONDecoder().decode(type, from: Data($0.readableBytesView)) }
    }
}
