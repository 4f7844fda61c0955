import NIOCore
import NIOEmbedded

@testable import ParleyWebSocket

/// Writes down what it is told, and answers as it is told to.
final class RecordingDelegate: WebSocketDelegate {
    enum Event: Equatable {
        case opened
        case text(String)
        case binary([UInt8])
        case writable(Bool)
        case closed(WebSocketEnd)
    }
    var events: [Event] = []
    var socket: WebSocket?
    var onText: (WebSocket, String) -> Void = { _, _ in }

    func opened(_ socket: WebSocket) {
        self.socket = socket
        events.append(.opened)
    }
    func received(text: ByteBuffer) {
        let text = String(buffer: text)
        events.append(.text(text))
        if let socket { onText(socket, text) }
    }
    func received(binary: ByteBuffer) { events.append(.binary(Array(binary.readableBytesView))) }
    func writabilityChanged(isWritable: Bool) { events.append(.writable(isWritable)) }
    func closed(_ end: WebSocketEnd) { events.append(.closed(end)) }

    var ends: [WebSocketEnd] {
        events.compactMap { event in
            if case .closed(let end) = event { end } else { nil }
        }
    }
}

/// Stands for the socket below the handler: counts flushes and reads, and can half-close, which an embedded
/// channel cannot.
final class TransportProbe: ChannelOutboundHandler {
    typealias OutboundIn = ByteBuffer
    var flushes = 0
    var reads = 0
    var isOutputEnded = false
    /// Keeps what is written from being sent.
    var isStuck = false

    func flush(context: ChannelHandlerContext) {
        flushes += 1
        if !isStuck { context.flush() }
    }
    func read(context: ChannelHandlerContext) {
        reads += 1
        context.read()
    }
    func close(context: ChannelHandlerContext, mode: CloseMode, promise: EventLoopPromise<Void>?) {
        switch mode {
        case .output:
            isOutputEnded = true
            promise?.succeed()
        case .input, .all: context.close(mode: mode, promise: promise)
        }
    }
}

/// One socket on an embedded channel.
struct HandlerHarness {
    let channel: EmbeddedChannel
    let probe = TransportProbe()
    let delegate = RecordingDelegate()

    init(_ configuration: WebSocketConfiguration = WebSocketConfiguration()) throws {
        channel = EmbeddedChannel()
        try channel.pipeline.syncOperations.addHandler(probe)
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
        try channel.pipeline.syncOperations.addHandler(
            WebSocketHandler(configuration: configuration, delegate: delegate))
    }

    var socket: WebSocket {
        get throws {
            guard let socket = delegate.socket else { throw ChannelError.inappropriateOperationForState }
            return socket
        }
    }

    func receive(_ bytes: [UInt8]) throws {
        try channel.writeInbound(ByteBuffer(bytes: bytes))
        channel.embeddedEventLoop.run()
    }

    /// All that has left, frame by frame.
    func sent() throws -> [[UInt8]] {
        var bytes = ByteBuffer()
        while var part = try channel.readOutbound(as: ByteBuffer.self) { bytes.writeBuffer(&part) }
        var frames: [[UInt8]] = []
        while let second: UInt8 = bytes.getInteger(at: bytes.readerIndex + 1) {
            let (header, length) =
                switch second {
                case 127: (10, Int(bytes.getInteger(at: bytes.readerIndex + 2, as: UInt64.self) ?? 0))
                case 126: (4, Int(bytes.getInteger(at: bytes.readerIndex + 2, as: UInt16.self) ?? 0))
                default: (2, Int(second))
                }
            guard let frame = bytes.readBytes(length: header + length) else { break }
            frames.append(frame)
        }
        return frames
    }

    func loseInput() {
        channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        channel.embeddedEventLoop.run()
    }

    func setWritable(_ isWritable: Bool) {
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
    }

    func advance(by time: TimeAmount) { channel.embeddedEventLoop.advanceTime(by: time) }
}

func textFrame(_ text: String) -> [UInt8] { Array(WebSocketFrame.text(Array(text.utf8)).readableBytesView) }
func closeFrame(_ code: UInt16?, _ reason: String = "") -> [UInt8] {
    let close = CloseFrame(code: code.map { WebSocketCloseCode(rawValue: $0) }, reason: reason)
    return Array(WebSocketFrame.close(close).readableBytesView)
}
