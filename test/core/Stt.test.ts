import * as Frame from "@apipeline/core/Frame"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import type * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import * as ServiceSwitcher from "@apipeline/core/ServiceSwitcher"
import * as SpeechToText from "@apipeline/core/SpeechToText"
import * as Stt from "@apipeline/core/Stt"
import { act, interrupt, leaks, run, settle, sleep, type Step, upstream } from "@apipeline/core/testing"
import * as Fake from "@apipeline/core/testing/FakeSpeechToText"
import { VadParamsFrame } from "@apipeline/core/Vad"
import * as VadController from "@apipeline/core/VadController"
import {
  InterimTranscriptionFrame,
  TranscriptionFrame,
  UserMuteStartedFrame,
  UserMuteStoppedFrame,
  VadUserStartedSpeakingFrame,
  VadUserStoppedSpeakingFrame
} from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schedule, Schema, Stream } from "effect"

const { deepStrictEqual, strictEqual, throws } = assert

const rate = 1000
/** One channel, 1 kHz: a sample is a millisecond. */
const audio = (milliseconds: number, value = 1): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({
    audio: Pcm.fromInt16(new Int16Array(milliseconds).fill(value)),
    sampleRate: rate,
    numChannels: 1
  })
const started = (): Frame.Frame => VadUserStartedSpeakingFrame.make()
const stopped = (): Frame.Frame => VadUserStoppedSpeakingFrame.make()

const utterance = (): ReadonlyArray<Step> => [started(), audio(10), stopped()]

/** What came out, without audio and what is about the task. */
const line = (frames: ReadonlyArray<Frame.Frame>): string =>
  frames.flatMap((frame) => {
    if (TranscriptionFrame.is(frame)) return [frame.finalized === true ? `T(${frame.text})!` : `T(${frame.text})`]
    if (InterimTranscriptionFrame.is(frame)) return [`I(${frame.text})`]
    if (VadUserStartedSpeakingFrame.is(frame)) return ["S"]
    if (VadUserStoppedSpeakingFrame.is(frame)) return ["E"]
    if (UserMuteStartedFrame.is(frame)) return ["M"]
    if (UserMuteStoppedFrame.is(frame)) return ["m"]
    if (Frame.StartInterruptionFrame.is(frame)) return ["!"]
    if (Frame.ErrorFrame.is(frame)) return [`error: ${(frame.error as Error).message}`]
    return []
  }).join(" ")

/** System frames would overtake what waits. */
const paced = (steps: ReadonlyArray<Step<any>>): ReadonlyArray<Step> =>
  (steps as ReadonlyArray<Step>).flatMap((step) => "_tag" in step ? [step, act(() => settle)] : [step])

const hear = (
  script: Parameters<typeof Fake.make>[0],
  steps: ReadonlyArray<Step<any>>,
  options: Stt.Options = {},
  task: PipelineTask.Options = {}
) =>
  Effect.gen(function*() {
    const { calls, service } = yield* Fake.make(script, { sampleRate: rate, model: "m" })
    const result = yield* run(Stt.make(options), paced(steps), { audioInSampleRate: rate, ...task })
      .pipe(Effect.provideService(SpeechToText.SpeechToText, service))
    return { ...result, calls, line: line(result.down), errors: line(result.up) }
  })

const lengths = (calls: ReadonlyArray<Fake.Recorded>): Array<number> => calls.map(({ audio }) => audio().length)

