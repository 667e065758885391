import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pipeline from "@apipeline/core/Pipeline"
import { act, interrupt, run, settle, sleep, type Step } from "@apipeline/core/testing"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { bot, calling, results, user } from "../utils/conversation.ts"

const { deepStrictEqual, strictEqual } = assert

const timestamp = "2025-01-01T00:00:00.000Z"

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

  it.effect("typed messages join the conversation, and are answered if they want to", () =>
    Effect.gen(function*() {
      const context = yield* LlmContext.make({ messages: [user("a")] })
      const append = (text: string, runLlm: boolean, skipTts?: boolean) =>
        Voice.LlmMessagesAppendFrame.make({ messages: [user(text)], runLlm, ...skipTts !== undefined && { skipTts } })
      const { down } = yield* run(context.user, [
        append("b", false),
        append("c", true, true),
        LlmContext.LlmRunFrame.make(),
        LlmContext.LlmMessagesUpdateFrame.make({ messages: [user("d")], runLlm: false }),
        LlmContext.LlmRunFrame.make({ skipTts: true }),
        LlmContext.LlmMessagesUpdateFrame.make({ messages: [user("e")], runLlm: true })
      ])
      const seen = down.slice(1, -1).map((frame) =>
        Voice.LlmContextFrame.is(frame) ? [frame.messages.map(({ content }) => content).join(), frame.skipTts] : frame
      )
      deepStrictEqual(seen, [["a,b,c", true], ["a,b,c", undefined], ["d", true], ["e", undefined]])
    }))

  it.effect("words of a turn that has not ended are kept at the end of the task", () =>
    Effect.gen(function*() {
      const { messages, requests } = yield* says([S(), T("one"), I("two")])
      deepStrictEqual(messages, [user("one two")])
      deepStrictEqual(requests, [])
    }))

  it.effect("words that come too late interrupt an answer that was asked for without them", () =>
    Effect.gen(function*() {
      const { tags } = yield* says([S(), T("hi"), E(), T("there")])
      deepStrictEqual(tags, [
        "UserStartedSpeaking",
        "UserStoppedSpeaking",
        "LlmContext",
        "StartInterruption",
        "LlmContext"
      ])
    }))

  it.effect("words that do not take the turn from a bot that is heard are for the next one", () =>
    Effect.gen(function*() {
      const context = yield* LlmContext.make()
      const { down } = yield* run(
        Pipeline.make(context.user, context.assistant),
        [
          S(),
          T("hi"),
          E(),
          start(),
          read("Once"),
          T("mhm"),
          read(" upon a time"),
          end(),
          S(),
          T("nice"),
          E()
        ].flatMap((step) => [step, sleep("1 millis")])
      )
      deepStrictEqual(down.filter(Voice.LlmContextFrame.is).map(({ messages }) => messages.at(-1)), [
        user("hi"),
        user("mhm nice")
      ])
      strictEqual(down.some(({ _tag }) => _tag === "StartInterruptionFrame"), false)
    }))
})

const start = () => Voice.LlmResponseStartFrame.make()
const end = () => Voice.LlmResponseEndFrame.make()
const read = (text: string) => Voice.LlmTextFrame.make({ text })
const segment = (text: string, segmentId: number, willBeSpoken = true) =>
  Voice.AggregatedTextFrame.make({ text, aggregatedBy: "sentence", willBeSpoken, segmentId })
const word = (text: string, segmentId?: number, appendToContext?: boolean) =>
  Voice.TtsTextFrame.make({
    text,
    ...segmentId !== undefined && { segmentId },
    ...appendToContext !== undefined && { appendToContext }
  })
const [ttsStart, ttsStop] = [() => Voice.TtsStartedFrame.make(), () => Voice.TtsStoppedFrame.make()]

const hears = (steps: ReadonlyArray<Step>) =>
  Effect.gen(function*() {
    const context = yield* LlmContext.make()
    const { down } = yield* run(context.assistant, steps)
    return { messages: yield* context.messages, down }
  })

