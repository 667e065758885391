import { assert, describe, it } from "@effect/vitest"
import * as fs from "node:fs"
import * as path from "node:path"
import { type Child, type Ended, sleep, start } from "../utils/child.ts"
import { root } from "../utils/run.ts"

const main = (args: ReadonlyArray<string>, input?: Parameters<typeof start>[1]): Child =>
  start(["examples/reader.ts", ...args], input)

const assertCode = (ended: Ended, code: number): void => {
  assert.strictEqual(ended.code, code, `${ended.signal}\n${ended.stdout}\n${ended.stderr}`)
  if (code === 0) assert.strictEqual(ended.stderr, "")
}

const alice = fs.readFileSync(path.join(root, "examples/data/alice.txt"), "utf8")
const words = (text: string): number => text.match(/\S+/g)?.length ?? 0
const number = (text: string | undefined): number => Number(text?.replaceAll(",", ""))

/** The lines with a time in front: when, and what. */
const lines = (stdout: string): Array<readonly [seconds: number, text: string]> =>
  Array.from(stdout.matchAll(/^ +(\d+\.\d) s {2}(.*)$/gm), ([, seconds, text]) => [Number(seconds), text!] as const)

const isSaid = (text: string): boolean => !/^(-- |== |✂ |the end$|cancelled: |interrupted: )/.test(text)

/** The account at the end: its rows, by their first words. */
const account = (stdout: string): Record<string, number> =>
  Object.fromEntries(
    Array.from(stdout.matchAll(/^ {2}(words in|said|cut short|dropped|unfinished) +([\d,]+) /gm), ([, what, value]) => [
      what,
      number(value)
    ])
  )

interface Account {
  readonly bargeInMillis?: number
  readonly words: Record<"in" | "said" | "cut" | "dropped" | "unfinished", number>
  readonly sentences: Record<"made" | "said" | "cut" | "dropped", number>
  readonly drops: Record<"full" | "interrupted" | "cancelled" | "ended", number>
  readonly metrics: ReadonlyArray<{
    readonly processor: string
    readonly framesIn: { readonly data: number }
    readonly framesOut: { readonly data: number }
    readonly dropped: number
    readonly handled: number
    readonly interruptions: number
  }>
}

const assertAddsUp = ({ metrics, sentences, words }: Account): void => {
  assert.strictEqual(words.in, words.said + words.cut + words.dropped + words.unfinished)
  assert.strictEqual(sentences.made, sentences.said + sentences.cut + sentences.dropped)
  const [aggregator, tidy, speak, show] = metrics
  assert.deepStrictEqual([aggregator!.framesOut.data, tidy!.framesOut.data], [sentences.made, sentences.made])
  assert.strictEqual(tidy!.framesOut.data, speak!.handled + sentences.cut + speak!.dropped)
  assert.strictEqual(speak!.framesOut.data, show!.handled + show!.dropped)
  assert.strictEqual(show!.handled, sentences.said)
}

const assertAlive = (told: ReturnType<typeof lines>): void => {
  for (const [i, [seconds]] of told.entries()) assert.isAtMost(seconds - (told[i - 1]?.[0] ?? 0), 1.5)
}

