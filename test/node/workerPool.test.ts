import * as SpeechEngine from "@apipeline/node/SpeechEngine"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Option, Scope } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { packages } from "../../packages/node/src/internal/enginePackages.ts"
import * as WorkerPool from "../../packages/node/src/internal/workerPool.ts"
import type { Command, LoadOptions } from "../fixtures/poolWorker.ts"
import { root } from "../utils/run.ts"

const { deepStrictEqual, isAtLeast, isBelow, strictEqual } = assert

const url = new URL("../fixtures/poolWorker.ts", import.meta.url)

const make = (options: SpeechEngine.WorkerOptions & LoadOptions = {}) =>
  WorkerPool.make<Command, string>(url, { load: options.load, loads: options.loads } satisfies LoadOptions, options)

const echo = (text: string): Command => ({ do: "echo", text })
const work = (millis: number): Command => ({ do: "work", millis })
const counter = () => new Int32Array(new SharedArrayBuffer(4))

/** Worker threads of this process, and what else would keep it alive. */
const alive = () =>
  process.getActiveResourcesInfo().filter((name) => name === "MessagePort" || name === "Worker").length

const reason = (error: SpeechEngine.EngineError) => error._tag === "WorkerError" ? error.reason : error._tag

/** Has begun: a job that is still waiting is another case. */
const begun = Effect.sleep("50 millis")

