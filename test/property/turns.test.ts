import * as Frame from "@apipeline/core/Frame"
import * as Mute from "@apipeline/core/Mute"
import { leaks } from "@apipeline/core/testing"
import * as TurnDetector from "@apipeline/core/TurnDetector"
import * as TurnStart from "@apipeline/core/TurnStart"
import * as TurnStop from "@apipeline/core/TurnStop"
import * as UserTurn from "@apipeline/core/UserTurn"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Random, random } from "../utils/random.ts"
import { inWords, trace } from "../utils/turns.ts"

const starts: ReadonlyArray<ReadonlyArray<TurnStart.TurnStart>> = [
  [TurnStart.vad(), TurnStart.transcription()],
  [TurnStart.vad()],
  [TurnStart.transcription({ interim: false })],
  [TurnStart.minWords({ words: 2, discard: true })],
  [TurnStart.external(), TurnStart.vad()],
  [
    TurnStart.wakePhrase({ phrases: ["wake"], timeout: "300 millis" }),
    TurnStart.vad({ interrupt: false }),
    TurnStart.transcription()
  ],
  [TurnStart.wakePhrase({ phrases: ["wake"], singleActivation: true }), TurnStart.transcription()]
]

const A = TurnStop.speechTimeout({ timeout: "100 millis" })

const stops: ReadonlyArray<ReadonlyArray<TurnStop.TurnStop<TurnDetector.TurnDetector>>> = [
  [A],
  [TurnStop.speechTimeout({ timeout: 0, waitForTranscript: false })],
  [TurnStop.external({ timeout: "50 millis" })],
  [TurnStop.external({ timeout: "50 millis", waitForTranscript: false }), A],
  [TurnStop.deferred(A), TurnStop.externalCompletion()],
  [TurnStop.turnDetector({ incompleteTimeout: "400 millis" })],
  [TurnStop.deferred(TurnStop.turnDetector()), TurnStop.externalCompletion(), A],
  []
]

const mutes: ReadonlyArray<ReadonlyArray<Mute.Mute>> = [
  [],
  [],
  [Mute.always],
  [Mute.firstSpeech, Mute.functionCall],
  [Mute.untilFirstBotComplete]
]

interface Script {
  readonly options: UserTurn.Options<never, TurnDetector.TurnDetector>
  readonly detector: TurnDetector.Service
  readonly words: ReadonlyArray<string>
}

const makeScript = ({ int, pick }: Random, needsAudio: boolean): Script => {
  const words = pick([
    ["S", "E", "T", "F", "I", "speaking", "T:wake", "T:a_b", "!"],
    ["S", "E", "S", "E", "F", "I:a_b", "bot", "/bot", "typed"],
    ["propose", "/propose", "user", "/user", "T", "I", "^propose", "^/propose", "S", "E"],
    ["S", "E", "T", "done", "^done", "call:1", "result:1", "cancelled:1", "bot", "/bot", "stt:300", "vad:200"]
  ])
  const pauses = ["1", "20", "50", "100", "150", "700", "3000"]
  return {
    options: {
      start: pick(starts),
      stop: pick(stops),
      mute: pick(mutes),
      stopTimeout: pick(["150 millis", "1 second", "5 seconds"] as const),
      interrupt: pick(["always", "answering", "never"] as const)
    },
    detector: {
      name: "by what it is given",
      needsAudio,
      completion: ({ audio, text }) => {
        const answer = Math.abs(audio.reduce((sum, sample) => sum * 31 + sample | 0, text.length)) % 3
        return Effect.as(Effect.sleep(answer * 40), answer / 2)
      }
    },
    words: Array.from({ length: 40 }, () => int(3) === 0 ? pick(pauses) : pick(words))
  }
}

const play = ({ detector, options, words }: Script, line: string = words.join(" ")) =>
  leaks(
    trace(UserTurn.make(options), line).pipe(Effect.provideService(TurnDetector.TurnDetector, detector))
  )

