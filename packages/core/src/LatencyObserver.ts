/**
 * Measures how long the user waits for the bot, and what the time went into.
 *
 * **Details**
 *
 * - From the moment the user falls silent until the bot starts speaking: once for each time. A voice activity detector
 *   may know that moment better than `UserStoppedSpeakingFrame` tells it: see `silence`.
 * - The first words of a bot that speaks first are measured from the client's connection on.
 * - What is told between the two moments is in the breakdown, in the order in which it began: the rest of the user's
 *   turn, times to first byte, the first processing time of each processor, function calls; and the way from silence to
 *   the text of what was said, to the first token of the answer, to its first audio.
 * - The user who speaks again, and an interruption, discard what was collected.
 *
 * Source: `UserBotLatencyObserver` of pipecat.
 *
 * @since 0.1.0
 */
import type * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as Frame from "./Frame.ts"
import { Once } from "./internal/turns/turns.ts"
import * as PipelineObserver from "./PipelineObserver.ts"
import {
  BotStartedSpeakingFrame,
  FunctionCallCancelledFrame,
  FunctionCallResultFrame,
  FunctionCallsStartedFrame,
  LlmTextFrame,
  TranscriptionFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "./VoiceFrames.ts"

/**
 * A part of the time: `what` happened, in which processor (or which function call), from when on, and for how long.
 *
 * **Details**
 *
 * `UserTurn` is the time from silence to the decision that the user's turn is over. `Text`, `Token` and `Audio` follow each
 * other: from silence to the last text of the user (0 where that came first), from there to the first token of the model,
 * and from there to the first audio of the bot; together they are the latency. Without a text or a token there are none of
 * them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Step {
  readonly what: "UserTurn" | "Ttfb" | "Processing" | "FunctionCall" | "Text" | "Token" | "Audio"
  readonly name: string
  /** Milliseconds since the epoch, by the task's `Clock`. */
  readonly since: number
  readonly milliseconds: number
}

/**
 * The bot has started speaking: `Answer` is measured from when the user fell silent on, `Greeting` from when the client
 * was connected on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Latency {
  readonly _tag: "Answer" | "Greeting"
  readonly milliseconds: number
  /** When the bot started: milliseconds since the epoch, by the task's `Clock`. */
  readonly at: number
  /** In the order in which they began. */
  readonly steps: ReadonlyArray<Step>
}

/**
 * Options of {@link latencies}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /**
   * The frame with which a detector tells that the user has fallen silent, and how many milliseconds before that it
   * was. Default: `UserStoppedSpeakingFrame` is that moment.
   */
  readonly silence?: {
    readonly tag: string
    readonly before?: ((frame: any) => number) | undefined
  } | undefined
  /** Tag of the frame that says that the client is connected. Default: `ClientConnectedFrame`. */
  readonly clientConnected?: string | undefined
}

const clientOf = (options: Options): string => options.clientConnected ?? "ClientConnectedFrame"

const tagsOf = (options: Options): ReadonlyArray<string> => [
  clientOf(options),
  Frame.MetricsFrame.tag,
  BotStartedSpeakingFrame.tag,
  FunctionCallCancelledFrame.tag,
  FunctionCallResultFrame.tag,
  FunctionCallsStartedFrame.tag,
  LlmTextFrame.tag,
  TranscriptionFrame.tag,
  UserStartedSpeakingFrame.tag,
  UserStoppedSpeakingFrame.tag,
  ...(options.silence === undefined ? [] : [options.silence.tag])
]

class Watch {
  /** When the user fell silent, while the bot has not answered. */
  private silent: number | undefined = undefined
  /** `silent` is what the detector said. */
  private detected = false
  /** When the client was connected, while neither has spoken. */
  private connected: number | undefined = undefined
  private greeted = false
  /** When the user's last text came, and the first token after it. */
  private text: number | undefined = undefined
  private token: number | undefined = undefined
  private steps: Array<Step> = []
  private readonly calls = new Map<string, number>()
  private readonly once = new Once()
  private readonly options: Options
  private readonly tags: ReadonlySet<string>

  constructor(options: Options) {
    this.options = options
    this.tags = new Set(tagsOf(options))
  }

  take(event: PipelineObserver.Event): ReadonlyArray<Latency> {
    if (event._tag === "Task" && event.event === "Interrupted") this.forget()
    return event._tag === "Push" ? this.see(event.frame, event.at) : none
  }

