import * as Frame from "@apipeline/core/Frame"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { interrupt, run, sleep, type Step } from "@apipeline/core/testing"
import * as Vad from "@apipeline/core/Vad"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import { UserSpeakingFrame, UserStartedSpeakingFrame, UserStoppedSpeakingFrame } from "@apipeline/core/VoiceFrames"
import * as Wav from "@apipeline/core/Wav"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Layer, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as fs from "node:fs"
import * as path from "node:path"

const { deepStrictEqual, isBelow, notStrictEqual, strictEqual, throws } = assert

const failure = (isRetryable: boolean): VoiceActivity.VoiceActivityError =>
  new VoiceActivity.VoiceActivityError({ detector: "test", isRetryable, cause: new Error("gone") })

interface Log {
  readonly made: Array<number>
  readonly windows: Array<ReadonlyArray<number>>
  readonly released: Array<number>
  resets: number
}

/**
 * Windows of 10 ms (10 samples at 1 kHz). The first sample is the probability, in 1/100: a window of 90s is speech. -1
 * fails, -2 fails for good.
 */
const scripted = (
  options: { readonly sampleRate?: number; readonly fails?: (count: number) => boolean; readonly slow?: number } = {}
): { readonly log: Log; readonly layer: Layer.Layer<VoiceActivity.VoiceActivity> } => {
  const log: Log = { made: [], windows: [], released: [], resets: 0 }
  const layer = Layer.succeed(VoiceActivity.VoiceActivity, {
    make: ({ sampleRate }) =>
      Effect.gen(function*() {
        log.made.push(sampleRate)
        if (options.fails?.(log.made.length) === true) return yield* failure(true)
        const number = log.made.length
        yield* Effect.addFinalizer(() => Effect.sync(() => log.released.push(number)))
        const detector: VoiceActivity.Detector = {
          sampleRate: options.sampleRate ?? sampleRate,
          windowSize: 10,
          probability: (window) =>
            Effect.gen(function*() {
              const samples = Array.from(window, (sample) => Math.round(sample * 32768))
              log.windows.push(samples)
              if (options.slow !== undefined) yield* Effect.sleep(options.slow)
              if (samples[0]! < 0) return yield* failure(samples[0] === -1)
              return samples[0]! / 100
            }),
          reset: Effect.sync(() => {
            log.resets++
          })
        }
        return detector
      })
  })
  return { log, layer }
}

/** Each of 10 ms and of one window. */
const audio = (...values: ReadonlyArray<number>): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({
    audio: Pcm.fromInt16(Int16Array.from(values.flatMap((value) => Array.from({ length: 10 }, () => value)))),
    sampleRate: 1000,
    numChannels: 1
  })
const [quiet, speech] = [0, 90]

const names: Readonly<Record<string, string>> = {
  AudioRawFrame: "a",
  UserStartedSpeakingFrame: "+",
  UserSpeakingFrame: "s",
  UserStoppedSpeakingFrame: "-",
  VadParamsFrame: "P",
  VadUpdateFrame: "U",
  StartInterruptionFrame: "!",
  ErrorFrame: "E"
}
const line = (frames: ReadonlyArray<Frame.Frame>): string =>
  frames.filter((frame) => frame._tag !== "StartFrame" && frame._tag !== "EndFrame").map((frame) => names[frame._tag]!)
    .join("")

const options: Vad.Options = {
  params: { startSecs: 0.02, stopSecs: 0.02, minVolume: 0 },
  speakingInterval: 0
}
const at1kHz = { audioInSampleRate: 1000 }

const listen = (steps: ReadonlyArray<Step>, changes: Vad.Options = {}, detector = scripted()) =>
  run(Vad.make({ ...options, ...changes }), steps, at1kHz).pipe(
    Effect.provide(detector.layer),
    Effect.map((result) => ({ ...result, log: detector.log, line: line(result.down) }))
  )

