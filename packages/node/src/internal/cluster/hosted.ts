/** One session on the runner that it belongs to: its pipeline, and whoever is connected to it. */
import * as Frame from "@apipeline/core/Frame"
import type { PipelineTask, TaskExit } from "@apipeline/core/PipelineTask"
import * as Transport from "@apipeline/core/Transport"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as FiberHandle from "effect/FiberHandle"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import { closed, invalid } from "../messageConnection.ts"
import type { Refused } from "./admission.ts"
import { Channel } from "./channel.ts"
import { isMedia, unsendableOf } from "./frames.ts"
import { Host } from "./host.ts"
import { Inbox } from "./inbox.ts"
import { codes, type Link } from "./link.ts"
import * as Metrics from "./metrics.ts"
import { type Attached, type AttachPayload, keyOf, SessionFailed } from "./protocol.ts"
import { SessionMovedFrame, type Spec } from "./spec.ts"
import type { Hello, Item } from "./wire.ts"

export interface HostedSession {
  readonly attach: (payload: AttachPayload) => Stream.Stream<Attached, Refused | SessionFailed>
  /** Whether there was a pipeline to take it. */
  readonly deliver: (frame: Frame.Frame) => Effect.Effect<boolean>
  /** A gateway has connected and says who it is. */
  readonly accept: (link: Link, hello: Hello) => void
  /** Leaves in order: what has been taken is finished, what has not is left to the next runner. */
  readonly handOver: Effect.Effect<void>
}

/** A pipeline that runs. */
interface Run {
  readonly scope: Scope.Closeable
  readonly inbox: Inbox<Transport.TransportError>
  readonly events: Queue.Queue<Transport.Event>
  readonly task: PipelineTask<unknown>
  readonly running: Fiber.Fiber<Exit.Exit<TaskExit, unknown>>
  readonly save: Effect.Effect<void>
  /** Removes what was saved. */
  readonly forget: Effect.Effect<void>
}

/** One client of one gateway. */
interface Attachment {
  readonly id: string
  readonly channel: Channel
  token: string
  /** Gateways that hold the lease: 0 or 1, two for an instant. */
  leases: number
}

const reasonOf = (exit: Exit.Exit<TaskExit, unknown>): { readonly failed: boolean; readonly reason: string } => {
  if (Exit.isFailure(exit)) return { failed: true, reason: `failed: ${Cause.squash(exit.cause)}` }
  const { value } = exit
  const reason = value._tag === "Cancelled" ? value.frame.reason : undefined
  return { failed: false, reason: reason ?? `the task has ${value._tag.toLowerCase()}` }
}

const textOf = (cause: Cause.Cause<unknown>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.message : String(error)
}

