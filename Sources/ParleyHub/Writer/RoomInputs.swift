import DequeModule
import ParleyCore

/// What waits for one room.
struct RoomInputs {
    /// In the order in which they came.
    private(set) var inputs: Deque<Input> = []
    /// Of the changes of `inputs`.
    private(set) var bytes = 0
    /// So many of the next inputs are written a few at a time: not all of them together can be.
    private var suspects = 0
    /// How few.
    private var suspectsTogether = 1

    mutating func append(_ input: Input) {
        inputs.append(input)
        bytes += input.change.count
    }

    mutating func prepend(_ earlier: [Input]) {
        inputs.prepend(contentsOf: earlier)
        bytes += earlier.reduce(0) { $0 + $1.change.count }
    }

    /// These inputs, which are the next ones, could not be written together.
    mutating func suspect(_ inputs: Int, together: Int) {
        // Those behind them were suspect already.
        suspects += inputs
        suspectsTogether = max(1, together)
    }

    /// The next inputs that go into the log as one chunk, at least one, with their changes joined.
    mutating func takeChunk() -> (inputs: [Input], body: [UInt8]) {
        var body: [UInt8] = []
        var taken: [Input] = []
        body.reserveCapacity(min(bytes + inputs.count, Limits.chunkBytesMax))
        while let next = inputs.first,
            taken.isEmpty
                || (suspects == 0 || taken.count < suspectsTogether)
                    && body.count + 1 + next.change.count <= Limits.chunkBytesMax
        {
            if !taken.isEmpty { body.append(UInt8(ascii: ",")) }
            body.append(contentsOf: next.change)
            taken.append(inputs.removeFirst())
            bytes -= next.change.count
        }
        suspects = max(0, suspects - taken.count)
        return (taken, body)
    }

    mutating func remove(where isGone: (Input) -> Bool) -> [Input] {
        let gone = inputs.filter(isGone)
        guard !gone.isEmpty else { return [] }
        inputs.removeAll(where: isGone)
        bytes -= gone.reduce(0) { $0 + $1.change.count }
        return Array(gone)
    }

    mutating func raiseClaims(from lowest: Int64, to claim: Int64) {
        for index in inputs.indices where inputs[index].claim >= lowest {
            inputs[index].claim = max(inputs[index].claim, claim)
        }
    }
}
