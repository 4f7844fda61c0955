import HTTPTypes
import Hummingbird

/// The pages of this node, what belongs to them, and the client that programs get from here, all from within the
/// executable.
struct PageRoutes: Sendable {
    private static let page = "text/html; charset=utf-8"
    private static let style = "text/css; charset=utf-8"
    private static let script = "text/javascript; charset=utf-8"
    private static let declarations = "application/typescript; charset=utf-8"

    /// The chat page, the game, and the client: for everybody.
    static let open = PageRoutes(files: [
        PageFile("/", page, PackageResources.index_html),
        code("/chat.css", style, PackageResources.chat_css),
        code("/chat.js", script, PackageResources.chat_js),
        code("/chat-view.js", script, PackageResources.chat_view_js),
        PageFile("/chat.svg", "image/svg+xml", PackageResources.chat_svg),
        PageFile("/cells", page, PackageResources.cells_html),
        code("/cells.css", style, PackageResources.cells_css),
        code("/cells.js", script, PackageResources.cells_js),
        code("/parley.js", script, PackageResources.parley_js, isForAll: true),
        PageFile("/parley.d.ts", declarations, PackageResources.parley_d_ts, isForAll: true),
        code("/parley-react.js", script, PackageResources.parley_react_js, isForAll: true),
        PageFile("/parley-react.d.ts", declarations, PackageResources.parley_react_d_ts, isForAll: true),
    ])

    /// The console's page, without what it shows.
    static let console = PageRoutes(files: [
        PageFile("/console", page, PackageResources.console_html),
        code("/console.css", style, PackageResources.console_css),
        code("/console.js", script, PackageResources.console_js),
        code("/console-chart.js", script, PackageResources.console_chart_js),
        code("/console-model.js", script, PackageResources.console_model_js),
    ])

    private static func code(_ path: RouterPath, _ type: String, _ source: [UInt8], isForAll: Bool = false) -> PageFile
    {
        PageFile(path, type, Uncommented.bytes(source), isForAll: isForAll)
    }

    private let files: [PageFile]

    var paths: [String] { files.map(\.path.description) }

    func add(to router: some RouterMethods<NodeRequestContext>) {
        for file in files {
            router.get(file.path) { request, _ in file.response(to: request) }
        }
    }
}
