/** What a user says, from when it is heard until it is understood. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { AudioReplay, quietest } from "../audio/audioReplay.ts"

/** Of samples: the length of the silence in which a long utterance is best cut. */
const quietSeconds = 0.2

export class Utterance {
  readonly replay: AudioReplay
  readonly language: string | undefined
  /** Samples that have come. */
  samples = 0
  /** When its end was heard; never, where what follows is a part of the same. */
  stoppedAt: number | undefined = undefined
  isDropped = false
  private readonly dropped = Latch.makeUnsafe(false)

  constructor(language: string | undefined, replay: AudioReplay = new AudioReplay()) {
    this.language = language
    this.replay = replay
    this.samples = replay.length
  }

  push(samples: Int16Array): void {
    this.samples += samples.length
    this.replay.push(samples)
  }

  stop(at: number): void {
    this.stoppedAt = at
    this.replay.close()
  }

  /** Nobody wants to know any more. */
  drop(): void {
    this.isDropped = true
    // first, or the end of the audio would be taken for the end of the utterance
    this.dropped.openUnsafe()
    this.replay.close()
  }

  readonly awaitDrop: Effect.Effect<void> = Effect.suspend(() => this.dropped.await)

  /** It has become too long: ends here, and gives the utterance that goes on. */
  part(sampleRate: number, heard: boolean): Utterance {
    const { replay } = this
    // what has been listened to must not be heard twice
    const at = heard ? replay.end : replay.start + quietest(
      replay.from(replay.start),
      Math.floor(replay.length * 2 / 3),
      replay.length,
      Math.round(sampleRate * quietSeconds)
    )
    const rest = replay.split(at)
    this.samples -= rest.length
    replay.close()
    return new Utterance(this.language, rest)
  }
}
