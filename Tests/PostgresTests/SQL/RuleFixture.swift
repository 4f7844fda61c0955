import Foundation
import ParleyCore
import Testing

@testable import ParleyPostgres

extension ScratchDatabase {
    /// Runs one of the complete examples of docs/examples.
    func runExample(_ name: String) async throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "docs/examples/\(name).sql")
        try await run(String(contentsOf: file, encoding: .utf8))
    }

    /// A rule of this name that judges one input by `body`, in PL/pgSQL: the parameters are room, shared and input.
    func makeRule(_ name: String, _ body: String, declaring variables: String = "") async throws {
        try await run(
            """
            CREATE FUNCTION public.\(name)(room text, shared jsonb, input parley.rule_input) RETURNS parley.ruling
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $rule$
            DECLARE
                text text := input.message #>> '{}';
                \(variables)
            BEGIN
                \(body)
            END $rule$;
            SELECT parley.create_rule('\(name)', 'public.\(name)');
            """)
    }

    /// The same for one that judges all at once.
    func makeBatchRule(_ name: String, _ body: String) async throws {
        try await run(
            """
            CREATE FUNCTION public.\(name)(room text, shared jsonb, inputs parley.rule_input[]) RETURNS parley.ruling[]
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $rule$
            BEGIN
                \(body)
            END $rule$;
            SELECT parley.create_rule('\(name)', 'public.\(name)');
            """)
    }

    func values(of room: String) async throws -> [String: String] {
        let rows = try await query(
            "SELECT key, value::text FROM parley.room_values WHERE room_id = $1::text", [.text(room)])
        return Dictionary(uniqueKeysWithValues: rows.map { ($0.text(0), $0.text(1)) })
    }

    func messages(of room: String) async throws -> [String] {
        try await query("SELECT message::text FROM parley.messages($1::text, 0, 100000)", [.text(room)]).map {
            $0.text(0)
        }
    }
}

/// For tests that give rules to the store without the way apart, on a machine that may be busy.
func patient(_ configuration: inout StoreConfiguration) { configuration.ruleTimeTogether = .seconds(5) }

extension PostgresRoomStore {
    func makeRoom(_ id: String, rule: String) async throws -> RoomNumber {
        _ = try await createRoom(RoomCreation(id: room(id), rule: rule))
        return try await number(of: id)
    }
}

/// Inputs of one room with a rule: of ann, unless the JSON of the content begins with another client's name and a colon.
func ruled(
    _ contents: [String], in room: RoomNumber, from id: Int64 = 1, claim: Int64 = 0,
    tag: ParleyCore.Tag = .random(in: .min ... .max)
) -> Append {
    let inputs = contents.enumerated().map { index, content in
        let parts = content.split(separator: ">", maxSplits: 1)
        let (client, text) = parts.count == 2 ? (String(parts[0]), String(parts[1])) : ("ann", content)
        let isSet = text.hasPrefix("set ")
        let payload = isSet ? String(text.dropFirst(4)) : text
        let member = #""\#(isSet ? "set" : "message")":\#(payload)"#
        let head = #"{"clientId":"\#(client)","id":\#(id + Int64(index)),"at":1732350000123,"#
        return JudgedInput(change: Array("\(head)\(member)}".utf8), set: nil)
    }
    return Append(
        room: room, claim: claim, count: inputs.count, tag: tag,
        body: Array(inputs.map(\.change).joined(separator: [UInt8(ascii: ",")])), judged: inputs, isRuled: true)
}

extension AppendOutcome {
    /// One letter for each input: a accepted, r rewritten, x refused, c conflict, t too large. Empty when it was not judged.
    var letters: String {
        guard case .judged(_, let verdicts) = self else { return "" }
        return verdicts.map { verdict in
            switch verdict {
            case .accepted: "a"
            case .rewritten: "r"
            case .refused: "x"
            case .conflict: "c"
            case .tooLarge: "t"
            }
        }.joined()
    }

    var reasons: [String] {
        guard case .judged(_, let verdicts) = self else { return [] }
        return verdicts.compactMap { if case .refused(let reason) = $0 { reason } else { nil } }
    }
}
