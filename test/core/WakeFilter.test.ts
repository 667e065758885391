import * as Frame from "@apipeline/core/Frame"
import * as Notifier from "@apipeline/core/Notifier"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { act, interrupt, leaks, payload, run, settle, show, sleep, type Step, upstream } from "@apipeline/core/testing"
import {
  InterimTranscriptionFrame,
  TranscriptionFrame,
  UserSpeakingFrame,
  UserStoppedSpeakingFrame
} from "@apipeline/core/VoiceFrames"
import * as WakeFilter from "@apipeline/core/WakeFilter"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Schema } from "effect"

const { deepStrictEqual, strictEqual, throws } = assert

const timestamp = "1970-01-01T00:00:00.000Z"
const said = (text: string, userId = "ann", options?: Frame.Options): TranscriptionFrame =>
  TranscriptionFrame.make({ text, userId, timestamp, ...options })
const interim = (text: string, userId = "ann"): InterimTranscriptionFrame =>
  InterimTranscriptionFrame.make({ text, userId, timestamp })

const heard = Effect.fnUntraced(
  function*(options: Partial<WakeFilter.Options>, steps: ReadonlyArray<Step<unknown> | string>) {
    const frames = steps.map((step) => typeof step === "string" ? said(step) : step)
    const { down } = yield* run(WakeFilter.make({ phrases: ["Hey, Pipecat"], ...options }), frames)
    return payload(down).map((frame) => (frame as TranscriptionFrame).text ?? frame._tag)
  }
)

