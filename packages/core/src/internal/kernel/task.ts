import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Scheduler from "effect/Scheduler"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Frame from "../../Frame.ts"
import type * as Pipeline from "../../Pipeline.ts"
import * as PipelineError from "../../PipelineError.ts"
import { Meter, type ProcessorMetrics } from "../../PipelineMetrics.ts"
import type * as PipelineObserver from "../../PipelineObserver.ts"
import type { Failure, Options, Phase, TaskExit } from "../../PipelineTask.ts"
import { isMark } from "./fan.ts"
import { type DropReason, Kernel, type Owner, type Tap } from "./kernel.ts"
import { initialMetrics } from "./metering.ts"
import { lifecycle, type Node, type SetUpFailure } from "./node.ts"
import { Outlet } from "./outlet.ts"
import { PortLane } from "./port.ts"
import { Stopwatch } from "./stopwatch.ts"
import { checkCapacity, checked, checkMillis, compile } from "./topology.ts"
import { Tracing } from "./tracing.ts"

type Fails = PipelineError.PipelineError

const millis = (input: Duration.Input | undefined, fallback: number): number =>
  input === undefined ? fallback : Duration.toMillis(input)

const fail = (reason: PipelineError.PipelineError["reason"]): Fails => new PipelineError.PipelineError({ reason })

const checkObserver = (observer: PipelineObserver.PipelineObserver): void =>
  checkCapacity(`observers (${observer.name}).capacity`, observer.capacity)

const checkDuration = (field: string, input: Duration.Input | undefined): void =>
  checkMillis(field, input === undefined ? undefined : Duration.toMillis(input))

const checkOptions = (options: Options): void => {
  checkCapacity("capacity", options.capacity)
  checkCapacity("outputCapacity", options.outputCapacity)
  checkDuration("startTimeout", options.startTimeout)
  checkDuration("drainTimeout", options.drainTimeout)
  checkDuration("cancelTimeout", options.cancelTimeout)
  checkDuration("idle.timeout", options.idle?.timeout)
  checkDuration("heartbeat.interval", options.heartbeat?.interval)
  checkDuration("heartbeat.timeout", options.heartbeat?.timeout)
  const { tracing } = options
  checkDuration("tracing.turnTimeout", typeof tracing === "object" ? tracing.turnTimeout : undefined)
  options.observers?.forEach(checkObserver)
}

/** One task: its phase, its two outlets, and the fibers that watch over it. */
export class Task implements Owner {
  readonly name: string
  readonly kernel: Kernel
  phase: Phase = "Created"
  readonly output: Outlet
  readonly upstream: Outlet
  readonly drops: Record<DropReason, number> = { full: 0, interrupted: 0, cancelled: 0, ended: 0, inactive: 0 }
  private readonly options: Options
  private readonly services: Context.Context<never>
  readonly clock: Clock.Clock
  private readonly tracing: Tracing | undefined
  /** Of the processors; outlives the task when it is stopped and taken over. */
  private readonly instance: Scope.Closeable
  private readonly fresh: boolean
  /** No frame may be queued any more. */
  private closing = false
  private cancelling = false
  private startTold = false
  private takenOver = false
  private disposed = false
  private starting: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private readonly started = Deferred.makeUnsafe<void, Fails>()
  private readonly exit = Deferred.makeUnsafe<TaskExit, Fails>()
  private readonly fibers = new Set<Fiber.Fiber<unknown, unknown>>()
  /** Those that only wait for time to pass. */
  private readonly watchers = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly observing = new Set<Fiber.Fiber<unknown, unknown>>()
  /** Something hung when the task was cancelled: it is left behind. */
  private abandoned = false
  private readonly observers = new Map<
    PipelineObserver.PipelineObserver,
    {
      readonly queue: Queue.Queue<PipelineObserver.Event, Cause.Done>
      readonly frames: ReadonlySet<string> | undefined
    }
  >()
  private readonly listeners = new Set<Queue.Queue<Failure<any>, Cause.Done>>()
  private readonly meters = new Map<string, Meter>()
  private lastActivity = 0
  private lastHeartbeat = 0

