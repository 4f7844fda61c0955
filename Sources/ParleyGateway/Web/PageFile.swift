import Crypto
import HTTPTypes
import Hummingbird

/// One file that browsers keep, and ask each time whether it is still the same.
struct PageFile: Sendable {
    /// The file as it is sent, with the tag of just these bytes.
    private struct Representation {
        let headers: HTTPFields
        let tag: String
        let content: ByteBuffer

        init(_ bytes: [UInt8], headers: HTTPFields) {
            content = ByteBuffer(bytes: bytes)
            let digest = SHA256.hash(data: bytes).prefix(16)
            tag = "\"" + digest.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined() + "\""
            var headers = headers
            headers[.eTag] = tag
            self.headers = headers
        }
    }

    let path: RouterPath
    private let plain: Representation
    /// nil when it would not be smaller.
    private let compressed: Representation?

    /// - Parameter isForAll: pages of other origins may have it too, as a module has to say of itself.
    init(_ path: RouterPath, _ type: String, _ bytes: [UInt8], isForAll: Bool = false) {
        self.path = path
        var headers: HTTPFields = [
            .contentType: type, .cacheControl: "no-cache", .contentSecurityPolicy: Self.policy,
            .xContentTypeOptions: "nosniff", .vary: "Accept-Encoding",
        ]
        if let referrerPolicy = HTTPField.Name("Referrer-Policy") { headers[referrerPolicy] = "no-referrer" }
        if isForAll { headers[.accessControlAllowOrigin] = "*" }
        plain = Representation(bytes, headers: headers)
        compressed = Gzip.compress(bytes).flatMap {
            $0.count < bytes.count ? Representation($0, headers: headers) : nil
        }
    }

    func response(to request: Request) -> Response {
        let takesGzip = AcceptEncoding(request.headers[values: .acceptEncoding]).prefersGzip
        let chosen = takesGzip ? compressed ?? plain : plain
        guard !Self.isKnown(chosen.tag, to: request) else {
            return Response(status: .notModified, headers: chosen.headers)
        }
        var response = Response(status: .ok, headers: chosen.headers, body: ResponseBody(byteBuffer: chosen.content))
        if takesGzip, compressed != nil { response.headers[.contentEncoding] = "gzip" }
        return response
    }

    /// Whether `If-None-Match` names what would be sent; compared weakly, as for any GET (RFC 9110, 13.1.2).
    private static func isKnown(_ tag: String, to request: Request) -> Bool {
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
