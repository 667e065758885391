/**
 * Frames between a pipeline and whoever is connected to it through a `Transport`. They are app frames: list them under
 * `frames` to handle them in a processor of your own.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Frame from "./Frame.ts"

// ---------------------------------------------------------------------------------------------------------------------
// messages
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The other side has sent a message that is no frame: for pipecat's clients, one RTVI message. It overtakes data.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * const message = { label: "rtvi-ai", type: "client-ready", id: "1", data: { version: "2.1.0" } }
 * TransportFrames.InputTransportMessageFrame.make({ message }).kind // => "system"
 * ```
 *
 * Source: `InputTransportMessageFrame` of pipecat.
 *
 * @category messages
 * @since 0.1.0
 */
export class InputTransportMessageFrame
  extends Frame.App<InputTransportMessageFrame>()("InputTransportMessageFrame", { message: Schema.Unknown }, {
    kind: "system"
  })
{}

/**
 * A message for the other side, in order with audio: it is sent behind the audio that was pushed before it. An
 * interruption drops it.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.OutputTransportMessageFrame.make({ message: { caption: "Hello" } }).kind // => "data"
 * ```
 *
 * Source: `OutputTransportMessageFrame` of pipecat.
 *
 * @category messages
 * @since 0.1.0
 */
export class OutputTransportMessageFrame
  extends Frame.App<OutputTransportMessageFrame>()("OutputTransportMessageFrame", { message: Schema.Unknown })
{}

/**
 * A message for the other side, at once: it overtakes audio, and no interruption drops it.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.OutputTransportMessageUrgentFrame.make({ message: { typing: true } }).kind // => "system"
 * ```
 *
 * Source: `OutputTransportMessageUrgentFrame` of pipecat.
 *
 * @category messages
 * @since 0.1.0
 */
export class OutputTransportMessageUrgentFrame
  extends Frame.App<OutputTransportMessageUrgentFrame>()("OutputTransportMessageUrgentFrame", {
    message: Schema.Unknown
  }, { kind: "system" })
{}

// ---------------------------------------------------------------------------------------------------------------------
// the client
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Somebody is connected: the first frame of an input.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.ClientConnectedFrame.make().kind // => "system"
 * ```
 *
 * Source: `ClientConnectedFrame` of pipecat.
 *
 * @category clients
 * @since 0.1.0
 */
export class ClientConnectedFrame
  extends Frame.App<ClientConnectedFrame>()("ClientConnectedFrame", {}, { kind: "system" })
{}

/**
 * Nobody is connected any more, and why.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.ClientDisconnectedFrame.make({ reason: "closed by the client" }).kind // => "system"
 * ```
 *
 * @category clients
 * @since 0.1.0
 */
export class ClientDisconnectedFrame
  extends Frame.App<ClientDisconnectedFrame>()("ClientDisconnectedFrame", { reason: Schema.String }, { kind: "system" })
{}

// ---------------------------------------------------------------------------------------------------------------------
// audio
// ---------------------------------------------------------------------------------------------------------------------

/**
 * From now on the input passes audio on. An input that waits for it (`audioStreaming: false`) throws away what comes
 * before. May go either way.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.InputTransportStartAudioStreamingFrame.make().kind // => "system"
 * ```
 *
 * Source: `InputTransportStartAudioStreamingFrame` of pipecat.
 *
 * @category audio
 * @since 0.1.0
 */
export class InputTransportStartAudioStreamingFrame
  extends Frame.App<InputTransportStartAudioStreamingFrame>()("InputTransportStartAudioStreamingFrame", {}, {
    kind: "system"
  })
{}

/**
 * From now on the input throws audio away, until {@link InputTransportStartAudioStreamingFrame}. Messages still come.
 * May go either way.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.InputTransportStopAudioStreamingFrame.make().kind // => "system"
 * ```
 *
 * @category audio
 * @since 0.1.0
 */
export class InputTransportStopAudioStreamingFrame
  extends Frame.App<InputTransportStopAudioStreamingFrame>()("InputTransportStopAudioStreamingFrame", {}, {
    kind: "system"
  })
{}

/**
 * The audio of an utterance is complete: what is left of a chunk is filled up with silence and sent, not held for more.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.OutputAudioEndFrame.make().kind // => "control"
 * ```
 *
 * Source: what `TTSStoppedFrame` of pipecat means to its outputs.
 *
 * @category audio
 * @since 0.1.0
 */
export class OutputAudioEndFrame
  extends Frame.App<OutputAudioEndFrame>()("OutputAudioEndFrame", {}, { kind: "control" })
{}

/**
 * The bot was interrupted while it spoke, and how much of what it said could be heard, in milliseconds. Goes both ways,
 * before `BotStoppedSpeakingFrame`.
 *
 * @example
 * ```ts
 * import { TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.BotInterruptedFrame.make({ played: 1240, dropped: 3000 }).played // => 1240
 * ```
 *
 * @category audio
 * @since 0.1.0
 */
export class BotInterruptedFrame extends Frame.App<BotInterruptedFrame>()("BotInterruptedFrame", {
  /** Of this utterance, since `BotStartedSpeakingFrame`. */
  played: Schema.Finite,
  /** What was on its way and nobody will hear. */
  dropped: Schema.Finite
}, { kind: "system" }) {}

// ---------------------------------------------------------------------------------------------------------------------
// destinations
// ---------------------------------------------------------------------------------------------------------------------

/**
 * For whom a frame is, where an output has several destinations: `destination` of its metadata. `undefined`: the
 * default one.
 *
 * @example
 * ```ts
 * import { Frame, TransportFrames } from "@apipeline/core"
 *
 * TransportFrames.destinationOf(Frame.TextFrame.make({ text: "hi", metadata: { destination: "ann" } })) // => "ann"
 * ```
 *
 * @category destinations
 * @since 0.1.0
 */
export const destinationOf = (frame: Frame.Frame): string | undefined => {
  const destination = frame.metadata?.["destination"]
  return typeof destination === "string" ? destination : undefined
}

/**
 * A copy of a frame for a destination.
 *
 * @example
 * ```ts
 * import { Frame, TransportFrames } from "@apipeline/core"
 *
 * const frame = TransportFrames.toDestination(Frame.TextFrame.make({ text: "hi" }), "ann")
 * TransportFrames.destinationOf(frame) // => "ann"
 * ```
 *
 * @category destinations
 * @since 0.1.0
 */
export const toDestination = <F extends Frame.Frame>(frame: F, destination: string): F =>
  Frame.copy(frame as Frame.Frame, { metadata: { ...frame.metadata, destination } }) as F // every frame has metadata
