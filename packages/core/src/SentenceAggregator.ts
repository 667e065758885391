/**
 * Puts text frames together to sentences, at the boundaries of frames.
 *
 * A sentence is complete as soon as the text so far, taken as a frame boundary, ends one: a frame that ends in a
 * sentence ender confirms it, nothing that follows is waited for. A frame that holds several sentences is not taken
 * apart: `TextAggregator` looks into the text instead.
 *
 * @since 0.1.0
 */
import type * as Frame from "./Frame.ts"
import * as Internal from "./internal/text/aggregation.ts"
import type * as Processor from "./Processor.ts"
import * as Sentence from "./Sentence.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `SentenceAggregator`. */
  readonly name?: string | undefined
  /** Frames that end the sentence: what has come so far is pushed before them. `EndFrame` always does that. */
  readonly flushOn?: ReadonlyArray<Frame.AnyClass> | undefined
}

/** More than `Sentence.endsSentence` looks back at. */
const lookBehind = 256

/** Anything but white space and punctuation. */
const solid = /[^\s\p{P}]/u

const makeAggregation = (): Internal.Aggregation => {
  // a long string that grows must not be looked at: only `recent` is, and it stays short
  let head = ""
  let recent = ""
  let first: Frame.TextFrame | undefined
  let blank = true
  const reset = (): void => {
    head = recent = ""
    first = undefined
    blank = true
  }
  return {
    reset,
    take: (frame, out) => {
      const { text } = frame
      if (blank && text !== "") {
        first = frame
        blank = text.trim() === ""
      }
      recent += text
      if (!Sentence.endsSentence(recent)) {
        if (recent.length < 4 * lookBehind) return
        head += recent.slice(0, -lookBehind)
        recent = recent.slice(-lookBehind)
        return
      }
      const all = head + recent
      const length = solid.test(text) ? all.length : all.trimEnd().length
      const from = first!
      reset()
      out(all.slice(0, length), from)
      if (length === all.length) return
      recent = all.slice(length)
      first = frame
    },
    flush: (out) => {
      const text = head + recent
      const from = first
      reset()
      if (from !== undefined) out(text, from)
    }
  }
}

/**
 * Makes a processor that turns text frames into one text frame per sentence.
 *
 * **Details**
 *
 * - A sentence is complete when all text since the last one ends in an ender, as `Sentence.endsSentence` sees it:
 *   abbreviations, initials, times and numbers with a dot do not end one.
 * - Nothing is lost: the texts that come out, concatenated, are those that went in. White space behind the ender stays
 *   with the sentence when it comes in a frame with a word (`"world. "`); behind an ender that is a frame of its own
 *   (`". "`), and in a frame of its own, it begins the next sentence.
 * - `EndFrame` and the frames of `flushOn` push what is left before them (where a system frame may overtake it).
 * - An interruption clears what is left, unless the task does not allow interruptions. `StopTaskFrame` leaves it for
 *   the task that takes over.
 * - A sentence leaves when its last piece arrives, as a new frame with the `pts` and the metadata of the frame in which
 *   it begins. All other frames pass at once and in order with each other: holding them until a sentence is complete
 *   would delay audio, and cutting the sentence there would tear it apart.
 * - Only downstream text is aggregated.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, Pipeline, PipelineTask, SentenceAggregator } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Pipeline.make(SentenceAggregator.make()))
 *   yield* task.queueFrames(["Hello, ", "world.", "hi"].map((text) => Frame.TextFrame.make({ text })))
 *   yield* task.stopWhenDone
 *   const frames = yield* Stream.runCollect(task.output)
 *   return frames.filter(Frame.TextFrame.is).map((frame) => frame.text)
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => ["Hello, world.", "hi"]
 * ```
 *
 * Source: `SentenceAggregator` of pipeline-py, pipeline-go and pipecat.
 *
 * @see `TextAggregator.make` for sentences inside frames
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor =>
  Internal.processor(options.name ?? "SentenceAggregator", options.flushOn, makeAggregation)
