import * as Frame from "@apipeline/core/Frame"
import type * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Sentence from "@apipeline/core/Sentence"
import * as TextAggregator from "@apipeline/core/TextAggregator"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, isAbove, strictEqual } = assert

class TurnEnd extends Frame.App<TurnEnd>()("TurnEnd", {}, { kind: "control" }) {}

const text = (text: string, options?: Frame.Options): Frame.TextFrame => Frame.TextFrame.make({ text, ...options })
const texts = (...all: ReadonlyArray<string>): ReadonlyArray<Frame.TextFrame> => all.map((one) => text(one))

/** What leaves at the downstream end, between `StartFrame` and `EndFrame`. */
const run = Effect.fnUntraced(function*(
  pipeline: Pipeline.Element<never, never>,
  frames: Iterable<Frame.Frame>,
  options?: PipelineTask.Options
) {
  const task = yield* PipelineTask.make(pipeline, options)
  yield* task.queueFrames(frames)
  yield* task.stopWhenDone
  const out = yield* Stream.runCollect(task.output)
  strictEqual(out[0]?._tag, "StartFrame")
  strictEqual(out.at(-1)?._tag, "EndFrame")
  return out.slice(1, -1)
})

/** Texts as their text, frames of other types as they are. */
const show = (frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<unknown> =>
  frames.map((frame) => Frame.TextFrame.is(frame) ? frame.text : frame)

/** A running task and what has left it so far. */
const start = Effect.fnUntraced(function*(pipeline: Pipeline.Element<never, never>, options?: PipelineTask.Options) {
  const task = yield* PipelineTask.make(pipeline, options)
  const out: Array<Frame.Frame> = []
  const reader = yield* Effect.forkChild(
    Stream.runForEach(task.output, (frame) => Effect.sync(() => out.push(frame))),
    { startImmediately: true }
  )
  yield* task.start
  return { task, out, reader, settle: TestClock.adjust("1 millis") }
})

const sentences = (...all: ReadonlyArray<string>): ReadonlyArray<TextAggregator.Aggregation> =>
  all.map((text) => ({ type: "sentence", text }))
const tokens = (...all: ReadonlyArray<string>): ReadonlyArray<TextAggregator.Aggregation> =>
  all.map((text) => ({ type: "token", text }))

/** Each push with what it completes, then the flush with what that gives. */
interface Case {
  readonly push: ReadonlyArray<readonly [text: string, out: ReadonlyArray<string>]>
  readonly flush: ReadonlyArray<string>
  /** The same in the lineage, which trims. */
  readonly trimmed?: ReadonlyArray<string>
}

describe("sentences", () => {
  const cases: Record<string, Case> = {
    "waits for an ender": { push: [["Hello ", []], ["Pipecat!", []]], flush: ["Hello Pipecat!"] },
    "looks ahead": {
      push: [["Hello Pipecat!", []], [" ", []], ["How are you?", ["Hello Pipecat!"]]],
      flush: [" How are you?"],
      trimmed: ["How are you?"]
    },
    "two in one push": {
      push: [["Hello Pipecat! How are you?", ["Hello Pipecat!"]]],
      flush: [" How are you?"],
      trimmed: ["How are you?"]
    },
    "a price and a path": { push: [["$29.95/month.", []]], flush: ["$29.95/month."] },
    "an abbreviation": { push: [["Hello Mr. Smith.", []]], flush: ["Hello Mr. Smith."] },
    "the next has begun": {
      push: [["Hello world. Next sentence", ["Hello world."]]],
      flush: [" Next sentence"],
      trimmed: ["Next sentence"]
    },
    "without an ender": { push: [["Hello", []]], flush: ["Hello"] },
    "one letter confirms": { push: [["Hello. W", ["Hello."]]], flush: [" W"], trimmed: ["W"] },
    "Japanese": { push: [["こんにちは。元気ですか？", ["こんにちは。"]]], flush: ["元気ですか？"] },
    "Japanese, one character confirms": { push: [["こんにちは。元", ["こんにちは。"]]], flush: ["元"] },
    "Japanese, alone": { push: [["こんにちは。", []]], flush: ["こんにちは。"] },
    "Chinese, streamed": {
      push: [["你", []], ["好", []], ["世界", []], ["。", []], ["下一句", ["你好世界。"]], ["话", []], ["。", []]],
      flush: ["下一句话。"]
    },
    "a flush splits what is complete from the rest": {
      push: [["Hello. ", []]],
      flush: ["Hello.", " "],
      trimmed: ["Hello."]
    },
    "several at once": {
      push: [["One. Two! Three? Four", ["One.", " Two!", " Three?"]]],
      flush: [" Four"],
      trimmed: ["Four"]
    },
    "nothing but white space": { push: [["  ", []], ["\n", []]], flush: ["  \n"], trimmed: [] },
    "nothing": { push: [["", []]], flush: [] }
  }

  for (const [name, { flush, push, trimmed = flush }] of Object.entries(cases)) {
    it(name, () => {
      const aggregator = TextAggregator.makeAggregator()
      for (const [text, out] of push) deepStrictEqual(aggregator.push(text), sentences(...out))
      deepStrictEqual(aggregator.flush(), sentences(...flush))
      deepStrictEqual(aggregator.flush(), [])
      strictEqual(aggregator.pending, "")
    })

    it(`${name}, trimmed`, () => {
      const aggregator = TextAggregator.makeAggregator({ trim: true })
      for (const [text, out] of push) {
        deepStrictEqual(aggregator.push(text), sentences(...out.map((one) => one.trim())))
      }
      deepStrictEqual(aggregator.flush(), sentences(...trimmed))
    })

    it.effect(`${name}, as a processor`, () =>
      Effect.gen(function*() {
        const frames = texts(...push.map(([text]) => text))
        const out = [...push.flatMap(([, out]) => out), ...flush]
        deepStrictEqual(show(yield* run(TextAggregator.make(), frames)), out)
        const pushed = push.flatMap(([, out]) => out.map((one) => one.trim()))
        deepStrictEqual(show(yield* run(TextAggregator.make({ trim: true }), frames)), [...pushed, ...trimmed])
      }))
  }

  it("pending and reset", () => {
    const exact = TextAggregator.makeAggregator()
    const trimmed = TextAggregator.makeAggregator({ trim: true })
    for (const aggregator of [exact, trimmed]) deepStrictEqual(aggregator.push("Hello "), [])
    strictEqual(exact.pending, "Hello ")
    strictEqual(trimmed.pending, "Hello")
    for (const aggregator of [exact, trimmed]) {
      aggregator.reset()
      strictEqual(aggregator.pending, "")
      deepStrictEqual(aggregator.push("World."), [])
      deepStrictEqual(aggregator.flush(), sentences("World."))
    }
  })

  it("spans that stay whole, and a locale", () => {
    const aggregator = TextAggregator.makeAggregator({ tags: [["<spell>", "</spell>"]] })
    deepStrictEqual(
      aggregator.push("It is <spell>A. Bo? C</spell>. Got it"),
      sentences("It is <spell>A. Bo? C</spell>.")
    )
    deepStrictEqual(aggregator.push(" <spell>Oh! Well"), [])
    deepStrictEqual(aggregator.flush(), sentences(" Got it <spell>Oh! Well"))
    deepStrictEqual(aggregator.push("Go. On"), sentences("Go."))
    const german = TextAggregator.makeAggregator({ locale: "de" })
    deepStrictEqual(german.push("Platz 3. Gut"), [])
  })
})

describe("tokens", () => {
  it("come out at once, unchanged", () => {
    for (const trim of [true, false]) {
      const aggregator = TextAggregator.makeAggregator({ mode: "token", trim })
      deepStrictEqual(aggregator.push("Hello"), tokens("Hello"))
      deepStrictEqual(aggregator.push(" Pipecat. "), tokens(" Pipecat. "))
      deepStrictEqual(aggregator.push(" "), tokens(" "))
      deepStrictEqual(aggregator.push(""), [])
      strictEqual(aggregator.pending, "")
      deepStrictEqual(aggregator.flush(), [])
    }
  })

  it("wait inside spans, also when their ends come in pieces", () => {
    const tags: ReadonlyArray<Sentence.TagPair> = [["<spell>", "</spell>"], ["(", ")"]]
    const aggregator = TextAggregator.makeAggregator({ mode: "token", tags })
    deepStrictEqual(aggregator.push("Hi "), tokens("Hi "))
    deepStrictEqual(aggregator.push("it is <sp"), tokens("it is "))
    deepStrictEqual(aggregator.push("ell"), [])
    deepStrictEqual(aggregator.push(">a"), [])
    strictEqual(aggregator.pending, "<spell>a")
    deepStrictEqual(aggregator.push("b</spe"), [])
    deepStrictEqual(aggregator.push("ll>. "), tokens("<spell>ab</spell>. "))
    deepStrictEqual(aggregator.push("a<b"), tokens("a<b"))
    deepStrictEqual(aggregator.push("(one"), [])
    deepStrictEqual(aggregator.push(" two) (three"), [])
    deepStrictEqual(aggregator.push(" four) "), tokens("(one two) (three four) "))
    deepStrictEqual(aggregator.push("<"), [])
    deepStrictEqual(aggregator.push("x"), tokens("<x"))
  })

  it("a span that begins with nothing is none", () => {
    const aggregator = TextAggregator.makeAggregator({ mode: "token", tags: [["", ""], ["", "x"]] })
    deepStrictEqual(aggregator.push("ax"), tokens("ax"))
  })

  it("an open span comes out at a flush, and is forgotten by a reset", () => {
    const aggregator = TextAggregator.makeAggregator({ mode: "token", tags: [["<a>", "</a>"]] })
    deepStrictEqual(aggregator.push("<a>x"), [])
    deepStrictEqual(aggregator.flush(), tokens("<a>x"))
    deepStrictEqual(aggregator.flush(), [])
    deepStrictEqual(aggregator.push("y"), tokens("y"))
    deepStrictEqual(aggregator.push("<a>x"), [])
    aggregator.reset()
    strictEqual(aggregator.pending, "")
    deepStrictEqual(aggregator.push("y"), tokens("y"))
  })

  it.effect("as a processor: the same frames, without those that are empty", () =>
    Effect.gen(function*() {
      const [first, empty, second] = texts("Hello. Wor", "", " ld")
      const out = yield* run(TextAggregator.make({ mode: "token" }), [first!, empty!, second!])
      strictEqual(out.length, 2)
      strictEqual(out[0], first)
      strictEqual(out[1], second)
    }))

  it.effect("as a processor with spans: a frame that is not whole is a new one", () =>
    Effect.gen(function*() {
      const frames = texts("it <a", ">b", "</a>", "c", "<a>d")
      const out = yield* run(TextAggregator.make({ mode: "token", tags: [["<a>", "</a>"]] }), frames)
      deepStrictEqual(show(out), ["it ", "<a>b</a>", "c", "<a>d"])
      strictEqual(out[2], frames[3])
      strictEqual(out[3], frames[4])
      strictEqual(new Set([...frames, ...out]).size, frames.length + 2)
      // the second piece reads like the first frame, and begins in it, but is not all of it
      const alike = texts("aa", "aa")
      const pieces = yield* run(TextAggregator.make({ mode: "token", tags: [["ab", "b"]] }), alike)
      deepStrictEqual(show(pieces), ["a", "aa", "a"])
      strictEqual(new Set([...alike, ...pieces]).size, 5)
    }))
})

describe("processor", () => {
  it.effect("a sentence is a new frame with the pts and the metadata of the frame in which it begins", () =>
    Effect.gen(function*() {
      const frames = [
        text("One", { pts: 0, metadata: { speaker: "a" } }),
        text(" and. ", { pts: 20 }),
        text(" ", { pts: 40 }),
        text("Two! Thr", { pts: 60, metadata: { speaker: "b" } }),
        text("ee? ", { pts: 80 }),
        text("Four.", { pts: 100 })
      ]
      const out = yield* run(TextAggregator.make(), frames)
      deepStrictEqual(
        out.map((frame) => [Frame.TextFrame.is(frame) && frame.text, frame.pts, frame.metadata]),
        [
          ["One and.", 0, { speaker: "a" }],
          ["  Two!", 60, { speaker: "b" }],
          [" Three?", 60, { speaker: "b" }],
          [" Four.", 100, undefined]
        ]
      )
      const ids = [...frames, ...out].map((frame) => frame.id)
      strictEqual(new Set(ids).size, ids.length)
    }))

  it.effect("a sentence is a new frame also when it is all of one", () =>
    Effect.gen(function*() {
      const frames = texts("One.", " Two.")
      const out = yield* run(TextAggregator.make(), frames)
      deepStrictEqual(show(out), ["One.", " Two."])
      strictEqual(new Set([...frames, ...out].map((frame) => frame.id)).size, 4)
    }))

  it.effect("other frames pass at once, in order with each other; flushOn pushes what is pending", () =>
    Effect.gen(function*() {
      const sync = Frame.SyncFrame.make()
      const image = Frame.ImageRawFrame.make({
        image: new Uint8Array(3),
        width: 1,
        height: 1,
        format: "RAW",
        mode: "RGB"
      })
      const end = TurnEnd.make()
      const frames = [text("Hello."), sync, text(" How"), image, text(" are"), end, text(" you")]
      const out = show(yield* run(TextAggregator.make({ flushOn: [TurnEnd] }), frames))
      deepStrictEqual(out, [sync, "Hello.", image, " How are", end, " you"])
      strictEqual(out[0], sync)
      strictEqual(out[2], image)
      strictEqual(out[4], end)
    }))

  it.effect("an interruption clears what is pending, with pts and all", () =>
    Effect.gen(function*() {
      const { out, reader, settle, task } = yield* start(TextAggregator.make())
      yield* task.queueFrames([text("One. Two", { pts: 1 })])
      yield* settle
      yield* task.interrupt
      yield* task.queueFrames([text("Three", { pts: 2 }), text(".", { pts: 3 }), text(" Four", { pts: 4 })])
      yield* task.stopWhenDone
      yield* Fiber.join(reader)
      deepStrictEqual(out.map((frame) => Frame.TextFrame.is(frame) ? [frame.text, frame.pts] : frame._tag), [
        "StartFrame",
        ["One.", 1],
        "StartInterruptionFrame",
        ["Three.", 2],
        [" Four", 4],
        "EndFrame"
      ])
    }))

  it.effect("without allowInterruptions it clears nothing", () =>
    Effect.gen(function*() {
      const { out, reader, settle, task } = yield* start(TextAggregator.make(), { allowInterruptions: false })
      yield* task.queueFrames(texts("One"))
      yield* settle
      yield* task.interrupt
      yield* task.queueFrames(texts(" two."))
      yield* task.stopWhenDone
      yield* Fiber.join(reader)
      deepStrictEqual(out.map((frame) => Frame.TextFrame.is(frame) ? frame.text : frame._tag), [
        "StartFrame",
        "StartInterruptionFrame",
        "One two.",
        "EndFrame"
      ])
    }))

  it.effect("a stopped task leaves what is pending to the one that takes over", () =>
    Effect.gen(function*() {
      const { reader, task } = yield* start(TextAggregator.make())
      yield* task.queueFrames(texts("One sen"))
      yield* task.stopTask
      yield* Fiber.join(reader)
      const next = yield* PipelineTask.takeOver(task)
      yield* next.queueFrames(texts("tence. Two"))
      yield* next.stopWhenDone
      deepStrictEqual(show((yield* Stream.runCollect(next.output)).slice(1, -1)), ["One sentence.", " Two"])
    }))

  it.effect("text that goes upstream passes", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(TextAggregator.make({ name: "Split" }))
      deepStrictEqual((yield* task.processors).map(({ name }) => name), ["Split"])
      const upstream = yield* Effect.forkChild(Stream.runCollect(task.upstream), { startImmediately: true })
      const frame = text("One. Two.")
      yield* task.queueFrame(frame, "upstream")
      yield* task.stopWhenDone
      yield* task.run
      const out = yield* Fiber.join(upstream)
      strictEqual(out.length, 1)
      strictEqual(out[0], frame)
    }))
})

