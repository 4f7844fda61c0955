import NIOCore
import ParleyCore

/// When the rooms of one event loop are to speak. Due times are rounded up to beats that all rooms share, so that the loop
/// wakes up once for many rooms instead of once for each.
struct TickSchedule {
    private let beat: TimeAmount
    private var rooms: [NIODeadline: [RoomNumber]] = [:]

    /// - Parameter tick: of the rooms. A room that speaks in every tick does so every so many beats, none later than due.
    init(tick: TimeAmount) {
        beat = .nanoseconds(max(tick.nanoseconds / 4, 1))
    }

    /// The beat at which the room will be among those of `take`. `isNew`: nobody waits for that beat yet.
    mutating func add(_ room: RoomNumber, due: NIODeadline) -> (beat: NIODeadline, isNew: Bool) {
        let width = UInt64(beat.nanoseconds)
        let beat = NIODeadline.uptimeNanoseconds((due.uptimeNanoseconds + width - 1) / width * width)
        rooms[beat, default: []].append(room)
        return (beat, rooms[beat]?.count == 1)
    }

    mutating func take(_ beat: NIODeadline) -> [RoomNumber] {
        rooms.removeValue(forKey: beat) ?? []
    }
}
