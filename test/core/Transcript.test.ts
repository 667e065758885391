import type * as Frame from "@apipeline/core/Frame"
import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pipeline from "@apipeline/core/Pipeline"
import { act, interrupt, run, settle, sleep, type Step } from "@apipeline/core/testing"
import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
import * as Transcript from "@apipeline/core/Transcript"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { mouth } from "../utils/conversation.ts"

const { deepStrictEqual, strictEqual } = assert

const timestamp = "2025-01-01T00:00:00.000Z"
const T = (text: string) => Voice.TranscriptionFrame.make({ text, userId: "ann", timestamp })
const I = (text: string) => Voice.InterimTranscriptionFrame.make({ text, userId: "ann", timestamp })
const rest = act(() => Effect.repeat(settle, { times: 3 }))

const talk = (
  script: ReadonlyArray<FakeLanguageModel.Exchange>,
  steps: ReadonlyArray<Step>,
  options: Transcript.Options = { output: "Mouth" }
) =>
  Effect.gen(function*() {
    const fake = yield* FakeLanguageModel.make(script)
    const context = yield* LlmContext.make()
    const transcript = yield* Transcript.make(options)
    const changes = yield* Stream.runCollect(transcript.changes).pipe(Effect.forkChild({ startImmediately: true }))
    yield* run(
      Pipeline.make(context.user, Llm.make(), mouth, context.assistant),
      steps.flatMap((step) => [step, rest]),
      { observers: [transcript.observer] }
    ).pipe(Effect.provide(fake.layer))
    yield* Fiber.interrupt(changes)
    return yield* transcript.entries
  })

const said = (
  text: string,
  at: number,
  turn: number,
  how: Transcript.UserSaid["how"] = "spoken"
): Transcript.Entry => ({
  _tag: "UserSaid",
  text,
  userId: how === "typed" ? "" : "ann",
  how,
  at,
  turn
})

