/**
 * W6: `serializers.ts <system> w6 <format>-<payload>`. Each is measured in a process of its own, because what else has
 * run decides how V8 compiles it.
 */
import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import { serve, type Values } from "../protocol.ts"
import { cpu, quantile, round } from "./measure.ts"
import { load, text } from "./peer.ts"

interface Subject {
  readonly encode: () => unknown
  readonly decode: () => unknown
}

type Payload = "text" | "audio"

const audio = Uint8Array.from({ length: 640 }, (_, i) => i * 151 % 256)
const frames = {
  text: Frame.TextFrame.make({ text }),
  audio: Frame.AudioRawFrame.make({ audio, sampleRate: 16_000, numChannels: 1 })
}
const scratch = new URL("../.scratch/", import.meta.url).href

/** The frame as a message of those who know no frames. */
const message = (payload: Payload) => {
  const { id, name } = frames[payload]
  return payload === "text"
    ? { text: { id, name, text } }
    : { audio: { id, name, audio, sampleRate: 16_000, numChannels: 1, sampleWidth: 2 } }
}

const bytesOf = (payload: Payload): Uint8Array => FrameSerializer.makeProtobuf().encodeUnsafe(frames[payload])

const jsonOf = (payload: Payload): string => FrameSerializer.makeJson().encodeUnsafe(frames[payload])

const base64 = ({ buffer, byteLength, byteOffset }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString("base64")

interface Generated {
  readonly encode: (message: unknown) => { readonly finish: () => Uint8Array }
  readonly decode: (bytes: Uint8Array) => unknown
}

interface Bufbuild {
  readonly create: (schema: unknown, message: unknown) => unknown
  readonly createFileRegistry: (set: unknown) => { readonly getMessage: (name: string) => unknown }
  readonly fromBinary: (schema: unknown, bytes: Uint8Array) => unknown
  readonly toBinary: (schema: unknown, message: unknown) => Uint8Array
}

const generated = (type: Generated, made: unknown, bytes: Uint8Array): Subject => ({
  encode: () => type.encode(made).finish(),
  decode: () => type.decode(bytes)
})

const protobuf: Record<string, (payload: Payload) => Subject | Promise<Subject>> = {
  apipeline: (payload) => {
    const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeProtobuf()
    const bytes = bytesOf(payload)
    return { encode: () => encodeUnsafe(frames[payload]), decode: () => decodeUnsafe(bytes) }
  },
  protobufjs: async (payload) => {
    const { pipeline_frames: { Frame } } = await load<any>(`${scratch}protobufjs.mjs`)
    return generated(Frame, Frame.create(message(payload)), bytesOf(payload))
  },
  "ts-proto": async (payload) =>
    generated((await load<any>(`${scratch}tsProto.ts`)).Frame, message(payload), bytesOf(payload)),
  "bufbuild-es": async (payload) => {
    const { create, createFileRegistry, fromBinary, toBinary } = await load<Bufbuild>("@bufbuild/protobuf")
    const { FileDescriptorSetSchema } = await load<any>("@bufbuild/protobuf/wkt")
    const set = fromBinary(FileDescriptorSetSchema, readFileSync(new URL(`${scratch}frames.descriptor`)))
    const type = createFileRegistry(set).getMessage("pipeline_frames.Frame")
    const [[field, value]] = Object.entries(message(payload)) as [[string, { id: number }]]
    const made = create(type, { frame: { case: field, value: { ...value, id: BigInt(value.id) } } })
    const bytes = bytesOf(payload)
    return { encode: () => toBinary(type, made), decode: () => fromBinary(type, bytes) }
  }
}

const json: Record<string, (payload: Payload) => Subject> = {
  apipeline: (payload) => {
    const { decodeUnsafe, encodeUnsafe } = FrameSerializer.makeJson()
    const line = jsonOf(payload)
    return { encode: () => encodeUnsafe(frames[payload]), decode: () => decodeUnsafe(line) }
  },
  "JSON+base64": (payload) => {
    const line = jsonOf(payload)
    const { audio: speech, text: words } = frames
    return payload === "text"
      ? {
        encode: () => JSON.stringify({ _tag: words._tag, id: words.id, text: words.text }),
        decode: () => JSON.parse(line)
      }
      : {
        encode: () => {
          const { _tag, audio, id, numChannels, sampleRate, sampleWidth } = speech
          return JSON.stringify({ _tag, id, audio: base64(audio), sampleRate, numChannels, sampleWidth })
        },
        decode: () => {
          const value = JSON.parse(line)
          value.audio = Buffer.from(value.audio, "base64")
          return value
        }
      }
  },
  "effect-schema": (payload) => {
    const codec = Schema.fromJsonString(Schema.toCodecJson(Frame.Frame))
    const encode = Schema.encodeSync(codec)
    const decode = Schema.decodeUnknownSync(codec)
    const line = jsonOf(payload)
    return { encode: () => encode(frames[payload]), decode: () => decode(line) }
  }
}

let kept: unknown

/** How often in a second of CPU time: some windows for the compiler, then the median of as many. */
const perSecond = (f: () => unknown, budget: number): number => {
  const windows: Array<number> = []
  while (windows.length < 8) {
    const start = cpu()
    let used = 0
    let rounds = 0
    do {
      for (let i = 0; i < 200; i++) kept = f()
      rounds += 200
      used = cpu() - start
    } while (used < budget / 8 * 1e6)
    windows.push(rounds / used * 1e9)
  }
  return round(quantile(windows.slice(4), 0.5))
}

/** `budget`: ms of CPU time for each direction. */
export const measure = async (system: string, variant: string, budget = 320): Promise<Values> => {
  const [format, payload] = variant.split("-") as ["proto" | "json", Payload]
  const subject = await (format === "proto" ? protobuf : json)[system]!(payload)
  const values = { encPerSec: perSecond(subject.encode, budget), decPerSec: perSecond(subject.decode, budget) }
  if (kept === undefined) throw new Error("nothing was measured")
  return values
}

if (import.meta.main) {
  const [system, ...args] = process.argv.slice(2)
  await serve(system!, { w6: (variant, frames) => measure(system!, variant, frames) }, args)
}
