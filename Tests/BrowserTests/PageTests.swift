import Foundation
import FoundationNetworking
import TestPostgres
import Testing

/// What a node answers to a browser that asks for the page and its parts.
@Suite("The page over HTTP", .heavy)
struct PageTests {
    static let files = [
        ("/", "text/html; charset=utf-8"), ("/chat.css", "text/css; charset=utf-8"),
        ("/chat.js", "text/javascript; charset=utf-8"), ("/chat-view.js", "text/javascript; charset=utf-8"),
        ("/chat.svg", "image/svg+xml"), ("/parley.js", "text/javascript; charset=utf-8"),
        ("/cells", "text/html; charset=utf-8"),
        ("/cells.css", "text/css; charset=utf-8"), ("/cells.js", "text/javascript; charset=utf-8"),
        ("/parley.d.ts", "application/typescript; charset=utf-8"),
        ("/parley-react.js", "text/javascript; charset=utf-8"),
        ("/parley-react.d.ts", "application/typescript; charset=utf-8"),
    ]

    @Test("each part comes with its type, its guards and a tag; who has it already gets 304 and nothing more")
    func headers() async throws {
        let node = try await Node.startAlone()
        for (path, type) in Self.files {
            // The library would take gzip by itself, and hide it.
            let plain = ["Accept-Encoding": "identity"]
            let (response, body) = try await node.answer(path, headers: plain)
            #expect(response.statusCode == 200, "\(path)")
            #expect(response.value(forHTTPHeaderField: "Content-Encoding") == nil)
            #expect(response.value(forHTTPHeaderField: "Vary") == "Accept-Encoding")
            #expect(!body.isEmpty)
            #expect(response.value(forHTTPHeaderField: "Content-Type") == type)
            #expect(response.value(forHTTPHeaderField: "Cache-Control") == "no-cache")
            #expect(response.value(forHTTPHeaderField: "X-Content-Type-Options") == "nosniff")
            #expect(response.value(forHTTPHeaderField: "Referrer-Policy") == "no-referrer")
            let policy = try #require(response.value(forHTTPHeaderField: "Content-Security-Policy"))
            let directives = policy.components(separatedBy: "; ")
            for directive in [
                "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'",
                "form-action 'none'", "frame-ancestors 'none'",
            ] { #expect(directives.contains(directive), "\(directive) in \(policy)") }
            #expect(!policy.contains("unsafe"))
            let isForAll = path.hasPrefix("/parley")
            #expect(response.value(forHTTPHeaderField: "Access-Control-Allow-Origin") == (isForAll ? "*" : nil))

            let tag = try #require(response.value(forHTTPHeaderField: "ETag"))
            #expect(tag.hasPrefix("\"") && tag.hasSuffix("\"") && tag.count > 10)
            for known in [tag, "W/\(tag)", "\"other\", \(tag)", "*"] {
                let (again, rest) = try await node.answer(path, headers: plain.merging(["If-None-Match": known]) { $1 })
                #expect(again.statusCode == 304, "\(path) with \(known)")
                #expect(rest.isEmpty)
                #expect(again.value(forHTTPHeaderField: "ETag") == tag)
            }
            let (changed, whole) = try await node.answer(
                path, headers: plain.merging(["If-None-Match": "\"other\""]) { $1 })
            #expect(changed.statusCode == 200)
            #expect(whole == body)

            let (head, nothing) = try await node.answer(path, method: "HEAD", headers: plain)
            #expect(head.statusCode == 200)
            #expect(head.value(forHTTPHeaderField: "ETag") == tag)
            #expect(head.value(forHTTPHeaderField: "Content-Length") == "\(body.utf8.count)")
            #expect(nothing.isEmpty)
        }
        #expect(try await node.answer("/chat-nothing.js").response.statusCode == 404)
        await node.kill()
    }

    @Test("who takes gzip gets less, under another tag; it is the same file")
    func compression() async throws {
        let node = try await Node.startAlone()
        var (plainBytes, compressedBytes) = (0, 0)
        for (path, type) in Self.files {
            let (plain, body) = try await node.answer(path, headers: ["Accept-Encoding": "identity"])
            let gzip = ["Accept-Encoding": "deflate;q=0.5, gzip"]
            let (response, same) = try await node.answer(path, headers: gzip)
            #expect(response.statusCode == 200)
            #expect(same == body)
            #expect(response.value(forHTTPHeaderField: "Content-Encoding") == "gzip", "\(path)")
            #expect(response.value(forHTTPHeaderField: "Content-Type") == type)
            #expect(response.value(forHTTPHeaderField: "Vary") == "Accept-Encoding")
            let tag = try #require(response.value(forHTTPHeaderField: "ETag"))
            #expect(tag != plain.value(forHTTPHeaderField: "ETag"))
            let (again, rest) = try await node.answer(path, headers: gzip.merging(["If-None-Match": tag]) { $1 })
            #expect(again.statusCode == 304)
            #expect(rest.isEmpty)
            #expect(again.value(forHTTPHeaderField: "ETag") == tag)
            let (head, _) = try await node.answer(path, method: "HEAD", headers: gzip)
            compressedBytes += Int(head.value(forHTTPHeaderField: "Content-Length") ?? "") ?? 0
            plainBytes += body.utf8.count
        }
        #expect(compressedBytes > 0 && compressedBytes < plainBytes / 5 * 2)
        await node.kill()
    }

    @Test("what scripts import is asked for together with them, not one behind the other")
    func preloads() async throws {
        let node = try await Node.start("n1", ["--store", "memory", "--console", "local"])
        for page in ["/", "/cells", "/console"] {
            let html = try await node.answer(page).body
            let script = try #require(html.firstMatch(of: /<script src="([^"]+)"/)?.1)
            var files = [String(script)]
            var read = 0
            while read < files.count {
                let imports = try await node.answer(files[read]).body.matches(of: /from '\.([^']+)';/).map(\.1)
                files += imports.map(String.init).filter { !files.contains($0) }
                read += 1
            }
            #expect(files.count > 1)
            for file in files.dropFirst() {
                #expect(html.contains("<link rel=\"modulepreload\" href=\"\(file)\">"), "\(file) of \(page)")
            }
        }
        await node.kill()
    }

    @Test("what each page needs is light: less than 60,000 bytes, not compressed")
    func weight() async throws {
        let node = try await Node.startAlone()
        for page in [["/", "/chat.css", "/chat.js", "/chat-view.js"], ["/cells", "/cells.css", "/cells.js"]] {
            var bytes = 0
            for path in page + ["/chat.svg", "/parley.js"] { bytes += try await node.answer(path).body.utf8.count }
            #expect(bytes < 60_000, "\(page)")
        }
        await node.kill()
    }
}
