import ParleyCore
import Testing

@Suite("Heads of changes")
struct ChangeHeadTests {
    private func head(_ text: String) -> (client: String, id: Int64?)? {
        ChangeHead(Changes.bytes(text)).map { ($0.clientID.text, $0.id) }
    }

    @Test(
        "the client and the id are read where they stand first",
        arguments: [
            (#"{"clientId":"ann","id":3,"at":1,"message":{}}"#, "ann", 3),
            (#"{"clientId":"ann","id":9007199254740991}"#, "ann", 9_007_199_254_740_991),
            (#"{"clientId":"ann","at":1,"id":3}"#, "ann", nil), (#"{"clientId":"ann"}"#, "ann", nil),
            (#"{"clientId":"ann","userId":"\",\"id\":5","at":1}"#, "ann", nil),
            (#"{"clientId":"ann","idle":3}"#, "ann", nil),
            (#"{"clientId":"ann","id":99999999999999999999}"#, "ann", nil),
        ] as [(String, String, Int64?)])
    func read(text: String, client: String, id: Int64?) throws {
        let head = try #require(self.head(text))
        #expect(head.client == client)
        #expect(head.id == id)
    }

    @Test(
        "a change without a client has no head",
        arguments: [
            "", "{}", #"{"at":1,"clientId":"ann","id":3}"#, #"{"clientId":5}"#, #"{"clientId":""}"#,
            #"{"clientId":"a b"}"#,
            #"{"clientId":"#, #"{"message":{"clientId":"ann","id":3}}"#, #" {"clientId":"ann"}"#,
        ])
    func none(text: String) {
        #expect(head(text) == nil)
    }

    @Test(
        "what stands before the content is found whatever the user's name holds",
        arguments: [
            (#"{"clientId":"ann","id":3,"at":12,"message":{"at":5}}"#, #"{"clientId":"ann","id":3,"at":12"#),
            (#"{"clientId":"ann","at":12}"#, #"{"clientId":"ann","at":12"#),
            (
                #"{"clientId":"ann","userId":"\",\"at\":5\\","at":1,"set":{}}"#,
                #"{"clientId":"ann","userId":"\",\"at\":5\\","at":1"#
            ),
            (#"{"at":1,"message":1}"#, ""), (#"{"clientId":"ann","message":1}"#, ""),
            (#"{"clientId":"ann","userId":"\"#, ""), ("", ""),
        ])
    func start(text: String, start: String) {
        #expect(String(decoding: ChangeHead.start(of: Changes.bytes(text)), as: UTF8.self) == start)
    }

    @Test("all heads of a run, in order, without the changes that have none")
    func all() {
        let run = Changes.run(
            [
                #"{"clientId":"ann","id":3,"message":"},{"}"#, #"{"message":{"clientId":"eve","id":1}}"#,
                #"{"clientId":"bob","at":1}"#,
            ], from: 4)
        #expect(ChangeHead.all(in: run).map(\.clientID.text) == ["ann", "bob"])
        #expect(ChangeHead.all(in: run).map(\.id) == [3, nil])
    }
}
