import * as Frame from "@apipeline/core/Frame"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import { act, interrupt, run, settle, sleep, type Step, upstream } from "@apipeline/core/testing"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"

const { deepStrictEqual, strictEqual } = assert

const timestamp = "2025-01-01T00:00:00.000Z"
const user = (content: string): Voice.LlmMessage => ({ role: "user", content })
const bot = (content: string): Voice.LlmMessage => ({ role: "assistant", content })

const S = () => Voice.UserStartedSpeakingFrame.make()
const E = () => Voice.UserStoppedSpeakingFrame.make()
const T = (text: string) => Voice.TranscriptionFrame.make({ text, userId: "ann", timestamp })
const I = (text: string) => Voice.InterimTranscriptionFrame.make({ text, userId: "ann", timestamp })

const says = (steps: ReadonlyArray<Step>, options: LlmContext.Options = {}) =>
  Effect.gen(function*() {
    const context = yield* LlmContext.make(options)
    const { down } = yield* run(context.user, steps.flatMap((step) => [step, sleep("1 millis")]))
    const requests = down.filter(Voice.LlmContextFrame.is).map(({ messages }) => messages)
    return {
      requests,
      tags: down.slice(1, -1).map(({ _tag }) => _tag.replace(/Frame$/, "")),
      messages: yield* context.messages
    }
  })

describe("what the user says", () => {
  const turns: Readonly<Record<string, readonly [ReadonlyArray<Step>, ReadonlyArray<ReadonlyArray<string>>]>> = {
    "S T E": [[S(), T("hi"), E()], [["hi"]]],
    "S E": [[S(), E()], []],
    "S E T": [[S(), E(), T("hi")], [["hi"]]],
    "S I T E": [[S(), I("h"), T("hi"), E()], [["hi"]]],
    "S T T E": [[S(), T("hi"), T("there"), E()], [["hi there"]]],
    "S T I E T": [[S(), T("hi"), I("th"), E(), T("there")], [["hi there"]]],
    "S I E I T": [[S(), I("h"), E(), I("hi"), T("hi")], [["hi"]]],
    "S T I E, and nothing more": [[S(), T("hi"), I("there"), E(), sleep("1 second")], [["hi there"]]],
    "S T E S T E": [[S(), T("a"), E(), S(), T("b"), E()], [["a"], ["a", "b"]]],
    "S T I E S T E": [[S(), T("a"), I("b"), E(), S(), T("b"), E(), sleep("2 seconds")], [["a b"]]],
    "T": [[T("DTMF: 12#")], [["DTMF: 12#"]]],
    "S T(empty) E": [[S(), T(" "), E()], []],
    "S E S T E": [[S(), E(), S(), T("hi"), E()], [["hi"]]],
    "S T E T": [[S(), T("hi"), E(), T("there")], [["hi"], ["hi", "there"]]]
  }
  for (const [name, [steps, expected]] of Object.entries(turns)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { messages, requests } = yield* says(steps)
        deepStrictEqual(requests, expected.map((texts) => texts.map(user)))
        deepStrictEqual(messages, (expected.at(-1) ?? []).map(user))
      }))
  }

  it.effect("the frames of the turn pass, transcriptions do not, and the request follows", () =>
    Effect.gen(function*() {
      const { tags } = yield* says([S(), I("h"), T("hi"), E()])
      deepStrictEqual(tags, ["UserStartedSpeaking", "UserStoppedSpeaking", "LlmContext"])
    }))
})
void [Frame, Pipeline, Processor, interrupt, settle, act, upstream, Fiber, Stream, bot, strictEqual]
