internal import Logging
internal import NIOConcurrencyHelpers
internal import ParleyCore

/// Sees to it that what the log says of the ids of members is noted now and then, so that who comes back reads a short
/// part of it, however long it is.
///
/// Every node has one, for the rooms that it writes. Of several nodes that write the same room, the first one does it.
final class MarksKeeper: Sendable {
    /// A room's turn comes every so many changes.
    static let step: Seq = 1_024
    /// Less has come since another node did it.
    private static let changesMin: Int32 = 512
    /// Of a room, in one statement; the last chunk may go beyond the bytes.
    private static let chunksMax: Int32 = 2_048
    private static let bytesMax: Int32 = 1 << 20
    /// Rooms that wait for their turn. One more is left out until the next time.
    private static let waitingMax = 16_384
    /// Of those, how many have their turn together.
    private static let roomsMax = 16
    private static let pause = Duration.milliseconds(250)
    /// Rest after a room, in times of what it took.
    private static let restShare = 4

    private let connection: PostgresConnection
    private let logger: Logger
    private let waiting = NIOLockedValueBox<Set<RoomNumber>>([])

    /// - Parameter connection: Used only when there is work, which nobody waits for.
    init(connection: PostgresConnection, logger: Logger) {
        self.connection = connection
        self.logger = logger
    }

    /// The room has got changes: `count` of them behind `base`.
    func applied(_ count: Int, to room: RoomNumber, after base: Seq) {
        let phase = Self.phase(of: room)
        if (base + phase) / Self.step != (base + Seq(count) + phase) / Self.step { keepSoon(room) }
    }

    /// Rooms that are equally busy have their turns at different times.
    static func phase(of room: RoomNumber) -> Seq {
        // The golden ratio spreads numbers that follow each other as evenly as any.
        Seq((UInt64(bitPattern: room.value) &* 0x9E37_79B9_7F4A_7C15) >> 54)
    }

    /// Somebody had to read so many changes.
    func lags(by count: Seq, in room: RoomNumber) {
        if count > 2 * Self.step { keepSoon(room) }
    }

    private func keepSoon(_ room: RoomNumber) {
        waiting.withLockedValue { waiting in
            if waiting.count < Self.waitingMax { waiting.insert(room) }
        }
    }

    /// Until the task is cancelled.
    func run() async {
        while !Task.isCancelled {
            do { try await Task.sleep(for: Self.pause * .random(in: 0.75...1.25)) } catch { return }
            let rooms = waiting.withLockedValue { waiting in
                let rooms = waiting.prefix(Self.roomsMax)
                waiting.subtract(rooms)
                return Array(rooms)
            }
            guard !rooms.isEmpty else { continue }
            connection.start()
            for room in rooms {
                let start = ContinuousClock.now
                do throws(PostgresError) {
                    while try await keep(room), !Task.isCancelled {}
                } catch {
                    // It is only time that is saved later.
                    logger.debug("could not note the marks of members", metadata: ["error": "\(error)"])
                    keepSoon(room)
                }
                // So that clients have the database for most of the time, whatever this takes.
                do { try await Task.sleep(for: (.now - start) * Self.restShare) } catch { return }
            }
        }
    }

    /// One statement. True when there is more to be noted of this room.
    func keep(_ room: RoomNumber, changesMin: Int32 = changesMin) async throws(PostgresError) -> Bool {
        let rows = try await connection.execute(
            Self.statement,
            [
                .int8(room.value), .int4(changesMin), .int4(Self.chunksMax), .int4(Self.bytesMax),
                .int4(Int32(Limits.refusedMax)),
            ])
        return rows.first?.bool(0) ?? false
    }

    private static let statement = Statement(
        name: "keep-marks", sql: "SELECT parley.keep_marks($1::int8, $2::int4, $3::int4, $4::int4, $5::int4)")
}
