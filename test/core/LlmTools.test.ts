import * as Frame from "@apipeline/core/Frame"
import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pipeline from "@apipeline/core/Pipeline"
import { act, interrupt, leaks, run, settle, sleep, type Step } from "@apipeline/core/testing"
import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { Tool, Toolkit } from "effect/ai"
import { asks, bot, calling, lines, mouth, results, user } from "../utils/conversation.ts"

const { deepStrictEqual, include, strictEqual } = assert

const city = Schema.Struct({ city: Schema.String })
const Weather = Tool.make("weather", { parameters: city, success: Schema.Struct({ degrees: Schema.Finite }) })
const Wait = Tool.make("wait", { parameters: Schema.Struct({ seconds: Schema.Finite }), success: Schema.String })
const Say = Tool.make("say", { parameters: city, success: Schema.String, dependencies: [Llm.ToolContext] })
class NoSuchCity extends Schema.TaggedError<NoSuchCity>()("NoSuchCity", { city: Schema.String }) {
  override get message(): string {
    return `There is no ${this.city}.`
  }
}
const Strict = Tool.make("strict", { parameters: city, success: Schema.String, failure: NoSuchCity })
const Lax = Tool.make("lax", {
  parameters: city,
  success: Schema.String,
  failure: Schema.Struct({ missing: Schema.String }),
  failureMode: "return"
})
const Door = Tool.make("door", { success: Schema.Struct({ open: Schema.Boolean }) })
const toolkit = Toolkit.make(Weather, Wait, Say, Strict, Lax, Door)

const handlers = toolkit.toLayer({
  weather: ({ city }) => city === "nowhere" ? Effect.die(new Error("boom")) : Effect.succeed({ degrees: city.length }),
  wait: ({ seconds }) => Effect.as(Effect.sleep(seconds * 1000), `waited ${seconds}`),
  say: ({ city }) =>
    Llm.ToolContext.use(({ callId, push }) =>
      Effect.as(push(Frame.TextFrame.make({ text: `${callId}: ${city}` })), "said")
    ),
  strict: ({ city }) => Effect.fail(new NoSuchCity({ city })),
  lax: ({ city }) => Effect.fail({ missing: city }),
  door: () => Effect.die("the client opens it")
})

const call = (id: string, name: string, params: unknown = {}): FakeLanguageModel.Step => ({
  call: { id, name, params }
})
const wait = (id: string, seconds: number) => call(id, "wait", { seconds })

/** Everything is done that takes no time. */
const rest = act(() => Effect.repeat(settle, { times: 5 }))

/** A conversation with a bot that speaks a word every 100 ms. */
const talk = <E>(
  script: ReadonlyArray<FakeLanguageModel.Exchange>,
  steps: Iterable<Step<E>>,
  tools: { readonly [Name in keyof typeof toolkit["tools"]]?: Llm.ToolOptions } = {},
  options: Pick<Llm.Options, "maxToolRounds"> = {}
) =>
  Effect.gen(function*() {
    const fake = yield* FakeLanguageModel.make(script)
    const context = yield* LlmContext.make()
    const pipeline = Pipeline.make(context.user, Llm.make({ toolkit, tools, ...options }), mouth, context.assistant)
    const rested = Array.from(steps).flatMap((step) => [step, rest])
    const { down, up } = yield* Effect.provide(run(pipeline, rested), [fake.layer, handlers])
    const isCall = (frame: Frame.Frame) => frame._tag.startsWith("FunctionCall")
    return {
      down,
      up,
      calls: lines(down.filter(isCall)),
      callsUp: lines(up.filter(isCall)),
      heard: lines(down).filter((line) => line.startsWith(`"`)).map((line) => JSON.parse(line)).join(" "),
      messages: yield* context.messages,
      requests: fake.requests()
    }
  })

const running = "This call is still running. Its result will follow."
const cancelled = "This call was cancelled: the user interrupted."

