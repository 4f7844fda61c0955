/// When many come at once, more come meanwhile: a statement for many is followed by a rest, so that the next one is for
/// all of them. Who comes alone never waits.
enum Crowd {
    /// So many in one statement are a crowd.
    private static let sizeMin = 8
    private static let restMax = Duration.milliseconds(100)

    /// Three times as long as the statement took that began at `start`, `restMax` at most.
    static func rest(after count: Int, since start: ContinuousClock.Instant) async {
        guard count >= sizeMin else { return }
        // Ends early when the task is cancelled, which nobody does.
        try? await Task.sleep(for: min((.now - start) * 3, restMax))
    }
}
