/** Finds a session for a client, and follows it wherever it goes. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomUUID } from "node:crypto"
import type { Refused } from "./admission.ts"
import { Channel } from "./channel.ts"
import { type Notice, type Options, type Remote, Unavailable } from "./clientEnd.ts"
import { urlOf } from "./dataPlane.ts"
import { isMedia, unsendableOf } from "./frames.ts"
import { Gateway } from "./gateway.ts"
import { Inbox } from "./inbox.ts"
import { codes, ignore, type Link, makeMemoryPair } from "./link.ts"
import * as Metrics from "./metrics.ts"
import {
  type Attached,
  type AttachPayload,
  defaultGroup,
  groupOf,
  keyOf,
  type SessionEntity,
  SessionFailed
} from "./protocol.ts"
import type { Spec } from "./spec.ts"
import * as WebSocketLink from "./webSocketLink.ts"
import type { Welcome } from "./wire.ts"

/** How often a new session is offered, to other runners each time. */
const offers = 12
const linkTimeout = 1000
const welcomeTimeout = 2000
/** A name that no session has had. */
const fresh = (groups: ReadonlyArray<string>, attempt: number): string =>
  `${groups[attempt % Math.max(groups.length, 1)] ?? defaultGroup}:${randomUUID()}`
/** Milliseconds before the next try. */
const pause = (attempt: number): number => Math.min(50 * (attempt + 1), 500)
/** An attachment that nobody has answered is asked for anew: the runner that it waits for may be dead. */
const patience = 3000

interface Held {
  readonly attached: Attached
  readonly link: Link
  readonly welcome: Welcome
  /** Done when the session is no longer here, with the code and the reason. */
  readonly over: Deferred.Deferred<{ readonly code: number; readonly reason: string }>
}

const lostLease = 4000

