import ParleyCore
import Testing

@testable import ParleyPostgres

@Suite("Signal notice")
struct SignalNoticeTests {
    private func signal(_ client: String, _ payload: String) -> Signal {
        Signal(head: Array(#""clientId":"\#(client)""#.utf8), payload: Array(payload.utf8))
    }

    @Test("what a node sends is what the others read, whatever the payload holds")
    func roundTrip() {
        let signals = RoomSignals(
            room: RoomNumber(7), signals: [signal("ann", "{\"a\": \" 3:4:\"}"), signal("bob", "\"🦜\"")])
        let notice = SignalNotice(writer: 12, signals: signals)
        #expect(notice.payloads.count == 1)
        #expect(SignalNotice(payload: notice.payloads[0]) == notice)
    }

    @Test("many signals go in several payloads, each within PostgreSQL's limit")
    func split() {
        let many = (0..<20).map { signal("client\($0)", "\"\(String(repeating: "x", count: 1_000))\"") }
        let payloads = SignalNotice(writer: 1, signals: RoomSignals(room: RoomNumber(1), signals: many)).payloads
        #expect(payloads.count > 1)
        #expect(payloads.allSatisfy { $0.count <= Announcement.bytesMax })
        #expect(payloads.flatMap { SignalNotice(payload: $0)?.signals.signals ?? [] } == many)
    }

    @Test(
        "what no node has sent is not taken for signals",
        arguments: ["", "~", "~1", "~1 ", "~x 1", "~1 2 3", "~1 2 3:4:", "~1 2 1:1:a", "~1 2  1:1:ab", "1:2 3:4:5"])
    func garbage(text: String) {
        let notice = SignalNotice(payload: Array(text.utf8))
        #expect(notice == nil || notice?.signals.signals.isEmpty == true)
    }
}
