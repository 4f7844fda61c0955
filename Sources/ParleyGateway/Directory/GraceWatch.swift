import Logging
import NIOCore
import ParleyCore
import ParleyHub

/// Ends the memberships of sessions that did not come back in time, and does not rest before it is done.
final class GraceWatch: Sendable {
    /// How often it is looked what is due.
    static let beat = Duration.milliseconds(50)
    /// Sessions in one question.
    static let pageMax = 256
    /// Pages that are worked on at the same time: one that waits for a locked room must not hold up the others.
    static let pagesMax = 4
    /// Leaves of one page that are under way at the same time.
    static let leavesMax = 64

    private let directory: SessionDirectory
    private let hub: Hub
    private let logger: Logger

    init(directory: SessionDirectory, hub: Hub, logger: Logger) {
        self.directory = directory
        self.hub = hub
        self.logger = logger
    }

    /// Runs until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for _ in 1...Self.pagesMax {
                group.addTask { await self.workThroughWhatIsDue() }
            }
            group.addTask { await self.noteWhatWasYoung() }
        }
    }

    private func workThroughWhatIsDue() async {
        while !Task.isCancelled {
            let page = directory.lapsing(at: .now(), max: Self.pageMax)
            if page.isEmpty {
                do { try await Task.sleep(for: Self.beat) } catch { return }
            } else {
                await settle(page)
            }
        }
    }

    private func noteWhatWasYoung() async {
        while !Task.isCancelled {
            let lost = directory.unnoted(max: Self.pageMax)
            if lost.isEmpty {
                do { try await Task.sleep(for: Self.beat) } catch { return }
            } else {
                await note(lost)
            }
        }
    }

    /// Their memberships stay until their grace is over, which is noted again then, so that a failure costs a client who
    /// bears an older token no more than that.
    private func note(_ lost: [SessionDirectory.LostYoung]) async {
        let now = NIODeadline.now()
        do throws(StoreError) {
            _ = try await hub.store.lapse(
                lost.map {
                    LostSocket(session: $0.session, number: $0.socket, ago: .nanoseconds((now - $0.at).nanoseconds))
                })
        } catch {
            logger.info(
                "lost sockets could not be noted", metadata: ["sockets": "\(lost.count)", "error": "\(error)"])
        }
    }

    private func settle(_ page: [Grace.Debt]) async {
        // Nothing of theirs may be applied behind their leaves, nor behind a session that comes back after them.
        var places: SessionDirectory.Places = []
        for displace in directory.remains(of: page) { places += await displace() }
        await hub.evict(places)
        let now = NIODeadline.now()
        do throws(StoreError) {
            let lapsed = try await hub.store.lapse(
                page.map { debt in
                    LostSocket(
                        session: debt.session.key, number: debt.socket,
                        ago: .nanoseconds((now - debt.lostAt).nanoseconds))
                })
            let failed = await leave(lapsed, of: page)
            for debt in page where !failed.contains(debt) { directory.settled(debt) }
            for debt in failed { directory.failed(debt, at: .now()) }
        } catch {
            logger.warning(
                "the memberships of lost sessions could not be ended; they will be tried again",
                metadata: ["sessions": "\(page.count)", "error": "\(error)"])
            for debt in page { directory.failed(debt, at: .now()) }
        }
    }

    /// Returns those of which something is left to be done.
    private func leave(_ lapsed: [LapsedSession], of page: [Grace.Debt]) async -> Set<Grace.Debt> {
        let debts = Dictionary(page.map { ($0.session.key, $0) }) { first, _ in first }
        // What the store said was true before a session that is still owed could be taken up here: from there on its
        // number is higher, and the store leaves its memberships alone.
        let leaves = lapsed.flatMap { session in
            guard let debt = debts[session.session], directory.owes(debt) else {
                return [(debt: Grace.Debt, withdrawal: Withdrawal)]()
            }
            return session.rooms.map {
                (debt, Withdrawal(room: $0, session: session.session, socket: session.number))
            }
        }
        return await withTaskGroup(of: Grace.Debt?.self) { group in
            var failed: Set<Grace.Debt> = []
            for (index, leave) in leaves.enumerated() {
                if index >= Self.leavesMax, let debt = await group.next() ?? nil { failed.insert(debt) }
                group.addTask { await self.isLeft(leave.withdrawal) ? nil : leave.debt }
            }
            for await debt in group { if let debt { failed.insert(debt) } }
            return failed
        }
    }

    private func isLeft(_ withdrawal: Withdrawal) async -> Bool {
        do throws(StoreError) {
            try await hub.leave(withdrawal)
            return true
        } catch {
            switch error {
            case .roomNotFound: return true
            case .unavailable, .roomExists, .invalid:
                logger.info(
                    "a membership could not be ended; it will be tried again",
                    metadata: ["room": "\(withdrawal.room)", "error": "\(error)"])
                return false
            }
        }
    }
}
