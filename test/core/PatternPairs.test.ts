import * as Frame from "@apipeline/core/Frame"
import * as PatternPairs from "@apipeline/core/PatternPairs"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as Processor from "@apipeline/core/Processor"
import * as Sentence from "@apipeline/core/Sentence"
import { interrupt, payload, run, settle, sleep, upstream } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Context, Data, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, isAbove, strictEqual, throws } = assert

class Refused extends Data.TaggedError("Refused")<{ readonly text: string }> {}
class Log extends Context.Service<Log, Array<string>>()("test/Log") {}
class TurnEnd extends Frame.App<TurnEnd>()("TurnEnd", {}, { kind: "control" }) {}

const test = { type: "test_pattern", start: "<test>", end: "</test>" } as const
const code = { type: "code_pattern", start: "<code>", end: "</code>", action: "aggregate" } as const
const emphasis = { type: "emphasis", start: "<em>", end: "</em>", action: "keep" } as const
const voice = { type: "voice", start: "<voice>", end: "</voice>", action: "remove" } as const
const think = { type: "think", start: "<think>", end: "</think>" } as const

const sentence = (text: string): PatternPairs.Text => ({ _tag: "Text", type: "sentence", text })
const token = (text: string): PatternPairs.Text => ({ _tag: "Text", type: "token", text })
const match = <Type extends string>(pattern: PatternPairs.Pattern<Type>, text: string): PatternPairs.Match<Type> => ({
  _tag: "Match",
  type: pattern.type,
  action: pattern.action ?? "remove",
  text: text.trim(),
  full: `${pattern.start}${text}${pattern.end}`
})

type Out = ReadonlyArray<PatternPairs.Text | PatternPairs.Match>

interface Case {
  readonly patterns: ReadonlyArray<PatternPairs.Pattern>
  readonly push: ReadonlyArray<readonly [text: string, out: Out]>
  readonly flush: ReadonlyArray<PatternPairs.Text>
}

const frame = (text: string, options?: Frame.Options): Frame.TextFrame => Frame.TextFrame.make({ text, ...options })

/** What has left a processor, and its matches, in order. */
const process = Effect.fnUntraced(function*(
  options: PatternPairs.Options,
  texts: ReadonlyArray<string>
) {
  const log: Array<unknown> = []
  const processor = PatternPairs.make({
    ...options,
    onMatch: (match) => Effect.sync(() => log.push(match))
  })
  const task = yield* PipelineTask.make(processor)
  yield* task.queueFrames(texts.map((text) => frame(text)))
  yield* task.stopWhenDone
  const out = yield* Stream.runCollect(task.output)
  return { log, out: out.slice(1, -1) }
})

const suite = (mode: "sentence" | "token", cases: Readonly<Record<string, Case>>): void => {
  describe(mode, () => {
    for (const [name, { flush, patterns, push }] of Object.entries(cases)) {
      it(name, () => {
        const aggregator = PatternPairs.makeAggregator({ patterns, mode, trim: true })
        for (let i = 0; i < 2; i++) {
          for (const [text, out] of push) deepStrictEqual(aggregator.push(text), out)
          deepStrictEqual(aggregator.flush(), flush)
          deepStrictEqual(aggregator.flush(), [])
          deepStrictEqual(aggregator.pending, { type: mode, text: "" })
        }
      })

      it.effect(`${name}, as a processor`, () =>
        Effect.gen(function*() {
          const { log, out } = yield* process({ patterns, mode, trim: true }, push.map(([text]) => text))
          const all = [...push.flatMap(([, out]) => out), ...flush]
          deepStrictEqual(log, all.filter(({ _tag }) => _tag === "Match"))
          deepStrictEqual(
            out.map((frame) =>
              Frame.TextFrame.is(frame)
                ? frame.text
                : PatternPairs.PatternFrame.is(frame)
                ? [frame.type, frame.text, frame.full]
                : frame
            ),
            all.flatMap((one): ReadonlyArray<unknown> => {
              if (one._tag === "Text") return [one.text]
              return one.action === "aggregate" ? [[one.type, one.text, one.full]] : []
            })
          )
        }))
    }
  })
}

