/**
 * A gate: while it is closed it holds frames, and when it opens it lets them go.
 *
 * @since 0.1.0
 */
import type * as Predicate from "effect/Predicate"
import * as Frame from "./Frame.ts"
import { Backlog, check, type Limits } from "./HoldAggregator.ts"
import * as Processor from "./Processor.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Limits {
  /** Default: `GatedAggregator`. */
  readonly name?: string | undefined
  /** Whether a frame opens the gate: asked while it is closed. */
  readonly opens: Predicate.Predicate<Frame.Frame>
  /** Whether a frame closes the gate: asked while it is open. */
  readonly closes: Predicate.Predicate<Frame.Frame>
  /** Default: false. */
  readonly startOpen?: boolean | undefined
}

/**
 * Makes a processor that holds downstream frames while it is closed.
 *
 * **Details**
 *
 * - The frame that opens the gate goes on first, and behind it all that was held, in order. The frame that closes the
 *   gate is held.
 * - Only data and control frames are held, and only they are shown to the predicates: system and lifecycle frames, and
 *   what goes upstream, always pass and neither open nor close.
 * - An interruption clears what is held, but for uninterruptible frames, unless the task does not allow interruptions.
 *   The gate stays as it is.
 * - `EndFrame` lets what is left go before it, as nothing will open the gate any more (`atEnd: "drop"` discards it).
 * - What is held and does not go on counts as dropped.
 *   `StopTaskFrame` leaves it for the task that takes over.
 *
 * Throws a `TypeError` when `capacity` is not a positive integer.
 *
 * @example
 * ```ts
 * import { Frame, GatedAggregator, Pipeline, VoiceFrames } from "@apipeline/core"
 *
 * // an answer waits for the picture that goes with it
 * const pipeline = Pipeline.make(
 *   GatedAggregator.make({
 *     opens: Frame.ImageRawFrame.is,
 *     closes: VoiceFrames.LlmResponseStartFrame.is,
 *     startOpen: true
 *   })
 * )
 * ```
 *
 * Source: `GatedAggregator` of pipecat, pipeline-py and pipeline-go.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Processor.Processor => {
  const { closes, name = "GatedAggregator", opens } = options
  check("GatedAggregator", options)
  return Processor.sync(name, () => {
    const backlog = new Backlog(name, options)
    let open = options.startOpen === true
    const release = (push: Processor.Push): void => {
      for (let frame = backlog.next(); frame !== undefined; frame = backlog.next()) push(frame)
    }
    const take = (frame: Frame.Frame, push: Processor.Push): void => {
      open = open ? !closes(frame) : opens(frame)
      if (open) {
        push(frame)
        return release(push)
      }
      const error = backlog.add(frame, push.dropped)
      if (error !== undefined) push.upstream(Frame.ErrorFrame.make({ error, processor: name }))
    }
    return {
      data: take,
      control: take,
      onInterruption: (_, push) => backlog.cut(push.dropped),
      onEnd: (_, push) => {
        backlog.end(push.dropped)
        release(push)
      },
      onCancel: (_, push) => backlog.cancel(push.dropped)
    }
  })
}
