/**
 * Writes a conversation down: what the user said, and what the bot was heard to say.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import * as Frame from "./Frame.ts"
import { Writer } from "./internal/llm/transcript.ts"
import * as PipelineObserver from "./PipelineObserver.ts"
import {
  AggregatedTextFrame,
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  InterimTranscriptionFrame,
  LlmMessagesAppendFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  LlmTextFrame,
  TranscriptionFrame,
  TtsStartedFrame,
  TtsStoppedFrame,
  TtsTextFrame,
  UserStartedSpeakingFrame
} from "./VoiceFrames.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The user has said something, or typed it.
 *
 * @category models
 * @since 0.1.0
 */
export interface UserSaid {
  readonly _tag: "UserSaid"
  readonly text: string
  /** Empty where it was typed. */
  readonly userId: string
  /** `interim` texts may still change: the next one takes their place. */
  readonly how: "spoken" | "interim" | "typed"
  /** When that was known: milliseconds since the epoch, by the task's `Clock`. */
  readonly at: number
  /** As `TurnObserver` counts them. */
  readonly turn: number
}

/**
 * The bot has said something, up to its end or an interruption.
 *
 * @category models
 * @since 0.1.0
 */
export interface BotSaid {
  readonly _tag: "BotSaid"
  /** What was heard, or read. */
  readonly text: string
  /** What was to be said, and was not: empty unless it was interrupted. */
  readonly cut: string
  readonly interrupted: boolean
  readonly how: "spoken" | "read"
  /** From when until when: milliseconds since the epoch, by the task's `Clock`. */
  readonly at: number
  readonly until: number
  /** In which it began. */
  readonly turn: number
}

/**
 * Something that was said.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry = UserSaid | BotSaid

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Tell of interim texts, too. Default: false. */
  readonly interim?: boolean | undefined
  /**
   * The name of the pipeline's output: what has left it is heard. Default: `TransportOutput`. In a pipeline without it, a
   * text is heard when it moves.
   */
  readonly output?: string | undefined
}

/**
 * The transcript of a session.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transcript {
  /** Goes into the options of the task. */
  readonly observer: PipelineObserver.PipelineObserver
  /** What was said so far, in order, without interim texts. */
  readonly entries: Effect.Effect<ReadonlyArray<Entry>>
  /** What is said from now on. */
  readonly changes: Stream.Stream<Entry>
}

/**
 * Whose name is written how.
 *
 * @category models
 * @since 0.1.0
 */
export interface Names {
  /** Default: `User`. */
  readonly user?: string | undefined
  /** Default: `Bot`. */
  readonly bot?: string | undefined
}

const tags: ReadonlyArray<string> = [
  AggregatedTextFrame,
  BotStartedSpeakingFrame,
  BotStoppedSpeakingFrame,
  InterimTranscriptionFrame,
  LlmMessagesAppendFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  LlmTextFrame,
  Frame.StartFrame,
  TranscriptionFrame,
  TtsStartedFrame,
  TtsStoppedFrame,
  TtsTextFrame,
  UserStartedSpeakingFrame
].map(({ tag }) => tag)