describe("what the bot is heard to say", () => {
  const cases: Readonly<Record<string, readonly [ReadonlyArray<Step>, ReadonlyArray<string>]>> = {
    "words get spaces": [[start(), word("Hello"), word("there."), word("How"), word("are"), word("you?"), end()], [
      "Hello there. How are you?"
    ]],
    "tokens have their own": [[start(), word("Hel"), word("lo"), word(" there"), word("."), end()], ["Hello there."]],
    "words with spaces behind them": [[start(), word("Hello "), word("there. "), word("You?"), end()], [
      "Hello there. You?"
    ]],
    "punctuation that is a word": [[start(), word("Hello"), word(","), word("you"), word("!"), end()], ["Hello, you!"]],
    "no spaces where none are written": [[start(), word("你好"), word("世界"), word("。"), end()], ["你好世界。"]],
    "as it is written": [[
      start(),
      segment("It costs $5, Mr. Smith!", 1),
      ...["It", "costs", "five", "dollars", "Mr", "Smith"]
        .map((text) => word(text, 1)),
      end()
    ], ["It costs $5, Mr. Smith!"]],
    "what is left of a segment has been heard when the next one begins, or the answer ends": [
      [
        start(),
        segment("It is $5.", 1),
        word("It", 1),
        word("is", 1),
        word("five", 1),
        segment("Or €4.", 2),
        word("Or", 2),
        end()
      ],
      ["It is $5. Or €4."]
    ],
    "up to the word": [[start(), segment("One two three four.", 1), word("One", 1), word("two", 1), interrupt, end()], [
      "One two"
    ]],
    "nothing that was only announced": [[start(), segment("One.", 1), interrupt], []],
    "whole sentences": [[start(), segment("One.", 1), word("One.", 1), segment("Two.", 2), word("Two.", 2), end()], [
      "One. Two."
    ]],
    "each answer is a message": [[start(), word("One."), end(), start(), word("Two."), end()], ["One.", "Two."]],
    "an answer that is read": [[start(), read("Hel"), segment("Hello there.", 1, false), read("lo there."), end()], [
      "Hello there."
    ]],
    "an answer that is read, up to an interruption": [[start(), read("Hel"), read("lo"), interrupt, end()], ["Hello"]],
    "of a sentence whose audio breaks off, what was said, whatever follows": [
      [
        start(),
        segment("One two three.", 1),
        word("One", 1),
        word("two", 1),
        segment("three.", 1, false),
        segment("Four.", 2),
        word("Four.", 2),
        ttsStop(),
        end()
      ],
      ["One two Four."]
    ],
    "what it was told to say": [
      [ttsStart(), segment("Hello.", 1), word("Hello.", 1), ttsStop(), ttsStart(), word("Bye."), ttsStop()],
      ["Hello.", "Bye."]
    ],
    "not what is no part of the conversation": [
      [ttsStart(), segment("One moment.", 1), word("One", 1, false), word("moment.", 1, false), ttsStop()],
      []
    ],
    "an answer goes on over several utterances": [
      [start(), ttsStart(), word("One."), ttsStop(), ttsStart(), word("Two."), ttsStop(), end()],
      ["One. Two."]
    ],
    "nothing": [[start(), end()], []],
    "only spaces": [[start(), read(" "), read("\n"), end()], []]
  }
  for (const [name, [steps, expected]] of Object.entries(cases)) {
    it.effect(name, () =>
      Effect.gen(function*() {
        const paced = steps.flatMap((step) => [step, act(() => settle)])
        const { down, messages } = yield* hears(paced)
        deepStrictEqual(messages, expected.map(bot))
        const frames = steps.filter((step) => "_tag" in step)
        deepStrictEqual(down.filter((frame) => frames.includes(frame)), frames)
      }))
  }

  it.effect("grows with every word, and can be watched", () =>
    Effect.gen(function*() {
      const context = yield* LlmContext.make({ messages: [user("hi")] })
      const seen: Array<ReadonlyArray<Voice.LlmMessage>> = []
      const watching = yield* Stream.runForEach(context.changes, (messages) => Effect.sync(() => seen.push(messages)))
        .pipe(Effect.forkChild({ startImmediately: true }))
      yield* run(context.assistant, [start(), word("One"), word("two."), end()])
      yield* settle
      yield* Fiber.interrupt(watching)
      deepStrictEqual(seen.slice(0, 3), [
        [user("hi")],
        [user("hi"), bot("One")],
        [user("hi"), bot("One two.")]
      ])
    }))

  it.effect("goes on in its message while others are changed", () =>
    Effect.gen(function*() {
      const context = yield* LlmContext.make({ messages: [user("a"), user("b")] })
      yield* run(context.assistant, [
        start(),
        word("One"),
        act(() => settle),
        act(() => context.update((messages) => [user("summary"), ...messages.slice(2)])),
        act(() => context.append([user("c")])),
        word("two."),
        end()
      ])
      deepStrictEqual(yield* context.messages, [user("summary"), bot("One two."), user("c")])
      yield* context.set([])
      deepStrictEqual(yield* context.messages, [])
      yield* context.run // no task runs
    }))
})

const started = (...callIds: ReadonlyArray<string>) => Voice.FunctionCallsStartedFrame.make({ callIds })
const calls = (callId: string, background = false) =>
  Voice.FunctionCallInProgressFrame.make({
    callId,
    functionName: "f",
    arguments: {},
    ...background && { background }
  })
const returns = (callId: string, result: unknown) => Voice.FunctionCallResultFrame.make({ callId, result })

describe("calls", () => {
  it.effect("are answered when all of them have returned", () =>
    Effect.gen(function*() {
      const context = yield* LlmContext.make()
      const { up } = yield* run(context.assistant, [
        started("1", "2"),
        calls("1"),
        calls("2"),
        returns("2", "b"),
        returns("3", "unknown"),
        returns("1", "a"),
        returns("1", "again")
      ])
      const messages = [calling("", ["1", "f", {}], ["2", "f", {}]), results(["1", "f", "a"], ["2", "f", "b"])]
      deepStrictEqual(up.filter(Voice.LlmContextFrame.is).map(({ messages }) => messages), [messages])
      deepStrictEqual(yield* context.messages, messages)
    }))

  it.effect("a result whose call is no part of the conversation any more comes with it", () =>
    Effect.gen(function*() {
      const context = yield* LlmContext.make()
      yield* run(context.assistant, [
        started("1"),
        calls("1"),
        act(() => settle),
        act(() => context.set([user("summary")])),
        returns("1", "a")
      ])
      deepStrictEqual(yield* context.messages, [
        user("summary"),
        calling("", ["1_2", "f", {}]),
        results(["1_2", "f", "a"])
      ])
    }))

  it.effect("answers to typed questions are read, after calls too", () =>
    Effect.gen(function*() {
      const context = yield* LlmContext.make()
      const { up } = yield* run(Pipeline.make(context.user, context.assistant), [
        LlmContext.LlmRunFrame.make({ skipTts: true }),
        act(() => settle),
        started("1"),
        calls("1"),
        returns("1", "a")
      ])
      deepStrictEqual(up.filter(Voice.LlmContextFrame.is).map(({ skipTts }) => skipTts), [true])
    }))
})
