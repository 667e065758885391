import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as Rtvi from "@apipeline/core/Rtvi"
import * as RtviFrames from "@apipeline/core/RtviFrames"
import * as RtviMessage from "@apipeline/core/RtviMessage"
import { act, leaks, run, settle } from "@apipeline/core/testing"
import * as Transport from "@apipeline/core/Transport"
import {
  InputTransportMessageFrame,
  OutputAudioEndFrame,
  OutputTransportMessageUrgentFrame,
  toDestination
} from "@apipeline/core/TransportFrames"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import { Effect, Result, Stream } from "effect"
import { TestClock } from "effect/testing"

type Step = Frame.Frame | number | "interrupt" | ((told: Array<unknown>) => void)

/** What the client is told while the script runs: type and data, and milliseconds where time passes. */
const watch = (
  script: ReadonlyArray<Step>,
  options: Rtvi.Options & {
    readonly pipeline?: (
      rtvi: Processor.Processor<Rtvi.RtviError>,
      output: Processor.Processor
    ) => Pipeline.Element<Rtvi.RtviError | Error | { readonly _tag: string }>
    readonly task?: PipelineTask.Options
    readonly version?: string
  } = {}
) =>
  Effect.gen(function*() {
    const told: Array<unknown> = []
    const output = Processor.sync("TransportOutput", {
      OutputTransportMessageUrgentFrame: ({ message }) => {
        assert(Result.isSuccess(RtviMessage.decodeServer(message)), JSON.stringify(message))
        const { data, type } = message as RtviMessage.Server
        if (type !== "bot-ready") told.push(data === undefined ? type : [type, data])
      }
    }, { frames: [OutputTransportMessageUrgentFrame] })
    const rtvi = yield* Rtvi.make(options)
    const pipeline = options.pipeline ?? ((rtvi, output) => Pipeline.make(rtvi, output))
    const task = yield* PipelineTask.make(pipeline(rtvi.processor, output), {
      ...options.task,
      observers: [rtvi.observer]
    })
    yield* task.start
    const ready = (version: string) => ({ label: "rtvi-ai", type: "client-ready", id: "1", data: { version } })
    yield* task.queueFrame(InputTransportMessageFrame.make({ message: ready(options.version ?? "2.1.0") }))
    for (const step of script) {
      if (step === "interrupt") yield* task.interrupt
      else if (typeof step === "number") yield* TestClock.adjust(step)
      else if (typeof step === "function") step(told)
      else yield* task.queueFrame(step)
      yield* settle
    }
    yield* task.stopWhenDone
    yield* Effect.exit(task.run)
    return told
  }).pipe(Effect.scoped)

const at = "2025-01-01T00:00:00.000Z"
const userStarts = () => Voice.UserStartedSpeakingFrame.make()
const userStops = () => Voice.UserStoppedSpeakingFrame.make()
const botStarts = () => Voice.BotStartedSpeakingFrame.make()
const botStops = () => Voice.BotStoppedSpeakingFrame.make()
const interim = (text: string) => Voice.InterimTranscriptionFrame.make({ text, userId: "ann", timestamp: at })
const final = (text: string) => Voice.TranscriptionFrame.make({ text, userId: "ann", timestamp: at })
const context = (...messages: ReadonlyArray<Voice.LlmMessage>) => Voice.LlmContextFrame.make({ messages })
const llmStarts = () => Voice.LlmResponseStartFrame.make()
const llmStops = () => Voice.LlmResponseEndFrame.make()
const token = (text: string) => Voice.LlmTextFrame.make({ text })
const ttsStarts = () => Voice.TtsStartedFrame.make()
const ttsStops = () => Voice.TtsStoppedFrame.make()
const segment = (segmentId: number, text: string, willBeSpoken = true, aggregatedBy = "sentence") =>
  Voice.AggregatedTextFrame.make({ text, aggregatedBy, willBeSpoken, segmentId })
const word = (text: string, segmentId?: number) =>
  Voice.TtsTextFrame.make({ text, ...segmentId !== undefined && { segmentId } })
const progress = (segmentId: number, accumulatedText: string, remainingText: string) =>
  Voice.AggregatedTextProgressFrame.make({ segmentId, accumulatedText, remainingText })
const calls = (...all: ReadonlyArray<readonly [id: string, name: string]>) =>
  Voice.FunctionCallsStartedFrame.make({ callIds: all.map(([id]) => id), functionNames: all.map(([, name]) => name) })