/** One frame after the other: system frames do not overtake what waits. */
const paced = (...frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<Step> =>
  frames.flatMap((frame) => [frame, sleep("10 millis")])

describe("make", () => {
  it.effect("audio goes on first, and the frames about it follow both ways", () =>
    Effect.gen(function*() {
      const frames = [quiet, speech, speech, speech, quiet, speech, quiet, quiet, quiet].map((value) => audio(value))
      const { down, line: seen, log, up } = yield* listen(paced(...frames))
      strictEqual(seen, "Paaa+sasasasasa-a")
      strictEqual(line(up), "P+sssss-")
      deepStrictEqual(down.filter(Frame.AudioRawFrame.is), frames)
      for (const C of [UserStartedSpeakingFrame, UserStoppedSpeakingFrame, Vad.VadParamsFrame]) {
        notStrictEqual(down.find(C.is)!.id, up.find(C.is)!.id)
      }
      deepStrictEqual(log.made, [1000])
      deepStrictEqual(log.released, [1])
    }))

  // the cases of pipecat's VADProcessor: one window decides
  const cases: Readonly<Record<string, readonly [ReadonlyArray<number>, string]>> = {
    "quiet": [[quiet], "Pa"],
    "quiet, speaking": [[quiet, speech], "Paa+s-"],
    "speaking, quiet": [[speech, quiet], "Pa+sa-"],
    "speaking twice": [[speech, speech], "Pa+sas-"]
  }
  for (const [name, [values, expected]] of Object.entries(cases)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { line } = yield* listen(paced(...values.map((value) => audio(value))), {
          params: { startSecs: 0, stopSecs: 0, minVolume: 0 }
        })
        strictEqual(line, expected)
      }))
  }

  it.effect("shorter sounds and shorter pauses are nothing", () =>
    Effect.gen(function*() {
      const { line } = yield* listen(paced(audio(speech), audio(quiet), audio(speech), audio(quiet)))
      strictEqual(line, "Paaaa")
    }))

  it.effect("the speaking frames have an interval, in time of the audio", () =>
    Effect.gen(function*() {
      const { line } = yield* listen([audio(...Array.from({ length: 12 }, () => speech))], {
        speakingInterval: "50 millis"
      })
      strictEqual(line, "Pa+sss-")
    }))

  it.effect("interrupts the bot if it is to, once", () =>
    Effect.gen(function*() {
      const steps = paced(audio(speech), audio(speech), audio(speech))
      const { line: seen, up } = yield* listen(steps, { interrupt: true })
      strictEqual(seen, "Paa+!sas-")
      strictEqual(line(up), "P+!ss")
    }))

  it.effect("tells it with other frames, where others decide turns", () =>
    Effect.gen(function*() {
      class Heard extends Frame.App<Heard>()("Heard", { begins: Schema.Boolean }, { kind: "system" }) {}
      const { down, up } = yield* listen(paced(audio(speech), audio(speech), audio(quiet), audio(quiet)), {
        started: () => Heard.make({ begins: true }),
        stopped: () => Heard.make({ begins: false })
      })
      for (const frames of [down, up]) {
        deepStrictEqual(frames.filter(Heard.is).map((frame) => frame.begins), [true, false])
      }
      deepStrictEqual(down.filter(UserStartedSpeakingFrame.is), [])
    }))

  it.effect("what the user says while they interrupt is not lost, however long it waits for the detector", () =>
    Effect.gen(function*() {
      const { layer, log } = scripted({ slow: 100 })
      const steps = [...[0, 1, 2, 3, 4].map((value) => audio(value)), sleep(150), interrupt, sleep("2 seconds")]
      const { down } = yield* run(Vad.make(options), steps, at1kHz).pipe(Effect.provide(layer))
      const heard = down.filter((frame) => Frame.AudioRawFrame.is(frame)).map(({ audio }) => audio[0])
      deepStrictEqual(heard, [0, 1, 2, 3, 4])
      deepStrictEqual(log.windows.map(([first]) => first), [0, 1, 2, 3, 4])

      const echo = scripted({ slow: 100 })
      const cut = yield* run(Vad.make({ ...options, keepAudio: false }), steps, at1kHz).pipe(Effect.provide(echo.layer))
      // what has gone on has gone on
      deepStrictEqual(
        cut.down.filter((frame) => Frame.AudioRawFrame.is(frame)).map(({ audio }) => audio[0]),
        [0, 1]
      )
    }))

  it.effect("an interruption by others changes nothing", () =>
    Effect.gen(function*() {
      const { line } = yield* listen([
        ...paced(audio(speech)),
        interrupt,
        ...paced(audio(speech)),
        interrupt,
        ...paced(audio(quiet), audio(quiet))
      ])
      strictEqual(line, "Pa!a+s!asa-")
    }))

  it.effect("volume counts as well", () =>
    Effect.gen(function*() {
      // 90 of 32768 is -51 dBFS, 0.59
      const { line } = yield* listen(paced(audio(speech), audio(speech)), { params: { startSecs: 0, minVolume: 0.6 } })
      strictEqual(line, "Paa")
      const louder = yield* listen(paced(audio(speech), audio(speech)), { params: { startSecs: 0, minVolume: 0.58 } })
      strictEqual(louder.line, "Pa+sas-")
    }))
})

