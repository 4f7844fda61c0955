import NIOCore
import NIOHTTP1

/// Lets the first request of a connection ask for an upgrade only where there is one: to WebSocket. Any other offer, such as
/// curl's of HTTP/2, is taken out, as RFC 9110 (7.8) has it for an upgrade that the server does not want; the
/// connection ends with the answer, for the parser expects nothing more of HTTP after such an offer.
final class UpgradeFilter: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias InboundOut = HTTPServerRequestPart

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(var head):
            let offers = head.headers[canonicalForm: "upgrade"]
            if !offers.isEmpty, !offers.contains(where: { $0.lowercased() == "websocket" }) {
                head.headers.remove(name: "upgrade")
                head.headers.replaceOrAdd(name: "connection", value: "close")
            }
            context.fireChannelRead(wrapInboundOut(.head(head)))
            // Later requests are no more the upgrade handler's.
            context.pipeline.syncOperations.removeHandler(context: context, promise: nil)
        case .body, .end:
            context.fireChannelRead(data)
        }
    }
}
