import * as Dialogue from "@apipeline/core/Dialogue"
import * as Llm from "@apipeline/core/Llm"
import * as LlmContext from "@apipeline/core/LlmContext"
import * as Pipeline from "@apipeline/core/Pipeline"
import { act, interrupt, leaks, run, settle, sleep, type Step } from "@apipeline/core/testing"
import * as LanguageModelContract from "@apipeline/core/testing/LanguageModelContract"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Schema, Stream } from "effect"
import { AiError, LanguageModel, type Prompt, Response } from "effect/ai"
import { TestClock } from "effect/testing"
import { asks, mouth } from "../utils/conversation.ts"

const { deepStrictEqual, isBelow, match, notStrictEqual, strictEqual, throws } = assert

/** A Friday, 14:07. */
const now = Date.UTC(2026, 5, 5, 14, 7)
const vienna = Dialogue.layer({ timeZone: "UTC" })

const ask = (prompt: Prompt.RawInput) =>
  Effect.andThen(
    TestClock.setTime(now),
    Effect.map(LanguageModel.generateText({ prompt }), ({ text }) => text)
  ).pipe(Effect.provide(vienna))

/** `question -> answer`, a line each. */
const answers = (name: string, table: ReadonlyArray<readonly [question: string, answer: string]>) =>
  describe(name, () => {
    it.effect.each(table.map(([question, answer]) => ({ question, answer })))(
      "$question",
      ({ answer, question }) =>
        Effect.gen(function*() {
          strictEqual(yield* ask(question), answer)
        })
    )
  })

const user = (content: string) => ({ role: "user", content } as const)
const bot = (content: string) => ({ role: "assistant", content } as const)

answers("time", [
  ["what time is it", "It is 2:07 PM."],
  ["What's the time, please?", "It is 2:07 PM."],
  ["Hi! Could you tell me what time it is", "It is 2:07 PM."],
  ["what time is it in tokyo", "It is 11:07 PM in Tokyo."],
  ["What time is it in New York right now?", "It is 10:07 AM in New York."],
  ["what time is it in atlantis", "I do not know the time in Atlantis. Here it is 2:07 PM."]
])

answers("dates", [
  ["what day is it", "Today is Friday, June 5th, 2026."],
  ["What's today's date?", "Today is Friday, June 5th, 2026."],
  ["how many days until christmas", "203 days until Christmas."],
  ["How many days are there until Christmas?", "203 days until Christmas."],
  ["How many days till December twenty fifth?", "203 days until Friday, December 25th, 2026."],
  ["how many days until friday", "7 days until Friday."],
  ["how many days until the fifth of june", "Friday, June 5th, 2026 is today."],
  ["how long until new year", "210 days until New Year."],
  ["what date is next friday", "Next Friday is June 12th, 2026."],
  ["what date was last monday", "Last Monday was June 1st, 2026."],
  ["what day is tomorrow", "Tomorrow is Saturday, June 6th, 2026."],
  ["what day was yesterday", "Yesterday was Thursday, June 4th, 2026."],
  ["what day of the week is july 4th", "July 4th, 2026 is a Saturday."],
  ["what day is February 30th", "There is no such day."],
  ["what date is it in ten days", "In 10 days is Monday, June 15th, 2026."],
  ["what day was 2 weeks ago", "2 weeks ago was Friday, May 22nd, 2026."],
  ["when is easter 2024", "Easter was Sunday, March 31st, 2024."],
  ["when is thanksgiving", "Thanksgiving is Thursday, November 26th, 2026."],
  ["what year is it", "It is 2026."]
])

answers("arithmetic", [
  ["what is seven times eight", "7 times 8 is 56."],
  ["What's 7 x 8?", "7 times 8 is 56."],
  ["twelve percent of 80", "12 percent of 80 is 9.6."],
  ["what is 12% of eighty", "12 percent of 80 is 9.6."],
  ["80 plus ten percent", "80 plus 10 percent is 88."],
  ["What is one hundred and five divided by five?", "105 divided by 5 is 21."],
  ["three hundred and sixty five times twenty four", "365 times 24 is 8,760."],
  ["two thousand twenty six minus seventeen point five", "2026 minus 17.5 is 2,008.5."],
  ["What is the square root of two?", "The square root of 2 is 1.4142."],
  ["what is the square root of minus one", "There is no real number that is the square root of minus 1."],
  ["nine squared", "9 squared is 81."],
  ["two plus three times four", "2 plus 3 times 4 is 14."],
  ["(2 + 3) * 4 =", "(2 plus 3) times 4 is 20."],
  ["half of ninety", "Half of 90 is 45."],
  ["the sum of three and four", "3 plus 4 is 7."],
  ["10 divided by zero", "I cannot divide by zero."],
  ["9 to the power of 9 to the power of 9", "That is too large for me."],
  ["what is 0.1 + 0.2", "0.1 plus 0.2 is 0.3."]
])

