/** Finds where a voice is heard for the first time in audio that comes in pieces. */
import * as Pcm from "../../Pcm.ts"

/** Milliseconds that are judged together. */
const windowMillis = 10

/** Shorter sounds are clicks. */
const soundMillis = 50

/** Root mean square of full scale: -50 dB, far above the noise of a synthetic voice. */
const audible = Pcm.fromDecibels(-50)

export class SpeechOnset {
  private readonly window: Int16Array
  private filled = 0
  /** Windows so far, and how many of the last ones are loud. */
  private windows = 0
  private loud = 0

  constructor(sampleRate: number) {
    this.window = new Int16Array(Math.max(1, Math.round(windowMillis * sampleRate / 1000)))
  }

  /** Milliseconds of silence before the voice, once that is known. */
  push(samples: Int16Array): number | undefined {
    const { window } = this
    for (let at = 0; at < samples.length;) {
      const part = samples.subarray(at, at + window.length - this.filled)
      window.set(part, this.filled)
      this.filled += part.length
      at += part.length
      if (this.filled < window.length) break
      this.filled = 0
      this.windows++
      this.loud = Pcm.rms(window) > audible ? this.loud + 1 : 0
      if (this.loud * windowMillis >= soundMillis) return (this.windows - this.loud) * windowMillis
    }
    return undefined
  }
}
