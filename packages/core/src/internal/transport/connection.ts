/**
 * What a transport is made of: see `Transport`.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type * as Frame from "../../Frame.ts"
import type { TransportError } from "./transportError.ts"

/**
 * What happens to a connection.
 *
 * @category models
 * @since 0.1.0
 */
export type Event =
  | { readonly _tag: "ClientConnected" }
  | { readonly _tag: "ClientDisconnected"; readonly reason: string }
  /** The other side has sent something that cannot be understood. */
  | { readonly _tag: "InvalidMessage"; readonly error: TransportError }
  /** The connection is gone; another is being made. */
  | { readonly _tag: "ConnectionLost"; readonly error: TransportError }
  | { readonly _tag: "ConnectionRestored" }

/**
 * The thin part of a transport that is its own: it turns frames into what travels and back. Everything else is
 * `Transport.make`.
 *
 * **Details**
 *
 * - `send` may be called by several fibers at once; what one call sends is not torn apart by another. It may wait while
 *   the other side does not read. It is interrupted after the `sendTimeout` of the output, and when the bot is: nothing of
 *   the frame may have been sent then.
 * - `close` may be called more than once, and after the other side has closed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  /** For logs and errors. */
  readonly name: string
  /**
   * What comes in, until the other side is gone. A `TransportError` among the frames is one message that could not be
   * understood: it is told, and the stream goes on.
   */
  readonly incoming: Stream.Stream<Frame.Frame | TransportError, TransportError>
  /** Sends audio, a transport message, or a frame that it `carries`. */
  readonly send: (frame: Frame.Frame) => Effect.Effect<void, TransportError>
  /** Tells the other side to drop the audio that it has and has not played. Default: there is no such thing. */
  readonly clear?: Effect.Effect<void, TransportError> | undefined
  /** Whether the other side does so, when it is told to. Default: if there is a `clear`. */
  readonly flushes?: boolean | undefined
  /** Frames that are sent besides audio and messages. Default: none. */
  readonly carries?: ((frame: Frame.Frame) => boolean) | undefined
  /** How many milliseconds of audio for a destination were played, where the other side tells. Default: by the clock. */
  readonly played?: ((destination: string | undefined) => number | undefined) | undefined
  /** What happens to it besides connecting and disconnecting. Default: nothing. */
  readonly events?: Stream.Stream<Event> | undefined
  readonly close: (reason: string) => Effect.Effect<void, TransportError>
}