answers("units", [
  ["how many kilometres is five miles", "5 miles is 8.05 kilometers."],
  ["How many kilometers are in a mile?", "1 mile is 1.61 kilometers."],
  ["I'd like to know how many inches there are in ten feet", "10 feet is 120 inches."],
  ["convert 70 fahrenheit to celsius", "70 degrees Fahrenheit is 21.11 degrees Celsius."],
  ["Convert seventy degrees Fahrenheit to Celsius.", "70 degrees Fahrenheit is 21.11 degrees Celsius."],
  ["what is minus forty celsius in fahrenheit", "-40 degrees Celsius is -40 degrees Fahrenheit."],
  ["100 °C in kelvin", "100 degrees Celsius is 373.15 kelvin."],
  ["how many seconds in two and a half hours", "2.5 hours is 9,000 seconds."],
  ["what is 1,000 pounds in kilograms", "1,000 pounds is 453.59 kilograms."],
  ["how many pounds are in five miles", "I cannot turn miles into pounds."],
  // what the recordings say
  ["go forward ten meters", "All right, forward 10 meters. 10 meters is 32.81 feet."],
  ["Go forward 10 meters.", "All right, forward 10 meters. 10 meters is 32.81 feet."],
  ["turn left, then walk three miles", "All right, left then walk 3 miles. 3 miles is 4.83 kilometers."],
  ["I have two gallons", "2 gallons is 7.57 liters."]
])

answers("cards", [
  ["ten of clubs", "The ten of clubs. It counts 10."],
  ["Ace of Spades!", "The ace of spades. It counts 1."],
  [
    "eight of spades four of clubs seven of hearts",
    "3 cards: the eight of spades, four of clubs and seven of hearts. Together they count 19."
  ],
  [
    "8 of spades, 4 of clubs, 7 of hearts.",
    "3 cards: the eight of spades, four of clubs and seven of hearts. Together they count 19."
  ]
])

answers("spelling", [
  ["spell pipeline", "Pipeline: P, I, P, E, L, I, N, E."],
  ["How do you spell seven?", "Seven: S, E, V, E, N."],
  ["how is necessary spelled", "Necessary: N, E, C, E, S, S, A, R, Y."],
  ["Can you spell new york", "New york: N, E, W; Y, O, R, K."]
])

answers("manners", [
  ["Hello there!", "Hello! What can I do for you?"],
  ["good morning", "Hello! What can I do for you?"],
  ["Thank you very much.", "You are welcome."],
  ["goodbye", "Goodbye!"],
  ["My name is Ada.", "Nice to meet you, Ada. What can I do for you?"],
  ["", "I did not catch that. Could you say it again?"],
  ["...", "I did not catch that. Could you say it again?"]
])

answers("ELIZA", [
  // what the recordings say
  [
    "And Mr. John Dashwood had then leisure to consider how much there might be, prudently in his power to do for them.",
    "Tell me more about Mr John Dashwood."
  ],
  ["he was not an ill disposed young man", "What makes you say that he was not an ill disposed young man?"],
  ["I feel sad about my dog.", "Do you often feel sad about your dog?"],
  ["i'm tired", "How long have you been tired?"],
  ["I was at the station when he was late", "How did it come that you were at the station when he was late?"],
  ["the pipeline has many processors", "Tell me more about processors."],
  ["why is the sky blue", "I do not know. I am only a few rules; say help to hear what I can do."],
  ["what's the weather like today", "I do not know. I am only a few rules; say help to hear what I can do."]
])

