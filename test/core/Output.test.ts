import * as Frame from "@apipeline/core/Frame"
import * as Output from "@apipeline/core/Output"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as Processor from "@apipeline/core/Processor"
import * as SentenceAggregator from "@apipeline/core/SentenceAggregator"
import * as TextTransformer from "@apipeline/core/TextTransformer"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Cause, Deferred, Effect, Fiber, Queue, Schema, Sink, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual } = assert

class Broken extends Schema.TaggedError<Broken>()("Broken", { frame: Schema.String }) {}
class Note extends Frame.App<Note>()("Note", { n: Schema.Finite }) {}
class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}
class Mark extends Frame.App<Mark>()("Mark", {}, { kind: "control" }) {}

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

/** Puts frames through and ends; gives what left between `StartFrame` and `EndFrame`. */
const run = Effect.fnUntraced(function*<E, R>(pipeline: Pipeline.Element<E, R>, frames: Iterable<Frame.Frame>) {
  const task = yield* PipelineTask.make(pipeline)
  yield* task.queueFrames(frames)
  yield* task.stopWhenDone
  const out = yield* Stream.runCollect(task.output)
  strictEqual(out[0]?._tag, "StartFrame")
  strictEqual(out.at(-1)?._tag, "EndFrame")
  return out.slice(1, -1)
})