describe("make", () => {
  it.effect("drops what is said before the phrase, and lets it and what follows pass, the same frames", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* heard({}, ["Phrase 1"]), [])
      const frames = [said("Phrase 0"), said("Hey, Pipecat"), said("Phrase 1", "ann", { pts: 0 })]
      const { down } = yield* run(WakeFilter.make({ phrases: ["Hey, Pipecat"] }), frames)
      strictEqual(payload(down).length, 2)
      strictEqual(down[1], frames[1])
      strictEqual(down[2], frames[2])
    }))

  it.effect("the text goes on from the phrase, as a new frame with pts, metadata and all fields", () =>
    Effect.gen(function*() {
      const frame = TranscriptionFrame.make({
        text: "so, HEY pipecat! hello",
        userId: "ann",
        timestamp,
        finalized: true,
        pts: 7,
        metadata: { n: 1 }
      })
      const { down } = yield* run(WakeFilter.make({ phrases: ["Hey, Pipecat"] }), [frame])
      const out = down[1] as TranscriptionFrame
      const { id, ...fields } = out
      deepStrictEqual(fields as object, {
        _tag: "TranscriptionFrame",
        text: "HEY pipecat! hello",
        userId: "ann",
        timestamp,
        finalized: true,
        pts: 7,
        metadata: { n: 1 }
      })
      assert.isAbove(id, frame.id)
    }))

  it.effect("a phrase in pieces, several phrases, case and punctuation, word boundaries, any script", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* heard({}, ["oh hey", "pipecat go", "on"]), ["hey pipecat go", "on"])
      deepStrictEqual(yield* heard({ phrases: ["wake up", "ok robot"] }, ["OK... robot", "a"]), ["OK... robot", "a"])
      deepStrictEqual(yield* heard({ phrases: ["robot"] }, ["robots", "a robotic arm", "microrobot", "a", "robot?"]), [
        "robot?"
      ])
      deepStrictEqual(yield* heard({ phrases: ["don't stop"] }, ["please dont stop now"]), ["dont stop now"])
      deepStrictEqual(yield* heard({ phrases: ["小智"] }, ["今天天气", "你好小智再见"]), ["小智再见"])
      deepStrictEqual(yield* heard({ phrases: ["café"] }, ["cafe", "un cafe\u0301"]), ["caf\u00e9"])
      deepStrictEqual(yield* heard({ phrases: ["a.b"] }, ["axb", "a b"]), ["a b"])
    }))

  it.effect("what was said before is forgotten, up to what a phrase in pieces needs", () =>
    Effect.gen(function*() {
      const words = Array.from({ length: 200 }, (_, i) => `word${i}`)
      deepStrictEqual(yield* heard({}, ["hey", ...words, "pipecat"]), [])
      deepStrictEqual(yield* heard({}, ["hey", ...Array.from({ length: 200 }, () => "..."), "pipecat"]), [])
      deepStrictEqual(yield* heard({}, ["hey", "...", "pipecat"]), ["hey ... pipecat"])
      deepStrictEqual(yield* heard({}, [...words, "hey", "pipecat"]), ["hey pipecat"])
    }))

  it.effect("interim transcriptions do not wake, and pass while their user is awake", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* heard({}, [interim("hey pipecat"), "a"]), [])
      deepStrictEqual(yield* heard({}, ["hey pipecat", interim("b"), interim("c", "bob")]), ["hey pipecat", "b"])
    }))

  it.effect("each user has to wake it", () =>
    Effect.gen(function*() {
      deepStrictEqual(
        yield* heard({}, [
          said("hey pipecat"),
          said("a", "bob"),
          said("b"),
          said("hey", "bob"),
          said("pipecat", "bob")
        ]),
        ["hey pipecat", "b", "hey pipecat"]
      )
    }))

  it.effect("sleeps after the timeout, which what is said renews", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const options = {
        timeout: "100 millis",
        onSleep: (userId: string) =>
          Effect.map(Clock.currentTimeMillis, (now) => log.push(`${userId} sleeps at ${now}`))
      } as const
      deepStrictEqual(
        yield* heard(options, [
          "hey pipecat",
          sleep("99 millis"),
          "a",
          sleep("99 millis"),
          UserSpeakingFrame.make(),
          sleep("99 millis"),
          interim("b"),
          sleep("100 millis"),
          "c",
          "hey pipecat",
          "d"
        ]),
        ["hey pipecat", "a", "UserSpeakingFrame", "b", "hey pipecat", "d"]
      )
      deepStrictEqual(log.slice(0, 1), ["ann sleeps at 397"])
    }))

  it.effect("the default timeout is 3 seconds", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* heard({}, ["hey pipecat", sleep("2999 millis"), "a"]), ["hey pipecat", "a"])
      deepStrictEqual(yield* heard({}, ["hey pipecat", sleep("3 seconds"), "a"]), ["hey pipecat"])
    }))

  it.effect("without renewal, the timeout runs from the phrase on", () =>
    Effect.gen(function*() {
      deepStrictEqual(
        yield* heard({ timeout: "100 millis", renew: false }, [
          "hey pipecat",
          sleep("60 millis"),
          UserSpeakingFrame.make(),
          "a",
          interim("b"),
          sleep("40 millis"),
          "c",
          "hey pipecat",
          "d"
        ]),
        ["hey pipecat", "UserSpeakingFrame", "a", "b", "hey pipecat", "d"]
      )
    }))

  class Deaf extends Schema.TaggedError<Deaf>()("Deaf", {}) {}
  class Log extends Context.Service<Log, Array<string>>()("test/Log") {}

  it.effect("onWake tells the phrase and the user; a failure is reported and the frame goes on", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const filter: Processor.Processor<Deaf, Log> = WakeFilter.make({
        phrases: ["wake up", "OK robot"],
        onWake: (phrase, userId) =>
          Effect.gen(function*() {
            ;(yield* Log).push(`${userId}: ${phrase}`)
            if (userId === "bob") return yield* new Deaf()
          })
      })
      const { down, up } = yield* run(filter, [said("ok, robot"), said("wake up"), said("wake up", "bob")]).pipe(
        Effect.provideService(Log, log)
      )
      deepStrictEqual(payload(down).map((frame) => (frame as TranscriptionFrame).text), [
        "ok, robot",
        "wake up",
        "wake up"
      ])
      deepStrictEqual(log, ["ann: OK robot", "bob: wake up"])
      deepStrictEqual(show(up), ["ErrorFrame(WakeFilter: Deaf)"])
    }))

  it.effect("a failure of onSleep is reported; onSleep is not stopped by the user who wakes it meanwhile", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const filter = WakeFilter.make({
        phrases: ["wake up"],
        timeout: "10 millis",
        onSleep: () =>
          Effect.sleep("5 millis").pipe(
            Effect.andThen(Effect.sync(() => log.push("slept"))),
            Effect.andThen(Effect.fail(new Deaf()))
          )
      })
      const { up } = yield* run(filter, [
        said("wake up"),
        sleep("11 millis"),
        said("wake up"),
        sleep("5 millis"),
        act(() => Effect.sync(() => deepStrictEqual(log, ["slept"])))
      ])
      strictEqual(show(up)[0], "ErrorFrame(WakeFilter: Deaf)")
    }))

  it.effect("other frames pass, upstream ones do, and an interruption changes nothing", () =>
    Effect.gen(function*() {
      const frames = [Frame.TextFrame.make({ text: "a" }), Frame.SyncFrame.make()]
      const up = said("b")
      const { down, up: ups } = yield* run(WakeFilter.make({ phrases: ["hey you"] }), [
        ...frames,
        upstream(up),
        said("hey"),
        sleep("1 millis"),
        interrupt,
        said("you"),
        sleep("1 millis"),
        interrupt,
        said("c")
      ])
      deepStrictEqual(show(down).map((line) => /text: "(.*?)"/.exec(line)?.[1] ?? line), [
        "StartFrame",
        "TextFrame(\"a\")",
        "SyncFrame",
        "StartInterruptionFrame",
        "hey you",
        "StartInterruptionFrame",
        "c",
        "EndFrame"
      ])
      strictEqual(ups[0], up)
    }))

  it.effect("two tasks of one description do not know each other; nothing is left running", () =>
    Effect.gen(function*() {
      const filter = WakeFilter.make({ phrases: ["hey you"], timeout: "1 hour" })
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const first = yield* PipelineTask.make(filter)
        yield* first.start
        yield* first.queueFrame(said("hey you"))
        yield* settle
        const { down } = yield* run(filter, [said("a")])
        deepStrictEqual(payload(down), [])
      })))
      strictEqual(alive, 0)
    }))

  it("phrases without a word throw", () => {
    throws(() => WakeFilter.make({ phrases: [] }), "WakeFilter: phrases: found none, expected at least one")
    throws(
      () => WakeFilter.make({ phrases: ["a", "..."] }),
      "WakeFilter: phrases[1]: found \"...\", expected at least one word"
    )
  })
})