describe("a beginning has its end", () => {
  it.effect("when the task ends", () =>
    Effect.gen(function*() {
      const { down, up } = yield* listen([audio(speech, speech)])
      deepStrictEqual(down.slice(-2).map((frame) => frame._tag), ["UserStoppedSpeakingFrame", "EndFrame"])
      // who is above has seen EndFrame before
      strictEqual(line(up), "P+s")
    }))

  it.effect("when no more audio comes", () =>
    Effect.gen(function*() {
      const detector = scripted()
      const { line } = yield* listen(
        [
          audio(speech, speech),
          sleep("99 millis"),
          audio(speech),
          sleep("99 millis"),
          audio(quiet),
          sleep("200 millis"),
          audio(speech),
          sleep("1 millis"),
          audio(speech)
        ],
        { audioIdleTimeout: "100 millis" },
        detector
      )
      strictEqual(line, "Pa+sasas-aa+s-")
      // what was half a beginning before the silence is forgotten
      strictEqual(detector.log.resets > 0, true)
    }))

  it.effect("not when the detector takes longer than that", () =>
    Effect.gen(function*() {
      const { line } = yield* listen([audio(speech, speech, speech), sleep("2 seconds")], {
        audioIdleTimeout: "100 millis"
      }, scripted({ slow: 300 }))
      strictEqual(line, "Pa+ss-")
    }))

  it.effect("when the detector fails", () =>
    Effect.gen(function*() {
      const { down, log, up } = yield* listen([
        audio(speech, speech, -1, speech),
        sleep("500 millis"),
        audio(speech, speech),
        sleep("500 millis"),
        audio(speech),
        sleep("1 millis"),
        audio(speech, speech)
      ])
      // a window is lost with the detector, and the audio that comes while there is none
      strictEqual(line(down), "Pa+s-aaa+s-")
      strictEqual(line(up), "P+s-E+s")
      deepStrictEqual(log.made, [1000, 1000])
      deepStrictEqual(log.released, [1, 2])
    }))
})

describe("detectors that fail", () => {
  it.effect("at first: reported once, and tried again later and later, until it works", () =>
    Effect.gen(function*() {
      const detector = scripted({ fails: (count) => count < 4 })
      const steps: Array<Step> = []
      for (let i = 0; i < 80; i++) steps.push(audio(speech), sleep("100 millis"))
      const { line, log, up } = yield* listen(steps, {}, detector)
      // after 1, 2 and 4 seconds
      strictEqual(line.indexOf("+"), "P".length + 73)
      strictEqual(log.made.length, 4)
      deepStrictEqual(
        up.filter(Frame.ErrorFrame.is).map((frame) => [frame.processor, (frame.error as Error).message, frame.fatal]),
        [["Vad", "test: gone", false]]
      )
    }))

  it.effect("for good: audio passes", () =>
    Effect.gen(function*() {
      const steps: Array<Step> = [audio(-2)]
      for (let i = 0; i < 10; i++) steps.push(audio(speech), sleep("10 seconds"))
      const { failures, line, log } = yield* listen(steps)
      strictEqual(line, "P" + "a".repeat(11))
      deepStrictEqual(log.made, [1000])
      strictEqual(failures.length, 1)
    }))

  it.effect("that hang while they are made anew do not hold the audio up", () =>
    Effect.gen(function*() {
      let count = 0
      const layer = Layer.succeed(VoiceActivity.VoiceActivity, {
        make: () => ++count === 1 ? Effect.fail(failure(true)) : Effect.never
      })
      const { down } = yield* run(
        Vad.make(options),
        [audio(0), sleep("2 seconds"), audio(0), sleep(1), audio(0)],
        at1kHz
      )
        .pipe(Effect.provide(layer))
      strictEqual(line(down), "Paaa")
      strictEqual(count, 2)
    }))
})

