/**
 * Lets a pipeline talk to a server over a WebSocket, and come back when the connection breaks.
 *
 * @since 0.1.0
 */
import type * as Frame from "@apipeline/core/Frame"
import type { MessageProtocol } from "@apipeline/core/MessageProtocol"
import * as Transport from "@apipeline/core/Transport"
import type * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import type * as Pull from "effect/Pull"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"
import { closed, closeEvent, fromSocketError, makeConnection } from "./internal/messageConnection.ts"

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> extends Transport.Options<E, R> {
  /** Asked for before each connection, where it is an Effect: a token may have to be new. */
  readonly url: string | Effect.Effect<string, never, R>
  /** A protocol that remembers something is an Effect, run for each connection. */
  readonly protocol: MessageProtocol | Effect.Effect<MessageProtocol, never, R | Scope.Scope>
  /** Headers of the handshake, where the `WebSocketConstructor` can send any: that of `ws` can. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Default: 10 seconds. */
  readonly openTimeout?: Duration.Input | undefined
  /**
   * When to try again to connect, the first time too. `false`: never. Default: after 250 ms, then twice as long each time
   * up to 10 seconds, some of it by chance, ten times.
   */
  readonly reconnect?: Schedule.Schedule<unknown, Transport.TransportError> | false | undefined
  /**
   * Which ends of a connection are not meant. Default: all but those by which the server says that it is done (1000,
   * 1005), or does not want us (1002, 1003, 1007 to 1010, and 4000 to 4999).
   */
  readonly shouldReconnect?: ((error: Transport.TransportError) => boolean) | undefined
  /** Bytes that wait for a server that does not read, before what is sent waits too. Default: 1 MiB. */
  readonly buffered?: number | undefined
}

const final: ReadonlySet<number> = new Set([1000, 1002, 1003, 1005, 1007, 1008, 1009, 1010])

const isBroken = ({ reason }: Transport.TransportError): boolean =>
  reason._tag !== "ConnectionClosed" || reason.code === undefined ||
  !(final.has(reason.code) || (reason.code >= 4000 && reason.code < 5000))

const untilRestored = Schedule.min([Schedule.exponential("250 millis"), Schedule.spaced("10 seconds")]).pipe(
  Schedule.jittered,
  Schedule.upTo({ times: 10 })
)

interface Open {
  readonly scope: Scope.Closeable
  readonly writer: Socket.Writer
  readonly connection: Transport.Connection
  readonly pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Frame.Frame | Transport.TransportError>, Transport.TransportError>
}