  private constructor(
    kernel: Kernel,
    options: Options,
    services: Context.Context<never>,
    instance: Scope.Closeable,
    fresh: boolean
  ) {
    this.name = options.name ?? "task"
    this.kernel = kernel
    this.options = options
    this.services = services
    this.instance = instance
    this.fresh = fresh
    this.clock = Context.get(services, Clock.Clock)
    const { tracing } = options
    this.tracing = tracing === undefined || tracing === false ?
      undefined :
      new Tracing(tracing === true ? {} : tracing, {
        services,
        clock: this.clock,
        after: (milliseconds, f) => this.fork(Effect.delay(Effect.sync(f), milliseconds), this.watchers),
        failed: (error) => this.fork(Effect.logWarning(`${this.name}: the tracer failed: no more spans`, error))
      })
    const onCut = (frame: Frame.Frame) => this.dropped(this.name, frame, "interrupted")
    this.output = new Outlet(options.outputCapacity ?? 1024, onCut, (frame) => this.left(frame))
    this.upstream = new Outlet(options.outputCapacity ?? 1024, onCut)
  }

  static readonly make = Effect.fnUntraced(function*(pipeline: Pipeline.Element, options: Options) {
    yield* checked(() => checkOptions(options))
    const { plans, services } = yield* compile(pipeline)
    const instance = yield* Scope.make()
    const context = Context.add(services, Scope.Scope, instance)
    const kernel = new Kernel({
      plans,
      services: context,
      scheduler: Context.get(context, Scheduler.Scheduler),
      capacity: options.capacity ?? 1024
    })
    return yield* Task.own(new Task(kernel, options, context, instance, true))
  })

  static readonly takeOver = Effect.fnUntraced(function*(stopped: Task, options: Options) {
    yield* checked(() => checkOptions(options))
    const { exit } = stopped
    const ended = Deferred.isDoneUnsafe(exit) ? yield* Effect.exit(Deferred.await(exit)) : undefined
    if (
      stopped.takenOver || stopped.disposed || ended === undefined || Exit.isFailure(ended) ||
      ended.value._tag !== "Stopped"
    ) {
      const found = stopped.takenOver
        ? "one that was taken over already"
        : stopped.disposed
        ? "one whose scope has closed"
        : `one in phase ${stopped.phase}`
      return yield* fail(new PipelineError.InvalidPipeline({ field: "task", found, expected: "a stopped task" }))
    }
    stopped.takenOver = true
    return yield* Task.own(new Task(stopped.kernel, options, stopped.services, stopped.instance, false))
  })

  private static readonly own = Effect.fnUntraced(function*(task: Task) {
    task.kernel.owner = task
    task.kernel.allowInterruptions = task.options.allowInterruptions ?? true
    task.kernel.tracing = task.tracing
    task.retap()
    yield* Effect.addFinalizer(() => task.dispose)
    for (const observer of task.options.observers ?? []) yield* task.observe(observer)
    return task
  })

  // ---------------------------------------------------------------------------------------------- life

  /** Forks in the task, on the caller's stack. */
  private fork(
    effect: Effect.Effect<unknown, unknown, Scope.Scope>,
    into = this.fibers
  ): Fiber.Fiber<unknown, unknown> {
    const fiber = Effect.runForkWith(this.services as Context.Context<Scope.Scope>)(effect)
    into.add(fiber)
    fiber.addObserver(() => into.delete(fiber))
    return fiber
  }

