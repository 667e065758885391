import { leaks } from "@apipeline/core/testing"
import * as FakeTurnDetector from "@apipeline/core/testing/FakeTurnDetector"
import * as TurnDetectorContract from "@apipeline/core/testing/TurnDetectorContract"
import * as TurnDetector from "@apipeline/core/TurnDetector"
import * as TurnStop from "@apipeline/core/TurnStop"
import * as UserTurn from "@apipeline/core/UserTurn"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit } from "effect"
import { contract } from "../utils/contract.ts"
import { inWords, trace } from "../utils/turns.ts"

const { deepStrictEqual, match, strictEqual } = assert

const turn = (text: string): TurnDetector.Turn => ({ text, audio: new Int16Array(0), sampleRate: 16_000 })

const complete = [
  "Yes.",
  "yes",
  "I would like a coffee.",
  "What time is it?",
  "what are you looking for",
  "No, I will.",
  "Come in.",
  "I think so.",
  "My phone number is 555-1234.",
  "my phone number is five five five one two three four",
  "My PIN is 1234.",
  "Set a timer for 5 minutes.",
  "Stop!",
  "Wie geht es dir?",
  "Je voudrais un café.",
  "こんにちは。",
  "元気ですか？",
  "你好吗？",
  "नमस्ते।",
  "كيف حالك؟"
]

const incomplete = [
  "I would like to",
  "I would like to.",
  "um",
  "Um.",
  "so I went there, um",
  "and",
  "I went to the shop and.",
  "Well,",
  "Set a timer for",
  "Tell me about",
  "what is the?",
  "I'm",
  "because",
  "my number is 5 5",
  "My phone number is 555.",
  "my pin is one two",
  "five five",
  "I wan-",
  "Hello...",
  "Ich möchte,",
  "我想，",
  ""
]

describe("TurnDetector", () => {
  const text = Effect.provide(TurnDetector.TurnDetector.use(Effect.succeed), TurnDetector.layerText())

  contract("layerText", TurnDetectorContract.checks, {
    make: text,
    complete: complete.map(turn),
    incomplete: incomplete.map(turn)
  }, { time: "virtual" })

  contract("FakeTurnDetector", TurnDetectorContract.checks.slice(0, 1), {
    make: Effect.map(FakeTurnDetector.make([]), ({ service }) => service),
    complete: [],
    incomplete: []
  }, { time: "virtual" })

  it.effect("the contract finds what is wrong", () =>
    Effect.gen(function*() {
      const found = (completion: TurnDetector.Service["completion"]) =>
        Effect.map(
          Effect.forEach(TurnDetectorContract.checks, (check) =>
            Effect.scoped(check.run({
              make: Effect.succeed({ name: "wrong", needsAudio: true, completion }),
              complete: [{ ...turn("Yes."), audio: Int16Array.of(1, 2, 3) }],
              incomplete: [turn("and")],
              timeout: "1 second"
            })).pipe(
              Effect.exit,
              Effect.map((exit) => Exit.isFailure(exit) ? check.name : undefined)
            )),
          (names) => names.filter((name) => name !== undefined)
        )
      deepStrictEqual(yield* found(() => Effect.succeed(0.9)), ["tells complete turns from others"])
      deepStrictEqual(yield* found(({ text }) => Effect.succeed(text === "Yes." ? 2 : text === "and" ? 0.1 : 7)), [
        "gives a probability for everything"
      ])
      let calls = 0
      deepStrictEqual(
        yield* found(({ audio, text }) =>
          Effect.sync(() => {
            audio.fill(0)
            return text === "and" ? 0.1 : 0.9 - ++calls / 1e6
          })
        ),
        ["leaves the audio as it is, and answers the same again", "answers several at a time"]
      )
      assert.isTrue((yield* found(() => Effect.never)).length >= 5)
    }))

  it.effect("the fake is strict", () =>
    Effect.gen(function*() {
      const asked = (script: ReadonlyArray<FakeTurnDetector.Call>, ...texts: ReadonlyArray<string>) =>
        TurnDetector.TurnDetector.use((detector) => Effect.forEach(texts, (text) => detector.completion(turn(text))))
          .pipe(
            Effect.provide(FakeTurnDetector.layer(script)),
            Effect.sandbox,
            Effect.match({ onSuccess: String, onFailure: Cause.pretty })
          )
      strictEqual(yield* asked([{ completion: 0.5 }, { text: "b", completion: 1 }], "a", "b"), "0.5,1")
      match(yield* asked([{ completion: 0.5 }], "a", "b"), /\+ 2\. completion \("b"\)/)
      match(yield* asked([{ text: "a", completion: 0.5 }], "b"), /- 1\. completion \("a"\)\n\+ 1\. completion \("b"\)/)
      match(yield* asked([{ text: "a", completion: 0.5 }]), /- 1\. completion \("a"\)/)
      match(yield* asked([{ completion: { isRetryable: true, message: "busy" } }], "a"), /fake: busy/)
    }))
})

