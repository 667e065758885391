/**
 * Notices that the user says nothing after the bot has spoken.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Scope from "effect/Scope"
import * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"
import {
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  FunctionCallCancelledFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame,
  UserIdleTimeoutFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "./VoiceFrames.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /** Default: `UserIdle`. */
  readonly name?: string | undefined
  /** Default: 0, which means never, until a `UserIdleTimeoutFrame` says otherwise. */
  readonly timeout?: Duration.Input | undefined
  /** What is done each time; `push` pushes downstream. Default: an `IdleFrame` is pushed. */
  readonly onIdle?: ((context: Processor.ProcessorContext) => Effect.Effect<unknown, E, R>) | undefined
}

const frames = [
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  FunctionCallCancelledFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame,
  UserIdleTimeoutFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
] as const

/**
 * Makes a processor that lets everything pass and does something when the user is silent for a while after the bot has
 * stopped speaking.
 *
 * **Details**
 *
 * - The time runs from `BotStoppedSpeakingFrame` on, once for each, unless the user is speaking or functions are being
 *   called. What comes next stops it: the user or the bot starts speaking, or functions are called.
 * - After a turn of the user it runs again when the bot has spoken: a turn without an answer is not followed by it.
 * - `UserIdleTimeoutFrame` sets the duration, 0 turns it off. Where everybody is silent already, the time starts anew.
 * - All these frames count in both directions, and go on.
 * - `onIdle` runs beside the frames and is not stopped by them. When it fails, that is reported.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Pipeline, UserIdle } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(
 *   UserIdle.make({
 *     timeout: "5 seconds",
 *     onIdle: ({ push }) => push(Frame.TextFrame.make({ text: "Are you still there?" }))
 *   })
 * )
 * ```
 *
 * Source: `UserIdleProcessor` and `UserIdleController` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R> = {}
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  const initial = Duration.toMillis(options.timeout ?? 0)
  const onIdle = options.onIdle ?? (({ push }) => push(Frame.IdleFrame.make()))
  return Processor.effect(
    options.name ?? "UserIdle",
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const timer = yield* FiberHandle.make()
      const calls = new Set<string>()
      let timeout = initial
      let userSpeaks = false
      let idle = false
      const stop = Effect.suspend(() => {
        idle = false
        return FiberHandle.clear(timer)
      })
      const start = (context: Processor.ProcessorContext): Effect.Effect<unknown, E, R> =>
        Effect.suspend(() => {
          if (!(timeout > 0) || !idle) return FiberHandle.clear(timer)
          // whichever way the frame went
          const downward = { ...context, push: context.pushDownstream }
          return Effect.sleep(timeout).pipe(
            // not in the timer's fiber: the bot that speaks because of it stops the timer only
            Effect.andThen(Effect.forkIn(Effect.catchCause(onIdle(downward), context.reportCause), scope)),
            FiberHandle.run(timer)
          )
        })
      const on = <F extends Frame.Frame>(
        f: (frame: F, context: Processor.ProcessorContext) => Effect.Effect<unknown, E, R>
      ) =>
      (frame: F, context: Processor.ProcessorContext): Effect.Effect<void, E, R> =>
        Effect.andThen(f(frame, context), context.push(frame))
      const handlers = {
        BotStartedSpeakingFrame: on<BotStartedSpeakingFrame>(() => stop),
        BotStoppedSpeakingFrame: on<BotStoppedSpeakingFrame>((_, context) => {
          idle = !userSpeaks && calls.size === 0
          return start(context)
        }),
        UserStartedSpeakingFrame: on<UserStartedSpeakingFrame>(() => {
          userSpeaks = true
          return stop
        }),
        UserStoppedSpeakingFrame: on<UserStoppedSpeakingFrame>(() => {
          userSpeaks = false
          return Effect.void
        }),
        FunctionCallsStartedFrame: on<FunctionCallsStartedFrame>(({ callIds }) => {
          for (const id of callIds) calls.add(id)
          return stop
        }),
        FunctionCallResultFrame: on<FunctionCallResultFrame>(({ callId }) => Effect.sync(() => calls.delete(callId))),
        FunctionCallCancelledFrame: on<FunctionCallCancelledFrame>(({ callId }) =>
          Effect.sync(() => calls.delete(callId))
        ),
        UserIdleTimeoutFrame: on<UserIdleTimeoutFrame>(({ milliseconds }, context) => {
          timeout = milliseconds
          return start(context)
        })
      }
      return {
        ...handlers,
        upstream: handlers,
        onEnd: (): Effect.Effect<void> => stop
      }
    }),
    { frames }
  )
}
