import * as Apology from "@apipeline/core/Apology"
import * as Dialogue from "@apipeline/core/Dialogue"
import * as Frame from "@apipeline/core/Frame"
import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as MemoryTransport from "@apipeline/core/MemoryTransport"
import * as Pcm from "@apipeline/core/Pcm"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineObserver from "@apipeline/core/PipelineObserver"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import type * as Processor from "@apipeline/core/Processor"
import * as SpeechToText from "@apipeline/core/SpeechToText"
import * as Stt from "@apipeline/core/Stt"
import { leaks } from "@apipeline/core/testing"
import * as FakeLanguageModel from "@apipeline/core/testing/FakeLanguageModel"
import * as FakeStt from "@apipeline/core/testing/FakeSpeechToText"
import * as FakeTts from "@apipeline/core/testing/FakeTextToSpeech"
import * as FakeVoiceActivity from "@apipeline/core/testing/FakeVoiceActivity"
import * as TextToSpeech from "@apipeline/core/TextToSpeech"
import * as Tts from "@apipeline/core/Tts"
import * as TurnStart from "@apipeline/core/TurnStart"
import * as TurnStop from "@apipeline/core/TurnStop"
import * as UserIdle from "@apipeline/core/UserIdle"
import * as UserTurn from "@apipeline/core/UserTurn"
import * as Vad from "@apipeline/core/Vad"
import * as VoiceActivity from "@apipeline/core/VoiceActivity"
import * as Voice from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect, ExecutionPlan, Fiber, Layer, Schema, Stream } from "effect"
import { AiError, type LanguageModel, Tool, Toolkit } from "effect/ai"
import { TestClock } from "effect/testing"
import { bot, user } from "../utils/conversation.ts"

const { deepStrictEqual, isAtLeast, strictEqual } = assert

// A whole bot whose services are stand-ins: what goes wrong in one of them must not end the conversation.

interface Options {
  readonly llm?: Processor.Processor<any, any>
  readonly model?: Layer.Layer<LanguageModel.LanguageModel>
  readonly stt?: SpeechToText.Service
  readonly tts?: TextToSpeech.Service
  readonly idle?: Processor.Processor
}

interface Talk {
  /** Milliseconds of speech, then a second of silence in which it is answered. */
  readonly say: (milliseconds?: number, then?: number) => Effect.Effect<void>
  readonly wait: (milliseconds: number) => Effect.Effect<void>
  /** What is said while it is heard, by whom; failures, and interruptions. */
  readonly log: ReadonlyArray<string>
  readonly messages: LlmContext.LlmContext["messages"]
  /** Milliseconds of audio that came, in all. */
  readonly heard: () => number
}

const rate = 16_000

const piece = (value: number): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({
    audio: Pcm.fromInt16(new Int16Array(320).fill(value)),
    sampleRate: rate,
    numChannels: 1
  })

const observer = (log: Array<string>): PipelineObserver.PipelineObserver => {
  const seen = new WeakSet<Frame.Frame>()
  return PipelineObserver.make("Log", (event) =>
    Effect.sync(() => {
      if (event._tag === "Task" && event.event === "Interrupted") log.push("!")
      if (event._tag !== "Push" || seen.has(event.frame)) return
      const { frame } = event
      if (Voice.TtsTextFrame.is(frame) || Voice.AggregatedTextFrame.is(frame)) {
        if (event.from !== "TransportOutput") return
        if (Voice.TtsTextFrame.is(frame)) log.push(`${log.pop()!} ${frame.text.trim()}`)
        else log.push(frame.willBeSpoken ? "bot:" : `unspoken: ${frame.text}`)
      } else if (Voice.TranscriptionFrame.is(frame)) log.push(`user: ${frame.text}`)
      else if (Frame.ErrorFrame.is(frame)) log.push(`${frame.processor}: ${(frame.error as Error).message}`)
      seen.add(frame)
    }))
}

