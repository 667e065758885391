import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Processor from "../../Processor.ts"
import type { ServiceSettingsFrame } from "../../ServiceSwitcher.ts"
import { violation } from "../wire/schemaIssue.ts"

/**
 * A handler of settings for a service of that name: what it knows of them is applied, what cannot be understood is reported.
 * The frame goes on.
 */
export const settingsHandler = <A>(
  schema: Schema.Codec<A, unknown>,
  name: (context: Processor.ProcessorContext) => string,
  apply: (settings: A, context: Processor.ProcessorContext) => Effect.Effect<void>,
  failure: (cause: Error) => unknown
) => {
  const decode = Schema.decodeUnknownResult(schema)
  return (frame: ServiceSettingsFrame, context: Processor.ProcessorContext): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (frame.service !== undefined && frame.service !== name(context)) return context.push(frame)
      const settings = decode(frame.settings)
      if (Result.isSuccess(settings)) return Effect.andThen(apply(settings.success, context), context.push(frame))
      const { expected, field, found } = violation(settings.failure.issue, frame.settings)
      const cause = new Error(`${field}: found ${found}, expected ${expected}`)
      return Effect.andThen(context.report(failure(cause)), context.push(frame))
    })
}
