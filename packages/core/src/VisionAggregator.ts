/**
 * Puts a text and the image that follows it together, as models for vision need them.
 *
 * @since 0.1.0
 */
import type * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"
import { VisionImageFrame } from "./VoiceFrames.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `VisionAggregator`. */
  readonly name?: string | undefined
}

/**
 * Makes a processor that holds a downstream text frame until an image comes, and then pushes both as one
 * `VisionImageFrame`, with the `pts` and the metadata of the image.
 *
 * **Details**
 *
 * - Nothing is lost: an image without a text goes on as it is, and so does a text when another one comes before an
 *   image does, or the end.
 * - An interruption clears the text that waits, unless the task does not allow interruptions. `StopTaskFrame` leaves it
 *   for the task that takes over.
 * - All other frames pass.
 *
 * @example
 * ```ts
 * import { Pipeline, VisionAggregator } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(VisionAggregator.make())
 * ```
 *
 * Source: `VisionImageFrameAggregator` of pipecat and pipeline-py.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor =>
  Processor.sync(options.name ?? "VisionAggregator", () => {
    let waiting: Frame.TextFrame | undefined
    const take = (): Frame.TextFrame | undefined => {
      const text = waiting
      waiting = undefined
      return text
    }
    return {
      TextFrame: (frame, push) => {
        const before = take()
        waiting = frame
        if (before !== undefined) push(before)
      },
      ImageRawFrame: (frame, push) => {
        const text = take()
        if (text === undefined) return push(frame)
        const { format, height, image, metadata, mode, pts, width } = frame
        push(VisionImageFrame.make({ text: text.text, image, width, height, format, mode, pts, metadata }))
      },
      onInterruption: (_, push) => {
        const text = take()
        if (text !== undefined) push.dropped(text)
      },
      onCancel: (_, push) => {
        const text = take()
        if (text !== undefined) push.dropped(text, "cancelled")
      },
      onEnd: (_, push) => {
        const text = take()
        if (text !== undefined) push(text)
      }
    }
  })
