import Testing

@testable import ParleyPostgres

@Suite struct ScheduleTests {
    @Test("a ping is due after the rest, silence after an answer that does not come")
    func ping() {
        let start = ContinuousClock.now
        var schedule = PingSchedule(every: .seconds(1), silenceMax: .seconds(3), now: start)
        #expect(schedule.due(start + .milliseconds(999)) == .wait)
        #expect(schedule.due(start + .seconds(1)) == .ping)
        #expect(schedule.isUnderway)
        #expect(schedule.nextAt == start + .seconds(4))
        schedule.answered(start + .seconds(2))
        #expect(schedule.due(start + .milliseconds(2_999)) == .wait)
        #expect(schedule.due(start + .seconds(3)) == .ping)
        #expect(schedule.due(start + .milliseconds(5_999)) == .wait)
        #expect(schedule.due(start + .seconds(6)) == .silent)
    }
}
