import ParleyCore
import Testing

@Suite("Errors of requests")
struct RequestErrorTests {
    @Test("only two are temporary, and those say when to try again", arguments: RequestError.Code.allCases)
    func temporary(code: RequestError.Code) {
        let isTemporary = code == .rateLimited || code == .unavailable
        #expect(code.isTemporary == isTemporary)
        #expect(RequestError(code, "").retryMs == (isTemporary ? RequestError.retryMsDefault : nil))
    }
}
