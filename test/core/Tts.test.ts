import * as Frame from "@apipeline/core/Frame"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as MarkdownFilter from "@apipeline/core/MarkdownFilter"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import * as ServiceSwitcher from "@apipeline/core/ServiceSwitcher"
import { act, interrupt, leaks, run, type RunOptions, settle, sleep, type Step } from "@apipeline/core/testing"
import * as Fake from "@apipeline/core/testing/FakeTextToSpeech"
import * as TextToSpeech from "@apipeline/core/TextToSpeech"
import { BotInterruptedFrame } from "@apipeline/core/TransportFrames"
import * as TransportOutput from "@apipeline/core/TransportOutput"
import * as Tts from "@apipeline/core/Tts"
import {
  AggregatedTextFrame,
  LlmResponseEndFrame,
  LlmResponseStartFrame,
  LlmTextFrame,
  TtsStartedFrame,
  TtsStoppedFrame,
  TtsTextFrame
} from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Effect, Schedule, Schema, Stream } from "effect"

const { deepStrictEqual, strictEqual, throws } = assert

/** A sample is a millisecond. */
const rate = 1000
const start = (skipTts?: boolean): Frame.Frame => LlmResponseStartFrame.make(skipTts === undefined ? {} : { skipTts })
const end = (): Frame.Frame => LlmResponseEndFrame.make()
const token = (text: string): Frame.Frame => LlmTextFrame.make({ text })
const answer = (...tokens: ReadonlyArray<string>): ReadonlyArray<Frame.Frame> => [
  start(),
  ...tokens.map((text) => token(text)),
  end()
]
const speak = (text: string, appendToContext?: boolean): Frame.Frame =>
  Tts.TtsSpeakFrame.make({ text, ...appendToContext !== undefined && { appendToContext } })

/** `<` and `>` around speech, `A` a text that is spoken and `a` one that is not, `w` a word, and milliseconds of audio. */
const line = (frames: ReadonlyArray<Frame.Frame>): string => {
  const out: Array<string | number> = []
  for (const frame of frames) {
    if (Frame.AudioRawFrame.is(frame)) {
      const last = out.at(-1)
      if (typeof last === "number") out[out.length - 1] = last + frame.duration
      else out.push(frame.duration)
    } else if (LlmResponseStartFrame.is(frame)) out.push("R")
    else if (LlmResponseEndFrame.is(frame)) out.push("r")
    else if (LlmTextFrame.is(frame)) out.push(`L(${frame.text})`)
    else if (TtsStartedFrame.is(frame)) out.push("<")
    else if (TtsStoppedFrame.is(frame)) out.push(">")
    else if (AggregatedTextFrame.is(frame)) out.push(`${frame.willBeSpoken ? "A" : "a"}(${frame.text})`)
    else if (TtsTextFrame.is(frame)) out.push(`w(${frame.text})`)
    else if (Frame.TextFrame.is(frame)) out.push(`T(${frame.text})`)
    else if (Frame.StartInterruptionFrame.is(frame)) out.push("!")
    else if (Frame.ErrorFrame.is(frame)) out.push(`error: ${(frame.error as Error).message}`)
  }
  return out.join(" ")
}

/** System frames would overtake what waits. */
const paced = (steps: ReadonlyArray<Step<any>>): ReadonlyArray<Step> =>
  (steps as ReadonlyArray<Step>).flatMap((step) => "_tag" in step ? [step, act(() => settle)] : [step])

const say = (
  script: Parameters<typeof Fake.make>[0],
  steps: ReadonlyArray<Step<any>>,
  options: Tts.Options = {},
  task: RunOptions = {}
) =>
  Effect.gen(function*() {
    const { calls, service } = yield* Fake.make(script, { sampleRate: rate, model: "m", voices: ["fake", "other"] })
    const times: Array<number> = []
    const clock = yield* Clock.Clock
    const began = clock.currentTimeMillisUnsafe()
    const timing = Processor.sync("Timing", {
      AudioRawFrame: (frame, push) => {
        times.push(clock.currentTimeMillisUnsafe() - began)
        push(frame)
      }
    })
    const result = yield* run(Pipeline.make(Tts.make(options), timing), paced(steps), {
      allowInterruptions: true,
      ...task
    }).pipe(Effect.provideService(TextToSpeech.TextToSpeech, service))
    return { ...result, calls, times, line: line(result.down), errors: line(result.up) }
  })

