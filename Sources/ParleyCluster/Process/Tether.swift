/// Starts a program that is to notice when this process is gone.
public enum Tether {
    /// Its standard input ends when this process does, in whatever way, and not before. It gets a session of its own, and
    /// what it prints is dropped.
    public static func start(_ command: Command) throws(LocalServiceError) {
        let (reading, writing) = try ProcessFile.pair()
        let nowhere = try ProcessFile(appendingTo: "/dev/null")
        _ = try Child(
            command, lifetime: .daemon, input: reading.number, output: nowhere.number, errors: nowhere.number)
        // The other end is never closed by intent: that is the kernel's part. No other program inherits it.
        _ = Unmanaged.passRetained(writing)
    }
}