suite("sentence", {
  "remove": {
    patterns: [test, code],
    push: [
      ["Hello <test>pattern content</test>!", [match(test, "pattern content")]],
      [" This is another sentence.", [sentence("Hello !")]]
    ],
    flush: [sentence("This is another sentence.")]
  },
  "aggregate: the text before comes out when the span begins": {
    patterns: [test, code],
    push: [
      ["Here is code <code>", [sentence("Here is code")]],
      [" pattern content </code> This is another sentence.", [match(code, " pattern content ")]]
    ],
    flush: [sentence("This is another sentence.")]
  },
  "aggregate, in one piece": {
    patterns: [test, code],
    push: [[
      "Here is code <code>pattern content</code> This is another sentence.",
      [sentence("Here is code"), match(code, "pattern content")]
    ]],
    flush: [sentence("This is another sentence.")]
  },
  "several patterns": {
    patterns: [test, code, voice, emphasis],
    push: [[
      "Hello <voice>female</voice> I am <em>very</em> excited to meet you!",
      [match(voice, "female"), match(emphasis, "very")]
    ]],
    flush: [sentence("Hello  I am <em>very</em> excited to meet you!")]
  },
  "a span over sentences does not split": {
    patterns: [test, code],
    push: [[
      "Hello <test>This is sentence one. This is sentence two.</test> Final sentence.",
      [match(test, "This is sentence one. This is sentence two.")]
    ]],
    flush: [sentence("Hello  Final sentence.")]
  },
  "no sentence ends in a span that is kept": {
    patterns: [{ ...emphasis, start: "<spell>", end: "</spell>" }],
    push: [[
      "Your code is <spell>X. Y. Z</spell>. Say <spell>St. Louis</spell> slowly. Done",
      [
        match({ ...emphasis, start: "<spell>", end: "</spell>" }, "X. Y. Z"),
        sentence("Your code is <spell>X. Y. Z</spell>."),
        match({ ...emphasis, start: "<spell>", end: "</spell>" }, "St. Louis"),
        sentence("Say <spell>St. Louis</spell> slowly.")
      ]
    ]],
    flush: [sentence("Done")]
  },
  "flush, remove: what is before an open span": {
    patterns: [test],
    push: [["Well <test>pattern content", []]],
    flush: [sentence("Well")]
  },
  "flush, remove: nothing is before an open span": {
    patterns: [test],
    push: [["<test>pattern content", []]],
    flush: []
  },
  "flush, remove: what has closed is not what is open": {
    patterns: [test],
    push: [["Start <test>closed</test> middle <test>unclosed", [match(test, "closed")]]],
    flush: [sentence("Start  middle")]
  },
  "flush: what opened first counts, whatever the order of the patterns": {
    patterns: [voice, test],
    push: [["Hi <test>foo <voice>bar", []]],
    flush: [sentence("Hi")]
  },
  "flush: and in the other order": {
    patterns: [test, voice],
    push: [["Hi <test>foo <voice>bar", []]],
    flush: [sentence("Hi")]
  },
  "flush, keep: as it is": {
    patterns: [test, emphasis],
    push: [["Well <em>unclosed content", []]],
    flush: [sentence("Well <em>unclosed content")]
  },
  "flush, keep: what has closed is not what is open": {
    patterns: [test, emphasis],
    push: [["Hello <em>bold</em> world <em>unclosed </e", [match(emphasis, "bold")]]],
    flush: [sentence("Hello <em>bold</em> world <em>unclosed </e")]
  },
  "flush, aggregate: dropped": {
    patterns: [test, code],
    push: [["Before <code>unclosed content", [sentence("Before")]]],
    flush: []
  },
  "flush: the beginning of a delimiter is dropped": {
    patterns: [test],
    push: [["Hello <te", []]],
    flush: [sentence("Hello")]
  },
  "flush: but not that of a span which is kept": {
    patterns: [emphasis],
    push: [["Hello <e", []]],
    flush: [sentence("Hello <e")]
  },
  "spans do not nest": {
    patterns: [test, emphasis, code],
    push: [
      ["a <em>b <test>c</test></em> <test>d <em>e</test>", [
        match(emphasis, "b <test>c</test>"),
        match(test, "d <em>e")
      ]],
      [" f</em> <code><code>g</code></code>", [
        sentence("a <em>b <test>c</test></em>  f</em>"),
        match(code, "<code>g")
      ]]
    ],
    flush: [sentence("</code>")]
  },
  "an end without a start is text": {
    patterns: [test],
    push: [["a</test> <test></test>b", [match(test, "")]]],
    flush: [sentence("a</test> b")]
  },
  "the same start and end": {
    patterns: [{ type: "star", start: "*", end: "*", action: "aggregate" }],
    push: [["a *b* c *d", [
      sentence("a"),
      match({ type: "star", start: "*", end: "*", action: "aggregate" }, "b"),
      sentence("c")
    ]]],
    flush: []
  },
  "of delimiters that overlap, what is complete first counts, and then what began first": {
    patterns: [
      { type: "short", start: "<<", end: ">" },
      { type: "long", start: "<<<", end: ">>>" },
      { type: "early", start: "a<<", end: "!" }
    ],
    push: [["x <<<b> a<<c> d! ", [
      match({ type: "short", start: "<<", end: ">" }, "<b"),
      match({ type: "early", start: "a<<", end: "!" }, "c> d")
    ]]],
    flush: [sentence("x")]
  },
  "and that whatever their order": {
    patterns: [
      { type: "early", start: "a<<", end: "!" },
      { type: "long", start: "<<<", end: ">>>" },
      { type: "short", start: "<<", end: ">" }
    ],
    push: [["x <<<b> a<<c> d! ", [
      match({ type: "short", start: "<<", end: ">" }, "<b"),
      match({ type: "early", start: "a<<", end: "!" }, "c> d")
    ]]],
    flush: [sentence("x")]
  },
  "no patterns": {
    patterns: [],
    push: [["Hello <test>x</test>. Yes", [sentence("Hello <test>x</test>.")]]],
    flush: [sentence("Yes")]
  }
})

