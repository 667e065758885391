/** Writes one piece after the other in a fiber of its own: whoever hands one over may be interrupted, the write is not. */
import type * as Transport from "@apipeline/core/Transport"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { closed } from "./messageConnection.ts"

export interface WriteQueue<in A> {
  /** Waits while two pieces wait: what waits here cannot be cut by an interruption. Fails when writing has failed. */
  readonly offer: (piece: A) => Effect.Effect<void, Transport.TransportError>
  /** Takes no more, and waits until all has been written. */
  readonly end: Effect.Effect<void>
}

export const makeWriteQueue = <A>(
  write: (pieces: Stream.Stream<A>) => Effect.Effect<unknown, Transport.TransportError>
): Effect.Effect<WriteQueue<A>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* Queue.bounded<A, Cause.Done>(2)
    let broken = closed("the transport was closed")
    const writing = yield* write(Stream.fromQueue(queue)).pipe(
      Effect.catch((error) =>
        Effect.suspend(() => {
          broken = error
          return Queue.shutdown(queue)
        })
      ),
      Effect.forkScoped({ startImmediately: true })
    )
    return {
      offer: (piece) => Effect.flatMap(Queue.offer(queue, piece), (taken) => taken ? Effect.void : Effect.fail(broken)),
      end: Effect.andThen(Queue.end(queue), Effect.asVoid(Fiber.await(writing)))
    }
  })
