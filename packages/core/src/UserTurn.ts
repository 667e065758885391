/**
 * Turns of the user: when one begins, which interrupts the bot, and when it is over, which is when the bot may answer.
 *
 * Strategies decide: those of `TurnStart` and `TurnStop`, or your own. Those of `Mute` tell when the user is not listened
 * to.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberMap from "effect/FiberMap"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"
import type * as Frame from "./Frame.ts"
import * as DurationOption from "./internal/durationOption.ts"
import { Running, type Step, TurnController } from "./internal/turns/turnController.ts"
import type * as Mute from "./Mute.ts"
import * as Processor from "./Processor.ts"
import * as TurnStart from "./TurnStart.ts"
import * as TurnStop from "./TurnStop.ts"
import type * as TurnStrategy from "./TurnStrategy.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whether a turn that begins interrupts the bot: always, only while an answer is expected or spoken (from the end of a
 * turn, or from a request to the language model that passes, until the bot has stopped speaking), or never.
 *
 * @category models
 * @since 0.1.0
 */
export type Interrupt = "always" | "answering" | "never"

/**
 * Why a turn is over: a strategy has decided so, nothing was heard for too long, the user was muted, or the task ends.
 *
 * @category models
 * @since 0.1.0
 */
export type StopReason = "strategy" | "timeout" | "muted" | "end"

