import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// How the page gets from its address into the room.
@Suite("The chat page arrives", .heavy, .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct ArrivalTests {
    /// How often, when somebody wants to know how long it takes:
    /// `PARLEY_ARRIVALS=20 swift test --filter ArrivalTests`. Time is nothing that a test can judge on any machine.
    private static let count = ProcessInfo.processInfo.environment["PARLEY_ARRIVALS"].flatMap(Int.init)

    /// Milliseconds since the navigation began.
    private struct Arrival: Decodable {
        var page: Double
        var scripts: Double
        var run: Double
        var welcomed: Double
        var joined: Double
    }

    @Test("each file is asked for once, and one request joins the room")
    func way() async throws {
        let (n1, n2) = try await Node.startPair()
        try await Browser.run { browser in
            let ann = try await browser.open(n1.page(room: "tea"))
            try await ann.isOnline(on: "n1")
            let tab = try await browser.open("about:blank")
            try await tab.runsAtStart(
                """
                new PerformanceObserver((list) => { (window.files ??= []).push(...list.getEntries()) })
                    .observe({ type: 'resource', buffered: true });
                const { send } = WebSocket.prototype;
                const { set } = Object.getOwnPropertyDescriptor(WebSocket.prototype, 'onmessage');
                window.sent = []; window.times = {};
                WebSocket.prototype.send = function (text) { window.sent.push(JSON.parse(text).method); send.call(this, text) };
                Object.defineProperty(WebSocket.prototype, 'onmessage', { set(told) {
                    window.times.run ??= performance.now();
                    set.call(this, told && ((event) => { window.times.welcomed ??= performance.now(); told(event) }));
                } });
                new MutationObserver(() => {
                    if (document.body?.dataset.state === 'online') window.times.joined ??= performance.now();
                }).observe(document, { subtree: true, childList: true, attributes: true });
                """)
            var arrivals: [Arrival] = []
            for _ in 0..<(Self.count ?? 1) {
                try await tab.navigate(to: "about:blank")
                try await tab.navigate(to: n2.page(room: "tea"))
                try await tab.until("it has arrived", "window.times?.joined")
                try await tab.until("its files are listed", "window.files?.length >= 5")
                let names = "window.files.map(file => new URL(file.name).pathname).sort().join(' ')"
                #expect(
                    try await tab.value(names) == "/chat-view.js /chat.css /chat.js /chat.svg /parley.js", "each once")
                #expect(try await tab.value("window.sent.join()") == "join")
                arrivals.append(
                    try await tab.value(
                        """
                        { ...window.times, page: performance.getEntriesByType('navigation')[0].responseEnd,
                            scripts: Math.max(...window.files.filter(file => file.name.endsWith('.js'))
                                .map(file => file.responseEnd)) }
                        """))
            }
            if Self.count != nil { Self.report(arrivals) }
        }
        await n1.kill()
        await n2.kill()
    }

    private static func report(_ arrivals: [Arrival]) {
        let steps: [(String, KeyPath<Arrival, Double>)] = [
            ("page is there", \.page), ("scripts are there", \.scripts), ("socket is asked for", \.run),
            ("connect", \.welcomed), ("joined and shown", \.joined),
        ]
        print("ms from the navigation, of \(arrivals.count): median, worst")
        for (name, step) in steps {
            let times = arrivals.map { $0[keyPath: step] }.sorted()
            print("  \(name): \(Int(times[times.count / 2].rounded())), \(Int((times.last ?? 0).rounded()))")
        }
    }
}
