import * as Frame from "@apipeline/core/Frame"
import * as FrameFilter from "@apipeline/core/FrameFilter"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import { act, interrupt, payload, run, settle, show, sleep, upstream } from "@apipeline/core/testing"
import { UserStartedSpeakingFrame, UserStoppedSpeakingFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Exit, Schema } from "effect"

const { deepStrictEqual, strictEqual } = assert

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const audio = (): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: new Uint8Array(2), sampleRate: 8000, numChannels: 1 })
const image = (): Frame.ImageRawFrame =>
  Frame.ImageRawFrame.make({ image: new Uint8Array(3), width: 1, height: 1, format: "raw", mode: "RGB" })

/** The very same frames, in this order. */
const same = (actual: ReadonlyArray<Frame.Frame>, expected: ReadonlyArray<Frame.Frame>): void => {
  deepStrictEqual(actual.map(String), expected.map(String))
  for (const [i, frame] of expected.entries()) strictEqual(actual[i], frame)
}

const filters: ReadonlyArray<
  readonly [string, (direction?: Frame.Direction | "both") => Processor.Processor]
> = [
  ["make", (direction) => FrameFilter.make(() => false, { direction })],
  ["makeEffect", (direction) => FrameFilter.makeEffect(() => Effect.succeed(false), { direction })],
  ["byType", (direction) => FrameFilter.byType([], { direction })],
  ["nothing", (direction) => FrameFilter.nothing({ direction })]
]

