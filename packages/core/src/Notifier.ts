/**
 * Lets one processor wait for another: one notifies, the other waits.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"

/**
 * A notification that anybody can send and anybody can wait for.
 *
 * **Details**
 *
 * - A notification wakes all who wait at that moment, once.
 * - One that comes while nobody waits is kept for the next who does: it is not lost. Only one is kept, so that many
 *   notifications in a row mean no more than one.
 * - Waiting can be interrupted at any time; a fiber that no longer waits takes no notification.
 *
 * **Gotchas**
 *
 * It is a value with a state: processors that share it share the notifications, across tasks too. Make one per task.
 *
 * @category models
 * @since 0.1.0
 */
export interface Notifier {
  readonly notify: Effect.Effect<void>
  /** `notify` for synchronous handlers. */
  readonly notifyUnsafe: () => void
  readonly wait: Effect.Effect<void>
}

/**
 * Makes a notifier, without an Effect.
 *
 * @example
 * ```ts
 * import { Notifier } from "@apipeline/core"
 *
 * const notifier = Notifier.makeUnsafe()
 * notifier.notifyUnsafe()
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeUnsafe = (): Notifier => {
  const waiters = new Set<() => void>()
  let kept = false
  const notifyUnsafe = (): void => {
    kept = waiters.size === 0
    const now = [...waiters]
    waiters.clear()
    for (const wake of now) wake()
  }
  return {
    notify: Effect.sync(notifyUnsafe),
    notifyUnsafe,
    wait: Effect.callback<void>((resume) => {
      if (kept) {
        kept = false
        return resume(Effect.void)
      }
      const wake = () => resume(Effect.void)
      waiters.add(wake)
      return Effect.sync(() => {
        waiters.delete(wake)
      })
    })
  }
}

/**
 * Makes a notifier.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Notifier, Pipeline, Processor } from "@apipeline/core"
 *
 * const pipeline = Effect.gen(function*() {
 *   const ready = yield* Notifier.make
 *   return Pipeline.make(
 *     Processor.queued("Waits", { TextFrame: (frame, { push }) => Effect.andThen(ready.wait, push(frame)) }),
 *     Processor.sync("Notifies", { upstream: { SyncNotifyFrame: () => ready.notifyUnsafe() } })
 *   )
 * })
 * ```
 *
 * Source: `EventNotifier` of pipecat and pipeline-go.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Notifier> = Effect.sync(makeUnsafe)