describe("segmented", () => {
  it.effect("an utterance is streamed while it is said, with what was said before it was noticed", () =>
    Effect.gen(function*() {
      const { calls, down, line } = yield* hear([
        Fake.stream([Fake.interim("he", { at: 550 }), Fake.final("hello", { after: "20 millis" })], { interim: true })
      ], [
        audio(700, 1),
        started(),
        audio(100, 2),
        sleep("10 millis"),
        stopped(),
        audio(40, 3),
        sleep("100 millis")
      ])
      strictEqual(line, "S I(he) E T(hello)!")
      deepStrictEqual(Array.from(calls[0]!.audio()), [
        ...Array.from({ length: 500 }, () => 1),
        ...Array.from({ length: 100 }, () => 2)
      ])
      const transcription = down.find(TranscriptionFrame.is)
      strictEqual(transcription!.timestamp, "1970-01-01T00:00:00.030Z")
      strictEqual(down.filter(Frame.AudioRawFrame.is).length, 3)
    }))

  it.effect("or understood as a whole when it has ended", () =>
    Effect.gen(function*() {
      const { calls, line } = yield* hear([
        Fake.transcribe(Fake.final("hello", { after: "20 millis" }), { milliseconds: 150 }),
        Fake.transcribe(Fake.final("bye"), { milliseconds: 70, language: "de" })
      ], [
        audio(700, 1),
        started(),
        audio(50, 2),
        stopped(),
        sleep("20 millis"),
        Stt.SttUpdateFrame.make({ language: "de" }),
        audio(60, 3),
        started(),
        audio(10, 4),
        stopped()
      ], { interim: false, preRoll: "100 millis", language: "en" })
      strictEqual(line, "S E T(hello)! S E T(bye)!")
      deepStrictEqual(calls.map(({ options }) => options?.language), ["en", "de"])
    }))

  it.effect("results come in the order of the utterances", () =>
    Effect.gen(function*() {
      const { line } = yield* hear([
        Fake.stream([Fake.final("one", { after: "1 second" })]),
        Fake.stream([Fake.interim("t", { at: 10 }), Fake.final("two")])
      ], [started(), audio(50), stopped(), started(), audio(20), stopped()])
      strictEqual(line, "S E S E T(one)! T(two)!")
    }))

  it.effect("only the last final result of an utterance is the last one", () =>
    Effect.gen(function*() {
      const { line } = yield* hear([
        Fake.stream([
          Fake.final("a", { at: 10, end: 10 }),
          Fake.interim(" ", { at: 20 }),
          Fake.final("b"),
          Fake.final("c", { after: "5 millis" }),
          Fake.final(" ", { after: "5 millis" })
        ])
      ], [started(), audio(10), sleep("1 millis"), audio(20), sleep("1 millis"), stopped(), sleep("100 millis")])
      strictEqual(line, "S T(a) E T(b) T(c)!")
    }))

  it.effect("where nothing is said there is no transcription", () =>
    Effect.gen(function*() {
      const { line } = yield* hear([Fake.stream(Fake.final(""))], [started(), audio(50), stopped()])
      strictEqual(line, "S E")
    }))

  it.effect("what is said when the task ends is understood before its end", () =>
    Effect.gen(function*() {
      const { down } = yield* hear([Fake.stream(Fake.final("bye", { after: "3 seconds" }))], [started(), audio(50)])
      deepStrictEqual(down.slice(-2).map(({ _tag }) => _tag), ["TranscriptionFrame", "EndFrame"])
    }))

  it.effect("an interruption changes nothing", () =>
    Effect.gen(function*() {
      const { line } = yield* hear([
        Fake.stream([Fake.interim("w", { at: 10 }), Fake.final("wait", { after: "1 second" })])
      ], [
        started(),
        interrupt,
        audio(10),
        sleep("1 millis"),
        interrupt,
        audio(10),
        stopped(),
        interrupt,
        sleep("500 millis"),
        interrupt
      ])
      strictEqual(line, "S ! I(w) ! E ! ! T(wait)!")
    }))

  it.effect("nothing of what was said is lost by the interruption that it causes", () =>
    Effect.gen(function*() {
      const { service } = yield* Fake.make([
        Fake.stream([Fake.interim("w", { at: 10 }), Fake.final("wait", { at: 10 }), Fake.final("a"), Fake.final("bit")])
      ], { sampleRate: rate })
      const interrupts = (frame: Frame.Frame, { interrupt, push }: Processor.ProcessorContext) =>
        Effect.andThen(interrupt, push(frame))
      const turn = Processor.effect("Turn", {
        InterimTranscriptionFrame: interrupts,
        TranscriptionFrame: interrupts
      }, { frames: [InterimTranscriptionFrame, TranscriptionFrame] })
      const { down } = yield* run(Pipeline.make(Stt.make(), turn), paced(utterance()), { allowInterruptions: true })
        .pipe(
          Effect.provideService(SpeechToText.SpeechToText, service)
        )
      strictEqual(line(down).replaceAll("! ", ""), "S T(wait) E T(a) T(bit)!")
    }))

  it.effect("a user who is mute is not heard", () =>
    Effect.gen(function*() {
      const { calls, errors, line } = yield* hear([
        Fake.stream([Fake.interim("a", { at: 10 }), Fake.final("b")]),
        Fake.stream(Fake.final("c"))
      ], [
        started(),
        audio(10),
        sleep("1 millis"),
        upstream(UserMuteStartedFrame.make()),
        sleep("1 millis"),
        audio(10),
        stopped(),
        started(),
        audio(10),
        UserMuteStoppedFrame.make(),
        audio(10),
        stopped(),
        audio(7),
        started(),
        audio(5),
        stopped()
      ], { preRoll: "1 second" })
      strictEqual(line, "S I(a) E S m E S E T(c)!")
      strictEqual(errors, "M")
      deepStrictEqual(lengths(calls), [10, 22])
      deepStrictEqual(calls.map(({ outcome }) => outcome()), ["interrupted", "done"])
    }))

  it.effect("a very long utterance is understood in parts, cut where it is quiet", () =>
    Effect.gen(function*() {
      const { calls, line } = yield* hear(
        [
          Fake.transcribe(Fake.final("a")),
          Fake.transcribe(Fake.final("b"))
        ],
        [started(), audio(850, 1000), audio(200, 3), audio(100, 1000), audio(50, 900), stopped()],
        {
          interim: false,
          maxUtterance: "1 second",
          preRoll: 0
        }
      )
      strictEqual(line, "S T(a) E T(b)!")
      deepStrictEqual(lengths(calls), [950, 250])
      strictEqual(calls[1]!.audio().filter((sample) => sample === 3).length, 100)
    }))

  it.effect("a stream has to end when it has become too long, and nothing is heard twice", () =>
    Effect.gen(function*() {
      const { calls, line } = yield* hear(
        [Fake.stream(Fake.final("a")), Fake.stream(Fake.final("b"))],
        [
          started(),
          ...Array.from({ length: 15 }, (_, i) => audio(100, i)),
          stopped()
        ],
        { maxUtterance: "1 second", preRoll: 0 }
      )
      strictEqual(line, "S T(a) E T(b)!")
      deepStrictEqual(
        calls.flatMap(({ audio }) => Array.from(audio())),
        Array.from({ length: 1500 }, (_, i) => Math.floor(i / 100))
      )
    }))
})

