/**
 * Puts the keys that a caller presses together to one transcription.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberHandle from "effect/FiberHandle"
import type * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"
import { type DtmfKey, InputDtmfFrame, TranscriptionFrame } from "./VoiceFrames.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  /** Default: `DtmfAggregator`. */
  readonly name?: string | undefined
  /** How long the next key may take. Default: 2 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** The key that ends a sequence at once; it is part of it. Default: `#`. */
  readonly terminator?: DtmfKey | undefined
  /** Stands before the keys. Default: `DTMF: `. */
  readonly prefix?: string | undefined
  /** Of the transcription. Default: none. */
  readonly userId?: string | undefined
}

/**
 * Makes a processor that turns the keys of a telephone into transcriptions like `DTMF: 123#`.
 *
 * **Details**
 *
 * - Each key goes on. The first key of a sequence then interrupts the bot, in both directions.
 * - The terminator, the timeout after the latest key and `EndFrame` end a sequence: a finalized transcription is pushed
 *   downstream.
 * - That interruption drops what earlier sequences led to, even a transcription that has not arrived yet.
 * - An interruption by others changes nothing: what was typed is the user's. `StopTaskFrame` leaves the keys for the
 *   task that takes over.
 *
 * @example
 * ```ts
 * import { DtmfAggregator, Pipeline } from "@apipeline/core"
 *
 * const pipeline = Pipeline.make(DtmfAggregator.make({ terminator: "*", prefix: "Menu: " }))
 * ```
 *
 * Source: `DTMFAggregator` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor => {
  const { prefix = "DTMF: ", terminator = "#", userId = "" } = options
  const timeout = Duration.fromInputUnsafe(options.timeout ?? "2 seconds")
  return Processor.effect(
    options.name ?? "DtmfAggregator",
    Effect.gen(function*() {
      const timer = yield* FiberHandle.make()
      let keys = ""
      const flush = ({ pushDownstream }: Processor.ProcessorContext): Effect.Effect<void> =>
        Effect.flatMap(DateTime.now, (now) => {
          if (keys === "") return Effect.void
          const text = prefix + keys
          keys = ""
          return pushDownstream(
            TranscriptionFrame.make({ text, userId, timestamp: DateTime.formatIso(now), finalized: true })
          )
        })
      return {
        InputDtmfFrame: Effect.fnUntraced(function*(frame: InputDtmfFrame, context: Processor.ProcessorContext) {
          const isFirst = keys === ""
          keys += frame.key
          yield* context.push(frame)
          if (isFirst) yield* context.interrupt
          if (frame.key === terminator) return yield* flush(context)
          yield* FiberHandle.run(timer, Effect.andThen(Effect.sleep(timeout), flush(context)))
        }),
        onEnd: (_: Frame.EndFrame, context: Processor.ProcessorContext): Effect.Effect<void> => flush(context)
      }
    }),
    { frames: [InputDtmfFrame] }
  )
}
