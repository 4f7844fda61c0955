#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A started child process of this one.
///
/// Started by `posix_spawn` and not by Foundation's `Process`, because servers must outlive this process: they get a session
/// of their own, no inherited file but the three standard ones, and the default action for every signal.
struct Child: Sendable {
    enum Lifetime: Sendable {
        /// Ends with the terminal's Ctrl-C, as this process does.
        case command
        /// Its own session: outlives this process and its terminal.
        case daemon
    }

    let pid: Int32

    /// - Parameters:
    ///   - input: becomes its standard input; nil for an empty one.
    ///   - output, errors: become its standard output and error. Descriptors stay the caller's to close.
    init(
        _ command: Command, lifetime: Lifetime, input: FileHandleNumber? = nil, output: FileHandleNumber,
        errors: FileHandleNumber
    ) throws(LocalServiceError) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let input {
            posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO)
        } else {
            posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        }
        posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO)
        for number in ProcessTable.openFiles where number > STDERR_FILENO {
            posix_spawn_file_actions_addclose(&actions, number)
        }

        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        var all = sigset_t()
        sigfillset(&all)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setsigdefault(&attributes, &all)
        var flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF
        switch lifetime {
        case .command: break
        case .daemon: flags |= Self.newSession
        }
        posix_spawnattr_setflags(&attributes, Int16(flags))

        var pid: Int32 = 0
        // posix_spawn itself can't change the folder; the shell does, and then becomes the program.
        let shell = "/bin/sh"
        let arguments = [shell, "-c", #"cd "$0" && exec "$@""#, command.folder, command.executable] + command.arguments
        let code = Self.withCStrings(arguments) { arguments in
            Self.withCStrings(command.environment.map { "\($0.key)=\($0.value)" }) { environment in
                posix_spawn(&pid, shell, &actions, &attributes, arguments, environment)
            }
        }
        guard code == 0 else {
            throw LocalServiceError(.failed, "\(command.executable) can't be started: \(systemReason(code))")
        }
        self.pid = pid
    }

    /// Collects the child if it has ended: its exit code, or 128 + the signal that ended it. nil while it runs. A second
    /// call after that answers 255: the kernel has forgotten it.
    func exitCode() -> Int32? {
        var status: Int32 = 0
        let answer = waitpid(pid, &status, WNOHANG)
        if answer == 0 || (answer < 0 && errno == EINTR) { return nil }
        if answer < 0 { return 255 }
        let signal = status & 0x7f
        return signal == 0 ? (status >> 8) & 0xff : 128 + signal
    }

    /// POSIX_SPAWN_SETSID: not in the part of C's headers that Swift imports.
    private static let newSession: Int32 = 0x80

    /// The array and the strings live until `body` returns; posix_spawn copies what the new process needs before that,
    /// and does not write to them.
    private static func withCStrings<Result>(
        _ strings: [String], _ body: ([UnsafeMutablePointer<CChar>?]) -> Result
    ) -> Result {
        let copies = strings.map { strdup($0) }
        defer { for copy in copies { free(copy) } }
        return body(copies + [nil])
    }
}

/// A file descriptor.
typealias FileHandleNumber = Int32
