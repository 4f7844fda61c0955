import NIOCore
import TestRandom

/// Virtual time, and what is to happen when. All chance comes from here, so that a seed is a run.
final class Schedule {
    /// Microseconds.
    typealias Time = Int64

    /// Small, for the heap moves them a great deal; what is to be done lies in `actions`.
    private struct Event {
        let time: Time
        let serial: Int
        let action: Int
    }

    private struct Action {
        let process: SimulatedProcess?
        let body: () -> Void
    }

    private(set) var now: Time = 0
    var random: SeededGenerator
    private(set) var trace: [String] = []
    private(set) var count = 0
    /// A fingerprint of the run: the same seed must give the same one.
    private(set) var fingerprint: UInt64 = 0
    private let isTracing: Bool
    private let base = ContinuousClock.now
    private var heap: [Event] = []
    private var actions: [Action?] = []
    private var free: [Int] = []
    private var lastSerial = 0

    init(seed: UInt64, isTracing: Bool) {
        random = SeededGenerator(seed: seed)
        self.isTracing = isTracing
    }

    var instant: ContinuousClock.Instant { base + .microseconds(now) }
    /// Not zero at the start: nothing of a deadline lies before it.
    var deadline: NIODeadline { .uptimeNanoseconds(UInt64(now) * 1_000 + 1_000_000_000) }

    /// What a process is to do waits while it is paused, and never happens when it is gone.
    func after(_ delay: Time, on process: SimulatedProcess? = nil, _ action: @escaping () -> Void) {
        lastSerial += 1
        let action = Action(process: process, body: action)
        if let index = free.popLast() {
            actions[index] = action
            push(Event(time: now + delay, serial: lastSerial, action: index))
        } else {
            actions.append(action)
            push(Event(time: now + delay, serial: lastSerial, action: actions.count - 1))
        }
    }

    func after(_ range: ClosedRange<Time>, on process: SimulatedProcess? = nil, _ action: @escaping () -> Void) {
        after(random.pick(range), on: process, action)
    }

    /// False when there is nothing left to happen until `end`.
    func step(until end: Time) -> Bool {
        guard let next = heap.first, next.time <= end else {
            now = max(now, end)
            return false
        }
        pop()
        guard let action = actions[next.action] else { return true }
        if let process = action.process, process.isAlive, process.pausedUntil > next.time {
            push(Event(time: process.pausedUntil, serial: next.serial, action: next.action))
            return true
        }
        actions[next.action] = nil
        free.append(next.action)
        guard action.process?.isAlive ?? true else { return true }
        now = next.time
        count += 1
        action.body()
        fingerprint = fingerprint &* 31 &+ UInt64(bitPattern: now)
        return true
    }

    func note(_ text: @autoclosure () -> String) {
        if isTracing { trace.append("\(Double(now) / 1_000) ms  \(text())") }
    }

    private func isBefore(_ a: Event, _ b: Event) -> Bool { a.time < b.time || a.time == b.time && a.serial < b.serial }

    private func push(_ event: Event) {
        heap.append(event)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard isBefore(event, heap[parent]) else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = event
    }

    private func pop() {
        let last = heap.removeLast()
        guard !heap.isEmpty else { return }
        let count = heap.count
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < count else { break }
            if child + 1 < count, isBefore(heap[child + 1], heap[child]) { child += 1 }
            guard isBefore(heap[child], last) else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
    }
}

/// A server process: what is scheduled on it dies with it.
final class SimulatedProcess {
    var isAlive = true
    private(set) var pausedUntil: Schedule.Time = 0

    /// Never for shorter than before: what waits already would come behind what is scheduled later.
    func pause(until time: Schedule.Time) { pausedUntil = max(pausedUntil, time) }
}

/// Hands things on in the order in which they were sent, each a little later.
final class Channel {
    private let schedule: Schedule
    private let process: SimulatedProcess?
    private let delay: ClosedRange<Schedule.Time>
    private var last: Schedule.Time = 0

    init(_ schedule: Schedule, to process: SimulatedProcess?, delay: ClosedRange<Schedule.Time>) {
        self.schedule = schedule
        self.process = process
        self.delay = delay
    }

    func send(_ action: @escaping () -> Void) {
        last = max(last, schedule.now + schedule.random.pick(delay))
        schedule.after(last - schedule.now, on: process, action)
    }

    /// Nothing arrives before that time.
    func hold(until time: Schedule.Time) { last = max(last, time) }
}