const { audio, fails, hangs, synthesize, word } = Fake

describe("an answer", () => {
  it.effect("is spoken sentence by sentence, with its words", () =>
    Effect.gen(function*() {
      const { down, errors, line } = yield* say([
        synthesize("Hello there.", [word("Hello", 0), word("there", 50), audio(90)]),
        synthesize("How are you?", [word("how", 10), audio(20), word("are", 30), word("you", 40), audio(25)])
      ], answer("Hel", "lo there. Ho", "w are", " you?"))
      strictEqual(
        line,
        "R < A(Hello there.) w(Hello) 50 w( there.) 40 A(How are you?) 10 w( How) 20 w( are) 10 w( you?) 5 > r"
      )
      strictEqual(errors, "")
      const segments = down.filter(AggregatedTextFrame.is)
      deepStrictEqual(down.filter(TtsTextFrame.is).map(({ segmentId }) => segmentId), [
        ...Array.from({ length: 2 }, () => segments[0]!.id),
        ...Array.from({ length: 3 }, () => segments[1]!.id)
      ])
      const first = down.find(Frame.AudioRawFrame.is)!
      deepStrictEqual([first.sampleRate, first.numChannels, first.audio[0]], [rate, 1, 1])
    }))

  it.effect("whose words are not told has them by their place in the text", () =>
    Effect.gen(function*() {
      // 10 characters in 100 ms, once they are all there
      const { line } = yield* say([synthesize("ab cd efg.", audio(100))], answer("ab cd efg."))
      strictEqual(line, "R < A(ab cd efg.) w(ab) 30 w( cd) 30 w( efg.) 40 > r")
    }))

  it.effect("whose length is not known yet has words that are not too early", () =>
    Effect.gen(function*() {
      const { line } = yield* say(
        [synthesize("ab cd efg.", [audio(100), audio(100, { after: "1 second" }), audio(300, { after: "1 second" })])],
        answer("ab cd efg.")
      )
      // 650 ms are expected, then 500 are
      strictEqual(line, "R < A(ab cd efg.) w(ab) 195 w( cd) 105 w( efg.) 200 > r")
    }))

  it.effect("words that are spoken in another way than they are written come with the next one", () =>
    Effect.gen(function*() {
      const { line } = yield* say([
        synthesize("It costs $5 now, twenty-one times.", [
          ..."it costs five dollars now twenty one times".split(" ").map((text, i) => word(text, 10 * i)),
          audio(80)
        ])
      ], answer("It costs $5 now, twenty-one times."))
      strictEqual(
        line,
        "R < A(It costs $5 now, twenty-one times.) w(It) 10 w( costs) 30 w( $5) w( now,) 10 w( twenty-one) 20 w( times.) 10 > r"
      )
    }))

  it.effect("the last words too, and parts of a word are not taken for the next one", () =>
    Effect.gen(function*() {
      const { line } = yield* say([
        synthesize("Twenty-one one, for $5.", [
          ..."twenty one one for five dollars".split(" ").map((text, i) => word(text, 10 * i)),
          audio(80)
        ])
      ], answer("Twenty-one one, for $5."))
      strictEqual(line, "R < A(Twenty-one one, for $5.) w(Twenty-one) 20 w( one,) 10 w( for) 50 w( $5.) > r")
    }))

  it.effect("goes on with the first audio as soon as it is there", () =>
    Effect.gen(function*() {
      const { times } = yield* say([
        synthesize("Hello.", [audio(10, { after: "30 millis" }), audio(10, { after: "70 millis" })])
      ], [...answer("Hello."), sleep("30 millis"), sleep("70 millis")])
      deepStrictEqual(times, [30, 100])
    }))

  it.effect("other frames stay in their place", () =>
    Effect.gen(function*() {
      const { line } = yield* say([synthesize("One."), synthesize("Two.")], [
        Frame.TextFrame.make({ text: "a" }),
        start(),
        token("One. T"),
        Frame.TextFrame.make({ text: "b" }),
        token("wo."),
        end(),
        Frame.TextFrame.make({ text: "c" })
      ])
      strictEqual(line, "T(a) R < A(One.) w(One.) 100 T(b) A(Two.) w( Two.) 100 > r T(c)")
    }))

  it.effect("that is to be read passes, with its sentences", () =>
    Effect.gen(function*() {
      const { line } = yield* say([synthesize("Loud.")], [
        start(true),
        token("One. T"),
        token("wo."),
        end(),
        ...answer("Loud.")
      ])
      strictEqual(line, "R L(One. T) a(One.) L(wo.) a(Two.) r R < A(Loud.) w(Loud.) 100 > r")
    }))

  it.effect("a sentence without a letter is not spoken", () =>
    Effect.gen(function*() {
      const { line } = yield* say([synthesize("Well.")], answer("Well.", "\n\n*** "))
      strictEqual(line, "R < A(Well.) w(Well.) 100 a(***) > r")
    }))

  it.effect("text is filtered before it is spoken", () =>
    Effect.gen(function*() {
      const { line } = yield* say([synthesize("A bold word.")], [...answer("A **bold** word.", "\n\n---")], {
        filters: [() => MarkdownFilter.makeFilter(), () => ({ filter: (text) => text.replace("-", "") })]
      })
      strictEqual(line, "R < A(A **bold** word.) w(A) 17 w( bold) 41 w( word.) 42 a(---) > r")
    }))

  it.effect("tokens can be spoken as they come", () =>
    Effect.gen(function*() {
      const { line } = yield* say([synthesize("Hel"), synthesize("lo.")], answer("Hel", "lo."), {
        aggregation: "token"
      })
      strictEqual(line, "R < A(Hel) w(Hel) 100 A(lo.) w(lo.) 100 > r")
    }))

  it.effect("what the task ends with is spoken before its end", () =>
    Effect.gen(function*() {
      const { down, line } = yield* say(
        [synthesize("One."), synthesize("Two", audio(50, { after: "5 seconds" }))],
        [start(), token("One. Two")]
      )
      strictEqual(line, "R < A(One.) w(One.) 100 A(Two) w( Two) 50 >")
      strictEqual(down.at(-1)!._tag, "EndFrame")
    }))
})