describe("tools", () => {
  it.effect("are called, and their results are answered", () =>
    Effect.gen(function*() {
      const { calls, callsUp, heard, messages } = yield* talk([
        { last: "Oslo?", tools: Object.keys(toolkit.tools), reply: [call("c1", "weather", { city: "Oslo" })] },
        {
          messages: [
            user("Oslo?"),
            calling("", ["c1", "weather", { city: "Oslo" }]),
            results(["c1", "weather", { degrees: 4 }])
          ],
          reply: ["4 ", "degrees."]
        }
      ], [asks("Oslo?"), sleep("1 second")])
      deepStrictEqual(calls, ["calls c1", "c1: weather", `c1 = {"degrees":4}`])
      deepStrictEqual(callsUp, calls)
      strictEqual(heard, "4 degrees.")
      deepStrictEqual(messages, [
        user("Oslo?"),
        calling("", ["c1", "weather", { city: "Oslo" }]),
        results(["c1", "weather", { degrees: 4 }]),
        bot("4 degrees.")
      ])
    }))

  it.effect("run side by side, and their results are in the order of the calls", () =>
    Effect.gen(function*() {
      const { calls, messages, requests } = yield* talk([
        { reply: ["Wait.", wait("c1", 2), wait("c2", 1)] },
        { reply: ["Done."] }
      ], [asks("go"), sleep("5 seconds")])
      deepStrictEqual(calls, ["calls c1,c2", "c1: wait", "c2: wait", `c2 = "waited 1"`, `c1 = "waited 2"`])
      deepStrictEqual(requests.map(({ at }) => at), [0, 2000])
      deepStrictEqual(messages, [
        user("go"),
        calling("Wait.", ["c1", "wait", { seconds: 2 }], ["c2", "wait", { seconds: 1 }]),
        results(["c1", "wait", "waited 2"], ["c2", "wait", "waited 1"]),
        bot("Done.")
      ])
    }))

  it.effect("what was said before a call is in the next request, although it has not been heard yet", () =>
    Effect.gen(function*() {
      const { messages } = yield* talk([
        { reply: ["Let me look that up.", call("c1", "weather", { city: "Oslo" })] },
        {
          messages: [
            user("Oslo?"),
            calling("Let me look that up.", ["c1", "weather", { city: "Oslo" }]),
            results(["c1", "weather", { degrees: 4 }])
          ],
          reply: ["4 degrees."]
        }
      ], [asks("Oslo?"), sleep("250 millis"), interrupt])
      // the answer to the result was cut before its first word
      deepStrictEqual(messages, [
        user("Oslo?"),
        calling("Let me look", ["c1", "weather", { city: "Oslo" }]),
        results(["c1", "weather", { degrees: 4 }])
      ])
    }))

  it.effect("what was said before a call and was cut is in no request", () =>
    Effect.gen(function*() {
      yield* talk([
        { reply: ["Let me look that up.", call("c1", "weather", { city: "Oslo" })] },
        { reply: [{ stall: true }] },
        {
          messages: [
            user("Oslo?"),
            calling("Let me look", ["c1", "weather", { city: "Oslo" }]),
            results(["c1", "weather", { degrees: 4 }]),
            user("well?")
          ],
          reply: ["4 degrees."]
        }
      ], [asks("Oslo?"), sleep("250 millis"), interrupt, asks("well?"), sleep("1 second")])
    }))

  it.effect("call tools, round by round, until they must not any more", () =>
    Effect.gen(function*() {
      const { requests } = yield* talk(
        [
          { reply: [wait("c1", 1)] },
          { reply: [wait("c2", 1)] },
          { reply: ["Enough."] }
        ],
        [asks("go"), sleep("1 second"), sleep("1 second"), sleep("1 second")],
        {},
        { maxToolRounds: 2 }
      )
      deepStrictEqual(requests.map(({ toolChoice }) => toolChoice), ["auto", "auto", "none"])
    }))

  const wrong: Readonly<Record<string, readonly [FakeLanguageModel.Step, string]>> = {
    "a typed failure": [call("c1", "strict", { city: "Oz" }), `c1 ! "There is no Oz."`],
    "a failure that is a result": [call("c1", "lax", { city: "Oz" }), `c1 ! {"missing":"Oz"}`],
    "a defect": [call("c1", "weather", { city: "nowhere" }), `c1 ! "The function has failed."`],
    "parameters that are none": [call("c1", "weather", { town: 1 }), `c1 ! "`],
    "a tool that is not there": [call("c1", "nothing"), `c1 ! "`],
    "a handler that is too slow": [wait("c1", 60), `c1 ! "The call has timed out after 30s."`]
  }
  for (const [name, [step, line]] of Object.entries(wrong)) {
    it.effect(`${name} is told to the model`, () =>
      Effect.gen(function*() {
        const { calls, heard, messages } = yield* talk([{ reply: [step] }, { reply: ["Sorry."] }], [
          asks("go"),
          sleep("2 minutes")
        ])
        strictEqual(calls.length, 3)
        include(calls[2], line)
        strictEqual(heard, "Sorry.")
        strictEqual((messages[2]!.content[0] as { readonly isFailure?: boolean }).isFailure, true)
      }))
  }

  it.effect("a handler can say something at once", () =>
    Effect.gen(function*() {
      const { down } = yield* talk([{ reply: [call("c1", "say", { city: "Oslo" })] }, { reply: ["Yes."] }], [
        asks("go"),
        sleep("1 second")
      ])
      deepStrictEqual(down.filter(Frame.TextFrame.is).map(({ text }) => text), ["c1: Oslo"])
    }))
})

