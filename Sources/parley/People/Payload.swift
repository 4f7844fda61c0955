import Foundation
import NIOCore

/// A message's JSON, shown as a person would want it: a text, or the `text` member of an object, as it is; anything else as
/// JSON.
struct Payload: Decodable, Sendable {
    let text: String

    static func text(of json: ByteBuffer) -> String {
        do {
            return try JSONDecoder().decode(Payload.self, from: Data(json.readableBytesView)).text
        } catch {
            return String(buffer: json)
        }
    }

    init(from decoder: any Decoder) throws {
        let value = try Value(from: decoder)
        switch value {
        case .string(let text): self.text = text
        case .object(let members):
            if case .string(let text)? = members["text"] { self.text = text } else { text = value.json }
        case .array, .number, .bool, .null: text = value.json
        }
    }

    private enum Value: Codable {
        case null
        case bool(Bool)
        case number(Double)
        case string(String)
        case array([Value])
        case object([String: Value])

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let value = try? container.decode(Bool.self) {
                self = .bool(value)
            } else if let value = try? container.decode(Double.self) {
                self = .number(value)
            } else if let value = try? container.decode(String.self) {
                self = .string(value)
            } else if let value = try? container.decode([Value].self) {
                self = .array(value)
            } else {
                self = .object(try container.decode([String: Value].self))
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

        var json: String {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            do {
                return String(decoding: try encoder.encode(self), as: UTF8.self)
            } catch {
                return "(cannot be shown: \(error))"
            }
        }
    }
}
