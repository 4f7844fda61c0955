#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A lock that one process of this machine holds, on a file; the kernel frees it when that process ends, however it does.
public final class FileLock: Sendable {
    private let file: ProcessFile

    /// - Parameter waiting: called once if somebody else holds the lock.
    /// - Throws: `failed` when the file can't be made, or somebody held the lock for all of `bound`.
    public init(_ path: String, within bound: Duration, waiting: () -> Void = {}) async throws {
        let end = ContinuousClock.now + bound
        var hasSaid = false
        while true {
            let file = try ProcessFile(appendingTo: path)
            // A file that was removed meanwhile locks nobody out who comes later.
            if flock(file.number, LOCK_EX | LOCK_NB) == 0, file.isStill(at: path) {
                self.file = file
                return
            }
            if !hasSaid {
                waiting()
                hasSaid = true
            }
            if ContinuousClock.now >= end {
                throw LocalServiceError(
                    .failed, "another command has been at work here for more than \(bound) (it holds \(path))")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }
}
