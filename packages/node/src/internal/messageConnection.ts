/** A connection of a transport over anything that carries messages. */
import * as Frame from "@apipeline/core/Frame"
import type { SerializerError } from "@apipeline/core/FrameSerializer"
import type { MessageProtocol, Wire } from "@apipeline/core/MessageProtocol"
import * as Transport from "@apipeline/core/Transport"
import * as Arr from "effect/Array"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import * as Stream from "effect/Stream"

export const closed = (reason: string, code?: number): Transport.TransportError =>
  new Transport.TransportError({
    reason: new Transport.ConnectionClosed({ reason, ...code !== undefined && { code } })
  })

export const invalid = (field: string, found: string, expected: string): Transport.TransportError =>
  new Transport.TransportError({ reason: new Transport.InvalidMessage({ field, found, expected }) })

const undecodable = (error: SerializerError): Transport.TransportError => {
  const { reason } = error
  const expected = "expected" in reason ? reason.expected : "less"
  const found = "found" in reason ? reason.found : reason.message
  const field = "field" in reason && reason.field !== "" ? `${reason.format}: ${reason.field}` : reason.format
  return new Transport.TransportError({
    reason: new Transport.InvalidMessage({ field, found, expected, cause: error })
  })
}

export const unencodable = (frame: Frame.Frame, cause: SerializerError): Transport.TransportError =>
  new Transport.TransportError({
    reason: new Transport.InvalidOutput({
      frame: frame.name,
      field: "field" in cause.reason ? cause.reason.field : "frame",
      found: "found" in cause.reason ? cause.reason.found : frame._tag,
      expected: "expected" in cause.reason ? cause.reason.expected : cause.message
    })
  })

/** What a close code means, where the other side gave no reason. */
const meaning: Readonly<Record<number, string>> = {
  1000: "the other side has closed",
  1001: "the other side goes away",
  1002: "a protocol error",
  1003: "the other side does not take such data",
  1005: "the other side has closed",
  1006: "the connection is broken",
  1007: "the other side could not read what was sent",
  1008: "the other side refuses",
  1009: "a message was too big",
  1011: "the other side has failed",
  1012: "the other side restarts",
  1013: "the other side is busy"
}

export const fromSocketError = (error: Socket.SocketError): Transport.TransportError => {
  const { reason } = error
  if (reason._tag === "SocketCloseError") {
    return closed(reason.closeReason || (meaning[reason.code] ?? "the other side has closed"), reason.code)
  }
  const cause = reason._tag === "SocketUpgradeError" ? error : reason.cause
  const event = typeof cause === "object" && cause !== null && "error" in cause ? cause.error : cause
  return reason._tag === "SocketWriteError"
    ? new Transport.TransportError({ reason: new Transport.WriteFailed({ cause: event }) })
    : new Transport.TransportError({ reason: new Transport.ReadFailed({ cause: event }) })
}

export interface Options {
  readonly name: string
  readonly protocol: MessageProtocol
  readonly reader: Socket.Reader
  readonly writer: Socket.Writer
  /** Judges a message before anybody reads it. What it fails with ends the connection. */
  readonly admit?: ((message: Wire) => Effect.Effect<never, Transport.TransportError> | undefined) | undefined
  /** Told of what could not be understood. */
  readonly onInvalid?: ((error: Transport.TransportError) => Effect.Effect<void, Transport.TransportError>) | undefined
  /** Told of what could be. */
  readonly onValid?: (() => void) | undefined
  /** Waits until there is room for a message. */
  readonly room?: (() => Effect.Effect<void, Transport.TransportError> | undefined) | undefined
  readonly close: (reason: string) => Effect.Effect<void, Transport.TransportError>
}

/** Messages as they come and go, for who makes a transport of them without a `MessageProtocol`. */
export const makeMessages = ({ admit, close, reader, room, writer }: Omit<Options, "name" | "protocol">) => ({
  incoming: Stream.fromPull(Effect.succeed(
    Effect.tap(Effect.mapError(reader.pull, fromSocketError), (messages) => {
      if (admit === undefined) return Effect.void
      for (const message of messages) {
        const refused = admit(message)
        if (refused !== undefined) return refused
      }
      return Effect.void
    })
  )),
  send: (message: Wire): Effect.Effect<void, Transport.TransportError> =>
    Effect.suspend(() => {
      const write = Effect.mapError(writer.write(message), fromSocketError)
      const wait = room?.()
      return wait === undefined ? write : Effect.andThen(wait, write)
    }),
  close
})