const inProgress = (callId: string, functionName: string, args: unknown) =>
  Voice.FunctionCallInProgressFrame.make({ callId, functionName, arguments: args })
const result = (callId: string, result: unknown) => Voice.FunctionCallResultFrame.make({ callId, result })
const cancelled = (callId: string) => Voice.FunctionCallCancelledFrame.make({ callId })

/** `bot-output` of a segment of which so much has been spoken. */
const output = (id: number, accumulated: string, remaining: string, status?: "new") => [
  "bot-output",
  {
    text: accumulated + remaining,
    aggregated_by: "sentence",
    segment_id: id,
    will_be_spoken: true,
    spoken_status: status ?? (remaining === "" ? "completed" : "in-progress"),
    spoken_progress: { accumulated_text: accumulated, remaining_text: remaining }
  }
]

describe("a turn", () => {
  it.effect("is told in order, from what the user says to what is heard", () =>
    Effect.gen(function*() {
      const told = yield* watch([
        userStarts(),
        interim("what"),
        interim("what is"),
        userStops(),
        final("what is the weather"),
        context({ role: "system", content: "be brief" }, { role: "user", content: "what is the weather" }),
        llmStarts(),
        calls(["call-1", "get_weather"]),
        inProgress("call-1", "get_weather", { city: "Oslo" }),
        result("call-1", { degrees: 4 }),
        token("It is "),
        token("cold. "),
        token("Stay in"),
        llmStops(),
        Frame.MetricsFrame.make({
          data: [
            { _tag: "Ttfb", processor: "Llm", model: "small", milliseconds: 123 },
            { _tag: "Ttfa", processor: "Tts", milliseconds: 300, silence: 100 },
            { _tag: "Ttfat", processor: "Llm", model: "small", milliseconds: 500, thinking: 375 },
            { _tag: "Ttfat", processor: "Llm", milliseconds: 250 },
            { _tag: "Processing", processor: "Llm", milliseconds: 1500 },
            {
              _tag: "TokenUsage",
              processor: "Llm",
              promptTokens: 10,
              completionTokens: 4,
              totalTokens: 14,
              cachedTokens: 3,
              reasoningTokens: 2
            },
            { _tag: "CharacterUsage", processor: "Tts", characters: 21 }
          ]
        }),
        ttsStarts(),
        segment(1, "It is cold."),
        segment(2, "ignored until heard"),
        botStarts(),
        word("It", 2),
        progress(2, "ignored", " until heard"),
        ttsStops(),
        botStops()
      ], { functionCalls: { "*": "none", get_weather: "full" } })
      deepStrictEqual(told, [
        "user-started-speaking",
        ["user-transcription", { text: "what", user_id: "ann", timestamp: at, final: false }],
        ["user-transcription", { text: "what is", user_id: "ann", timestamp: at, final: false }],
        "user-stopped-speaking",
        ["user-transcription", { text: "what is the weather", user_id: "ann", timestamp: at, final: true }],
        ["user-llm-text", { text: "what is the weather" }],
        "bot-llm-started",
        ["llm-function-call-started", { function_name: "get_weather" }],
        [
          "llm-function-call-in-progress",
          { tool_call_id: "call-1", function_name: "get_weather", arguments: { city: "Oslo" } }
        ],
        [
          "llm-function-call-stopped",
          { tool_call_id: "call-1", cancelled: false, function_name: "get_weather", result: { degrees: 4 } }
        ],
        ["bot-llm-text", { text: "It is " }],
        ["bot-llm-text", { text: "cold. " }],
        ["bot-llm-text", { text: "Stay in" }],
        ["bot-transcription", { text: "It is cold." }],
        ["bot-transcription", { text: "Stay in" }],
        "bot-llm-stopped",
        ["metrics", {
          ttfb: [{ processor: "Llm", model: "small", value: 0.123 }],
          ttfa: [{ processor: "Tts", ttfa: 0.3, ttfb: 0.2, leading_silence: 0.1 }],
          ttfat: [
            { processor: "Llm", model: "small", ttfat: 0.5, ttfb: 0.125, thinking_time: 0.375 },
            { processor: "Llm", ttfat: 0.25, ttfb: 0.25 }
          ],
          processing: [{ processor: "Llm", value: 1.5 }],
          tokens: [{
            prompt_tokens: 10,
            completion_tokens: 4,
            total_tokens: 14,
            cache_read_input_tokens: 3,
            reasoning_tokens: 2
          }],
          characters: [{ processor: "Tts", value: 21 }]
        }],
        "bot-tts-started",
        "bot-started-speaking",
        output(1, "", "It is cold.", "new"),
        output(1, "It is cold.", ""),
        output(2, "", "ignored until heard", "new"),
        ["bot-tts-text", { text: "It" }],
        output(2, "ignored", " until heard"),
        "bot-tts-stopped",
        output(2, "ignored until heard", ""),
        "bot-stopped-speaking"
      ])
    }))
})

