/**
 * Frames are the typed things that move through a pipeline: text, audio, images, commands and your own.
 *
 * Every frame is an instance of a small class. Its own fields are `_tag`, `id`, `pts`, `metadata` and the payload, in
 * that order; `kind`, `uninterruptible` and `name` sit on the prototype. `make` is a plain constructor and validates
 * nothing: it runs once per frame. Bounds and units are checked where frames enter and leave the process, by `schema`.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import { dual } from "effect/Function"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type * as Types from "effect/Types"
import type * as Unify from "effect/Unify"
import * as Internal from "./internal/kernel/frame.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Marks a frame on its prototype; the value is its {@link Origin}.
 *
 * @category type IDs
 * @since 0.1.0
 */
export type TypeId = "~apipeline/Frame"

/**
 * Marks a frame on its prototype; the value is its {@link Origin}.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.TextFrame.make({ text: "hi" })[Frame.TypeId] // => "builtIn"
 * ```
 *
 * @category type IDs
 * @since 0.1.0
 */
export const TypeId: TypeId = Internal.TypeId

/**
 * The way a frame goes: with the data, or against it.
 *
 * @category models
 * @since 0.1.0
 */
export type Direction = "downstream" | "upstream"

/**
 * How a frame travels: `system` frames overtake data, `control` frames stay in order with it and are never dropped.
 *
 * @category models
 * @since 0.1.0
 */
export type Kind = "system" | "control" | "data"

/**
 * Who defined a frame: this module, or an application through {@link App}.
 *
 * @category models
 * @since 0.1.0
 */
export type Origin = "builtIn" | "app"

/**
 * Anything that travels with a frame and is not its payload. Copies share it.
 *
 * @category models
 * @since 0.1.0
 */
export type Metadata = Readonly<Record<string, unknown>>

/**
 * What every frame has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Base<Tag extends string = string, K extends Kind = Kind, O extends Origin = Origin> {
  readonly [TypeId]: O
  /** Names the type of the frame. */
  readonly _tag: Tag
  /** Unique and increasing within the process; a decoded frame keeps the id it was encoded with. */
  readonly id: number
  /** Presentation time in milliseconds; 0 is a valid time. */
  readonly pts: number | undefined
  readonly metadata: Metadata | undefined
  readonly kind: K
  /** Whether it survives interruptions, in order. */
  readonly uninterruptible: boolean
  /** `TextFrame#12` */
  readonly name: string
  /** See {@link format}. */
  toString(): string
  /** The fields for a log: bytes become sizes. To send a frame, encode it with its `schema`. */
  toJSON(): unknown
}

/**
 * What any `make` takes next to the payload.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Presentation time in milliseconds. */
  readonly pts?: number | undefined
  readonly metadata?: Metadata | undefined
}

/**
 * The encoded form of a frame: a plain struct, without `pts` and `metadata` where it has none.
 *
 * @category models
 * @since 0.1.0
 */
export type Encoded<Tag extends string, Fields extends Schema.Struct.Fields> = Types.Simplify<
  & { readonly _tag: Tag; readonly id: number; readonly pts?: number; readonly metadata?: Metadata }
  & Schema.Struct.Encoded<Fields>
>

/**
 * What a frame class says about its frames, as statics.
 *
 * @category models
 * @since 0.1.0
 */
export interface Descriptor<Self, Tag extends string, K extends Kind, Fields extends Schema.Struct.Fields> {
  readonly tag: Tag
  readonly kind: K
  readonly uninterruptible: boolean
  /** The schemas of the payload. */
  readonly fields: Fields
  /** Decodes to an instance and keeps its id; with `Schema.toCodecJson`, bytes are base64. */
  readonly schema: Schema.Codec<
    Self,
    Encoded<Tag, Fields>,
    Schema.Struct.DecodingServices<Fields>,
    Schema.Struct.EncodingServices<Fields>
  >
  readonly is: (u: unknown) => u is Self
}

/**
 * Any frame class, built-in or an application's, as filters and lists of classes take it.
 *
 * @category models
 * @since 0.1.0
 */
export interface AnyClass {
  readonly tag: string
  readonly kind: Kind
  readonly uninterruptible: boolean
  readonly schema: Schema.Constraint
  readonly is: (u: unknown) => u is Base
}

/**
 * The frame a class makes.
 *
 * @category models
 * @since 0.1.0
 */
export type Instance<C extends AnyClass> = C extends { readonly is: (u: unknown) => u is infer Self } ? Self : never

const Rate = Internal.integer(Schema.isGreaterThan(0))
const Count = Internal.integer(Schema.isGreaterThanOrEqualTo(1))
const Width = Internal.integer(Schema.isBetween({ minimum: 1, maximum: 4 }))
const none: Options = {}

// ---------------------------------------------------------------------------------------------------------------------
// metrics
// ---------------------------------------------------------------------------------------------------------------------

const measured = { processor: Schema.String, model: Schema.optionalKey(Schema.String) }
const Natural = Internal.integer(Schema.isGreaterThanOrEqualTo(0))
const Millis = Schema.Finite.check(Internal.reporting(Schema.isGreaterThanOrEqualTo(0)))

