/** Starts and stops the processes of a cluster on this machine: for the example, the tests and the benchmark. */
import { Data, Effect, type Scope } from "effect"
import { type ChildProcess, spawn } from "node:child_process"
import * as path from "node:path"
import * as Postgres from "./Postgres.ts"

export class ProcessError extends Data.TaggedError("ProcessError")<{ readonly name: string; readonly why: string }> {
  override get message(): string {
    return `${this.name}: ${this.why}`
  }
}

export interface Process {
  /** As it calls itself: `host:port` for a runner. */
  readonly name: string
  readonly port: number
  readonly dataPort: number
  readonly pid: number
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly exited: Effect.Effect<number>
  /** What it has said. */
  readonly output: () => string
}

const script = path.join(import.meta.dirname, "ClusterProcess.ts")

const startTimeout = "60 seconds"

const start = (name: string, ports: readonly [number, number], env: NodeJS.ProcessEnv) =>
  Effect.gen(function*() {
    let output = ""
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, [script], { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] })
      ),
      (child) => Effect.andThen(Effect.sync(() => child.kill("SIGKILL")), exitOf(child))
    )
    const ready = Effect.callback<void, ProcessError>((resume) => {
      const hear = (chunk: Buffer): void => {
        output += chunk.toString()
        if (/^ready$/m.test(output)) resume(Effect.void)
      }
      child.stdout.on("data", hear)
      child.stderr.on("data", hear)
      child.once("exit", (code) => resume(Effect.fail(new ProcessError({ name, why: `exit ${code}\n${output}` }))))
    })
    yield* Effect.timeoutOrElse(ready, {
      duration: startTimeout,
      orElse: () => Effect.fail(new ProcessError({ name, why: `not ready\n${output}` }))
    })
    const made: Process = {
      name,
      port: ports[0],
      dataPort: ports[1],
      pid: child.pid!,
      kill: (signal) => Effect.sync(() => void child.kill(signal)),
      exited: exitOf(child),
      output: () => output
    }
    return made
  })

const exitOf = (child: ChildProcess): Effect.Effect<number> =>
  Effect.callback((resume) => {
    const done = (): void => resume(Effect.succeed(child.exitCode ?? -1))
    if (child.exitCode !== null || child.signalCode !== null) done()
    else child.once("exit", done)
  })

export const startRunner = (
  database: Postgres.Postgres,
  env: NodeJS.ProcessEnv = {}
): Effect.Effect<Process, ProcessError, Scope.Scope> =>
  Effect.gen(function*() {
    const [port, dataPort] = yield* Postgres.freePorts(2)
    return yield* start(`127.0.0.1:${port}`, [port!, dataPort!], {
      ROLE: "runner",
      DATABASE_URL: database.url,
      APIPELINE_HOST: "127.0.0.1",
      APIPELINE_PORT: String(port),
      APIPELINE_DATA_PORT: String(dataPort),
      ...env
    })
  })

export const startGateway = (
  database: Postgres.Postgres,
  env: NodeJS.ProcessEnv = {}
): Effect.Effect<Process, ProcessError, Scope.Scope> =>
  Effect.gen(function*() {
    const [port] = yield* Postgres.freePorts(1)
    return yield* start(`gateway ${port}`, [port!, port!], {
      ROLE: "gateway",
      DATABASE_URL: database.url,
      PORT: String(port),
      ...env
    })
  })
