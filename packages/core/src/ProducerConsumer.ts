/**
 * Takes frames out at one place of a pipeline and puts them in at others, in other branches or further along.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import type * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"

const TypeId = "~apipeline/ProducerConsumer/Channel"

/** A consumer in a running task. */
type Accept = (frame: Frame.Frame) => Effect.Effect<void>

/**
 * What joins producers and consumers.
 *
 * **Details**
 *
 * It is a description, as processors are: in each task, the producers and the consumers of a channel that are in that
 * task's pipeline are joined to each other, and to nobody else.
 *
 * @category models
 * @since 0.1.0
 */
export interface Channel {
  readonly [TypeId]: (instance: Scope.Scope) => Set<Accept>
}

/**
 * What becomes of a frame on its way: a pure or an effectful function.
 *
 * @category models
 * @since 0.1.0
 */
export type Transform<E = never, R = never> = (frame: Frame.Frame) => Frame.Frame | Effect.Effect<Frame.Frame, E, R>

/**
 * Options of {@link producer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ProducerOptions<E = never, R = never> {
  /** Default: `Producer`. */
  readonly name?: string | undefined
  /** The frames that are taken. Default: all. */
  readonly filter?: Predicate.Predicate<Frame.Frame> | undefined
  /** Default: the frame itself, under the same id. */
  readonly transform?: Transform<E, R> | undefined
  /** Whether frames that are taken go on, too. Default: true. */
  readonly passThrough?: boolean | undefined
}

/**
 * Options of {@link consumer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConsumerOptions<E = never, R = never> {
  /** Default: `Consumer`. */
  readonly name?: string | undefined
  /** Default: the frame itself, under the same id. */
  readonly transform?: Transform<E, R> | undefined
  /** The way in which the consumer pushes. Default: `downstream`. */
  readonly direction?: Frame.Direction | undefined
}

/**
 * Makes a channel.
 *
 * @example
 * ```ts
 * import { Frame, Pipeline, ProducerConsumer } from "@apipeline/core"
 *
 * const channel = ProducerConsumer.make()
 * const pipeline = Pipeline.make(
 *   ProducerConsumer.producer(channel, { filter: Frame.AudioRawFrame.is }),
 *   ProducerConsumer.consumer(channel)
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (): Channel => {
  // all processors of a task live in one scope, and no other task's do
  const tasks = new WeakMap<Scope.Scope, Set<Accept>>()
  return {
    [TypeId]: (instance) => {
      const consumers = tasks.get(instance) ?? new Set()
      tasks.set(instance, consumers)
      return consumers
    }
  }
}

const transformed = <E, R>(
  transform: Transform<E, R> | undefined,
  frame: Frame.Frame,
  use: (frame: Frame.Frame) => Effect.Effect<void>
): Effect.Effect<void, E, R> => {
  if (transform === undefined) return use(frame)
  const result = transform(frame)
  return Effect.isEffect(result) ? Effect.flatMap(result, use) : use(result)
}

/**
 * Makes a processor that gives downstream frames to the consumers of a channel.
 *
 * **Details**
 *
 * - A frame that goes on, goes on when all consumers have pushed theirs: in a chain, the consumed frame comes first. So
 *   a consumer that has to wait for room makes the producer wait.
 * - The filter is asked for all frames but lifecycle frames and heartbeats. Without a consumer in the task, frames that
 *   do not go on are gone.
 *
 * **Gotchas**
 *
 * A consumer that stands before its producer, in the same chain, is a loop. Frames that go round it for ever, or more
 * of them than the mailboxes in between can hold, stop the pipeline: filter what comes back, or let the consumer push
 * upstream, where mailboxes do not fill.
 *
 * @example
 * ```ts
 * import { Frame, Pipeline, ProducerConsumer } from "@apipeline/core"
 *
 * const channel = ProducerConsumer.make()
 * const take = ProducerConsumer.producer(channel, {
 *   filter: Frame.TextFrame.is,
 *   transform: (frame) => Frame.copy(frame),
 *   passThrough: false
 * })
 * ```
 *
 * Source: `ProducerProcessor` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const producer = <E = never, R = never>(
  channel: Channel,
  options: ProducerOptions<E, R> = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  const { filter, passThrough, transform } = options
  return Processor.effect(
    options.name ?? "Producer",
    Effect.gen(function*() {
      const consumers = channel[TypeId](yield* Effect.scope)
      const give = (frame: Frame.Frame): Effect.Effect<void> =>
        Effect.forEach(consumers, (accept) => accept(frame), { discard: true })
      const take = (frame: Frame.Frame, { push }: Processor.ProcessorContext): Effect.Effect<void, E, R> => {
        if (frame._tag === "HeartbeatFrame" || filter?.(frame) === false) return push(frame)
        const given = transformed(transform, frame, give)
        return passThrough === false ? given : Effect.andThen(given, push(frame))
      }
      return { data: take, control: take, system: take }
    })
  )
}

/**
 * Makes a processor that pushes what the producers of a channel take. What comes from its own neighbours passes.
 *
 * **Details**
 *
 * It pushes from `StartFrame` until `EndFrame` has passed it; what comes later is dropped and counted. When its function
 * fails, that is reported as a failure of the consumer, and neither the producer nor the other consumers notice.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, ProducerConsumer } from "@apipeline/core"
 *
 * const channel = ProducerConsumer.make()
 * const put = ProducerConsumer.consumer(channel, {
 *   transform: (frame) => Effect.as(Effect.sleep("1 millis"), Frame.copy(frame)),
 *   direction: "upstream"
 * })
 * ```
 *
 * Source: `ConsumerProcessor` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const consumer = <E = never, R = never>(
  channel: Channel,
  options: ConsumerOptions<E, R> = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  const { direction = "downstream", transform } = options
  return Processor.effect(
    options.name ?? "Consumer",
    Effect.gen(function*() {
      const services = yield* Effect.context<R>()
      const consumers = channel[TypeId](yield* Effect.scope)
      let accept: Accept | undefined
      return {
        onStart: (_: Frame.StartFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
          Effect.sync(() => {
            if (accept !== undefined) return
            const { pushDownstream, pushUpstream, reportCause } = context
            const push = direction === "downstream" ? pushDownstream : pushUpstream
            accept = (frame) =>
              Effect.suspend(() => transformed(transform, frame, push)).pipe(
                Effect.catchCause(reportCause),
                Effect.provideContext(services)
              )
            consumers.add(accept)
          })
      }
    })
  )
}