  private see(frame: Frame.Frame, at: number): ReadonlyArray<Latency> {
    const { silence } = this.options
    const isSilence = frame._tag === silence?.tag
    if (!this.tags.has(frame._tag) || !this.once.first(frame)) return none
    if (isSilence) {
      this.forget()
      this.silent = at - (silence!.before?.(frame) ?? 0)
      this.detected = true
      return none
    }
    if (UserStartedSpeakingFrame.is(frame)) {
      this.forget()
      this.silent = this.connected = this.text = undefined
      this.detected = false
      this.greeted = true
    } else if (TranscriptionFrame.is(frame)) {
      if (this.token === undefined) this.text = at
    } else if (LlmTextFrame.is(frame)) {
      if (this.silent !== undefined || this.connected !== undefined) this.token ??= at
    } else if (UserStoppedSpeakingFrame.is(frame)) {
      if (this.silent !== undefined && this.detected) this.add("UserTurn", "user", this.silent, at)
      else this.silent = at
    } else if (BotStartedSpeakingFrame.is(frame)) return this.answer(at)
    else if (FunctionCallsStartedFrame.is(frame)) { for (const id of frame.callIds) this.calls.set(id, at) }
    else if (FunctionCallResultFrame.is(frame)) {
      const since = this.calls.get(frame.callId)
      this.calls.delete(frame.callId)
      if (since !== undefined) this.add("FunctionCall", frame.callId, since, at)
    } else if (FunctionCallCancelledFrame.is(frame)) this.calls.delete(frame.callId)
    else if (Frame.MetricsFrame.is(frame)) { for (const metric of frame.data) this.measured(metric, at) }
    else if (!this.greeted) this.connected ??= at
    return none
  }

  private measured(metric: Frame.Metric, at: number): void {
    if (metric._tag !== "Ttfb" && metric._tag !== "Processing") return
    const { _tag: what, milliseconds, processor } = metric
    if (milliseconds === 0) return
    if (what === "Processing" && this.steps.some((step) => step.what === what && step.name === processor)) return
    this.add(what, processor, at - milliseconds, at)
  }

  private add(what: Step["what"], name: string, since: number, at: number): void {
    if (this.silent === undefined && this.connected === undefined) return
    this.steps.push({ what, name, since, milliseconds: at - since })
  }

  private answer(at: number): ReadonlyArray<Latency> {
    const since = this.silent ?? this.connected
    const _tag = this.silent === undefined ? "Greeting" : "Answer"
    if (since !== undefined) this.way(since, at)
    const steps = this.steps.toSorted((a, b) => a.since - b.since)
    this.forget()
    this.silent = this.connected = this.text = undefined
    this.detected = false
    this.greeted = true
    return since === undefined ? none : [{ _tag, milliseconds: at - since, at, steps }]
  }

  /** From silence to text, to token, to audio. */
  private way(since: number, at: number): void {
    const { text, token } = this
    const heard = text === undefined ? since : Math.max(since, text)
    if (text !== undefined) this.add("Text", "user", since, heard)
    if (token === undefined) return
    this.add("Token", "model", heard, token)
    this.add("Audio", "bot", token, at)
  }

  /** What was collected is stale. */
  private forget(): void {
    this.steps = []
    this.token = undefined
    this.calls.clear()
  }
}

const none: ReadonlyArray<Latency> = []

/**
 * Finds in the events of a task how long the user waited for the bot.
 *
 * @example
 * ```ts
 * import { Effect, Fiber, Stream } from "effect"
 * import { LatencyObserver, PipelineObserver, PipelineTask, Processor } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}))
 *   const seen = yield* LatencyObserver.latencies(PipelineObserver.events(task)).pipe(
 *     Stream.runCollect,
 *     Effect.forkScoped({ startImmediately: true })
 *   )
 *   yield* task.stopWhenDone
 *   yield* task.run
 *   return yield* Fiber.join(seen)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const latencies = <E, R>(
  events: Stream.Stream<PipelineObserver.Event, E, R>,
  options: Options = {}
): Stream.Stream<Latency, E, R> =>
  Stream.mapAccum(events, () => new Watch(options), (watch, event) => [watch, watch.take(event)])

/**
 * An observer that tells, each time the bot starts speaking, how long the user has waited for it.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { LatencyObserver, PipelineTask, Processor } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}), {
 *     enableMetrics: true, // for the breakdown
 *     observers: [LatencyObserver.make((latency) => Effect.log(`${latency._tag}: ${latency.milliseconds} ms`))]
 *   })
 *   yield* task.stopWhenDone
 *   return yield* task.run
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  onLatency: (latency: Latency) => Effect.Effect<unknown, unknown>,
  options: Options = {}
): PipelineObserver.PipelineObserver =>
  PipelineObserver.fromStream(
    "LatencyObserver",
    (events) => Stream.runForEach(latencies(events, options), onLatency),
    { frames: tagsOf(options) }
  )
