import * as Frame from "@apipeline/core/Frame"
import * as Input from "@apipeline/core/Input"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Context, Effect, Fiber, Queue, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, isAtMost, strictEqual } = assert

class Broken extends Schema.TaggedError<Broken>()("Broken", { what: Schema.String }) {}
class Limit extends Context.Service<Limit, number>()("test/Limit") {}
class Note extends Frame.App<Note>()("Note", { n: Schema.Finite }) {}
class Mark extends Frame.App<Mark>()("Mark", {}, { kind: "control" }) {}
class Alarm extends Frame.App<Alarm>()("Alarm", {}, { kind: "system" }) {}

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const texts = (...all: ReadonlyArray<string>): ReadonlyArray<Frame.TextFrame> => all.map(text)

const assertSame = (found: ReadonlyArray<unknown>, expected: ReadonlyArray<unknown>): void => {
  deepStrictEqual(found.map(String), expected.map(String))
  for (const [i, one] of expected.entries()) strictEqual(found[i], one)
}

/** Texts as their text, lifecycle frames as their tag, other frames as they are. */
const show = (frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<unknown> =>
  frames.map((frame) => Frame.TextFrame.is(frame) ? frame.text : Frame.isLifecycle(frame) ? frame._tag : frame)

/** A running task, what has left it so far, and its failures. */
const start = Effect.fnUntraced(function*<E, R>(pipeline: Pipeline.Element<E, R>, options?: PipelineTask.Options) {
  const task = yield* PipelineTask.make(pipeline, options)
  const out: Array<Frame.Frame> = []
  const failures: Array<unknown> = []
  const reader = yield* Effect.forkChild(
    Stream.runForEach(task.output, (frame) => Effect.sync(() => out.push(frame))),
    { startImmediately: true }
  )
  const failing = yield* Effect.forkChild(
    Stream.runForEach(task.failures, ({ cause }) => Effect.sync(() => failures.push(Cause.squash(cause)))),
    { startImmediately: true }
  )
  yield* task.start
  const ended = Effect.andThen(Fiber.join(reader), Fiber.join(failing))
  return { task, out, failures, ended, settle: TestClock.adjust("1 millis") }
})

describe("fromStream", () => {
  it.effect("pushes what the stream emits and ends the task when asked to", () =>
    Effect.gen(function*() {
      const frames = [text("a"), Mark.make(), Note.make({ n: 1 })]
      const task = yield* PipelineTask.make(Input.fromStream(Stream.fromIterable(frames), { endWhenDone: true }))
      const out = yield* Stream.runCollect(task.output)
      deepStrictEqual([out[0]!._tag, out.at(-1)!._tag], ["StartFrame", "EndFrame"])
      assertSame(out.slice(1, -1), frames)
      strictEqual((yield* task.await)._tag, "Ended")
    }))

  it.effect("does not end the task otherwise; what comes from further up passes", () =>
    Effect.gen(function*() {
      const frames = texts("a", "b")
      const { ended, out, settle, task } = yield* start(Input.fromStream(Stream.fromIterable(frames)))
      yield* settle
      strictEqual(yield* task.phase, "Running")
      const c = text("c")
      yield* task.queueFrame(c)
      yield* task.stopWhenDone
      yield* ended
      assertSame(out.slice(1, -1), [...frames, c])
    }))

  it.effect("starts with the task, and each task runs it anew", () =>
    Effect.gen(function*() {
      let runs = 0
      const input = Input.fromStream(
        Stream.suspend(() => {
          runs++
          return Stream.fromIterable(texts("a"))
        }),
        { endWhenDone: true }
      )
      const task = yield* PipelineTask.make(input)
      yield* TestClock.adjust("1 second")
      strictEqual(runs, 0)
      yield* task.run
      yield* (yield* PipelineTask.make(input)).run
      strictEqual(runs, 2)
    }))

  it.effect("a failure is reported, typed, and ends what was to end with the stream", () =>
    Effect.gen(function*() {
      const input: Processor.Processor<Broken> = Input.fromStream(
        Stream.concat(Stream.fromIterable(texts("a")), Stream.fail(new Broken({ what: "line" }))),
        { endWhenDone: true, name: "Line" }
      )
      const { ended, failures, out } = yield* start(input)
      yield* ended
      deepStrictEqual(failures, [new Broken({ what: "line" })])
      deepStrictEqual(show(out), ["StartFrame", "a", "EndFrame"])
    }))

  it.effect("services are in the type, options those of a processor", () =>
    Effect.gen(function*() {
      const input: Processor.Processor<Broken, Limit> = Input.fromStream(
        Stream.unwrap(Effect.map(Limit, (n) =>
          Stream.concat(
            Stream.fromIterable(texts("a", "b", "c")).pipe(Stream.take(n)),
            Stream.fail(new Broken({ what: "line" }))
          ))),
        { onError: "fatal" }
      )
      const error = yield* Effect.flip(Effect.flatMap(PipelineTask.make(input), (task) => task.run))
      strictEqual(error.reason._tag, "ProcessorFailed")
    }).pipe(Effect.provideService(Limit, 2)))
})

describe("fromQueue", () => {
  it.effect("pushes what the queue gives, in order; its end ends the task when asked to", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Frame.Frame, Cause.Done>()
      const { ended, out, settle } = yield* start(Input.fromQueue(queue, { endWhenDone: true }))
      const frames = [text("a"), Note.make({ n: 1 }), Mark.make()]
      yield* Queue.offerAll(queue, frames.slice(0, 2))
      yield* settle
      assertSame(out.slice(1), frames.slice(0, 2))
      yield* Queue.offer(queue, frames[2]!)
      yield* Queue.end(queue)
      yield* ended
      assertSame(out.slice(1, -1), frames)
    }))

  it.effect("pipeline-py: an EndFrame in the queue ends the task, in order", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Frame.Frame>()
      const frames = texts("a", "b", "c")
      const slow = Processor.queued("Slow", {
        TextFrame: (frame: Frame.TextFrame, { push }: Processor.ProcessorContext) =>
          Effect.andThen(Effect.sleep("1 second"), push(frame))
      })
      const { ended, out, task } = yield* start(Pipeline.make(Input.fromQueue(queue), slow))
      const end = Frame.EndFrame.make({ reason: "hung up" })
      yield* Queue.offerAll(queue, [...frames, end])
      yield* TestClock.adjust("3 seconds")
      yield* ended
      assertSame(out.slice(1), [...frames, end])
      deepStrictEqual(yield* task.await, { _tag: "Ended", frame: end })
    }))

  it.effect("a CancelFrame cancels, a StartInterruptionFrame interrupts", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Frame.Frame>()
      const stuck = Processor.queued("Stuck", { TextFrame: () => Effect.never })
      const { ended, out, settle, task } = yield* start(Pipeline.make(Input.fromQueue(queue), stuck))
      yield* Queue.offerAll(queue, texts("a", "b"))
      yield* settle
      const note = Note.make({ n: 1 })
      yield* Queue.offerAll(queue, [Frame.StartInterruptionFrame.make(), note])
      yield* settle
      deepStrictEqual(show(out), ["StartFrame", "StartInterruptionFrame", note])
      yield* Queue.offer(queue, Frame.CancelFrame.make({ reason: "enough" }))
      yield* settle
      yield* ended
      strictEqual((yield* task.await)._tag, "Cancelled")
    }))

  it.effect("an interruption leaves what waits in the queue", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Frame.Frame>()
      const { out, settle, task } = yield* start(Input.fromQueue(queue))
      const [a, b] = texts("a", "b")
      yield* Queue.offer(queue, a!)
      yield* settle
      yield* Queue.offer(queue, b!)
      yield* task.interrupt
      yield* settle
      strictEqual(out.includes(b!), true)
    }))

  it.effect("the frames of a queue may be of some types only; its failure is reported, typed", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Frame.TextFrame, Cause.Done | Broken>()
      const input: Processor.Processor<Broken> = Input.fromQueue(queue)
      const { failures, out, settle } = yield* start(input)
      yield* Queue.offerAll(queue, texts("a"))
      yield* Queue.fail(queue, new Broken({ what: "queue" }))
      yield* settle
      deepStrictEqual(show(out), ["StartFrame", "a"])
      deepStrictEqual(failures, [new Broken({ what: "queue" })])
    }))

  it.effect("a slow pipeline takes no more than it can", () =>
    Effect.gen(function*() {
      const pulled: Array<number> = []
      const stream = Stream.range(1, 100).pipe(
        Stream.rechunk(1),
        Stream.map((n) => {
          pulled.push(n)
          return Note.make({ n })
        })
      )
      const stuck = Processor.queued("Stuck", { Note: () => Effect.never }, { frames: [Note], capacity: 4 })
      const { settle } = yield* start(Pipeline.make(Input.fromStream(stream), stuck))
      yield* settle
      // one is handled, four wait, one waits for room
      isAtMost(pulled.length, 6)
    }))
})

