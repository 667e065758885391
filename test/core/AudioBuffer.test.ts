import * as AudioBuffer from "@apipeline/core/AudioBuffer"
import * as Frame from "@apipeline/core/Frame"
import * as Pcm from "@apipeline/core/Pcm"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import { interrupt, leaks, run, settle, sleep, type Step } from "@apipeline/core/testing"
import {
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Clock, Data, Deferred, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, isAtMost, strictEqual, throws } = assert

const rate = 1000

/** Samples at 1 kHz: as many as milliseconds. */
const audio = (speaker: string | undefined, value: number, length: number): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({
    audio: Pcm.fromInt16(new Int16Array(length).fill(value)),
    sampleRate: rate,
    numChannels: 1,
    metadata: { speaker }
  })
const user = (length: number, value = 1) => audio("user", value, length)
const bot = (length: number, value = 2) => audio("bot", value, length)
const userStarts = () => UserStartedSpeakingFrame.make()
const userStops = () => UserStoppedSpeakingFrame.make()
const botStarts = () => BotStartedSpeakingFrame.make()
const botStops = () => BotStoppedSpeakingFrame.make()
const ms = (n: number): Step => sleep(n)

/** `1x20 0x5`: runs of the same sample. */
const runs = (samples: Int16Array): string => {
  const out: Array<[value: number, length: number]> = []
  for (const sample of samples) {
    const last = out.at(-1)
    if (last !== undefined && last[0] === sample) last[1]++
    else out.push([sample, 1])
  }
  return out.map(([value, length]) => `${value}x${length}`).join(" ")
}

const concat = (parts: ReadonlyArray<Int16Array>): Int16Array =>
  Int16Array.from(parts.flatMap((part) => Array.from(part)))

const defaults: AudioBuffer.Options = { autoStart: true, duration: "1 hour", sampleRate: rate }

/** What was recorded: the events, and each track as a whole. */
const record = (steps: ReadonlyArray<Step>, options: AudioBuffer.Options = {}, runOptions = {}) =>
  Effect.gen(function*() {
    const events: Array<AudioBuffer.Event> = []
    const recorder = AudioBuffer.make(
      Stream.runForEach((event: AudioBuffer.Event) => Effect.sync(() => events.push(event))),
      { ...defaults, ...options }
    )
    const result = yield* run(recorder, steps, runOptions)
    const pieces = events.filter((event) => event._tag === "Audio")
    return {
      ...result,
      events,
      pieces,
      tags: events.map((event) => event._tag).join(" "),
      user: runs(concat(pieces.map((piece) => piece.user))),
      bot: runs(concat(pieces.map((piece) => piece.bot))),
      turns: events.filter((event) => event._tag === "Turn").map(({ audio, speaker, turn }) =>
        `${turn} ${speaker} ${runs(audio)}`
      )
    }
  })

describe("pieces", () => {
  it.effect("come as soon as they are full, with both tracks, and the rest at the end", () =>
    Effect.gen(function*() {
      const { events } = yield* record([user(10), ms(10), user(10), ms(10), user(5), ms(5), bot(5), ms(300)], {
        duration: "10 millis"
      })
      deepStrictEqual(
        events.map((event) => event._tag === "Audio" ? [event.at, runs(event.user), runs(event.bot)] : event._tag),
        [
          "Started",
          [0, "1x10", "0x10"],
          [10, "1x10", "0x10"],
          [20, "1x5", "2x5"],
          "Stopped"
        ]
      )
    }))

  it.effect("of the user alone and of the bot alone: the other side is silence", () =>
    Effect.gen(function*() {
      for (const [frame, tracks] of [[user(2), ["1x2", "0x2"]], [bot(2), ["0x2", "2x2"]]] as const) {
        const { pieces } = yield* record([frame], { duration: "2 millis" })
        deepStrictEqual(pieces.map((piece) => [runs(piece.user), runs(piece.bot)]), [[...tracks]])
        strictEqual(pieces[0]!.sampleRate, rate)
      }
    }))

  it.effect("merged to mono and to stereo", () =>
    Effect.gen(function*() {
      const { pieces } = yield* record([user(2, 30000), bot(2, 20000)])
      strictEqual(runs(AudioBuffer.mono(pieces[0]!)), "32767x2")
      deepStrictEqual(Array.from(AudioBuffer.stereo(pieces[0]!)), [30000, 20000, 30000, 20000])
    }))
})

