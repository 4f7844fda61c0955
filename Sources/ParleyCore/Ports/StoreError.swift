/// Why a store did not do what it was asked. Only `unavailable` is worth another try.
public enum StoreError: Error, Equatable, Sendable {
    /// The store could not be reached in time. `reason` is for the log and for people; it holds no secret.
    case unavailable(reason: String)
    case roomNotFound
    case roomExists
    /// The request itself cannot be stored, however often it is tried.
    case invalid(reason: String)
}
