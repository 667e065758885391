import * as Pcm from "@apipeline/core/Pcm"
import type * as TextToSpeech from "@apipeline/core/TextToSpeech"
import * as Wav from "@apipeline/core/Wav"
import { Context, Effect, ManagedRuntime, Result } from "effect"
import type { Layer } from "effect"
import * as fs from "node:fs"
import * as path from "node:path"
import { afterAll } from "vitest"
import { random } from "./random.ts"
import { root } from "./run.ts"

/** The recordings of human speech, and what is said in them. */
export const words = {
  "cards-001.wav": "ten of clubs",
  "cards-005.wav": "eight of spades four of clubs seven of hearts",
  "goforward.wav": "go forward ten meters",
  "librivox-0870.wav":
    "and mister john dashwood had then leisure to consider how much there might be prudently in his " +
    "power to do for them",
  "librivox-0880.wav": "he was not an ill disposed young man"
}

export type Recording = keyof typeof words

export const recordings = Object.keys(words) as Array<Recording>

/** Samples at 16 kHz. */
export const recording = (name: Recording): Int16Array =>
  Result.getOrThrow(Wav.decode(new Uint8Array(fs.readFileSync(path.join(root, "test/fixtures/audio", name))))).samples

export const concat = (...parts: ReadonlyArray<Int16Array>): Int16Array => {
  const all = new Int16Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** Seconds of silence. */
export const pause = (seconds: number): Int16Array => new Int16Array(Math.round(16000 * seconds))

/** White noise at a level in dBFS, always the same. */
export const noise = (length: number, dbfs: number): Int16Array => {
  const { int } = random(7)
  const peak = 32768 * Pcm.fromDecibels(dbfs) * Math.sqrt(3)
  return Int16Array.from({ length }, () => Math.round(peak * (int(20001) / 10000 - 1)))
}

/** Pieces of so many samples. */
export const cut = (samples: Int16Array, size: number): Array<Int16Array> =>
  Array.from({ length: Math.ceil(samples.length / size) }, (_, i) => samples.slice(i * size, (i + 1) * size))

/** The audio of synthesised speech. */
export const audioOf = (parts: ReadonlyArray<TextToSpeech.Part>): Int16Array =>
  concat(...parts.flatMap((part) => part._tag === "Audio" ? [part.samples] : []))

const normalise = (text: string): ReadonlyArray<string> =>
  text.toLowerCase().replaceAll("mr.", "mister").replaceAll("metres", "meters").replaceAll("10", "ten").match(
    /[a-z0-9']+/g
  ) ?? []

/** How many words have to be put in, taken out or replaced, and how many there are. */
export const wordErrors = (expected: string, found: string): readonly [errors: number, words: number] => {
  const [a, b] = [normalise(expected), normalise(found)]
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  a.forEach((word, i) => {
    const next = [i + 1]
    b.forEach((other, j) => {
      next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (word === other ? 0 : 1)))
    })
    row = next
  })
  return [row[b.length]!, a.length]
}

/** What the tests of a file share: it loads when it is first used. */
export const shared = <I, S, E>(service: Context.Key<I, S>, layer: Layer.Layer<I, E>): Effect.Effect<S, E> => {
  const runtime = ManagedRuntime.make(layer)
  afterAll(() => runtime.dispose())
  return Effect.map(runtime.contextEffect, (context) => Context.get(context, service))
}
