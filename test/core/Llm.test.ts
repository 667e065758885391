import * as Frame from "@apipeline/core/Frame"
import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pipeline from "@apipeline/core/Pipeline"
import type * as PipelineTask from "@apipeline/core/PipelineTask"
import * as ServiceSwitcher from "@apipeline/core/ServiceSwitcher"
import { act, interrupt, run, sleep, type Step } from "@apipeline/core/testing"
import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, ExecutionPlan, Layer, Schedule } from "effect"
import { AiError, LanguageModel, Model } from "effect/ai"
import { bot, lines, user } from "../utils/conversation.ts"

const { deepStrictEqual, include, strictEqual } = assert

const ask = (content: string, skipTts?: boolean) =>
  Voice.LlmContextFrame.make({ messages: [user(content)], ...skipTts !== undefined && { skipTts } })

const listen = <E>(
  script: ReadonlyArray<FakeLanguageModel.Exchange>,
  steps: Iterable<Step<E>>,
  options: Llm.Options = {},
  task: PipelineTask.Options = {}
) =>
  Effect.gen(function*() {
    const fake = yield* FakeLanguageModel.make(script)
    const result = yield* Effect.provide(run(Llm.make(options), steps, task), fake.layer)
    return { ...result, seen: lines(result.down), seenUp: lines(result.up), fake }
  })

describe("an answer", () => {
  it.effect("comes token by token, as it comes", () =>
    Effect.gen(function*() {
      const { fake, seen } = yield* listen(
        [{ messages: [user("hi")], tools: [], reply: ["Hel", { delay: "1 second" }, "lo", " there."] }],
        [ask("hi"), sleep("1 second")]
      )
      deepStrictEqual(seen, ["start", `"Hel"`, `"lo"`, `" there."`, "end"])
      deepStrictEqual(fake.requests().map(({ outcome }) => outcome), ["completed"])
    }))

  it.effect("is to be read when that was asked for", () =>
    Effect.gen(function*() {
      const { seen } = yield* listen([{ reply: ["a"] }, { reply: ["b"] }], [ask("x", true), ask("y")])
      deepStrictEqual(seen, ["start (read)", `"a"`, "end", "start", `"b"`, "end"])
    }))

  it.effect("comes after instructions, in either direction, one after the other", () =>
    Effect.gen(function*() {
      const { seen, up } = yield* listen(
        [
          { messages: [{ role: "system", content: "Be brief." }, user("a")], reply: ["A", { delay: 1000 }, "a"] },
          { last: "b", reply: ["B"] }
        ],
        [ask("a"), { step: "upstream", frame: ask("b") }, sleep("2 seconds")],
        { system: "Be brief." }
      )
      deepStrictEqual(seen, ["start", `"A"`, `"a"`, "end", "start", `"B"`, "end"])
      deepStrictEqual(lines(up), [])
    }))

  it.effect("an interruption aborts the request, and nothing of it comes any more", () =>
    Effect.gen(function*() {
      const { fake, seen } = yield* listen(
        [{ reply: ["One ", { delay: "1 second" }, "two."] }, { last: "again", reply: ["Yes."] }],
        [ask("count"), sleep("500 millis"), interrupt, sleep("5 seconds"), ask("again")]
      )
      deepStrictEqual(seen, ["start", `"One "`, "interruption", "end", "start", `"Yes."`, "end"])
      deepStrictEqual(fake.requests().map(({ outcome }) => outcome), ["interrupted", "completed"])
    }))

  it.effect("what waits is not asked after an interruption", () =>
    Effect.gen(function*() {
      const { fake } = yield* listen(
        [{ last: "a", reply: [{ stall: true }] }],
        [ask("a"), ask("b"), sleep("1 second"), interrupt, sleep("1 second")]
      )
      strictEqual(fake.requests().length, 1)
    }))

  it.effect("reports the time to the first token, the time it took, and tokens", () =>
    Effect.gen(function*() {
      const { down } = yield* listen(
        [{
          reply: [{ delay: 300 }, { think: "hm" }, { delay: 200 }, "a", { delay: 500 }, "b"],
          usage: { inputTokens: { total: 30, cacheRead: 20 }, outputTokens: { total: 7, reasoning: 4 } }
        }],
        [ask("hi"), sleep("1 second")],
        { model: "small" },
        { enableMetrics: true, enableUsageMetrics: true }
      )
      const metrics = down.flatMap((frame) => Frame.MetricsFrame.is(frame) ? frame.data : [])
      deepStrictEqual(metrics.filter(({ processor }) => processor === "Llm").slice(2), [
        { _tag: "Ttfb", processor: "Llm", model: "small", milliseconds: 300 },
        { _tag: "Ttfat", processor: "Llm", model: "small", milliseconds: 500, thinking: 200 },
        {
          _tag: "TokenUsage",
          processor: "Llm",
          model: "small",
          promptTokens: 30,
          completionTokens: 7,
          totalTokens: 37,
          cachedTokens: 20,
          reasoningTokens: 4
        },
        { _tag: "Processing", processor: "Llm", model: "small", milliseconds: 1000 }
      ])
    }))
})

