import HTTPTypes
import Hummingbird

/// Says 405 to other methods on paths that have GET, and with it HEAD, alone. A path that is not there stays 404.
struct OnlyGet: RouterMiddleware {
    typealias Context = NodeRequestContext

    let paths: Set<String>

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard request.method != .get, request.method != .head, paths.contains(request.uri.path) else {
            return try await next(request, context)
        }
        return Response(status: .methodNotAllowed, headers: [.allow: "GET, HEAD", .contentLength: "0"])
    }
}
