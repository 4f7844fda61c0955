import Foundation

/// The file that tells later commands which process a server is.
struct PidFile: Sendable {
    let path: String

    /// The process it names, if that still runs and is not a later one with the same number.
    var process: ProcessIdentity? {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8), let named = ProcessIdentity(text: text),
            named.isRunning
        else { return nil }
        return named
    }

    func write(_ process: ProcessIdentity) throws(LocalServiceError) {
        do {
            try Data(process.text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw LocalServiceError(.failed, "\(path) can't be written: \(error.localizedDescription)")
        }
    }

    func remove() { try? FileManager.default.removeItem(atPath: path) }
}

extension ProcessIdentity {
    /// Number, start and boot, each on a line, so that the first line is what people expect in such a file.
    var text: String { "\(pid)\n\(startTicks)\n\(boot)\n" }

    init?(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        guard lines.count == 4, let pid = Int32(lines[0]), pid > 0, let ticks = UInt64(lines[1]), !lines[2].isEmpty,
            lines[3].isEmpty
        else { return nil }
        self.init(pid: pid, startTicks: ticks, boot: String(lines[2]))
    }
}