suite("token", {
  "no patterns in the text": {
    patterns: [think],
    push: [["Hello", [token("Hello")]], [" world", [token(" world")]], [".", [token(".")]], ["", []]],
    flush: []
  },
  "remove, word by word": {
    patterns: [think],
    push: [["Hi ", [token("Hi ")]], ["<think>", []], ["secret", []], ["</think>", [match(think, "secret")]], [
      " bye",
      [token(" bye")]
    ]],
    flush: []
  },
  "an open span is dropped by a flush": {
    patterns: [think],
    push: [["Hi ", [token("Hi ")]], ["<think>", []], ["secret", []]],
    flush: []
  },
  "a start in two pieces": {
    patterns: [think],
    push: [["Hi ", [token("Hi ")]], ["<thin", []], ["k>secret</think>", [match(think, "secret")]], [
      " bye",
      [token(" bye")]
    ]],
    flush: []
  },
  "a start and an end in three pieces": {
    patterns: [think],
    push: [["<th", []], ["in", []], ["k>secret</", []], ["thi", []], ["nk>.", [match(think, "secret"), token(".")]]],
    flush: []
  },
  "a piece that is part of a start gives nothing": { patterns: [think], push: [["<thin", []]], flush: [] },
  "what begins like a start is held, and comes out when it is none": {
    patterns: [think],
    push: [["Hello <", [token("Hello ")]], [" world", [token("< world")]]],
    flush: []
  },
  "aggregate, with its start in two pieces": {
    patterns: [think, code],
    push: [
      ["Here is code ", [token("Here is code ")]],
      ["<cod", []],
      ["e>pattern content</code>", [match(code, "pattern content")]],
      [" more", [token(" more")]]
    ],
    flush: []
  },
  "keep, with its start in two pieces": {
    patterns: [think, emphasis],
    push: [
      ["very <e", [token("very ")]],
      ["m>exc", []],
      ["ited</em> today", [match(emphasis, "excited"), token("<em>excited</em>"), token(" today")]]
    ],
    flush: []
  },
  "keep: an open span comes out at a flush": {
    patterns: [think, emphasis],
    push: [["a <em>b", [token("a ")]], [" <think>c</th", []]],
    flush: [token("<em>b <think>c</th")]
  }
})