describe("look-ahead", () => {
  const slow = (text: string) => synthesize(text, audio(10, { after: "1 second" }))

  /** When each text was given to the service. */
  const begins = (lookAhead: number | undefined) =>
    Effect.map(
      say([slow("One."), slow("Two."), slow("Six."), slow("Ten.")], answer("One. ", "Two. ", "Six. ", "Ten."), {
        lookAhead
      }),
      ({ calls, line }) => {
        strictEqual(line, "R < A(One.) w(One.) 10 A(Two.) w( Two.) 10 A(Six.) w( Six.) 10 A(Ten.) w( Ten.) 10 > r")
        return calls.map(({ startedAt }) => startedAt - calls[0]!.startedAt)
      }
    )

  it.effect("one sentence is made while another is spoken", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* begins(undefined), [0, 0, 1000, 1000])
    }))
  it.effect("or none", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* begins(0), [0, 1000, 2000, 3000])
    }))
  it.effect("or several", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* begins(2), [0, 0, 0, 1000])
    }))

  it.effect("what is made waits for what comes before it, however long that takes to be played", () =>
    Effect.gen(function*() {
      const script = [
        synthesize("One.", [audio(100), audio(200)]),
        synthesize("Two.", audio(10)),
        synthesize("Six.", audio(10))
      ]
      const { calls, service } = yield* Fake.make(script, { sampleRate: rate })
      const player = Processor.queued("Player", {
        AudioRawFrame: (frame, { push }) => Effect.andThen(Effect.sleep("1 second"), push(frame))
      }, { capacity: 1 })
      const { down } = yield* run(Pipeline.make(Tts.make(), player), answer("One. ", "Two. ", "Six.")).pipe(
        Effect.provideService(TextToSpeech.TextToSpeech, service)
      )
      strictEqual(line(down), "R < A(One.) w(One.) 300 A(Two.) w( Two.) 10 A(Six.) w( Six.) 10 > r")
      const at = calls.map(({ startedAt }) => startedAt - calls[0]!.startedAt)
      strictEqual(at[1], 0)
      strictEqual(at[2]! >= 1000, true)
    }))
})