describe("toCallback", () => {
  it.effect("pipeline-py: [sentence aggregator, output]", () =>
    Effect.gen(function*() {
      const taken: Array<Frame.Frame> = []
      const output = Output.toCallback((frame) => Effect.sync(() => taken.push(frame)))
      const out = yield* run(Pipeline.make(SentenceAggregator.make(), output), texts("Hello, ", "world.", "hi"))
      deepStrictEqual(show(taken), ["Hello, world.", "hi"])
      deepStrictEqual(out, [])
    }))

  it.effect("pipeline-py: [append \" \", sentence aggregator, upper, output], character by character", () =>
    Effect.gen(function*() {
      const taken: Array<Frame.Frame> = []
      yield* run(
        Pipeline.make(
          TextTransformer.map((text) => text + " "),
          SentenceAggregator.make(),
          TextTransformer.map((text) => text.toUpperCase()),
          Output.toCallback((frame) => Effect.sync(() => taken.push(frame)))
        ),
        texts(..."Hello, world. It's me, a pipeline.")
      )
      deepStrictEqual(show(taken), ["H E L L O ,   W O R L D .", "   I T ' S   M E ,   A   P I P E L I N E .", " "])
    }))

  it.effect("takes data frames one after the other, in order, while whoever is further up goes on", () =>
    Effect.gen(function*() {
      const taken: Array<readonly [number, unknown]> = []
      let passed = 0
      const { ended, settle, task } = yield* start(Pipeline.make(
        TextTransformer.map((text) => {
          passed++
          return text
        }),
        Output.toCallback((frame) =>
          Effect.gen(function*() {
            yield* Effect.sleep("10 millis")
            taken.push([yield* Effect.clockWith((clock) => clock.currentTimeMillis), show([frame])[0]])
          })
        )
      ))
      const note = Note.make({ n: 1 })
      yield* task.queueFrames([text("a"), note, text("b")])
      yield* settle
      strictEqual(passed, 2)
      deepStrictEqual(taken, [])
      yield* task.stopWhenDone
      yield* TestClock.adjust("30 millis")
      yield* ended
      deepStrictEqual(taken, [[10, "a"], [20, note], [30, "b"]])
    }))

  it.effect("control and system frames pass, and so does what goes upstream", () =>
    Effect.gen(function*() {
      const taken: Array<Frame.Frame> = []
      const { ended, out, settle, task } = yield* start(
        Output.toCallback((frame) => Effect.sync(() => taken.push(frame)))
      )
      const upstream = yield* Effect.forkChild(Stream.runCollect(task.upstream), { startImmediately: true })
      const [mark, metrics, up] = [Mark.make(), Frame.MetricsFrame.make({ data: [] }), text("up")]
      yield* task.queueFrames([text("a"), mark])
      yield* settle
      yield* task.queueFrame(metrics)
      yield* task.queueFrame(up, "upstream")
      yield* task.stopWhenDone
      yield* ended
      assertSame(out.slice(1, -1), [mark, metrics])
      assertSame(yield* Fiber.join(upstream), [up])
      deepStrictEqual(show(taken), ["a"])
    }))

  it.effect("passThrough passes each frame when it has been taken", () =>
    Effect.gen(function*() {
      const taken: Array<Frame.Frame> = []
      const { ended, out, task } = yield* start(Output.toCallback(
        (frame) => Effect.andThen(Effect.sleep("10 millis"), Effect.sync(() => taken.push(frame))),
        { passThrough: true }
      ))
      const [a, mark, b] = [text("a"), Mark.make(), text("b")]
      yield* task.queueFrames([a, mark, b])
      yield* TestClock.adjust("9 millis")
      deepStrictEqual(show(out), ["StartFrame"])
      yield* TestClock.adjust("1 millis")
      deepStrictEqual(show(out), ["StartFrame", "a", mark])
      yield* task.stopWhenDone
      yield* TestClock.adjust("10 millis")
      yield* ended
      assertSame(out.slice(1, -1), [a, mark, b])
      assertSame(taken, [a, b])
    }))

  it.effect("a failure is reported, typed; the next frame is taken; with passThrough both pass", () =>
    Effect.gen(function*() {
      for (const passThrough of [false, true]) {
        const taken: Array<Frame.Frame> = []
        const output: Processor.Processor<Broken> = Output.toCallback(
          (frame) =>
            frame.name.length > 0 && show([frame])[0] === "a"
              ? Effect.fail(new Broken({ frame: "a" }))
              : Effect.sync(() => taken.push(frame)),
          { passThrough, name: "Speaker" }
        )
        const { ended, failures, out, task } = yield* start(output)
        const frames = texts("a", "b")
        yield* task.queueFrames(frames)
        yield* task.stopWhenDone
        yield* ended
        deepStrictEqual(failures, [new Broken({ frame: "a" })])
        deepStrictEqual(show(taken), ["b"])
        assertSame(out.slice(1, -1), passThrough ? frames : [])
      }
    }))

  it.effect("an interruption stops what is being taken and cuts what waits, except what is uninterruptible", () =>
    Effect.gen(function*() {
      for (const passThrough of [false, true]) {
        const taken: Array<string> = []
        const stopped: Array<string> = []
        const { ended, out, task } = yield* start(Output.toCallback((frame) =>
          Effect.sleep("10 millis").pipe(
            Effect.andThen(Effect.sync(() => taken.push(String(show([frame])[0])))),
            Effect.onInterrupt(() => Effect.sync(() => stopped.push(String(show([frame])[0]))))
          ), { passThrough }))
        const keep = Keep.make({ n: 1 })
        yield* task.queueFrames([...texts("a", "b", "c"), keep, text("d")])
        yield* TestClock.adjust("15 millis")
        yield* task.interrupt
        yield* task.queueFrames(texts("e"))
        yield* task.stopWhenDone
        yield* TestClock.adjust("30 millis")
        yield* ended
        deepStrictEqual(taken, ["a", String(keep), "e"])
        deepStrictEqual(stopped, ["b"])
        const [before, after] = passThrough ? [["a"], [keep, "e"]] : [[], []]
        deepStrictEqual(show(out), ["StartFrame", ...before, "StartInterruptionFrame", ...after, "EndFrame"])
      }
    }))

  it.effect("has a mailbox of the given capacity and strategy", () =>
    Effect.gen(function*() {
      const taken: Array<Frame.Frame> = []
      const { ended, settle, task } = yield* start(Output.toCallback(
        (frame) => Effect.andThen(Effect.sleep("10 millis"), Effect.sync(() => taken.push(frame))),
        { capacity: 1, strategy: "sliding" }
      ))
      yield* task.queueFrames(texts("a"))
      yield* settle
      yield* task.queueFrames(texts("b", "c", "d"))
      yield* settle
      yield* task.stopWhenDone
      yield* TestClock.adjust("30 millis")
      yield* ended
      deepStrictEqual(show(taken), ["a", "d"])
      deepStrictEqual((yield* task.drops).full, 2)
    }))
})