/** Words with the time at which they came. */
const timed = (line: string): ReadonlyArray<string> => {
  let now = 0
  return line.split(" ").flatMap((word) => {
    if (!/^\d+$/.test(word)) return [`${word}@${now}`]
    now += Number(word)
    return []
  })
}

const alternate = (words: ReadonlyArray<string>, on: string, off: string): boolean => {
  const found = words.filter((word) => word === on || word === off)
  return found.every((word, i) => word === (i % 2 === 0 ? on : off))
}

/** What is wrong, if anything. */
const problems = (line: string, up: string): ReadonlyArray<string> => {
  const found: Array<string> = []
  const words = line.split(" ").filter((word) => !/^\d+$/.test(word))
  const expect = (so: boolean, problem: string): void => {
    if (!so) found.push(problem)
  }
  const last = (...ones: ReadonlyArray<string>) => words.findLast((word) => ones.includes(word))
  expect(alternate(words, "user", "/user"), "turns do not alternate")
  expect(last("user", "/user") !== "user", "a turn is open at the end")
  expect(alternate(words, "mute", "/mute"), "mutes do not alternate")
  expect(last("mute", "/mute") !== "mute", "muted at the end")
  expect(alternate(up.split(" "), "mute", "/mute"), "upstream, mutes do not alternate")
  let muted = false
  for (const word of words) {
    if (word === "mute" || word === "/mute") muted = word === "mute"
    else if (muted) expect(!/^([SETFI]|user|speaking|\/?propose)\b|^\/user/.test(word), `${word} while muted`)
  }
  return found
}

const seeds = Array.from(
  { length: Number(process.env["APIPELINE_RUNS"] ?? 0) / 100 || 60 },
  (_, i) => Number(process.env["APIPELINE_SEED"] ?? 1) * 1000 + i
)

it.effect(
  "turns: each that begins ends, in turn, whatever happens; nothing is left running",
  () =>
    Effect.gen(function*() {
      let turns = 0
      for (const seed of seeds) {
        const script = makeScript(random(seed), seed % 2 === 0)
        const [out, alive] = yield* play(script)
        const where = `seed ${seed}: ${script.words.join(" ")}\n${out.trace}`
        assert.deepStrictEqual(problems(out.trace, inWords(out.up)), [], where)
        assert.strictEqual(alive, 0, where)
        assert.strictEqual(out.down.at(-1)?._tag, "EndFrame", where)
        turns += out.trace.split(" ").filter((word) => word === "user").length
      }
      assert.isAbove(turns, seeds.length)
    }),
  60_000
)

it.effect("turns do not depend on how audio is cut, nor on how time passes", () =>
  Effect.gen(function*() {
    for (const seed of seeds.slice(0, Math.ceil(seeds.length / 2))) {
      const from = random(seed)
      const script = makeScript(from, true)
      let sample = 0
      /** Between two words, so many samples, in pieces. */
      const heard = script.words.map(() => 160 * from.int(8))
      const line = (cut: boolean) => {
        sample = 0
        const { int } = random(seed + 1)
        return script.words.flatMap((word, i) => {
          const pieces: Array<string> = []
          for (let left = heard[i]!; left > 0;) {
            const size = cut ? Math.min(left, 1 + int(300)) : left
            pieces.push(`audio:${sample},${size}`)
            sample += size
            left -= size
          }
          const pause = Number(word)
          const first = cut && pause > 1 ? 1 + int(pause - 1) : 0
          return [...pieces, ...first > 0 ? [String(first), String(pause - first)] : [word]]
        }).join(" ")
      }
      const tell = (line: string) => timed(line).filter((word) => !word.startsWith("audio"))
      const [[whole], [pieces]] = yield* Effect.all([play(script, line(false)), play(script, line(true))])
      assert.deepStrictEqual(tell(pieces.trace), tell(whole.trace), `seed ${seed}: ${script.words.join(" ")}`)
      assert.isTrue(whole.down.every((frame) => !Frame.ErrorFrame.is(frame)))
    }
  }), 60_000)
