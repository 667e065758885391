/** Audio frames of any format as samples of one channel at one rate, for whoever listens to them. */
import * as Result from "effect/Result"
import type * as Frame from "../../Frame.ts"
import * as Pcm from "../../Pcm.ts"
import * as Resampler from "../../Resampler.ts"

export interface Converter {
  readonly push: (frame: Frame.AudioRawFrame) => Float32Array
  /** What the resampler has held back. */
  readonly flush: () => Float32Array
}

/** For frames of the format that this one has. */
export const makeConverter = (
  { numChannels, sampleRate, sampleWidth }: Frame.AudioRawFrame,
  to: number
): Result.Result<Converter, Resampler.ResamplerError | Pcm.PcmError> => {
  if (sampleWidth !== 2) {
    return Result.fail(new Pcm.PcmError({ field: "sampleWidth", found: String(sampleWidth), expected: "2" }))
  }
  const unit = 2 * numChannels
  return Result.map(Resampler.make({ from: sampleRate, to }), ({ flush, push }) => ({
    push: ({ audio }) => {
      const samples = Pcm.toInt16Unsafe(audio.subarray(0, audio.length - audio.length % unit))
      return push(Pcm.int16ToFloat32(numChannels === 1 ? samples : Pcm.toMonoUnsafe(samples, numChannels)))
    },
    flush
  }))
}

export const isAlike = (a: Frame.AudioRawFrame, b: Frame.AudioRawFrame): boolean =>
  a.sampleRate === b.sampleRate && a.numChannels === b.numChannels && a.sampleWidth === b.sampleWidth
