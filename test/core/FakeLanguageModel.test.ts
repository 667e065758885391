import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
import type * as LanguageModelContract from "@apipeline/core/testing/LanguageModelContract"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Schema, Stream } from "effect"
import { AiError, LanguageModel, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { languageModelContract } from "../utils/languageModelContract.ts"

const { deepStrictEqual, include, strictEqual } = assert

const Weather = Tool.make("weather", {
  parameters: Schema.Struct({ city: Schema.String }),
  success: Schema.Struct({ degrees: Schema.Finite })
})

const subject: LanguageModelContract.Subject = {
  open: ({ requests, what }) =>
    Effect.gen(function*() {
      const reply: Readonly<Record<typeof what, ReadonlyArray<FakeLanguageModel.Step>>> = {
        text: ["Hello ", "there."],
        tool: [{ call: { id: "", name: "weather", params: { city: "Oslo" } } }],
        slow: ["One ", { delay: "1 minute" }, "two."],
        failure: [{ fail: new AiError.RateLimitError({}) }]
      }
      const fake = yield* FakeLanguageModel.make(Array.from({ length: requests }, (_, i) => ({
        reply: what === "tool" && i === 1
          ? ["It is 4 degrees."]
          : reply[what].map((step) =>
            typeof step === "object" && "call" in step ? { call: { ...step.call, id: `call-${++calls}` } } : step
          )
      })))
      return Layer.effect(
        LanguageModel.LanguageModel,
        Effect.sync(() => {
          seen = fake
          return fake.service
        })
      )
    }),
  tool: {
    text: "How is the weather in Oslo?",
    toolkit: Toolkit.make(Weather),
    name: "weather",
    params: { city: "Oslo" },
    result: { degrees: 4 },
    answer: "4 degrees"
  },
  slow: "Count to two.",
  noticed: () => seen?.requests()[0]?.outcome === "interrupted",
  failure: { text: "Hello.", isRetryable: true },
  countsTokens: true
}
let calls = 0
let seen: FakeLanguageModel.FakeLanguageModel | undefined

languageModelContract("FakeLanguageModel", subject, { time: "virtual" })

const ask = (fake: FakeLanguageModel.FakeLanguageModel, prompt = "hi") =>
  Stream.runFold(
    fake.service.streamText({ prompt }),
    () => "",
    (all, part) => part.type === "text-delta" ? all + part.delta : all
  )

describe("FakeLanguageModel", () => {
  it.effect("remembers what it was asked", () =>
    Effect.gen(function*() {
      const fake = yield* FakeLanguageModel.make([{ last: "hi", reply: ["a", "b"] }])
      strictEqual(yield* ask(fake), "ab")
      deepStrictEqual(fake.requests(), [{
        method: "streamText",
        messages: [{ role: "user", content: "hi" }],
        tools: [],
        toolChoice: "none",
        at: 0,
        outcome: "completed"
      }])
    }))

  const violations: ReadonlyArray<
    readonly [string, ReadonlyArray<FakeLanguageModel.Exchange>, ReadonlyArray<string>, string]
  > = [
    ["an unexpected request", [], ["hi"], `request 1: found {"role":"user","content":"hi"}, expected no request`],
    ["a missing request", [{ last: "hi", reply: [] }], [], `request 1: found no request, expected "hi"`],
    [
      "another last message",
      [{ last: "ho", reply: [] }],
      ["hi"],
      `request 1: found last message "hi", expected "ho"`
    ],
    [
      "other messages",
      [{ messages: [], reply: [] }],
      ["hi"],
      `request 1: found messages [{"role":"user","content":"hi"}], expected []`
    ],
    ["other tools", [{ tools: ["a"], reply: [] }], ["hi"], `request 1: found tools [], expected ["a"]`]
  ]
  for (const [name, script, prompts, message] of violations) {
    it.effect(`${name} fails the test`, () =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Effect.scoped(Effect.gen(function*() {
          const fake = yield* FakeLanguageModel.make(script)
          for (const prompt of prompts) yield* Effect.exit(ask(fake, prompt))
        })))
        strictEqual(Exit.hasDies(exit), true)
        include(String(exit), message)
      }))
  }

  it.effect("waits in virtual time, stalls, fails, ends early, and sends garbage", () =>
    Effect.gen(function*() {
      const reason = new AiError.InternalProviderError({ description: "down" })
      const fake = yield* FakeLanguageModel.make([
        { reply: ["a", { delay: "5 seconds" }, "b"] },
        { reply: ["a", { stall: true }] },
        { reply: ["a", { fail: reason }] },
        { reply: ["a", { cut: true }] },
        { reply: [{ part: { type: "nonsense" } }] },
        { reply: [{ die: "boom" }] }
      ])
      const slow = yield* Effect.forkChild(ask(fake), { startImmediately: true })
      yield* TestClock.adjust("4999 millis")
      strictEqual(slow.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 millis")
      strictEqual(yield* Fiber.join(slow), "ab")
      const stalled = yield* Effect.forkChild(ask(fake), { startImmediately: true })
      yield* TestClock.adjust("1 day")
      strictEqual(stalled.pollUnsafe(), undefined)
      yield* Fiber.interrupt(stalled)
      strictEqual((yield* Effect.flip(ask(fake))).reason, reason)
      strictEqual(yield* ask(fake), "a")
      strictEqual((yield* Effect.flip(ask(fake))).reason._tag, "InvalidOutputError")
      strictEqual(Exit.hasDies(yield* Effect.exit(ask(fake))), true)
      deepStrictEqual(fake.requests().map(({ outcome }) => outcome), [
        "completed",
        "interrupted",
        "failed",
        "completed",
        "failed",
        "failed"
      ])
      strictEqual(fake.requests()[1]!.at, 5000)
    }))
})
