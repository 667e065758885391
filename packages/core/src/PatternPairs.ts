/**
 * Finds what stands between pairs of delimiters in streaming text, such as `<think>...</think>`, and takes it out, marks
 * it, or sends it another way; the rest is taken apart into sentences or tokens as by `TextAggregator`.
 *
 * {@link makeAggregator} is the plain object, {@link make} the processor around it. Delimiters may come in any number of
 * pieces. Spans do not nest: whatever opens first holds until it closes.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"
import * as Sentence from "./Sentence.ts"
import * as TextAggregator from "./TextAggregator.ts"

/**
 * What becomes of a span. `remove`: the text goes on as if it had not been there. `keep`: it stays, with its delimiters,
 * and no piece ends in it. `aggregate`: what is before it comes out, and then its content as a piece of its own.
 *
 * @category models
 * @since 0.1.0
 */
export type Action = "remove" | "keep" | "aggregate"

/**
 * A pair of delimiters.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pattern<out Type extends string = string> {
  /** What its matches are called. */
  readonly type: Type
  readonly start: string
  readonly end: string
  /** Default: `remove`. */
  readonly action?: Action | undefined
}

/**
 * Options of {@link makeAggregator}.
 *
 * @category models
 * @since 0.1.0
 */
export interface AggregatorOptions<out Type extends string = string>
  extends Omit<TextAggregator.AggregatorOptions, "tags">
{
  readonly patterns: ReadonlyArray<Pattern<Type>>
}

/**
 * A piece of the text that goes on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Text {
  readonly _tag: "Text"
  readonly type: TextAggregator.Mode
  readonly text: string
}

/**
 * A span that has closed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Match<out Type extends string = string> {
  readonly _tag: "Match"
  /** That of the pattern. */
  readonly type: Type
  readonly action: Action
  /** What is between the delimiters, without the white space around it if the options say `trim`. */
  readonly text: string
  /** The span with its delimiters. */
  readonly full: string
}

/**
 * An aggregator of streaming text that looks for patterns.
 *
 * @see {@link makeAggregator} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Aggregator<out Type extends string = string> {
  /** Takes more text, returns the pieces that it completed and the spans that it closed, in order. */
  readonly push: (text: string) => ReadonlyArray<Text | Match<Type>>
  /**
   * No more text: returns the rest. A span that has not closed is no match: with `keep` it comes out as text, otherwise
   * it is dropped, and so is the beginning of a delimiter. The aggregator can be used again.
   */
  readonly flush: () => ReadonlyArray<Text>
  /** What was pushed and neither came out nor was removed; its type is that of the pattern that is open, if one is. */
  readonly pending: { readonly type: TextAggregator.Mode | Type; readonly text: string }
  /** Forgets what is pending. */
  readonly reset: () => void
}

/** What the machine tells, in order. Text is not trimmed, and a match says where the text of its span comes from. */
interface Listener<Type extends string> {
  /** So much of the text that was pushed comes next, and is (or is not) part of the text that goes on. */
  readonly consume: (length: number, goesOn: boolean) => void
  readonly text: (text: string) => void
  /** A span begins: the next text that is consumed is its delimiter. */
  readonly open: () => void
  readonly match: (match: Match<Type>) => void
}

const check = (patterns: ReadonlyArray<Pattern>): void => {
  for (const [i, pattern] of patterns.entries()) {
    for (const field of ["start", "end"] as const) {
      if (pattern[field] !== "") continue
      throw new TypeError(`PatternPairs: patterns[${i}].${field}: found "", expected a delimiter`)
    }
  }
}

class Machine<Type extends string> {
  // what may begin a delimiter, or with a span open: end it
  private held = ""
  private open: Pattern<Type> | undefined
  private content = ""
  private readonly inner: TextAggregator.Aggregator
  private readonly patterns: ReadonlyArray<Pattern<Type>>
  private readonly starts: ReadonlyArray<string>
  private readonly dropped: ReadonlyArray<string>
  private readonly listener: Listener<Type>
  private readonly trim: boolean

  constructor(options: AggregatorOptions<Type>, listener: Listener<Type>) {
    const { mode, patterns } = options
    check(patterns)
    this.patterns = patterns
    this.listener = listener
    this.trim = options.trim === true
    this.starts = patterns.map(({ start }) => start)
    this.dropped = patterns.filter(({ action }) => action !== "keep").map(({ start }) => start)
    const tags = patterns.filter(({ action }) => action === "keep").map(({ end, start }) => [start, end] as const)
    this.inner = TextAggregator.makeAggregator({ mode, locale: options.locale, tags })
  }

