import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Frame from "../../Frame.ts"
import type { ErrorPolicy } from "../../Processor.ts"
import { asEffect, handlerIn, type Handlers, inLane, type UserHandler, type Work } from "./handler.ts"
import type { Kernel } from "./kernel.ts"
import type { Lane, Strategy } from "./lane.ts"
import { Metering } from "./metering.ts"
import { Port } from "./port.ts"
import { Pusher } from "./pusher.ts"

/** What a processor's description comes down to. */
export interface Definition {
  readonly name: string
  /** Handlers are plain functions, or return Effects. */
  readonly kind: "sync" | "effect"
  /** Builds the handlers of one instance, in the scope of that instance. */
  readonly behaviour: Effect.Effect<object, unknown, Scope.Scope> | (() => object)
  readonly queued: { readonly capacity: number; readonly strategy: Strategy } | undefined
  readonly upstream: { readonly capacity: number; readonly strategy: Strategy }
  /** Tags of what an interruption leaves where it waits. */
  readonly keeps?: ReadonlySet<string>
  readonly onError: (cause: Cause.Cause<unknown>) => ErrorPolicy
}

const hooks: Readonly<Record<string, string | undefined>> = {
  StartFrame: "onStart",
  StartInterruptionFrame: "onInterruption",
  CancelFrame: "onCancel",
  EndFrame: "onEnd"
}

/** The frames that belong to the kernel: handlers observe them, and nothing that a handler does stops them. */
export const lifecycle: ReadonlySet<string> = new Set([...Object.keys(hooks), "StopTaskFrame", "StopInterruptionFrame"])

/** Who is asked first when a processor in its care fails. */
export interface Guardian {
  /** `true`: this is dealt with. */
  readonly failed: (node: Node, cause: Cause.Cause<unknown>, fatal: boolean, unusable: boolean) => boolean
  readonly recovered: (node: Node) => void
  /** Gives the failure that is left of it, if any. */
  readonly setUpHasFailed: (node: Node, cause: Cause.Cause<unknown>) => SetUpFailure | undefined
}

export interface SetUpFailure {
  readonly node: Node
  readonly cause: Cause.Cause<unknown>
}

/** A processor instance: a port for each direction, and what is told of lifecycle frames. */
export class Node {
  readonly down: Port = new Port(this, "downstream")
  readonly up: Port = new Port(this, "upstream")
  /** Why it is of no use, if so; a processor whose set-up failed lets everything pass. */
  lost: Cause.Cause<unknown> | undefined = undefined
  /** The switcher that it is in. */
  guardian: Guardian | undefined = undefined
  /** `EndFrame` has passed: nothing is observed any more. */
  ended = false
  /** Says that it measures. */
  measures = false
  /** The last interruption that this processor was told of. */
  seen = 0
  private background: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private hookPusherCache: Pusher | undefined = undefined
  private meteringCache: Metering | undefined = undefined
  readonly kernel: Kernel
  readonly name: string
  readonly definition: Definition | undefined

  constructor(kernel: Kernel, name: string, definition: Definition | undefined) {
    this.kernel = kernel
    this.name = name
    this.definition = definition
  }

  get usable(): boolean {
    return this.lost === undefined
  }

  /** Takes in the handlers that the set-up of the processor gave. */
  equip(behaviour: object): void {
    const all = behaviour as Handlers
    this.down.handlers = all
    this.up.handlers = all["upstream"] as Handlers | undefined
    this.measures = all["metrics"] === true
  }

  private get hookPusher(): Pusher {
    return this.hookPusherCache ??= new Pusher(this.down)
  }

  /** What it measures in band. */
  get metering(): Metering {
    return this.meteringCache ??= new Metering(this)
  }

  /** Runs a handler that is no data handler. */
  handle(handler: UserHandler, frame: Frame.Frame, pusher: Pusher): Work {
    if (this.definition?.kind !== "effect") return pusher.runSync(handler, frame)
    return this.watched(Effect.suspend(() => this.kernel.traced(asEffect(handler(frame, pusher.context)))))
  }

  private watched(effect: Effect.Effect<unknown, unknown>): Effect.Effect<void> {
    return Effect.matchCause(effect, { onSuccess: () => {}, onFailure: (cause) => this.failed(cause) })
  }

