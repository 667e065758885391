/**
 * How frames become the messages of a connection that carries messages (a WebSocket), and back: a serializer, or
 * something with more to say than one message for one frame.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Frame from "./Frame.ts"
import type { Serializer, SerializerError } from "./FrameSerializer.ts"

/**
 * One message: bytes or text.
 *
 * @category models
 * @since 0.1.0
 */
export type Wire = Uint8Array | string

/**
 * What a message was.
 *
 * @category models
 * @since 0.1.0
 */
export interface Decoded {
  readonly frames: ReadonlyArray<Frame.Frame>
  /** Answers for the other side, to be sent at once. */
  readonly replies: ReadonlyArray<Wire>
}

/**
 * What is said over one connection. It may remember what was said before: make one for each.
 *
 * @category models
 * @since 0.1.0
 */
export interface MessageProtocol {
  /** Names the format in logs and errors. */
  readonly name: string
  /**
   * Frames that are sent, besides audio and messages. `StartInterruptionFrame` is sent where the other side is to drop the
   * audio that it has.
   */
  readonly carries: (frame: Frame.Frame) => boolean
  /** A message that cannot be understood is told; the connection goes on. */
  readonly decode: (message: Wire) => Result.Result<Decoded, SerializerError>
  /** A frame for which there is no message gives none. */
  readonly encode: (frame: Frame.Frame) => Result.Result<ReadonlyArray<Wire>, SerializerError>
  /** Whether the other side drops what it has when it is told of an interruption. Default: false. */
  readonly flushes?: boolean | undefined
  /** Milliseconds of audio that the other side has said it has played. Default: it does not say. */
  readonly played?: (() => number | undefined) | undefined
  /** Waits until the other side says that this is the end, and tells why. Default: it just closes. */
  readonly ended?: Effect.Effect<string> | undefined
}

/**
 * Options of {@link fromSerializer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * Frames that are sent besides audio, messages and interruptions. Default: the data frames that the serializer carries,
   * but for pipecat's, whose clients know no others.
   */
  readonly carries?: ((frame: Frame.Frame) => boolean) | undefined
  /** Whether clients drop what they have when they are told of an interruption. Default: false, pipecat's do not. */
  readonly flushes?: boolean | undefined
}

const none: ReadonlyArray<Wire> = []

/**
 * One message for one frame.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer, MessageProtocol } from "@apipeline/core"
 *
 * const protocol = MessageProtocol.fromSerializer(FrameSerializer.makePipelineGoJson())
 * protocol.carries(Frame.TextFrame.make({ text: "hi" })) // => true
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSerializer = (serializer: Serializer, options: Options = {}): MessageProtocol => {
  const data = options.carries ?? (serializer.format === "pipecat" ? () => false : Frame.isData)
  return {
    name: serializer.format,
    carries: (frame) => serializer.carries(frame) && (Frame.StartInterruptionFrame.is(frame) || data(frame)),
    decode: (message) => Result.map(serializer.decodeResult(message), (frame) => ({ frames: [frame], replies: none })),
    encode: (frame) =>
      serializer.carries(frame)
        ? Result.map(serializer.encodeResult(frame), (message) => [message])
        : Result.succeed(none),
    flushes: options.flushes
  }
}