/** As `examples/support/Bot.ts` has it. */
const talk = <A, E>(options: Options, conversation: (talk: Talk) => Effect.Effect<A, E>) =>
  Effect.gen(function*() {
    const { client, transport } = yield* MemoryTransport.make({
      capacity: 4096,
      flushes: true,
      input: { onDisconnect: "end" },
      vad: Vad.make({
        params: { startSecs: 0.2, stopSecs: 0.3 },
        started: () => Voice.VadUserStartedSpeakingFrame.make(),
        stopped: () => Voice.VadUserStoppedSpeakingFrame.make()
      })
    })
    const context = yield* LlmContext.make()
    const log: Array<string> = []
    const pipeline = Pipeline.make(
      transport.input,
      Apology.make({ processors: ["Stt", "Llm"] }),
      Stt.make(),
      UserTurn.make({ start: [TurnStart.vad()], stop: [TurnStop.speechTimeout({ timeout: "100 millis" })] }),
      ...options.idle === undefined ? [] : [options.idle],
      context.user,
      options.llm ?? Llm.make(),
      Tts.make(),
      transport.output,
      context.assistant
    )
    const voice = yield* FakeTts.make((text) => [FakeTts.audio(text.length * 50)])
    const hearing = yield* FakeStt.make([])
    const activity = yield* FakeVoiceActivity.make((window) => window[0]! > 0.1 ? 1 : 0)
    const task = yield* PipelineTask.make(pipeline as Pipeline.Pipeline<unknown, never>, {
      audioInSampleRate: rate,
      audioOutSampleRate: rate,
      observers: [observer(log)]
    }).pipe(
      Effect.provideService(VoiceActivity.VoiceActivity, activity.service),
      Effect.provideService(SpeechToText.SpeechToText, options.stt ?? hearing.service),
      Effect.provideService(TextToSpeech.TextToSpeech, options.tts ?? voice.service),
      Effect.provide(options.model ?? Layer.empty)
    )
    const running = yield* Effect.forkScoped(task.run, { startImmediately: true })
    let heard = 0
    const listen = Stream.runForEach(client.received, (signal) =>
      Effect.sync(() => {
        if (signal._tag === "Frame" && Frame.AudioRawFrame.is(signal.frame)) heard += signal.frame.duration
      }))
    yield* Effect.forkScoped(listen, { startImmediately: true })
    const play = (milliseconds: number, value: number): Effect.Effect<void> => {
      let left = milliseconds / 20
      return Effect.whileLoop({
        while: () => left-- > 0,
        body: () => Effect.andThen(Effect.orDie(client.send(piece(value))), TestClock.adjust("20 millis")),
        step: () => {}
      })
    }
    const wait = (milliseconds: number) => play(milliseconds, 0)
    yield* wait(100)
    const result = yield* conversation({
      say: (milliseconds = 600, then = 1000) => Effect.andThen(play(milliseconds, 20_000), wait(then)),
      wait,
      log,
      messages: context.messages,
      heard: () => heard
    })
    yield* client.close("good-bye")
    for (let i = 0; i < 100 && running.pollUnsafe() === undefined; i++) yield* TestClock.adjust("1 second")
    yield* Fiber.join(running)
    return result
  }).pipe(
    Effect.scoped,
    leaks,
    Effect.map(([result, left]) => {
      strictEqual(left, 0, "fibers that are left")
      return result
    })
  )

/** Understands one text after the other. */
const hears = (...texts: ReadonlyArray<string>) =>
  Effect.map(FakeStt.make(texts.map((text) => FakeStt.stream([FakeStt.final(text)]))), ({ service }) => service)

const answers = (...replies: ReadonlyArray<FakeLanguageModel.Exchange["reply"]>) =>
  Effect.map(FakeLanguageModel.make(replies.map((reply) => ({ reply }))), ({ layer }) => layer)

const down = new AiError.InternalProviderError({ description: "down" })

