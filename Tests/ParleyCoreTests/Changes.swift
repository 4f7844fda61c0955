import ParleyCore

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
