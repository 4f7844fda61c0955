import Glibc
import NIOConcurrencyHelpers
import ParleyPostgres

/// Stands between a store and its server, and loses what it is told to lose.
///
/// Two blocking threads for each connection; the whole lives as long as the process, since tests are short.
final class FaultyRelay: Sendable {
    enum Mode: Sendable {
        case passing
        /// The server gets everything, the client hears nothing.
        case swallowingAnswers
        /// What the client sends is kept back.
        case holdingRequests
    }

    struct Failed: Error {}

    private struct Pair {
        var client: Int32
        var server: Int32
        var held: [UInt8] = []
        var isCut = false
    }

    private struct State {
        var mode = Mode.passing
        var pairs: [Int: Pair] = [:]
        var lastID = 0
    }

    let port: UInt16
    private let listener: Int32
    private let target: (host: String, port: String)
    private let state = NIOLockedValueBox(State())

    /// - Parameter host: An IPv4 address, or the directory of a Unix socket.
    init(host: String, port targetPort: String) throws {
        target = (host, targetPort)
        listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let listener = listener
        var address = Self.loopback(port: 0)
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isBound else { throw Failed() }
        port = UInt16(bigEndian: address.sin_port)
        Self.thread { [self] in accept() }
    }

    func set(_ mode: Mode) { state.withLockedValue { $0.mode = mode } }

    /// Ends all connections, for the client at once. What was held back for the server stays for `deliverHeld`.
    func cut() {
        let pairs = state.withLockedValue { state in
            for id in state.pairs.keys { state.pairs[id]?.isCut = true }
            state.mode = .passing
            return Array(state.pairs.values)
        }
        for pair in pairs {
            shutdown(pair.client, Int32(SHUT_RDWR))
            if pair.held.isEmpty { shutdown(pair.server, Int32(SHUT_RDWR)) }
        }
    }

    /// How many bytes are kept back.
    var heldBytes: Int { state.withLockedValue { $0.pairs.values.reduce(0) { $0 + $1.held.count } } }

    /// The network delivers what was sent on connections that are no more, and then their end.
    func deliverHeld() {
        let pairs = state.withLockedValue { state in
            defer { for id in state.pairs.keys { state.pairs[id]?.held = [] } }
            return state.pairs.values.filter { !$0.held.isEmpty }
        }
        for pair in pairs {
            _ = Self.write(pair.held, to: pair.server)
            shutdown(pair.server, Int32(SHUT_WR))
        }
    }

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { return }
            guard let server = connectToTarget() else {
                Glibc.close(client)
                continue
            }
            let id = state.withLockedValue { state in
                state.lastID += 1
                state.pairs[state.lastID] = Pair(client: client, server: server)
                return state.lastID
            }
            Self.thread { [self] in pump(id, from: client, to: server, isRequest: true) }
            Self.thread { [self] in pump(id, from: server, to: client, isRequest: false) }
        }
    }

    private func pump(_ id: Int, from source: Int32, to sink: Int32, isRequest: Bool) {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(source, &buffer, buffer.count)
            guard count > 0 else { break }
            let passes = state.withLockedValue { state -> Bool in
                guard state.pairs[id]?.isCut == false else { return false }
                switch (state.mode, isRequest) {
                case (.passing, _), (.swallowingAnswers, true), (.holdingRequests, false): return true
                case (.swallowingAnswers, false): return false
                case (.holdingRequests, true):
                    state.pairs[id]?.held += buffer[..<count]
                    return false
                }
            }
            if passes, !Self.write(buffer[..<count], to: sink) { break }
        }
        let holds = state.withLockedValue { $0.pairs[id]?.held.isEmpty == false }
        if !(isRequest && holds) { shutdown(sink, Int32(SHUT_RDWR)) }
    }

    private func connectToTarget() -> Int32? {
        let server: Int32
        let isConnected: Bool
        if target.host.hasPrefix("/") {
            server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let path = "\(target.host)/.s.PGSQL.\(target.port)"
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8.prefix($0.count - 1)) }
            isConnected = withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(server, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
                }
            }
        } else {
            server = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            var address = Self.loopback(port: UInt16(target.port) ?? 0)
            inet_pton(AF_INET, target.host, &address.sin_addr)
            isConnected = withUnsafePointer(to: address) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    connect(server, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
                }
            }
        }
        guard isConnected else {
            Glibc.close(server)
            return nil
        }
        return server
    }

    private static func loopback(port: UInt16) -> sockaddr_in {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        return address
    }

    private static func write(_ bytes: some Collection<UInt8>, to sink: Int32) -> Bool {
        var rest = Array(bytes)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(sink, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { return false }
            rest = rest.dropFirst(count)
        }
        return true
    }

    private static func thread(_ body: @escaping @Sendable () -> Void) {
        var thread = pthread_t()
        let box = Unmanaged.passRetained(Box(body))
        pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, box.toOpaque())
        pthread_detach(thread)
    }

    private final class Box: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}

extension ScratchDatabase {
    /// A relay to this server, and this database as one reaches it through the relay.
    func relayed() async throws -> (FaultyRelay, ScratchDatabase) {
        let row = try unwrap(
            try await query(
                """
                SELECT coalesce(host(inet_server_addr()), split_part(current_setting('unix_socket_directories'), ',', 1)),
                    current_setting('port')
                """
            ).first)
        let relay = try FaultyRelay(host: row.text(0), port: row.text(1))
        let separator = url.contains("?") ? "&" : "?"
        return (relay, ScratchDatabase(url: "\(url)\(separator)host=127.0.0.1&port=\(relay.port)"))
    }
}
