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
 * Voice activity detection hears the user: the raw signal, where turns are decided by more than that.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.VadUserStartedSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class VadUserStartedSpeakingFrame
  extends Frame.App<VadUserStartedSpeakingFrame>()("VadUserStartedSpeakingFrame", {}, { kind: "system" })
{}

/**
 * Voice activity detection does not hear the user any more.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.VadUserStoppedSpeakingFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class VadUserStoppedSpeakingFrame
  extends Frame.App<VadUserStoppedSpeakingFrame>()("VadUserStoppedSpeakingFrame", {}, { kind: "system" })
{}

/**
 * The pipeline ignores the user from now on: while a greeting is spoken, for example.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.UserMuteStartedFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class UserMuteStartedFrame
  extends Frame.App<UserMuteStartedFrame>()("UserMuteStartedFrame", {}, { kind: "system" })
{}

/**
 * The pipeline listens to the user again.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.UserMuteStoppedFrame.make().kind // => "system"
 * ```
 *
 * @category speaking
 * @since 0.1.0
 */
export class UserMuteStoppedFrame
  extends Frame.App<UserMuteStoppedFrame>()("UserMuteStoppedFrame", {}, { kind: "system" })
{}

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
 * `timestamp` is when, in ISO 8601. `finalized`: no more text will follow for this turn. It survives interruptions: what
 * a user says causes them, and must not be lost by them.
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
}, { uninterruptible: true }) {}

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
 * One message of a conversation with a model: a text, or parts, of which those of type `text` have a text.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * const message: VoiceFrames.LlmMessage = { role: "user", content: [{ type: "text", text: "What is this?" }] }
 * ```
 *
 * @category responses
 * @since 0.1.0
 */
export const LlmMessage = Schema.Struct({
  role: Schema.Literals(["system", "user", "assistant", "tool"]),
  content: Schema.Union([Schema.String, Schema.Array(Schema.Record(Schema.String, Schema.Unknown))])
})

/**
 * One message of a conversation with a model.
 *
 * @category responses
 * @since 0.1.0
 */
export type LlmMessage = typeof LlmMessage.Type

/**
 * The conversation so far: a model answers it. `skipTts`: the answer is to be read, not spoken.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.LlmContextFrame.make({ messages: [{ role: "user", content: "hi" }] }).messages.length // => 1
 * ```
 *
 * @category responses
 * @since 0.1.0
 */
export class LlmContextFrame extends Frame.App<LlmContextFrame>()("LlmContextFrame", {
  messages: Schema.Array(LlmMessage),
  skipTts: Schema.optionalKey(Schema.Boolean)
}) {}

/**
 * Messages that join the conversation. `runLlm`: the model answers now. `skipTts`: that answer is to be read, not
 * spoken.
 *
 * **Details**
 *
 * It survives interruptions: what a user has typed is not lost because somebody speaks.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * const messages = [{ role: "user", content: "hi" }] as const
 * VoiceFrames.LlmMessagesAppendFrame.make({ messages, runLlm: true }).uninterruptible // => true
 * ```
 *
 * @category responses
 * @since 0.1.0
 */
export class LlmMessagesAppendFrame extends Frame.App<LlmMessagesAppendFrame>()("LlmMessagesAppendFrame", {
  messages: Schema.Array(LlmMessage),
  runLlm: Schema.Boolean,
  skipTts: Schema.optionalKey(Schema.Boolean)
}, { uninterruptible: true }) {}

/**
 * A model has begun to answer: the text up to `LlmResponseEndFrame` belongs together. `skipTts`: it is to be read, not
 * spoken.
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
export class LlmResponseStartFrame extends Frame.App<LlmResponseStartFrame>()("LlmResponseStartFrame", {
  skipTts: Schema.optionalKey(Schema.Boolean)
}, { kind: "control" }) {}

/**
 * A piece of an answer, as the model gives it.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.LlmTextFrame.make({ text: "Hel" }).kind // => "data"
 * ```
 *
 * @category responses
 * @since 0.1.0
 */
export class LlmTextFrame extends Frame.App<LlmTextFrame>()("LlmTextFrame", { text: Schema.String }) {}

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
 * `FunctionCallCancelledFrame`. `functionNames` are in the order of the ids, `responseId` is the id of the
 * `LlmResponseStartFrame` of the answer that asked.
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
  callIds: Schema.Array(Schema.String),
  functionNames: Schema.optionalKey(Schema.Array(Schema.String)),
  responseId: Schema.optionalKey(Schema.Int)
}, { kind: "system", uninterruptible: true }) {}

