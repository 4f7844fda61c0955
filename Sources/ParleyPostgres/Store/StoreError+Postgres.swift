internal import ParleyCore

extension StoreError {
    /// What a failed read, or a write that may be repeated, means to the caller.
    init(_ error: PostgresError) {
        switch error {
        case .server:
            self = error.isAboutTheData ? .invalid(reason: "\(error)") : .unavailable(reason: "\(error)")
        case .unavailable, .connectionLost, .timedOut, .closed, .cancelled, .fatal:
            self = .unavailable(reason: "\(error)")
        }
    }
}

extension PostgresError {
    /// Classes 22, 23 and 54: a value that cannot be stored, or is too much, however often it is tried.
    var isAboutTheData: Bool {
        guard let sqlState else { return false }
        return ["22", "23", "54"].contains { sqlState.hasPrefix($0) }
    }

    /// Not the server's own trouble (class 40, conflicts; 53, resources; 57, operators; 58 and XX, the system), nor that of a
    /// schema that is another one than this node knows (42: no such function, table or column), both of which pass: then
    /// what a rule has done makes the commit fail.
    var isByARule: Bool {
        guard let sqlState else { return false }
        let passing = ["25", "40", "42883", "42P01", "42703", "53", "55", "57", "58", "XX"]
        return !passing.contains { sqlState.hasPrefix($0) }
    }

    /// Somebody else held a lock for longer than `lock_timeout`.
    var isLockTimeout: Bool { sqlState == "55P03" }

    /// It took longer than `statement_timeout`, or somebody ended it.
    var isOverdue: Bool { sqlState == "57014" }

    /// Class 25: the session is in a state in which nothing can be written, such as read-only. A new one is not.
    var isAboutTheSession: Bool { sqlState?.hasPrefix("25") == true }

    /// Undone for the sake of another transaction: worth another try at once.
    var isConflict: Bool { sqlState == "40P01" || sqlState == "40001" }
}
