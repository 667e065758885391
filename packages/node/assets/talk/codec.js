/**
 * The messages of pipecat's WebSocket dialect, `pipecat.Frame` in Protocol Buffers: the part of it that a page needs.
 * Fields, by number: Frame text 1, audio 2, transcription 3, message 4, interruption 5; audio: name 2, audio 3,
 * sample_rate 4, num_channels 5; message: data 1.
 */

const utf8 = new TextEncoder()

/** A varint of up to 32 bits. */
const varint = (value) => {
  const bytes = []
  for (; value > 0x7f; value >>>= 7) bytes.push(value & 0x7f | 0x80)
  bytes.push(value)
  return bytes
}

const join = (...parts) => {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** A field that has a length: text, bytes or a message. */
const field = (number, bytes) => join([number << 3 | 2], varint(bytes.length), bytes)

/** One RTVI message. */
export const encodeMessage = (message) => field(4, field(1, utf8.encode(JSON.stringify(message))))

const audioName = field(2, utf8.encode("audio"))

/** 16-bit samples of one channel. */
export const encodeAudio = (samples, sampleRate) => {
  const bytes = new Uint8Array(samples.buffer, samples.byteOffset, samples.byteLength)
  return field(2, join(audioName, field(3, bytes), [4 << 3], varint(sampleRate), [5 << 3, 1]))
}

/** Reads the fields of a message, the last of each number: numbers for varints, bytes for what has a length. */
const fieldsOf = (bytes) => {
  const fields = new Map()
  let at = 0
  const readVarint = () => {
    let value = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (at >= bytes.length) throw new RangeError("a varint is cut off")
      const byte = bytes[at++]
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    throw new RangeError("a varint is too long")
  }
  const take = (length) => {
    if (at + length > bytes.length) throw new RangeError(`${length} bytes announced, ${bytes.length - at} there`)
    at += length
    return bytes.subarray(at - length, at)
  }
  while (at < bytes.length) {
    const key = readVarint()
    const number = Math.floor(key / 8)
    const type = key % 8
    if (type === 0) fields.set(number, readVarint())
    else if (type === 1) take(8)
    else if (type === 2) fields.set(number, take(readVarint()))
    else if (type === 5) take(4)
    else throw new RangeError(`wire type ${type}`)
  }
  return fields
}

const none = new Uint8Array(0)
const strict = new TextDecoder("utf-8", { fatal: true })

/**
 * What a message of the server is: `{ type: "audio", samples, sampleRate, numChannels }`, `{ type: "message", message }`,
 * `{ type: "interruption" }`, or `{ type: "other" }` for what a page has no use for. Throws when it cannot be read.
 */
export const decode = (bytes) => {
  const frame = fieldsOf(bytes)
  const audio = frame.get(2)
  if (audio instanceof Uint8Array) {
    const fields = fieldsOf(audio)
    const pcm = fields.get(3) ?? none
    const samples = new Int16Array(pcm.length >> 1)
    new Uint8Array(samples.buffer).set(pcm.subarray(0, samples.length * 2))
    return { type: "audio", samples, sampleRate: fields.get(4) || 24_000, numChannels: fields.get(5) || 1 }
  }
  const message = frame.get(4)
  if (message instanceof Uint8Array) {
    return { type: "message", message: JSON.parse(strict.decode(fieldsOf(message).get(1) ?? none)) }
  }
  return { type: frame.has(5) ? "interruption" : "other" }
}
