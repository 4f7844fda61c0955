import HTTPTypes
package import Hummingbird

/// What a node serves beside the WebSocket.
package struct HTTPRoutes: Sendable {
    let gateway: Gateway
    let isStoreReachable: @Sendable () -> Bool
    let metrics: @Sendable () -> String
    let console: Console

    package init(
        gateway: Gateway, isStoreReachable: @escaping @Sendable () -> Bool,
        metrics: @escaping @Sendable () -> String, console: Console
    ) {
        self.gateway = gateway
        self.isStoreReachable = isStoreReachable
        self.metrics = metrics
        self.console = console
    }

    package func router() -> Router<NodeRequestContext> {
        let router = Router(context: NodeRequestContext.self, options: .autoGenerateHeadEndpoints)
        var paths = PageRoutes.open.paths + [ws, live, ready, metricsPage]
        if console.access != .nobody { paths += PageRoutes.console.paths + [consoleState] }
        router.add(middleware: OnlyGet(paths: Set(paths)))
        PageRoutes.open.add(to: router)
        addConsole(to: router)
        router.get(RouterPath(ws)) { _, _ in
            var response = Response.text("this is a WebSocket: connect to it as one\n", status: .upgradeRequired)
            response.headers[.upgrade] = "websocket"
            return response
        }
        router.get(RouterPath(live)) { _, _ in Response.text("live\n") }
        router.get(RouterPath(ready)) { _, _ in
            if gateway.isDraining { return Response.text("draining\n", status: .serviceUnavailable) }
            guard isStoreReachable() else {
                return Response.text("the database cannot be reached\n", status: .serviceUnavailable)
            }
            return Response.text("ready\n")
        }
        router.get(RouterPath(metricsPage)) { _, _ in
            Response.text(metrics(), type: "text/plain; version=0.0.4; charset=utf-8")
        }
        return router
    }

    private func addConsole(to router: Router<NodeRequestContext>) {
        guard console.access != .nobody else { return }
        let guarded = router.group().add(middleware: ConsoleGuard(access: console.access))
        PageRoutes.console.add(to: guarded)
        guarded.get(RouterPath(consoleState)) { _, _ in
            Response.text(await console.state(), type: "application/json; charset=utf-8")
        }
    }

    private let ws = "/ws"
    private let live = "/health/live"
    private let ready = "/health/ready"
    private let metricsPage = "/metrics"
    private let consoleState = "/console/state"
}

extension Response {
    fileprivate static func text(
        _ text: String, status: HTTPResponse.Status = .ok, type: String = "text/plain; charset=utf-8"
    ) -> Response {
        Response(
            status: status, headers: [.contentType: type, .cacheControl: "no-store"],
            body: .init(byteBuffer: ByteBuffer(string: text)))
    }
}
