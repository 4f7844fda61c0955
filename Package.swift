// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
]

let nio = Target.Dependency.product(name: "NIOCore", package: "swift-nio")
let nioPosix = Target.Dependency.product(name: "NIOPosix", package: "swift-nio")
let nioHTTP = Target.Dependency.product(name: "NIOHTTP1", package: "swift-nio")
let nioLocks = Target.Dependency.product(name: "NIOConcurrencyHelpers", package: "swift-nio")
let nioEmbedded = Target.Dependency.product(name: "NIOEmbedded", package: "swift-nio")
let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let lifecycle = Target.Dependency.product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let unixSignals = Target.Dependency.product(name: "UnixSignals", package: "swift-service-lifecycle")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")
let hummingbird = Target.Dependency.product(name: "Hummingbird", package: "hummingbird")
let hummingbirdCore = Target.Dependency.product(name: "HummingbirdCore", package: "hummingbird")
let nioHTTPTypes = Target.Dependency.product(name: "NIOHTTPTypes", package: "swift-nio-extras")
let nioHTTPTypesHTTP1 = Target.Dependency.product(name: "NIOHTTPTypesHTTP1", package: "swift-nio-extras")
let httpTypes = Target.Dependency.product(name: "HTTPTypes", package: "swift-http-types")
let histogram = Target.Dependency.product(name: "Histogram", package: "hdrhistogram-swift")
let collections = Target.Dependency.product(name: "DequeModule", package: "swift-collections")
let crypto = Target.Dependency.product(name: "Crypto", package: "swift-crypto")