describe("audio", () => {
  it.effect("of any rate and number of channels is brought into form", () =>
    Effect.gen(function*() {
      const stereo = Frame.AudioRawFrame.make({
        audio: Pcm.fromInt16(Int16Array.from({ length: 4000 }, (_, i) => i % 2 === 0 ? 1000 : 3000)),
        sampleRate: 2000,
        numChannels: 2
      })
      const { calls } = yield* hear([Fake.transcribe(Fake.final("a"))], [started(), stereo, stopped()], {
        interim: false
      })
      const heard = calls[0]!.audio()
      // less what the filter waits for
      strictEqual(heard.length > 950 && heard.length <= 1000, true)
      for (const sample of heard.subarray(100, 900)) assert.approximately(sample, 2000, 3)
    }))

  it.effect("that cannot be understood is reported once, and passes", () =>
    Effect.gen(function*() {
      const wide = (): Frame.Frame =>
        Frame.AudioRawFrame.make({ audio: new Uint8Array(30), sampleRate: 1000, numChannels: 1, sampleWidth: 3 })
      const { down, errors } = yield* hear([Fake.stream(Fake.final("a"))], [
        wide(),
        wide(),
        started(),
        audio(10),
        stopped()
      ])
      strictEqual(errors, "error: sampleWidth: found 3, expected 2")
      strictEqual(down.filter(Frame.AudioRawFrame.is).length, 3)
    }))

  it.effect.prop(
    "what the service gets does not depend on how it is cut, and nothing is lost",
    { sizes: Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 3, 10, 77, 250])), { minLength: 1, maxLength: 12 }) },
    ({ sizes }) =>
      Effect.gen(function*() {
        let at = 0
        const frames = sizes.map((size) => {
          const samples = Int16Array.from({ length: size }, () => at++)
          return Frame.AudioRawFrame.make({ audio: Pcm.fromInt16(samples), sampleRate: rate, numChannels: 1 })
        })
        const half = frames.length >> 1
        const { calls, line } = yield* hear(
          [Fake.stream(Fake.final("a"))],
          [...frames.slice(0, half), started(), ...frames.slice(half), stopped()],
          { preRoll: "100 millis" }
        )
        const before = sizes.slice(0, half).reduce((sum, size) => sum + size, 0)
        const from = Math.max(0, before - 100)
        deepStrictEqual(Array.from(calls[0]!.audio()), Array.from({ length: at - from }, (_, i) => from + i))
        strictEqual(line, "S E T(a)!")
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 30 } }
  )
})

