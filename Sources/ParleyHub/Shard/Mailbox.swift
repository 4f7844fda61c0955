import NIOConcurrencyHelpers
import NIOCore

/// Hands values to one event loop in order, with one wake-up for all that come before the loop gets to them.
///
/// Bounded by what fills it: broadcasts by the ticks of the rooms, answers by what is in flight.
final class Mailbox<Message: Sendable>: Sendable {
    private let waiting = NIOLockedValueBox<[Message]>([])
    private let loop: any EventLoop
    private let open: @Sendable ([Message]) -> Void

    init(loop: any EventLoop, open: @escaping @Sendable ([Message]) -> Void) {
        self.loop = loop
        self.open = open
    }

    func post(_ message: Message) {
        let isFirst = waiting.withLockedValue { waiting in
            waiting.append(message)
            return waiting.count == 1
        }
        guard isFirst else { return }
        loop.execute {
            let messages = self.waiting.withLockedValue { waiting in
                defer { waiting = [] }
                return waiting
            }
            self.open(messages)
        }
    }
}
