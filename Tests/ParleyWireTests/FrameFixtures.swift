import Foundation
import ParleyCore
import Testing

/// One line of docs/frames.jsonl.
struct FrameFixture: Decodable, Sendable, CustomTestStringConvertible {
    enum Direction: String, Decodable { case client, server }

    var name: String
    var direction: Direction
    var frame: String
    var reads: JSONValue?
    var error: String?
    var id: Int64?
    var roomId: String?
    var settles: Bool?
    var later: Bool?

    var testDescription: String { name }
}

/// The file's first line says what the others mean, and whose connection it is.
enum FrameFixtures {
    private struct Head: Decodable { var clientId: String }

    static let url = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("docs/frames.jsonl")

    private static let lines: [Data] = {
        let text = (try? Data(contentsOf: url)) ?? Data()
        return text.split(separator: UInt8(ascii: "\n")).map { Data($0) }
    }()

    static let clientID: ClientID? = lines.first
        .flatMap { try? JSONDecoder().decode(Head.self, from: $0) }
        .flatMap { ClientID($0.clientId) }

    static let all: [FrameFixture] = lines.dropFirst().compactMap {
        try? JSONDecoder().decode(FrameFixture.self, from: $0)
    }

    static let isComplete = all.count == lines.count - 1 && !all.isEmpty

    static func of(_ direction: FrameFixture.Direction) -> [FrameFixture] { all.filter { $0.direction == direction } }
}
