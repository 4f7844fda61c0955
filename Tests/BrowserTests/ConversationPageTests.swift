import Foundation
import ParleyCluster
import TestPostgres
import Testing

/// A conversation of several people, as the page shows it.
@Suite("The chat page with people", .heavy, .enabled(if: Browser.executable != nil, "no Chromium on this machine"))
struct ConversationPageTests {
    @Test("whoever is here and whatever is said fits a desk and a phone, also while messages wait")
    func fits() async throws {
        let server = try TestPostgres.makeServer()
        _ = try await server.start()
        _ = try await server.createDatabase("people")
        let settings = ["--database-url", try server.url(database: "people")]
        let n1 = try await Node.start("n1", settings)
        let n2 = try await Node.start("n2", settings)
        try await Browser.run { browser in
            let names = ["Ann", "Bob", "Cleo of the rather long name that somebody chose", "מרים"]
            var tabs: [Tab] = []
            for name in names {
                let tab = try await browser.open((tabs.count % 2 == 0 ? n1 : n2).page(room: "tea-and-biscuits"))
                try await tab.becomes("online")
                try await tab.call(oneself: name)
                tabs.append(tab)
            }
            let said = [
                (0, "Good morning! Who takes part in the release meeting at ten?"),
                (1, "I do. Agenda:\n1. what broke on Friday\n2. what we measured since"),
                (
                    2,
                    "https://example.org/a/very/long/address/that/has/no/spaces/in/it/and/goes/on/for/quite/a/while/indeed?a=b&c=d"
                ),
                (3, "אני מגיעה בעשר וחמש"), (0, "👍 fine"),
                (
                    1,
                    "The node that was killed at noon came back by itself, and nobody in the room noticed anything at all."
                ),
            ]
            for (count, (who, text)) in said.enumerated() {
                try await tabs[who].say(text)
                for tab in tabs { _ = try await tab.shows(count + 1) }
            }
            _ = try await server.query(
                #"SELECT parley.publish('tea-and-biscuits', '{"deploy":{"version":"1.4.2","by":"ci"}}')"#,
                database: "people")
            let ann = tabs[0]
            _ = try await ann.shows(said.count + 1)
            try await ann.rosterIs(names)
            for tab in tabs[1...2] { try await tab.types("well") }
            try await ann.until(
                "two type",
                "['Bob', 'Cleo'].every(name => document.getElementById('typing').textContent.includes(name))")
            try await ann.types("And one more thing")
            try await ann.fits("chat")

            // As when a keyboard comes up.
            try await ann.resize(width: 390, height: 500)
            try await ann.until(
                "the newest is in sight",
                """
                (({ scrollHeight, scrollTop, clientHeight }) => scrollHeight > clientHeight
                    && scrollHeight - scrollTop - clientHeight < 2)(document.getElementById("scroll"))
                """
            )

            try await ann.clears()
            await n1.kill()
            try await ann.becomes("connecting")
            for text in ["I am still here", "and this waits"] { try await ann.say(text) }
            try await ann.waits(toSend: 2)
            try await ann.fits("chat-away")
        }
        await n2.kill()
        _ = try await server.stop(.immediate)
    }
}
