import * as Frame from "@apipeline/core/Frame"
import * as IdleProcessor from "@apipeline/core/IdleProcessor"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as Processor from "@apipeline/core/Processor"
import { act, interrupt, leaks, payload, run, settle, show, sleep, type Step, upstream } from "@apipeline/core/testing"
import { TranscriptionFrame, UserSpeakingFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual, throws } = assert

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const said = (): TranscriptionFrame =>
  TranscriptionFrame.make({ text: "a", userId: "ann", timestamp: "1970-01-01T00:00:00.000Z" })

/** When `onIdle` ran, in milliseconds since the start. */
const times = Effect.fnUntraced(function*(options: IdleProcessor.Options, steps: ReadonlyArray<Step>) {
  const log: Array<number> = []
  const since = yield* Clock.currentTimeMillis
  yield* run(
    IdleProcessor.make({
      ...options,
      onIdle: (context) =>
        Effect.andThen(
          Effect.map(Clock.currentTimeMillis, (now) => log.push(now - since)),
          options.onIdle?.(context) ?? Effect.void
        )
    }),
    steps
  )
  return log
})

/** One of these every so often. */
const each = (n: number, make: () => Step, millis: number): ReadonlyArray<Step> =>
  Array.from({ length: n }, () => [make(), sleep(millis)]).flat()