  private trigger(): void {
    if (this.phase !== "Created") return
    this.phase = "Starting"
    this.starting = this.fork(Effect.matchCauseEffect(this.begin, {
      onSuccess: () => Effect.void,
      onFailure: (cause) =>
        Cause.hasInterruptsOnly(cause) ? Effect.void : this.stop(undefined, Cause.squash(cause) as Fails)
    }))
    this.deadline("start", millis(this.options.startTimeout, 20_000), "StartTimeout", () => this.phase === "Starting")
  }

  private deadline(
    phase: "start" | "drain",
    milliseconds: number,
    event: "StartTimeout" | "DrainTimeout",
    late: () => boolean
  ): void {
    if (!late() || milliseconds === Infinity) return
    this.fork(
      Effect.flatMap(Effect.sleep(milliseconds), () => {
        if (!late()) return Effect.void
        const error = fail(new PipelineError.DeadlineExceeded({ phase, milliseconds }))
        this.tell(event, error.message)
        this.fork(this.stop(undefined, error))
        return Effect.void
      }),
      this.watchers
    )
  }

  /** Set-up of all processors at once, then `StartFrame` through them in order, then everything flows. */
  private readonly begin = Effect.gen({ self: this }, function*() {
    const { kernel, options } = this
    const setUpFailures: Array<SetUpFailure> = []
    const stopwatch = this.observers.size === 0 ? undefined : new Stopwatch(this.clock)
    if (this.fresh) {
      const hasFailed = (node: Node, cause: Cause.Cause<unknown>) => {
        node.lost = cause
        setUpFailures.push({ node, cause })
      }
      const setUps: Array<Effect.Effect<void, never, Scope.Scope>> = []
      for (const node of kernel.processors) {
        const { behaviour } = node.definition!
        if (typeof behaviour === "function" && stopwatch === undefined) {
          try {
            node.equip(behaviour())
          } catch (error) {
            hasFailed(node, Cause.die(error))
          }
          continue
        }
        const setUp = Effect.matchCause(typeof behaviour === "function" ? Effect.sync(behaviour) : behaviour, {
          onSuccess: (behaviour) => node.equip(behaviour),
          onFailure: (cause) => hasFailed(node, cause)
        })
        setUps.push(stopwatch === undefined ? setUp : stopwatch.timed(node, setUp))
      }
      if (setUps.length > 0) yield* Effect.all(setUps, { concurrency: "unbounded", discard: true })
    }
    const failed = setUpFailures.flatMap(({ cause, node }) => kernel.setUpHasFailed(node, cause) ?? [])
    const first = failed[0]
    if (first !== undefined && (options.onSetupFailure ?? "cancel") === "cancel") {
      for (const { node, cause } of failed) kernel.report(node, cause, false)
      return yield* fail(
        new PipelineError.SetupFailed({ processor: first.node.name, cause: Cause.squash(first.cause) })
      )
    }
    const frame = Frame.StartFrame.make({
      allowInterruptions: options.allowInterruptions ?? true,
      enableMetrics: options.enableMetrics ?? false,
      enableUsageMetrics: options.enableUsageMetrics ?? false,
      reportOnlyInitialTtfb: options.reportOnlyInitialTtfb ?? false,
      ...(options.audioInSampleRate === undefined ? {} : { audioInSampleRate: options.audioInSampleRate }),
      ...(options.audioOutSampleRate === undefined ? {} : { audioOutSampleRate: options.audioOutSampleRate }),
      ...(options.startMetadata === undefined ? {} : { metadata: options.startMetadata })
    })
    this.startTold = true
    kernel.parameters = frame
    this.tracing?.begin()
    stopwatch?.start()
    yield* kernel.notifyAll(frame, stopwatch?.told)
    const startup = stopwatch?.result(kernel.processors)
    for (const node of kernel.nodes) {
      const start = node.startBackground(this.instance)
      if (start !== undefined) yield* start
    }
    this.output.offer(frame, true)
    this.phase = this.closing ? "Draining" : "Running"
    this.lastActivity = this.lastHeartbeat = this.clock.currentTimeMillisUnsafe()
    this.tell("Started", `${this.name} started`, startup)
    this.tracing?.started()
    kernel.release(options.enableMetrics === true ? initialMetrics(kernel.processors) : undefined)
    for (const { node, cause } of failed) kernel.report(node, cause, false)
    if (failed.length > 0 && options.onSetupFailure === "end") this.queueEnd(Frame.EndFrame.make({}))
    this.watchDrain()
    if (options.idle !== undefined) this.fork(this.watchIdle(options.idle), this.watchers)
    if (options.heartbeat !== undefined) {
      this.fork(this.beat(options.heartbeat), this.watchers)
      this.fork(this.watchHeartbeat(options.heartbeat), this.watchers)
    }
    yield* Deferred.succeed(this.started, undefined)
  })

