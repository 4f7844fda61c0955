public import ParleyCluster

extension TCPPort {
    /// The first of so many free ports in a row.
    public static func free(inARow count: UInt16) throws -> UInt16 {
        for _ in 0..<100 {
            let port = try TCPPort.free()
            if port < 65_000, (port..<port + count).allSatisfy(TCPPort.isFree) { return port }
        }
        throw LocalServiceError(.failed, "no \(count) free ports in a row")
    }
}