describe("an interruption", () => {
  it.effect("cuts everything, and nothing follows it", () =>
    Effect.gen(function*() {
      const { calls, line } = yield* say([
        synthesize("One.", [audio(10), audio(10, { after: "1 second" })]),
        synthesize("Two.", audio(10, { after: "3 seconds" })),
        synthesize("Anew.", audio(10))
      ], [
        start(),
        token("One. "),
        token("Two. "),
        token("Three. Fo"),
        sleep("500 millis"),
        interrupt,
        sleep("10 seconds"),
        ...answer("Anew.")
      ])
      strictEqual(line, "R < A(One.) w(One.) 10 ! R < A(Anew.) w(Anew.) 10 > r")
      deepStrictEqual(calls.map(({ outcome }) => outcome()), ["interrupted", "interrupted", "done"])
    }))

  it.effect("cuts what is pushed while the output has no room", () =>
    Effect.gen(function*() {
      const { service } = yield* Fake.make([synthesize("A long one.", audio(5000))], { sampleRate: rate })
      const player = Processor.queued("Player", {
        AudioRawFrame: (frame, { push }) => Effect.andThen(Effect.sleep(frame.duration), push(frame))
      }, { capacity: 2 })
      const steps = [
        ...answer("A long one."),
        sleep("1 second"),
        interrupt,
        sleep("10 seconds"),
        Frame.TextFrame.make({ text: "new" })
      ]
      const { down } = yield* run(Pipeline.make(Tts.make(), player), paced(steps), { allowInterruptions: true }).pipe(
        Effect.provideService(TextToSpeech.TextToSpeech, service)
      )
      const seen = line(down)
      strictEqual(seen.startsWith("R < A(A long one.) w(A) "), true)
      strictEqual(seen.slice(seen.indexOf("!")), "! T(new)")
    }))

  it.effect("does not cut an announcement: the sentence begins again", () =>
    Effect.gen(function*() {
      const { calls, line } = yield* say([
        synthesize("One.", [audio(10), audio(10, { after: "1 second" })]),
        synthesize("Two.", audio(10)),
        synthesize("Anew.", audio(10))
      ], [
        Tts.TtsAnnounceFrame.make({ text: "One. Two." }),
        ...answer("Cut."),
        sleep("500 millis"),
        interrupt,
        sleep("1 second"),
        ...answer("Anew.")
      ])
      strictEqual(
        line,
        "< A(One.) w(One.) 10 ! < A(One.) w(One.) 20 A(Two.) w( Two.) 10 > R < A(Anew.) w(Anew.) 10 > r"
      )
      deepStrictEqual(calls.map(({ outcome }) => outcome()), ["done", "done", "done"])
    }))

  it.effect("nor one that was made already and waits for the output", () =>
    Effect.gen(function*() {
      const { service } = yield* Fake.make([synthesize("Known.", audio(500))], { sampleRate: rate })
      const player = Processor.queued("Player", {
        AudioRawFrame: (frame, { push }) => Effect.andThen(Effect.sleep(frame.duration), push(frame))
      }, { capacity: 1 })
      const steps = [Tts.TtsAnnounceFrame.make({ text: "Known." }), sleep("150 millis"), interrupt]
      const { down } = yield* run(Pipeline.make(Tts.make(), player), paced(steps), { allowInterruptions: true }).pipe(
        Effect.provideService(TextToSpeech.TextToSpeech, service)
      )
      const seen = line(down)
      strictEqual(seen.slice(seen.indexOf("!")), "! < A(Known.) w(Known.) 500 >")
    }))

  const texts = ["One.", "Two three.", "Four, five six.", "Seven!"]
  it.effect.prop(
    "at any time: what was said and what was cut are the text, and nothing of it comes later",
    {
      at: Arbitrary.schema(Schema.Literals([0, 5, 10, 33, 99, 150, 400, 777, 2000])),
      delay: Arbitrary.schema(Schema.Literals([0, 1, 20, 300])),
      lookAhead: Arbitrary.schema(Schema.Literals([0, 1, 3])),
      announced: Arbitrary.schema(Schema.Boolean)
    },
    ({ announced, at, delay, lookAhead }) =>
      Effect.gen(function*() {
        const speech = (text: string) => [audio(10 * text.length, { after: delay }), audio(50, { after: delay })]
        const { down } = yield* say(speech, [
          ...announced ? [Tts.TtsAnnounceFrame.make({ text: "Known." })] : [],
          ...answer(...texts.map((text) => `${text} `)),
          sleep(at),
          interrupt,
          ...answer("Later.")
        ], { lookAhead })
        const cut = down.findIndex(Frame.StartInterruptionFrame.is)
        const words = (frames: ReadonlyArray<Frame.Frame>) =>
          frames.filter(TtsTextFrame.is).map(({ text }) => text).join("")
        const before = words(down.slice(0, cut)).replace("Known.", "")
        strictEqual(texts.join(" ").startsWith(before.trim()), true)
        const after = line(down.slice(cut))
        const known = after.includes("Known.") ? "< A(Known.) w(Known.) 110 > " : ""
        strictEqual(after, `! ${known}R < A(Later.) w(Later.) 110 > r`)
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 60 } }
  )
})

