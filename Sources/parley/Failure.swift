import ArgumentParser
import Foundation

/// One line on standard error, and the exit code to throw.
func fail(_ text: String, code: Int32) -> ExitCode {
    FileHandle.standardError.write(Data("parley: \(text)\n".utf8))
    return ExitCode(code)
}