describe("an interruption", () => {
  it.effect("cancels a tool", () =>
    Effect.gen(function*() {
      const { calls, callsUp, messages } = yield* talk([
        { reply: [wait("c1", 5)] },
        { last: "never mind", reply: ["Fine."] }
      ], [asks("go"), sleep("1 second"), interrupt, sleep("10 seconds"), asks("never mind"), sleep("1 second")])
      deepStrictEqual(calls, ["calls c1", "c1: wait", "c1 cancelled"])
      deepStrictEqual(callsUp, calls)
      deepStrictEqual(messages, [
        user("go"),
        calling("", ["c1", "wait", { seconds: 5 }]),
        results(["c1", "wait", cancelled, true]),
        user("never mind"),
        bot("Fine.")
      ])
    }))

  it.effect("leaves one that says so, and its result is answered when it comes", () =>
    Effect.gen(function*() {
      const { calls, messages } = yield* talk(
        [
          { reply: [wait("c1", 5)] },
          { last: "hello?", reply: ["Wait."] },
          { reply: ["Done."] }
        ],
        [asks("go"), sleep("1 second"), interrupt, asks("hello?"), sleep("10 seconds")],
        {
          wait: { cancelOnInterruption: false }
        }
      )
      deepStrictEqual(calls, ["calls c1", "c1: wait", `c1 = "waited 5"`])
      deepStrictEqual(messages, [
        user("go"),
        calling("", ["c1", "wait", { seconds: 5 }]),
        results(["c1", "wait", running]),
        user("hello?"),
        bot("Wait."),
        calling("", ["c1_2", "wait", { seconds: 5 }]),
        results(["c1_2", "wait", "waited 5"]),
        bot("Done.")
      ])
    }))

  it.effect("does not lose a result that is there, and what follows from it", () =>
    Effect.gen(function*() {
      const { heard, messages } = yield* talk([
        { reply: [call("c1", "weather", { city: "Oslo" })] },
        { reply: [{ stall: true }] },
        { reply: ["4 degrees."] }
      ], [
        asks("Oslo?"),
        sleep("1 second"),
        interrupt,
        // a cough
        Voice.UserStartedSpeakingFrame.make(),
        sleep("1 second"),
        Voice.UserStoppedSpeakingFrame.make(),
        sleep("1 second")
      ])
      strictEqual(heard, "4 degrees.")
      deepStrictEqual(messages.slice(2), [results(["c1", "weather", { degrees: 4 }]), bot("4 degrees.")])
    }))
})