export const makeConnection = (
  options: Options
): Effect.Effect<Transport.Connection, never, Scope.Scope> =>
  Effect.gen(function*() {
    const { admit, onInvalid, onValid, protocol, reader, room, writer } = options
    const over = yield* Deferred.make<never, Transport.TransportError>()

    const write = (messages: ReadonlyArray<Wire>): Effect.Effect<void, Transport.TransportError> =>
      Arr.isReadonlyArrayNonEmpty(messages)
        ? Effect.mapError(writer.writeAll(messages), fromSocketError)
        : Effect.void

    type Items = Array<Frame.Frame | Transport.TransportError>

    /** Reads messages from `from` on; what takes time comes back, and the rest is read after it. */
    const read = (
      messages: ReadonlyArray<Wire>,
      out: Items,
      from = 0
    ): Effect.Effect<void, Transport.TransportError> | undefined => {
      for (let i = from; i < messages.length; i++) {
        const message = messages[i]!
        const refused = admit?.(message)
        if (refused !== undefined) return refused
        const work = one(message, out)
        if (work !== undefined) {
          return Effect.andThen(
            work,
            Effect.suspend(() => read(messages, out, i + 1) ?? Effect.void)
          )
        }
      }
      return undefined
    }

    const one = (message: Wire, out: Items): Effect.Effect<void, Transport.TransportError> | undefined => {
      const decoded = protocol.decode(message)
      if (Result.isFailure(decoded)) {
        const error = undecodable(decoded.failure)
        out.push(error)
        return onInvalid?.(error)
      }
      onValid?.()
      const { frames, replies } = decoded.success
      for (const frame of frames) out.push(frame)
      return replies.length === 0 ? undefined : write(replies)
    }

    const pull: Pull.Pull<Arr.NonEmptyReadonlyArray<Items[number]>, Transport.TransportError> = Effect.flatMap(
      Effect.mapError(reader.pull, fromSocketError),
      (messages) => {
        const out: Items = []
        const give = (): typeof pull => Arr.isArrayNonEmpty(out) ? Effect.succeed(out) : pull
        const work = read(messages, out)
        return work === undefined ? give() : Effect.flatMap(work, give)
      }
    )

    if (protocol.ended !== undefined) {
      yield* protocol.ended.pipe(
        Effect.flatMap((reason) => Deferred.fail(over, closed(reason))),
        Effect.forkScoped
      )
    }

    const send = (frame: Frame.Frame): Effect.Effect<void, Transport.TransportError> => {
      const encoded = protocol.encode(frame)
      if (Result.isFailure(encoded)) return Effect.fail(unencodable(frame, encoded.failure))
      const wait = room?.()
      return wait === undefined ? write(encoded.success) : Effect.andThen(wait, write(encoded.success))
    }

    const interruption = Frame.StartInterruptionFrame.make()
    const frames = Stream.fromPull(Effect.succeed(pull))
    return {
      name: options.name,
      incoming: protocol.ended === undefined
        ? frames
        : Stream.merge(frames, Stream.fromEffect(Deferred.await(over)), { haltStrategy: "either" }),
      send: (frame) => Effect.suspend(() => send(frame)),
      clear: protocol.carries(interruption)
        ? Effect.suspend(() => send(Frame.StartInterruptionFrame.make()))
        : undefined,
      flushes: protocol.flushes ?? false,
      carries: (frame) => !Frame.StartInterruptionFrame.is(frame) && protocol.carries(frame),
      played: protocol.played === undefined ? undefined : protocol.played,
      close: options.close
    }
  })

/** A close frame has room for so much: RFC 6455, 5.5. */
export const closeEvent = (code: number, reason: string): Socket.CloseEvent => {
  const bytes = new TextEncoder().encode(reason)
  const text = bytes.length <= 123 ? reason : new TextDecoder().decode(bytes.subarray(0, 120)).replace(/�+$/, "")
  return new Socket.CloseEvent(code, text)
}
