import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Sentence from "@apipeline/core/Sentence"
import * as SentenceAggregator from "@apipeline/core/SentenceAggregator"
import * as TextTransformer from "@apipeline/core/TextTransformer"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, isAbove, notStrictEqual, strictEqual } = assert

class TurnEnd extends Frame.App<TurnEnd>()("TurnEnd", {}, { kind: "control" }) {}
class Alarm extends Frame.App<Alarm>()("Alarm", {}, { kind: "system" }) {}
class Note extends Frame.App<Note>()("Note", { n: Schema.Finite }) {}

const text = (text: string, options?: Frame.Options): Frame.TextFrame => Frame.TextFrame.make({ text, ...options })
const texts = (...all: ReadonlyArray<string>): ReadonlyArray<Frame.TextFrame> => all.map((one) => text(one))
const audio = (): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: new Uint8Array(640), sampleRate: 16000, numChannels: 1 })

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

describe("SentenceAggregator", () => {
  describe("frame boundaries", () => {
    const cases: ReadonlyArray<
      readonly [name: string, frames: ReadonlyArray<string>, sentences: ReadonlyArray<string>]
    > = [
      ["pipeline-py: a frame that ends in an ender confirms it", ["Hello, ", "world.", "hi"], ["Hello, world.", "hi"]],
      ["pipeline-go: tokens", ["Hello", " beautiful", " world", "!"], ["Hello beautiful world!"]],
      ["pipeline-go: two sentences", ["Hello world", ".", " How", " are you", "?"], ["Hello world.", " How are you?"]],
      ["pipeline-go: the rest at the end", ["Hello", " world"], ["Hello world"]],
      [
        "pipecat: words with a space each",
        ["Hello, ", "world. ", "How ", "are ", "you? ", "I ", "am ", "fine! "],
        ["Hello, world. ", "How are you? ", "I am fine! "]
      ],
      ["an ender of its own, with a space", ["Hi", ". ", "You", "? "], ["Hi.", " You?", " "]],
      ["white space of its own", ["Hi.", " ", "\n", "You?", " "], ["Hi.", " \nYou?", " "]],
      ["closing punctuation and a space", ["(Hi", ".) ", "You"], ["(Hi.)", " You"]],
      ["an abbreviation in pieces", ["I saw Mr", ".", " Smith", "."], ["I saw Mr. Smith."]],
      ["initials", ["U", ".", "S", ".", "A", ".", " is", " big", "."], ["U.S.A. is big."]],
      ["a number in pieces", ["Pi is 3", ".", "14", "15", "!"], ["Pi is 3.1415!"]],
      ["a time", ["At 3:00 p.m", ". ", "then", "."], ["At 3:00 p.m. then."]],
      ["a colon", ["Important note:", " read"], ["Important note:", " read"]],
      ["Japanese", ["こん", "にちは", "。", "元気", "ですか？", "は"], ["こんにちは。", "元気ですか？", "は"]],
      ["Chinese", ["你好", "世界。", "下"], ["你好世界。", "下"]],
      ["Hindi and Arabic", ["हैलो", "।", "مرحبا", "؟"], ["हैलो।", "مرحبا؟"]],
      ["several sentences in a frame stay together", ["One. Two. ", "Three"], ["One. Two. ", "Three"]],
      ["an ender inside a frame waits for the frame's end", ["One. Two", " and a half."], ["One. Two and a half."]],
      ["frames without text", ["", "Hi", "", ".", ""], ["Hi."]],
      ["nothing but an ender", [".", "!"], [".", "!"]],
      ["nothing but white space", [" ", "\n"], [" \n"]],
      ["nothing", [], []]
    ]

    for (const [name, frames, sentences] of cases) {
      it.effect(name, () =>
        Effect.gen(function*() {
          deepStrictEqual(show(yield* run(SentenceAggregator.make(), texts(...frames))), sentences)
        }))
    }

    const characters = [..."Hello, world. It's me, a pipeline."]
    const spelled = ["H E L L O ,   W O R L D .", "   I T ' S   M E ,   A   P I P E L I N E .", " "]

    it.effect("pipeline-py: [append \" \", sentence aggregator, upper], character by character", () =>
      Effect.gen(function*() {
        const out = yield* run(
          Pipeline.make(
            TextTransformer.map((text) => text + " "),
            SentenceAggregator.make(),
            TextTransformer.map((text) => text.toUpperCase())
          ),
          texts(...characters)
        )
        deepStrictEqual(show(out), spelled)
      }))

    it.effect("the same with each space in a frame of its own", () =>
      Effect.gen(function*() {
        const out = yield* run(
          Pipeline.make(SentenceAggregator.make(), TextTransformer.map((text) => text.toUpperCase())),
          texts(...characters.flatMap((character) => [character, " "]))
        )
        deepStrictEqual(show(out), spelled)
      }))

    it.effect("looks back far enough, and at the whole of a long sentence only once", () =>
      Effect.gen(function*() {
        const words = Array.from({ length: 5000 }, (_, i) => `word${i} `)
        const frames = texts(...words, "Mr", ".", " Smith", ".", " Next")
        deepStrictEqual(show(yield* run(SentenceAggregator.make(), frames)), [`${words.join("")}Mr. Smith.`, " Next"])
      }))
  })

  it.effect("a sentence is a new frame with the pts and the metadata of the frame in which it begins", () =>
    Effect.gen(function*() {
      const frames = [
        text("One ", { pts: 0, metadata: { speaker: "a" } }),
        text("and", { pts: 20 }),
        text(". ", { pts: 40, metadata: { speaker: "b" } }),
        text(" ", { pts: 60 }),
        text("two", { pts: 80, metadata: { speaker: "c" } }),
        text("!", { pts: 100 }),
        text("Whole.", { pts: 120 }),
        text(". ", { pts: 140 })
      ]
      const out = yield* run(SentenceAggregator.make(), frames)
      deepStrictEqual(
        out.map((frame) => [Frame.TextFrame.is(frame) && frame.text, frame.pts, frame.metadata]),
        [
          ["One and.", 0, { speaker: "a" }],
          ["  two!", 80, { speaker: "c" }],
          ["Whole.", 120, undefined],
          [".", 140, undefined],
          [" ", 140, undefined]
        ]
      )
      const ids = [...frames, ...out].map((frame) => frame.id)
      strictEqual(new Set(ids).size, ids.length)
    }))

  it.effect("other frames pass at once: the same frames, in order with each other", () =>
    Effect.gen(function*() {
      const sound = audio()
      const sync = Frame.SyncFrame.make()
      const note = Note.make({ n: 1 })
      const later = audio()
      const frames = [text("Hello"), sound, text(", "), sync, text("world."), note, text("hi"), later]
      const out = show(yield* run(SentenceAggregator.make(), frames))
      const expected = [sound, sync, "Hello, world.", note, later, "hi"]
      strictEqual(out.length, expected.length)
      for (const [i, one] of expected.entries()) strictEqual(out[i], one)
    }))

  it.effect("system frames pass at once", () =>
    Effect.gen(function*() {
      const { out, settle, task } = yield* start(SentenceAggregator.make())
      const metrics = Frame.MetricsFrame.make({ data: [] })
      yield* task.queueFrames([text("Hello"), metrics])
      yield* settle
      deepStrictEqual(out.slice(1), [metrics])
    }))

  it.effect("text that goes upstream passes", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(SentenceAggregator.make())
      const upstream = yield* Effect.forkChild(Stream.runCollect(task.upstream), { startImmediately: true })
      const frames = texts("Hel", "lo.")
      yield* task.queueFrames(frames, "upstream")
      yield* task.stopWhenDone
      yield* task.run
      const out = yield* Fiber.join(upstream)
      strictEqual(out.length, 2)
      for (const [i, frame] of frames.entries()) strictEqual(out[i], frame)
    }))

  it.effect("a sentence leaves at once, not with the next frame", () =>
    Effect.gen(function*() {
      const { out, settle, task } = yield* start(SentenceAggregator.make())
      yield* task.queueFrames(texts("Hello", "."))
      yield* settle
      deepStrictEqual(show(out.slice(1)), ["Hello."])
    }))

  it.effect("the frames of flushOn push what is left before them", () =>
    Effect.gen(function*() {
      const end = TurnEnd.make()
      const again = TurnEnd.make()
      const note = Note.make({ n: 1 })
      const frames = [text("Hel"), note, text("lo"), end, again, text("you."), text(" Bye")]
      const out = show(yield* run(SentenceAggregator.make({ flushOn: [TurnEnd] }), frames))
      deepStrictEqual(out, [note, "Hello", end, again, "you.", " Bye"])
      strictEqual(out[2], end)
      strictEqual(out[3], again)
    }))

  it.effect("flushOn takes system frames too", () =>
    Effect.gen(function*() {
      const { out, settle, task } = yield* start(SentenceAggregator.make({ flushOn: [Alarm] }))
      const alarm = Alarm.make()
      yield* task.queueFrames(texts("Hel", "lo"))
      yield* settle
      yield* task.queueFrame(alarm)
      yield* task.queueFrames(texts("you."))
      yield* settle
      deepStrictEqual(show(out.slice(1)), ["Hello", alarm, "you."])
    }))

  it.effect("flushOn takes lifecycle frames too", () =>
    Effect.gen(function*() {
      const { out, reader, task } = yield* start(SentenceAggregator.make({ flushOn: [Frame.StopTaskFrame] }))
      yield* task.queueFrames(texts("Hel", "lo"))
      yield* task.stopTask
      yield* Fiber.join(reader)
      deepStrictEqual(out.map((frame) => Frame.TextFrame.is(frame) ? frame.text : frame._tag), [
        "StartFrame",
        "Hello",
        "StopTaskFrame"
      ])
    }))

  it.effect("an interruption clears what is left", () =>
    Effect.gen(function*() {
      const { out, reader, settle, task } = yield* start(SentenceAggregator.make())
      yield* task.queueFrames(texts("One.", " Two"))
      yield* settle
      yield* task.interrupt
      yield* task.queueFrames(texts("Three", "."))
      yield* task.stopWhenDone
      yield* Fiber.join(reader)
      deepStrictEqual(out.map((frame) => Frame.TextFrame.is(frame) ? frame.text : frame._tag), [
        "StartFrame",
        "One.",
        "StartInterruptionFrame",
        "Three.",
        "EndFrame"
      ])
    }))

  it.effect("without allowInterruptions it clears nothing", () =>
    Effect.gen(function*() {
      const { out, reader, settle, task } = yield* start(SentenceAggregator.make(), { allowInterruptions: false })
      yield* task.queueFrames(texts("One", ","))
      yield* settle
      yield* task.interrupt
      yield* task.queueFrames(texts(" two", "."))
      yield* task.stopWhenDone
      yield* Fiber.join(reader)
      deepStrictEqual(out.map((frame) => Frame.TextFrame.is(frame) ? frame.text : frame._tag), [
        "StartFrame",
        "StartInterruptionFrame",
        "One, two.",
        "EndFrame"
      ])
    }))

  it.effect("a cancel pushes nothing", () =>
    Effect.gen(function*() {
      const { out, reader, settle, task } = yield* start(SentenceAggregator.make())
      yield* task.queueFrames(texts("One"))
      yield* settle
      yield* task.cancel()
      yield* Fiber.join(reader)
      deepStrictEqual(out.map((frame) => frame._tag), ["StartFrame", "CancelFrame"])
    }))

  it.effect("a stopped task leaves what is left to the one that takes over", () =>
    Effect.gen(function*() {
      const { out, reader, task } = yield* start(SentenceAggregator.make())
      yield* task.queueFrames(texts("One", " sen"))
      yield* task.stopTask
      yield* Fiber.join(reader)
      deepStrictEqual(out.map((frame) => frame._tag), ["StartFrame", "StopTaskFrame"])
      const next = yield* PipelineTask.takeOver(task)
      yield* next.queueFrames(texts("tence.", " Two"))
      yield* next.stopWhenDone
      deepStrictEqual(show((yield* Stream.runCollect(next.output)).slice(1, -1)), ["One sentence.", " Two"])
    }))

  it.effect("a value serves many tasks at once, each with text of its own", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(SentenceAggregator.make())
      const first = yield* start(pipeline)
      const second = yield* start(pipeline)
      yield* first.task.queueFrames(texts("One"))
      yield* second.task.queueFrames(texts("Two"))
      yield* first.settle
      yield* first.task.queueFrames(texts("!"))
      yield* second.task.queueFrames(texts("?"))
      yield* first.settle
      deepStrictEqual([show(first.out.slice(1)), show(second.out.slice(1))], [["One!"], ["Two?"]])
    }))

  it.effect("names", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(
        Pipeline.make(SentenceAggregator.make(), SentenceAggregator.make({ name: "Lines" }))
      )
      deepStrictEqual((yield* task.processors).map(({ name }) => name), ["SentenceAggregator", "Lines"])
    }))

  const fragment = Arbitrary.schema(Schema.Literals([
    ..."abAB12Жは한 .!?:。！？।\n\t\"'”)*",
    ..."😀".split(""),
    "Mr.",
    "p.m. ",
    "word ",
    "end. ",
    "...",
    ""
  ]))
  const pieces = Arbitrary.array(Arbitrary.array(fragment, { maxLength: 6 }), { maxLength: 30 })
  const characters = Arbitrary.array(Arbitrary.schema(Schema.String), { maxLength: 12 })

  const lossless = Effect.fnUntraced(function*(frames: ReadonlyArray<string>) {
    const out = yield* run(SentenceAggregator.make(), texts(...frames))
    const sentences = out.map((frame) => Frame.TextFrame.is(frame) ? frame.text : "")
    strictEqual(sentences.join(""), frames.join(""))
    for (const [i, sentence] of sentences.entries()) {
      notStrictEqual(sentence, "")
      if (i < sentences.length - 1) assert.isTrue(Sentence.endsSentence(sentence), JSON.stringify(sentence))
    }
    return sentences.length
  })

  let most = 0
  it.effect.prop(
    "lossless, whatever the text and wherever it is cut",
    { pieces },
    ({ pieces }) =>
      Effect.gen(function*() {
        most = Math.max(most, yield* lossless(pieces.map((one) => one.join(""))))
      }),
    { arbitrary: { runs: 500 } }
  )
  it.effect.prop("lossless for any string", { characters }, ({ characters }) => lossless(characters), {
    arbitrary: { runs: 200 }
  })
  it("the text of the properties has sentences", () => isAbove(most, 2))
})
