/**
 * Takes streaming text apart into what can be used on its own: sentences, or tokens as they come.
 *
 * {@link makeAggregator} is the plain object, {@link make} the processor around it. Where sentences end is decided by
 * `Sentence.makeSplitter`: a Latin ender is confirmed by the next character that is not white space, wherever the
 * frames begin and end. `SentenceAggregator` goes by the frames instead and does not wait.
 *
 * @since 0.1.0
 */
import type * as Frame from "./Frame.ts"
import * as Internal from "./internal/text/aggregation.ts"
import type * as Processor from "./Processor.ts"
import * as Sentence from "./Sentence.ts"

/**
 * `sentence`: a piece per sentence. `token`: a piece per text that is pushed, at once and unchanged.
 *
 * @category models
 * @since 0.1.0
 */
export type Mode = "sentence" | "token"

/**
 * Options of {@link makeAggregator}. `tags` are spans that no piece ends in, in either mode.
 *
 * @category models
 * @since 0.1.0
 */
export interface AggregatorOptions extends Sentence.Options {
  /** Default: `sentence`. */
  readonly mode?: Mode | undefined
  /**
   * Takes the white space around sentences away, and sentences that are nothing else. Tokens keep theirs.
   * Default: false.
   */
  readonly trim?: boolean | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends AggregatorOptions {
  /** Default: `TextAggregator`. */
  readonly name?: string | undefined
  /** Frames that end the text: what is pending is pushed before them. `EndFrame` always does that. */
  readonly flushOn?: ReadonlyArray<Frame.AnyClass> | undefined
}

/**
 * A piece of text.
 *
 * @category models
 * @since 0.1.0
 */
export interface Aggregation {
  readonly type: Mode
  readonly text: string
}

/**
 * An aggregator of streaming text.
 *
 * @see {@link makeAggregator} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Aggregator {
  /** Takes more text, returns what it completed. */
  readonly push: (text: string) => ReadonlyArray<Aggregation>
  /** No more text: returns what is complete and, apart from it, the rest. The aggregator can be used again. */
  readonly flush: () => ReadonlyArray<Aggregation>
  /** What was pushed and has not come out yet. */
  readonly pending: string
  /** Forgets what is pending. */
  readonly reset: () => void
}

const tokens = (tags: ReadonlyArray<Sentence.TagPair>): Sentence.Splitter => {
  const starts = tags.map(([start]) => start)
  let open: Sentence.TagPair | undefined
  // the end of the open span is looked for in `recent` only, so a long one is not looked at again and again
  let head = ""
  let recent = ""
  const take = (keep: number): ReadonlyArray<string> => {
    const piece = head + recent.slice(0, recent.length - keep)
    recent = recent.slice(recent.length - keep)
    head = ""
    open = undefined
    return piece === "" ? [] : [piece]
  }
  return {
    push: (chunk) => {
      recent += chunk
      if (tags.length === 0) return take(0)
      const state = Sentence.openTag(recent, { tags, open })
      open = state.open
      if (open === undefined) return take(Sentence.trailingPartialMatch(recent, starts))
      head += recent.slice(0, state.index)
      recent = recent.slice(state.index)
      return []
    },
    flush: () => take(0),
    get pending() {
      return head + recent
    },
    reset: () => {
      take(0)
    }
  }
}

const makeSplitter = (options: AggregatorOptions): Sentence.Splitter =>
  options.mode === "token"
    ? tokens((options.tags ?? []).filter(([start]) => start !== ""))
    : Sentence.makeSplitter(options)

const trims = (options: AggregatorOptions): boolean => options.trim === true && options.mode !== "token"