describe("make", () => {
  it.effect("hands system, control and data frames to a method each; a method pushes what goes on", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const note = (kind: string) => (frame: Frame.Frame, { name, push }: Processor.ProcessorContext) =>
        Effect.andThen(Effect.sync(() => log.push(`${name} ${kind} ${frame._tag}`)), push(frame))
      const input = Input.make({ system: note("system"), control: note("control"), data: note("data") })
      const { ended, out, settle, task } = yield* start(input)
      const frames = [
        text("a"),
        Mark.make(),
        Note.make({ n: 1 }),
        Frame.SyncFrame.make(),
        Alarm.make(),
        Frame.MetricsFrame.make({ data: [] })
      ]
      for (const frame of frames) {
        yield* task.queueFrame(frame)
        yield* settle
      }
      yield* task.interrupt
      yield* task.stopWhenDone
      yield* ended
      deepStrictEqual(show(out), ["StartFrame", ...show(frames), "StartInterruptionFrame", "EndFrame"])
      assertSame(out.slice(1, -2), frames)
      deepStrictEqual(log, [
        "Input data TextFrame",
        "Input control Mark",
        "Input data Note",
        "Input control SyncFrame",
        "Input system Alarm",
        "Input system MetricsFrame"
      ])
    }))

  it.effect("frames of a kind without a method pass, and so does what goes upstream", () =>
    Effect.gen(function*() {
      const { ended, out, settle, task } = yield* start(
        Input.make({ data: (frame, { push }) => Note.is(frame) ? Effect.void : push(frame) })
      )
      const upstream = yield* Effect.forkChild(Stream.runCollect(task.upstream), { startImmediately: true })
      const [a, note, mark, alarm, up] = [text("a"), Note.make({ n: 1 }), Mark.make(), Alarm.make(), text("up")]
      yield* task.queueFrames([a, note, mark])
      yield* settle
      yield* task.queueFrame(alarm)
      yield* task.queueFrame(up, "upstream")
      yield* task.stopWhenDone
      yield* ended
      assertSame(out.slice(1, -1), [a, mark, alarm])
      assertSame(yield* Fiber.join(upstream), [up])
    }))

  it.effect("treats what comes from a queue before it", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Frame.Frame, Cause.Done>()
      const upper = Input.make({
        data: (frame, { push }) => push(Frame.TextFrame.is(frame) ? text(frame.text.toUpperCase()) : frame)
      }, { name: "Upper" })
      const { ended, out } = yield* start(Pipeline.make(Input.fromQueue(queue, { endWhenDone: true }), upper))
      const note = Note.make({ n: 1 })
      yield* Queue.offerAll(queue, [text("a"), note, text("b")])
      yield* Queue.end(queue)
      yield* ended
      deepStrictEqual(show(out), ["StartFrame", "A", note, "B", "EndFrame"])
    }))

  it("has a mailbox of its own", () => {
    strictEqual(Input.make({}).options.capacity, 1024)
    strictEqual(Input.make({}, { capacity: 7 }).options.capacity, 7)
  })

  it.effect("system frames do not wait for data; an interruption cuts what waits", () =>
    Effect.gen(function*() {
      const { ended, out, settle, task } = yield* start(Input.make({
        data: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame)),
        system: (frame, { push }) => push(frame)
      }, { capacity: 1 }))
      yield* task.queueFrames(texts("a", "b"))
      yield* settle
      const alarm = Alarm.make()
      yield* task.queueFrame(alarm)
      yield* settle
      yield* task.interrupt
      yield* task.queueFrames(texts("c"))
      yield* task.stopWhenDone
      yield* TestClock.adjust("10 millis")
      yield* ended
      deepStrictEqual(show(out), ["StartFrame", alarm, "StartInterruptionFrame", "c", "EndFrame"])
    }))

  it.effect("a method that fails is reported, typed, and the next frame is handled; services are in the type", () =>
    Effect.gen(function*() {
      const input: Processor.Processor<Broken, Limit> = Input.make({
        data: (frame, { push }) =>
          Effect.flatMap(
            Limit,
            (n) => Note.is(frame) && frame.n > n ? Effect.fail(new Broken({ what: frame.name })) : push(frame)
          )
      })
      const { ended, failures, out, task } = yield* start(input)
      const [a, b, c] = [Note.make({ n: 1 }), Note.make({ n: 3 }), Note.make({ n: 2 })]
      yield* task.queueFrames([a, b, c])
      yield* task.stopWhenDone
      yield* ended
      assertSame(out.slice(1, -1), [a, c])
      deepStrictEqual(failures, [new Broken({ what: b.name })])
    }).pipe(Effect.provideService(Limit, 2)))
})
