import { leaks } from "@apipeline/core/testing"
import * as TurnStart from "@apipeline/core/TurnStart"
import * as TurnStrategy from "@apipeline/core/TurnStrategy"
import * as UserTurn from "@apipeline/core/UserTurn"
import { InputDtmfFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Schema } from "effect"
import { inWords, trace } from "../utils/turns.ts"

const { deepStrictEqual, strictEqual, throws } = assert

/** What leaves a processor of turns without stop strategies: a turn ends with the task. */
const started = (start: ReadonlyArray<TurnStart.TurnStart>, line: string, options: UserTurn.Options = {}) =>
  Effect.map(trace(UserTurn.make({ start, stop: [], ...options }), line), (out) => out.trace)

type Case = readonly [name: string, line: string, expected: string]

const cases = (name: string, start: ReadonlyArray<TurnStart.TurnStart>, list: ReadonlyArray<Case>): void => {
  describe(name, () => {
    for (const [what, line, expected] of list) {
      it.effect(`${what}: ${line}`, () =>
        Effect.gen(function*() {
          strictEqual(yield* started(start, line), expected)
        }))
    }
  })
}

describe("TurnStart", () => {
  cases("vad", [TurnStart.vad()], [
    ["voice activity begins a turn", "S", "S user ! /user"],
    ["its end does not", "E", "E"],
    ["nor do transcriptions", "T I", "T I"],
    ["and a turn that is open does not begin again", "S E S E", "S user ! E S E /user"]
  ])

  cases("transcription", [TurnStart.transcription()], [
    ["voice activity does not begin a turn", "S E", "S E"],
    ["a transcription does, and is not cut by the interruption", "T", "user ! T /user"],
    ["an interim one too", "I T", "user ! I T /user"]
  ])

  cases("transcription without interim ones", [TurnStart.transcription({ interim: false })], [
    ["the final one begins it", "I T", "I user ! T /user"]
  ])

  cases("minWords: 2", [TurnStart.minWords({ words: 2 })], [
    ["one word is not enough while the bot speaks", "bot T:Hello", "T:Hello"],
    ["two are", "bot T:Hello_there!", "user ! T:Hello_there! /user"],
    ["an interim one counts", "bot I:Hello_there!", "user ! I:Hello_there! /user"],
    ["one word, then two", "bot I:Hello T:Hello_there!", "I:Hello user ! T:Hello_there! /user"],
    ["any word is enough while the bot is silent", "T:Hello", "user ! T:Hello /user"],
    ["as an interim one too", "I:Hello", "user ! I:Hello /user"],
    ["and after the bot has stopped", "bot /bot T:Hello", "user ! T:Hello /user"],
    ["no word is not", "T: I:_", "T: I:_"]
  ])

  cases("minWords: 3", [TurnStart.minWords({ words: 3 })], [
    ["the words of one transcription count, not those of several", "bot T:One T:Two T:Three", "T:One T:Two T:Three"]
  ])

  cases("minWords without interim ones", [TurnStart.minWords({ words: 2, interim: false })], [
    ["only the final one counts", "bot I:a_b T:a_b", "I:a_b user ! T:a_b /user"]
  ])

  cases("minWords that discards", [TurnStart.minWords({ words: 2, discard: true })], [
    ["too few words are dropped", "bot I:hm T:hm T:no_wait T:hm", "I:hm user ! T:no_wait T:hm /user"]
  ])

  it.effect("minWords: the next turn needs as many words again, and one that times out does too", () =>
    Effect.gen(function*() {
      const start = [TurnStart.minWords({ words: 2 })]
      strictEqual(
        yield* started(start, "bot T:a_b 200 T:a 300 T:a_b_c", { stopTimeout: "200 millis" }),
        "user ! T:a_b 200 /user T:a 300 user ! T:a_b_c /user"
      )
    }))

  cases("external", [TurnStart.external()], [
    ["voice activity is ignored", "S E", "S E"],
    ["a turn of others is adopted: no frame, no interruption", "user", "user /user"],
    ["a proposal is decided on, and goes no further", "propose", "user ! /user"],
    ["from below, too", "^propose", "user ! /user"],
    ["proposals of an end are not for it to decide", "/propose", "/propose"]
  ])

  cases("external that does not interrupt", [TurnStart.external({ interrupt: false })], [
    ["touches what is decided", "propose", "user /user"],
    ["not what is adopted", "user", "user /user"]
  ])

  it.effect("the watchdog counts from the beginning of a turn, whatever began it", () =>
    Effect.gen(function*() {
      const key = TurnStrategy.make<TurnStart.Decision>(
        "key",
        [InputDtmfFrame],
        () => ({ push: () => TurnStart.start })
      )
      strictEqual(yield* started([key], "9000 key 300", { stopTimeout: "200 millis" }), "9000 key user ! 200 /user")
    }))

  it.effect("interrupt: false, for each", () =>
    Effect.gen(function*() {
      const off = { interrupt: false }
      strictEqual(yield* started([TurnStart.vad(off)], "S"), "S user /user")
      strictEqual(yield* started([TurnStart.transcription(off)], "T"), "user T /user")
      strictEqual(yield* started([TurnStart.minWords({ words: 1, ...off })], "T"), "user T /user")
      strictEqual(yield* started([TurnStart.wakePhrase({ phrases: ["word"], ...off })], "T"), "user T /user")
    }))

  const hey = (options: Partial<TurnStart.WakePhraseOptions> = {}) => [
    TurnStart.wakePhrase({ phrases: ["hey pipecat", "ok computer"], timeout: "100 millis", ...options }),
    TurnStart.vad(),
    TurnStart.transcription()
  ]

  cases("wakePhrase", hey(), [
    ["the phrase begins a turn", "T:hey_pipecat", "user ! T:hey_pipecat /user"],
    ["an interim one does not, and is dropped", "I:hey_pipecat", ""],
    ["other text is dropped", "T:hello T:there", ""],
    ["voice activity passes and begins nothing", "S E", "S E"],
    ["the phrase may come in pieces", "T:hey T:pipecat", "user ! T:hey_pipecat /user"],
    ["there may be several phrases", "T:ok_computer", "user ! T:ok_computer /user"],
    ["punctuation and case do not matter", "T:Hey,_PipeCat!", "user ! T:Hey,_PipeCat! /user"],
    ["what is before it is left out", "T:well_hey_pipecat_stop", "user ! T:hey_pipecat_stop /user"],
    ["a word that only begins so does not count", "T:hey_pipecats", ""]
  ])

  const stop = { stopTimeout: "20 millis" as const }

  it.effect("wakePhrase: once awake, others decide, until nothing came for a while", () =>
    Effect.gen(function*() {
      const log: Array<string> = []
      const start = hey({
        onWake: (phrase) => Effect.sync(() => log.push(phrase)),
        onSleep: () => Effect.sync(() => log.push("sleep"))
      })
      const awake = "user ! T:hey_pipecat 20 /user"
      strictEqual(
        yield* started(start, "T:hey_pipecat 80 S 10 E 20", stop),
        `${awake} 60 S user ! 10 E 20 /user`
      )
      deepStrictEqual(log.splice(0), ["hey pipecat"])
      strictEqual(yield* started(start, "T:hey_pipecat 119 T 20", stop), `${awake} 99 user ! T 20 /user`)
      deepStrictEqual(log.splice(0), ["hey pipecat"])
      strictEqual(yield* started(start, "T:hey_pipecat 120 T S 20", stop), `${awake} 100 S`)
      deepStrictEqual(log.splice(0), ["hey pipecat", "sleep"])
      strictEqual(
        yield* started(start, "T:hey_pipecat 119 speaking 99 T 20", stop),
        `${awake} 99 speaking 99 user ! T 20 /user`
      )
      strictEqual(
        yield* started(start, "T:hey_pipecat 130 T:ok_computer 10", stop),
        `${awake} 110 user ! T:ok_computer 10 /user`
      )
    }))

  it.effect("wakePhrase: the time does not pass while a turn is open", () =>
    Effect.gen(function*() {
      strictEqual(
        yield* started(hey(), "T:hey_pipecat S 500 T E", { stopTimeout: "1 second" }),
        "user ! T:hey_pipecat S 500 T E /user"
      )
    }))

  it.effect("wakePhrase: with singleActivation, the phrase is needed for each turn", () =>
    Effect.gen(function*() {
      const line = "T:hey_pipecat 10 T:go T:on 20 T:again 100 T S 10 E T:hey_pipecat 30"
      const out = "user ! T:hey_pipecat 10 T:go T:on 20 /user"
      strictEqual(
        yield* started(hey({ singleActivation: true }), line, stop),
        `${out} 100 S 10 E user ! T:hey_pipecat 20 /user`
      )
    }))

  it.effect("wakePhrase: its failures are reported, its services are given", () =>
    Effect.gen(function*() {
      class Log extends Context.Service<Log, Array<string>>()("test/Log") {}
      class Deaf extends Schema.TaggedError<Deaf>()("Deaf", {}) {}
      const log: Array<string> = []
      const wake: TurnStart.TurnStart<Log> = TurnStart.wakePhrase({
        phrases: ["wake"],
        onWake: (phrase) =>
          Effect.andThen(Log.use((log) => Effect.sync(() => log.push(phrase))), Effect.fail(new Deaf()))
      })
      const [out, alive] = yield* leaks(
        trace(UserTurn.make({ start: [wake], stop: [] }), "T:wake").pipe(Effect.provideService(Log, log))
      )
      deepStrictEqual(log, ["wake"])
      strictEqual(out.trace, "user ! T:wake /user")
      strictEqual(inWords(out.up), "ErrorFrame user !")
      strictEqual(alive, 0)
    }))

  it.effect("the first strategy that decides is heeded; all are told", () =>
    Effect.gen(function*() {
      const told: Array<string> = []
      const spy = (name: string, decision: TurnStart.Decision | undefined) =>
        TurnStrategy.make<TurnStart.Decision>(name, [InputDtmfFrame], () => ({
          push: (frame) => {
            told.push(`${name} ${frame._tag}`)
            return decision
          }
        }))
      const events: Array<UserTurn.Event> = []
      yield* started([spy("a", undefined), spy("b", TurnStart.hold), spy("c", TurnStart.start)], "key")
      deepStrictEqual(told.splice(0), ["a InputDtmfFrame", "b InputDtmfFrame", "c InputDtmfFrame"])
      strictEqual(
        yield* started([spy("a", undefined), spy("c", TurnStart.start), spy("b", TurnStart.hold)], "key", {
          onEvent: (event) => Effect.sync(() => events.push(event))
        }),
        "key user ! /user"
      )
      deepStrictEqual(events[0], { _tag: "TurnStarted", strategy: "c" })
    }))

  it("refuses what cannot work", () => {
    throws(() => TurnStart.minWords({ words: 0 }), "TurnStart.minWords: words: found 0, expected an integer above 0")
    throws(() => TurnStart.minWords({ words: 1.5 }), "found 1.5")
    throws(() => TurnStart.wakePhrase({ phrases: [] }), "TurnStart.wakePhrase: phrases: found none")
    throws(() => TurnStart.wakePhrase({ phrases: ["a", "!"] }), "TurnStart.wakePhrase: phrases[1]: found \"!\"")
    throws(() => TurnStart.wakePhrase({ phrases: ["a"], timeout: 0 }), "TurnStart.wakePhrase: timeout: found 0 ms")
  })
})