// ---------------------------------------------------------------------------------------------------------------------
// streams
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Finds what was said in the events of a task.
 *
 * @example
 * ```ts
 * import { Effect, Fiber, Stream } from "effect"
 * import { PipelineObserver, PipelineTask, Processor, Transcript } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}))
 *   const said = yield* Transcript.said(PipelineObserver.events(task)).pipe(
 *     Stream.runCollect,
 *     Effect.forkScoped({ startImmediately: true })
 *   )
 *   yield* task.stopWhenDone
 *   yield* task.run
 *   return Transcript.toMarkdown(yield* Fiber.join(said))
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category streams
 * @since 0.1.0
 */
export const said = <E, R>(
  events: Stream.Stream<PipelineObserver.Event, E, R>,
  options: Options = {}
): Stream.Stream<Entry, E, R> =>
  Stream.mapAccum(events, () => new Writer(options), (writer, event) => [writer, writer.take(event)])

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Makes a transcript: an observer, and what it has seen.
 *
 * **Details**
 *
 * - The user: each `TranscriptionFrame`, and messages that were typed (`LlmMessagesAppendFrame`).
 * - The bot: what has left the output, answer by answer, as it is written. What was to be said and was cut by an
 *   interruption is told, too.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { PipelineTask, Processor, Transcript } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const transcript = yield* Transcript.make()
 *   const task = yield* PipelineTask.make(Processor.sync("Same", {}), { observers: [transcript.observer] })
 *   yield* task.stopWhenDone
 *   yield* task.run
 *   return Transcript.toJson(yield* transcript.entries)
 * }).pipe(Effect.scoped)
 * ```
 *
 * Source: `TranscriptProcessor` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Effect.Effect<Transcript> =>
  Effect.map(PubSub.unbounded<Entry>(), (pubsub) => {
    const all: Array<Entry> = []
    const write = (entry: Entry): Effect.Effect<void> =>
      Effect.sync(() => {
        if (entry._tag === "BotSaid" || entry.how !== "interim") all.push(entry)
        PubSub.publishUnsafe(pubsub, entry)
      })
    return {
      observer: PipelineObserver.fromStream(
        "Transcript",
        (events) => Stream.runForEach(said(events, options), write),
        { frames: tags }
      ),
      entries: Effect.sync(() => all.slice()),
      changes: Stream.fromPubSub(pubsub)
    }
  })

// ---------------------------------------------------------------------------------------------------------------------
// writing
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A transcript as JSON: an array of entries.
 *
 * @example
 * ```ts
 * import { Transcript } from "@apipeline/core"
 *
 * JSON.parse(Transcript.toJson([])) // => []
 * ```
 *
 * @category writing
 * @since 0.1.0
 */
export const toJson = (entries: Iterable<Entry>): string => `${JSON.stringify(Array.from(entries), undefined, 2)}\n`

/**
 * A transcript to be read: a paragraph for each time that somebody speaks, with minutes and seconds since the first. What
 * was cut is struck through.
 *
 * @example
 * ```ts
 * import { Transcript } from "@apipeline/core"
 *
 * const user = { _tag: "UserSaid", text: "Hello.", userId: "ann", how: "spoken", at: 0, turn: 1 } as const
 * Transcript.toMarkdown([user], { user: "Ann" }) // => "**Ann** (0:00): Hello.\n"
 * ```
 *
 * @category writing
 * @since 0.1.0
 */
export const toMarkdown = (entries: Iterable<Entry>, names: Names = {}): string => {
  const all = Array.from(entries).filter(({ how }) => how !== "interim")
  const start = all[0]?.at ?? 0
  const paragraphs: Array<string> = []
  let last: Entry | undefined
  for (const entry of all) {
    const text = entry._tag === "UserSaid" ? escape(entry.text) : botText(entry)
    if (entry._tag === "UserSaid" && last?._tag === "UserSaid" && last.turn === entry.turn) {
      paragraphs.push(`${paragraphs.pop()!} ${text}`)
    } else {
      const name = entry._tag === "UserSaid" ? names.user ?? "User" : names.bot ?? "Bot"
      paragraphs.push(`**${escape(name)}** (${clock(entry.at - start)}): ${text}`)
    }
    last = entry
  }
  return paragraphs.map((paragraph) => `${paragraph}\n`).join("\n")
}

const botText = ({ cut, interrupted, text }: BotSaid): string =>
  [escape(text), cut === "" ? "" : `~~${escape(cut)}~~`, interrupted ? "*(interrupted)*" : ""]
    .filter((part) => part !== "").join(" ")

const escape = (text: string): string => text.replace(/[\\`*_~[\]<>#|]/g, "\\$&").replace(/\s+/g, " ")

const clock = (millis: number): string => {
  const seconds = Math.floor(millis / 1000)
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`
}