describe("alignment", () => {
  it.effect("no silence is put into an utterance", () =>
    Effect.gen(function*() {
      const first = yield* record([user(4), botStarts(), user(4), bot(4)])
      deepStrictEqual([first.user, first.bot], ["1x8", "2x4 0x4"])
      const mirror = yield* record([bot(4), userStarts(), bot(4), user(4)])
      deepStrictEqual([mirror.bot, mirror.user], ["2x8", "1x4 0x4"])
    }))

  it.effect("who says nothing is silent", () =>
    Effect.gen(function*() {
      const { bot, user: heard } = yield* record([user(4), botStarts(), user(4), botStops(), user(4)])
      deepStrictEqual([heard, bot], ["1x12", "0x12"])
    }))

  it.effect("a gap of more than 0.2 s becomes silence, jitter does not", () =>
    Effect.gen(function*() {
      const gap = (n: number) => [user(20), ms(n), user(20)]
      strictEqual((yield* record(gap(120))).user, "1x40")
      strictEqual((yield* record(gap(220))).user, "1x40")
      strictEqual((yield* record(gap(221))).user, "1x20 0x201 1x20")
      const { bot: said, user: heard } = yield* record(gap(1000))
      deepStrictEqual([heard, said], ["1x20 0x980 1x20", "0x1020"])
      const mirror = yield* record([bot(20), ms(1000), bot(20)])
      deepStrictEqual([mirror.bot, mirror.user], ["2x20 0x980 2x20", "0x1020"])
    }))

  it.effect("both are on one clock", () =>
    Effect.gen(function*() {
      const { bot: said, user: heard } = yield* record([
        user(100),
        ms(1000),
        botStarts(),
        bot(100),
        botStops(),
        ms(1000),
        user(100)
      ])
      deepStrictEqual([heard, said], ["1x100 0x1900 1x100", "0x1000 2x100 0x1000"])
    }))

  it.effect("frames that come late all at once go where they belong", () =>
    Effect.gen(function*() {
      const late = Array.from({ length: 25 }, () => user(20))
      const { user: heard } = yield* record([user(20), ms(500), ...late, ms(20), user(20)])
      strictEqual(heard, "1x540")
      const muted = yield* record([user(20), ms(800), user(20), ms(20), user(20), ms(19), user(20)])
      strictEqual(muted.user, "1x20 0x779 1x60")
    }))

  it.effect("a bot that sends ahead is not moved, and an interruption cuts what it has not said", () =>
    Effect.gen(function*() {
      const steps = [bot(300), bot(300), bot(300), ms(400)]
      strictEqual((yield* record(steps)).bot, "2x900")
      strictEqual((yield* record([...steps, interrupt, user(20)])).bot, "2x700")
      strictEqual((yield* record([...steps, interrupt], {}, { allowInterruptions: false })).bot, "2x900")
    }))

  it.effect("what a bot sends ahead is held until its time has come", () =>
    Effect.gen(function*() {
      const steps: Array<Step> = [bot(1000)]
      for (let i = 0; i < 50; i++) steps.push(ms(20), user(20))
      const { pieces } = yield* record(steps, { duration: "100 millis" })
      deepStrictEqual(pieces.map((piece) => piece.at), Array.from({ length: pieces.length }, (_, i) => 100 * i))
      strictEqual(runs(concat(pieces.map((piece) => piece.bot))), "2x1000 0x1000")
      strictEqual(runs(concat(pieces.map((piece) => piece.user))), "0x1000 1x1000")
    }))

  it.effect("a long silence comes piece by piece", () =>
    Effect.gen(function*() {
      const { pieces, user: heard } = yield* record([user(10), sleep("20 minutes"), user(10)], { duration: "1 minute" })
      strictEqual(heard, `1x10 0x${20 * 60_000 - 10} 1x10`)
      for (const piece of pieces) isAtMost(piece.user.length, 60_000)
    }))
})