describe("in the background", () => {
  const timer = { wait: { background: true } }

  it.effect("the conversation goes on, and the bot speaks up by itself", () =>
    Effect.gen(function*() {
      const { calls, messages, requests } = yield* talk([
        { last: "timer", reply: [wait("c1", 60)] },
        { reply: ["The timer ", "is set."] },
        { last: "hello?", reply: ["I am here."] },
        { reply: ["Time ", "is up."] }
      ], [
        asks("timer"),
        sleep("10 seconds"),
        interrupt,
        asks("hello?"),
        sleep("60 seconds")
      ], timer)
      deepStrictEqual(calls, ["calls c1", "c1: wait (background)", `c1 = "waited 60"`])
      deepStrictEqual(requests.map(({ at }) => at), [0, 0, 10_000, 60_000])
      deepStrictEqual(messages, [
        user("timer"),
        calling("", ["c1", "wait", { seconds: 60 }]),
        results(["c1", "wait", running]),
        bot("The timer is set."),
        user("hello?"),
        bot("I am here."),
        calling("", ["c1_2", "wait", { seconds: 60 }]),
        results(["c1_2", "wait", "waited 60"]),
        bot("Time is up.")
      ])
    }))

  it.effect("a result that comes while the user speaks waits for what they say", () =>
    Effect.gen(function*() {
      const timestamp = "2025-01-01T00:00:00.000Z"
      const { requests } = yield* talk([
        { reply: [wait("c1", 5)] },
        { reply: ["Set."] },
        { last: "what?", reply: ["Your timer."] }
      ], [
        asks("timer"),
        sleep("4 seconds"),
        Voice.UserStartedSpeakingFrame.make(),
        sleep("2 seconds"),
        Voice.TranscriptionFrame.make({ text: "what?", userId: "ann", timestamp }),
        sleep("1 second"),
        Voice.UserStoppedSpeakingFrame.make(),
        sleep("2 seconds")
      ], timer)
      deepStrictEqual(requests.map(({ at }) => at), [0, 0, 7000])
      deepStrictEqual(requests[2]!.messages.slice(4), [
        calling("", ["c1_2", "wait", { seconds: 5 }]),
        results(["c1_2", "wait", "waited 5"]),
        user("what?")
      ])
    }))

  it.effect("what still runs at the end is cancelled, and nothing is left", () =>
    Effect.gen(function*() {
      const [{ calls }, alive] = yield* leaks(Effect.scoped(talk(
        [
          { reply: [wait("c1", 60), wait("c2", 1)] },
          { reply: ["Set."] },
          { reply: ["One is up."] }
        ],
        [asks("timer"), sleep("10 seconds")],
        timer
      )))
      deepStrictEqual(calls.slice(-2), [`c2 = "waited 1"`, "c1 cancelled"])
      strictEqual(alive, 0)
    }))
})

describe("run by the client", () => {
  const client = { door: { run: "client" } } as const
  const result = (callId: string) => Voice.FunctionCallResultFrame.make({ callId, result: { open: true } })

  it.effect("its result is answered, once", () =>
    Effect.gen(function*() {
      const { calls, heard, messages } = yield* talk([{ reply: [call("c1", "door")] }, { reply: ["It is open."] }], [
        asks("open"),
        sleep("1 second"),
        result("c1"),
        sleep("1 second"),
        result("c1"),
        sleep("1 minute")
      ], client)
      deepStrictEqual(calls.slice(0, 3), ["calls c1", "c1: door", `c1 = {"open":true}`])
      strictEqual(heard, "It is open.")
      strictEqual(messages.length, 4)
    }))

  it.effect("times out, and a result that comes later is no more", () =>
    Effect.gen(function*() {
      const { calls, heard, messages } = yield* talk([{ reply: [call("c1", "door")] }, { reply: ["It is stuck."] }], [
        asks("open"),
        sleep("31 seconds"),
        result("c1"),
        sleep("1 second")
      ], client)
      deepStrictEqual(calls.slice(0, 3), ["calls c1", "c1: door", `c1 ! "The call has timed out after 30s."`])
      strictEqual(heard, "It is stuck.")
      strictEqual(messages.length, 4)
    }))

  it.effect("results of what nobody called, or of what runs here, change nothing", () =>
    Effect.gen(function*() {
      const { messages, calls } = yield* talk([{ reply: [wait("c1", 2)] }, { reply: ["Done."] }], [
        result("c0"),
        asks("go"),
        sleep("1 second"),
        result("c1"),
        sleep("2 seconds")
      ], client)
      deepStrictEqual(calls, [`c0 = {"open":true}`, "calls c1", "c1: wait", `c1 = "waited 2"`])
      deepStrictEqual(messages.slice(2), [results(["c1", "wait", "waited 2"]), bot("Done.")])
    }))
})
