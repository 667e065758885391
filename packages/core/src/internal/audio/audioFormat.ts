/** Audio frames of any format as the bytes of 16-bit PCM in one. */
import * as Result from "effect/Result"
import type * as Frame from "../../Frame.ts"
import * as Pcm from "../../Pcm.ts"
import * as Resampler from "../../Resampler.ts"

export interface Format {
  readonly sampleRate: number
  readonly numChannels: number
}

export interface FormatConverter {
  readonly push: (audio: Uint8Array) => Uint8Array
  /** What the resampler has held back; it begins anew. */
  readonly flush: () => Uint8Array
  readonly reset: () => void
}

const same: FormatConverter = { push: (audio) => audio, flush: () => new Uint8Array(0), reset: () => {} }

export const hasFormat = (frame: Frame.AudioRawFrame, format: Format): boolean =>
  frame.sampleWidth === 2 && frame.sampleRate === format.sampleRate && frame.numChannels === format.numChannels

/** For frames of the format that this one has. Channels that are not as many as wanted are mixed, then spread. */
export const makeFormatConverter = (
  frame: Frame.AudioRawFrame,
  to: Format
): Result.Result<FormatConverter, Resampler.ResamplerError | Pcm.PcmError> => {
  const { numChannels, sampleRate, sampleWidth } = frame
  if (sampleWidth !== 2) {
    return Result.fail(new Pcm.PcmError({ field: "sampleWidth", found: String(sampleWidth), expected: "2" }))
  }
  if (hasFormat(frame, to)) return Result.succeed(same)
  const kept = numChannels === to.numChannels ? numChannels : 1
  return Result.map(Resampler.make({ from: sampleRate, to: to.sampleRate, numChannels: kept }), (resampler) => {
    const spread = (bytes: Uint8Array): Uint8Array => {
      if (kept === to.numChannels) return bytes
      const samples = Pcm.toInt16Unsafe(bytes)
      return Pcm.fromInt16(Pcm.interleave(Array.from({ length: to.numChannels }, () => samples)))
    }
    const unit = 2 * numChannels
    return {
      push: (audio) => {
        const whole = audio.subarray(0, audio.length - audio.length % unit)
        const mixed = kept === numChannels
          ? whole
          : Pcm.fromInt16(Pcm.toMonoUnsafe(Pcm.toInt16Unsafe(whole), numChannels))
        return spread(resampler.pushBytes(mixed))
      },
      flush: () => spread(resampler.flushBytes()),
      reset: resampler.reset
    }
  })
}
