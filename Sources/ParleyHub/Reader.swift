package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import ParleyCore

/// Reads what is missing from the log and the rosters, for all rooms of the node together: what is asked for while one
/// read is under way becomes the next one.
package final class Reader: Sendable {
    package protocol Delegate: AnyObject, Sendable {
        /// Every room that was asked for is named in one of these: with what was read, or without, when there was nothing.
        func readLog(_ rooms: [RoomNumber], found: [LogRead])
        func readRosters(_ rooms: [RoomNumber], found: [RosterRead])
    }

    /// Rooms in one read.
    private static let batchMax = 1_000
    /// After a read that failed: long enough not to load a database in trouble, short enough to be back at once.
    private static let pauseAfterFailure: Duration = .milliseconds(250)

    private struct State {
        var logs: [RoomNumber: Seq] = [:]
        var rosters: [RoomNumber: Int64] = [:]
        var isEmpty: Bool { logs.isEmpty && rosters.isEmpty }
    }

    private let state = NIOLockedValueBox(State())
    private let sleeper = Sleeper()
    private let delegate: NIOLockedValueBox<(any Delegate)?> = NIOLockedValueBox(nil)
    private let store: any RoomStore
    private let logger: Logger
    /// From the start of a read to that of the next.
    private let rhythm: TimeAmount
    private let loop: any EventLoop

    package init(store: any RoomStore, rhythm: TimeAmount, loop: any EventLoop, logger: Logger) {
        self.store = store
        self.rhythm = rhythm
        self.loop = loop
        self.logger = logger
    }

    /// Must be set before `run`. Not owned.
    package func report(to delegate: any Delegate) { self.delegate.withLockedValue { $0 = delegate } }

    package func wantLog(of room: RoomNumber, after seq: Seq) {
        state.withLockedValue { $0.logs[room] = min($0.logs[room] ?? seq, seq) }
        sleeper.wake()
    }

    package func wantRoster(of room: RoomNumber, after seq: Int64) {
        state.withLockedValue { $0.rosters[room] = min($0.rosters[room] ?? seq, seq) }
        sleeper.wake()
    }

    /// Runs until the task is cancelled.
    package func run() async {
        var rhythm = Rhythm(rhythm)
        while !Task.isCancelled {
            guard !state.withLockedValue(\.isEmpty) else {
                await sleeper.sleep()
                continue
            }
            await rhythm.wait(on: loop)
            let (logs, rosters) = state.withLockedValue { state in
                (Self.take(&state.logs), Self.take(&state.rosters))
            }
            async let logsRead: Bool = readLogs(logs)
            async let rostersRead: Bool = readRosters(rosters)
            let (first, second) = await (logsRead, rostersRead)
            guard first, second else {
                do { try await Task.sleep(for: Self.pauseAfterFailure) } catch { return }
                continue
            }
        }
    }

    private func readLogs(_ wanted: [RoomNumber: Seq]) async -> Bool {
        guard !wanted.isEmpty else { return true }
        let rooms = wanted.keys.sorted()
        do {
            let found = try await store.readLog(rooms.map { LogCursor(room: $0, after: wanted[$0] ?? 0) })
            delegate.withLockedValue { $0 }?.readLog(rooms, found: found)
            return true
        } catch {
            logger.warning("the log could not be read; trying again", metadata: ["error": "\(error)"])
            delegate.withLockedValue { $0 }?.readLog(rooms, found: [])
            return false
        }
    }

    private func readRosters(_ wanted: [RoomNumber: Int64]) async -> Bool {
        guard !wanted.isEmpty else { return true }
        let rooms = wanted.keys.sorted()
        do {
            let found = try await store.readRosters(rooms.map { RosterCursor(room: $0, seq: wanted[$0] ?? 0) })
            delegate.withLockedValue { $0 }?.readRosters(rooms, found: found)
            return true
        } catch {
            logger.warning("rosters could not be read; trying again", metadata: ["error": "\(error)"])
            delegate.withLockedValue { $0 }?.readRosters(rooms, found: [])
            return false
        }
    }

    private static func take(_ wanted: inout [RoomNumber: Int64]) -> [RoomNumber: Int64] {
        guard wanted.count > batchMax else {
            defer { wanted = [:] }
            return wanted
        }
        var batch: [RoomNumber: Int64] = [:]
        for (room, seq) in wanted.prefix(batchMax) {
            batch[room] = seq
            wanted[room] = nil
        }
        return batch
    }
}
