import * as Frame from "@apipeline/core/Frame"
import * as MarkdownFilter from "@apipeline/core/MarkdownFilter"
import * as Pipeline from "@apipeline/core/Pipeline"
import { act, interrupt, payload, run, show, sleep, upstream } from "@apipeline/core/testing"
import * as TextAggregator from "@apipeline/core/TextAggregator"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"

const { deepStrictEqual, isAbove, strictEqual } = assert
const { strip } = MarkdownFilter

const text = (text: string, options?: Frame.Options): Frame.TextFrame => Frame.TextFrame.make({ text, ...options })
const texts = (frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<string> =>
  frames.filter(Frame.TextFrame.is).map((frame) => frame.text)

/** What goes in, and what comes out. */
const table = (
  name: string,
  cases: Readonly<Record<string, string>>,
  settings?: MarkdownFilter.Settings
): void => {
  describe(name, () => {
    for (const [input, output] of Object.entries(cases)) {
      it(JSON.stringify(input), () => strictEqual(strip(input, settings), output))
    }
  })
}

/** What stays as it is. */
const same = (name: string, ...inputs: ReadonlyArray<string>): void =>
  table(name, Object.fromEntries(inputs.map((input) => [input, input])))

it("bold, italic and code go, lists and indentation stay", () => {
  const input = `
            **Bold text** and *italic text*
            1. Numbered list item
            - Bullet point
            Some \`inline code\` here
        `
  const output = `            Bold text and italic text
            1. Numbered list item
            - Bullet point
            Some inline code here
        `
  strictEqual(strip(input), ` ${output}`)
})

same(
  "white space stays, position by position",
  "  Leading spaces",
  "Trailing spaces  ",
  "  Both ends  ",
  "  Multiple  spaces  between  words  ",
  "\ta\t",
  "line\nbreak",
  "carriage\r\nreturn",
  " ",
  ""
)

table("a character five times or more in a row goes", {
  "Hello!!!!!World": "HelloWorld",
  "Test####ing": "Test####ing",
  "Normal text": "Normal text",
  "!!!!!": "",
  "Mixed!!!!!...../////": "Mixed",
  "Text^^^^test": "Text^^^^test",
  "Text^^^^^test": "Texttest",
  "Dots....here": "Dots....here",
  "Dots.....here": "Dotshere",
  "a😀😀😀😀b": "a😀😀😀😀b",
  "a😀😀😀😀😀b": "ab",
  "_____": "",
  "`````": ""
})
same("but not a letter, a digit or a space", "55555", "Zip 55555-11111", "aaaaaah", "ааааа", "а     b")
table("unless the settings say so", {
  "55555": "55555",
  "Hello!!!!!World": "Hello!!!!!World",
  "Dots.....here": "Dots.....here"
}, { removeRepeated: false })

table("lists", {
  "1. First item\n        2. Second item\n        3. Third item with **bold**":
    "1. First item\n        2. Second item\n        3. Third item with bold",
  "1. First\n2. Second": "1. First\n2. Second",
  "  1. Indented": "  1. Indented",
  "1. Item\nText\n2. Item": "1. Item\nText\n2. Item",
  "1.No space": "1.No space",
  "12. Large number": "12. Large number",
  "- a\n  - *b*": "- a\n  - b",
  "* one\n+ two\n* **three**": "- one\n- two\n- three",
  "*not a bullet": "not a bullet"
})

table("entities", {
  "This &amp; that": "This & that",
  "1 &lt; 2": "1 < 2",
  "2 &gt; 1": "2 > 1",
  "Line&nbsp;break": "Line break",
  "Mixed &amp; &lt;entities&gt;": "Mixed & <entities>",
  "&quot;a&quot; &apos;b&apos; &#65;&#x42;&#160;&#128512;": "\"a\" 'b' AB 😀",
  "&amp;lt; &lt;b&gt;": "&lt; <b>",
  "&#42;a&#42;": "*a*"
})
same("what is none", "AT&T; R&D", "&unknown;", "&#xD800;", "&#0;", "&#1114112;", "a & b; c")

table("asterisks", {
  "**bold text**": "bold text",
  "*italic text*": "italic text",
  "***both***": "both",
  "**bold** and *italic*": "bold and italic",
  "multiple**bold**words": "multipleboldwords",
  "edge**cases***here*": "edgecaseshere",
  "un*believ*able": "unbelievable",
  "**opened here": "opened here",
  "closed there.**": "closed there.",
  "\"*quoted*\", (**x**)": "\"quoted\", (x)",
  "**Note:**text": "Note:text",
  "a ** **": "a ** "
})
same("asterisks that mark nothing", "2 * 3 * 4", "2*3*4", "2**8", "a*b", "a ** b")

table("underscores and tildes", {
  "_a_ and __b__": "a and b",
  "(_a_), _a b_.": "(a), a b.",
  "__init__": "init",
  "~~gone~~ here": "gone here",
  "_**a** `b_c`_": "a b_c"
})
same(
  "underscores and tildes that mark nothing",
  "snake_case_name",
  "_private",
  "a_ b",
  "_ a _",
  "~5 kg",
  "~~open",
  "my ____ is"
)

table("backticks", {
  "`code`": "code",
  "Text `code` more": "Text code more",
  "``nested`code``": "nested`code",
  "`code1` and `code2`": "code1 and code2",
  "No``space``between": "Nospacebetween",
  "`` `a` ``": "`a`",
  "`*a* _b_ &amp; \\* <b>`": "*a* _b_ &amp; \\* <b>",
  "an `open": "an open",
  "Use ```x*y*``` here": "Use x*y* here"
})

table("empty lines", {
  "Line 1\n\nLine 2": "Line 1\n Line 2",
  "Line 1\n   \nLine 2": "Line 1\n Line 2",
  "Text\n\n\nMore": "Text\n More",
  "\n\nText": " Text",
  "Text\n\n": "Text\n ",
  "a\r\n\r\nb": "a\r\n b",
  "\n": " "
})

table("links", {
  "Please check http://example.com": "Please check example.com",
  "Visit https://www.google.com for more": "Visit www.google.com for more",
  "No link here": "No link here",
  "**https://a.b/c_d_e**": "a.b/c_d_e",
  "<https://a.b>": "a.b",
  "See [the *docs*](https://a.b/c_(d) \"Title\").": "See the docs.",
  "![a cat](cat.png) and [x](#y)": "a cat and x",
  "HTTPS://A.B": "A.B"
})
same("what is no link", "a[0](b c)", "[x] done", "ftp://a.b", "[a] (b)")

table("headings", {
  "# One": "One",
  "## Two": "Two",
  "### Three": "Three",
  "#### Four": "Four",
  "##### Five": "Five",
  "###### Six": "Six",
  "####### Seven": " Seven",
  "## A ##": "A",
  "## A ##  ": "A",
  "# A #####": "A",
  "# Trailing  ": "Trailing  ",
  "# C# is # here": "C# is # here",
  "# C#": "C#",
  "  ## Indented": "  Indented",
  "# **Bold** `x`": "Bold x",
  "text\n# Heading\ntext": "text\nHeading\ntext"
})
same("what is no heading", "#hashtag", "No. # 5", "a # b", "#", "C# and F#")

table("quotes and rules", {
  "> a\n> > b\n>c": "a\nb\nc",
  "> # A": "A",
  "a\n---\nb\n* * *\nc\n___\nd": "a\nb\nc\nd",
  "Heading\n=======\ntext": "Heading\ntext",
  "---": "",
  "** **": "",
  "____": ""
})
same("what is none of them", "a > b", "--", "a --- b")

table("HTML", {
  "<b>bold</b><br/>x <!-- note -->y": "boldx y",
  "<a href=\"https://a.b/_c_\">x</a>": "x",
  "1 < 2 and 3 > 1": "1 < 2 and 3 > 1",
  "a<b and c": "a<b and c"
})
table("HTML that is kept", { "<spell a=\"_b_\">x</spell> *y*": "<spell a=\"_b_\">x</spell> y" }, { removeTags: false })

table("escapes", {
  "\\*a\\* \\# \\_b\\_ \\\\ \\`": "*a* # _b_ \\ `",
  "\\# No heading": "# No heading",
  "C:\\dir": "C:\\dir"
})

const piped = "| Column 1 | Column 2 |\n|----------|----------|\n| Cell 1   | Cell 2   |"
table("tables", {
  [piped]: "Column 1, Column 2\nCell 1, Cell 2",
  [`Before\n${piped}\nAfter`]: "Before\nColumn 1, Column 2\nCell 1, Cell 2\nAfter",
  "a | **b**\n:-- | :-:\n1 | \nend": "a, b\n1\nend",
  "| *a* | x\\|y |": "a, x|y",
  "a | b": "a | b",
  "a || b\nc": "a || b\nc"
})
table("tables that are removed", {
  [piped]: "",
  [`Before\n${piped}\nAfter`]: "Before\nAfter",
  [`  ${piped.replaceAll("\n", "\n  ")}\n\nAfter`]: " After",
  "a | b\n--|--\n1 | 2\n\nend": " end",
  "a | b": "a | b"
}, { removeTables: true })

table("blocks of code", {
  "Look:\n```js\nconst *a* = `b` # c\n\n\n```\nDone **now**": "Look:\nconst *a* = `b` # c\n\n\nDone now",
  "~~~\na_b_c\n~~~\n*d*": "a_b_c\nd",
  "Look: ```js\n*a*\n``` *b*": "Look: *a*\n b",
  "````\n```\n````\n*a*": "```\na",
  "```\nopen *a*": "open *a*"
})
table("blocks of code that are removed", {
  "Look:\n```js\nconst a\n```\nDone **now**": "Look:\nDone now",
  "Look: ```js\n*a*\n``` *b*": "Look:  b",
  "a ```x``` b `y`": "a  b y",
  "```\nopen *a*": "",
  "~~~\na\n~~~\n~~~\nb\n~~~\nc": "c"
}, { removeCode: true })

describe("filter", () => {
  it("a block of code that opens, goes on and closes", () => {
    const filter = MarkdownFilter.makeFilter()
    deepStrictEqual(["a ```py", "thon\n*b*. ", "*c*\n``` *d*", "*e*"].map(filter.filter), [
      "a ",
      "*b*. ",
      "*c*\n d",
      "e"
    ])
    filter.update({ removeCode: true })
    deepStrictEqual(["a ```py", "thon\n*b*. ", "*c*\n``` *d*", "*e*"].map(filter.filter), ["a ", "", " d", "e"])
    deepStrictEqual(["a ```", "b``` c\n*d*"].map(filter.filter), ["a ", " c\nd"])
    filter.filter("```\na")
    strictEqual(filter.filter("*b*"), "")
    filter.reset()
    strictEqual(filter.filter("*b*"), "b")
    filter.filter("```\na")
    filter.update({ enabled: false })
    filter.update({ enabled: true })
    strictEqual(filter.filter("*b*"), "b")
  })

  it("settings change while it works", () => {
    const input = "**bold** and *italic* with `code`"
    const filter = MarkdownFilter.makeFilter({ enabled: false, removeCode: false, removeTables: false })
    strictEqual(filter.filter(input), input)
    filter.update({ enabled: true })
    strictEqual(filter.filter(input), "bold and italic with code")
    filter.update({ enabled: false })
    strictEqual(filter.filter(input), input)
    filter.update({ enabled: true, removeTables: undefined })
    strictEqual(filter.filter(input), "bold and italic with code")
    deepStrictEqual(filter.settings, { enabled: true, removeCode: false, removeTables: false })
    filter.update({ removeTables: true })
    strictEqual(filter.filter(piped), "")
  })

  it("takes long texts that look like Markdown everywhere, and ends", () => {
    const hard = [
      "_a ",
      "__a_",
      "`` ` ",
      "[",
      "[a](",
      "<a ",
      "~~a ",
      "https://",
      "```a\n",
      "| - \n",
      " #",
      "<!--",
      "> "
    ]
    for (const unit of [...hard, "   ", "\n", "-- ", "\t\n", "|  ", "```\n    "]) {
      const input = `x${unit.repeat(50_000 / unit.length)}x`
      isAbove(strip(input).length, 0)
      isAbove(strip(`# ${input}`).length, 0)
    }
  })
})

describe("processor", () => {
  it.effect("replaces frames that have Markdown, and keeps pts and metadata", () =>
    Effect.gen(function*() {
      const plain = text("plain text")
      const bold = text("**bold** text", { pts: 0, metadata: { a: 1 } })
      const { down } = yield* run(MarkdownFilter.make(), [plain, bold, text("*****"), text("")])
      deepStrictEqual(texts(down), ["plain text", "bold text", ""])
      strictEqual(down[1], plain)
      deepStrictEqual([down[2]!.pts, down[2]!.metadata], [0, { a: 1 }])
      assert.notStrictEqual(down[2]!.id, bold.id)
    }))

  it.effect("settings change by a frame, in order with the text", () =>
    Effect.gen(function*() {
      const off = MarkdownFilter.UpdateFrame.make({ settings: { enabled: false } })
      const on = MarkdownFilter.UpdateFrame.make({ settings: { enabled: true } })
      const filter = MarkdownFilter.make({ name: "Plain", removeRepeated: false })
      for (let i = 0; i < 2; i++) {
        const { down } = yield* run(filter, [text("*a*"), off, text("*b*"), on, text("*c*!!!!!")])
        deepStrictEqual(show(payload(down)), [
          "TextFrame(\"a\")",
          show([off])[0],
          "TextFrame(\"*b*\")",
          show([on])[0],
          "TextFrame(\"c!!!!!\")"
        ])
        strictEqual(down[2], off)
      }
    }))

  it.effect("an update survives an interruption", () =>
    Effect.gen(function*() {
      const slow = MarkdownFilter.make({ capacity: 16 })
      const off = MarkdownFilter.UpdateFrame.make({ settings: { enabled: false } })
      const { down } = yield* run(slow, [off, interrupt, text("*a*")])
      deepStrictEqual(texts(down), ["*a*"])
      strictEqual(down.filter((frame) => frame === off).length, 1)
    }))

  it.effect("an interruption ends a block of code, unless the task does not allow interruptions", () =>
    Effect.gen(function*() {
      const steps = [text("```\na"), sleep("1 millis"), interrupt, text("*b*")]
      const filter = MarkdownFilter.make({ removeCode: true })
      deepStrictEqual(texts((yield* run(filter, steps)).down), ["b"])
      deepStrictEqual(texts((yield* run(filter, steps, { allowInterruptions: false })).down), [])
    }))

  it.effect("other frames, and text that goes upstream, pass", () =>
    Effect.gen(function*() {
      const sync = Frame.SyncFrame.make()
      const up = text("*a*")
      const result = yield* run(MarkdownFilter.make(), [sync, upstream(up), act((task) => task.phase)])
      strictEqual(payload(result.down)[0], sync)
      strictEqual(payload(result.down).length, 1)
      strictEqual(payload(result.up)[0], up)
    }))

  it.effect("behind an aggregator", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(TextAggregator.make({ trim: true }), MarkdownFilter.make())
      const input = "## Title\n\nIt is **very good. Re**ally.\n\n- one\n- two"
      const { down } = yield* run(pipeline, input.match(/[^]{1,4}/g)!.map((one) => text(one)))
      deepStrictEqual(texts(down), ["Title", "It is very good.", "Really.", "- one\n- two"])
    }))
})

