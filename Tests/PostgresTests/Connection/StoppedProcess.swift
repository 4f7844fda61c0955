import Glibc

/// A server process of this machine that stands still until `resume`.
struct StoppedProcess {
    private let pid: Int32

    /// Only with the rights over it, and when it runs here at all.
    static func canStop(_ pid: Int32) -> Bool { kill(pid, 0) == 0 }

    init(_ pid: Int32) {
        self.pid = pid
        kill(pid, SIGSTOP)
    }

    func resume() { kill(pid, SIGCONT) }
}
