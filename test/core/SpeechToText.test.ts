import * as SpeechToText from "@apipeline/core/SpeechToText"
import { leaks } from "@apipeline/core/testing"
import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
import * as SpeechToTextContract from "@apipeline/core/testing/SpeechToTextContract"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Context, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { contract } from "../utils/contract.ts"

const { deepStrictEqual, strictEqual, throws } = assert

const rate = 1000
const utterance = {
  samples: Int16Array.from({ length: 1500 }, (_, i) => i < 1000 ? 1000 : 0),
  text: "hello there"
}

/** Understands that there is something. */
const whole = (name = "fake", sampleRate = rate) =>
  Effect.map(
    Fake.make(
      (_, audio) => [
        Fake.final(() => audio().some((sample) => sample !== 0) ? "Hello there." : "", { after: "20 millis" })
      ],
      { sampleRate, name }
    ),
    ({ service }) => service
  )

contract("SpeechToText.fromTranscribe", SpeechToTextContract.checks, {
  make: Effect.map(whole(), (service) => SpeechToText.fromTranscribe(service, { interval: "100 millis" })),
  utterance
}, { time: "virtual" })

const broken = Fake.make(() => [Fake.fails({ isRetryable: false })], { sampleRate: 2 * rate, name: "broken" })

contract("SpeechToText.failover", SpeechToTextContract.checks, {
  make: Effect.gen(function*() {
    const { service } = yield* broken
    return SpeechToText.failover([service, yield* whole("second")])
  }),
  utterance: { samples: Int16Array.from({ length: 3000 }, (_, i) => i < 2000 ? 1000 : 0), text: "hello there" }
}, { time: "virtual" })

/** Chunks, each of some milliseconds of one value, some time apart. */
const live = (chunks: ReadonlyArray<readonly [milliseconds: number, value: number]>): Stream.Stream<Int16Array> =>
  Stream.fromIterable(chunks, { chunkSize: 1 }).pipe(
    Stream.mapEffect(([milliseconds, value]) =>
      Effect.as(Effect.sleep(milliseconds), new Int16Array(milliseconds).fill(value))
    )
  )

const understood = Effect.fnUntraced(function*(
  service: SpeechToText.Service,
  audio: Stream.Stream<Int16Array>,
  options?: SpeechToText.Options
) {
  const seen: Array<SpeechToText.Transcript> = []
  const fiber = yield* service.stream(audio, options).pipe(
    Stream.runForEach((result) => Effect.sync(() => seen.push(result))),
    Effect.exit,
    Effect.forkChild({ startImmediately: true })
  )
  for (let i = 0; i < 300 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust("10 millis")
  const exit = yield* Fiber.join(fiber)
  return { exit, line: seen.map(({ end, isFinal, start, text }) => `${text}${isFinal ? "!" : ""} ${start}-${end}`) }
})

/** Tells how much it was given. */
const measuring = (after: number) =>
  Fake.make((_, audio) => [Fake.final(() => `${audio().length}`, { after })], { sampleRate: rate })

describe("fromTranscribe", () => {
  it.effect("looks again after an interval, one at a time, at all that is there", () =>
    Effect.gen(function*() {
      const { calls, service } = yield* measuring(220)
      const recognizer = SpeechToText.fromTranscribe(service, { interval: "100 millis" })
      const { line } = yield* understood(recognizer, live(Array.from({ length: 10 }, () => [50, 1] as const)))
      // at 100; at 350, for until 320 it was at work; at 500 all is there
      deepStrictEqual(line, ["100 0-100", "500! 0-500"])
      deepStrictEqual(calls.map(({ audio, outcome }) => [audio().length, outcome()]), [
        [100, "done"],
        [350, "interrupted"],
        [500, "done"]
      ])
    }))

  it.effect("tells nothing twice, nothing empty, and no failure before the end", () =>
    Effect.gen(function*() {
      const { service } = yield* Fake.make([
        Fake.transcribe(Fake.final("")),
        Fake.transcribe(Fake.final("a")),
        Fake.transcribe(Fake.fails()),
        Fake.transcribe(Fake.final("a")),
        Fake.transcribe(Fake.final("b"))
      ], { sampleRate: rate })
      const recognizer = SpeechToText.fromTranscribe(service, { interval: "100 millis" })
      const { line } = yield* understood(recognizer, live(Array.from({ length: 4 }, () => [100, 1] as const)))
      deepStrictEqual(line, ["a 0-200", "b! 0-400"])
    }))

  it.effect("what is too long is cut where it is quiet", () =>
    Effect.gen(function*() {
      const { calls, service } = yield* measuring(10)
      const recognizer = SpeechToText.fromTranscribe(service, { maxSegment: "1 second" })
      const { line } = yield* understood(
        recognizer,
        live([[700, 1000], [200, 0], [300, 1000], [450, 1000], [50, 0], [200, 1000]]),
        { interim: false }
      )
      deepStrictEqual(line, ["816! 0-816", "816! 816-1632", "268! 1632-1900"])
      deepStrictEqual(calls.map(({ options }) => options?.interim), [false, false, false])
    }))

  it.effect("fails when the whole is not understood", () =>
    Effect.gen(function*() {
      const { service } = yield* Fake.make([Fake.transcribe(Fake.fails())], { sampleRate: rate })
      const { exit } = yield* understood(SpeechToText.fromTranscribe(service), live([[100, 1]]))
      strictEqual(exit._tag, "Failure")
    }))

  it("options that cannot work", () => {
    const transcribe = () => Effect.never
    const make = (options: SpeechToText.FromTranscribeOptions) => () =>
      SpeechToText.fromTranscribe({ name: "a", sampleRate: rate, transcribe }, options)
    throws(make({ interval: -1 }), "SpeechToText: interval: found -1 ms, expected a duration greater than zero")
    throws(make({ maxSegment: 0 }), "SpeechToText: maxSegment: found 0 ms, expected a duration greater than zero")
  })

  it.effect.prop(
    "all audio is in the final results, once, however it comes",
    { sizes: Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 30, 200, 999, 2500])), { maxLength: 8 }) },
    ({ sizes }) =>
      Effect.gen(function*() {
        let at = 0
        const chunks = sizes.map((size) => Int16Array.from({ length: size }, () => at++))
        const heard: Array<number> = []
        const service = SpeechToText.fromTranscribe({
          name: "a",
          sampleRate: rate,
          transcribe: (audio, options) =>
            Effect.sync(() => {
              if (options?.interim === false) heard.push(...audio)
              return { text: "a", isFinal: true, start: 0, end: audio.length }
            })
        }, { maxSegment: "1 second" })
        const results = yield* Stream.runCollect(service.stream(Stream.fromIterable(chunks), { interim: false }))
        deepStrictEqual(heard, Array.from({ length: at }, (_, i) => i))
        strictEqual(results.at(-1)?.end ?? 0, at)
        strictEqual(results.every(({ end, start }) => end - start <= 1000), true)
      }),
    { arbitrary: { runs: 40 } }
  )
})

