/**
 * Where data leaves a pipeline: to a callback, a queue, a stream or a sink.
 *
 * An output has a mailbox and a fiber of its own: it takes one data frame after the other, in order, while whoever is
 * further up goes on. An interruption cuts what waits. Control and system frames pass; data frames do too with
 * `passThrough`.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"

/**
 * What an output takes: data frames, app frames included.
 *
 * @category models
 * @since 0.1.0
 */
export type Data = Processor.Kinds["data"]

/**
 * Options of every output.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Pick<Processor.Options, "capacity" | "strategy" | "upstreamMailbox" | "onError"> {
  /** Default: `Output`. */
  readonly name?: string | undefined
  /** Passes data frames on, each when it has been taken (or when taking it has failed). Default: false. */
  readonly passThrough?: boolean | undefined
}

/**
 * What an output does with the frames of each kind, and with the moments of a task.
 *
 * @category models
 * @since 0.1.0
 */
export interface Methods<out E = never, out R = never> {
  /** The next frame waits until the Effect is done; an interruption stops it. Default: data frames pass. */
  readonly data?: ((frame: Data) => Effect.Effect<unknown, E, R>) | undefined
  /** In order with data; the frame passes when the Effect is done. */
  readonly control?: ((frame: Processor.Kinds["control"]) => Effect.Effect<unknown, E, R>) | undefined
  /** Out of order, and told when the frame has passed already: metrics, for example. */
  readonly system?: ((frame: Processor.Kinds["system"]) => Effect.Effect<unknown, E, R>) | undefined
  /** The user barged in, and the task allows it: stop what plays, clear what waits outside. */
  readonly onInterruption?: ((frame: Frame.StartInterruptionFrame) => Effect.Effect<unknown, E, R>) | undefined
  /** All frames have been taken; `EndFrame` goes on when the Effect is done. */
  readonly onEnd?: ((frame: Frame.EndFrame) => Effect.Effect<unknown, E, R>) | undefined
}

interface Instance<out E, out R> extends Methods<E, R> {
  readonly run?: (() => Effect.Effect<unknown, E, R>) | undefined
}

/** Passes when `take` has failed, too; the kernel sees to it that nothing passes when it was cut. */
const passAfter = <E, R>(take: Effect.Effect<unknown, E, R>, pass: Effect.Effect<void>): Effect.Effect<void, E, R> =>
  Effect.matchCauseEffect(take, {
    onSuccess: () => pass,
    onFailure: (cause) => Effect.andThen(pass, Effect.failCause(cause))
  })

const build = <E, R, E2, R2>(
  setUp: Effect.Effect<Instance<E, R>, E2, R2>,
  options: Options
): Processor.Processor<E | E2, Exclude<R | R2, Scope.Scope>> =>
  Processor.queued(
    options.name ?? "Output",
    Effect.map(setUp, ({ control, data, onEnd, onInterruption, run, system }) => {
      const pass = options.passThrough === true
      return {
        data: data && ((frame: Data, { push }: Processor.ProcessorContext) =>
          pass ? passAfter(data(frame), push(frame)) : data(frame)),
        control: control && ((frame: Processor.Kinds["control"], { push }: Processor.ProcessorContext) =>
          passAfter(control(frame), push(frame))),
        system: system && ((frame: Processor.Kinds["system"], { push }: Processor.ProcessorContext) =>
          Effect.andThen(push(frame), system(frame))),
        onInterruption,
        onEnd,
        run
      }
    }),
    options
  )

/**
 * Makes an output with a method for each kind of frame. Give an Effect of the methods to acquire what they write to for
 * each task, released when the task's scope closes.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Output } from "@apipeline/core"
 *
 * const speaker = Output.make({
 *   data: (frame) => Effect.log(`play ${Frame.format(frame)}`),
 *   control: (frame) => Effect.log(`now ${frame.name}`),
 *   onInterruption: () => Effect.log("stop playing")
 * }, { name: "Speaker", capacity: 64 })
 * ```
 *
 * Source: `OutputProcessor` of pipeline-py.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: {
  <E = never, R = never>(methods: Methods<E, R>, options?: Options): Processor.Processor<E, Exclude<R, Scope.Scope>>
  <E, R, E2, R2>(
    methods: Effect.Effect<Methods<E, R>, E2, R2>,
    options?: Options
  ): Processor.Processor<E | E2, Exclude<R | R2, Scope.Scope>>
} = (
  methods: Methods<unknown, unknown> | Effect.Effect<Methods<unknown, unknown>, unknown, unknown>,
  options: Options = {}
): Processor.Processor<any, any> => build(Effect.isEffect(methods) ? methods : Effect.succeed(methods), options)

/**
 * Makes an output that calls a function with every data frame, in order. The next frame waits until the Effect is done;
 * an interruption stops it.
 *
 * @example
 * ```ts
 * import { Console } from "effect"
 * import { Frame, Output } from "@apipeline/core"
 *
 * const show = Output.toCallback((frame) => Console.log(Frame.format(frame)), { passThrough: true })
 * ```
 *
 * Source: `OutputFrameProcessor(cb=...)` of pipeline-py, `OutputProcessor` of pipeline-go.
 *
 * @see `Processor.sink` for the plain form
 * @category constructors
 * @since 0.1.0
 */
