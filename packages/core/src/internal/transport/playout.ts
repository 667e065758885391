/** Plays what is for one destination of an output, in order and on time. */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import type * as AudioMixer from "../../AudioMixer.ts"
import * as Frame from "../../Frame.ts"
import type * as Pcm from "../../Pcm.ts"
import type * as Resampler from "../../Resampler.ts"
import { BotSpeakingFrame, BotStartedSpeakingFrame, BotStoppedSpeakingFrame } from "../../VoiceFrames.ts"
import type { Format } from "../audio/audioFormat.ts"
import { makeOutputChunks, type OutputChunks } from "./outputChunks.ts"

export interface Options {
  readonly destination: string | undefined
  readonly format: Format
  /** Milliseconds, as all numbers here. */
  readonly chunk: number
  readonly lead: number
  readonly capacity: number
  readonly stopAfter: number
  readonly speakingInterval: number
  readonly realTime: boolean
  /** Whether the other side drops what it has when it is told to. */
  readonly flushes: boolean
  readonly acknowledged: (() => number | undefined) | undefined
  readonly mixer: AudioMixer.Mixer | undefined
  readonly clock: Clock.Clock
  readonly startedAt: number
  /** Sends a frame; `cut` stops that, if it still can be. */
  readonly send: (frame: Frame.Frame, cut?: Effect.Effect<void>) => Effect.Effect<Sent>
  /** Whether a frame that is neither audio nor a message is sent too. */
  readonly carries: (frame: Frame.Frame) => boolean
  readonly isMessage: (frame: Frame.Frame) => boolean
  readonly push: (frame: Frame.Frame) => Effect.Effect<void>
  readonly broadcast: (make: () => Frame.Frame) => Effect.Effect<void>
}

/** What has become of a frame; that it has failed has been told. */
export type Sent = "sent" | "failed" | "cut"

export interface Playback {
  readonly destination: string | undefined
  readonly speaking: boolean
  /** Milliseconds of audio that were sent. */
  readonly sent: number
  readonly played: number
  readonly dropped: number
  /** Milliseconds of audio that wait to be sent. */
  readonly waiting: number
  /** Frames, audio aside, that an interruption has dropped. */
  readonly droppedFrames: number
}

interface Chunk {
  readonly audio: Uint8Array
  readonly millis: number
  readonly metadata: Frame.Metadata | undefined
}

type Item = Chunk | Frame.Frame

/** What an interruption has cut. */
export interface Cut {
  /** What the utterance came to, when there was one, in milliseconds. */
  readonly utterance: { readonly played: number; readonly dropped: number } | undefined
  /** What will not go on. */
  readonly frames: ReadonlyArray<Frame.Frame>
}

const isChunk = (item: Item): item is Chunk => "millis" in item && "audio" in item && !("_tag" in item)

interface Due {
  readonly at: number
  readonly frame: Frame.Frame
}

/**
 * One fiber (`run`) does everything that takes time. What handlers call is synchronous, so that an interruption finds
 * everything in one state.
 */
export class Playout {
  private readonly options: Options
  private readonly chunks: OutputChunks
  /** What waits to be sent, `queue[head..]`. */
  private queue: Array<Item> = []
  private head = 0
  private waiting = 0
  /** What came behind audio that does not make a whole chunk yet. */
  private held: Array<Frame.Frame> = []
  /** What goes on when the audio before it has been played, in order. */
  private due: Array<Due> = []
  /** What goes on at a time of its own, in order of that. */
  private timed: Array<Due> = []
  /** When all that was sent will have been played: all, and what the bot said. */
  private end = 0
  private voiceEnd = 0
  private speaking = false
  private lastSpeaking = 0
  private lastAudio = 0
  /** Audio has come that may be continued. */
  private open = false
  private sent = 0
  private dropped = 0
  private cut = 0
  private droppedFrames = 0
  /** `sent` when the utterance began. */
  private utteranceFrom = 0
  /** Audio that is being sent. */
  private inFlight: Frame.AudioRawFrame | undefined = undefined
  /** A frame is on its way downstream. */
  private pushing = false
  private generation = 0
  /** The times for which timers run. */
  private readonly alarms: Array<number> = []
  private metadata: Frame.Metadata | undefined
  private readonly changed = Latch.makeUnsafe(false)
  private readonly room = Latch.makeUnsafe(true)
  private readonly quiet = Latch.makeUnsafe(true)
  private readonly interrupted = Latch.makeUnsafe(true)