describe("properties", () => {
  const fragment = Arbitrary.schema(Schema.Literals([
    ..."abAB12Жは한 .!?:。！？।\n\t\"'”)*<>",
    ..."😀".split(""),
    "Mr. ",
    "word ",
    "End. ",
    "...",
    "<a>",
    "</a>",
    ""
  ]))
  const pieces = Arbitrary.array(Arbitrary.array(fragment, { maxLength: 6 }), { maxLength: 30 })
  const strings = Arbitrary.array(Arbitrary.schema(Schema.String), { maxLength: 12 })
  const options: ReadonlyArray<TextAggregator.AggregatorOptions> = [
    {},
    { tags: [["<a>", "</a>"]] },
    { mode: "token" },
    { mode: "token", tags: [["<a>", "</a>"], ["(", ")"]] }
  ]

  const lossless = Effect.fnUntraced(function*(frames: ReadonlyArray<string>) {
    let most = 0
    for (const option of options) {
      const aggregator = TextAggregator.makeAggregator(option)
      const out: Array<TextAggregator.Aggregation> = []
      for (const [i, frame] of frames.entries()) {
        out.push(...aggregator.push(frame))
        const so = out.map((one) => one.text).join("") + aggregator.pending
        strictEqual(so, frames.slice(0, i + 1).join(""))
      }
      out.push(...aggregator.flush())
      const plain = out.map((one) => one.text)
      strictEqual(plain.join(""), frames.join(""))
      for (const one of out) assert.isTrue(one.text !== "" && one.type === (option.mode ?? "sentence"))
      if (option.mode === undefined) deepStrictEqual(plain, Sentence.split(frames.join(""), option))
      deepStrictEqual(show(yield* run(TextAggregator.make(option), texts(...frames))), plain)
      most = Math.max(most, plain.length)
    }
    return most
  })

  /** A piece begins with the frame that its first character other than white space comes from. */
  const begins = Effect.fnUntraced(function*(frames: ReadonlyArray<string>) {
    const out = yield* run(TextAggregator.make(), frames.map((one, pts) => text(one, { pts })))
    const owners = frames.flatMap((one, pts) => Array.from({ length: one.length }, () => pts))
    let at = 0
    for (const frame of out) {
      const piece = Frame.TextFrame.is(frame) ? frame.text : ""
      if (piece.trim() !== "") strictEqual(frame.pts, owners[at + piece.length - piece.trimStart().length])
      at += piece.length
    }
  })

  let most = 0
  it.effect.prop(
    "lossless, whatever the text and wherever it is cut",
    { pieces },
    ({ pieces }) =>
      Effect.gen(function*() {
        const frames = pieces.map((one) => one.join(""))
        most = Math.max(most, yield* lossless(frames))
        yield* begins(frames)
      }),
    { arbitrary: { runs: 200 } }
  )
  it.effect.prop("lossless for any string", { strings }, ({ strings }) => lossless(strings), {
    arbitrary: { runs: 100 }
  })
  it("the text of the properties has sentences", () => isAbove(most, 2))
})
