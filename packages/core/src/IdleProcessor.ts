/**
 * Notices that no frame, or no frame of some types, has come for a while.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import * as Frame from "./Frame.ts"
import type { Selection } from "./FrameLogger.ts"
import * as DurationOption from "./internal/durationOption.ts"
import * as Processor from "./Processor.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /** Default: `IdleProcessor`. */
  readonly name?: string | undefined
  readonly timeout: Duration.Input
  /** The frames that count, by class or tag, in both directions. Default: all but heartbeats and `IdleFrame`. */
  readonly frames?: Selection | undefined
  /** What is done each time. Default: an `IdleFrame` is pushed downstream. */
  readonly onIdle?: ((context: Processor.ProcessorContext) => Effect.Effect<unknown, E, R>) | undefined
  /** With `false`, once until a frame comes again. Default: true, each time that the timeout has passed. */
  readonly repeat?: boolean | undefined
}

/**
 * Makes a processor that lets everything pass and does something when nothing has come for a while.
 *
 * **Details**
 *
 * - The time runs from `StartFrame` on, and anew from each frame that counts. Lifecycle frames do not count. It stands
 *   still between a `StopTaskFrame` and the task that takes over, and stops at the end.
 * - `onIdle` runs beside the frames. The time begins anew when it is done, and a frame that comes while it runs counts.
 *   When it fails, that is reported and the time goes on.
 *
 * Throws a `TypeError` when the timeout is not positive.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, IdleProcessor, Pipeline } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(
 *   IdleProcessor.make({ timeout: "10 seconds" }),
 *   IdleProcessor.make({
 *     timeout: "1 minute",
 *     frames: [Frame.TextFrame],
 *     onIdle: ({ push }) => push(Frame.TextFrame.make({ text: "Still there?" }))
 *   })
 * )
 * ```
 *
 * Source: `IdleFrameProcessor` of pipecat, `IdleFrame` of pipeline-go.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R>
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  const timeout = DurationOption.positive("IdleProcessor: timeout", options.timeout)
  const tags = options.frames?.map((one) => typeof one === "string" ? one : one.tag)
  const onIdle = options.onIdle ?? (({ push }) => push(Frame.IdleFrame.make()))
  return Processor.effect(
    options.name ?? "IdleProcessor",
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      const running = yield* Latch.make(false)
      const moved = yield* Latch.make(false)
      let since = 0
      const count = (): void => {
        since = clock.currentTimeMillisUnsafe()
        moved.openUnsafe()
      }
      const pass = (frame: Frame.Frame, { push }: Processor.ProcessorContext): Effect.Effect<void> => {
        count()
        return push(frame)
      }
      const skip = (frame: Frame.Frame, { push }: Processor.ProcessorContext): Effect.Effect<void> => push(frame)
      const handlers = tags === undefined
        ? { data: pass, control: pass, system: pass, HeartbeatFrame: skip, IdleFrame: skip }
        : Object.fromEntries(tags.map((tag) => [tag, pass]))
      return {
        ...handlers,
        upstream: handlers,
        run: (_: undefined, context: Processor.ProcessorContext): Effect.Effect<never, E, R> =>
          Effect.forever(Effect.gen(function*() {
            yield* running.await
            const left = since + timeout - clock.currentTimeMillisUnsafe()
            if (left > 0) return yield* Effect.sleep(left)
            moved.closeUnsafe()
            yield* Effect.catchCause(onIdle(context), context.reportCause)
            if (options.repeat === false) yield* moved.await
            else since = clock.currentTimeMillisUnsafe()
          })),
        onStart: (): Effect.Effect<void> =>
          Effect.sync(() => {
            count()
            running.openUnsafe()
          }),
        StopTaskFrame: (): Effect.Effect<void> => Effect.sync(() => running.closeUnsafe())
      }
    })
  )
}
