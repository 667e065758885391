import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import type { Element, Pipeline } from "../Pipeline.ts"
import * as PipelineError from "../PipelineError.ts"
import type { Any, ErrorPolicy } from "../Processor.ts"
import type { Definition } from "./node.ts"

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

/** The processors of a pipeline in order, with the services that those of service classes were built with. */
export const flatten = (
  element: Element
): Effect.Effect<ReadonlyArray<{ readonly processor: Any; readonly services: Context.Context<never> | undefined }>> => {
  if (Context.isKey(element)) return Effect.flatMap(element as unknown as Effect.Effect<Any | Pipeline<any>>, flatten)
  if ("elements" in element) {
    return Effect.map(
      Effect.forEach(element.elements, flatten),
      (lists) => lists.flat().map(({ processor, services }) => ({ processor, services: services ?? element.services }))
    )
  }
  return Effect.succeed([{ processor: element, services: element.services }])
}

/** Services that come from Effect itself belong to the task's own context, everything else to the service's layer. */
const own = (key: string): boolean =>
  !key.startsWith("effect/") && !key.startsWith("~effect/") && key !== Scope.Scope.key

/** Checks a pipeline and brings it into the form that the kernel runs. */
export const compile = Effect.fnUntraced(function*(element: Element) {
  const parts = yield* flatten(element)
  if (parts.length === 0) return yield* invalid("pipeline", "no processor", "at least one processor")
  const services = new Map((yield* Effect.context<never>()).mapUnsafe)
  const merged = new Map<string, unknown>()
  const seen = new Map<Any, number>()
  const names = new Map<string, number>()
  const definitions: Array<Definition> = []
  for (const [index, part] of parts.entries()) {
    const { name, options } = part.processor
    const field = `processors[${index}] (${name})`
    const twin = seen.get(part.processor)
    if (twin !== undefined) {
      return yield* invalid(
        field,
        `the same processor as processors[${twin}]`,
        "a processor that is not in this pipeline yet"
      )
    }
    seen.set(part.processor, index)
    if (options.capacity !== undefined) yield* checkCapacity(`${field}.capacity`, options.capacity)
    if (options.upstreamMailbox !== undefined) {
      yield* checkCapacity(`${field}.upstreamMailbox.capacity`, options.upstreamMailbox.capacity)
    }
    for (const [key, value] of part.services?.mapUnsafe ?? []) {
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
    const count = (names.get(name) ?? 0) + 1
    names.set(name, count)
    const { onError } = options
    definitions.push({
      name: count === 1 ? name : `${name}-${count}`,
      kind: part.processor.mode,
      behaviour: part.processor.behaviour,
      queued: options.capacity === undefined
        ? undefined
        : { capacity: options.capacity, strategy: options.strategy ?? "suspend" },
      upstream: options.upstreamMailbox ?? { capacity: Infinity, strategy: "suspend" },
      onError: onError === undefined ? defaultPolicy : typeof onError === "string" ? () => onError : onError
    })
  }
  return { definitions, services: Context.makeUnsafe<never>(services) }
})
