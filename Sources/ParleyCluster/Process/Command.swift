public import Foundation

/// A program with everything that it is started with.
public struct Command: Sendable, Equatable {
    /// An absolute path: nothing is looked up.
    public var executable: String
    /// Without the program's own name.
    public var arguments: [String]
    public var environment: [String: String]
    /// Where it runs. The root by default, so that it neither needs rights here nor keeps a file system busy.
    public var folder: String

    public init(
        _ executable: String, _ arguments: [String] = [],
        environment: [String: String] = ProcessInfo.processInfo.environment, folder: String = "/"
    ) {
        self.executable = executable
        self.arguments = arguments
        self.environment = environment
        self.folder = folder
    }

    /// The program `name` in one of the folders of `PATH` or, since those are often missing from a plain user's, `/usr/sbin`
    /// and `/usr/local/sbin`.
    public static func find(
        _ name: String, path: String? = ProcessInfo.processInfo.environment["PATH"]
    ) -> String? {
        let folders = (path ?? "").split(separator: ":").map(String.init)
        return (folders + ["/usr/bin", "/usr/sbin", "/usr/local/sbin"])
            .filter { $0.hasPrefix("/") }.map { "\($0)/\(name)" }
            .first { FileManager.default.isExecutableFile(atPath: $0) }
    }
}