describe("aggregator", () => {
  it("an incomplete span is pending, and a reset clears it", () => {
    const aggregator = PatternPairs.makeAggregator({ patterns: [test, code, emphasis] })
    deepStrictEqual(aggregator.push("Hello <test>pattern content</te"), [])
    deepStrictEqual(aggregator.pending, { type: "test_pattern", text: "Hello <test>pattern content</te" })
    aggregator.reset()
    deepStrictEqual(aggregator.pending, { type: "sentence", text: "" })
    deepStrictEqual(aggregator.push("x</test> <em>y</e"), [])
    deepStrictEqual(aggregator.pending, { type: "emphasis", text: "x</test> <em>y</e" })
    deepStrictEqual(aggregator.flush(), [sentence("x</test> <em>y</e")])
    deepStrictEqual(aggregator.push("z <te"), [])
    deepStrictEqual(aggregator.pending, { type: "sentence", text: "z <te" })
    aggregator.reset()
    deepStrictEqual(aggregator.push("st>zoo. Yes"), [sentence("st>zoo.")])
  })

  it("the held beginning of a delimiter", () => {
    const aggregator = PatternPairs.makeAggregator({ patterns: [think], mode: "token" })
    deepStrictEqual(aggregator.push("<thin"), [])
    deepStrictEqual(aggregator.pending, { type: "token", text: "<thin" })
  })

  it("without trim nothing is lost", () => {
    const aggregator = PatternPairs.makeAggregator({ patterns: [test, code], locale: "en" })
    deepStrictEqual(aggregator.push(" a. <code> b </code> <test> c </test> "), [
      sentence(" a."),
      sentence(" "),
      { ...match(code, " b "), text: " b " },
      { ...match(test, " c "), text: " c " }
    ])
    deepStrictEqual(aggregator.flush(), [sentence("  ")])
  })

  it("empty delimiters are refused", () => {
    const patterns = [test, { type: "x", start: "x", end: "" }]
    const message = "PatternPairs: patterns[1].end: found \"\", expected a delimiter"
    throws(() => PatternPairs.makeAggregator({ patterns }), TypeError, message)
    throws(() => PatternPairs.make({ patterns }), TypeError, message)
    throws(() => PatternPairs.make({ patterns: [{ ...test, start: "" }] }), TypeError, "patterns[0].start")
  })
})

