import * as Frame from "@apipeline/core/Frame"
import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pipeline from "@apipeline/core/Pipeline"
import type * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as Processor from "@apipeline/core/Processor"
import * as ServiceSwitcher from "@apipeline/core/ServiceSwitcher"
import { act, interrupt, leaks, run, settle, sleep, type Step } from "@apipeline/core/testing"
import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, ExecutionPlan, Layer, Schedule, Schema } from "effect"
import { AiError, LanguageModel, Model, Tool, Toolkit } from "effect/ai"

const { deepStrictEqual, include, strictEqual } = assert

const user = (content: string): Voice.LlmMessage => ({ role: "user", content })
const bot = (content: string): Voice.LlmMessage => ({ role: "assistant", content })
const ask = (content: string, skipTts?: boolean) =>
  Voice.LlmContextFrame.make({ messages: [user(content)], ...skipTts !== undefined && { skipTts } })

/** Frames as short lines. */
const lines = (frames: ReadonlyArray<Frame.Frame>): Array<string> =>
  frames.flatMap((frame) => {
    if (Voice.LlmResponseStartFrame.is(frame)) return [frame.skipTts === true ? "start (read)" : "start"]
    if (Voice.LlmTextFrame.is(frame)) return [`"${frame.text}"`]
    if (Voice.LlmResponseEndFrame.is(frame)) return ["end"]
    if (Voice.LlmContextFrame.is(frame)) return ["context"]
    if (Voice.FunctionCallsStartedFrame.is(frame)) return [`calls ${frame.callIds.join()}`]
    if (Voice.FunctionCallInProgressFrame.is(frame)) {
      return [`${frame.callId}: ${frame.functionName}${frame.background === true ? " (background)" : ""}`]
    }
    if (Voice.FunctionCallResultFrame.is(frame)) {
      return [`${frame.callId} ${frame.isFailure === true ? "!" : "="} ${JSON.stringify(frame.result)}`]
    }
    if (Voice.FunctionCallCancelledFrame.is(frame)) return [`${frame.callId} cancelled`]
    if (Frame.ErrorFrame.is(frame)) return [`error ${(frame.error as Error).message}`]
    if (frame._tag === "StartInterruptionFrame") return ["interruption"]
    return ["StartFrame", "EndFrame", "MetricsFrame", "CancelFrame", "StopInterruptionFrame"].includes(frame._tag)
      ? []
      : [frame._tag]
  })

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
      deepStrictEqual(metrics.filter(({ processor }) => processor === "Llm").slice(-3), [
        { _tag: "Ttfb", processor: "Llm", model: "small", milliseconds: 500 },
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
void [
  act,
  leaks,
  settle,
  Deferred,
  ExecutionPlan,
  Layer,
  Schedule,
  Schema,
  AiError,
  LanguageModel,
  Model,
  Tool,
  Toolkit
]
void [LlmContext, Pipeline, ServiceSwitcher, bot, include]
export type P = Processor.Any
