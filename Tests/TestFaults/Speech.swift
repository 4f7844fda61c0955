/// What a speaker says: its number and how many it has said, so that each is unlike any other and can be made again.
public enum Speech {
    public static func text(speaker: Int, number: Int) -> String {
        let padding = String(repeating: "x", count: (speaker &* 31 &+ number &* 7) % 97)
        return #"{"s":\#(speaker),"n":\#(number),"p":"\#(padding)"}"#
    }

    /// nil when no speaker can have said that.
    public static func parse(_ text: String) -> (speaker: Int, number: Int)? {
        let fields = text.split(separator: ",", maxSplits: 2)
        guard fields.count == 3, fields[0].hasPrefix(#"{"s":"#), fields[1].hasPrefix(#""n":"#),
            let speaker = Int(fields[0].dropFirst(5)), let number = Int(fields[1].dropFirst(4)),
            text == Self.text(speaker: speaker, number: number)
        else { return nil }
        return (speaker, number)
    }
}
