/**
 * Two ends of one connection in memory: a transport for tests, and for pipelines that talk to each other.
 *
 * @since 0.1.0
 */
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type * as Frame from "./Frame.ts"
import * as Transport from "./Transport.ts"

/**
 * What travels over a connection in memory: frames, and the wish to drop audio that was not played yet.
 *
 * @category models
 * @since 0.1.0
 */
export type Signal = { readonly _tag: "Frame"; readonly frame: Frame.Frame } | { readonly _tag: "Clear" }

/**
 * The end of a connection that a test (or another program) holds.
 *
 * @category models
 * @since 0.1.0
 */
export interface Client {
  /** Waits while the other side is full. Fails when it has been closed. */
  readonly send: (frame: Frame.Frame) => Effect.Effect<void, Transport.TransportError>
  /** What the transport has sent, until it is closed. */
  readonly received: Stream.Stream<Signal>
  /** Hangs up. */
  readonly close: (reason: string) => Effect.Effect<void>
}

/**
 * Options of {@link makeConnection} and {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface ConnectionOptions {
  /** Frames that wait to be taken, each way, before the sender waits. Default: 256. */
  readonly capacity?: number | undefined
  /** Whether the client drops what it has not played when it is told to. Default: false. */
  readonly flushes?: boolean | undefined
  /** Frames that are sent besides audio and messages. Default: all data and control frames. */
  readonly carries?: ((frame: Frame.Frame) => boolean) | undefined
}

const closed = (reason: string): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.ConnectionClosed({ reason }) })

/**
 * Makes the two ends of a connection.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, MemoryTransport } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const { client, connection } = yield* MemoryTransport.makeConnection()
 *   yield* connection.send(Frame.TextFrame.make({ text: "hello" }))
 *   yield* connection.close("done")
 *   return (yield* Stream.runCollect(client.received)).length
 * })
 *
 * await Effect.runPromise(program) // => 1
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeConnection = (
  options: ConnectionOptions = {}
): Effect.Effect<{ readonly connection: Transport.Connection; readonly client: Client }> =>
  Effect.gen(function*() {
    const { capacity = 256, carries = () => true, flushes = false } = options
    const up = yield* Queue.bounded<Frame.Frame, Transport.TransportError>(capacity)
    const down = yield* Queue.bounded<Signal, Cause.Done>(capacity)
    let reason: string | undefined
    const close = (why: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        reason ??= why
        return Effect.andThen(Queue.fail(up, closed(reason)), Queue.end(down))
      })
    const offered = (taken: boolean): Effect.Effect<void, Transport.TransportError> =>
      taken ? Effect.void : Effect.fail(closed(reason ?? "closed"))
    const offer = (signal: Signal): Effect.Effect<void, Transport.TransportError> =>
      Effect.flatMap(Queue.offer(down, signal), offered)
    return {
      connection: {
        name: "MemoryTransport",
        incoming: Stream.fromQueue(up),
        send: (frame) => offer({ _tag: "Frame", frame }),
        clear: offer({ _tag: "Clear" }),
        flushes,
        carries,
        close
      },
      client: {
        send: (frame) => Effect.flatMap(Queue.offer(up, frame), offered),
        received: Stream.fromQueue(down),
        close
      }
    }
  })

/**
 * Makes a transport, and the client at its other end.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, MemoryTransport, Pipeline, PipelineTask } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const { client, transport } = yield* MemoryTransport.make()
 *   const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
 *   yield* task.start
 *   yield* client.send(Frame.TextFrame.make({ text: "hello" }))
 *   return yield* Stream.runHead(client.received)
 * }).pipe(Effect.scoped)
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: ConnectionOptions & Transport.Options<E, R> = {}
): Effect.Effect<
  { readonly transport: Transport.Transport<E, R>; readonly client: Client },
  never,
  Scope.Scope
> =>
  Effect.gen(function*() {
    const { client, connection } = yield* makeConnection(options)
    return { client, transport: yield* Transport.make(connection, options) }
  })
