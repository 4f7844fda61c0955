import ParleyCore

/// A run whose changes say which seq they are.
func run(_ range: ClosedRange<Seq>, tag: Tag = 7) -> Run {
    Run(
        from: range.lowerBound, to: range.upperBound, tag: tag,
        body: Array(range.map { "{\"s\":\($0)}" }.joined(separator: ",").utf8))
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
