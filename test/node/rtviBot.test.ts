/** The official client of pipecat and a whole bot, whose services are fakes: what it is told of a turn, and in which order. */
import * as Apology from "@apipeline/core/Apology"
import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Rtvi from "@apipeline/core/Rtvi"
import * as SpeechToText from "@apipeline/core/SpeechToText"
import * as Stt from "@apipeline/core/Stt"
import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
import * as FakeSpeechToText from "@apipeline/core/testing/FakeSpeechToText"
import * as FakeTextToSpeech from "@apipeline/core/testing/FakeTextToSpeech"
import * as FakeVoiceActivity from "@apipeline/core/testing/FakeVoiceActivity"
import * as TextToSpeech from "@apipeline/core/TextToSpeech"
import type * as Transport from "@apipeline/core/Transport"
import * as Tts from "@apipeline/core/Tts"
import * as TurnStart from "@apipeline/core/TurnStart"
import * as TurnStop from "@apipeline/core/TurnStop"
import * as UserTurn from "@apipeline/core/UserTurn"
import * as Vad from "@apipeline/core/Vad"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { AiError, LanguageModel, Tool, Toolkit } from "effect/ai"
import { bot, calling, results, user } from "../utils/conversation.ts"
import * as Pipecat from "../utils/pipecat.ts"
import * as Talk from "../utils/talk.ts"

const { deepStrictEqual, strictEqual } = assert
const { until } = Pipecat

Pipecat.silence()

const toolkit = Toolkit.make(
  Tool.make("get_local_time", {
    parameters: Schema.Struct({ zone: Schema.String }),
    success: Schema.Struct({ time: Schema.String })
  })
)

interface Script {
  /** What is understood, utterance by utterance. */
  readonly heard: ReadonlyArray<FakeSpeechToText.Call>
  readonly model: ReadonlyArray<FakeLanguageModel.Exchange>
}

/** A client that is ready, and a bot that follows the script; each word takes 200 ms to say. */
const connect = Effect.fnUntraced(function*(script: Script) {
  const model = yield* FakeLanguageModel.make(script.model)
  const stt = yield* FakeSpeechToText.make(script.heard)
  const tts = yield* FakeTextToSpeech.make((text) => {
    const words = text.trim().split(/\s+/)
    return words.flatMap((word, i) => [FakeTextToSpeech.word(word, i * 200), FakeTextToSpeech.audio(200)])
  })
  const voice = yield* FakeVoiceActivity.make((window) => window.some((sample) => sample > 0.1) ? 1 : 0)
  const contexts: Array<LlmContext.LlmContext> = []
  const session = (transport: Transport.Transport) =>
    Effect.gen(function*() {
      const rtvi = yield* Rtvi.make({ about: { library: "test" }, functionCalls: { "*": "full" } })
      const context = yield* LlmContext.make()
      contexts.push(context)
      const pipeline = Pipeline.make(
        transport.input,
        rtvi.processor,
        Vad.make({
          params: { startSecs: 0.1, stopSecs: 0.1, minVolume: 0 },
          started: () => Voice.VadUserStartedSpeakingFrame.make(),
          stopped: () => Voice.VadUserStoppedSpeakingFrame.make()
        }),
        Apology.make(),
        Stt.make({ userId: "ann" }),
        UserTurn.make({ start: [TurnStart.vad()], stop: [TurnStop.speechTimeout({ timeout: 100 })] }),
        context.user,
        Llm.make({ toolkit, tools: { get_local_time: { run: "client" } } }),
        Tts.make(),
        transport.output,
        context.assistant
      )
      return yield* PipelineTask.make(pipeline, { observers: [rtvi.observer], audioOutSampleRate: 24_000 })
    }).pipe(
      Effect.provideService(LanguageModel.LanguageModel, model.service),
      Effect.provideService(SpeechToText.SpeechToText, stt.service),
      Effect.provideService(TextToSpeech.TextToSpeech, tts.service),
      Effect.provideService(VoiceActivity.VoiceActivity, voice.service)
    )
  const { url } = yield* Talk.serve({ session })
  const made = yield* Pipecat.makeClient
  yield* Effect.promise(() => made.client.startBotAndConnect({ endpoint: `${url}/start` }))
  const { media, seen } = made
  /** A microphone sends 16 ms at a time, and no faster than people speak. */
  const send = (milliseconds: number, sample: number) =>
    Effect.gen(function*() {
      const chunk = Pcm.fromInt16(new Int16Array(256).fill(sample))
      for (let sent = 0; sent < milliseconds; sent += 16) {
        media.speak(chunk.slice().buffer)
        yield* Effect.sleep(16)
      }
    })
  const speak = Effect.andThen(send(400, 16_000), send(250, 0))
  const wait = (event: string, n = 1) => until(event, () => seen.filter(([name]) => name === event).length >= n)
  return { ...made, speak, wait, context: contexts[0]!, verify: model.verify }
})

