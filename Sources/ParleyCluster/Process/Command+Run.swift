#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension Command {
    public struct Finished: Sendable {
        /// 128 + the signal's number when one ended it.
        public var exitCode: Int32
        public var output: String
        public var errors: String
    }

    /// Runs the command to its end without blocking a thread. What it prints beyond 1 MiB each is dropped.
    ///
    /// - Throws: `failed` when it can't be started or takes longer than `bound` (it is killed then, as also on cancellation).
    public func run(within bound: Duration) async throws -> Finished {
        let output = try ProcessFile(temporaryIn: "/tmp")
        let errors = try ProcessFile(temporaryIn: "/tmp")
        let child = try Child(self, lifetime: .command, output: output.number, errors: errors.number)
        let end = ContinuousClock.now + bound
        do {
            while true {
                if let code = child.exitCode() {
                    return Finished(exitCode: code, output: output.contents(), errors: errors.contents())
                }
                if ContinuousClock.now >= end {
                    throw LocalServiceError(.failed, "\(executable) was not done after \(bound)")
                }
                try await Task.sleep(for: .milliseconds(3))
            }
        } catch {
            kill(child.pid, SIGKILL)
            while child.exitCode() == nil { await Task.yield() }
            throw error
        }
    }

    /// The same for a command that has to succeed.
    ///
    /// - Throws: `failed` with its last words when its exit code is not 0.
    @discardableResult
    public func succeed(within bound: Duration, to purpose: String) async throws -> String {
        let finished = try await run(within: bound)
        guard finished.exitCode == 0 else {
            let words = finished.errors.isEmpty ? finished.output : finished.errors
            throw LocalServiceError(
                .failed, "can't \(purpose): \(words.lastLines(8)) (exit code \(finished.exitCode))")
        }
        return finished.output
    }
}

extension String {
    /// The end of what a program said, for an error message.
    func lastLines(_ count: Int) -> String {
        split(separator: "\n").suffix(count).joined(separator: "\n")
    }
}

extension Command {
    /// Becomes this program: the process, its terminal and its exit code are then the program's. The folder stays.
    ///
    /// - Throws: `failed` when that is not possible; otherwise it does not return.
    public func replaceThisProcess() throws -> Never {
        let pointers = ([executable] + arguments).map { strdup($0) } + [nil]
        // execv copies the strings, which end with this program; on a failure this process is about to end anyway.
        execv(executable, pointers)
        throw LocalServiceError(.failed, "\(executable) can't be started: \(systemReason())")
    }
}
