import NIOConcurrencyHelpers
package import ParleyCore
package import ParleyHub

/// Which sockets of this node have which sessions, so that a newer socket can end an older one, and so that a member
/// whose socket was lost keeps its place for a while.
package final class SessionDirectory: Sendable {
    /// One socket, unique within the process.
    package struct SocketID: Hashable, Sendable {
        let value: UInt64
    }

    /// What a socket had in the hub.
    package typealias Places = [(subscription: SubscriptionID, room: RoomNumber)]

    /// Ends a socket because a newer one has come, and says what it had.
    package typealias Displace = @Sendable () async -> Places

    private enum Entry {
        case open(SocketID, displace: Displace)
        /// The socket is gone; its grace runs.
        case lost(SocketID, Places)
    }

    private struct State {
        var entries: [SessionKey: Entry] = [:]
        var lastSocket: UInt64 = 0
    }

    private let state = NIOLockedValueBox(State())

    package init() {}

    package func makeSocketID() -> SocketID {
        state.withLockedValue { state in
            state.lastSocket += 1
            return SocketID(value: state.lastSocket)
        }
    }

    package var openCount: Int {
        state.withLockedValue { state in
            state.entries.values.count { entry in
                switch entry {
                case .open: true
                case .lost: false
                }
            }
        }
    }

    /// The session is on this socket from now on. The answer ends the older socket that it was on, if there is one; it
    /// must be called, and what that had must be evicted from the writer, before the session goes on.
    package func open(_ key: SessionKey, on socket: SocketID, displace: @escaping Displace) -> Displace? {
        let older = state.withLockedValue { state in
            state.entries.updateValue(.open(socket, displace: displace), forKey: key)
        }
        switch older {
        case .open(_, let displace)?: return displace
        case .lost(_, let places)?: return { places }
        case nil: return nil
        }
    }

    /// The socket was lost. False when a newer socket has the session already.
    package func lost(_ key: SessionKey, on socket: SocketID, places: Places) -> Bool {
        state.withLockedValue { state in
            guard case .open(socket, _)? = state.entries[key] else { return false }
            state.entries[key] = .lost(socket, places)
            return true
        }
    }

    /// Ends what there is of the session here. False when a newer socket has it: then its places are not to be left.
    package func end(_ key: SessionKey, on socket: SocketID) -> Bool {
        state.withLockedValue { state in
            switch state.entries[key] {
            case .open(socket, _)?, .lost(socket, _)?:
                state.entries[key] = nil
                return true
            case .open?, .lost?, nil:
                return false
            }
        }
    }
}
