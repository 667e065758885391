/**
 * Strategies that find the beginning of a turn of the user.
 *
 * @since 0.1.0
 */
import type * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Frame from "./Frame.ts"
import * as DurationOption from "./internal/durationOption.ts"
import { makePhrases } from "./internal/turns/phrases.ts"
import { ProposedUserStartedSpeakingFrame } from "./TurnFrames.ts"
import * as TurnStrategy from "./TurnStrategy.ts"
import {
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  InterimTranscriptionFrame,
  TranscriptionFrame,
  UserSpeakingFrame,
  UserStartedSpeakingFrame,
  VadUserStartedSpeakingFrame
} from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a start strategy makes of a frame. Of several strategies the first one that decides is heeded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decision {
  /** A turn begins, unless one is open. Without it the decision only keeps later strategies from starting one. */
  readonly start: boolean
  /** Whether a turn that begins interrupts the bot. Default: true. */
  readonly interrupt?: boolean | undefined
  /** What goes on in place of the transcription that was decided on; `discard`: nothing. Default: the transcription. */
  readonly pass?: Frame.Frame | "discard" | undefined
  /** Run beside the frames; a failure is reported. */
  readonly run?: Effect.Effect<unknown, unknown> | undefined
}

/**
 * A strategy that finds the beginning of a turn.
 *
 * @category models
 * @since 0.1.0
 */
export interface TurnStart<out R = never> extends TurnStrategy.Strategy<Decision, R> {}

/**
 * The decision that a turn begins.
 *
 * @example
 * ```ts
 * import { TurnStart } from "@apipeline/core"
 *
 * TurnStart.start // => { start: true }
 * ```
 *
 * @category decisions
 * @since 0.1.0
 */
export const start: Decision = { start: true }

/**
 * The decision that none begins, whatever strategies further down the list make of the frame.
 *
 * @example
 * ```ts
 * import { TurnStart } from "@apipeline/core"
 *
 * TurnStart.hold // => { start: false }
 * ```
 *
 * @category decisions
 * @since 0.1.0
 */
export const hold: Decision = { start: false }

/**
 * Options that most strategies have.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Whether a turn that begins interrupts the bot. Default: true. */
  readonly interrupt?: boolean | undefined
}

/**
 * Options of strategies that look at transcriptions.
 *
 * @category models
 * @since 0.1.0
 */
export interface TranscriptionOptions extends Options {
  /** Whether an interim transcription will do. Default: true. */
  readonly interim?: boolean | undefined
}

const decisionOf = (options: Options): Decision => options.interrupt === false ? { ...start, interrupt: false } : start

const isHeard = (frame: Frame.Frame): frame is TranscriptionFrame | InterimTranscriptionFrame =>
  TranscriptionFrame.is(frame) || InterimTranscriptionFrame.is(frame)

const heardFrames = (options: TranscriptionOptions) =>
  options.interim === false ? [TranscriptionFrame] : [TranscriptionFrame, InterimTranscriptionFrame]

// ---------------------------------------------------------------------------------------------------------------------
// strategies
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A turn begins when voice activity is detected.
 *
 * @example
 * ```ts
 * import { TurnStart } from "@apipeline/core"
 *
 * TurnStart.vad().name // => "vad"
 * ```
 *
 * Source: `VADUserTurnStartStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const vad = (options: Options = {}): TurnStart => {
  const decision = decisionOf(options)
  return TurnStrategy.make("vad", [VadUserStartedSpeakingFrame], () => ({ push: () => decision }))
}

/**
 * A turn begins when something is understood: also where voice activity was too soft to be detected.
 *
 * @example
 * ```ts
 * import { TurnStart } from "@apipeline/core"
 *
 * TurnStart.transcription({ interim: false }).frames.length // => 1
 * ```
 *
 * Source: `TranscriptionUserTurnStartStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const transcription = (options: TranscriptionOptions = {}): TurnStart => {
  const decision = decisionOf(options)
  return TurnStrategy.make("transcription", heardFrames(options), () => ({ push: () => decision }))
}

/**
 * Options of {@link minWords}.
 *
 * @category models
 * @since 0.1.0
 */
export interface MinWordsOptions extends TranscriptionOptions {
  /** How many words a transcription must have while the bot speaks. */
  readonly words: number
  /** Whether a final transcription with too few words is dropped: a "hm" that means "go on". Default: false. */
  readonly discard?: boolean | undefined
}

