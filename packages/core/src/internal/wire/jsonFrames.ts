/**
 * Both JSON forms: our own, which is what the schemas of the frames encode to, and that of pipeline-go.
 *
 * Text, audio and images have a path of their own that does without the schemas, for what comes by the hundred per
 * second. It handles the plain case only and leaves everything else, all errors included, to the schemas.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Frame from "../../Frame.ts"
import * as Rules from "../kernel/frameRules.ts"
import * as Bytes from "./bytes.ts"
import * as Issue from "./schemaIssue.ts"
import * as SerializerError from "./serializerError.ts"

const builtIns = {
  CancelFrame: Frame.CancelFrame,
  ErrorFrame: Frame.ErrorFrame,
  StopTaskFrame: Frame.StopTaskFrame,
  StartInterruptionFrame: Frame.StartInterruptionFrame,
  StopInterruptionFrame: Frame.StopInterruptionFrame,
  MetricsFrame: Frame.MetricsFrame,
  StartFrame: Frame.StartFrame,
  EndFrame: Frame.EndFrame,
  SyncFrame: Frame.SyncFrame,
  SyncNotifyFrame: Frame.SyncNotifyFrame,
  IdleFrame: Frame.IdleFrame,
  HeartbeatFrame: Frame.HeartbeatFrame,
  TextFrame: Frame.TextFrame,
  AudioRawFrame: Frame.AudioRawFrame,
  ImageRawFrame: Frame.ImageRawFrame
} satisfies { readonly [T in Frame.Tag]: Frame.AnyClass }

const isBuiltIn = (tag: string): boolean => Object.hasOwn(builtIns, tag)

/** What the two forms have in common: the frames, each with the JSON codec of its schema. */
export interface Frames {
  readonly tags: ReadonlyArray<string>
  readonly apps: ReadonlyArray<string>
  readonly get: (tag: string) => Entry | undefined
}

interface Entry {
  readonly encode: (u: unknown) => Result.Result<unknown, Schema.SchemaError>
  readonly decode: (u: unknown) => Result.Result<Frame.Frame, Schema.SchemaError>
}