describe("states", () => {
  const pairs = [
    [Voice.UserStartedSpeakingFrame, Voice.UserStoppedSpeakingFrame, "user-started-speaking", "user-stopped-speaking"],
    [Voice.UserMuteStartedFrame, Voice.UserMuteStoppedFrame, "user-mute-started", "user-mute-stopped"],
    [Voice.BotStartedSpeakingFrame, Voice.BotStoppedSpeakingFrame, "bot-started-speaking", "bot-stopped-speaking"],
    [Voice.LlmResponseStartFrame, Voice.LlmResponseEndFrame, "bot-llm-started", "bot-llm-stopped"],
    [Voice.TtsStartedFrame, Voice.TtsStoppedFrame, "bot-tts-started", "bot-tts-stopped"],
    [
      Voice.VadUserStartedSpeakingFrame,
      Voice.VadUserStoppedSpeakingFrame,
      "vad-user-started-speaking",
      "vad-user-stopped-speaking"
    ]
  ] as const
  it.effect.each(pairs)(
    "are told when they change, however often and whichever way frames come: %#",
    (pair) =>
      Effect.gen(function*() {
        const [Start, Stop, started, stopped] = pair
        const both = Processor.sync("Both", {
          TextFrame: ({ text }, push) => {
            const make = () => text === "start" ? Start.make() : Stop.make()
            push.downstream(make())
            push.upstream(make())
          }
        })
        const say = (text: string) => Frame.TextFrame.make({ text })
        const told = yield* watch([say("start"), say("start"), say("stop"), say("stop"), say("start"), say("stop")], {
          pipeline: (rtvi, output) => Pipeline.make(rtvi, Processor.sync("Same", {}), both, output),
          messages: { [started]: true, [stopped]: true }
        })
        deepStrictEqual(told, [started, stopped, started, stopped])
      })
  )

  it.effect("what the detector hears is not told unless asked for", () =>
    Effect.gen(function*() {
      const frames = [Voice.VadUserStartedSpeakingFrame.make(), Voice.VadUserStoppedSpeakingFrame.make()]
      deepStrictEqual(yield* watch(frames), [])
    }))

  it.effect("a barge-in closes what was going on, and what comes of it later is not told again", () =>
    Effect.gen(function*() {
      const told = yield* watch([
        llmStarts(),
        token("Once upon. A ti"),
        ttsStarts(),
        botStarts(),
        segment(1, "Once upon. A time."),
        word("Once", 1),
        userStarts(),
        "interrupt",
        botStops(),
        ttsStops(),
        llmStops(),
        llmStarts(),
        token("Yes?"),
        llmStops()
      ])
      deepStrictEqual(told, [
        "bot-llm-started",
        ["bot-llm-text", { text: "Once upon. A ti" }],
        ["bot-transcription", { text: "Once upon." }],
        "bot-tts-started",
        "bot-started-speaking",
        output(1, "", "Once upon. A time.", "new"),
        ["bot-tts-text", { text: "Once" }],
        output(1, "Once", " upon. A time."),
        "user-started-speaking",
        "bot-interrupted",
        "bot-llm-stopped",
        "bot-tts-stopped",
        "bot-stopped-speaking",
        "bot-llm-started",
        ["bot-llm-text", { text: "Yes?" }],
        ["bot-transcription", { text: "Yes?" }],
        "bot-llm-stopped"
      ])
    }))

  it.effect("an interruption that is not allowed interrupts nothing", () =>
    Effect.gen(function*() {
      const told = yield* watch([llmStarts(), "interrupt", llmStops()], { task: { allowInterruptions: false } })
      deepStrictEqual(told, ["bot-llm-started", "bot-llm-stopped"])
    }))
})