describe("conversation", () => {
  it.effect("greets when nobody has said anything, whatever the instructions", () =>
    Effect.gen(function*() {
      match(yield* ask([]), /^Hello!/)
      match(yield* ask([{ role: "system", content: "You are a pirate. What is 2 plus 2?" }]), /^Hello!/)
    }))

  it.effect("asks whether the user is there when nothing follows its answer", () =>
    Effect.gen(function*() {
      const prompt = [
        user("two plus two"),
        bot("2 plus 2 is 4."),
        { role: "system", content: "Say something." } as const
      ]
      strictEqual(yield* ask(prompt), "Are you still there?")
    }))

  it.effect("repeats after the user, and what it has said", () =>
    Effect.gen(function*() {
      strictEqual(yield* ask("Repeat after me: what is two plus two?"), "What is two plus two?")
      strictEqual(yield* ask("repeat after me the quick brown fox"), "The quick brown fox.")
      strictEqual(yield* ask("say that again"), "I have not said anything yet.")
      const prompt = [user("two plus two"), bot("2 plus 2 is 4.")]
      strictEqual(yield* ask([...prompt, user("Pardon?")]), "2 plus 2 is 4.")
      strictEqual(yield* ask([...prompt, user("Say that again, please.")]), "2 plus 2 is 4.")
      strictEqual(yield* ask([...prompt, user("What did I say?")]), "You said: two plus two")
    }))

  it.effect("remembers a name", () =>
    Effect.gen(function*() {
      strictEqual(yield* ask("what is my name"), "You have not told me your name yet.")
      const prompt = [user("my name is Ada"), bot("Nice to meet you, Ada."), user("two plus two"), bot("4")]
      strictEqual(yield* ask([...prompt, user("What's my name?")]), "Your name is Ada.")
    }))

  it.effect("puts a turn together that came in two parts, if the last one means nothing alone", () =>
    Effect.gen(function*() {
      strictEqual(yield* ask([user("what is seven"), user("times eight")]), "7 times 8 is 56.")
      strictEqual(yield* ask([user("never mind that"), user("two plus two")]), "2 plus 2 is 4.")
    }))

  it.effect("does not say the same every time that it has no answer", () =>
    Effect.gen(function*() {
      const first = yield* ask("I am tired")
      notStrictEqual(yield* ask([user("I am tired"), bot(first), user("I am tired")]), first)
    }))

  it.effect("is in the time zone that it is told", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 11, 31, 23, 30))
      const tokyo = Effect.provide(LanguageModel.generateText({ prompt: "what day is it" }), [
        Dialogue.layer({ timeZone: "Asia/Tokyo" })
      ])
      strictEqual((yield* tokyo).text, "Today is Friday, January 1st, 2027.")
    }))
})