  readonly start: Effect.Effect<void, Fails> = Effect.suspend(() => {
    this.trigger()
    return Effect.raceFirst(Deferred.await(this.started), Effect.asVoid(Deferred.await(this.exit)))
  })

  readonly await: Effect.Effect<TaskExit, Fails> = Effect.suspend(() => Deferred.await(this.exit))

  readonly run: Effect.Effect<TaskExit, Fails> = Effect.suspend(() => {
    this.trigger()
    return Effect.onInterrupt(this.await, () => this.cancel("run was interrupted"))
  })

  /** The frames that leave from now on; fails in the end when the task does. */
  readonly subscribe = Effect.suspend(() =>
    Effect.map(this.output.subscribe, (stream) => Stream.concat(stream, Stream.drain(Stream.fromEffect(this.await))))
  )

  /** Subscribes, then starts: the first reader misses nothing. */
  readonly outputStream: Stream.Stream<Frame.Frame, Fails> = Stream.unwrap(
    Effect.tap(this.subscribe, () => Effect.sync(() => this.trigger()))
  )

  /** A frame has left at the downstream end. */
  private left(frame: Frame.Frame): boolean {
    if (frame._tag === "HeartbeatFrame") {
      this.lastHeartbeat = this.clock.currentTimeMillisUnsafe()
      return false
    }
    if (frame._tag === "EndFrame") this.fork(this.finished(frame as Frame.EndFrame))
    if (frame._tag === "StopTaskFrame") {
      this.kernel.hold()
      this.fork(
        Effect.andThen(
          Effect.yieldNow,
          Effect.sync(() => this.done(Exit.succeed({ _tag: "Stopped", frame: frame as Frame.StopTaskFrame })))
        )
      )
    }
    return true
  }

  private finished(frame: Frame.EndFrame): Effect.Effect<void> {
    return this.kernel.close.pipe(
      Effect.andThen(this.closeInstance),
      Effect.map(() => this.cancelling ? undefined : this.done(Exit.succeed({ _tag: "Ended", frame })))
    )
  }

  /** Releases what the processors hold; a finalizer that fails is told, and the others run all the same. */
  private readonly closeInstance: Effect.Effect<void> = Effect.suspend(() =>
    Effect.catchCause(Scope.close(this.instance, Exit.void), (cause) => {
      this.fail({ processor: this.name, fatal: false, cause })
      return Effect.logWarning(`${this.name}: a finalizer failed`, cause)
    })
  )

  private done(exit: Exit.Exit<TaskExit, Fails>): void {
    if (this.phase === "Done") return
    this.phase = "Done"
    this.closing = true
    this.tracing?.end(exit, Exit.isSuccess(exit) && exit.value._tag !== "Cancelled")
    if (Exit.isSuccess(exit)) this.tell(exit.value._tag, `${this.name}: ${exit.value.frame.name}`)
    else this.tell("Failed", `${this.name}: ${Cause.pretty(exit.cause)}`)
    this.output.end()
    this.upstream.end()
    for (const queue of this.listeners) Queue.endUnsafe(queue)
    for (const { queue } of this.observers.values()) Queue.endUnsafe(queue)
    for (const fiber of this.watchers) fiber.interruptUnsafe()
    Deferred.doneUnsafe(this.exit, exit)
  }

