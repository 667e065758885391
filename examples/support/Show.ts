/** Shows a conversation while it happens: as lines for people, or as JSON, an event a line. */
import {
  Frame,
  LatencyObserver,
  PipelineMetrics,
  PipelineObserver,
  type PipelineTask,
  TransportFrames,
  VoiceFrames as Voice
} from "@apipeline/core"
import { Clock, Console, Effect } from "effect"
import * as Lines from "./Lines.ts"

export interface Options {
  readonly json: boolean
  /** How long speech is over when that is noticed, in milliseconds. */
  readonly stopMillis: number
}

const frames = [
  Frame.ErrorFrame,
  TransportFrames.BotInterruptedFrame,
  Voice.AggregatedTextFrame,
  Voice.BotStartedSpeakingFrame,
  Voice.BotStoppedSpeakingFrame,
  Voice.FunctionCallInProgressFrame,
  Voice.FunctionCallResultFrame,
  Voice.InterimTranscriptionFrame,
  Voice.TranscriptionFrame,
  Voice.TtsTextFrame,
  Voice.UserStartedSpeakingFrame,
  Voice.UserStoppedSpeakingFrame
]

const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`

/** The way from silence to sound. */
const stepNames: Partial<Record<LatencyObserver.Step["what"], string>> = {
  Text: "text",
  Token: "first token",
  Audio: "first audio"
}

export const make = Effect.fnUntraced(function*(options: Options) {
  const lines = yield* Lines.make
  const started = yield* Clock.currentTimeMillis
  /** When something was put on the screen. */
  let shown = started
  const latencies: Array<number> = []
  /** What was heard of the bot's turn, and what was still to be said when it was interrupted. */
  let heard = ""
  let segment: { readonly text: string; spoken: number } | undefined

  // https://no-color.org
  const isStyled = lines.isTerminal && !process.env["NO_COLOR"]
  const style = (code: number, text: string): string => isStyled ? `\x1b[${code}m${text}\x1b[0m` : text

  /** `event` for machines; for people, `text` is put on the screen. */
  const tell = (
    event: string,
    fields: object,
    text?: string,
    put: (line: string) => Effect.Effect<void> = lines.print
  ): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const at = Math.round(now - started)
      if (options.json) return Console.log(JSON.stringify({ at, event, ...fields }))
      if (text === undefined) return Effect.void
      shown = now
      return put(style(2, `${(at / 1000).toFixed(1).padStart(6)} s  `) + text)
    })
  const user = (line: string): Effect.Effect<void> => lines.open("user", line)

  /** The bot's sentence, with what has been heard of it marked. */
  const marked = (): string => {
    const { spoken, text } = segment!
    return `${style(32, "bot")}   ${style(1, text.slice(0, spoken))}${text.slice(spoken)}`
  }

  const said = ({ text }: Voice.TtsTextFrame): Effect.Effect<void> => {
    heard += text
    if (segment === undefined) return Effect.void
    const word = text.trim()
    const at = segment.text.indexOf(word, segment.spoken)
    if (at >= 0) segment.spoken = at + word.length
    // elsewhere it is told every second
    if (!options.json && !lines.isTerminal) return Effect.void
    return tell("bot-word", { text: word }, marked(), (line) => lines.change("bot", line))
  }

  /** Nothing has changed for a second: where it is at. */
  const beat = Effect.gen(function*() {
    const left = shown + 1000 - (yield* Clock.currentTimeMillis)
    if (left > 0) return yield* Effect.sleep(left)
    yield* tell("waiting", {}, style(2, segment === undefined ? "…" : `bot … ${segment.text.slice(0, segment.spoken)}`))
  })
  if (!options.json) yield* Effect.forkScoped(Effect.forever(beat))

  const show = (frame: Frame.Frame): Effect.Effect<void> => {
    if (Voice.UserStartedSpeakingFrame.is(frame)) return tell("user-started", {}, style(36, "you …"), user)
    if (Voice.InterimTranscriptionFrame.is(frame)) {
      return tell("interim", { text: frame.text }, style(2, `you … ${frame.text}`), user)
    }
    if (Voice.TranscriptionFrame.is(frame)) {
      return Effect.andThen(
        tell("transcript", { text: frame.text }, `${style(36, "you")}   ${style(1, frame.text)}`, user),
        lines.close
      )
    }
    if (Voice.UserStoppedSpeakingFrame.is(frame)) return tell("user-stopped", {})
    if (Voice.FunctionCallInProgressFrame.is(frame)) {
      const call = { name: frame.functionName, arguments: frame.arguments }
      return tell("tool", call, style(35, `⚙     ${call.name} ${JSON.stringify(call.arguments)}`))
    }
    if (Voice.FunctionCallResultFrame.is(frame)) {
      return tell("tool-result", { result: frame.result }, style(35, `⚙     ${JSON.stringify(frame.result)}`))
    }
    if (Voice.BotStartedSpeakingFrame.is(frame)) return tell("bot-started", {})
    if (Voice.AggregatedTextFrame.is(frame)) {
      segment = { text: frame.text, spoken: 0 }
      return Effect.andThen(
        lines.close,
        tell("bot-sentence", { text: frame.text }, marked(), (line) => lines.open("bot", line))
      )
    }
    if (Voice.TtsTextFrame.is(frame)) return said(frame)
    if (TransportFrames.BotInterruptedFrame.is(frame)) {
      const spoken = segment?.text.slice(0, segment.spoken).trim() ?? ""
      const cut = segment?.text.slice(segment.spoken).trim() ?? ""
      const struck = isStyled ? style(9, style(2, cut)) : `[${cut}]`
      return tell(
        "interrupted",
        { heard: heard.trim(), cut, playedMillis: frame.played, droppedMillis: frame.dropped },
        `${style(33, `✂     ${spoken}`)} ${cut === "" ? "" : struck}` +
          style(33, `  (${seconds(frame.played)} heard, ${seconds(frame.dropped)} cut)`)
      )
    }
    if (Voice.BotStoppedSpeakingFrame.is(frame)) {
      const text = heard.trim()
      heard = ""
      segment = undefined
      return Effect.andThen(lines.close, tell("bot-stopped", { heard: text }))
    }
    if (Frame.ErrorFrame.is(frame)) {
      return tell("error", { error: String(frame.error) }, style(31, `!     ${frame.processor}: ${frame.error}`))
    }
    return Effect.void
  }

  const latency = ({ _tag, milliseconds, steps }: LatencyObserver.Latency): Effect.Effect<void> => {
    if (_tag === "Greeting") return Effect.void
    latencies.push(milliseconds)
    const parts = steps.flatMap(({ milliseconds, what }) => {
      const step = stepNames[what]
      return step === undefined ? [] : [{ step, milliseconds: Math.round(milliseconds) }]
    })
    const shown = parts.map(({ milliseconds, step }) => `${step} ${seconds(milliseconds)}`).join(" → ")
    return tell(
      "latency",
      { milliseconds: Math.round(milliseconds), steps: parts },
      style(34, `⏱     ${seconds(milliseconds)} from the end of speech to the first audio  `) + style(2, shown)
    )
  }

  // A frame is pushed many times: it is shown once, the bot's words where they have been heard.
  const seen = new WeakSet<Frame.Frame>()
  const spoken = new Set([Voice.AggregatedTextFrame.tag, Voice.TtsTextFrame.tag] as Array<string>)

  return {
    line: (name: string) => tell("line", { name }, style(2, `▶     ${name}`)),
    note: (event: string, fields: object, text: string) => tell(event, fields, style(2, text)),
    observers: [
      PipelineObserver.make("show", (event) => {
        if (event._tag !== "Push" || seen.has(event.frame)) return Effect.void
        if (spoken.has(event.frame._tag) && event.from !== "TransportOutput") return Effect.void
        // told both ways
        if (event.direction === "upstream" && event.frame._tag !== "ErrorFrame") return Effect.void
        seen.add(event.frame)
        return show(event.frame)
      }, { frames: frames.map(({ tag }) => tag) }),
      LatencyObserver.make(latency, {
        silence: { tag: Voice.VadUserStoppedSpeakingFrame.tag, before: () => options.stopMillis }
      })
    ],
    /** Nothing changes any more. */
    close: lines.close,
    end: Effect.fnUntraced(function*(task: PipelineTask.PipelineTask<unknown>, fields: object) {
      const metrics = yield* task.metrics
      const sorted = latencies.toSorted((a, b) => a - b)
      const median = sorted[Math.floor(sorted.length / 2)]
      if (options.json) return yield* tell("end", { latencyMillis: median, ...fields, metrics })
      yield* Console.log(`\n${PipelineMetrics.table(metrics)}`)
      yield* Console.log(
        median === undefined
          ? "\nNothing was understood, and nothing answered."
          : `\n${sorted.length} answers, half of them within ${seconds(median)} of the end of speech, all within ${
            seconds(sorted.at(-1)!)
          }`
      )
    })
  }
})
