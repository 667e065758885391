/**
 * Bytes without a platform: allocation, varints, UTF-8 and base64.
 *
 * @since 0.1.0
 */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"

// Neither is in the ES libs; every runtime that Effect runs on has both.
declare const TextEncoder: {
  new(): {
    readonly encode: (text: string) => Uint8Array<ArrayBuffer>
    readonly encodeInto: (text: string, target: Uint8Array) => { readonly written: number }
  }
}
declare const TextDecoder: {
  new(label: "utf-8", options: { readonly fatal: boolean; readonly ignoreBOM: boolean }): {
    readonly decode: (bytes: Uint8Array) => string
  }
}

const encoder = new TextEncoder()
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

// ---------------------------------------------------------------------------------------------------------------------
// allocation
// ---------------------------------------------------------------------------------------------------------------------

// V8 keeps typed arrays of up to 64 bytes on its heap, which costs 50 ns; anything larger goes through `calloc` and the
// collector's accounting of external memory, 700 ns and more for the 675 bytes of an audio frame. A view of a shared
// slab costs 150 ns, which is why Node's own `Buffer` works like this.
const onHeap = 64
const slabSize = 32 * 1024
const pooled = slabSize / 8

let slab: Uint8Array<ArrayBuffer> = new Uint8Array(0)
let used = 0

/** Zeroed bytes that nothing else uses; unless `size` is large they share an `ArrayBuffer` with others. */
export const allocate = (size: number): Uint8Array<ArrayBuffer> => {
  if (size <= onHeap) return new Uint8Array(size)
  if (size > pooled) return new Uint8Array(size) // apart from the line above, which V8 compiles for small sizes only
  // A slab that somebody transferred away has length 0.
  if (used + size > slab.length) {
    slab = new Uint8Array(slabSize)
    used = 0
  }
  const bytes = new Uint8Array(slab.buffer, used, size)
  used = (used + size + 7) & ~7 // aligned for views of any sample width
  return bytes
}

/** A plain `Uint8Array` over the same memory, whatever subclass `bytes` is. */
export const view = (bytes: Uint8Array, start: number, end: number): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)

export const copy = (bytes: Uint8Array, start: number, end: number): Uint8Array<ArrayBuffer> => {
  const target = allocate(end - start)
  target.set(view(bytes, start, end))
  return target
}

// ---------------------------------------------------------------------------------------------------------------------
// varints
// ---------------------------------------------------------------------------------------------------------------------

/** Of a whole number from 0 to 2^64 - 1. */
export const varintSize = (value: number): number => {
  if (value < 0x80) return 1
  if (value < 0x4000) return 2
  if (value < 0x200000) return 3
  if (value < 0x10000000) return 4
  let size = 5
  for (let limit = 2 ** 35; value >= limit; limit *= 128) size++
  return size
}

export const writeVarint = (value: number, target: Uint8Array, at: number): number => {
  while (value > 0x7fffffff) {
    target[at++] = (value % 128) | 0x80
    value = Math.floor(value / 128)
  }
  while (value > 0x7f) {
    target[at++] = (value & 0x7f) | 0x80
    value >>>= 7
  }
  target[at++] = value
  return at
}

// ---------------------------------------------------------------------------------------------------------------------
// UTF-8
// ---------------------------------------------------------------------------------------------------------------------

// Where calling into the platform (80 to 250 ns a call) begins to pay off over a loop of our own.
const long = 128

export const utf8Size = (text: string): number => {
  let size = text.length
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c < 0x80) continue
    if (c < 0x800) size++
    else {
      size += 2
      if (isPair(c, text, i)) i++
    }
  }
  return size
}

/**
 * `size` is the {@link utf8Size} of the text. Half of a pair becomes U+FFFD, as in `TextEncoder`: protobuf allows no
 * other form.
 */
export const writeUtf8 = (text: string, size: number, target: Uint8Array, at: number): number => {
  if (size !== text.length || size >= long) return writeAnyUtf8(text, target, at)
  for (let i = 0; i < size; i++) target[at + i] = text.charCodeAt(i)
  return at + size
}

// Apart, so that what is always ASCII (names, most text) has code of its own that V8 can inline.
const writeAnyUtf8 = (text: string, target: Uint8Array, at: number): number => {
  if (text.length >= long) return at + encoder.encodeInto(text, target.subarray(at)).written
  for (let i = 0; i < text.length; i++) {
    let c = text.charCodeAt(i)
    if (c < 0x80) {
      target[at++] = c
    } else if (c < 0x800) {
      target[at++] = 0xc0 | (c >> 6)
      target[at++] = 0x80 | (c & 0x3f)
    } else if (isPair(c, text, i)) {
      c = 0x10000 + ((c & 0x3ff) << 10) + (text.charCodeAt(++i) & 0x3ff)
      target[at++] = 0xf0 | (c >> 18)
      target[at++] = 0x80 | ((c >> 12) & 0x3f)
      target[at++] = 0x80 | ((c >> 6) & 0x3f)
      target[at++] = 0x80 | (c & 0x3f)
    } else {
      if ((c & 0xf800) === 0xd800) c = 0xfffd
      target[at++] = 0xe0 | (c >> 12)
      target[at++] = 0x80 | ((c >> 6) & 0x3f)
      target[at++] = 0x80 | (c & 0x3f)
    }
  }
  return at
}

