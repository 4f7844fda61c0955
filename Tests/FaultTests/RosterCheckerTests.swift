import TestFaults
import Testing

@Suite("The checker of rosters")
struct RosterCheckerTests {
    private let start = ContinuousClock.now
    private func at(_ seconds: Double) -> ContinuousClock.Instant { start + .milliseconds(Int(seconds * 1_000)) }

    /// Two members who know each other.
    private func speakers() -> (ann: SpeakerRecord, bob: SpeakerRecord) {
        var (ann, bob) = (SpeakerRecord(number: 0), SpeakerRecord(number: 1))
        (ann.clientIDs, bob.clientIDs) = (["ann"], ["bob"])
        (ann.roster, bob.roster) = (["ann", "bob"], ["ann", "bob"])
        (ann.rosterCount, bob.rosterCount) = (2, 2)
        return (ann, bob)
    }

    private func violations(
        _ ann: SpeakerRecord, _ bob: SpeakerRecord, members: Set<String> = ["ann", "bob"]
    ) -> [String] {
        var checker = RosterChecker(grace: .seconds(15), silenceMax: .seconds(3), newsMax: .seconds(1))
        checker.check("r", members: members, [ann, bob])
        return checker.violations
    }

    @Test("nothing to say against members who know the same as the database")
    func innocent() {
        let (ann, bob) = speakers()
        #expect(violations(ann, bob) == [])
    }

    @Test("a member who is missing, one too many, and a count that does not fit")
    func rosters() {
        var (ann, bob) = speakers()
        ann.roster = ["ann", "cyd"]
        bob.rosterCount = 3
        #expect(
            violations(ann, bob) == [
                #"r, client 0: its roster lacks ["bob"] and has ["cyd"] too many"#,
                "r, client 1: was told of 3 members of 2",
            ])
        #expect(violations(speakers().ann, speakers().bob, members: ["ann"]).count == 4)
    }

    @Test("told as gone: who was never away, was not away for long enough, or was back long ago")
    func flicker() {
        var (ann, bob) = speakers()
        ann.departures = [(at(50), "bob")]
        let told = ["r, client 0: told that bob left, which was not away"]
        #expect(violations(ann, bob) == told)
        bob.moments = [(at(45), .lost("")), (at(50), .back)]
        #expect(violations(ann, bob) == told, "5 s, and 3 s that it may have noticed too late")
        bob.moments = [(at(20), .lost("")), (at(40), .back)]
        #expect(violations(ann, bob) == told, "the news are 10 s old")
        bob.moments = [(at(40), .lost("")), (at(60), .back)]
        #expect(violations(ann, bob) == told, "only 10 s after it was lost")
        bob.moments = [(at(37), .lost("")), (at(49.5), .back)]
        #expect(violations(ann, bob) == [])
    }

    @Test("several sockets that are lost before there is news again are one absence")
    func absences() {
        var ann = SpeakerRecord(number: 0)
        ann.moments = [
            (at(1), .lost("")), (at(2), .open(node: "n1")), (at(3), .lost("")), (at(4), .open(node: "n2")),
            (at(5), .back), (at(8), .lost("")),
        ]
        #expect(ann.absences == [at(1)...at(5)])
    }
}
