/** What recognisers need to know of audio before and after they understand it. All of it is mono, at 16 kHz. */
import type * as SpeechToText from "@apipeline/core/SpeechToText"

export const sampleRate = 16000

/** 20 ms. */
const frame = 320
/** Of 32768, -60 dBFS: a microphone that is on is louder, even when nobody speaks. */
const silent = 33
/** A cut is looked for in the last third of a segment that has become too long. */
const searched = 1 / 3

/** Samples of a segment at most: 15 seconds. */
export const maxSegment = 15 * sampleRate
/** Samples of a segment at least: the model's filters are longer than what is shorter than 0.1 seconds. */
export const minSegment = sampleRate / 10

/** Whether there is nothing in it that anybody could have said. */
export const isSilent = (samples: Int16Array): boolean => {
  for (let i = 0; i < samples.length; i++) if (samples[i]! > silent || samples[i]! < -silent) return false
  return true
}

const energies = (samples: Int16Array): Float64Array => {
  const all = new Float64Array(Math.floor(samples.length / frame))
  for (let i = 0; i < all.length; i++) {
    let sum = 0
    for (let j = i * frame; j < (i + 1) * frame; j++) sum += samples[j]! * samples[j]!
    all[i] = sum / frame
  }
  return all
}

/** Where to cut the first segment off, in samples: in the middle of the quietest 100 ms near the end of what it may be. */
export const cutAt = (samples: Int16Array): number => {
  if (samples.length <= maxSegment) return samples.length
  const from = Math.floor(maxSegment * (1 - searched) / frame) * frame
  const all = energies(samples.subarray(from, maxSegment))
  const width = 5
  let best = 0
  let least = Infinity
  for (let i = 0; i + width <= all.length; i++) {
    let sum = 0
    for (let j = i; j < i + width; j++) sum += all[j]!
    // of equal ones the last: the segments become longer, and fewer
    if (sum <= least) {
      least = sum
      best = i
    }
  }
  return from + Math.floor((best + width / 2) * frame)
}

/** Where speech begins and ends, roughly: what is less than so many dB below the loudest. */
const speechOf = (samples: Int16Array, decibels: number): readonly [number, number] => {
  const all = energies(samples)
  const threshold = all.reduce((a, b) => Math.max(a, b), 0) / 10 ** (decibels / 10)
  const first = all.findIndex((energy) => energy >= threshold)
  const last = all.findLastIndex((energy) => energy >= threshold)
  return first < 0 ? [0, samples.length] : [first * frame, (last + 1) * frame]
}

/** Whether all that was said in it had been said, and 100 ms of pause, when it was only so long. */
export const wasOver = (samples: Int16Array, length: number): boolean =>
  speechOf(samples, 30)[1] + sampleRate / 10 <= length

const toMillis = (samples: number): number => samples / sampleRate * 1000

/**
 * Gives words a time, in milliseconds: those of the speech, in proportion to their letters. It is a guess, right to a
 * few tenths of a second.
 */
export const guessWords = (text: string, samples: Int16Array, offset: number): Array<SpeechToText.Word> => {
  const words = text.split(/\s+/).filter((word) => word !== "")
  if (words.length === 0) return []
  const [from, to] = speechOf(samples, 25)
  const letters = words.map((word) => word.length + 1)
  const total = letters.reduce((a, b) => a + b, 0)
  const at = (passed: number): number => Math.round(toMillis(offset + from + (to - from) * passed / total))
  let passed = 0
  return words.map((text, i) => {
    const start = at(passed)
    passed += letters[i]!
    return { text, start, end: at(passed) }
  })
}

/** Samples that come in pieces. */
export interface Recording {
  readonly length: () => number
  readonly push: (samples: Int16Array) => void
  /** All there is; good until the next push. */
  readonly view: () => Int16Array
  /** Takes the first ones away. */
  readonly shift: (count: number) => Int16Array
}

export const makeRecording = (): Recording => {
  let buffer = new Int16Array(2 * sampleRate)
  let length = 0
  return {
    length: () => length,
    push: (samples) => {
      if (length + samples.length > buffer.length) {
        const larger = new Int16Array(Math.max(2 * buffer.length, length + samples.length))
        larger.set(buffer.subarray(0, length))
        buffer = larger
      }
      buffer.set(samples, length)
      length += samples.length
    },
    view: () => buffer.subarray(0, length),
    shift: (count) => {
      const taken = buffer.slice(0, Math.min(count, length))
      buffer.copyWithin(0, taken.length, length)
      length -= taken.length
      return taken
    }
  }
}
