import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import * as PipelineObserver from "../../PipelineObserver.ts"
import type * as Rtvi from "../../Rtvi.ts"
import type * as RtviMessage from "../../RtviMessage.ts"
import { framesOf, Report } from "./rtviReport.ts"
import type { RtviSession } from "./rtviSession.ts"

/** Tells the client what happens. */
export const make = (
  session: RtviSession,
  name: string,
  options: Rtvi.ReportOptions
): PipelineObserver.PipelineObserver => {
  const { transform } = options
  const send = (message: RtviMessage.Server): Effect.Effect<void> => {
    if (transform === undefined) return session.send(message)
    return Effect.try({ try: () => transform(message), catch: (error) => error }).pipe(
      Effect.flatMap((changed) => changed === undefined ? Effect.void : session.send(changed)),
      // What it was to hide is not sent.
      Effect.catch((error) => Effect.logError(`${name}: transform failed on ${message.type}: not sent`, error))
    )
  }
  return PipelineObserver.fromStream(
    name,
    (events) =>
      Effect.suspend(() => {
        const report = new Report(session, options)
        return Stream.runForEachArray(
          events,
          (some) => Effect.forEach(some.flatMap((event) => report.take(event)), send, { discard: true })
        )
      }),
    { capacity: options.capacity ?? 65_536, frames: framesOf(options) }
  )
}
