import * as Frame from "@apipeline/core/Frame"
import * as HoldAggregator from "@apipeline/core/HoldAggregator"
import * as Notifier from "@apipeline/core/Notifier"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineObserver from "@apipeline/core/PipelineObserver"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { act, capture, interrupt, leaks, payload, run, settle, show, sleep, upstream } from "@apipeline/core/testing"
import { UserStartedSpeakingFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"

const { deepStrictEqual, strictEqual, throws } = assert

class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const audio = (): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: new Uint8Array(2), sampleRate: 8000, numChannels: 1 })

const same = (actual: ReadonlyArray<Frame.Frame>, expected: ReadonlyArray<Frame.Frame>): void => {
  deepStrictEqual(actual.map(String), expected.map(String))
  for (const [i, frame] of expected.entries()) strictEqual(actual[i], frame)
}

const held = (frame: Frame.Frame): boolean => Frame.TextFrame.is(frame) || Keep.is(frame)

/** How a test tells the aggregator to release: both ways do the same. */
const kinds = ["SyncNotifyFrame", "notifier"] as const
const both = (
  name: string,
  f: (
    make: (
      kind: "all" | "last",
      options?: HoldAggregator.Options
    ) => { readonly hold: Processor.Processor; readonly release: ReturnType<typeof act> | Frame.Frame }
  ) => Effect.Effect<void, unknown>
): void => {
  for (const kind of kinds) {
    it.effect(`${name} (${kind})`, () =>
      f((which, options) => {
        const hold = which === "all" ? HoldAggregator.all : HoldAggregator.last
        if (kind === "SyncNotifyFrame") {
          return { hold: hold(held, options), release: Frame.SyncNotifyFrame.make() }
        }
        const notifier = Notifier.makeUnsafe()
        return {
          hold: hold(held, { ...options, notifier }),
          release: act(() => settle.pipe(Effect.andThen(notifier.notify), Effect.andThen(settle)))
        }
      }))
  }
}

const data = (frames: ReadonlyArray<Frame.Frame>) => payload(frames).filter((frame) => !Frame.SyncNotifyFrame.is(frame))