describe("make", () => {
  it.effect("hands each kind to its method; control passes after, system before; the end waits", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const note = (what: string) => (frame: Frame.Frame) =>
        Effect.andThen(Effect.sleep("10 millis"), Effect.sync(() => log.push(`${what} ${frame._tag}`)))
      const { ended, out, task } = yield* start(Output.make({
        data: note("data"),
        control: note("control"),
        system: note("system"),
        onEnd: note("end")
      }))
      const [mark, metrics] = [Mark.make(), Frame.MetricsFrame.make({ data: [] })]
      yield* task.queueFrames([text("a"), mark, Note.make({ n: 1 })])
      yield* TestClock.adjust("15 millis")
      yield* task.queueFrame(metrics)
      yield* TestClock.adjust("1 millis")
      assertSame(out.slice(1), [metrics])
      deepStrictEqual(log, ["data TextFrame"])
      yield* task.stopWhenDone
      yield* TestClock.adjust("15 millis")
      deepStrictEqual(log, ["data TextFrame", "control Mark", "system MetricsFrame", "data Note"])
      assertSame(out.slice(1), [metrics, mark])
      yield* TestClock.adjust("10 millis")
      yield* ended
      strictEqual(log.at(-1), "end EndFrame")
      deepStrictEqual(show(out), ["StartFrame", metrics, mark, "EndFrame"])
    }))

  it.effect("what has no method passes", () =>
    Effect.gen(function*() {
      const frames = [text("a"), Mark.make(), Note.make({ n: 1 })]
      assertSame(yield* run(Output.make({}), frames), frames)
      assertSame(yield* run(Output.make({ control: () => Effect.void }, { passThrough: true }), frames), frames)
    }))

  it.effect("a method that fails keeps no control frame", () =>
    Effect.gen(function*() {
      const { ended, failures, out, task } = yield* start(
        Output.make({ control: ({ name }) => Effect.fail(new Broken({ frame: name })) })
      )
      const mark = Mark.make()
      yield* task.queueFrame(mark)
      yield* task.stopWhenDone
      yield* ended
      assertSame(out.slice(1, -1), [mark])
      deepStrictEqual(failures, [new Broken({ frame: mark.name })])
    }))

  it.effect("onInterruption is told of what cuts", () =>
    Effect.gen(function*() {
      for (const allowInterruptions of [true, false]) {
        const told: Array<Frame.Frame> = []
        const { out, task } = yield* start(
          Output.make({ onInterruption: (frame) => Effect.sync(() => told.push(frame)) }),
          { allowInterruptions }
        )
        yield* task.interrupt
        yield* TestClock.adjust("1 millis")
        assertSame(told, allowInterruptions ? out.slice(1) : [])
        deepStrictEqual(show(out), ["StartFrame", "StartInterruptionFrame"])
      }
    }))

  it.effect("an Effect of methods runs once a task, and what it acquires is released", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const output = Output.make(Effect.gen(function*() {
        const written: Array<unknown> = []
        yield* Effect.acquireRelease(
          Effect.sync(() => log.push("open")),
          () => Effect.sync(() => log.push(`close ${written.join()}`))
        )
        return { data: (frame: Output.Data) => Effect.sync(() => written.push(...show([frame]))) }
      }))
      deepStrictEqual(yield* run(output, texts("a", "b")), [])
      deepStrictEqual(yield* run(output, texts("c")), [])
      deepStrictEqual(log, ["open", "close a,b", "open", "close c"])
    }))

  it.effect("a set-up that fails is one of the task", () =>
    Effect.gen(function*() {
      const output: Processor.Processor<Broken> = Output.make(Effect.fail(new Broken({ frame: "none" })))
      const error = yield* Effect.flip(Effect.flatMap(PipelineTask.make(output), (task) => task.run))
      strictEqual(error.reason._tag, "SetupFailed")
    }))
})

