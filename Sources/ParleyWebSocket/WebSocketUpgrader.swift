public import NIOCore
public import NIOHTTP1

/// What the application says to a handshake that is otherwise right.
public enum WebSocketAdmission<Context: Sendable>: Sendable {
    /// `subprotocol` must be one that the client offers. `headers` are added to the answer.
    case accept(Context, subprotocol: String? = nil, headers: HTTPHeaders = [:])
    case refuse(WebSocketHandshake.Refusal)
}

/// Upgrades HTTP/1.1 requests to WebSocket, behind `configureUpgradableHTTPServerPipeline`. May serve any
/// number of channels.
///
/// A handshake that is refused, by RFC 6455 or by `accept`, is answered here and its connection ends; the
/// upgrade's result fails when it has. (It cannot be left to the HTTP handlers of the application: by then
/// NIO has dropped its head.)
public final class WebSocketUpgrader<Context: Sendable, UpgradeResult: Sendable>:
    NIOTypedHTTPServerProtocolUpgrader
{
    /// Decides by the request, on the event loop; the channel is for its addresses.
    public typealias Accept =
        @Sendable (HTTPRequestHead, WebSocketHandshake, any Channel) -> WebSocketAdmission<Context>

    public let supportedProtocol = "websocket"
    /// None, so that a request that lacks one of them is answered by a proper status instead of being
    /// skipped.
    public let requiredUpgradeHeaders: [String] = []

    private let configuration: WebSocketConfiguration
    private let accept: Accept
    private let makeDelegate: @Sendable (Context) -> any WebSocketDelegate
    private let makeResult: @Sendable (any Channel) -> UpgradeResult

    /// - Parameters:
    ///   - accept: Says whether a handshake that is otherwise right is accepted.
    ///   - delegate: Makes the delegate when the upgrade is done, on the event loop.
    ///   - result: What the typed upgrade gives to whoever configured the pipeline.
    public init(
        configuration: WebSocketConfiguration,
        accept: @escaping Accept,
        delegate: @escaping @Sendable (Context) -> any WebSocketDelegate,
        result: @escaping @Sendable (any Channel) -> UpgradeResult
    ) {
        self.configuration = configuration
        self.accept = accept
        makeDelegate = delegate
        makeResult = result
    }

    public func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        do throws(WebSocketHandshake.Refusal) {
            let handshake = try WebSocketHandshake(upgradeRequest)
            switch accept(upgradeRequest, handshake, channel) {
            case .accept(let context, let subprotocol, let headers):
                var response = initialResponseHeaders
                response.add(contentsOf: headers)
                response.add(name: "sec-websocket-accept", value: handshake.acceptance)
                if let subprotocol, handshake.subprotocols.contains(subprotocol) {
                    response.add(name: "sec-websocket-protocol", value: subprotocol)
                }
                return channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AdmittedHandshake(context))
                    return response
                }
            case .refuse(let refusal):
                throw refusal
            }
        } catch {
            return refuse(error, on: channel)
        }
    }

    public func upgrade(channel: any Channel, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<UpgradeResult> {
        channel.eventLoop.makeCompletedFuture {
            let pipeline = channel.pipeline.syncOperations
            let admitted = try pipeline.handler(type: AdmittedHandshake<Context>.self)
            let delegate = makeDelegate(admitted.context)
            pipeline.removeHandler(admitted, promise: nil)
            try pipeline.addHandler(WebSocketHandler(configuration: configuration, delegate: delegate))
            return makeResult(channel)
        }
    }

    /// The future fails only when the connection has ended, so that nothing else answers the request.
    private func refuse(
        _ refusal: WebSocketHandshake.Refusal, on channel: any Channel
    ) -> EventLoopFuture<HTTPHeaders> {
        var head = HTTPResponseHead(version: .http1_1, status: refusal.status, headers: refusal.headers)
        head.headers.replaceOrAdd(name: "content-length", value: "0")
        head.headers.replaceOrAdd(name: "connection", value: "close")
        let pipeline = channel.pipeline.syncOperations
        let sent = channel.eventLoop.makePromise(of: Void.self)
        pipeline.write(NIOAny(HTTPServerResponsePart.head(head)), promise: nil)
        pipeline.writeAndFlush(NIOAny(HTTPServerResponsePart.end(nil)), promise: sent)
        sent.futureResult.whenComplete { _ in channel.close(promise: nil) }
        return channel.closeFuture.flatMapThrowing { throw refusal }
    }
}

/// Keeps what `accept` gave for its connection, in the pipeline, while the answer is written.
private final class AdmittedHandshake<Context: Sendable>: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = Any
    let context: Context
    init(_ context: Context) { self.context = context }
}
