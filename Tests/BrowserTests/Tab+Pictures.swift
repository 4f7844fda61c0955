import Foundation
import Testing

/// Pages as people see them. Whether they are beautiful is nothing that a test can say; whether they fit is.
extension Tab {
    /// A folder, when somebody wants to look: `PARLEY_PICTURES=/tmp/pictures swift test --filter BrowserTests`.
    private static let folder = ProcessInfo.processInfo.environment["PARLEY_PICTURES"]

    /// Until colours that change slowly have changed.
    private static let settling = Duration.milliseconds(300)

    /// On a desk and on a phone, in light and in dark: nothing is wider than the window.
    func fits(_ name: String) async throws {
        for (width, height) in [(1_280, 800), (390, 844)] {
            try await resize(width: width, height: height)
            let tooWide = """
                [document.documentElement, ...document.querySelectorAll('body, body *')]
                    .filter(item => item.scrollWidth > item.clientWidth && getComputedStyle(item).overflowX !== 'hidden'
                        && !item.querySelector(':scope > table')
                        && getComputedStyle(item).display !== 'inline')
                    .map(item => `${item.localName}#${item.id}.${item.className}`)
                """
            #expect(try await value(tooWide) == [String](), "\(name) at \(width)")
            for scheme in ["light", "dark"] where Self.folder != nil {
                try await takePicture("\(name)-\(width)x\(height)-\(scheme)", scheme)
            }
        }
        try await tools.call("Emulation.setEmulatedMedia", session: session)
        try await tools.call("Emulation.clearDeviceMetricsOverride", session: session)
    }

    func resize(width: Int, height: Int) async throws {
        try await tools.call(
            "Emulation.setDeviceMetricsOverride",
            #"{"width":\#(width),"height":\#(height),"deviceScaleFactor":1,"mobile":false}"#, session: session)
        try await until("it is \(width) × \(height)", "innerWidth === \(width) && innerHeight === \(height)")
    }

    private func takePicture(_ name: String, _ scheme: String) async throws {
        guard let folder = Self.folder else { return }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try await tools.call(
            "Emulation.setEmulatedMedia",
            #"{"features":[{"name":"prefers-color-scheme","value":"\#(scheme)"}]}"#, session: session)
        try await Task.sleep(for: Self.settling)
        let picture = try await tools.call("Page.captureScreenshot", session: session).data ?? ""
        try Data(base64Encoded: picture)?.write(to: URL(fileURLWithPath: "\(folder)/\(name).png"))
    }
}
