internal import CLibpq
internal import Glibc

/// A detached thread of the operating system, for what would block a thread of Swift's pool.
enum ConnectionThread {
    /// TLS handshakes need the most. Pages that are not touched cost nothing.
    private static let stackBytes = 512 * 1024

    /// False when the system has no thread left. `name` is cut to 15 bytes, as Linux allows.
    static func start(name: String, _ body: @escaping @Sendable () -> Void) -> Bool {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, stackBytes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        // The new thread takes over the one reference that is made here, or it is released below.
        let boxed = Unmanaged.passRetained(Entry(name: name, body: body))
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let entry = Unmanaged<Entry>.fromOpaque(argument).takeRetainedValue()
                parley_set_thread_name(entry.name)
                ConnectionThread.leaveSignalsToOthers()
                entry.body()
                return nil
            }, boxed.toOpaque())
        if status != 0 { boxed.release() }
        return status == 0
    }

    /// A signal to the process is then handled elsewhere, and a write to a closed socket is only an error. Those that
    /// report a fault of this very thread stay open.
    private static func leaveSignalsToOthers() {
        var signals = sigset_t()
        sigfillset(&signals)
        for fault in [SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT, SIGQUIT] { sigdelset(&signals, fault) }
        pthread_sigmask(SIG_BLOCK, &signals, nil)
    }

    private final class Entry: Sendable {
        let name: String
        let body: @Sendable () -> Void

        init(name: String, body: @escaping @Sendable () -> Void) {
            self.name = name
            self.body = body
        }
    }
}
