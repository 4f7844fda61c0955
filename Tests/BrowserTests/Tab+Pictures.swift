import Foundation

/// Pages as people see them: whether they are beautiful is nothing that a test can say.
extension Tab {
    /// A folder, when somebody wants to look: `PARLEY_PICTURES=/tmp/pictures swift test --filter BrowserTests`.
    private static let folder = ProcessInfo.processInfo.environment["PARLEY_PICTURES"]

    /// Until colours that change slowly have changed.
    private static let settling = Duration.milliseconds(300)

    func takePictures(_ name: String) async throws {
        guard let folder = Self.folder else { return }
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        for (width, height) in [(1_280, 800), (390, 844)] {
            try await tools.call(
                "Emulation.setDeviceMetricsOverride",
                #"{"width":\#(width),"height":\#(height),"deviceScaleFactor":1,"mobile":false}"#, session: session)
            for scheme in ["light", "dark"] {
                try await tools.call(
                    "Emulation.setEmulatedMedia",
                    #"{"features":[{"name":"prefers-color-scheme","value":"\#(scheme)"}]}"#, session: session)
                try await Task.sleep(for: Self.settling)
                let picture = try await tools.call("Page.captureScreenshot", session: session).data ?? ""
                try Data(base64Encoded: picture)?.write(
                    to: URL(fileURLWithPath: "\(folder)/\(name)-\(width)x\(height)-\(scheme).png"))
            }
        }
        try await tools.call("Emulation.clearDeviceMetricsOverride", session: session)
    }
}
