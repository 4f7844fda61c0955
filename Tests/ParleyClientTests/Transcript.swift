import Foundation
import Testing

/// Events in order, each with what a client does about it. `Tests/ClientTranscripts/README.md` tells the form.
struct Transcript: Sendable, CustomTestStringConvertible {
    struct Step: Sendable {
        var input: JSON
        /// Frames that are sent stand as `send` and their text, members in the order of their names.
        var out: [String]
    }

    var about: String
    var showsHeartbeat: Bool
    var steps: [Step]

    var testDescription: String { about }

    static func all() throws -> [Transcript] {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appendingPathComponent("ClientTranscripts")
        let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        return try files.filter { $0.pathExtension == "jsonl" }.sorted { $0.path < $1.path }.flatMap(read)
    }

    private static func read(_ file: URL) throws -> [Transcript] {
        var transcripts: [Transcript] = []
        for line in try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")) {
            let object = try JSONDecoder().decode(JSON.self, from: Data(line))
            if let about = object["transcript"]?.text {
                transcripts.append(
                    Transcript(about: about, showsHeartbeat: object["heartbeat"] == .bool(true), steps: []))
                continue
            }
            let input = try #require(object["in"])
            guard case .array(let out)? = object["out"], !transcripts.isEmpty else {
                Issue.record("\(file.lastPathComponent): neither a step nor a transcript: \(object)")
                continue
            }
            let lines = try out.map { line in
                if let text = line.text { return text }
                return "send \(try #require(line["send"]))"
            }
            transcripts[transcripts.count - 1].steps.append(Step(input: input, out: lines))
        }
        return transcripts
    }
}

/// A JSON value; as text, members stand in the order of their names.
enum JSON: Sendable, Equatable, Codable, CustomStringConvertible {
    case null
    case bool(Bool)
    case number(Int64)
    case string(String)
    case array([JSON])
    case object([String: JSON])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Int64.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSON].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSON].self))
        }
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .null: try container.encodeNil()
        case .bool(let value): try container.encode(value)
        case .number(let value): try container.encode(value)
        case .string(let value): try container.encode(value)
        case .array(let value): try container.encode(value)
        case .object(let value): try container.encode(value)
        }
    }

    var description: String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // These values can all be encoded.
        return (try? encoder.encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    subscript(name: String) -> JSON? {
        if case .object(let members) = self { members[name] } else { nil }
    }

    var text: String? { if case .string(let text) = self { text } else { nil } }
    var integer: Int? { if case .number(let number) = self { Int(number) } else { nil } }
}