  get pending(): string {
    const { open } = this
    if (open === undefined) return this.inner.pending + this.held
    return this.inner.pending + (open.action === "keep" ? this.held : open.start + this.content + this.held)
  }

  get type(): Type | undefined {
    return this.open?.type
  }

  push(text: string): void {
    let rest = this.held + text
    while (true) {
      const next = this.open === undefined ? this.outside(rest) : this.inside(rest, this.open)
      if (next === undefined) return
      rest = next
    }
  }

  /** Gives what is behind the next start of a span, if there is one. */
  private outside(text: string): string | undefined {
    let found: Pattern<Type> | undefined
    let at = 0
    let end = Infinity
    for (const pattern of this.patterns) {
      const from = text.indexOf(pattern.start)
      const to = from + pattern.start.length
      // the delimiter that is complete first, and of those the one that began first: wherever the text was cut
      if (from < 0 || to > end || (to === end && from >= at)) continue
      found = pattern
      at = from
      end = to
    }
    if (found === undefined) {
      const keep = Sentence.trailingPartialMatch(text, this.starts)
      this.held = text.slice(text.length - keep)
      this.goOn(text.slice(0, text.length - keep))
      return undefined
    }
    this.goOn(text.slice(0, at))
    if (found.action === "aggregate") this.pieces(this.inner.flush())
    this.open = found
    this.content = ""
    this.held = ""
    this.listener.open()
    this.take(found, found.start)
    return text.slice(end)
  }

  /** Gives what is behind the end of the open span, if it is there. */
  private inside(text: string, open: Pattern<Type>): string | undefined {
    const end = text.indexOf(open.end)
    const keep = end >= 0 ? 0 : Sentence.trailingPartialMatch(text, [open.end])
    const content = text.slice(0, end >= 0 ? end : text.length - keep)
    this.content += content
    this.held = text.slice(text.length - keep)
    this.take(open, content)
    if (end < 0) return undefined
    const action = open.action ?? "remove"
    const inner = this.content
    this.open = undefined
    this.content = ""
    this.listener.match({
      _tag: "Match",
      type: open.type,
      action,
      text: this.trim ? inner.trim() : inner,
      full: open.start + inner + open.end
    })
    this.take(open, open.end)
    return text.slice(end + open.end.length)
  }

  private take(open: Pattern<Type>, text: string): void {
    if (open.action === "keep") this.goOn(text)
    else this.listener.consume(text.length, false)
  }

  private goOn(text: string): void {
    if (text === "") return
    this.listener.consume(text.length, true)
    this.pieces(this.inner.push(text))
  }

  private pieces(pieces: ReadonlyArray<TextAggregator.Aggregation>): void {
    for (const { text } of pieces) this.listener.text(text)
  }

  flush(): void {
    const { held, open } = this
    this.open = undefined
    this.content = ""
    this.held = ""
    if (open === undefined) this.goOn(held.slice(0, held.length - Sentence.trailingPartialMatch(held, this.dropped)))
    else if (open.action === "keep") this.goOn(held)
    this.pieces(this.inner.flush())
  }

  reset(): void {
    this.inner.reset()
    this.open = undefined
    this.content = ""
    this.held = ""
  }
}

const trims = (options: AggregatorOptions): boolean => options.trim === true && options.mode !== "token"

