/**
 * The inside of `Wav`: a parser of RIFF chunks that takes bytes cut anywhere, and what the samples of each encoding are.
 *
 * Nothing is allocated by a size that the header states: chunks are skipped byte by byte, samples come as they arrive.
 */
import * as G711 from "../../G711.ts"
import type * as Wav from "../../Wav.ts"

// ---------------------------------------------------------------------------------------------------------------------
// format
// ---------------------------------------------------------------------------------------------------------------------

/** What is wrong with a header, and at which byte. */
export interface Fault {
  readonly field: string
  readonly found: string
  readonly expected: string
  readonly offset: number
}

const extensible = 0xfffe

/** Format tags of `mmreg.h`. */
export const tags: Readonly<Record<Wav.Encoding, number>> = { pcm: 1, float: 3, alaw: 6, mulaw: 7 }

const encodings = new Map(Object.entries(tags).map(([encoding, tag]) => [tag, encoding as Wav.Encoding]))

// KSDATAFORMAT_SUBTYPE_*: the format tag and these 14 bytes
const subFormat = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]

const sampleBits: Readonly<Record<Wav.Encoding, string>> = {
  pcm: "1 to 32",
  float: "32 or 64",
  alaw: "8",
  mulaw: "8"
}

const isSampleBits = (encoding: Wav.Encoding, bits: number): boolean =>
  encoding === "pcm" ? bits >= 1 && bits <= 32 : encoding === "float" ? bits === 32 || bits === 64 : bits === 8

/** Reads what there is of a `fmt ` chunk; `start` is where it begins in the file. */
export const readFormat = (bytes: Uint8Array, start: number): Wav.Format | Fault => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const fault = (field: string, at: number, found: string, expected: string): Fault => ({
    field: `fmt.${field}`,
    found,
    expected,
    offset: start + at
  })
  if (bytes.length < 16) return fault("size", -4, `${bytes.length} bytes`, "at least 16 bytes")
  let tag = view.getUint16(0, true)
  let at = 0
  if (tag === extensible) {
    if (bytes.length < 40) return fault("size", -4, `${bytes.length} bytes`, "40 bytes, as WAVE_FORMAT_EXTENSIBLE has")
    if (subFormat.some((byte, i) => bytes[26 + i] !== byte)) {
      const found = Array.from(bytes.subarray(24, 40), (byte) => byte.toString(16).padStart(2, "0")).join(" ")
      return fault("subFormat", 24, found, "a subtype that stands for a format tag")
    }
    at = 24
    tag = view.getUint16(at, true)
  }
  const encoding = encodings.get(tag)
  if (encoding === undefined) {
    return fault(
      "formatTag",
      at,
      `0x${tag.toString(16).padStart(4, "0")}`,
      "1 (PCM), 3 (float), 6 (A-law) or 7 (µ-law)"
    )
  }
  const numChannels = view.getUint16(2, true)
  const sampleRate = view.getUint32(4, true)
  const blockAlign = view.getUint16(12, true)
  const bits = view.getUint16(14, true)
  if (numChannels === 0) return fault("numChannels", 2, "0", "at least 1")
  if (sampleRate === 0) return fault("sampleRate", 4, "0", "at least 1 Hz")
  if (!isSampleBits(encoding, bits)) return fault("bitsPerSample", 14, String(bits), sampleBits[encoding])
  const least = Math.ceil(bits / 8)
  // a sample may sit in the upper bits of a larger container, and some writers leave the field wrong
  const container = blockAlign / numChannels
  const isContainer = encoding === "pcm" && Number.isInteger(container) && container >= least && container <= 4
  return { encoding, bitsPerSample: 8 * (isContainer ? container : least), sampleRate, numChannels }
}

export const bytesPerSample = (format: Wav.Format): number => format.bitsPerSample / 8

// ---------------------------------------------------------------------------------------------------------------------
// samples
// ---------------------------------------------------------------------------------------------------------------------

const clamp = (value: number): number => value > 32767 ? 32767 : value < -32768 ? -32768 : value

