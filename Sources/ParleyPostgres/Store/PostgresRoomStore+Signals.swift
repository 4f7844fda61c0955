public import ParleyCore

extension PostgresRoomStore {
    public func send(_ signals: [RoomSignals]) {
        guard configuration.announce, let writer = registration.current?.writers[.log] else { return }
        let payloads = signals.flatMap {
            SignalNotice(writer: writer, signals: $0).payloads.compactMap(channelSeal.seal)
        }
        guard !payloads.isEmpty else { return }
        // On a connection on which nothing is written, but on which joins and updates are read: these come first.
        reader.connection.submit(Self.signalStatement, [.textArray(payloads)], jobsBefore: Self.jobsBeforeSignals)
    }

    /// Reads that are under way when signals are still sent. With more the connection has no time for them.
    private static var jobsBeforeSignals: Int { 16 }

    private static let signalStatement = Statement(
        name: "signal",
        sql: "SELECT count(pg_notify('\(Announcement.channel)', payload)) FROM unnest($1::text[]) payload")
}
