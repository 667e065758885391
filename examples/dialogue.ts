/** Typed chat with the dialogue engine, through Effect's `LanguageModel`: any other model is another layer. */
import { Dialogue } from "@apipeline/core"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Stream } from "effect"
import { Chat } from "effect/ai"

const turns = [
  "Hello!",
  "My name is Ada.",
  "What is seven times eight?",
  "How many kilometers is five miles?",
  "What day is December 25th, 2100?",
  "Spell pipeline.",
  "Set a tea timer for half a second.",
  "Say that again.",
  "I am happy about my tea.",
  "What is my name?",
  "Goodbye."
]

/** Says what comes, word by word. True: a tool was called, and its result wants to be answered. */
const speak = (chat: Chat.Chat, prompt: string) =>
  Effect.gen(function*() {
    let line = ""
    let called = false
    yield* Stream.runForEach(
      chat.streamText({ prompt: prompt === "" ? [] : prompt, toolkit: Dialogue.tools }),
      (part) =>
        Effect.sync(() => {
          if (part.type === "text-delta") line += part.delta
          if (part.type === "tool-result") called = true
        })
    )
    yield* Console.log(called ? "     (the timer runs, and rings)" : `bot: ${line}`)
    return called
  })

const program = Effect.gen(function*() {
  const chat = yield* Chat.fromPrompt([{ role: "system", content: "You are a helpful bot." }])
  yield* speak(chat, "")
  for (const turn of turns) {
    yield* Console.log(`you: ${turn}`)
    if (yield* speak(chat, turn)) yield* speak(chat, "")
  }
})

const layer = Layer.merge(Dialogue.layer({ timeZone: "UTC" }), Dialogue.layerTools)

NodeRuntime.runMain(Effect.provide(program, layer))
