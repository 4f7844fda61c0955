import CZlib

/// Bytes as a gzip file (RFC 1952): for what is compressed once and sent often, so as small as it gets.
enum Gzip {
    /// nil when zlib cannot; then the bytes are sent as they are.
    static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        var stream = z_stream()
        guard parley_gzip_init(&stream) == Z_OK else { return nil }
        defer { deflateEnd(&stream) }
        // zlib promises not to write there, but its type says that it may.
        var input = bytes
        var output = [UInt8](repeating: 0, count: Int(deflateBound(&stream, UInt(bytes.count))))
        let result = input.withUnsafeMutableBufferPointer { input in
            output.withUnsafeMutableBufferPointer { output in
                stream.next_in = input.baseAddress
                stream.avail_in = UInt32(input.count)
                stream.next_out = output.baseAddress
                stream.avail_out = UInt32(output.count)
                return deflate(&stream, Z_FINISH)
            }
        }
        guard result == Z_STREAM_END else { return nil }
        return Array(output.prefix(Int(stream.total_out)))
    }
}
