/**
 * The worker's side of a pool. What runs in a worker does without Effect: it loads sooner, and calls one foreign promise
 * after the other.
 */
import * as fs from "node:fs"
import { parentPort, type Transferable, workerData } from "node:worker_threads"
import { type Package, packages } from "./enginePackages.ts"
import type { Job, Reply, Start } from "./workerMessages.ts"

/** The input is at fault, not the engine. */
export class Refused extends Error {}

class Missing extends Error {
  readonly package: Package
  constructor(name: Package) {
    super(`the package ${name} is missing`)
    this.package = name
  }
}

const packageOf = (specifier: string): Package | undefined =>
  (Object.keys(packages) as Array<Package>).find((name) => specifier === name || specifier.startsWith(`${name}/`))

const isMissing = (error: unknown): boolean =>
  error instanceof Error && "code" in error &&
  /^(ERR_MODULE_NOT_FOUND|MODULE_NOT_FOUND|ENOENT)$/.test(String(error.code))

/** Does what needs a package, and says which one is missing. */
export const using = async <A>(name: Package, use: () => A | Promise<A>): Promise<A> => {
  try {
    return await use()
  } catch (error) {
    if (!isMissing(error)) throw error
    // the missing module may be one that the package needs
    const found = /package '([^']+)'/.exec(error instanceof Error ? error.message : "")?.[1]
    throw new Missing(packageOf(found ?? name) ?? name)
  }
}

/** A file beside the main module of a package. */
export const fileOf = (name: Package, file: string): Promise<URL> =>
  using(name, () => new URL(file, import.meta.resolve(name)))

export const readFileOf = async (name: Package, file: string): Promise<Uint8Array<ArrayBuffer>> => {
  const url = await fileOf(name, file)
  return using(name, () => fs.readFileSync(url))
}

/** What a job gives: a value, and what of it is handed over instead of copied. */
export interface Output<Out> {
  readonly output: Out
  readonly transfer?: ReadonlyArray<Transferable> | undefined
}

/** One job after the other: `undefined` says that it was given up because nobody wanted it any more. */
export type Perform<In, Out> = (input: In, isWanted: () => boolean) => Promise<Output<Out> | undefined>

const detailOf = (error: unknown): string => error instanceof Error ? error.message : String(error)

/** Loads, says so, and does one job after the other. What is thrown by a job ends the worker, unless it is `Refused`. */
export const serve = async <Options, In, Out>(load: (options: Options) => Promise<Perform<In, Out>>): Promise<void> => {
  const port = parentPort!
  const { cancelled, options }: Start<Options> = workerData
  const reply = (message: Reply<Out>, transfer: ReadonlyArray<Transferable> = []) => port.postMessage(message, transfer)
  let perform: Perform<In, Out>
  try {
    perform = await load(options)
  } catch (error) {
    reply({
      _tag: "NotLoaded",
      detail: detailOf(error),
      missing: error instanceof Missing ? error.package : undefined
    })
    return
  }
  port.on("message", async ({ id, input }: Job<In>) => {
    try {
      const done = await perform(input, () => Atomics.load(cancelled, 0) !== id)
      if (done === undefined) reply({ _tag: "Cancelled", id })
      else reply({ _tag: "Done", id, output: done.output }, done.transfer)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      reply({ _tag: "Refused", id, detail: error.message })
    }
  })
  reply({ _tag: "Ready" })
}
