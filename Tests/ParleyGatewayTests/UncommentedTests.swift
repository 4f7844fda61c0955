import Testing

@testable import ParleyGateway

@Suite("Scripts without comments")
struct UncommentedTests {
    private func uncommented(_ source: String) -> String {
        String(decoding: Uncommented.bytes(Array(source.utf8)), as: UTF8.self)
    }

    @Test("lines of comments go, comments behind code and whatever looks like one within it stay")
    func lines() {
        let source = """
            // First.
            const a = 'http://x'; // why
              /** One line. */
            class B {
              /* Two
                 lines. */
              c = a / b / 2;

              // Last.
            }

            """
        #expect(uncommented(source) == "const a = 'http://x'; // why\nclass B {\n  c = a / b / 2;\n\n}\n")
    }

    @Test("of each script and style that is served only whole lines are left out, and every block of them ends")
    func served() {
        for source in [
            PackageResources.parley_js, PackageResources.parley_react_js, PackageResources.chat_js,
            PackageResources.chat_view_js, PackageResources.cells_js, PackageResources.console_js,
            PackageResources.console_model_js, PackageResources.console_chart_js, PackageResources.chat_css,
            PackageResources.cells_css, PackageResources.console_css,
        ] {
            let lines = String(decoding: source, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
            let kept = uncommented(String(decoding: source, as: UTF8.self)).split(
                separator: "\n", omittingEmptySubsequences: false)
            #expect(kept.last == lines.last && kept.count > lines.count * 3 / 4)
            let left = lines.difference(from: kept).removals
            #expect(left.isEmpty, "nothing is there that was not in the source")
        }
    }
}
