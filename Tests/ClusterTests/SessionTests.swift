import ParleyCluster
import TestPostgres
import Testing

/// How long a session can be taken up, and what proves it.
@Suite("Sessions", .heavy)
struct SessionTests {
    @Test("a session can be taken up for its time after its last socket, however long that was open")
    func age() async throws {
        let nodes = try await Design.notify.nodes(["--session-ms", "2000", "--grace-ms", "100"])
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        // The token is older than a session lasts, the socket is not gone.
        try await Task.sleep(for: .milliseconds(2_100))
        await ann.drop()
        let again = try await TestClient.connect(to: nodes[1], session: ann.session)
        #expect(await again.hello["resumed"]?.bool == true)
        #expect(await again.clientID == (await ann.clientID))

        await again.drop()
        try await Task.sleep(for: .milliseconds(2_300))
        for token in [await ann.session, await again.session] {
            let late = try await TestClient.connect(to: nodes[2], session: token)
            #expect(await late.hello["resumed"]?.bool == false)
            #expect(await late.clientID != (await ann.clientID))
        }
        for node in nodes { await node.kill() }
    }

    @Test("of a node that died, its death is the end of its sockets")
    func deadNode() async throws {
        let nodes = try await Design.notify.nodes(["--session-ms", "1000", "--grace-ms", "100", "--lease-ms", "1000"])
        let ann = try await TestClient.connect(to: nodes[0])
        let room = try await ann.create()
        try await ann.join(room)
        try await Task.sleep(for: .milliseconds(1_100))
        await nodes[0].kill()
        let again = try await TestClient.connect(to: nodes[1], session: ann.session)
        #expect(await again.hello["resumed"]?.bool == true)
        for node in nodes { await node.kill() }
    }

    @Test("a new signing key is used by all nodes without a restart, and tokens of the old one still count")
    func rotation() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("keys")
        let nodes = try await Design.nodes(of: try server.url(database: "keys"), count: 2)
        var ann = try await TestClient.connect(to: nodes[0])
        // As in docs/OPERATIONS.md.
        _ = try await server.query(
            """
            INSERT INTO parley.signing_key (key_no, key)
            SELECT max(key_no) + 1,
                sha256(convert_to(concat(gen_random_uuid(), gen_random_uuid(), gen_random_uuid()), 'UTF8'))
            FROM parley.signing_key
            """, database: "keys")
        // What no key has signed makes a node look for keys.
        let forged = try await TestClient.connect(to: nodes[0], session: "AgAAAAIAAAA.AAAA")
        #expect(await forged.hello["resumed"]?.bool == false)
        for node in [0, 1, 0] {
            let next = try await TestClient.connect(to: nodes[node], session: ann.session)
            #expect(await next.hello["resumed"]?.bool == true)
            #expect(await next.clientID == (await ann.clientID))
            #expect(await next.session.hasPrefix("AwAAAAI"), "signed with the second key")
            ann = next
        }
        for node in nodes { await node.kill() }
        _ = try await server.stop(.immediate)
    }
}
