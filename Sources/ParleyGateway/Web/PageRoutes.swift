import Hummingbird

/// The chat page at `/`, what belongs to it, and the client that programs get from here, all from within the executable.
struct PageRoutes: Sendable {
    private static let script = "text/javascript; charset=utf-8"
    private static let declarations = "application/typescript; charset=utf-8"
    private static let files = [
        PageFile("/", "text/html; charset=utf-8", PackageResources.index_html),
        PageFile("/chat.css", "text/css; charset=utf-8", PackageResources.chat_css),
        PageFile("/chat.js", script, PackageResources.chat_js),
        PageFile("/chat-view.js", script, PackageResources.chat_view_js),
        PageFile("/chat.svg", "image/svg+xml", PackageResources.chat_svg),
        PageFile("/parley.js", script, PackageResources.parley_js, isForAll: true),
        PageFile("/parley.d.ts", declarations, PackageResources.parley_d_ts, isForAll: true),
        PageFile("/parley-react.js", script, PackageResources.parley_react_js, isForAll: true),
        PageFile("/parley-react.d.ts", declarations, PackageResources.parley_react_d_ts, isForAll: true),
    ]

    static var paths: [String] { files.map(\.path.description) }

    static func add(to router: Router<BasicRequestContext>) {
        for file in files {
            router.get(file.path) { request, _ in file.response(to: request) }
        }
    }
}
