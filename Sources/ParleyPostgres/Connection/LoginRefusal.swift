/// Why a server did not let us in, from libpq's message in its verbose form:
/// `connection to server at "db", port 5432 failed: FATAL:  3D000: database "x" does not exist LOCATION:  …`.
struct LoginRefusal: Equatable {
    /// As people know it: without the SQLSTATE and the place in the server's source. Of several hosts, what each said.
    let message: String
    /// Somebody must change something before it can succeed. False when another host may let us in.
    let isLasting: Bool

    /// - Parameter text: In one line.
    init(_ text: String) {
        var words: [Substring] = []
        var states: [Substring] = []
        var isLocation = false
        var attempts = 0
        for word in text.split(separator: " ") {
            if word == "connection" {
                isLocation = false
                attempts += 1
            }
            if word == "LOCATION:" { isLocation = true }
            guard !isLocation else { continue }
            if words.last?.last == ":", word.count == 6, word.last == ":", Self.isState(word.dropLast()) {
                states.append(word.dropLast())
            } else {
                words.append(word)
            }
        }
        message = words.joined(separator: " ")
        isLasting = !states.isEmpty && states.count >= attempts && states.allSatisfy(Self.lasting.contains)
    }

    /// No such role or no way in for it, a wrong password, no such database.
    private static let lasting: Set<Substring> = ["28000", "28P01", "3D000"]

    private static func isState(_ text: Substring) -> Bool {
        text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || (65...90).contains($0) }
            && text.utf8.contains { $0 < 65 }
    }
}