describe("bot-output", () => {
  it.effect("waits for bot-started-speaking, and whatever comes behind it waits too", () =>
    Effect.gen(function*() {
      const told = yield* watch([
        segment(1, "Hello there."),
        word("Hello", 1),
        segment(2, "Note.", false),
        botStarts(),
        word("there.", 1)
      ])
      deepStrictEqual(told, [
        "bot-started-speaking",
        output(1, "", "Hello there.", "new"),
        ["bot-tts-text", { text: "Hello" }],
        output(1, "Hello", " there."),
        ["bot-output", { text: "Note.", aggregated_by: "sentence", segment_id: 2, will_be_spoken: false }],
        ["bot-tts-text", { text: "there." }],
        output(1, "Hello there.", "")
      ])
    }))

  it.effect("what is not spoken waits for nobody", () =>
    Effect.gen(function*() {
      const told = yield* watch([segment(7, "Read this.", false)])
      deepStrictEqual(told, [
        ["bot-output", { text: "Read this.", aggregated_by: "sentence", segment_id: 7, will_be_spoken: false }]
      ])
    }))

  it.effect("a voice that made no sound holds nothing back; a barge-in drops what nobody heard", () =>
    Effect.gen(function*() {
      const silent = yield* watch([ttsStarts(), segment(1, "Hi."), ttsStops()])
      deepStrictEqual(silent, ["bot-tts-started", "bot-tts-stopped", output(1, "", "Hi.", "new"), output(1, "Hi.", "")])
      const dropped = yield* watch([segment(1, "Hi."), "interrupt", botStarts(), botStops()])
      deepStrictEqual(dropped, ["bot-interrupted", "bot-started-speaking", "bot-stopped-speaking"])
    }))

  it.effect("a segment whose audio breaks off is not completed; the rest of it is told", () =>
    Effect.gen(function*() {
      const told = yield* watch([
        botStarts(),
        ttsStarts(),
        segment(1, "One two."),
        word("One", 1),
        segment(1, "two.", false),
        ttsStops(),
        botStops()
      ])
      deepStrictEqual(told, [
        "bot-started-speaking",
        "bot-tts-started",
        output(1, "", "One two.", "new"),
        ["bot-tts-text", { text: "One" }],
        output(1, "One", " two."),
        ["bot-output", { text: "two.", aggregated_by: "sentence", segment_id: 1, will_be_spoken: false }],
        "bot-tts-stopped",
        "bot-stopped-speaking"
      ])
    }))

  it.effect("words find their place; those that are written otherwise wait for the next that is not", () =>
    Effect.gen(function*() {
      const told = yield* watch([
        botStarts(),
        segment(1, "It costs $5, I think it does…"),
        ...["It", "costs", "five", "dollars", "I", "think", " it ", "does"].map((text) => word(text, 1)),
        word("late", 1)
      ])
      const text = (text: string) => ["bot-tts-text", { text }]
      deepStrictEqual(told, [
        "bot-started-speaking",
        output(1, "", "It costs $5, I think it does…", "new"),
        text("It"),
        output(1, "It", " costs $5, I think it does…"),
        text("costs"),
        output(1, "It costs", " $5, I think it does…"),
        text("five"),
        text("dollars"),
        text("I"),
        output(1, "It costs $5, I", " think it does…"),
        text("think"),
        output(1, "It costs $5, I think", " it does…"),
        text("it"),
        output(1, "It costs $5, I think it", " does…"),
        text("does"),
        output(1, "It costs $5, I think it does…", ""),
        text("late")
      ])
    }))

  it.effect("words and tokens are no segments; without an id a segment has that of its frame", () =>
    Effect.gen(function*() {
      const own = Voice.AggregatedTextFrame.make({ text: "Hi.", aggregatedBy: "clause", willBeSpoken: true })
      const told = yield* watch([
        botStarts(),
        segment(1, "a", true, "word"),
        segment(2, "b", true, "token"),
        own,
        word("Hi."),
        progress(own.id, "Hi.", ""),
        OutputAudioEndFrame.make()
      ])
      const about = { text: "Hi.", aggregated_by: "clause", segment_id: own.id, will_be_spoken: true }
      deepStrictEqual(told, [
        "bot-started-speaking",
        [
          "bot-output",
          { ...about, spoken_status: "new", spoken_progress: { accumulated_text: "", remaining_text: "Hi." } }
        ],
        ["bot-tts-text", { text: "Hi." }],
        [
          "bot-output",
          { ...about, spoken_status: "completed", spoken_progress: { accumulated_text: "Hi.", remaining_text: "" } }
        ]
      ])
    }))

  it.effect("is told when it has left the output, not before", () =>
    Effect.gen(function*() {
      const slow = Processor.queued("Slow", {
        data: (frame, { push }) => Effect.andThen(Effect.sleep(100), push(frame))
      })
      const mark = (told: Array<unknown>) => told.push("100 ms")
      const told = yield* watch([botStarts(), segment(1, "Hi."), word("Hi.", 1), 99, mark, 1, 99, mark, 1], {
        output: "Slow",
        pipeline: (rtvi, output) => Pipeline.make(rtvi, slow, output)
      })
      deepStrictEqual(told, [
        "bot-started-speaking",
        "100 ms",
        output(1, "", "Hi.", "new"),
        "100 ms",
        ["bot-tts-text", { text: "Hi." }],
        output(1, "Hi.", "")
      ])
    }))

  it.effect("version 1: text that is or is not spoken, no progress, words too", () =>
    Effect.gen(function*() {
      const told = yield* watch([
        segment(1, "Hello there."),
        botStarts(),
        word("Hello", 1),
        progress(1, "Hello", " there."),
        segment(2, "Note.", false),
        segment(3, "there", true, "word"),
        ttsStops()
      ], { version: "1.2.0" })
      deepStrictEqual(told, [
        "bot-started-speaking",
        ["bot-output", { text: "Hello there.", aggregated_by: "sentence", spoken: true }],
        ["bot-tts-text", { text: "Hello" }],
        ["bot-output", { text: "Note.", aggregated_by: "sentence", spoken: false }],
        ["bot-output", { text: "there", aggregated_by: "word", spoken: true }]
      ])
    }))

  it.effect("the version is that of the client that is there", () =>
    Effect.gen(function*() {
      const rtvi = yield* Rtvi.make()
      const ready = { label: "rtvi-ai", type: "client-ready", id: "1", data: { version: "1.0.0" } }
      const told = (frames: ReadonlyArray<Frame.Frame>) =>
        Effect.gen(function*() {
          const { down } = yield* run(rtvi.processor, [...frames, segment(1, "Hi.", false), act(() => settle)], {
            observers: [rtvi.observer]
          })
          return down.filter(OutputTransportMessageUrgentFrame.is).map(({ message }) => message as RtviMessage.Server)
        })
      const before = yield* told([InputTransportMessageFrame.make({ message: ready })])
      deepStrictEqual(before.at(-1)!.data, { text: "Hi.", aggregated_by: "sentence", spoken: false })
      const after = yield* told([])
      deepStrictEqual(after.at(-1)!.data, {
        text: "Hi.",
        aggregated_by: "sentence",
        segment_id: 1,
        will_be_spoken: false
      })
    }))

  it.effect("in a pipeline without the output it is told when it is made, once", () =>
    Effect.gen(function*() {
      const told = yield* watch([segment(1, "Hi.", false), OutputAudioEndFrame.make()], {
        output: "Nowhere",
        pipeline: (rtvi, output) => Pipeline.make(rtvi, Processor.sync("Same", {}), output)
      })
      strictEqual(told.length, 1)
    }))
})

