import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A TCP port of this machine.
public enum TCPPort {
    /// Below those that Linux gives to outgoing connections, of which one could take the port before a server does.
    private static let quiet: Range<UInt16> = 20_000..<32_000
    private static let attemptsMax = 20

    /// A port that nobody listens on at this moment, on the loopback interface.
    public static func free() throws(LocalServiceError) -> UInt16 {
        for _ in 0..<attemptsMax {
            let port = UInt16.random(in: quiet)
            if isFree(port) { return port }
        }
        guard let port = bound(to: 0) else {
            throw LocalServiceError(.failed, "no free TCP port: \(systemReason())")
        }
        return port
    }

    public static func isFree(_ port: UInt16) -> Bool { bound(to: port) != nil }

    /// The process that listens on `port`, as far as this user may see it.
    public static func listener(on port: UInt16) -> (pid: Int32, name: String)? {
        let sockets = Set(
            ["/proc/net/tcp", "/proc/net/tcp6"].flatMap { table in
                listeningSockets(on: port, table: (try? String(contentsOfFile: table, encoding: .utf8)) ?? "")
            })
        guard !sockets.isEmpty else { return nil }
        for pid in ProcessTable.pids {
            let folder = "/proc/\(pid)/fd"
            let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
            let links = files.lazy.compactMap { ProcessTable.link("\(folder)/\($0)") }
            if links.contains(where: { sockets.contains($0) }) {
                return (pid, ProcessTable.name(of: pid) ?? "?")
            }
        }
        return nil
    }

    /// The sockets that listen on `port`, named as links in /proc/PID/fd name them.
    static func listeningSockets(on port: UInt16, table: String) -> [String] {
        table.split(separator: "\n").dropFirst().compactMap { line in
            let fields = line.split(separator: " ")
            let listening = "0A"
            guard fields.count > 9, fields[3] == listening,
                let text = fields[1].split(separator: ":").last, UInt16(text, radix: 16) == port
            else { return nil }
            return "socket:[\(fields[9])]"
        }
    }

    /// SOCK_STREAM | SOCK_CLOEXEC, whose Swift types differ between C libraries.
    static let streamClosedOnExec: Int32 = 1 | 0o2_000_000

    /// Binds and lets go at once. nil when that is not possible.
    private static func bound(to port: UInt16) -> UInt16? {
        let number = socket(AF_INET, streamClosedOnExec, 0)
        guard number >= 0 else { return nil }
        defer { close(number) }
        // As servers do: a connection that was closed lately does not count.
        var yes: Int32 = 1
        setsockopt(number, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let isListening = withLoopback(port) { bind(number, $0, $1) } == 0 && listen(number, 1) == 0
        guard isListening else { return nil }
        guard port == 0 else { return port }
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        // The kernel writes no more than `length` bytes, which is what the variable has; see `withLoopback` for the
        // view.
        let isNamed = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(number, $0, &length) == 0 }
        }
        return isNamed ? UInt16(bigEndian: address.sin_port) : nil
    }

    /// Calls `body` with the socket address 127.0.0.1:`port`.
    static func withLoopback(_ port: UInt16, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Int32) -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        // C's way to hand over an address of any family: seen as the plain one that it begins with, for the time of the
        // call, together with its true length.
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { plain in
                body(plain, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
    }
}