describe("failures", () => {
  it.effect("the same audio is tried again", () =>
    Effect.gen(function*() {
      const { calls, errors, line } = yield* hear([
        Fake.stream([Fake.interim("h", { at: 10 }), Fake.fails({ at: 15 })]),
        Fake.stream(Fake.fails({ at: 30 })),
        Fake.stream([Fake.interim("he", { at: 30 }), Fake.final("hello")])
      ], [
        started(),
        audio(10),
        sleep("1 millis"),
        audio(10),
        sleep("250 millis"),
        audio(10),
        sleep("500 millis"),
        audio(10),
        sleep("1 millis"),
        stopped()
      ])
      strictEqual(line, "S I(h) I(he) E T(hello)!")
      strictEqual(errors, "")
      deepStrictEqual(lengths(calls), [20, 30, 40])
    }))

  it.effect("what was understood for good is not tried again", () =>
    Effect.gen(function*() {
      const { calls, line } = yield* hear([
        Fake.stream([Fake.final("a", { at: 10, end: 8 }), Fake.fails({ at: 20 })]),
        Fake.stream(Fake.final("b"))
      ], [started(), audio(10, 1), sleep("1 millis"), audio(10, 2), sleep("300 millis"), audio(10, 3), stopped()])
      strictEqual(line, "S T(a) E T(b)!")
      deepStrictEqual(Array.from(calls[1]!.audio().subarray(0, 3)), [1, 1, 2])
    }))

  it.effect("once more when the user has stopped, then it is reported", () =>
    Effect.gen(function*() {
      const script = (ok: boolean) => [
        Fake.stream(Fake.fails({ at: 10 })),
        Fake.stream(Fake.fails({ message: "the second" })),
        Fake.stream(ok ? Fake.final("hello") : Fake.fails({ message: "the third" })),
        ...ok ? [] : [Fake.stream(Fake.fails({ message: "the last" }))]
      ]
      const steps = [started(), audio(20), sleep("1 second"), audio(20), stopped()]
      const retry = Schedule.recurs(1)
      const good = yield* hear(script(true), steps, { retry })
      deepStrictEqual([good.line, good.errors], ["S E T(hello)!", ""])
      strictEqual(good.calls[2]!.audio().length, 40)
      const bad = yield* hear(script(false), steps, { retry })
      deepStrictEqual([bad.line, bad.errors], ["S E", "error: fake: the last"])
      strictEqual(bad.failures.length, 1)
    }))

  it.effect("one that will not pass is reported at once, and the next utterance is tried", () =>
    Effect.gen(function*() {
      const { errors, line } = yield* hear(
        [
          Fake.transcribe(Fake.fails({ isRetryable: false, message: "no key" })),
          Fake.transcribe(Fake.final("hello"))
        ],
        [started(), audio(10), stopped(), sleep("1 millis"), started(), audio(10), stopped()],
        { interim: false }
      )
      deepStrictEqual([line, errors], ["S E S E T(hello)!", "error: fake: no key"])
    }))

  it.effect("a service that hangs is given up", () =>
    Effect.gen(function*() {
      const { errors, line } = yield* hear(
        [
          Fake.transcribe(Fake.hangs()),
          Fake.transcribe(Fake.hangs())
        ],
        [started(), audio(10), stopped(), sleep("5 seconds")],
        {
          interim: false,
          timeout: "1 second",
          retry: Schedule.recurs(1)
        }
      )
      deepStrictEqual([line, errors], ["S E", "error: fake: no final result within 1000 ms"])
    }))

  it.effect("a stream that ends before the audio has failed", () =>
    Effect.gen(function*() {
      let streams = 0
      const empty: SpeechToText.Service = {
        name: "empty",
        sampleRate: rate,
        transcribe: () => Effect.never,
        stream: () =>
          Stream.suspend(() => {
            streams++
            return Stream.empty
          })
      }
      const { up } = yield* run(Stt.make({ retry: Schedule.recurs(0) }), [started(), audio(10), sleep("1 millis")], {
        audioInSampleRate: rate
      }).pipe(Effect.provideService(SpeechToText.SpeechToText, empty))
      // and once more at the end, when it is no failure
      deepStrictEqual([line(up), streams], ["", 2])
    }))

  it.effect("a defect of the service is fatal, and told", () =>
    Effect.gen(function*() {
      const broken = {
        name: "b",
        sampleRate: rate,
        transcribe: () => Effect.die(new Error("a bug")),
        stream: () => Stream.empty
      }
      const { exit, failures } = yield* run(Stt.make({ interim: false }), [started(), audio(10), stopped()], {
        audioInSampleRate: rate
      }).pipe(Effect.provideService(SpeechToText.SpeechToText, broken))
      deepStrictEqual([exit._tag, failures.length], ["Failure", 1])
    }))

  it.effect("a switcher replaces what is of no use", () =>
    Effect.gen(function*() {
      const bad = yield* Fake.make([Fake.transcribe(Fake.fails({ isRetryable: false }))], { sampleRate: rate })
      const good = yield* Fake.make([Fake.transcribe(Fake.final("hello"))], { sampleRate: rate })
      const first = Stt.fromService(bad.service, { interim: false })
      const second = Stt.fromService(good.service, { interim: false })
      const { down, up } = yield* run(
        ServiceSwitcher.make({ first, second }, { strategy: ServiceSwitcher.failover }),
        paced([...utterance(), sleep("1 second"), ...utterance()])
      )
      deepStrictEqual([line(down), line(up)], ["S E S E T(hello)!", ""])
    }))

  it.effect("settings reach the service that they are for, in use or not", () =>
    Effect.gen(function*() {
      const [one, two] = yield* Effect.all([
        Fake.make([Fake.transcribe(Fake.final("a"), { language: "de" })], { sampleRate: rate }),
        Fake.make([Fake.transcribe(Fake.final("b"), { language: "fr" })], { sampleRate: rate })
      ])
      const set = (settings: Record<string, unknown>, service?: string) =>
        ServiceSwitcher.ServiceSettingsFrame.make({ settings, ...service !== undefined && { service } })
      const { down, up } = yield* run(
        ServiceSwitcher.make({
          first: Stt.fromService(one.service, { interim: false, language: "en" }),
          second: Stt.fromService(two.service, { interim: false, language: "en" })
        }),
        paced([
          set({ language: "de", else: 1 }),
          set({ language: "fr" }, "second"),
          set({ language: 3 }),
          set({ language: "it" }, "nobody"),
          ...utterance(),
          sleep("1 second"),
          ServiceSwitcher.SwitchServiceFrame.make({ service: "second" }),
          ...utterance()
        ])
      )
      strictEqual(line(down), "S E T(a)! S E T(b)!")
      strictEqual(line(up), "error: fake: language: found 3, expected string")
    }))

  it.effect("of a recogniser within others lose nothing of the turn", () =>
    Effect.gen(function*() {
      const first = yield* Fake.make([Fake.stream([Fake.interim("h", { at: 10 }), Fake.fails({ at: 15 })])], {
        sampleRate: rate
      })
      const second = yield* Fake.make([
        Fake.stream([Fake.interim("he", { at: 20 }), Fake.final("hello")]),
        Fake.stream(Fake.final("bye"))
      ], { sampleRate: rate, name: "second" })
      const switched: Array<string> = []
      const service = SpeechToText.failover([first.service, second.service], {
        onSwitched: ({ from, to }) => Effect.sync(() => switched.push(`${from} -> ${to}`))
      })
      const { down, up } = yield* run(
        Stt.make(),
        paced([
          started(),
          audio(10, 1),
          sleep("1 millis"),
          audio(10, 2),
          sleep("1 millis"),
          audio(10, 3),
          stopped(),
          sleep("1 millis"),
          ...utterance()
        ]),
        { audioInSampleRate: rate }
      ).pipe(Effect.provideService(SpeechToText.SpeechToText, service))
      deepStrictEqual([line(down), line(up)], ["S I(h) I(he) E T(hello)! S E T(bye)!", ""])
      deepStrictEqual(switched, ["fake -> second"])
      deepStrictEqual(lengths(second.calls), [30, 10])
    }))
})

