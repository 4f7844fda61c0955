import Foundation
import ParleyCluster

/// A small shell that tidies up after this process, even after a SIGKILL: it reads from a stream whose other end only this
/// process holds, and so wakes up when this process is no more.
enum Watchdog {
    /// Ends everything that works below the folder, given without symbolic links, and removes it.
    static func watch(folder: String) throws {
        // Again and again, because a server that was about to start may still make files.
        try start(
            """
            while read -r _; do :; done
            for signal in QUIT KILL KILL; do
                find /proc/[0-9]*/cwd -maxdepth 0 -lname "$1/*" | cut -d / -f 3 | while read -r process; do
                    kill -s $signal "$process"
                done
                sleep 0.3
                rm -rf "$1"
            done
            """, [folder])
    }

    static func watch(databasesMarked mark: String, at url: String, _ binaries: PostgresBinaries) throws {
        try start(
            """
            while read -r _; do :; done
            "$1" -X -q -A -t -d "$2" -c "SELECT format('DROP DATABASE %I WITH (FORCE);', datname) FROM pg_database
                WHERE starts_with(datname, '$3')" | "$1" -X -q -d "$2"
            """, [binaries.psql, url, mark])
    }

    private static func start(_ script: String, _ arguments: [String]) throws {
        let command = Command("/bin/sh", ["-c", script, "parley-test-watchdog"] + arguments)
        try Tether.start(command)
    }
}