describe("a conversation", () => {
  it.effect("goes to and fro", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.", "How are you?")
      const model = yield* answers(["Hi ", "there."], ["Fine. ", "And you?"])
      yield* talk({ stt, model }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(500)
          yield* say()
          yield* wait(2000)
          deepStrictEqual(log, [
            "!",
            "user: Hello.",
            "bot: Hi there.",
            "!",
            "user: How are you?",
            "bot: Fine.",
            "bot: And you?"
          ])
          deepStrictEqual(yield* messages, [
            user("Hello."),
            bot("Hi there."),
            user("How are you?"),
            bot("Fine. And you?")
          ])
        }))
    }).pipe(Effect.scoped))

  it.effect("one who interrupts ten times in a row is understood each time, and what was heard is known", () =>
    Effect.gen(function*() {
      const numbers = Array.from({ length: 11 }, (_, i) => i + 1)
      const stt = yield* hears(...numbers.map((n) => `Number ${n}.`))
      const model = yield* answers(
        ...numbers.map((n) => [`Answer ${n} is one that takes very long to say, and longer still. `, "And more of it."])
      )
      yield* talk({ stt, model }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          for (const _ of numbers) yield* say(400, 1400)
          yield* wait(6000)
          const all = yield* messages
          deepStrictEqual(
            all.filter(({ role }) => role === "user").map(({ content }) => content),
            numbers.map((n) => `Number ${n}.`)
          )
          const said = all.filter(({ role }) => role === "assistant").map(({ content }) => String(content))
          deepStrictEqual(said.length, 11)
          for (const [i, text] of said.entries()) {
            const whole = `Answer ${i + 1} is one that takes very long to say, and longer still. And more of it.`
            if (i === 10) strictEqual(text, whole)
            else strictEqual(whole.startsWith(text) && text.length > 8 && text.length < 50, true, text)
          }
          strictEqual(log.filter((line) => line === "!").length, 11)
        }))
    }).pipe(Effect.scoped))

  it.effect("is taken up by the bot when the user says nothing for long", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.", "Yes.")
      const model = yield* answers(["Hi."], ["Good."])
      const idle = UserIdle.make({
        timeout: "3 seconds",
        onIdle: ({ push }) => push(Tts.TtsSpeakFrame.make({ text: "Are you still there?" }))
      })
      yield* talk({ stt, model, idle }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(2500)
          strictEqual(log.at(-1), "bot: Hi.")
          yield* wait(3000)
          strictEqual(log.at(-1), "bot: Are you still there?")
          yield* say()
          yield* wait(500)
          strictEqual(log.at(-1), "bot: Good.")
          deepStrictEqual(yield* messages, [
            user("Hello."),
            bot("Hi."),
            bot("Are you still there?"),
            user("Yes."),
            bot("Good.")
          ])
        }))
    }).pipe(Effect.scoped))

  it.effect("a timer rings by itself, and the bot speaks up", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Set a timer for ten seconds.", "Hello.")
      const llm = Llm.make({ toolkit: Dialogue.tools, tools: { set_timer: { background: true } } })
      const model = Layer.mergeAll(Dialogue.layer(), Dialogue.layerTools) as Layer.Layer<LanguageModel.LanguageModel>
      yield* talk({ stt, model, llm }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(4000)
          const told = log.length
          strictEqual(log.some((line) => /^bot:.*timer/i.test(line)), true, log.join("\n"))
          yield* wait(9000)
          strictEqual(/time is up|timer/i.test(log.slice(told).join(" ")), true, log.join("\n"))
          yield* say()
          yield* wait(1000)
          strictEqual(log.filter((line) => line.startsWith("user:")).length, 2)
          strictEqual(log.at(-1)!.startsWith("bot:"), true)
        }))
    }).pipe(Effect.scoped))
})

