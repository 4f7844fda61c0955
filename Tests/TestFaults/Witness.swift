import Foundation
import ParleyCluster

/// The rule that some rooms have: it refuses what is unlucky and notes all else in a table of its own, in the transaction
/// that applies it. So the table has what the log has, each once, whatever happens to nodes and connections.
public struct Witness: Sendable {
    public struct Testimony: Hashable, Sendable {
        public var speaker: Int
        public var number: Int

        public init(speaker: Int, number: Int) {
            self.speaker = speaker
            self.number = number
        }
    }

    static let rule = "witness"
    static let reason = "unlucky"

    /// How often each message was noted, by room.
    var counts: [String: [Testimony: Int]] = [:]

    static let setUp = """
        CREATE TABLE public.witnessed (room text, speaker integer, number integer);
        CREATE FUNCTION public.witness(room text, shared jsonb, inputs parley.rule_input[]) RETURNS parley.ruling[]
        LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
        BEGIN
            INSERT INTO witnessed
            SELECT witness.room, q.speaker, q.number
            FROM (SELECT (i.message ->> 's')::integer, (i.message ->> 'n')::integer FROM unnest(inputs) i) q(speaker, number)
            WHERE (q.speaker + q.number * 7) % 29 <> 0;
            RETURN ARRAY(
                SELECT CASE WHEN ((i.message ->> 's')::integer + (i.message ->> 'n')::integer * 7) % 29 = 0
                    THEN parley.refuse('\(reason)') END
                FROM unnest(inputs) WITH ORDINALITY i(client, user_id, message, set, ix)
                ORDER BY i.ix);
        END
        $$;
        SELECT parley.create_rule('\(rule)', 'public.witness');
        """

    /// As the rule has it.
    static func isUnlucky(_ testimony: Testimony) -> Bool { (testimony.speaker + testimony.number * 7) % 29 == 0 }

    static func read(from postgres: LocalPostgres, database: String, folder: String) async throws -> Witness {
        let file = "\(folder)/witnessed.tsv"
        try await postgres.query("\\copy public.witnessed TO '\(file)'", database: database)
        var witness = Witness()
        let data = try Data(contentsOf: URL(fileURLWithPath: file), options: .alwaysMapped)
        for line in data.split(separator: UInt8(ascii: "\n")) {
            let fields = String(decoding: line, as: UTF8.self).split(separator: "\t")
            guard fields.count == 3, let speaker = Int(fields[1]), let number = Int(fields[2]) else {
                throw FaultNode.Failure(description: "\(file) is not as expected")
            }
            witness.counts[String(fields[0]), default: [:]][Testimony(speaker: speaker, number: number), default: 0] +=
                1
        }
        return witness
    }
}
