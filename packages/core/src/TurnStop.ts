/**
 * Strategies that find the end of a turn of the user.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Frame from "./Frame.ts"
import { notNegative } from "./internal/durationOption.ts"
import { SpeechEnd, speechEndFrames } from "./internal/turns/speechEnd.ts"
import { makeDetection } from "./internal/turns/turnDetection.ts"
import * as TurnDetector from "./TurnDetector.ts"
import {
  ProposedUserStartedSpeakingFrame,
  ProposedUserStoppedSpeakingFrame,
  UserTurnInferenceCompletedFrame
} from "./TurnFrames.ts"
import * as TurnStrategy from "./TurnStrategy.ts"
import {
  InterimTranscriptionFrame,
  TranscriptionFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a stop strategy decides: the turn is over (`stop`), or enough was said to begin an answer while somebody else
 * judges whether it is over (`infer`). It counts only while a turn is open and the user is silent.
 *
 * @category models
 * @since 0.1.0
 */
export type Decision = "stop" | "infer"

/**
 * A strategy that finds the end of a turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface TurnStop<out R = never> extends TurnStrategy.Strategy<Decision, R> {}

/**
 * Options that most strategies have.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether a turn ends only after something was understood. Default: true. */
  readonly waitForTranscript?: boolean | undefined
}

const millis = (who: string, input: Duration.Input): number => notNegative(`TurnStop.${who}`, input)

// ---------------------------------------------------------------------------------------------------------------------
// strategies
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link speechTimeout}.
 *
 * @category models
 * @since 0.1.0
 */
export interface SpeechTimeoutOptions extends Options {
  /** How long the user may pause. Default: 600 ms, as in pipecat. */
  readonly timeout?: Duration.Input | undefined
}

/**
 * The turn is over when the user has been silent for a while, everything was understood, and it was something.
 *
 * **Details**
 *
 * - The time runs from the end of voice activity, which is told some time after the end of speech.
 * - Everything was understood when a transcription says that it is the last one (`finalized`), or when the recogniser has
 *   had its time: `SttMetadataFrame` tells how long that is, from the end of speech on. Without one, there is no wait.
 * - A transcription that comes later than both ends the turn at once.
 * - Without voice activity the time runs from the last transcription on.
 *
 * Throws a `TypeError` when the timeout is negative.
 *
 * @example
 * ```ts
 * import { TurnStop, UserTurn } from "@apipeline/core"
 *
 * const turns = UserTurn.make({ stop: [TurnStop.speechTimeout({ timeout: "800 millis" })] })
 * ```
 *
 * Source: `SpeechTimeoutUserTurnStopStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const speechTimeout = (options: SpeechTimeoutOptions = {}): TurnStop => {
  const timeout = millis("speechTimeout: timeout", options.timeout ?? "600 millis")
  const needsText = options.waitForTranscript !== false
  return TurnStrategy.make<Decision>("speechTimeout", speechEndFrames, () => {
    const end = new SpeechEnd()
    let silentUntil: number | undefined
    const decide = (now: number): Decision | undefined =>
      silentUntil !== undefined && now >= silentUntil && end.isUnderstood(now, needsText) ? "stop" : undefined
    return {
      push: (frame, now) => {
        const change = end.push(frame, now)
        if (change === "started") silentUntil = undefined
        if (change === "stopped" || change === "text" && end.hasNoVad) silentUntil = now + timeout
        return decide(now)
      },
      deadline: () => silentUntil === undefined ? undefined : Math.max(silentUntil, end.understoodAt),
      wake: decide,
      turnStarted: () => {
        end.reset()
        silentUntil = undefined
      },
      turnStopped: () => {
        end.reset()
        silentUntil = undefined
      }
    }
  })
}

/**
 * Options of {@link turnDetector}.
 *
 * @category models
 * @since 0.1.0
 */
export interface TurnDetectorOptions extends Options {
  /** The probability from which on a turn is complete. Default: 0.5. */
  readonly threshold?: number | undefined
  /** A silence after which a turn is over although it seems incomplete. Default: 3 seconds, as in pipecat's Smart Turn. */
  readonly incompleteTimeout?: Duration.Input | undefined
  /** How long the detector may take. Later, its failure is reported and the turn taken for complete. Default: 2 seconds. */
  readonly answerTimeout?: Duration.Input | undefined
}

/**
 * The turn is over when the service `TurnDetector` takes it for complete, and what was said is understood as with
 * {@link speechTimeout}.
 *
 * **Details**
 *
 * - The detector is asked when voice activity ends, and again when text comes later, unless it goes by what it hears. One
 *   that goes by text is not asked before there is some. A new answer takes the place of the old one.
 * - The recogniser has its time from the end of speech on, however long the detector takes.
 * - The user who goes on speaking ends the question.
 * - When the detector fails, that is reported and the turn taken for complete.
 * - Without voice activity the turn is over when the recogniser has had its time since the last transcription.
 *
 * Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PipelineTask, TurnDetector, TurnStop, UserTurn } from "@apipeline/core"
 *
 * const turns = UserTurn.make({ stop: [TurnStop.turnDetector()] })
 * const task = PipelineTask.make(turns).pipe(Effect.provide(TurnDetector.layerText()))
 * ```
 *
 * Source: `TurnAnalyzerUserTurnStopStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const turnDetector = (options: TurnDetectorOptions = {}): TurnStop<TurnDetector.TurnDetector> => {
  const { threshold = 0.5 } = options
  if (!(threshold >= 0 && threshold <= 1)) {
    throw new TypeError(`TurnStop.turnDetector: threshold: found ${threshold}, expected a number from 0 to 1`)
  }
  const settings = {
    threshold,
    needsText: options.waitForTranscript !== false,
    incompleteTimeout: millis("turnDetector: incompleteTimeout", options.incompleteTimeout ?? "3 seconds"),
    answerTimeout: millis("turnDetector: answerTimeout", options.answerTimeout ?? "2 seconds")
  }
  return {
    name: "turnDetector",
    frames: [...speechEndFrames, Frame.AudioRawFrame],
    machine: Effect.map(TurnDetector.TurnDetector, (detector) => makeDetection(detector, settings))
  }
}

/**
 * Options of {@link external}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ExternalOptions extends Options {
  /** How long to wait, from each transcription that comes after the signal, for more. Default: 500 ms, as in pipecat. */
  readonly timeout?: Duration.Input | undefined
  /** The user who goes on within this time goes on with the turn. Default: 0. */
  readonly grace?: Duration.Input | undefined
}

