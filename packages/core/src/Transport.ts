/**
 * Joins a pipeline to the world: a microphone and a speaker, a browser, a telephone line, files.
 *
 * A transport is an input and an output, processors both, over one {@link Connection}. The connection is thin: how frames
 * travel. What they mean is the same for all of them (`TransportInput`, `TransportOutput`): rates, chunks, time, who
 * speaks, what was played, what an interruption cuts.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as PubSub from "effect/PubSub"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Frame from "./Frame.ts"
import type { Connection, Event } from "./internal/transport/connection.ts"
import { TimedOut, TransportError } from "./internal/transport/transportError.ts"
import * as Pipeline from "./Pipeline.ts"
import * as Processor from "./Processor.ts"
import * as TransportInput from "./TransportInput.ts"
import * as TransportOutput from "./TransportOutput.ts"

export type { Connection, Event } from "./internal/transport/connection.ts"

export {
  ConnectionClosed,
  InvalidMessage,
  InvalidOutput,
  ReadFailed,
  TimedOut,
  TransportError,
  WriteFailed
} from "./internal/transport/transportError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * An input and an output over one connection, for one task at a time. `E` and `R` are those of the voice activity
 * detection in its input.
 *
 * @category models
 * @since 0.1.0
 */
export interface Transport<out E = never, out R = never> {
  /** Goes first into a pipeline. */
  readonly input: Pipeline.Pipeline<E, R>
  /** Goes where the bot's voice comes out; processors behind it see what was heard. */
  readonly output: Processor.Processor
  /** From the beginning, whoever subscribes late. The stream ends with the connection. */
  readonly events: Stream.Stream<Event>
  /** What has become of the audio that was sent. */
  readonly playback: Effect.Effect<ReadonlyArray<TransportOutput.Playback>>
  readonly received: Effect.Effect<TransportInput.Received>
  /** Waits until the other side is gone (or was closed), and tells why. */
  readonly disconnected: Effect.Effect<string>
  /** Closes the connection; what is still in the pipeline cannot be sent any more. */
  readonly close: (reason: string) => Effect.Effect<void>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  readonly input?: TransportInput.Options | undefined
  readonly output?: TransportOutput.Options | undefined
  /** Voice activity detection, as the last part of the input: `Vad.make()`. Default: none. */
  readonly vad?: Processor.Processor<E, R> | undefined
  /** Whether audio leaves the input. Default: true; without, only the voice activity detection hears it. */
  readonly audioPassthrough?: boolean | undefined
  /** How long closing the connection may take. Default: 1 second. */
  readonly closeTimeout?: Duration.Input | undefined
}

const reasonOf = (exit: Exit.Exit<void, TransportError>): string => {
  if (Exit.isSuccess(exit)) return "the end of what comes in"
  if (Cause.hasInterruptsOnly(exit.cause)) return "the transport was closed"
  const error = Cause.squash(exit.cause)
  return error instanceof Error ? error.message : String(error)
}

/**
 * Makes a transport of a connection. It reads from now on; when the scope closes, the connection is closed.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, Pipeline, PipelineTask, Transport } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const sent: Array<string> = []
 *   const transport = yield* Transport.make({
 *     name: "Lines",
 *     incoming: Stream.make(Frame.TextFrame.make({ text: "hello" })),
 *     send: (frame) => Effect.sync(() => sent.push(frame._tag)),
 *     carries: Frame.TextFrame.is,
 *     close: () => Effect.void
 *   }, { input: { onDisconnect: "end" } })
 *   const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
 *   yield* task.run
 *   return sent
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => ["TextFrame"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  connection: Connection,
  options: Options<E, R> = {}
): Effect.Effect<Transport<E, R>, never, Scope.Scope> =>
  Effect.gen(function*() {
    const input = TransportInput.make(options.input)
    const output = TransportOutput.make(connection, options.output)
    const events = yield* PubSub.sliding<Event>({ capacity: 256, replay: 256 })
    const gone = yield* Deferred.make<string>()
    const disconnect = (reason: string): Effect.Effect<void> =>
      Effect.flatMap(
        Deferred.succeed(gone, reason),
        (first) => first ? Effect.asVoid(PubSub.end(events, { _tag: "ClientDisconnected", reason })) : Effect.void
      )
    const milliseconds = Duration.toMillis(options.closeTimeout ?? "1 second")
    const late = new TransportError({ reason: new TimedOut({ operation: "close", milliseconds }) })
    const close = (reason: string): Effect.Effect<void> =>
      disconnect(reason).pipe(
        Effect.andThen(
          Effect.timeoutOrElse(connection.close(reason), { duration: milliseconds, orElse: () => Effect.fail(late) })
        ),
        Effect.catchCause((cause) => Effect.logDebug(`${connection.name}: ${Cause.pretty(cause)}`))
      )
    yield* Effect.addFinalizer(() => close("the transport was closed"))
    yield* PubSub.publish(events, { _tag: "ClientConnected" })
    if (connection.events !== undefined) {
      yield* Effect.forkScoped(
        Stream.runForEach(connection.events, (event) => PubSub.publish(events, event)),
        { startImmediately: true }
      )
    }
    yield* connection.incoming.pipe(
      Stream.runForEachArray((items) => {
        const invalid = items.filter((item): item is TransportError => !Frame.isFrame(item))
        const receive = input.receive(items)
        return invalid.length === 0 ? receive : Effect.andThen(
          Effect.forEach(invalid, (error) => PubSub.publish(events, { _tag: "InvalidMessage", error }), {
            discard: true
          }),
          receive
        )
      }),
      Effect.onExit((exit) => Effect.asVoid(disconnect(reasonOf(exit)))),
      // that the other side has left is no failure; anything else is told
      Effect.catch((error) => error.reason._tag === "ConnectionClosed" ? Effect.void : input.receive([error])),
      Effect.andThen(Deferred.await(gone)),
      Effect.flatMap(input.disconnected),
      Effect.forkScoped({ startImmediately: true })
    )
    const silent = Processor.sync("TransportInput.silent", { AudioRawFrame: () => {} })
    const parts: readonly [Pipeline.Element<E, R>, ...Array<Pipeline.Element<E, R>>] = [
      input.processor,
      ...options.vad === undefined ? [] : [options.vad],
      ...options.audioPassthrough === false ? [silent] : []
    ]
    return {
      input: Pipeline.make(...parts),
      output: output.processor,
      events: Stream.takeUntil(Stream.fromPubSub(events), (event) => event._tag === "ClientDisconnected"),
      playback: output.playback,
      received: input.received,
      disconnected: Deferred.await(gone),
      close
    }
  })