describe("recording", () => {
  it.effect("from frame to frame, which go on; what comes before and after is not recorded", () =>
    Effect.gen(function*() {
      const [start, stop] = [AudioBuffer.StartRecordingFrame.make(), AudioBuffer.StopRecordingFrame.make()]
      const { down, tags, user: heard } = yield* record([
        user(1, 7),
        start,
        user(2),
        AudioBuffer.StartRecordingFrame.make(),
        user(3),
        stop,
        AudioBuffer.StopRecordingFrame.make(),
        user(4, 7)
      ], { autoStart: false })
      strictEqual(tags, "Started Audio Stopped")
      strictEqual(heard, "1x5")
      strictEqual(down.indexOf(start) > 0 && down.indexOf(stop) > 0, true)
      strictEqual(down.length, 2 + 8)
    }))

  it.effect("can be started again", () =>
    Effect.gen(function*() {
      const { pieces, tags } = yield* record([
        user(2),
        AudioBuffer.StopRecordingFrame.make(),
        sleep("1 minute"),
        AudioBuffer.StartRecordingFrame.make(),
        user(3)
      ])
      strictEqual(tags, "Started Audio Stopped Started Audio Stopped")
      deepStrictEqual(pieces.map((piece) => [piece.at, runs(piece.user)]), [[0, "1x2"], [0, "1x3"]])
    }))

  it.effect("is off unless it is started, and then there are no events", () =>
    Effect.gen(function*() {
      strictEqual((yield* record([user(5)], { autoStart: false })).tags, "")
      strictEqual((yield* record([])).tags, "Started Stopped")
    }))

  it.effect("of whom the options say", () =>
    Effect.gen(function*() {
      const { bot: said, user: heard } = yield* record(
        [user(1), audio(undefined, 3, 2), audio("noise", 4, 2), bot(1)],
        {
          speakerOf: (frame) => frame.metadata?.["speaker"] === undefined ? "bot" : undefined
        }
      )
      deepStrictEqual([heard, said], ["0x2", "3x2"])
    }))

  it.effect("of frames that were labelled on their way", () =>
    Effect.gen(function*() {
      const plain = Frame.AudioRawFrame.make({ audio: new Uint8Array(2), sampleRate: rate, numChannels: 1, pts: 7 })
      const { down } = yield* run(AudioBuffer.label("bot"), [plain, user(1)])
      const [first, second] = down.filter(Frame.AudioRawFrame.is)
      deepStrictEqual([first!.metadata, first!.pts, second!.metadata], [{ speaker: "bot" }, 7, { speaker: "bot" }])
    }))

  it.effect("at one rate, with one channel", () =>
    Effect.gen(function*() {
      const stereo = Frame.AudioRawFrame.make({
        audio: Pcm.fromInt16(Int16Array.from({ length: 48_000 }, (_, i) => i % 2 === 0 ? 1000 : 3000)),
        sampleRate: 24000,
        numChannels: 2,
        metadata: { speaker: "bot" }
      })
      const { pieces } = yield* record([stereo], { sampleRate: undefined })
      strictEqual(pieces[0]!.sampleRate, 16000)
      const track = concat(pieces.map((piece) => piece.bot))
      strictEqual(track.length, 16000)
      for (const sample of track.subarray(100, -100)) isAtMost(Math.abs(sample - 2000), 1)
    }))

  it.effect("audio that cannot be understood is reported once and left out", () =>
    Effect.gen(function*() {
      const wide = (): Frame.AudioRawFrame =>
        Frame.AudioRawFrame.make({
          audio: new Uint8Array(3),
          sampleRate: rate,
          numChannels: 1,
          sampleWidth: 3,
          metadata: { speaker: "user" }
        })
      const { down, up, user: heard } = yield* record([wide(), wide(), user(2)])
      strictEqual(heard, "1x2")
      strictEqual(down.length, 5)
      deepStrictEqual(up.map((frame) => Frame.ErrorFrame.is(frame) && (frame.error as Error).message), [
        "sampleWidth: found 3, expected 2"
      ])
    }))

  it("refuses options that cannot work", () => {
    const make = (options: AudioBuffer.Options) => () => AudioBuffer.make(Stream.runDrain, options)
    for (const n of [0, -1, Infinity]) {
      throws(make({ duration: n }), TypeError, `AudioBuffer: duration: found ${n} ms, expected a finite duration`)
    }
    for (const n of [0, 0.5, NaN]) {
      throws(make({ sampleRate: n }), TypeError, `AudioBuffer: sampleRate: found ${n}, expected a positive integer`)
      throws(make({ capacity: n }), TypeError, `AudioBuffer: capacity: found ${n}, expected a positive integer`)
    }
  })
})