/**
 * One measurement of one processor, with the model it used where it used one.
 *
 * `Ttfb` is the time to the first byte, token or chunk; `Processing` the time a handler took; `TokenUsage`,
 * `CharacterUsage` and `AudioUsage` are what a model, a voice or a recogniser was given and gave. `Ttfa` is the time to
 * the first sound of a voice, of which `silence` is in the audio; `Ttfat` the time to the first token of a model's answer,
 * of which `thinking` passed after its first output, if that was a thought.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.Metric.cases.Ttfb.make({ processor: "Translate", milliseconds: 120 })._tag // => "Ttfb"
 * ```
 *
 * @category metrics
 * @since 0.1.0
 */
export const Metric = Schema.TaggedUnion({
  Ttfb: { ...measured, milliseconds: Millis },
  Ttfa: { ...measured, milliseconds: Millis, silence: Millis },
  Ttfat: { ...measured, milliseconds: Millis, thinking: Schema.optionalKey(Millis) },
  Processing: { ...measured, milliseconds: Millis },
  TokenUsage: {
    ...measured,
    promptTokens: Natural,
    completionTokens: Natural,
    totalTokens: Natural,
    cachedTokens: Schema.optionalKey(Natural),
    reasoningTokens: Schema.optionalKey(Natural)
  },
  CharacterUsage: { ...measured, characters: Natural },
  AudioUsage: { ...measured, seconds: Schema.Finite.check(Internal.reporting(Schema.isGreaterThanOrEqualTo(0))) }
})

/**
 * One measurement of one processor.
 *
 * @category metrics
 * @since 0.1.0
 */
export type Metric = typeof Metric.Type

// ---------------------------------------------------------------------------------------------------------------------
// built-in frames
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Stop right away: handlers are interrupted, buffers dropped, finalizers run, the task ends.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.CancelFrame.make({ reason: "the caller hung up" }).reason // => "the caller hung up"
 * ```
 *
 * @category system frames
 * @since 0.1.0
 */
export class CancelFrame extends Internal.builtIn<CancelFrame>()("CancelFrame", "system", {
  reason: Schema.optionalKey(Schema.String)
}) {
  declare readonly _tag: "CancelFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** Why, for logs. */
  declare readonly reason: string | undefined

  static make(
    fields: Options & {
      readonly reason?: string | undefined
    } = none
  ): CancelFrame {
    return new CancelFrame(fields)
  }

  constructor(fields: NonNullable<Parameters<typeof CancelFrame.make>[0]>) {
    super()
    this._tag = "CancelFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.reason = fields.reason
  }
}

/**
 * A failure, told upstream; a fatal one cancels the task.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.ErrorFrame.make({ error: new Error("no route"), processor: "Translate" }).fatal // => false
 * ```
 *
 * @category system frames
 * @since 0.1.0
 */
export class ErrorFrame extends Internal.builtIn<ErrorFrame>()("ErrorFrame", "system", {
  error: Schema.Defect(),
  fatal: Schema.Boolean,
  processor: Schema.optionalKey(Schema.String)
}) {
  declare readonly _tag: "ErrorFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** What failed: a tagged error, an `Error`, or anything that was thrown. */
  declare readonly error: unknown
  /** Whether the task is cancelled. Default `false`. */
  declare readonly fatal: boolean
  /** The processor it happened in. */
  declare readonly processor: string | undefined
  /** The whole cause, within this process only: it is not serialised. */
  declare readonly cause: Cause.Cause<unknown> | undefined

  static make(
    fields: Options & {
      readonly error: unknown
      readonly fatal?: boolean | undefined
      readonly processor?: string | undefined
      readonly cause?: Cause.Cause<unknown> | undefined
    }
  ): ErrorFrame {
    return new ErrorFrame(fields)
  }

  constructor(fields: Parameters<typeof ErrorFrame.make>[0]) {
    super()
    this._tag = "ErrorFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.error = fields.error
    this.fatal = fields.fatal ?? false
    this.processor = fields.processor
    this.cause = fields.cause
  }
}

/**
 * End the task but keep its processors running, so that another task can take over. Travels in order and survives
 * interruptions.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.StopTaskFrame.make().uninterruptible // => true
 * ```
 *
 * @category system frames
 * @since 0.1.0
 */
export class StopTaskFrame
  extends Internal.builtIn<StopTaskFrame>()("StopTaskFrame", "system", {}, { uninterruptible: true })
{
  declare readonly _tag: "StopTaskFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined

  static make(fields: Options = none): StopTaskFrame {
    return new StopTaskFrame(fields)
  }

  constructor(fields: Options) {
    super()
    this._tag = "StopTaskFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
  }
}

/**
 * The user barged in: queued processors drop what is interruptible and restart, streaming output stops.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.StartInterruptionFrame.make().kind // => "system"
 * ```
 *
 * @category system frames
 * @since 0.1.0
 */