it.effect("time to the first token of an answer: no thinking where that comes first, and none of what was cut", () =>
  Effect.gen(function*() {
    const { down } = yield* listen(
      [
        { reply: [{ delay: 100 }, "a", { delay: 100 }, "b"] },
        { reply: [{ delay: 100 }, { think: "hm" }, { delay: 1000 }, "c"] },
        { reply: [{ delay: 50 }, "d"] }
      ],
      [ask("x"), sleep("1 second"), ask("y"), sleep("500 millis"), interrupt, ask("z"), sleep("1 second")],
      {},
      { enableMetrics: true }
    )
    const metrics = down.flatMap((frame) => Frame.MetricsFrame.is(frame) ? frame.data : [])
    deepStrictEqual(metrics.filter(({ _tag }) => _tag === "Ttfat"), [
      { _tag: "Ttfat", processor: "Llm", milliseconds: 100 },
      { _tag: "Ttfat", processor: "Llm", milliseconds: 50 }
    ])
  }))

const down = new AiError.InternalProviderError({ description: "overloaded" })
const denied = new AiError.AuthenticationError({ kind: "InvalidKey" })

const errorOf = (failure: PipelineTask.Failure<unknown>): Llm.LlmError =>
  (failure.cause.reasons[0] as unknown as { readonly error: Llm.LlmError }).error