describe("TurnStop.turnDetector", () => {
  /** What leaves a processor of turns with a scripted detector. */
  const detected = Effect.fnUntraced(
    function*(
      script: ReadonlyArray<FakeTurnDetector.Call>,
      line: string,
      options: TurnStop.TurnDetectorOptions & FakeTurnDetector.Options = {},
      change: (stop: TurnStop.TurnStop<TurnDetector.TurnDetector>) => TurnStop.TurnStop<TurnDetector.TurnDetector> = (
        stop
      ) => stop
    ) {
      const fake = yield* FakeTurnDetector.make(script, { needsAudio: options.needsAudio })
      const stop = change(TurnStop.turnDetector(options))
      const [out, alive] = yield* leaks(
        trace(UserTurn.make({ stop: [stop] }), line).pipe(
          Effect.provideService(TurnDetector.TurnDetector, fake.service)
        )
      )
      strictEqual(alive, 0)
      return { trace: out.trace, up: inWords(out.up), ...fake }
    }
  )

  const hears = { needsAudio: true }

  it.effect("the recogniser's time is counted from the end of speech, however long the detector takes", () =>
    Effect.gen(function*() {
      const slow = [{ completion: 0.9, after: "300 millis" }] as const
      const one = yield* detected(slow, "vad:200 stt:600 S T E 1000", hears)
      strictEqual(one.trace, "vad stt S user ! T E 400 /user")
    }).pipe(Effect.scoped))

  it.effect("the last transcription comes while the detector is at work: it ends with the answer", () =>
    Effect.gen(function*() {
      const slow = [{ completion: 0.9, after: "300 millis" }] as const
      const one = yield* detected(slow, "vad:200 stt:600 S E 100 F 1000", hears)
      strictEqual(one.trace, "vad stt S user ! E 100 F 200 /user")
      const late = yield* detected([{ completion: 0.9 }], "vad:200 stt:600 S E 100 F 1000", hears)
      strictEqual(late.trace, "vad stt S user ! E 100 F /user")
      const later = yield* detected([{ completion: 0.9 }], "vad:200 stt:600 S E 500 T 1000", hears)
      strictEqual(later.trace, "vad stt S user ! E 500 T /user")
    }).pipe(Effect.scoped))

  it.effect("without waiting for text, the answer alone ends it", () =>
    Effect.gen(function*() {
      const slow = [{ completion: 0.9, after: "300 millis" }] as const
      const one = yield* detected(slow, "stt:600 S E 1000", { ...hears, waitForTranscript: false })
      strictEqual(one.trace, "stt S user ! E 300 /user")
    }).pipe(Effect.scoped))

  it.effect("one that goes by text is asked when there is some, and again with more", () =>
    Effect.gen(function*() {
      const one = yield* detected([
        { text: "I would", completion: 0.2 },
        { text: "I would like it.", completion: 0.9 }
      ], "stt:500 S E 50 T:I_would 50 F:like_it. 1000")
      strictEqual(one.trace, "stt S user ! E 50 T:I_would 50 F:like_it. /user")
    }).pipe(Effect.scoped))

  it.effect("a noise that seems complete does not end what is said after it, nor hold it up", () =>
    Effect.gen(function*() {
      const noise = { completion: 0.9 }
      const said = yield* detected([noise, { completion: 0.9 }], "S E 1000 S 500 F E 100", hears)
      strictEqual(said.trace, "S user ! E 1000 S 500 F E /user")
      const alone = yield* detected([noise], "S E 6000", hears)
      strictEqual(alone.trace, "S user ! E 5000 /user")
    }).pipe(Effect.scoped))

  it.effect("an incomplete turn goes on, or is over after a silence", () =>
    Effect.gen(function*() {
      const no = { completion: 0.4 }
      const over = yield* detected([no], "S F E 5000")
      strictEqual(over.trace, "S user ! F E 3000 /user")
      const goesOn = yield* detected([no, { text: "word word", completion: 0.5 }], "S F E 2000 S 2000 F E 100")
      strictEqual(goesOn.trace, "S user ! F E 2000 S 2000 F E /user")
      const strict = yield* detected([no], "S F E 500", { threshold: 0.4 })
      strictEqual(strict.trace, "S user ! F E /user")
      const soon = yield* detected([no], "S F E 500", { incompleteTimeout: "200 millis" })
      strictEqual(soon.trace, "S user ! F E 200 /user")
    }).pipe(Effect.scoped))

  it.effect("the user who goes on ends the question", () =>
    Effect.gen(function*() {
      const one = yield* detected(
        [{ completion: 0.9, after: "300 millis" }, { completion: 0.9 }],
        "S F E 100 S 500 F E 100"
      )
      strictEqual(one.trace, "S user ! F E 100 S 500 F E /user")
      strictEqual(one.interrupted(), 1)
    }).pipe(Effect.scoped))

  it.effect("more text ends the question about less of it", () =>
    Effect.gen(function*() {
      const slow = "300 millis"
      const one = yield* detected([
        { text: "a", completion: 1, after: slow },
        { text: "a b", completion: 0.2, after: slow }
      ], "S E T:a 100 T:b 50 I 950 I 1000")
      strictEqual(one.trace, "S user ! E T:a 100 T:b 50 I 950 I 1000 /user")
      strictEqual(one.interrupted(), 1)
    }).pipe(Effect.scoped))

  it.effect("a detector that fails or does not answer is reported, and the turn is complete", () =>
    Effect.gen(function*() {
      const fails = yield* detected([{ completion: { isRetryable: true } }], "S F E 100")
      strictEqual(fails.trace, "S user ! F E /user")
      strictEqual(fails.up, "user ! ErrorFrame /user")
      const hangs = yield* detected([{ completion: "hang" }], "S F E 2500")
      strictEqual(hangs.trace, "S user ! F E 2000 /user")
      strictEqual(hangs.up, "user ! ErrorFrame /user")
      strictEqual(hangs.interrupted(), 1)
    }).pipe(Effect.scoped))

  it.effect("the end of the task ends the question", () =>
    Effect.gen(function*() {
      const one = yield* detected([{ completion: "hang" }], "S F E 100")
      strictEqual(one.trace, "S user ! F E 100 /user")
      strictEqual(one.interrupted(), 1)
    }).pipe(Effect.scoped))

  it.effect("without voice activity, it is over when the recogniser has had its time", () =>
    Effect.gen(function*() {
      const one = yield* detected([], "vad:200 stt:600 T 1000")
      strictEqual(one.trace, "vad stt user ! T 400 /user")
    }).pipe(Effect.scoped))

  it.effect("what was heard is forgotten at the end of a turn, not at its beginning; deferred, too", () =>
    Effect.gen(function*() {
      // 20 ms each
      const line = "audio audio S audio F E 100 audio S F E 100"
      const script = [{ milliseconds: 60, completion: 1 }, { milliseconds: 20, completion: 1 }]
      const one = yield* detected(script, line, hears)
      strictEqual(one.trace, "audio audio S user ! audio F E /user 100 audio S user ! F E /user")
      deepStrictEqual(one.turns.map(({ sampleRate }) => sampleRate), [16_000, 16_000])
      const judged = yield* detected(
        [{ milliseconds: 60, completion: 1 }, { milliseconds: 80, completion: 1 }],
        line,
        hears,
        TurnStop.deferred
      )
      strictEqual(judged.trace, "audio audio S user ! audio F E infer 100 audio S F E infer 100 /user")
    }).pipe(Effect.scoped))

  it.effect("of what was heard, the last 8 seconds are kept; one that does not hear gets none", () =>
    Effect.gen(function*() {
      const audio = Array.from({ length: 450 }, () => "audio").join("+")
      yield* detected([{ milliseconds: 8000, completion: 1 }], `${audio} S F E 100`, hears)
      const deaf = yield* detected([{ completion: 1 }], "audio S F E 100")
      strictEqual(deaf.turns[0]!.audio.length, 0)
    }).pipe(Effect.scoped))

  it.effect("with layerText", () =>
    Effect.gen(function*() {
      const out = yield* trace(
        UserTurn.make({ stop: [TurnStop.turnDetector()] }),
        "S E 10 F:I_would_like_to 500 S E 10 F:order_a_coffee. 500"
      ).pipe(Effect.provide(TurnDetector.layerText()))
      strictEqual(out.trace, "S user ! E 10 F:I_would_like_to 500 S E 10 F:order_a_coffee. /user")
      const noise = yield* trace(
        UserTurn.make({ stop: [TurnStop.turnDetector()] }),
        "S E 2000 S E 10 F:A_coffee,_please. 500"
      ).pipe(Effect.provide(TurnDetector.layerText()))
      strictEqual(noise.trace, "S user ! E 2000 S E 10 F:A_coffee,_please. /user")
    }))
})
