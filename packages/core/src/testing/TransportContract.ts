/**
 * What every transport has to do: the checks that all of ours pass, for a transport of your own.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Frame from "../Frame.ts"
import * as Pcm from "../Pcm.ts"
import * as Pipeline from "../Pipeline.ts"
import * as PipelineTask from "../PipelineTask.ts"
import * as Processor from "../Processor.ts"
import type * as Transport from "../Transport.ts"
import * as TransportFrames from "../TransportFrames.ts"
import { ContractViolation, expect, pass, until } from "./Contract.ts"
import { capture, leaks, show } from "./index.ts"

/**
 * Whoever is at the other end of the transport under test.
 *
 * @category models
 * @since 0.1.0
 */
export interface FarEnd {
  /** What it has received so far. */
  readonly received: () => ReadonlyArray<Frame.Frame>
  /** Whether it has seen the connection close. */
  readonly isClosed: () => boolean
  /** Leaves without a word. Default: it cannot. */
  readonly hangUp?: Effect.Effect<void, unknown> | undefined
}

/**
 * A transport under test, and what it can do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject<R = never> {
  /** Makes the transport and its other end, which sends the frames (and then stays, or is over, as `staysOpen` says). */
  readonly open: (
    frames: ReadonlyArray<Frame.Frame>,
    options: Transport.Options
  ) => Effect.Effect<{ readonly transport: Transport.Transport; readonly farEnd: FarEnd }, unknown, Scope.Scope | R>
  /** Hz, of one channel, as it travels. */
  readonly sampleRate: number
  /** What a codec on the way makes of samples. Default: nothing, they arrive as they are. */
  readonly line?: ((samples: Int16Array) => Int16Array) | undefined
  /** Milliseconds of audio that are sent at once. Default: 40. */
  readonly chunk?: number | undefined
  /** Whether audio can come in, and go out. */
  readonly audioIn: boolean
  readonly audioOut: boolean
  /** Whether audio is sent in time, or at once. */
  readonly paced: boolean
  /** Frames that it carries in and out, besides audio. */
  readonly carries: { readonly in: ReadonlyArray<Frame.Frame>; readonly out: ReadonlyArray<Frame.Frame> }
  /** Whether the other end can still be there when it has sent everything. */
  readonly staysOpen: boolean
}

/**
 * One thing that a transport has to do. It fails with a `ContractViolation` when the transport does not.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  readonly name: string
  /** Whether the transport can do what is checked. */
  readonly applies: (subject: Subject<any>) => boolean
  readonly run: <R>(subject: Subject<R>) => Effect.Effect<void, unknown, Scope.Scope | R>
}

/** Samples that count up from 1. */
const ramp = (sampleRate: number, millis: number, from = 1): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({
    audio: Pcm.fromInt16(Int16Array.from({ length: Math.round(millis * sampleRate / 1000) }, (_, i) => from + i)),
    sampleRate,
    numChannels: 1
  })

const samplesOf = (frames: ReadonlyArray<Frame.Frame>): Array<number> =>
  frames.flatMap((frame) => Frame.AudioRawFrame.is(frame) ? Array.from(Pcm.toInt16Unsafe(frame.audio)) : [])

/** Samples as they arrive at the other end of the line. */
const across = ({ line }: Subject<any>, samples: ReadonlyArray<number>): ReadonlyArray<number> =>
  line === undefined ? samples : Array.from(line(Int16Array.from(samples)))

const withoutAudio = (frames: ReadonlyArray<Frame.Frame>): Array<string> =>
  show(frames.filter((frame) => !Frame.AudioRawFrame.is(frame)))