describe("failures", () => {
  it.effect("before the first token, the request is made again: after 250 and 500 ms", () =>
    Effect.gen(function*() {
      const { fake, seen, seenUp } = yield* listen(
        [{ reply: [{ fail: down }] }, { reply: [{ fail: down }] }, { last: "hi", reply: ["Hello."] }],
        [ask("hi"), sleep("1 second")]
      )
      deepStrictEqual(seen, ["start", `"Hello."`, "end"])
      deepStrictEqual(seenUp, [])
      deepStrictEqual(fake.requests().map(({ at }) => at), [0, 250, 750])
    }))

  it.effect("a provider that says when is asked then, unless that is too late", () =>
    Effect.gen(function*() {
      const busy = (seconds: number) => ({
        reply: [{ fail: new AiError.RateLimitError({ retryAfter: Duration.seconds(seconds) }) }]
      })
      const { fake, seen, seenUp } = yield* listen(
        [busy(3), busy(0), { reply: ["Hello."] }, busy(16), { last: "bye", reply: ["Bye."] }],
        [ask("hi"), sleep("4 seconds"), ask("you?"), ask("bye")]
      )
      deepStrictEqual(fake.requests().map(({ at }) => at), [0, 3000, 3500, 4000, 4000])
      deepStrictEqual(seen, ["start", `"Hello."`, "end", "start", "end", "start", `"Bye."`, "end"])
      strictEqual(seenUp.length, 1)
    }))

  it.effect("after that it is reported, the answer has an end, and the next request is answered", () =>
    Effect.gen(function*() {
      const { failures, seen, seenUp } = yield* listen(
        [{ reply: [{ fail: down }] }, { reply: [{ fail: down }] }, { reply: ["Hello."] }],
        [ask("hi"), sleep("1 second"), ask("hi")],
        { retry: Schedule.recurs(1) }
      )
      deepStrictEqual(seen, ["start", "end", "start", `"Hello."`, "end"])
      strictEqual(seenUp.length, 1)
      include(seenUp[0], "error LanguageModel: Provider: ")
      const error = errorOf(failures[0]!)
      deepStrictEqual([error._tag, error.reason, error.isRetryable], ["LlmError", "Provider", true])
      strictEqual((error.cause as AiError.AiError).reason, down)
    }))

  it.effect("what cannot be retried is not, and what has begun is not", () =>
    Effect.gen(function*() {
      const { fake, seen, seenUp } = yield* listen(
        [{ reply: [{ fail: denied }] }, { reply: ["One ", { fail: down }] }],
        [ask("a"), sleep("1 second"), ask("b"), sleep("1 second")]
      )
      deepStrictEqual(seen, ["start", "end", "start", `"One "`, "end"])
      strictEqual(seenUp.length, 2)
      strictEqual(fake.requests().length, 2)
    }))

  const reasons: ReadonlyArray<readonly [string, ReadonlyArray<FakeLanguageModel.Step>, string, string]> = [
    ["silence from the beginning", [{ stall: true }], "LanguageModel: FirstToken: nothing for 15s", `start,end`],
    ["silence in the middle", ["a", { stall: true }], "LanguageModel: Stall: nothing for 10s", `start,"a",end`],
    ["what is no part", ["a", { part: { type: "nonsense" } }], "LanguageModel: Output: ", `start,"a",end`],
    ["a part without its fields", [{ part: { type: "text-delta" } }], "LanguageModel: Output: ", `start,end`],
    ["no part at all", [{ part: null }], "LanguageModel: Output: ", `start,end`],
    [
      "an error as a part",
      ["a", { part: { type: "error", error: "x" } }],
      "LanguageModel: Provider: x",
      `start,"a",end`
    ],
    ["a defect", [{ die: new Error("boom") }], "LanguageModel: Provider: boom", `start,end`],
    ["no finish", ["a", { cut: true }], "LanguageModel: Output: the answer has broken off", `start,"a",end`],
    ["an empty stream", [{ cut: true }], "LanguageModel: Output: the answer has broken off", `start,end`],
    ["a finish with an error", [{ finish: "error" }], "LanguageModel: Output: the provider has ended", `start,end`],
    [
      "a call that is cut off",
      [{ call: { id: "1", name: "f", params: {} } }, { finish: "length" }],
      "LanguageModel: Output: a call was cut off: length",
      "start,end"
    ]
  ]
  for (const [name, reply, message, frames] of reasons) {
    it.effect(`${name} is a typed failure, and no hang`, () =>
      Effect.gen(function*() {
        const { exit, failures, seen, seenUp } = yield* listen([{ reply }], [ask("a"), sleep("1 minute")], {
          retry: Schedule.recurs(0)
        })
        strictEqual(seen.join(), frames)
        strictEqual(seenUp.length, 1)
        include(seenUp[0], `error ${message}`)
        strictEqual(errorOf(failures[0]!)._tag, "LlmError")
        strictEqual(exit._tag, "Success")
      }))
  }

  it.effect("messages that are none are a failure of the conversation, which no retry and no other model helps", () =>
    Effect.gen(function*() {
      const { seen, seenUp } = yield* listen([], [
        Voice.LlmContextFrame.make({ messages: [{ role: "tool", content: [{ type: "tool-result" }] }] })
      ])
      deepStrictEqual(seen, ["start", "end"])
      include(seenUp[0], "error LanguageModel: Prompt: ")
    }))

  it.effect("an apology can be said", () =>
    Effect.gen(function*() {
      const { seen } = yield* listen([{ reply: [{ fail: denied }] }], [ask("a")], {
        onError: (error, { pushDownstream }) =>
          pushDownstream(Voice.LlmTextFrame.make({ text: `Sorry (${error.reason}).` }))
      })
      deepStrictEqual(seen, ["start", "end", `"Sorry (Provider)."`])
    }))

  it.effect("nothing has failed where each token comes in time, however long the answer", () =>
    Effect.gen(function*() {
      const { seen } = yield* listen(
        [{ reply: Array.from({ length: 10 }, () => [{ delay: "9 seconds" } as const, "x"]).flat() }],
        [ask("a"), sleep("2 minutes")],
        { timeout: { firstToken: "9001 millis", stall: "9001 millis" } }
      )
      deepStrictEqual(seen, ["start", ...Array.from({ length: 10 }, () => `"x"`), "end"])
    }))

  it.effect("an interruption ends a retry that waits", () =>
    Effect.gen(function*() {
      const { fake, seenUp } = yield* listen(
        [{ reply: [{ fail: down }] }],
        [ask("hi"), sleep("100 millis"), interrupt, sleep("10 seconds")]
      )
      strictEqual(fake.requests().length, 1)
      deepStrictEqual(seenUp.filter((line) => line !== "interruption"), [])
    }))
})