  /** Cancel pre-empts everything, and returns by its deadline even when something cannot be stopped. */
  private stop(frame: Frame.CancelFrame = Frame.CancelFrame.make({}), error?: Fails): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (!this.cancelling && this.phase !== "Done") {
        this.cancelling = this.closing = true
        this.phase = "Cancelling"
        const work = this.fork(Effect.gen({ self: this }, function*() {
          yield* this.kernel.close
          if (this.starting !== undefined) yield* Fiber.interrupt(this.starting)
          if (this.startTold) yield* this.kernel.notifyAll(frame)
          yield* this.closeInstance
        }))
        const finish = () => {
          this.output.offer(frame, true)
          this.done(error === undefined ? Exit.succeed({ _tag: "Cancelled", frame }) : Exit.fail(error))
        }
        const limit = millis(this.options.cancelTimeout, 20_000)
        if (work.pollUnsafe() !== undefined) finish()
        else {
          this.fork(Effect.map(Effect.timeoutOption(Fiber.await(work), limit), (ended) => {
            if (Option.isNone(ended)) {
              this.tell(
                "CancelTimeout",
                fail(new PipelineError.DeadlineExceeded({ phase: "cancel", milliseconds: limit })).message
              )
              this.abandoned = true
              this.fibers.delete(work)
              if (this.starting !== undefined) this.fibers.delete(this.starting)
              work.interruptUnsafe()
            }
            finish()
          }))
        }
      }
      return Effect.asVoid(Effect.exit(this.await))
    })
  }

  cancel(reason?: string): Effect.Effect<void> {
    return Effect.suspend(() => this.stop(Frame.CancelFrame.make(reason === undefined ? {} : { reason })))
  }

  /** The scope closes: a cancel, and then nothing of this task is left. */
  private readonly dispose: Effect.Effect<void> = Effect.suspend(() => this.cancel("the task's scope closed")).pipe(
    Effect.andThen(Effect.suspend(() => {
      if (this.takenOver || this.abandoned) return Effect.void
      this.disposed = true
      return this.briefly(Effect.andThen(this.kernel.close, this.closeInstance), this.options.cancelTimeout ?? 20_000)
    })),
    // Observers may see the end: what they have still to be told waits in their mailboxes.
    Effect.andThen(Effect.suspend(() =>
      this.observing.size === 0
        ? Effect.void
        : this.briefly(Effect.forEach([...this.observing], Fiber.await, { discard: true }), 1000)
    )),
    Effect.andThen(Effect.suspend(() => {
      const left = [...this.fibers, ...this.watchers, ...this.observing]
      return left.length === 0 ? Effect.void : Fiber.interruptAll(left)
    }))
  )

  /** Waits no longer than this; what is done at once needs no timer. */
  private briefly(effect: Effect.Effect<unknown>, limit: Duration.Input): Effect.Effect<unknown> {
    const fiber = this.fork(effect)
    return fiber.pollUnsafe() === undefined
      ? Effect.timeoutOption(Effect.interruptible(Fiber.await(fiber)), limit)
      : Effect.void
  }

  // ---------------------------------------------------------------------------------------------- frames

  private queueEnd(frame: Frame.Frame): void {
    if (this.closing) return
    this.closing = true
    if (this.phase === "Running") this.phase = "Draining"
    this.kernel.queueEnd(frame)
    this.watchDrain()
  }

  private watchDrain(): void {
    this.deadline("drain", millis(this.options.drainTimeout, Infinity), "DrainTimeout", () => this.phase === "Draining")
  }

  private ended(frame: Frame.Frame): Effect.Effect<never, Fails> {
    return Effect.fail(fail(new PipelineError.TaskEnded({ task: this.name, frame: frame.name })))
  }

  /** Queues a frame; what is left to wait for, if anything. */
  private queue(frame: Frame.Frame, direction: Frame.Direction): Effect.Effect<void, Fails> | undefined {
    if (lifecycle.has(frame._tag)) return this.command(frame, direction)
    if (this.closing) return this.ended(frame)
    return this.kernel.queue(frame, direction)
  }

  private command(frame: Frame.Frame, direction: Frame.Direction): Effect.Effect<void, Fails> | undefined {
    switch (frame._tag) {
      case "CancelFrame":
        return this.stop(frame as Frame.CancelFrame)
      case "EndFrame":
      case "StopTaskFrame":
        return this.closing ? this.ended(frame) : void this.queueEnd(frame)
      case "StartInterruptionFrame":
      case "StopInterruptionFrame": {
        if (this.phase === "Cancelling" || this.phase === "Done") return this.ended(frame)
        const origin = direction === "upstream" ? this.kernel.bottom : undefined
        const work = frame._tag === "StartInterruptionFrame"
          ? this.kernel.interrupt(frame, origin, undefined)
          : this.kernel.tell(frame, origin)
        return work === undefined || this.phase === "Created" ? undefined : Effect.asVoid(work)
      }
      default:
        return Effect.fail(fail(
          new PipelineError.InvalidPipeline({
            field: "frame",
            found: frame.name,
            expected: "a frame that is not the task's own"
          })
        ))
    }
  }

  queueFrame(frame: Frame.Frame, direction: Frame.Direction): Effect.Effect<void, Fails> {
    return Effect.suspend(() => this.queue(frame, direction) ?? Effect.void)
  }

  queueFrames(
    frames: Iterable<Frame.Frame> | Stream.Stream<Frame.Frame, unknown, unknown>,
    direction: Frame.Direction
  ): Effect.Effect<void, unknown, unknown> {
    return Stream.isStream(frames)
      ? Stream.runForEachArray(frames, (chunk) => this.queueAll(chunk, direction))
      : this.queueAll(frames, direction)
  }

  private queueAll(frames: Iterable<Frame.Frame>, direction: Frame.Direction): Effect.Effect<void, Fails> {
    return Effect.suspend(() => {
      const iterator = frames[Symbol.iterator]()
      let work: Effect.Effect<void, Fails> | undefined
      const advance = (): boolean => {
        for (let next = iterator.next(); next.done !== true; next = iterator.next()) {
          work = this.queue(next.value, direction)
          if (work !== undefined) return true
        }
        return false
      }
      return Effect.whileLoop({ while: advance, body: () => work!, step: () => {} })
    })
  }

  readonly interrupt: Effect.Effect<void, Fails> = Effect.suspend(() =>
    this.queueFrame(Frame.StartInterruptionFrame.make({}), "downstream")
  )
  readonly stopWhenDone: Effect.Effect<void, Fails> = Effect.suspend(() =>
    this.queueFrame(Frame.EndFrame.make({}), "downstream")
  )
  readonly stopTask: Effect.Effect<void, Fails> = Effect.suspend(() =>
    this.queueFrame(Frame.StopTaskFrame.make({}), "downstream")
  )

  // ---------------------------------------------------------------------------------------------- what the kernel tells

  request(frame: Frame.Frame): void {
    const work = this.command(frame, "downstream")
    if (work !== undefined) this.fork(work)
  }

  interrupted(frame: Frame.Frame): void {
    if (this.observers.size > 0) this.tell("Interrupted", `${this.name}: ${frame.name}`)
  }

  firstByte(node: Node, milliseconds: number): void {
    this.meterOf(node)?.firstByte(milliseconds)
  }

  cutStreams(): void {
    this.output.cut()
    this.upstream.cut()
  }

  dropped(processor: string, frame: Frame.Frame, reason: DropReason): void {
    this.drops[reason]++
    if (this.options.enableMetrics === true) this.meters.get(processor)?.drop(reason)
    if (this.observers.size > 0) this.publish({ _tag: "Drop", frame, processor, reason, at: this.now() })
    if (reason === "ended") {
      this.fork(Effect.logWarning(`${processor} pushed ${Frame.format(frame)} after the end: dropped`))
    }
  }

  failed(frame: Frame.ErrorFrame, cause: Cause.Cause<unknown>): void {
    if (this.options.enableMetrics === true) this.meters.get(frame.processor ?? "")?.error()
    const failure: Failure<any> = { processor: frame.processor ?? this.name, fatal: frame.fatal, cause }
    this.fail(failure)
    this.fork(Effect.logWarning(Frame.format(frame), cause))
    if (!frame.fatal) return
    const error = fail(new PipelineError.ProcessorFailed({ processor: failure.processor, cause: frame.error }))
    this.fork(this.stop(Frame.CancelFrame.make({ reason: error.message }), error))
  }

  private fail(failure: Failure<any>): void {
    for (const queue of this.listeners) Queue.offerUnsafe(queue, failure)
  }

  readonly failures: Stream.Stream<Failure<any>> = Stream.unwrap(Effect.gen({ self: this }, function*() {
    const queue = yield* Queue.unbounded<Failure<any>, Cause.Done>()
    if (this.phase === "Done") return Stream.empty
    yield* Effect.acquireRelease(
      Effect.sync(() => this.listeners.add(queue)),
      () => Effect.sync(() => this.listeners.delete(queue))
    )
    return Stream.fromQueue(queue)
  }))

  // ---------------------------------------------------------------------------------------------- watching

  private now(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  private meterOf(node: Node): Meter | undefined {
    if (this.options.enableMetrics !== true || node.definition === undefined) return undefined
    let meter = this.meters.get(node.name)
    if (meter === undefined) this.meters.set(node.name, meter = new Meter(this.name, node.name, this.services))
    return meter
  }

  readonly metrics: Effect.Effect<ReadonlyArray<ProcessorMetrics>> = Effect.sync(() =>
    this.options.enableMetrics !== true ?
      [] :
      this.kernel.processors.map((node) =>
        this.meterOf(node)!.snapshot(this.kernel.depthOf(node), this.kernel.highWaterOf(node))
      )
  )

  private retap(): void {
    const { observers, options } = this
    const counts = options.idle?.frames === undefined
      ? (frame: Frame.Frame) => frame._tag !== "HeartbeatFrame"
      : (frame: Frame.Frame) => options.idle!.frames!.includes(frame._tag)
    const tap: Tap = {
      pushed: (port, frame) => {
        if (isMark(frame)) return
        if (options.idle !== undefined && counts(frame)) this.lastActivity = this.now()
        this.meterOf(port.node)?.count("out", Frame.kindOf(frame))
        this.tracing?.pushed(frame)
        if (observers.size === 0) return
        const to = port.next?.node.name ?? this.name
        this.publish({ _tag: "Push", frame, direction: port.direction, from: port.node.name, to, at: this.now() })
      },
      arrived: (port, frame) => {
        if (isMark(frame)) return
        const meter = this.meterOf(port.node)
        if (meter === undefined) return
        meter.count("in", Frame.kindOf(frame))
        if (port.entry instanceof PortLane) meter.waits(port.entry.size, port.entry.highWater)
      },
      told: (node) => this.meterOf(node)?.interruption(),
      now: () => Number(this.clock.monotonicTimeNanosUnsafe()) / 1e6,
      handled: (port, since) => this.meterOf(port.node)?.took(tap.now() - since)
    }
    const needed = observers.size > 0 || options.idle !== undefined || options.enableMetrics === true
    this.kernel.tap = needed || this.tracing !== undefined ? tap : undefined
  }

  private publish(event: PipelineObserver.Event): void {
    for (const { frames, queue } of this.observers.values()) {
      if (event._tag === "Task" || frames === undefined || frames.has(event.frame._tag)) Queue.offerUnsafe(queue, event)
    }
  }

  private tell(
    event: PipelineObserver.TaskEvent["event"],
    message: string,
    startup?: PipelineObserver.Startup
  ): void {
    this.publish({ _tag: "Task", event, message, at: this.now(), ...(startup === undefined ? {} : { startup }) })
    if (event.endsWith("Timeout")) this.fork(Effect.logWarning(message))
  }

  observe(observer: PipelineObserver.PipelineObserver): Effect.Effect<Effect.Effect<void>, Fails> {
    return Effect.map(checked(() => checkObserver(observer)), () => {
      const queue = Effect.runSync(
        Queue.make<PipelineObserver.Event, Cause.Done>({ capacity: observer.capacity ?? 4096, strategy: "sliding" })
      )
      const detach = () => {
        this.observers.delete(observer)
        this.retap()
      }
      this.observers.set(observer, { queue, frames: observer.frames && new Set(observer.frames) })
      this.retap()
      if (this.phase === "Done") Queue.endUnsafe(queue)
      const fiber = this.fork(
        Effect.scoped(Effect.suspend(() => observer.watch(Stream.fromQueue(queue)))).pipe(
          Effect.catchCause((cause) =>
            Cause.hasInterruptsOnly(cause)
              ? Effect.void
              : Effect.logWarning(`observer ${observer.name} failed: detached`, cause)
          ),
          Effect.ensuring(Effect.sync(detach))
        ),
        this.observing
      )
      return Effect.suspend(() => {
        detach()
        return Fiber.interrupt(fiber)
      })
    })
  }

  private watchIdle(idle: NonNullable<Options["idle"]>): Effect.Effect<void> {
    const timeout = millis(idle.timeout, 0)
    return Effect.gen({ self: this }, function*() {
      while (this.phase !== "Done") {
        const left = this.lastActivity + timeout - this.now()
        if (left > 0) {
          yield* Effect.sleep(left)
          continue
        }
        this.tell("IdleTimeout", `${this.name}: nothing has moved for ${timeout} ms`)
        this.lastActivity = this.now()
        yield* this.supervised(idle.onIdle)
        if (idle.cancel === false) continue
        this.fork(this.cancel(`idle for ${timeout} ms`))
        return
      }
    })
  }

  call(callback: () => Effect.Effect<unknown, unknown>): void {
    this.fork(this.supervised(Effect.andThen(Effect.yieldNow, Effect.suspend(callback))))
  }

  private supervised(effect: Effect.Effect<unknown, unknown> | undefined): Effect.Effect<void> {
    return effect === undefined
      ? Effect.void
      : Effect.catchCause(Effect.asVoid(effect), (cause) => Effect.logWarning(`${this.name}: a callback failed`, cause))
  }

  private beat(options: NonNullable<Options["heartbeat"]>): Effect.Effect<void> {
    return Effect.gen({ self: this }, function*() {
      for (;;) {
        yield* Effect.sleep(options.interval)
        if (this.closing) return
        // A pipeline that stands still is not given more to do.
        if (!this.kernel.hasRoom) continue
        this.kernel.queue(Frame.HeartbeatFrame.make({ at: this.now() }), "downstream")
      }
    })
  }

  private watchHeartbeat(options: NonNullable<Options["heartbeat"]>): Effect.Effect<void> {
    const timeout = options.timeout === undefined ? 10 * millis(options.interval, 0) : millis(options.timeout, 0)
    return Effect.gen({ self: this }, function*() {
      while (!this.closing) {
        const left = this.lastHeartbeat + timeout - this.now()
        if (left > 0) {
          yield* Effect.sleep(left)
          continue
        }
        this.lastHeartbeat = this.now()
        this.tell("HeartbeatTimeout", `${this.name}: no heartbeat for more than ${timeout / 1000} seconds`)
        yield* this.supervised(options.onTimeout)
      }
    })
  }
}