  constructor(options: Options) {
    this.options = options
    this.chunks = makeOutputChunks(options.format, options.chunk)
  }

  private now(): number {
    return this.options.clock.currentTimeMillisUnsafe()
  }

  private get hasQueue(): boolean {
    return this.head < this.queue.length
  }

  private get isEmpty(): boolean {
    return !this.hasQueue && !this.open && this.due.length === 0 && this.inFlight === undefined && !this.pushing
  }

  /** Nothing waits, and the bot is silent. */
  get isIdle(): boolean {
    return this.isEmpty && !this.speaking && this.timed.length === 0
  }

  /** A frame that comes now would not have to wait. */
  get isPassable(): boolean {
    return this.isEmpty && this.voiceEnd <= this.now()
  }

  readonly awaitIdle: Effect.Effect<void> = Effect.suspend(() => {
    if (this.isIdle) return Effect.void
    this.quiet.closeUnsafe()
    return Effect.andThen(this.quiet.await, this.awaitIdle)
  })

  /** Waits until no more waits than may. */
  readonly awaitRoom: Effect.Effect<void> = Effect.suspend(() => {
    if (this.waiting <= this.options.capacity) return Effect.void
    this.room.closeUnsafe()
    return Effect.andThen(this.room.await, this.awaitRoom)
  })

  // ---------------------------------------------------------------------------------------------- what comes in

  audio(frame: Frame.AudioRawFrame): Result.Result<void, Resampler.ResamplerError | Pcm.PcmError> {
    return Result.map(this.chunks.push(frame), (chunks) => {
      if (chunks === undefined) {
        this.dropped += frame.duration
        return
      }
      this.metadata = frame.metadata
      this.lastAudio = this.now()
      const isFirst = !this.open
      this.open = true
      chunks.forEach(this.addChunk)
      // else the end of what is continued is looked for already
      if (isFirst) this.changed.openUnsafe()
    })
  }

  private readonly addChunk = (audio: Uint8Array): void => {
    this.add({ audio, millis: audio.length / this.chunks.bytesPerMilli, metadata: this.metadata })
    this.letGo()
  }

  private letGo(): void {
    for (const frame of this.held.splice(0)) this.add(frame)
  }

  private add(item: Item): void {
    if (isChunk(item)) this.waiting += item.millis
    const isFirst = !this.hasQueue
    this.queue.push(item)
    // else the first one is waited for already
    if (isFirst) this.changed.openUnsafe()
  }

  /** Nothing follows: the rest is filled up to a whole chunk. */
  flush(): void {
    this.open = false
    this.chunks.flush().forEach(this.addChunk)
    this.letGo()
  }

  /** A frame that goes on (and is sent, if it is one to send) behind the audio before it. */
  frame(frame: Frame.Frame): void {
    if (this.chunks.pending() > 0) this.held.push(frame)
    else this.add(frame)
  }

  /** A frame that goes on at its `pts`. */
  at(pts: number, frame: Frame.Frame): void {
    const due = { at: this.options.startedAt + pts, frame }
    const behind = this.timed.findIndex((other) => other.at > due.at)
    if (behind < 0) this.timed.push(due)
    else this.timed.splice(behind, 0, due)
    this.changed.openUnsafe()
  }

  wake(): void {
    this.changed.openUnsafe()
  }

  // ---------------------------------------------------------------------------------------------- interruption

  /** Everything that has not gone on yet. */
  get left(): ReadonlyArray<Frame.Frame> {
    const frames = [...this.due, ...this.timed].map(({ frame }) => frame)
    if (this.inFlight !== undefined) frames.push(this.inFlight)
    for (const item of this.queue.slice(this.head)) frames.push(isChunk(item) ? this.toFrame(item) : item)
    if (this.chunks.pending() > 0) {
      for (const audio of this.chunks.flush()) frames.push(this.toFrame({ audio, millis: 0, metadata: this.metadata }))
    }
    return [...frames, ...this.held]
  }

