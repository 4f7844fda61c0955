/// Which of the open brackets are braces. The first 64 cost no memory of their own.
struct Nesting {
    private var recent: UInt64 = 0
    private var older: [UInt64] = []
    private(set) var depth = 0

    var top: Bool { recent & 1 == 1 }

    mutating func push(_ isObject: Bool) {
        if depth > 0, depth % 64 == 0 { older.append(recent) }
        recent = recent << 1 | (isObject ? 1 : 0)
        depth += 1
    }

    mutating func pop() {
        depth -= 1
        recent = depth > 0 && depth % 64 == 0 ? older.removeLast() : recent >> 1
    }
}
