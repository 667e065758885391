/**
 * Strategies that tell when the user is not listened to. `UserTurn` follows them.
 *
 * @since 0.1.0
 */
import type * as Frame from "./Frame.ts"
import {
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  FunctionCallCancelledFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame
} from "./VoiceFrames.ts"

/**
 * A strategy: a description, of which each task has its own state. The user is muted when any of the strategies says so.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mute {
  readonly name: string
  /** The frames that it is told of, by class or tag, whichever way they travel. */
  readonly frames: ReadonlyArray<string | { readonly tag: string }>
  /** Whether the user is muted at first. Default: false. */
  readonly initial?: boolean | undefined
  /** Makes the state: it is told of each frame, and says whether the user is muted from then on. */
  readonly make: () => (frame: Frame.Frame) => boolean
}

/**
 * Makes a strategy of your own.
 *
 * @example
 * ```ts
 * import { Mute, UserTurn, VoiceFrames } from "@apipeline/core"
 *
 * // the star key mutes, and the next one ends it
 * const star = Mute.make({
 *   name: "star",
 *   frames: [VoiceFrames.InputDtmfFrame],
 *   make: () => {
 *     let muted = false
 *     return (frame) => muted = VoiceFrames.InputDtmfFrame.is(frame) && frame.key === "*" ? !muted : muted
 *   }
 * })
 * const turns = UserTurn.make({ mute: [star] })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (strategy: Mute): Mute => strategy

const bot = [BotStartedSpeakingFrame, BotStoppedSpeakingFrame]

/**
 * The user is muted whenever the bot speaks.
 *
 * @example
 * ```ts
 * import { Mute, VoiceFrames } from "@apipeline/core"
 *
 * const isMuted = Mute.always.make()
 * isMuted(VoiceFrames.BotStartedSpeakingFrame.make()) // => true
 * ```
 *
 * Source: `AlwaysUserMuteStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const always: Mute = make({
  name: "always",
  frames: bot,
  make: () => (frame) => BotStartedSpeakingFrame.is(frame)
})

/**
 * The user is muted while the bot speaks for the first time.
 *
 * @example
 * ```ts
 * import { Mute, VoiceFrames } from "@apipeline/core"
 *
 * const isMuted = Mute.firstSpeech.make()
 * isMuted(VoiceFrames.BotStartedSpeakingFrame.make()) // => true
 * ```
 *
 * Source: `FirstSpeechUserMuteStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const firstSpeech: Mute = make({
  name: "firstSpeech",
  frames: bot,
  make: () => {
    let over = false
    return (frame) => {
      over ||= BotStoppedSpeakingFrame.is(frame)
      return !over
    }
  }
})

/**
 * The user is muted from the beginning until the bot has spoken for the first time.
 *
 * @example
 * ```ts
 * import { Mute } from "@apipeline/core"
 *
 * Mute.untilFirstBotComplete.initial // => true
 * ```
 *
 * Source: `MuteUntilFirstBotCompleteUserMuteStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const untilFirstBotComplete: Mute = { ...firstSpeech, name: "untilFirstBotComplete", initial: true }

/**
 * The user is muted while functions are called: until each has a result or was cancelled.
 *
 * @example
 * ```ts
 * import { Mute, VoiceFrames } from "@apipeline/core"
 *
 * const isMuted = Mute.functionCall.make()
 * isMuted(VoiceFrames.FunctionCallsStartedFrame.make({ callIds: ["1"] })) // => true
 * ```
 *
 * Source: `FunctionCallUserMuteStrategy` of pipecat.
 *
 * @category strategies
 * @since 0.1.0
 */
export const functionCall: Mute = make({
  name: "functionCall",
  frames: [FunctionCallsStartedFrame, FunctionCallResultFrame, FunctionCallCancelledFrame],
  make: () => {
    const calls = new Set<string>()
    return (frame) => {
      if (FunctionCallsStartedFrame.is(frame)) { for (const id of frame.callIds) calls.add(id) }
      else if (FunctionCallResultFrame.is(frame) || FunctionCallCancelledFrame.is(frame)) calls.delete(frame.callId)
      return calls.size > 0
    }
  }
})
