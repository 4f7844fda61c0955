public import NIOCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// One open socket, as its delegate sees it. Bound to its event loop: every call belongs there.
///
/// **When bytes leave.** What is sent while a burst of reads is delivered leaves in one flush at the burst's
/// end, and what is sent in a `batch` at the end of that; anything else leaves at once. (At once, and not at
/// the end of the loop's tick, because fan-out sends one frame per socket and tick: a task per socket would
/// cost more than it joins.)
///
/// After a close frame, in whichever direction, `send` does nothing.
public final class WebSocket {
    /// Up to this size header and payload are copied to one buffer; beyond it the kernel gathers the two.
    private static let joinedPayloadBytesMax = 4096

    public let eventLoop: any EventLoop

    let configuration: WebSocketConfiguration
    var delegate: (any WebSocketDelegate)?
    /// Nil when the handler has left the pipeline.
    var context: ChannelHandlerContext?

    var handshake = CloseHandshake()
    var decoder = FrameDecoder()
    var assembler: MessageAssembler

    var isDelivering = false
    var isReadingPaused = false
    /// The channel wanted to read while reading was paused.
    var isReadHeld = false
    private var isInBurst = false

    private var openBatches = 0
    private var isFlushOwed = false
    /// All that was ever written, to tell whether the kernel takes anything.
    private(set) var bytesWritten = 0
    /// A ping that came while the peer read nothing. Of several only the newest is answered, so they don't
    /// pile up.
    var owedPong: ByteBuffer?

    var silence: SilenceClock
    /// What the kernel had taken when the silence was last looked at.
    var bytesTakenAtLastLook = 0
    var closeFrameSent: EventLoopFuture<Void>?
    private let timerHandler: WebSocketHandler
    private var timer: NIOScheduledCallback?

    init(
        configuration: WebSocketConfiguration, delegate: any WebSocketDelegate,
        context: ChannelHandlerContext, timerHandler: WebSocketHandler
    ) {
        eventLoop = context.eventLoop
        self.configuration = configuration
        self.delegate = delegate
        self.context = context
        self.timerHandler = timerHandler
        assembler = MessageAssembler(
            messageBytesMax: configuration.messageBytesMax, acceptsBinary: configuration.acceptsBinary)
        silence = SilenceClock(
            pingAfter: configuration.pingAfter, silenceMax: configuration.silenceMax,
            now: context.eventLoop.now)
    }

    // MARK: - Sending

    /// False from the first close frame, lost connection or violation on.
    public var isOpen: Bool { handshake.phase == .open }

    /// False while more waits to be sent than the channel's high water mark. Sending is possible nonetheless;
    /// whoever sends bounds what waits.
    public var isWritable: Bool { context?.channel.isWritable ?? false }

    /// For how long the kernel has had the newest bytes of the peer: more than they were known here when the process
    /// was paused. Zero where the system does not say.
    public var newestBytesAge: TimeAmount {
        var age = TimeAmount.zero
        #if os(Linux)
            // Complete at once, for this is the channel's own loop.
            (context?.channel as? any SocketOptionProvider)?.getTCPInfo().assumeIsolated().whenSuccess {
                age = .milliseconds(Int64($0.tcpi_last_data_recv))
            }
        #endif
        return age
    }

    /// Bytes written and not yet taken by the kernel. Asks the channel: for decisions, not for every frame.
    public var bufferedBytes: Int {
        guard let options = context?.channel.syncOptions else { return 0 }
        return (try? options.getOption(.bufferedWritableBytes)) ?? 0
    }

    /// Sends what `WebSocketFrame` made, as it is.
    public func send(frame: ByteBuffer) {
        guard isOpen else { return }
        write(frame)
    }

    /// `text` must be valid UTF-8.
    public func send(text: ByteBuffer) {
        send(.text, text)
    }

    public func send(binary: ByteBuffer) {
        send(.binary, binary)
    }

    /// Sends all that `body` sends in one flush. May be nested.
    public func batch(_ body: () -> Void) {
        openBatches += 1
        body()
        openBatches -= 1
        flushIfOwed()
    }

    private func send(_ opcode: WebSocketOpcode, _ payload: ByteBuffer) {
        guard isOpen else { return }
        if payload.readableBytes <= WebSocket.joinedPayloadBytesMax {
            write(WebSocketFrame.frame(opcode, payload.readableBytesView))
        } else {
            batch {
                write(WebSocketFrame.header(opcode, length: payload.readableBytes))
                write(payload)
            }
        }
    }

    func write(_ bytes: ByteBuffer) {
        guard let context else { return }
        bytesWritten += bytes.readableBytes
        context.write(WebSocketHandler.wrapOutboundOut(bytes), promise: nil)
        isFlushOwed = true
        flushIfOwed()
    }

    private func flushIfOwed() {
        guard isFlushOwed, openBatches == 0, !isInBurst else { return }
        isFlushOwed = false
        context?.flush()
    }

    // MARK: - Reading

    /// No more messages are delivered after this, not even those that have arrived, until `resumeReading`;
    /// TCP makes the peer wait. What arrived is kept: at most what the channel reads at once, and the rest of
    /// the kernel's buffer if the peer goes away. A peer that is not read is not pinged either, unless output
    /// waits and the kernel takes none of it.
    public func pauseReading() {
        guard isOpen else { return }
        isReadingPaused = true
    }

    /// Delivers at once what was held back.
    public func resumeReading() {
        guard isReadingPaused else { return }
        isReadingPaused = false
        silence.heard(at: eventLoop.now)
        if !isDelivering { batch { deliver() } }
        if !isReadingPaused, isReadHeld {
            isReadHeld = false
            context?.read()
        }
    }

    /// Whether the channel's wish to read has to wait.
    func holdsRead() -> Bool {
        if isReadingPaused { isReadHeld = true }
        return isReadingPaused
    }

    func burstBegan() {
        isInBurst = true
    }

    func burstEnded() {
        isInBurst = false
        flushIfOwed()
    }

    // MARK: - Closing

    /// Begins the close handshake: sends a close frame after all that was sent before; the delegate hears
    /// `closed` when the peer has answered, or after `closeTimeout`. Messages that arrive from now on are
    /// discarded. Does nothing if the socket is closing already.
    ///
    /// `reason` is cut off after 123 bytes. A `code` that may not be sent becomes 1011.
    public func close(code: WebSocketCloseCode, reason: String = "") {
        perform(handshake.close(CloseFrame(code: code, reason: reason)))
    }

    // MARK: - Timer

    /// The socket has one timer at a time: for silence while it is open, for the bounded waits after that.
    func setTimer(_ deadline: NIODeadline) {
        timer?.cancel()
        // Fails only on a loop that has shut down, and there nothing is left to time.
        timer = try? eventLoop.assumeIsolated().scheduleCallback(at: deadline, handler: timerHandler)
    }

    func cancelTimer() {
        timer?.cancel()
        timer = nil
    }
}

@available(*, unavailable)
extension WebSocket: Sendable {}
