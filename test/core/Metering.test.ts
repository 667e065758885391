import { Frame, Pipeline, PipelineMetrics, PipelineTask, Processor } from "@apipeline/core"
import { act, interrupt, leaks, run, settle, sleep } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Deferred, Effect, Fiber, Metric, Stream } from "effect"
import { TestClock } from "effect/testing"

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const on = { enableMetrics: true, enableUsageMetrics: true }

/** What was measured, in order, as data. */
const measured = (frames: ReadonlyArray<Frame.Frame>): ReadonlyArray<Frame.Metric> =>
  frames.flatMap((frame) => Frame.MetricsFrame.is(frame) ? frame.data : [])

/** An effectful processor that does what the text says, word by word: `ttfb`, `/ttfb`, `25` (milliseconds), ... */
const meter = (name = "M") =>
  Processor.queued(name, {
    TextFrame: (frame, { metrics, push }) =>
      Effect.andThen(
        Effect.forEach(frame.text.split(" "), (word) => {
          const [what, at] = word.split("@")
          const options = at === undefined ? undefined : { at: Number(at) }
          switch (what) {
            case "ttfb":
              return metrics.startTtfb(options)
            case "/ttfb":
              return metrics.stopTtfb(options)
            case "work":
              return metrics.startProcessing(options)
            case "/work":
              return metrics.stopProcessing(options)
            default:
              return Effect.sleep(Number(what))
          }
        }),
        push(frame)
      )
  })

const ttfb = (milliseconds: number, processor = "M"): Frame.Metric => ({ _tag: "Ttfb", processor, milliseconds })
const processing = (milliseconds: number, processor = "M"): Frame.Metric => ({
  _tag: "Processing",
  processor,
  milliseconds
})

