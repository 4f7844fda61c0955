import TestRandom

extension SeededGenerator {
    mutating func happens(_ percent: Int) -> Bool { next() % 100 < UInt64(percent) }

    mutating func pick(_ range: ClosedRange<Int64>) -> Int64 {
        range.lowerBound + Int64(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    mutating func index(below count: Int) -> Int { Int(next() % UInt64(count)) }
}
