package import Hummingbird
import NIOCore

/// What a route knows of a request beside the request itself.
package struct NodeRequestContext: RequestContext {
    package var coreContext: CoreRequestContextStorage
    /// Who holds the other end of the connection: perhaps a load balancer. nil when that is not known any more.
    let peer: SocketAddress?

    package init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        peer = source.channel.remoteAddress
    }
}