describe("in-band metrics", () => {
  it.effect("time to first byte and processing time, by the task's clock", () =>
    Effect.gen(function*() {
      const { down } = yield* run(meter(), [text("ttfb work 250 /ttfb 100 /work"), sleep(400)], on)
      deepStrictEqual(measured(down), [ttfb(250), processing(350)])
    }))

  it.effect("each result is a MetricsFrame of its own, downstream, ahead of the data that follows", () =>
    Effect.gen(function*() {
      const { down, up } = yield* run(
        Pipeline.make(meter("A"), meter("B")),
        [text("ttfb 250 /ttfb"), sleep(1000)],
        on
      )
      deepStrictEqual(down.map((frame) => frame._tag), [
        "StartFrame",
        "MetricsFrame",
        "MetricsFrame",
        "TextFrame",
        "EndFrame"
      ])
      deepStrictEqual(measured(down), [ttfb(250, "A"), ttfb(250, "B")])
      deepStrictEqual(up.filter((frame) => frame._tag === "MetricsFrame"), [])
    }))

  it.effect("a stop without a start gives nothing", () =>
    Effect.gen(function*() {
      const { down } = yield* run(meter(), [text("/ttfb /work ttfb 5 /ttfb /ttfb work 5 /work /work"), sleep(50)], on)
      deepStrictEqual(measured(down), [ttfb(5), processing(5)])
    }))

  it.effect("a stop that lies before the start gives nothing and ends the measurement", () =>
    Effect.gen(function*() {
      const { down } = yield* run(meter(), [
        text("ttfb@1000 /ttfb@999 /ttfb@2000 work@1000 /work@0 /work@2000 ttfb@1000 /ttfb@NaN /ttfb@2000"),
        text("ttfb@1000 /ttfb@1250 work@1000 /work@1000")
      ], on)
      deepStrictEqual(measured(down), [ttfb(250), processing(0)])
    }))

  it.effect("a second start begins anew", () =>
    Effect.gen(function*() {
      const { down } = yield* run(meter(), [text("ttfb 100 ttfb 20 /ttfb"), sleep(200)], on)
      deepStrictEqual(measured(down), [ttfb(20)])
    }))

  it.effect("may begin in one handler and end in another", () =>
    Effect.gen(function*() {
      const { down } = yield* run(meter(), [text("ttfb"), sleep(70), text("/ttfb")], on)
      deepStrictEqual(measured(down), [ttfb(70)])
    }))

  it.effect("TTFA and TTFAT: once for each start of TTFB; TTFA only after TTFB", () =>
    Effect.gen(function*() {
      const p = Processor.sync("M", {
        TextFrame: ({ text }, { metrics }) => {
          if (text === "start") metrics.startTtfb({ model: "m" })
          else if (text === "ttfb") metrics.stopTtfb()
          else if (text === "ttfa") metrics.ttfa(80)
          else metrics.stopTtfat()
        }
      })
      const steps = [
        "ttfa",
        "ttfat",
        "start",
        "ttfa",
        "ttfb",
        "ttfa",
        "ttfa",
        "ttfat",
        "ttfat",
        "start",
        "ttfat",
        "ttfb"
      ]
      const { down } = yield* run(p, steps.flatMap((step) => [text(step), sleep(10)]), on)
      const of = { processor: "M", model: "m" }
      deepStrictEqual(measured(down), [
        { _tag: "Ttfb", ...of, milliseconds: 20 },
        { _tag: "Ttfa", ...of, milliseconds: 100, silence: 80 },
        { _tag: "Ttfat", ...of, milliseconds: 50, thinking: 30 },
        { _tag: "Ttfat", ...of, milliseconds: 10 },
        { _tag: "Ttfb", ...of, milliseconds: 20 }
      ])
    }))

  it.effect("usage of tokens and characters, with the model where there is one", () =>
    Effect.gen(function*() {
      const p = Processor.effect("M", {
        TextFrame: (_, { metrics }) =>
          metrics.tokenUsage({ promptTokens: 3, completionTokens: 4, cachedTokens: undefined }).pipe(
            Effect.andThen(metrics.tokenUsage({
              promptTokens: 3,
              completionTokens: 4,
              totalTokens: 8,
              cachedTokens: 2,
              reasoningTokens: 1,
              model: "small"
            })),
            Effect.andThen(metrics.characterUsage("naïve 👋")),
            Effect.andThen(metrics.characterUsage(12, { model: "voice" })),
            Effect.andThen(metrics.startTtfb({ model: "small" })),
            Effect.andThen(metrics.stopTtfb()),
            Effect.andThen(metrics.startProcessing({ model: "small" })),
            Effect.andThen(metrics.stopProcessing({ model: "large" }))
          )
      })
      const { down } = yield* run(p, [text("a")], on)
      deepStrictEqual(measured(down), [
        { _tag: "TokenUsage", processor: "M", promptTokens: 3, completionTokens: 4, totalTokens: 7 },
        {
          _tag: "TokenUsage",
          processor: "M",
          model: "small",
          promptTokens: 3,
          completionTokens: 4,
          totalTokens: 8,
          cachedTokens: 2,
          reasoningTokens: 1
        },
        { _tag: "CharacterUsage", processor: "M", characters: 7 },
        { _tag: "CharacterUsage", processor: "M", model: "voice", characters: 12 },
        { _tag: "Ttfb", processor: "M", model: "small", milliseconds: 0 },
        { _tag: "Processing", processor: "M", model: "large", milliseconds: 0 }
      ])
    }))

  it.effect("synchronous handlers measure as well", () =>
    Effect.gen(function*() {
      const p = Processor.sync("M", {
        TextFrame: (frame, push) => {
          if (frame.text === "start") {
            push.metrics.startTtfb()
            push.metrics.startProcessing()
          } else {
            push.metrics.stopTtfb()
            push.metrics.stopProcessing({ model: "m" })
            push.metrics.tokenUsage({ promptTokens: 1, completionTokens: 1 })
            push.metrics.characterUsage("abc")
          }
          push(frame)
        }
      })
      const { down } = yield* run(p, [text("start"), sleep(40), text("stop")], on)
      deepStrictEqual(measured(down), [
        ttfb(40),
        { _tag: "Processing", processor: "M", model: "m", milliseconds: 40 },
        { _tag: "TokenUsage", processor: "M", promptTokens: 1, completionTokens: 1, totalTokens: 2 },
        { _tag: "CharacterUsage", processor: "M", characters: 3 }
      ])
    }))

  for (
    const [options, expected] of [
      [{}, []],
      [{ enableMetrics: true }, ["Ttfb", "Processing"]],
      [{ enableUsageMetrics: true }, ["TokenUsage", "CharacterUsage"]]
    ] as const
  ) {
    it.effect(`with ${JSON.stringify(options)}: ${expected.join(", ") || "nothing"}`, () =>
      Effect.gen(function*() {
        const p = Processor.sync("M", {
          metrics: true,
          onStart: (_, push) => push.metrics.characterUsage(0),
          TextFrame: (_, { metrics }) => {
            metrics.startTtfb()
            metrics.stopTtfb()
            metrics.startProcessing()
            metrics.stopProcessing()
            metrics.tokenUsage({ promptTokens: 1, completionTokens: 1 })
          }
        })
        const { down } = yield* run(p, [text("a")], options)
        const tags = measured(down).map((metric) => metric._tag)
        const first = "enableMetrics" in options ? ["Ttfb", "Processing"] : []
        deepStrictEqual(tags.toSorted(), [...first, ...expected].toSorted())
      }))
  }

  it.effect("only the initial TTFB, and again after an interruption", () =>
    Effect.gen(function*() {
      const once = text("ttfb 10 /ttfb work 1 /work")
      const twice = [once, Frame.copy(once), sleep(50)]
      const { down } = yield* run(
        meter(),
        [...twice, interrupt, ...twice.map((f) => "_tag" in f ? Frame.copy(f) : f)],
        {
          ...on,
          reportOnlyInitialTtfb: true
        }
      )
      deepStrictEqual(measured(down), [
        ttfb(10),
        processing(1),
        processing(1),
        ttfb(10),
        processing(1),
        processing(1)
      ])
    }))

  it.effect("only the initial TTFB: one that gave nothing does not count", () =>
    Effect.gen(function*() {
      const { down } = yield* run(meter(), [text("ttfb@10 /ttfb@0 ttfb 5 ttfb 10 /ttfb ttfb 5 /ttfb"), sleep(50)], {
        ...on,
        reportOnlyInitialTtfb: true
      })
      deepStrictEqual(measured(down), [ttfb(10)])
    }))

  it.effect("an interruption ends what is being measured", () =>
    Effect.gen(function*() {
      const { down } = yield* run(
        meter(),
        [text("ttfb work 1000"), sleep(100), interrupt, text("/ttfb /work ttfb 5 /ttfb"), sleep(10)],
        on
      )
      deepStrictEqual(measured(down), [ttfb(5)])
    }))

  it.effect("what an interrupted handler stops while it unwinds is not reported", () =>
    Effect.gen(function*() {
      const p = Processor.queued("M", {
        TextFrame: (_, { metrics }) =>
          Effect.andThen(metrics.startProcessing(), Effect.sleep(1000)).pipe(Effect.ensuring(metrics.stopProcessing()))
      })
      const { down } = yield* run(p, [text("a"), sleep(100), interrupt, text("b"), sleep(1000)], on)
      deepStrictEqual(measured(down), [processing(1000)])
    }))

  it.effect("what an uninterruptible frame measures counts", () =>
    Effect.gen(function*() {
      class Keep extends Frame.App<Keep>()("Keep", {}, { uninterruptible: true }) {}
      const p = Processor.queued("M", {
        Keep: (_, { metrics }) =>
          metrics.startProcessing().pipe(Effect.andThen(Effect.sleep(100)), Effect.andThen(metrics.stopProcessing()))
      }, { frames: [Keep] })
      const barge = act((task) => Effect.forkChild(task.interrupt, { startImmediately: true }))
      const { down } = yield* run(p, [Keep.make(), sleep(50), barge, sleep(100)], on)
      deepStrictEqual(measured(down), [processing(100)])
    }))

  it.effect("an interruption that cuts nothing ends nothing", () =>
    Effect.gen(function*() {
      const { down } = yield* run(meter(), [text("ttfb 100 /ttfb"), sleep(50), interrupt, sleep(50)], {
        ...on,
        allowInterruptions: false
      })
      deepStrictEqual(measured(down), [ttfb(100)])
    }))

  it.effect("onInterruption may begin to measure", () =>
    Effect.gen(function*() {
      const p = Processor.effect("M", {
        onInterruption: (_, { metrics }) => metrics.startTtfb(),
        TextFrame: (_, { metrics }) => metrics.stopTtfb()
      })
      const { down } = yield* run(p, [interrupt, sleep(30), text("a")], on)
      deepStrictEqual(measured(down), [ttfb(30)])
    }))

  it.effect("after the end nothing is reported", () =>
    Effect.gen(function*() {
      const late = yield* Deferred.make<void>()
      const p = Processor.effect("M", {
        onEnd: (_, { metrics }) =>
          Effect.forkDetach(
            Effect.andThen(Deferred.await(late), Effect.andThen(metrics.startTtfb(), metrics.stopTtfb())),
            {
              startImmediately: true
            }
          ).pipe(Effect.andThen(metrics.characterUsage(1)))
      })
      const ends = Processor.sync("Ends", { onEnd: () => Effect.runSync(Deferred.succeed(late, undefined)) })
      const { down } = yield* run(Pipeline.make(p, ends), [], on)
      deepStrictEqual(measured(down), [{ _tag: "CharacterUsage", processor: "M", characters: 1 }])
      assert.strictEqual(down.at(-1)!._tag, "EndFrame")
    }))

  it.effect("each task measures for itself, and each of two directions of a processor with the other", () =>
    Effect.gen(function*() {
      const p = Processor.effect("M", {
        TextFrame: (_, { metrics }) => metrics.startTtfb(),
        upstream: { TextFrame: (_, { metrics }) => metrics.stopTtfb() }
      })
      const tasks = yield* Effect.forEach([1, 2], () => PipelineTask.make(p, on))
      const outputs = yield* Effect.forEach(
        tasks,
        (task) => Effect.forkScoped(Stream.runCollect(task.output), { startImmediately: true })
      )
      yield* tasks[0]!.queueFrame(text("start"))
      yield* TestClock.adjust(20)
      yield* tasks[1]!.queueFrame(text("start"))
      yield* TestClock.adjust(20)
      for (const task of tasks) {
        yield* task.queueFrame(text("stop"), "upstream")
        yield* settle
        yield* task.stopWhenDone
      }
      const frames = yield* Effect.forEach(outputs, Fiber.join)
      deepStrictEqual(frames.map(measured), [[ttfb(40)], [ttfb(20)]])
    }))

  it.effect("a task that takes over decides anew, and forgets what was being measured", () =>
    Effect.gen(function*() {
      const first = yield* PipelineTask.make(meter(), { ...on, reportOnlyInitialTtfb: true })
      const one = yield* Effect.forkScoped(Stream.runCollect(first.output), { startImmediately: true })
      yield* first.queueFrame(text("ttfb /ttfb work"))
      yield* first.stopTask
      deepStrictEqual(measured(yield* Fiber.join(one)), [ttfb(0)])
      const second = yield* PipelineTask.takeOver(first, { ...on, reportOnlyInitialTtfb: true })
      const two = yield* Effect.forkScoped(Stream.runCollect(second.output), { startImmediately: true })
      yield* second.queueFrame(text("/work ttfb /ttfb"))
      yield* second.stopTask
      deepStrictEqual(measured(yield* Fiber.join(two)), [ttfb(0)])
      const third = yield* PipelineTask.takeOver(second)
      const three = yield* Effect.forkScoped(Stream.runCollect(third.output), { startImmediately: true })
      yield* third.queueFrame(text("ttfb /ttfb"))
      yield* third.stopWhenDone
      deepStrictEqual(measured(yield* Fiber.join(three)), [])
    }))
})