describe("failover", () => {
  it.effect("the same audio goes to the next one, which is used from then on; after the last comes the first", () =>
    Effect.gen(function*() {
      const first = yield* Fake.make([
        Fake.transcribe(Fake.fails(), { milliseconds: 100 }),
        Fake.transcribe(Fake.final("c"), { milliseconds: 300 })
      ], { sampleRate: rate, name: "first", p99Latency: 300 })
      const second = yield* Fake.make([
        Fake.transcribe(Fake.final("a"), { milliseconds: 100 }),
        Fake.transcribe(Fake.final("b"), { milliseconds: 200 }),
        Fake.transcribe(Fake.fails(), { milliseconds: 300 })
      ], { sampleRate: 2 * rate, name: "second", p99Latency: 500 })
      const switched: Array<string> = []
      const both = SpeechToText.failover([first.service, second.service], {
        onSwitched: ({ error, from, to }) => Effect.sync(() => switched.push(`${from} -> ${to}: ${error.message}`))
      })
      const texts: Array<string> = []
      for (const milliseconds of [100, 200, 300]) {
        texts.push((yield* both.transcribe(new Int16Array(milliseconds))).text)
      }
      deepStrictEqual(texts, ["a", "b", "c"])
      deepStrictEqual(switched, ["first -> second: fake: scripted", "second -> first: fake: scripted"])
      deepStrictEqual([both.name, both.sampleRate, both.p99Latency], ["first", rate, 500])
    }))

  it.effect("fails when all have", () =>
    Effect.gen(function*() {
      const fakes = yield* Effect.forEach(["a", "b", "c"], (message) =>
        Fake.make([Fake.transcribe(Fake.fails({ message }))], { sampleRate: rate }))
      const all = SpeechToText.failover([fakes[0]!.service, fakes[1]!.service, fakes[2]!.service])
      strictEqual((yield* Effect.flip(all.transcribe(new Int16Array(10)))).message, "fake: c")
    }))

  it.effect("a stream goes on where its last final result ended", () =>
    Effect.gen(function*() {
      const first = yield* Fake.make([
        Fake.stream([Fake.final("a", { at: 200, end: 150 }), Fake.interim("b", { at: 250 }), Fake.fails({ at: 300 })])
      ], { sampleRate: rate })
      const second = yield* Fake.make([Fake.stream(Fake.final("b c"))], { sampleRate: rate })
      const both = SpeechToText.failover([first.service, second.service])
      const { exit, line } = yield* understood(both, live(Array.from({ length: 10 }, (_, i) => [50, i] as const)))
      strictEqual(exit._tag, "Success")
      deepStrictEqual(line, ["a! 0-150", "b 0-250", "b c! 150-500"])
      deepStrictEqual(Array.from(second.calls[0]!.audio().subarray(0, 51)), [
        ...Array.from({ length: 50 }, () => 3),
        4
      ])
    }))

  it.effect("no more audio is kept than may be", () =>
    Effect.gen(function*() {
      const first = yield* Fake.make([Fake.stream(Fake.fails({ at: 400 }))], { sampleRate: rate })
      const second = yield* Fake.make([Fake.stream(Fake.final("a"))], { sampleRate: rate })
      const both = SpeechToText.failover([first.service, second.service], { keep: "100 millis" })
      yield* understood(both, live(Array.from({ length: 10 }, (_, i) => [50, i] as const)))
      deepStrictEqual([first.calls[0]!.audio().length, second.calls[0]!.audio().length], [400, 200])
    }))

  it.effect("of layers, and nothing is left running", () =>
    Effect.gen(function*() {
      const layer = SpeechToText.layerFailover([
        Fake.layer([Fake.stream(Fake.fails())], { sampleRate: rate }),
        Fake.layer([Fake.stream(Fake.final("a"))], { sampleRate: rate })
      ])
      const [text, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const service = Context.get(yield* Layer.build(layer), SpeechToText.SpeechToText)
        return (yield* Stream.runCollect(service.stream(Stream.make(new Int16Array(10)))))[0]?.text
      })))
      deepStrictEqual([text, alive], ["a", 0])
    }))
})
