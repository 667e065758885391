/**
 * Where frames enter a pipeline other than through its task: from a queue or a stream, and the base of what treats
 * frames by their kind at the entrance.
 *
 * What comes from outside may be of any kind: an `EndFrame` ends the task in order, a `CancelFrame` cancels it, a
 * `StartInterruptionFrame` interrupts it. What comes from further up passes.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import type * as Effect from "effect/Effect"
import type * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"

/**
 * Options of {@link fromQueue} and {@link fromStream}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SourceOptions extends Pick<Processor.Options, "onError"> {
  /** Default: `Input`. */
  readonly name?: string | undefined
  /** Ends the task, in order, when there is no more to come. Default: false. */
  readonly endWhenDone?: boolean | undefined
}

/**
 * Makes an input that pushes what a stream emits, from the start of the task until the stream or the task ends. The
 * stream is pulled only as fast as its frames are taken; an interruption does not stop it. When it fails, that is
 * reported.
 *
 * @example
 * ```ts
 * import { Stream } from "effect"
 * import { Frame, Input, Pipeline, Processor } from "@apipeline/core"
 *
 * const lines = Stream.make("a", "b").pipe(Stream.map((text) => Frame.TextFrame.make({ text })))
 * const pipeline = Pipeline.make(Input.fromStream(lines, { endWhenDone: true }), Processor.sync("Same", {}))
 * ```
 *
 * @see `Processor.source`, which it is
 * @category constructors
 * @since 0.1.0
 */
export const fromStream = <E, R>(
  frames: Stream.Stream<Frame.Frame, E, R>,
  options: SourceOptions = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => Processor.source(options.name ?? "Input", frames, options)

/**
 * Makes an input that pushes what a queue gives, from the start of the task until the queue or the task ends. When the
 * queue fails, that is reported. An interruption leaves what waits in the queue: it has not entered the pipeline yet.
 *
 * @example
 * ```ts
 * import { Cause, Effect, Queue, Stream } from "effect"
 * import { Frame, Input, PipelineTask } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const queue = yield* Queue.unbounded<Frame.Frame, Cause.Done>()
 *   const task = yield* PipelineTask.make(Input.fromQueue(queue, { endWhenDone: true }))
 *   yield* Queue.offer(queue, Frame.TextFrame.make({ text: "hello" }))
 *   yield* Queue.end(queue)
 *   const frames = yield* Stream.runCollect(task.output)
 *   return frames.map((frame) => frame._tag)
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => ["StartFrame", "TextFrame", "EndFrame"]
 * ```
 *
 * Source: `InputFrameProcessor` of pipeline-py.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromQueue = <A extends Frame.Frame, E>(
  queue: Queue.Dequeue<A, E>,
  options: SourceOptions = {}
): Processor.Processor<Exclude<E, Cause.Done>> => fromStream(Stream.fromQueue(queue), options)

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<Processor.Options, "capacity" | "strategy" | "upstreamMailbox" | "onError"> {
  /** Default: `Input`. */
  readonly name?: string | undefined
}

/**
 * What an input does with the frames of each kind. A method pushes what is to go on; frames of a kind without a method
 * pass.
 *
 * @category models
 * @since 0.1.0
 */
export interface Methods<out E = never, out R = never> {
  /** System frames: at once, whatever waits. Lifecycle frames excepted. */
  readonly system?: Method<"system", E, R> | undefined
  /** Control frames, in order with data. Lifecycle frames excepted. */
  readonly control?: Method<"control", E, R> | undefined
  /** Data frames, app frames included. */
  readonly data?: Method<"data", E, R> | undefined
}

/**
 * A method of {@link Methods}.
 *
 * @category models
 * @since 0.1.0
 */
export type Method<K extends Frame.Kind, E, R> = (
  frame: Processor.Kinds[K],
  context: Processor.ProcessorContext
) => Effect.Effect<unknown, E, R>

/**
 * Makes the base of an input: a queued processor that tells system, control and data frames apart and hands each to its
 * own method. Put it behind {@link fromQueue} or {@link fromStream}, or feed it through the task.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, Input, Pipeline } from "@apipeline/core"
 *
 * const microphone: Stream.Stream<Frame.Frame> = Stream.empty
 *
 * const pipeline = Pipeline.make(
 *   Input.fromStream(microphone),
 *   Input.make({
 *     data: (frame, { push }) => Frame.AudioRawFrame.is(frame) ? push(frame) : Effect.void,
 *     system: (frame, { push }) => Effect.andThen(Effect.log(Frame.format(frame)), push(frame))
 *   }, { name: "AudioOnly", capacity: 256 })
 * )
 * ```
 *
 * Source: `InputProcessor` of pipeline-py.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  methods: Methods<E, R>,
  options: Options = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => Processor.queued(options.name ?? "Input", methods, options)