const isPair = (c: number, text: string, i: number): boolean =>
  (c & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00

export const encodeUtf8 = (text: string): Uint8Array => encoder.encode(text)

/** `undefined` where the bytes are no UTF-8. */
export const readUtf8 = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  if (end - start >= long) return decode(bytes, start, end)
  let text = ""
  let i = start
  // Eight at a time, then four, two and one: every `fromCharCode` makes a string.
  for (; i + 7 < end; i += 8) {
    const a = bytes[i]!
    const b = bytes[i + 1]!
    const c = bytes[i + 2]!
    const d = bytes[i + 3]!
    const e = bytes[i + 4]!
    const f = bytes[i + 5]!
    const g = bytes[i + 6]!
    const h = bytes[i + 7]!
    if ((a | b | c | d | e | f | g | h) & 0x80) return decode(bytes, start, end)
    text += String.fromCharCode(a, b, c, d, e, f, g, h)
  }
  if (i + 3 < end) {
    const a = bytes[i]!
    const b = bytes[i + 1]!
    const c = bytes[i + 2]!
    const d = bytes[i + 3]!
    if ((a | b | c | d) & 0x80) return decode(bytes, start, end)
    text += String.fromCharCode(a, b, c, d)
    i += 4
  }
  if (i + 1 < end) {
    const a = bytes[i]!
    const b = bytes[i + 1]!
    if ((a | b) & 0x80) return decode(bytes, start, end)
    text += String.fromCharCode(a, b)
    i += 2
  }
  if (i < end) {
    const a = bytes[i]!
    if (a & 0x80) return decode(bytes, start, end)
    text += String.fromCharCode(a)
  }
  return text
}

const decode = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  try {
    return strict.decode(view(bytes, start, end))
  } catch {
    return undefined
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// base64
// ---------------------------------------------------------------------------------------------------------------------

const digits = encoder.encode("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
const padding = 61 // =

// Two digits at a time. Both tables are made of bytes, so the byte order of the machine does not matter.
const digitPairs = new Uint8Array(2 * 4096)
for (let i = 0; i < 4096; i++) {
  digitPairs[2 * i] = digits[i >> 6]!
  digitPairs[2 * i + 1] = digits[i & 63]!
}
const pairs = new Uint16Array(digitPairs.buffer)
let values: Int16Array | undefined // 128 KiB, for programs that need it

const valuesOfPairs = (): Int16Array => {
  const table = new Int16Array(0x10000).fill(-1)
  for (let i = 0; i < 4096; i++) table[pairs[i]!] = i
  return table
}

const scratch = new Uint8Array(8 * 1024)
const scratch16 = new Uint16Array(scratch.buffer)
const native = (Uint8Array.prototype as { readonly toBase64?: () => string }).toBase64

/** Three times as fast as `effect/encoding/Base64` where the runtime (Node 24) has no `toBase64`. */
export const toBase64 = (bytes: Uint8Array): string => {
  const length = bytes.length
  if (native !== undefined && length > 0) return native.call(bytes)
  const size = Math.ceil(length / 3) * 4
  const target = size <= scratch.length ? scratch : new Uint8Array(size)
  const target16 = target === scratch ? scratch16 : new Uint16Array(target.buffer)
  let i = 0
  let j = 0
  for (; i + 2 < length; i += 3, j += 2) {
    const three = bytes[i]! << 16 | bytes[i + 1]! << 8 | bytes[i + 2]!
    target16[j] = pairs[three >> 12]!
    target16[j + 1] = pairs[three & 0xfff]!
  }
  if (i < length) {
    const two = i + 1 < length
    const three = bytes[i]! << 16 | (two ? bytes[i + 1]! << 8 : 0)
    target16[j] = pairs[three >> 12]!
    target[2 * j + 2] = two ? digits[(three >> 6) & 63]! : padding
    target[2 * j + 3] = padding
  }
  return strict.decode(view(target, 0, size))
}

/** Takes what `effect/encoding/Base64` takes, which is slower; `undefined` for anything else. */
export const fromBase64 = (text: string): Uint8Array | undefined =>
  fromPlainBase64(text) ?? Result.getOrUndefined(Base64.decode(text))

const fromPlainBase64 = (text: string): Uint8Array | undefined => {
  const length = text.length
  if (length % 4 !== 0) return undefined
  if (length === 0) return new Uint8Array(0)
  const source = length <= scratch.length ? scratch : new Uint8Array(length)
  encoder.encodeInto(text, source) // what is not ASCII becomes bytes that are no digits either
  let missing = 0
  while (missing < 2 && source[length - 1 - missing] === padding) source[length - 1 - missing++] = digits[0]!
  const target = allocate(length / 4 * 3 - missing)
  const table = values ??= valuesOfPairs()
  const source16 = source === scratch ? scratch16 : new Uint16Array(source.buffer)
  const whole = missing === 0 ? length / 2 : length / 2 - 2
  let j = 0
  let bad = 0
  for (let i = 0; i < whole; i += 2, j += 3) {
    const three = table[source16[i]!]! << 12 | table[source16[i + 1]!]!
    bad |= three
    target[j] = three >> 16
    target[j + 1] = three >> 8
    target[j + 2] = three
  }
  if (missing !== 0) {
    const three = table[source16[whole]!]! << 12 | table[source16[whole + 1]!]!
    bad |= three
    target[j] = three >> 16
    if (missing === 1) target[j + 1] = three >> 8
  }
  return bad < 0 ? undefined : target // -1 stays negative, whatever it is shifted by or combined with
}