describe("timer", () => {
  const requests: ReadonlyArray<readonly [string, object]> = [
    ["Set a timer for ten seconds.", { seconds: 10 }],
    ["set a timer for one minute and thirty seconds", { seconds: 90 }],
    ["timer 5 minutes", { seconds: 300 }],
    ["set a timer for half an hour called pizza", { seconds: 1800, label: "pizza" }],
    ["set a tea timer for 3 minutes", { seconds: 180, label: "tea" }],
    ["remind me to call mum in five minutes", { seconds: 300, label: "call mum" }]
  ]
  it.effect.each(requests.map(([text, params]) => ({ text, params })))(
    "$text",
    ({ params, text }) =>
      Effect.gen(function*() {
        const response = yield* LanguageModel.generateText({
          prompt: text,
          toolkit: Dialogue.tools,
          disableToolCallResolution: true
        })
        deepStrictEqual(response.toolCalls.map(({ name, params }) => ({ name, params })), [{
          name: "set_timer",
          params
        }])
        strictEqual(response.finishReason, "tool-calls")
        strictEqual(response.text, "")
      }).pipe(Effect.provide([vienna, Dialogue.layerTools]))
  )

  it.effect("asks for how long, and refuses what it cannot do", () =>
    Effect.gen(function*() {
      match(yield* ask("set a timer"), /^For how long/)
      match(yield* ask("set a timer for three days"), /up to one day/)
      match(yield* ask("set a timer for zero seconds"), /needs some time/)
      match(yield* ask("cancel the timer"), /cannot be stopped/)
      match(yield* ask("set a timer for ten seconds"), /no timer here/)
    }))

  it.effect("calls no tool when it may not", () =>
    Effect.gen(function*() {
      const response = yield* LanguageModel.generateText({
        prompt: "set a timer for ten seconds",
        toolkit: Dialogue.tools,
        toolChoice: "none"
      })
      match(response.text, /no timer here/)
      deepStrictEqual(response.toolCalls, [])
    }).pipe(Effect.provide([vienna, Dialogue.layerTools])))

  it.effect.each(["required", { tool: "set_timer" }, { mode: "required", oneOf: ["set_timer"] }] as const)(
    "fails when it has to call a tool and does not know with what: %j",
    (toolChoice) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(
          LanguageModel.generateText({ prompt: "hello", toolkit: Dialogue.tools, toolChoice })
        )
        assert.isTrue(AiError.isAiError(error))
        strictEqual((error as AiError.AiError).reason._tag, "InvalidRequestError")
      }).pipe(Effect.provide([vienna, Dialogue.layerTools]))
  )

  it.effect("the tool sleeps by the clock", () =>
    Effect.gen(function*() {
      const fiber = yield* Effect.forkChild(
        LanguageModel.generateText({ prompt: "set a timer for ten seconds", toolkit: Dialogue.tools })
      )
      // until the handler is at it
      for (let i = 0; i < 50; i++) yield* Effect.yieldNow
      yield* TestClock.adjust("9 seconds")
      strictEqual(fiber.pollUnsafe(), undefined)
      yield* TestClock.adjust("1 second")
      const { toolResults } = yield* Fiber.join(fiber)
      deepStrictEqual(toolResults.map(({ result }) => result), [{ status: "rang", seconds: 10 }])
    }).pipe(Effect.provide([vienna, Dialogue.layerTools])))

  const call = (id: string, params: object) => ({
    role: "assistant",
    content: [{ type: "tool-call", id, name: "set_timer", params } as const]
  } as const)
  const result = (id: string, result: unknown, isFailure = false) => ({
    role: "tool",
    content: [{ type: "tool-result", id, name: "set_timer", isFailure, result } as const]
  } as const)
  const asked = [user("set a tea timer for ten seconds"), call("1", { seconds: 10, label: "tea" })]
  const rang = { status: "rang", seconds: 10, label: "tea" }

  it.effect("announces a result, of a tool that was waited for", () =>
    Effect.gen(function*() {
      strictEqual(yield* ask([...asked, result("1", rang)]), "Time is up! Tea: 10 seconds are over.")
    }))

  it.effect("says that a timer runs, and announces it when a later message brings the result", () =>
    Effect.gen(function*() {
      const running = [...asked, result("1", { status: "running" })]
      const said = "All right, the tea timer is running: 10 seconds."
      strictEqual(yield* ask(running), said)
      const later = [...running, bot(said), user("two plus two"), bot("2 plus 2 is 4.")]
      for (
        const message of [
          user(JSON.stringify({ tool: "set_timer", id: "1", result: rang })),
          user(`The tool has finished: ${JSON.stringify(JSON.stringify(rang))}`),
          { role: "system", content: JSON.stringify(rang) } as const,
          result("1", rang)
        ]
      ) {
        const all = [...later, message]
        strictEqual(yield* ask(all), "Time is up! Tea: 10 seconds are over.", JSON.stringify(message))
        // once
        const announced = [...all, bot("Time is up! Tea: 10")]
        strictEqual(yield* ask([...announced, user("two plus two")]), "2 plus 2 is 4.")
        // together with an answer
        strictEqual(
          yield* ask([...all, user("two plus two")]),
          "Time is up! Tea: 10 seconds are over. 2 plus 2 is 4."
        )
      }
    }))

  it.effect("announces a result that has replaced that of a running timer", () =>
    Effect.gen(function*() {
      const replaced = [...asked, result("1", rang), bot("All right, the tea timer is running: 10 seconds.")]
      strictEqual(yield* ask(replaced), "Time is up! Tea: 10 seconds are over.")
    }))

  it.effect("answers what was asked while the result came as a call of its own", () =>
    Effect.gen(function*() {
      const running = [...asked, result("1", "This call is still running."), bot("All right."), user("two plus two")]
      const later = [...running, call("1_2", { seconds: 10, label: "tea" }), result("1_2", rang)]
      strictEqual(yield* ask(later), "Time is up! Tea: 10 seconds are over. 2 plus 2 is 4.")
      match(yield* ask([...asked, result("1", "This call was cancelled.", true)]), /was stopped/)
    }))

  it.effect("apologises for a timer that could not be set", () =>
    Effect.gen(function*() {
      match(yield* ask([...asked, result("1", "no more timers", true)]), /could not be set/)
    }))
})