export class StartInterruptionFrame
  extends Internal.builtIn<StartInterruptionFrame>()("StartInterruptionFrame", "system", {})
{
  declare readonly _tag: "StartInterruptionFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined

  static make(fields: Options = none): StartInterruptionFrame {
    return new StartInterruptionFrame(fields)
  }

  constructor(fields: Options) {
    super()
    this._tag = "StartInterruptionFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
  }
}

/**
 * The interruption is over.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.StopInterruptionFrame.make().kind // => "system"
 * ```
 *
 * @category system frames
 * @since 0.1.0
 */
export class StopInterruptionFrame
  extends Internal.builtIn<StopInterruptionFrame>()("StopInterruptionFrame", "system", {})
{
  declare readonly _tag: "StopInterruptionFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined

  static make(fields: Options = none): StopInterruptionFrame {
    return new StopInterruptionFrame(fields)
  }

  constructor(fields: Options) {
    super()
    this._tag = "StopInterruptionFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
  }
}

/**
 * Measurements of processors, in band.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.MetricsFrame.make({ data: [{ _tag: "Ttfb", processor: "Translate", milliseconds: 120 }] }).data.length // => 1
 * ```
 *
 * @category system frames
 * @since 0.1.0
 */
export class MetricsFrame extends Internal.builtIn<MetricsFrame>()("MetricsFrame", "system", {
  data: Schema.Array(Metric)
}) {
  declare readonly _tag: "MetricsFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** One record per processor and measurement. */
  declare readonly data: ReadonlyArray<Metric>

  static make(
    fields: Options & {
      readonly data: ReadonlyArray<Metric>
    }
  ): MetricsFrame {
    return new MetricsFrame(fields)
  }

  constructor(fields: Parameters<typeof MetricsFrame.make>[0]) {
    super()
    this._tag = "MetricsFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.data = fields.data
  }
}

/**
 * The first frame of a task: what processors need to know before any data.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.StartFrame.make({ allowInterruptions: true }).audioInSampleRate // => 16000
 * ```
 *
 * @category control frames
 * @since 0.1.0
 */
export class StartFrame extends Internal.builtIn<StartFrame>()("StartFrame", "control", {
  allowInterruptions: Schema.Boolean,
  enableMetrics: Schema.Boolean,
  enableUsageMetrics: Schema.Boolean,
  reportOnlyInitialTtfb: Schema.Boolean,
  audioInSampleRate: Rate,
  audioOutSampleRate: Rate
}) {
  declare readonly _tag: "StartFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** Whether an interruption cuts what is under way. Default `false`. */
  declare readonly allowInterruptions: boolean
  /** Whether processors measure ttfb and processing time. Default `false`. */
  declare readonly enableMetrics: boolean
  /** Whether processors count tokens and characters. Default `false`. */
  declare readonly enableUsageMetrics: boolean
  /** Whether only the first ttfb of each processor is reported. Default `false`. */
  declare readonly reportOnlyInitialTtfb: boolean
  /** Samples per second of incoming audio. Default 16000. */
  declare readonly audioInSampleRate: number
  /** Samples per second of outgoing audio. Default 24000. */
  declare readonly audioOutSampleRate: number

  static make(
    fields: Options & {
      readonly allowInterruptions?: boolean | undefined
      readonly enableMetrics?: boolean | undefined
      readonly enableUsageMetrics?: boolean | undefined
      readonly reportOnlyInitialTtfb?: boolean | undefined
      readonly audioInSampleRate?: number | undefined
      readonly audioOutSampleRate?: number | undefined
    } = none
  ): StartFrame {
    return new StartFrame(fields)
  }

  constructor(fields: NonNullable<Parameters<typeof StartFrame.make>[0]>) {
    super()
    this._tag = "StartFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.allowInterruptions = fields.allowInterruptions ?? false
    this.enableMetrics = fields.enableMetrics ?? false
    this.enableUsageMetrics = fields.enableUsageMetrics ?? false
    this.reportOnlyInitialTtfb = fields.reportOnlyInitialTtfb ?? false
    this.audioInSampleRate = fields.audioInSampleRate ?? 16000
    this.audioOutSampleRate = fields.audioOutSampleRate ?? 24000
  }
}

/**
 * The last frame: all before it is delivered, then everything shuts down. Survives interruptions.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.EndFrame.make().uninterruptible // => true
 * ```
 *
 * @category control frames
 * @since 0.1.0
 */
export class EndFrame extends Internal.builtIn<EndFrame>()("EndFrame", "control", {
  reason: Schema.optionalKey(Schema.String)
}, { uninterruptible: true }) {
  declare readonly _tag: "EndFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** Why, for logs. */
  declare readonly reason: string | undefined

  static make(
    fields: Options & {
      readonly reason?: string | undefined
    } = none
  ): EndFrame {
    return new EndFrame(fields)
  }

  constructor(fields: NonNullable<Parameters<typeof EndFrame.make>[0]>) {
    super()
    this._tag = "EndFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.reason = fields.reason
  }
}

