import Foundation

/// Where settings come from when the command line does not say: the environment, then a file of `PARLEY_NAME=value`
/// lines, the form that service managers read too.
public struct Settings: Sendable {
    private let environment: [String: String]
    private let file: [String: String]

    public struct Problem: Error, CustomStringConvertible {
        public let description: String
    }

    public init(environment: [String: String], file path: String?) throws(Problem) {
        self.environment = environment
        guard let path else {
            file = [:]
            return
        }
        let text: String
        do {
            text = try String(contentsOfFile: path, encoding: .utf8)
        } catch {
            throw Problem(description: "the configuration file \(path) cannot be read: \(error.localizedDescription)")
        }
        var values: [String: String] = [:]
        for (index, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let line = line.trimmingCharacters(in: .whitespaces)
            if line.isEmpty || line.hasPrefix("#") { continue }
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2, parts[0].hasPrefix("PARLEY_") else {
                throw Problem(description: "\(path), line \(index + 1): expected PARLEY_NAME=value")
            }
            values[parts[0].trimmingCharacters(in: .whitespaces)] =
                parts[1].trimmingCharacters(in: .whitespaces).trimmingCharacters(in: ["\""])
        }
        file = values
    }

    /// The value of an option, `database-url` as `PARLEY_DATABASE_URL`.
    public func text(_ option: String) -> String? {
        let name = Self.name(of: option)
        return environment[name] ?? file[name]
    }

    public func integer(_ option: String) throws(Problem) -> Int? {
        guard let text = text(option) else { return nil }
        guard let value = Int(text) else {
            throw Problem(description: "\(Self.name(of: option)) is \"\(text)\"; it must be a whole number")
        }
        return value
    }

    public func flag(_ option: String) throws(Problem) -> Bool? {
        guard let text = text(option) else { return nil }
        switch text.lowercased() {
        case "1", "true", "yes", "on": return true
        case "0", "false", "no", "off", "": return false
        default: throw Problem(description: "\(Self.name(of: option)) is \"\(text)\"; it must be 1 or 0")
        }
    }

    public func choice<Choice: RawRepresentable & CaseIterable>(_ option: String, _ type: Choice.Type)
        throws(Problem) -> Choice? where Choice.RawValue == String
    {
        guard let text = text(option) else { return nil }
        guard let value = Choice(rawValue: text) else {
            let choices = Choice.allCases.map(\.rawValue).joined(separator: ", ")
            throw Problem(description: "\(Self.name(of: option)) is \"\(text)\"; it must be one of: \(choices)")
        }
        return value
    }

    private static func name(of option: String) -> String {
        "PARLEY_" + option.uppercased().replacing("-", with: "_")
    }
}
