/**
 * What can go wrong between a pipeline and whoever is connected to it: see `Transport`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Nobody is connected any more, or never was: nothing can be sent.
 *
 * @example
 * ```ts
 * import { Transport } from "@apipeline/core"
 *
 * new Transport.ConnectionClosed({ reason: "closed by the client", code: 1001 }).message // => "closed by the client (1001)"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionClosed extends Schema.TaggedError<ConnectionClosed>()("ConnectionClosed", {
  reason: Schema.String,
  /** The close code of a WebSocket. */
  code: Schema.optionalKey(Schema.Finite)
}) {
  override get message(): string {
    return this.code === undefined ? this.reason : `${this.reason} (${this.code})`
  }
}

/**
 * The other side has sent something that cannot be understood or is not allowed. The connection goes on.
 *
 * @example
 * ```ts
 * import { Transport } from "@apipeline/core"
 *
 * new Transport.InvalidMessage({ field: "message", found: "text", expected: "bytes" }).message
 * // => "message: found text, expected bytes"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidMessage extends Schema.TaggedError<InvalidMessage>()("InvalidMessage", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message(): string {
    return `${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * A frame that cannot be sent: its format, or its destination. Nothing of it is.
 *
 * @example
 * ```ts
 * import { Transport } from "@apipeline/core"
 *
 * const error = new Transport.InvalidOutput({ frame: "AudioRawFrame#1", field: "sampleWidth", found: "1", expected: "2" })
 * error.message // => "AudioRawFrame#1: sampleWidth: found 1, expected 2"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOutput extends Schema.TaggedError<InvalidOutput>()("InvalidOutput", {
  frame: Schema.String,
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.frame}: ${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * A frame could not be written.
 *
 * @example
 * ```ts
 * import { Transport } from "@apipeline/core"
 *
 * new Transport.WriteFailed({ cause: new Error("EPIPE") }).message // => "the write failed: EPIPE"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class WriteFailed extends Schema.TaggedError<WriteFailed>()("WriteFailed", { cause: Schema.Defect() }) {
  override get message(): string {
    return `the write failed: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/**
 * What comes in could not be read.
 *
 * @example
 * ```ts
 * import { Transport } from "@apipeline/core"
 *
 * new Transport.ReadFailed({ cause: new Error("EIO") }).message // => "the read failed: EIO"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class ReadFailed extends Schema.TaggedError<ReadFailed>()("ReadFailed", { cause: Schema.Defect() }) {
  override get message(): string {
    return `the read failed: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

/**
 * The other side did not take what was sent, or did not open or close, in time.
 *
 * @example
 * ```ts
 * import { Transport } from "@apipeline/core"
 *
 * new Transport.TimedOut({ operation: "send", milliseconds: 5000 }).message // => "send took longer than 5000 ms"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  operation: Schema.Literals(["open", "send", "clear", "close"]),
  milliseconds: Schema.Finite
}) {
  override get message(): string {
    return `${this.operation} took longer than ${this.milliseconds} ms`
  }
}

/**
 * The one error of transports; `reason` tells which.
 *
 * @example
 * ```ts
 * import { Transport } from "@apipeline/core"
 *
 * const reason = new Transport.ConnectionClosed({ reason: "closed by the client" })
 * new Transport.TransportError({ reason }).message // => "closed by the client"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class TransportError extends Schema.TaggedError<TransportError>()("TransportError", {
  reason: Schema.Union([ConnectionClosed, InvalidMessage, InvalidOutput, WriteFailed, ReadFailed, TimedOut])
}) {
  override get message(): string {
    return this.reason.message
  }
}
