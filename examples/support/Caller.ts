/**
 * Somebody on the telephone who only has recordings: plays them to the bot at the speed of speech, listens to the answers,
 * and barges in where that is planned.
 */
import { Frame, Pcm, Transport, Wav } from "@apipeline/core"
import { type Cause, Clock, Effect, FileSystem, type PlatformError, Queue, Stream } from "effect"

/** When a recording is played: a pause after the bot has answered, or while it speaks, both in milliseconds. */
export type When =
  | { readonly _tag: "AfterAnswer"; readonly pause: number }
  | { readonly _tag: "BargeIn"; readonly after: number }

export interface Line {
  readonly name: string
  readonly audio: Stream.Stream<Frame.AudioRawFrame, Wav.WavError | PlatformError.PlatformError>
  readonly when: When
}

/** A WAV file. What is wrong with its beginning is found out now, what is wrong later when it is played. */
export const read = Effect.fnUntraced(function*(path: string, when: When) {
  const files = yield* FileSystem.FileSystem
  const frames = Wav.toAudio(files.stream(path))
  yield* Stream.runHead(frames)
  const line: Line = {
    name: path.replace(/^.*[\\/]/, ""),
    audio: frames,
    when
  }
  return line
})

export interface Options {
  readonly lines: ReadonlyArray<Line>
  /** Milliseconds: a bot that has said nothing for so long has nothing to say. */
  readonly patience: number
  readonly onLine: (line: Line) => Effect.Effect<void>
}

/** Milliseconds: a bot that is silent for so long has finished. */
const pauseMillis = 900

const silence = Frame.AudioRawFrame.make({
  audio: Pcm.silence("20 millis", { sampleRate: 16_000 }),
  sampleRate: 16_000,
  numChannels: 1
})

/** The connection for `Transport.make`. It ends when the last answer has been heard. */
export const make = Effect.fnUntraced(function*(options: Options) {
  const clock = yield* Clock.Clock
  const frames = yield* Queue.unbounded<Frame.AudioRawFrame, Cause.Done | Transport.TransportError>()
  const now = (): number => clock.currentTimeMillisUnsafe()
  /** When the answer began, and when the audio that has come of it ends. */
  let began: number | undefined
  let ends = 0

  const isTime = (when: When, since: number): boolean => {
    if (began === undefined) return now() - since >= options.patience
    const silent = now() - ends
    if (when._tag === "AfterAnswer") return silent >= pauseMillis + when.pause
    return now() - began >= when.after || silent >= pauseMillis
  }

  let at: number | undefined
  const send = (frame: Frame.AudioRawFrame): Effect.Effect<void> =>
    Effect.suspend(() => {
      at = (at ?? now()) + frame.duration
      return Effect.andThen(Effect.sleep(Math.max(0, at - now())), Queue.offer(frames, frame))
    })

  const wait = (when: When): Effect.Effect<void> =>
    Effect.suspend(() => {
      const since = now()
      return Effect.whileLoop({ while: () => !isTime(when, since), body: () => send(silence), step: () => {} })
    })

  const say = Effect.fnUntraced(function*(line: Line) {
    yield* options.onLine(line)
    yield* Stream.runForEach(line.audio, send)
    // what has come until now answers something else
    began = undefined
  })

  const call = Effect.gen(function*() {
    for (const [i, line] of options.lines.entries()) {
      if (i > 0) yield* wait(line.when)
      yield* say(line)
    }
    yield* wait({ _tag: "AfterAnswer", pause: 0 })
  }).pipe(
    Effect.matchEffect({
      onSuccess: () => Queue.end(frames),
      onFailure: (cause) =>
        Queue.fail(frames, new Transport.TransportError({ reason: new Transport.ReadFailed({ cause }) }))
    })
  )
  yield* Effect.forkScoped(call)

  const connection: Transport.Connection = {
    name: "Caller",
    incoming: Stream.fromQueue(frames),
    send: (frame) =>
      Effect.sync(() => {
        if (!Frame.AudioRawFrame.is(frame)) return
        began ??= now()
        ends = Math.max(ends, now()) + frame.duration
      }),
    close: () => Effect.void
  }
  return connection
})
