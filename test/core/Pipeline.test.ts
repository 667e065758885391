import { Frame, Pipeline, PipelineError, PipelineTask, Processor } from "@apipeline/core"
import { interrupt, leaks, payload, run, settle, show, sleep, upstream } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Cause, Context, Data, Effect, Exit, Fiber, Graph, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const texts = (...all: ReadonlyArray<string>): Array<string> => all.map((t) => `TextFrame("${t}")`)
class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}
class Boom extends Data.TaggedError("Boom")<{ readonly why: string }> {}

const same = (name = "Same") => Processor.sync(name, {})
const add = (suffix: string) =>
  Processor.sync(`Add${suffix}`, { TextFrame: (frame, push) => push(text(frame.text + suffix)) })

/** Passes texts on after a millisecond, from a fiber of its own. */
const hop = (name: string, options?: Processor.Options) =>
  Processor.queued(
    name,
    { TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 millis"), push(frame)) },
    options
  )

describe("make", () => {
  it.effect("one processor", () =>
    Effect.gen(function*() {
      const frame = text("a")
      const { down, up } = yield* run(Pipeline.make(same()), [frame])
      deepStrictEqual(show(down), ["StartFrame", ...texts("a"), "EndFrame"])
      assert.strictEqual(down[1], frame)
      deepStrictEqual(up, [])
    }))

  it.effect("several in series: each frame once, in the order of the processors", () =>
    Effect.gen(function*() {
      const frame = text("a")
      const three = yield* run(Pipeline.make(same(), same(), same()), [frame])
      deepStrictEqual(payload(three.down), [frame])
      const added = yield* run(Pipeline.make(add("1"), add("2"), add("3")), [text("a"), text("b")])
      deepStrictEqual(show(payload(added.down)), texts("a123", "b123"))
    }))

  it.effect("pipelines in pipelines are one pipeline; the same names are told apart", () =>
    Effect.gen(function*() {
      const inner = Pipeline.make(add("2"), Pipeline.make(add("3"), same()))
      const pipeline = Pipeline.make(add("1"), inner, same(), same(), add("4"))
      const { down } = yield* run(pipeline, [text("a")])
      deepStrictEqual(show(payload(down)), texts("a1234"))
      const task = yield* PipelineTask.make(pipeline)
      deepStrictEqual((yield* task.processors).map((p) => p.name), [
        "Add1",
        "Add2",
        "Add3",
        "Same",
        "Same-2",
        "Same-3",
        "Add4"
      ])
    }))

  it("isPipeline and isProcessor tell them apart", () => {
    for (
      const [value, pipeline, processor] of [
        [Pipeline.make(same()), true, false],
        [same(), false, true],
        [{}, false, false],
        [null, false, false],
        ["x", false, false]
      ] as const
    ) {
      assert.strictEqual(Pipeline.isPipeline(value), pipeline)
      assert.strictEqual(Processor.isProcessor(value), processor)
    }
  })

  it("descriptions may be piped", () => {
    assert.strictEqual(Pipeline.make(same()).pipe(Pipeline.isPipeline), true)
    assert.strictEqual(same("Piped").pipe((p) => p.name), "Piped")
  })

  it.effect("the same value serves several tasks at once, each with its own state and scope", () =>
    Effect.gen(function*() {
      let alive = 0
      const count = Processor.queued(
        "Count",
        Effect.gen(function*() {
          yield* Effect.acquireRelease(Effect.sync(() => alive++), () => Effect.sync(() => alive--))
          let n = 0
          return {
            TextFrame: (frame: Frame.TextFrame, { push }: Processor.ProcessorContext) =>
              Effect.andThen(Effect.sleep("1 millis"), push(text(`${frame.text}${++n}`)))
          }
        })
      )
      const pipeline = Pipeline.make(same(), count)
      const tasks = yield* Effect.forEach(["a", "b", "c"], (name) => PipelineTask.make(pipeline, { name }))
      const outputs = yield* Effect.forEach(
        tasks,
        (task) => Effect.forkScoped(Stream.runCollect(task.output), { startImmediately: true })
      )
      yield* Effect.forEach(tasks, (task) => task.queueFrames([text(task.name), text(task.name)]))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(alive, 3)
      yield* tasks[1]!.cancel()
      assert.strictEqual(alive, 2)
      yield* TestClock.adjust("1 millis")
      yield* tasks[0]!.stopWhenDone
      yield* tasks[2]!.stopWhenDone
      const frames = yield* Effect.forEach(outputs, (fiber) => Fiber.join(fiber))
      deepStrictEqual(frames.map(show), [
        ["StartFrame", ...texts("a1", "a2"), "EndFrame"],
        ["StartFrame", ...texts("b1"), "CancelFrame"],
        ["StartFrame", ...texts("c1", "c2"), "EndFrame"]
      ])
      assert.strictEqual(alive, 0)
    }))
})

describe("services", () => {
  class Translator
    extends Context.Service<Translator, { readonly translate: (text: string) => Effect.Effect<string, Boom> }>()(
      "test/Translator"
    )
  {
    static readonly layer = (prefix: string) =>
      Layer.succeed(Translator, {
        translate: (text) =>
          text === "bad" ? Effect.fail(new Boom({ why: prefix })) : Effect.succeed(`${prefix}:${text}`)
      })
  }
  let built = 0
  let setups = 0
  class Translate extends Processor.Service<Translate>()("test/Translate", {
    make: Effect.gen(function*() {
      built++
      const { translate } = yield* Translator
      return Processor.queued(Effect.sync(() => {
        setups++
        let n = 0
        return {
          TextFrame: (frame: Frame.TextFrame, { push }: Processor.ProcessorContext) =>
            Effect.flatMap(translate(frame.text), (translated) => push(text(`${++n} ${translated}`)))
        }
      }))
    })
  }) {}
  /** Its handlers name the service themselves. */
  class Late extends Processor.Service<Late>()("test/Late", {
    make: Effect.succeed(Processor.effect({
      TextFrame: (frame, { push }) =>
        Effect.flatMap(Translator, ({ translate }) => Effect.flatMap(translate(frame.text), (t) => push(text(t))))
    }))
  }) {}
  class Bot extends Pipeline.Service<Bot>()("test/Bot", Pipeline.make(add("!"), Translate, same())) {}
  class Nested extends Pipeline.Service<Nested>()("test/Nested", Pipeline.make(Bot, add("?"))) {}

  it.effect("a processor's class stands for it; its layer is built once, its state is per task", () =>
    Effect.gen(function*() {
      built = setups = 0
      const results = yield* Effect.all([
        run(Translate, [text("a"), text("b")]),
        run(Pipeline.make(Translate), [text("c")])
      ]).pipe(
        Effect.provide(Translate.layer.pipe(Layer.provide(Translator.layer("fr"))))
      )
      deepStrictEqual(results.map(({ down }) => show(payload(down))), [texts("1 fr:a", "2 fr:b"), texts("1 fr:c")])
      deepStrictEqual([built, setups], [1, 2])
    }))

  it.effect("a pipeline's class stands for it, nested ones too; several tasks at once", () =>
    Effect.gen(function*() {
      const layer = Nested.layer.pipe(
        Layer.provide(Bot.layer),
        Layer.provide(Translate.layer),
        Layer.provide(Translator.layer("fr"))
      )
      const [one, two] = yield* Effect.all(
        [run(Nested, [text("a")]), run(Pipeline.make(Nested, same()), [text("b")])],
        {
          concurrency: "unbounded"
        }
      ).pipe(Effect.provide(layer))
      deepStrictEqual([show(payload(one.down)), show(payload(two.down))], [texts("1 fr:a!?"), texts("1 fr:b!?")])
    }))

  it.effect("the layer's services reach the handlers, not those around the task; names are the classes'", () =>
    Effect.gen(function*() {
      const layer = Late.layer.pipe(Layer.provide(Translator.layer("of the layer")))
      const task = yield* PipelineTask.make(Late).pipe(
        Effect.provide(layer),
        Effect.provide(Translator.layer("around"))
      )
      deepStrictEqual(yield* task.processors, [{ name: "test/Late", usable: true }])
      yield* task.queueFrame(text("a"))
      yield* task.stopWhenDone
      deepStrictEqual(show(payload(yield* Stream.runCollect(task.output))), texts("of the layer:a"))
    }))

  it.effect("typed failures of a service's handlers are told as any others", () =>
    Effect.gen(function*() {
      const { down, failures, up } = yield* run(Bot, [text("bad"), text("ba")]).pipe(
        Effect.provide(Bot.layer.pipe(Layer.provide(Translate.layer), Layer.provide(Translator.layer("fr"))))
      )
      deepStrictEqual(show(payload(down)), texts("1 fr:bad!", "2 fr:ba!"))
      deepStrictEqual([failures, up], [[], []])
      const failing = yield* run(Late, [text("bad"), text("ok")]).pipe(
        Effect.provide(Late.layer.pipe(Layer.provide(Translator.layer("fr"))))
      )
      deepStrictEqual(show(failing.up), ["ErrorFrame(test/Late: Boom)"])
      deepStrictEqual(failing.failures.map((f) => [f.processor, Cause.squash(f.cause)]), [[
        "test/Late",
        new Boom({ why: "fr" })
      ]])
      deepStrictEqual(show(payload(failing.down)), texts("fr:ok"))
    }))

  it.effect("two implementations of one service in one pipeline are refused", () =>
    Effect.gen(function*() {
      class Other extends Processor.Service<Other>()("test/Other", {
        make: Effect.succeed(Processor.effect({
          TextFrame: (frame, { push }) => Effect.andThen(Translator, push(frame))
        }))
      }) {}
      const exit = yield* Effect.exit(Effect.scoped(
        PipelineTask.make(Pipeline.make(Late, Other)).pipe(
          Effect.provide(Late.layer.pipe(Layer.provide(Translator.layer("one")))),
          Effect.provide(Other.layer.pipe(Layer.provide(Translator.layer("two"))))
        )
      ))
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(error, PipelineError.PipelineError)
      deepStrictEqual(
        error.reason,
        new PipelineError.InvalidPipeline({
          field: "processors[1] (test/Other).services",
          found: "two implementations of test/Translator",
          expected: "one implementation for the whole pipeline"
        })
      )
    }))

  it.effect("one service class twice in one pipeline is refused", () =>
    Effect.gen(function*() {
      const exit = yield* Effect.exit(run(Pipeline.make(Late, Late), [])).pipe(
        Effect.provide(Late.layer.pipe(Layer.provide(Translator.layer("fr"))))
      )
      const error = Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined
      assert.instanceOf(error, PipelineError.PipelineError)
      assert.strictEqual(
        (error.reason as PipelineError.InvalidPipeline).expected,
        "a processor that is not in this pipeline yet"
      )
    }))
})

describe("graph", () => {
  class Inner extends Processor.Service<Inner>()("test/Inner", { make: Effect.succeed(same()) }) {}
  const pipeline = Pipeline.make(same("A"), Pipeline.make(Processor.queued("B", {}), Inner), Processor.effect("C", {}))

  it("is the topology as data", () => {
    const graph = Pipeline.graph(pipeline)
    deepStrictEqual([...Graph.values(Graph.nodes(graph))], [
      { name: "task", kind: "source", queued: true },
      { name: "A", kind: "sync", queued: false },
      { name: "B", kind: "effect", queued: true },
      { name: "test/Inner", kind: "service", queued: false },
      { name: "C", kind: "effect", queued: false },
      { name: "output", kind: "sink", queued: true }
    ])
    deepStrictEqual([...Graph.values(Graph.edges(graph))].map((e) => [e.source, e.target, e.data]), [
      [0, 1, "call"],
      [1, 2, "queue"],
      [2, 3, "call"],
      [3, 4, "call"],
      [4, 5, "queue"]
    ])
    assert.isTrue(Graph.isAcyclic(graph))
    deepStrictEqual([...Graph.values(Graph.nodes(Pipeline.graph(same("Alone"))))].map((n) => n.name), [
      "task",
      "Alone",
      "output"
    ])
  })

  it("prints as Mermaid and DOT", () => {
    deepStrictEqual(Pipeline.toMermaid(pipeline).split("\n"), [
      "flowchart TD",
      "  0[\"task\"]",
      "  1[\"A\"]",
      "  2[\"B\"]",
      "  3[\"test/Inner\"]",
      "  4[\"C\"]",
      "  5[\"output\"]",
      "  0 -->|\"call\"| 1",
      "  1 -->|\"queue\"| 2",
      "  2 -->|\"call\"| 3",
      "  3 -->|\"call\"| 4",
      "  4 -->|\"queue\"| 5"
    ])
    deepStrictEqual(Pipeline.toGraphViz(pipeline).split("\n"), [
      "digraph \"G\" {",
      "  \"0\" [label=\"task\"];",
      "  \"1\" [label=\"A\"];",
      "  \"2\" [label=\"B\"];",
      "  \"3\" [label=\"test/Inner\"];",
      "  \"4\" [label=\"C\"];",
      "  \"5\" [label=\"output\"];",
      "  \"0\" -> \"1\" [label=\"call\"];",
      "  \"1\" -> \"2\" [label=\"queue\"];",
      "  \"2\" -> \"3\" [label=\"call\"];",
      "  \"3\" -> \"4\" [label=\"call\"];",
      "  \"4\" -> \"5\" [label=\"queue\"];",
      "}"
    ])
  })
})

describe("what no processor can break", () => {
  it.effect("lifecycle frames cannot be swallowed, and are never given to handlers by kind", () =>
    Effect.gen(function*() {
      const given: Array<string> = []
      const swallow = (frame: Frame.Frame) => {
        given.push(frame._tag)
      }
      const told: Array<string> = []
      const tell = (frame: Frame.Frame) => {
        told.push(frame._tag)
      }
      const all = { data: swallow, control: swallow, system: swallow }
      const p = Processor.sync("P", {
        ...all,
        upstream: all,
        StartFrame: tell,
        EndFrame: tell,
        StartInterruptionFrame: tell,
        StopInterruptionFrame: tell
      })
      const { down, up } = yield* run(Pipeline.make(same(), p, same()), [
        text("a"),
        upstream(text("b")),
        Urgent.make({ n: 1 }),
        Frame.SyncFrame.make({}),
        sleep("1 millis"),
        interrupt,
        Frame.StopInterruptionFrame.make({})
      ])
      const lifecycle = ["StartFrame", "StartInterruptionFrame", "StopInterruptionFrame", "EndFrame"]
      deepStrictEqual(show(down), lifecycle)
      deepStrictEqual(told, lifecycle)
      deepStrictEqual(up, [])
      deepStrictEqual(given.toSorted(), ["SyncFrame", "TextFrame", "TextFrame", "Urgent"])
    }))

  it.effect("they cannot be duplicated: one that a handler pushes on is carried once", () =>
    Effect.gen(function*() {
      const push = (frame: Frame.Frame, push: Processor.Push) => push(frame)
      const eager = (name: string) =>
        Processor.sync(name, {
          StartFrame: push,
          EndFrame: push,
          StartInterruptionFrame: push,
          onStart: push,
          onEnd: push,
          onInterruption: push
        })
      const { down } = yield* run(Pipeline.make(eager("A"), Processor.concurrent(eager("B")), eager("C")), [
        text("a"),
        sleep("1 millis"),
        interrupt
      ])
      deepStrictEqual(show(down), ["StartFrame", ...texts("a"), "StartInterruptionFrame", "EndFrame"])
    }))

  it.effect("several ends asked for at once are one", () =>
    Effect.gen(function*() {
      const p = Processor.sync("P", {
        TextFrame: (_, push) => {
          push(Frame.EndFrame.make({ reason: "first" }))
          push.upstream(Frame.EndFrame.make({ reason: "second" }))
        }
      })
      const task = yield* PipelineTask.make(Pipeline.make(same(), p))
      yield* task.queueFrame(text("a"))
      const frames = yield* Stream.runCollect(task.output)
      deepStrictEqual(show(frames), ["StartFrame", "EndFrame"])
      assert.strictEqual((frames[1] as Frame.EndFrame).reason, "first")
    }))

  it.effect("a frame that comes by again with the same id is no duplicate", () =>
    Effect.gen(function*() {
      const frame = text("again")
      const { down } = yield* run(Pipeline.make(hop("A"), same()), [frame, frame, sleep("5 millis"), frame])
      deepStrictEqual(payload(down), [frame, frame, frame])
    }))
})

describe("size", () => {
  for (const kind of ["sync", "effect"] as const) {
    it.effect(`2,000 inline ${kind} processors in a row, both ways`, () =>
      Effect.gen(function*() {
        let calls = 0
        const one = kind === "sync"
          ? () =>
            Processor.sync("P", {
              TextFrame: (frame, push) => {
                calls++
                push(frame)
              },
              upstream: { TextFrame: (frame, push) => push(frame) }
            })
          : () =>
            Processor.effect("P", {
              TextFrame: (frame, { push }) => {
                calls++
                return push(frame)
              },
              upstream: { TextFrame: (frame, { push }) => push(frame) }
            })
        const [first, ...rest] = Array.from({ length: 2000 }, one)
        const frames = Array.from({ length: 20 }, (_, i) => text(String(i)))
        const pipeline = Pipeline.make(first!, ...rest)
        const [{ down, up }, alive] = yield* leaks(run(pipeline, [...frames, ...frames.map(upstream)]))
        deepStrictEqual(payload(down), frames)
        deepStrictEqual(payload(up), frames)
        assert.strictEqual(calls, 40_000)
        const interrupted = yield* run(pipeline, [interrupt, text("new")])
        deepStrictEqual(show(interrupted.down), ["StartFrame", "StartInterruptionFrame", ...texts("new"), "EndFrame"])
        assert.strictEqual(alive, 0)
      }), 60_000)
  }

  it.effect("2,000 processors that handle nothing", () =>
    Effect.gen(function*() {
      const [first, ...rest] = Array.from({ length: 2000 }, () => same())
      const frame = text("a")
      const { down, up } = yield* run(Pipeline.make(first!, ...rest), [frame, upstream(frame)])
      deepStrictEqual([payload(down), up], [[frame], [frame]])
    }))

  const exchange = {
    inline: Pipeline.make(
      Processor.sync("A", { upstream: { TextFrame: (frame, push) => push.downstream(text(frame.text)) } }),
      Processor.sync("B", { TextFrame: (frame, push) => push.upstream(text(frame.text)) })
    ),
    "inline effect": Pipeline.make(
      Processor.effect("A", {
        upstream: { TextFrame: (frame, { pushDownstream }) => pushDownstream(text(frame.text)) }
      }),
      Processor.effect("B", { TextFrame: (frame, { pushUpstream }) => pushUpstream(text(frame.text)) })
    ),
    queued: Pipeline.make(
      Processor.queued("A", {
        upstream: { TextFrame: (frame, { pushDownstream }) => pushDownstream(text(frame.text)) }
      }),
      Processor.queued("B", { TextFrame: (frame, { pushUpstream }) => pushUpstream(text(frame.text)) }, { capacity: 1 })
    )
  }
  for (const [kind, pipeline] of Object.entries(exchange)) {
    it.effect(`an endless exchange (${kind}) yields: others make progress, a cancel works`, () =>
      Effect.gen(function*() {
        let rounds = 0
        const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
          const count = Processor.sync("Count", {
            TextFrame: (frame, push) => {
              rounds++
              push(frame)
            }
          })
          const [a, b] = pipeline.elements
          const task = yield* PipelineTask.make(Pipeline.make(a!, count, b!))
          yield* task.start
          yield* task.queueFrame(text("ping"))
          const other = yield* PipelineTask.make(Pipeline.make(hop("Hop"), same()))
          const output = yield* Stream.runCollect(other.output).pipe(Effect.forkScoped({ startImmediately: true }))
          yield* other.queueFrames([text("a"), text("b")])
          yield* TestClock.adjust("1 millis")
          yield* TestClock.adjust("1 millis")
          yield* other.stopWhenDone
          deepStrictEqual(show(yield* Fiber.join(output)), ["StartFrame", ...texts("a", "b"), "EndFrame"])
          const before = rounds
          assert.isAbove(before, 10)
          yield* settle
          assert.isAbove(rounds, before)
          assert.strictEqual(yield* task.phase, "Running")
          // An interruption takes the frame out: silence.
          yield* task.interrupt
          const silent = rounds
          yield* settle
          assert.strictEqual(rounds, silent)
          yield* task.queueFrame(text("pong"))
          yield* settle
          assert.isAbove(rounds, silent)
          yield* task.cancel()
          const cancelled = rounds
          yield* settle
          assert.strictEqual(rounds, cancelled)
        })))
        assert.strictEqual(alive, 0)
      }))
  }

  it.effect("1,000 frames through queued processors of every capacity, both ways: all arrive, in order", () =>
    Effect.gen(function*() {
      const down = Array.from({ length: 1000 }, (_, i) => text(`down ${i}`))
      const up = Array.from({ length: 1000 }, (_, i) => text(`up ${i}`))
      const both = (name: string, capacity: number) =>
        Processor.queued(name, {
          TextFrame: (frame, { push }) => Effect.andThen(Effect.yieldNow, push(frame)),
          upstream: { TextFrame: (frame, { push }) => Effect.andThen(Effect.yieldNow, push(frame)) }
        }, { capacity })
      const task = yield* PipelineTask.make(Pipeline.make(both("A", 1), both("B", 7), same(), both("C", 1024)), {
        capacity: 3
      })
      const [downs, ups] = yield* Effect.forEach(
        [task.output, task.upstream],
        (stream) =>
          Effect.forkScoped(Stream.runCollect(stream as Stream.Stream<Frame.Frame, PipelineError.PipelineError>), {
            startImmediately: true
          })
      )
      yield* Effect.all([task.queueFrames(down), task.queueFrames(up, "upstream")], { concurrency: "unbounded" })
      yield* task.stopWhenDone
      deepStrictEqual((yield* Fiber.join(downs!)).slice(1, -1), down)
      deepStrictEqual(yield* Fiber.join(ups!), up)
      deepStrictEqual(yield* task.drops, { full: 0, interrupted: 0, cancelled: 0, ended: 0, inactive: 0 })
    }))

  it.effect(
    "10,000 interruptions in a row through 5 queued processors: each seen once everywhere, in order",
    () =>
      Effect.gen(function*() {
        const total = 10_000
        const seen: Array<Array<number>> = []
        const kept: Array<Array<number>> = []
        const p = (i: number) => {
          const mine: Array<number> = seen[i] = []
          const keeps: Array<number> = kept[i] = []
          return Processor.queued(`P${i}`, {
            TextFrame: (frame, { push }) => Effect.andThen(Effect.yieldNow, push(frame)),
            Keep: (frame, { push }) => {
              keeps.push(frame.n)
              return Effect.andThen(Effect.yieldNow, push(frame))
            },
            onInterruption: (frame) =>
              Effect.sync(() => {
                mine.push(frame.id)
              })
          }, { frames: [Keep], capacity: 4 })
        }
        const [output, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
          const task = yield* PipelineTask.make(Pipeline.make(p(0), p(1), p(2), p(3), p(4)), {
            outputCapacity: Infinity
          })
          const output = yield* Stream.runCollect(task.output).pipe(Effect.forkScoped({ startImmediately: true }))
          yield* task.start
          const sent: Array<number> = []
          for (let i = 0; i < total; i++) {
            if (i % 100 === 0) yield* task.queueFrame(Keep.make({ n: i }))
            if (i % 3 === 0) yield* task.queueFrame(text(String(i)))
            if (i % 7 === 0) yield* Effect.yieldNow
            const frame = Frame.StartInterruptionFrame.make({})
            sent.push(frame.id)
            yield* task.queueFrame(frame)
          }
          for (const mine of seen) deepStrictEqual(mine, sent)
          yield* task.queueFrame(text("last"))
          yield* task.stopWhenDone
          return yield* Fiber.join(output)
        })))
        const keeps = Array.from({ length: total / 100 }, (_, i) => 100 * i)
        for (const mine of kept) deepStrictEqual(mine, keeps)
        deepStrictEqual(output.filter(Keep.is).map((frame) => frame.n), keeps)
        deepStrictEqual(show(output.slice(-2)), [...texts("last"), "EndFrame"])
        assert.strictEqual(alive, 0)
      }),
    60_000
  )

  it.effect("10,000 interruptions asked for at once", () =>
    Effect.gen(function*() {
      let told = 0
      const p = (name: string) => Processor.queued(name, { onInterruption: () => Effect.sync(() => told++) })
      const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const task = yield* PipelineTask.make(Pipeline.make(p("A"), p("B"), p("C"), p("D"), p("E")))
        yield* task.start
        yield* Effect.all(Array.from({ length: 10_000 }, () => task.interrupt), {
          concurrency: "unbounded",
          discard: true
        })
        yield* task.stopWhenDone
        assert.strictEqual((yield* task.run)._tag, "Ended")
      })))
      assert.strictEqual(told, 50_000)
      assert.strictEqual(alive, 0)
    }), 60_000)
})