/** A task in which the transport is all there is, but for a bot that keeps what comes in and says what it is told to. */
const session = <R>(subject: Subject<R>, frames: ReadonlyArray<Frame.Frame>, options: Transport.Options = {}) =>
  Effect.gen(function*() {
    const { farEnd, transport } = yield* subject.open(frames, options)
    const inside: Array<Frame.Frame> = []
    let context: Processor.ProcessorContext | undefined
    const keep = (frame: Frame.Frame): Effect.Effect<void> => Effect.sync(() => void inside.push(frame))
    const bot = Processor.effect("Bot", {
      data: keep,
      system: (frame, { push }) => Effect.andThen(keep(frame), push(frame)),
      run: (_, own) =>
        Effect.suspend(() => {
          context = own
          return Effect.never
        })
    })
    const { below, down: heard } = capture()
    const task = yield* PipelineTask.make(Pipeline.make(transport.input, bot, transport.output, below), {
      audioInSampleRate: subject.sampleRate,
      audioOutSampleRate: subject.sampleRate
    })
    const running = yield* Effect.forkScoped(Effect.exit(task.run), { startImmediately: true })
    yield* task.start
    yield* until("the bot is there", () => context !== undefined)
    const say = (...frames: ReadonlyArray<Frame.Frame>): Effect.Effect<void> =>
      Effect.forEach(frames, (frame) => context!.pushDownstream(frame), { discard: true })
    const ended = Effect.gen(function*() {
      yield* until("the end of the task", () => running.pollUnsafe() !== undefined)
      const exit = yield* Fiber.join(running)
      return Exit.isSuccess(exit) ? exit.value._tag : Cause.pretty(exit.cause)
    })
    return { farEnd, transport, task, say, inside, heard, ended }
  })

const tags = (frames: ReadonlyArray<Frame.Frame>, prefix: string): Array<string> =>
  frames.flatMap(({ _tag }) => _tag.startsWith(prefix) ? [_tag] : [])

const check = (
  name: string,
  applies: (subject: Subject<any>) => boolean,
  run: <R>(subject: Subject<R>) => Effect.Effect<void, unknown, Scope.Scope | R>
): Check => ({ name, applies, run })

const stay: Transport.Options = { input: { onDisconnect: "ignore" } }

const audioIn = check(
  "audio that comes in is complete and in order",
  ({ audioIn }) => audioIn,
  (subject) =>
    Effect.gen(function*() {
      const frames = [0, 1, 2, 3, 4].map((i) => ramp(subject.sampleRate, 20, 1 + i * subject.sampleRate / 50))
      const { inside } = yield* session(subject, frames, stay)
      const expected = samplesOf(frames)
      yield* until("audio that comes in", () => samplesOf(inside).length >= expected.length)
      yield* expect("audio that comes in", samplesOf(inside), across(subject, expected))
    })
)

const framesIn = check(
  "frames that come in are the same, in order",
  ({ carries }) => carries.in.length > 0,
  (subject) =>
    Effect.gen(function*() {
      const { inside } = yield* session(subject, subject.carries.in, stay)
      // system frames overtake data
      const inOrder = (frames: ReadonlyArray<Frame.Frame>) =>
        withoutAudio([...frames.filter(Frame.isSystem), ...frames.filter((frame) => !Frame.isSystem(frame))])
      const found = () => inside.filter(({ _tag }) => !_tag.startsWith("Client"))
      yield* until("frames that come in", () => found().length >= subject.carries.in.length)
      yield* expect("frames that come in", inOrder(found()), inOrder(subject.carries.in))
    })
)

const events = check("tells when somebody connects and is gone", () => true, (subject) =>
  Effect.gen(function*() {
    const { inside, transport } = yield* session(subject, [], stay)
    yield* until("ClientConnectedFrame", () => inside.length > 0)
    yield* transport.close("enough")
    const tags = yield* Effect.map(Stream.runCollect(transport.events), (all) => all.map(({ _tag }) => _tag))
    yield* expect("events", tags, ["ClientConnected", "ClientDisconnected"])
    yield* until("ClientDisconnectedFrame", () => inside.at(-1)?._tag === "ClientDisconnectedFrame")
    yield* expect("the first frame", inside[0]?._tag, "ClientConnectedFrame")
  }))

