/**
 * A pipeline composes processors, and is itself something that pipelines are composed of.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Graph from "effect/Graph"
import * as Layer from "effect/Layer"
import { type Pipeable, pipeArguments } from "effect/Pipeable"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Types from "effect/Types"
import * as Frame from "./Frame.ts"
import type { FanMode } from "./internal/kernel/fan.ts"
import { Task } from "./internal/kernel/task.ts"
import { resolve } from "./internal/kernel/topology.ts"
import type * as PipelineError from "./PipelineError.ts"
import type * as PipelineTask from "./PipelineTask.ts"
import type * as Processor from "./Processor.ts"

const TypeId = "~apipeline/Pipeline"

/**
 * A description of a pipeline: `E` and `R` are those of its processors.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pipeline<out E = never, out R = never> extends Pipeable {
  readonly [TypeId]: { readonly _E: Types.Covariant<E>; readonly _R: Types.Covariant<R> }
  readonly elements: ReadonlyArray<Element>
  /** How the elements are put together: one after another, or as branches side by side. */
  readonly mode: FanMode | undefined
  /** Services that its named processors get, when it is a service itself. */
  readonly services: Context.Context<never> | undefined
}

/**
 * What a pipeline is made of: processors, pipelines, and the classes of those that are services.
 *
 * @category models
 * @since 0.1.0
 */
export type Element<E = any, R = any> =
  | Processor.Processor<E, R>
  | Pipeline<E, R>
  | Context.Key<R, Processor.Processor<E> | Pipeline<E>>

type ErrorOf<El> = El extends Processor.Processor<infer E, any> ? E
  : El extends Pipeline<infer E, any> ? E
  : El extends Context.Key<any, infer Shape> ? ErrorOf<Shape>
  : never

type ServicesOf<El> = El extends Processor.Processor<any, infer R> ? R
  : El extends Pipeline<any, infer R> ? R
  : El extends Context.Key<infer Self, any> ? Self
  : never

const Proto = {
  [TypeId]: { _E: (_: never) => _, _R: (_: never) => _ },
  pipe() {
    return pipeArguments(this, arguments)
  }
}

