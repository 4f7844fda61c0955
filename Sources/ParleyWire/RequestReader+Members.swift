import ParleyCore

/// What the methods have in common: one member, of one type, within its bounds.
extension RequestReader {
    /// A room cannot come further: this is as far as a client can count.
    static let seqs: ClosedRange<Seq> = 0...Limits.requestIDMax

    func id() throws(RequestError) -> Int64? {
        guard let value = members["id"] else { return nil }
        guard let id = members.requestID(of: value) else {
            throw bad("\"id\" must be a whole number from 1 to \(Limits.requestIDMax)")
        }
        return id
    }

    func room() throws(RequestError) -> RoomID {
        guard let value = members["roomId"] else { throw bad("\"roomId\" is missing") }
        guard let text = members.text(of: value) else { throw bad("\"roomId\" must be a string") }
        guard let room = RoomID(text) else { throw RequestError(.roomNotFound, "no room can have this id") }
        return room
    }

    func payload(_ name: StaticString, bytesMax: Int) throws(RequestError) -> [UInt8] {
        guard let value = members[name] else { throw bad("\"\(name)\" is missing") }
        guard value.range.count <= bytesMax else { throw tooLarge(name, bytesMax) }
        if let breach = value.breach {
            throw bad("\"\(name)\" holds what is not allowed: \(breach.reason), at byte \(breach.offset)")
        }
        return members.bytes(of: value)
    }

    func object(_ name: StaticString, bytesMax: Int) throws(RequestError) -> [UInt8]? {
        guard let value = members[name] else { return nil }
        guard value.first == UInt8(ascii: "{") else { throw bad("\"\(name)\" must be an object") }
        return try payload(name, bytesMax: bytesMax)
    }

    /// The members of an object within the frame, each of which may be there once.
    func inner(_ name: StaticString) throws(RequestError) -> FrameMembers? {
        guard let value = members[name] else { return nil }
        guard let inner = members.members(of: value) else { throw bad("\"\(name)\" must be an object") }
        if let duplicate = inner.duplicate { throw bad("\"\(duplicate.shown)\" stands twice in \"\(name)\"") }
        return inner
    }

    func bool(_ name: StaticString, default fallback: Bool) throws(RequestError) -> Bool {
        guard let value = members[name] else { return fallback }
        guard let bool = members.bool(of: value) else { throw bad("\"\(name)\" must be true or false") }
        return bool
    }

    func count(_ name: StaticString, from least: Int64, default fallback: Int) throws(RequestError) -> Int {
        guard let value = members[name] else { return fallback }
        guard let number = members.integer(of: value), number >= least else {
            throw bad("\"\(name)\" must be a whole number from \(least) on")
        }
        return Int(clamping: number)
    }

    func place(_ name: StaticString) throws(RequestError) -> ResumePoint? {
        guard let value = members[name] else { return nil }
        let point =
            members.integer(of: value).map(ResumePoint.seq)
            ?? members.text(of: value).flatMap(Position.init).map(ResumePoint.position)
        guard let point, Self.seqs.contains(point.seq) else {
            throw bad("\"\(name)\" must be a `seq`, a whole number from 0 on, or a `position` of this room")
        }
        return point
    }

    func bad(_ reason: String) -> RequestError { RequestError(.badRequest, reason) }

    func tooLarge(_ name: StaticString, _ bytesMax: Int) -> RequestError {
        RequestError(.tooLarge, "\"\(name)\" is larger than \(bytesMax) bytes")
    }
}

extension String {
    private static let shownMax = 64

    /// So much of a client's own words as an error repeats.
    var shown: String {
        var shown = String.UnicodeScalarView()
        shown.append(contentsOf: unicodeScalars.prefix(Self.shownMax))
        return String(shown)
    }
}