const hangUp = check(
  "a client that leaves ends the task",
  ({ staysOpen }) => staysOpen,
  (subject) =>
    Effect.gen(function*() {
      const { ended, farEnd, inside, transport } = yield* session(subject, [])
      if (farEnd.hangUp === undefined) return
      yield* until("ClientConnectedFrame", () => inside.length > 0)
      yield* farEnd.hangUp
      yield* expect("the end of the task", yield* ended, "Cancelled")
      yield* expect("why it is gone", typeof (yield* transport.disconnected), "string")
    })
)

const audioOut = check(
  "audio that goes out is complete, in chunks, filled up with silence",
  ({ audioOut }) => audioOut,
  (
    subject
  ) =>
    Effect.gen(function*() {
      const { ended, farEnd, say, task, transport } = yield* session(subject, [], stay)
      const millis = [7, 50, 3, 41, 9]
      let from = 1
      for (const part of millis) {
        yield* say(ramp(subject.sampleRate, part, from))
        from += Math.round(part * subject.sampleRate / 1000)
      }
      yield* task.stopWhenDone
      yield* expect("the end of the task", yield* ended, "Ended")
      const { chunk = 40 } = subject
      const total = Math.ceil(110 / chunk) * chunk
      const length = Math.round(total * subject.sampleRate / 1000)
      const expected = Array.from({ length }, (_, i) => i + 1 < from ? i + 1 : 0)
      yield* until("audio that goes out", () => samplesOf(farEnd.received()).length >= expected.length)
      yield* expect("audio that goes out", samplesOf(farEnd.received()), across(subject, expected))
      const [playback] = yield* transport.playback
      yield* expect("what was played", [playback?.sent, playback?.played, playback?.waiting], [total, total, 0])
    })
)

const framesOut = check(
  "frames that go out are the same, in order, with audio too",
  ({ carries }) => carries.out.length > 0,
  (
    subject
  ) =>
    Effect.gen(function*() {
      const { ended, farEnd, say, task } = yield* session(subject, [], stay)
      for (const frame of subject.carries.out) {
        if (subject.audioOut) yield* say(ramp(subject.sampleRate, 40))
        yield* say(frame)
      }
      yield* task.stopWhenDone
      yield* expect("the end of the task", yield* ended, "Ended")
      const expected = subject.carries.out.flatMap((frame) => [
        ...subject.audioOut ? ["AudioRawFrame"] : [],
        frame._tag === "OutputTransportMessageFrame" ? "InputTransportMessageFrame" : frame._tag
      ])
      // the other end may know audio in chunks of its own
      const found = (): Array<string> =>
        farEnd.received().flatMap((frame, i, all) =>
          frame._tag === "AudioRawFrame" && all[i - 1]?._tag === "AudioRawFrame" ? [] : [frame._tag]
        )
      yield* until("frames that go out", () => found().length >= expected.length)
      yield* expect("frames that go out", found(), expected)
    })
)

const urgent = check(
  "an urgent message overtakes audio that waits",
  ({ audioOut, carries, paced }) =>
    audioOut && paced && carries.out.some(TransportFrames.OutputTransportMessageFrame.is),
  (subject) =>
    Effect.gen(function*() {
      const { farEnd, say } = yield* session(subject, [], stay)
      const message = { now: true }
      yield* say(
        ramp(subject.sampleRate, 400),
        TransportFrames.OutputTransportMessageUrgentFrame.make({ message })
      )
      yield* until("the message", () => farEnd.received().some(TransportFrames.InputTransportMessageFrame.is))
      const found = farEnd.received().find(TransportFrames.InputTransportMessageFrame.is)
      yield* expect("the message", found?.message, message)
      if (samplesOf(farEnd.received()).length < 0.4 * subject.sampleRate) return
      yield* Effect.fail(new ContractViolation({ what: "the message", found: "last", expected: "before the audio" }))
    })
)

const speaks = check(
  "tells when the bot speaks, and passes on what is heard",
  ({ audioOut }) => audioOut,
  (subject) =>
    Effect.gen(function*() {
      const { ended, heard, say, task } = yield* session(subject, [], stay)
      const whole = ramp(subject.sampleRate, 3 * (subject.chunk ?? 40))
      yield* say(whole)
      yield* task.stopWhenDone
      yield* expect("the end of the task", yield* ended, "Ended")
      yield* expect("who speaks", tags(heard, "BotSt"), ["BotStartedSpeakingFrame", "BotStoppedSpeakingFrame"])
      yield* expect("audio that was heard", samplesOf(heard), samplesOf([whole]))
    })
)