describe("a user", () => {
  it.effect("who goes on before the answer comes is answered once, to all of it", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.", "And good morning.")
      const fake = yield* FakeLanguageModel.make([
        { reply: [{ delay: "3 seconds" }, "Hi."] },
        { messages: [user("Hello."), user("And good morning.")], reply: ["Good morning."] }
      ])
      yield* talk({ stt, model: fake.layer }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* say()
          yield* wait(4000)
          deepStrictEqual(log, ["!", "user: Hello.", "!", "user: And good morning.", "bot: Good morning."])
          deepStrictEqual(yield* messages, [user("Hello."), user("And good morning."), bot("Good morning.")])
          deepStrictEqual(fake.requests().map(({ outcome }) => outcome), ["interrupted", "completed"])
        }))
    }).pipe(Effect.scoped))

  it.effect("who is understood late is answered all the same", () =>
    Effect.gen(function*() {
      const { service } = yield* FakeStt.make([FakeStt.stream([FakeStt.final("Hello.", { after: "3 seconds" })])])
      const model = yield* answers(["Hi."])
      yield* talk({ stt: service, model }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(4000)
          deepStrictEqual(log, ["!", "user: Hello.", "bot: Hi."])
        }))
    }).pipe(Effect.scoped))

  it.effect("who says nothing that can be understood has the bot fall silent, no more", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.", "", "What did you say?")
      const model = yield* answers(["This takes a long time to say, longer than a second."], ["Nothing."])
      yield* talk({ stt, model }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* say(400, 6000)
          deepStrictEqual(log.slice(3), ["!"])
          yield* say()
          yield* wait(500)
          deepStrictEqual(log.slice(4), ["!", "user: What did you say?", "bot: Nothing."])
          const [, said] = yield* messages
          strictEqual("This takes a long time to say".startsWith(String(said!.content)), true)
        }))
    }).pipe(Effect.scoped))

  it.effect("who speaks while a function runs: it is cancelled, and the model is told so", () =>
    Effect.gen(function*() {
      const Look = Tool.make("look", { success: Schema.String })
      const toolkit = Toolkit.make(Look)
      const stt = yield* hears("Look it up.", "Never mind.")
      const fake = yield* FakeLanguageModel.make([
        { reply: [{ call: { id: "1", name: "look", params: {} } }] },
        { last: "Never mind.", reply: ["All right."] }
      ])
      const model = Layer.merge(fake.layer, toolkit.toLayer({ look: () => Effect.never }))
      yield* talk({ stt, model, llm: Llm.make({ toolkit }) }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* say()
          yield* wait(1000)
          deepStrictEqual(log, ["!", "user: Look it up.", "!", "user: Never mind.", "bot: All right."])
          deepStrictEqual((yield* messages).map(({ role }) => role), ["user", "assistant", "tool", "user", "assistant"])
        }))
    }).pipe(Effect.scoped))

  it.effect("who hangs up while the bot speaks leaves nothing behind", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.")
      const model = yield* answers(["This takes a long time to say, ", { delay: "1 second" }, "and longer still."])
      yield* talk({ stt, model }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(1000)
          strictEqual(log.at(-1)!.startsWith("bot: This takes"), true)
        }))
    }).pipe(Effect.scoped))
})

