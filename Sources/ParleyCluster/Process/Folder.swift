import Foundation

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Folders of the file system.
enum Folder {
    static func exists(_ path: String) -> Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }

    static func owner(of path: String) -> UInt32? {
        var facts = stat()
        return stat(path, &facts) == 0 ? facts.st_uid : nil
    }

    /// Makes the folder and those above it.
    static func make(_ path: String) throws(LocalServiceError) {
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw LocalServiceError(.failed, "the folder \(path) can't be made: \(error.localizedDescription)")
        }
    }

    static func give(_ path: String, to user: ServiceUser) throws(LocalServiceError) {
        guard chown(path, user.uid, user.gid) == 0 else {
            throw LocalServiceError(.failed, "\(path) can't be given to \(user.name): \(systemReason())")
        }
    }

    /// Absolute, and without symbolic links as far as it exists.
    static func resolved(_ path: String) -> String {
        let absolute = path.hasPrefix("/") ? path : "\(FileManager.default.currentDirectoryPath)/\(path)"
        return URL(fileURLWithPath: absolute).standardizedFileURL.resolvingSymlinksInPath().path
    }

    /// Replaces what was there, in one step.
    static func rename(_ old: String, to new: String) throws(LocalServiceError) {
        guard renameFile(old, new) == 0 else {
            throw LocalServiceError(.failed, "\(old) can't be renamed to \(new): \(systemReason())")
        }
    }

    static func remove(_ path: String) throws(LocalServiceError) {
        guard FileManager.default.fileExists(atPath: path) else { return }
        do {
            try FileManager.default.removeItem(atPath: path)
        } catch {
            throw LocalServiceError(.failed, "\(path) can't be removed: \(error.localizedDescription)")
        }
    }
}

/// The C function, whose name is taken inside `Folder`.
private func renameFile(_ old: String, _ new: String) -> Int32 { rename(old, new) }