describe("properties", () => {
  const word = Schema.Literals(["a", "Tree", "42", "größe", "木", "3.14", "don't", "(so)", "well-known", "a_b", "x+y"])
  const space = Schema.Literals([" ", "  ", ", ", ". ", "\n", " – "])
  const words = Arbitrary.array(Arbitrary.schema(Schema.Tuple([word, space])), { minLength: 5, maxLength: 20 })
  const markers = ["**", "*", "***", "`", "``", "_", "__", "~~"]
  const marked = Arbitrary.array(Arbitrary.schema(Schema.Tuple([Schema.Literals(markers), word])), {
    minLength: 3,
    maxLength: 12
  })
  const soup = Arbitrary.array(
    Arbitrary.schema(
      Schema.Literals([..."ab1 \n*_`~#>|-=<>[]()!&;\\.", "```", "~~~", "https://", "&lt;", "](", "| a |\n"])
    ),
    { minLength: 20, maxLength: 60 }
  )

  it.prop("plain text stays", { words }, ({ words }) => {
    const input = words.flat().join("")
    strictEqual(strip(input), input)
  }, { arbitrary: { runs: 200 } })

  it.prop("what is marked stays, the marks go", { marked }, ({ marked }) => {
    strictEqual(
      strip(marked.map(([mark, word]) => `${mark}${word}${mark}`).join(" ")),
      marked.map(([, word]) => word).join(" ")
    )
  }, { arbitrary: { runs: 200 } })

  it.prop("letters and digits stay, whatever is around them", { soup }, ({ soup }) => {
    // what is in a tag, behind a fence or in a link's target, goes
    const input = soup.filter((one) => !/[<>&;[\]()~]|```|https/.test(one)).join("").replace(/`{3,}/g, "")
    strictEqual(strip(input).replace(/[^ab1]/g, ""), input.replace(/[^ab1]/g, ""))
  }, { arbitrary: { runs: 300 } })

  it.prop("any text, in any pieces, gives no more than it had", { soup }, ({ soup }) => {
    const filter = MarkdownFilter.makeFilter()
    const whole = soup.join("")
    assert.isAtMost(strip(whole).length, whole.length)
    for (const one of soup) assert.isAtMost(filter.filter(one).length, one.length)
  }, { arbitrary: { runs: 300 } })
})
