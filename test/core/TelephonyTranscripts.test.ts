import { Telephony } from "@apipeline/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Transcript from "../fixtures/telephony/transcript.ts"

const transcripts = [
  "twilio",
  "twilio-minimal",
  "telnyx",
  "telnyx-minimal",
  "plivo",
  "plivo-l16",
  "exotel",
  "vonage",
  "genesys",
  "genesys-stereo"
]

describe("transcripts, exactly", () => {
  for (const name of transcripts) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const outputVariables = () => ({ action: "transfer" })
        const session = yield* Telephony.make({
          dialects: [...Telephony.dialects.slice(0, -1), Telephony.genesys({ outputVariables })]
        })
        const steps = Transcript.read(name)
        const happened = yield* Transcript.replay(session, steps)
        for (const [i, step] of steps.entries()) {
          assert.strictEqual(JSON.stringify(happened[i]), JSON.stringify(step), `line ${i + 1}`)
        }
        assert.strictEqual(happened.length, steps.length)
      }))

    it(`${name}: detected`, () => {
      const messages = Transcript.read(name).flatMap((step) => step.in === undefined ? [] : [JSON.stringify(step.in)])
      const detected = Telephony.detect(messages.slice(0, 2))
      assert.strictEqual(Option.map(detected, ({ vendor }) => vendor).pipe(Option.getOrNull), name.split("-")[0])
    })
  }
})
