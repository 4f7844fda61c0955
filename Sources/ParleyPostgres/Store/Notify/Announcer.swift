internal import NIOConcurrencyHelpers

/// Sends announcements behind the batches of one connection, in transactions of their own: within the batch's
/// transaction NOTIFY would hold a lock of the whole cluster over the commit's flush.
final class Announcer: Sendable {
    private let connection: PostgresConnection
    private let isOn: Bool
    /// For what only nodes may say.
    private let seal: ChannelSeal?
    /// Said again on a new connection: the former one may have gone before it was out.
    private let last = NIOLockedValueBox<(said: Announcement, generation: Int)?>(nil)

    init(connection: PostgresConnection, isOn: Bool, seal: ChannelSeal? = nil) {
        self.connection = connection
        self.isOn = isOn
        self.seal = seal
    }

    /// Nobody waits for it. What gets lost all the same is noticed by the number of the batch.
    func say(_ announcement: Announcement, generation: Int) {
        guard isOn else { return }
        last.withLockedValue { $0 = (announcement, generation) }
        submit(announcement)
    }

    /// To be called before the first batch of a connection.
    func sayAgain(generation: Int) {
        let again = last.withLockedValue { last -> Announcement? in
            guard let said = last, said.generation != generation else { return nil }
            last = (said.said, generation)
            return said.said
        }
        if let again { submit(again) }
    }

    private func submit(_ announcement: Announcement) {
        // What cannot be sealed yet is found out by asking, as what is lost.
        let payloads =
            announcement.isForNodesAlone
            ? announcement.payloads.compactMap { seal?.seal(Array($0.utf8)) } : announcement.payloads
        connection.submit(Self.statement, [.textArray(payloads)])
    }

    private static let statement = Statement(
        name: "notify",
        sql: "SELECT count(pg_notify('\(Announcement.channel)', payload)) FROM unnest($1::text[]) payload")
}
