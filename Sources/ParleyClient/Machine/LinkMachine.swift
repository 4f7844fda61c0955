import NIOCore

/// One session, kept over successive sockets: where to connect, when again, and whether the other side still lives.
struct LinkMachine: Sendable {
    /// From the attempt to connect to the frame `connect`.
    static let connectMs: Int64 = 5_000
    /// From a `ping` to any frame.
    static let pongMs: Int64 = 3_000
    /// The first back-off is random below this; each further one doubles it, up to the last.
    static let backoffMs: Int64 = 250
    static let backoffMsMax: Int64 = 10_000
    /// A node that is overloaded, or gone for a while, is left alone for so long at least.
    static let overloadMs: Int64 = 2_000
    static let refusalsMax = 2
    /// Frames behind `connect` that tell a node that works from one that fails at once.
    static let works = 10

    enum Phase: Sendable, Equatable {
        case idle
        case connecting
        case open(NodeFrame.Connect)
        case waiting
        case closed(ClientEnd)
    }

    private(set) var phase = Phase.idle
    /// Number of the newest one.
    private(set) var socket = 0
    private(set) var session: String?
    private let addresses: [NodeAddress]
    private var next = 0
    private var attempts = 0
    /// Behind the frame `connect` of the socket.
    private var frames = 0
    /// 4003 in a row.
    private var refusals = 0
    private var isPinged = false

    init(addresses: [NodeAddress], session: String?) {
        self.addresses = addresses
        self.session = session
    }

    var connect: NodeFrame.Connect? {
        if case .open(let connect) = phase { connect } else { nil }
    }

    var hasSocket: Bool {
        switch phase {
        case .connecting, .open: true
        case .idle, .waiting, .closed: false
        }
    }

    mutating func open(_ out: inout [ClientAction]) {
        let address = addresses[next % addresses.count]
        socket += 1
        isPinged = false
        phase = .connecting
        out.append(.state(.connecting(address)))
        out.append(.open(socket: socket, address, session: session))
        out.append(.alarm(.link, .exactly(Self.connectMs)))
    }

    /// The first frame on a socket.
    mutating func welcomed(_ connect: NodeFrame.Connect, _ out: inout [ClientAction]) {
        phase = .open(connect)
        session = connect.session
        (refusals, frames) = (0, 0)
        out.append(
            .state(.open(node: connect.node, clientID: connect.clientID, isResumed: connect.isResumed)))
        heard(&out)
    }

    /// Any frame is a sign of life; some behind `connect` say that the node works, so that the next trouble is a new
    /// one.
    mutating func worked() {
        frames += 1
        if frames >= Self.works { attempts = 0 }
    }

    mutating func heard(_ out: inout [ClientAction]) {
        guard let connect else { return }
        isPinged = false
        out.append(.alarm(.link, .exactly(max(1, connect.heartbeatMs))))
    }

    /// Time is up for what was waited for. True when the socket is given up.
    mutating func rang(_ out: inout [ClientAction]) -> Bool {
        switch phase {
        case .idle, .closed: return false
        case .waiting:
            open(&out)
            return false
        case .open where !isPinged:
            isPinged = true
            out.append(.send(ClientFrameText.ping))
            out.append(.alarm(.link, .exactly(Self.pongMs)))
            return false
        case .open:
            giveUp(because: "the node is silent", &out)
            return true
        case .connecting:
            giveUp(because: "the node does not answer", &out)
            return true
        }
    }

    mutating func giveUp(because reason: String, _ out: inout [ClientAction]) {
        out.append(.drop)
        ended(nil, because: reason, &out)
    }

    /// The socket is gone.
    mutating func ended(_ code: Int?, because reason: String? = nil, _ out: inout [ClientAction]) {
        let graceMs = connect?.graceMs ?? 0
        let reason = reason ?? code.map { "closed with \($0)" } ?? "connection lost"
        switch code {
        case 1002, 1003, 1007, 1008, 1009: return close(.refused(code: code ?? 0), &out)
        case 4001:
            session = nil
            return close(.takenOver, &out)
        case 4003:
            refusals += 1
            guard refusals < Self.refusalsMax else { return close(.notAdmitted, &out) }
            wait(backoff(), because: reason, &out)
        case 1012 where connect != nil: wait(Wait(0, graceMs / 3), because: reason, &out)
        case 1000, 1001, 1013:
            let backoff = backoff()
            wait(Wait(Self.overloadMs, Self.overloadMs + backoff.most), because: reason, &out)
        default: wait(backoff(), because: reason, &out)
        }
    }

    mutating func close(_ end: ClientEnd, _ out: inout [ClientAction]) {
        phase = .closed(end)
        out.append(.silence(.link))
        out.append(.state(.closed(end)))
    }

    private mutating func wait(_ wait: Wait, because reason: String, _ out: inout [ClientAction]) {
        phase = .waiting
        next += 1
        out.append(.state(.waiting(because: reason)))
        out.append(.alarm(.link, wait))
    }

    private mutating func backoff() -> Wait {
        let most = min(Self.backoffMsMax, Self.backoffMs << Int64(min(attempts, 16)))
        attempts += 1
        return Wait(0, most)
    }
}