const interruption = check(
  "an interruption cuts what waits; what follows is heard from its beginning",
  ({ audioOut, paced }) => audioOut && paced,
  (subject) =>
    Effect.gen(function*() {
      const { ended, farEnd, heard, say, task, transport } = yield* session(subject, [], stay)
      yield* say(ramp(subject.sampleRate, 1230))
      yield* until("audio", () => samplesOf(farEnd.received()).length > 0)
      yield* task.interrupt
      const cut = (yield* transport.playback)[0]!
      yield* expect("audio that waits", cut.waiting, 0)
      yield* expect("what became of it", cut.sent + cut.dropped >= 1230 - 1e-9, true)
      yield* expect("who speaks", tags(heard, "BotSt"), ["BotStartedSpeakingFrame", "BotStoppedSpeakingFrame"])
      const millis = 2 * (subject.chunk ?? 40)
      const more = ramp(subject.sampleRate, millis, 30_000 - Math.round(millis * subject.sampleRate / 1000))
      yield* say(more)
      yield* task.stopWhenDone
      yield* expect("the end of the task", yield* ended, "Ended")
      const length = Math.round((cut.sent + millis) * subject.sampleRate / 1000)
      yield* until("audio that goes out", () => samplesOf(farEnd.received()).length >= length)
      const expected = [
        ...Array.from({ length: Math.round(cut.sent * subject.sampleRate / 1000) }, (_, i) => 1 + i),
        ...samplesOf([more])
      ]
      yield* expect("audio that goes out", samplesOf(farEnd.received()), across(subject, expected))
    })
)

const closes = check(
  "closes with its scope, and leaves nothing behind",
  () => true,
  (subject) =>
    Effect.gen(function*() {
      const [farEnd, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
        const { farEnd, say } = yield* session(subject, [], stay)
        if (subject.audioOut) yield* say(ramp(subject.sampleRate, 400))
        return farEnd
      })))
      yield* until("the close at the other end", farEnd.isClosed)
      yield* expect("fibers that are left", alive, 0)
    })
)

const cancel = check(
  "a cancelled task sends nothing more",
  ({ audioOut }) => audioOut,
  (subject) =>
    Effect.gen(function*() {
      const { ended, farEnd, say, task } = yield* session(subject, [], stay)
      yield* say(ramp(subject.sampleRate, 400))
      yield* task.cancel("enough")
      yield* expect("the end of the task", yield* ended, "Cancelled")
      yield* pass("50 millis")
      const before = samplesOf(farEnd.received()).length
      yield* pass("150 millis")
      yield* expect("samples that were sent", samplesOf(farEnd.received()).length, before)
    })
)

const late = check(
  "what is pushed after the connection is closed is no failure of the task",
  ({ audioOut }) => audioOut,
  (
    subject
  ) =>
    Effect.gen(function*() {
      const { ended, say, task, transport } = yield* session(subject, [], stay)
      yield* transport.close("enough")
      yield* say(ramp(subject.sampleRate, 40))
      yield* pass("50 millis")
      yield* task.stopWhenDone
      yield* expect("the end of the task", yield* ended, "Ended")
    })
)

/**
 * Everything that a transport has to do. Run each check that applies as a test of its own.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as TransportContract from "@apipeline/core/testing/TransportContract"
 *
 * const conforms = (subject: TransportContract.Subject) =>
 *   Effect.forEach(
 *     TransportContract.checks.filter((check) => check.applies(subject)),
 *     (check) => Effect.scoped(check.run(subject))
 *   )
 * ```
 *
 * @category contracts
 * @since 0.1.0
 */
export const checks: ReadonlyArray<Check> = [
  audioIn,
  framesIn,
  events,
  hangUp,
  audioOut,
  framesOut,
  urgent,
  speaks,
  interruption,
  closes,
  cancel,
  late
]
