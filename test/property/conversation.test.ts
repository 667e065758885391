import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import { act, interrupt, leaks, run, settle, sleep, type Step } from "@apipeline/core/testing"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema, Stream } from "effect"
import { LanguageModel, type Prompt, type Response, Tool, Toolkit } from "effect/ai"
import { asks, mouth } from "../utils/conversation.ts"

const { deepStrictEqual, strictEqual } = assert

const parameters = Schema.Struct({ millis: Schema.Finite })
const toolkit = Toolkit.make(
  ...(["quick", "slow", "timer"] as const).map((name) => Tool.make(name, { parameters, success: Schema.String }))
)
const done = ({ millis }: { readonly millis: number }) => Effect.as(Effect.sleep(millis), `${millis}`)
const handlers = toolkit.toLayer({ quick: done, slow: done, timer: done })

const upTo = (maximum: number) => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum }))
const Reply = Arbitrary.schema(Schema.Struct({
  words: upTo(8),
  tokenMillis: upTo(120),
  calls: Schema.Array(Schema.Struct({ name: Schema.Literals(["quick", "slow", "timer"]), millis: upTo(1500) }))
    .check(Schema.isMaxLength(2))
}))
const Action = Arbitrary.schema(Schema.Struct({
  what: Schema.Literals(["ask", "interrupt", "turn", "cough", "wait"]),
  millis: upTo(700)
}))

type Reply = {
  readonly words: number
  readonly tokenMillis: number
  readonly calls: ReadonlyArray<{ readonly name: string; readonly millis: number }>
}

/** A model that says and calls what it is told to, and looks at what it is sent. */
const model = (replies: ReadonlyArray<Reply>) => {
  const problems: Array<string> = []
  let requests = 0
  let ids = 0
  const check = (prompt: Prompt.Prompt): void => {
    const seen = new Set<string>()
    prompt.content.forEach((message, i) => {
      if (message.role !== "assistant" && message.role !== "tool") return
      const next = prompt.content[i + 1]
      const called = message.content.flatMap((part) => part.type === "tool-call" ? [part.id] : [])
      if (message.role === "assistant" && called.length > 0) {
        const answered = next?.role === "tool"
          ? next.content.flatMap((part) => part.type === "tool-result" ? [part.id] : [])
          : []
        if (called.join() !== answered.join()) problems.push(`calls ${called.join()}, results ${answered.join()}`)
      }
      for (const id of called) {
        if (seen.has(id)) problems.push(`${id} twice`)
        seen.add(id)
      }
    })
  }
  const layer = Layer.effect(
    LanguageModel.LanguageModel,
    LanguageModel.make({
      generateText: () => Effect.die("unused"),
      streamText: ({ prompt, toolChoice }) =>
        Stream.suspend(() => {
          check(prompt)
          const number = requests++
          const { calls, tokenMillis, words } = replies[number % replies.length]!
          const parts: Array<Response.StreamPartEncoded> = [
            { type: "text-start", id: "0" },
            ...Array.from({ length: words }, (_, i) =>
              ({ type: "text-delta", id: "0", delta: `${i > 0 ? " " : ""}w${number}x${i}` }) as const),
            { type: "text-end", id: "0" },
            // so that it comes to an end
            ...toolChoice === "none" || number > 12 ?
              [] :
              calls.map(({ millis, name }) =>
                ({ type: "tool-call", id: `c${++ids}`, name, params: { millis } }) as const
              ),
            { type: "finish", reason: "stop", usage: { inputTokens: {}, outputTokens: {} } }
          ]
          return Stream.rechunk(Stream.fromIterable(parts), 1).pipe(
            Stream.tap((part) =>
              part.type === "text-delta" ? Effect.sleep(tokenMillis) : Effect.void
            )
          )
        })
    })
  )
  return { layer, problems }
}