describe("a recogniser", () => {
  it.effect("that crashes in the middle of a sentence is asked again, and the turn is not lost", () =>
    Effect.gen(function*() {
      const { calls, service } = yield* FakeStt.make([
        FakeStt.stream([FakeStt.interim("He", { at: 300 }), FakeStt.fails({ at: 500, message: "crashed" })]),
        FakeStt.stream([FakeStt.final("Hello.")])
      ])
      const model = yield* answers(["Hi."])
      yield* talk({ stt: service, model }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(500)
          deepStrictEqual(log, ["!", "user: Hello.", "bot: Hi."])
          // the second time, too, it got all of it
          isAtLeast(calls[1]!.audio().length, 600 * 16)
        }))
    }).pipe(Effect.scoped))

  it.effect("that stays broken is reported and apologised for, and the next turn works", () =>
    Effect.gen(function*() {
      const { service } = yield* FakeStt.make([
        ...Array.from({ length: 6 }, () => FakeStt.stream([FakeStt.fails({ message: "crashed" })])),
        FakeStt.stream([FakeStt.final("Hello.")])
      ])
      const model = yield* answers(["Hi."])
      yield* talk({ stt: service, model }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say(1000)
          yield* wait(5000)
          deepStrictEqual(log, [
            "!",
            "Stt: fake: crashed",
            "bot: Sorry, something went wrong.",
            "bot: Please try again."
          ])
          yield* say()
          yield* wait(1000)
          deepStrictEqual(log.slice(4), ["!", "user: Hello.", "bot: Hi."])
          deepStrictEqual(yield* messages, [user("Hello."), bot("Hi.")])
        }))
    }).pipe(Effect.scoped))

  it.effect("that hangs is given up, and the next turn works", () =>
    Effect.gen(function*() {
      const hanging = Array.from({ length: 3 }, () => FakeStt.stream([FakeStt.hangs()]))
      const { service } = yield* FakeStt.make([...hanging, FakeStt.stream([FakeStt.final("Hello.")])])
      const model = yield* answers(["Hi."])
      yield* talk({ stt: service, model }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(40_000)
          deepStrictEqual(log, [
            "!",
            "Stt: fake: no final result within 10000 ms",
            "bot: Sorry, something went wrong.",
            "bot: Please try again."
          ])
          yield* say()
          yield* wait(1000)
          deepStrictEqual(log.slice(4), ["!", "user: Hello.", "bot: Hi."])
        }))
    }).pipe(Effect.scoped))

  it.effect("that fails is replaced by another in the middle of a sentence", () =>
    Effect.gen(function*() {
      const first = yield* FakeStt.make([
        FakeStt.stream([FakeStt.interim("He", { at: 300 }), FakeStt.fails({ at: 500, isRetryable: false })])
      ], { name: "first" })
      const second = yield* FakeStt.make([
        FakeStt.stream([FakeStt.final("Hello.")]),
        FakeStt.stream([FakeStt.final("And again.")])
      ], { name: "second" })
      const switched: Array<string> = []
      const stt = SpeechToText.failover([first.service, second.service], {
        onSwitched: ({ to }) => Effect.sync(() => switched.push(to))
      })
      const model = yield* answers(["Hi."], ["Yes."])
      yield* talk({ stt, model }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(500)
          yield* say()
          yield* wait(500)
          deepStrictEqual(log, ["!", "user: Hello.", "bot: Hi.", "!", "user: And again.", "bot: Yes."])
          deepStrictEqual(switched, ["second"])
          isAtLeast(second.calls[0]!.audio().length, 600 * 16)
        }))
    }).pipe(Effect.scoped))
})

describe("a model", () => {
  const thrice = (step: FakeLanguageModel.Step) => [[step], [step], [step]]
  const broken: Readonly<Record<string, readonly [Array<FakeLanguageModel.Exchange["reply"]>, string]>> = {
    "that fails": [thrice({ fail: down }), "Provider"],
    "that stalls": [thrice({ stall: true }), "FirstToken"],
    "that streams garbage": [thrice({ part: { type: "text-delta", delta: 7 } }), "Output"],
    "that dies": [[[{ die: new Error("bug") }]], "Provider"]
  }
  for (const [name, [replies, reason]] of Object.entries(broken)) {
    it.effect(`${name} is apologised for, and the next turn works`, () =>
      Effect.gen(function*() {
        const stt = yield* hears("Hello.", "Are you there?")
        const model = yield* answers(...replies, ["Yes."])
        yield* talk({ stt, model }, ({ log, messages, say, wait }) =>
          Effect.gen(function*() {
            yield* say()
            yield* wait(reason === "FirstToken" ? 50_000 : 5000)
            deepStrictEqual(log.map((line) => line.replace(/^(Llm: \w+: \w+).*/s, "$1")), [
              "!",
              "user: Hello.",
              `Llm: LanguageModel: ${reason}`,
              "bot: Sorry, something went wrong.",
              "bot: Please try again."
            ])
            yield* say()
            yield* wait(500)
            deepStrictEqual(log.slice(5), ["!", "user: Are you there?", "bot: Yes."])
            deepStrictEqual(yield* messages, [user("Hello."), user("Are you there?"), bot("Yes.")])
          }))
      }).pipe(Effect.scoped))
  }

  it.effect("that stops in the middle of its answer: what it has said counts, and is followed by an apology", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.", "Go on.")
      const model = yield* answers(["One is said. ", "Two", { fail: down }], ["Yes."])
      yield* talk({ stt, model }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(5000)
          deepStrictEqual(log.filter((line) => line.startsWith("bot:")), [
            "bot: One is said.",
            "bot: Two",
            "bot: Sorry, something went wrong.",
            "bot: Please try again."
          ])
          yield* say()
          yield* wait(500)
          strictEqual(log.at(-1), "bot: Yes.")
          deepStrictEqual(yield* messages, [user("Hello."), bot("One is said. Two"), user("Go on."), bot("Yes.")])
        }))
    }).pipe(Effect.scoped))

  it.effect("that fails is replaced by the next one of a plan, for the same turn", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.")
      const first = yield* answers([{ fail: down }])
      const second = yield* answers(["Hi."])
      const llm = Llm.make({ plan: ExecutionPlan.make({ provide: first }, { provide: second }) })
      yield* talk({ stt, llm }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(500)
          deepStrictEqual(log, ["!", "user: Hello.", "bot: Hi."])
        }))
    }).pipe(Effect.scoped))
})

