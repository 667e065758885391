import * as Frame from "@apipeline/core/Frame"
import * as FrameFilter from "@apipeline/core/FrameFilter"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import * as ProducerConsumer from "@apipeline/core/ProducerConsumer"
import { act, interrupt, leaks, payload, run, settle, show, sleep, upstream } from "@apipeline/core/testing"
import { UserStartedSpeakingFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema, Stream } from "effect"

const { deepStrictEqual, strictEqual } = assert

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const audio = (): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: new Uint8Array(2), sampleRate: 8000, numChannels: 1 })

const same = (actual: ReadonlyArray<Frame.Frame>, expected: ReadonlyArray<Frame.Frame>): void => {
  deepStrictEqual(actual.map(String), expected.map(String))
  for (const [i, frame] of expected.entries()) strictEqual(actual[i], frame)
}

const upper = (frame: Frame.Frame): Frame.Frame =>
  Frame.TextFrame.is(frame) ? Frame.copy(frame, { text: frame.text.toUpperCase() }) : frame

/** In a chain, with what may stand between the two. */
const chain = <E1 = never, R1 = never, E2 = never, R2 = never>(
  producer: ProducerConsumer.ProducerOptions<E1, R1>,
  consumer: ProducerConsumer.ConsumerOptions<E2, R2> = {},
  between: Processor.Processor = Processor.sync("Between", {})
) => {
  const channel = ProducerConsumer.make()
  return Pipeline.make(
    ProducerConsumer.producer(channel, { filter: Frame.TextFrame.is, ...producer }),
    between,
    ProducerConsumer.consumer(channel, consumer)
  )
}

const queue = () => Processor.queued("Queue", {})

