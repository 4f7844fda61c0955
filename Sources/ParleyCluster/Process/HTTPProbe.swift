import Dispatch

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Asks an HTTP server on this machine one question.
public enum HTTPProbe {
    /// For each of connecting, sending and every part of the answer.
    static let stepBound = Duration.seconds(2)
    private static let answerBytesMax = 16_384

    /// The status of the answer to `GET path`, nil when there is none.
    public static func status(port: UInt16, path: String) async -> Int? {
        await withCheckedContinuation { continuation in
            // It blocks for a bounded time, so it keeps off the threads of the tasks.
            DispatchQueue.global().async {
                continuation.resume(returning: statusLine(in: answer(port: port, path: path)))
            }
        }
    }

    /// From `HTTP/1.1 200 OK`.
    static func statusLine(in answer: String) -> Int? {
        let parts = answer.prefix { $0 != "\r\n" && $0 != "\n" }.split(separator: " ")
        guard parts.count >= 2, parts[0].hasPrefix("HTTP/1."), parts[1].utf8.count == 3 else { return nil }
        return Int(parts[1])
    }

    private static func answer(port: UInt16, path: String) -> String {
        let number = socket(AF_INET, TCPPort.streamClosedOnExec, 0)
        guard number >= 0 else { return "" }
        defer { close(number) }
        var bound = timeval(tv_sec: Int(stepBound.components.seconds), tv_usec: 0)
        for option in [SO_RCVTIMEO, SO_SNDTIMEO] {
            setsockopt(number, SOL_SOCKET, option, &bound, socklen_t(MemoryLayout<timeval>.size))
        }
        guard TCPPort.withLoopback(port, { connect(number, $0, $1) }) == 0 else { return "" }
        let request = Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
        let noSignal = Int32(0x4000)
        guard send(number, request, request.count, noSignal) == request.count else { return "" }
        var answer: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 4_096)
        while answer.count < answerBytesMax, !answer.contains(UInt8(ascii: "\n")) {
            let count = recv(number, &part, part.count, 0)
            if count <= 0 { break }
            answer += part.prefix(count)
        }
        return String(decoding: answer, as: UTF8.self)
    }
}
