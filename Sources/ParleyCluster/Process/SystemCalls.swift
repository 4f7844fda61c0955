// One place chooses the C library: the rest of the module says `import Foundation` and calls these.
#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// A failed system call, as the C library words it.
func systemReason(_ code: Int32 = errno) -> String {
    // strerror gives a C string that stays valid until the next call on this thread; it is copied at once.
    guard let text = strerror(code) else { return "error \(code)" }
    return String(cString: text)
}
