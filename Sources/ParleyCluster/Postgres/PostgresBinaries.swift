public import Foundation

/// Where PostgreSQL's own programs are.
public struct PostgresBinaries: Sendable, Equatable {
    public let folder: String
    /// 15 for 15.4.
    public let major: Int

    public var initdb: String { "\(folder)/initdb" }
    public var postgres: String { "\(folder)/postgres" }
    public var psql: String { "\(folder)/psql" }

    public static let majorMin = 14
    static let installHint = "install it with: apt-get install postgresql"

    /// Those of the folder in `PARLEY_PGBIN`; else of `PATH`; else the newest below `/usr/lib/postgresql`, where Debian keeps
    /// them.
    ///
    /// - Parameter major: only these, since a data folder belongs to one major version.
    public static func find(
        major: Int? = nil, environment: [String: String] = ProcessInfo.processInfo.environment,
        distribution: String = "/usr/lib/postgresql"
    ) async throws -> PostgresBinaries {
        if let folder = environment["PARLEY_PGBIN"], !folder.isEmpty {
            guard isComplete(folder) else {
                throw LocalServiceError(
                    .unavailable, "PARLEY_PGBIN is \(folder), but initdb, postgres and psql are not all there")
            }
            return try await wanted(PostgresBinaries(folder: folder, major: version(of: folder)), major)
        }
        let path = (environment["PATH"] ?? "").split(separator: ":").map(String.init)
        let versions = ((try? FileManager.default.contentsOfDirectory(atPath: distribution)) ?? [])
            .compactMap { Int($0) }.sorted(by: >).map { "\(distribution)/\($0)/bin" }
        let folders = (path + versions).filter { $0.hasPrefix("/") && isComplete($0) }
        guard !folders.isEmpty else {
            throw LocalServiceError(
                .unavailable, "PostgreSQL's server is not installed (no initdb); \(installHint)")
        }
        var newest: PostgresBinaries?
        for folder in folders {
            let found = try await PostgresBinaries(folder: folder, major: version(of: folder))
            if let major {
                if found.major == major { return found }
            } else if found.major >= majorMin {
                return found
            }
            newest = newest ?? found
        }
        guard let newest else { throw LocalServiceError(.unavailable, installHint) }
        return try wanted(newest, major)
    }

    private static func wanted(_ found: PostgresBinaries, _ major: Int?) throws -> PostgresBinaries {
        if let major, found.major != major {
            throw LocalServiceError(
                .unavailable,
                "the data was made by PostgreSQL \(major), but only \(found.major) is installed (\(found.folder)): "
                    + "install postgresql-\(major), or begin with new data")
        }
        guard found.major >= majorMin else {
            throw LocalServiceError(
                .unavailable,
                "PostgreSQL \(found.major) in \(found.folder) is too old, \(majorMin) is the oldest that will do")
        }
        return found
    }

    private static func isComplete(_ folder: String) -> Bool {
        ["initdb", "postgres", "psql"].allSatisfy {
            FileManager.default.isExecutableFile(atPath: "\(folder)/\($0)")
        }
    }

    private static func version(of folder: String) async throws -> Int {
        let text = try await Command("\(folder)/postgres", ["--version"])
            .succeed(within: .seconds(10), to: "ask \(folder)/postgres for its version")
        guard let major = major(in: text) else {
            throw LocalServiceError(.unavailable, "\(folder)/postgres does not say its version: \(text)")
        }
        return major
    }

    /// From `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)` or `17beta1`.
    static func major(in text: String) -> Int? {
        text.split(separator: " ").lazy
            .compactMap { Int($0.prefix { $0.isASCII && $0.isNumber }) }.first
    }
}
