package import NIOCore
package import ParleyCore

package struct GatewaySettings: Sendable {
    package var nodeName: String
    package var limits = Limits()
    /// A client that got no frame for this long pings.
    package var heartbeat: TimeAmount = .seconds(10)
    /// How long a lost socket leaves its memberships.
    package var grace: TimeAmount = .seconds(15)
    /// How long a session can be taken up after its last socket.
    package var session: TimeAmount = .hours(24)
    /// How often the store is asked which sessions were taken up elsewhere, beside what other nodes announce.
    package var takeUpWatch: TimeAmount = .seconds(30)
    /// Bytes that wait for one client: above the upper bound updates are held back for it, and it is not read, until
    /// fewer than the lower wait.
    package var congestionBytes = 65_536...262_144
    /// Requests of one socket that wait for earlier ones, or for its session, and their bytes; beyond either the socket
    /// is not read. One more request may have come by then.
    package var backlogMax = 128
    package var backlogBytesMax = 262_144
    /// Requests of one socket that the store is asked for at the same time; with so many the socket is not read either.
    package var underWayMax = 64
    /// Signals of one socket that are shown; of further ones the newest of each kind waits.
    package var signalsPerSecond = 100
    package var signalsAtOnce = 200
    /// How long a client waits for what the database has under way before it is told to come back, or to ask, later.
    package var patience: TimeAmount = .seconds(5)
    /// Over what time the sockets of a node that goes down are closed, so that their clients do not all come to the
    /// others at once. A node with few sockets takes less: `drainStep` for each.
    package var drainSpread: TimeAmount = .seconds(2)
    package var drainStep: TimeAmount = .milliseconds(10)
    /// How long what a client has sent may take before its socket is closed all the same.
    package var drainPatience: TimeAmount = .seconds(1)
    /// WebSocket connections of this node; one more is closed with 1013.
    package var socketsMax = 20_000

    package init(nodeName: String) { self.nodeName = nodeName }
}