describe("the first MetricsFrame", () => {
  const measuring = (name: string) =>
    Processor.sync(name, { metrics: true, onStart: (_, push) => push(Frame.ErrorFrame.make({ error: name })) })

  it.effect("follows StartFrame, before anything else, with a zero for every processor that measures", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(
        Pipeline.make(measuring("A"), Processor.sync("Same", {}), measuring("B")),
        { enableMetrics: true }
      )
      yield* task.queueFrame(Frame.ErrorFrame.make({ error: "queued before the start" }))
      yield* task.stopWhenDone
      const frames = yield* Stream.runCollect(task.output)
      deepStrictEqual(frames.map((frame) => frame._tag), [
        "StartFrame",
        "MetricsFrame",
        "ErrorFrame",
        "ErrorFrame",
        "ErrorFrame",
        "EndFrame"
      ])
      deepStrictEqual((frames[1] as Frame.MetricsFrame).data, [
        ttfb(0, "A"),
        processing(0, "A"),
        ttfb(0, "B"),
        processing(0, "B")
      ])
    }))

  for (
    const [why, pipeline, options] of [
      ["metrics are off", measuring("A"), { enableUsageMetrics: true }],
      ["no processor measures", meter(), { enableMetrics: true }]
    ] as const
  ) {
    it.effect(`is not there when ${why}`, () =>
      Effect.gen(function*() {
        const { down } = yield* run(pipeline, [], options)
        deepStrictEqual(measured(down), [])
      }))
  }
})

