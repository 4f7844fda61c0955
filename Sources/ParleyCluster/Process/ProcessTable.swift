import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// All processes, as /proc shows them to this user.
enum ProcessTable {
    static var pids: [Int32] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []).compactMap { Int32($0) }
    }

    /// The descriptors that are open in this process.
    static var openFiles: [FileHandleNumber] {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []).compactMap { Int32($0) }
    }

    /// How many files a process started from here can have open.
    static var openFilesMax: Int {
        let openFiles = 7  // RLIMIT_NOFILE, whose Swift types differ between C libraries.
        var limit = rlimit()
        #if canImport(Glibc)
            let answer = getrlimit(__rlimit_resource_t(UInt32(openFiles)), &limit)
        #else
            let answer = getrlimit(Int32(openFiles), &limit)
        #endif
        return answer == 0 ? Int(clamping: limit.rlim_max) : 1_024
    }

    static func link(_ path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    static func name(of pid: Int32) -> String? {
        (try? String(contentsOfFile: "/proc/\(pid)/comm", encoding: .utf8))?
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    static func arguments(of pid: Int32) -> [String] {
        ((try? String(contentsOfFile: "/proc/\(pid)/cmdline", encoding: .utf8)) ?? "")
            .split(separator: "\0").map(String.init)
    }

    /// The processes of that name whose working folder is `folder`, given without symbolic links. The name counts too, since
    /// somebody's shell may be in the same folder.
    static func workers(in folder: String, named wanted: String) -> [Int32] {
        pids.filter { pid in
            link("/proc/\(pid)/cwd") == folder && name(of: pid) == wanted && ProcessIdentity(pid: pid) != nil
        }
    }
}