describe("toQueue", () => {
  it.effect("puts data frames in, in order; other frames pass", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Frame.Frame>()
      const [a, mark, b] = [text("a"), Mark.make(), Note.make({ n: 1 })]
      assertSame(yield* run(Output.toQueue(queue), [a, mark, b]), [mark])
      assertSame(yield* Queue.clear(queue), [a, b])
      strictEqual(queue.state._tag, "Open")
    }))

  it.effect("waits while the queue is full", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<Output.Data>(1)
      const { ended, out, settle, task } = yield* start(Output.toQueue(queue, { passThrough: true }))
      const [a, b] = texts("a", "b")
      yield* task.queueFrames([a!, b!])
      yield* task.stopWhenDone
      yield* settle
      deepStrictEqual(show(out), ["StartFrame", "a"])
      strictEqual(yield* Queue.take(queue), a)
      yield* settle
      strictEqual(yield* Queue.take(queue), b)
      yield* ended
      assertSame(out.slice(1, -1), [a, b])
    }))

  it.effect("endWhenDone ends the queue with the task; what waits can still be read", () =>
    Effect.gen(function*() {
      const frames = texts("a", "b")
      for (const how of ["end", "cancel"]) {
        const queue = yield* Queue.unbounded<Frame.Frame, Cause.Done>()
        const { ended, settle, task } = yield* start(Output.toQueue(queue, { endWhenDone: true }))
        yield* task.queueFrames(frames)
        yield* settle
        yield* how === "end" ? task.stopWhenDone : task.cancel()
        yield* ended
        assertSame(yield* Stream.runCollect(Stream.fromQueue(queue)), frames)
      }
    }))

  it("only a queue that can end is ended", () => {
    const check = (never: Queue.Queue<Frame.Frame>, done: Queue.Queue<Frame.Frame, Cause.Done | Broken>) => {
      // @ts-expect-error this queue cannot end
      Output.toQueue(never, { endWhenDone: true })
      Output.toQueue(never, { endWhenDone: false })
      Output.toQueue(done, { endWhenDone: true })
      Output.toQueue(done)
    }
    strictEqual(typeof check, "function")
  })

  it.effect("an interruption takes out what waits in the queue, except what is uninterruptible", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<Frame.Frame>(4)
      const { ended, settle, task } = yield* start(Output.toQueue(queue))
      const [keep, kept] = [Keep.make({ n: 1 }), Keep.make({ n: 2 })]
      yield* task.queueFrames([text("a"), keep, text("b"), kept, text("c"), text("d")])
      yield* settle
      strictEqual(yield* Queue.size(queue), 4)
      yield* task.interrupt
      const e = text("e")
      yield* task.queueFrame(e)
      yield* task.stopWhenDone
      yield* ended
      assertSame(yield* Queue.clear(queue), [keep, kept, e])
    }))

  it.effect("without allowInterruptions it takes nothing out", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.unbounded<Frame.Frame>()
      const { settle, task } = yield* start(Output.toQueue(queue), { allowInterruptions: false })
      const a = text("a")
      yield* task.queueFrame(a)
      yield* settle
      yield* task.interrupt
      assertSame(yield* Queue.clear(queue), [a])
    }))

  it.effect("a closed queue is a failure for each frame, and an interruption copes", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.bounded<Frame.Frame, Broken>(1)
      const output: Processor.Processor<Output.QueueClosed> = Output.toQueue(queue, { name: "Tap", passThrough: true })
      const { ended, failures, out, settle, task } = yield* start(output)
      const frames = texts("a", "b", "c")
      yield* task.queueFrames(frames)
      yield* settle
      yield* Queue.fail(queue, new Broken({ frame: "none" }))
      yield* Effect.exit(Queue.take(queue))
      yield* settle
      yield* task.interrupt
      yield* settle
      yield* Effect.exit(Queue.takeAll(queue))
      yield* Effect.exit(Queue.take(queue))
      yield* task.interrupt
      yield* task.stopWhenDone
      yield* ended
      const interruptions = ["StartInterruptionFrame", "StartInterruptionFrame"]
      // "b" waited for room when the queue failed: it still got in
      deepStrictEqual(failures, [new Output.QueueClosed({ output: "Tap", frame: frames[2]!.name })])
      strictEqual((failures[0] as Error).message, `the queue of Tap is closed: ${frames[2]!.name} was not put in`)
      deepStrictEqual(show(out), ["StartFrame", "a", "b", "c", ...interruptions, "EndFrame"])
    }))

  it.effect("what a dropping queue drops is not reported", () =>
    Effect.gen(function*() {
      const queue = yield* Queue.dropping<Frame.Frame>(1)
      const { ended, failures, task } = yield* start(Output.toQueue(queue))
      yield* task.queueFrames(texts("a", "b"))
      yield* task.stopWhenDone
      yield* ended
      deepStrictEqual(show(yield* Queue.clear(queue)), ["a"])
      deepStrictEqual(failures, [])
    }))
})

