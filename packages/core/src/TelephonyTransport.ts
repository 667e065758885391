/**
 * A `Transport` for telephone calls, over any WebSocket: a `Telephony` session that reads and writes by itself.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import * as Frame from "./Frame.ts"
import type { SerializerError } from "./internal/wire/serializerError.ts"
import * as Telephony from "./Telephony.ts"
import * as Transport from "./Transport.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A WebSocket, as far as a call needs one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Socket {
  /** Messages, until the other side is gone. */
  readonly incoming: Stream.Stream<Telephony.Wire, Transport.TransportError>
  /** Text is sent as text, bytes as binary. One at a time. */
  readonly send: (message: Telephony.Wire) => Effect.Effect<void, Transport.TransportError>
  readonly close: (reason: string) => Effect.Effect<void, Transport.TransportError>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never, HE = never, HR = never> extends Telephony.Options<HE, HR> {
  /** How long the call may take to start once the connection is open. Default: 10 seconds. */
  readonly startTimeout?: Duration.Input | undefined
  /**
   * After how long without audio an utterance is over: what waits for a whole packet is sent, and a mark. Default: 100 ms
   * and a chunk of the output.
   */
  readonly flushAfter?: Duration.Input | undefined
  /** How long the other side may take to agree when it is told to hang up (AudioHook). Default: 500 ms. */
  readonly goodbyeTimeout?: Duration.Input | undefined
  /** Of the transport. The rate and the chunks of its output are those of the line unless they are set here. */
  readonly transport?: Transport.Options<E, R> | undefined
}

/**
 * A call that is on.
 *
 * @category models
 * @since 0.1.0
 */
export interface TelephonyTransport<out E = never, out R = never, out HE = never> {
  readonly call: Telephony.Call
  readonly session: Telephony.Session<HE>
  readonly transport: Transport.Transport<E, R>
}

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

const violation = ({ reason }: SerializerError): { field: string; found: string; expected: string } => {
  switch (reason._tag) {
    case "FrameTooLarge":
      return { field: "message", found: `${reason.size} bytes`, expected: `at most ${reason.limit}` }
    case "UnsupportedFrame":
      return { field: "frame", found: reason.frame, expected: reason.expected }
    default:
      return { field: reason.field || "message", found: reason.found, expected: reason.expected }
  }
}

const invalidMessage = (cause: SerializerError): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.InvalidMessage({ ...violation(cause), cause }) })

const closed = (reason: string): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.ConnectionClosed({ reason }) })

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/** Chunks that fill packets, sent as far ahead as the defaults of an output are: 60 ms and a chunk. */
const outputOf = ({ packet, sampleRate }: Telephony.Call) => {
  const chunk = Math.max(40, packet ?? 0)
  return { sampleRate, chunk, lead: chunk + 60 }
}

