/// What a client says of content codings (RFC 9110, 12.5.3), as far as it matters here.
struct AcceptEncoding {
    /// gzip is taken, and not less gladly than no coding. Who says nothing gets none.
    let prefersGzip: Bool

    /// - Parameter values: Of all `Accept-Encoding` fields of the request.
    init(_ values: [String]) {
        var weights: [String: Double] = [:]
        for part in values.flatMap({ $0.split(separator: ",") }) {
            let words = part.split(separator: ";", omittingEmptySubsequences: false).map(Self.trimmed)
            weights[words[0]] = Self.weight(words.dropFirst())
        }
        let gzip = weights["gzip"] ?? weights["x-gzip"] ?? weights["*"] ?? 0
        prefersGzip = gzip > 0 && gzip >= weights["identity"] ?? 0
    }

    /// A weight that cannot be read is none: without the coding nothing goes wrong.
    private static func weight(_ parameters: ArraySlice<String>) -> Double {
        guard let text = parameters.first(where: { $0.hasPrefix("q=") })?.dropFirst(2) else { return 1 }
        return Double(text).flatMap { (0...1).contains($0) ? $0 : nil } ?? 0
    }

    private static func trimmed(_ text: Substring) -> String {
        let isSpace: (Character) -> Bool = { $0 == " " || $0 == "\t" }
        return text.drop(while: isSpace).prefix { !isSpace($0) }.lowercased()
    }
}
