import ParleyCore
import Testing

extension RoomStoreBehaviour {
    static let history = [
        RoomStoreBehaviour("a page holds what lies between its bounds, the newest, or with `after` the oldest") {
            store in
            var room = try await StoreRoom(store)
            try await room.fill(chunks: 4, of: 3)
            let bounds: [Seq?] = [nil, 0, 1, 2, 5, 6, 11, 12, 13, 14, 100]
            for after in bounds {
                for before in bounds {
                    for limit in [1, 2, 5, 12, 1_000, Int.max] {
                        let page = try await room.history(after: after, before: before, limit: limit)
                        let expected = expectedPage(after: after, before: before, limit: limit, last: room.last)
                        let comment = Comment(rawValue: "after \(after ?? -1) before \(before ?? -1) limit \(limit)")
                        #expect(page.first == 1, comment)
                        #expect(page.body == room.body(page.from, page.to), comment)
                        #expect(page.more == expected.more, comment)
                        if let range = expected.range {
                            #expect(page.from == range.lowerBound, comment)
                            #expect(page.to == range.upperBound, comment)
                        } else {
                            #expect(page.from == page.to + 1, comment)
                        }
                    }
                }
            }
        },
        RoomStoreBehaviour("places that a client made up give an empty page, or all there is") { store in
            var room = try await StoreRoom(store)
            try await room.fill(chunks: 2, of: 2)
            for huge in [Limits.requestIDMax, Seq.max] {
                let after = try await room.history(after: huge)
                #expect(after.body.isEmpty)
                #expect(after.from == after.to + 1)
                #expect(!after.more)
                #expect(try await room.history(before: huge).body == room.body(1, 4))
                #expect(try await room.history(after: 0, before: huge).body == room.body(1, 4))
                #expect(try await room.history(after: huge, before: 1).body.isEmpty)
            }
            #expect(try await room.history(after: -5).body == room.body(1, 4))
            #expect(try await room.history(before: -5).body.isEmpty)
            #expect(try await room.history(after: .min, before: .min).body.isEmpty)
        },
        RoomStoreBehaviour("an empty room has an empty history") { store in
            let room = try await StoreRoom(store)
            for page in [try await room.history(), try await room.history(after: 0), try await room.history(before: 9)]
            {
                #expect(page == HistoryPage(from: 1, to: 0, first: 1, body: [], more: false))
            }
        },
        RoomStoreBehaviour("page after page, forwards and backwards, is the whole history") { store in
            var room = try await StoreRoom(store)
            try await room.fill(chunks: 6, of: 4)
            var (after, pages) = (Seq(0), 0)
            while pages < 50 {
                let page = try await room.history(after: after, limit: 5, bytesMax: 300)
                #expect(page.from == after + 1)
                #expect(page.body == room.body(page.from, page.to))
                #expect(page.body.count <= 300)
                (after, pages) = (page.to, pages + 1)
                #expect(page.more == (after < 24))
                guard page.more else { break }
            }
            #expect(after == 24)
            (pages, after) = (0, 0)
            var before: Seq = 25
            while pages < 50 {
                let page = try await room.history(before: before, limit: 5, bytesMax: 300)
                #expect(page.to == before - 1)
                #expect(page.body == room.body(page.from, page.to))
                #expect(page.body.count <= 300)
                (before, pages) = (page.from, pages + 1)
                #expect(page.more == (before > 1))
                guard page.more else { break }
            }
            #expect(before == 1)
        },
        RoomStoreBehaviour("a change that is larger than a page stands alone on its page") { store in
            var room = try await StoreRoom(store)
            try await room.fill(chunks: 2, of: 3)
            for seq in 1...6 as ClosedRange<Seq> {
                let forwards = try await room.history(after: seq - 1, bytesMax: 10)
                #expect(forwards.from == seq)
                #expect(forwards.to == seq)
                #expect(forwards.body == room.body(seq, seq))
                #expect(forwards.more == (seq < 6))
                let backwards = try await room.history(before: seq + 1, bytesMax: 10)
                #expect(backwards.from == seq)
                #expect(backwards.to == seq)
                #expect(backwards.body == room.body(seq, seq))
                #expect(backwards.more == (seq > 1))
            }
        },
    ]

    /// What a page of a room whose log is 1 to `last` must be.
    private static func expectedPage(
        after: Seq?, before: Seq?, limit: Int, last: Seq
    ) -> (range: ClosedRange<Seq>?, more: Bool) {
        let within = (1...last).filter { $0 > after ?? 0 && $0 < before ?? .max }
        let kept = after == nil ? Array(within.suffix(limit)) : Array(within.prefix(limit))
        guard let from = kept.first, let to = kept.last else { return (nil, false) }
        return (from...to, kept.count < within.count)
    }
}
