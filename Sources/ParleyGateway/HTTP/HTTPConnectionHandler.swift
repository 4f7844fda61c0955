import NIOCore
import NIOHTTP1

/// Keeps a connection to HTTP/1 until it becomes a WebSocket: says 400 to what is none, once; ends connections that are not
/// to be kept, and those whose clients do not do their part in time.
///
/// It stands behind the handler that lets one request in after the other, so an answer belongs to the request before it.
/// Whoever turns the connection into something else removes it first.
final class HTTPConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart
    typealias OutboundIn = HTTPServerResponsePart
    typealias OutboundOut = HTTPServerResponsePart

    private var exchange = HTTPExchange()
    private var timer: (wait: HTTPExchange.Wait, task: Scheduled<Void>)?

    func handlerAdded(context: ChannelHandlerContext) { setTimer(context) }
    func handlerRemoved(context: ChannelHandlerContext) { timer?.task.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.task.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !exchange.isEnding else { return }
        switch unwrapInboundIn(data) {
        case .head(var head):
            guard exchange.began(head) else { return refuse(context) }
            setTimer(context)
            head.uri = Self.originForm(of: head.uri)
            context.fireChannelRead(wrapInboundOut(.head(head)))
        case .body: context.fireChannelRead(data)
        case .end:
            exchange.requestEnded()
            setTimer(context)
            context.fireChannelRead(data)
        }
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        guard !exchange.isEnding else {
            promise?.fail(ChannelError.outputClosed)
            return
        }
        switch unwrapOutboundIn(data) {
        case .head(var head):
            exchange.answerBegan()
            if !exchange.isKept { head.headers.replaceOrAdd(name: "connection", value: "close") }
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .body: context.write(data, promise: promise)
        case .end:
            exchange.answerEnded()
            context.write(data, promise: promise)
            if exchange.isEnding { end(context) }
        }
        setTimer(context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard error is HTTPParserError else { return context.fireErrorCaught(error) }
        refuse(context)
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if exchange.isEnding, event as? ChannelEvent == .inputClosed { context.close(promise: nil) }
        context.fireUserInboundEventTriggered(event)
    }

    private func refuse(_ context: ChannelHandlerContext) {
        if exchange.failed() {
            let headers: HTTPHeaders = ["connection": "close", "content-length": "0"]
            let head = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: headers)
            context.write(wrapOutboundOut(.head(head)), promise: nil)
            context.write(wrapOutboundOut(.end(nil)), promise: nil)
        }
        end(context)
        setTimer(context)
    }

    /// After the last answer: the client gets it and the end of the server's direction.
    private func end(_ context: ChannelHandlerContext) {
        context.flush()
        context.close(mode: .output, promise: nil)
    }

    /// What a client sends piece by piece does not prolong its time.
    private func setTimer(_ context: ChannelHandlerContext) {
        let wait = exchange.wait
        guard wait != timer?.wait else { return }
        timer?.task.cancel()
        timer = wait.map { wait in
            let task = context.eventLoop.assumeIsolated()
                .scheduleTask(in: wait.timeMax) { context.close(promise: nil) }
            return (wait, task)
        }
    }

    /// A server takes a request for `http://host/path` as one for `/path` (RFC 9112, 3.2.2).
    static func originForm(of uri: String) -> String {
        guard let scheme = uri.firstRange(of: "://"), !uri.hasPrefix("/"),
            ["http", "https", "ws", "wss"].contains(uri[..<scheme.lowerBound].lowercased())
        else { return uri }
        let target = uri[scheme.upperBound...].drop { $0 != "/" && $0 != "?" }
        return target.hasPrefix("/") ? String(target) : "/" + target
    }
}