describe("HoldAggregator", () => {
  it.effect("texts are held until the notifier fires 100 ms after SyncNotify, then released in order", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const captured = capture()
      const pipeline = Pipeline.make(
        HoldAggregator.all(Frame.TextFrame.is, { notifier }),
        Processor.effect("NotifiesLater", {
          SyncNotifyFrame: (frame, { push }) =>
            Effect.andThen(
              push(frame),
              Effect.forkScoped(Effect.andThen(Effect.sleep("100 millis"), notifier.notify))
            )
        }),
        captured.below
      )
      const [a, sound, b, notify, c, sound2, d] = [
        text("a"),
        audio(),
        text("b"),
        Frame.SyncNotifyFrame.make(),
        text("c"),
        audio(),
        text("d")
      ]
      const { down } = yield* run(pipeline, [
        a,
        sound,
        b,
        notify,
        c,
        sleep("99 millis"),
        sound2,
        act(() => Effect.andThen(settle, Effect.sync(() => same(payload(captured.down), [sound, notify, sound2])))),
        sleep("1 millis"),
        d,
        act(() =>
          Effect.andThen(settle, Effect.sync(() => same(payload(captured.down), [sound, notify, sound2, a, b, c])))
        )
      ])
      same(payload(down), [sound, notify, sound2, a, b, c, d])
    }))

  it.effect("hold-last keeps only the latest", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const [sound, c] = [audio(), text("c")]
      const { down } = yield* run(HoldAggregator.last(Frame.TextFrame.is, { notifier }), [
        text("a"),
        sound,
        text("b"),
        c,
        act(() => settle),
        act(() => notifier.notify),
        act(() => settle)
      ])
      same(payload(down), [sound, c])
    }))

  both("releases what came before, and holds again", (make) =>
    Effect.gen(function*() {
      const { hold, release } = make("all")
      const [a, sound, b, c, d] = [text("a"), audio(), text("b"), text("c"), text("d")]
      const { down } = yield* run(hold, [a, sound, b, release, c, release, d])
      same(data(down), [sound, a, b, c, d])
      const last = make("last")
      const latest = yield* run(last.hold, [a, sound, b, last.release, c, d, last.release, last.release])
      same(data(latest.down), [sound, b, d])
    }))

  it.effect("SyncNotifyFrame goes on behind what it released, in either direction", () =>
    Effect.gen(function*() {
      const [a, notify, up] = [text("a"), Frame.SyncNotifyFrame.make(), Frame.SyncNotifyFrame.make()]
      const captured = capture()
      const hold = () => HoldAggregator.all(held)
      same(payload((yield* run(hold(), [a, notify])).down), [a, notify])
      const result = yield* run(Pipeline.make(hold(), captured.below), [
        a,
        act(() => settle),
        upstream(up),
        sleep("1 millis"),
        act(() => Effect.sync(() => same(payload(captured.down), [a])))
      ])
      same(result.up, [up])
    }))

  it.effect("with a notifier, SyncNotifyFrame releases nothing", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const captured = capture()
      const notify = Frame.SyncNotifyFrame.make()
      yield* run(Pipeline.make(HoldAggregator.all(held, { notifier }), captured.below), [
        text("a"),
        notify,
        sleep("1 second"),
        act(() => Effect.sync(() => same(payload(captured.down), [notify])))
      ])
      strictEqual(captured.down.length, 4)
    }))

  both("a release of nothing is over at once", (make) =>
    Effect.gen(function*() {
      const { hold, release } = make("all", { atEnd: "drop" })
      const { down } = yield* run(hold, [release, sleep("1 millis"), text("a"), sleep("1 millis")])
      same(data(down), [])
    }))

  both("system and lifecycle frames pass and are not asked for", (make) =>
    Effect.gen(function*() {
      const { hold } = make("all")
      const user = UserStartedSpeakingFrame.make()
      const { down } = yield* run(hold, [text("a"), user, sleep("1 millis"), interrupt])
      deepStrictEqual(show(down), ["StartFrame", "UserStartedSpeakingFrame", "StartInterruptionFrame", "EndFrame"])
      const asked: Array<string> = []
      yield* run(
        HoldAggregator.all((frame) => {
          asked.push(frame._tag)
          return false
        }),
        [text("a"), Frame.SyncFrame.make(), user, sleep("1 millis"), interrupt]
      )
      deepStrictEqual(asked, ["TextFrame", "SyncFrame"])
    }))

  both("an interruption clears what is held but uninterruptible frames", (make) =>
    Effect.gen(function*() {
      for (const which of ["all", "last"] as const) {
        const { hold, release } = make(which)
        const [keep, keep2, b] = [Keep.make({ n: 1 }), Keep.make({ n: 2 }), text("b")]
        const steps = [keep, keep2, text("a"), sleep("1 millis"), interrupt, b, release]
        const { down } = yield* run(hold, steps)
        same(data(down), [keep, keep2, b])
        const again = make(which)
        const a = text("a")
        const whole = yield* run(again.hold, [a, sleep("1 millis"), interrupt, again.release], {
          allowInterruptions: false
        })
        same(data(whole.down), [a])
      }
    }))

  both("an interruption while released frames wait for room cuts them", (make) =>
    Effect.gen(function*() {
      const { hold, release } = make("all")
      const keep = Keep.make({ n: 1 })
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
      }, { capacity: 1 })
      const { down } = yield* run(Pipeline.make(hold, slow), [
        text("a"),
        text("b"),
        text("c"),
        keep,
        text("d"),
        release,
        sleep("15 millis"),
        interrupt,
        sleep("1 second"),
        text("e"),
        sleep("1 second")
      ])
      deepStrictEqual(show(data(down)), ["TextFrame(\"a\")", "Keep(n: 1)", "TextFrame(\"e\")"])
      strictEqual(data(down)[1], keep)
    }))

  it.effect("what arrives while released frames wait for room waits for the next notification", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
      }, { capacity: 1 })
      const captured = capture()
      const lines = () => show(payload(captured.down)).join(" ")
      yield* run(Pipeline.make(HoldAggregator.all(held, { notifier }), slow, captured.below), [
        text("a"),
        text("b"),
        text("c"),
        act(() => settle),
        act(() => notifier.notify),
        sleep("15 millis"),
        text("d"),
        sleep("1 second"),
        act(() => Effect.sync(() => strictEqual(lines(), "TextFrame(\"a\") TextFrame(\"b\") TextFrame(\"c\")"))),
        act(() => notifier.notify),
        sleep("1 second"),
        act(() => Effect.sync(() => assert.include(lines(), "TextFrame(\"d\")")))
      ])
      assert.include(lines(), "TextFrame(\"d\")")
    }))

  both(
    "the end releases what is left before it, or drops it but uninterruptible frames",
    (make) =>
      Effect.gen(function*() {
        const frames = [text("a"), Keep.make({ n: 1 }), text("b")]
        const flushed = yield* run(make("all").hold, frames)
        same(payload(flushed.down), frames)
        strictEqual(flushed.down.at(-1)!._tag, "EndFrame")
        const dropped = yield* run(make("all", { atEnd: "drop" }).hold, frames)
        same(payload(dropped.down), [frames[1]!])
        const last = yield* run(make("last").hold, frames)
        same(payload(last.down), frames.slice(1))
      })
  )

  both("is bounded, and reports what it drops once", (make) =>
    Effect.gen(function*() {
      const frames = [text("a"), Keep.make({ n: 1 }), text("b"), text("c"), text("d")]
      const dropping = make("all", { capacity: 2, name: "Hold" })
      const result = yield* run(dropping.hold, [...frames, dropping.release, sleep("1 millis")])
      same(data(result.down), frames.slice(0, 3))
      deepStrictEqual(show(result.up), ["ErrorFrame(Hold: Hold holds 2 frames already: frames are dropped)"])
      const sliding = make("all", { capacity: 2, strategy: "sliding" })
      const slid = yield* run(sliding.hold, [...frames, sliding.release, sleep("1 millis")])
      same(data(slid.down), [frames[1]!, ...frames.slice(3)])
      strictEqual(slid.up.length, 1)
    }))

  both("there is room again for what was released or cut", (make) =>
    Effect.gen(function*() {
      const { hold, release } = make("all", { capacity: 1 })
      const [a, b, c, d, e] = [text("a"), text("b"), text("c"), text("d"), text("e")]
      const { down, up } = yield* run(hold, [
        a,
        b,
        release,
        c,
        sleep("1 millis"),
        release,
        text("cut"),
        sleep("1 millis"),
        interrupt,
        d,
        e,
        sleep("1 millis"),
        release,
        sleep("1 millis")
      ])
      same(data(down), [a, c, d])
      strictEqual(up.filter(Frame.ErrorFrame.is).length, 2)
    }))

  both("what is held and does not go on is counted, by what took it", (make) =>
    Effect.gen(function*() {
      const drops: Array<string> = []
      const watch = () =>
        PipelineObserver.make("drops", (event) =>
          Effect.sync(() => {
            if (event._tag === "Drop") drops.push(`${event.processor}: ${show([event.frame]).join()}: ${event.reason}`)
          }))
      const { hold } = make("all", { capacity: 2, name: "Hold" })
      const [pause, user] = [sleep("1 millis"), UserStartedSpeakingFrame.make()]
      yield* run(
        hold,
        [text("a"), Keep.make({ n: 1 }), text("b"), text("c"), user, pause, interrupt, text("d"), pause],
        {
          end: false,
          observers: [watch()]
        }
      )
      const last = make("last", { name: "Last", atEnd: "drop" })
      yield* run(last.hold, [text("e"), text("f"), pause], { observers: [watch()] })
      yield* settle
      deepStrictEqual(drops, [
        `Hold: TextFrame("c"): full`,
        `Hold: TextFrame("a"): interrupted`,
        `Hold: TextFrame("b"): interrupted`,
        "Hold: Keep(n: 1): cancelled",
        `Hold: TextFrame("d"): cancelled`,
        `Last: TextFrame("e"): full`,
        `Last: TextFrame("f"): cancelled`
      ])
    }))

  it("a capacity that is none throws", () => {
    throws(
      () => HoldAggregator.all(held, { capacity: 0 }),
      "HoldAggregator: capacity: found 0, expected a positive integer"
    )
    throws(() => HoldAggregator.last(held, { capacity: 0.5 }), "expected a positive integer")
  })

  it.effect("StopTaskFrame leaves what is held to the task that takes over, which can still release it", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const first = yield* PipelineTask.make(HoldAggregator.all(held, { notifier }))
      const [a, b] = [text("a"), text("b")]
      yield* first.queueFrame(a)
      yield* first.stopTask
      yield* first.run
      const second = yield* PipelineTask.takeOver(first)
      const collected = yield* Effect.forkChild(Stream.runCollect(second.output), { startImmediately: true })
      yield* second.start
      yield* second.queueFrame(b)
      yield* settle
      yield* notifier.notify
      yield* settle
      yield* second.queueFrame(Frame.SyncFrame.make())
      yield* second.stopWhenDone
      deepStrictEqual(show(payload(yield* Fiber.join(collected))), [
        "TextFrame(\"a\")",
        "TextFrame(\"b\")",
        "SyncFrame"
      ])
    }))

  it.effect("nothing is left running", () =>
    Effect.gen(function*() {
      const notifier = yield* Notifier.make
      const [, alive] = yield* leaks(run(HoldAggregator.all(held, { notifier }), [text("a"), sleep("1 millis")]))
      strictEqual(alive, 0)
      const [, cancelled] = yield* leaks(
        run(HoldAggregator.all(held, { notifier }), [text("a"), sleep("1 millis")], { end: false })
      )
      strictEqual(cancelled, 0)
    }))
})