describe("function calls", () => {
  const script = [
    calls(["1", "f"]),
    inProgress("1", "f", { a: 1 }),
    result("1", { b: 2 }),
    calls(["2", "f"]),
    cancelled("2")
  ]
  const started = (more = {}) => ["llm-function-call-started", more]
  const going = (more = {}) => ["llm-function-call-in-progress", { tool_call_id: "1", ...more }]
  const stopped = (more = {}) => ["llm-function-call-stopped", { tool_call_id: "1", cancelled: false, ...more }]
  const cut = (more = {}) => ["llm-function-call-stopped", { tool_call_id: "2", cancelled: true, ...more }]
  const name = { function_name: "f" }
  const levels: { readonly [L in Rtvi.FunctionCallLevel]: ReadonlyArray<unknown> } = {
    disabled: [],
    none: [started(), going(), stopped(), started(), cut()],
    name: [started(name), going(name), stopped(name), started(name), cut(name)],
    arguments: [
      started(name),
      going({ ...name, arguments: { a: 1 } }),
      stopped(name),
      started(name),
      cut(name)
    ],
    full: [
      started(name),
      going({ ...name, arguments: { a: 1 } }),
      stopped({ ...name, result: { b: 2 } }),
      started(name),
      cut(name)
    ]
  }
  it.effect.each(Object.entries(levels))("level %s", ([level, expected]) =>
    Effect.gen(function*() {
      const functionCalls = { "*": level as Rtvi.FunctionCallLevel }
      deepStrictEqual(yield* watch(script, { functionCalls }), expected)
      deepStrictEqual(yield* watch(script, { functionCalls: { f: functionCalls["*"], "*": "full" } }), expected)
    }))

  it.effect("by default there are ids only", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* watch(script), levels.none)
      deepStrictEqual(yield* watch(script, { functionCalls: { g: "full" } }), levels.none)
    }))

  it.effect("names that objects have by nature are no levels", () =>
    Effect.gen(function*() {
      const told = yield* watch([calls(["1", "constructor"], ["2", "__proto__"])], { functionCalls: { "*": "name" } })
      deepStrictEqual(told, [started({ function_name: "constructor" }), started({ function_name: "__proto__" })])
    }))

  it.effect("each phase of a call once; what nobody asked for is no answer", () =>
    Effect.gen(function*() {
      const told = yield* watch([
        result("0", "forged"),
        Voice.FunctionCallsStartedFrame.make({ callIds: ["1"] }),
        Voice.FunctionCallsStartedFrame.make({ callIds: ["1"] }),
        inProgress("1", "f", {}),
        inProgress("1", "f", {}),
        result("1", false),
        result("1", false),
        cancelled("1"),
        inProgress("3", "f", undefined),
        result("3", undefined)
      ], { functionCalls: { "*": "full" } })
      deepStrictEqual(told, [
        ["llm-function-call-started", {}],
        ["llm-function-call-in-progress", { tool_call_id: "1", function_name: "f", arguments: {} }],
        ["llm-function-call-stopped", { tool_call_id: "1", cancelled: false, function_name: "f", result: false }],
        ["llm-function-call-in-progress", { tool_call_id: "3", function_name: "f" }],
        ["llm-function-call-stopped", { tool_call_id: "3", cancelled: false, function_name: "f" }]
      ])
    }))
})