/** The samples as 16-bit integers: rounded to the nearest, saturated. */
export const toInt16 = (bytes: Uint8Array, { bitsPerSample, encoding }: Wav.Format): Int16Array => {
  if (encoding === "alaw" || encoding === "mulaw") return G711.decode(bytes, encoding)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const samples = new Int16Array(bytes.length / (bitsPerSample / 8))
  const length = samples.length
  if (encoding === "float") {
    if (bitsPerSample === 32) {
      for (let i = 0; i < length; i++) samples[i] = clamp(Math.round(view.getFloat32(4 * i, true) * 32768))
    } else {
      for (let i = 0; i < length; i++) samples[i] = clamp(Math.round(view.getFloat64(8 * i, true) * 32768))
    }
  } else if (bitsPerSample === 8) {
    for (let i = 0; i < length; i++) samples[i] = (bytes[i]! - 128) << 8
  } else if (bitsPerSample === 16) {
    for (let i = 0; i < length; i++) samples[i] = view.getInt16(2 * i, true)
  } else if (bitsPerSample === 24) {
    for (let i = 0, j = 0; i < length; i++, j += 3) {
      samples[i] = clamp(((view.getInt16(j + 1, true) << 8 | bytes[j]!) + 0x80) >> 8)
    }
  } else {
    for (let i = 0; i < length; i++) samples[i] = clamp(Math.round(view.getInt32(4 * i, true) / 65536))
  }
  return samples
}

/** The samples from -1 to 1; those of float files as they are, but for what is no number. */
export const toFloat32 = (bytes: Uint8Array, format: Wav.Format): Float32Array => {
  const { bitsPerSample, encoding } = format
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const samples = new Float32Array(bytes.length / (bitsPerSample / 8))
  const length = samples.length
  if (encoding === "float") {
    if (bitsPerSample === 32) { for (let i = 0; i < length; i++) samples[i] = view.getFloat32(4 * i, true) }
    else for (let i = 0; i < length; i++) samples[i] = view.getFloat64(8 * i, true)
    // one NaN would spoil every filter that comes after it
    for (let i = 0; i < length; i++) if (!Number.isFinite(samples[i]!)) samples[i] = 0
  } else if (encoding === "pcm" && bitsPerSample === 24) {
    for (let i = 0, j = 0; i < length; i++, j += 3) {
      samples[i] = (view.getInt16(j + 1, true) << 8 | bytes[j]!) / 0x800000
    }
  } else if (encoding === "pcm" && bitsPerSample === 32) {
    for (let i = 0; i < length; i++) samples[i] = view.getInt32(4 * i, true) / 0x80000000
  } else {
    const integers = toInt16(bytes, format)
    for (let i = 0; i < length; i++) samples[i] = integers[i]! / 32768
  }
  return samples
}

// ---------------------------------------------------------------------------------------------------------------------
// chunks
// ---------------------------------------------------------------------------------------------------------------------

type State = "riff" | "chunk" | "fmt" | "ds64" | "skip" | "pad" | "data" | "done"

/** What a chunk of that size means, which whoever streams writes before the size is known. */
const unknownSize = 0x7ffff000

const name = (bytes: Uint8Array, at: number): string => {
  const id = String.fromCharCode(bytes[at]!, bytes[at + 1]!, bytes[at + 2]!, bytes[at + 3]!)
  return /^[ -~]{4}$/.test(id)
    ? `"${id}"`
    : `bytes ${Array.from(bytes.subarray(at, at + 4), (byte) => byte.toString(16).padStart(2, "0")).join(" ")}`
}

/** Finds the format and the bytes of the samples. */
export class Parser {
  format: Wav.Format | undefined = undefined
  /** Bytes of samples that are still to come; infinite where nobody knows. */
  left = 0
  private state: State = "riff"
  /** Where the next byte is in the file. */
  private offset = 0
  private readonly head = new Uint8Array(40)
  private filled = 0
  private size = 0
  private skipped = 0
  private dataSize64 = 0
  /** The beginning of a sample of all channels. */
  private rest = new Uint8Array(0)
  private held = 0