describe("behind an output", () => {
  /** What leaves the output, each with when it does. */
  const heard = (steps: ReadonlyArray<Step>) =>
    Effect.gen(function*() {
      const { service } = yield* Fake.make([
        // 8 kHz: the output resamples it
        synthesize("One two.", [word("One", 0), word("two", 400), audio(1000)]),
        synthesize("Three four.", [word("Three", 0), word("four", 200), audio(1000)])
      ], { sampleRate: 8000 })
      const clock = yield* Clock.Clock
      const seen: Array<string> = []
      const note = (text: string) => seen.push(`${text} ${clock.currentTimeMillisUnsafe()}`)
      const output = TransportOutput.make({
        name: "Out",
        incoming: Stream.never,
        send: () => Effect.void,
        clear: Effect.void,
        close: () => Effect.void
      })
      const listener = Processor.sync("Listener", {
        TtsTextFrame: ({ text }) => {
          note(text.trim())
        },
        AggregatedTextFrame: ({ text }) => {
          note(`[${text}]`)
        },
        TtsStoppedFrame: () => {
          note("stopped")
        },
        BotInterruptedFrame: ({ played }) => {
          note(`cut after ${played} ms`)
        }
      }, { frames: [AggregatedTextFrame, BotInterruptedFrame, TtsStoppedFrame, TtsTextFrame] })
      yield* run(Pipeline.make(Tts.make(), output.processor, listener), paced(steps), {
        allowInterruptions: true,
        audioOutSampleRate: 16000
      }).pipe(Effect.provideService(TextToSpeech.TextToSpeech, service))
      return seen
    })

  /** All that falls due in between happens when it does. */
  const time = (milliseconds: number) =>
    Array.from({ length: milliseconds / 20 }, () => [sleep(20), act(() => settle)]).flat()

  it.effect("words leave it when they are heard", () =>
    Effect.gen(function*() {
      deepStrictEqual(yield* heard([...answer("One two. ", "Three four."), ...time(3000)]), [
        "[One two.] 0",
        "One 0",
        "two. 400",
        "[Three four.] 1000",
        "Three 1000",
        "four. 1200",
        "stopped 2000"
      ])
    }))

  it.effect("and those that are not heard never do", () =>
    Effect.gen(function*() {
      deepStrictEqual(
        yield* heard([...answer("One two. ", "Three four."), ...time(1100), interrupt, ...time(3000)]),
        ["[One two.] 0", "One 0", "two. 400", "[Three four.] 1000", "Three 1000", "cut after 1100 ms 1100"]
      )
    }))
})