describe("failover", () => {
  const twoModels = (first: FakeLanguageModel.Exchange, second: ReadonlyArray<FakeLanguageModel.Exchange>) =>
    Effect.gen(function*() {
      const a = yield* FakeLanguageModel.make([first])
      const b = yield* FakeLanguageModel.make(second)
      return ExecutionPlan.make({ provide: Model.make("a", "a-1", a.layer) }, {
        provide: Model.make("b", "b-1", b.layer)
      })
    })

  const before: Readonly<Record<string, FakeLanguageModel.Exchange>> = {
    "that fails": { last: "hi", reply: [{ fail: denied }] },
    "that is silent": { last: "hi", reply: [{ stall: true }] },
    "that sends garbage": { last: "hi", reply: [{ part: 1 }] }
  }
  for (const [name, first] of Object.entries(before)) {
    it.effect(`a model ${name} before the first token is replaced, for the same request`, () =>
      Effect.gen(function*() {
        const plan = yield* twoModels(first, [{ messages: [user("hi")], reply: ["Hello."] }])
        const { down, up } = yield* run(Llm.make({ plan }), [ask("hi"), sleep("1 minute")])
        deepStrictEqual(lines(down), ["start", `"Hello."`, "end"])
        deepStrictEqual(lines(up), [])
      }))
  }

  it.effect("each model of the plan is made once, when it is needed, and lives as long as the processor", () =>
    Effect.gen(function*() {
      const events: Array<string> = []
      const told = (name: string, fake: FakeLanguageModel.FakeLanguageModel, fails = 0) =>
        Layer.effect(
          LanguageModel.LanguageModel,
          Effect.acquireRelease(
            Effect.suspend(() => {
              events.push(`make ${name}`)
              return fails-- > 0 ? Effect.fail(new Error("no connection")) : Effect.succeed(fake.service)
            }),
            () => Effect.sync(() => events.push(`release ${name}`))
          )
        )
      const a = yield* FakeLanguageModel.make([
        { last: "2", reply: [{ fail: denied }] },
        { last: "3", reply: ["A"] }
      ])
      const b = yield* FakeLanguageModel.make([{ last: "1", reply: ["B"] }, { last: "2", reply: ["B"] }])
      const plan = ExecutionPlan.make({ provide: told("a", a, 1) }, { provide: told("b", b) })
      const done = act(() => Effect.sync(() => events.push("done")))
      const { down: frames } = yield* run(Llm.make({ plan }), [
        ...["1", "2", "3"].flatMap((text) => [ask(text), sleep("1 second")]),
        done
      ])
      deepStrictEqual(lines(frames).filter((line) => line.startsWith(`"`)), [`"B"`, `"B"`, `"A"`])
      deepStrictEqual(events.slice(0, 4), ["make a", "make b", "make a", "done"])
      deepStrictEqual(events.slice(4).toSorted(), ["release a", "release b"])
    }))

  it.effect("one that fails later has said something: its answer ends, and the failure names it", () =>
    Effect.gen(function*() {
      const plan = yield* twoModels({ reply: ["One ", { fail: down }] }, [])
      const { down: frames, up } = yield* run(Llm.make({ plan }), [ask("hi"), sleep("1 second")])
      deepStrictEqual(lines(frames), ["start", `"One "`, "end"])
      include(lines(up)[0], "error a: Provider: ")
    }))

  it.effect("a switcher replaces a processor, and the turn is not lost", () =>
    Effect.gen(function*() {
      const a = yield* FakeLanguageModel.make([{ last: "hi", reply: [{ fail: denied }] }])
      const b = yield* FakeLanguageModel.make([{ last: "hi", reply: ["Hello."] }])
      const context = yield* LlmContext.make()
      const second = Llm.make({ name: "second", plan: ExecutionPlan.make({ provide: b.layer }) })
      const switcher = ServiceSwitcher.make({ first: Llm.make({ name: "first" }), second }, {
        strategy: ServiceSwitcher.failover,
        onServiceSwitched: () => context.run
      })
      const { down: frames, up } = yield* run(Pipeline.make(context.user, switcher, context.assistant), [
        Voice.LlmMessagesAppendFrame.make({ messages: [user("hi")], runLlm: true }),
        sleep("1 second")
      ]).pipe(Effect.provide(a.layer))
      deepStrictEqual(lines(frames).filter((line) => line.startsWith(`"`)), [`"Hello."`])
      deepStrictEqual(lines(up), [])
      deepStrictEqual(yield* context.messages, [user("hi"), bot("Hello.")])
    }))
})
