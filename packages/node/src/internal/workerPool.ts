import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { Worker } from "node:worker_threads"
import { type EngineError, MissingPackage, OptionError, WorkerError, type WorkerOptions } from "../SpeechEngine.ts"
import { packages } from "./enginePackages.ts"
import type * as Messages from "./workerMessages.ts"

export interface Pool<in In, out Out> {
  /** Does a piece of work as soon as a worker is free. Interrupting it takes it back, or stops the worker's work on it. */
  readonly run: (input: In) => Effect.Effect<Out, EngineError>
  /** Does a piece of work if a worker is free now, and nobody who calls `run` needs it before it is done. */
  readonly runIdle: (input: In) => Effect.Effect<Option.Option<Out>, EngineError>
}

interface Job<In, Out> {
  readonly input: In
  /** Gives way to those that wait. */
  readonly idle: boolean
  readonly resume: (exit: Exit.Exit<Option.Option<Out>, EngineError>) => void
  isWanted: boolean
  attempts: number
}

interface Slot<In, Out> {
  readonly cancelled: Int32Array
  job: Job<In, Out> | undefined
  id: number
  isReady: boolean
}

/** A crashed worker is replaced at once; the next ones only after some time, so that crashing is no endless loop. */
const restartDelay = (failures: number): number => failures < 2 ? 0 : Math.min(30_000, 250 * 2 ** (failures - 2))

const positiveInteger = (field: string, value: number): Effect.Effect<number, OptionError> =>
  Number.isInteger(value) && value > 0
    ? Effect.succeed(value)
    : Effect.fail(new OptionError({ field, found: String(value), expected: "a whole number greater than zero" }))

const positiveDuration = (field: string, value: Duration.Input): Effect.Effect<Duration.Duration, OptionError> => {
  const duration = Duration.fromInput(value)
  return Option.isSome(duration) && Duration.toMillis(duration.value) > 0
    ? Effect.succeed(duration.value)
    : Effect.fail(new OptionError({ field, found: String(value), expected: "a duration greater than zero" }))
}

/** A worker of this package: a source file in the repository, what was made of it in a package. */
export const workerUrl = (name: string): URL =>
  new URL(`./${name}${import.meta.url.endsWith(".ts") ? ".ts" : ".js"}`, import.meta.url)

