/// A script or a style sheet without the lines that hold comments alone: they are for who reads the source, and a tenth of what
/// a page weighs. It looks at lines, so a text over several lines must have none that begins like a comment.
enum Uncommented {
    static func bytes(_ source: [UInt8]) -> [UInt8] {
        var kept: [ArraySlice<UInt8>] = []
        var isInside = false
        for line in source.split(separator: newline, omittingEmptySubsequences: false) {
            let text = line.drop { $0 == UInt8(ascii: " ") }
            if isInside {
                isInside = !ends(text)
            } else if text.starts(with: "/*".utf8) {
                isInside = !ends(text)
            } else if !text.starts(with: "//".utf8) {
                kept.append(line)
            }
        }
        return Array(kept.joined(separator: [newline]))
    }

    private static let newline = UInt8(ascii: "\n")

    private static func ends(_ text: ArraySlice<UInt8>) -> Bool { text.suffix(2).elementsEqual("*/".utf8) }
}
