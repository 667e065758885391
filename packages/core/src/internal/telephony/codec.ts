/** Audio frames to what is on a line and back. */
import * as Result from "effect/Result"
import * as AudioChunker from "../../AudioChunker.ts"
import * as Frame from "../../Frame.ts"
import * as G711 from "../../G711.ts"
import * as Pcm from "../../Pcm.ts"
import * as Resampler from "../../Resampler.ts"
import { isAlike } from "../audio/monoAudio.ts"
import * as Errors from "../wire/serializerError.ts"
import type { Coding } from "./dialect.ts"

export interface Decoder {
  readonly push: (payload: Uint8Array) => Frame.AudioRawFrame | undefined
  /** What resampling has held back. */
  readonly flush: () => Frame.AudioRawFrame | undefined
}

const pick = (payload: Uint8Array, { channel = 0, numChannels = 1 }: Coding): Uint8Array =>
  numChannels === 1
    ? payload
    : Uint8Array.from({ length: payload.length / numChannels }, (_, i) => payload[i * numChannels + channel]!)

/** `sampleRate` is that of the frames. Throws a `ResamplerError` when it cannot be. */
export const makeDecoder = (coding: Coding, sampleRate: number): Decoder => {
  const { encoding } = coding
  const resampler = Resampler.makeUnsafe({ from: coding.sampleRate, to: sampleRate })
  const out = (samples: Int16Array): Frame.AudioRawFrame | undefined =>
    samples.length === 0
      ? undefined
      : Frame.AudioRawFrame.make({ audio: Pcm.fromInt16(samples), sampleRate, numChannels: 1 })
  return {
    push: (payload) => {
      const samples = encoding === "pcm" ? Pcm.toInt16Unsafe(payload) : G711.decode(pick(payload, coding), encoding)
      return out(coding.sampleRate === sampleRate ? samples : resampler.pushInt16(samples))
    },
    flush: () => out(resampler.flushInt16())
  }
}

export interface Encoder {
  /** The packets that the frame completes. Throws a `SerializerError` for frames that no line carries. */
  readonly push: (frame: Frame.AudioRawFrame) => ReadonlyArray<Uint8Array>
  /** The rest, filled up with silence where packets have one size. */
  readonly flush: () => ReadonlyArray<Uint8Array>
  readonly reset: () => void
}

export const makeEncoder = (
  format: string,
  { encoding, sampleRate }: Coding,
  packetSize: number | undefined
): Encoder => {
  const chunker = packetSize === undefined
    ? undefined
    : AudioChunker.makeChunker({ size: packetSize, unit: encoding === "pcm" ? 2 : 1 })
  let source: { readonly first: Frame.AudioRawFrame; readonly resampler: Resampler.Resampler } | undefined

  const invalid = (field: string, found: string, expected: string): Errors.SerializerError =>
    Errors.invalid(format, "AudioRawFrame", { field, found, expected })

  const open = (first: Frame.AudioRawFrame): Resampler.Resampler => {
    const made = Resampler.make({ from: first.sampleRate, to: sampleRate })
    if (Result.isFailure(made)) throw invalid("sampleRate", made.failure.found, made.failure.expected)
    return made.success
  }
  const packets = (samples: Int16Array): ReadonlyArray<Uint8Array> => {
    if (samples.length === 0) return []
    const bytes = encoding === "pcm" ? Pcm.fromInt16(samples) : G711.encode(samples, encoding)
    return chunker === undefined ? [bytes] : chunker.push(bytes)
  }
  const rest = (): ReadonlyArray<Uint8Array> => source === undefined ? [] : packets(source.resampler.flushInt16())

  return {
    push: (frame) => {
      const { audio, numChannels, sampleWidth } = frame
      if (sampleWidth !== 2) throw invalid("sampleWidth", String(sampleWidth), "2")
      if (audio.length % (2 * numChannels) !== 0) {
        throw invalid("audio", `${audio.length} bytes`, `a multiple of ${2 * numChannels}`)
      }
      let before: ReadonlyArray<Uint8Array> = []
      if (source === undefined || !isAlike(source.first, frame)) {
        const resampler = open(frame)
        before = rest()
        source = { first: frame, resampler }
      }
      const samples = Pcm.toInt16Unsafe(audio)
      const mono = numChannels === 1 ? samples : Pcm.toMonoUnsafe(samples, numChannels)
      return [
        ...before,
        ...packets(source.first.sampleRate === sampleRate ? mono : source.resampler.pushInt16(mono))
      ]
    },
    flush: () => {
      const all = [...rest()]
      const last = chunker?.flush()
      if (last === undefined) return all
      const padded = new Uint8Array(packetSize!).fill(silence(encoding))
      padded.set(last)
      return [...all, padded]
    },
    reset: () => {
      source?.resampler.reset()
      chunker?.reset()
    }
  }
}

/** The code of a sample of 0, which for G.711 is not 0. */
const silence = (encoding: Coding["encoding"]): number =>
  encoding === "pcm" ? 0 : G711.encode(Int16Array.of(0), encoding)[0]!