export const frames = (apps: ReadonlyArray<Frame.AnyClass>): Frames => {
  const classes = new Map<string, Frame.AnyClass>(Object.entries(builtIns))
  for (const app of apps) {
    if (classes.has(app.tag)) {
      throw new TypeError(
        `FrameSerializer: frames: found ${app.tag} twice, expected classes with a tag of their own each`
      )
    }
    classes.set(app.tag, app)
  }
  const entries = new Map<string, Entry>()
  return {
    tags: Array.from(classes.keys()),
    apps: apps.map((app) => app.tag),
    get: (tag) => {
      const known = entries.get(tag)
      if (known !== undefined) return known
      const found = classes.get(tag)
      if (found === undefined) return undefined
      const codec: Schema.Codec<any> = Schema.toCodecJson(found.schema as Schema.Codec<any>)
      const entry = { encode: Schema.encodeUnknownResult(codec), decode: Schema.decodeUnknownResult(codec) }
      entries.set(tag, entry)
      return entry
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// schemas
// ---------------------------------------------------------------------------------------------------------------------

// As in protobuf. The schemas recurse, so what is deep in one another needs a limit, whoever made it.
const maxDepth = 100

/** Not by recursion, of course. What contains itself is deep too. */
const isDeep = (value: object): boolean => {
  let level: Array<object> = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) return true
    const next = new Set<object>()
    for (const outer of level) {
      if (ArrayBuffer.isView(outer)) continue
      for (const inner of Object.values(outer)) if (typeof inner === "object" && inner !== null) next.add(inner)
    }
    level = Array.from(next)
  }
  return false
}

const deep = { field: "", found: `values more than ${maxDepth} deep in one another`, expected: "fewer" }

const encodeSchema = (frames: Frames, frame: Frame.Frame, format: string, carried: ReadonlyArray<string>): unknown => {
  const entry = frames.get(frame._tag)
  if (entry === undefined) throw SerializerError.unsupported(format, frame._tag, carried)
  if (isDeep(frame)) throw SerializerError.invalid(format, frame._tag, deep)
  const result = entry.encode(frame)
  if (Result.isSuccess(result)) return result.success
  throw SerializerError.invalid(format, frame._tag, Issue.violation(result.failure.issue, frame))
}

const decodeSchema = (
  entry: Entry,
  value: object,
  format: string,
  path: ReadonlyArray<PropertyKey> = []
): Frame.Frame => {
  if (isDeep(value)) throw SerializerError.malformed(format, deep)
  const result = entry.decode(value)
  if (Result.isSuccess(result)) return result.success
  throw SerializerError.malformed(format, Issue.violation(result.failure.issue, value, path))
}

// ---------------------------------------------------------------------------------------------------------------------
// our own form
// ---------------------------------------------------------------------------------------------------------------------

const max = Number.MAX_SAFE_INTEGER

/** @internal */
export const encodeCanonical = (frames: Frames, format: string) => (frame: Frame.Frame): string =>
  encodeFast(frame) ?? JSON.stringify(encodeSchema(frames, frame, format, frames.tags))

const encodeFast = (frame: Frame.Frame): string | undefined => {
  if (frame instanceof Frame.TextFrame) {
    const head = encodeHead(frame)
    if (head === undefined || typeof frame.text !== "string") return undefined
    return `${head},"text":${JSON.stringify(frame.text)}}`
  }
  if (frame instanceof Frame.AudioRawFrame) {
    const { audio, numChannels, sampleRate, sampleWidth } = frame
    const head = encodeHead(frame)
    if (head === undefined || Rules.audio(audio, sampleRate, numChannels, sampleWidth, max) !== undefined) {
      return undefined
    }
    const numbers = `"sampleRate":${sampleRate},"numChannels":${numChannels},"sampleWidth":${sampleWidth}`
    return `${head},"audio":"${Bytes.toBase64(audio)}",${numbers}}`
  }
  if (frame instanceof Frame.ImageRawFrame) {
    const { format, height, image, mode, width } = frame
    const head = encodeHead(frame)
    if (head === undefined || Rules.image(image, width, height, format, mode, max) !== undefined) return undefined
    const rest = `"format":${JSON.stringify(format)},"mode":${JSON.stringify(mode)}`
    return `${head},"image":"${Bytes.toBase64(image)}","width":${width},"height":${height},${rest}}`
  }
}

const encodeHead = ({ _tag, id, metadata, pts }: Frame.BuiltIn): string | undefined => {
  if (Rules.id(id) !== undefined || Rules.pts(pts) !== undefined) return undefined
  let head = `{"_tag":"${_tag}","id":${id}`
  if (pts !== undefined) head += `,"pts":${pts}`
  if (metadata !== undefined) {
    if (!isFlat(metadata)) return undefined
    head += `,"metadata":${JSON.stringify(metadata)}`
  }
  return head
}

/** A plain object of plain values, which JSON holds as they are. */
const isFlat = (u: unknown): u is Frame.Metadata => {
  if (typeof u !== "object" || u === null) return false
  const proto = Object.getPrototypeOf(u)
  if (proto !== Object.prototype && proto !== null) return false
  for (const key of Object.keys(u)) {
    const value = (u as any)[key]
    const type = typeof value
    if (!(type === "string" || type === "boolean" || value === null || Number.isFinite(value))) return false
  }
  return true
}

const decodeFast = (value: any): Frame.Frame | undefined => {
  const { _tag, id, metadata, pts } = value
  if (Rules.id(id) !== undefined || Rules.pts(pts) !== undefined) return undefined
  if (metadata !== undefined && !isFlat(metadata)) return undefined
  switch (_tag) {
    case "TextFrame": {
      const text: unknown = value.text
      return typeof text === "string" ? withId(Frame.TextFrame.make({ text, pts, metadata }), id) : undefined
    }
    case "AudioRawFrame": {
      const { numChannels, sampleRate, sampleWidth } = value
      const audio = typeof value.audio === "string" ? Bytes.fromBase64(value.audio) : undefined
      return audio !== undefined && Rules.audio(audio, sampleRate, numChannels, sampleWidth, max) === undefined
        ? withId(Frame.AudioRawFrame.make({ audio, sampleRate, numChannels, sampleWidth, pts, metadata }), id)
        : undefined
    }
    case "ImageRawFrame": {
      const { format, height, mode, width } = value
      const image = typeof value.image === "string" ? Bytes.fromBase64(value.image) : undefined
      return image !== undefined && Rules.image(image, width, height, format, mode, max) === undefined
        ? withId(Frame.ImageRawFrame.make({ image, width, height, format, mode, pts, metadata }), id)
        : undefined
    }
  }
}

/** What decoding with the schema does too: the frame keeps the id it was encoded with. */
const withId = <F extends Frame.Base>(frame: F, id: number): F => {
  const mutable: { id: number } = frame
  mutable.id = id
  return frame
}

// ---------------------------------------------------------------------------------------------------------------------
// the form of pipeline-go
// ---------------------------------------------------------------------------------------------------------------------

/** @internal */
export const carriedByPipelineGo = (frames: Frames): ReadonlyArray<string> => [
  "TextFrame",
  "AudioRawFrame",
  "ImageRawFrame",
  ...frames.apps
]

/** @internal */
export const encodePipelineGo = (frames: Frames, format: string) => (frame: Frame.Frame): string => {
  const check = (violation: SerializerError.Violation | undefined): void => {
    if (violation !== undefined) throw SerializerError.invalid(format, frame._tag, violation)
  }
  if (frame instanceof Frame.TextFrame) {
    check(Rules.text("text", frame.text))
    return `{"type":"text","data":{"Text":${quote(frame.text)}}}`
  }
  if (frame instanceof Frame.AudioRawFrame) {
    const { audio, numChannels, numFrames, sampleRate, sampleWidth } = frame
    check(Rules.audio(audio, sampleRate, numChannels, sampleWidth, max))
    const numbers =
      `"SampleRate":${sampleRate},"NumChannels":${numChannels},"SampleWidth":${sampleWidth},"NumFrames":${numFrames}`
    return `{"type":"audio","data":{"Audio":"${Bytes.toBase64(audio)}",${numbers}}}`
  }
  if (frame instanceof Frame.ImageRawFrame) {
    const { height, image, mode, width } = frame
    check(Rules.image(image, width, height, frame.format, mode, max))
    const rest = `"Size":{"Width":${width},"Height":${height}},"Format":${quote(frame.format)},"Mode":${quote(mode)}`
    return `{"type":"image","data":{"Image":"${Bytes.toBase64(image)}",${rest}}}`
  }
  const carried = carriedByPipelineGo(frames)
  if (!carried.includes(frame._tag)) throw SerializerError.unsupported(format, frame._tag, carried)
  const encoded = encodeSchema(frames, frame, format, carried) as any
  const { _tag, id: _id, metadata: _metadata, pts: _pts, ...data } = encoded
  return `{"type":${quote(_tag)},"data":${escapeHtml(JSON.stringify(data))}}`
}

const quote = (text: string): string => escapeHtml(JSON.stringify(text))

// Go's `json.Marshal` writes these so that JSON can stand in HTML and in JavaScript.
const escapeHtml = (json: string): string =>
  json.replace(/[<>&\u2028\u2029]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)

const decodePipelineGo = (frames: Frames, value: any, format: string): Frame.Frame => {
  const { data, type } = value
  if (typeof data !== "object" || data === null || Array.isArray(data)) throw refused(format, "data", data, "an object")
  switch (type) {
    case "text": {
      checkGo(Rules.text("text", data.Text), format)
      return Frame.TextFrame.make({ text: data.Text })
    }
    case "audio": {
      const { NumChannels: numChannels, SampleRate: sampleRate, SampleWidth: sampleWidth = 2 } = data
      const audio = decodeBytes(data.Audio, "data.Audio", format)
      checkGo(Rules.audio(audio, sampleRate, numChannels, sampleWidth, max), format)
      return Frame.AudioRawFrame.make({ audio, sampleRate, numChannels, sampleWidth })
    }
    case "image": {
      const { Format: imageFormat, Mode: mode } = data
      const image = decodeBytes(data.Image, "data.Image", format)
      const width = data.Size?.Width
      const height = data.Size?.Height
      checkGo(Rules.image(image, width, height, imageFormat, mode, max), format)
      return Frame.ImageRawFrame.make({ image, width, height, format: imageFormat, mode })
    }
    default: {
      const entry = typeof type === "string" && !isBuiltIn(type) ? frames.get(type) : undefined
      if (entry === undefined) {
        const expected = `one of ${["text", "audio", "image", ...frames.apps].join(", ")}`
        throw SerializerError.unknown(format, { field: "type", found: SerializerError.show(type), expected })
      }
      // Ids are not carried: the frame gets one of this process.
      return Frame.copy(decodeSchema(entry, { ...data, _tag: type, id: 0 }, format, ["data"]))
    }
  }
}

const goNames: { readonly [field: string]: string } = {
  text: "Text",
  audio: "Audio",
  sampleRate: "SampleRate",
  numChannels: "NumChannels",
  sampleWidth: "SampleWidth",
  image: "Image",
  width: "Size.Width",
  height: "Size.Height",
  format: "Format",
  mode: "Mode"
}

const checkGo = (violation: SerializerError.Violation | undefined, format: string): void => {
  if (violation === undefined) return
  const name = goNames[violation.field]!
  const found = violation.found === "undefined" ? "nothing" : violation.found
  throw SerializerError.malformed(format, { field: `data.${name}`, found, expected: violation.expected })
}

/** Go writes `null` for a slice without elements. */
const decodeBytes = (value: unknown, field: string, format: string): Uint8Array => {
  if (value === null) return new Uint8Array(0)
  const bytes = typeof value === "string" ? Bytes.fromBase64(value) : undefined
  if (bytes === undefined) throw refused(format, field, value, "base64")
  return bytes
}

const refused = (format: string, field: string, found: unknown, expected: string): SerializerError.SerializerError =>
  SerializerError.malformed(format, {
    field,
    found: found === undefined ? "nothing" : SerializerError.show(found),
    expected
  })

// ---------------------------------------------------------------------------------------------------------------------
// either form
// ---------------------------------------------------------------------------------------------------------------------

/** @internal */
export const decodeValue = (frames: Frames, format: string) => (value: any): Frame.Frame => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refused(format, "", value, "an object with _tag, or with type and data")
  }
  if (value._tag === undefined && value.type !== undefined) return decodePipelineGo(frames, value, format)
  const frame = decodeFast(value)
  if (frame !== undefined) return frame
  const tag: unknown = value._tag
  if (typeof tag !== "string") throw refused(format, "_tag", tag, "the tag of a frame")
  const entry = frames.get(tag)
  if (entry !== undefined) return decodeSchema(entry, value, format)
  const expected = `one of ${frames.tags.join(", ")}`
  throw SerializerError.unknown(format, { field: "_tag", found: SerializerError.show(tag), expected })
}

/** @internal */
export const parse = (input: Uint8Array | string, format: string): unknown => {
  const text = typeof input === "string" ? input : decodeText(input, format)
  try {
    return JSON.parse(text.charCodeAt(0) === byteOrderMark ? text.slice(1) : text)
  } catch {
    throw refused(format, "", text, "JSON")
  }
}

const byteOrderMark = 0xfeff

const decodeText = (input: unknown, format: string): string => {
  if (!(input instanceof Uint8Array)) throw refused(format, "", input, "text, as a string or as bytes")
  const text = Bytes.readUtf8(input, 0, input.length)
  if (text === undefined) throw refused(format, "", input, "UTF-8")
  return text
}
