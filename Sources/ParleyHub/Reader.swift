package import Logging
import NIOConcurrencyHelpers
package import NIOCore
package import ParleyCore

/// Reads what is missing from the log and the rosters, for all rooms of the node together: what is asked for while one
/// read is under way becomes the next one. What a read that failed was to bring is wanted still.
package final class Reader: Sendable {
    package protocol Delegate: AnyObject, Sendable {
        /// Every room that was asked for is named in one of these once a read has succeeded: with what was read, or
        /// without, when there was nothing.
        func readLog(_ rooms: [RoomNumber], found: [LogRead])
        func readRosters(_ rooms: [RoomNumber], found: [RosterRead])
    }

    /// Rooms in one read.
    private static let batchMax = 1_000

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
    /// Between reads that fail.
    private let backoff: Backoff
    private let loop: any EventLoop

    package init(store: any RoomStore, rhythm: TimeAmount, backoff: Backoff, loop: any EventLoop, logger: Logger) {
        self.store = store
        self.rhythm = rhythm
        self.backoff = backoff
        self.loop = loop
        self.logger = logger
    }

    /// Must be set before `run`. Reader and delegate hold each other from then on, until the process ends.
    package func report(to delegate: any Delegate) { self.delegate.withLockedValue { $0 = delegate } }

    package func wantLog(of room: RoomNumber, after seq: Seq) {
        state.withLockedValue { Self.want(room, after: seq, in: &$0.logs) }
        sleeper.wake()
    }

    package func wantRoster(of room: RoomNumber, after seq: Int64) {
        state.withLockedValue { Self.want(room, after: seq, in: &$0.rosters) }
        sleeper.wake()
    }

    /// Runs until the task is cancelled.
    package func run() async {
        var rhythm = Rhythm(rhythm)
        var backoff = backoff
        var isFailing = false
        while !Task.isCancelled {
            guard !state.withLockedValue(\.isEmpty) else {
                await sleeper.sleep()
                continue
            }
            await rhythm.wait(on: loop)
            let failure = await read()
            rhythm.end(at: .now())
            guard let error = failure else {
                if isFailing { logger.notice("the log and the rosters can be read again") }
                isFailing = false
                backoff.reset()
                continue
            }
            // Once for all that fail in a row: what there is to know is that it began, and when it ended.
            if !isFailing {
                logger.warning(
                    "the log or rosters could not be read; trying again until they can",
                    metadata: ["error": "\(error)"])
            }
            isFailing = true
            var generator = SystemRandomNumberGenerator()
            do { try await Task.sleep(for: backoff.next(using: &generator)) } catch { return }
        }
    }

    /// Reads what is wanted now. Returns why some of it could not be read.
    private func read() async -> StoreError? {
        let (logs, rosters) = state.withLockedValue { state in
            (Self.take(&state.logs), Self.take(&state.rosters))
        }
        async let logsFailure = readLogs(logs)
        async let rostersFailure = readRosters(rosters)
        let failures = await (logsFailure, rostersFailure)
        return failures.0 ?? failures.1
    }

    private func readLogs(_ wanted: [RoomNumber: Seq]) async -> StoreError? {
        guard !wanted.isEmpty else { return nil }
        let rooms = wanted.keys.sorted()
        do {
            let found = try await store.readLog(rooms.map { LogCursor(room: $0, after: wanted[$0] ?? 0) })
            delegate.withLockedValue { $0 }?.readLog(rooms, found: found)
            return nil
        } catch {
            state.withLockedValue { for (room, seq) in wanted { Self.want(room, after: seq, in: &$0.logs) } }
            return error
        }
    }

    private func readRosters(_ wanted: [RoomNumber: Int64]) async -> StoreError? {
        guard !wanted.isEmpty else { return nil }
        let rooms = wanted.keys.sorted()
        do {
            let found = try await store.readRosters(rooms.map { RosterCursor(room: $0, seq: wanted[$0] ?? 0) })
            delegate.withLockedValue { $0 }?.readRosters(rooms, found: found)
            return nil
        } catch {
            state.withLockedValue { for (room, seq) in wanted { Self.want(room, after: seq, in: &$0.rosters) } }
            return error
        }
    }

    private static func want(_ room: RoomNumber, after seq: Int64, in wanted: inout [RoomNumber: Int64]) {
        wanted[room] = min(wanted[room] ?? seq, seq)
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