describe("other messages", () => {
  it.effect("the user's text is that of the last message, if it is theirs", () =>
    Effect.gen(function*() {
      const told = yield* watch([
        context(),
        context({ role: "user", content: "a" }, { role: "assistant", content: "b" }),
        context({
          role: "user",
          content: [{ type: "text", text: "what" }, { type: "image" }, { type: "text", text: "is it" }]
        }),
        context({ role: "user", content: [{ type: "image" }] })
      ])
      deepStrictEqual(told, [["user-llm-text", { text: "what is it" }]])
    }))

  it.effect("text of who has begun to answer is the model's, other text is not", () =>
    Effect.gen(function*() {
      const llm = Processor.sync("Llm", {
        LlmContextFrame: (_, push) => {
          push(llmStarts())
          push(Frame.TextFrame.make({ text: "mine." }))
          push(llmStops())
          push(Frame.TextFrame.make({ text: "not any more" }))
        }
      }, { frames: [Voice.LlmContextFrame] })
      const told = yield* watch([Frame.TextFrame.make({ text: "yours" }), context()], {
        pipeline: (rtvi, output) => Pipeline.make(rtvi, llm, output)
      })
      deepStrictEqual(told, [
        "bot-llm-started",
        ["bot-llm-text", { text: "mine." }],
        ["bot-transcription", { text: "mine." }],
        "bot-llm-stopped"
      ])
    }))

  it.effect("failures of processors, wherever they are", () =>
    Effect.gen(function*() {
      const failing = Processor.effect("Failing", {
        TextFrame: ({ text }) => text === "error" ? Effect.fail(new Error("no route")) : Effect.fail({ _tag: "Lost" })
      })
      const told = yield* watch(["error", "tag"].map((text) => Frame.TextFrame.make({ text })), {
        pipeline: (rtvi, output) => Pipeline.make(failing, rtvi, output)
      })
      deepStrictEqual(told, [
        ["error", { error: "no route", fatal: false, message: "no route" }],
        ["error", { error: "Lost", fatal: false, message: "Lost" }]
      ])
    }))

  it.effect("messages of processors come in their place, and are not filtered", () =>
    Effect.gen(function*() {
      const send = (message: RtviMessage.Server) => RtviFrames.RtviServerMessageFrame.make({ message })
      const search = { search_result: "x", origins: [{ results: [{ text: "y", confidence: [0.9] }] }] }
      const told = yield* watch([
        llmStarts(),
        send(RtviMessage.server("server-message", { n: 1 })),
        send(RtviMessage.server("bot-llm-search-response", search)),
        send(RtviMessage.server("ui-command", { command: "toast", payload: { title: "hi" } })),
        send(RtviMessage.server("ui-job-group", { kind: "group_completed", job_id: "j", at: 1 })),
        send(RtviMessage.server("llm-function-call", { function_name: "f", tool_call_id: "c", args: {} })),
        send(RtviMessage.server("system-log", { text: "hi" })),
        send(RtviMessage.server("vad-user-started-speaking")),
        llmStops()
      ], { messages: { "server-message": false, "system-log": false } })
      deepStrictEqual(told, [
        "bot-llm-started",
        ["server-message", { n: 1 }],
        ["bot-llm-search-response", search],
        ["ui-command", { command: "toast", payload: { title: "hi" } }],
        ["ui-job-group", { kind: "group_completed", job_id: "j", at: 1 }],
        ["llm-function-call", { function_name: "f", tool_call_id: "c", args: {} }],
        ["system-log", { text: "hi" }],
        "vad-user-started-speaking",
        "bot-llm-stopped"
      ])
    }))

  it.effect("audio levels and audio, where they are asked for", () =>
    Effect.gen(function*() {
      const bytes = new Uint8Array(Int16Array.of(16384, -16384).buffer)
      const audio = () => Frame.AudioRawFrame.make({ audio: bytes, sampleRate: 16000, numChannels: 1 })
      const odd = Frame.AudioRawFrame.make({ audio: new Uint8Array(3), sampleRate: 16000, numChannels: 1 })
      const script = [odd, audio(), 100, audio(), 50, audio()]
      deepStrictEqual(yield* watch(script), [])
      const level = (type: string) => [type, { value: 1 }]
      deepStrictEqual(yield* watch(script, { messages: { "user-audio-level": true } }), [
        level("user-audio-level"),
        level("user-audio-level")
      ])
      deepStrictEqual(
        yield* watch(script, { messages: { "bot-audio-level": true }, audioLevelInterval: 100 }),
        [level("bot-audio-level"), level("bot-audio-level")]
      )
      deepStrictEqual(yield* watch([audio()], { messages: { "bot-tts-audio": true } }), [
        ["bot-tts-audio", { audio: "AEAAwA==", sample_rate: 16000, num_channels: 1 }]
      ])
    }))

  it.effect("types that are turned off, messages that are changed, and a change that fails", () =>
    Effect.gen(function*() {
      const told = yield* watch(
        [userStarts(), llmStarts(), token("secret"), token("boom"), token("word."), llmStops()],
        {
          messages: { "bot-llm-started": false, "bot-transcription": false },
          transform: (message) => {
            if (message.type === "user-started-speaking") return undefined
            if (message.type !== "bot-llm-text") return message
            if (message.data.text === "boom") throw new Error("no")
            return RtviMessage.server("bot-llm-text", { text: message.data.text.replace("secret", "***") })
          }
        }
      )
      deepStrictEqual(told, [["bot-llm-text", { text: "***" }], ["bot-llm-text", { text: "word." }], "bot-llm-stopped"])
    }))

  it.effect("nothing of processors that are ignored, nor of what is for another destination", () =>
    Effect.gen(function*() {
      const judge = Processor.sync("Judge", {
        LlmContextFrame: (frame, push) => {
          push(frame)
          push(llmStarts())
          push(token("good"))
          push(segment(4, "good", false))
          push(llmStops())
        }
      }, { frames: [Voice.LlmContextFrame] })
      const told = yield* watch([
        toDestination(botStarts(), "ann"),
        toDestination(segment(3, "for Ann", false), "ann"),
        context({ role: "user", content: "hi" }),
        segment(5, "It only passes.", false)
      ], { ignore: ["Judge"], pipeline: (rtvi, output) => Pipeline.make(rtvi, judge, output) })
      deepStrictEqual(told, [
        ["user-llm-text", { text: "hi" }],
        ["bot-output", { text: "It only passes.", aggregated_by: "sentence", segment_id: 5, will_be_spoken: false }]
      ])
    }))

  it.effect("ten thousand tokens at once are ten thousand messages, in order", () =>
    Effect.gen(function*() {
      const burst = Processor.sync("Burst", {
        LlmContextFrame: (_, push) => {
          for (let i = 0; i < 10_000; i++) push(token(`${i}`))
        }
      }, { frames: [Voice.LlmContextFrame] })
      const told = yield* watch([context()], {
        pipeline: (rtvi, output) => Pipeline.make(rtvi, burst, output),
        messages: { "bot-transcription": false }
      })
      deepStrictEqual(told, Array.from({ length: 10_000 }, (_, i) => ["bot-llm-text", { text: `${i}` }]))
    }))
})

