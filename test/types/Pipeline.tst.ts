import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import type * as PipelineError from "@apipeline/core/PipelineError"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { Context, Data, Effect, type Graph, Layer, type Scope, Stream } from "effect"
import { describe, expect, test } from "tstyche"

class Boom extends Data.TaggedError("Boom")<{ readonly why: string }> {}
class Bang extends Data.TaggedError("Bang")<{}> {}
class Db extends Context.Service<Db, { readonly save: Effect.Effect<void, Boom> }>()("Db") {}

const same = Processor.sync("Same", {})
const failing = Processor.effect("Failing", { TextFrame: () => Effect.fail(new Boom({ why: "x" })) })
const needing = Processor.queued("Needing", { TextFrame: () => Effect.andThen(Db, Effect.fail(new Bang())) })
const setup = Processor.queued(
  "SetUp",
  Effect.as(Effect.fail("set-up" as const), { TextFrame: () => Effect.fail(new Bang()) })
)

class Save extends Processor.Service<Save>()("Save", {
  make: Effect.map(Db, (db) => Processor.queued({ TextFrame: () => db.save }))
}) {}
class Say extends Processor.Service<Say>()("Say", { make: Effect.succeed(same) }) {}
class Bot extends Pipeline.Service<Bot>()("Bot", Pipeline.make(same, Save, Pipeline.make(Say, failing))) {}
class Big extends Pipeline.Service<Big>()("Big", Pipeline.make(Bot, needing)) {}

const DbLive = Layer.succeed(Db, { save: Effect.void })

type Made<T> = T extends Effect.Effect<PipelineTask.PipelineTask<infer E>, infer E2, infer R> ? [E, E2, R] : never
type Fails = PipelineError.PipelineError

describe("Pipeline.make", () => {
  test("gathers the errors and the services of what it is made of", () => {
    expect(Pipeline.make(same)).type.toBe<Pipeline.Pipeline<never, never>>()
    expect(Pipeline.make(same, failing)).type.toBe<Pipeline.Pipeline<Boom, never>>()
    expect(Pipeline.make(failing, needing)).type.toBe<Pipeline.Pipeline<Boom | Bang, Db>>()
    expect(Pipeline.make(same, Pipeline.make(failing, Pipeline.make(needing)))).type.toBe<
      Pipeline.Pipeline<Boom | Bang, Db>
    >()
    expect(Pipeline.make(setup)).type.toBe<Pipeline.Pipeline<"set-up" | Bang, never>>()
    expect(Pipeline.make(Save)).type.toBe<Pipeline.Pipeline<Boom, Save>>()
    expect(Pipeline.make(same, Save, Say)).type.toBe<Pipeline.Pipeline<Boom, Save | Say>>()
    expect(Pipeline.make(Bot, needing)).type.toBe<Pipeline.Pipeline<Boom | Bang, Bot | Db>>()
  })

  test("takes nothing else, and at least one", () => {
    expect(Pipeline.make).type.not.toBeCallableWith()
    expect(Pipeline.make).type.not.toBeCallableWith("Same")
    expect(Pipeline.make).type.not.toBeCallableWith(same, {})
    expect(Pipeline.make).type.not.toBeCallableWith(Db)
    expect(Pipeline.make).type.not.toBeCallableWith(Frame.TextFrame)
  })
})

describe("Pipeline.Service", () => {
  test("its layer needs the layers of its processors", () => {
    expect(Bot.layer).type.toBe<Layer.Layer<Bot, never, Save | Say>>()
    expect(Big.layer).type.toBe<Layer.Layer<Big, never, Bot | Db>>()
    expect<(typeof Bot)["Service"]>().type.toBe<Pipeline.Pipeline<Boom>>()
    expect(Save.layer).type.toBe<Layer.Layer<Save, never, Db>>()
  })

  test("only when all are provided nothing is missing", () => {
    const partly = Bot.layer.pipe(Layer.provide(Say.layer))
    expect(partly).type.toBe<Layer.Layer<Bot, never, Save>>()
    const withSave = partly.pipe(Layer.provide(Save.layer))
    expect(withSave).type.toBe<Layer.Layer<Bot, never, Db>>()
    expect(withSave.pipe(Layer.provide(DbLive))).type.toBe<Layer.Layer<Bot>>()
  })
})