describe("a text to say", () => {
  it.effect("is said by itself, or within an answer", () =>
    Effect.gen(function*() {
      const { down, line } = yield* say([
        synthesize("Hi."),
        synthesize("You."),
        synthesize("One."),
        synthesize("Wait."),
        synthesize("Two.")
      ], [speak("Hi. You."), start(), token("One. T"), speak("Wait.", false), token("wo."), end()])
      strictEqual(
        line,
        "< A(Hi.) w(Hi.) 100 A(You.) w( You.) 100 > " +
          "R < A(One.) w(One.) 100 A(Wait.) w(Wait.) 100 A(Two.) w( Two.) 100 > r"
      )
      deepStrictEqual(
        down.filter(TtsTextFrame.is).filter(({ appendToContext }) => appendToContext === false).map(({ text }) => text),
        ["Wait."]
      )
    }))

  it.effect("is said aloud, even within an answer that is not", () =>
    Effect.gen(function*() {
      const { line } = yield* say([synthesize("Hi.")], [
        start(true),
        token("One. T"),
        speak("Hi."),
        token("wo."),
        end()
      ])
      strictEqual(line, "R L(One. T) a(One.) < A(Hi.) w(Hi.) 100 L(wo.) a(Two.) > r")
    }))

  it.effect("in another voice", () =>
    Effect.gen(function*() {
      const { errors } = yield* say([
        synthesize("One.", audio(10), { speed: 1.5 }),
        synthesize("Two.", audio(10), { voice: "other", speed: 1.5, language: "de" }),
        synthesize("Three.", audio(10), { voice: "other", speed: 2, language: "de" })
      ], [
        speak("One."),
        Tts.TtsUpdateFrame.make({ voice: "other", language: "de" }),
        speak("Two."),
        Tts.TtsUpdateFrame.make({ voice: "nobody", speed: 2 }),
        speak("Three.")
      ], { speed: 1.5 })
      strictEqual(errors, `error: fake: voice: found "nobody", expected one of fake, other`)
    }))

  it.effect("as settings say that are for it", () =>
    Effect.gen(function*() {
      const set = (settings: Record<string, unknown>, service?: string) =>
        ServiceSwitcher.ServiceSettingsFrame.make({ settings, ...service !== undefined && { service } })
      const { errors, line } = yield* say([synthesize("One.", audio(10), { voice: "other", speed: 2 })], [
        set({ voice: "other" }),
        set({ speed: 2 }, "Tts"),
        set({ voice: "fake" }, "Llm"),
        set({ speed: "fast" }),
        speak("One.")
      ])
      strictEqual(line, "< A(One.) w(One.) 10 >")
      strictEqual(errors, `error: fake: speed: found "fast", expected number`)
    }))
})

