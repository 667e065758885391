import * as LanguageModelContract from "@apipeline/core/testing/LanguageModelContract"
import { describe, it } from "@effect/vitest"

/** Runs every check that applies: in virtual time, or with what is real. */
export const languageModelContract = (
  name: string,
  subject: LanguageModelContract.Subject,
  options: { readonly time: "virtual" | "real" }
): void => {
  const test = options.time === "virtual" ? it.effect : it.live
  describe(`${name}: contract`, () => {
    for (const check of LanguageModelContract.checks) {
      if (check.applies(subject)) test(check.name, () => check.run(subject))
    }
  })
}
