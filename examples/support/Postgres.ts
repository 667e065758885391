/** A PostgreSQL of one's own, for a while: where Debian (or the `PATH`) has one. */
import { Data, Effect, Option, type Scope } from "effect"
import { execFile, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import { connect } from "node:net"
import * as os from "node:os"
import * as path from "node:path"

export class PostgresError
  extends Data.TaggedError("PostgresError")<{ readonly command: string; readonly why: string }>
{
  override get message(): string {
    return `${this.command}: ${this.why}`
  }
}

export interface Postgres {
  readonly url: string
  /** At once, without a goodbye to anybody. */
  readonly stop: Effect.Effect<void, PostgresError>
  readonly start: Effect.Effect<void, PostgresError>
}

const debian = "/usr/lib/postgresql"

/** The directory with `initdb` and `pg_ctl`: the newest. */
export const find = (): Option.Option<string> => {
  const versions = fs.existsSync(debian)
    ? fs.readdirSync(debian).toSorted((a, b) => Number(b) - Number(a)).map((version) =>
      path.join(debian, version, "bin")
    )
    : []
  const places = [...versions, ...(process.env["PATH"] ?? "").split(path.delimiter)]
  return Option.fromUndefinedOr(places.find((place) => fs.existsSync(path.join(place, "initdb"))))
}

const isRoot = process.getuid?.() === 0

/** PostgreSQL does not run as root. */
const asOwner = (command: string, args: ReadonlyArray<string>): readonly [string, ReadonlyArray<string>] =>
  isRoot ? ["runuser", ["-u", "postgres", "--", command, ...args]] : [command, args]

const run = (command: string, args: ReadonlyArray<string>): Effect.Effect<void, PostgresError> =>
  Effect.callback((resume) => {
    const [file, all] = asOwner(command, args)
    const options = { cwd: os.tmpdir(), timeout: 30_000, env: { PATH: process.env["PATH"], LC_ALL: "C" } }
    execFile(file, all, options, (error, stdout, stderr) => {
      if (error === null) resume(Effect.void)
      else {resume(
          Effect.fail(new PostgresError({ command: path.basename(command), why: stderr || stdout || error.message }))
        )}
    })
  })

const isOpen = (port: number): Effect.Effect<boolean> =>
  Effect.callback((resume) => {
    const socket = connect({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
  })

/** Ports that nobody listens at, below those that systems give to clients. */
export const freePorts = (howMany: number): Effect.Effect<ReadonlyArray<number>> =>
  Effect.gen(function*() {
    const found = new Set<number>()
    while (found.size < howMany) {
      const port = 18_000 + Math.floor(Math.random() * 14_000)
      if (!found.has(port) && !(yield* isOpen(port))) found.add(port)
    }
    return [...found]
  })

/** Starts one with an empty database. It is gone with the scope. */
export const make = (bin: string): Effect.Effect<Postgres, PostgresError, Scope.Scope> =>
  Effect.gen(function*() {
    const [port] = yield* freePorts(1)
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const made = fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-postgres-"))
        if (isRoot) spawnSync("chown", ["postgres", made])
        return made
      }),
      (made) => Effect.sync(() => fs.rmSync(made, { recursive: true, force: true }))
    )
    const data = path.join(directory, "data")
    const control = (...args: ReadonlyArray<string>) => run(path.join(bin, "pg_ctl"), ["-D", data, ...args])
    yield* run(path.join(bin, "initdb"), ["-D", data, "-A", "trust", "-U", "apipeline", "--no-sync", "-E", "UTF8"])
    const settings =
      `-p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off -c max_connections=60`
    const start = control("-w", "-s", "-l", path.join(directory, "log"), "-o", settings, "start")
    yield* Effect.acquireRelease(start, () => Effect.ignore(control("-w", "-m", "immediate", "stop")))
    return {
      url: `postgres://apipeline@127.0.0.1:${port}/postgres`,
      stop: control("-w", "-m", "immediate", "stop"),
      start
    }
  })
