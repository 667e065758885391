import * as ContextSummarizer from "@apipeline/core/ContextSummarizer"
import * as LlmContext from "@apipeline/core/LlmContext"
import { act, interrupt, run, settle, sleep, type Step } from "@apipeline/core/testing"
import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
import type { LlmMessage } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { AiError } from "effect/ai"
import { bot, calling, lines, results, user } from "../utils/conversation.ts"

const { deepStrictEqual, include, strictEqual } = assert

const summary = (text: string) => user(`Summary of our conversation so far: ${text}`)
const system: LlmMessage = { role: "system", content: "Be brief." }
const rest = act(() => Effect.repeat(settle, { times: 3 }))

const watch = (
  script: ReadonlyArray<FakeLanguageModel.Exchange>,
  messages: ReadonlyArray<LlmMessage>,
  steps: (context: LlmContext.LlmContext) => ReadonlyArray<Step>,
  options: ContextSummarizer.Options = {}
) =>
  Effect.gen(function*() {
    const fake = yield* FakeLanguageModel.make(script)
    const context = yield* LlmContext.make({ messages })
    const { failures, up } = yield* run(
      ContextSummarizer.make(context, { maxMessages: 4, keep: 2, ...options }),
      [rest, ...steps(context).flatMap((step) => [step, rest])]
    ).pipe(Effect.provide(fake.layer))
    return { messages: yield* context.messages, requests: fake.requests(), up: lines(up), failures }
  })

const five = [user("a"), bot("b"), user("c"), bot("d"), user("e")]

describe("make", () => {
  it.effect("replaces what is old by a summary", () =>
    Effect.gen(function*() {
      const { messages, requests } = yield* watch(
        [{ method: "generateText", reply: ["They ", "talked."] }],
        five,
        () => []
      )
      deepStrictEqual(messages, [summary("They talked."), bot("d"), user("e")])
      strictEqual((requests[0]!.messages[1] as LlmMessage).content, "user: a\nassistant: b\nuser: c")
    }))

  it.effect("lets a short conversation alone, until it is too long", () =>
    Effect.gen(function*() {
      const { messages } = yield* watch([{ reply: ["S."] }], five.slice(0, 4), (context) => [
        act(() => context.append([user("f")]))
      ])
      deepStrictEqual(messages, [summary("S."), bot("d"), user("f")])
    }))

  it.effect("counts tokens, too", () =>
    Effect.gen(function*() {
      const long = [user("x".repeat(400)), bot("y".repeat(400)), user("c"), bot("d")]
      const { messages } = yield* watch([{ reply: ["S."] }], long, () => [], { maxTokens: 200 })
      deepStrictEqual(messages, [summary("S."), user("c"), bot("d")])
    }))

  const cuts: Readonly<Record<string, readonly [ReadonlyArray<LlmMessage>, ReadonlyArray<LlmMessage>]>> = {
    "instructions stay": [[system, ...five], [system, summary("S."), bot("d"), user("e")]],
    "a call stays with its result": [
      [user("a"), bot("b"), calling("", ["1", "f", {}]), results(["1", "f", "x"]), bot("d")],
      [summary("S."), calling("", ["1", "f", {}]), results(["1", "f", "x"]), bot("d")]
    ],
    "a call without a result stays, and what follows": [
      [user("a"), bot("b"), calling("", ["1", "f", {}]), user("c"), bot("d"), user("e")],
      [summary("S."), calling("", ["1", "f", {}]), user("c"), bot("d"), user("e")]
    ],
    "a call and its result are summarised together": [
      [user("a"), calling("Wait.", ["1", "f", {}]), results(["1", "f", "x", true]), bot("d"), user("e")],
      [summary("S."), bot("d"), user("e")]
    ]
  }
  for (const [name, [before, after]] of Object.entries(cuts)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const { messages } = yield* watch([{ reply: ["S."] }], before, () => [])
        deepStrictEqual(messages, after)
      }))
  }

  it.effect("does nothing where nothing can be summarised", () =>
    Effect.gen(function*() {
      const open = [calling("", ["1", "f", {}]), user("a"), bot("b"), user("c"), bot("d")]
      deepStrictEqual((yield* watch([], open, () => [])).messages, open)
    }))

  it.effect("the conversation goes on meanwhile, interruptions too", () =>
    Effect.gen(function*() {
      const { messages } = yield* watch([{ reply: [{ delay: "10 seconds" }, "S."] }], five, (context) => [
        act(() => context.append([bot("f")])),
        interrupt,
        sleep("10 seconds")
      ])
      deepStrictEqual(messages, [summary("S."), bot("d"), user("e"), bot("f")])
    }))

  it.effect("a summary of what is not there any more is dropped", () =>
    Effect.gen(function*() {
      const { messages } = yield* watch([{ reply: [{ delay: "10 seconds" }, "S."] }], five, (context) => [
        act(() => context.set([user("new")])),
        sleep("10 seconds")
      ])
      deepStrictEqual(messages, [user("new")])
    }))

  const failures: Readonly<Record<string, readonly [FakeLanguageModel.Step, string]>> = {
    "a model that fails": [{ fail: new AiError.RateLimitError({}) }, "error 3 messages could not be summarised: "],
    "a model that says nothing": [{ finish: "stop" }, "3 messages could not be summarised: the model gave no text"],
    "a model that hangs": [{ stall: true }, "3 messages could not be summarised: nothing for 1m"]
  }
  for (const [name, [step, message]] of Object.entries(failures)) {
    it.effect(`${name} leaves the conversation as it is, is reported, and tried again after a while`, () =>
      Effect.gen(function*() {
        const { messages, requests, up } = yield* watch([{ reply: [step] }, { reply: ["S."] }], five, (context) => [
          sleep("1 minute"),
          act(() => context.append([bot("f")])),
          sleep("30 seconds"),
          act(() => context.append([user("g")]))
        ])
        strictEqual(up.length, 1)
        include(up[0], message)
        strictEqual(requests.length, 2)
        strictEqual(messages[0]!.content, "Summary of our conversation so far: S.")
      }))
  }

  it.effect("another model can do it", () =>
    Effect.gen(function*() {
      const fake = yield* FakeLanguageModel.make([{ reply: ["S."] }])
      const context = yield* LlmContext.make({ messages: five })
      yield* run(ContextSummarizer.make(context, { maxMessages: 4, keep: 2, model: fake.layer }), [rest])
      deepStrictEqual(yield* context.messages, [summary("S."), bot("d"), user("e")])
    }))
})
