/// The live view of the node and of its cluster.
package struct Console: Sendable {
    let access: ConsoleAccess
    /// What it shows now, as JSON.
    let state: @Sendable () async -> String

    package init(access: ConsoleAccess, state: @escaping @Sendable () async -> String) {
        self.access = access
        self.state = state
    }
}
