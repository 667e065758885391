/**
 * Puts the text of a turn, of the user or of the bot, together to one frame.
 *
 * @since 0.1.0
 */
import * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"
import {
  InterimTranscriptionFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  TranscriptionFrame,
  UserStartedSpeakingFrame,
  UserStoppedSpeakingFrame
} from "./VoiceFrames.ts"

/**
 * The options that every aggregator of this module has.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `ResponseAggregator`. */
  readonly name?: string | undefined
  /** What an interruption does to the text so far. */
  readonly onInterruption?: "clear" | "flush" | "keep" | undefined
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface MakeOptions extends Options {
  /** The frame with which a turn begins. */
  readonly start: Frame.AnyClass
  /** The frame with which it ends. */
  readonly end: Frame.AnyClass
  /** The frames with the text. */
  readonly text: Frame.AnyClass & { readonly is: (u: unknown) => u is Frame.Base & { readonly text: string } }
  /** The frames that announce text that is not final yet. Default: none. */
  readonly interim?: Frame.AnyClass | undefined
  /** Whether the end may come before the text, because it is a system frame. Default: false. */
  readonly late?: boolean | undefined
  /** Stands between two texts. Default: nothing. */
  readonly separator?: string | undefined
}

/**
 * Makes a processor that replaces the downstream text between two frames by one text frame, with the `pts` and the
 * metadata of the first one.
 *
 * **Details**
 *
 * - The start and the end go on: the text comes between them, or behind an end that overtook it. Without text there is
 *   no frame.
 * - With `late`, an end before which there was no text, or behind an interim text that is not final yet, waits for the
 *   next text and pushes all then: `S E T`, `S I E T` and `S I E I T` give one frame, as `S T E` does.
 * - Text outside of a turn goes on as it is, and so do interim texts and all other frames.
 * - A start without an end before it, and `EndFrame`, push what is left before them; `StopTaskFrame` leaves it for the
 *   task that takes over.
 * - An interruption clears the text so far and the turn is over (`clear`, the default); or it pushes it first, as a
 *   frame that follows the interruption (`flush`); or it does nothing (`keep`), as in a task that does not allow
 *   interruptions.
 *
 * @example
 * ```ts
 * import { Frame, Pipeline, ResponseAggregator } from "@apipeline/core"
 *
 * class Begin extends Frame.App<Begin>()("Begin", {}, { kind: "control" }) {}
 * class Finish extends Frame.App<Finish>()("Finish", {}, { kind: "control" }) {}
 *
 * const pipeline = Pipeline.make(ResponseAggregator.make({ start: Begin, end: Finish, text: Frame.TextFrame }))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: MakeOptions): Processor.Processor => {
  const { end, interim, late = false, onInterruption = "clear", separator = "", start, text } = options
  return Processor.sync(options.name ?? "ResponseAggregator", () => {
    let turn: "none" | "open" | "late" = "none"
    let parts: Array<string> = []
    let first: Frame.Base | undefined
    let announced = false
    const flush = (push: Processor.Push): void => {
      const from = first
      const all = parts.join(separator)
      turn = "none"
      parts = []
      first = undefined
      if (from !== undefined) {
        push.downstream(Frame.TextFrame.make({ text: all, pts: from.pts, metadata: from.metadata }))
      }
    }
    const handlers: Record<string, (frame: any, push: Processor.Push) => void> = {
      [start.tag]: (frame, push) => {
        flush(push)
        turn = "open"
        push(frame)
      },
      [end.tag]: (frame, push) => {
        if (turn === "open" && late && (first === undefined || announced)) turn = "late"
        else if (turn !== "late") flush(push)
        push(frame)
      },
      [text.tag]: (frame: Frame.Base & { readonly text: string }, push) => {
        announced = false
        if (turn === "none") return push(frame as Frame.Frame)
        first ??= frame
        parts.push(frame.text)
        if (turn === "late") flush(push)
      }
    }
    if (interim !== undefined) {
      handlers[interim.tag] = (frame, push) => {
        announced = true
        push(frame)
      }
    }
    return {
      ...handlers,
      onInterruption: (_, push) => {
        if (onInterruption === "keep") return
        if (onInterruption === "clear") first = undefined
        flush(push)
      },
      onEnd: (_, push) => flush(push)
    }
  })
}

/**
 * Makes a processor that replaces what a user says in one turn by one text frame: the transcriptions between
 * `UserStartedSpeakingFrame` and `UserStoppedSpeakingFrame`, with a space between them.
 *
 * **Details**
 *
 * Those are system frames and overtake the transcriptions, which therefore may come late. An interruption changes
 * nothing, unless the options say otherwise: the user causes it by speaking.
 *
 * @example
 * ```ts
 * import { Pipeline, ResponseAggregator } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(ResponseAggregator.user())
 * ```
 *
 * Source: `LLMUserResponseAggregator` of pipecat and pipeline-py.
 *
 * @category constructors
 * @since 0.1.0
 */
export const user = (options: Options = {}): Processor.Processor =>
  make({
    ...options,
    onInterruption: options.onInterruption ?? "keep",
    start: UserStartedSpeakingFrame,
    end: UserStoppedSpeakingFrame,
    text: TranscriptionFrame,
    interim: InterimTranscriptionFrame,
    late: true,
    separator: " "
  })

/**
 * Makes a processor that replaces the text of one answer by one text frame: the text frames between
 * `LlmResponseStartFrame` and `LlmResponseEndFrame`.
 *
 * **Details**
 *
 * An interruption pushes what was said so far, behind the interruption: behind an output that is what the user has
 * heard, and it belongs into the transcript. The options can say otherwise.
 *
 * @example
 * ```ts
 * import { Pipeline, ResponseAggregator } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(ResponseAggregator.assistant({ onInterruption: "clear" }))
 * ```
 *
 * Source: `LLMAssistantResponseAggregator` and `LLMFullResponseAggregator` of pipecat and pipeline-py.
 *
 * @category constructors
 * @since 0.1.0
 */
export const assistant = (options: Options = {}): Processor.Processor =>
  make({
    ...options,
    onInterruption: options.onInterruption ?? "flush",
    start: LlmResponseStartFrame,
    end: LlmResponseEndFrame,
    text: Frame.TextFrame
  })