describe("protocol", () => {
  const parts = (prompt: Prompt.RawInput) => Stream.runCollect(LanguageModel.streamText({ prompt }))

  it.effect("streams word by word", () =>
    Effect.gen(function*() {
      const all = yield* parts("what is seven times eight")
      deepStrictEqual(all.map((part) => part.type), [
        "response-metadata",
        "text-start",
        ...Array.from({ length: 5 }, () => "text-delta"),
        "text-end",
        "finish"
      ])
      deepStrictEqual(all.flatMap((part) => part.type === "text-delta" ? [part.delta] : []), [
        "7",
        " times",
        " 8",
        " is",
        " 56."
      ])
      const finish = all.at(-1) as Response.FinishPart
      strictEqual(finish.reason, "stop")
      deepStrictEqual(
        finish.usage,
        new Response.Usage({ inputTokens: { total: 7 }, outputTokens: { total: 4 } } as never)
      )
    }).pipe(Effect.provide(vienna)))

  it.effect("takes its time for each word, and stops when it is interrupted", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const fiber = yield* LanguageModel.streamText({ prompt: "what is seven times eight" }).pipe(
        Stream.runForEach((part) =>
          Effect.sync(() => {
            if (part.type === "text-delta") said.push(part.delta)
          })
        ),
        Effect.forkChild({ startImmediately: true })
      )
      yield* TestClock.adjust("99 millis")
      deepStrictEqual(said, [])
      yield* TestClock.adjust("101 millis")
      deepStrictEqual(said, ["7", " times"])
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 second")
      deepStrictEqual(said, ["7", " times"])
    }).pipe(
      Effect.provide(Dialogue.layer({ wordDelay: "100 millis" })),
      leaks,
      Effect.map(([, alive]) => {
        strictEqual(alive, 0)
      })
    ))

  it.effect("gives no objects", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        LanguageModel.generateObject({ prompt: "hello", schema: Schema.Struct({ name: Schema.String }) })
      )
      assert.isTrue(AiError.isAiError(error))
      strictEqual((error as AiError.AiError).reason._tag, "UnsupportedSchemaError")
      strictEqual((error as AiError.AiError).isRetryable, false)
    }).pipe(Effect.provide(vienna)))

  it("refuses options that cannot work", () => {
    throws(() => Dialogue.layer({ timeZone: "Mars/Olympus" }), TypeError, "timeZone: found \"Mars/Olympus\"")
    throws(() => Dialogue.layer({ wordDelay: -1 }), TypeError, "wordDelay")
  })

  const subject: LanguageModelContract.Subject = {
    open: () => Effect.succeed(Dialogue.layer({ wordDelay: "10 millis" })),
    slow: "help",
    countsTokens: true,
    tool: {
      text: "set a timer for ten seconds",
      toolkit: Dialogue.tools,
      name: "set_timer",
      params: { seconds: 10 },
      result: { status: "rang", seconds: 10 },
      answer: "Time is up"
    }
  }
  for (const check of LanguageModelContract.checks.filter((check) => check.applies(subject))) {
    it.effect(check.name, () => check.run(subject))
  }
})

