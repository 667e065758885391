/**
 * What can go wrong between frames and bytes; public as part of `FrameSerializer`.
 *
 * @since 0.1.0
 */
import * as Formatter from "effect/Formatter"
import * as Schema from "effect/Schema"

/**
 * The input does not follow the format, or breaks a rule of the frame it carries. `field` is the path to the value at
 * fault, empty for the input as a whole; `offset` is the byte it starts at, where the format has bytes.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * // a text frame that says it has 35 bytes, and has one
 * const decoded = FrameSerializer.makeProtobuf().decode(new Uint8Array([0x0a, 0x23, 0x08]))
 * Effect.runSync(Effect.flip(decoded)).message
 * // => "protobuf: text (byte 1): found a length of 35 bytes, expected at most 1, which is what is left"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class MalformedInput extends Schema.TaggedError<MalformedInput>()("MalformedInput", {
  format: Schema.String,
  field: Schema.String,
  offset: Schema.optionalKey(Schema.Finite),
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    const where = [this.field, this.offset === undefined ? "" : `(byte ${this.offset})`].filter((part) => part !== "")
    return `${this.format}: ${where.join(" ") || "input"}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * The input is well formed but carries a frame that the serializer has no codec for. A peer may be newer: skipping
 * such input is safe.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const decoded = FrameSerializer.makeJson().decode(`{"_tag":"Ping","id":1}`)
 * Effect.runSync(Effect.flip(decoded)).reason._tag // => "UnknownFrame"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class UnknownFrame extends Schema.TaggedError<UnknownFrame>()("UnknownFrame", {
  format: Schema.String,
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.format}: ${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * The format cannot carry this type of frame.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const encoded = FrameSerializer.makeProtobuf().encode(Frame.EndFrame.make())
 * Effect.runSync(Effect.flip(encoded)).reason._tag // => "UnsupportedFrame"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class UnsupportedFrame extends Schema.TaggedError<UnsupportedFrame>()("UnsupportedFrame", {
  format: Schema.String,
  frame: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.format}: found ${this.frame}, expected ${this.expected}`
  }
}

/**
 * The format carries this type of frame, but not with this value in it.
 *
 * @example
 * ```ts
 * import { Frame, FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const frame = Frame.AudioRawFrame.make({ audio: new Uint8Array(3), sampleRate: 16000, numChannels: 1 })
 * const encoded = FrameSerializer.makeProtobuf().encode(frame)
 * Effect.runSync(Effect.flip(encoded)).reason._tag // => "InvalidFrame"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidFrame extends Schema.TaggedError<InvalidFrame>()("InvalidFrame", {
  format: Schema.String,
  frame: Schema.String,
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    const field = this.field === "" ? this.frame : `${this.frame}.${this.field}`
    return `${this.format}: ${field}: found ${this.found}, expected ${this.expected}`
  }
}

/**
 * A frame in a stream is larger than the limit: see `maxFrameSize` of `decodeChannel`.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 *
 * new FrameSerializer.FrameTooLarge({ format: "protobuf", size: 5000, limit: 4096 }).message
 * // => "protobuf: found a frame of 5000 bytes, expected at most 4096"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class FrameTooLarge extends Schema.TaggedError<FrameTooLarge>()("FrameTooLarge", {
  format: Schema.String,
  /** What the frame has, as far as it is known when the limit is passed. */
  size: Schema.Finite,
  limit: Schema.Finite
}) {
  override get message(): string {
    return `${this.format}: found a frame of ${this.size} bytes, expected at most ${this.limit}`
  }
}

/**
 * The one error of serializers; `reason` tells which.
 *
 * @example
 * ```ts
 * import { FrameSerializer } from "@apipeline/core"
 * import { Effect } from "effect"
 *
 * const { decode } = FrameSerializer.makeJson()
 * const program = decode(`{"_tag":"TextFrame","id":1,"text":null}`).pipe(
 *   Effect.map((frame) => frame.name),
 *   Effect.catchReason("SerializerError", "MalformedInput", ({ field }) => Effect.succeed(field))
 * )
 * Effect.runSync(program) // => "text"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SerializerError extends Schema.TaggedError<SerializerError>()("SerializerError", {
  reason: Schema.Union([MalformedInput, UnknownFrame, UnsupportedFrame, InvalidFrame, FrameTooLarge])
}) {
  override get message(): string {
    return this.reason.message
  }
}

/** A rule that a value breaks. */
export interface Violation {
  readonly field: string
  readonly found: string
  readonly expected: string
}

/** @internal */
export const malformed = (format: string, violation: Violation, offset?: number | undefined): SerializerError =>
  make(() => new MalformedInput({ format, ...pick(violation), ...offset !== undefined && { offset } }))

/** @internal */
export const unknown = (format: string, violation: Violation): SerializerError =>
  make(() => new UnknownFrame({ format, ...pick(violation) }))

/** @internal */
export const unsupported = (format: string, frame: string, carried: Iterable<string>): SerializerError =>
  make(() => new UnsupportedFrame({ format, frame, expected: `one of ${Array.from(carried).join(", ")}` }))

/** @internal */
export const invalid = (format: string, frame: string, violation: Violation): SerializerError =>
  make(() => new InvalidFrame({ format, frame, ...pick(violation) }))

/** @internal */
export const tooLarge = (format: string, size: number, limit: number): SerializerError =>
  make(() => new FrameTooLarge({ format, size, limit }))

const pick = ({ expected, field, found }: Violation): Violation => ({ field, found, expected })

// What a peer sends may be wrong every time, and the stacks take half of the 20 µs that an error costs. They would
// only tell how the decoder reads; `SchemaError` goes without one too.
const make = (reason: () => SerializerError["reason"]): SerializerError => {
  const { stackTraceLimit } = V8Error
  if (canWriteLimit) V8Error.stackTraceLimit = 0
  try {
    return new SerializerError({ reason: reason() })
  } finally {
    if (canWriteLimit) V8Error.stackTraceLimit = stackTraceLimit
  }
}

const V8Error: { stackTraceLimit?: number | undefined } = Error as any // of V8, and of others that follow it
const canWriteLimit = Object.getOwnPropertyDescriptor(Error, "stackTraceLimit")?.writable === true

const maxLength = 80

/** What was found, for messages: in one line and short, whatever a peer has sent. */
export const show = (u: unknown): string => {
  if (ArrayBuffer.isView(u)) return `${u.byteLength} bytes`
  if (Array.isArray(u)) return `an array of ${u.length}`
  if (typeof u === "object" && u !== null) return "an object"
  if (typeof u === "function") return "a function"
  const text = typeof u === "string" ? u : Formatter.format(u)
  const cut = text.length > maxLength ? `${text.slice(0, maxLength)}…` : text
  return typeof u === "string" ? JSON.stringify(cut) : cut
}
