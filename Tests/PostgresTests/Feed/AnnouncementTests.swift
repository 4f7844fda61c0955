import ParleyCore
import Testing

@testable import ParleyPostgres

@Suite("Announcements")
struct AnnouncementTests {
    @Test("what is said is understood, in as many notifications as it takes", arguments: [0, 1, 250, 251, 2_000])
    func roundTrip(count: Int) throws {
        let said = Announcement(
            writer: 7, batch: .max,
            pointers: (0..<count).map { RoomPointer(room: RoomNumber(Int64($0)), lastSeq: .max, rosterSeq: 3) },
            takeUps: (0..<count).map {
                SessionTakeUp(clientID: ClientID("\($0)~._-\(String(repeating: "z", count: $0 % 50))")!, number: .max)
            },
            ended: (0..<count).map {
                EndedMembership(
                    room: RoomNumber(Int64($0)), claim: .max, clientID: $0.isMultiple(of: 2) ? nil : ClientID("-\($0)"))
            })
        var heard = Announcement(writer: 7, batch: .max)
        for payload in said.payloads {
            #expect(payload.utf8.count < 8_000)
            let part = try #require(Announcement(payload: Array(payload.utf8)))
            #expect(part.writer == said.writer)
            #expect(part.batch == said.batch)
            heard.pointers += part.pointers
            heard.takeUps += part.takeUps
            heard.ended += part.ended
        }
        #expect(heard == said)
    }

    @Test(
        "what no node says is not understood",
        arguments: [
            "", "1", "1:2 ", "1:2 3:4", "1:2 3:4:5:6", "1:2 @", "1:2 @ann", "1:2 @ann:", "1:2 @:3", "1:2 @ann:3:4",
            "1:2 @a nn:3", "1:2 @a/b:3", "1:2 @ann:x", "1:2 @ann:99999999999999999999", "hello",
            "1:2 -", "1:2 -3", "1:2 -3:4", "1:2 -3:4:", "1:2 -3:4:**", "1:2 -3:4:a b", "1:2 -x:4:ann", "1:2 -3::ann",
        ])
    func foreign(text: String) {
        #expect(Announcement(payload: Array(text.utf8)) == nil)
    }
}
