internal import NIOConcurrencyHelpers

/// Which timeline of the database the connections of one process agree on. A server that was promoted, or restored, goes
/// on with a timeline of its own, and may lack what the former one had committed last.
///
/// Whoever meets an older timeline than is known is at a server that was left behind, and must not use it.
final class ServerTimeline: Sendable {
    struct Point: Hashable, Sendable {
        var systemIdentifier: Int64
        var timeline: Int64
    }

    private struct State {
        var newest: Point?
        /// Where each connection was greeted last.
        var roles: [String: Point] = [:]
        var reconnects: [String: @Sendable () -> Void] = [:]
    }

    private let state = NIOLockedValueBox(State())
    private let onChange: @Sendable () -> Void

    /// `onChange` is called on the thread of the connection that has met a newer timeline, before it serves anybody.
    init(onChange: @escaping @Sendable () -> Void) { self.onChange = onChange }

    /// How the connection of this role is given up for a new one.
    func follow(_ role: String, reconnect: @escaping @Sendable () -> Void) {
        state.withLockedValue { $0.reconnects[role] = reconnect }
    }

    /// Gives up what was greeted by a server on an older timeline.
    func reconnectOutdated() {
        let outdated = state.withLockedValue { state in
            state.roles.filter { $0.value != state.newest }.compactMap { state.reconnects[$0.key] }
        }
        for reconnect in outdated { reconnect() }
    }

    /// To be called in the greeting of each connection.
    func check(_ greeter: borrowing Greeter, role: String) throws(PostgresError) {
        guard let row = try greeter.query(Self.question).first, let timeline = row.int8OrNil(1) else {
            throw .unavailable(reason: "this server is a standby: it takes no writes")
        }
        switch met(Point(systemIdentifier: row.int8(0), timeline: timeline), as: role) {
        case .known: break
        case .newer: onChange()
        case .older(let known):
            throw .unavailable(
                reason: "this server was left behind: it is at timeline \(timeline), and \(known.timeline) is known")
        }
    }

    enum Verdict: Equatable {
        /// The first of all, or the same as before.
        case known
        case newer
        case older(than: Point)
    }

    func met(_ point: Point, as role: String) -> Verdict {
        state.withLockedValue { state in
            if let newest = state.newest, newest != point {
                let isOlder = newest.systemIdentifier == point.systemIdentifier && point.timeline < newest.timeline
                if isOlder { return .older(than: newest) }
                state.newest = point
                state.roles[role] = point
                return .newer
            }
            state.newest = point
            state.roles[role] = point
            return .known
        }
    }

    /// The timeline is right at once after a promotion; the control file has it only after its first checkpoint.
    private static let question = """
        SELECT s.system_identifier, CASE WHEN NOT pg_is_in_recovery() THEN
            ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8 END
        FROM pg_control_system() s
        """
}