/**
 * Makes an {@link Aggregator}. It is a plain mutable object: one per stream of text, not to be shared.
 *
 * **Details**
 *
 * The texts that come out, concatenated, are those that went in, and with the mode `sentence` they do not depend on how
 * the text was cut. White space belongs to the piece after it; `trim` removes it.
 *
 * **Example** (Sentences)
 *
 * ```ts
 * import { TextAggregator } from "@apipeline/core"
 *
 * const aggregator = TextAggregator.makeAggregator()
 * aggregator.push("Hello Pipe") // => []
 * aggregator.push("cat! How are") // => [{ type: "sentence", text: "Hello Pipecat!" }]
 * aggregator.push(" you?") // => []
 * aggregator.flush() // => [{ type: "sentence", text: " How are you?" }]
 * ```
 *
 * **Example** (Tokens, with spans that stay whole)
 *
 * ```ts
 * import { TextAggregator } from "@apipeline/core"
 *
 * const aggregator = TextAggregator.makeAggregator({ mode: "token", tags: [["<spell>", "</spell>"]] })
 * aggregator.push("It is ") // => [{ type: "token", text: "It is " }]
 * aggregator.push("<spell>A") // => []
 * aggregator.push("B</spell>") // => [{ type: "token", text: "<spell>AB</spell>" }]
 * ```
 *
 * Source: pipecat's `SimpleTextAggregator` and `SkipTagsAggregator`. Those trim: `trim` gives what they give.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeAggregator = (options: AggregatorOptions = {}): Aggregator => {
  const splitter = makeSplitter(options)
  const type = options.mode ?? "sentence"
  const clean = (text: string): string => trims(options) ? text.trim() : text
  const toAggregations = (pieces: ReadonlyArray<string>): ReadonlyArray<Aggregation> =>
    pieces.map(clean).filter((text) => text !== "").map((text) => ({ type, text }))
  return {
    push: (text) => toAggregations(splitter.push(text)),
    flush: () => toAggregations(splitter.flush()),
    get pending() {
      return clean(splitter.pending)
    },
    reset: () => splitter.reset()
  }
}

const makeAggregation = (options: AggregatorOptions): Internal.Aggregation => {
  const splitter = makeSplitter(options)
  // where in the text that has not come out yet each of its frames ends
  let frames: Array<{ readonly frame: Frame.TextFrame; readonly end: number }> = []
  let length = 0
  const put = (pieces: ReadonlyArray<string>, out: Internal.Out): void => {
    if (pieces.length === 0) return
    let at = 0
    const done = frames
    const rest = pieces.reduce((sum, piece) => sum + piece.length, 0)
    frames = frames.filter(({ end }) => end > rest).map(({ end, frame }) => ({ frame, end: end - rest }))
    length -= rest
    for (const piece of pieces) {
      const start = at + piece.length - piece.trimStart().length
      const { end, frame } = done.find(({ end }) => end > start) ?? done[done.length - 1]!
      const whole = options.mode === "token" && piece === frame.text && at + piece.length === end
      const text = trims(options) ? piece.trim() : piece
      at += piece.length
      if (text !== "") out(text, frame, whole)
    }
  }
  return {
    take: (frame, out) => {
      length += frame.text.length
      frames.push({ frame, end: length })
      put(splitter.push(frame.text), out)
    },
    flush: (out) => put(splitter.flush(), out),
    reset: () => {
      splitter.reset()
      frames = []
      length = 0
    }
  }
}

/**
 * Makes a processor that takes the text of text frames apart into sentences, or passes it on token by token.
 *
 * **Details**
 *
 * - `EndFrame` and the frames of `flushOn` push what is pending before them.
 * - An interruption clears what is pending, unless the task does not allow interruptions. `StopTaskFrame` leaves it for
 *   the task that takes over.
 * - A sentence leaves when it is confirmed, as a new frame with the `pts` and the metadata of the frame in which it
 *   begins. All other frames pass at once and in order with each other, as with `SentenceAggregator`.
 * - In the mode `token` a frame that comes out whole is the frame that went in. A frame without text does not come out.
 * - Only downstream text is aggregated.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, Pipeline, PipelineTask, TextAggregator } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Pipeline.make(TextAggregator.make({ trim: true })))
 *   yield* task.queueFrames(["It cost $3", ".50. Re", "ally? Yes"].map((text) => Frame.TextFrame.make({ text })))
 *   yield* task.stopWhenDone
 *   const frames = yield* Stream.runCollect(task.output)
 *   return frames.filter(Frame.TextFrame.is).map((frame) => frame.text)
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => ["It cost $3.50.", "Really?", "Yes"]
 * ```
 *
 * @see `SentenceAggregator.make` for sentences that end where frames end
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor =>
  Internal.processor(options.name ?? "TextAggregator", options.flushOn, () => makeAggregation(options))
