import * as ContextSummarizer from "@apipeline/core/ContextSummarizer"
import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import type * as Processor from "@apipeline/core/Processor"
import { Context, Effect, ExecutionPlan, type Layer, Schema } from "effect"
import { type LanguageModel, Tool, Toolkit } from "effect/ai"
import { describe, expect, test } from "tstyche"

class City extends Context.Service<City, string>()("test/City") {}

const Weather = Tool.make("weather", { success: Schema.String, dependencies: [City, Llm.ToolContext] })
const Door = Tool.make("door", { success: Schema.Boolean })
const toolkit = Toolkit.make(Weather, Door)

describe("Llm", () => {
  test("needs a model", () => {
    expect(Llm.make()).type.toBe<Processor.Processor<Llm.LlmError, LanguageModel.LanguageModel>>()
  })

  test("needs the handlers of its tools and what they need, but for their context", () => {
    expect(Llm.make({ toolkit })).type.toBe<
      Processor.Processor<
        Llm.LlmError,
        LanguageModel.LanguageModel | City | Tool.Handler<"weather"> | Tool.Handler<"door">
      >
    >()
  })

  test("needs no handler of what the client runs", () => {
    expect(Llm.make({ toolkit, tools: { door: { run: "client" }, weather: { background: true } } })).type.toBe<
      Processor.Processor<Llm.LlmError, LanguageModel.LanguageModel | City | Tool.Handler<"weather">>
    >()
  })

  test("tools are those of the toolkit", () => {
    expect(Llm.make).type.not.toBeCallableWith({ toolkit, tools: { window: {} } })
    expect(Llm.make).type.not.toBeCallableWith({ toolkit, tools: { door: { run: "there" } } })
  })

  test("a plan is a model", () => {
    const layer = null as unknown as Layer.Layer<LanguageModel.LanguageModel, never, City>
    const plan = ExecutionPlan.make({ provide: layer }, { provide: layer })
    expect(Llm.make({ plan })).type.toBe<Processor.Processor<Llm.LlmError, City>>()
  })

  test("needs what is done about a failure", () => {
    expect(Llm.make({ onError: () => Effect.asVoid(City) })).type.toBe<
      Processor.Processor<Llm.LlmError, LanguageModel.LanguageModel | City>
    >()
  })
})

describe("LlmContext", () => {
  test("needs nothing", () => {
    expect(LlmContext.make()).type.toBe<Effect.Effect<LlmContext.LlmContext>>()
  })
})

describe("ContextSummarizer", () => {
  const context = null as unknown as LlmContext.LlmContext

  test("needs a model, unless it has its own", () => {
    expect(ContextSummarizer.make(context)).type.toBe<
      Processor.Processor<ContextSummarizer.SummaryError, LanguageModel.LanguageModel>
    >()
    const model = null as unknown as Layer.Layer<LanguageModel.LanguageModel, never, City>
    expect(ContextSummarizer.make(context, { model })).type.toBe<
      Processor.Processor<ContextSummarizer.SummaryError, City>
    >()
  })
})
