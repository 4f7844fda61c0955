import Hummingbird

/// To those who may not see the console, there is none.
struct ConsoleGuard: RouterMiddleware {
    typealias Context = NodeRequestContext

    let access: ConsoleAccess

    func handle(
        _ request: Request, context: Context, next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        guard access.allows(context.peer, request.head) else { throw HTTPError(.notFound) }
        return try await next(request, context)
    }
}
