import ParleyCore
import ParleyWire

extension Delivery.Page {
    /// What the log has of what the subscription is missing: as much as fits one frame. nil when the log does not hold what
    /// comes next.
    init?(_ read: LogRead?, for fetch: Fetch, limits: Limits) {
        let runs = read?.runs.compactMap { $0.suffix(after: fetch.after) } ?? []
        guard let first = runs.first, first.from == fetch.after + 1 else { return nil }
        let page = RunCut(bytesMax: limits.updateBytes, takesOne: true).oldestWhole(of: runs)
        let end = page.last?.end ?? first.end
        let frame = ServerFrame.update(roomID: fetch.roomID, runs: page, position: end)
        self.init(fetch: fetch, to: end.seq, isAll: false, frames: [frame])
    }
}
