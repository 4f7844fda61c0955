import Foundation
import NIOCore
import ParleyCore

/// A frame as a client reads it. The server's frames have one layout, so that markers are found without a parser.
enum ReceivedFrame {
    case update(room: RoomID, from: Seq, to: Seq, position: Position, body: [UInt8])
    case ack(room: RoomID, id: Int64)
    case error(room: RoomID, id: Int64, code: String, isTemporary: Bool)
    case presence
    case unknown(String)

    init(_ frame: ByteBuffer) {
        self =
            frame.withUnsafeReadableBytes { bytes in Self.read(bytes) }
            ?? .unknown(String(decoding: frame.readableBytesView, as: UTF8.self))
    }

    private static func read(_ bytes: UnsafeRawBufferPointer) -> ReceivedFrame? {
        var rest = Substring(decoding: bytes.prefix(256), as: UTF8.self)
        guard let method = text(after: "\"method\":\"", in: &rest) else { return nil }
        switch method {
        case "update":
            guard let room = text(after: "\"roomId\":\"", in: &rest).flatMap(RoomID.init),
                let from = number(after: "\"from\":", in: &rest), let to = number(after: "\"to\":", in: &rest),
                let position = text(after: "\"position\":\"", in: &rest).flatMap(Position.init),
                let start = find("\"changes\":[", in: bytes)
            else { return nil }
            return .update(
                room: room, from: from, to: to, position: position, body: Array(bytes[start..<bytes.count - 3]))
        case "ack":
            guard let id = number(after: "\"id\":", in: &rest),
                let room = text(after: "\"roomId\":\"", in: &rest).flatMap(RoomID.init)
            else { return nil }
            return .ack(room: room, id: id)
        case "error":
            guard let id = number(after: "\"id\":", in: &rest), let code = text(after: "\"code\":\"", in: &rest),
                let start = find("\"roomId\":\"", in: bytes), let flag = find("\"temporary\":", in: bytes)
            else { return nil }
            let room = String(decoding: bytes[start...].prefix { $0 != UInt8(ascii: "\"") }, as: UTF8.self)
            guard let room = RoomID(room) else { return nil }
            return .error(room: room, id: id, code: code, isTemporary: bytes[flag] == UInt8(ascii: "t"))
        case "join", "leave": return find("\"state\":", in: bytes) == nil ? .presence : nil
        default: return nil
        }
    }

    private static func find(_ marker: StaticString, in bytes: UnsafeRawBufferPointer) -> Int? {
        let (first, length) = (marker.utf8Start[0], marker.utf8CodeUnitCount)
        var index = 0
        while index + length <= bytes.count {
            if bytes[index] == first, (1..<length).allSatisfy({ bytes[index + $0] == marker.utf8Start[$0] }) {
                return index + length
            }
            index += 1
        }
        return nil
    }

    private static func text(after marker: String, in rest: inout Substring) -> String? {
        guard let range = rest.range(of: marker) else { return nil }
        rest = rest[range.upperBound...]
        return String(rest.prefix { $0 != "\"" })
    }

    private static func number(after marker: String, in rest: inout Substring) -> Int64? {
        guard let range = rest.range(of: marker) else { return nil }
        rest = rest[range.upperBound...]
        return Int64(rest.prefix { $0.isASCII && $0.isNumber })
    }
}