/** Without what is a matter of time, and of numbers that are the process's. */
const plain = (seen: ReadonlyArray<Pipecat.Seen>): ReadonlyArray<unknown> =>
  seen.filter(([name]) => !["metrics", "localAudioLevel", "remoteAudioLevel"].includes(name)).map(([name, data]) => {
    if (name === "botOutput") {
      const { spoken_progress: progress, spoken_status: status, text } = data
      return progress === undefined
        ? `${name}: ${text}`
        : `${name} ${status}: ${progress.accumulated_text}|${progress.remaining_text}`
    }
    if (name === "userTranscript") return `${name} ${data.final ? "final" : "interim"}: ${data.text}`
    if (data?.text !== undefined) return `${name}: ${data.text}`
    return data === undefined ? name : [name, data]
  })

/** What was heard of an answer. */
const wordsOf = (seen: ReadonlyArray<Pipecat.Seen>): string =>
  seen.filter(([name]) => name === "botTtsText").map(([, { text }]) => text).join(" ")

const long = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen."
const call = { id: "call-1", name: "get_local_time", params: { zone: "here" } }

describe("the official client and a whole bot", () => {
  it.live("a spoken turn with a function of the client's", () =>
    Effect.gen(function*() {
      const { client, media, seen, speak, verify, wait, context } = yield* connect({
        heard: [FakeSpeechToText.stream([
          FakeSpeechToText.interim("what time", { at: 200 }),
          FakeSpeechToText.final("What time is it?")
        ])],
        model: [
          { last: "What time is it?", tools: ["get_local_time"], reply: [{ call }] },
          { reply: ["It is ", "noon."] }
        ]
      })
      const asked: Array<unknown> = []
      client.registerFunctionCallHandler("get_local_time", async (given) => {
        asked.push(given)
        return { time: "12:00" }
      })
      const before = seen.length
      yield* speak
      yield* wait("botStoppedSpeaking")
      const about = { tool_call_id: "call-1", function_name: "get_local_time" }
      deepStrictEqual(plain(seen.slice(before)), [
        "userStartedSpeaking",
        "userTranscript interim: what time",
        "userTranscript final: What time is it?",
        "userStoppedSpeaking",
        "userLlmText: What time is it?",
        "botLlmStarted",
        "botLlmStopped",
        ["llmFunctionCallStarted", { function_name: "get_local_time" }],
        ["llmFunctionCallInProgress", { ...about, arguments: { zone: "here" } }],
        ["llmFunctionCallStopped", { ...about, cancelled: false, result: { time: "12:00" } }],
        "botLlmStarted",
        "botLlmText: It is ",
        "botLlmText: noon.",
        "botTranscript: It is noon.",
        "botLlmStopped",
        "botTtsStarted",
        "botTtsStopped",
        "botStartedSpeaking",
        "botOutput new: |It is noon.",
        "botTtsText: It",
        "botOutput in-progress: It| is noon.",
        "botTtsText: is",
        "botOutput in-progress: It is| noon.",
        "botTtsText: noon.",
        "botOutput completed: It is noon.|",
        "botStoppedSpeaking"
      ])
      deepStrictEqual(asked, [{ functionName: "get_local_time", arguments: { zone: "here" } }])
      assert.isAtLeast(media.played, 14_400) // 600 ms
      yield* verify
      deepStrictEqual((yield* context.messages) as ReadonlyArray<unknown>, [
        user("What time is it?"),
        calling("", ["call-1", "get_local_time", { zone: "here" }]),
        results(["call-1", "get_local_time", { time: "12:00" }]),
        bot("It is noon.")
      ])
    }))

  it.live("typing interrupts the bot, and an answer in writing only is not spoken", () =>
    Effect.gen(function*() {
      const { client, context, media, seen, verify, wait } = yield* connect({
        heard: [],
        model: [
          { last: "Tell me.", reply: [`${long} Thirteen.`] },
          { last: "Stop.", reply: ["As you ", "like."] }
        ]
      })
      const before = seen.length
      yield* Effect.promise(() => client.sendText("Tell me."))
      yield* until("three words", () => seen.some(([name, data]) => name === "botTtsText" && data.text === "three"))
      yield* Effect.promise(() => client.sendText("Stop.", { audio_response: false }))
      yield* wait("botLlmStopped", 2)
      yield* until(
        "the answer",
        () => seen.some(([name, data]) => name === "botOutput" && data.text === "As you like.")
      )
      const told = plain(seen.slice(before))
      const heard = wordsOf(seen)
      deepStrictEqual(told.slice(0, told.indexOf("botTtsText: two")), [
        "userLlmText: Tell me.",
        "botLlmStarted",
        `botLlmText: ${long} Thirteen.`,
        `botTranscript: ${long}`,
        "botTranscript: Thirteen.",
        "botLlmStopped",
        "botTtsStarted",
        "botTtsStopped",
        "botStartedSpeaking",
        `botOutput new: |${long}`,
        "botTtsText: One",
        `botOutput in-progress: One|${long.slice(3)}`
      ])
      deepStrictEqual(told.slice(told.indexOf(`botOutput in-progress: ${heard}|${long.slice(heard.length)}`) + 1), [
        "botStoppedSpeaking",
        "userLlmText: Stop.",
        "botLlmStarted",
        "botLlmText: As you ",
        "botLlmText: like.",
        "botTranscript: As you like.",
        "botLlmStopped",
        "botOutput: As you like."
      ])
      const { played } = media
      yield* Effect.sleep(300)
      strictEqual(media.played, played)
      yield* verify
      deepStrictEqual(yield* context.messages, [user("Tell me."), bot(heard), user("Stop."), bot("As you like.")])
    }))

  it.live("speaking interrupts it, too: only what was heard is in the conversation", () =>
    Effect.gen(function*() {
      const { client, context, seen, speak, verify, wait } = yield* connect({
        heard: [FakeSpeechToText.stream(FakeSpeechToText.final("And now?"))],
        model: [
          { last: "Count.", reply: [`${long} Thirteen.`] },
          { last: "And now?", reply: ["Done."] }
        ]
      })
      const before = seen.length
      yield* Effect.promise(() => client.sendText("Count."))
      yield* until("three words", () => seen.some(([name, data]) => name === "botTtsText" && data.text === "three"))
      yield* speak
      yield* wait("botStoppedSpeaking", 2)
      const told = plain(seen.slice(before))
      deepStrictEqual(told.slice(told.indexOf("userStartedSpeaking")), [
        "userStartedSpeaking",
        "botStoppedSpeaking",
        "userTranscript final: And now?",
        "userStoppedSpeaking",
        "userLlmText: And now?",
        "botLlmStarted",
        "botLlmText: Done.",
        "botTranscript: Done.",
        "botLlmStopped",
        "botTtsStarted",
        "botTtsStopped",
        "botStartedSpeaking",
        "botOutput new: |Done.",
        "botTtsText: Done.",
        "botOutput completed: Done.|",
        "botStoppedSpeaking"
      ])
      yield* verify
      const heard = wordsOf(seen.slice(0, seen.findIndex(([name]) => name === "userStartedSpeaking")))
      deepStrictEqual(yield* context.messages, [user("Count."), bot(heard), user("And now?"), bot("Done.")])
    }))

  it.live("a model that fails: it is told why, the bot apologises, and goes on", () =>
    Effect.gen(function*() {
      const { client, context, seen, verify, wait } = yield* connect({
        heard: [],
        model: [
          { last: "Hello?", reply: [{ fail: new AiError.InvalidRequestError({ description: "no credit" }) }] },
          { last: "And now?", reply: ["Yes."] }
        ]
      })
      const before = seen.length
      yield* Effect.promise(() => client.sendText("Hello?"))
      yield* wait("botStoppedSpeaking")
      const told = plain(seen.slice(before).filter(([name]) => !["botTtsText", "error"].includes(name)))
      deepStrictEqual(told.filter((line) => !String(line).startsWith("botOutput in-progress")), [
        "userLlmText: Hello?",
        "botLlmStarted",
        "botLlmStopped",
        "botTtsStarted",
        "botTtsStopped",
        "botStartedSpeaking",
        "botOutput new: |Sorry, something went wrong.",
        "botOutput completed: Sorry, something went wrong.|",
        "botOutput new: |Please try again.",
        "botOutput completed: Please try again.|",
        "botStoppedSpeaking"
      ])
      const [[, error]] = seen.filter(([name]) => name === "error") as [Pipecat.Seen]
      assert.match(error.data.error, /Provider: .*no credit/)
      strictEqual(error.data.fatal, false)
      yield* Effect.promise(() => client.sendText("And now?"))
      yield* wait("botStoppedSpeaking", 2)
      yield* verify
      deepStrictEqual(yield* context.messages, [user("Hello?"), user("And now?"), bot("Yes.")])
    }))
})