describe("continuous", () => {
  const continuous: Stt.Options = { mode: "continuous" }

  it.effect("there is one stream, and the user's silence says what is final", () =>
    Effect.gen(function*() {
      const { calls, line } = yield* hear([
        Fake.stream([
          Fake.interim("a", { at: 10 }),
          Fake.final("a b", { at: 20, end: 15 }),
          Fake.final("c", { at: 30, end: 28 }),
          Fake.final("d")
        ])
      ], [
        audio(5),
        started(),
        audio(5),
        sleep("1 millis"),
        audio(10),
        sleep("1 millis"),
        stopped(),
        audio(10),
        sleep("1 millis"),
        started(),
        audio(10)
      ], continuous)
      strictEqual(line, "S I(a) T(a b) E T(c)! S T(d)")
      deepStrictEqual(lengths(calls), [40])
    }))

  it.effect("a stream that is lost goes on where it was, as often as that happens", () =>
    Effect.gen(function*() {
      const { calls, errors, line } = yield* hear(
        [
          Fake.stream([Fake.final("a", { at: 10, end: 10 }), Fake.fails({ at: 20 })]),
          Fake.stream([Fake.final("b", { at: 10, end: 10 }), Fake.fails({ at: 20 })]),
          Fake.stream([Fake.final("c", { at: 10, end: 10 }), Fake.fails({ at: 20 })]),
          Fake.stream(Fake.final("d"))
        ],
        Array.from({ length: 8 }, (_, i) => [audio(10, i), sleep("1 second")]).flat(),
        {
          ...continuous,
          retry: Schedule.recurs(1)
        }
      )
      strictEqual(line, "T(a) T(b) T(c) T(d)")
      strictEqual(errors, "")
      deepStrictEqual(calls.map(({ audio }) => audio()[0]), [0, 1, 2, 3])
    }))

  it.effect("one that is stuck is begun anew, with what it has not understood", () =>
    Effect.gen(function*() {
      const says = (value: number): ReadonlyArray<Step> => [started(), audio(10, value), stopped(), sleep("11 seconds")]
      const { calls, errors, line } = yield* hear(
        [
          Fake.stream([Fake.final("a", { at: 10, end: 10 }), Fake.hangs()]),
          Fake.stream([Fake.final("b", { at: 10, end: 10 }), Fake.final("c", { at: 20 })])
        ],
        [...says(1), ...says(2), ...says(3)],
        continuous
      )
      strictEqual(line, "S T(a) E S E T(b)! S T(c) E")
      strictEqual(errors, "")
      deepStrictEqual(calls.map(({ audio }) => audio()[0]), [1, 2])
    }))

  it.effect("one that cannot be had is tried again when somebody speaks", () =>
    Effect.gen(function*() {
      const { errors, line } = yield* hear(
        [
          Fake.stream(Fake.fails({ isRetryable: false })),
          Fake.stream(Fake.final("a"))
        ],
        [audio(10), sleep("1 second"), audio(10), sleep("1 second"), started(), audio(10), stopped()],
        continuous
      )
      strictEqual(line, "S E T(a)!")
      strictEqual(errors, "error: fake: scripted")
    }))

  it.effect("mute audio is not heard, and another language begins another stream", () =>
    Effect.gen(function*() {
      const { calls, line } = yield* hear([
        Fake.stream(Fake.final("a"), { language: "en" }),
        Fake.stream(Fake.final("b"), { language: "de" })
      ], [
        audio(10),
        UserMuteStartedFrame.make(),
        sleep("1 millis"),
        audio(10),
        UserMuteStoppedFrame.make(),
        sleep("1 millis"),
        audio(10),
        Stt.SttUpdateFrame.make({ language: "de" }),
        audio(5)
      ], { ...continuous, language: "en" })
      strictEqual(line, "M m T(a) T(b)")
      deepStrictEqual(lengths(calls), [20, 5])
    }))
})