/**
 * Marks the end of what one input led to: a synchronised parallel pipeline releases what it holds when every branch
 * has passed it on.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.SyncFrame.make().kind // => "control"
 * ```
 *
 * @category control frames
 * @since 0.1.0
 */
export class SyncFrame extends Internal.builtIn<SyncFrame>()("SyncFrame", "control", {}) {
  declare readonly _tag: "SyncFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined

  static make(fields: Options = none): SyncFrame {
    return new SyncFrame(fields)
  }

  constructor(fields: Options) {
    super()
    this._tag = "SyncFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
  }
}

/**
 * An event notification, broadcast: wakes what waits for a notifier.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.SyncNotifyFrame.make().kind // => "control"
 * ```
 *
 * @category control frames
 * @since 0.1.0
 */
export class SyncNotifyFrame extends Internal.builtIn<SyncNotifyFrame>()("SyncNotifyFrame", "control", {}) {
  declare readonly _tag: "SyncNotifyFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined

  static make(fields: Options = none): SyncNotifyFrame {
    return new SyncNotifyFrame(fields)
  }

  constructor(fields: Options) {
    super()
    this._tag = "SyncNotifyFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
  }
}

/**
 * Nothing came for a while.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.IdleFrame.make().kind // => "control"
 * ```
 *
 * @category control frames
 * @since 0.1.0
 */
export class IdleFrame extends Internal.builtIn<IdleFrame>()("IdleFrame", "control", {}) {
  declare readonly _tag: "IdleFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined

  static make(fields: Options = none): IdleFrame {
    return new IdleFrame(fields)
  }

  constructor(fields: Options) {
    super()
    this._tag = "IdleFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
  }
}

/**
 * Sent by the task at an interval: shows that the pipeline moves, and how long a frame takes through it.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.HeartbeatFrame.make({ at: 1000 }).at // => 1000
 * ```
 *
 * @category control frames
 * @since 0.1.0
 */
export class HeartbeatFrame extends Internal.builtIn<HeartbeatFrame>()("HeartbeatFrame", "control", {
  at: Schema.Finite
}) {
  declare readonly _tag: "HeartbeatFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** When it was sent, in milliseconds of the `Clock`. */
  declare readonly at: number

  static make(
    fields: Options & {
      readonly at: number
    }
  ): HeartbeatFrame {
    return new HeartbeatFrame(fields)
  }

  constructor(fields: Parameters<typeof HeartbeatFrame.make>[0]) {
    super()
    this._tag = "HeartbeatFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.at = fields.at
  }
}

/**
 * A piece of text: a token, a sentence, a whole message.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.TextFrame.make({ text: "hi" }).text // => "hi"
 * ```
 *
 * @category data frames
 * @since 0.1.0
 */
export class TextFrame extends Internal.builtIn<TextFrame>()("TextFrame", "data", { text: Schema.String }) {
  declare readonly _tag: "TextFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** The text; may be empty. */
  declare readonly text: string

  static make(
    fields: Options & {
      readonly text: string
    }
  ): TextFrame {
    return new TextFrame(fields)
  }

  constructor(fields: Parameters<typeof TextFrame.make>[0]) {
    super()
    this._tag = "TextFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.text = fields.text
  }
}

const wholeSamples = Schema.makeFilter<{
  readonly audio: Uint8Array
  readonly numChannels: number
  readonly sampleWidth: number
}>(({ audio, numChannels, sampleWidth }) => {
  const unit = numChannels * sampleWidth
  return audio.byteLength % unit === 0 || {
    path: ["audio"],
    issue: `Expected a length that is a multiple of ${unit} (numChannels x sampleWidth), got ${audio.byteLength} bytes`
  }
})

/**
 * Uncompressed audio: little-endian PCM, channels interleaved.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * const audio = Frame.AudioRawFrame.make({ audio: new Uint8Array(640), sampleRate: 16000, numChannels: 1 })
 * audio.duration // => 20
 * ```
 *
 * @category data frames
 * @since 0.1.0
 */
export class AudioRawFrame extends Internal.builtIn<AudioRawFrame>()("AudioRawFrame", "data", {
  audio: Schema.Uint8Array,
  sampleRate: Rate,
  numChannels: Count,
  sampleWidth: Width
}, {
  check: wholeSamples
}) {
  declare readonly _tag: "AudioRawFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** The samples; the length is a multiple of `numChannels` x `sampleWidth`. */
  declare readonly audio: Uint8Array
  /** Samples per second and channel. */
  declare readonly sampleRate: number
  /** 1 is mono, 2 is stereo. */
  declare readonly numChannels: number
  /** Bytes per sample, 1 to 4. Default 2. */
  declare readonly sampleWidth: number

  static make(
    fields: Options & {
      readonly audio: Uint8Array
      readonly sampleRate: number
      readonly numChannels: number
      readonly sampleWidth?: number | undefined
    }
  ): AudioRawFrame {
    return new AudioRawFrame(fields)
  }

  constructor(fields: Parameters<typeof AudioRawFrame.make>[0]) {
    super()
    this._tag = "AudioRawFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.audio = fields.audio
    this.sampleRate = fields.sampleRate
    this.numChannels = fields.numChannels
    this.sampleWidth = fields.sampleWidth ?? 2
  }

  /** Samples per channel. */
  get numFrames(): number {
    return Math.floor(this.audio.byteLength / (this.numChannels * this.sampleWidth))
  }

  /** How long it plays, in milliseconds. */
  get duration(): number {
    return this.numFrames * 1000 / this.sampleRate
  }
}

