internal import ParleyCore

/// Sessions that come to this node: batched as joins are, by the same writer, in turns with them. So the number of the
/// batch says to the other nodes whether they have heard of all of them.
extension MemberDesk {
    /// Answers within the request timeout, a little more when the statement under way takes all of it.
    func takeUp(
        _ session: SessionIdentity, shown: Int64?, openedMs: ClosedRange<Int64>?, endedWithin: Duration?,
        isWanted: @escaping @Sendable () -> Bool
    ) async throws(StoreError) -> TakeUpRequest.Outcome {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        let answer: TakeUpRequest.Answer = await withCheckedContinuation { continuation in
            let request = TakeUpRequest(
                session: session, shown: shown, openedMs: openedMs, endedWithin: endedWithin, isWanted: isWanted,
                deadline: deadline, waiter: continuation)
            begin { state in
                state.takeUps.add(request)
            } orElse: {
                request.answer(.failure(.unavailable(reason: "too many sessions are being taken up")))
            }
        }
        return try answer.get()
    }

    func run(_ all: [TakeUpRequest]) async {
        do throws(PostgresError) {
            // What may take long comes first: a node that was paused has to register anew, and hears meanwhile which of
            // its sockets are gone.
            _ = try await seat.take(until: all.map(\.deadline).min() ?? .now)
        } catch {
            for request in all { request.answer(.failure(StoreError(error))) }
            return
        }
        let requests = all.filter { $0.isWanted() }
        for request in all where !requests.contains(where: { $0.session == request.session }) {
            request.answer(.failure(.unavailable(reason: "the socket has ended")))
        }
        guard !requests.isEmpty else { return }
        do throws(PostgresError) {
            let outcomes = try await takeUp(requests)
            for (request, outcome) in zip(requests, outcomes) { request.answer(.success(outcome)) }
        } catch {
            // One that cannot be stored, or whose row somebody holds, must not cost the others their sessions.
            if error.isAboutTheData || error.isLockTimeout, requests.count > 1 {
                let middle = requests.count / 2
                await run(Array(requests[..<middle]))
                await run(Array(requests[middle...]))
            } else {
                for request in requests { request.answer(.failure(StoreError(error))) }
            }
        }
    }

    private func takeUp(_ requests: [TakeUpRequest]) async throws(PostgresError) -> [TakeUpRequest.Outcome] {
        let (taken, term, _) = try await attempt(
            SessionStatement.takeUp, until: requests.map(\.deadline).min() ?? .now
        ) { term in
            SessionStatement.parameters(requests, term: term, lease: configuration.lease)
        } reading: { rows in
            SessionStatement.takenUp(rows)
        }
        let takeUps = zip(requests, taken.outcomes).compactMap { request, outcome -> SessionTakeUp? in
            guard case .taken(let number) = outcome else { return nil }
            return SessionTakeUp(clientID: request.session.clientID, number: number)
        }
        announcer.say(
            Announcement(writer: term.writer, batch: taken.batch, takeUps: takeUps), generation: term.generation)
        return taken.outcomes
    }
}