describe("with a transport", () => {
  /** 20 ms. */
  const audio = () =>
    Frame.AudioRawFrame.make({ audio: new Uint8Array(960).fill(1), sampleRate: 24_000, numChannels: 1 })
  const speech = (...words: ReadonlyArray<string>): ReadonlyArray<Frame.Frame> => [
    ttsStarts(),
    segment(1, words.join(" ")),
    ...words.flatMap((text) => [...Array.from({ length: 10 }, audio), word(text, 1)]),
    OutputAudioEndFrame.make()
  ]

  /** What goes to the other side, and when. */
  const session = (script: (task: PipelineTask.PipelineTask<any>) => Effect.Effect<unknown, unknown>) =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const transport = yield* Transport.make({
        name: "Test",
        incoming: Stream.never,
        send: (frame) =>
          Effect.clockWith((clock) =>
            Effect.sync(() => {
              if (!OutputTransportMessageUrgentFrame.is(frame)) return
              const { data, type } = frame.message as RtviMessage.Server<"bot-output">
              const more = type === "bot-output" ? ` ${data.spoken_progress!.accumulated_text}|` : ""
              told.push(`${clock.currentTimeMillisUnsafe()} ${type}${more}`)
            })
          ),
        close: () => Effect.void
      })
      const rtvi = yield* Rtvi.make({ messages: { "bot-tts-text": false } })
      const task = yield* PipelineTask.make(Pipeline.make(transport.input, rtvi.processor, transport.output), {
        observers: [rtvi.observer],
        audioOutSampleRate: 24_000
      })
      yield* task.start
      yield* script(task)
      return told
    }).pipe(Effect.scoped)

  const pass = (millis: number) =>
    Effect.gen(function*() {
      for (let i = 0; i < millis; i += 10) {
        yield* settle
        yield* TestClock.adjust(10)
      }
      yield* settle
    })

  const spoken = [
    "0 bot-tts-started",
    "0 bot-started-speaking",
    "0 bot-output |",
    "200 bot-output Hello|",
    "400 bot-output Hello there.|"
  ]

  it.effect("words are told when they are heard", () =>
    Effect.gen(function*() {
      const told = yield* session((task) => Effect.andThen(task.queueFrames(speech("Hello", "there.")), pass(1000)))
      deepStrictEqual(told, [...spoken, "750 bot-stopped-speaking"])
    }))

  it.effect("a farewell is told like everything else, although the end has passed already", () =>
    Effect.gen(function*() {
      const told = yield* session((task) =>
        Effect.gen(function*() {
          yield* task.queueFrames(speech("Hello", "there."))
          yield* task.stopWhenDone
          yield* pass(1000)
          strictEqual((yield* task.await)._tag, "Ended")
        })
      )
      deepStrictEqual(told.slice(0, spoken.length), spoken)
    }))

  it.effect("a barge-in: no word that nobody heard", () =>
    Effect.gen(function*() {
      const told = yield* session((task) =>
        Effect.gen(function*() {
          yield* task.queueFrames(speech("Hello", "there."))
          yield* pass(300)
          yield* task.queueFrame(userStarts())
          yield* task.interrupt
          yield* pass(1000)
        })
      )
      deepStrictEqual(told, [
        ...spoken.slice(0, 4),
        "300 user-started-speaking",
        "300 bot-interrupted",
        "300 bot-tts-stopped",
        "300 bot-stopped-speaking"
      ])
    }))

  it.effect("nothing is left running", () =>
    Effect.gen(function*() {
      const [, alive] = yield* leaks(session((task) => Effect.andThen(task.queueFrames(speech("Hello")), pass(100))))
      strictEqual(alive, 0)
    }))
})