const steps = (actions: ReadonlyArray<{ readonly what: string; readonly millis: number }>): Array<Step> =>
  actions.flatMap(({ millis, what }, i): Array<Step> => {
    const timestamp = "2025-01-01T00:00:00.000Z"
    const words = Voice.TranscriptionFrame.make({ text: `turn ${i}`, userId: "ann", timestamp })
    const turn = (said: ReadonlyArray<Step>): Array<Step> => [
      Voice.UserStartedSpeakingFrame.make(),
      interrupt,
      sleep(millis),
      ...said,
      Voice.UserStoppedSpeakingFrame.make()
    ]
    switch (what) {
      case "ask":
        return [asks(`question ${i}`), sleep(millis)]
      case "turn":
        return turn([words])
      case "cough":
        return turn([])
      case "interrupt":
        return [interrupt, sleep(millis)]
      default:
        return [sleep(millis)]
    }
  })

describe("conversations", () => {
  it.effect.prop(
    "the context has what was heard and what was returned; every call has a result; nothing is left",
    {
      actions: Arbitrary.array(Action, { minLength: 3, maxLength: 12 }),
      replies: Arbitrary.array(Reply, { minLength: 1, maxLength: 5 })
    },
    ({ actions, replies }) =>
      Effect.gen(function*() {
        const { layer, problems } = model(replies)
        const heard: Array<string> = []
        const returned = new Map<string, unknown>()
        const cancelled = new Set<string>()
        const open: Array<string> = []
        let answering = false
        const ear = Processor.sync("Ear", {
          TtsTextFrame: (frame, push) => {
            heard.push(frame.text)
            push(frame)
          },
          LlmResponseStartFrame: (frame, push) => {
            if (answering) open.push("an answer has no end")
            answering = true
            push(frame)
          },
          LlmResponseEndFrame: (frame, push) => {
            answering = false
            push(frame)
          },
          FunctionCallResultFrame: (frame, push) => {
            returned.set(frame.callId, frame.result)
            push(frame)
          },
          FunctionCallCancelledFrame: (frame, push) => {
            cancelled.add(frame.callId)
            push(frame)
          },
          onInterruption: () => {
            answering = false
          }
        }, {
          frames: [
            Voice.FunctionCallCancelledFrame,
            Voice.FunctionCallResultFrame,
            Voice.LlmResponseEndFrame,
            Voice.LlmResponseStartFrame,
            Voice.TtsTextFrame
          ]
        })
        const context = yield* LlmContext.make()
        const llm = Llm.make({
          toolkit,
          maxToolRounds: 3,
          tools: { slow: { cancelOnInterruption: false }, timer: { background: true } }
        })
        const rest = act(() => settle)
        const [{ failures }, alive] = yield* leaks(
          run(
            Pipeline.make(context.user, llm, mouth, ear, context.assistant),
            [...steps(actions), sleep("2 seconds")].flatMap((step) => [step, rest]),
            { end: true }
          ).pipe(Effect.provide([layer, handlers]), Effect.scoped)
        )
        deepStrictEqual(failures, [])
        deepStrictEqual(problems, [])
        deepStrictEqual(open, [])
        strictEqual(alive, 0)

        const parts = (yield* context.messages).flatMap(({ content, role }) =>
          typeof content === "string"
            ? [{ role, type: "text", text: content }]
            : content.map((part) => ({ role, ...part }))
        ) as Array<Record<string, any>>
        const said = parts.flatMap((part) =>
          part["role"] === "assistant" && part["type"] === "text" ? (part["text"] as string).split(" ") : []
        )
        deepStrictEqual(said.toSorted(), heard.toSorted())

        const results = new Map(
          parts.flatMap((part) => part["type"] === "tool-result" ? [[part["id"] as string, part["result"]]] : [])
        )
        for (const [id, result] of returned) strictEqual(results.get(`${id}_2`) ?? results.get(id), result)
        for (const id of cancelled) assert.isTrue(results.has(id) && !returned.has(id))
      }),
    { arbitrary: { runs: 60 } }
  )
})
