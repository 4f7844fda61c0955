internal import CLibpq

/// Asks the server, over a connection of its own, to cancel what one backend executes.
///
/// Unchecked, because the compiler cannot see into the pointer: a PGcancel is a copy of address and key that libpq
/// never changes, made to be used in any thread; it is freed once, with the last reference.
final class CancelRequest: @unchecked Sendable {
    private let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { PQfreeCancel(pointer) }

    /// Waits for the server: connects, sends, and returns when the server has closed that connection, by which time
    /// the backend has its signal. nil, or why it could not be sent.
    func send() -> String? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
            guard let start = buffer.baseAddress else { return "out of memory" }
            start.pointee = 0
            guard PQcancel(pointer, start, Int32(buffer.count)) == 0 else { return nil }
            return String(cString: start).inOneLine
        }
    }
}