export const toCallback = <E, R>(
  take: (frame: Data) => Effect.Effect<unknown, E, R>,
  options: Options = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => build(Effect.succeed({ data: take }), options)

/**
 * A frame came to a queue that takes no more: its reader has ended or shut it down.
 *
 * @example
 * ```ts
 * import { Output } from "@apipeline/core"
 *
 * new Output.QueueClosed({ output: "Out", frame: "TextFrame#1" }).message
 * // => "the queue of Out is closed: TextFrame#1 was not put in"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class QueueClosed extends Schema.TaggedError<QueueClosed>()("QueueClosed", {
  output: Schema.String,
  frame: Schema.String
}) {
  override get message(): string {
    return `the queue of ${this.output} is closed: ${this.frame} was not put in`
  }
}

/**
 * A queue as an output needs it: frames go in, and an interruption takes them out again.
 *
 * @category models
 * @since 0.1.0
 */
export interface DataQueue<in E = never> extends Queue.Enqueue<Data, E>, Queue.Dequeue<Frame.Frame, unknown> {}

/**
 * Makes an output that puts every data frame into a queue, in order; it waits while the queue is full.
 *
 * **Details**
 *
 * An interruption takes out what waits in the queue, except what is uninterruptible. A closed queue is a failure,
 * reported for each frame; what a `dropping` or `sliding` queue drops is the business of whoever made it. With
 * `endWhenDone` the queue ends with the task, whether that ends or is cancelled: what waits can still be read.
 *
 * @example
 * ```ts
 * import { Cause, Effect, Queue, Stream } from "effect"
 * import { Frame, Output, PipelineTask } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const queue = yield* Queue.bounded<Frame.Frame, Cause.Done>(16)
 *   const task = yield* PipelineTask.make(Output.toQueue(queue, { endWhenDone: true }))
 *   yield* task.queueFrames(["a", "b"].map((text) => Frame.TextFrame.make({ text })))
 *   yield* task.stopWhenDone
 *   yield* task.run
 *   return (yield* Stream.runCollect(Stream.fromQueue(queue))).length
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => 2
 * ```
 *
 * Source: `OutputFrameProcessor` of pipeline-py and its `out_queue`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toQueue: {
  (
    queue: DataQueue<Cause.Done>,
    options: Options & { readonly endWhenDone: boolean }
  ): Processor.Processor<QueueClosed>
  (queue: DataQueue, options?: Options & { readonly endWhenDone?: false | undefined }): Processor.Processor<QueueClosed>
} = (
  queue: DataQueue,
  options: Options & { readonly endWhenDone?: boolean | undefined } = {}
): Processor.Processor<QueueClosed> => {
  const methods: Methods<QueueClosed> = {
    data: (frame) =>
      Effect.flatMap(Queue.offer(queue, frame), (taken) =>
        taken || queue.state._tag === "Open"
          ? Effect.void
          : Effect.fail(new QueueClosed({ output: options.name ?? "Output", frame: frame.name }))),
    onInterruption: () =>
      Effect.flatMap(
        Effect.orElseSucceed(Queue.clear(queue), () => []),
        (frames) => Queue.offerAll(queue, frames.filter((frame) => frame.uninterruptible) as Array<Data>)
      )
  }
  const setUp = options.endWhenDone === true
    ? Effect.as(Effect.addFinalizer(() => Queue.end(queue as DataQueue<Cause.Done>)), methods)
    : Effect.succeed(methods)
  return build(setUp, options)
}

/**
 * Makes an output whose data frames are a stream, run by a function that lives as long as the task.
 *
 * **Details**
 *
 * The stream starts with the task and gives each frame when it is asked for it. An interruption cuts what waits, but
 * not the stream: what the function has asked for is its own. `EndFrame` ends the stream and waits until the function
 * is done. When that is done before, or has failed (which is reported), later frames are discarded, or passed on with
 * `passThrough`.
 *
 * @example
 * ```ts
 * import { Console, Stream } from "effect"
 * import { Frame, Output } from "@apipeline/core"
 *
 * const typed = Output.toStream((frames) =>
 *   frames.pipe(
 *     Stream.filter(Frame.TextFrame.is),
 *     Stream.zipWithIndex,
 *     Stream.runForEach(([frame, i]) => Console.log(`${i + 1}. ${frame.text}`))
 *   )
 * )
 * ```
 *
 * @see `Processor.fromStream` for streams that put frames out again
 * @category constructors
 * @since 0.1.0
 */
export const toStream = <E, R>(
  run: (frames: Stream.Stream<Data>) => Effect.Effect<unknown, E, R>,
  options: Options = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> =>
  build(
    Effect.gen(function*() {
      // hands over and holds nothing: an interruption finds all that waits in the mailbox
      const queue = yield* Queue.bounded<Data, Cause.Done>(0)
      const done = yield* Deferred.make<void>()
      const pull = Effect.map(Queue.take(queue), (frame) => [frame] as const)
      const close = Effect.andThen(Queue.shutdown(queue), Deferred.succeed(done, undefined))
      return {
        data: (frame: Data) => Queue.offer(queue, frame),
        onEnd: () => Effect.andThen(Queue.end(queue), Deferred.await(done)),
        run: () => Effect.ensuring(run(Stream.fromPull(Effect.succeed(pull))), close)
      }
    }),
    options
  )

/**
 * Makes an output that runs an Effect `Sink` over its data frames, from the start of the task to its end: see
 * {@link toStream}.
 *
 * @example
 * ```ts
 * import { Console, Sink } from "effect"
 * import { Frame, Output } from "@apipeline/core"
 *
 * const show = Output.toSink(Sink.forEach((frame: Output.Data) => Console.log(Frame.format(frame))))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const toSink = <E, R>(
  sink: Sink.Sink<unknown, Data, unknown, E, R>,
  options: Options = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => toStream((frames) => Stream.run(frames, sink), options)