/**
 * Is this a pipeline?
 *
 * @example
 * ```ts
 * import { Pipeline, Processor } from "@apipeline/core"
 *
 * Pipeline.isPipeline(Pipeline.make(Processor.sync("A", {}))) // => true
 * Pipeline.isPipeline(Processor.sync("A", {})) // => false
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isPipeline = (u: unknown): u is Pipeline<any, any> => typeof u === "object" && u !== null && TypeId in u

/**
 * Puts processors (and pipelines) one after another.
 *
 * @example
 * ```ts
 * import { Frame, Pipeline, Processor } from "@apipeline/core"
 *
 * const upper = Processor.sync("Upper", {
 *   TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
 * })
 * const pipeline = Pipeline.make(upper, Pipeline.make(Processor.sync("Same", {})))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Elements extends readonly [Element, ...Array<Element>]>(
  ...elements: Elements
): Pipeline<ErrorOf<Elements[number]>, ServicesOf<Elements[number]>> => build(elements, undefined)

const build = (elements: ReadonlyArray<Element>, mode: FanMode | undefined): Pipeline<any, any> =>
  Object.assign(Object.create(Proto), { elements, mode, services: undefined })

/**
 * Several pipelines side by side. Every frame goes into every branch; what comes out of them is merged as it comes, a
 * frame that several of them let pass only once. Lifecycle frames go on when they have passed every branch. A branch
 * of synchronous processors runs inline and costs no fiber; one that takes time gets a mailbox, so that no branch
 * waits for another.
 *
 * @example
 * ```ts
 * import { Frame, Pipeline, Processor } from "@apipeline/core"
 *
 * const upper = Processor.sync("Upper", {
 *   TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
 * })
 * // "a" comes out as "a" and "A"
 * const both = Pipeline.parallel(Processor.sync("Same", {}), upper)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const parallel = <const Elements extends readonly [Element, ...Array<Element>]>(
  ...branches: Elements
): Pipeline<ErrorOf<Elements[number]>, ServicesOf<Elements[number]>> => build(branches, "parallel")

/**
 * Several pipelines side by side, in step: what the branches make of one input is held at their exits until all of
 * them are done with it, and released together, in both directions. A branch that swallows the input releases nothing
 * and holds up nobody; system frames pass at once; an interruption discards what is held.
 *
 * @example
 * ```ts
 * import { Pipeline, Processor } from "@apipeline/core"
 *
 * // order "branch": the outputs of the first branch first; "arrival" (default): as they came
 * const inStep = Pipeline.syncParallel({ order: "branch" })(Processor.sync("A", {}), Processor.sync("B", {}))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const syncParallel =
  (options?: { readonly order?: "branch" | "arrival" | undefined }) =>
  <const Elements extends readonly [Element, ...Array<Element>]>(
    ...branches: Elements
  ): Pipeline<ErrorOf<Elements[number]>, ServicesOf<Elements[number]>> =>
    build(branches, options?.order === "branch" ? "sync-branch" : "sync-arrival")

/**
 * Several pipelines side by side whose outputs are merged as they come, all of them: unlike in `parallel`, a frame
 * that two branches let pass comes out twice. Meant for pipelines that begin with a source.
 *
 * @example
 * ```ts
 * import { Pipeline, Processor } from "@apipeline/core"
 *
 * // a frame comes out twice
 * const both = Pipeline.merge(Processor.sync("A", {}), Processor.sync("B", {}))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const merge = <const Elements extends readonly [Element, ...Array<Element>]>(
  ...pipelines: Elements
): Pipeline<ErrorOf<Elements[number]>, ServicesOf<Elements[number]>> => build(pipelines, "merge")

/**
 * The same one after another: what the second pipeline puts out is held until the first has ended, and so on. What is
 * held is not bounded, since the input cannot wait for the end.
 *
 * @example
 * ```ts
 * import { Pipeline, Processor } from "@apipeline/core"
 *
 * // all that comes out of B comes behind all of A
 * const both = Pipeline.mergeSequential(Processor.sync("A", {}), Processor.sync("B", {}))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const mergeSequential = <const Elements extends readonly [Element, ...Array<Element>]>(
  ...pipelines: Elements
): Pipeline<ErrorOf<Elements[number]>, ServicesOf<Elements[number]>> => build(pipelines, "sequential")

/**
 * A pipeline that is a service.
 *
 * @category services
 * @since 0.1.0
 */
export interface ServiceClass<in out Self, in out Id extends string, out E, out R>
  extends Context.ServiceClass<Self, Id, Pipeline<E>>
{
  /** Builds the pipeline; what its processors need is what the layer needs. */
  readonly layer: Layer.Layer<Self, never, R>
}

/**
 * Makes a pipeline that is a service, with a `layer` whose type tells which processors' layers are missing.
 *
 * @example
 * ```ts
 * import { Pipeline, Processor } from "@apipeline/core"
 *
 * class Bot extends Pipeline.Service<Bot>()("app/Bot", Pipeline.make(Processor.sync("Same", {}))) {}
 * // Bot.layer: Layer<Bot>
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export const Service = <Self>() =>
<const Id extends string, E, R>(
  id: Id,
  pipeline: Pipeline<E, R>
): ServiceClass<Self, Id, E, Exclude<R, Scope.Scope>> => {
  const Base = Context.Service<Self, Pipeline<E>>()(id)
  const layer = Layer.effect(
    Base,
    Effect.gen(function*() {
      const services = yield* Effect.context<R>()
      return Object.assign(Object.create(Proto), yield* resolve(pipeline, services)) as Pipeline<E>
    })
  )
  return Object.assign(Base, { layer }) as any // a class with a static that its type cannot gain
}

/**
 * A pipeline as a transformer of streams: the frames of the input go in, what leaves at the downstream end comes out
 * (without lifecycle frames), and both ends push back. The stream's end ends the pipeline in order; closing the output
 * early cancels it. A failure of the input, or a fatal one of the pipeline, fails the output.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Frame, Pipeline, Processor } from "@apipeline/core"
 *
 * const upper = Processor.sync("Upper", {
 *   TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
 * })
 * const frames = Stream.make("a", "b").pipe(
 *   Stream.map((text) => Frame.TextFrame.make({ text })),
 *   Pipeline.transform(upper)
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const transform = <E, R>(pipeline: Element<E, R>, options?: PipelineTask.Options) =>
<E2, R2>(
  input: Stream.Stream<Frame.Frame, E2, R2>
): Stream.Stream<Frame.Frame, E2 | PipelineError.PipelineError, Exclude<R, Scope.Scope> | R2> =>
  Stream.unwrap(Effect.gen(function*() {
    const task = yield* Task.make(pipeline, { capacity: 64, outputCapacity: 64, ...options })
    // Subscribed before anything can flow, and only then fed: the input is pulled as fast as the output is read.
    const output = yield* task.subscribe
    const feed = Effect.gen(function*() {
      yield* task.start
      yield* task.queueFrames(input, "downstream")
      yield* task.stopWhenDone
    })
    return Stream.merge(
      Stream.filter(output, (frame) => !Frame.isLifecycle(frame)),
      Stream.drain(Stream.fromEffect(feed)),
      { haltStrategy: "left" }
    )
  })) as Stream.Stream<Frame.Frame, E2 | PipelineError.PipelineError, Exclude<R, Scope.Scope> | R2>

/**
 * What a node of a pipeline's graph is.
 *
 * @category models
 * @since 0.1.0
 */