describe("PipelineTask.make", () => {
  test("needs the services of the pipeline, and a Scope", () => {
    expect(PipelineTask.make(same)).type.toBe<Effect.Effect<PipelineTask.PipelineTask, Fails, Scope.Scope>>()
    expect(PipelineTask.make(needing)).type.toBe<
      Effect.Effect<PipelineTask.PipelineTask<Bang>, Fails, Db | Scope.Scope>
    >()
    expect<Made<ReturnType<typeof PipelineTask.make<Boom, Db>>>>().type.toBe<[Boom, Fails, Db | Scope.Scope]>()
  })

  test("of a pipeline that is a service needs that service; its layer leaves the Scope", () => {
    const task = PipelineTask.make(Bot)
    expect(task).type.toBe<Effect.Effect<PipelineTask.PipelineTask<Boom>, Fails, Bot | Scope.Scope>>()
    const layer = Bot.layer.pipe(Layer.provide(Say.layer), Layer.provide(Save.layer), Layer.provide(DbLive))
    expect(Effect.provide(task, layer)).type.toBe<Effect.Effect<PipelineTask.PipelineTask<Boom>, Fails, Scope.Scope>>()
    expect(Effect.runPromise).type.toBeCallableWith(Effect.scoped(Effect.provide(task, layer)))
  })

  test("a missing layer does not compile", () => {
    const task = PipelineTask.make(Bot)
    expect(Effect.runPromise).type.not.toBeCallableWith(Effect.scoped(task))
    const withoutDb = Bot.layer.pipe(Layer.provide(Say.layer), Layer.provide(Save.layer))
    expect(Effect.runPromise).type.not.toBeCallableWith(Effect.scoped(Effect.provide(task, withoutDb)))
    const withoutSave = Bot.layer.pipe(Layer.provide(Say.layer))
    expect(Effect.runPromise).type.not.toBeCallableWith(Effect.scoped(Effect.provide(task, withoutSave)))
    expect(Effect.runPromise).type.not.toBeCallableWith(Effect.scoped(PipelineTask.make(Pipeline.make(same, Save))))
    expect(Effect.runPromise).type.not.toBeCallableWith(Effect.scoped(PipelineTask.make(needing)))
    expect(Effect.runPromise).type.not.toBeCallableWith(PipelineTask.make(same))
  })

  test("refuses wrong options", () => {
    expect(PipelineTask.make).type.toBeCallableWith(same, { idle: { timeout: "1 second" }, onSetupFailure: "end" })
    expect(PipelineTask.make).type.not.toBeCallableWith(same, { timeout: "1 second" })
    expect(PipelineTask.make).type.not.toBeCallableWith(same, { onSetupFailure: "ignore" })
    expect(PipelineTask.make).type.not.toBeCallableWith(same, { startTimeout: "soon" })
    expect(PipelineTask.make).type.not.toBeCallableWith(same, { heartbeat: {} })
    expect(PipelineTask.make).type.not.toBeCallableWith(Db)
  })
})

describe("a task", () => {
  const task: PipelineTask.PipelineTask<Boom | Bang> = null!

  test("failures are typed by the handlers' errors, everything else by PipelineError", () => {
    expect(task.failures).type.toBe<Stream.Stream<PipelineTask.Failure<Boom | Bang>>>()
    expect(task.run).type.toBe<Effect.Effect<PipelineTask.TaskExit, Fails>>()
    expect(task.output).type.toBe<Stream.Stream<Frame.Frame, Fails>>()
    expect(task.upstream).type.toBe<Stream.Stream<Frame.Frame>>()
    expect(task.cancel("x")).type.toBe<Effect.Effect<void>>()
    expect(task.stopWhenDone).type.toBe<Effect.Effect<void, Fails>>()
    type Task = Effect.Success<ReturnType<typeof PipelineTask.make<"set-up" | Bang, never>>>
    expect<Task["failures"]>().type.toBe<Stream.Stream<PipelineTask.Failure<"set-up" | Bang>>>()
    expect(PipelineTask.make(Pipeline.make(setup, failing))).type.toBe<
      Effect.Effect<PipelineTask.PipelineTask<"set-up" | Bang | Boom>, Fails, Scope.Scope>
    >()
  })

  test("queueFrames takes frames, or a stream with its own errors and services", () => {
    expect(task.queueFrames([Frame.TextFrame.make({ text: "x" })])).type.toBe<Effect.Effect<void, Fails>>()
    const stream: Stream.Stream<Frame.TextFrame, Boom, Db> = null!
    expect(task.queueFrames(stream)).type.toBe<Effect.Effect<void, Fails | Boom, Db>>()
    expect(task.queueFrames).type.not.toBeCallableWith(Stream.make("x"))
    expect(task.queueFrames).type.not.toBeCallableWith(["x"])
    expect(task.queueFrame).type.toBeCallableWith(Frame.EndFrame.make({}), "upstream")
    expect(task.queueFrame).type.not.toBeCallableWith(Frame.EndFrame.make({}), "sideways")
  })

  test("takeOver keeps the type of the failures", () => {
    expect(PipelineTask.takeOver(task)).type.toBe<
      Effect.Effect<PipelineTask.PipelineTask<Boom | Bang>, Fails, Scope.Scope>
    >()
  })

  test("its exit is told apart by tag", () => {
    const exit = null! as PipelineTask.TaskExit
    if (exit._tag === "Cancelled") expect(exit.frame).type.toBe<Frame.CancelFrame>()
    if (exit._tag === "Ended") expect(exit.frame).type.toBe<Frame.EndFrame>()
    if (exit._tag === "Stopped") expect(exit.frame).type.toBe<Frame.StopTaskFrame>()
  })
})

describe("topology", () => {
  test("is a graph of Effect's", () => {
    expect(Pipeline.graph(Bot)).type.toBe<Graph.DirectedGraph<Pipeline.GraphNode, string>>()
    expect(Pipeline.toMermaid(same)).type.toBe<string>()
    expect(Pipeline.toGraphViz(Pipeline.make(same))).type.toBe<string>()
    expect(Pipeline.graph).type.not.toBeCallableWith("x")
  })
})
