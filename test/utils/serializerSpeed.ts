import * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import { types } from "./protobufjs.ts"
import { random } from "./random.ts"

/**
 * How many times as fast as the peer each direction is (W6 of the benchmarks), as JSON lines. In a process of its own,
 * because what else has run decides how V8 compiles both. CPU time, the two by turns, the median:
 * `node test/utils/serializerSpeed.ts [rounds]`.
 */
const cpu = (): number => {
  const { system, user } = process.cpuUsage()
  return user + system
}

let sink: unknown

const time = (f: () => unknown, rounds: number): number => {
  const start = cpu()
  for (let i = 0; i < rounds; i++) sink = f()
  return (cpu() - start) * 1000 / rounds
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1]!

const generator = random(1)
const words = Frame.TextFrame.make({ text: "Hello, this is text!" })
const speech = Frame.AudioRawFrame.make({ audio: generator.bytes(640), sampleRate: 16000, numChannels: 1 })

const protobuf = FrameSerializer.makeProtobuf()
const copying = FrameSerializer.makeProtobuf({ bytes: "copy" })
const json = FrameSerializer.makeJson()
const { type } = types.protobuf

const wordsMessage = type.create({ text: { id: words.id, name: words.name, text: words.text } })
const speechMessage = type.create({
  audio: { id: speech.id, name: speech.name, audio: speech.audio, sampleRate: 16000, numChannels: 1, sampleWidth: 2 }
})
const wordsBytes = protobuf.encodeUnsafe(words)
const speechBytes = protobuf.encodeUnsafe(speech)
const wordsLine = json.encodeUnsafe(words)
const speechLine = json.encodeUnsafe(speech)
const base64 = ({ buffer, byteLength, byteOffset }: Uint8Array) =>
  Buffer.from(buffer, byteOffset, byteLength).toString("base64")

const cases: Record<string, readonly [ours: () => unknown, theirs: () => unknown]> = {
  "protobuf: encode text": [() => protobuf.encodeUnsafe(words), () => type.encode(wordsMessage).finish()],
  "protobuf: encode audio": [() => protobuf.encodeUnsafe(speech), () => type.encode(speechMessage).finish()],
  "protobuf: decode text": [() => protobuf.decodeUnsafe(wordsBytes), () => type.decode(wordsBytes)],
  "protobuf: decode audio": [() => protobuf.decodeUnsafe(speechBytes), () => type.decode(speechBytes)],
  "protobuf: decode audio, copying": [() => copying.decodeUnsafe(speechBytes), () => type.decode(speechBytes)],
  "JSON: encode text": [
    () => json.encodeUnsafe(words),
    () => JSON.stringify({ _tag: words._tag, id: words.id, text: words.text })
  ],
  "JSON: encode audio": [
    () => json.encodeUnsafe(speech),
    () => {
      const { _tag, audio, id, numChannels, sampleRate, sampleWidth } = speech
      return JSON.stringify({ _tag, id, audio: base64(audio), sampleRate, numChannels, sampleWidth })
    }
  ],
  "JSON: decode text": [() => json.decodeUnsafe(wordsLine), () => JSON.parse(wordsLine)],
  "JSON: decode audio": [
    () => json.decodeUnsafe(speechLine),
    () => {
      const value = JSON.parse(speechLine)
      value.audio = Buffer.from(value.audio, "base64")
      return value
    }
  ]
}

const rounds = Number(process.argv[2] ?? 10_000)
for (const [ours, theirs] of Object.values(cases)) {
  time(ours, rounds)
  time(theirs, rounds)
}
for (const [name, [ours, theirs]] of Object.entries(cases)) {
  time(ours, rounds)
  time(theirs, rounds)
  const samples = Array.from({ length: 15 }, () => [time(ours, rounds), time(theirs, rounds)] as const)
  const ratios = samples.map(([ours, theirs]) => theirs / ours)
  console.log(JSON.stringify({
    name,
    ratio: Number(median(ratios).toFixed(2)),
    from: Number(Math.min(...ratios).toFixed(2)),
    to: Number(Math.max(...ratios).toFixed(2)),
    ours: Math.round(median(samples.map(([ours]) => ours))),
    theirs: Math.round(median(samples.map(([, theirs]) => theirs)))
  }))
}
if (sink === undefined) throw new Error("nothing was measured")
