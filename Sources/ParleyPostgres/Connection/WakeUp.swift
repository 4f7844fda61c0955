internal import CLibpq
internal import Glibc

/// An eventfd: any thread can end the `poll` of one thread.
final class WakeUp: Sendable {
    /// For `poll` with POLLIN. Valid as long as `self`.
    let descriptor: Int32

    init() {
        descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
        precondition(descriptor >= 0, "eventfd failed: too many open files")
    }

    deinit { Glibc.close(descriptor) }

    func signal() { eventfd_write(descriptor, 1) }

    func clear() {
        var count: eventfd_t = 0
        eventfd_read(descriptor, &count)
    }
}
