internal import CLibpq

/// The answer to one statement. Nothing is converted before it is asked for; the server's bytes live as long as the
/// last `Rows` or `Row` that refers to them.
public struct Rows: Sendable {
    let result: CompletedResult
    public let count: Int

    init(_ result: CompletedResult) {
        self.result = result
        self.count = Int(PQntuples(result.pointer))
    }

    /// How many rows the statement touched (INSERT, UPDATE, DELETE, MERGE) or returned (SELECT); 0 for others.
    public var affected: Int {
        guard let text = PQcmdTuples(result.pointer) else { return 0 }
        return Int(String(cString: text)) ?? 0
    }

    public var first: Row? { isEmpty ? nil : self[0] }
}

extension Rows: RandomAccessCollection {
    public var startIndex: Int { 0 }
    public var endIndex: Int { count }

    public subscript(index: Int) -> Row {
        precondition((0..<count).contains(index), "there is no row \(index) of \(count)")
        return Row(result: result, index: Int32(index))
    }
}

/// Owns a result and frees it.
///
/// Unchecked, because the compiler cannot see into the pointer: a PGresult is never written after `PQgetResult` has
/// returned it (nothing in this module calls the few functions that would), libpq's accessors only read it and may
/// run in several threads at once, it refers to nothing in its PGconn, and `PQclear` runs once, when the last
/// reference is gone and so no reader is left.
final class CompletedResult: @unchecked Sendable {
    let pointer: OpaquePointer

    init(owning pointer: OpaquePointer) { self.pointer = pointer }

    deinit { PQclear(pointer) }
}
