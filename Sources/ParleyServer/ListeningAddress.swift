import NIOCore
import NIOPosix

/// Where a node takes connections.
struct ListeningAddress: Sendable {
    let host: String
    /// 0 takes a free one.
    let port: Int

    /// Throws unless the node can listen there now. Asked before anything else is begun, so that a node that cannot serve
    /// leaves no trace among those that do; who takes the port between this and the serving is found out by the latter.
    func check(on group: any EventLoopGroup) async throws(StartFailure) {
        do {
            let channel = try await ServerBootstrap(group: group)
                // As the server has it, or a port that was in use a moment ago could not be taken.
                .serverChannelOption(ChannelOptions.socketOption(.so_reuseaddr), value: 1)
                // Nobody is let in here: who knocks meanwhile is turned away at the end, and tries again.
                .serverChannelOption(ChannelOptions.autoRead, value: false)
                .bind(host: host, port: port).get()
            try await channel.close()
        } catch {
            throw failure(error)
                ?? StartFailure("cannot listen on \(host):\(port): \(error)")
        }
    }

    /// What an error of the attempt to listen means; nil when it is about something else.
    func failure(_ error: any Error) -> StartFailure? {
        switch error {
        case let error as IOError where error.errnoCode == EADDRINUSE:
            StartFailure("port \(port) on \(host) is in use by another process; choose another with --port")
        case let error as IOError where error.errnoCode == EADDRNOTAVAIL:
            StartFailure(
                "cannot listen on \(host):\(port): this machine has no such address; choose another with --host")
        case let error as IOError where error.errnoCode == EACCES:
            StartFailure(
                "cannot listen on \(host):\(port): this user may not use that port; choose one above 1023 with --port")
        case is SocketAddressError, is SocketAddressError.UnknownHost:
            StartFailure("cannot listen on \(host): no address of this name is known; choose another with --host")
        default: nil
        }
    }
}
