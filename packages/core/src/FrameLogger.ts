/**
 * Logs the frames that pass, as a processor at one place of a pipeline or as an observer of all of it.
 *
 * A processor knows its own name only. What a frame moves from and to is known to observers: {@link observer} logs that.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Frame from "./Frame.ts"
import { checkPositiveInteger } from "./internal/positiveInteger.ts"
import * as PipelineObserver from "./PipelineObserver.ts"
import * as Processor from "./Processor.ts"

/**
 * Frames by their tags or by their classes.
 *
 * @category models
 * @since 0.1.0
 */
export type Selection = ReadonlyArray<Frame.Tag | (string & {}) | Frame.AnyClass>

/**
 * The colour of a line, on terminals that understand ANSI sequences.
 *
 * @category models
 * @since 0.1.0
 */
export type Color = keyof typeof colors

/**
 * Options of {@link make} and {@link observer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `FrameLogger`. */
  readonly name?: string | undefined
  /** Stands at the beginning of each line. Default: none. */
  readonly prefix?: string | undefined
  /** The frames to log. Default: all. */
  readonly include?: Selection | undefined
  /** The frames not to log. Default: none. */
  readonly ignore?: Selection | undefined
  /**
   * Logs the first and then every n-th of the frames that would be logged and have the same tag and way: for all of
   * them a number, for some of them a record by tag. Default: 1.
   */
  readonly every?: number | Readonly<Record<string, number>> | undefined
  /** The only direction to log. Lifecycle frames count as downstream. Default: both. */
  readonly direction?: Frame.Direction | undefined
  /** Default: `Info`. */
  readonly level?: LogLevel.Severity | undefined
  /** Default: none. */
  readonly color?: Color | undefined
}

const colors = {
  black: 30,
  red: 31,
  green: 32,
  yellow: 33,
  blue: 34,
  magenta: 35,
  cyan: 36,
  white: 37,
  gray: 90
}

const tagsOf = (selection: Selection): ReadonlySet<string> =>
  new Set(selection.map((one) => typeof one === "string" ? one : one.tag))

const lifecycle: ReadonlyArray<string> = [
  "StartFrame",
  "EndFrame",
  "StopTaskFrame",
  "CancelFrame",
  "StartInterruptionFrame",
  "StopInterruptionFrame"
]

/** Whether a handler of that name would be one of frames, and not a hook or an observer of lifecycle frames. */
const isTag = (tag: string): boolean => !lifecycle.includes(tag) && !/^(?:run|upstream|on[A-Z].*)$/.test(tag)

const checkEvery = (field: string, found: unknown): void => {
  if (found !== undefined) checkPositiveInteger(`FrameLogger: ${field}`, found)
}

const check = ({ every }: Options): void => {
  if (typeof every !== "object") return checkEvery("every", every)
  for (const [tag, n] of Object.entries(every)) checkEvery(`every.${tag}`, n)
}

interface Selector {
  readonly matches: (frame: Frame.Frame, direction: Frame.Direction | undefined) => boolean
  /** Whether it is the turn of a frame that matches. */
  readonly counts: (frame: Frame.Frame, way: string) => boolean
}

const makeSelector = (options: Options): Selector => {
  const include = options.include && tagsOf(options.include)
  const ignore = tagsOf(options.ignore ?? [])
  const every = typeof options.every === "object" ? new Map(Object.entries(options.every)) : options.every ?? 1
  const seen = new Map<string, number>()
  return {
    matches: ({ _tag }, direction) =>
      (direction === undefined || options.direction === undefined || direction === options.direction) &&
      (include === undefined || include.has(_tag)) && !ignore.has(_tag),
    counts: ({ _tag }, way) => {
      const n = typeof every === "number" ? every : every.get(_tag) ?? 1
      if (n === 1) return true
      const key = `${way}: ${_tag}`
      const before = seen.get(key) ?? 0
      seen.set(key, (before + 1) % n)
      return before === 0
    }
  }
}

const makeWrite = (options: Options): (line: () => string) => Effect.Effect<void> => {
  const level = options.level ?? "Info"
  const prefix = options.prefix === undefined ? "" : `${options.prefix} `
  const [on, off] = options.color === undefined ? ["", ""] : [`\u001b[${colors[options.color]}m`, "\u001b[0m"]
  const log = Effect.logWithLevel(level)
  return (line) =>
    Effect.flatMap(LogLevel.isEnabled(level), (enabled) => enabled ? log(on + prefix + line() + off) : Effect.void)
}