/**
 * Makes an {@link Aggregator}. It is a plain mutable object: one per stream of text, not to be shared.
 *
 * **Details**
 *
 * What comes out does not depend on how the text was cut, with the mode `sentence`. Of delimiters that overlap, the one
 * that is complete first counts. White space belongs to the piece after it; `trim` removes it. Throws a `TypeError` when
 * a delimiter is empty.
 *
 * **Example** (Thoughts and code)
 *
 * ```ts
 * import { PatternPairs } from "@apipeline/core"
 *
 * const aggregator = PatternPairs.makeAggregator({
 *   trim: true,
 *   patterns: [
 *     { type: "think", start: "<think>", end: "</think>" },
 *     { type: "code", start: "<code>", end: "</code>", action: "aggregate" }
 *   ]
 * })
 * aggregator.push("<th") // => []
 * aggregator.push("ink>Hm.</think>Try this <code>a()") // => [{ _tag: "Match", type: "think", action: "remove", text: "Hm.", full: "<think>Hm.</think>" }, { _tag: "Text", type: "sentence", text: "Try this" }]
 * aggregator.push("</code> now") // => [{ _tag: "Match", type: "code", action: "aggregate", text: "a()", full: "<code>a()</code>" }]
 * aggregator.flush() // => [{ _tag: "Text", type: "sentence", text: "now" }]
 * ```
 *
 * Source: pipecat's `PatternPairAggregator`, which nests spans.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeAggregator = <const Type extends string>(options: AggregatorOptions<Type>): Aggregator<Type> => {
  const mode = options.mode ?? "sentence"
  const trimmed = (text: string): string => trims(options) ? text.trim() : text
  let out: Array<Text | Match<Type>> = []
  const machine = new Machine<Type>(options, {
    consume: () => {},
    open: () => {},
    text: (text) => {
      const piece = trimmed(text)
      if (piece !== "") out.push({ _tag: "Text", type: mode, text: piece })
    },
    match: (match) => {
      out.push(match)
    }
  })
  const taken = <A>(): ReadonlyArray<A> => {
    const all = out
    out = []
    return all as ReadonlyArray<any>
  }
  return {
    push: (text) => {
      machine.push(text)
      return taken()
    },
    flush: () => {
      machine.flush()
      return taken()
    },
    get pending() {
      return { type: machine.type ?? mode, text: trimmed(machine.pending) }
    },
    reset: () => machine.reset()
  }
}

/**
 * A span that a pattern with the action `aggregate` found: data that goes with the text and is not spoken.
 *
 * **Example** (Made by hand)
 *
 * ```ts
 * import { PatternPairs } from "@apipeline/core"
 *
 * PatternPairs.PatternFrame.make({ type: "code", text: "a()", full: "<code>a()</code>" }).kind // => "data"
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class PatternFrame extends Frame.App<PatternFrame>()("PatternFrame", {
  type: Schema.String,
  text: Schema.String,
  full: Schema.String
}) {}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<Type extends string = string, E = never, R = never>
  extends AggregatorOptions<Type>, Pick<Processor.Options, "capacity" | "strategy" | "onError">
{
  /** Default: `PatternPairs`. */
  readonly name?: string | undefined
  /** Frames that end the text: what is pending is pushed before them. `EndFrame` always does that. */
  readonly flushOn?: ReadonlyArray<Frame.AnyClass> | undefined
  /** Called for each match, of whatever action, when it closes; what follows waits for it. */
  readonly onMatch?:
    | ((match: Match<NoInfer<Type>>, context: Processor.ProcessorContext) => Effect.Effect<unknown, E, R>)
    | undefined
}

/** What is to be done about a frame, in order. */
type Step<Type extends string> = { readonly push: Frame.Frame } | { readonly match: Match<Type> }

const makeSteps = <Type extends string>(options: AggregatorOptions<Type>) => {
  // the frames that the text which has not come out yet comes from, and how much of it each gave
  let frames: Array<{ readonly frame: Frame.TextFrame; length: number }> = []
  // the same, for the text that the machine has not told of
  let incoming: Array<{ readonly frame: Frame.TextFrame; length: number }> = []
  let opened: Frame.TextFrame | undefined
  let steps: Array<Step<Type>> = []

  const out = (text: string): void => {
    let before = text.length - text.trimStart().length
    if (before === text.length) before--
    let from: Frame.TextFrame | undefined
    let at = 0
    let whole = false
    while (at < text.length) {
      const first = frames[0]!
      const length = Math.min(first.length, text.length - at)
      whole = length === text.length && length === first.frame.text.length && text === first.frame.text
      if (from === undefined && at + length > before) from = first.frame
      at += length
      first.length -= length
      if (first.length === 0) frames.shift()
    }
    const { metadata, pts } = from!
    const piece = trims(options) ? text.trim() : text
    if (piece === "") return
    const same = whole && options.mode === "token"
    steps.push({ push: same ? from! : Frame.TextFrame.make({ text: piece, pts, metadata }) })
  }

  const machine = new Machine<Type>(options, {
    consume: (length, goesOn) => {
      let rest = length
      while (rest > 0) {
        const first = incoming[0]!
        const taken = Math.min(first.length, rest)
        if (goesOn) frames.push({ frame: first.frame, length: taken })
        rest -= taken
        first.length -= taken
        if (first.length === 0) incoming.shift()
      }
    },
    text: out,
    open: () => {
      opened = incoming[0]!.frame
    },
    match: (match) => {
      steps.push({ match })
      if (match.action !== "aggregate") return
      const { full, text, type } = match
      const { metadata, pts } = opened!
      steps.push({ push: PatternFrame.make({ type, text, full, pts, metadata }) })
    }
  })

  const clear = (): void => {
    frames = []
    incoming = []
    opened = undefined
  }
  const taken = (): ReadonlyArray<Step<Type>> => {
    const all = steps
    steps = []
    return all
  }
  return {
    take: (frame: Frame.TextFrame): ReadonlyArray<Step<Type>> => {
      if (frame.text === "") return []
      incoming.push({ frame, length: frame.text.length })
      machine.push(frame.text)
      return taken()
    },
    flush: (): ReadonlyArray<Step<Type>> => {
      machine.flush()
      clear()
      return taken()
    },
    reset: (): void => {
      machine.reset()
      clear()
    }
  }
}

