import HTTPTypes
package import HummingbirdCore
package import Logging
package import NIOCore
import NIOHTTP1
package import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import ParleyCore
import ParleyWebSocket

/// HTTP and WebSocket on one port: a request for `/ws` that asks for the upgrade becomes a client's socket, everything
/// else is Hummingbird's.
package struct GatewayChannel: HTTPChannelHandler {
    package enum Outcome: Sendable {
        case webSocket(any Channel)
        case http(NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>)
    }

    package struct Value: ServerChildChannelValue {
        let outcome: EventLoopFuture<Outcome>
        package let channel: any Channel
    }

    package let responder: Responder
    private let gateway: Gateway

    package init(gateway: Gateway, responder: @escaping Responder) {
        self.gateway = gateway
        self.responder = responder
    }

    package func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            let congestion = gateway.settings.congestionBytes
            try channel.syncOptions?.setOption(
                .writeBufferWaterMark, value: .init(low: congestion.lowerBound, high: congestion.upperBound))
            let http = HTTPConnectionHandler()
            let upgrade = NIOTypedHTTPServerUpgradeConfiguration<Outcome>(
                upgraders: [upgrader(after: NIOLoopBound(http, eventLoop: channel.eventLoop))],
                notUpgradingCompletionHandler: { channel in
                    channel.eventLoop.makeCompletedFuture {
                        try channel.pipeline.syncOperations.addHandler(HTTP1ToHTTPServerCodec(secure: false))
                        return .http(
                            try NIOAsyncChannel(
                                wrappingChannelSynchronously: channel,
                                configuration: .init(isOutboundHalfClosureEnabled: true)))
                    }
                })
            var pipeline = NIOUpgradableHTTPServerPipelineConfiguration(upgradeConfiguration: upgrade)
            // Done by our own handler, which ends the connection too.
            pipeline.enableErrorHandling = false
            let outcome = try channel.pipeline.syncOperations.configureUpgradableHTTPServerPipeline(
                configuration: pipeline)
            let upgradeHandler = try channel.pipeline.syncOperations.handler(
                type: NIOTypedHTTPServerUpgradeHandler<Outcome>.self)
            try channel.pipeline.syncOperations.addHandlers(
                [http, UpgradeFilter()], position: .before(upgradeHandler))
            return Value(outcome: outcome, channel: channel)
        }
    }

    package func handle(value: Value, logger: Logger) async {
        do {
            switch try await value.outcome.get() {
            case .http(let channel): await handleHTTP(asyncChannel: channel, logger: logger)
            case .webSocket(let channel):
                // Its handler has taken over on the event loop. This task is what a graceful shutdown waits for.
                try await channel.closeFuture.get()
            }
        } catch {
            logger.debug("a connection ended in its handshake", metadata: ["error": "\(error)"])
        }
    }

    /// - Parameter http: What must be gone before the first bytes that are not HTTP.
    private func upgrader(
        after http: NIOLoopBound<HTTPConnectionHandler>
    ) -> WebSocketUpgrader<SocketCredentials, Outcome> {
        let gateway = gateway
        let limits = gateway.settings.limits
        return WebSocketUpgrader(
            configuration: WebSocketConfiguration(messageBytesMax: limits.frameBytes, acceptsBinary: false),
            accept: { head, _, channel in
                guard head.uri.prefix(while: { $0 != "?" }) == "/ws" else {
                    return .refuse(WebSocketHandshake.Refusal(status: .notFound))
                }
                channel.pipeline.syncOperations.removeHandler(http.value, promise: nil)
                let credentials = SocketCredentials(head)
                return .accept(
                    credentials, subprotocol: credentials.asksForSubprotocol ? SocketCredentials.subprotocol : nil)
            },
            delegate: { ClientSocket(gateway: gateway, credentials: $0) },
            result: { .webSocket($0) })
    }
}