describe("failures", () => {
  it.effect("a sentence is tried again, and goes on where it was", () =>
    Effect.gen(function*() {
      const { errors, line } = yield* say([
        synthesize("One two.", [word("One", 0), audio(30), fails()]),
        synthesize("One two.", fails()),
        synthesize("One two.", [word("One", 0), audio(20), audio(20), word("two", 40), audio(20)])
      ], answer("One two."))
      strictEqual(line, "R < A(One two.) w(One) 40 w( two.) 20 > r")
      strictEqual(errors, "")
    }))

  it.effect("or goes on unspoken, and the next one is tried", () =>
    Effect.gen(function*() {
      const { down, errors, failures, line } = yield* say([
        synthesize("One.", fails({ isRetryable: false, message: "no key" })),
        synthesize("Two three.", [word("Two", 0), audio(10), fails({ isRetryable: false })]),
        synthesize("Four.", [word("Four", 0), audio(10)])
      ], answer("One. Two three. Four."))
      strictEqual(line, "R a(One.) < A(Two three.) w( Two) 10 a(three.) A(Four.) w( Four.) 10 > r")
      strictEqual(errors, "error: fake: no key error: fake: scripted")
      const [, whole, rest] = down.filter(AggregatedTextFrame.is)
      strictEqual(rest?.segmentId, whole?.id)
      strictEqual(failures.length, 2)
    }))

  it.effect("the conversation has what was said of a sentence, and no more", () =>
    Effect.gen(function*() {
      const { service } = yield* Fake.make([
        synthesize("One two three four.", [
          word("One", 0),
          audio(50),
          word("two", 50),
          audio(50),
          fails({ isRetryable: false })
        ]),
        synthesize("Five six.")
      ], { sampleRate: rate })
      const context = yield* LlmContext.make()
      yield* run(Pipeline.make(Tts.make(), context.assistant), paced(answer("One two three four. Five six."))).pipe(
        Effect.provideService(TextToSpeech.TextToSpeech, service)
      )
      deepStrictEqual(yield* context.messages, [{ role: "assistant", content: "One two Five six." }])
    }))

  it.effect("a service that hangs is given up", () =>
    Effect.gen(function*() {
      const { errors, line } = yield* say(
        [synthesize("One.", [audio(10), hangs]), synthesize("Two."), synthesize("One.", hangs)],
        answer("One. ", "Two."),
        { timeout: "1 second", retry: Schedule.recurs(1) }
      )
      strictEqual(line, "R < A(One.) w(One.) 10 A(Two.) w( Two.) 100 > r")
      strictEqual(errors, "error: fake: nothing came for 1000 ms")
    }))

  it.effect("a sentence without audio goes on unspoken", () =>
    Effect.gen(function*() {
      const { line } = yield* say([synthesize("One.", [])], answer("One."))
      strictEqual(line, "R a(One.) r")
    }))

  it.effect("a defect of the service is fatal, and told", () =>
    Effect.gen(function*() {
      const { exit } = yield* say(
        () => {
          throw new Error("a bug")
        },
        answer("One."),
        {},
        { end: false }
      )
      strictEqual(exit._tag, "Failure")
    }))

  it.effect("a switcher replaces what is of no use", () =>
    Effect.gen(function*() {
      const bad = yield* Fake.make([synthesize("One.", fails({ isRetryable: false }))], { sampleRate: rate })
      const good = yield* Fake.make([synthesize("Two.")], { sampleRate: rate })
      const { down, up } = yield* run(
        ServiceSwitcher.make({
          first: Tts.fromService(bad.service, { name: "FirstTts" }),
          second: Tts.fromService(good.service, { name: "SecondTts" })
        }, { strategy: ServiceSwitcher.failover }),
        paced([...answer("One."), sleep("1 second"), ...answer("Two.")])
      )
      strictEqual(line(up), "")
      strictEqual(line(down).endsWith("R < A(Two.) w(Two.) 100 > r"), true)
    }))
})

