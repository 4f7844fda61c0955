/// SQL that shows what Parley can do, for databases whose owners want it.
public struct Example: Sendable, Hashable {
    public let name: String
    /// Where all of it is.
    public let schema: String
    public let sql: String

    /// The rule of the game at `/cells`.
    public static let game = Example(
        name: "board-game", schema: "board", sql: String(decoding: PackageResources.board_game_sql, as: UTF8.self))
}