describe("Effect metrics", () => {
  it.effect("TTFB as a histogram and in the snapshot", () =>
    Effect.gen(function*() {
      const registry = new Map()
      yield* Effect.gen(function*() {
        const task = yield* PipelineTask.make(meter(), { ...on, name: "t" })
        yield* task.start
        yield* task.queueFrames([text("ttfb 3 /ttfb"), text("ttfb 100 /ttfb")])
        yield* TestClock.adjust(200)
        const state = yield* Metric.value(Metric.withAttributes(PipelineMetrics.ttfb, { task: "t", processor: "M" }))
        deepStrictEqual([state.count, state.min, state.max, state.sum], [2, 3, 100, 103])
        deepStrictEqual(state.buckets.filter(([, n], i) => n > (state.buckets[i - 1]?.[1] ?? 0)), [[4, 1], [128, 2]])
        const [row] = yield* task.metrics
        deepStrictEqual([row!.ttfbs, row!.ttfbMillis], [2, 103])
      }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, registry))
    }))

  it.effect("what waits in a mailbox now, and at most", () =>
    Effect.gen(function*() {
      yield* Effect.gen(function*() {
        const p = Processor.queued("P", { TextFrame: () => Effect.sleep(10) })
        const task = yield* PipelineTask.make(p, { ...on, name: "t" })
        const gauges = Effect.forEach([PipelineMetrics.queueDepth, PipelineMetrics.queueHighWater], (gauge) =>
          Effect.map(Metric.value(Metric.withAttributes(gauge, { task: "t", processor: "P" })), (state) =>
            state.value))
        yield* task.start
        yield* task.queueFrames(Array.from({ length: 5 }, () =>
          text("a")))
        yield* settle
        deepStrictEqual(yield* gauges, [4, 5])
        yield* TestClock.adjust(20)
        deepStrictEqual(yield* gauges, [2, 5])
        const [row] = yield* task.metrics
        deepStrictEqual([row!.queueDepth, row!.queueHighWater], [2, 5])
        yield* TestClock.adjust(100)
        deepStrictEqual(yield* gauges, [0, 5])
      }).pipe(Effect.scoped, Effect.provideService(Metric.MetricRegistry, new Map()))
    }))

  it.effect("nothing is left in the registry of a task without metrics", () =>
    Effect.gen(function*() {
      const registry = new Map()
      yield* leaks(run(meter(), [text("ttfb 3 /ttfb"), sleep(5)])).pipe(
        Effect.provideService(Metric.MetricRegistry, registry)
      )
      deepStrictEqual([...registry.keys()].filter((key) => String(key).includes("apipeline")), [])
    }))
})