describe("what is told", () => {
  it.effect("metrics", () =>
    Effect.gen(function*() {
      const { down } = yield* say(
        [
          synthesize("Hello.", [audio(10, { after: "120 millis" }), audio(10, { after: "30 millis" })])
        ],
        answer("Hello."),
        {},
        { enableMetrics: true, enableUsageMetrics: true }
      )
      const of = { processor: "Tts", model: "m" }
      deepStrictEqual(down.filter(Frame.MetricsFrame.is).flatMap(({ data }) => data).slice(2), [
        { _tag: "CharacterUsage", ...of, characters: 6 },
        { _tag: "Ttfb", ...of, milliseconds: 120 },
        { _tag: "Processing", ...of, milliseconds: 150 }
      ])
    }))

  const loud = (milliseconds: number) => audio(milliseconds, { value: -1000 })
  const onsets: Readonly<Record<string, readonly [ReadonlyArray<ReadonlyArray<Fake.Step>>, ReadonlyArray<number>]>> = {
    "silence and then a voice": [[[audio(500), loud(300)]], [500]],
    "a voice from the start": [[[loud(300)]], [0]],
    "only silence": [[[audio(500)]], []],
    "nothing": [[[]], []],
    "too short for a voice": [[[loud(40)]], []],
    "a click": [[[audio(100), loud(1), audio(400)]], []],
    "a short burst": [[[audio(100), loud(30), audio(400)]], []],
    "a click, and then a voice": [[[audio(100), loud(1), audio(199), loud(100)]], [300]],
    "a voice in small pieces": [[[audio(7), audio(13), ...Array.from({ length: 20 }, () => loud(3))]], [20]],
    "the first sentence of an answer only": [[[audio(100), loud(100)], [audio(200), loud(100)]], [100]]
  }
  for (const [name, [sentences, expected]] of Object.entries(onsets)) {
    it.effect(`the first sound: ${name}`, () =>
      Effect.gen(function*() {
        const twice = [...sentences, ...sentences]
        const said = answer(sentences.map((_, i) => `S${i}. `).join(""))
        const script = twice.map((parts, i) => {
          const steps = parts.map((step, j) => j === 0 ? { ...step, after: "120 millis" as const } : step)
          return synthesize(`S${i % sentences.length}.`, steps)
        })
        const { down } = yield* say(script, [...said, sleep("3 seconds"), ...said], {}, { enableMetrics: true })
        const found = down.filter(Frame.MetricsFrame.is).flatMap(({ data }) => data).filter(({ _tag }) =>
          _tag === "Ttfa"
        )
        deepStrictEqual(
          found,
          [...expected, ...expected].map((silence) => ({
            _tag: "Ttfa",
            processor: "Tts",
            model: "m",
            milliseconds: 120 + silence,
            silence
          }))
        )
      }))
  }

  it("options that cannot work", () => {
    throws(() => Tts.make({ timeout: 0 }), "Tts: timeout: found 0 ms, expected a finite duration greater than zero")
    throws(() => Tts.make({ lookAhead: -1 }), "Tts: lookAhead: found -1, expected an integer of at least 0")
  })

  it.effect("nothing is left running", () =>
    Effect.gen(function*() {
      const [, after] = yield* leaks(Effect.scoped(say([synthesize("One.")], answer("One."))))
      const [, cancelled] = yield* leaks(Effect.scoped(Effect.exit(say([synthesize("One.", hangs)], [
        ...answer("One."),
        act((task) => task.cancel("enough"))
      ]))))
      deepStrictEqual([after, cancelled], [0, 0])
    }))

  it.effect.prop(
    "the words are the text, however it comes",
    {
      text: Arbitrary.schema(Schema.Literals([
        "Dr. Smith paid $3.50. Really? Yes!  And 1,000 more...",
        "One",
        " Leading space. Trailing space. ",
        "你好。再见！ Mixed 你好 text."
      ])),
      size: Arbitrary.schema(Schema.Literals([1, 2, 3, 7, 50])),
      words: Arbitrary.schema(Schema.Boolean)
    },
    ({ size, text, words }) =>
      Effect.gen(function*() {
        const tokens = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
          text.slice(i * size, (i + 1) * size))
        const speech = (text: string) => [
          ...words
            ? text.split(" ").map((part, i) =>
              word(part, 20 * i)
            )
            : [],
          audio(20 * text.length)
        ]
        const { down } = yield* say(speech, answer(...tokens))
        const spoken = down.filter(TtsTextFrame.is).map(({ text }) => text).join("")
        strictEqual(spoken.trimEnd(), text.trimEnd())
      }).pipe(Effect.scoped),
    { arbitrary: { runs: 40 } }
  )
})
