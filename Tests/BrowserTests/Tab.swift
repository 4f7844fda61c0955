import Foundation
import Testing

/// One page of a browser, used as a person does, as far as it matters.
struct Tab: Sendable {
    let tools: DevTools
    let target: String
    let session: String

    /// A message as the page shows it.
    struct Shown: Decodable, Hashable, CustomStringConvertible {
        var seq: String
        var name: String
        var text: String
        var description: String { "\(seq) \(name): \(text)" }
    }

    func watch() async throws {
        for method in ["Runtime.enable", "Log.enable", "Page.enable"] { try await tools.call(method, session: session) }
        try await tools.call("Emulation.setFocusEmulationEnabled", #"{"enabled":true}"#, session: session)
    }

    func navigate(to url: String) async throws {
        try await tools.call("Page.navigate", #"{"url":\#(url.quoted)}"#, session: session)
    }

    /// Before any script of each page that this tab goes to.
    func runsAtStart(_ script: String) async throws {
        try await tools.call(
            "Page.addScriptToEvaluateOnNewDocument", #"{"source":\#("(() => {\(script)})()".quoted)}"#, session: session
        )
    }

    func reload() async throws {
        try await run("window.wasHere = true")
        try await tools.call("Page.reload", session: session)
        try await until("the page has loaded again", "!window.wasHere && document.readyState === 'complete'")
    }

    var problems: [String] { get async { await tools.problems(of: session) } }

    /// The value of a JavaScript expression.
    func value<Value: Decodable>(_ expression: String, as: Value.Type = Value.self) async throws -> Value {
        let asText = "JSON.stringify((\(expression)) ?? null)"
        let answer = try await tools.call(
            "Runtime.evaluate", #"{"expression":\#(asText.quoted),"returnByValue":true,"userGesture":true}"#,
            session: session)
        if let problem = answer.exceptionDetails {
            throw DevTools.Failure(description: "\(expression): \(problem.exception?.description ?? problem.text)")
        }
        return try JSONDecoder().decode(Value.self, from: Data((answer.result?.value ?? "null").utf8))
    }

    func run(_ statement: String) async throws {
        let _: Bool = try await value("(() => { \(statement); return true; })()")
    }

    func until(_ what: String, _ condition: String) async throws {
        do {
            try await BrowserTests.until(what) {
                // While a page loads, there may be nothing to ask yet.
                (try? await value("Boolean(\(condition))")) == true
            }
        } catch let error as WaitedInVain {
            let page: String? = try? await value("document.body.innerText.slice(0, 2000)")
            let problems = await problems
            throw WaitedInVain(description: "\(error)\n\(page ?? "")\n\(problems.joined(separator: "\n"))")
        }
    }

    /// From now on, in `window.sent`.
    func keepsWhatItSends() async throws {
        try await run(
            """
            const send = WebSocket.prototype.send; window.sent = [];
            WebSocket.prototype.send = function (text) { window.sent.push(JSON.parse(text)); send.call(this, text) }
            """)
    }

    /// From now on it hears no more than that the node lives while `window.isDeaf`.
    func canBecomeDeaf() async throws {
        try await run(
            """
            const { get } = Object.getOwnPropertyDescriptor(MessageEvent.prototype, 'data');
            Object.defineProperty(
                MessageEvent.prototype, 'data',
                { get() { return window.isDeaf ? '{"method":"ping"}' : get.call(this) } });
            """)
    }

    // MARK: - The chat page

    func isOnline(on node: String) async throws {
        try await until(
            "on \(node)",
            "document.body?.dataset.state === 'online' && \(text(of: "status-text")) === 'on node ' + \(node.quoted)")
    }

    /// On which node the page is, or was last.
    var node: String {
        get async throws { try await value("document.getElementById('status-text').textContent.split(' ').pop()") }
    }

    func becomes(_ state: String) async throws {
        try await until("the page is \(state)", "document.body.dataset.state === \(state.quoted)")
    }

    func call(oneself name: String) async throws {
        try await run("document.getElementById('name').focus(); document.getElementById('name').select()")
        try await insert(name)
        try await run("document.activeElement.blur()")
    }

    /// Writes a message and presses Enter.
    func say(_ text: String) async throws {
        try await types(text)
        try await press("Enter", code: 13)
    }

    /// Writes, and does not send it yet.
    func types(_ text: String) async throws {
        try await run("document.getElementById('text').focus()")
        try await insert(text)
    }

    /// Takes back what was written and not sent.
    func clears() async throws {
        try await run("document.getElementById('text').focus(); document.getElementById('text').select()")
        try await press("Delete", code: 46)
    }

    func press(_ key: String, code: Int) async throws {
        for type in ["keyDown", "keyUp"] {
            try await tools.call(
                "Input.dispatchKeyEvent",
                #"{"type":"\#(type)","key":"\#(key)","code":"\#(key)","windowsVirtualKeyCode":\#(code)}"#,
                session: session)
        }
    }

    func shows(_ count: Int) async throws -> [Shown] {
        try await until("\(count) messages", "document.querySelectorAll('#log li').length >= \(count)")
        return try await shown
    }

    var shown: [Shown] {
        get async throws {
            try await value(
                """
                [...document.querySelectorAll('#log li')].map(item => ({
                    seq: item.dataset.seq, name: item.querySelector('bdi').textContent,
                    text: item.querySelector('.text').textContent }))
                """)
        }
    }

    /// Waits until these, and nobody else, are here.
    func rosterIs(_ names: [String]) async throws {
        let list = "[...document.querySelectorAll('#roster bdi')].map(name => name.textContent).sort()"
        let wanted = "[\(names.map(\.quoted).joined(separator: ","))].sort()"
        try await until("the roster is \(names)", "JSON.stringify(\(list)) === JSON.stringify(\(wanted))")
        #expect(try await value("document.getElementById('count').textContent") == "\(names.count)")
    }

    /// Waits until so many messages wait to be sent.
    func waits(toSend count: Int) async throws {
        try await until("\(count) messages wait", "document.querySelectorAll('#outbox li').length === \(count)")
    }

    private func text(of id: String) -> String { "document.getElementById(\(id.quoted)).textContent" }

    private func insert(_ text: String) async throws {
        try await tools.call("Input.insertText", #"{"text":\#(text.quoted)}"#, session: session)
    }
}

extension String {
    /// As JSON, which is JavaScript too.
    var quoted: String {
        // Any string can be encoded.
        (try? JSONEncoder().encode(self)).map { String(decoding: $0, as: UTF8.self) } ?? #""""#
    }
}