describe("ProducerConsumer", () => {
  it.effect("pass through: the consumed frame first, then the frame itself, the same one", () =>
    Effect.gen(function*() {
      const [a, sound, b] = [text("a"), audio(), text("b")]
      const { down } = yield* run(chain({}), [a, sound, b])
      same(payload(down), [a, a, sound, b, b])
      // behind a mailbox the consumed ones are ahead
      const queued = yield* run(chain({}, {}, queue()), [a, sleep("1 millis"), sound, b])
      same(payload(queued.down).slice(0, 2), [a, a])
      strictEqual(payload(queued.down).length, 5)
    }))

  it.effect("no pass through: by the consumer only", () =>
    Effect.gen(function*() {
      const [a, sound, b] = [text("a"), audio(), text("b")]
      const { down } = yield* run(chain({ passThrough: false }), [a, sound, b])
      same(payload(down), [a, sound, b])
    }))

  it.effect("every consumer gets every frame", () =>
    Effect.gen(function*() {
      const channel = ProducerConsumer.make()
      const a = text("a")
      const pipeline = Pipeline.make(
        ProducerConsumer.producer(channel, { passThrough: false }),
        ProducerConsumer.consumer(channel),
        queue(),
        ProducerConsumer.consumer(channel, { name: "Second", transform: upper })
      )
      const { down } = yield* run(pipeline, [a])
      deepStrictEqual(show(payload(down)).toSorted(), ["TextFrame(\"A\")", "TextFrame(\"a\")"])
      strictEqual(payload(down).filter((frame) => frame === a).length, 1)
    }))

  it.effect("every producer gives to the same consumers; channels do not mix", () =>
    Effect.gen(function*() {
      const [one, two] = [ProducerConsumer.make(), ProducerConsumer.make()]
      const [a, sound] = [text("a"), audio()]
      const pipeline = Pipeline.make(
        ProducerConsumer.producer(one, { filter: Frame.TextFrame.is, passThrough: false }),
        ProducerConsumer.producer(one, { filter: Frame.AudioRawFrame.is, passThrough: false }),
        ProducerConsumer.producer(two, { passThrough: false }),
        ProducerConsumer.consumer(one)
      )
      const { down } = yield* run(pipeline, [a, sound, Frame.SyncFrame.make()])
      same(payload(down), [a, sound])
    }))

  it.effect("the producer's function, pure or effectful", () =>
    Effect.gen(function*() {
      const [a, sound] = [text("a"), audio()]
      const pure = yield* run(chain({ transform: () => sound }), [a])
      same(payload(pure.down), [sound, a])
      const effectful = yield* run(
        chain({ transform: () => Effect.as(Effect.sleep("10 millis"), sound) }),
        [a, sleep("20 millis")]
      )
      same(payload(effectful.down), [sound, a])
    }))

  it.effect("the consumer's function, pure or effectful", () =>
    Effect.gen(function*() {
      const [a, sound] = [text("a"), audio()]
      const pure = yield* run(chain({}, { transform: () => sound }), [a])
      same(payload(pure.down), [sound, a])
      const effectful = yield* run(
        chain({}, { transform: () => Effect.as(Effect.sleep("10 millis"), sound) }),
        [a, sleep("20 millis")]
      )
      same(payload(effectful.down), [sound, a])
    }))

  it.effect("system frames are taken too; lifecycle frames and heartbeats are not asked for", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const user = UserStartedSpeakingFrame.make()
      const { down } = yield* run(
        chain({
          filter: (frame) => {
            asked.push(frame._tag)
            return true
          }
        }),
        [user, sleep("1 millis"), interrupt, Frame.HeartbeatFrame.make({ at: 0 }), Frame.SyncFrame.make()]
      )
      deepStrictEqual(asked, ["UserStartedSpeakingFrame", "SyncFrame"])
      deepStrictEqual(show(down).map((line) => line.replace(/\(.*/, "")), [
        "StartFrame",
        "UserStartedSpeakingFrame",
        "UserStartedSpeakingFrame",
        "StartInterruptionFrame",
        "HeartbeatFrame",
        "SyncFrame",
        "SyncFrame",
        "EndFrame"
      ])
    }))

  it.effect("upstream frames pass both; a consumer may push upstream", () =>
    Effect.gen(function*() {
      const [a, up] = [text("a"), text("up")]
      const result = yield* run(chain({}, { direction: "upstream" }), [upstream(up), sleep("1 millis"), a])
      same(payload(result.down), [a])
      same(result.up, [up, a])
    }))

  it.effect("a consumer may stand before its producer, when what comes back is filtered", () =>
    Effect.gen(function*() {
      const channel = ProducerConsumer.make()
      const pipeline = Pipeline.make(
        ProducerConsumer.consumer(channel),
        Processor.sync("Grow", { TextFrame: (frame, push) => push(text(`${frame.text}.`)) }),
        ProducerConsumer.producer(channel, {
          filter: (frame) => Frame.TextFrame.is(frame) && frame.text.length < 4,
          passThrough: false
        })
      )
      const { down } = yield* run(pipeline, [text("a"), text("b"), sleep("1 millis")])
      deepStrictEqual(show(payload(down)), ["TextFrame(\"a...\")", "TextFrame(\"b...\")"])
    }))

  it.effect("in branches", () =>
    Effect.gen(function*() {
      const channel = ProducerConsumer.make()
      const branches = Pipeline.parallel(
        ProducerConsumer.producer(channel, { filter: Frame.TextFrame.is, passThrough: false }),
        Pipeline.make(
          FrameFilter.byType([Frame.AudioRawFrame]),
          ProducerConsumer.consumer(channel, { transform: upper })
        )
      )
      const { down } = yield* run(branches, [text("a"), text("b")])
      deepStrictEqual(show(payload(down)), ["TextFrame(\"A\")", "TextFrame(\"B\")"])
    }))

  it.effect("a consumer that has to wait for room makes the producer wait", () =>
    Effect.gen(function*() {
      const channel = ProducerConsumer.make()
      let taken = 0
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
      }, { capacity: 1 })
      const frames = Array.from({ length: 10 }, (_, i) => text(String(i)))
      const { down } = yield* run(
        Pipeline.make(
          ProducerConsumer.producer(channel, {
            filter: () => {
              taken++
              return true
            },
            passThrough: false
          }),
          ProducerConsumer.consumer(channel),
          slow
        ),
        [...frames, act(() => settle), act(() => Effect.sync(() => strictEqual(taken, 3))), sleep("1 second")]
      )
      same(payload(down), frames)
    }))

  class Torn extends Schema.TaggedError<Torn>()("Torn", {}) {}
  class Log extends Context.Service<Log, Array<string>>()("test/Log") {}

  it.effect("failures are those of the processor whose function it is; services are in the type", () =>
    Effect.gen(function*() {
      const tear = (frame: Frame.Frame) =>
        Effect.gen(function*() {
          ;(yield* Log).push(frame._tag)
          return yield* new Torn()
        })
      const log: Array<string> = []
      const channel = ProducerConsumer.make()
      const torn: Processor.Processor<Torn, Log> = ProducerConsumer.consumer(channel, { name: "Torn", transform: tear })
      const a = text("a")
      const { down, up } = yield* run(
        Pipeline.make(
          ProducerConsumer.producer(channel),
          torn,
          ProducerConsumer.consumer(channel, { name: "Whole" })
        ),
        [a, sleep("1 millis")]
      ).pipe(Effect.provideService(Log, log))
      same(payload(down), [a, a])
      deepStrictEqual(show(up), ["ErrorFrame(Torn: Torn)"])
      const other: Processor.Processor<Torn, Log> = ProducerConsumer.producer(ProducerConsumer.make(), {
        transform: tear
      })
      const produced = yield* run(other, [a, sleep("1 millis")]).pipe(Effect.provideService(Log, log))
      deepStrictEqual([show(payload(produced.down)), show(produced.up)], [[], ["ErrorFrame(Producer: Torn)"]])
      deepStrictEqual(log, ["TextFrame", "TextFrame"])
    }))

  it.effect("a channel joins those of one task only", () =>
    Effect.gen(function*() {
      const description = chain({ passThrough: false })
      const first = yield* PipelineTask.make(description)
      const second = yield* PipelineTask.make(description)
      yield* second.start
      const [a, b] = [text("a"), text("b")]
      yield* first.queueFrame(a)
      yield* second.queueFrame(b)
      yield* first.stopWhenDone
      yield* second.stopWhenDone
      same(payload(yield* Stream.runCollect(first.output)), [a])
      yield* second.run
      // and a task that takes over has its consumers once
      const third = yield* PipelineTask.make(description)
      yield* third.stopTask
      yield* third.run
      const fourth = yield* PipelineTask.takeOver(third)
      yield* fourth.queueFrame(a)
      yield* fourth.stopWhenDone
      same(payload(yield* Stream.runCollect(fourth.output)), [a])
    }))

  it.effect("an interruption cuts what is on its way to a consumer", () =>
    Effect.gen(function*() {
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
      })
      const [a, b, c] = [text("a"), text("b"), text("c")]
      const { down } = yield* run(Pipeline.make(chain({ passThrough: false }), slow), [
        a,
        b,
        sleep("5 millis"),
        interrupt,
        c,
        sleep("20 millis")
      ])
      same(payload(down).filter(Frame.TextFrame.is), [c])
    }))

  it.effect("nothing is left running", () =>
    Effect.gen(function*() {
      const [, alive] = yield* leaks(run(chain({}), [text("a"), act(() => settle)], { end: false }))
      strictEqual(alive, 0)
    }))
})