/**
 * The turn is over when others say so, with `UserStoppedSpeakingFrame` or `ProposedUserStoppedSpeakingFrame`, and
 * something was understood.
 *
 * **Details**
 *
 * - When there is no text yet, or an interim one shows that more comes, the turn ends `timeout` after the text that comes
 *   later.
 * - `UserStartedSpeakingFrame` or `ProposedUserStartedSpeakingFrame` take a signal back.
 * - Without `waitForTranscript`, a turn that opens after the signal ends after `timeout`.
 *
 * Throws a `TypeError` when a duration is negative.
 *
 * @example
 * ```ts
 * import { TurnStart, TurnStop, UserTurn } from "@apipeline/core"
 *
 * const turns = UserTurn.make({ start: [TurnStart.external()], stop: [TurnStop.external({ grace: "300 millis" })] })
 * ```
 *
 * Source: `ExternalUserTurnStopStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const external = (options: ExternalOptions = {}): TurnStop => {
  const timeout = millis("external: timeout", options.timeout ?? "500 millis")
  const grace = millis("external: grace", options.grace ?? 0)
  const needsText = options.waitForTranscript !== false
  const frames = [
    InterimTranscriptionFrame,
    ProposedUserStartedSpeakingFrame,
    ProposedUserStoppedSpeakingFrame,
    TranscriptionFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame
  ]
  return {
    ...TurnStrategy.make<Decision>("external", frames, () => {
      let speaks = false
      let signalled = false
      let hasText = false
      let moreComes = false
      let due: number | undefined
      const decide = (now: number): Decision | undefined => {
        if (due === undefined || now < due) return undefined
        due = undefined
        return "stop"
      }
      const after = (wait: number, now: number): Decision | undefined => {
        due = now + wait + grace
        return decide(now)
      }
      return {
        push: (frame, now) => {
          switch (frame._tag) {
            case UserStartedSpeakingFrame.tag:
            case ProposedUserStartedSpeakingFrame.tag:
              speaks = true
              signalled = false
              due = undefined
              return undefined
            case InterimTranscriptionFrame.tag:
              moreComes = true
              if (needsText) due = undefined
              return undefined
            case TranscriptionFrame.tag:
              hasText = true
              moreComes = false
              return needsText && signalled ? after(timeout, now) : undefined
            default:
              speaks = false
              signalled = true
              return !needsText || hasText && !moreComes ? after(0, now) : undefined
          }
        },
        deadline: () => due,
        wake: decide,
        turnStarted: (now) => {
          hasText = moreComes = signalled = false
          due = needsText || speaks ? undefined : now + timeout + grace
        },
        turnStopped: () => {
          hasText = moreComes = signalled = false
          due = undefined
        }
      }
    }),
    resolves: [ProposedUserStoppedSpeakingFrame]
  }
}

/**
 * The turn is over when `UserTurnInferenceCompletedFrame` comes while the user is silent: somebody has judged it. Put it
 * beside a strategy that is {@link deferred}.
 *
 * @example
 * ```ts
 * import { TurnStop, UserTurn } from "@apipeline/core"
 *
 * const turns = UserTurn.make({
 *   stop: [TurnStop.deferred(TurnStop.speechTimeout()), TurnStop.externalCompletion()]
 * })
 * ```
 *
 * Source: `ExternalUserTurnCompletionStopStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const externalCompletion = (): TurnStop =>
  TurnStrategy.make("externalCompletion", [UserTurnInferenceCompletedFrame], () => ({ push: () => "stop" }))

// ---------------------------------------------------------------------------------------------------------------------
// combinators
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The same strategy, but where it would end the turn it only says that an answer may begin: a
 * `UserTurnInferenceTriggeredFrame` goes downstream.
 *
 * @example
 * ```ts
 * import { TurnStop } from "@apipeline/core"
 *
 * TurnStop.deferred(TurnStop.speechTimeout()).name // => "deferred speechTimeout"
 * ```
 *
 * Source: `deferred` of pipecat.
 *
 * @category combinators
 * @since 0.1.0
 */
export const deferred = <R>(self: TurnStop<R>): TurnStop<R> => ({
  ...self,
  name: `deferred ${self.name}`,
  machine: Effect.map(self.machine, (machine): TurnStrategy.Machine<Decision> => {
    const { push, wake } = machine
    const defer = (decision: Decision | undefined): Decision | undefined => decision === "stop" ? "infer" : decision
    return {
      ...machine,
      push: (frame, now) => defer(push(frame, now)),
      wake: wake && ((now) => defer(wake(now)))
    }
  })
})