describe("turns", () => {
  const options = { turns: true }
  const paced = (...steps: ReadonlyArray<Step>): ReadonlyArray<Step> => steps.flatMap((step) => [step, ms(100)])

  it.effect("are reported when they are over, with what each speaker said", () =>
    Effect.gen(function*() {
      const { turns } = yield* record(
        paced(
          userStarts(),
          user(100),
          userStops(),
          botStarts(),
          bot(100),
          botStops(),
          userStarts(),
          user(100, 5),
          user(100, 6),
          userStops(),
          userStarts(),
          user(100, 7),
          userStops(),
          botStarts(),
          bot(100, 8),
          botStops()
        ),
        options
      )
      deepStrictEqual(turns, ["1 user 1x100", "1 bot 2x100", "2 user 5x100 6x100 7x100", "2 bot 8x100"])
    }))

  it.effect("who says nothing is not reported, and nothing is without the option", () =>
    Effect.gen(function*() {
      const steps = paced(botStarts(), bot(100), botStops())
      deepStrictEqual((yield* record(steps, options)).turns, ["1 bot 2x100"])
      deepStrictEqual((yield* record(steps)).turns, [])
    }))

  it.effect("a barge-in: what the bot had said is in its turn, the user's in the next", () =>
    Effect.gen(function*() {
      const steps = [
        ...paced(userStarts(), user(100), userStops(), botStarts()),
        ...Array.from({ length: 10 }, () => bot(100)),
        ...paced(user(100, 3), user(100, 4)),
        userStarts()
      ]
      const cut = yield* record([...steps, interrupt, ...paced(user(100, 5), userStops())], options)
      // the user was heard for 0.2 s before that was noticed; the bot was at 0.3 s
      deepStrictEqual(cut.turns, ["1 user 1x100", "1 bot 2x300", "2 user 3x100 4x100 5x100"])
      const goesOn = yield* record([...steps, ...paced(user(100, 5), userStops())], options)
      deepStrictEqual(goesOn.turns, ["1 user 1x100", "1 bot 2x300", "2 user 3x100 4x100 5x100", "2 bot 2x700"])
    }))

  it.effect("an open microphone is not speech; of what was heard before, one second counts", () =>
    Effect.gen(function*() {
      const steps = Array.from({ length: 30 }, (_, i) => user(100, i + 1))
      const { turns } = yield* record(
        [...paced(...steps, userStarts(), user(100, 99), userStops(), user(100, 77)), sleep("5 seconds"), bot(1)],
        options
      )
      const before = Array.from({ length: 10 }, (_, i) => `${i + 21}x100`).join(" ")
      deepStrictEqual(turns, [`1 user ${before} 99x100`, "1 bot 2x1"])
    }))

  it.effect("the turn that goes on is reported when the recording stops", () =>
    Effect.gen(function*() {
      const { tags, turns } = yield* record(
        [userStarts(), ms(1), user(100), AudioBuffer.StopRecordingFrame.make()],
        options
      )
      deepStrictEqual(turns, ["1 user 1x100"])
      strictEqual(tags, "Started Audio Turn Stopped")
    }))

  it.effect("silence ends a turn", () =>
    Effect.gen(function*() {
      const { turns } = yield* record(
        [...paced(botStarts(), bot(100), botStops()), sleep("3 seconds"), ...paced(userStarts(), user(100))],
        options
      )
      deepStrictEqual(turns, ["1 bot 2x100", "2 user 1x100"])
    }))
})

