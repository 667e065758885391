import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Element, Pipeline } from "../Pipeline.ts"
import * as PipelineError from "../PipelineError.ts"
import type { Any, ErrorPolicy } from "../Processor.ts"
import type { FanMode } from "./fan.ts"
import type { Definition } from "./node.ts"
import { definitionOf, type Description, type Switching } from "./switch.ts"

const invalid = (field: string, found: unknown, expected: string): PipelineError.PipelineError =>
  new PipelineError.PipelineError({
    reason: new PipelineError.InvalidPipeline({ field, found: String(found), expected })
  })

const defaultPolicy = (cause: Cause.Cause<unknown>): ErrorPolicy => Cause.hasDies(cause) ? "fatal" : "report"

/** Everything that is checked of options that a lane gets. */
export const checkCapacity = (field: string, capacity: number): Effect.Effect<void, PipelineError.PipelineError> =>
  capacity === Infinity || (Number.isInteger(capacity) && capacity > 0)
    ? Effect.void
    : Effect.fail(invalid(field, capacity, "a positive integer"))

export const checkMillis = (
  field: string,
  millis: number | undefined
): Effect.Effect<void, PipelineError.PipelineError> =>
  millis === undefined || millis > 0
    ? Effect.void
    : Effect.fail(invalid(field, `${millis} ms`, "a duration greater than zero"))

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

/** Services that come from Effect itself belong to the task's own context, everything else to the service's layer. */
const own = (key: string): boolean =>
  !key.startsWith("effect/") && !key.startsWith("~effect/") && key !== Scope.Scope.key

/** Checks a pipeline and brings it into the form that the kernel wires. */
export const compile = Effect.fnUntraced(function*(pipeline: Element) {
  const services = new Map((yield* Effect.context<never>()).mapUnsafe)
  const merged = new Map<string, unknown>()
  const seen = new Map<unknown, string>()
  const names = new Map<string, number>()

  /** `service`: what a switcher calls it. */
  const serial = (
    element: Element,
    path: string,
    service?: string
  ): Effect.Effect<ReadonlyArray<Plan>, PipelineError.PipelineError> =>
    Effect.suspend((): Effect.Effect<ReadonlyArray<Plan>, PipelineError.PipelineError> => {
      if (!("elements" in element)) {
        return Effect.map(processor(element as Any, path, service), (definition) => [{ definition }])
      }
      const { elements, mode, switching: description } = element as Pipeline<any> & { switching?: Description }
      if (elements.length === 0) {
        const [what, least] = mode === undefined ? ["processor", "processor"] : ["branch", "branch"]
        return Effect.fail(invalid(path, `no ${what}`, `at least one ${least}`))
      }
      const called = description?.names ?? []
      for (const name of called) {
        const found = /^\d+$/.test(name) ? "a number" : names.has(name) ? "the name of another processor" : undefined
        if (found !== undefined) {
          return Effect.fail(invalid(`${path}.${name}`, found, "a name of its own for a service"))
        }
        names.set(name, 1)
      }
      const switching = description === undefined
        ? undefined
        : { ...description, definition: definitionOf(unique(description.name)) }
      const parts = Effect.forEach(elements, (inner, index) => serial(inner, `${path}[${index}]`, called[index]))
      return Effect.map(
        parts,
        (lists): ReadonlyArray<Plan> => mode === undefined ? lists.flat() : [{ mode, branches: lists, switching }]
      )
    })

  const unique = (name: string): string => {
    const count = (names.get(name) ?? 0) + 1
    names.set(name, count)
    return count === 1 ? name : `${name}-${count}`
  }

  const processor = Effect.fnUntraced(
    function*({ behaviour, mode, name, options, services: given }: Any, path: string, service: string | undefined) {
      const field = `${path} (${name})`
      const twin = seen.get(behaviour)
      if (twin !== undefined) {
        return yield* invalid(field, `the same processor as ${twin}`, "a processor that is not in this pipeline yet")
      }
      seen.set(behaviour, path)
      if (options.capacity !== undefined) yield* checkCapacity(`${field}.capacity`, options.capacity)
      if (options.upstreamMailbox !== undefined) {
        yield* checkCapacity(`${field}.upstreamMailbox.capacity`, options.upstreamMailbox.capacity)
      }
      for (const [key, value] of given?.mapUnsafe ?? []) {
        if (!own(key)) continue
        if (merged.has(key) && merged.get(key) !== value) {
          return yield* invalid(
            `${field}.services`,
            `two implementations of ${key}`,
            "one implementation for the whole pipeline"
          )
        }
        merged.set(key, value)
        services.set(key, value)
      }
      const { onError } = options
      return {
        name: service ?? unique(name),
        kind: mode,
        behaviour,
        queued: options.capacity === undefined
          ? undefined
          : { capacity: options.capacity, strategy: options.strategy ?? "suspend" },
        upstream: options.upstreamMailbox ?? { capacity: Infinity, strategy: "suspend" },
        onError: onError === undefined ? defaultPolicy : typeof onError === "string" ? () => onError : onError
      } satisfies Definition
    }
  )

  const plans = yield* serial(yield* resolve(pipeline), "processors")
  return { plans, services: Context.makeUnsafe<never>(services) }
})
