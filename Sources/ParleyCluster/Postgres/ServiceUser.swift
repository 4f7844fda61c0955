import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Who a server runs as when this process is root: PostgreSQL refuses to be root.
struct ServiceUser: Sendable, Equatable {
    let name: String
    let uid: UInt32
    let gid: UInt32

    static let defaultName = "postgres"

    static var currentID: UInt32 { geteuid() }

    /// The user whose data is in `folder` already, else `postgres`; nil when this process is not root: then it is the one.
    static func forServer(dataFolder: String) throws(LocalServiceError) -> ServiceUser? {
        guard currentID == 0 else { return nil }
        let table = (try? String(contentsOfFile: "/etc/passwd", encoding: .utf8)) ?? ""
        if let owner = Folder.owner(of: dataFolder), owner != 0 {
            guard let user = ServiceUser(table: table, where: { $0.uid == owner }) else {
                throw LocalServiceError(
                    .failed,
                    "\(dataFolder) belongs to user \(owner), who is not in /etc/passwd: give it to a user who is")
            }
            return user
        }
        guard let user = ServiceUser(table: table, where: { $0.name == defaultName }) else {
            throw LocalServiceError(
                .unavailable,
                "PostgreSQL refuses to run as root and there is no user \(defaultName): run this as another user, "
                    + "or apt-get install postgresql, which makes that user")
        }
        return user
    }

    private init(name: String, uid: UInt32, gid: UInt32) {
        self.name = name
        self.uid = uid
        self.gid = gid
    }

    init?(table: String, where matches: (ServiceUser) -> Bool) {
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: ":", omittingEmptySubsequences: false)
            guard fields.count >= 4, let uid = UInt32(fields[2]), let gid = UInt32(fields[3]) else { continue }
            let user = ServiceUser(name: String(fields[0]), uid: uid, gid: gid)
            if matches(user) {
                self = user
                return
            }
        }
        return nil
    }

    /// The same command as this user. `setpriv` replaces itself by it, so that it keeps the process number.
    func running(_ command: Command) throws(LocalServiceError) -> Command {
        guard let setpriv = Command.find("setpriv") else {
            throw LocalServiceError(.unavailable, "setpriv is missing: apt-get install util-linux")
        }
        var wrapped = command
        wrapped.executable = setpriv
        wrapped.arguments =
            ["--reuid=\(uid)", "--regid=\(gid)", "--clear-groups", "--", command.executable] + command.arguments
        wrapped.environment["HOME"] = nil
        wrapped.environment["USER"] = name
        return wrapped
    }

    /// - Throws: `usage` naming the folder on the way to `folder` that this user may not enter.
    func checkCanReach(_ folder: String) async throws {
        guard let test = Command.find("test") else { return }
        var path = ""
        for part in folder.split(separator: "/") {
            path += "/\(part)"
            let answer = try await running(Command(test, ["-x", path])).run(within: .seconds(10))
            guard answer.exitCode == 0 else {
                throw LocalServiceError(
                    .usage,
                    """
                    \(folder) is out of reach for the user \(name), as whom PostgreSQL runs because it refuses to be root: \
                    that user may not enter \(path). Choose another folder, for example --folder /var/lib/parley, or \
                    chmod a+x \(path)
                    """)
            }
        }
    }
}
