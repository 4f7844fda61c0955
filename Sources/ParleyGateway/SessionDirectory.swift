import NIOConcurrencyHelpers
package import ParleyCore
package import ParleyHub

/// Which sockets of this node have which sessions, so that a newer socket, here or on another node, can end an older
/// one, and so that a member whose socket was lost keeps its place for a while.
package final class SessionDirectory: Sendable {
    /// One socket, unique within the process.
    package struct SocketID: Hashable, Sendable {
        let value: UInt64
    }

    /// What a socket had in the hub.
    package typealias Places = [(subscription: SubscriptionID, room: RoomNumber)]

    /// Ends a socket because a newer one has come, and says what it had. It must be called, and what it says must be
    /// evicted from the writer.
    package typealias Displace = @Sendable () async -> Places

    private struct Entry {
        let session: SessionKey
        let socket: SocketID
        /// Of the socket within its session; nil until the store has said it.
        var number: Int64?
        /// The highest number of which other nodes have spoken while this one's was not known.
        var newest: Int64 = 0
        /// The socket is gone; its grace runs.
        var isLost = false
        var displace: Displace
    }

    private struct State {
        var entries: [ClientID: Entry] = [:]
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

    package var openCount: Int { state.withLockedValue { $0.entries.values.count { !$0.isLost } } }

    /// The session is on this socket from now on. The answer ends the older socket that it was on here, if there is
    /// one, before the session goes on.
    package func open(
        _ session: SessionIdentity, on socket: SocketID, number: Int64?, displace: @escaping Displace
    ) -> Displace? {
        state.withLockedValue { state in
            let entry = Entry(session: session.key, socket: socket, number: number, displace: displace)
            return state.entries.updateValue(entry, forKey: session.clientID)?.displace
        }
    }

    /// The store has said which of its session's sockets this one is. False when a newer one is known already: then
    /// nothing is left of this one here.
    package func tookUp(_ client: ClientID, on socket: SocketID, number: Int64) -> Bool {
        state.withLockedValue { state in
            guard var entry = state.entries[client], entry.socket == socket else { return false }
            entry.number = number
            let hasIt = entry.newest <= number
            state.entries[client] = hasIt ? entry : nil
            return hasIt
        }
    }

    /// Other nodes have taken sessions up. The answers end the sockets that had them here.
    package func overtaken(by takeUps: [SessionTakeUp]) -> [Displace] {
        state.withLockedValue { state in
            takeUps.compactMap { takeUp in
                guard let entry = state.entries[takeUp.clientID] else { return nil }
                if entry.number == nil, !entry.isLost {
                    state.entries[takeUp.clientID]?.newest = max(entry.newest, takeUp.number)
                    return nil
                }
                guard entry.number ?? 0 < takeUp.number else { return nil }
                state.entries[takeUp.clientID] = nil
                return entry.displace
            }
        }
    }

    /// All whose numbers are known, also those that were lost.
    package var sockets: [SessionSocket] {
        state.withLockedValue { state in
            state.entries.values.compactMap { entry in
                entry.number.map { SessionSocket(session: entry.session, number: $0) }
            }
        }
    }

    /// The socket was lost. False when a newer socket has the session already.
    package func lost(_ client: ClientID, on socket: SocketID, had: @escaping Displace) -> Bool {
        state.withLockedValue { state in
            guard var entry = state.entries[client], entry.socket == socket, !entry.isLost else { return false }
            entry.isLost = true
            entry.displace = had
            state.entries[client] = entry
            return true
        }
    }

    /// Ends what there is of the session here. False when a newer socket has it: then its places are not to be left.
    package func end(_ client: ClientID, on socket: SocketID) -> Bool {
        state.withLockedValue { state in
            guard state.entries[client]?.socket == socket else { return false }
            state.entries[client] = nil
            return true
        }
    }
}