describe("in a pipeline", () => {
  const rest = act(() => Effect.repeat(settle, { times: 5 }))

  /** A conversation with a bot that speaks a word every 100 ms. */
  const talk = <E>(steps: ReadonlyArray<Step<E>>) =>
    Effect.gen(function*() {
      const context = yield* LlmContext.make()
      const llm = Llm.make({ toolkit: Dialogue.tools, tools: { set_timer: { background: true } } })
      const pipeline = Pipeline.make(context.user, llm, mouth, context.assistant)
      yield* Effect.provide(run(pipeline, steps.flatMap((step) => [step, rest])), [vienna, Dialogue.layerTools])
      const messages = yield* context.messages
      return messages.flatMap(({ content, role }) => typeof content === "string" ? [`${role}: ${content}`] : [])
    })

  it.effect("it speaks up by itself when a timer rings, and goes on talking meanwhile", () =>
    Effect.gen(function*() {
      deepStrictEqual(
        yield* talk([
          LlmContext.LlmRunFrame.make(),
          sleep("10 seconds"),
          asks("Set a timer for twenty seconds."),
          sleep("5 seconds"),
          asks("What is two plus two?"),
          sleep("5 seconds"),
          sleep("20 seconds"),
          asks("Say that again."),
          sleep("5 seconds"),
          asks("Set an egg timer for five seconds."),
          sleep("9 seconds")
        ]),
        [
          "assistant: Hello! Ask me for the time, a date, a sum, a conversion, or a timer.",
          "user: Set a timer for twenty seconds.",
          "assistant: All right, a timer for 20 seconds is running.",
          "user: What is two plus two?",
          "assistant: 2 plus 2 is 4.",
          "assistant: Time is up! Your timer for 20 seconds has rung.",
          "user: Say that again.",
          "assistant: Time is up! Your timer for 20 seconds has rung.",
          "user: Set an egg timer for five seconds.",
          "assistant: All right, the egg timer is running: 5 seconds.",
          "assistant: Time is up! Egg: 5 seconds are over."
        ]
      )
    }))

  it.effect("an announcement of which nothing was heard is made again", () =>
    Effect.gen(function*() {
      deepStrictEqual(
        yield* talk([
          asks("Set a timer for 9 seconds."),
          sleep("9 seconds"),
          interrupt,
          asks("What is two plus two?"),
          sleep("5 seconds"),
          asks("Bye."),
          sleep("5 seconds")
        ]),
        [
          "user: Set a timer for 9 seconds.",
          "assistant: All right, a timer for 9 seconds is running.",
          "assistant: Time",
          "user: What is two plus two?",
          "assistant: Time is up! Your timer for 9 seconds has rung. 2 plus 2 is 4.",
          "user: Bye.",
          "assistant: Goodbye!"
        ]
      )
    }))
})

describe("any text", () => {
  const words = (
    "what is seven times a hundred and five percent of until next friday in ten meters feet degrees celsius set timer for " +
    "minutes called repeat after me spell say that again my name he was mister i am why ace clubs the % ( ) - ^ / 12 3.5 1e9 " +
    "0.5 999999999999999999999 december 31st new year's how many kilometers tokyo point and ' \" \u0000 \uD800 é 你 ﷺ \n"
  ).split(" ")
  const sentence = Arbitrary.map(
    Arbitrary.array(Arbitrary.schema(Schema.Literals(words as [string, ...Array<string>])), { maxLength: 30 }),
    (words) => words.join(" ")
  )

  it.effect.prop(
    "is answered with some words",
    { text: sentence, noise: Schema.String },
    ({ noise, text }) =>
      Effect.gen(function*() {
        for (const prompt of [text, noise, text + noise]) {
          const answer = yield* ask(prompt)
          match(answer, /\S/)
          isBelow(answer.length, 10_000)
          assert.notMatch(answer, /undefined|NaN|\[object|Infinity/)
        }
      }),
    { arbitrary: { runs: Number(process.env["APIPELINE_RUNS"] ?? 300) } }
  )

  it.effect("takes no longer than it has to", () =>
    Effect.gen(function*() {
      const time = (text: string) =>
        Effect.gen(function*() {
          const start = process.cpuUsage()
          match(yield* ask(text), /\S/)
          const { system, user } = process.cpuUsage(start)
          return (system + user) / 1000
        })
      yield* time("warm up")
      for (
        const piece of [
          "a",
          " ",
          "1",
          "(",
          "-",
          "and a half ",
          "seven times ",
          "how many ",
          "say ",
          "in in ",
          "ﷺ",
          "i am ",
          "minutes ",
          "\""
        ]
      ) {
        const text = piece.repeat(100_000 / piece.length)
        // one that backtracks takes minutes
        isBelow(yield* time(text), 1000, piece)
        isBelow(yield* time(`set a timer ${text}`), 1000, piece)
      }
    }))
})
