internal import ParleyCore

/// Sessions that come to this node: batched as joins are, by the same writer, in turns with them. So the number of the
/// batch says to the other nodes whether they have heard of all of them.
extension MemberDesk {
    /// The number of the session's new socket; nil when the session is over. Answers within the request timeout, a little more when the statement
    /// under way takes all of it.
    func takeUp(_ session: SessionIdentity, endedWithin: Duration?) async throws(StoreError) -> Int64? {
        let deadline = ContinuousClock.now + configuration.requestTimeout
        let answer: TakeUpRequest.Answer = await withCheckedContinuation { continuation in
            let request = TakeUpRequest(
                session: session, endedWithin: endedWithin, deadline: deadline, waiter: continuation)
            begin { state in
                state.takeUps.add(request)
            } orElse: {
                request.answer(.failure(.unavailable(reason: "too many sessions are being taken up")))
            }
        }
        return try answer.get()
    }

    func run(_ requests: [TakeUpRequest]) async {
        do throws(PostgresError) {
            let numbers = try await takeUp(requests)
            for (request, number) in zip(requests, numbers) { request.answer(.success(number)) }
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

    private func takeUp(_ requests: [TakeUpRequest]) async throws(PostgresError) -> [Int64?] {
        let (taken, term, _) = try await attempt(
            SessionStatement.takeUp, until: requests.map(\.deadline).min() ?? .now
        ) { term in
            SessionStatement.parameters(requests, term: term, lease: configuration.lease)
        } reading: { rows in
            SessionStatement.takenUp(rows)
        }
        let takeUps = zip(requests, taken.numbers).compactMap { request, number in
            number.map { SessionTakeUp(clientID: request.session.clientID, number: $0) }
        }
        announcer.say(
            Announcement(writer: term.writer, batch: taken.batch, takeUps: takeUps), generation: term.generation)
        return taken.numbers
    }
}