describe("toStream", () => {
  it.effect("starts with the task, gives data frames in order, and the end waits for it", () =>
    Effect.gen(function*() {
      const log: Array<unknown> = []
      const { ended, out, settle, task } = yield* start(Output.toStream((frames) =>
        Effect.gen(function*() {
          log.push("started")
          yield* Stream.runForEach(frames, (frame) => Effect.sync(() => log.push(...show([frame]))))
          yield* Effect.sleep("1 second")
          log.push("done")
        })
      ))
      yield* settle
      deepStrictEqual(log, ["started"])
      const [note, mark] = [Note.make({ n: 1 }), Mark.make()]
      yield* task.queueFrames([text("a"), mark, note])
      yield* task.stopWhenDone
      yield* settle
      deepStrictEqual(log, ["started", "a", note])
      deepStrictEqual(show(out), ["StartFrame", mark])
      yield* TestClock.adjust("1 second")
      yield* ended
      deepStrictEqual(log, ["started", "a", note, "done"])
      deepStrictEqual(show(out), ["StartFrame", mark, "EndFrame"])
    }))

  it.effect("an interruption cuts what waits, but not the stream", () =>
    Effect.gen(function*() {
      const taken: Array<unknown> = []
      let runs = 0
      const { ended, out, task } = yield* start(Output.toStream((frames) => {
        runs++
        return Stream.runForEach(
          frames,
          (frame) => Effect.andThen(Effect.sleep("10 millis"), Effect.sync(() => taken.push(...show([frame]))))
        )
      }, { passThrough: true }))
      const keep = Keep.make({ n: 1 })
      yield* task.queueFrames([...texts("a", "b", "c"), keep, text("d")])
      yield* TestClock.adjust("15 millis")
      deepStrictEqual(taken, ["a"])
      yield* task.interrupt
      yield* task.queueFrames(texts("e"))
      yield* task.stopWhenDone
      yield* TestClock.adjust("30 millis")
      yield* ended
      deepStrictEqual(taken, ["a", "b", keep, "e"])
      deepStrictEqual(show(out), ["StartFrame", "a", "b", "StartInterruptionFrame", keep, "e", "EndFrame"])
      strictEqual(runs, 1)
    }))

  it.effect("when it is done before the end, later frames are discarded, or passed on", () =>
    Effect.gen(function*() {
      for (const passThrough of [false, true]) {
        const taken: Array<Frame.Frame> = []
        const output = Output.toStream(
          (frames) => Effect.map(Stream.runCollect(Stream.take(frames, 2)), (all) => taken.push(...all)),
          { passThrough }
        )
        const frames = texts("a", "b", "c", "d")
        assertSame(yield* run(output, frames), passThrough ? frames : [])
        assertSame(taken, frames.slice(0, 2))
      }
    }))

  it.effect("a failure is reported, typed, and holds nothing up", () =>
    Effect.gen(function*() {
      const output: Processor.Processor<Broken> = Output.toStream((frames) =>
        Stream.runForEach(frames, (frame) => Effect.fail(new Broken({ frame: frame._tag })))
      )
      const { ended, failures, out, task } = yield* start(output)
      yield* task.queueFrames(texts("a", "b", "c"))
      yield* task.stopWhenDone
      yield* ended
      deepStrictEqual(failures, [new Broken({ frame: "TextFrame" })])
      deepStrictEqual(show(out), ["StartFrame", "EndFrame"])
    }))

  it.effect("a cancel stops it", () =>
    Effect.gen(function*() {
      const stopped = yield* Deferred.make<void>()
      const { settle, task } = yield* start(Output.toStream((frames) =>
        Stream.runDrain(frames).pipe(Effect.onInterrupt(() => Deferred.succeed(stopped, undefined)))
      ))
      yield* task.queueFrames(texts("a"))
      yield* settle
      yield* task.cancel()
      strictEqual(yield* Deferred.isDone(stopped), true)
    }))

  it.effect("a stopped task leaves it running for the one that takes over", () =>
    Effect.gen(function*() {
      const taken: Array<Frame.Frame> = []
      const { ended, task } = yield* start(
        Output.toStream(Stream.runForEach((frame) => Effect.sync(() => taken.push(frame))))
      )
      yield* task.queueFrames(texts("a"))
      yield* task.stopTask
      yield* ended
      const next = yield* PipelineTask.takeOver(task)
      yield* next.queueFrames(texts("b"))
      yield* next.stopWhenDone
      yield* next.run
      deepStrictEqual(show(taken), ["a", "b"])
    }))

  it.effect("100,000 frames", () =>
    Effect.gen(function*() {
      let sum = 0
      const output = Output.toStream(Stream.runForEachArray((frames) =>
        Effect.sync(() => {
          for (const frame of frames) sum += Note.is(frame) ? frame.n : 0
        })
      ))
      yield* run(output, Array.from({ length: 100_000 }, (_, n) => Note.make({ n })))
      strictEqual(sum, 4999950000)
    }))
})