/**
 * Makes a processor that looks for patterns in the text of text frames, and takes the rest apart into sentences, or
 * passes it on token by token.
 *
 * **Details**
 *
 * - `onMatch` is called for each span that closes. When it fails, that is reported, and the text goes on.
 * - A span with the action `aggregate` leaves as a {@link PatternFrame}, behind all the text before it.
 * - Frames have the `pts` and the metadata of the frame in which their text (or their span) begins.
 * - `EndFrame` and the frames of `flushOn` push what is pending before them, except spans that have not closed.
 * - An interruption clears what is pending, unless the task does not allow interruptions. `StopTaskFrame` leaves it for
 *   the task that takes over.
 * - All other frames pass at once, and in order with each other. Only downstream text is looked at.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, PatternPairs, PipelineTask } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const voices: Array<string> = []
 *   const task = yield* PipelineTask.make(PatternPairs.make({
 *     trim: true,
 *     patterns: [{ type: "voice", start: "<voice>", end: "</voice>" }],
 *     onMatch: (match) => Effect.sync(() => voices.push(match.text))
 *   }))
 *   yield* task.queueFrames(["<voi", "ce>low</voice>Hello!", " Bye."].map((text) => Frame.TextFrame.make({ text })))
 *   yield* task.stopWhenDone
 *   const frames = yield* Stream.runCollect(task.output)
 *   return [voices, frames.filter(Frame.TextFrame.is).map((frame) => frame.text)]
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => [["low"], ["Hello!", "Bye."]]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <const Type extends string, E = never, R = never>(
  options: Options<Type, E, R>
): Processor.Processor<E, Exclude<R, Scope.Scope>> => {
  check(options.patterns)
  const { capacity, flushOn, onError, onMatch, strategy } = options
  const behaviour = Effect.sync(() => {
    const state = makeSteps(options)
    const step = (step: Step<Type>, context: Processor.ProcessorContext): Effect.Effect<void, E, R> => {
      if ("push" in step) return context.push(step.push)
      if (onMatch === undefined) return Effect.void
      return Effect.matchCauseEffect(Effect.suspend(() => onMatch(step.match, context)), {
        onSuccess: () => Effect.void,
        onFailure: (cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : context.reportCause(cause)
      })
    }
    const walk = (steps: ReadonlyArray<Step<Type>>, context: Processor.ProcessorContext): Effect.Effect<void, E, R> =>
      steps.length === 1
        ? step(steps[0]!, context)
        : Effect.forEach(steps, (one) => step(one, context), { discard: true })
    const flush = (frame: Frame.Frame, context: Processor.ProcessorContext): Effect.Effect<void, E, R> =>
      Effect.andThen(walk(state.flush(), context), context.push(frame))
    return {
      ...Object.fromEntries((flushOn ?? []).map(({ tag }) => [tag, flush])),
      TextFrame: (frame: Frame.TextFrame, context: Processor.ProcessorContext) => walk(state.take(frame), context),
      onInterruption: () => Effect.sync(state.reset),
      onEnd: (_: Frame.EndFrame, context: Processor.ProcessorContext) => walk(state.flush(), context)
    }
  })
  return Processor.effect(options.name ?? "PatternPairs", behaviour, { capacity, strategy, onError })
}
