import Foundation
import ParleyClient
import ParleyCluster
public import ParleyCore

/// One room as the database has it at the end.
public struct RoomLog: Sendable {
    public struct Row: Sendable {
        public var first: Seq
        public var last: Seq
        public var body: String

        public init(first: Seq, last: Seq, body: String) {
            self.first = first
            self.last = last
            self.body = body
        }
    }

    public var room: String
    public var lastSeq: Seq
    public var rows: [Row]

    public init(room: String, lastSeq: Seq, rows: [Row]) {
        self.room = room
        self.lastSeq = lastSeq
        self.rows = rows
    }

    /// Reads all rooms through a file, since there is more than a command may print.
    static func readAll(from postgres: LocalPostgres, database: String, folder: String) async throws -> [RoomLog] {
        let heads = try await postgres.query(
            "SELECT room_id, last_seq FROM parley.room ORDER BY room_no", database: database)
        var logs: [RoomLog] = []
        for line in heads.split(separator: "\n") {
            let fields = line.split(separator: "|")
            guard fields.count == 2, let last = Seq(fields[1]) else { continue }
            logs.append(RoomLog(room: String(fields[0]), lastSeq: last, rows: []))
        }
        let places = Dictionary(uniqueKeysWithValues: logs.enumerated().map { ($1.room, $0) })
        let file = "\(folder)/log.tsv"
        try await postgres.query(
            """
            \\copy (SELECT r.room_id, l.first_seq, l.last_seq, l.body FROM parley.update_log l JOIN parley.room r USING (room_no) ORDER BY l.room_no, l.last_seq) TO '\(file)'
            """, database: database)
        let data = try Data(contentsOf: URL(fileURLWithPath: file), options: .alwaysMapped)
        for line in data.split(separator: UInt8(ascii: "\n")) {
            let fields = String(decoding: line, as: UTF8.self).split(separator: "\t", omittingEmptySubsequences: false)
            guard fields.count == 4, let place = places[String(fields[0])], let first = Seq(fields[1]),
                let last = Seq(fields[2])
            else { throw FaultNode.Failure(description: "\(file) is not as expected") }
            logs[place].rows.append(Row(first: first, last: last, body: unescaped(fields[3])))
        }
        return logs
    }

    /// The text format of COPY.
    private static func unescaped(_ field: Substring) -> String {
        guard field.utf8.contains(UInt8(ascii: "\\")) else { return String(field) }
        var text = ""
        var isEscape = false
        for character in field {
            switch (isEscape, character) {
            case (false, "\\"): isEscape = true
            case (false, _): text.append(character)
            case (true, "n"): (text, isEscape) = (text + "\n", false)
            case (true, "t"): (text, isEscape) = (text + "\t", false)
            case (true, "r"): (text, isEscape) = (text + "\r", false)
            case (true, _): (text, isEscape) = (text + String(character), false)
            }
        }
        return text
    }
}
