public import NIOCore
public import ParleyCore

extension ClientFrame {
    /// Reads one message of a client: valid UTF-8, at most `limits.frameBytes`.
    ///
    /// - Parameter clientID: whose connection it is; a frame that names another is refused.
    /// - Throws: the answer for the client. The connection lives on.
    public static func parse(
        _ message: ByteBuffer, clientID: ClientID, limits: Limits
    ) throws(FrameRejection) -> ClientFrame {
        // The pointer ends with the closure. Nothing that holds it leaves: a frame and a rejection hold copies.
        let result: Result<ClientFrame, FrameRejection> = message.withUnsafeReadableBytes { raw in
            raw.withMemoryRebound(to: UInt8.self) { bytes in
                do throws(FrameRejection) {
                    return .success(try parse(bytes, clientID: clientID, limits: limits))
                } catch {
                    return .failure(error)
                }
            }
        }
        return try result.get()
    }

    private static func parse(
        _ bytes: UnsafeBufferPointer<UInt8>, clientID: ClientID, limits: Limits
    ) throws(FrameRejection) -> ClientFrame {
        var members = FrameMembers(bytes)
        do throws(JSONScanner.Fault) {
            try members.readWholeText()
        } catch {
            let reason = "not a JSON object as a frame must be: \(error.reason), at byte \(error.offset)"
            throw FrameRejection(RequestError(.badRequest, reason), members)
        }
        do throws(RequestError) {
            return try RequestReader(members: members, limits: limits).frame(clientID: clientID)
        } catch {
            throw FrameRejection(error, members)
        }
    }
}

extension FrameRejection {
    /// Names the request by what could be read of it.
    fileprivate init(_ error: RequestError, _ members: FrameMembers) {
        let id = members["id"].flatMap(members.requestID)
        let method = members["method"].flatMap(members.text)
        self.init(
            error: error, id: id, roomID: members["roomId"].flatMap(members.text),
            settlesID: id != nil && (method == "message" || method == "set") && error.leavesMark)
    }
}

extension RequestError {
    /// Whether the id that it answers is used up. The protocol leaves out errors that say nothing of the request itself.
    fileprivate var leavesMark: Bool {
        switch code {
        case .badRequest, .tooLarge, .refusedBefore, .conflict, .unauthorized, .forbidden: true
        case .clientMismatch, .roomNotFound, .notJoined, .roomExists, .unknownMethod, .rateLimited, .unavailable: false
        }
    }
}
