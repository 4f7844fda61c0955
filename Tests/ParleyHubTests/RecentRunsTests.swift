import ParleyCore
import ParleyHub
import Testing

@Suite("Recent runs")
struct RecentRunsTests {
    @Test("what came after a place is cut to it")
    func after() {
        var recent = RecentRuns(after: 10)
        recent.append(run(11...13))
        recent.append(run(14...14))
        #expect(recent.after(12) == [run(13...13), run(14...14)])
        #expect(recent.after(14) == [])
        #expect(recent.after(9) == nil)
    }

    @Test("beyond its bound the oldest is given up")
    func bound() {
        var recent = RecentRuns(after: 0)
        let big = Run(from: 1, to: 1, tag: 0, body: Array(repeating: 0x20, count: RecentRuns.bytesMax))
        recent.append(big)
        recent.append(run(2...2))
        #expect(recent.after(0) == nil)
        #expect(recent.after(1) == [run(2...2)])
    }
}
