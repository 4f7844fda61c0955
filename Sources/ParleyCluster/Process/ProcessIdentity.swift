import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One process of this machine, told apart from later ones that were given the same number.
///
/// A number in a file may be years old: it is signalled only if the process that has it now also began at the same tick of
/// the same boot.
public struct ProcessIdentity: Hashable, Sendable {
    public let pid: Int32
    /// Clock ticks from boot to its start.
    let startTicks: UInt64
    let boot: String

    /// nil when there is no such process, or only the remains of one that its parent has not collected.
    public init?(pid: Int32) {
        guard pid > 0, let boot = Self.currentBoot, let stat = ProcessStat(pid: pid), !stat.hasEnded else {
            return nil
        }
        self.init(pid: pid, startTicks: stat.startTicks, boot: boot)
    }

    init(pid: Int32, startTicks: UInt64, boot: String) {
        self.pid = pid
        self.startTicks = startTicks
        self.boot = boot
    }

    public var isRunning: Bool { ProcessIdentity(pid: pid) == self }

    /// Since it began; nil once it has ended.
    public var uptime: Duration? {
        guard isRunning, let text = try? String(contentsOfFile: "/proc/uptime", encoding: .utf8),
            let now = text.split(separator: " ").first.flatMap({ Double($0) })
        else { return nil }
        return .seconds(max(0, now - Double(startTicks) / Double(sysconf(Int32(_SC_CLK_TCK)))))
    }

    /// Sends a signal, unless it has ended.
    ///
    /// - Throws: `failed` when it belongs to somebody else.
    public func signal(_ number: Int32) throws(LocalServiceError) {
        guard isRunning else { return }
        if kill(pid, number) != 0, errno != ESRCH {
            throw LocalServiceError(
                .failed, "process \(pid) can't be signalled (\(systemReason())): run this as the user who started it")
        }
    }

    /// Whether it has ended before `bound` was over.
    public func hasEnded(within bound: Duration) async throws -> Bool {
        let end = ContinuousClock.now + bound
        while isRunning {
            if ContinuousClock.now >= end { return false }
            try await Task.sleep(for: .milliseconds(10))
        }
        // If it was this process's own child it is a zombie now; collect it.
        var status: Int32 = 0
        waitpid(pid, &status, WNOHANG)
        return true
    }

    /// Random, new with every boot.
    private static let currentBoot: String? =
        (try? String(contentsOfFile: "/proc/sys/kernel/random/boot_id", encoding: .utf8))?
        .trimmingCharacters(in: .whitespacesAndNewlines)
}

/// What the kernel says of a process in one line.
struct ProcessStat: Equatable {
    var state: Character
    var startTicks: UInt64

    /// Zombies and dead ones still have a number, but run no more.
    var hasEnded: Bool { state == "Z" || state == "X" }

    init?(pid: Int32) {
        guard let line = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return nil }
        self.init(line: line)
    }

    /// The name, second of the fields, is in brackets and may hold blanks and brackets itself.
    init?(line: String) {
        guard let bracket = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: bracket)...].split(separator: " ")
        guard fields.count > 19, let state = fields[0].first, let ticks = UInt64(fields[19]) else { return nil }
        self.state = state
        self.startTicks = ticks
    }
}