export const connect = <R>(
  entity: SessionEntity,
  spec: Spec<R>,
  { flushes = false, ...options }: Options
): Effect.Effect<Remote, Refused | SessionFailed | Unavailable, Gateway | Scope.Scope> =>
  Effect.gen(function*() {
    const gateway = yield* Gateway
    const scope = yield* Effect.scope
    const clientOf = yield* gateway.sharding.makeClient(entity)
    const attachment = randomUUID()
    const notices = yield* Queue.sliding<Notice, Cause.Done>(256)
    const ended = yield* Deferred.make<{ readonly failed: boolean; readonly reason: string }>()
    const inbox = new Inbox<Cause.Done>(spec.mediaCapacity)
    let id = ""
    let current: Attached | undefined
    const channel = new Channel({
      media: spec.mediaCapacity,
      control: spec.controlCapacity,
      onMedia: (frame) => inbox.pushMedia(frame),
      onControl: (item, seq) => {
        switch (item._tag) {
          case "Frame":
            return inbox.pushControl(item, channel, seq)
          case "Clear":
            inbox.dropMedia()
            return inbox.pushControl(item, channel, seq)
          case "Ended":
            channel.taken(seq)
            return over(item)
          case "Unreadable":
            channel.taken(seq)
            Queue.offerUnsafe(notices, { _tag: "Unreadable", problem: item.problem })
            return
          // only gateways say so
          case "End":
          case "Leave":
            return channel.taken(seq)
        }
      }
    })
    const over = (how: { readonly failed: boolean; readonly reason: string }): void => {
      inbox.end(Cause.Done())
      Deferred.doneUnsafe(ended, Effect.succeed({ failed: how.failed, reason: how.reason }))
    }

    // -----------------------------------------------------------------------------------------------------------------
    // attaching
    // -----------------------------------------------------------------------------------------------------------------

    const linkTo = (at: Attached): Effect.Effect<Link | undefined> =>
      Effect.suspend(() => {
        const here = gateway.host?.runner === at.runner ? gateway.host.sessions.get(id) : undefined
        if (here === undefined) return WebSocketLink.connect(urlOf(at.url, spec.name), spec.serializer, linkTimeout)
        const [mine, theirs] = makeMemoryPair()
        theirs.onPacket = (packet) => {
          theirs.onPacket = ignore
          if (packet._tag === "Hello") here.accept(theirs, packet.hello)
        }
        return Effect.succeed(mine)
      })

    /** Introduces itself, and waits until it is welcome. */
    const greet = (link: Link, { token }: Attached, over: Held["over"]): Effect.Effect<Welcome | undefined> =>
      Effect.callback<Welcome | undefined>((resume) => {
        link.onClose = (code, reason) => {
          Deferred.doneUnsafe(
            over,
            Effect.succeed({ code, reason: reason || "the connection to the runner is broken" })
          )
          resume(Effect.undefined)
        }
        link.onPacket = (packet) => {
          link.onPacket = ignore
          resume(packet._tag === "Welcome" ? Effect.succeed(packet.welcome) : Effect.undefined)
        }
        link.write({ _tag: "Hello", hello: { session: id, token, ...channel.position } })
      }).pipe(Effect.timeoutOption(welcomeTimeout), Effect.map(Option.getOrUndefined))

    /** Asks for the session and connects to where it is. The lease is held until the surrounding scope closes. */
    const hold = Effect.fnUntraced(function*(payload: AttachPayload, millis: number) {
      const over = yield* Deferred.make<{ readonly code: number; readonly reason: string }>()
      const first = yield* Deferred.make<Attached, Refused | SessionFailed>()
      const lease = yield* clientOf(id).Attach(payload).pipe(
        Stream.runForEach((at) => Deferred.succeed(first, at)),
        Effect.onExit((exit) => {
          const failure = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none()
          const why = Option.isSome(failure) && failure.value._tag === "Cluster.Refused" ||
              Option.isSome(failure) && failure.value._tag === "Cluster.SessionFailed"
            ? Deferred.fail(first, failure.value as Refused | SessionFailed)
            : Deferred.interrupt(first)
          return Effect.andThen(
            why,
            Deferred.succeed(over, { code: lostLease, reason: "the session moves" })
          )
        }),
        Effect.exit,
        Effect.forkIn(scope, { startImmediately: true })
      )
      // a runner that is dead does not answer to that either: nobody waits for it
      yield* Effect.addFinalizer(() => Effect.sync(() => lease.interruptUnsafe()))
      const answer = yield* Effect.timeoutOption(Effect.exit(Deferred.await(first)), millis)
      if (Option.isNone(answer)) return yield* new Unavailable({ session: id, milliseconds: millis })
      if (Exit.isFailure(answer.value)) {
        const error = Cause.findErrorOption(answer.value.cause)
        return yield* Option.isSome(error)
          ? Effect.fail(error.value)
          : new Unavailable({ session: id, milliseconds: 0 })
      }
      const attached = answer.value.value
      const link = yield* linkTo(attached)
      if (link === undefined) return yield* new Unavailable({ session: id, milliseconds: linkTimeout })
      yield* Effect.addFinalizer(() => Effect.sync(() => link.close(1000, "the gateway has moved on")))
      const welcome = yield* greet(link, attached, over)
      if (welcome === undefined) return yield* new Unavailable({ session: id, milliseconds: welcomeTimeout })
      const held: Held = { attached, link, welcome, over }
      return held
    })

    /** Frames go there from now on. */
    const begin = ({ attached, link, welcome }: Held): void => {
      if (attached.epoch !== current?.epoch) channel.restart()
      current = attached
      channel.open(link, welcome.received)
    }

    // -----------------------------------------------------------------------------------------------------------------
    // the life of it
    // -----------------------------------------------------------------------------------------------------------------

    const restored = (held: Held, before: Attached, millis: number, lostFrames: number): Effect.Effect<unknown> => {
      const { attached: { epoch, runner } } = held
      if (epoch === before.epoch) return Queue.offer(notices, { _tag: "Restored", runner, millis })
      Metrics.moved.updateUnsafe(1, Metrics.registry)
      Metrics.silence.updateUnsafe(millis, Metrics.registry)
      return Queue.offer(notices, { _tag: "Moved", from: before.runner, runner, epoch, millis, lostFrames })
    }

    /** Its own generation has no runners, or they are about to end: a runner of another one takes it up. */
    const relocate = Effect.gen(function*() {
      const others = yield* gateway.groups
      if (others.length === 0 || others.includes(groupOf(id))) return
      id = `${others[0]!}:${keyOf(id)}`
    })

    /** Looks for the session again, until it is found or given up. */
    const follow = Effect.fnUntraced(function*(before: Attached, lostAt: number) {
      for (let attempt = 0;; attempt++) {
        const now = yield* Clock.currentTimeMillis
        if (now - lostAt > gateway.giveUp) {
          return over({ failed: true, reason: `no runner has taken the session up within ${gateway.giveUp} ms` })
        }
        if (attempt > 0) yield* Effect.sleep(pause(attempt - 1))
        yield* relocate
        const lostFrames = channel.uncertain
        const payload: AttachPayload = {
          attachment,
          flushes,
          moved: { from: before.runner, lostMillis: now - lostAt, lostFrames }
        }
        const lost = yield* Effect.scoped(Effect.gen(function*() {
          const held = yield* Effect.result(hold(payload, patience))
          if (Result.isFailure(held)) {
            const { failure } = held
            if (failure._tag === "Cluster.Refused") gateway.prefer(groupOf(id), false)
            return failure._tag === "Cluster.SessionFailed" ? failure : undefined
          }
          const millis = (yield* Clock.currentTimeMillis) - lostAt
          yield* Effect.logDebug(`session ${id} is at ${held.success.attached.runner} after ${millis} ms`)
          begin(held.success)
          yield* restored(held.success, before, millis, lostFrames)
          return yield* Deferred.await(held.success.over)
        }))
        if (lost instanceof SessionFailed) return over({ failed: true, reason: lost.message })
        if (lost !== undefined) return yield* gone(lost)
      }
    })

    const gone: (
      lost: { readonly code: number; readonly reason: string }
    ) => Effect.Effect<void> = Effect.fnUntraced(function*({ code, reason }) {
      channel.link = undefined
      if (code === codes.replaced) return over({ failed: false, reason: "the client has connected elsewhere" })
      if (yield* Deferred.isDone(ended)) return
      const before = current!
      yield* Queue.offer(notices, { _tag: "Lost", runner: before.runner, reason })
      return yield* follow(before, yield* Clock.currentTimeMillis)
    })

    /** The first time, another runner may be found where one refuses or does not answer. */
    const live = Effect.fnUntraced(function*(found: Deferred.Deferred<void, Refused | SessionFailed | Unavailable>) {
      const deadline = (yield* Clock.currentTimeMillis) + gateway.attachTimeout
      let refusals = 0
      for (let attempt = 0;; attempt++) {
        const left = deadline - (yield* Clock.currentTimeMillis)
        if (left <= 0) {
          const error = new Unavailable({ session: id, milliseconds: gateway.attachTimeout })
          return yield* Deferred.fail(found, error)
        }
        id = attempt === 0 && options.id !== undefined ? options.id : fresh(yield* gateway.groups, refusals)
        yield* relocate
        const lost = yield* Effect.scoped(Effect.gen(function*() {
          const held = yield* Effect.result(
            Effect.withSpan(hold({ attachment, flushes }, Math.min(left, patience)), "Cluster.attach", {
              attributes: { session: id, attempt }
            })
          )
          if (Result.isFailure(held)) return held.failure
          const { epoch, runner } = held.success.attached
          gateway.prefer(groupOf(id), true)
          begin(held.success)
          yield* Queue.offer(notices, { _tag: "Attached", runner, epoch })
          yield* Deferred.succeed(found, undefined)
          return yield* Deferred.await(held.success.over)
        }))
        if (!("_tag" in lost)) return yield* gone(lost)
        yield* Effect.logDebug(`session ${id}: ${lost.message}`)
        if (lost._tag === "Cluster.Unavailable") {
          yield* Effect.sleep(pause(attempt))
          continue
        }
        if (lost._tag === "Cluster.SessionFailed" || ++refusals === offers) return yield* Deferred.fail(found, lost)
        if (lost.reason === "draining") gateway.prefer(groupOf(id), false)
      }
    })

    const found = yield* Deferred.make<void, Refused | SessionFailed | Unavailable>()
    const living = yield* live(found).pipe(
      Effect.catchCause((cause) =>
        Cause.hasInterruptsOnly(cause)
          ? Effect.void
          : Effect.andThen(
            Effect.logError(`session ${id}: its gateway has failed`, cause),
            Effect.sync(() => over({ failed: true, reason: String(Cause.squash(cause)) }))
          )
      ),
      Effect.forkScoped({ startImmediately: true })
    )
    yield* Deferred.await(found)
    gateway.attached.add(attachment)
    Metrics.attached.updateUnsafe(gateway.attached.size, Metrics.registry)
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        gateway.attached.delete(attachment)
        Metrics.attached.updateUnsafe(gateway.attached.size, Metrics.registry)
        Metrics.count(channel, inbox.dropped)
        channel.close()
      })
    )

    const flushed: Effect.Effect<void> = Effect.suspend(() =>
      channel.isFlushed || channel.link === undefined ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), flushed)
    )
    let hasLeft = false
    const leave = (reason: string): Effect.Effect<void> =>
      Effect.gen(function*() {
        if (hasLeft) return
        hasLeft = true
        if (yield* Deferred.isDone(ended)) return
        channel.sendControlUnsafe({ _tag: "Leave", reason })
        yield* Effect.timeoutOption(flushed, "500 millis")
        over({ failed: false, reason })
        yield* Fiber.interrupt(living)
      })

    return {
      id: Effect.sync(() => id),
      runner: Effect.sync(() => current?.runner ?? ""),
      send: (frame) =>
        Effect.suspend(() => {
          if (isMedia(frame)) return Effect.sync(() => channel.sendMedia(frame))
          const unsendable = unsendableOf(spec.serializer, frame)
          return unsendable === undefined ? channel.sendControl({ _tag: "Frame", frame }) : Effect.fail(unsendable)
        }),
      received: Stream.fromPull(Effect.succeed(inbox.pull)),
      end: channel.sendControl({ _tag: "End" }),
      leave,
      ended: Deferred.await(ended),
      notices: Stream.fromQueue(notices),
      counts: Effect.sync(() => ({
        mediaSent: channel.mediaSent,
        mediaDropped: channel.dropped,
        mediaReceived: channel.mediaReceived,
        mediaLost: channel.lost,
        duplicates: channel.duplicates
      }))
    }
  })
