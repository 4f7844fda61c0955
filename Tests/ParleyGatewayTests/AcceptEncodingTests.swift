import Testing

@testable import ParleyGateway

@Suite("Accept-Encoding")
struct AcceptEncodingTests {
    @Test(
        "gzip where it is taken and not less gladly than nothing",
        arguments: [
            ([], false), ([""], false), (["gzip"], true), (["deflate, GZip;q=0.5"], true), (["deflate", "gzip"], true),
            (["x-gzip"], true), (["*"], true), (["br;q=1.0, *;q=0.1"], true), (["identity"], false), (["br"], false),
            (["gzip;q=0"], false), (["gzip; q=0.000, *"], false), (["*;q=0"], false), (["gzip;q=much"], false),
            (["gzip;q=2"], false), (["identity;q=0.5, gzip;q=0.2"], false), (["identity;q=0.5, gzip;q=0.8"], true),
            ([";;,,;q=1"], false),
        ] as [([String], Bool)])
    func prefersGzip(values: [String], isPreferred: Bool) {
        #expect(AcceptEncoding(values).prefersGzip == isPreferred)
    }
}