describe("processor", () => {
  const shown = (frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<unknown> =>
    frames.map((one) => [
      Frame.TextFrame.is(one) || PatternPairs.PatternFrame.is(one) ? one.text : one._tag,
      one.pts,
      one.metadata
    ])

  it.effect("frames have the pts and the metadata of the frame in which they begin", () =>
    Effect.gen(function*() {
      const frames = [
        frame("One <te", { pts: 0, metadata: { a: 1 } }),
        frame("st>x</test> two.", { pts: 1 }),
        frame(" ", { pts: 2 }),
        frame(" Three <co", { pts: 3 }),
        frame("de>y", { pts: 4 }),
        frame("z</code>", { pts: 5 }),
        frame("<test>w", { pts: 6 }),
        frame("</test>", { pts: 7 }),
        frame("Four", { pts: 8 })
      ]
      const { down } = yield* run(PatternPairs.make({ patterns: [test, code] }), frames)
      deepStrictEqual(shown(payload(down)), [
        ["One  two.", 0, { a: 1 }],
        ["  Three ", 3, undefined],
        ["yz", 3, undefined],
        ["Four", 8, undefined]
      ])
    }))

  it.effect("a token that comes out whole is the frame that went in; empty frames do not come out", () =>
    Effect.gen(function*() {
      const frames = [frame("a"), frame(""), frame("b <"), frame("c"), frame("a<think></think>")]
      const { down } = yield* run(PatternPairs.make({ patterns: [think], mode: "token" }), frames)
      const out = payload(down)
      deepStrictEqual(shown(out).map((one) => (one as Array<unknown>)[0]), ["a", "b ", "<c", "a"])
      strictEqual(out[0], frames[0])
      assert.isFalse(out.slice(1).some((one) => frames.includes(one as Frame.TextFrame)))
    }))

  it.effect("what follows waits for onMatch, which has its services; other frames stay in order", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const processor: Processor.Processor<never, Log> = PatternPairs.make({
        patterns: [voice, code],
        mode: "token",
        onMatch: (match, { pushUpstream }) =>
          Effect.gen(function*() {
            const type: "voice" | "code_pattern" = match.type
            ;(yield* Log).push(`${type}: ${match.text}`)
            yield* pushUpstream(frame(match.full))
            yield* Effect.sleep("1 second")
            ;(yield* Log).push(`${type} is done`)
          })
      })
      const sync = Frame.SyncFrame.make()
      const running = yield* Effect.forkChild(
        run(processor, [frame("a<voice>b</voice>c<code>d</code>"), sync, frame("e")]).pipe(
          Effect.provideService(Log, log)
        )
      )
      yield* TestClock.adjust("999 millis")
      deepStrictEqual(log, ["voice: b"])
      yield* TestClock.adjust("2 seconds")
      const { down, up } = yield* Fiber.join(running)
      deepStrictEqual(shown(payload(down)).map((one) => (one as Array<unknown>)[0]), ["a", "c", "d", "SyncFrame", "e"])
      deepStrictEqual(log, ["voice: b", "voice is done", "code_pattern: d", "code_pattern is done"])
      deepStrictEqual(shown(up).map((one) => (one as Array<unknown>)[0]), ["<voice>b</voice>", "<code>d</code>"])
    }))

  it.effect("a failing onMatch is reported, and the text goes on", () =>
    Effect.gen(function*() {
      const processor: Processor.Processor<Refused> = PatternPairs.make({
        name: "Voices",
        patterns: [voice, code],
        mode: "token",
        onMatch: ({ text }) => text === "b" ? Effect.fail(new Refused({ text })) : Effect.void
      })
      const { down, failures, up } = yield* run(processor, [frame("a<voice>b</voice>c<code>b</code>d"), frame("e")])
      deepStrictEqual(shown(payload(down)).map((one) => (one as Array<unknown>)[0]), ["a", "c", "b", "d", "e"])
      deepStrictEqual(
        failures.map(({ cause, fatal, processor }) => [Cause.squash(cause), fatal, processor]),
        [[new Refused({ text: "b" }), false, "Voices"], [new Refused({ text: "b" }), false, "Voices"]]
      )
      strictEqual(up.filter(Frame.ErrorFrame.is).length, 2)
    }))

  it.effect("an interruption clears what is pending: no match, no text, and a handler that runs is stopped", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const processor = PatternPairs.make({
        patterns: [test, code],
        capacity: 4,
        onMatch: ({ text }) =>
          Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => log.push(text))).pipe(
            Effect.onInterrupt(() => Effect.sync(() => log.push(`${text}: interrupted`)))
          )
      })
      const { down } = yield* run(processor, [
        frame("Hello <test>pattern"),
        sleep("1 millis"),
        interrupt,
        frame("x</test> Yes. <code>a</code>b"),
        sleep("500 millis"),
        interrupt,
        frame("End")
      ])
      deepStrictEqual(shown(payload(down)).map((one) => (one as Array<unknown>)[0]), ["x</test> Yes.", " ", "End"])
      deepStrictEqual(log, ["a: interrupted"])
    }))

  it.effect("without allowInterruptions it clears nothing", () =>
    Effect.gen(function*() {
      const steps = [frame("a <test>b"), sleep("1 millis"), interrupt, frame("</test> c")]
      const { down } = yield* run(PatternPairs.make({ patterns: [test] }), steps, { allowInterruptions: false })
      deepStrictEqual(shown(payload(down)), [["a  c", undefined, undefined]])
    }))

  it.effect("flushOn, other frames, and text that goes upstream", () =>
    Effect.gen(function*() {
      const end = TurnEnd.make()
      const sync = Frame.SyncFrame.make()
      const up = frame("<test>x</test>")
      const processor = PatternPairs.make({ patterns: [test], flushOn: [TurnEnd] })
      const result = yield* run(processor, [frame("a <test>b"), sync, end, frame("c</test>"), upstream(up)])
      deepStrictEqual(shown(payload(result.down)).map((one) => (one as Array<unknown>)[0]), [
        "SyncFrame",
        "a ",
        "TurnEnd",
        "c</test>"
      ])
      strictEqual(result.up[0], up)
      strictEqual(result.down.filter((one) => one === end).length, 1)
    }))

  it.effect("state is per task, and a stopped task leaves it to the one that takes over", () =>
    Effect.gen(function*() {
      const processor = PatternPairs.make({ patterns: [test], name: "Pairs" })
      const task = yield* PipelineTask.make(Pipeline.make(processor))
      yield* Effect.forkChild(task.run, { startImmediately: true })
      yield* task.queueFrames([frame("a <test>b")])
      yield* task.stopTask
      yield* settle
      const next = yield* PipelineTask.takeOver(task)
      yield* next.queueFrames([frame("</test> c")])
      yield* next.stopWhenDone
      deepStrictEqual(shown(payload(yield* Stream.runCollect(next.output))), [["a  c", undefined, undefined]])
      deepStrictEqual(shown(payload((yield* run(processor, [frame("b</test>")])).down)), [[
        "b</test>",
        undefined,
        undefined
      ]])
    }))
})

