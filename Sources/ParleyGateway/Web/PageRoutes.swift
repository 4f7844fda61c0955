import Crypto
import HTTPTypes
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

/// One file that browsers keep, and ask each time whether it is still the same.
private struct PageFile: Sendable {
    let path: RouterPath
    private let headers: HTTPFields
    private let tag: String
    private let content: ByteBuffer

    /// - Parameter isForAll: pages of other origins may have it too, as a module has to say of itself.
    init(_ path: RouterPath, _ type: String, _ bytes: [UInt8], isForAll: Bool = false) {
        self.path = path
        content = ByteBuffer(bytes: bytes)
        let digest = SHA256.hash(data: bytes).prefix(16)
        tag = "\"" + digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() + "\""
        var headers: HTTPFields = [
            .contentType: type, .eTag: tag, .cacheControl: "no-cache", .contentSecurityPolicy: Self.policy,
            .xContentTypeOptions: "nosniff",
        ]
        if let referrerPolicy = HTTPField.Name("Referrer-Policy") { headers[referrerPolicy] = "no-referrer" }
        if isForAll { headers[.accessControlAllowOrigin] = "*" }
        self.headers = headers
    }

    func response(to request: Request) -> Response {
        guard !isKnown(to: request) else { return Response(status: .notModified, headers: headers) }
        return Response(status: .ok, headers: headers, body: ResponseBody(byteBuffer: content))
    }

    /// Whether `If-None-Match` names what would be sent; compared weakly, as for any GET (RFC 9110, 13.1.2).
    private func isKnown(to request: Request) -> Bool {
        request.headers[values: .ifNoneMatch].contains { value in
            value.split(separator: ",").contains { part in
                let candidate = part.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
                return candidate == "*" || candidate == tag || candidate == "W/" + tag
            }
        }
    }

    /// Nothing but this node's own scripts, styles, picture and WebSocket ('self' includes ws and wss of the page's origin);
    /// and no markup from text: a script that tries is stopped by the browser.
    private static let policy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'", "connect-src 'self'",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'",
    ].joined(separator: "; ")
}
