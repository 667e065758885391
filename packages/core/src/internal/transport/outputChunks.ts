/** Audio of any format as chunks of one, for an output. */
import * as Result from "effect/Result"
import * as AudioChunker from "../../AudioChunker.ts"
import type * as Frame from "../../Frame.ts"
import type * as Pcm from "../../Pcm.ts"
import type * as Resampler from "../../Resampler.ts"
import { type Format, type FormatConverter, makeFormatConverter } from "../audio/audioFormat.ts"
import { isAlike } from "../audio/monoAudio.ts"

export interface OutputChunks {
  /** Bytes of a chunk, and of a millisecond. */
  readonly size: number
  readonly bytesPerMilli: number
  /**
   * The chunks that the frame completes; `undefined`: it cannot be converted, as those before it. Fails for the first frame
   * of a format that cannot be.
   */
  readonly push: (
    frame: Frame.AudioRawFrame
  ) => Result.Result<ReadonlyArray<Uint8Array> | undefined, Resampler.ResamplerError | Pcm.PcmError>
  /** No more audio: the rest, the last chunk filled up with silence. */
  readonly flush: () => ReadonlyArray<Uint8Array>
  readonly reset: () => void
  /** Milliseconds that wait for the rest of their chunk. */
  readonly pending: () => number
}

export const makeOutputChunks = (format: Format, millis: number): OutputChunks => {
  const unit = 2 * format.numChannels
  const size = Math.max(1, Math.round(format.sampleRate * millis / 1000)) * unit
  const bytesPerMilli = format.sampleRate * unit / 1000
  const chunker = AudioChunker.makeChunker({ size, unit })
  let source: Frame.AudioRawFrame | undefined
  let converter: FormatConverter | undefined
  /** Chunks of before a format that cannot be converted. */
  let left: ReadonlyArray<Uint8Array> = []
  const rest = (): ReadonlyArray<Uint8Array> => {
    const before = left
    left = []
    return converter === undefined ? before : [...before, ...chunker.push(converter.flush())]
  }
  return {
    size,
    bytesPerMilli,
    push: (frame) => {
      if (source !== undefined && isAlike(source, frame)) {
        return Result.succeed(converter && chunker.push(converter.push(frame.audio)))
      }
      const before = rest()
      source = frame
      const made = makeFormatConverter(frame, format)
      converter = Result.getOrUndefined(made)
      if (converter === undefined) left = before
      return Result.map(made, ({ push }) => [...before, ...chunker.push(push(frame.audio))])
    },
    flush: () => {
      const chunks = rest()
      const last = chunker.flush({ pad: true })
      return last === undefined ? chunks : [...chunks, last]
    },
    reset: () => {
      left = []
      chunker.reset()
      converter?.reset()
    },
    pending: () => chunker.pending() / bytesPerMilli
  }
}