  /** Takes bytes; gives whole samples of all channels to `out`, and tells what is wrong. */
  push(bytes: Uint8Array, out: (samples: Uint8Array, format: Wav.Format) => void): Fault | undefined {
    let at = 0
    while (at < bytes.length) {
      const before = at
      switch (this.state) {
        case "riff":
        case "chunk":
        case "fmt":
        case "ds64": {
          const wanted = this.state === "riff" ? 12 : this.state === "chunk" ? 8 : Math.min(this.size, 40)
          while (this.filled < wanted && at < bytes.length) this.head[this.filled++] = bytes[at++]!
          this.offset += at - before
          if (this.filled < wanted) return undefined
          const fault = this.read()
          if (fault !== undefined) return fault
          break
        }
        case "skip": {
          at += Math.min(this.skipped, bytes.length - at)
          this.offset += at - before
          this.skipped -= at - before
          if (this.skipped === 0) this.state = this.size % 2 === 1 ? "pad" : "chunk"
          break
        }
        case "pad": {
          // no name of a chunk begins with 0: it was not padded, then
          if (bytes[at] === 0) at++
          this.offset += at - before
          this.state = "chunk"
          break
        }
        case "data": {
          const to = Math.min(bytes.length, at + this.left)
          this.left -= to - at
          this.samples(bytes.subarray(at, to), out)
          at = to
          this.offset += at - before
          if (this.left === 0) this.state = "done"
          break
        }
        case "done":
          return undefined
      }
    }
    return undefined
  }

  /** There are no more bytes. */
  end(): Fault | undefined {
    const { offset, state } = this
    if (state === "data" || state === "done") return undefined
    const found = "the end of the bytes"
    if (state === "riff") return { field: "RIFF", found, expected: "a header of 12 bytes", offset }
    return { field: this.format === undefined ? "fmt" : "data", found, expected: "a chunk of that name", offset }
  }

  private read(): Fault | undefined {
    const { head, state } = this
    this.filled = 0
    switch (state) {
      case "riff": {
        const riff = name(head, 0)
        const wave = name(head, 8)
        if (!["\"RIFF\"", "\"RF64\"", "\"BW64\""].includes(riff)) {
          return { field: "RIFF", found: riff, expected: "\"RIFF\" or \"RF64\"", offset: 0 }
        }
        if (wave !== "\"WAVE\"") return { field: "RIFF.form", found: wave, expected: "\"WAVE\"", offset: 8 }
        this.state = "chunk"
        return undefined
      }
      case "chunk":
        return this.begin()
      case "ds64":
        if (this.size >= 16) {
          const view = new DataView(head.buffer)
          this.dataSize64 = view.getUint32(12, true) * 2 ** 32 + view.getUint32(8, true)
        }
        this.skip(this.size - Math.min(this.size, 40))
        return undefined
      default: {
        const length = Math.min(this.size, 40)
        const format = readFormat(head.subarray(0, length), this.offset - length)
        if ("field" in format) return format
        this.format = format
        this.skip(this.size - length)
        return undefined
      }
    }
  }

  private begin(): Fault | undefined {
    const id = name(this.head, 0)
    this.size = new DataView(this.head.buffer).getUint32(4, true)
    if (id === "\"fmt \"") {
      if (this.size < 16) return readFormat(this.head.subarray(0, this.size), this.offset) as Fault
      this.state = "fmt"
    } else if (id === "\"ds64\"" && this.size > 0) {
      this.state = "ds64"
    } else if (id === "\"data\"") {
      if (this.format === undefined) {
        return { field: "data", found: "no chunk \"fmt \" before it", expected: "one", offset: this.offset - 8 }
      }
      this.left = this.size
      if (this.size === 0 || this.size >= unknownSize) this.left = this.dataSize64 > 0 ? this.dataSize64 : Infinity
      this.state = "data"
    } else if (id.startsWith("\"")) {
      this.skip(this.size)
    } else {
      return { field: "chunk", found: id, expected: "four characters", offset: this.offset - 8 }
    }
    return undefined
  }

  private skip(length: number): void {
    this.skipped = length
    this.state = length > 0 ? "skip" : this.size % 2 === 1 ? "pad" : "chunk"
  }

  private samples(bytes: Uint8Array, out: (samples: Uint8Array, format: Wav.Format) => void): void {
    const format = this.format!
    const unit = bytesPerSample(format) * format.numChannels
    const total = this.held + bytes.length
    if (this.rest.length !== unit) this.rest = new Uint8Array(unit)
    if (total < unit) {
      this.rest.set(bytes, this.held)
      this.held = total
      return
    }
    const whole = total - total % unit
    let all = bytes.subarray(0, whole)
    if (this.held > 0) {
      all = new Uint8Array(whole)
      all.set(this.rest.subarray(0, this.held))
      all.set(bytes.subarray(0, whole - this.held), this.held)
    }
    this.held = total - whole
    this.rest.set(bytes.subarray(bytes.length - this.held))
    out(all, format)
  }
}