describe("notifier", () => {
  it.effect("notifies before the frame goes on, and drops nothing; lifecycle frames are not asked for", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const notifier: Notifier.Notifier = {
        ...Notifier.makeUnsafe(),
        notifyUnsafe: () => log.push("notified")
      }
      const frames = [UserStoppedSpeakingFrame.make(), said("a"), said("b"), Frame.SyncFrame.make()]
      for (const direction of ["downstream", "upstream", "both", undefined] as const) {
        log.length = 0
        const asked: Array<string> = []
        const processor = WakeFilter.notifier(notifier, (frame) => {
          asked.push(frame._tag)
          return UserStoppedSpeakingFrame.is(frame)
        }, { direction })
        const { down, up } = yield* run(processor, [
          ...frames,
          ...frames.map(upstream),
          sleep("1 millis"),
          interrupt
        ])
        strictEqual(payload(down).length, frames.length)
        strictEqual(up.length, frames.length)
        const times = direction === "both" ? 2 : 1
        deepStrictEqual(log, Array.from({ length: times }, () => "notified"))
        deepStrictEqual(
          asked.toSorted(),
          frames.flatMap(({ _tag }) => Array.from({ length: times }, () => _tag)).toSorted()
        )
      }
    }))

  it.effect("a notification is there when the frame arrives further down", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const notifier: Notifier.Notifier = { ...Notifier.makeUnsafe(), notifyUnsafe: () => log.push("notified") }
      const below = Processor.sync("Below", {
        TextFrame: (frame, push) => {
          log.push(frame.text)
          push(frame)
        }
      })
      yield* run(Pipeline.make(WakeFilter.notifier(notifier, Frame.TextFrame.is, { name: "N" }), below), [
        Frame.TextFrame.make({ text: "a" })
      ])
      deepStrictEqual(log, ["notified", "a"])
      strictEqual(WakeFilter.notifier(notifier, Frame.TextFrame.is).name, "WakeNotifier")
    }))
})