export interface GraphNode {
  readonly name: string
  readonly kind: "source" | "sync" | "effect" | "service" | "sink"
  /** It has a mailbox and a fiber of its own. */
  readonly queued: boolean
}

/**
 * The topology as data. Edges point downstream; `upstream` frames travel them backwards. The classes of processors
 * that are services stand for themselves: resolving them would need their layers.
 *
 * @example
 * ```ts
 * import { Graph } from "effect"
 * import { Pipeline, Processor } from "@apipeline/core"
 *
 * const graph = Pipeline.graph(Pipeline.make(Processor.sync("A", {}), Processor.queued("B", {})))
 * Graph.toMermaid(graph, { nodeLabel: (node) => node.name })
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const graph = (pipeline: Element): Graph.DirectedGraph<GraphNode, string> =>
  Graph.directed((mutable) => {
    const add = (node: GraphNode): Graph.NodeIndex => Graph.addNode(mutable, node)
    /** Draws an element behind `from` and gives the nodes that it ends in. */
    const draw = (element: Element, from: ReadonlyArray<Graph.NodeIndex>): ReadonlyArray<Graph.NodeIndex> => {
      if (isPipeline(element)) {
        return element.mode === undefined
          ? element.elements.reduce((ends, inner) => draw(inner, ends), from)
          : element.elements.flatMap((branch) => draw(branch, from))
      }
      const node: GraphNode = Context.isKey(element)
        ? { name: element.key, kind: "service", queued: false }
        : { name: element.name, kind: element.mode, queued: element.options.capacity !== undefined }
      const index = add(node)
      for (const before of from) Graph.addEdge(mutable, before, index, node.queued ? "queue" : "call")
      return [index]
    }
    const ends = draw(pipeline, [add({ name: "task", kind: "source", queued: true })])
    const output = add({ name: "output", kind: "sink", queued: true })
    for (const before of ends) Graph.addEdge(mutable, before, output, "queue")
    return undefined
  })

/**
 * The topology as a Mermaid flow chart: queues are drawn as stadiums' edges with a label, plain calls without.
 *
 * @example
 * ```ts
 * import { Pipeline, Processor } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(Processor.sync("A", {}), Processor.sync("B", {}))
 * Pipeline.toMermaid(pipeline).split("\n")[0] // => "flowchart TD"
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const toMermaid = (pipeline: Element): string =>
  Graph.toMermaid(graph(pipeline), { nodeLabel: (node) => node.name, edgeLabel: (edge) => edge })

/**
 * The topology in the DOT language of Graphviz.
 *
 * @example
 * ```ts
 * import { Pipeline, Processor } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(Processor.sync("A", {}), Processor.sync("B", {}))
 * Pipeline.toGraphViz(pipeline).includes("digraph") // => true
 * ```
 *
 * @category getters
 * @since 0.1.0
 */
export const toGraphViz = (pipeline: Element): string =>
  Graph.toGraphViz(graph(pipeline), { nodeLabel: (node) => node.name, edgeLabel: (edge) => edge })
