/**
 * Cuts audio into pieces of one size, however it arrives: what a codec, a model or a telephone line asks for.
 *
 * {@link makeChunker} is the plain object over bytes, {@link make} the processor over audio frames.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Frame from "./Frame.ts"
import { isAlike } from "./internal/audio/monoAudio.ts"
import * as DurationOption from "./internal/durationOption.ts"
import { checkPositiveInteger } from "./internal/positiveInteger.ts"
import * as Processor from "./Processor.ts"

// ---------------------------------------------------------------------------------------------------------------------
// bytes
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link makeChunker}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ChunkerOptions {
  /** Bytes per chunk, a multiple of `unit`. */
  readonly size: number
  /** Bytes of one sample of all channels: `numChannels` x 2 for 16-bit PCM. It is never cut apart. Default: 2. */
  readonly unit?: number | undefined
}

/**
 * Cuts bytes into chunks of one size. It holds less than one chunk.
 *
 * @see {@link makeChunker} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Chunker {
  /** Takes more bytes, odd numbers of them too, and returns the chunks that they completed, each a copy of its own. */
  readonly push: (bytes: Uint8Array) => ReadonlyArray<Uint8Array>
  /**
   * No more bytes: returns the rest, or `undefined` if there is none. With `pad` it is filled up with zeros to a whole
   * chunk. A sample that is not complete is left out, as nobody could play it. The chunker can be used again.
   */
  readonly flush: (options?: { readonly pad?: boolean | undefined }) => Uint8Array | undefined
  /** How many bytes wait for the rest of their chunk. */
  readonly pending: () => number
  /** Forgets what waits: after an interruption, for example. */
  readonly reset: () => void
}

/**
 * Makes a chunker. Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { AudioChunker } from "@apipeline/core"
 *
 * const chunker = AudioChunker.makeChunker({ size: 4 })
 * const seen = [
 *   ...chunker.push(Uint8Array.of(1, 2, 3)),
 *   ...chunker.push(Uint8Array.of(4, 5, 6)),
 *   chunker.flush({ pad: true })
 * ].map((chunk) => Array.from(chunk!))
 * seen // => [[1, 2, 3, 4], [5, 6, 0, 0]]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeChunker = (options: ChunkerOptions): Chunker => {
  const { size, unit = 2 } = options
  checkPositiveInteger("AudioChunker: size", size)
  checkPositiveInteger("AudioChunker: unit", unit)
  if (size % unit !== 0) throw new TypeError(`AudioChunker: size: found ${size}, expected a multiple of ${unit}`)
  // grows with what arrives: a size that was made up by a peer costs nothing
  let rest = new Uint8Array(Math.min(size, 4096))
  let filled = 0
  const keep = (bytes: Uint8Array): void => {
    const length = filled + bytes.length
    if (length > rest.length) {
      const larger = new Uint8Array(Math.min(size, Math.max(length, 2 * rest.length)))
      larger.set(rest.subarray(0, filled))
      rest = larger
    }
    rest.set(bytes, filled)
    filled = length
  }
  return {
    push: (bytes) => {
      const chunks: Array<Uint8Array> = []
      let from = 0
      if (filled > 0) {
        from = Math.min(size - filled, bytes.length)
        keep(bytes.subarray(0, from))
        if (filled < size) return chunks
        chunks.push(rest.slice(0, size))
        filled = 0
      }
      for (; from + size <= bytes.length; from += size) chunks.push(Uint8Array.from(bytes.subarray(from, from + size)))
      keep(bytes.subarray(from))
      return chunks
    },
    flush: (options) => {
      const whole = rest.slice(0, filled - filled % unit)
      filled = 0
      if (whole.length === 0) return undefined
      if (options?.pad !== true) return whole
      const padded = new Uint8Array(size)
      padded.set(whole)
      return padded
    },
    pending: () => filled,
    reset: () => {
      filled = 0
    }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// frames
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `AudioChunker`. */
  readonly name?: string | undefined
  /** Audio per frame. Default: 20 ms, what telephone lines and most codecs use. */
  readonly duration?: Duration.Input | undefined
  /** Fills what is left at the end up with silence. Default: false, the last frame is shorter. */
  readonly pad?: boolean | undefined
  /** Frames that end the audio: what waits is pushed before them. `EndFrame` always does that. */
  readonly flushOn?: ReadonlyArray<Frame.AnyClass> | undefined
}