describe("cost", () => {
  /** Nanoseconds per hop through 50 synchronous processors, the best of several rounds. */
  const perHop = (handler: (frame: Frame.TextFrame, push: Processor.Push) => void, options: PipelineTask.Options) =>
    Effect.scoped(Effect.gen(function*() {
      const hops = 50
      const frames = 400
      const all = Array.from({ length: hops }, (_, i) => Processor.sync(`P${i}`, { TextFrame: handler }))
      const task = yield* PipelineTask.make(Pipeline.make(...all as [Processor.Processor]), options)
      yield* task.start
      let best = Infinity
      for (let round = 0; round < 30; round++) {
        const batch = Array.from({ length: frames }, () => text("a"))
        yield* task.queueFrames(batch)
        const before = performance.now()
        // The intake is walked in one microtask.
        yield* Effect.yieldNow
        best = Math.min(best, (performance.now() - before) * 1e6 / frames / hops)
      }
      return best
    }))

  it.effect("measuring where metrics are off is a few comparisons", () =>
    Effect.gen(function*() {
      const plain = (frame: Frame.TextFrame, push: Processor.Push) => push(frame)
      const measuring = (frame: Frame.TextFrame, push: Processor.Push) => {
        push.metrics.startTtfb()
        push.metrics.stopTtfb()
        push(frame)
      }
      const off = yield* perHop(plain, {})
      const called = yield* perHop(measuring, {})
      const counted = yield* perHop(plain, on)
      assert.isBelow(called, off + 100, `off ${off}, calls of metrics that are off ${called} ns per hop`)
      assert.isBelow(off, counted, `off ${off}, on ${counted} ns per hop`)
    }))
})
