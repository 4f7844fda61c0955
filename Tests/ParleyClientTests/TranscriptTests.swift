import Foundation
import Testing

/// The transcripts that the browser's client is held to as well: the same events, the same decisions.
@Suite("Transcripts")
struct TranscriptTests {
    @Test("each step has the outcome that the transcript says", arguments: try Transcript.all())
    func play(transcript: Transcript) throws {
        var player = TranscriptPlayer(showsHeartbeat: transcript.showsHeartbeat)
        for step in transcript.steps {
            let lines = try player.play(step.input)
            #expect(lines == step.out, "after \(step.input)")
        }
    }
}
