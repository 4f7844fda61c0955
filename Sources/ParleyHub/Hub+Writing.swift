import NIOCore
package import ParleyCore

/// What the writer and the reader have to say, brought to the rooms and the sockets that it concerns.
extension Hub: WriterDelegate, Reader.Delegate {
    package func applied(_ parts: [(part: WriterQueue.Part, base: Seq?)]) {
        let runs = parts.map { part, base in
            (
                room: part.append.room,
                run: base.map { base in
                    Run(
                        from: base + 1, to: base + Seq(part.append.count), tag: part.append.tag, body: part.append.body)
                }
            )
        }
        let durableAt = NIODeadline.now()
        var waits = WaitHistogram()
        for input in parts.lazy.flatMap(\.part.inputs) { waits.add(durableAt - (input.deadline - settings.patience)) }
        observe(.wrote(changes: parts.reduce(0) { $0 + $1.part.append.count }, waits: waits))
        onHomes(of: runs, by: \.room) { $0.committed($1) }
    }

    package func answered(_ inputs: [Input], with end: InputEnd) {
        for (loop, inputs) in Dictionary(grouping: inputs, by: \.ticket.loop) {
            post(.answered(inputs.map(\.ticket), end), to: loop)
        }
    }

    package func moved(_ members: Set<ClientID>, of room: RoomNumber, since: Int64, claim: Int64, inputs: [Input]) {
        observe(.membersMoved(members.count))
        let byLoop = Dictionary(grouping: inputs.map(\.ticket), by: \.loop)
        for loop in 0..<loopCount {
            post(.moved(room, members, since: since, claim: claim, tickets: byLoop[loop] ?? []), to: loop)
        }
    }

    package func readLog(_ rooms: [RoomNumber], found: [LogRead]) {
        observe(.read(runs: found.reduce(0) { $0 + $1.runs.count }))
        let byRoom = Dictionary(found.map { ($0.room, $0) }) { first, _ in first }
        onHomes(of: rooms, by: \.self) { $0.logRead($1, found: byRoom) }
    }

    package func readRosters(_ rooms: [RoomNumber], found: [RosterRead]) {
        let byRoom = Dictionary(found.map { ($0.room, $0) }) { first, _ in first }
        onHomes(of: rooms, by: \.self) { $0.rostersRead($1, found: byRoom) }
    }
}