/** Lives in the surrounding scope, which is that of the activation: when it closes, the session hands itself over. */
export const make = Effect.fnUntraced(function*<R>(spec: Spec<R>, id: string) {
  const host = yield* Host
  const services = yield* Effect.context<R>()
  const activation = yield* Effect.scope
  const epoch = randomUUID()
  const key = `${spec.name}/${keyOf(id)}`
  const starting = yield* Semaphore.make(1)
  /** The session is somebody else's from now on. */
  const moved = yield* Deferred.make<void>()
  let run: Run | undefined
  let attachment: Attachment | undefined
  let isLeaving = false
  const startTimer = yield* FiberHandle.makeRuntime<never>()

  const countSessions = (): void => Metrics.sessions.updateUnsafe(host.sessions.size, Metrics.registry)

  // -------------------------------------------------------------------------------------------------------------------
  // the pipeline
  // -------------------------------------------------------------------------------------------------------------------

  const send = (item: Item): Effect.Effect<void> =>
    Effect.suspend(() => attachment === undefined ? Effect.void : attachment.channel.sendControl(item))

  const connectionOf = (
    inbox: Run["inbox"],
    events: Run["events"],
    flushes: boolean
  ): Transport.Connection => ({
    name: `session ${id}`,
    incoming: Stream.fromPull(Effect.succeed(Effect.map(inbox.pull, (signals) => {
      // a gateway sends nothing to be cleared
      const [first, ...rest] = signals.flatMap((signal) => signal._tag === "Frame" ? [signal.frame] : [])
      return [first!, ...rest] as const
    }))),
    events: Stream.fromQueue(events),
    send: (frame) => {
      if (!isMedia(frame)) {
        const unsendable = unsendableOf(spec.serializer, frame)
        return unsendable === undefined ? send({ _tag: "Frame", frame }) : Effect.fail(unsendable)
      }
      return Effect.sync(() => attachment?.channel.sendMedia(frame))
    },
    clear: Effect.suspend(() => {
      attachment?.channel.dropMedia()
      return send({ _tag: "Clear" })
    }),
    flushes,
    carries: (frame) => spec.carries(frame) && spec.serializer.carries(frame),
    close: () => Effect.void
  })

  /** Tells the gateway, and forgets everything about this run. */
  const ended = Effect.fnUntraced(function*(of: Run, exit: Exit.Exit<TaskExit, unknown>) {
    if (isLeaving || run !== of) return
    run = undefined
    host.sessions.delete(id)
    countSessions()
    yield* send({ _tag: "Ended", ...reasonOf(exit) })
    yield* Scope.close(of.scope, Exit.void)
    yield* of.forget
  })

  const begin = Effect.fnUntraced(function*({ flushes, moved }: AttachPayload) {
    // not of the activation's scope, which would close it before the session could leave in order
    const scope = yield* Scope.make()
    return yield* Effect.gen(function*() {
      const opened = yield* spec.open({ id, runner: host.runner, moved: moved !== undefined })
      // without a database there is a session all the same
      const orNone = <A>(effect: Effect.Effect<A, unknown>, none: A): Effect.Effect<A> =>
        Effect.catchCause(
          Effect.timeout(effect, "1 second"),
          (cause) => Effect.as(Effect.logWarning(`session ${id} has no snapshots`, cause), none)
        )
      const number = spec.hasSnapshot ? yield* orNone(host.snapshots.nextEpoch(key), 0) : 0
      const snapshot = spec.hasSnapshot
        ? yield* orNone(host.snapshots.load(key), Option.none<string>())
        : Option.none<string>()
      const restored = Option.isSome(snapshot) && (yield* Effect.matchCauseEffect(opened.restore(snapshot.value), {
        onSuccess: () => Effect.succeed(true),
        onFailure: (cause) => Effect.as(Effect.logWarning(`session ${id} could not be restored`, cause), false)
      }))
      const inbox = new Inbox<Transport.TransportError>(spec.mediaCapacity)
      const events = yield* Queue.sliding<Transport.Event>(64)
      if (moved !== undefined) {
        const frame = SessionMovedFrame.make({ ...moved, to: host.runner, restored })
        inbox.pushControl({ _tag: "Frame", frame })
      }
      const transport = yield* Transport.make(connectionOf(inbox, events, flushes), spec.transport)
      const task = yield* opened.make(transport)
      const running = yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
      if (spec.transport?.input?.onDisconnect === undefined) {
        yield* Effect.forkScoped(Effect.flatMap(transport.disconnected, task.cancel))
      }
      // the next one may do better
      const save = number === 0 ? Effect.void : Effect.flatMap(
        opened.take,
        (data) => host.snapshots.save(key, number, data)
      ).pipe(Effect.catchCause((cause) => Effect.logDebug(`session ${id} could not be saved`, cause)))
      if (spec.snapshotEvery !== undefined && number > 0) {
        yield* save.pipe(Effect.delay(spec.snapshotEvery), Effect.forever, Effect.forkScoped)
      }
      const forget = number === 0 ? Effect.void : Effect.ignore(
        Effect.timeout(host.snapshots.remove(key, number), "1 second")
      )
      const begun: Run = { scope, inbox, events, task, running, save, forget }
      run = begun
      host.sessions.set(id, self)
      countSessions()
      yield* Fiber.join(running).pipe(
        Effect.flatMap((exit) => ended(begun, exit)),
        // not of the scope that it closes
        Effect.forkIn(activation)
      )
      return begun
    }).pipe(
      Scope.provide(scope),
      Effect.provide(services),
      Effect.withSpan("Cluster.session", {
        attributes: { session: id, name: spec.name, runner: host.runner, moved: moved !== undefined }
      }),
      Effect.onError((cause) => {
        if (run?.scope === scope) {
          run = undefined
          host.sessions.delete(id)
        }
        return Scope.close(scope, Exit.failCause(cause))
      }),
      Effect.catchCause((cause) =>
        Effect.fail(new SessionFailed({ session: id, runner: host.runner, problem: textOf(cause) }))
      )
    )
  })

  // -------------------------------------------------------------------------------------------------------------------
  // who is connected
  // -------------------------------------------------------------------------------------------------------------------

  /** Nobody is connected: somebody may come back for a while. */
  const wait = (millis: number, reason: string): void => {
    const end = Effect.sync(() => run?.inbox.end(closed(reason)))
    startTimer(millis === 0 ? end : Effect.delay(end, millis))
  }
  const stopTimer = (): void => void startTimer(Effect.void)

  const onControl = (of: Attachment) => (item: Item, seq: number): void => {
    const { channel } = of
    switch (item._tag) {
      case "Frame":
        run?.inbox.pushControl(item, channel, seq)
        return
      case "End":
        run?.inbox.pushControl({ _tag: "Frame", frame: Frame.EndFrame.make() }, channel, seq)
        return
      case "Leave":
        channel.taken(seq)
        if (attachment === of) {
          attachment = undefined
          Metrics.count(channel)
        }
        wait(spec.grace, item.reason)
        return
      case "Unreadable":
        channel.taken(seq)
        if (run !== undefined) {
          const error = invalid("frame", item.problem, "a frame of the session")
          Queue.offerUnsafe(run.events, { _tag: "InvalidMessage", error })
        }
        return
      // only runners say so
      case "Clear":
      case "Ended":
        channel.taken(seq)
    }
  }

  const retire = (code: number, reason: string): void => {
    if (attachment === undefined) return
    const { channel } = attachment
    channel.detach(code, reason)
    Metrics.count(channel)
    channel.close()
  }

  const attachmentFor = (payload: AttachPayload): Attachment => {
    if (attachment?.id === payload.attachment) return attachment
    retire(codes.replaced, "the client has connected elsewhere")
    const made: Attachment = {
      id: payload.attachment,
      token: "",
      leases: 0,
      channel: new Channel({
        media: spec.mediaCapacity,
        control: spec.controlCapacity,
        onMedia: (frame) => run?.inbox.pushMedia(frame),
        onControl: (item, seq) => onControl(made)(item, seq)
      })
    }
    if (attachment !== undefined && run !== undefined) {
      Queue.offerUnsafe(run.events, { _tag: "ConnectionRestored" })
    }
    return attachment = made
  }

  const attach = (payload: AttachPayload): Stream.Stream<Attached, Refused | SessionFailed> =>
    Stream.unwrap(starting.withPermit(Effect.gen(function*() {
      if (isLeaving) return Stream.empty
      if (run === undefined) {
        const refusal = host.admission.refusal(payload.moved === undefined)
        if (refusal !== undefined) {
          Metrics.refused.updateUnsafe(1, Metrics.registry)
          return yield* Effect.fail(refusal)
        }
        yield* Effect.ensuring(
          Effect.suspend(() => {
            host.admission.starting++
            return begin(payload)
          }),
          Effect.sync(() => host.admission.starting--)
        )
      }
      stopTimer()
      const mine = attachmentFor(payload)
      mine.token = randomUUID()
      mine.leases++
      const { token } = mine
      const lost = Effect.sync(() => {
        mine.leases--
        if (attachment === mine && mine.leases === 0 && !isLeaving) wait(spec.orphanTimeout, "the gateway is lost")
      })
      return Stream.make({ runner: host.runner, url: host.url, epoch, token }).pipe(
        Stream.concat(Stream.fromEffectDrain(Deferred.await(moved))),
        Stream.ensuring(lost)
      )
    })))

  const accept = (link: Link, hello: Hello): void => {
    if (attachment === undefined || hello.token !== attachment.token || isLeaving) {
      link.close(codes.stale, "the token is not that of the session")
      return
    }
    const { channel } = attachment
    if (channel.lastControl === 0 && channel.lastMedia === 0) channel.resume(hello.control, hello.media)
    link.write({ _tag: "Welcome", welcome: { received: channel.lastControl } })
    channel.open(link, hello.received)
    link.onClose = () => {
      if (channel.link === link) channel.link = undefined
    }
  }

  const deliver = (frame: Frame.Frame): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      if (run === undefined || isLeaving) return Effect.succeed(false)
      return Effect.match(run.task.queueFrame(frame), { onSuccess: () => true, onFailure: () => false })
    })

  // -------------------------------------------------------------------------------------------------------------------
  // leaving
  // -------------------------------------------------------------------------------------------------------------------

  const flushed = (channel: Channel): Effect.Effect<void> =>
    Effect.suspend(() =>
      channel.isFlushed || channel.link === undefined ?
        Effect.void :
        Effect.andThen(Effect.sleep("5 millis"), flushed(channel))
    )

  const leave = Effect.gen(function*() {
    isLeaving = true
    stopTimer()
    const leaving = run
    if (leaving !== undefined) {
      leaving.inbox.freeze()
      yield* leaving.task.stopTask.pipe(
        Effect.andThen(Fiber.await(leaving.running)),
        Effect.ignore,
        Effect.timeoutOption(host.handOverTimeout)
      )
      yield* Effect.timeoutOption(leaving.save, "1 second")
      if (attachment !== undefined) yield* Effect.timeoutOption(flushed(attachment.channel), "500 millis")
      host.sessions.delete(id)
      countSessions()
    }
    retire(codes.moved, "the session moves")
    yield* Deferred.succeed(moved, undefined)
    if (leaving !== undefined) yield* Scope.close(leaving.scope, Exit.void)
  })

  const handOver = yield* Effect.cached(Effect.uninterruptible(leave))
  const self: HostedSession = { attach, deliver, accept, handOver }
  yield* Effect.addFinalizer(() => handOver)
  return self
})
