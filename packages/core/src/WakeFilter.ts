/**
 * Lets what users say pass only after a wake phrase, and tells others when something worth waking up for passes.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import type * as Predicate from "effect/Predicate"
import type * as Scope from "effect/Scope"
import * as Frame from "./Frame.ts"
import { makePhrases } from "./internal/turns/phrases.ts"
import type * as Notifier from "./Notifier.ts"
import * as Processor from "./Processor.ts"
import { InterimTranscriptionFrame, TranscriptionFrame, UserSpeakingFrame } from "./VoiceFrames.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /** Default: `WakeFilter`. */
  readonly name?: string | undefined
  /** The phrases that wake; case, punctuation and the white space between words do not matter. */
  readonly phrases: ReadonlyArray<string>
  /** How long a user is listened to without saying anything more. Default: 3 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** With `false` the timeout runs from the phrase on, whatever is said. Default: true. */
  readonly renew?: boolean | undefined
  /** Run when a phrase was found, before the frame goes on. Default: nothing. */
  readonly onWake?: ((phrase: string, userId: string) => Effect.Effect<unknown, E, R>) | undefined
  /** Run when the timeout has passed. Default: nothing. */
  readonly onSleep?: ((userId: string) => Effect.Effect<unknown, E, R>) | undefined
}

interface User {
  awake: boolean
  heard: string
}

/**
 * Makes a filter that drops transcriptions until a user has said a wake phrase, and then lets those of that user pass
 * until nothing has come from them for a while.
 *
 * **Details**
 *
 * - A phrase may come in pieces, in several transcriptions: the frame that completes it goes on, with the text from the
 *   beginning of the phrase. All further transcriptions of that user go on as they are.
 * - Interim transcriptions never wake; they pass while their user is awake.
 * - `UserSpeakingFrame` and transcriptions of either sort renew the timeout.
 * - All other frames pass, in both directions. An interruption changes nothing: it is what somebody who speaks causes.
 * - When `onWake` or `onSleep` fails, that is reported and the frame goes on all the same.
 *
 * Throws a `TypeError` when there is no phrase, or a phrase has no word in it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, WakeFilter } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(
 *   WakeFilter.make({
 *     phrases: ["hey robot", "ok robot"],
 *     timeout: "10 seconds",
 *     onWake: (phrase, userId) => Effect.log(`${userId} said ${phrase}`)
 *   })
 * )
 * ```
 *
 * Source: `WakeCheckFilter` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R>
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  const phrases = makePhrases("WakeFilter", options.phrases)
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "3 seconds")
  const renews = options.renew !== false
  const { onSleep, onWake } = options
  return Processor.effect(
    options.name ?? "WakeFilter",
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const timers = yield* FiberMap.make<string>()
      const users = new Map<string, User>()
      const startTimer = (userId: string, { reportCause }: Processor.ProcessorContext): Effect.Effect<unknown, E, R> =>
        Effect.sleep(timeout).pipe(
          Effect.flatMap(() => {
            users.delete(userId)
            // not in the timer's fiber: who speaks again stops the timer only
            if (onSleep === undefined) return Effect.void
            return Effect.forkIn(Effect.catchCause(onSleep(userId), reportCause), scope)
          }),
          FiberMap.run(timers, userId)
        )
      const hear = (frame: TranscriptionFrame, context: Processor.ProcessorContext): Effect.Effect<unknown, E, R> => {
        const { text, userId } = frame
        const user = users.get(userId) ?? { awake: false, heard: "" }
        users.set(userId, user)
        if (user.awake) {
          return Effect.andThen(renews ? startTimer(userId, context) : Effect.void, context.push(frame))
        }
        user.heard = phrases.append(user.heard, text)
        const found = phrases.find(user.heard)
        if (found === undefined) return Effect.void
        user.awake = true
        return startTimer(userId, context).pipe(
          Effect.andThen(
            onWake === undefined ? Effect.void : Effect.catchCause(onWake(found.phrase, userId), context.reportCause)
          ),
          Effect.andThen(context.push(found.from === text ? frame : Frame.copy(frame, { text: found.from })))
        )
      }
      return {
        TranscriptionFrame: hear,
        InterimTranscriptionFrame: (
          frame: InterimTranscriptionFrame,
          context: Processor.ProcessorContext
        ): Effect.Effect<unknown, E, R> => {
          if (users.get(frame.userId)?.awake !== true) return Effect.void
          return Effect.andThen(renews ? startTimer(frame.userId, context) : Effect.void, context.push(frame))
        },
        UserSpeakingFrame: (
          frame: UserSpeakingFrame,
          context: Processor.ProcessorContext
        ): Effect.Effect<unknown, E, R> => {
          const awake = renews ? [...users].filter(([, user]) => user.awake) : []
          return Effect.andThen(
            Effect.forEach(awake, ([userId]) => startTimer(userId, context), { discard: true }),
            context.push(frame)
          )
        }
      }
    }),
    { frames: [TranscriptionFrame, InterimTranscriptionFrame, UserSpeakingFrame] }
  )
}

/**
 * Options of {@link notifier}.
 *
 * @category models
 * @since 0.1.0
 */
export interface NotifierOptions {
  /** Default: `WakeNotifier`. */
  readonly name?: string | undefined
  /** The way of the frames that notify. Default: `downstream`. */
  readonly direction?: Frame.Direction | "both" | undefined
}

/**
 * Makes a processor that notifies whenever a frame passes for which the predicate is true, just before it goes on. It
 * drops nothing. The predicate is asked for all frames but lifecycle frames.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, HoldAggregator, Notifier, Pipeline, VoiceFrames, WakeFilter } from "@apipeline/core"
 *
 * const pipeline = Effect.gen(function*() {
 *   const turnIsOver = yield* Notifier.make
 *   return Pipeline.make(
 *     HoldAggregator.all(VoiceFrames.TranscriptionFrame.is, { notifier: turnIsOver }),
 *     WakeFilter.notifier(turnIsOver, VoiceFrames.UserStoppedSpeakingFrame.is)
 *   )
 * })
 * ```
 *
 * Source: `WakeNotifierFilter` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const notifier = (
  notifier: Notifier.Notifier,
  predicate: Predicate.Predicate<Frame.Frame>,
  options: NotifierOptions = {}
): Processor.Processor => {
  const { direction = "downstream" } = options
  const pass = (frame: Frame.Frame, push: Processor.Push): void => {
    if (predicate(frame)) notifier.notifyUnsafe()
    push(frame)
  }
  const handlers = { data: pass, control: pass, system: pass }
  return Processor.sync(options.name ?? "WakeNotifier", {
    ...(direction === "upstream" ? undefined : handlers),
    ...(direction === "downstream" ? undefined : { upstream: handlers })
  })
}
