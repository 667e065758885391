/**
 * Frames of conversations: who speaks, what was said, which key was pressed. They are app frames, and the processors
 * for voice understand them; list them under `frames` to handle them in a processor of your own.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Frame from "./Frame.ts"

// ---------------------------------------------------------------------------------------------------------------------
// who speaks
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The user has begun to speak: a turn of the user starts.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.UserStartedSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class UserStartedSpeakingFrame
  extends Frame.App<UserStartedSpeakingFrame>()("UserStartedSpeakingFrame", {}, { kind: "system" })
{}

/**
 * The user has stopped speaking: the turn of the user is over.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.UserStoppedSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class UserStoppedSpeakingFrame
  extends Frame.App<UserStoppedSpeakingFrame>()("UserStoppedSpeakingFrame", {}, { kind: "system" })
{}

/**
 * The user is speaking: sent again and again while it lasts.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.UserSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class UserSpeakingFrame extends Frame.App<UserSpeakingFrame>()("UserSpeakingFrame", {}, { kind: "system" }) {}

/**
 * The bot has begun to speak: what it says is being played.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.BotStartedSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class BotStartedSpeakingFrame
  extends Frame.App<BotStartedSpeakingFrame>()("BotStartedSpeakingFrame", {}, { kind: "system" })
{}

/**
 * The bot has stopped speaking, because all was played or because it was interrupted.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.BotStoppedSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class BotStoppedSpeakingFrame
  extends Frame.App<BotStoppedSpeakingFrame>()("BotStoppedSpeakingFrame", {}, { kind: "system" })
{}

/**
 * The bot is speaking: sent again and again while it lasts.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.BotSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class BotSpeakingFrame extends Frame.App<BotSpeakingFrame>()("BotSpeakingFrame", {}, { kind: "system" }) {}

/**
 * A new duration for `UserIdle`, from now on; 0 turns it off.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.UserIdleTimeoutFrame.make({ milliseconds: 5000 }).milliseconds // => 5000
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class UserIdleTimeoutFrame extends Frame.App<UserIdleTimeoutFrame>()("UserIdleTimeoutFrame", {
  milliseconds: Schema.Finite
}, { kind: "system" }) {}

// ---------------------------------------------------------------------------------------------------------------------
// what was said
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What a user said.
 *
 * **Details**
 *
 * `timestamp` is when, in ISO 8601. `finalized`: no more text will follow for this turn.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.TranscriptionFrame.make({ text: "hi", userId: "ann", timestamp: "2025-01-01T00:00:00.000Z" }).kind // => "data"
 * ```
 *
 * @category transcriptions
 * @since 0.1.0
 */
export class TranscriptionFrame extends Frame.App<TranscriptionFrame>()("TranscriptionFrame", {
  text: Schema.String,
  userId: Schema.String,
  timestamp: Schema.String,
  finalized: Schema.optionalKey(Schema.Boolean)
}) {}

/**
 * What a user seems to be saying: it may still change, and a `TranscriptionFrame` replaces it.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * const timestamp = "2025-01-01T00:00:00.000Z"
 * VoiceFrames.InterimTranscriptionFrame.make({ text: "h", userId: "ann", timestamp }).text // => "h"
 * ```
 *
 * @category transcriptions
 * @since 0.1.0
 */
export class InterimTranscriptionFrame extends Frame.App<InterimTranscriptionFrame>()("InterimTranscriptionFrame", {
  text: Schema.String,
  userId: Schema.String,
  timestamp: Schema.String
}) {}

/**
 * The keys of a telephone.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.DtmfKey.literals.length // => 12
 * ```
 *
 * @category keys
 * @since 0.1.0
 */
export const DtmfKey = Schema.Literals(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "#"])

/**
 * One of the keys of a telephone.
 *
 * @category keys
 * @since 0.1.0
 */
export type DtmfKey = typeof DtmfKey.Type

/**
 * The user has pressed a key of a telephone.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.InputDtmfFrame.make({ key: "#" }).kind // => "system"
 * ```
 *
 * @category keys
 * @since 0.1.0
 */
export class InputDtmfFrame extends Frame.App<InputDtmfFrame>()("InputDtmfFrame", { key: DtmfKey }, {
  kind: "system"
}) {}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A model has begun to answer: the text up to `LlmResponseEndFrame` belongs together.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.LlmResponseStartFrame.make().kind // => "control"
 * ```
 *
 * @category responses
 * @since 0.1.0
 */
export class LlmResponseStartFrame
  extends Frame.App<LlmResponseStartFrame>()("LlmResponseStartFrame", {}, { kind: "control" })
{}

/**
 * The answer of the model is complete.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.LlmResponseEndFrame.make().kind // => "control"
 * ```
 *
 * @category responses
 * @since 0.1.0
 */
export class LlmResponseEndFrame
  extends Frame.App<LlmResponseEndFrame>()("LlmResponseEndFrame", {}, { kind: "control" })
{}

/**
 * An image and what is asked about it.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * const image = { image: new Uint8Array(3), width: 1, height: 1, format: "raw", mode: "RGB" }
 * VoiceFrames.VisionImageFrame.make({ text: "What is it?", ...image }).text // => "What is it?"
 * ```
 *
 * @category responses
 * @since 0.1.0
 */
export class VisionImageFrame extends Frame.App<VisionImageFrame>()("VisionImageFrame", {
  text: Schema.String,
  ...Frame.ImageRawFrame.fields
}) {}

/**
 * A model has asked for functions to be called: each id is answered by a `FunctionCallResultFrame` or a
 * `FunctionCallCancelledFrame`.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.FunctionCallsStartedFrame.make({ callIds: ["call-1"] }).callIds // => ["call-1"]
 * ```
 *
 * @category function calls
 * @since 0.1.0
 */
export class FunctionCallsStartedFrame extends Frame.App<FunctionCallsStartedFrame>()("FunctionCallsStartedFrame", {
  callIds: Schema.Array(Schema.String)
}, { kind: "system" }) {}

/**
 * A function that a model asked for has returned.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.FunctionCallResultFrame.make({ callId: "call-1", result: { degrees: 21 } }).callId // => "call-1"
 * ```
 *
 * @category function calls
 * @since 0.1.0
 */
export class FunctionCallResultFrame extends Frame.App<FunctionCallResultFrame>()("FunctionCallResultFrame", {
  callId: Schema.String,
  result: Schema.Unknown
}, { kind: "system", uninterruptible: true }) {}

/**
 * A function that a model asked for has been cancelled: it has no result.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.FunctionCallCancelledFrame.make({ callId: "call-1" }).callId // => "call-1"
 * ```
 *
 * @category function calls
 * @since 0.1.0
 */
export class FunctionCallCancelledFrame extends Frame.App<FunctionCallCancelledFrame>()("FunctionCallCancelledFrame", {
  callId: Schema.String
}, { kind: "system" }) {}
