/** Clients of a WebSocket server, whose sessions are wherever the cluster has put them. */
import * as Frame from "@apipeline/core/Frame"
import type { MessageProtocol } from "@apipeline/core/MessageProtocol"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import type * as Transport from "@apipeline/core/Transport"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { Messages } from "../../WebSocketServer.ts"
import { closed } from "../messageConnection.ts"
import type { Notice, Remote } from "./clientEnd.ts"
import { isMedia } from "./frames.ts"

const isMessage = (frame: Frame.Frame): boolean =>
  frame._tag === "OutputTransportMessageFrame" || frame._tag === "OutputTransportMessageUrgentFrame"

const decoder = (protocol: MessageProtocol, messages: Messages, remote: Remote, mostInvalid: number) => {
  let invalid = 0
  return Effect.fnUntraced(function*(message: Uint8Array | string) {
    const decoded = protocol.decode(message)
    if (Result.isFailure(decoded)) {
      const problem = decoded.failure.message
      yield* Effect.logWarning(`not understood: ${problem}`)
      if (++invalid < mostInvalid) return
      return yield* messages.close(`too many messages that cannot be understood; the last: ${problem}`, 1008)
    }
    invalid = 0
    for (const reply of decoded.success.replies) yield* messages.send(reply)
    for (const frame of decoded.success.frames) {
      yield* Effect.catch(remote.send(frame), (error) => Effect.logWarning(error.message))
    }
  })
}

const sender = (protocol: MessageProtocol, messages: Messages) => (frame: Frame.Frame) => {
  if (!isMedia(frame) && !isMessage(frame) && !protocol.carries(frame)) return Effect.void
  const encoded = protocol.encode(frame)
  if (Result.isFailure(encoded)) return Effect.logWarning(`cannot be sent: ${encoded.failure.message}`)
  return encoded.success.length === 1
    ? messages.send(encoded.success[0]!)
    : Effect.forEach(encoded.success, messages.send, { discard: true })
}

const tell = (notice: Notice): Effect.Effect<void> => {
  switch (notice._tag) {
    case "Attached":
      return Effect.logInfo(`the session is at ${notice.runner}`)
    case "Lost":
      return Effect.logInfo(`${notice.runner} has lost the session: ${notice.reason}`)
    case "Restored":
      return Effect.logInfo(`the session is still at ${notice.runner}, after ${notice.millis} ms`)
    case "Moved":
      return Effect.logInfo(
        `the session has moved to ${notice.runner} in ${notice.millis} ms, and ${notice.lostFrames} media frames are lost`
      )
    case "Unreadable":
      return Effect.logWarning(`the session has sent what cannot be read: ${notice.problem}`)
  }
}

/** What `WebSocketServer` takes for a transport. It has no pipeline of its own: there is one on a runner. */
export interface RemoteTransport extends Transport.Transport {
  readonly remote: Remote
  /** Done when the session is over and the client has all of it. */
  readonly finished: Effect.Effect<string>
}

/** Joins a client and its session. */
export const join = Effect.fnUntraced(function*(
  messages: Messages,
  protocol: MessageProtocol,
  remote: Remote,
  mostInvalid: number
) {
  const gone = yield* Deferred.make<string>()
  const finished = yield* Deferred.make<string>()
  const disconnected = (reason: string) => Effect.andThen(remote.leave(reason), Deferred.succeed(gone, reason))
  const decode = decoder(protocol, messages, remote, mostInvalid)
  const send = sender(protocol, messages)
  const interruption = Frame.StartInterruptionFrame.make()
  const clears = protocol.carries(interruption)

  yield* messages.incoming.pipe(
    Stream.runForEachArray((batch) => Effect.forEach(batch, decode, { discard: true })),
    Effect.match({ onSuccess: () => "the client has left", onFailure: (error) => error.message }),
    Effect.flatMap(disconnected),
    Effect.forkScoped({ startImmediately: true })
  )
  if (protocol.ended !== undefined) yield* Effect.forkScoped(Effect.flatMap(protocol.ended, disconnected))
  yield* remote.received.pipe(
    Stream.runForEachArray((signals) =>
      Effect.forEach(
        signals,
        (signal) => signal._tag === "Frame" ? send(signal.frame) : clears ? send(interruption) : Effect.void,
        { discard: true }
      )
    ),
    Effect.andThen(remote.ended),
    Effect.matchEffect({
      onSuccess: ({ failed, reason }) =>
        Effect.andThen(Deferred.succeed(finished, reason), messages.close(reason, failed ? 1011 : 1000)),
      onFailure: (error) => disconnected(error.message)
    }),
    Effect.ignore,
    Effect.forkScoped({ startImmediately: true })
  )
  yield* Effect.forkScoped(Stream.runForEach(remote.notices, tell), { startImmediately: true })
  yield* Effect.addFinalizer(() => remote.leave("the connection is closed"))

  const nothing = Processor.sync("Gateway", {})
  const transport: RemoteTransport = {
    remote,
    finished: Deferred.await(finished),
    input: Pipeline.make(nothing),
    output: nothing,
    events: Stream.empty,
    playback: Effect.succeed([]),
    received: Effect.succeed({ frames: 0, muted: 0, refused: 0, late: 0 }),
    disconnected: Deferred.await(gone),
    close: (reason) => Effect.ignore(messages.close(reason))
  }
  return transport
})

/** The task of a client on its gateway: there as long as the session is. */
export const makeTask = ({ finished, remote }: RemoteTransport, keepsSession: boolean) =>
  Effect.gen(function*() {
    // the server is to end: what the bot has still to say gets out first, unless the client may come back for it
    const farewell = keepsSession ? Effect.void : Effect.raceFirst(finished, Effect.andThen(remote.end, finished))
    const task = yield* PipelineTask.make(
      Processor.effect("Gateway", Effect.succeed({ EndFrame: () => Effect.asVoid(farewell) })),
      { name: "gateway" }
    )
    yield* finished.pipe(
      Effect.andThen(Effect.ignore(task.stopWhenDone)),
      Effect.forkScoped({ startImmediately: true })
    )
    return task
  })

/** Tells a client that there is no room, in a way that lets it try again later. */
export const refuse = (messages: Messages, reason: string): Effect.Effect<never, Transport.TransportError> =>
  Effect.andThen(Effect.ignore(messages.close(reason, 1013)), Effect.fail(closed(reason, 1013)))