/**
 * Connects, and makes a transport of the connection. Fails when there is no connection in the end.
 *
 * **Details**
 *
 * - When the connection breaks, another is made; `events` tells. The task notices nothing but silence. What is to be sent
 *   meanwhile waits, as long as a frame may take (`sendTimeout` of the output), and is given up then.
 * - When no connection can be made, or the server has closed it for good, the other side is gone: see `onDisconnect` of
 *   the input.
 * - Needs a `WebSocketConstructor`: that of the platform (`Socket.layerWebSocketConstructorGlobal`), or of `ws`
 *   (`NodeWS.layerWebSocketConstructor`).
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Socket } from "effect/socket"
 * import { FrameSerializer, MessageProtocol, Pipeline, PipelineTask } from "@apipeline/core"
 * import { NodeRunner, WebSocketClient } from "@apipeline/node"
 *
 * const program = Effect.gen(function*() {
 *   const transport = yield* WebSocketClient.make({
 *     url: "ws://127.0.0.1:8765/ws",
 *     protocol: MessageProtocol.fromSerializer(FrameSerializer.makePipecat())
 *   })
 *   const task = yield* PipelineTask.make(Pipeline.make(transport.input, transport.output))
 *   yield* task.run
 * })
 *
 * NodeRunner.runMain(Effect.scoped(program).pipe(Effect.provide(Socket.layerWebSocketConstructorGlobal)))
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R>
): Effect.Effect<
  Transport.Transport<E, R>,
  Transport.TransportError,
  R | Scope.Scope | Socket.WebSocketConstructor
> =>
  Effect.gen(function*() {
    const { buffered = 1024 * 1024, reconnect = untilRestored, shouldReconnect = isBroken } = options
    const parent = yield* Effect.scope
    const services = yield* Effect.context<R>()
    const construct = yield* Socket.WebSocketConstructor
    const events = yield* Queue.sliding<Transport.Event>(256)
    const isUp = yield* Latch.make(false)
    let current: Open | undefined
    let closing: Transport.TransportError | undefined

    const openOnce = Effect.fnUntraced(function*(scope: Scope.Closeable) {
      let webSocket: { readonly bufferedAmount?: number } = {}
      const url = typeof options.url === "string" ? options.url : yield* Effect.provide(options.url, services)
      const socket = yield* Socket.makeWebSocket(url, { openTimeout: options.openTimeout, headers: options.headers })
        .pipe(
          Effect.provideService(Socket.WebSocketConstructor, (url, options) => {
            const made = construct(url, options)
            webSocket = made as typeof webSocket
            return made
          })
        )
      const reader = yield* Effect.mapError(socket.reader, fromSocketError)
      const writer = yield* socket.writer
      const protocol = Effect.isEffect(options.protocol)
        ? yield* Effect.provide(options.protocol, services)
        : options.protocol
      const drained: Effect.Effect<void> = Effect.suspend(() =>
        (webSocket.bufferedAmount ?? 0) <= buffered ? Effect.void : Effect.andThen(Effect.sleep("20 millis"), drained)
      )
      const connection = yield* makeConnection({
        name: url,
        protocol,
        reader,
        writer,
        room: () => (webSocket.bufferedAmount ?? 0) <= buffered ? undefined : drained,
        close: () => Effect.void
      })
      const pull = yield* Stream.toPull(connection.incoming)
      current = { scope, writer, connection, pull }
      yield* isUp.open
      return current
    })

    const open = Effect.suspend(() =>
      Effect.flatMap(Scope.fork(parent), (scope) =>
        Scope.provide(openOnce(scope), scope).pipe(
          Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
        ))
    )

    const persistently = reconnect === false ? open : Effect.retry(open, {
      schedule: reconnect,
      while: (error) => shouldReconnect(error)
    })

    /** Makes another connection, or fails with what has ended the last. */
    const restore = Effect.fnUntraced(function*(error: Transport.TransportError) {
      if (closing !== undefined) return yield* Effect.fail(closing)
      yield* isUp.close
      if (current !== undefined) yield* Scope.close(current.scope, Exit.void)
      current = undefined
      if (reconnect === false || !shouldReconnect(error)) return yield* Effect.fail(error)
      yield* Queue.offer(events, { _tag: "ConnectionLost", error })
      yield* Effect.logWarning(`connection lost: ${error.message}`)
      yield* persistently
      yield* Queue.offer(events, { _tag: "ConnectionRestored" })
      yield* Effect.logInfo("connection restored")
    })

    const first = yield* persistently
    const pull: Open["pull"] = Effect.suspend(() =>
      current?.pull ?? Effect.fail(closing ?? closed("there is no connection"))
    ).pipe(
      Effect.catch((error) => Cause.isDone(error) ? Effect.fail(error) : Effect.flatMap(restore(error), () => pull))
    )
    const send = (frame: Frame.Frame): Effect.Effect<void, Transport.TransportError> =>
      isUp.whenOpen(Effect.suspend(() =>
        closing === undefined ? current?.connection.send(frame) ?? send(frame) : Effect.fail(closing)
      ))

    return yield* Transport.make({
      ...first.connection,
      name: `WebSocketClient ${first.connection.name}`,
      incoming: Stream.fromPull(Effect.succeed(pull)),
      events: Stream.fromQueue(events),
      send,
      clear: first.connection.clear === undefined
        ? undefined
        : Effect.suspend(() =>
          current?.connection.clear ?? Effect.void
        ),
      played: first.connection.played === undefined
        ? undefined
        : (destination) => current?.connection.played?.(destination),
      close: (reason) =>
        Effect.suspend(() => {
          closing = closed(reason)
          isUp.openUnsafe()
          if (current === undefined) return Effect.void
          const { scope, writer } = current
          current = undefined
          return Effect.andThen(
            Effect.ignore(writer.write(closeEvent(1000, reason))),
            Scope.close(scope, Exit.void)
          )
        })
    }, options)
  })
