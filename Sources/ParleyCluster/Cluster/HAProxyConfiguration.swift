/// The configuration of the HAProxy in front of the nodes.
public struct HAProxyConfiguration: Sendable, Equatable {
    public struct Server: Sendable, Equatable {
        public var name: String
        public var port: UInt16

        public init(name: String, port: UInt16) {
            self.name = name
            self.port = port
        }
    }

    public enum Balance: Sendable, Equatable {
        /// Any node serves any client.
        case roundRobin
        /// Every room has its node: for nodes that keep their rooms in memory.
        case byRoom
    }

    public var host: String
    public var port: UInt16
    public var servers: [Server]
    public var balance: Balance
    public var connectionsMax: Int

    /// How often each node is asked whether it is ready.
    static let checkMs = 500
    /// What HAProxy serves at most. It reserves memory for as many as it is told.
    public static let connectionsMaxDefault = 20_000

    public init(
        host: String, port: UInt16, servers: [Server], balance: Balance,
        connectionsMax: Int = connectionsMaxDefault
    ) {
        self.host = host
        self.port = port
        self.servers = servers
        self.balance = balance
        self.connectionsMax = connectionsMax
    }

    /// - Parameter openFilesMax: how many files the proxy may have open; a connection takes two.
    init(_ settings: ClusterSettings, openFilesMax: Int) {
        let balance: Balance =
            switch settings.store {
            case .postgres: .roundRobin
            case .memory: .byRoom
            }
        let servers = (1...settings.nodes).map {
            Server(name: ClusterSettings.name(ofNode: $0), port: settings.port(ofNode: $0))
        }
        let connections = min(Self.connectionsMaxDefault, max(100, (openFilesMax - 200) / 2))
        self.init(
            host: settings.host, port: settings.port, servers: servers, balance: balance,
            connectionsMax: connections)
    }

    public var text: String {
        """
        # Written by 'parley cluster up', and again by the next one.
        global
            log stdout format raw daemon notice
            maxconn \(connectionsMax)

        defaults
            mode http
            log global
            option dontlog-normal
            option forwardfor
            # A request that finds its node dead goes to another at once.
            option redispatch 1
            retries 3
            http-reuse never
            timeout connect 2s
            timeout http-request 10s
            timeout client 75s
            timeout server 75s
            timeout client-fin 5s
            timeout server-fin 5s
            # A WebSocket; the nodes ping silent ones long before this.
            timeout tunnel 1h

        frontend clients
            bind \(host):\(port)
            default_backend nodes

        backend nodes
        \(balanceLines)
            # Not ready, but alive (it drains, or has no database): no new connections, and those it has stay.
            # No answer at all: dead or paused, and its sockets end now instead of hanging until a time-out.
            option httpchk
            http-check send meth GET uri /health/ready ver HTTP/1.1 hdr Host parley
            http-check disable-on-404
            http-check expect status 200 error-status L7OKC
            timeout check 2s
            default-server check inter \(Self.checkMs)ms fall 2 rise 1 on-marked-down shutdown-sessions
        \(servers.map { "    server \($0.name) 127.0.0.1:\($0.port)" }.joined(separator: "\n"))

        """
    }

    private var balanceLines: String {
        switch balance {
        case .roundRobin:
            "    balance roundrobin"
        case .byRoom:
            """
                # Each node keeps its rooms to itself: /ws?room=ID and /v1/rooms/ID… go to the node of ID.
                http-request del-header X-Parley-Room
                http-request set-header X-Parley-Room %[url_param(room),url_dec] if { url_param(room) -m found }
                http-request set-header X-Parley-Room %[path,field(4,/),url_dec] if { path_beg /v1/rooms/ }
                balance hdr(X-Parley-Room)
                hash-type consistent
            """
        }
    }
}
