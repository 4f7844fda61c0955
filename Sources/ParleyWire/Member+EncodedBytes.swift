public import ParleyCore

extension Member {
    /// What an entry of a roster takes at most: names, brackets, and a user's id of which each byte is escaped.
    public var encodedBytesMax: Int {
        64 + clientID.text.utf8.count + (userID?.utf8.count ?? 0) * 6 + (profile?.count ?? 0)
    }
}

extension [Member] {
    /// What a list of them takes at most.
    public var encodedBytesMax: Int { reduce(0) { $0 + $1.encodedBytesMax } }
}
