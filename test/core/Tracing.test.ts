import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import { leaks, settle } from "@apipeline/core/testing"
import * as Tracing from "@apipeline/core/Tracing"
import * as VoiceFrames from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Cause, Effect, Exit, Logger, Option, Tracer } from "effect"
import { TestClock } from "effect/testing"

const text = (text = "a"): Frame.TextFrame => Frame.TextFrame.make({ text })
const user = () => VoiceFrames.UserStartedSpeakingFrame.make()
const bot = () => VoiceFrames.BotStartedSpeakingFrame.make()
const botStops = () => VoiceFrames.BotStoppedSpeakingFrame.make()

/** A tracer that keeps its spans, in the order in which they were opened. */
const memory = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const millis = (nanos: bigint) => Number(nanos) / 1e6
  const parentOf = (span: Tracer.NativeSpan) =>
    Option.match(span.parent, {
      onNone: () => "-",
      onSome: (parent) => {
        const index = spans.findIndex((other) => other.spanId === parent.spanId)
        return index < 0 ? "outside" : String(index)
      }
    })
  /** `1 turn (0) 0-20 interrupted`: index, name, index of the parent, from when to when. */
  const lines = () =>
    spans.map((span, i) => {
      const end = span.status._tag === "Ended" ? String(millis(span.status.endTime)) : ""
      const flag = span.attributes.get("turn.was_interrupted") === true ? " interrupted" : ""
      return `${i} ${span.name} (${parentOf(span)}) ${millis(span.status.startTime)}-${end}${flag}`
    })
  const attributes = (index: number) => Object.fromEntries(spans[index]!.attributes)
  return { attributes, lines, spans, tracer }
}

/** Opens a span for every text, which takes as many milliseconds as it says. */
const worker = Processor.queued("Worker", {
  TextFrame: (frame, { push }) =>
    Effect.sleep(Number(frame.text)).pipe(Effect.withSpan("work"), Effect.andThen(push(frame)))
})

const tracing = { turnTimeout: 200, conversationId: "c" }

/** Runs the script in a traced task; a number lets milliseconds pass. */
const trace = (
  script: ReadonlyArray<Frame.Frame | number>,
  options: PipelineTask.Options = { tracing },
  pipeline: Pipeline.Element<never, never> = worker,
  end: (task: PipelineTask.PipelineTask) => Effect.Effect<unknown, unknown> = (task) =>
    Effect.andThen(task.stopWhenDone, task.run)
) =>
  Effect.gen(function*() {
    const recorded = memory()
    yield* Effect.gen(function*() {
      const task = yield* PipelineTask.make(pipeline, options)
      yield* task.start
      for (const step of script) {
        if (typeof step === "number") yield* TestClock.adjust(step)
        else yield* task.queueFrame(step)
      }
      yield* settle
      yield* end(task)
    }).pipe(Effect.scoped, Effect.withTracer(recorded.tracer))
    return recorded
  })

