internal import Glibc

/// The one place where a connection's thread sleeps.
enum SocketPoll {
    /// Until the socket is ready, somebody has put something into the inbox, or it is time; nil is for ever. The events
    /// that the socket has. -1 stands for no socket.
    static func poll(
        _ inbox: Inbox, socket: Int32, events: Int16, until: ContinuousClock.Instant?
    ) -> Int16 {
        guard inbox.fallAsleep() else { return 0 }
        var descriptors = (
            pollfd(fd: inbox.wakeUp.descriptor, events: Int16(POLLIN), revents: 0),
            pollfd(fd: socket, events: events, revents: 0)
        )
        withUnsafeMutablePointer(to: &descriptors) { pair in
            // A tuple of two of the same type has the layout of an array of two.
            _ = pair.withMemoryRebound(to: pollfd.self, capacity: 2) { Glibc.poll($0, 2, milliseconds(until)) }
        }
        inbox.awake(signalled: descriptors.0.revents != 0)
        return descriptors.1.revents
    }

    /// Rounded up, so that it is really time then.
    private static func milliseconds(_ until: ContinuousClock.Instant?) -> Int32 {
        guard let until else { return -1 }
        let left = ContinuousClock.now.duration(to: until)
        return Int32(clamping: max(0, (left + .microseconds(999)).wholeMilliseconds))
    }
}
