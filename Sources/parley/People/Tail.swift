import ArgumentParser
import Foundation
import NIOCore
import ParleyClient
import UnixSignals

struct Tail: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show a room's messages as they come, like `tail -f`. It counts as a member meanwhile.",
        discussion: """
            Each message is shown once and in order, also when the node dies: then it goes on at the next one, or behind the \
            same load balancer. Ends with 0 when it is told to (Control-C), and with 69 when no node is there from the start.
            """)

    @Argument(help: "The room's id.")
    var room: String
    @OptionGroup var node: NodeOption
    @Option(name: [.customShort("n"), .long], help: "How many of the newest messages to begin with.")
    var recent = 10

    func run() async throws {
        let addresses = try node.addresses(room: room)
        let (states, feed) = AsyncStream.makeStream(of: ClientState.self, bufferingPolicy: .bufferingNewest(100))
        let client = ParleyClient.connect(addresses, handlers: ClientHandlers(onState: { feed.yield($0) }))
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm)
        try await withThrowingTaskGroup { group in
            group.addTask { try await watch(states, addresses) }
            group.addTask { try await show(client) }
            group.addTask { for await _ in signals { return } }
            let first = await group.nextResult()
            // Whoever waits for a node hears that none will come.
            await client.close()
            group.cancelAll()
            try first?.get()
        }
    }

    /// Returns never, but throws when it is of no use to go on.
    private func watch(_ states: AsyncStream<ClientState>, _ addresses: [NodeAddress]) async throws {
        var tries = 0
        var wasOpen = false
        for await state in states {
            switch state {
            case .connecting: break
            case .open(let node, _, _):
                if wasOpen { note("goes on at \(node)") }
                wasOpen = true
            case .waiting(let reason):
                tries += 1
                if wasOpen {
                    note("\(reason); trying again")
                } else if tries >= addresses.count {
                    let names = addresses.map { "\($0)" }.joined(separator: ", ")
                    throw fail("\(names): \(reason); is a node running there? (--url)", code: 69)
                }
            case .closed(.asked): return
            case .closed(let end): throw fail("the node does not let this client go on: \(end)", code: 69)
            }
        }
    }

    private func note(_ text: String) { FileHandle.standardError.write(Data("parley: \(text)\n".utf8)) }

    private func show(_ client: ParleyClient) async throws {
        let joined: ClientRoom
        do throws(ClientError) {
            joined = try await client.join(
                room, profile: #"{"name":"parley tail"}"#, recent: recent, presence: false)
        } catch .notSent {
            return
        } catch {
            throw fail("\(room): \(error)", code: 1)
        }
        for await event in joined.events {
            switch event {
            case .joined(let state), .reset(let state): show(state.changes)
            case .changes(let changes): show(changes)
            case .members: break
            case .ended(.clientClosed): return
            case .ended(let end): throw fail("\(room): \(end)", code: 1)
            }
        }
    }

    private func show(_ changes: [Change]) {
        for change in changes {
            let text = change.message.map { Payload.text(of: $0) } ?? ""
            // Unbuffered, for a pipe behind it is to get each as it comes.
            FileHandle.standardOutput.write(Data("\(change.seq)  \(change.clientID ?? "-")  \(text)\n".utf8))
        }
    }
}
