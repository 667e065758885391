/** Coefficients of the resampler: a windowed sinc, sampled at every position that occurs or at many in between. */

/** A filter between two rates. It has no state: all resamplers with the same rates share one. */
export interface Filter {
  /** An output comes every `down / up` samples of the input; the two have no common divisor. */
  readonly up: number
  readonly down: number
  /** A window has 2 x `half` samples; the output lies between the two in the middle. */
  readonly half: number
  /** The output `phase / up` behind the sample at `at + half - 1`, of the window that begins at `at`. */
  readonly apply: (samples: Float64Array, at: number, phase: number) => number
}

/** The modified Bessel function of order 0, by its series. */
const bessel = (x: number): number => {
  let sum = 1
  let term = 1
  for (let k = 1; term > sum * 1e-17; k++) {
    term *= (x / (2 * k)) ** 2
    sum += term
  }
  return sum
}

/**
 * The impulse response at a distance from its middle, which `reach` is as far as it goes; in samples of the lower rate.
 * Kaiser: for `a` dB, beta is 0.1102 (a - 8.7) and the transition (a - 8) / (2.285 x 2 pi) of the window's length.
 */
const makeResponse = (reach: number): (distance: number) => number => {
  // a short filter is better off with less attenuation than with no pass band
  const attenuation = Math.min(100, 8 + 4.3 * reach)
  const beta = attenuation > 50
    ? 0.1102 * (attenuation - 8.7)
    : 0.5842 * (attenuation - 21) ** 0.4 + 0.07886 * (attenuation - 21)
  const transition = (attenuation - 8) / (2.285 * 2 * Math.PI * 2 * reach)
  // all of the transition lies below half of the rate: nothing folds back into the band
  const cutoff = 0.5 - transition / 2
  const scale = bessel(beta)
  return (distance) => {
    const x = distance / reach
    if (x <= -1 || x >= 1) return 0
    const angle = 2 * Math.PI * cutoff * distance
    const sinc = Math.abs(angle) < 1e-9 ? 1 : Math.sin(angle) / angle
    return sinc * bessel(beta * Math.sqrt(1 - x * x)) / scale
  }
}

const divisor = (a: number, b: number): number => b === 0 ? a : divisor(b, a % b)

// 2 MiB of coefficients: all pairs of the rates in common use stay far below
const maxExact = 262_144
const positions = 512

// In double precision: V8 would convert every single value otherwise, which takes half of the time.
const dot = (samples: Float64Array, at: number, table: Float64Array, start: number, taps: number): number => {
  // four sums, which the processor can work on at the same time
  let a = 0
  let b = 0
  let c = 0
  let d = 0
  for (let j = 0; j < taps; j += 4) {
    a += samples[at + j]! * table[start + j]!
    b += samples[at + j + 1]! * table[start + j + 1]!
    c += samples[at + j + 2]! * table[start + j + 2]!
    d += samples[at + j + 3]! * table[start + j + 3]!
  }
  return a + b + (c + d)
}

const makeFilter = (up: number, down: number, zeroCrossings: number): Filter => {
  const stretch = Math.max(1, down / up)
  const half = 2 * Math.ceil(zeroCrossings * stretch / 2)
  const taps = 2 * half
  const response = makeResponse(zeroCrossings)
  const exact = up * taps <= maxExact
  // a stretched response is as much smoother
  const rows = exact ? up : Math.max(16, Math.ceil(positions / stretch))
  const table = new Float64Array((exact ? rows : rows + 1) * taps)
  const row = new Float64Array(taps)
  for (let start = 0, r = 0; start < table.length; start += taps, r++) {
    let sum = 0
    for (let j = 0; j < taps; j++) sum += row[j] = response((r / rows + half - 1 - j) / stretch)
    // a constant stays exactly what it is, at every position
    for (let j = 0; j < taps; j++) table[start + j] = row[j]! / sum
  }
  return {
    up,
    down,
    half,
    apply: exact
      ? (samples, at, phase) => dot(samples, at, table, phase * taps, taps)
      : (samples, at, phase) => {
        const position = phase / up * rows
        const r = Math.floor(position)
        const before = dot(samples, at, table, r * taps, taps)
        return before + (position - r) * (dot(samples, at, table, (r + 1) * taps, taps) - before)
      }
  }
}

const cache = new Map<string, Filter>()
const maxCached = 32

export const filterOf = (from: number, to: number, zeroCrossings: number): Filter => {
  const common = divisor(from, to)
  const key = `${to / common}/${from / common}/${zeroCrossings}`
  const cached = cache.get(key)
  if (cached !== undefined) return cached
  const filter = makeFilter(to / common, from / common, zeroCrossings)
  if (cache.size >= maxCached) cache.delete(cache.keys().next().value!)
  cache.set(key, filter)
  return filter
}