/** Starts the workers, and waits until all have loaded. */
export const make = <In, Out>(
  url: URL,
  workerOptions: unknown,
  options: WorkerOptions
): Effect.Effect<Pool<In, Out>, EngineError, Scope.Scope> =>
  Effect.gen(function*() {
    const size = yield* positiveInteger("workers", options.workers ?? 1)
    const maxWaiting = yield* positiveInteger("maxWaiting", options.maxWaiting ?? 32)
    const timeout = yield* positiveDuration("timeout", options.timeout ?? "30 seconds")
    const loadTimeout = yield* positiveDuration("loadTimeout", options.loadTimeout ?? "60 seconds")
    const waiting: Array<Job<In, Out>> = []
    const isWaiting = yield* Latch.make(false)
    const slots: Array<Slot<In, Out>> = []
    let isClosed = false

    const take = (): Job<In, Out> | undefined => {
      const job = waiting.shift()
      if (waiting.length === 0) isWaiting.closeUnsafe()
      return job
    }

    const failAll = (error: EngineError): void => {
      // who is told may ask for more at once: that waits for the next worker
      const jobs = waiting.splice(0)
      isWaiting.closeUnsafe()
      for (const job of jobs) job.resume(Exit.fail(error))
    }

    const stop = (slot: Slot<In, Out>): void => void Atomics.store(slot.cancelled, 0, slot.id)

    /** How many more could be begun now; negative: how many have to wait. */
    const room = (): number => slots.filter((slot) => slot.isReady && slot.job === undefined).length - waiting.length

    const enqueue = (job: Job<In, Out>, at: number): void => {
      waiting.splice(at, 0, job)
      isWaiting.openUnsafe()
      if (job.idle || room() >= 0) return
      const giveWay = slots.find((slot) => slot.job?.idle === true)
      if (giveWay !== undefined) stop(giveWay)
    }

    const submit = (input: In, idle: boolean): Effect.Effect<Option.Option<Out>, EngineError> =>
      Effect.callback((resume) => {
        if (isClosed) return resume(Effect.fail(new WorkerError({ reason: "Closed", detail: "the scope has closed" })))
        if (room() <= -maxWaiting) {
          return resume(Effect.fail(new WorkerError({ reason: "Full", detail: `${maxWaiting} are waiting` })))
        }
        const job: Job<In, Out> = { input, idle, resume: (exit) => resume(exit), isWanted: true, attempts: 0 }
        const firstIdle = waiting.findIndex((job) => job.idle)
        enqueue(job, idle || firstIdle < 0 ? waiting.length : firstIdle)
        return Effect.sync(() => {
          job.isWanted = false
          const at = waiting.indexOf(job)
          if (at >= 0) {
            waiting.splice(at, 1)
            if (waiting.length === 0) isWaiting.closeUnsafe()
          }
          const slot = slots.find((slot) => slot.job === job)
          if (slot !== undefined) stop(slot)
        })
      })

    const open = Effect.fnUntraced(function*(slot: Slot<In, Out>) {
      const start: Messages.Start<unknown> = { options: workerOptions, cancelled: slot.cancelled }
      const dead = yield* Deferred.make<never, EngineError>()
      let onReply: (reply: Messages.Reply<Out>) => void = () => {}
      const worker = yield* Effect.acquireRelease(
        // its own flags: those of the process may be a debugger's or a test runner's
        Effect.sync(() => new Worker(url, { workerData: start, execArgv: [] })),
        (worker) => Effect.promise(() => worker.terminate())
      )
      const died = (detail: string): void =>
        void Deferred.doneUnsafe(dead, Exit.fail(new WorkerError({ reason: "Crash", detail })))
      worker.on("message", (reply: Messages.Reply<Out>) => onReply(reply))
      worker.on("error", (error) => died(error instanceof Error ? error.message : String(error)))
      worker.on("exit", (code) => died(`the worker has exited with code ${code}`))
      const reply = Effect.callback<Messages.Reply<Out>>((resume) => {
        onReply = (reply) => resume(Effect.succeed(reply))
      })
      const ready = yield* Effect.raceFirst(reply, Deferred.await(dead)).pipe(
        Effect.timeoutOrElse({
          duration: loadTimeout,
          orElse: () =>
            Effect.fail(
              new WorkerError({ reason: "Load", detail: `not ready after ${Duration.format(loadTimeout)}` })
            )
        }),
        Effect.mapError((error) =>
          error._tag === "WorkerError" ? new WorkerError({ reason: "Load", detail: error.detail }) : error
        )
      )
      if (ready._tag === "NotLoaded") {
        return yield* ready.missing === undefined
          ? new WorkerError({ reason: "Load", detail: ready.detail })
          : new MissingPackage({ package: ready.missing, version: packages[ready.missing] })
      }
      const ask = (input: In): Effect.Effect<Messages.Reply<Out>, EngineError> =>
        Effect.callback<Messages.Reply<Out>>((resume) => {
          const id = ++slot.id
          onReply = (reply) => {
            if ("id" in reply && reply.id === id) resume(Effect.succeed(reply))
          }
          // copied, not handed over: if the worker crashes, another one gets the same
          worker.postMessage({ id, input } satisfies Messages.Job<In>)
        }).pipe(
          Effect.raceFirst(Deferred.await(dead)),
          Effect.timeoutOrElse({
            duration: timeout,
            orElse: () =>
              Effect.fail(
                new WorkerError({ reason: "Timeout", detail: `no result after ${Duration.format(timeout)}` })
              )
          })
        )
      return { ask, dead: Deferred.await(dead) }
    })

    const exitOf = (reply: Messages.Reply<Out>): Exit.Exit<Option.Option<Out>, EngineError> => {
      switch (reply._tag) {
        case "Done":
          return Exit.succeed(Option.some(reply.output))
        case "Refused":
          return Exit.fail(new WorkerError({ reason: "Refused", detail: reply.detail }))
        default:
          return Exit.succeed(Option.none())
      }
    }

    /** One worker after the other: each lives until it crashes or hangs. */
    const run = (slot: Slot<In, Out>, loaded: Deferred.Deferred<void, EngineError>) =>
      Effect.gen(function*() {
        let failures = 0
        const live = Effect.gen(function*() {
          const worker = yield* open(slot)
          slot.isReady = true
          yield* Deferred.succeed(loaded, undefined)
          while (true) {
            yield* Effect.raceFirst(isWaiting.await, worker.dead)
            const job = take()
            if (job === undefined) continue
            slot.job = job
            job.attempts++
            const exit = yield* Effect.exit(worker.ask(job.input))
            slot.job = undefined
            if (Exit.isSuccess(exit)) {
              failures = 0
              job.resume(exitOf(exit.value))
              continue
            }
            const error = Exit.findErrorOption(exit)
            const crashed = Option.isSome(error) && error.value._tag === "WorkerError" && error.value.reason === "Crash"
            if (crashed && job.idle) job.resume(Exit.succeed(Option.none()))
            else if (crashed && job.attempts < 2 && job.isWanted) enqueue(job, 0)
            else job.resume(Exit.map(exit, () => Option.none()))
            return yield* exit
          }
        }).pipe(
          Effect.scoped,
          Effect.onExit(() =>
            Effect.sync(() => {
              slot.isReady = false
            })
          )
        )
        while (true) {
          const error = yield* Effect.flip(live)
          failures++
          // the first time, whoever makes the pool is told
          if (Deferred.doneUnsafe(loaded, Exit.fail(error))) return
          const isLast = !slots.some((slot) => slot.isReady)
          if (isLast && error._tag !== "WorkerError") failAll(error)
          else if (isLast && error._tag === "WorkerError" && error.reason === "Load") {
            // it could be loaded before, so that it may be again
            failAll(new WorkerError({ reason: "Crash", detail: `while it was loaded again: ${error.detail}` }))
          }
          yield* Effect.sleep(restartDelay(failures))
        }
      })

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        isClosed = true
        const error = new WorkerError({ reason: "Closed", detail: "the scope has closed" })
        failAll(error)
        for (const slot of slots) slot.job?.resume(Exit.fail(error))
      })
    )
    const starting: Array<Deferred.Deferred<void, EngineError>> = []
    for (let i = 0; i < size; i++) {
      const loaded = yield* Deferred.make<void, EngineError>()
      const slot: Slot<In, Out> = {
        cancelled: new Int32Array(new SharedArrayBuffer(4)),
        job: undefined,
        id: 0,
        isReady: false
      }
      slots.push(slot)
      starting.push(loaded)
      yield* Effect.forkScoped(run(slot, loaded))
    }
    yield* Effect.forEach(starting, Deferred.await, { discard: true })

    return {
      run: (input) => Effect.map(submit(input, false), Option.getOrThrow),
      runIdle: (input) => Effect.suspend(() => room() > 0 ? submit(input, true) : Effect.succeedNone)
    }
  })
