/// The version of Parley, as `--version` and `parley.nodes` show it.
public let parleyVersion = "0.1.0"