// Arrows point down only: no target may import one that is listed above it, but for the tests.
let package = Package(
    name: "parley",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "ParleyClient", targets: ["ParleyClient"]),
        .executable(name: "parley", targets: ["parley"]),
        .executable(name: "websocket-echo", targets: ["websocket-echo"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras.git", from: "1.34.0"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.7.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.14.0"),
        .package(url: "https://github.com/apple/swift-collections.git", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-crypto.git", from: "4.0.0"),
        .package(url: "https://github.com/apple/swift-argument-parser.git", from: "1.7.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird.git", from: "2.28.0"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift.git", from: "0.2.0"),
    ],
    targets: [
        .executableTarget(
            name: "parley",
            dependencies: [
                "ParleyServer", "ParleyClient", "ParleyCluster", "ParleyCore", "ParleyPostgres", "ParleySchema",
                arguments, histogram, logging, nio, nioPosix, nioLocks, unixSignals,
            ], swiftSettings: strict),
        .executableTarget(
            name: "websocket-echo", dependencies: ["ParleyWebSocket", arguments, nio, nioPosix, nioHTTP],
            swiftSettings: strict),
        .target(
            name: "ParleyServer",
            dependencies: [
                "ParleyCore", "ParleyHub", "ParleyGateway", "ParleyPostgres", "ParleyMemory", "ParleySchema",
                "ParleyWebSocket",
                nio, nioPosix, nioLocks, logging, lifecycle, unixSignals, hummingbird, hummingbirdCore,
            ], swiftSettings: strict),
        .target(
            name: "ParleyGateway",
            dependencies: [
                "ParleyCore", "ParleyWire", "ParleyWebSocket", "ParleyHub", "CZlib",
                nio, nioHTTP, nioHTTPTypes, nioHTTPTypesHTTP1, httpTypes, nioLocks, logging, crypto, collections,
                hummingbird, hummingbirdCore,
            ], resources: [.embedInCode("Web/Page")], swiftSettings: strict),
        .target(
            name: "ParleyClient",
            dependencies: [
                "ParleyCore", "ParleyWire",
                nio, nioPosix, nioHTTP, .product(name: "NIOWebSocket", package: "swift-nio"), nioLocks, collections,
            ],
            swiftSettings: strict),
        .target(name: "ParleyCluster", swiftSettings: strict),
        .target(
            name: "ParleyHub",
            dependencies: ["ParleyCore", "ParleyWire", nio, nioLocks, logging, collections],
            swiftSettings: strict),
        .target(
            name: "ParleyPostgres",
            dependencies: ["ParleyCore", "ParleySchema", "CLibpq", nioLocks, logging, collections, crypto],
            swiftSettings: strict),
        .target(name: "ParleyMemory", dependencies: ["ParleyCore", nioLocks], swiftSettings: strict),
        .target(
            name: "ParleyWire", dependencies: ["ParleyCore", nio], swiftSettings: strict),
        .target(
            name: "ParleyWebSocket", dependencies: [nio, nioHTTP], swiftSettings: strict),
        .target(name: "ParleyCore", swiftSettings: strict),
        // The SQL stands at the top level, where people look for it, and travels inside the executable.
        .target(
            name: "ParleySchema", path: "sql", exclude: ["schema.sql"],
            resources: [.embedInCode("migrations"), .embedInCode("board-game.sql")], swiftSettings: strict),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLibpq", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),

        // Not a test itself: random numbers that a seed gives again.
        .target(name: "TestRandom", path: "Tests/TestRandom", swiftSettings: strict),
        .testTarget(name: "ParleyCoreTests", dependencies: ["TestRandom", "ParleyCore"], swiftSettings: strict),
        .testTarget(
            name: "ParleyWebSocketTests",
            dependencies: ["TestRandom", "ParleyWebSocket", nio, nioHTTP, nioEmbedded, nioPosix],
            swiftSettings: strict),
        .testTarget(
            name: "ParleyWireTests", dependencies: ["TestRandom", "ParleyWire", "ParleyCore", nio],
            swiftSettings: strict),
        .testTarget(
            name: "ParleyClientTests", dependencies: ["ParleyClient", "ParleyCore", nio, nioPosix, nioLocks],
            swiftSettings: strict),
        // Not a test itself: what every store of rooms keeps to.
        .target(
            name: "TestRoomStore", dependencies: ["TestRandom", "ParleyCore"], path: "Tests/TestRoomStore",
            swiftSettings: strict),
        .testTarget(
            name: "ParleyMemoryTests", dependencies: ["ParleyMemory", "ParleyCore", "TestRoomStore"],
            swiftSettings: strict),
        .testTarget(
            name: "ParleyHubTests",
            dependencies: ["TestRandom", "ParleyHub", "ParleyMemory", "ParleyCore", nio, nioPosix, nioLocks, logging],
            swiftSettings: strict),
        .testTarget(
            name: "SimulationTests",
            dependencies: [
                "TestRandom", "ParleyHub", "ParleyPostgres", "ParleyMemory", "ParleyWire", "ParleyCore", nio,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ParleyGatewayTests",
            dependencies: [
                "TestRandom",
                "ParleyGateway", "ParleyHub", "ParleyMemory", "ParleyCore", "ParleyWebSocket", "CZlib", nio, nioPosix,
                nioHTTP,
                nioEmbedded, nioLocks, httpTypes, logging, crypto,
            ], swiftSettings: strict),
        .testTarget(
            name: "ParleyServerTests", dependencies: ["ParleyServer", "ParleyHub", "ParleyCore"],
            swiftSettings: strict),

        // Not a test itself: what several of them stand on.
        .target(
            name: "TestPostgres", dependencies: ["ParleyCluster"], path: "Tests/TestPostgres", swiftSettings: strict),
        .testTarget(
            name: "ParleyClusterTests", dependencies: ["ParleyCluster", "TestPostgres"], swiftSettings: strict),
        .testTarget(
            name: "PostgresTests",
            dependencies: [
                "TestRandom",
                "ParleyPostgres", "ParleyCore", "ParleySchema", "ParleyCluster", "TestPostgres", "TestRoomStore",
                logging, nioLocks,
            ],
            swiftSettings: strict),
        .testTarget(
            name: "ClusterTests",
            dependencies: ["parley", "ParleyClient", "ParleyCore", "ParleyCluster", "TestPostgres", nio],
            swiftSettings: strict),
        // Not a test itself: a cluster that suffers, its clients, and the judgement. Two stand on it.
        .target(
            name: "TestFaults",
            dependencies: [
                "TestRandom", "ParleyClient", "ParleyCore", "ParleyCluster", nio, nioPosix, nioLocks, collections,
            ],
            path: "Tests/TestFaults", swiftSettings: strict),
        .testTarget(
            name: "FaultTests",
            dependencies: [
                "parley", "TestFaults", "ParleyClient", "ParleyCore", "ParleyCluster", "TestPostgres", nio, nioPosix,
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "parley-faults", dependencies: ["TestFaults", arguments], path: "Tests/FaultRun",
            swiftSettings: strict),
        .testTarget(
            name: "BrowserTests", dependencies: ["parley", "ParleyClient", "ParleyCluster", "TestPostgres", nio],
            swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6]
)

// The thread sanitizer judges only what has no I/O of its own; to build nothing else for it saves minutes.
if Context.environment["PARLEY_ONLY_PURE"] != nil {
    let pure: Set = [
        "ParleyCore", "ParleyWire", "ParleyWebSocket", "ParleyHub", "ParleyMemory",
        "TestRandom", "TestRoomStore", "ParleyCoreTests", "ParleyWireTests", "ParleyWebSocketTests", "ParleyHubTests",
        "ParleyMemoryTests", "ParleyClient", "ParleyClientTests",
        // For the watches of the feed and of silence, which the simulation drives.
        "SimulationTests", "ParleyPostgres", "ParleySchema", "CLibpq",
    ]
    package.targets.removeAll { !pure.contains($0.name) }
    package.products.removeAll()
}
