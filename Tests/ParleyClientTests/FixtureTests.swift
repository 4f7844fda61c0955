import Foundation
import Testing

/// Each frame that a node may send, of docs/frames.jsonl, is one that this client can read.
@Suite("The protocol's frames")
struct FixtureTests {
    private struct Fixture: Decodable {
        var name: String?
        var direction: String?
        var frame: String?
    }

    @Test("whatever a node may send, no frame costs the socket")
    func readable() throws {
        let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appendingPathComponent("docs/frames.jsonl")
        let fixtures = try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")).map {
            try JSONDecoder().decode(Fixture.self, from: Data($0))
        }.filter { $0.direction == "server" }
        #expect(fixtures.count > 40)
        for fixture in fixtures {
            let frame = try #require(fixture.frame)
            var client = Script()
            client.start()
            if fixture.name?.hasPrefix("connect") == true {
                #expect(client.reads(frame).first?.hasPrefix("open n1 7h2k9mq4x0tbw3vd") == true, "\(frame)")
                continue
            }
            client.connects()
            client.joins("r")
            let lines = client.reads(frame)
            #expect(!lines.contains("drop"), "\(fixture.name ?? ""): \(lines)")
        }
    }
}
