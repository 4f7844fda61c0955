import NIOCore
import Testing

@testable import ParleyHub

@Suite("Rhythm")
struct RhythmTests {
    private let zero = NIODeadline.uptimeNanoseconds(1_000_000_000)
    private func at(_ milliseconds: Int64) -> NIODeadline { zero + .milliseconds(milliseconds) }

    @Test("the first starts at once, and so does one after a quiet time")
    func quiet() {
        var rhythm = Rhythm(.milliseconds(5))
        #expect(rhythm.start(at: at(0)) == .zero)
        rhythm.end(at: at(1))
        #expect(rhythm.start(at: at(100)) == .zero)
    }

    @Test("what is done soon is followed by the next an interval after its start")
    func interval() {
        var rhythm = Rhythm(.milliseconds(5))
        _ = rhythm.start(at: at(0))
        rhythm.end(at: at(1))
        #expect(rhythm.start(at: at(1)) == .milliseconds(4))
        // It started at 5.
        rhythm.end(at: at(6))
        #expect(rhythm.start(at: at(6)) == .milliseconds(4))
    }

    @Test("what takes long is followed by a rest of twice that time, but of two intervals at most")
    func rest() {
        var rhythm = Rhythm(.milliseconds(5))
        _ = rhythm.start(at: at(0))
        rhythm.end(at: at(4))
        #expect(rhythm.start(at: at(4)) == .milliseconds(8))
        // It started at 12.
        rhythm.end(at: at(112))
        #expect(rhythm.start(at: at(112)) == .milliseconds(10))
    }
}