describe("what is told", () => {
  it.effect("metadata at the start, and when it is asked for", () =>
    Effect.gen(function*() {
      const { down } = yield* hear([], [ServiceSwitcher.RequestMetadataFrame.make({ service: "Stt" })])
      deepStrictEqual(down.map(({ _tag }) => _tag), [
        "StartFrame",
        "SttMetadataFrame",
        "SttMetadataFrame",
        "EndFrame"
      ])
      const metadata = down.find(Stt.SttMetadataFrame.is)
      deepStrictEqual([metadata!.service, metadata!.p99Latency], ["fake", 1000])
    }))

  it.effect("metrics", () =>
    Effect.gen(function*() {
      const { down } = yield* hear(
        [
          Fake.stream(Fake.final("a", { after: "120 millis" })),
          Fake.stream(Fake.final("")),
          Fake.stream(Fake.final("b", { after: "30 millis" }))
        ],
        [
          started(),
          audio(1500),
          stopped(),
          interrupt,
          sleep("1 second"),
          started(),
          audio(250),
          stopped(),
          sleep("1 second"),
          started(),
          audio(250),
          stopped()
        ],
        { preRoll: 0 },
        { enableMetrics: true, enableUsageMetrics: true }
      )
      const of = { processor: "Stt", model: "m" }
      deepStrictEqual(down.filter(Frame.MetricsFrame.is).flatMap(({ data }) => data).slice(2), [
        { _tag: "Ttfb", ...of, milliseconds: 120 },
        { _tag: "Processing", ...of, milliseconds: 120 },
        { _tag: "AudioUsage", ...of, seconds: 1.5 },
        { _tag: "AudioUsage", ...of, seconds: 0.25 },
        { _tag: "Ttfb", ...of, milliseconds: 30 },
        { _tag: "Processing", ...of, milliseconds: 30 },
        { _tag: "AudioUsage", ...of, seconds: 0.25 }
      ])
    }))

  it.effect("TTFB is from the end of speech, which is told later", () =>
    Effect.gen(function*() {
      const ttfbs = Effect.fnUntraced(function*(script: ReadonlyArray<Fake.Call>, options: Stt.Options) {
        const { down } = yield* hear(
          script,
          [
            VadParamsFrame.make({ ...VadController.defaults, stopSecs: 0.2 }),
            started(),
            audio(100),
            stopped(),
            sleep("1 second"),
            audio(100),
            sleep("1 second")
          ],
          { preRoll: 0, ...options },
          { enableMetrics: true }
        )
        return down.filter(Frame.MetricsFrame.is).flatMap(({ data }) => data).slice(2).map((metric) =>
          "milliseconds" in metric ? [metric._tag, metric.milliseconds] : []
        )
      })
      deepStrictEqual(yield* ttfbs([Fake.stream(Fake.final("a", { after: "120 millis" }))], {}), [
        ["Ttfb", 320],
        ["Processing", 120]
      ])
      // a silence is measured once
      const script = [Fake.stream([Fake.final("a", { at: 100, after: "120 millis" }), Fake.final("b", { at: 200 })])]
      deepStrictEqual(yield* ttfbs(script, { mode: "continuous" }), [["Ttfb", 320], ["Processing", 120]])
    }))

  it.effect("TTFB where nothing follows the silence: to the last result since the end of speech, if there is one", () =>
    Effect.gen(function*() {
      const ttfbs = Effect.fnUntraced(function*(finals: ReadonlyArray<number>, steps: ReadonlyArray<Step> = []) {
        const { down } = yield* hear(
          [Fake.stream([...finals.map((at) => Fake.final(`${at}`, { at })), Fake.final("")])],
          [
            VadParamsFrame.make({ ...VadController.defaults, stopSecs: 0.2 }),
            started(),
            ...[1, 2, 3, 4].flatMap(() => [audio(100), sleep("100 millis")]),
            stopped(),
            ...steps,
            sleep("2 seconds")
          ],
          { mode: "continuous" },
          { enableMetrics: true }
        )
        return down.filter(Frame.MetricsFrame.is).flatMap(({ data }) => data).slice(2).flatMap((metric) =>
          metric._tag === "Ttfb" ? [metric.milliseconds] : []
        )
      })
      // the user stopped speaking at 200 ms, and that is told at 400
      deepStrictEqual(yield* ttfbs([200, 400]), [100])
      deepStrictEqual(yield* ttfbs([200]), [])
      deepStrictEqual(yield* ttfbs([]), [])
      deepStrictEqual(yield* ttfbs([400], [sleep("100 millis"), started(), sleep("10 millis"), stopped()]), [])
    }))

  it("options that cannot work", () => {
    throws(() => Stt.make({ timeout: 0 }), "Stt: timeout: found 0 ms, expected a finite duration of at least 1 ms")
    throws(
      () => Stt.make({ maxUtterance: "500 millis" }),
      "Stt: maxUtterance: found 500 ms, expected a finite duration of at least 1000 ms"
    )
  })
})

describe("nothing is left running", () => {
  for (
    const [how, script, steps] of [
      ["after the end", [Fake.stream(Fake.final("a"))], [started(), audio(10), stopped()]],
      ["after a cancel in the middle", [Fake.stream(Fake.hangs())], [
        started(),
        audio(10),
        sleep("1 millis"),
        act((task) => task.cancel("enough"))
      ]]
    ] as ReadonlyArray<readonly [string, ReadonlyArray<Fake.Call>, ReadonlyArray<Step>]>
  ) {
    it.effect(how, () =>
      Effect.gen(function*() {
        const [, alive] = yield* leaks(Effect.scoped(Effect.exit(hear(script, steps))))
        strictEqual(alive, 0)
      }))
  }
})