  /** At one instant: what was played is recorded, then everything that waits and may be dropped is. */
  interrupt(): Cut {
    const now = this.now()
    const { acknowledged, flushes } = this.options
    this.generation++
    const unplayed = flushes ? Math.max(0, this.voiceEnd - now) : 0
    const was = this.speaking
    this.cut += unplayed
    const heard = acknowledged?.() ?? this.sent - this.cut
    const waiting = this.waiting + (this.inFlight?.duration ?? 0) + this.chunks.pending()
    const frames = this.left.filter((frame) => Frame.AudioRawFrame.is(frame) || !Frame.isUninterruptible(frame))
    this.inFlight = undefined
    this.dropped += waiting + unplayed
    if (flushes) this.end = this.voiceEnd = now

    const kept: Array<Frame.Frame> = []
    const keep = (frame: Frame.Frame): void => {
      if (Frame.isUninterruptible(frame)) kept.push(frame)
      else this.droppedFrames++
    }
    for (const { frame } of this.due) if (!Frame.AudioRawFrame.is(frame)) keep(frame)
    for (const item of this.queue.slice(this.head)) if (!isChunk(item)) keep(item)
    for (const frame of this.held.splice(0)) keep(frame)
    this.due = []
    this.queue = kept
    this.head = 0
    this.waiting = 0
    const timed = this.timed
    this.timed = timed.filter(({ frame }) => Frame.isUninterruptible(frame))
    this.droppedFrames += timed.length - this.timed.length
    this.chunks.reset()
    this.speaking = this.open = false
    this.interrupted.openUnsafe()
    this.room.openUnsafe()
    this.changed.openUnsafe()
    if (this.isIdle) this.quiet.openUnsafe()
    const utterance = { played: Math.max(0, heard - this.utteranceFrom), dropped: waiting + unplayed }
    return { utterance: was ? utterance : undefined, frames }
  }

  report(): Playback {
    const left = this.options.realTime ? Math.max(0, this.voiceEnd - this.now()) : 0
    return {
      destination: this.options.destination,
      speaking: this.speaking,
      sent: this.sent,
      played: this.options.acknowledged?.() ?? Math.max(0, this.sent - this.cut - left),
      dropped: this.dropped,
      waiting: this.waiting + this.chunks.pending(),
      droppedFrames: this.droppedFrames
    }
  }

  // ---------------------------------------------------------------------------------------------- playing

  readonly run: Effect.Effect<never> = Effect.suspend(() => Effect.forever(this.step, { disableYield: true }))

  private readonly step: Effect.Effect<void> = Effect.suspend(() => {
    this.changed.closeUnsafe()
    return this.next(this.now())
  })

  private next(now: number): Effect.Effect<void> {
    const { lead, realTime, stopAfter } = this.options
    const due = this.due[0]
    if (due !== undefined && due.at <= now) {
      this.due.shift()
      return this.pass(due.frame)
    }
    const timed = this.timed[0]
    if (timed !== undefined && timed.at <= now) {
      this.timed.shift()
      return this.deliver(timed.frame)
    }
    let wakeAt = Math.min(due?.at ?? Infinity, timed?.at ?? Infinity)
    if (this.hasQueue) {
      const item = this.queue[this.head]!
      if (!isChunk(item)) {
        this.shift()
        return this.reach(item, now)
      }
      // what the other side has must never be more than the lead, except for a chunk that is longer than that
      const from = this.end - Math.max(0, lead - item.millis)
      if (!realTime || from <= now) return this.play(item)
      wakeAt = Math.min(wakeAt, from)
    } else if (this.open) {
      // nothing has followed for too long: better a bit of silence than to hold the end of a word
      const flushAt = Math.max(this.voiceEnd, this.lastAudio + this.options.chunk)
      if (flushAt <= now) {
        this.flush()
        return Effect.void
      }
      wakeAt = Math.min(wakeAt, flushAt)
    } else if (this.speaking) {
      const stopAt = this.voiceEnd + stopAfter
      if (stopAt <= now) return this.stopped()
      wakeAt = Math.min(wakeAt, stopAt)
    }
    if (this.speaking && this.voiceEnd > now) {
      const speakingAt = this.lastSpeaking + this.options.speakingInterval
      if (speakingAt <= now) {
        this.lastSpeaking = now
        return this.tell(() => BotSpeakingFrame.make(this.about))
      }
      wakeAt = Math.min(wakeAt, speakingAt)
    }
    const background = this.background(now)
    if (typeof background !== "number") return background
    if (this.isIdle) this.quiet.openUnsafe()
    return this.wait(Math.min(wakeAt, background), now)
  }

  /**
   * Waits for a change, or for a time. Timers are never stopped: one that has become too early costs a look, and they are
   * few, for times mostly move away.
   */
  private wait(at: number, now: number): Effect.Effect<void> {
    if (at === Infinity || this.alarms.some((other) => other <= at)) return this.changed.await
    this.alarms.push(at)
    const ring = Effect.andThen(
      Effect.sleep(Math.ceil(at - now)),
      Effect.sync(() => {
        this.alarms.splice(this.alarms.indexOf(at), 1)
        this.changed.openUnsafe()
      })
    )
    return Effect.andThen(Effect.forkChild(ring, { startImmediately: true }), this.changed.await)
  }

