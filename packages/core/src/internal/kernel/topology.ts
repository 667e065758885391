import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Element, Pipeline } from "../../Pipeline.ts"
import * as PipelineError from "../../PipelineError.ts"
import type { Any, ErrorPolicy } from "../../Processor.ts"
import type { FanMode } from "./fan.ts"
import { unbounded } from "./lane.ts"
import type { Definition } from "./node.ts"
import { definitionOf, type Description, type Switching } from "./switch.ts"

const invalid = (field: string, found: unknown, expected: string): PipelineError.PipelineError =>
  new PipelineError.PipelineError({
    reason: new PipelineError.InvalidPipeline({ field, found: String(found), expected })
  })

const defaultPolicy = (cause: Cause.Cause<unknown>): ErrorPolicy => Cause.hasDies(cause) ? "fatal" : "report"

/** Runs checks that throw what is wrong. */
export const checked = <A>(check: () => A): Effect.Effect<A, PipelineError.PipelineError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(check())
    } catch (error) {
      return error instanceof PipelineError.PipelineError ? Effect.fail(error) : Effect.die(error)
    }
  })

/** Everything that is checked of options that a lane gets. */
export const checkCapacity = (field: string, capacity: number | undefined): void => {
  if (capacity === undefined || capacity === Infinity || (Number.isInteger(capacity) && capacity > 0)) return
  throw invalid(field, capacity, "a positive integer")
}

export const checkMillis = (field: string, millis: number | undefined): void => {
  if (millis !== undefined && !(millis > 0)) throw invalid(field, `${millis} ms`, "a duration greater than zero")
}

/** A pipeline in the form that the kernel wires: processors, and branches side by side. */
export type Plan =
  | { readonly definition: Definition; readonly mode?: never }
  | {
    readonly mode: FanMode
    readonly branches: ReadonlyArray<ReadonlyArray<Plan>>
    readonly switching?: Switching | undefined
  }

/** Puts what service classes stand for in their places, with the services that it was built with. */
export const resolve = (element: Element, services?: Context.Context<never>): Effect.Effect<Element> => {
  if (Context.isKey(element)) {
    return Effect.flatMap(element as unknown as Effect.Effect<Any | Pipeline<any>>, (it) => resolve(it, services))
  }
  const own = element.services ?? services
  if (!("elements" in element)) return Effect.succeed(own === undefined ? element : { ...element, services: own })
  return Effect.map(
    Effect.forEach(element.elements, (inner) => resolve(inner, own)),
    (elements) => ({ ...element, elements })
  )
}

/** Does it mean the same in any context? */
const isStatic = (element: Element): boolean =>
  !Context.isKey(element) && (!("elements" in element) || element.elements.every(isStatic))

/** Services that come from Effect itself belong to the task's own context, everything else to the service's layer. */
const own = (key: string): boolean =>
  !key.startsWith("effect/") && !key.startsWith("~effect/") && key !== Scope.Scope.key

interface Compiled {
  readonly plans: ReadonlyArray<Plan>
  /** What the services that its processors were built with add to those of the task. */
  readonly services: ReadonlyMap<string, unknown>
}

/** What static pipelines come to: a server starts the same one again and again. */
const known = new WeakMap<Element, Compiled>()

/** Checks a pipeline and brings it into the form that the kernel wires. */
export const compile = Effect.fnUntraced(function*(pipeline: Element) {
  const element = Context.isKey(pipeline)
    ? yield* (pipeline as unknown as Effect.Effect<Any | Pipeline<any>>)
    : pipeline
  let compiled = known.get(element)
  if (compiled === undefined) {
    const resolved = yield* resolve(element)
    compiled = yield* checked(() => new Compiler().compile(resolved))
    if (isStatic(element)) known.set(element, compiled)
  }
  const context = yield* Effect.context<never>()
  if (compiled.services.size === 0) return { plans: compiled.plans, services: context }
  const services = new Map(context.mapUnsafe)
  for (const [key, value] of compiled.services) services.set(key, value)
  return { plans: compiled.plans, services: Context.makeUnsafe<never>(services) }
})

class Compiler {
  private readonly services = new Map<string, unknown>()
  private readonly seen = new Map<unknown, string>()
  private readonly names = new Map<string, number>()

  compile(element: Element): Compiled {
    return { plans: this.serial(element, "processors"), services: this.services }
  }

  /** `service`: what a switcher calls it. */
  private serial(element: Element, path: string, service?: string): ReadonlyArray<Plan> {
    if (!("elements" in element)) return [{ definition: this.processor(element as Any, path, service) }]
    const { elements, mode, switching: description } = element as Pipeline<any> & { switching?: Description }
    if (elements.length === 0) {
      const [what, least] = mode === undefined ? ["processor", "processor"] : ["branch", "branch"]
      throw invalid(path, `no ${what}`, `at least one ${least}`)
    }
    const called = description?.names ?? []
    for (const name of called) {
      const found = /^\d+$/.test(name) ? "a number" : this.names.has(name) ? "the name of another processor" : undefined
      if (found !== undefined) throw invalid(`${path}.${name}`, found, "a name of its own for a service")
      this.names.set(name, 1)
    }
    const switching = description === undefined
      ? undefined
      : { ...description, definition: definitionOf(this.unique(description.name)) }
    const parts = elements.map((inner, index) => this.serial(inner, `${path}[${index}]`, called[index]))
    return mode === undefined ? parts.flat() : [{ mode, branches: parts, switching }]
  }

  private unique(name: string): string {
    const count = (this.names.get(name) ?? 0) + 1
    this.names.set(name, count)
    return count === 1 ? name : `${name}-${count}`
  }

  private processor(
    { behaviour, mode, name, options, services }: Any,
    path: string,
    service: string | undefined
  ): Definition {
    const field = `${path} (${name})`
    const twin = this.seen.get(behaviour)
    if (twin !== undefined) {
      throw invalid(field, `the same processor as ${twin}`, "a processor that is not in this pipeline yet")
    }
    this.seen.set(behaviour, path)
    checkCapacity(`${field}.capacity`, options.capacity)
    checkCapacity(`${field}.upstreamMailbox.capacity`, options.upstreamMailbox?.capacity)
    for (const [key, value] of services?.mapUnsafe ?? []) {
      if (!own(key)) continue
      if (this.services.has(key) && this.services.get(key) !== value) {
        throw invalid(
          `${field}.services`,
          `two implementations of ${key}`,
          "one implementation for the whole pipeline"
        )
      }
      this.services.set(key, value)
    }
    const { onError } = options
    return {
      name: service ?? this.unique(name),
      kind: mode,
      behaviour,
      queued: options.capacity === undefined
        ? undefined
        : { capacity: options.capacity, strategy: options.strategy ?? "suspend" },
      upstream: options.upstreamMailbox ?? unbounded,
      keeps: new Set(options.keeps?.map(({ tag }) => tag)),
      onError: onError === undefined ? defaultPolicy : typeof onError === "string" ? () => onError : onError
    }
  }
}