describe("FrameFilter", () => {
  it.effect("identity passes everything, both ways", () =>
    Effect.gen(function*() {
      const down = [UserStartedSpeakingFrame.make(), UserStoppedSpeakingFrame.make(), text("a"), Frame.SyncFrame.make()]
      const up = [UserStartedSpeakingFrame.make(), text("b"), Frame.SyncFrame.make()]
      const result = yield* run(FrameFilter.identity(), [...down, ...up.map(upstream)])
      same(payload(result.down), down)
      same(result.up, up)
    }))

  it.effect("byType passes what is listed, by class or tag, in order", () =>
    Effect.gen(function*() {
      const frames = [text("a"), image(), audio(), text("b")]
      for (const types of [[Frame.TextFrame, Frame.AudioRawFrame], ["TextFrame", Frame.AudioRawFrame]]) {
        const { down } = yield* run(FrameFilter.byType(types), frames)
        strictEqual(down[0]!._tag, "StartFrame")
        same(payload(down), [frames[0]!, frames[2]!, frames[3]!])
        strictEqual(down.at(-1)!._tag, "EndFrame")
      }
    }))

  it.effect("byType([EndFrame]) and byType([]): lifecycle and system frames pass whatever is listed", () =>
    Effect.gen(function*() {
      for (const types of [[Frame.EndFrame], []]) {
        const user = UserStartedSpeakingFrame.make()
        const { down, up } = yield* run(
          Pipeline.make(
            FrameFilter.byType(types, { direction: "both" }),
            Processor.effect("Fails", {
              UserStartedSpeakingFrame: (frame, { push, report }) => Effect.andThen(report("mild"), push(frame))
            }, { frames: [UserStartedSpeakingFrame] })
          ),
          [text("a"), user, sleep("1 millis"), interrupt]
        )
        deepStrictEqual(down.map(({ _tag }) => _tag), [
          "StartFrame",
          "UserStartedSpeakingFrame",
          "StartInterruptionFrame",
          "EndFrame"
        ])
        strictEqual(down[1], user)
        deepStrictEqual(show(up), ["ErrorFrame(Fails: mild)"])
      }
    }))

  it.effect("byType drops control frames that are not listed; nothing drops data only", () =>
    Effect.gen(function*() {
      const beat = Frame.HeartbeatFrame.make({ at: 0 })
      const sync = Frame.SyncFrame.make()
      same(payload((yield* run(FrameFilter.byType([]), [beat, sync])).down), [])
      same(payload((yield* run(FrameFilter.byType([Frame.SyncFrame]), [beat, sync])).down), [sync])
      same(payload((yield* run(FrameFilter.nothing(), [text("a"), sync, audio()])).down), [sync])
    }))

  it.effect("make passes what its predicate says, which is never asked for lifecycle and system frames", () =>
    Effect.gen(function*() {
      const asked: Array<Frame.Frame> = []
      const predicate = (frame: Frame.Frame): boolean => {
        asked.push(frame)
        return !Frame.TextFrame.is(frame) || frame.text !== "no"
      }
      const frames = [text("yes"), text("no"), Frame.SyncFrame.make(), audio()]
      const up = text("no")
      const { down } = yield* run(FrameFilter.make(predicate, { direction: "both" }), [
        ...frames,
        upstream(up),
        UserStartedSpeakingFrame.make(),
        sleep("1 millis"),
        interrupt
      ])
      same(payload(down).filter((frame) => !Frame.isSystem(frame)), [frames[0]!, frames[2]!, frames[3]!])
      same(asked.filter((frame) => frame !== up), frames)
      strictEqual(asked.length, frames.length + 1)
      strictEqual(down.filter(UserStartedSpeakingFrame.is).length, 1)
      strictEqual(down.filter(Frame.StartInterruptionFrame.is).length, 1)
    }))

  for (const [name, filter] of filters) {
    it.effect(`${name}: direction`, () =>
      Effect.gen(function*() {
        const [down, up, user, user2] = [
          text("down"),
          text("up"),
          UserStartedSpeakingFrame.make(),
          UserStoppedSpeakingFrame.make()
        ]
        const steps = [down, user, upstream(up), upstream(user2)]
        const both = yield* run(filter("both"), steps)
        same(payload(both.down), [user])
        same(both.up, [user2])
        for (const direction of ["downstream", undefined] as const) {
          const downstream = yield* run(filter(direction), steps)
          same(payload(downstream.down), [user])
          same(downstream.up, [user2, up])
        }
        const upward = yield* run(filter("upstream"), steps)
        same(payload(upward.down), [user, down])
        same(upward.up, [user2])
      }))
  }

  it.effect("text that the next processor pushes upstream is filtered with direction both", () =>
    Effect.gen(function*() {
      const echo = Processor.sync("Echo", { SyncFrame: (_, push) => push.upstream(text("echo")) })
      const closed = yield* run(Pipeline.make(FrameFilter.byType(["SyncFrame"], { direction: "both" }), echo), [
        Frame.SyncFrame.make()
      ])
      deepStrictEqual([show(closed.down), show(closed.up)], [["StartFrame", "EndFrame"], []])
      const open = yield* run(Pipeline.make(FrameFilter.byType(["SyncFrame"]), echo), [Frame.SyncFrame.make()])
      deepStrictEqual(show(open.up), ["TextFrame(\"echo\")"])
    }))

  class NoAnswer extends Schema.TaggedError<NoAnswer>()("NoAnswer", {}) {}
  class Allowed extends Context.Service<Allowed, ReadonlySet<string>>()("test/Allowed") {}

  it.effect("makeEffect waits for its predicate, keeps the order, and reports its failures", () =>
    Effect.gen(function*() {
      const filter: Processor.Processor<NoAnswer, Allowed> = FrameFilter.makeEffect((frame) =>
        Effect.gen(function*() {
          if (!Frame.TextFrame.is(frame)) return true
          yield* Effect.sleep("10 millis")
          if (frame.text === "?") return yield* new NoAnswer()
          return (yield* Allowed).has(frame.text)
        }), { name: "Ask" })
      const frames = [text("a"), text("b"), text("?"), audio(), text("a")]
      const { down, failures, up } = yield* run(filter, [
        ...frames,
        sleep("39 millis"),
        act(() => settle)
      ]).pipe(Effect.provideService(Allowed, new Set(["a"])))
      same(payload(down), [frames[0]!, frames[3]!, frames[4]!])
      deepStrictEqual(show(up), ["ErrorFrame(Ask: NoAnswer)"])
      deepStrictEqual(failures.map(({ cause, processor }) => [processor, Cause.squash(cause) instanceof NoAnswer]), [
        ["Ask", true]
      ])
    }))

  it.effect("a predicate that throws is a defect, which is fatal", () =>
    Effect.gen(function*() {
      const { exit } = yield* run(
        FrameFilter.make(() => {
          throw new Error("no")
        }),
        [text("a"), sleep("1 millis")],
        { end: false }
      )
      assert.isTrue(Exit.isFailure(exit))
      assert.include(String(Cause.squash((exit as Exit.Failure<never, any>).cause)), "FrameFilter failed: Error: no")
    }))

  it("names and options are those of a processor", () => {
    deepStrictEqual(
      [
        FrameFilter.make(() => true),
        FrameFilter.makeEffect(() => Effect.succeed(true), { name: "A" }),
        FrameFilter.byType([], { name: "B" }),
        FrameFilter.nothing({ name: "C" }),
        FrameFilter.identity({ name: "D", capacity: 3 })
      ].map(({ name, options }) => [name, options.capacity]),
      [["FrameFilter", undefined], ["A", undefined], ["B", undefined], ["C", undefined], ["D", 3]]
    )
  })
})