/**
 * An image as bytes.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.ImageRawFrame.make({ image: new Uint8Array(3), width: 1, height: 1, format: "raw", mode: "RGB" }).width // => 1
 * ```
 *
 * @category data frames
 * @since 0.1.0
 */
export class ImageRawFrame extends Internal.builtIn<ImageRawFrame>()("ImageRawFrame", "data", {
  image: Schema.Uint8Array,
  width: Count,
  height: Count,
  format: Schema.String,
  mode: Schema.String
}) {
  declare readonly _tag: "ImageRawFrame"
  declare readonly id: number
  declare readonly pts: number | undefined
  declare readonly metadata: Metadata | undefined
  /** The bytes, in `format`. */
  declare readonly image: Uint8Array
  /** In pixels. */
  declare readonly width: number
  /** In pixels. */
  declare readonly height: number
  /** How the bytes are coded: `jpeg`, `png`, `raw`. */
  declare readonly format: string
  /** The pixel layout: `RGB`, `RGBA`, `L`. */
  declare readonly mode: string

  static make(
    fields: Options & {
      readonly image: Uint8Array
      readonly width: number
      readonly height: number
      readonly format: string
      readonly mode: string
    }
  ): ImageRawFrame {
    return new ImageRawFrame(fields)
  }

  constructor(fields: Parameters<typeof ImageRawFrame.make>[0]) {
    super()
    this._tag = "ImageRawFrame"
    this.id = Internal.nextId()
    this.pts = fields.pts
    this.metadata = fields.metadata
    this.image = fields.image
    this.width = fields.width
    this.height = fields.height
    this.format = fields.format
    this.mode = fields.mode
  }
}
// ---------------------------------------------------------------------------------------------------------------------
// unions
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The built-in system frames, as a schema.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Frame } from "@apipeline/core"
 *
 * Schema.is(Frame.SystemFrame)(Frame.CancelFrame.make()) // => true
 * ```
 *
 * @category unions
 * @since 0.1.0
 */
export const SystemFrame: Schema.Union<
  readonly [
    typeof CancelFrame.schema,
    typeof ErrorFrame.schema,
    typeof StopTaskFrame.schema,
    typeof StartInterruptionFrame.schema,
    typeof StopInterruptionFrame.schema,
    typeof MetricsFrame.schema
  ]
> = Schema.Union([
  CancelFrame.schema,
  ErrorFrame.schema,
  StopTaskFrame.schema,
  StartInterruptionFrame.schema,
  StopInterruptionFrame.schema,
  MetricsFrame.schema
])

/**
 * The built-in system frames.
 *
 * @category unions
 * @since 0.1.0
 */
export type SystemFrame = typeof SystemFrame.Type

/**
 * The built-in control frames, as a schema.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Frame } from "@apipeline/core"
 *
 * Schema.is(Frame.ControlFrame)(Frame.EndFrame.make()) // => true
 * ```
 *
 * @category unions
 * @since 0.1.0
 */
export const ControlFrame: Schema.Union<
  readonly [
    typeof StartFrame.schema,
    typeof EndFrame.schema,
    typeof SyncFrame.schema,
    typeof SyncNotifyFrame.schema,
    typeof IdleFrame.schema,
    typeof HeartbeatFrame.schema
  ]
> = Schema.Union([
  StartFrame.schema,
  EndFrame.schema,
  SyncFrame.schema,
  SyncNotifyFrame.schema,
  IdleFrame.schema,
  HeartbeatFrame.schema
])

/**
 * The built-in control frames.
 *
 * @category unions
 * @since 0.1.0
 */
export type ControlFrame = typeof ControlFrame.Type

/**
 * The built-in data frames, as a schema.
 *
 * @example
 * ```ts
 * import { Schema } from "effect"
 * import { Frame } from "@apipeline/core"
 *
 * Schema.is(Frame.DataFrame)(Frame.EndFrame.make()) // => false
 * ```
 *
 * @category unions
 * @since 0.1.0
 */
export const DataFrame: Schema.Union<
  readonly [
    typeof TextFrame.schema,
    typeof AudioRawFrame.schema,
    typeof ImageRawFrame.schema
  ]
> = Schema.Union([TextFrame.schema, AudioRawFrame.schema, ImageRawFrame.schema])

/**
 * The built-in data frames.
 *
 * @category unions
 * @since 0.1.0
 */
export type DataFrame = typeof DataFrame.Type

/**
 * The frames this module defines.
 *
 * @category unions
 * @since 0.1.0
 */
