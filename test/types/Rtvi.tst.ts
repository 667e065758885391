import type * as Processor from "@apipeline/core/Processor"
import * as Rtvi from "@apipeline/core/Rtvi"
import * as RtviFrames from "@apipeline/core/RtviFrames"
import * as RtviMessage from "@apipeline/core/RtviMessage"
import { Context, Effect } from "effect"
import { describe, expect, test } from "tstyche"

class City extends Context.Service<City, string>()("test/City") {}
class Model extends Context.Service<Model, number>()("test/Model") {}

describe("Rtvi", () => {
  test("needs the services of its handlers", () => {
    const rtvi = Rtvi.make({
      onClientReady: () => Model.useSync((n) => n),
      onClientMessage: ({ d, id, t }) => {
        expect(d).type.toBe<unknown>()
        expect(id).type.toBe<string>()
        return t === "" ? Effect.fail(t) : City.useSync((city) => city)
      }
    })
    expect(rtvi).type.toBe<Effect.Effect<Rtvi.Rtvi<City | Model>>>()
    expect<Rtvi.Rtvi<City>["processor"]>().type.toBe<Processor.Processor<Rtvi.RtviError, City>>()
    expect(Rtvi.make()).type.toBe<Effect.Effect<Rtvi.Rtvi>>()
  })

  test("levels are levels", () => {
    expect(Rtvi.make).type.not.toBeCallableWith({ functionCalls: { f: "all" } })
    expect(Rtvi.make).type.not.toBeCallableWith({ messages: { "bot-ouput": false } })
  })
})

describe("RtviMessage", () => {
  test("a message has the data of its type, and an id where it answers", () => {
    expect(RtviMessage.server("bot-llm-text", { text: "a" })).type.toBe<RtviMessage.Server<"bot-llm-text">>()
    expect(RtviMessage.server("bot-ready", { version: "2.1.0" }, "1").id).type.toBe<string>()
    expect(RtviMessage.server("bot-llm-started")).type.toBeAssignableTo<RtviMessage.Server>()
    expect(RtviMessage.server).type.not.toBeCallableWith("bot-ready", { version: "2.1.0" })
    expect(RtviMessage.server).type.not.toBeCallableWith("bot-llm-text", { txt: "a" })
    expect(RtviMessage.server).type.not.toBeCallableWith("bot-llm-text")
    expect(RtviMessage.server).type.not.toBeCallableWith("dtmf", {})
    expect(RtviFrames.RtviServerMessageFrame.make).type.not.toBeCallableWith({ message: { hello: "there" } })
  })
})
