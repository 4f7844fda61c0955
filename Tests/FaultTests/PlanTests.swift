import TestFaults
import Testing

@Suite("A plan of faults")
struct PlanTests {
    @Test("a seed gives the same plan again, another seed another one")
    func replay() {
        let plan = FaultPlan(seed: 7, faults: 50, nodes: 3, pace: .seconds(2))
        #expect(plan == FaultPlan(seed: 7, faults: 50, nodes: 3, pace: .seconds(2)))
        #expect(plan.steps != FaultPlan(seed: 8, faults: 50, nodes: 3, pace: .seconds(2)).steps)
        #expect(plan.steps.count == 50)
        #expect(plan.steps.map(\.at) == plan.steps.map(\.at).sorted())
    }

    @Test("every kind of fault comes in a long plan")
    func kinds() {
        let plan = FaultPlan(seed: 1, faults: 300, nodes: 3, pace: .seconds(2))
        #expect(Set(plan.steps.map(\.fault.kind)).count == 12)
    }
}
