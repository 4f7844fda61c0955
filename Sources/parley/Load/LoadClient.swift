import Histogram
import NIOConcurrencyHelpers
import NIOCore
import ParleyClient

/// One member under load: sends messages that carry their time, and reads the times out of what arrives.
final class LoadClient: Sendable {
    private struct State {
        /// Of the request under way.
        var answered: CheckedContinuation<Bool, Never>?
        var isMeasuring = false
        var latencies = Histogram<UInt32>(highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: .three)
        var errors = 0
        var isClosed = false
        var nextID: Int64 = 1
    }

    private let state: NIOLockedValueBox<State>
    private let connection: ClientConnection
    let room: String
    let member: Int
    private let padding: String
    private let withIDs: Bool

    private init(
        connection: ClientConnection, state: NIOLockedValueBox<State>, room: String, member: Int, size: Int,
        withIDs: Bool
    ) {
        self.withIDs = withIDs
        self.connection = connection
        self.member = member
        self.state = state
        self.room = room
        padding = String(repeating: "x", count: max(0, size - 24))
    }

    /// Connects.
    ///
    /// - Parameters:
    ///   - member: Its number in the room: goes into each message.
    ///   - onlyOthers: Its own messages do not count.
    static func open(
        _ room: String, as member: Int, at node: NodeAddress, size: Int, onlyOthers: Bool, withIDs: Bool
    ) async throws -> LoadClient {
        let state = NIOLockedValueBox(State())
        let connection = try await ClientConnection.open(node) { text in
            take(text, state, ignoring: onlyOthers ? member : nil)
        } onClose: { _ in
            let waiting = state.withLockedValue { state in
                state.isClosed = true
                return state.answered.take()
            }
            waiting?.resume(returning: false)
        }
        return LoadClient(
            connection: connection, state: state, room: room, member: member, size: size, withIDs: withIDs)
    }

    /// Makes the room if it is not there. False when it was refused or the connection was lost.
    func create(rule: String?) async -> Bool {
        let rule = rule.map { #","rule":"\#($0)""# } ?? ""
        return await ask(#"{"method":"create","roomId":"\#(room)","ifMissing":true\#(rule)}"#)
    }

    func join() async -> Bool {
        await ask(#"{"method":"join","roomId":"\#(room)","recent":0,"presence":false}"#)
    }

    private func ask(_ frame: String) async -> Bool {
        await withCheckedContinuation { continuation in
            let isClosed = state.withLockedValue { state in
                if !state.isClosed { state.answered = continuation }
                return state.isClosed
            }
            guard !isClosed else { return continuation.resume(returning: false) }
            connection.send(frame)
        }
    }

    func stall() async throws { try await connection.stopReading() }

    func send() {
        let now = NIODeadline.now().uptimeNanoseconds / 1_000
        connection.send(
            #"{"method":"message",\#(nextID())"roomId":"\#(room)","message":"~\#(now) \#(member) \#(padding)"}"#)
    }

    private func nextID() -> String {
        guard withIDs else { return "" }
        let id = state.withLockedValue { state in
            defer { state.nextID += 1 }
            return state.nextID
        }
        return #""id":\#(id),"#
    }

    func startMeasuring() { state.withLockedValue { $0.isMeasuring = true } }
    func stopMeasuring() { state.withLockedValue { $0.isMeasuring = false } }

    var figures: (latencies: Histogram<UInt32>, errors: Int, isClosed: Bool) {
        state.withLockedValue { ($0.latencies, $0.errors, $0.isClosed) }
    }

    func close() async { await connection.close() }
    func drop() async { await connection.drop() }

    private static func take(_ text: ByteBuffer, _ state: NIOLockedValueBox<State>, ignoring own: Int?) {
        let now = NIODeadline.now().uptimeNanoseconds / 1_000
        let view = text.readableBytesView
        if view.starts(with: #"{"method":"update""#.utf8) {
            state.withLockedValue { state in
                guard state.isMeasuring else { return }
                view.withUnsafeBytes { bytes in
                    forEachStamp(in: bytes) { sent, member in
                        guard own.map(UInt64.init) != member else { return }
                        _ = state.latencies.record(now > sent ? now - sent : 0)
                    }
                }
            }
        } else if view.starts(with: #"{"method":"join""#.utf8) || view.starts(with: #"{"method":"create""#.utf8) {
            state.withLockedValue { $0.answered.take() }?.resume(returning: true)
        } else if view.starts(with: #"{"method":"error""#.utf8) {
            let waiting = state.withLockedValue { state in
                state.errors += 1
                return state.answered.take()
            }
            waiting?.resume(returning: false)
        }
    }

    /// Times of messages, microseconds, and their senders, wherever a string begins with `~`.
    private static func forEachStamp(in bytes: UnsafeRawBufferPointer, _ body: (UInt64, UInt64) -> Void) {
        var rest = bytes[...]
        // The mark is rare in what surrounds it; so it is looked for, and the quote before it is checked.
        while let mark = rest.firstIndex(of: UInt8(ascii: "~")) {
            rest = rest[(mark + 1)...]
            guard mark > 0, bytes[mark - 1] == UInt8(ascii: "\"") else { continue }
            let sent = takeNumber(&rest)
            rest = rest.dropFirst()
            body(sent, takeNumber(&rest))
        }
    }

    private static func takeNumber(_ bytes: inout Slice<UnsafeRawBufferPointer>) -> UInt64 {
        var value: UInt64 = 0
        while let digit = bytes.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(digit) {
            value = value * 10 + UInt64(digit - UInt8(ascii: "0"))
            bytes = bytes.dropFirst()
        }
        return value
    }
}