describe("parameters", () => {
  it.effect("are told at the start, and changed on the way", () =>
    Effect.gen(function*() {
      const { down, line: seen, up } = yield* listen([
        ...paced(audio(speech), audio(quiet)),
        Vad.VadUpdateFrame.make({ startSecs: 0.01 }),
        ...paced(audio(speech)),
        Vad.VadUpdateFrame.make({ stopSecs: 0.03, confidence: 0.5 }),
        ...paced(audio(quiet), audio(quiet), audio(60), audio(quiet), audio(quiet), audio(quiet))
      ])
      strictEqual(seen, "PaaUPa+sUPasasasasasa-")
      strictEqual(line(up).replaceAll("s", ""), "PP+P-")
      const told = down.filter(Vad.VadParamsFrame.is)
      const values = told.map(({ confidence, minVolume, startSecs, stopSecs }) => [
        confidence,
        startSecs,
        stopSecs,
        minVolume
      ])
      deepStrictEqual(values, [[0.7, 0.02, 0.02, 0], [0.7, 0.01, 0.02, 0], [0.5, 0.01, 0.03, 0]])
    }))

  it.effect("that cannot work are reported, and the old ones stay", () =>
    Effect.gen(function*() {
      const { line: seen, up } = yield* listen([
        Vad.VadUpdateFrame.make({ confidence: 50 }),
        ...paced(audio(speech), audio(speech))
      ])
      strictEqual(seen, "PUaa+s-")
      const errors = up.filter(Frame.ErrorFrame.is).map((frame) => (frame.error as Error).message)
      deepStrictEqual(errors, ["confidence: found 50, expected a number from 0 to 1"])
    }))

  it("and options that cannot work throw", () => {
    throws(() => Vad.make({ params: { stopSecs: -1 } }), TypeError, "Vad: params.stopSecs: found -1, expected a number")
    throws(() => Vad.make({ audioIdleTimeout: 0 }), TypeError, "Vad: audioIdleTimeout: found 0 ms")
    throws(() => Vad.make({ speakingInterval: -1 }), TypeError, "Vad: speakingInterval: found -1 ms")
  })
})

