import DequeModule
import ParleyCore

/// What waits for one room.
struct RoomInputs {
    /// In the order in which they came.
    private(set) var inputs: Deque<Input> = []
    /// Of the changes of `inputs`.
    private(set) var bytes = 0
    /// So many of the next inputs are written one by one: one of them cannot be stored.
    var suspects = 0

    mutating func append(_ input: Input) {
        inputs.append(input)
        bytes += input.change.count
    }

    mutating func prepend(_ earlier: [Input]) {
        inputs.prepend(contentsOf: earlier)
        bytes += earlier.reduce(0) { $0 + $1.change.count }
    }

    /// The next inputs that go into the log as one chunk, at least one, with their changes joined.
    mutating func takeChunk() -> (inputs: [Input], body: [UInt8]) {
        var body: [UInt8] = []
        var taken: [Input] = []
        body.reserveCapacity(min(bytes + inputs.count, Limits.chunkBytesMax))
        while let next = inputs.first,
            taken.isEmpty || suspects == 0 && body.count + 1 + next.change.count <= Limits.chunkBytesMax
        {
            if !taken.isEmpty { body.append(UInt8(ascii: ",")) }
            body.append(contentsOf: next.change)
            taken.append(inputs.removeFirst())
            bytes -= next.change.count
        }
        suspects = max(0, suspects - 1)
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
