import NIOCore
import ParleyCore
import ParleyWire
import Testing

/// How the frames of the fixtures come about, by the fixtures' names.
struct ServerFrameFixtures {
    private let ann: ClientID
    private let bob: ClientID
    private let cyd: ClientID
    private let room: RoomID
    private let other: RoomID
    private let made: RoomID

    init() throws {
        ann = try #require(FrameFixtures.clientID)
        bob = try #require(ClientID("b0b0b0b0b0b0b0b0"))
        cyd = try #require(ClientID("c0c0c0c0c0c0c0c0"))
        room = try #require(RoomID("r"))
        other = try #require(RoomID("q"))
        made = try #require(RoomID("k3v9t2m8qf0a"))
    }

    private var annMember: Member { Member(clientID: ann, profile: Array(#"{"name":"Ann"}"#.utf8)) }
    private var bobMember: Member { Member(clientID: bob, userID: "u7") }
    private var first: [UInt8] {
        encodedChange(
            clientID: ann, userID: nil, id: 3, at: 1_732_350_000_123, .message(Array(#"{"text":"hi"}"#.utf8)))
    }
    private var second: [UInt8] {
        Array(#"{"clientId":"\#(bob.text)","userId":"u7","at":1732350000124,"set":{"score":3}}"#.utf8)
    }
    private var third: [UInt8] {
        encodedChange(clientID: ann, userID: nil, id: 5, at: 1_732_350_000_126, .message(Array(#""again""#.utf8)))
    }

    private func run(_ from: Seq, _ changes: [UInt8]..., tag: ParleyCore.Tag = ParleyCore.Tag(bitPattern: 0x9f3c_21ab))
        -> Run
    {
        Run(
            from: from, to: from + Seq(changes.count) - 1, tag: tag,
            body: Array(changes.joined(separator: [UInt8(ascii: ",")])))
    }

    private func snapshot(
        _ runs: [Run], end: Position, continuity: Snapshot.Continuity = .continues
    ) -> Snapshot {
        Snapshot(head: end, runs: runs, continuity: continuity, end: end)
    }

    private func connect(isResumed: Bool, rooms: [(id: RoomID, marks: Marks, seq: Seq)]) -> ByteBuffer {
        ServerFrame.connect(
            clientID: ann, session: "c2Vzc2lvbg.dG9rZW4", isResumed: isResumed, node: "n1", heartbeatMs: 10_000,
            graceMs: 15_000, sessionMs: 86_400_000, rooms: rooms, limits: Limits())
    }

    private func joinReply(
        id: Int64? = 2, count: Int, clients: [Member]?, marks: Marks = Marks(), _ snapshot: Snapshot,
        withValues: Bool = true
    ) -> ByteBuffer {
        ServerFrame.joinReply(
            id: id, roomID: room, clientID: ann, count: count, clients: clients, marks: marks, snapshot: snapshot,
            withValues: withValues)
    }

    var frames: [String: ByteBuffer] {
        let end = Position(seq: 120, tag: ParleyCore.Tag(bitPattern: 0x9f3c_21ab))
        let empty = snapshot([], end: Position(seq: 0, tag: 1))
        let newest = [run(120, third)]
        let marks = Marks(lastID: 5)
        var frames: [String: ByteBuffer] = [
            "connect": connect(isResumed: false, rooms: []),
            "connect, resumed": connect(
                isResumed: true,
                rooms: [(room, Marks(lastID: 12, refused: [9, 11]), 120), (other, Marks(), 0)]),
            "create, made": ServerFrame.createReply(id: 1, roomID: made, created: true),
            "create, was there": ServerFrame.createReply(id: nil, roomID: made, created: false),
            "join, the reply": joinReply(
                count: 2, clients: [annMember, bobMember], marks: Marks(lastID: 5, refused: [4]),
                snapshot([run(118, first, second), run(120, third)], end: end)),
            "join, the reply of an empty room": joinReply(
                id: nil, count: 1, clients: [Member(clientID: ann)], empty),
            "join, the reply that continues": joinReply(
                count: 2_500, clients: nil, marks: marks, snapshot(newest, end: end), withValues: false),
            "join, the reply that resets": joinReply(
                count: 2_500, clients: nil, marks: marks, snapshot(newest, end: end, continuity: .reset)),
            "join, the reply of another timeline": joinReply(
                count: 1, clients: nil, snapshot([], end: Position(seq: 0, tag: -1), continuity: .diverged)),
            "join, a fresh copy for one who is too far behind": ServerFrame.resetJoin(
                roomID: room, count: 2, clients: [annMember, bobMember],
                snapshot: snapshot(newest, end: end, continuity: .reset)),
            "join, others came": ServerFrame.presenceJoined(
                roomID: room, count: 2, joined: [bobMember], clients: [annMember, bobMember]),
            "join, others came to a large room": ServerFrame.presenceJoined(
                roomID: room, count: 2_500, joined: [bobMember], clients: nil),
            "leave, others went": ServerFrame.presenceLeft(
                roomID: room, left: [bob], count: 1, clients: [annMember]),
            "leave, others went from a large room": ServerFrame.presenceLeft(
                roomID: room, left: [bob, cyd], count: 2_498, clients: nil),
            "leave, the reply": ServerFrame.leaveReply(id: 8, roomID: room, reason: .left, lastID: 7),
            "leave, one was removed": ServerFrame.leaveReply(id: nil, roomID: room, reason: .removed, lastID: 7),
            "leave, the room was closed": ServerFrame.leaveReply(id: nil, roomID: room, reason: .closed, lastID: 0),
            "update": ServerFrame.update(
                roomID: room, runs: [run(118, first, second), run(120, third)], position: end),
            "update of one change": ServerFrame.update(
                roomID: room, runs: [run(1, Array(#"{"message":null}"#.utf8), tag: 0)],
                position: Position(seq: 1, tag: 0)),
            "update with a change that a rule has added to": ServerFrame.update(
                roomID: room,
                runs: [
                    run(
                        1,
                        Array(
                            #"{"clientId":"\#(ann.text)","id":1,"at":1732350000123,"message":"mine","set":{"3,4":"red"}}"#
                                .utf8), tag: 0x7f)
                ],
                position: Position(seq: 1, tag: 0x7f)),
            "update with a change that is to be skipped": ServerFrame.update(
                roomID: room,
                runs: [
                    run(
                        7, Array(#"{"clientId":"\#(ann.text)","at":1732350000123}"#.utf8),
                        Array(#"{"newer":{"kind":1}}"#.utf8), third, tag: 0x7f)
                ],
                position: Position(seq: 9, tag: 0x7f)),
            "ack": ServerFrame.ack(id: 3, roomID: room),
            "history, the reply": ServerFrame.historyReply(
                id: 6, roomID: room,
                page: HistoryPage(from: 118, to: 119, first: 1, body: run(118, first, second).body, more: true)),
            "history, nothing there": ServerFrame.historyReply(
                id: nil, roomID: room, page: HistoryPage(from: 1, to: 0, first: 1, body: [], more: false)),
            "members, the reply": ServerFrame.membersReply(
                id: 7, roomID: room, count: 2_500, clients: [annMember, bobMember], more: true),
            "members, no more": ServerFrame.membersReply(id: nil, roomID: room, count: 2, clients: [], more: false),
            "ping, the reply": ServerFrame.ping(id: 9, at: 1_732_350_000_123),
            "ping, the reply without id": ServerFrame.ping(id: nil, at: 1_732_350_000_123),
            "error without id and room": ServerFrame.error(
                RequestError(.badRequest, "text for a person"), id: nil, roomID: nil),
            "error, text that needs escapes": ServerFrame.error(
                RequestError(.roomNotFound, #"a "quoted" \ word"#), id: nil, roomID: "\0\u{1f}/é\u{2028}"),
        ]
        for code in RequestError.Code.allCases {
            frames["error, \(code.rawValue)"] = ServerFrame.error(
                RequestError(code, "text for a person"), id: 3, roomID: room.text)
        }
        return frames
    }
}