describe("a voice", () => {
  it.effect("that hangs is given up, and whoever interrupts it is answered at once", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.", "Hello?", "Hello!")
      const model = yield* answers(["Hang."], ["Hang."], ["Speak."])
      const { service } = yield* FakeTts.make((text) => text === "Hang." ? [FakeTts.hangs] : [FakeTts.audio(400)])
      yield* talk({ stt, model, tts: service }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(40_000)
          deepStrictEqual(log.slice(2), ["Tts: fake: nothing came for 10000 ms", "unspoken: Hang."])
          yield* say()
          yield* say()
          yield* wait(500)
          deepStrictEqual(log.slice(4), ["!", "user: Hello?", "!", "user: Hello!", "bot: Speak."])
        }))
    }).pipe(Effect.scoped))

  const sentence = "This is a sentence of some length."

  it.effect("that crashes in the middle of a sentence goes on where it was", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.")
      const model = yield* answers([sentence])
      const { calls, service } = yield* FakeTts.make([
        FakeTts.synthesize(sentence, [FakeTts.audio(500), FakeTts.fails({ message: "crashed" })]),
        FakeTts.synthesize(sentence, [FakeTts.audio(1700)])
      ])
      yield* talk({ stt, model, tts: service }, ({ heard, log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(2500)
          deepStrictEqual(log, ["!", "user: Hello.", `bot: ${sentence}`])
          deepStrictEqual(yield* messages, [user("Hello."), bot(sentence)])
          strictEqual(calls.length, 2)
          // in chunks of 40
          strictEqual(heard(), 1720)
        }))
    }).pipe(Effect.scoped))

  it.effect("that fails is replaced by another in the middle of a conversation", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.", "Again.")
      const model = yield* answers(["Hi."], [sentence])
      const first = yield* FakeTts.make([
        FakeTts.synthesize("Hi.", FakeTts.audio(200)),
        FakeTts.synthesize(sentence, FakeTts.fails({ isRetryable: false }))
      ])
      const second = yield* FakeTts.make([FakeTts.synthesize(sentence, FakeTts.audio(1700))])
      const tts = TextToSpeech.failover([first.service, second.service])
      yield* talk({ stt, model, tts }, ({ log, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* say()
          yield* wait(2500)
          deepStrictEqual(log, ["!", "user: Hello.", "bot: Hi.", "!", "user: Again.", `bot: ${sentence}`])
        }))
    }).pipe(Effect.scoped))

  it.effect("that stays broken is reported, its sentence can be read, and the next one is spoken", () =>
    Effect.gen(function*() {
      const stt = yield* hears("Hello.")
      const model = yield* answers([`${sentence} `, "And this."])
      const { service } = yield* FakeTts.make((text) =>
        text === sentence ? [FakeTts.fails({ message: "crashed" })] : [FakeTts.audio(400)]
      )
      yield* talk({ stt, model, tts: service }, ({ log, messages, say, wait }) =>
        Effect.gen(function*() {
          yield* say()
          yield* wait(2500)
          deepStrictEqual(log, [
            "!",
            "user: Hello.",
            "Tts: fake: crashed",
            `unspoken: ${sentence}`,
            "bot: And this."
          ])
          // the user has not heard it
          deepStrictEqual(yield* messages, [user("Hello."), bot("And this.")])
        }))
    }).pipe(Effect.scoped))
})
