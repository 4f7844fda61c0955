import ParleyCore
import TestRandom

/// What kind of run a seed makes.
struct Plan {
    var nodes: Int
    var rooms: Int
    var clients: Int
    /// How long things happen and go wrong.
    var duration: Schedule.Time
    var messages: Int
    var chaosPause: Schedule.Time
    var connectionLossPermille: Int
    var hintLossPercent: Int
    var malformedPercent: Int
    var joinBytesMax: Int
    var limits = Limits()
    let patience: Schedule.Time = 1_000_000
    let requestTimeout: Schedule.Time = 1_000_000
    let lease: Schedule.Time = 2_500_000
    let grace: Schedule.Time = 3_000_000

    init(using random: inout SeededGenerator) {
        nodes = 2 + random.index(below: 3)
        rooms = 1 + random.index(below: 3)
        clients = 2 + random.index(below: 3)
        duration = random.pick(500_000...(random.happens(25) ? 3_500_000 : 1_500_000))
        messages = Int(random.pick(4...20))
        chaosPause = random.pick(20_000...200_000)
        connectionLossPermille = [0, 5, 20, 40][random.index(below: 4)]
        hintLossPercent = [0, 10, 60][random.index(below: 3)]
        malformedPercent = [0, 10][random.index(below: 2)]
        joinBytesMax = [200, 100_000][random.index(below: 2)]
        limits.inFlight = [3, 16, 256][random.index(below: 3)]
        limits.serverFrameBytes = [1_800, 4_096, 1_048_576][random.index(below: 3)]
    }

    /// Nothing goes wrong.
    static func calm() -> Plan {
        var random = SeededGenerator(seed: 1)
        var plan = Plan(using: &random)
        (plan.nodes, plan.rooms, plan.clients) = (1, 1, 2)
        plan.messages = 20
        plan.chaosPause = .max / 4
        (plan.connectionLossPermille, plan.hintLossPercent) = (0, 0)
        return plan
    }
}
