import Foundation

/// Where a cluster keeps what it needs: one folder, named `.parley`, that git ignores.
struct ClusterFolder: Sendable {
    static let name = ".parley"

    /// Absolute, without symbolic links.
    let path: String

    init(_ path: String) { self.path = Folder.resolved(path) }

    var lockFile: String { "\(path)/lock" }
    var settingsFile: String { "\(path)/cluster.json" }
    var proxyFile: String { "\(path)/haproxy.cfg" }
    var postgres: String { "\(path)/postgres" }
    var logs: String { "\(path)/logs" }
    var pids: String { "\(path)/pids" }
    private var ignoreFile: String { "\(path)/.gitignore" }

    func make() throws {
        for folder in [path, logs, pids] { try Folder.make(folder) }
        try Data("*\n".utf8).write(to: URL(fileURLWithPath: ignoreFile))
    }

    func readSettings() throws(LocalServiceError) -> ClusterSettings? {
        guard let data = FileManager.default.contents(atPath: settingsFile) else { return nil }
        do {
            return try JSONDecoder().decode(ClusterSettings.self, from: data)
        } catch {
            throw LocalServiceError(
                .failed, "\(settingsFile) can't be read: remove it if another version of parley wrote it")
        }
    }

    func write(_ settings: ClusterSettings) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // For its owner only: a connection string may hold a password.
        try Data().write(to: URL(fileURLWithPath: settingsFile + ".new"))
        try FileManager.default.setAttributes(
            [.posixPermissions: 0o600], ofItemAtPath: settingsFile + ".new")
        try encoder.encode(settings).write(to: URL(fileURLWithPath: settingsFile + ".new"))
        try Folder.rename(settingsFile + ".new", to: settingsFile)
    }

    func forgetSettings() throws { try Folder.remove(settingsFile) }

    /// Removes everything that a cluster keeps, and the folder itself unless something else is in it.
    func remove() throws {
        for own in [postgres, logs, pids, proxyFile, settingsFile, ignoreFile, lockFile] { try Folder.remove(own) }
        if let rest = try? FileManager.default.contentsOfDirectory(atPath: path), rest.isEmpty {
            try Folder.remove(path)
        }
    }
}
