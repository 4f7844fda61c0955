import Foundation
import ParleyClient
import ParleyCluster
import TestPostgres

/// A headless Chromium with an empty profile. Its processes work in a folder that ends them when this test process is
/// gone.
actor Browser {
    /// nil where there is none; the tests that need it are skipped then.
    static let executable = ["chromium", "chromium-browser", "google-chrome"].lazy.compactMap { Command.find($0) }.first

    private let folder: String
    private let tools: DevTools

    private init(folder: String, tools: DevTools) {
        self.folder = folder
        self.tools = tools
    }

    /// Starts a browser for the time of `body`. Afterwards none of its processes is left.
    static func run(_ body: (Browser) async throws -> Void) async throws {
        let browser = try await start()
        do {
            try await body(browser)
        } catch {
            try await browser.close()
            throw error
        }
        try await browser.close()
    }

    /// A page of its own, with its own storage.
    func open(_ url: String) async throws -> Tab {
        let context = try await tools.call("Target.createBrowserContext").browserContextId ?? ""
        let target =
            try await tools.call(
                "Target.createTarget", #"{"url":"about:blank","browserContextId":"\#(context)"}"#
            ).targetId ?? ""
        let tab = try await attach(target)
        // Only now, so that nothing that goes wrong while it loads is missed.
        try await tab.navigate(to: url)
        return tab
    }

    /// The page that `tab` opened by `window.open`.
    func opened(by tab: Tab) async throws -> Tab {
        var target: String?
        try await until("a page was opened") {
            let targets = try await tools.call("Target.getTargets").targetInfos ?? []
            target = targets.first { $0.type == "page" && $0.openerId == tab.target }?.targetId
            return target != nil
        }
        return try await attach(target ?? "")
    }

    /// What runs of this browser: also helpers that are no children of it.
    var processes: [Int32] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.compactMap(Int32.init).filter { pid in
            let place = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/cwd")
            return place?.hasPrefix(folder) == true
        }
    }

    private func attach(_ target: String) async throws -> Tab {
        let session = try await tools.call("Target.attachToTarget", #"{"targetId":"\#(target)","flatten":true}"#)
            .sessionId
        let tab = Tab(tools: tools, target: target, session: session ?? "")
        try await tab.watch()
        return tab
    }

    private static func start() async throws -> Browser {
        let folder = try TestPostgres.makeFolder("browser")
        let profile = folder + "/profile"
        let log = folder + "/browser.log"
        _ = FileManager.default.createFile(atPath: log, contents: nil)
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        let process = Process()
        process.executableURL = executable.map { URL(fileURLWithPath: $0) }
        process.arguments = [
            "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--remote-debugging-port=0", "--user-data-dir=\(profile)",
            // Nothing beyond this machine.
            "--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            // Pages that are not in front keep their timers.
            "--disable-background-timer-throttling", "--disable-backgrounding-occluded-windows",
            "--disable-renderer-backgrounding", "about:blank",
        ]
        process.environment = ProcessInfo.processInfo.environment.merging(["HOME": folder, "TMPDIR": folder]) { $1 }
        process.currentDirectoryURL = URL(fileURLWithPath: folder)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        var address: NodeAddress?
        do {
            try await until("the browser listens") {
                guard process.isRunning else { throw DevTools.Failure(description: "the browser has ended") }
                address = devToolsAddress(in: profile)
                return address != nil
            }
            guard let address else { throw DevTools.Failure(description: "the browser does not say where it listens") }
            return Browser(folder: folder, tools: try await DevTools.connect(to: address))
        } catch {
            process.terminate()
            let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
            throw DevTools.Failure(description: "\(error): \(text.suffix(2_000))")
        }
    }

    /// The browser writes its port and, on a second line, its path.
    private static func devToolsAddress(in profile: String) -> NodeAddress? {
        let text = (try? String(contentsOfFile: profile + "/DevToolsActivePort", encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n")
        let identifierLength = 36
        guard lines.count == 2, let port = Int(lines[0]), lines[1].hasPrefix("/devtools/browser/"),
            lines[1].split(separator: "/").last?.count == identifierLength
        else { return nil }
        return NodeAddress(host: "127.0.0.1", port: port, path: String(lines[1]))
    }

    private func close() async throws {
        // Its answer may be lost with the browser.
        _ = try? await tools.call("Browser.close")
        do {
            try await until("all processes of the browser have ended") { processes.isEmpty }
        } catch {
            for pid in processes { kill(pid, SIGKILL) }
            throw error
        }
    }
}
