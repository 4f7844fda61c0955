import ParleyCore
import Testing

@Suite("Positions")
struct PositionTests {
    @Test(
        "the text of a position is its seq and its tag in hexadecimal",
        arguments: [
            (Position(seq: 0, tag: 0), "0-0"), (Position(seq: 118, tag: 0x1f), "118-1f"),
            (Position(seq: 1, tag: -1), "1-ffffffff"), (Position(seq: 1, tag: .min), "1-80000000"),
            (Position(seq: .max, tag: .max), "9223372036854775807-7fffffff"),
        ])
    func text(position: Position, text: String) {
        #expect(position.description == text)
        #expect(Position(text) == position)
    }

    @Test(
        "zeros before the numbers, and capitals, are read too",
        arguments: ["0118-001F", "118-1f", "000000000000118-0000001f"])
    func lenient(text: String) {
        #expect(Position(text) == Position(seq: 118, tag: 0x1f))
    }

    @Test(
        "anything else is no position",
        arguments: [
            "", "-", "1", "1-", "-1", "--", "1-2-3", "-1-2", "1--2", "+1-2", " 1-2", "1-2 ", "1 -2", "1-g", "1-0x1",
            "a-1",
            "1.0-1", "1-123456789", "12345678901234567890-1", "9223372036854775808-1", "9999999999999999999-1", "１-1",
            "1–2",
        ])
    func none(text: String) {
        #expect(Position(text) == nil)
    }

    @Test("where a resume point stands")
    func resumePoint() {
        #expect(ResumePoint.seq(7).seq == 7)
        #expect(ResumePoint.position(Position(seq: 8, tag: 1)).seq == 8)
    }
}