/**
 * Waits for the call on a connection that has just been opened, and makes its transport. Fails with a
 * `Transport.TransportError` when no call starts in time, or the connection is closed before.
 *
 * **Details**
 *
 * - What cannot be understood is an `InvalidMessage` among the transport's events; the call goes on.
 * - When the other side ends the call the transport is disconnected. When the transport closes, the call is hung up:
 *   see `hangUp` of `Telephony.Options`.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { TelephonyTransport } from "@apipeline/core"
 *
 * const start = `{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1","customParameters":{"user":"ann"}}}`
 * const program = Effect.gen(function*() {
 *   const { call } = yield* TelephonyTransport.make({
 *     incoming: Stream.concat(Stream.make(start), Stream.never),
 *     send: (message) => Effect.log(message),
 *     close: () => Effect.void
 *   })
 *   return [call.vendor, call.parameters.user]
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => ["twilio", "ann"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*<E = never, R = never, HE = never, HR = never>(
    socket: Socket,
    options: Options<E, R, HE, HR> = {}
  ): Effect.fn.Return<TelephonyTransport<E, R, HE>, Transport.TransportError, HR | Scope.Scope> {
    const session = yield* Telephony.make(options)
    const one = yield* Semaphore.make(1)
    const frames = yield* Queue.bounded<Frame.Frame | Transport.TransportError, Transport.TransportError>(256)
    const gone = yield* Deferred.make<never, Transport.TransportError>()
    const clock = yield* Clock.Clock
    const spoken = Latch.makeUnsafe(false)
    let lastAudio = 0

    /** Messages are made and sent in one go: their order is that of their numbers. */
    const say = <E1>(
      make: Effect.Effect<ReadonlyArray<Telephony.Wire>, E1>
    ): Effect.Effect<number, E1 | Transport.TransportError> =>
      one.withPermit(
        Effect.flatMap(make, (messages) =>
          Effect.as(Effect.forEach(messages, socket.send, { discard: true }), messages.length))
      )

    const receive = (message: Telephony.Wire): Effect.Effect<void, Transport.TransportError> =>
      Effect.suspend(() => {
        let received: ReadonlyArray<Frame.Frame> = []
        const answer = Effect.map(session.decode(message), ({ frames, replies }) => {
          received = frames
          return replies
        })
        return say(answer).pipe(
          Effect.catchTag("SerializerError", (error) => Effect.asVoid(Queue.offer(frames, invalidMessage(error)))),
          Effect.andThen(Effect.suspend(() => Queue.offerAll(frames, received))),
          Effect.andThen(Effect.suspend(() => session.statusUnsafe().ended ? endOf : Effect.void))
        )
      })
    const endOf = Effect.flatMap(session.ended, (reason) => Effect.fail(closed(`the call has ended: ${reason}`)))

    yield* socket.incoming.pipe(
      Stream.runForEach(receive),
      Effect.andThen(Effect.fail(closed("the end of what comes in"))),
      Effect.catch((error) => Effect.andThen(Queue.fail(frames, error), Deferred.fail(gone, error))),
      Effect.forkScoped({ startImmediately: true })
    )

    const startTimeout = Duration.toMillis(options.startTimeout ?? "10 seconds")
    const late = new Transport.TransportError({
      reason: new Transport.TimedOut({ operation: "open", milliseconds: startTimeout })
    })
    const call = yield* session.started.pipe(
      Effect.raceFirst(Deferred.await(gone)),
      Effect.timeoutOrElse({ duration: startTimeout, orElse: () => Effect.fail(late) }),
      Effect.tapError((error) => Effect.ignore(socket.close(error.message)))
    )

    const output = { ...outputOf(call), ...options.transport?.output }
    const flushAfter = Duration.toMillis(options.flushAfter ?? 100 + Duration.toMillis(output.chunk ?? 40))
    // The end of an utterance is where no more audio comes.
    const flushing = Effect.gen(function*() {
      yield* spoken.await
      const left = lastAudio + flushAfter - clock.currentTimeMillisUnsafe()
      if (left > 0) return yield* Effect.sleep(left)
      spoken.closeUnsafe()
      yield* Effect.ignore(say(session.flush))
    })
    yield* Effect.forkScoped(Effect.forever(flushing))

    const invalidOutput = (frame: Frame.Frame) => (cause: SerializerError): Transport.TransportError =>
      new Transport.TransportError({ reason: new Transport.InvalidOutput({ frame: frame.name, ...violation(cause) }) })

    const hangUpTimeout = Duration.toMillis(options.hangUpTimeout ?? "5 seconds")
    const goodbyeTimeout = Duration.toMillis(options.goodbyeTimeout ?? "500 millis")
    // when it agrees there is an answer to be sent
    const agreed = Effect.andThen(session.ended, one.withPermit(Effect.void)).pipe(Effect.timeoutOption(goodbyeTimeout))
    // AudioHook only tells when it has played everything: the clock knows more
    const confirms = options.marks !== false && call.vendor !== "genesys"
    let closing = false
    const connection: Transport.Connection = {
      name: `Telephony(${call.vendor})`,
      incoming: Stream.fromQueue(frames),
      send: (frame) =>
        Effect.suspend(() => {
          if (Frame.AudioRawFrame.is(frame)) {
            lastAudio = clock.currentTimeMillisUnsafe()
            spoken.openUnsafe()
          }
          return Effect.asVoid(say(Effect.mapError(session.encode(frame), invalidOutput(frame))))
        }),
      clear: Effect.asVoid(say(session.clear)),
      carries: session.carries,
      played: confirms
        ? (destination) => destination === undefined ? session.statusUnsafe().played : undefined
        : undefined,
      close: (reason) =>
        Effect.suspend(() => {
          if (closing) return Effect.void
          closing = true
          return say(session.hangUp).pipe(
            Effect.timeout(hangUpTimeout),
            Effect.flatMap((said) => said === 0 ? Effect.void : Effect.asVoid(agreed)),
            Effect.catchCause((cause) => Effect.logWarning("Telephony: could not hang up", cause)),
            Effect.andThen(socket.close(reason))
          )
        })
    }
    const transport = yield* Transport.make(connection, {
      closeTimeout: hangUpTimeout + goodbyeTimeout + 1000,
      ...options.transport,
      output
    })
    return { call, session, transport }
  }
)