describe("examples/reader.ts", { timeout: 60_000 }, () => {
  it("reads its text, is interrupted, goes on, and every word is accounted for", async () => {
    const ended = await main(["--fast"]).ended
    assertCode(ended, 0)
    const sum = account(ended.stdout)
    assert.strictEqual(sum["words in"], words(alice))
    assert.isAbove(sum["words in"]!, 3000)
    assert.strictEqual(sum["said"]! + sum["cut short"]! + sum["dropped"]! + sum["unfinished"]!, words(alice))
    assert.include(ended.stdout, "it adds up")
    assert.match(ended.stdout, /^processor +in +out +dropped/m)
    for (const name of ["SentenceAggregator", "Tidy", "Speak", "Show"]) {
      assert.match(ended.stdout, new RegExp(`^${name}( +[\\d.-]+){7}$`, "m"))
    }

    const told = lines(ended.stdout).map(([, text]) => text)
    assert.strictEqual(told.filter((text) => text.startsWith("== barge-in: silence after")).length, 1)
    const dropped = /(\S+ sentences and \S+ words)/
    assert.strictEqual(
      dropped.exec(told.find((text) => text.startsWith("== "))!)?.[1],
      dropped.exec(/^ {2}dropped .*$/m.exec(ended.stdout)![0])?.[1]
    )
    const said = told.filter(isSaid)
    assert.strictEqual(said.length, number(/^ {2}said .* ([\d,]+) sentences$/m.exec(ended.stdout)?.[1]))
    assert.isAbove(said.length, 100)
    // What was said is what was written, in its order: nothing twice, nothing from before the interruption after it.
    const text = alice.trim().replaceAll(/\s+/g, " ")
    let at = 0
    for (const sentence of said) {
      const found = text.indexOf(sentence.replace(/…$/, ""), at)
      assert.isAtLeast(found, at, sentence)
      at = found + sentence.length - 1
    }
    assert.isTrue(text.endsWith(said.at(-1)!))
    const pause = told.findIndex((text) => text.startsWith("== "))
    assert.isAbove(pause, 10)
    assert.isBelow(pause, told.length - 10)
  })

  it("the same as JSON, to reckon with", async () => {
    const ended = await main(["--fast", "--json"]).ended
    assertCode(ended, 0)
    const json: Account = JSON.parse(ended.stdout)
    assertAddsUp(json)
    assert.strictEqual(json.words.in, words(alice))
    assert.isAbove(json.bargeInMillis!, 0)
    assert.isBelow(json.bargeInMillis!, 1000)
    // Sentences that waited, and words that had not even got that far.
    assert.isAbove(json.sentences.dropped, 0)
    const early = json.words.in - json.metrics[0]!.framesIn.data
    assert.strictEqual(json.drops.interrupted, json.sentences.dropped + early)
    assert.deepStrictEqual(json.metrics.map(({ interruptions }) => interruptions), [1, 1, 1, 1])
    const { cancelled, ended: late, full } = json.drops
    assert.deepStrictEqual([cancelled, late, full], [0, 0, 0])
  })

  it("reads standard input while it comes", async () => {
    const child = main(["-", "--fast", "--barge-in", "99"], "One two three. Fo")
    await child.printed("One two three.")
    await sleep(50)
    assert.notInclude(child.output(), "Fo")
    child.end("ur five.\n")
    const ended = await child.ended
    assertCode(ended, 0)
    assert.deepStrictEqual(lines(ended.stdout).map(([, text]) => text), ["One two three.", "Four five.", "the end"])
    assert.strictEqual(account(ended.stdout)["words in"], 5)
  })

  it("is interrupted at the word that one likes", async () => {
    const child = main(["-", "--barge-in", "5", "--json"], "One two three. Four five\n\nsix seven.  Eight")
    child.end()
    const ended = await child.ended
    assertCode(ended, 0)
    const json: Account = JSON.parse(ended.stdout)
    assertAddsUp(json)
    assert.strictEqual(json.words.in, 8)
    assert.strictEqual(json.words.unfinished, 2)
    assert.isDefined(json.bargeInMillis)
  })

  it("nothing to read is read, too", async () => {
    const child = main(["-"], " \n")
    child.end()
    const ended = await child.ended
    assertCode(ended, 0)
    assert.deepStrictEqual(Object.values(account(ended.stdout)), [0, 0, 0, 0, 0])
  })

  it("takes seconds in real time, and shows life all the while", async () => {
    const ended = await main([]).ended
    assertCode(ended, 0)
    const told = lines(ended.stdout)
    assertAlive(told)
    assert.strictEqual(told.at(-1)![1], "the end")
    assert.isAbove(told.at(-1)![0], 4)
    assert.isBelow(told.at(-1)![0], 15)
    assert.isAbove(told.filter(([, text]) => text.startsWith("-- ")).length, 3)
    assert.include(ended.stdout, "it adds up")
  })

  it("shows life every second, and Ctrl-C leaves it cleanly", async () => {
    const child = main([])
    await child.printed(" 3.0 s  ")
    child.kill("SIGINT")
    const ended = await child.ended
    assertCode(ended, 130)
    assert.isBelow(ended.milliseconds, 2000)
    assert.strictEqual(ended.stderr, "")
    const told = lines(ended.stdout)
    assertAlive(told)
    const [cancelled, interrupted] = told.slice(-2).map(([, text]) => text)
    assert.match(cancelled!, /^cancelled: /)
    assert.match(interrupted!, /^interrupted: \d+ sentences said, [\d,]+ words never said$/)
    assert.notInclude(ended.stdout, "the end")
  })

  it("waits for standard input, shows life, and can be stopped", async () => {
    const child = main(["-"], "")
    await child.printed("-- 0 words in")
    child.kill("SIGINT")
    const ended = await child.ended
    assertCode(ended, 130)
    assert.include(ended.stdout, "interrupted: 0 sentences said, 0 words never said")
  })

  it.for([["nowhere.txt", "no such file"], ["examples", "it is no file"]])(
    "cannot read %s: says so, exit code 1",
    async ([file, why]) => {
      const ended = await main([file!]).ended
      assertCode(ended, 1)
      assert.include(ended.stderr, `cannot read ${file}: ${why}`)
      assert.notInclude(ended.stderr + ended.stdout, "    at ")
    }
  )

  it("explains itself", async () => {
    const help = await main(["--help"]).ended
    assertCode(help, 0)
    for (const word of ["--fast", "--json", "--barge-in", "standard input"]) assert.include(help.stdout, word)
    assertCode(await main(["--slow"]).ended, 1)
  })

  it("ends quietly when nobody reads on", async () => {
    const child = main([])
    await child.printed("Alice was beginning")
    child.deafen()
    const ended = await child.ended
    assertCode(ended, 141)
    assert.strictEqual(ended.stderr, "")
  })
})