/**
 * What has happened, and by which strategy.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "TurnStarted"; readonly strategy: string }
  | { readonly _tag: "InferenceTriggered"; readonly strategy: string }
  | { readonly _tag: "TurnStopped"; readonly reason: StopReason; readonly strategy: string | undefined }
  | { readonly _tag: "MuteStarted" }
  | { readonly _tag: "MuteStopped" }

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<RStart = never, RStop = never, E = never, R = never> {
  /** Default: `UserTurn`. */
  readonly name?: string | undefined
  /** Default: `TurnStart.vad()` and `TurnStart.transcription()`. The first one that decides is heeded. */
  readonly start?: ReadonlyArray<TurnStart.TurnStart<RStart>> | undefined
  /** Default: `TurnStop.speechTimeout()`. */
  readonly stop?: ReadonlyArray<TurnStop.TurnStop<RStop>> | undefined
  /** Default: none. */
  readonly mute?: ReadonlyArray<Mute.Mute> | undefined
  /** A turn is over when nothing was heard for so long and no strategy has ended it. Default: 5 seconds, as in pipecat. */
  readonly stopTimeout?: Duration.Input | undefined
  /** Default: `always`. */
  readonly interrupt?: Interrupt | undefined
  /** Run beside the frames at each event, after the frames that tell of it; a failure is reported. Default: nothing. */
  readonly onEvent?: ((event: Event) => Effect.Effect<unknown, E, R>) | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// processor
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a processor that decides on the turns of the user. It sends `UserStartedSpeakingFrame` and interrupts the bot when
 * one begins, and `UserStoppedSpeakingFrame` when it is over, both ways. Put it behind the recognition of speech, and make
 * the detection of voice activity send `VadUserStartedSpeakingFrame` and `VadUserStoppedSpeakingFrame`.
 *
 * **Details**
 *
 * - What it goes by passes, and frames about it follow. Only a transcription that begins a turn goes on behind the
 *   interruption, which would cut it.
 * - A turn that has begun ends: by a strategy, but not while the user speaks; by `stopTimeout`, with the user silent; when
 *   the user is muted; or at the end of the task. `StopTaskFrame` leaves it to the task that takes over.
 * - While the user is muted, audio, transcriptions and everything about the user's voice are dropped, and nothing begins
 *   a turn; what is typed passes. `UserMuteStartedFrame` and `UserMuteStoppedFrame` tell of it, both ways. Voice
 *   activity that goes on when the user is muted has its end before; what is left of it, and of any that begins meanwhile,
 *   is dropped, also when it lasts longer.
 * - Frames of others that announce turns (`UserStartedSpeakingFrame`, `UserStoppedSpeakingFrame`) pass when they say
 *   something new, so that both come in turn. Proposals do not pass when a strategy decides on them.
 * - `SttMetadataFrame` and `VadParamsFrame` tell strategies how long to wait. Whatever passes counts both ways.
 *
 * **Gotchas**
 *
 * A noise that is taken for a voice begins a turn (`TurnStart.vad`), in which nothing is understood: it interrupts the bot,
 * and is over after `stopTimeout`. What the user says meanwhile belongs to the same turn, and is answered as always. Where
 * there is noise, let words begin a turn: `TurnStart.transcription` or `TurnStart.minWords`. A bot that is to speak up after
 * such a turn can hear of it in `onEvent` (`reason: "timeout"`): nobody else does.
 *
 * Throws a `TypeError` when `stopTimeout` is not above 0.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Mute, Pipeline, TurnStart, TurnStop, UserTurn, Vad, VoiceFrames } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(
 *   Vad.make({
 *     started: () => VoiceFrames.VadUserStartedSpeakingFrame.make(),
 *     stopped: () => VoiceFrames.VadUserStoppedSpeakingFrame.make()
 *   }),
 *   // recognition of speech
 *   UserTurn.make({
 *     start: [TurnStart.minWords({ words: 2 })],
 *     stop: [TurnStop.speechTimeout({ timeout: "800 millis" })],
 *     mute: [Mute.firstSpeech],
 *     onEvent: (event) => Effect.logDebug(event)
 *   })
 * )
 * ```
 *
 * Source: `UserTurnProcessor` and `UserTurnController` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <RStart = never, RStop = never, E = never, R = never>(
  options: Options<RStart, RStop, E, R> = {}
): Processor.Processor<E, RStart | RStop | Exclude<R, Scope.Scope>> => {
  const stopTimeout = DurationOption.positive("UserTurn: stopTimeout", options.stopTimeout ?? "5 seconds")
  const {
    interrupt = "always",
    mute = [],
    onEvent,
    start = [TurnStart.vad(), TurnStart.transcription()],
    stop = [TurnStop.speechTimeout()]
  } = options
  return Processor.effect(
    options.name ?? "UserTurn",
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const clock = yield* Clock.Clock
      const starts = yield* Effect.forEach(start, instance)
      const stops = yield* Effect.forEach(stop, instance)
      const all: ReadonlyArray<Running<TurnStart.Decision> | Running<TurnStop.Decision>> = [...starts, ...stops]
      const controller = new TurnController(starts, stops, { mute, stopTimeout, interrupt })
      const changed = yield* Latch.make(false)
      const questions = yield* FiberMap.make<number>()
      const asked: Array<Effect.Effect<void, unknown> | undefined> = []
      const now = (): number => clock.currentTimeMillisUnsafe()
      let isRunning = false
      /** Earlier deadlines have to wake who waits. */
      let sleepsUntil = -Infinity

      const beside = (effect: Effect.Effect<unknown, unknown, R>, context: Processor.ProcessorContext) =>
        Effect.forkIn(Effect.catchCause(effect, context.reportCause), scope, { startImmediately: true })

      const perform = (
        step: Step,
        context: Processor.ProcessorContext,
        restore: <A, E2, R2>(effect: Effect.Effect<A, E2, R2>) => Effect.Effect<A, E2, R2>
      ): Effect.Effect<unknown, never, R> => {
        switch (step._tag) {
          case "Pass":
            return Effect.exit(restore(context.push(step.frame)))
          case "Down":
            return context.pushDownstream(step.frame)
          case "Both":
            return Effect.andThen(context.pushDownstream(step.make()), context.pushUpstream(step.make()))
          case "Interrupt":
            return Effect.exit(restore(context.interrupt))
          case "Run":
            return beside(step.effect, context)
          case "Tell":
            return onEvent === undefined ? Effect.void : beside(onEvent(step.event), context)
        }
      }

      /** Whatever cuts the frame at hand, what was decided is told. */
      const react = (
        steps: ReadonlyArray<Step>,
        context: Processor.ProcessorContext
      ): Effect.Effect<void, never, R> => {
        const unanswered = follow(context)
        const only = steps.length === 1 ? steps[0]! : undefined
        const told = only?._tag === "Pass"
          ? context.push(only.frame)
          : Effect.uninterruptibleMask((restore) =>
            Effect.forEach(steps, (step) => perform(step, context, restore), { discard: true })
          )
        return unanswered === undefined ? told : Effect.andThen(told, unanswered)
      }

      /** Sees to what strategies wait for now: deadlines, and answers to questions. */
      const follow = (context: Processor.ProcessorContext): Effect.Effect<void> | undefined => {
        if (isRunning && (controller.deadline ?? Infinity) < sleepsUntil) changed.openUnsafe()
        let work: Effect.Effect<void> | undefined
        for (let i = 0; i < all.length; i++) {
          const one = all[i]!
          const question = one.machine.question?.()
          if (question === asked[i]) continue
          asked[i] = question
          const next = question === undefined ? FiberMap.remove(questions, i) : ask(i, one, question, context)
          work = work === undefined ? next : Effect.andThen(work, next)
        }
        return work
      }

      const ask = (
        index: number,
        one: Running<TurnStart.Decision> | Running<TurnStop.Decision>,
        question: Effect.Effect<void, unknown>,
        context: Processor.ProcessorContext
      ): Effect.Effect<void> =>
        question.pipe(
          Effect.catchCause(context.reportCause),
          Effect.andThen(Effect.suspend(() => {
            if (asked[index] !== question) return Effect.void
            asked[index] = one.machine.question?.()
            const steps = controller.answered(one as Running<any>, now())
            // not in the fiber of the question: the next one takes its place
            return Effect.forkIn(react(steps, context), scope, { startImmediately: true })
          })),
          FiberMap.run(questions, index),
          Effect.asVoid
        ) as Effect.Effect<void>

      const handlersOf = (direction: Frame.Direction) => {
        const handle = (frame: Frame.Frame, context: Processor.ProcessorContext): Effect.Effect<void, never, R> =>
          react(controller.push(frame, direction, now()), context)
        return Object.fromEntries(Array.from(controller.tags, (tag) => [tag, handle]))
      }

      return {
        ...handlersOf("downstream"),
        upstream: handlersOf("upstream"),
        onStart: (_: Frame.StartFrame, context: Processor.ProcessorContext): Effect.Effect<void, never, R> =>
          Effect.suspend(() => {
            isRunning = true
            changed.openUnsafe()
            return react(controller.start(now()), context)
          }),
        // until another task takes over, nobody could be told
        StopTaskFrame: (): Effect.Effect<void> =>
          Effect.sync(() => {
            isRunning = false
            changed.openUnsafe()
          }),
        onEnd: (_: Frame.EndFrame, context: Processor.ProcessorContext): Effect.Effect<void, never, R> =>
          Effect.suspend(() => react(controller.end(now()), context)),
        run: (_: undefined, context: Processor.ProcessorContext): Effect.Effect<never, never, R> =>
          Effect.forever(Effect.gen(function*() {
            changed.closeUnsafe()
            const next = isRunning ? controller.deadline : undefined
            sleepsUntil = next ?? Infinity
            if (next === undefined) return yield* changed.await
            const left = next - now()
            if (left > 0) return yield* Effect.raceFirst(Effect.sleep(left), changed.await)
            sleepsUntil = -Infinity
            yield* react(controller.wake(now()), context)
          }))
      }
    })
  ) as Processor.Processor<E, RStart | RStop | Exclude<R, Scope.Scope>>
}

const instance = <Decision, R>(
  strategy: TurnStrategy.Strategy<Decision, R>
): Effect.Effect<Running<Decision>, never, R | Scope.Scope> =>
  Effect.map(strategy.machine, (machine) => new Running(strategy, machine))