describe("IdleProcessor", () => {
  it.effect("tells that nothing has come for the timeout, and again each time that it has passed", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* times({ timeout: "100 millis" }, [sleep("99 millis")]), [])
      deepStrictEqual(yield* times({ timeout: "100 millis" }, [sleep("350 millis")]), [100, 200, 300])
    }))

  it.effect("frames that come in time put it off", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* times({ timeout: "200 millis" }, each(6, () => text("a"), 100)), [])
      deepStrictEqual(
        yield* times({ timeout: "200 millis" }, [...each(3, () => text("a"), 100), sleep("99 millis")]),
        []
      )
      deepStrictEqual(
        yield* times({ timeout: "200 millis" }, [...each(3, () => text("a"), 100), sleep("100 millis")]),
        [
          400
        ]
      )
    }))

  it.effect("any frame counts, in both directions, but heartbeats, idle frames and lifecycle frames do not", () =>
    Effect.gen(function*() {
      const makes: ReadonlyArray<() => Frame.Frame> = [
        () => text("a"),
        () => Frame.SyncFrame.make(),
        () => UserSpeakingFrame.make()
      ]
      for (const make of makes) {
        deepStrictEqual(yield* times({ timeout: "100 millis" }, each(3, make, 60)), [])
        deepStrictEqual(yield* times({ timeout: "100 millis" }, each(3, () => upstream(make()), 60)), [])
      }
      const beat = () => Frame.HeartbeatFrame.make({ at: 0 })
      for (
        const make of [beat, () => Frame.IdleFrame.make(), () => upstream(Frame.IdleFrame.make()), () => interrupt]
      ) {
        deepStrictEqual(yield* times({ timeout: "100 millis" }, each(3, make, 60)), [100])
      }
    }))

  it.effect("only the frames that are listed count, by class or tag", () =>
    Effect.gen(function*() {
      for (const frames of [[TranscriptionFrame], ["TranscriptionFrame"]]) {
        const options = { timeout: "150 millis", frames } as const
        deepStrictEqual(yield* times(options, each(4, () => text("a"), 50)), [150])
        deepStrictEqual(yield* times(options, each(4, () => said(), 50)), [])
        deepStrictEqual(yield* times(options, each(4, () => upstream(said()), 50)), [])
      }
      deepStrictEqual(
        yield* times({ timeout: "150 millis", frames: ["IdleFrame"] }, each(4, () => Frame.IdleFrame.make(), 50)),
        []
      )
    }))

  it.effect("a frame that comes while onIdle runs counts, although onIdle fails", () =>
    Effect.gen(function*() {
      const options = {
        timeout: "100 millis",
        onIdle: () => Effect.andThen(Effect.sleep("50 millis"), Effect.void)
      } as const
      deepStrictEqual(yield* times(options, [sleep("1 second")]), [100, 250, 400, 550, 700, 850, 1000])
      const log: Array<number> = []
      const failing = IdleProcessor.make({
        timeout: "100 millis",
        repeat: false,
        onIdle: () =>
          Effect.map(Clock.currentTimeMillis, (now) => log.push(now)).pipe(
            Effect.andThen(Effect.sleep("50 millis")),
            Effect.andThen(Effect.fail("no"))
          )
      })
      const { up } = yield* run(failing, [sleep("120 millis"), text("a"), sleep("1 second")])
      // it comes at 120, so the time is over at 220
      deepStrictEqual(log.map((time) => time - log[0]!), [0, 120])
      deepStrictEqual(show(up), ["ErrorFrame(IdleProcessor: no)", "ErrorFrame(IdleProcessor: no)"])
    }))

  it.effect("without repeat, once until a frame comes again", () =>
    Effect.gen(function*() {
      deepStrictEqual(
        yield* times({ timeout: "100 millis", repeat: false }, [
          sleep("500 millis"),
          text("a"),
          sleep("99 millis"),
          text("b"),
          sleep("1 second")
        ]),
        [100, 699]
      )
    }))

  it.effect("pushes an IdleFrame downstream; the frames themselves pass, the same ones, in order", () =>
    Effect.gen(function*() {
      const [a, b, up] = [text("a"), text("b"), text("up")]
      const { down, up: ups } = yield* run(IdleProcessor.make({ timeout: "100 millis" }), [
        a,
        upstream(up),
        sleep("250 millis"),
        b
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "TextFrame(\"a\")",
        "IdleFrame",
        "IdleFrame",
        "TextFrame(\"b\")",
        "EndFrame"
      ])
      deepStrictEqual([down[1] === a, down[4] === b, ups[0] === up, ups.length], [true, true, true, 1])
      assert.notStrictEqual(down[2]!.id, down[3]!.id)
    }))

  it.effect("two in a row do not keep each other awake", () =>
    Effect.gen(function*() {
      const { down } = yield* run(
        Pipeline.make(
          IdleProcessor.make({ timeout: "60 millis" }),
          IdleProcessor.make({ timeout: "100 millis", onIdle: ({ push }) => push(text("idle")), repeat: false })
        ),
        [sleep("150 millis")]
      )
      deepStrictEqual(show(payload(down)), ["IdleFrame", "TextFrame(\"idle\")", "IdleFrame"])
    }))

  class Tired extends Schema.TaggedError<Tired>()("Tired", {}) {}
  class Log extends Context.Service<Log, Array<string>>()("test/Log") {}

  it.effect("onIdle pushes both ways, and its failures and services are in the type", () =>
    Effect.gen(function*() {
      const processor: Processor.Processor<Tired, Log> = IdleProcessor.make({
        name: "Nudge",
        timeout: "100 millis",
        onIdle: ({ push, pushUpstream }) =>
          Effect.gen(function*() {
            ;(yield* Log).push("nudge")
            yield* push(text("down"))
            yield* pushUpstream(text("up"))
            yield* new Tired()
          })
      })
      const log: Array<string> = []
      const { down, failures, up } = yield* run(processor, [sleep("250 millis")]).pipe(Effect.provideService(Log, log))
      deepStrictEqual(show(payload(down)), ["TextFrame(\"down\")", "TextFrame(\"down\")"])
      deepStrictEqual(show(up).toSorted(), [
        "ErrorFrame(Nudge: Tired)",
        "ErrorFrame(Nudge: Tired)",
        "TextFrame(\"up\")",
        "TextFrame(\"up\")"
      ])
      deepStrictEqual(log, ["nudge", "nudge"])
      strictEqual(failures.length, 2)
    }))

  it.effect("the time runs from the start of the task on, and ends with it", () =>
    Effect.gen(function*() {
      const log: Array<number> = []
      const task = yield* PipelineTask.make(
        IdleProcessor.make({
          timeout: "100 millis",
          onIdle: () => Effect.map(Clock.currentTimeMillis, (now) => log.push(now))
        })
      )
      yield* TestClock.adjust("1 second")
      yield* task.start
      yield* TestClock.adjust("150 millis")
      deepStrictEqual(log, [1100])
      yield* task.stopWhenDone
      yield* task.run
      yield* TestClock.adjust("1 second")
      deepStrictEqual(log, [1100])
    }))

  it.effect("the time stands still between StopTaskFrame and the task that takes over", () =>
    Effect.gen(function*() {
      const log: Array<number> = []
      const idle = IdleProcessor.make({
        timeout: "100 millis",
        onIdle: ({ push }) =>
          Clock.currentTimeMillis.pipe(
            Effect.map((now) => log.push(now)),
            Effect.andThen(push(Frame.IdleFrame.make()))
          )
      })
      const first = yield* PipelineTask.make(idle)
      yield* first.start
      yield* TestClock.adjust("50 millis")
      yield* first.stopTask
      yield* first.run
      yield* TestClock.adjust("1 second")
      deepStrictEqual(log, [])
      const second = yield* PipelineTask.takeOver(first)
      const output = yield* Effect.forkChild(Stream.runCollect(second.output), { startImmediately: true })
      yield* second.start
      yield* TestClock.adjust("99 millis")
      yield* second.queueFrame(text("a"))
      yield* settle
      yield* TestClock.adjust("100 millis")
      yield* second.stopWhenDone
      deepStrictEqual(show(yield* Fiber.join(output)), ["StartFrame", "TextFrame(\"a\")", "IdleFrame", "EndFrame"])
      deepStrictEqual(log, [1249])
    }))

  it.effect("nothing is left running", () =>
    Effect.gen(function*() {
      const idle = IdleProcessor.make({ timeout: "1 hour" })
      for (const end of [true, false]) {
        const [, alive] = yield* leaks(run(idle, [text("a"), act(() => settle)], { end }))
        strictEqual(alive, 0)
      }
    }))

  it("a timeout that is none throws", () => {
    for (const timeout of [0, -1, NaN]) {
      throws(() => IdleProcessor.make({ timeout }), "ms, expected a duration greater than zero")
    }
  })
})