export type BuiltIn = SystemFrame | ControlFrame | DataFrame

/**
 * The tags of the frames this module defines.
 *
 * @category unions
 * @since 0.1.0
 */
export type Tag = BuiltIn["_tag"]

/**
 * The built-in frame with a tag.
 *
 * @category unions
 * @since 0.1.0
 */
export type WithTag<T extends Tag> = Extract<BuiltIn, { readonly _tag: T }>

/**
 * What all app frames have in common: see {@link App}.
 *
 * @category unions
 * @since 0.1.0
 */
export interface AppFrame<K extends Kind = Kind> extends Base<string, K, "app"> {}

/**
 * Any frame.
 *
 * The tag of an app frame may be any string, so comparing `_tag` does not narrow this type: use the class's `is`, a
 * guard, or {@link match}. On {@link BuiltIn}, `switch (frame._tag)` narrows as usual.
 *
 * @category unions
 * @since 0.1.0
 */
export type Frame = BuiltIn | AppFrame

/**
 * All built-in frames, as a schema; {@link schemaWith} adds app frames.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * const Json = Schema.fromJsonString(Schema.toCodecJson(Frame.Frame))
 * Schema.decodeUnknownSync(Json)(`{"_tag":"TextFrame","id":7,"text":"hi"}`).toString() // => "TextFrame#7(\"hi\")"
 * ```
 *
 * @category unions
 * @since 0.1.0
 */
export const Frame: Schema.Union<
  readonly [
    ...typeof SystemFrame.members,
    ...typeof ControlFrame.members,
    ...typeof DataFrame.members
  ]
> = Schema.Union([...SystemFrame.members, ...ControlFrame.members, ...DataFrame.members])

const tags: ReadonlySet<string> = new Set([
  CancelFrame.tag,
  ErrorFrame.tag,
  StopTaskFrame.tag,
  StartInterruptionFrame.tag,
  StopInterruptionFrame.tag,
  MetricsFrame.tag,
  StartFrame.tag,
  EndFrame.tag,
  SyncFrame.tag,
  SyncNotifyFrame.tag,
  IdleFrame.tag,
  HeartbeatFrame.tag,
  TextFrame.tag,
  AudioRawFrame.tag,
  ImageRawFrame.tag
])

// ---------------------------------------------------------------------------------------------------------------------
// app frames
// ---------------------------------------------------------------------------------------------------------------------

type Defaulted<Fields extends Schema.Struct.Fields> = Schema.Struct.TypeConstructorDefaultedKeys<Fields>

/**
 * What `make` of an app frame takes: the payload, without the fields that have a constructor default, and
 * {@link Options}.
 *
 * @category app frames
 * @since 0.1.0
 */
export type AppInput<Fields extends Schema.Struct.Fields> = Types.Simplify<
  & Omit<Schema.Struct.Type<Fields>, Defaulted<Fields>>
  & Partial<Pick<Schema.Struct.Type<Fields>, Defaulted<Fields> & keyof Schema.Struct.Type<Fields>>>
  & Options
>

/**
 * The class of an app frame.
 *
 * @category app frames
 * @since 0.1.0
 */
export interface AppClass<Self, Tag extends string, K extends Kind, Fields extends Schema.Struct.Fields>
  extends Descriptor<Self, Tag, K, Fields>
{
  new(fields: AppInput<Fields>): Base<Tag, K, "app"> & Schema.Struct.Type<Fields>
  /** Cheap: validates nothing; constructor defaults apply. */
  readonly make: (
    ...args: {} extends AppInput<Fields> ? [fields?: AppInput<Fields>] : [fields: AppInput<Fields>]
  ) => Self
}

/**
 * Defines a frame of one's own in a line. It is treated like the built-in ones everywhere: in handlers, filters,
 * serialisers and logs.
 *
 * The kind is `data` unless the options say otherwise. Getters and methods go in the class body; a constructor does
 * not, nor does a class that extends the class. Tags that built-in frames or processor hooks use, and field names that
 * frames use themselves, throw a `TypeError`.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Ping extends Frame.App<Ping>()("Ping", { n: Schema.Finite }) {}
 * class Hangup extends Frame.App<Hangup>()("Hangup", {}, { kind: "control", uninterruptible: true }) {}
 *
 * Ping.make({ n: 1 }).n // => 1
 * Hangup.make().kind // => "control"
 * ```
 *
 * @category app frames
 * @since 0.1.0
 */
export const App = <Self = never>(): <
  const Tag extends string,
  const Fields extends Schema.Struct.Fields & { readonly [K in Internal.Reserved]?: never },
  const K extends Kind = "data"
>(
  tag: Tag,
  fields: Fields,
  options?: { readonly kind?: K | undefined; readonly uninterruptible?: boolean | undefined }
) => [Self] extends [never] ? "Missing type argument: class X extends Frame.App<X>()(...)"
  : AppClass<Self, Tag, K, Fields> =>
(tag, fields, options) => Internal.app(tag, fields, options, tags)