  /** Tells hooks and handlers of a lifecycle frame, which the kernel carries on. */
  notify(frame: Frame.Frame, direction: Frame.Direction = "downstream", pusher?: Pusher): Work {
    // An interruption that cuts nothing is only told: hooks that clear what they hold do not apply.
    const cuts = frame._tag !== "StartInterruptionFrame" || this.kernel.allowInterruptions
    if (cuts && (frame._tag === "StartInterruptionFrame" || frame._tag === "StartFrame")) this.meteringCache?.reset()
    const hook = cuts ? handlerIn(this.down.handlers, hooks[frame._tag] ?? "") : undefined
    const handler = handlerIn(direction === "downstream" ? this.down.handlers : this.up.handlers, frame._tag)
    if (hook === undefined && handler === undefined) return undefined
    const by = pusher ?? this.hookPusher
    const work = hook === undefined ? undefined : this.handle(hook, frame, by)
    if (handler === undefined) return work
    if (work === undefined) return this.handle(handler, frame, by)
    return Effect.flatMap(work, () => this.handle(handler, frame, by) ?? Effect.void)
  }

  /** The end arrives in order: hooks, then silence, then the next processor's turn. */
  last(frame: Frame.Frame): Work {
    const pass = (): Work => {
      if (frame._tag === "EndFrame") this.end()
      return this.down.emit(frame, this.down.lane, this.down.lane)
    }
    let work = this.notify(frame, "downstream", this.down.pusher)
    if (frame._tag === "EndFrame" && this.background !== undefined) {
      const stop = Fiber.interrupt(this.background)
      work = work === undefined ? stop : Effect.andThen(work, stop)
    }
    if (work === undefined) return pass()
    return Effect.flatMap(work, () => inLane(this.down.lane, pass))
  }

  private end(): void {
    this.ended = true
    this.down.handlers = this.up.handlers = undefined
    this.kernel.forget()
  }

  /** Starts what the processor does of its own accord, until the end or the scope's close. */
  startBackground(scope: Scope.Scope): Effect.Effect<void> | undefined {
    const { handlers } = this.down
    const run = handlerIn(handlers, "source") ?? handlerIn(handlers, "run")
    if (run === undefined || this.background !== undefined) return undefined
    return this.watched(this.kernel.traced(Effect.suspend(() => asEffect(run(undefined, this.hookPusher.context)))))
      .pipe(
        Effect.forkIn(scope),
        Effect.map((fiber) => {
          this.background = fiber
        })
      )
  }

  /** The task is about to end: what makes frames of its own accord stops first. */
  stopSource(): void {
    if (this.down.handlers?.["source"] !== undefined) this.background?.interruptUnsafe()
  }

  /** A handler has failed: the processor's policy says what that means. Interruption is no failure. */
  failed(cause: Cause.Cause<unknown>): void {
    if (Cause.hasInterruptsOnly(cause)) return
    let verdict: ErrorPolicy = "fatal"
    try {
      verdict = this.definition?.onError(cause) ?? "fatal"
    } catch (error) {
      cause = Cause.combine(cause, Cause.die(error))
    }
    if (verdict !== "ignore") this.kernel.report(this, cause, verdict === "fatal", verdict === "unusable")
  }

  /** It works again. */
  recovered(): void {
    if (this.lost === undefined) return
    this.lost = undefined
    this.guardian?.recovered(this)
  }

  /** Takes the frames that do not travel in order with data; `false`: this one does. */
  special(port: Port, frame: Frame.Frame, from: Lane<any> | undefined): Work | false {
    if (lifecycle.has(frame._tag)) {
      if (this.kernel.carries(frame)) return undefined
      if (frame._tag === "StartInterruptionFrame") return this.kernel.interrupt(frame, this, from)
      if (frame._tag === "StopInterruptionFrame") return this.kernel.tell(frame, this)
      if (frame._tag === "StartFrame") {
        this.failed(Cause.fail(new Error("StartFrame belongs to the task, not to processors")))
      } else this.kernel.owner.request(frame)
      return undefined
    }
    if (Frame.kindOf(frame) !== "system") return false
    this.kernel.sendSystem(port, frame)
    return undefined
  }
}
