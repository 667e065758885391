/** What becomes of every word, told while it happens and added up at the end. */
import { type Frame, PipelineMetrics, PipelineObserver, type PipelineTask } from "@apipeline/core"
import { Clock, Console, Data, Duration, Effect, Schedule, Stdio, Terminal } from "effect"
import { CliError } from "effect/cli"
import { count } from "./Document.ts"

export class Unaccounted extends Data.TaggedError("Unaccounted")<{ readonly words: number }> {
  override get [CliError.userMessage](): string {
    return `nobody knows what became of ${many(this.words, "word")}`
  }
}

interface Tally {
  frames: number
  words: number
}

const tally = (): Tally => ({ frames: 0, words: 0 })
const add = (to: Tally, frame: Frame.Frame): void => {
  to.frames++
  if ("text" in frame) to.words += count(frame.text)
}

const n = (value: number): string => value.toLocaleString("en")
const many = (value: number, one: string): string => `${n(value)} ${one}${value === 1 ? "" : "s"}`
const seconds = (millis: number): string => `${(millis / 1000).toFixed(1).padStart(5)} s  `

export const make = (options: { readonly json: boolean }) =>
  Effect.gen(function*() {
    const stdio = yield* Stdio.Stdio
    const isTerminal = yield* stdio.stdoutIsTerminal
    const columns = isTerminal ? yield* (yield* Terminal.Terminal).columns : 0
    const width = Math.max(columns === 0 ? 100 : columns, 40)
    const started = yield* Clock.currentTimeMillis

    const heard = tally() // words that went in
    const made = tally() // sentences that came out of the aggregator
    const said = tally()
    const cut = tally()
    const dropped = { sentence: tally(), word: tally() }
    let unfinished = 0
    let bargeInMillis: number | undefined

    const style = (code: number, text: string) => isTerminal ? `\x1b[${code}m${text}\x1b[0m` : text
    const print = (text: string) => options.json ? Effect.void : Console.log(text)
    const elapsed = Effect.map(Clock.currentTimeMillis, (now) => now - started)
    const line = (text: string, code?: number) =>
      Effect.flatMap(elapsed, (millis) => {
        const room = width - 9
        const short = text.length > room ? `${text.slice(0, room - 1)}…` : text
        return print(style(2, seconds(millis)) + (code === undefined ? short : style(code, short)))
      })
    const left = () => made.frames - said.frames - cut.frames - dropped.sentence.frames

    /** How it stands, every second. */
    const pulse = Effect.suspend(() => {
      const state = `${many(heard.words, "word")} in, ${many(said.frames, "sentence")} said, ${n(left())} to say`
      return line(`-- ${state}`, 2)
    }).pipe(Effect.repeat(Schedule.spaced("1 second")), Effect.delay("1 second"))

    /** Observers run beside the pipeline: waits until ours has seen everything that was dropped. */
    const caughtUp = (task: PipelineTask.PipelineTask) =>
      Effect.gen(function*() {
        const { cancelled, ended, full, interrupted } = yield* task.drops
        const all = cancelled + ended + full + interrupted
        while (dropped.sentence.frames + dropped.word.frames < all) yield* Effect.yieldNow
      }).pipe(Effect.timeoutOption("1 second"))

    /** The numbers of every processor: in, out, dropped, how long they took. */
    const metrics = (task: PipelineTask.PipelineTask) => Effect.map(task.metrics, PipelineMetrics.table)

    return {
      pulse,
      title: (title: string, pipeline: string) =>
        Effect.andThen(print(style(1, title)), print(`${style(2, pipeline)}\n`)),

      // What processors tell it.
      heard: (frame: Frame.TextFrame) => add(heard, frame),
      made: (frame: Frame.TextFrame) => add(made, frame),
      cut: (frame: Frame.TextFrame) => Effect.suspend(() => (add(cut, frame), line(`✂ ${frame.text}`, 33))),
      said: (frame: Frame.TextFrame) => Effect.suspend(() => (add(said, frame), line(frame.text))),
      cancelled: (frame: Frame.CancelFrame) => line(`cancelled: ${frame.reason}`, 33),

      /** What the task tells it of frames that did not arrive. */
      observer: PipelineObserver.make("account", (event) =>
        Effect.sync(() => {
          // A frame of one word is one that was still on its way to the aggregator.
          if (event._tag === "Drop") add(event.processor === "task" ? dropped.word : dropped.sentence, event.frame)
        }), { capacity: Infinity }),

      bargeIn: (task: PipelineTask.PipelineTask, took: Duration.Duration) =>
        Effect.gen(function*() {
          yield* caughtUp(task)
          bargeInMillis = Duration.toMillis(took)
          // What went into the aggregator and never came out of it: the beginning of a sentence.
          const aggregator = (yield* task.metrics)[0]!
          unfinished = aggregator.framesIn.data - made.words
          const { sentence, word } = dropped
          yield* line(
            `== barge-in: silence after ${bargeInMillis.toFixed(2)} ms; ${many(sentence.frames, "sentence")} and ` +
              `${many(word.frames, "word")} that waited are dropped`,
            36
          )
        }),

      interrupted: Effect.suspend(() =>
        line(`interrupted: ${many(said.frames, "sentence")} said, ${many(heard.words - said.words, "word")} never said`)
      ),

      end: (task: PipelineTask.PipelineTask) =>
        Effect.gen(function*() {
          yield* caughtUp(task)
          const millis = yield* elapsed
          const lost = dropped.sentence.words + dropped.word.words
          const sum = said.words + cut.words + lost + unfinished
          if (options.json) {
            const words = { in: heard.words, said: said.words, cut: cut.words, dropped: lost, unfinished }
            const sentences = {
              made: made.frames,
              said: said.frames,
              cut: cut.frames,
              dropped: dropped.sentence.frames
            }
            const drops = yield* task.drops
            const account = {
              milliseconds: millis,
              bargeInMillis,
              words,
              sentences,
              drops,
              metrics: yield* task.metrics
            }
            yield* Console.log(JSON.stringify(account, null, 2))
          } else {
            yield* line("the end", 1)
            const row = (what: string, words: number, why: string) =>
              print(`  ${what.padEnd(12)}${n(words).padStart(9)}   ${style(2, why)}`.trimEnd())
            yield* print("")
            yield* row("words in", heard.words, `${many(made.frames, "sentence")}`)
            yield* row("said", said.words, many(said.frames, "sentence"))
            yield* row("cut short", cut.words, `${many(cut.frames, "sentence")} while being said`)
            yield* row(
              "dropped",
              lost,
              `${many(dropped.sentence.frames, "sentence")} and ${many(dropped.word.frames, "word")}`
            )
            yield* row("unfinished", unfinished, "what had come of a sentence")
            yield* row("", sum, sum === heard.words ? "it adds up" : "IT DOES NOT ADD UP")
            yield* print(`\n${yield* metrics(task)}`)
          }
          if (sum !== heard.words) return yield* new Unaccounted({ words: heard.words - sum })
        })
    }
  })

export type Account = Effect.Success<ReturnType<typeof make>>
