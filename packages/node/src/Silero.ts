/**
 * Tells speech from every other sound: Silero VAD, a small neural model, in a worker.
 *
 * @since 0.1.0
 */
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import type { SileroBatch, SileroResult } from "./internal/sileroWorker.ts"
import * as WorkerPool from "./internal/workerPool.ts"
import { type EngineError, isRetryable, OptionError, type WorkerOptions } from "./SpeechEngine.ts"

/**
 * Options of {@link make} and {@link layer}. One worker is enough for some hundred conversations.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Omit<WorkerOptions, "maxWaiting"> {}

/** Hz. */
const sampleRate = 16000
/** 32 ms. */
const windowSize = 512
/** Of the window before; without them the model is much less sure. */
const contextSize = 64
/** Numbers that the model remembers. */
const stateSize = 256
/** More windows at once make each no cheaper. */
const maxBatch = 16

/** A window that waits for its probability. */
interface Waiting {
  readonly window: Float32Array
  readonly state: Float32Array
  readonly done: Deferred.Deferred<Result, VoiceActivity.VoiceActivityError>
}

interface Result {
  readonly probability: number
  readonly state: Float32Array
}

const toBatch = (all: ReadonlyArray<Waiting>): SileroBatch => {
  const size = contextSize + windowSize
  const windows = new Float32Array(all.length * size)
  const states = new Float32Array(all.length * stateSize)
  all.forEach(({ state, window }, i) => {
    windows.set(window, i * size)
    states.set(state, i * stateSize)
  })
  return { windows, states }
}

/**
 * Makes detectors that share the worker; it ends with the scope.
 *
 * **Details**
 *
 * - Windows are 32 ms at 16 kHz. Those of several conversations that come together are looked at together, which makes
 *   each cheaper: 0.3 ms of CPU instead of 0.8. In this worker, not beside everything else, so that 20 conversations do
 *   not hold up the event loop.
 * - A worker that crashes is replaced, and the detectors go on with what they remember: nobody notices, unless it crashes
 *   again at once.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Silero } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const silero = yield* Silero.make()
 *   const detector = yield* silero.make({ sampleRate: 16_000 })
 *   return yield* detector.probability(new Float32Array(512))
 * }).pipe(Effect.scoped)
 * ```
 *
 * Source: Silero VAD 6 (MIT), as in `@ricky0123/vad-web` 0.0.31 (ISC), run by `onnxruntime-web` 1.22.0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options = {}
): Effect.Effect<VoiceActivity.Service, VoiceActivity.VoiceActivityError, Scope.Scope> =>
  Effect.gen(function*() {
    const failed = (cause: EngineError): VoiceActivity.VoiceActivityError =>
      new VoiceActivity.VoiceActivityError({ detector: "silero", isRetryable: isRetryable(cause), cause })
    const workers = options.workers ?? 1
    const pool = yield* WorkerPool.make<SileroBatch, SileroResult>(
      WorkerPool.workerUrl("sileroWorker"),
      undefined,
      options
    ).pipe(Effect.mapError(failed))
    const waiting = yield* Effect.acquireRelease(Queue.unbounded<Waiting>(), Queue.shutdown)

    // what comes while the worker is at work is the next batch
    const work = Effect.gen(function*() {
      const all = yield* Queue.takeBetween(waiting, 1, maxBatch)
      const exit = yield* Effect.exit(Effect.mapError(pool.run(toBatch(all)), failed))
      all.forEach(({ done }, i) =>
        Deferred.doneUnsafe(
          done,
          Exit.map(exit, ({ probabilities, states }) => ({
            probability: probabilities[i]!,
            state: states.subarray(i * stateSize, (i + 1) * stateSize)
          }))
        )
      )
    })
    for (let i = 0; i < workers; i++) yield* Effect.forkScoped(Effect.forever(work, { disableYield: true }))

    const makeDetector = (): VoiceActivity.Detector => {
      let state = new Float32Array(stateSize)
      let context = new Float32Array(contextSize)
      /** What is found after a reset is of no use any more. */
      let since = {}
      return {
        sampleRate,
        windowSize,
        probability: (samples) =>
          Effect.suspend(() => {
            if (samples.length !== windowSize) {
              const found = `${samples.length} samples`
              return failed(new OptionError({ field: "window", found, expected: `${windowSize} samples` }))
            }
            const window = new Float32Array(contextSize + windowSize)
            window.set(context)
            window.set(samples, contextSize)
            const done = Deferred.makeUnsafe<Result, VoiceActivity.VoiceActivityError>()
            const begun = since
            context = window.slice(windowSize)
            Queue.offerUnsafe(waiting, { window, state, done })
            return Effect.map(Deferred.await(done), (result) => {
              if (begun === since) state = result.state as Float32Array<ArrayBuffer>
              return result.probability
            })
          }),
        reset: Effect.sync(() => {
          since = {}
          state = new Float32Array(stateSize)
          context = new Float32Array(contextSize)
        })
      }
    }

    return { make: () => Effect.sync(makeDetector) }
  })

/**
 * {@link make} as a layer. Provide it once, where the program begins.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Pipeline, PipelineTask, Vad } from "@apipeline/core"
 * import { Silero } from "@apipeline/node"
 *
 * const task = PipelineTask.make(Pipeline.make(Vad.make())).pipe(Effect.provide(Silero.layer()))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  options: Options = {}
): Layer.Layer<VoiceActivity.VoiceActivity, VoiceActivity.VoiceActivityError> =>
  Layer.effect(VoiceActivity.VoiceActivity, make(options))
