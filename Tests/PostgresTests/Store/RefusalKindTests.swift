import Testing

@testable import ParleyPostgres

@Suite("What a refusal of the database is about")
struct RefusalKindTests {
    private func refusal(_ sqlState: String) -> PostgresError {
        .server(sqlState: sqlState, message: "no", detail: nil, hint: nil, constraint: nil)
    }

    @Test("a rule is blamed for what its commit raises, and for nothing that passes by itself")
    func rules() {
        for state in ["P0001", "0A000", "42501", "23514", "22012"] { #expect(refusal(state).isByARule, "\(state)") }
        for state in ["40001", "42883", "42P01", "42703", "53200", "55P03", "57P01", "58030", "XX000", "25006"] {
            #expect(!refusal(state).isByARule, "\(state)")
        }
        #expect(!PostgresError.closed.isByARule)
    }
}