describe("Tracing", () => {
  it.effect("conversation, turns, work: each a child of the one before", () =>
    Effect.gen(function*() {
      const { lines } = yield* trace([
        user(),
        text("10"),
        20,
        bot(),
        30,
        botStops(),
        50,
        user(),
        text("5"),
        10,
        bot(),
        5,
        botStops(),
        200,
        text("1"),
        35
      ])
      deepStrictEqual(lines(), [
        "0 conversation (-) 0-350",
        "1 turn (0) 0-100",
        "2 work (1) 0-10",
        "3 turn (0) 100-115",
        "4 work (3) 100-105",
        // Between two turns.
        "5 work (0) 315-316"
      ])
    }))

  it.effect("attributes: id, number, duration, interrupted, and extra ones", () =>
    Effect.gen(function*() {
      const { attributes, lines, spans } = yield* trace([bot(), 20, user(), 10], {
        tracing: { conversationId: "call-17", attributes: { "user.id": "ann", n: 1 } }
      })
      deepStrictEqual(lines(), ["0 conversation (-) 0-30", "1 turn (0) 0-20 interrupted", "2 turn (0) 20-30"])
      const extra = { "conversation.id": "call-17", "user.id": "ann", n: 1 }
      deepStrictEqual([0, 1, 2].map(attributes), [
        extra,
        { ...extra, "turn.number": 1, "turn.was_interrupted": true, "turn.duration_seconds": 0.02 },
        { ...extra, "turn.number": 2, "turn.was_interrupted": false, "turn.duration_seconds": 0.01 }
      ])
      for (const span of spans) assert.strictEqual(span.traceId, spans[0]!.traceId)
    }))

  it.effect("an id is generated where none is given; tasks have different ones", () =>
    Effect.gen(function*() {
      const [one, two] = yield* Effect.forEach([1, 2], () => trace([], { tracing: true }))
      const ids = [one!, two!].map(({ attributes }) => attributes(0)["conversation.id"])
      assert.strictEqual(ids[0], one!.spans[0]!.spanId)
      assert.notStrictEqual(ids[0], ids[1])
      assert.strictEqual(one!.attributes(1)["conversation.id"], ids[0])
    }))

  it.effect("a handler finds the turn that its frame belongs to, at once", () =>
    Effect.gen(function*() {
      // What a user says in the turn that is just beginning, pushed behind the frame that begins it.
      const vad = Processor.sync("Vad", {
        TextFrame: (frame, push) => {
          push(bot())
          push(user())
          push(frame)
        }
      })
      const { lines } = yield* trace([text("0"), 0, text("0"), 10], { tracing }, Pipeline.make(vad, worker))
      deepStrictEqual(lines(), [
        "0 conversation (-) 0-10",
        "1 turn (0) 0-0 interrupted",
        "2 turn (0) 0-0 interrupted",
        "3 work (2) 0-0",
        "4 turn (0) 0-10",
        "5 work (4) 0-0"
      ])
    }))

  it.effect("work that outlasts its turn stays its child", () =>
    Effect.gen(function*() {
      const { lines } = yield* trace([text("100"), 10, bot(), 10, user(), 100])
      deepStrictEqual(lines(), [
        "0 conversation (-) 0-120",
        "1 turn (0) 0-20 interrupted",
        "2 work (1) 0-100",
        "3 turn (0) 20-120"
      ])
    }))

  it.effect("hooks and handlers of system frames belong to it, and a task made in a span does", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", {
        onStart: () => Effect.withSpan(Effect.void, "start"),
        UserStartedSpeakingFrame: () => Effect.withSpan(Effect.void, "user"),
        onEnd: () => Effect.withSpan(Effect.void, "end")
      }, { frames: [VoiceFrames.UserStartedSpeakingFrame] })
      const recorded = memory()
      yield* Effect.gen(function*() {
        const task = yield* PipelineTask.make(p, { tracing })
        yield* task.start
        yield* task.queueFrame(user())
        yield* settle
        yield* task.stopWhenDone
        yield* task.run
      }).pipe(Effect.scoped, Effect.withSpan("outer"), Effect.withTracer(recorded.tracer))
      deepStrictEqual(recorded.lines(), [
        "0 outer (-) 0-0",
        "1 conversation (0) 0-0",
        "2 start (1) 0-0",
        "3 turn (1) 0-0",
        "4 user (3) 0-0",
        "5 end (3) 0-0"
      ])
    }))

  it.effect("work beside the handlers belongs to the conversation, with `withTurn` to the turn", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", {
        run: (_, context) =>
          Effect.gen(function*() {
            yield* Effect.sleep(5)
            yield* Effect.withSpan(Effect.void, "beside")
            yield* Effect.withSpan(Effect.void, "in turn").pipe(Tracing.withTurn(context))
            yield* Effect.sleep(10)
            yield* Tracing.withTurn(Effect.withSpan(Effect.void, "in the next"), context)
          })
      })
      const { lines } = yield* trace([6, bot(), user(), 10], { tracing }, p)
      deepStrictEqual(lines(), [
        "0 conversation (-) 0-16",
        "1 turn (0) 0-6 interrupted",
        "2 beside (0) 5-5",
        "3 in turn (1) 5-5",
        "4 turn (0) 6-16",
        "5 in the next (4) 15-15"
      ])
    }))

  it.effect("the current span is there during a turn and gone afterwards", () =>
    Effect.gen(function*() {
      const seen: Array<string | undefined> = []
      let context: Processor.ProcessorContext | undefined
      const look = Effect.suspend(() => Effect.map(context!.span, (span) => seen.push((span as Tracer.Span)?.name)))
      const p = Processor.effect("P", {
        onStart: (_, own) => {
          context = own
          return look
        },
        TextFrame: () => look
      })
      yield* trace([text(), 0, bot(), botStops(), 200, text(), 0, bot(), text()], { tracing }, p)
      yield* look
      deepStrictEqual(seen, ["conversation", "turn", "conversation", "turn", undefined])
    }))

  it.effect("a cancel closes the open turn as interrupted", () =>
    Effect.gen(function*() {
      const { lines, spans } = yield* trace([user(), text("100"), 10], { tracing }, worker, (task) => task.cancel())
      deepStrictEqual(lines(), ["0 conversation (-) 0-10", "1 turn (0) 0-10 interrupted", "2 work (1) 0-10"])
      assert.deepEqual(spans.map(({ status }) => status._tag === "Ended" && Exit.isSuccess(status.exit)), [
        true,
        true,
        false
      ])
    }))

  it.effect("leaving the scope closes everything", () =>
    Effect.gen(function*() {
      const { lines } = yield* trace([user(), 10], { tracing }, worker, () => Effect.void)
      deepStrictEqual(lines(), ["0 conversation (-) 0-10", "1 turn (0) 0-10 interrupted"])
    }))

  it.effect("a failed task is a failed conversation", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", { TextFrame: () => Effect.die("broken") })
      const { lines, spans } = yield* trace([text()], { tracing }, p, (task) => Effect.exit(task.run))
      deepStrictEqual(lines(), ["0 conversation (-) 0-0", "1 turn (0) 0-0 interrupted"])
      const { status } = spans[0]!
      assert.isTrue(status._tag === "Ended" && Exit.isFailure(status.exit) && Cause.hasFails(status.exit.cause))
    }))

  it.effect("a turn is closed by its timeout, with the time at which the bot stopped", () =>
    Effect.gen(function*() {
      const { lines } = yield* trace([bot(), 10, botStops(), 500])
      deepStrictEqual(lines(), ["0 conversation (-) 0-510", "1 turn (0) 0-10"])
      const open = memory()
      yield* Effect.gen(function*() {
        const task = yield* PipelineTask.make(worker, { tracing })
        yield* task.start
        for (const frame of [bot(), botStops()]) yield* task.queueFrame(frame)
        yield* TestClock.adjust(199)
        deepStrictEqual(open.lines(), ["0 conversation (-) 510-", "1 turn (0) 510-"])
        yield* TestClock.adjust(1)
        deepStrictEqual(open.lines(), ["0 conversation (-) 510-", "1 turn (0) 510-510"])
      }).pipe(Effect.scoped, Effect.withTracer(open.tracer))
    }))

  it.effect("two pipelines at once do not see each other", () =>
    Effect.gen(function*() {
      const recorded = memory()
      const { lines, tracer } = recorded
      yield* Effect.gen(function*() {
        const [a, b] = yield* Effect.forEach([1, 2], () => PipelineTask.make(worker, { tracing: true }))
        for (const task of [a!, b!]) yield* task.start
        yield* a!.queueFrame(bot())
        yield* a!.queueFrame(user())
        for (const task of [a!, b!]) yield* task.queueFrame(text("5"))
        yield* TestClock.adjust(10)
        yield* a!.cancel()
        yield* TestClock.adjust(10)
        yield* b!.stopWhenDone
        yield* b!.run
      }).pipe(Effect.scoped, Effect.withTracer(tracer))
      deepStrictEqual(lines(), [
        "0 conversation (-) 0-10",
        "1 turn (0) 0-0 interrupted",
        "2 conversation (-) 0-20",
        "3 turn (2) 0-20",
        "4 turn (0) 0-10 interrupted",
        "5 work (4) 0-5",
        "6 work (3) 0-5"
      ])
      assert.notStrictEqual(recorded.spans[0]!.traceId, recorded.spans[2]!.traceId)
    }))

  it.effect("a task that takes over is a conversation of its own", () =>
    Effect.gen(function*() {
      const { lines, tracer } = memory()
      yield* Effect.gen(function*() {
        const first = yield* PipelineTask.make(worker, { tracing })
        yield* first.stopTask
        yield* first.run
        const second = yield* PipelineTask.takeOver(first, { tracing })
        yield* second.queueFrame(text("5"))
        yield* second.start
        yield* TestClock.adjust(10)
        yield* second.stopTask
        yield* second.run
        const third = yield* PipelineTask.takeOver(second)
        yield* third.queueFrame(text("5"))
        yield* third.start
        yield* TestClock.adjust(10)
      }).pipe(Effect.scoped, Effect.withTracer(tracer))
      deepStrictEqual(lines(), [
        "0 conversation (-) 0-0",
        "1 turn (0) 0-0",
        "2 conversation (-) 0-10",
        "3 turn (2) 0-10",
        "4 work (3) 0-5",
        "5 work (-) 10-15"
      ])
    }))

  it.effect("without tracing there is no span, and `withTurn` changes nothing", () =>
    Effect.gen(function*() {
      const p = Processor.effect("P", {
        TextFrame: (_, context) => Tracing.withTurn(Effect.withSpan(Effect.void, "own"), context)
      })
      for (const options of [{}, { tracing: false }]) {
        const { lines } = yield* trace([text(), bot()], options, p)
        deepStrictEqual(lines().map((line) => line.replace(/\d+-\d+/, "")), ["0 own (-) "])
      }
    }))

  it.effect("a timeout that is none is refused by name", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(PipelineTask.make(worker, { tracing: { turnTimeout: 0 } }))
      assert.include(error.message, "tracing.turnTimeout")
    }))

  it.effect("a tracer that throws is reported, and the task goes on", () =>
    Effect.gen(function*() {
      const logs: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ message }) => {
        logs.push((message as Array<unknown>)[0])
      })
      let spans = 0
      const tracer = Tracer.make({
        span: (options) => {
          if (++spans === 2) throw new Error("no")
          return new Tracer.NativeSpan(options)
        }
      })
      const exit = yield* Effect.gen(function*() {
        const task = yield* PipelineTask.make(Processor.sync("Same", {}), { tracing: true, name: "t" })
        yield* task.start
        for (const frame of [bot(), user(), text()]) yield* task.queueFrame(frame)
        yield* settle
        yield* task.stopWhenDone
        return yield* task.run
      }).pipe(Effect.scoped, Effect.withTracer(tracer), Effect.provide(Logger.layer([logger])))
      assert.strictEqual(exit._tag, "Ended")
      deepStrictEqual(logs, ["t: the tracer failed: no more spans"])
      assert.strictEqual(spans, 2)
    }))

  it.effect("a tracer that is turned off gets no spans; nothing is left running", () =>
    Effect.gen(function*() {
      const { spans, tracer } = memory()
      const [, alive] = yield* leaks(
        Effect.scoped(Effect.gen(function*() {
          const task = yield* PipelineTask.make(worker, { tracing })
          yield* task.start
          for (const frame of [bot(), botStops(), text("0")]) yield* task.queueFrame(frame)
          yield* settle
        })).pipe(Effect.withTracer(tracer), Effect.withTracerEnabled(false))
      )
      deepStrictEqual([spans.length, alive], [0, 0])
    }))
})
