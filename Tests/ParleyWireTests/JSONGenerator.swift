import TestRandom

/// Random JSON that keeps all rules for payloads.
struct JSONGenerator {
    var random: SeededGenerator

    mutating func chance(_ part: Int, of whole: Int) -> Bool { Int.random(in: 0..<whole, using: &random) < part }

    mutating func value(depth: Int = 0) -> String {
        switch Int.random(in: 0..<(depth > 5 ? 5 : 9), using: &random) {
        case 0: pick(["true", "false", "null"])
        case 1, 2: number()
        case 3, 4: string()
        case 5, 6: brackets("[", "]", depth) { $0.value(depth: depth + 1) }
        default: brackets("{", "}", depth) { $0.string() + $0.space() + ":" + $0.space() + $0.value(depth: depth + 1) }
        }
    }

    mutating func number() -> String {
        var text = chance(1, of: 2) ? "-" : ""
        text += chance(1, of: 4) ? "0" : pick(["1", "9"]) + digits(0...12)
        if chance(1, of: 3) { text += "." + digits(1...12) }
        if chance(1, of: 3) { text += pick(["e", "E"]) + pick(["", "+", "-"]) + digits(1...2) }
        return text
    }

    mutating func string() -> String {
        var text = "\""
        for _ in 0..<Int.random(in: 0...6, using: &random) {
            text += pick([
                "a", "é", "€", "😀", "\u{301}", " ", "/", "{", "}", "[", "]", ",", ":", "\\\"", "\\\\", "\\/", "\\b",
                "\\f",
                "\\n", "\\r", "\\t", "\\u0041", "\\u001F", "\\ud83d\\uDE00", "\\uFFFF", "\u{7f}", "\u{2028}",
            ])
        }
        return text + "\""
    }

    mutating func space() -> String { chance(1, of: 8) ? pick([" ", "\n", "\t", "\r", "  "]) : "" }

    private mutating func brackets(
        _ open: String, _ close: String, _ depth: Int, _ element: (inout JSONGenerator) -> String
    ) -> String {
        var text = open + space()
        for index in 0..<Int.random(in: 0...3, using: &random) {
            if index > 0 { text += space() + "," + space() }
            text += element(&self)
        }
        return text + space() + close
    }

    private mutating func digits(_ count: ClosedRange<Int>) -> String {
        (0..<Int.random(in: count, using: &random)).map { _ in String(Int.random(in: 0...9, using: &random)) }.joined()
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[Int.random(in: 0..<elements.count, using: &random)]
    }
}
