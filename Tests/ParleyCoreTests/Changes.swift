import ParleyCore

/// SplitMix64 (Steele, Lea and Flood, 2014), so that a seed gives the same run everywhere.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Changes that are awkward to tell apart: their strings hold commas, brackets, quotes and backslashes.
enum Changes {
    static let awkward = [
        "{}", #"{"a":[1,2,{"b":[]}]}"#, #"{"},{":"},{"}"#, #"{"a":"\"},{"}"#, #"{"a":"\\"}"#, #"{"a":"\\\",{"}"#,
        #"{"\\":","}"#,
        #"{"a":[[["]"]]],"b":{"c":"}"}}"#, #"{"é,":"😀,"}"#, #"{ "a" : [ 1 , 2 ] }"#, #"{"a":"\u002c\u0022"}"#,
        #"{"":""}"#,
    ]

    static func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

    static func run(_ changes: [String], from: Seq, tag: ParleyCore.Tag = 7) -> Run {
        Run(from: from, to: from + Seq(changes.count) - 1, tag: tag, body: bytes(changes.joined(separator: ",")))
    }
}
