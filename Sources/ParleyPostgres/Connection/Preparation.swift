/// Which statements the server of the present connection knows by name, as far as one can tell before it answers.
struct Preparation {
    enum Way: Equatable {
        case prepareFirst
        case prepared
        /// Parsed without a name, for this one execution.
        case unnamed
    }

    /// So many times may the server have forgotten what it had prepared before names are given up: a pooler that
    /// hands out another server for each transaction forgets all the time.
    static let lossesMax = 3

    private var known: Set<String> = []
    /// Sent within a job that may still fail before it gets there: nobody else may rely on it.
    private var underway: Set<String> = []
    /// The name is taken by something else, or its plan cannot be used any more.
    private var unusable: Set<String> = []
    private var losses = 0

    mutating func way(for name: String) -> Way {
        if losses >= Self.lossesMax || unusable.contains(name) { return .unnamed }
        if known.contains(name) { return .prepared }
        return underway.insert(name).inserted ? .prepareFirst : .unnamed
    }

    mutating func prepared(_ name: String) {
        underway.remove(name)
        known.insert(name)
    }

    mutating func notPrepared(_ name: String) { underway.remove(name) }

    mutating func cannotUse(_ name: String) {
        underway.remove(name)
        known.remove(name)
        unusable.insert(name)
    }

    /// The server does not know a name that it had confirmed: it will know none of the others either.
    /// Answers to what was sent before that are the same loss.
    mutating func lost() {
        guard !known.isEmpty else { return }
        known = []
        losses += 1
    }
}
