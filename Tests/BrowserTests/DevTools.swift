import Foundation
import NIOCore
import ParleyClient

/// A connection to a browser over the Chrome DevTools Protocol: commands with their results, and what went wrong on
/// pages.
actor DevTools {
    struct Failure: Error, CustomStringConvertible { let description: String }

    /// The members of any answer or event that these tests look at.
    struct Incoming: Decodable, Sendable {
        var id: Int?
        var method: String?
        var sessionId: String?
        var error: Problem?
        var result: Result?
        var params: Parameters?

        struct Problem: Decodable, Sendable { var message: String }
        struct Result: Decodable, Sendable {
            var browserContextId: String?
            var targetId: String?
            var sessionId: String?
            var targetInfos: [TargetInfo]?
            var data: String?
            var result: RemoteObject?
            var exceptionDetails: ExceptionDetails?
        }
        struct TargetInfo: Decodable, Sendable {
            var targetId: String
            var type: String
            var openerId: String?
        }
        struct RemoteObject: Decodable, Sendable {
            var type: String
            var description: String?
            /// Every expression that is evaluated here ends in JSON text.
            @LossyString var value: String?
        }
        struct ExceptionDetails: Decodable, Sendable {
            var text: String
            var exception: RemoteObject?
        }
        struct Parameters: Decodable, Sendable {
            var entry: LogEntry?
            var exceptionDetails: ExceptionDetails?
            var type: String?
            var args: [RemoteObject]?
            var message: String?
        }
        struct LogEntry: Decodable, Sendable {
            var level: String
            var source: String
            var text: String
        }
    }

    private static let answerBound = Duration.seconds(20)

    private var connection: ClientConnection?
    private var lastID = 0
    private var waiting: [Int: CheckedContinuation<Incoming.Result, any Error>] = [:]
    private var problems: [String: [String]] = [:]

    private init() {}

    static func connect(to address: NodeAddress) async throws -> DevTools {
        let tools = DevTools()
        let (texts, feed) = AsyncStream<ByteBuffer>.makeStream()
        let connection = try await ClientConnection.open(address) {
            feed.yield($0)
        } onClose: { _ in
            feed.finish()
        }
        await tools.become(connection, texts)
        return tools
    }

    private func become(_ connection: ClientConnection, _ texts: AsyncStream<ByteBuffer>) {
        self.connection = connection
        Task {
            for await text in texts { self.take(Data(text.readableBytesView)) }
            self.connection = nil
            for id in self.waiting.keys { self.answer(id, .failure(Failure(description: "the browser is gone"))) }
        }
    }

    /// - Parameter parameters: the JSON text of an object.
    @discardableResult
    func call(_ method: String, _ parameters: String = "{}", session: String? = nil) async throws -> Incoming.Result {
        guard let connection else { throw Failure(description: "the browser is gone") }
        lastID += 1
        let id = lastID
        let page = session.map { #","sessionId":"\#($0)""# } ?? ""
        connection.send(#"{"id":\#(id),"method":"\#(method)","params":\#(parameters)\#(page)}"#)
        let alarm = Task {
            try await Task.sleep(for: Self.answerBound)
            self.answer(id, .failure(Failure(description: "\(method) was not answered")))
        }
        defer { alarm.cancel() }
        return try await withCheckedThrowingContinuation { waiting[id] = $0 }
    }

    /// Errors, warnings, violations of the content security policy and dialogs of a page, in words.
    func problems(of session: String) -> [String] { problems[session] ?? [] }

    private func answer(_ id: Int, _ result: Result<Incoming.Result, any Error>) {
        waiting.removeValue(forKey: id)?.resume(with: result)
    }

    private func take(_ text: Data) {
        let incoming: Incoming
        do {
            incoming = try JSONDecoder().decode(Incoming.self, from: text)
        } catch {
            problems["", default: []].append("not understood: \(error) in \(String(decoding: text, as: UTF8.self))")
            return
        }
        if let id = incoming.id {
            if let error = incoming.error {
                answer(id, .failure(Failure(description: error.message)))
            } else {
                answer(id, .success(incoming.result ?? Incoming.Result()))
            }
        } else if let session = incoming.sessionId, let problem = Self.problem(in: incoming) {
            problems[session, default: []].append(problem)
        }
    }

    private static func problem(in event: Incoming) -> String? {
        guard let parameters = event.params else { return nil }
        switch event.method {
        case "Log.entryAdded":
            return parameters.entry.map { "\($0.source) \($0.level): \($0.text)" }
        case "Runtime.exceptionThrown":
            return parameters.exceptionDetails.map { "exception: \($0.exception?.description ?? $0.text)" }
        case "Runtime.consoleAPICalled":
            return
                "console.\(parameters.type ?? ""): \((parameters.args ?? []).map { $0.value ?? $0.description ?? "" })"
        case "Page.javascriptDialogOpening":
            return "dialog: \(parameters.message ?? "")"
        case "Inspector.targetCrashed":
            return "the page crashed"
        default:
            return nil
        }
    }
}

/// A string where there is one; nil for any other value.
@propertyWrapper
struct LossyString: Decodable, Sendable {
    var wrappedValue: String?

    init(wrappedValue: String?) { self.wrappedValue = wrappedValue }

    init(from decoder: any Decoder) throws {
        wrappedValue = try? decoder.singleValueContainer().decode(String.self)
    }
}

extension KeyedDecodingContainer {
    /// A missing member is no string either.
    func decode(_ type: LossyString.Type, forKey key: Key) throws -> LossyString {
        try decodeIfPresent(type, forKey: key) ?? LossyString(wrappedValue: nil)
    }
}