describe("make", () => {
  it.effect("what the user said, what the bot was heard to say, and what was cut", () =>
    Effect.gen(function*() {
      const entries = yield* talk(
        [
          { reply: ["One two three. ", "Four five."] },
          { reply: ["Six."] }
        ],
        [
          Voice.UserStartedSpeakingFrame.make(),
          I("h"),
          T("hi"),
          sleep("1 second"),
          Voice.UserStoppedSpeakingFrame.make(),
          Voice.BotStartedSpeakingFrame.make(),
          sleep("100 millis"),
          sleep("50 millis"),
          Voice.UserStartedSpeakingFrame.make(),
          interrupt,
          Voice.BotStoppedSpeakingFrame.make(),
          T("and then?"),
          Voice.UserStoppedSpeakingFrame.make(),
          sleep("1 second")
        ]
      )
      deepStrictEqual(entries, [
        said("hi", 0, 1),
        {
          _tag: "BotSaid",
          text: "One two",
          cut: "three.",
          interrupted: true,
          how: "spoken",
          at: 1000,
          until: 1150,
          turn: 1
        },
        said("and then?", 1150, 2),
        { _tag: "BotSaid", text: "Six.", cut: "", interrupted: false, how: "spoken", at: 1150, until: 1150, turn: 2 }
      ])
      strictEqual(
        Transcript.toMarkdown(entries),
        `**User** (0:00): hi

**Bot** (0:01): One two ~~three.~~ *(interrupted)*

**User** (0:01): and then?

**Bot** (0:01): Six.
`
      )
      deepStrictEqual(JSON.parse(Transcript.toJson(entries)), entries)
    }))

  it.effect("what is typed and read", () =>
    Effect.gen(function*() {
      const entries = yield* talk([{ reply: ["4 ", "degrees."] }], [
        Voice.LlmMessagesAppendFrame.make({
          messages: [{ role: "user", content: "Oslo?" }, { role: "system", content: "secret" }],
          runLlm: true,
          skipTts: true
        })
      ])
      deepStrictEqual(entries, [
        said("Oslo?", 0, 1, "typed"),
        { _tag: "BotSaid", text: "4 degrees.", cut: "", interrupted: false, how: "read", at: 0, until: 0, turn: 1 }
      ])
    }))

  it.effect("without an output, what is on its way to the voice is not read", () =>
    Effect.gen(function*() {
      const segment = (text: string, segmentId: number) =>
        Voice.AggregatedTextFrame.make({ text, aggregatedBy: "sentence", willBeSpoken: true, segmentId })
      const word = (text: string, segmentId: number) => Voice.TtsTextFrame.make({ text, segmentId })
      const push = (frame: Frame.Frame) =>
        ({ _tag: "Push", frame, direction: "downstream", from: "x", to: "y", at: 7 }) as const
      const startup = { since: 0, milliseconds: 0, processors: [] }
      const entries = yield* Stream.runCollect(Transcript.said(Stream.fromArray([
        { _tag: "Task", event: "Started", message: "", at: 7, startup },
        push(Voice.LlmResponseStartFrame.make()),
        ...["One", ". Two", "."].map((text) => push(Voice.LlmTextFrame.make({ text }))),
        push(segment("One.", 1)),
        push(word("One.", 1)),
        push(Voice.LlmTextFrame.make({ text: " Three." })),
        push(segment("Two.", 2)),
        push(word("Two.", 2)),
        push(segment("Three.", 3)),
        push(word("Three.", 3)),
        push(Voice.LlmResponseEndFrame.make())
      ])))
      deepStrictEqual(entries.map((entry) => [entry.text, entry.how]), [["One. Two. Three.", "spoken"]])
    }))

  it.effect("segments that were on their way are cut, too", () =>
    Effect.gen(function*() {
      const segment = (text: string, segmentId: number) =>
        Voice.AggregatedTextFrame.make({ text, aggregatedBy: "sentence", willBeSpoken: true, segmentId })
      const [one, two] = [segment("One two.", 1), segment("Three.", 2)]
      const push = (frame: Voice.AggregatedTextFrame | Voice.TtsTextFrame, from: string) =>
        ({ _tag: "Push", frame, direction: "downstream", from, to: "x", at: 7 }) as const
      const task = (event: "Started" | "Interrupted") => ({ _tag: "Task", event, message: "", at: 9 }) as const
      const entries = yield* Stream.runCollect(Transcript.said(Stream.fromArray([
        task("Started"),
        push(one, "Tts"),
        push(two, "Tts"),
        push(one, "TransportOutput"),
        push(Voice.TtsTextFrame.make({ text: "One", segmentId: 1 }), "TransportOutput"),
        task("Interrupted"),
        task("Interrupted")
      ])))
      deepStrictEqual(entries, [{
        _tag: "BotSaid",
        text: "One",
        cut: "two. Three.",
        interrupted: true,
        how: "spoken",
        at: 7,
        until: 9,
        turn: 1
      }])
    }))

  it.effect("interim texts are told when they are wanted, and are not in the list", () =>
    Effect.gen(function*() {
      const frames = [I("h"), T("hi")]
      const all = yield* Stream.runCollect(Transcript.said(
        Stream.fromArray(
          frames.map((frame) => ({ _tag: "Push", frame, direction: "downstream", from: "a", to: "b", at: 0 }) as const)
        ),
        { interim: true }
      ))
      deepStrictEqual(all, [said("h", 0, 1, "interim"), said("hi", 0, 1)])
      strictEqual(Transcript.toMarkdown(all), "**User** (0:00): hi\n")
    }))
})

describe("toMarkdown", () => {
  it("one paragraph for what is said in a row, and nothing of it is markup", () => {
    const text = Transcript.toMarkdown([said("*hi*", 1000, 1), said("<b>", 2000, 1), said("x", 63_000, 2)], {
      user: "A_nn"
    })
    strictEqual(text, "**A\\_nn** (0:00): \\*hi\\* \\<b\\>\n\n**A\\_nn** (1:02): x\n")
    strictEqual(Transcript.toMarkdown([]), "")
  })
})
