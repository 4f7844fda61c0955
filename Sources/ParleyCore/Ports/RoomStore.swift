/// Where rooms live. One implementation keeps them in PostgreSQL, another in this process's memory; everything above
/// this line is the same code for both.
///
/// Calls may come from any thread and in any number; each has an answer within a bounded time, but for `append` and
/// `appendApart`, which answer when the outcome is known. `StoreError.unavailable` says that nothing was done, unless
/// the operation may be repeated safely: all but those two and `createRoom` may.
public protocol RoomStore: SessionStore {
    func createRoom(_ creation: RoomCreation) async throws(StoreError) -> RoomCreated

    /// Makes the session a member, or renews its membership. Idempotent.
    func enroll(_ enrollment: Enrollment) async throws(StoreError) -> Enrolled

    /// Ends a membership. Idempotent: `change` is nil when it had ended before.
    func withdraw(_ withdrawal: Withdrawal) async throws(StoreError) -> Withdrawn

    /// Appends to several rooms in one transaction. The answer has one outcome for each append, in their order; it
    /// comes only when it is certain, however long the database is away. Called by one writer, one call at a time.
    func append(_ appends: [Append]) async throws(StoreError) -> [AppendOutcome]

    /// The same for one room that a foreign transaction holds, on a way of its own: waits for the room a bounded time,
    /// or not at all unless `waits`, then answers `.locked`. It too answers only when it is certain. Called by one task,
    /// one call at a time, beside `append`, and never for the same room.
    func appendApart(_ append: Append, waits: Bool) async throws(StoreError) -> AppendOutcome

    /// Brings signals to the other nodes, if it can: at once or not at all.
    func send(_ signals: [RoomSignals])

    /// The state of a room for one who joins, in one snapshot.
    func snapshot(_ request: SnapshotRequest) async throws(StoreError) -> Snapshot

    /// What came after each cursor, oldest first. A room without news is left out of the answer.
    func readLog(_ cursors: [LogCursor]) async throws(StoreError) -> [LogRead]

    /// What changed in each roster after its cursor. A cursor of 0 reads the whole roster. A room without news is left
    /// out of the answer, or has no changes in it.
    func readRosters(_ cursors: [RosterCursor]) async throws(StoreError) -> [RosterRead]

    func history(_ request: HistoryRequest) async throws(StoreError) -> HistoryPage

    /// Where each of the rooms stands. A room that is gone is left out.
    func heads(of rooms: [RoomNumber]) async throws(StoreError) -> [RoomPointer]
}