/**
 * A schema over app frames.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Ping extends Frame.App<Ping>()("Ping", { n: Schema.Finite }) {}
 *
 * Schema.decodeUnknownSync(Frame.AppFrame([Ping]))({ _tag: "Ping", id: 7, n: 1 }).toString() // => "Ping#7(n: 1)"
 * ```
 *
 * @category app frames
 * @since 0.1.0
 */
export const AppFrame = <const Classes extends ReadonlyArray<AnyClass>>(
  classes: Classes
): Schema.Union<{ readonly [K in keyof Classes]: Classes[K]["schema"] }> => {
  const seen = new Set<string>(tags)
  for (const { tag } of classes) {
    if (seen.has(tag)) Internal.refuse("classes", tag, "app frame classes with a tag of their own each")
    seen.add(tag)
  }
  return Schema.Union(classes.map((c) => c.schema)) as any // `map` forgets the tuple
}

/**
 * A schema over all built-in frames and the given app frames.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 * import { Schema } from "effect"
 *
 * class Ping extends Frame.App<Ping>()("Ping", { n: Schema.Finite }) {}
 *
 * const schema = Frame.schemaWith([Ping])
 * Schema.is(schema)(Ping.make({ n: 1 })) // => true
 * ```
 *
 * @category app frames
 * @since 0.1.0
 */
export const schemaWith = <const Classes extends ReadonlyArray<AnyClass>>(
  classes: Classes
): Schema.Union<readonly [...typeof Frame.members, ...{ readonly [K in keyof Classes]: Classes[K]["schema"] }]> =>
  Schema.Union([...Frame.members, ...AppFrame(classes).members]) as any // the spread forgets the tuple

// ---------------------------------------------------------------------------------------------------------------------
// copying
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What {@link copy} can change: `pts`, `metadata` and the payload.
 *
 * @category copying
 * @since 0.1.0
 */
export type Changes<F> = { readonly [K in Exclude<keyof F, Exclude<keyof Base, keyof Options>>]?: F[K] }

/**
 * The same frame under a new id, with some fields changed. The copy is shallow: arrays, bytes and metadata are shared.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * const frame = Frame.TextFrame.make({ text: "hi", pts: 20 })
 * Frame.copy(frame, { text: "ho" }).pts // => 20
 * ```
 *
 * @category copying
 * @since 0.1.0
 */
export const copy: {
  <F extends Frame>(frame: F, changes?: Changes<F>): F
  <C extends object>(changes: C): <F extends Frame>(frame: F & Fits<C, F>) => F
} = dual((args) => Predicate.hasProperty(args[0], "_tag"), Internal.copy)

type Fits<C, F> = C extends Changes<F> ? [Exclude<keyof C, keyof Changes<F>>] extends [never] ? unknown : never : never

// ---------------------------------------------------------------------------------------------------------------------
// guards
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Whether a value is a frame made by a frame class.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.isFrame(Frame.EndFrame.make()) // => true
 * Frame.isFrame("hi") // => false
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isFrame = (u: unknown): u is Frame => Predicate.hasProperty(u, TypeId)

/**
 * The kind of a frame; a plain object that only looks like one counts as `data`.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.kindOf(Frame.TextFrame.make({ text: "hi" })) // => "data"
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const kindOf = (frame: Frame): Kind => frame.kind ?? "data"

/**
 * Whether a frame survives interruptions.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.isUninterruptible(Frame.EndFrame.make()) // => true
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isUninterruptible = (frame: Frame): boolean => frame.uninterruptible === true

/**
 * Whether a frame is of kind `system`, built-in or not.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.isSystem(Frame.CancelFrame.make()) // => true
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isSystem = (frame: Frame): frame is SystemFrame | AppFrame<"system"> => frame.kind === "system"

/**
 * Whether a frame is of kind `control`, built-in or not.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.isControl(Frame.EndFrame.make()) // => true
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isControl = (frame: Frame): frame is ControlFrame | AppFrame<"control"> => frame.kind === "control"

/**
 * Whether a frame is of kind `data`, built-in or not.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.isData(Frame.TextFrame.make({ text: "hi" })) // => true
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isData = (frame: Frame): frame is DataFrame | AppFrame<"data"> => kindOf(frame) === "data"

/**
 * Whether a frame is an application's own.
 *
 * @example
 * ```ts
 * import { Frame, VoiceFrames } from "@apipeline/core"
 *
 * Frame.isApp(VoiceFrames.TtsStoppedFrame.make()) // => true
 * Frame.isApp(Frame.EndFrame.make()) // => false
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isApp = (frame: Frame): frame is AppFrame => frame[TypeId] !== "builtIn"

/**
 * The frames that the kernel forwards itself; handlers only observe them.
 *
 * @category guards
 * @since 0.1.0
 */
export type Lifecycle =
  | StartFrame
  | EndFrame
  | StopTaskFrame
  | CancelFrame
  | StartInterruptionFrame
  | StopInterruptionFrame