/**
 * A turn begins, while the bot speaks, with a transcription of several words; while it does not, with any word. It is
 * the words of one transcription that count, not those of several together; words are what white space separates.
 *
 * Throws a `TypeError` when `words` is not an integer above 0.
 *
 * @example
 * ```ts
 * import { TurnStart, UserTurn } from "@apipeline/core"
 *
 * const turns = UserTurn.make({ start: [TurnStart.minWords({ words: 3, discard: true })] })
 * ```
 *
 * Source: `MinWordsUserTurnStartStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const minWords = (options: MinWordsOptions): TurnStart => {
  const { words } = options
  if (!(Number.isInteger(words) && words > 0)) {
    throw new TypeError(`TurnStart.minWords: words: found ${words}, expected an integer above 0`)
  }
  const decision = decisionOf(options)
  const frames = [BotStartedSpeakingFrame, BotStoppedSpeakingFrame, ...heardFrames(options)]
  return TurnStrategy.make<Decision>("minWords", frames, () => {
    let botSpeaks = false
    return {
      push: (frame) => {
        if (!isHeard(frame)) {
          botSpeaks = BotStartedSpeakingFrame.is(frame)
          return undefined
        }
        const count = frame.text.match(/\S+/g)?.length ?? 0
        if (count >= (botSpeaks ? words : 1)) return decision
        return options.discard === true && TranscriptionFrame.is(frame) ? { ...hold, pass: "discard" } : undefined
      }
    }
  })
}

/**
 * A turn begins when others say so. `UserStartedSpeakingFrame` is adopted: it passes, and whoever sent it has
 * interrupted the bot if that was wanted. `ProposedUserStartedSpeakingFrame` is decided on: it does not pass, and a turn
 * begins as with any other strategy.
 *
 * @example
 * ```ts
 * import { TurnStart, TurnStop, UserTurn } from "@apipeline/core"
 *
 * const turns = UserTurn.make({ start: [TurnStart.external()], stop: [TurnStop.external()] })
 * ```
 *
 * Source: `ExternalUserTurnStartStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const external = (options: Options = {}): TurnStart => {
  const decision = decisionOf(options)
  const adopted: Decision = { start: true, interrupt: false }
  return {
    ...TurnStrategy.make<Decision>("external", [UserStartedSpeakingFrame, ProposedUserStartedSpeakingFrame], () => ({
      push: (frame) => UserStartedSpeakingFrame.is(frame) ? adopted : decision
    })),
    resolves: [ProposedUserStartedSpeakingFrame]
  }
}

/**
 * Options of {@link wakePhrase}.
 *
 * @category models
 * @since 0.1.0
 */
export interface WakePhraseOptions<E = never, R = never> extends Options {
  /** The phrases that wake; case, punctuation and the white space between words do not matter. */
  readonly phrases: ReadonlyArray<string>
  /** How long the bot stays awake when nothing more is said. Default: 10 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Whether the phrase is needed for every turn. Default: false. */
  readonly singleActivation?: boolean | undefined
  /** Run when a phrase was found. */
  readonly onWake?: ((phrase: string) => Effect.Effect<unknown, E, R>) | undefined
  /** Run when the timeout has passed. */
  readonly onSleep?: (() => Effect.Effect<unknown, E, R>) | undefined
}

/**
 * A turn begins with a wake phrase. As long as none was said, strategies further down the list start nothing and what is
 * understood is dropped; afterwards it is for them to decide, until nothing has come for a while. Put it first.
 *
 * **Details**
 *
 * - A phrase may come in pieces, in several transcriptions: the one that completes it begins the turn and goes on, with
 *   the text from the beginning of the phrase. Interim transcriptions never wake.
 * - What the user says renews the timeout: transcriptions of either sort, voice activity, `UserSpeakingFrame`. It does
 *   not pass while a turn is open.
 * - With `singleActivation` nothing renews it, and the end of the turn ends it.
 *
 * Throws a `TypeError` when there is no phrase, a phrase has no word in it, or the timeout is not above 0.
 *
 * @example
 * ```ts
 * import { TurnStart, UserTurn } from "@apipeline/core"
 *
 * const turns = UserTurn.make({
 *   start: [TurnStart.wakePhrase({ phrases: ["hey robot"] }), TurnStart.vad(), TurnStart.transcription()]
 * })
 * ```
 *
 * Source: `WakePhraseUserTurnStartStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const wakePhrase = <E = never, R = never>(options: WakePhraseOptions<E, R>): TurnStart<R> => {
  const phrases = makePhrases("TurnStart.wakePhrase", options.phrases)
  const timeout = DurationOption.positive("TurnStart.wakePhrase: timeout", options.timeout ?? "10 seconds")
  const woken = decisionOf(options)
  const asleep: Decision = { ...hold, pass: "discard" }
  const single = options.singleActivation === true
  const { onSleep, onWake } = options
  return {
    name: "wakePhrase",
    frames: [TranscriptionFrame, InterimTranscriptionFrame, VadUserStartedSpeakingFrame, UserSpeakingFrame],
    machine: Effect.contextWith((services: Context.Context<R>) =>
      Effect.sync((): TurnStrategy.Machine<Decision> => {
        let awakeUntil: number | undefined
        let turn = false
        let heard = ""
        const sleep = (): void => {
          awakeUntil = undefined
          heard = ""
        }
        return {
          push: (frame, now) => {
            if (awakeUntil !== undefined) {
              if (!single) awakeUntil = now + timeout
              return undefined
            }
            if (!TranscriptionFrame.is(frame)) return isHeard(frame) ? asleep : hold
            heard = phrases.append(heard, frame.text)
            const found = phrases.find(heard)
            if (found === undefined) return asleep
            awakeUntil = now + timeout
            return {
              ...woken,
              pass: found.from === frame.text ? frame : Frame.copy(frame, { text: found.from }),
              run: onWake && Effect.provide(onWake(found.phrase), services)
            }
          },
          deadline: () => turn ? undefined : awakeUntil,
          wake: (now) => {
            if (turn || awakeUntil === undefined || now < awakeUntil) return undefined
            sleep()
            return { ...hold, run: onSleep && Effect.provide(onSleep(), services) }
          },
          turnStarted: () => {
            turn = true
          },
          turnStopped: (now) => {
            turn = false
            if (single) sleep()
            else if (awakeUntil !== undefined) awakeUntil = Math.max(awakeUntil, now + timeout)
          }
        }
      })
    )
  }
}