describe("a pool of workers", () => {
  it.live("does one piece of work after the other, and gives each its own result", () =>
    Effect.gen(function*() {
      for (const workers of [1, 2]) {
        const pool = yield* make({ workers, maxWaiting: 100 })
        const texts = Array.from({ length: 50 }, (_, i) => `text ${i}`)
        deepStrictEqual(
          yield* Effect.forEach(texts, (text) => pool.run(echo(text)), { concurrency: "unbounded" }),
          texts
        )
      }
    }))

  it.live("loads once for each worker, whoever asks", () =>
    Effect.gen(function*() {
      const loads = counter()
      const pool = yield* make({ workers: 2, loads })
      yield* Effect.forEach([1, 2, 3, 4], () => pool.run(work(20)), { concurrency: "unbounded" })
      strictEqual(loads[0], 2)
    }))

  it.live("refuses more than may wait, at once, and takes them later", () =>
    Effect.gen(function*() {
      const pool = yield* make({ maxWaiting: 2 })
      const fibers = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(pool.run(work(100))))
      yield* begun
      const error = yield* Effect.flip(pool.run(echo("too many")))
      strictEqual(reason(error), "Full")
      strictEqual(error.message, "Full: 2 are waiting")
      for (const fiber of fibers) strictEqual(yield* Fiber.join(fiber), "worked")
      strictEqual(yield* pool.run(echo("now")), "now")
    }))

  it.live("takes back what has not begun when it is interrupted", () =>
    Effect.gen(function*() {
      const crashed = counter()
      const pool = yield* make({ maxWaiting: 1 })
      const first = yield* Effect.forkChild(pool.run(work(100)))
      yield* begun
      const second = yield* Effect.forkChild(pool.run({ do: "crashOnce", crashed }))
      yield* Effect.sleep("10 millis")
      yield* Fiber.interrupt(second)
      // its place is free again
      strictEqual(yield* pool.run(echo("third")), "third")
      strictEqual(yield* Fiber.join(first), "worked")
      strictEqual(crashed[0], 0)
    }))

  it.live("stops the worker's work on what is interrupted", () =>
    Effect.gen(function*() {
      const pool = yield* make()
      const start = performance.now()
      const fiber = yield* Effect.forkChild(pool.run({ do: "workWhileWanted" }))
      yield* begun
      yield* Fiber.interrupt(fiber)
      strictEqual(yield* pool.run(echo("next")), "next")
      isBelow(performance.now() - start, 800)
    }))

  it.live("does the same again, once, when a worker crashes", () =>
    Effect.gen(function*() {
      const loads = counter()
      const pool = yield* make({ loads })
      const [crashing, next] = yield* Effect.all([
        pool.run({ do: "crashOnce", crashed: counter() }),
        pool.run(echo("next"))
      ], { concurrency: "unbounded" })
      deepStrictEqual([crashing, next, loads[0]], ["worked", "next", 2])
    }))

  it.live("fails what crashes two workers, and goes on", () =>
    Effect.gen(function*() {
      const pool = yield* make()
      const error = yield* Effect.flip(pool.run({ do: "crash" }))
      strictEqual(error.message, "Crash: the worker has exited with code 7")
      strictEqual(yield* pool.run(echo("next")), "next")
    }))

  it.live("what waits for a worker that cannot be loaded again may be tried again", () =>
    Effect.gen(function*() {
      const loads = counter()
      const pool = yield* make({ load: "failAgain", loads })
      const error = yield* Effect.flip(pool.run({ do: "crashOnce", crashed: counter() }))
      strictEqual(error.message, "Crash: while it was loaded again: out of memory")
      strictEqual(SpeechEngine.isRetryable(error), true)
      strictEqual(yield* pool.run(echo("next")), "next")
      strictEqual(loads[0], 3)
    }))

  it.live("replaces a worker that hangs", () =>
    Effect.gen(function*() {
      const pool = yield* make({ timeout: "200 millis" })
      const hanging = yield* Effect.forkChild(Effect.flip(pool.run({ do: "hang" })))
      yield* begun
      const next = yield* Effect.forkChild(pool.run(echo("next")))
      strictEqual((yield* Fiber.join(hanging)).message, "Timeout: no result after 200ms")
      strictEqual(yield* Fiber.join(next), "next")
    }))

  it.live("an input that is refused is the end of nothing", () =>
    Effect.gen(function*() {
      const loads = counter()
      const pool = yield* make({ loads })
      strictEqual((yield* Effect.flip(pool.run({ do: "refuse" }))).message, "Refused: not this")
      strictEqual(yield* pool.run(echo("next")), "next")
      strictEqual(loads[0], 1)
    }))

  it.live("does what is not urgent only when a worker is free, and gives it up for what is", () =>
    Effect.gen(function*() {
      const pool = yield* make()
      deepStrictEqual(yield* pool.runIdle(echo("free")), Option.some("free"))
      const busy = yield* Effect.forkChild(pool.run(work(100)))
      yield* begun
      deepStrictEqual(yield* pool.runIdle(echo("busy")), Option.none())
      yield* Fiber.join(busy)
      const start = performance.now()
      const idle = yield* Effect.forkChild(pool.runIdle({ do: "workWhileWanted" }))
      yield* begun
      strictEqual(yield* pool.run(echo("urgent")), "urgent")
      isBelow(performance.now() - start, 800)
      deepStrictEqual(yield* Fiber.join(idle), Option.none())
      deepStrictEqual(yield* pool.runIdle({ do: "crash" }), Option.none())
    }))

  it.live("says why it cannot load", () =>
    Effect.gen(function*() {
      const failure = (options: Parameters<typeof make>[0]) => Effect.map(Effect.flip(make(options)), (e) => e.message)
      strictEqual(yield* failure({ load: "fail" }), "Load: there is no model")
      strictEqual(yield* failure({ load: "crash" }), "Load: the worker has exited with code 3")
      strictEqual(
        yield* failure({ load: "missing" }),
        "the package llama-tokenizer-js is missing: npm install llama-tokenizer-js@1.2.2"
      )
      strictEqual(yield* failure({ load: "hang", loadTimeout: "300 millis" }), "Load: not ready after 300ms")
      strictEqual(
        yield* failure({ workers: 0.5 }),
        "workers: found 0.5, expected a whole number greater than zero"
      )
      strictEqual(
        yield* failure({ maxWaiting: 0 }),
        "maxWaiting: found 0, expected a whole number greater than zero"
      )
      strictEqual(
        yield* failure({ timeout: "0 millis" }),
        "timeout: found 0 millis, expected a duration greater than zero"
      )
    }))

  it.live("its scope ends the workers, also those at work, and whoever waits is told", () =>
    Effect.gen(function*() {
      const before = alive()
      const scope = yield* Scope.make()
      const pool = yield* make({ workers: 2 }).pipe(Scope.provide(scope))
      isAtLeast(alive(), before + 2)
      const hanging = yield* Effect.forkChild(Effect.forEach([1, 2, 3], () => Effect.flip(pool.run({ do: "hang" })), {
        concurrency: "unbounded"
      }))
      yield* begun
      yield* Scope.close(scope, Exit.void)
      deepStrictEqual((yield* Fiber.join(hanging)).map(reason), ["Closed", "Closed", "Closed"])
      strictEqual(reason(yield* Effect.flip(pool.run(echo("late")))), "Closed")
      strictEqual(alive(), before)
    }))

  it("knows the versions that are installed", () => {
    const manifest = JSON.parse(fs.readFileSync(path.join(root, "packages/node/package.json"), "utf8"))
    const { "@apipeline/core": _, ...dependencies } = manifest.dependencies
    const optional = { "sherpa-onnx-node": manifest.peerDependencies["sherpa-onnx-node"] }
    deepStrictEqual({ ...dependencies, ...optional }, packages)
  })
})