describe("properties", () => {
  const patterns = [
    { type: "remove", start: "<r>", end: "</r>" },
    { type: "remove2", start: "[[", end: "]]" },
    { type: "keep", start: "<k>", end: "</k>", action: "keep" },
    { type: "aggregate", start: "<a>", end: "</a>", action: "aggregate" }
  ] as const
  const spans = ["<r>x. Y</r>", "<a>x. Y</a>", "<k>x. Yes.</k>", "[[x]]", "<r><k></r>", "<k>[[</k>"]
  const literals = [
    ...spans,
    ...spans,
    ...spans,
    "<r>",
    "</r>",
    "<k>",
    "</k>",
    "<a>",
    "</a>",
    "[[",
    "]]",
    ..."<[/]>ra. !",
    "One. ",
    "Two ",
    "三。",
    "😀"
  ]
  const soup = Arbitrary.array(Arbitrary.schema(Schema.Literals(literals)), { minLength: 12, maxLength: 40 })
  const cuts = Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 1, 2, 3, 5, 8])), { minLength: 1, maxLength: 10 })

  const cut = (text: string, sizes: ReadonlyArray<number>): ReadonlyArray<string> => {
    const out: Array<string> = []
    for (let at = 0, i = 0; at < text.length; i++) {
      const size = sizes[i % sizes.length]!
      out.push(text.slice(at, at + size))
      at += size
    }
    return out
  }

  /** By hand, from the text as a whole: spans in order, the first that opens counts. */
  const expected = (text: string): Array<Array<string>> => {
    const out: Array<Array<string>> = []
    for (let at = 0; at < text.length;) {
      const pattern = patterns.find(({ start }) => text.startsWith(start, at))
      if (pattern === undefined) {
        at++
        continue
      }
      const end = text.indexOf(pattern.end, at + pattern.start.length)
      if (end < 0) break
      out.push([pattern.type, text.slice(at, end + pattern.end.length)])
      at = end + pattern.end.length
    }
    return out
  }

  const collect = (chunks: ReadonlyArray<string>, mode?: "token"): Out => {
    const aggregator = PatternPairs.makeAggregator({ patterns, mode })
    return [...chunks.flatMap((chunk) => aggregator.push(chunk)), ...aggregator.flush()]
  }

  let matches = 0
  it.effect.prop(
    "what comes out does not depend on how the text was cut",
    { soup, cuts },
    ({ cuts, soup }) =>
      Effect.gen(function*() {
        const text = soup.join("")
        const chunks = cut(text, cuts)
        const whole = collect([text])
        deepStrictEqual(collect(chunks), whole)
        const found = whole.filter((one) => one._tag === "Match")
        deepStrictEqual(found.map((one) => [one.type, one.full]), expected(text))
        matches = Math.max(matches, found.length)
        // tokens are the same text in other pieces
        const tokens = collect(chunks, "token")
        const joined = (out: Out): string =>
          out.map((one) => one._tag === "Text" ? one.text : one.action === "aggregate" ? one.full : "").join("")
        strictEqual(joined(tokens), joined(whole))
        deepStrictEqual(tokens.filter((one) => one._tag === "Match"), found)
        const { log, out } = yield* process({ patterns }, chunks)
        deepStrictEqual(log, found)
        strictEqual(
          out.map((one) => Frame.TextFrame.is(one) ? one.text : PatternPairs.PatternFrame.is(one) ? one.full : "").join(
            ""
          ),
          joined(whole)
        )
      }),
    { arbitrary: { runs: 300 } }
  )
  it("the text of the property has matches", () => isAbove(matches, 2))

  it.prop("with nothing to remove, it is the splitter of sentences", { soup, cuts }, ({ cuts, soup }) => {
    const text = soup.join("").replace(/<\/?r>|\[\[|\]\]|<\/?a>/g, "")
    const plain = text.replace(/[<[]/g, "")
    deepStrictEqual(collect(cut(plain, cuts)), Sentence.split(plain).map(sentence))
  }, { arbitrary: { runs: 200 } })
})