/**
 * A function that a model asked for is being called now, here or by the client. `background`: the conversation does not
 * wait for its result.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * const call = { callId: "call-1", functionName: "get_weather", arguments: { city: "Oslo" } }
 * VoiceFrames.FunctionCallInProgressFrame.make(call).functionName // => "get_weather"
 * ```
 *
 * @category function calls
 * @since 0.1.0
 */
export class FunctionCallInProgressFrame
  extends Frame.App<FunctionCallInProgressFrame>()("FunctionCallInProgressFrame", {
    callId: Schema.String,
    functionName: Schema.String,
    arguments: Schema.Unknown,
    background: Schema.optionalKey(Schema.Boolean)
  }, { kind: "system", uninterruptible: true })
{}

/**
 * A function that a model asked for has returned. `isFailure`: the result says what went wrong.
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
  result: Schema.Unknown,
  isFailure: Schema.optionalKey(Schema.Boolean)
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
}, { kind: "system", uninterruptible: true }) {}

// ---------------------------------------------------------------------------------------------------------------------
// speech
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A voice has begun to make audio: what comes up to `TtsStoppedFrame` belongs together.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.TtsStartedFrame.make().kind // => "control"
 * ```
 *
 * @category speech
 * @since 0.1.0
 */
export class TtsStartedFrame extends Frame.App<TtsStartedFrame>()("TtsStartedFrame", {}, { kind: "control" }) {}

/**
 * The voice has made all the audio.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.TtsStoppedFrame.make().kind // => "control"
 * ```
 *
 * @category speech
 * @since 0.1.0
 */
export class TtsStoppedFrame extends Frame.App<TtsStoppedFrame>()("TtsStoppedFrame", {}, { kind: "control" }) {}

/**
 * Text that is being spoken, most often one word: it travels with the audio, so that it leaves the output when it is
 * heard. `segmentId` names the `AggregatedTextFrame` that it is part of. With `appendToContext: false` it is heard, but is
 * no part of the conversation that a model sees.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * VoiceFrames.TtsTextFrame.make({ text: "Hello", segmentId: 7, pts: 120 }).pts // => 120
 * ```
 *
 * @category speech
 * @since 0.1.0
 */
export class TtsTextFrame extends Frame.App<TtsTextFrame>()("TtsTextFrame", {
  text: Schema.String,
  segmentId: Schema.optionalKey(Schema.Int),
  appendToContext: Schema.optionalKey(Schema.Boolean)
}) {}

/**
 * A segment of what the bot says, in one piece: it comes before its audio.
 *
 * **Details**
 *
 * `aggregatedBy` is `sentence`, `word`, `token` or a name of your own. `willBeSpoken`: there will be audio. `segmentId`
 * is what `TtsTextFrame` and `AggregatedTextProgressFrame` call it; default: the frame's id. One that will not be spoken
 * and has the `segmentId` of one that was to be is the rest of that, of which there is no audio after all.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * const segment = { text: "Hello there.", aggregatedBy: "sentence", willBeSpoken: true }
 * VoiceFrames.AggregatedTextFrame.make(segment).kind // => "data"
 * ```
 *
 * @category speech
 * @since 0.1.0
 */
export class AggregatedTextFrame extends Frame.App<AggregatedTextFrame>()("AggregatedTextFrame", {
  text: Schema.String,
  aggregatedBy: Schema.String,
  willBeSpoken: Schema.Boolean,
  segmentId: Schema.optionalKey(Schema.Int)
}) {}

/**
 * How far a segment has been spoken: what was and what was not, which together are its text. It travels with the audio.
 *
 * @example
 * ```ts
 * import { VoiceFrames } from "@apipeline/core"
 *
 * const progress = { segmentId: 7, accumulatedText: "Hello", remainingText: " there." }
 * VoiceFrames.AggregatedTextProgressFrame.make(progress).kind // => "data"
 * ```
 *
 * @category speech
 * @since 0.1.0
 */
export class AggregatedTextProgressFrame
  extends Frame.App<AggregatedTextProgressFrame>()("AggregatedTextProgressFrame", {
    segmentId: Schema.Int,
    accumulatedText: Schema.String,
    remainingText: Schema.String
  })
{}