describe("toSink", () => {
  it.effect("runs a sink over all data frames of a task", () =>
    Effect.gen(function*() {
      const totals: Array<number> = []
      const sink = Sink.reduce(() => 0, (sum: number, frame: Output.Data) => sum + (Note.is(frame) ? frame.n : 100))
      const output = Output.toSink(Sink.mapEffect(sink, (sum) => Effect.sync(() => totals.push(sum))))
      deepStrictEqual(yield* run(output, [Note.make({ n: 1 }), Mark.make(), Note.make({ n: 2 })].slice(0, 1)), [])
      deepStrictEqual(yield* run(output, [Note.make({ n: 1 }), text("a"), Note.make({ n: 2 })]), [])
      deepStrictEqual(totals, [1, 103])
    }))

  it.effect("a sink that fails is reported, typed", () =>
    Effect.gen(function*() {
      const output: Processor.Processor<Broken> = Output.toSink(Sink.fail(new Broken({ frame: "none" })))
      const { ended, failures, task } = yield* start(output)
      yield* task.queueFrames(texts("a"))
      yield* task.stopWhenDone
      yield* ended
      deepStrictEqual(failures, [new Broken({ frame: "none" })])
    }))
})

describe("properties", () => {
  const frames = Arbitrary.array(Arbitrary.schema(Frame.DataFrame), { maxLength: 20 })
  const capacity = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })))
  it.effect.prop(
    "every output takes and passes any frames, the same ones, in order",
    { frames, capacity },
    (_) =>
      Effect.gen(function*() {
        const { capacity, frames } = _
        const taken: Array<Frame.Frame> = []
        const queue = yield* Queue.unbounded<Frame.Frame>()
        const take = (frame: Frame.Frame) => Effect.sync(() => taken.push(frame))
        const slow = (frame: Frame.Frame) => Effect.andThen(Effect.yieldNow, take(frame))
        const options = { capacity, passThrough: true }
        const outputs: ReadonlyArray<Processor.Processor<Output.QueueClosed>> = [
          Output.toCallback(take, options),
          Output.toCallback(slow, options),
          Output.toQueue(queue, options),
          Output.toStream(Stream.runForEach(slow), options),
          Output.toSink(Sink.forEach(take), options)
        ]
        for (const output of outputs) {
          assertSame(yield* run(output, frames), frames)
          taken.push(...(yield* Queue.clear(queue)))
          assertSame(taken, frames)
          taken.length = 0
        }
      }),
    { arbitrary: { runs: 50 } }
  )
})