/**
 * Whether a frame is one of those that the kernel forwards itself.
 *
 * @example
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * Frame.isLifecycle(Frame.EndFrame.make()) // => true
 * Frame.isLifecycle(Frame.TextFrame.make({ text: "hi" })) // => false
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isLifecycle = (frame: Frame): frame is Lifecycle => {
  switch (frame._tag) {
    case "StartFrame":
    case "EndFrame":
    case "StopTaskFrame":
    case "CancelFrame":
    case "StartInterruptionFrame":
    case "StopInterruptionFrame":
      return !isApp(frame)
    default:
      return false
  }
}

/**
 * Whether a value is a frame of one of some classes.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * const isMedia = Frame.isAnyOf([Frame.AudioRawFrame, Frame.ImageRawFrame])
 * isMedia(Frame.TextFrame.make({ text: "hi" })) // => false
 * ```
 *
 * @category guards
 * @since 0.1.0
 */
export const isAnyOf: {
  <const Classes extends ReadonlyArray<AnyClass>>(classes: Classes): (u: unknown) => u is Instance<Classes[number]>
  <const Classes extends ReadonlyArray<AnyClass>>(u: unknown, classes: Classes): u is Instance<Classes[number]>
} = dual(2, (u: unknown, classes: ReadonlyArray<AnyClass>): u is never => classes.some((frame) => frame.is(u)))

// ---------------------------------------------------------------------------------------------------------------------
// matching
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A function for each built-in frame of a union, by tag, and `AppFrame` where the union has app frames.
 *
 * @category matching
 * @since 0.1.0
 */
export type Cases<F extends Frame = Frame, A = unknown> =
  & { readonly [G in Exclude<F, AppFrame> as G["_tag"]]: (frame: G) => A }
  & ([Extract<F, AppFrame>] extends [never] ? unknown : { readonly AppFrame: (frame: Extract<F, AppFrame>) => A })

/** A case that no frame has is a typing error, in both senses. */
type Known<C> = C & { readonly [K in Exclude<keyof C, keyof Cases>]: never }

type Result<C> = {
  [K in keyof C]: C[K] extends ((...args: Array<any>) => infer A) | undefined ? A : never
}[keyof C]

/**
 * Handles every built-in frame by its tag, and all app frames in one case. A missing case does not compile; a frame
 * whose type is narrower than {@link Frame} needs fewer cases.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * const bytes = (frame: Frame.DataFrame) =>
 *   Frame.match(frame, {
 *     TextFrame: (frame) => frame.text.length,
 *     AudioRawFrame: (frame) => frame.audio.length,
 *     ImageRawFrame: (frame) => frame.image.length
 *   })
 *
 * bytes(Frame.TextFrame.make({ text: "hi" })) // => 2
 * ```
 *
 * @see {@link matchOrElse} for handling some frames only
 * @category matching
 * @since 0.1.0
 */
export const match: {
  <const C extends Cases>(cases: Known<C>): (frame: Frame) => Unify.Unify<Result<C>>
  <F extends Frame, const C extends Cases<F>>(frame: F, cases: Known<C>): Unify.Unify<Result<C>>
} = dual(2, (frame: Frame, cases: Cases): unknown => caseOf(frame, cases)!(frame))

/**
 * Handles some frames by their tag, all app frames by `AppFrame`, and the rest in one function.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * const text = Frame.matchOrElse({ TextFrame: (frame) => frame.text }, (frame) => frame._tag)
 *
 * text(Frame.IdleFrame.make()) // => "IdleFrame"
 * ```
 *
 * @category matching
 * @since 0.1.0
 */
export const matchOrElse: {
  <const C extends Partial<Cases>, B>(
    cases: Known<C>,
    orElse: (frame: Frame) => B
  ): (frame: Frame) => Unify.Unify<Result<C> | B>
  <F extends Frame, const C extends Partial<Cases<F>>, B>(
    frame: F,
    cases: Known<C>,
    orElse: (frame: F) => B
  ): Unify.Unify<Result<C> | B>
} = dual(
  3,
  (frame: Frame, cases: Partial<Cases>, orElse: (frame: Frame) => unknown): unknown =>
    (caseOf(frame, cases) ?? orElse)(frame)
)

// The tag says which case takes the frame, so the types of the two agree.
const caseOf = (frame: Frame, cases: Partial<Cases>): ((frame: any) => unknown) | undefined =>
  cases[isApp(frame) ? "AppFrame" : frame._tag]

// ---------------------------------------------------------------------------------------------------------------------
// formatting
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A frame in one line: its name and what matters of its payload, long text cut, bytes as a size.
 *
 * ```ts
 * import { Frame } from "@apipeline/core"
 *
 * const frame = Frame.AudioRawFrame.make({ audio: new Uint8Array(640), sampleRate: 16000, numChannels: 1 })
 * Frame.format(frame) // AudioRawFrame#1(640 B, 16 kHz, mono, 20 ms)
 * ```
 *
 * @category formatting
 * @since 0.1.0
 */
export const format: (frame: Frame) => string = Internal.format
