import Foundation

/// `postmaster.pid`: what a running PostgreSQL says of itself in its data folder, or what a killed one left behind.
struct PostmasterFile: Equatable {
    var pid: Int32
    var port: UInt16?
    var isReady: Bool
    var isStopping: Bool

    static func path(in dataFolder: String) -> String { "\(dataFolder)/postmaster.pid" }

    init?(dataFolder: String) {
        guard let text = try? String(contentsOfFile: Self.path(in: dataFolder), encoding: .utf8) else { return nil }
        self.init(text: text)
    }

    /// The lines are: process, folder, start, port, socket folder, address, shared memory, state. While the server starts,
    /// the later ones are missing.
    init?(text: String) {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            .map { $0.trimmingCharacters(in: .whitespaces) }
        guard let first = lines.first, let pid = Int32(first), pid > 0 else { return nil }
        self.pid = pid
        self.port = lines.count > 3 ? UInt16(lines[3]) : nil
        self.isReady = lines.count > 7 && lines[7] == "ready"
        self.isStopping = lines.count > 7 && lines[7] == "stopping"
    }
}