describe("whoever records", () => {
  class Broken extends Data.TaggedError("Broken")<{}> {}

  it.effect("is waited for at the end", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const recorder = AudioBuffer.make((events) =>
        events.pipe(
          Stream.runForEach((event) =>
            Effect.andThen(Effect.sleep("1 second"), Effect.sync(() => log.push(event._tag)))
          ),
          Effect.andThen(Effect.sync(() => log.push("closed")))
        ), defaults)
      const { down } = yield* run(recorder, [user(5)])
      deepStrictEqual(log, ["Started", "Audio", "Stopped", "closed"])
      strictEqual(down.at(-1)!._tag, "EndFrame")
    }))

  it.effect("may fail: that is reported, and frames pass", () =>
    Effect.gen(function*() {
      const recorder = AudioBuffer.make((events) =>
        Stream.runForEach(events, (event) => event._tag === "Audio" ? Effect.fail(new Broken()) : Effect.void), {
        ...defaults,
        duration: "1 millis",
        capacity: 1
      })
      const { down, failures } = yield* run(
        recorder,
        Array.from({ length: 100 }, () =>
          user(2))
      )
      strictEqual(down.length, 102)
      deepStrictEqual(
        failures.map((failure) =>
          Cause.squash(failure.cause)
        ),
        [new Broken()]
      )
    }))

  it.effect("may be done early", () =>
    Effect.gen(function*() {
      const recorder = AudioBuffer.make((events) => Stream.runDrain(Stream.take(events, 1)), {
        ...defaults,
        duration: "1 millis",
        capacity: 1
      })
      const { down, failures } = yield* run(recorder, Array.from({ length: 100 }, () => user(2)))
      strictEqual(down.length, 102)
      deepStrictEqual(failures, [])
    }))

  it.effect("is slow: the pipeline waits when too much is waiting, and nothing is lost", () =>
    Effect.gen(function*() {
      const events: Array<AudioBuffer.Event> = []
      const gate = yield* Deferred.make<void>()
      const recorder = AudioBuffer.make((all) =>
        Effect.andThen(
          Deferred.await(gate),
          Stream.runForEach(all, (event) => Effect.sync(() => events.push(event)))
        ), { ...defaults, duration: "10 millis", capacity: 2, turns: true })
      const task = yield* PipelineTask.make(recorder)
      const running = yield* Effect.forkScoped(task.run)
      for (let i = 0; i < 10; i++) {
        yield* task.queueFrame(user(10, i))
        yield* task.queueFrame(userStarts())
        yield* TestClock.adjust("10 millis")
      }
      yield* task.interrupt
      yield* task.queueFrame(user(10, 99))
      yield* Deferred.succeed(gate, undefined)
      yield* settle
      yield* task.stopWhenDone
      yield* Fiber.join(running)
      // the interruption cuts frames that wait, but nothing that was taken, and nothing twice
      const pieces = events.filter((event) => event._tag === "Audio")
      deepStrictEqual(pieces.map((piece) => piece.at), pieces.map((_, i) => 10 * i))
      strictEqual(events.at(-1)!._tag, "Stopped")
      strictEqual(events.filter((event) => event._tag === "Started").length, 1)
    }))

  it.effect("gets what there is when the task is cancelled", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const recorder = AudioBuffer.make(
        Stream.runForEach((event: AudioBuffer.Event) => Effect.sync(() => events.push(event._tag))),
        defaults
      )
      const [, alive] = yield* leaks(run(recorder, [user(5)], { end: false }))
      deepStrictEqual(events, ["Started", "Audio", "Stopped"])
      strictEqual(alive, 0)
    }))

  it.effect("and hangs: a cancel takes no longer than 5 seconds", () =>
    Effect.gen(function*() {
      const recorder = AudioBuffer.make(() => Effect.never, defaults)
      const fiber = yield* Effect.forkScoped(run(recorder, [user(5)], { end: false }))
      for (let i = 0; i < 100 && fiber.pollUnsafe() === undefined; i++) yield* TestClock.adjust("100 millis")
      assert.isDefined(fiber.pollUnsafe())
      assert.approximately(yield* Clock.currentTimeMillis, 5500, 500)
    }))

  it.effect.prop(
    "nothing of what anybody said is lost or moved back, whenever it comes",
    {
      script: Arbitrary.array(
        Arbitrary.all([
          Arbitrary.schema(Schema.Literals(["user", "bot"])),
          Arbitrary.schema(Schema.Literals([0, 5, 20, 150, 400, 3000]))
        ]),
        { maxLength: 25 }
      ),
      millis: Schema.Literals([1, 30, 1000])
    },
    ({ millis, script }) =>
      Effect.gen(function*() {
        const steps: Array<Step> = []
        const sent: Record<AudioBuffer.Speaker, Array<number>> = { user: [], bot: [] }
        for (const [i, [speaker, pause]] of script.entries()) {
          steps.push(audio(speaker, i + 1, 20))
          sent[speaker].push(i + 1)
          if (pause > 0) steps.push(ms(pause))
        }
        const { pieces } = yield* record(steps, { duration: millis })
        for (const [i, piece] of pieces.entries()) {
          strictEqual(piece.user.length, piece.bot.length)
          isAtMost(piece.user.length, millis)
          strictEqual(piece.at, pieces.slice(0, i).reduce((sum, { user }) => sum + user.length, 0))
        }
        for (const speaker of ["user", "bot"] as const) {
          const track = Array.from(concat(pieces.map((piece) => piece[speaker]))).filter((sample) => sample !== 0)
          deepStrictEqual(track, sent[speaker].flatMap((value) => Array.from({ length: 20 }, () => value)))
        }
      }),
    { arbitrary: { runs: 100 } }
  )
})
