/**
 * Numbered audio: every frame says in its samples whose it is and the how manieth, so that one that comes back can be
 * told from any other, and compared with what was sent.
 */

export const sampleRate = 16_000
export const frameMillis = 20
export const frameSamples = sampleRate * frameMillis / 1000
export const frameBytes = 2 * frameSamples

/** Two seconds of speech, two of a quiet room, and again. */
const period = 4000 / frameMillis

const samplesOf = (sample: (i: number) => number): Uint8Array =>
  new Uint8Array(Int16Array.from({ length: frameSamples }, (_, i) => Math.round(sample(i))).buffer)

// Tones that fit into a frame a whole number of times: frames join without clicks.
const loud = samplesOf((i) =>
  6000 * Math.sin(2 * Math.PI * 4 * i / frameSamples) + 3000 * Math.sin(2 * Math.PI * 13 * i / frameSamples)
)
const quiet = samplesOf((i) => 6 * Math.sin(2 * Math.PI * 7 * i / frameSamples))

const background = (number: number): Uint8Array => number % period < period / 2 ? loud : quiet

/** Samples with a digit each, of 4 bits: too quiet to be taken for speech. */
const numberDigits = 7
const sessionDigits = 4
export const labelBytes = 2 * (numberDigits + sessionDigits)

const writeDigits = (bytes: Uint8Array, at: number, digits: number, value: number): void => {
  for (let i = 0; i < digits; i++) {
    bytes[at + 2 * i] = (value >>> (4 * i)) & 15
    bytes[at + 2 * i + 1] = 0
  }
}

const readDigits = (bytes: Uint8Array, at: number, digits: number): number => {
  let value = 0
  for (let i = 0; i < digits; i++) value += (bytes[at + 2 * i]! & 15) << (4 * i)
  return value
}

/** Writes the samples of a frame. */
export const write = (bytes: Uint8Array, at: number, session: number, number: number): void => {
  bytes.set(background(number), at)
  writeDigits(bytes, at, numberDigits, number)
  writeDigits(bytes, at + 2 * numberDigits, sessionDigits, session)
}

const expected = Buffer.alloc(frameBytes)

/** The number of a frame of this session; nothing if these are not exactly its samples. */
export const read = (audio: Uint8Array, session: number): number | undefined => {
  if (audio.length !== frameBytes) return undefined
  const number = readDigits(audio, 0, numberDigits)
  write(expected, 0, session, number)
  return expected.compare(audio) === 0 ? number : undefined
}