  private get about(): { readonly metadata?: Frame.Metadata } {
    const { destination } = this.options
    return destination === undefined ? {} : { metadata: { destination } }
  }

  private tell(make: () => Frame.Frame): Effect.Effect<void> {
    return this.options.broadcast(make)
  }

  private shift(): void {
    this.queue[this.head++] = undefined as any // nobody looks there again
    if (this.head < 256 && this.hasQueue) return
    this.queue.splice(0, this.head)
    this.head = 0
  }

  /** A frame whose turn it is to be sent, and to go on when the audio before it has been played. */
  private reach(frame: Frame.Frame, now: number): Effect.Effect<void> {
    if (this.options.isMessage(frame)) return Effect.asVoid(this.options.send(frame))
    this.due.push({ at: Math.max(now, this.voiceEnd), frame })
    return this.options.carries(frame) ? Effect.asVoid(this.options.send(frame)) : Effect.void
  }

  private deliver(frame: Frame.Frame): Effect.Effect<void> {
    if (this.options.isMessage(frame)) return Effect.asVoid(this.options.send(frame))
    return this.options.carries(frame)
      ? Effect.andThen(this.options.send(frame), this.pass(frame))
      : this.pass(frame)
  }

  private pass(frame: Frame.Frame): Effect.Effect<void> {
    this.pushing = true
    return Effect.ensuring(
      this.options.push(frame),
      Effect.sync(() => {
        this.pushing = false
      })
    )
  }

  private toFrame({ audio, metadata }: Chunk): Frame.AudioRawFrame {
    const { numChannels, sampleRate } = this.options.format
    return Frame.AudioRawFrame.make({ audio, sampleRate, numChannels, metadata })
  }

  private play(chunk: Chunk): Effect.Effect<void> {
    if (!this.speaking) {
      this.speaking = true
      this.utteranceFrom = this.options.acknowledged?.() ?? this.sent - this.cut
      this.lastSpeaking = this.now()
      return this.tell(() => BotStartedSpeakingFrame.make(this.about))
    }
    this.shift()
    this.waiting = this.hasQueue ? Math.max(0, this.waiting - chunk.millis) : 0
    const { generation } = this
    const frame = this.toFrame(chunk)
    this.inFlight = frame
    this.interrupted.closeUnsafe()
    // whoever waited for it goes on at once, on this stack
    if (this.waiting <= this.options.capacity) this.room.openUnsafe()
    const { mixer, send } = this.options
    const mixed = mixer === undefined ? frame : this.toFrame({ ...chunk, audio: mixer.mix(chunk.audio) })
    return Effect.map(send(mixed, this.interrupted.await), (sent) => {
      if (generation === this.generation) {
        this.inFlight = undefined
        if (sent !== "sent") this.dropped += chunk.millis
        // whoever records what the bot said gets it without the background, when it can be heard
        else this.due.push({ at: this.advance(chunk.millis), frame })
      } else if (sent === "sent") {
        // an interruption has counted it as dropped: it came too late for that
        if (this.options.flushes) {
          this.sent += chunk.millis
          this.cut += chunk.millis
        } else {
          this.dropped -= chunk.millis
          this.advance(chunk.millis)
        }
      }
    })
  }

  /** So much has been sent: gives when it begins to be heard. */
  private advance(millis: number): number {
    const now = this.now()
    const from = this.options.realTime ? Math.max(this.end, now) : now
    this.sent += millis
    this.voiceEnd = this.end = this.options.realTime ? from + millis : from
    return from
  }

  private stopped(): Effect.Effect<void> {
    this.speaking = false
    return this.tell(() => BotStoppedSpeakingFrame.make(this.about))
  }

  /** Sends the background alone while nothing else is to be sent; else tells when to look again. */
  private background(now: number): number | Effect.Effect<void> {
    const { chunk, lead, mixer, realTime, send } = this.options
    if (mixer === undefined || !realTime || this.hasQueue || !mixer.isAudible()) return Infinity
    const from = this.end - Math.max(0, lead - chunk)
    if (from > now) return from
    const audio = mixer.background(this.chunks.size)
    return Effect.map(send(this.toFrame({ audio, millis: chunk, metadata: undefined })), () => {
      // whether or not it was sent: nobody asks for it again at once
      this.end = Math.max(this.end, this.now()) + chunk
    })
  }
}