describe("audio", () => {
  it.effect("of any rate and any number of channels is brought to what the detector needs", () =>
    Effect.gen(function*() {
      const detector = scripted({ sampleRate: 500 })
      const stereo = Frame.AudioRawFrame.make({
        audio: Pcm.fromInt16(Int16Array.from({ length: 600 }, (_, i) => i % 2 === 0 ? 1000 : 3000)),
        sampleRate: 1500,
        numChannels: 2
      })
      yield* listen([stereo], {}, detector)
      // 300 samples at 1500 Hz are 100 at 500 Hz, less what the filter waits for
      const { windows } = detector.log
      strictEqual(windows.length, 5)
      for (const sample of windows[4]!) assert.approximately(sample, 2000, 3)
    }))

  it.effect("that cannot be understood is reported once, and passes", () =>
    Effect.gen(function*() {
      const wide = (): Frame.AudioRawFrame =>
        Frame.AudioRawFrame.make({ audio: new Uint8Array(30), sampleRate: 1000, numChannels: 1, sampleWidth: 3 })
      const fast = (): Frame.AudioRawFrame =>
        Frame.AudioRawFrame.make({ audio: new Uint8Array(30), sampleRate: 4e9, numChannels: 1 })
      const { down, log, up } = yield* listen([wide(), wide(), fast(), fast(), audio(speech, speech)])
      strictEqual(line(down), "Paaaaa+s-")
      deepStrictEqual(up.filter(Frame.ErrorFrame.is).map((frame) => (frame.error as Error).message), [
        "sampleWidth: found 3, expected 2",
        "Resampler: from: found 4000000000, expected an integer from 1 to 768000"
      ])
      strictEqual(log.windows.length, 2)
    }))

  const recording = Result.getOrThrow(
    Wav.decode(
      new Uint8Array(fs.readFileSync(path.join(import.meta.dirname, "..", "fixtures", "audio", "cards-005.wav")))
    )
  ).samples
  const silent = new Int16Array(32000)
  const bytes = Pcm.fromInt16(Int16Array.from([...silent, ...recording, ...silent, ...recording, ...silent]))

  /** What is told, each with how many bytes of audio had passed. */
  const told = Effect.fnUntraced(function*(sizes: ReadonlyArray<number>) {
    const steps: Array<Step> = []
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = 2 * sizes[i % sizes.length]!
      const audio = bytes.subarray(at, at + size)
      steps.push(Frame.AudioRawFrame.make({ audio, sampleRate: 16000, numChannels: 1 }))
      at += size
    }
    let passed = 0
    const all: Array<readonly [string, number]> = []
    const note = (frame: Frame.Frame) => Effect.sync(() => all.push([frame._tag, passed]))
    const watch = Processor.effect("Watch", {
      AudioRawFrame: (frame) =>
        Effect.sync(() => {
          passed += frame.audio.length
        }),
      UserStartedSpeakingFrame: note,
      UserStoppedSpeakingFrame: note,
      UserSpeakingFrame: note
    }, { frames: [UserStartedSpeakingFrame, UserStoppedSpeakingFrame, UserSpeakingFrame] })
    yield* run(Pipeline.make(Vad.make(), watch), steps).pipe(Effect.provide(VoiceActivity.layerEnergy()))
    return all
  })

  it.effect("the same is told, wherever it is cut", () =>
    Effect.gen(function*() {
      const wanted = yield* told([512])
      deepStrictEqual(wanted.filter(([tag]) => tag !== "UserSpeakingFrame").map(([tag]) => tag), [
        "UserStartedSpeakingFrame",
        "UserStoppedSpeakingFrame",
        "UserStartedSpeakingFrame",
        "UserStoppedSpeakingFrame"
      ])
      strictEqual(wanted.length > 20, true)
      for (const sizes of [[160], [320], [256], [1600], [512, 1, 333], [100_000]]) {
        const found = yield* told(sizes)
        deepStrictEqual(found.map(([tag]) => tag), wanted.map(([tag]) => tag))
        for (const [i, [, passed]] of found.entries()) {
          const late = passed - wanted[i]![1]
          // as soon as the window is complete, in the frame that completes it
          strictEqual(late >= 0, true)
          isBelow(late, 2 * Math.max(...sizes))
        }
      }
    }))

  it.effect.prop(
    "cut at random",
    {
      sizes: Arbitrary.array(Arbitrary.schema(Schema.Literals([1, 7, 160, 513, 3000])), { minLength: 3, maxLength: 6 })
    },
    ({ sizes }) =>
      Effect.gen(function*() {
        const wanted = yield* told([512])
        deepStrictEqual((yield* told([4000, ...sizes])).map(([tag]) => tag), wanted.map(([tag]) => tag))
      }),
    { arbitrary: { runs: 3 } }
  )

  it.effect("a task that takes over goes on with the same detector, and ends a speech that has begun", () =>
    Effect.gen(function*() {
      const { layer, log } = scripted()
      const start = (task: PipelineTask.PipelineTask<never>, out: Array<Frame.Frame>) =>
        Effect.forkScoped(
          Stream.runForEach(task.output, (frame) => Effect.sync(() => out.push(frame))),
          { startImmediately: true }
        )
      const [before, after]: [Array<Frame.Frame>, Array<Frame.Frame>] = [[], []]
      const first = yield* PipelineTask.make(Pipeline.make(Vad.make(options)), at1kHz).pipe(Effect.provide(layer))
      const reader = yield* start(first, before)
      yield* first.queueFrame(audio(speech, speech))
      yield* TestClock.adjust("10 millis")
      yield* first.stopTask
      yield* Fiber.join(reader)
      yield* TestClock.adjust("1 minute")
      const second = yield* PipelineTask.takeOver(first)
      const again = yield* start(second, after)
      yield* TestClock.adjust("900 millis")
      yield* second.queueFrame(audio(speech))
      yield* TestClock.adjust("2 seconds")
      yield* second.stopWhenDone
      yield* Fiber.join(again)
      const tell = (frames: ReadonlyArray<Frame.Frame>) =>
        line(frames.filter((frame) => !Frame.StopTaskFrame.is(frame)))
      deepStrictEqual([tell(before), tell(after)], ["Pa+s", "Pas-"])
      deepStrictEqual(log.made, [1000])
    }))
})
