import Glibc

/// The database that these tests may use as they like.
let testDatabaseURL =
    getenv("PARLEY_TEST_DATABASE_URL").map { String(cString: $0) }
    ?? "postgresql://postgres@127.0.0.1:54320/pgconn"