/**
 * Makes a processor that logs the frames that pass it, in both directions and lifecycle frames too, and passes every
 * one on.
 *
 * **Details**
 *
 * A line is `-> Name: TextFrame#12("hi")` for a frame that goes downstream and `<- Name: ...` for one that goes
 * upstream: the processor's name in the pipeline and what `Frame.format` makes of the frame, which never shows bytes.
 * It goes to Effect's loggers at the chosen level. Frames that `include` or `direction` leaves out cost nothing. When a
 * logger fails, that is reported upstream, once, and the processor logs no more; frames go on.
 *
 * Throws a `TypeError` when `every` is not a positive integer.
 *
 * @example
 * ```ts
 * import { Frame, FrameLogger, Pipeline, Processor } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(
 *   FrameLogger.make({ name: "in", ignore: [Frame.HeartbeatFrame], every: { AudioRawFrame: 50 } }),
 *   Processor.sync("Same", {}),
 *   FrameLogger.make({ name: "out", include: ["TextFrame"], direction: "downstream", level: "Debug", color: "cyan" })
 * )
 * ```
 *
 * Source: `FrameLogger` of pipeline-py, pipeline-go and pipecat.
 *
 * @see {@link observer} for what a frame moves from and to
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor => {
  check(options)
  const write = makeWrite(options)
  const keys = options.include === undefined
    ? ["data", "control", "system"]
    : [...tagsOf(options.include)].filter(isTag)
  return Processor.effect(
    options.name ?? "FrameLogger",
    Effect.sync(() => {
      const { counts, matches } = makeSelector(options)
      let failed = false
      const log = (direction: Frame.Direction, frame: Frame.Frame, { name, report }: Processor.ProcessorContext) => {
        const way = direction === "downstream" ? `-> ${name}` : `<- ${name}`
        if (failed || !matches(frame, direction) || !counts(frame, way)) return Effect.void
        return Effect.catchCause(write(() => `${way}: ${Frame.format(frame)}`), (cause) => {
          failed = true
          return report(Cause.squash(cause))
        })
      }
      const pass = (direction: Frame.Direction) => (frame: Frame.Frame, context: Processor.ProcessorContext) =>
        Effect.andThen(log(direction, frame, context), context.push(frame))
      const handlers = (direction: Frame.Direction) =>
        options.direction === undefined || options.direction === direction
          ? Object.fromEntries(keys.map((key) => [key, pass(direction)]))
          : {}
      const note = (frame: Frame.Lifecycle, context: Processor.ProcessorContext) => log("downstream", frame, context)
      const hooks = Object.fromEntries(lifecycle.map((tag) => [tag, note]))
      const behaviour: Processor.EffectBehaviour<[], never, never> = {
        ...handlers("downstream"),
        ...hooks,
        upstream: handlers("upstream")
      }
      return behaviour
    })
  )
}

/**
 * Makes an observer that logs every frame that moves from one processor to the next, and every frame that did not
 * arrive.
 *
 * **Details**
 *
 * A line is `A -> B: TextFrame#12("hi")`, upstream `A <- B: ...` (the pipeline is always read from left to right), and
 * `A dropped TextFrame#12("hi"): interrupted` for a frame that did not arrive, whatever `every` and `direction` say.
 * With `every`, make an observer for each task: it counts on.
 *
 * Throws a `TypeError` when `every` is not a positive integer.
 *
 * @example
 * ```ts
 * import { Frame, FrameLogger, Pipeline, PipelineTask, Processor } from "@apipeline/core"
 *
 * const task = PipelineTask.make(Pipeline.make(Processor.sync("A", {}), Processor.sync("B", {})), {
 *   observers: [FrameLogger.observer({ include: [Frame.TextFrame], level: "Debug" })]
 * })
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const observer = (options: Options = {}): PipelineObserver.PipelineObserver => {
  check(options)
  const write = makeWrite(options)
  const { counts, matches } = makeSelector(options)
  return PipelineObserver.make(options.name ?? "FrameLogger", (event) => {
    if (event._tag === "Push") {
      const { direction, frame, from, to } = event
      const way = direction === "downstream" ? `${from} -> ${to}` : `${to} <- ${from}`
      if (!matches(frame, direction) || !counts(frame, way)) return Effect.void
      return write(() => `${way}: ${Frame.format(frame)}`)
    }
    if (event._tag === "Drop" && matches(event.frame, undefined)) {
      return write(() => `${event.processor} dropped ${Frame.format(event.frame)}: ${event.reason}`)
    }
    return Effect.void
  })
}