/** One piece of audio in one format, cut to frames. */
interface Cut {
  readonly first: Frame.AudioRawFrame
  readonly chunker: Chunker
  readonly millisPerByte: number
  /** The frame in which the waiting chunk begins, and how many milliseconds into it. */
  from: Frame.AudioRawFrame
  offset: number
}

/**
 * Makes a processor that turns audio frames of any length into audio frames of one length.
 *
 * **Details**
 *
 * - No sample is lost, added or cut apart: the audio that comes out, put together, is what went in, up to the padding.
 * - A frame has the metadata of the frame in which it begins, and its `pts` when it has one, moved on by where it begins.
 * - `EndFrame`, the frames of `flushOn` and audio in another format push what waits before them. All other frames pass
 *   at once.
 * - An interruption clears what waits, unless the task does not allow interruptions. `StopTaskFrame` leaves it for the
 *   task that takes over.
 * - Only downstream audio is cut. Do not send the audio of two speakers through the same one.
 *
 * Throws a `TypeError` when the duration is not positive and finite.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { AudioChunker, Frame, PipelineTask } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(AudioChunker.make({ duration: "10 millis" }))
 *   const audio = new Uint8Array(400)
 *   yield* task.queueFrame(Frame.AudioRawFrame.make({ audio, sampleRate: 8000, numChannels: 1 }))
 *   yield* task.stopWhenDone
 *   const frames = yield* Stream.runCollect(task.output)
 *   return frames.filter(Frame.AudioRawFrame.is).map((frame) => frame.audio.length)
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => [160, 160, 80]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor => {
  const millis = DurationOption.positiveFinite("AudioChunker: duration", options.duration ?? "20 millis")
  const begin = (first: Frame.AudioRawFrame): Cut => {
    const unit = first.numChannels * first.sampleWidth
    const size = Math.max(1, Math.round(first.sampleRate * millis / 1000)) * unit
    return {
      first,
      chunker: makeChunker({ size, unit }),
      millisPerByte: 1000 / (first.sampleRate * unit),
      from: first,
      offset: 0
    }
  }
  return Processor.sync(options.name ?? "AudioChunker", () => {
    let cut: Cut | undefined
    const out = ({ first, from, offset }: Cut, audio: Uint8Array): Frame.AudioRawFrame =>
      Frame.AudioRawFrame.make({
        audio,
        sampleRate: first.sampleRate,
        numChannels: first.numChannels,
        sampleWidth: first.sampleWidth,
        pts: from.pts === undefined ? undefined : from.pts + offset,
        metadata: from.metadata
      })
    const end = (push: Processor.Push): void => {
      const audio = cut?.chunker.flush(options)
      if (audio !== undefined) push.downstream(out(cut!, audio))
      cut = undefined
    }
    const flush = (frame: Frame.Frame, push: Processor.Push): void => {
      end(push)
      push(frame)
    }
    return {
      ...Object.fromEntries((options.flushOn ?? []).map(({ tag }) => [tag, flush])),
      AudioRawFrame: (frame, push) => {
        if (frame.audio.length === 0) return push(frame)
        if (cut !== undefined && !isAlike(cut.first, frame)) end(push)
        cut ??= begin(frame)
        const before = cut.chunker.pending()
        for (const [i, audio] of cut.chunker.push(frame.audio).entries()) {
          if (i > 0 || before === 0) {
            cut.from = frame
            cut.offset = (i * audio.length - before) * cut.millisPerByte
          }
          push(out(cut, audio))
        }
        const pending = cut.chunker.pending()
        if (pending > 0 && pending <= frame.audio.length) {
          cut.from = frame
          cut.offset = (frame.audio.length - pending) * cut.millisPerByte
        }
      },
      onInterruption: () => {
        cut = undefined
      },
      onEnd: (_, push) => end(push)
    }
  })
}
