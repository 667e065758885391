import * as Effect from "effect/Effect"
import { type Lane, running } from "./lane.ts"

/** What is left to do when it could not be done at once. */
export type Work = Effect.Effect<unknown> | undefined

/** What a user wrote: `(frame, push) => void` in synchronous processors, `(frame, context) => Effect` in others. */
export type UserHandler = (frame: any, context: any) => unknown

/** What a user gave as handlers, among other things: by tag, or by kind. */
export type Handlers = Readonly<Record<string, unknown>>

/** What somebody gave under this name, if it is a function. */
export const handlerIn = (handlers: Handlers | undefined, name: string): UserHandler | undefined => {
  if (handlers === undefined || !Object.hasOwn(handlers, name)) return undefined
  const handler = handlers[name]
  return typeof handler === "function" ? handler as UserHandler : undefined
}

export const asEffect = (result: unknown): Effect.Effect<unknown> =>
  Effect.isEffect(result)
    ? result as Effect.Effect<unknown>
    : Effect.die(new TypeError(`the handler of an effectful processor must return an Effect, found ${String(result)}`))

export const inLane = (lane: Lane<any> | undefined, f: () => Work): Effect.Effect<unknown> => {
  const before = running.lane
  running.lane = lane
  try {
    return f() ?? Effect.void
  } finally {
    running.lane = before
  }
}
