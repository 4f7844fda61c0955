/// A job with all that it takes to carry it out and to answer it.
struct ConnectionJob: Sendable {
    struct Step: Sendable {
        var statement: Statement
        var parameters: [Parameter]
    }

    var id: JobID
    var steps: [Step]
    var submitted: ContinuousClock.Instant
    var timeout: Duration
    var onlyGeneration: Int?
    var byteCount: Int
    /// Resumed once; nil for a job whose answer nobody awaits.
    var continuation: CheckedContinuation<Result<[Rows], PostgresError>, Never>?
}
