#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// An open file that other programs do not inherit unless they are handed it.
final class ProcessFile: Sendable {
    let number: FileHandleNumber

    /// Opens for appending, made if missing: the log of a server.
    init(appendingTo path: String) throws(LocalServiceError) {
        number = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard number >= 0 else {
            throw LocalServiceError(.failed, "\(path) can't be written: \(systemReason())")
        }
    }

    /// A file without a name, gone when it is closed: what a command prints goes there, so that a program that lives on
    /// with the same output never keeps its reader waiting, as it would on a pipe.
    init(temporaryIn folder: String = "/tmp") throws(LocalServiceError) {
        number = open(folder, Self.temporary | O_RDWR | O_CLOEXEC, 0o600)
        guard number >= 0 else {
            throw LocalServiceError(.failed, "no temporary file in \(folder): \(systemReason())")
        }
    }

    private init(number: FileHandleNumber) { self.number = number }

    /// Two ends of one stream. A pair of sockets and not a pipe, because it can be made in one step so that no program that
    /// another thread starts meanwhile inherits an end.
    static func pair() throws(LocalServiceError) -> (ProcessFile, ProcessFile) {
        var ends: [Int32] = [0, 0]
        guard socketpair(AF_UNIX, TCPPort.streamClosedOnExec, 0, &ends) == 0 else {
            throw LocalServiceError(.failed, "no pair of sockets: \(systemReason())")
        }
        return (ProcessFile(number: ends[0]), ProcessFile(number: ends[1]))
    }

    /// Whether the path still leads to this very file.
    func isStill(at path: String) -> Bool {
        var mine = stat()
        var there = stat()
        return fstat(number, &mine) == 0 && stat(path, &there) == 0
            && mine.st_dev == there.st_dev && mine.st_ino == there.st_ino
    }

    deinit { close(number) }

    /// What was written from the start on, at most `limit` bytes.
    func contents(limit: Int = 1 << 20) -> String {
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            // pread writes at most buffer.count bytes into the buffer and says how many; only those count as initialized.
            while count < buffer.count {
                let read = pread(number, buffer.baseAddress.map { $0 + count }, buffer.count - count, off_t(count))
                if read <= 0 { break }
                count += read
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// O_TMPFILE, which Swift does not import because C makes it of two others.
    private static let temporary: Int32 = 0o20_000_000 | O_DIRECTORY
}
