/**
 * What runs beside the audio device: a recorder that makes 16 kHz chunks of a microphone, and a player whose buffer can be
 * emptied at once. Both work at whatever rate the device has.
 */

/** Changes the rate of a stream: windowed sinc, one filter for each fraction of a sample that occurs. */
class Resampler {
  constructor(from, to) {
    const divisor = ((a, b) => {
      while (b !== 0) [a, b] = [b, a % b]
      return a
    })(from, to)
    this.step = from / divisor
    this.phases = to / divisor
    const ratio = Math.min(1, to / from)
    const half = Math.ceil(16 / ratio)
    const cutoff = 0.94 * ratio
    this.filters = Array.from({ length: this.phases }, (_, phase) => {
      const filter = Float32Array.from({ length: 2 * half }, (_, i) => {
        const x = i - (half - 1) - phase / this.phases
        const window = 0.42 + 0.5 * Math.cos(Math.PI * x / half) + 0.08 * Math.cos(2 * Math.PI * x / half)
        return window * (x === 0 ? 1 : Math.sin(Math.PI * cutoff * x) / (Math.PI * cutoff * x))
      })
      const sum = filter.reduce((sum, value) => sum + value, 0)
      return filter.map((value) => value / sum)
    })
    this.delay = half - 1
    this.reset()
  }

  reset() {
    this.kept = new Float32Array(this.delay)
    this.phase = 0
  }

  push(input) {
    if (this.step === this.phases) return input
    const all = new Float32Array(this.kept.length + input.length)
    all.set(this.kept)
    all.set(input, this.kept.length)
    const length = this.filters[0].length
    const output = []
    let at = 0
    while (at + length <= all.length) {
      const filter = this.filters[this.phase]
      let sum = 0
      for (let i = 0; i < length; i++) sum += filter[i] * all[at + i]
      output.push(sum)
      this.phase += this.step
      at += Math.floor(this.phase / this.phases)
      this.phase %= this.phases
    }
    this.kept = all.slice(at)
    return Float32Array.from(output)
  }
}

const recorded = { sampleRate: 16_000, chunk: 320 }

/** Sends 20 ms of 16-bit samples at a time, with how loud they are (RMS, 1 is full scale). */
class Recorder extends AudioWorkletProcessor {
  constructor() {
    super()
    this.resampler = new Resampler(sampleRate, recorded.sampleRate)
    this.chunk = new Int16Array(recorded.chunk)
    this.filled = 0
    this.energy = 0
  }

  process([channels]) {
    if (channels.length === 0) return true
    for (const sample of this.resampler.push(channels[0])) {
      this.chunk[this.filled++] = Math.max(-32768, Math.min(32767, Math.round(sample * 32768)))
      this.energy += sample * sample
      if (this.filled < this.chunk.length) continue
      const level = Math.sqrt(this.energy / this.chunk.length)
      this.port.postMessage({ samples: this.chunk, level }, [this.chunk.buffer])
      this.chunk = new Int16Array(recorded.chunk)
      this.filled = 0
      this.energy = 0
    }
    return true
  }
}

/** Seconds that have to be there before it begins, which bridges the hitches of a network; and how long it waits for them. */
const cushion = 0.04
const patience = 0.06
/** Seconds in which it becomes silent when it is told to, without a click. */
const fade = 0.005
/** Seconds that it keeps at most: a server is to send audio when it is due, but need not. */
const most = 600

/** What may be heard: -50 dBFS. Voices that are made begin with some silence. */
const audible = 0.003

/** Plays what it is sent; tells when it begins, when there is something to hear and when it ends, and how loud it is. */
class Player extends AudioWorkletProcessor {
  constructor() {
    super()
    this.queue = []
    this.offset = 0
    this.length = 0
    this.since = 0
    this.playing = false
    this.heard = false
    /** Samples of what was dropped that are played all the same. */
    this.fading = 0
    this.energy = 0
    this.measured = 0
    this.port.addEventListener("message", ({ data }) => {
      if (data === "clear") this.clear()
      else this.add(data)
    })
    this.port.start()
  }

  add({ numChannels, sampleRate: rate, samples }) {
    if (this.rate !== rate) {
      this.rate = rate
      this.resampler = new Resampler(rate, sampleRate)
    }
    const mono = new Float32Array(Math.floor(samples.length / numChannels))
    for (let i = 0; i < mono.length; i++) {
      for (let c = 0; c < numChannels; c++) mono[i] += samples[i * numChannels + c] / (32768 * numChannels)
    }
    const audio = this.resampler.push(mono)
    if (this.length + audio.length > most * sampleRate) return this.port.postMessage({ event: "full" })
    if (this.length === 0) this.since = currentTime
    this.queue.push(audio)
    this.length += audio.length
  }

  /** Drops what waits, but for what is left of the sound after a fade. */
  clear() {
    const end = new Float32Array(Math.min(this.playing ? Math.round(fade * sampleRate) : 0, this.length))
    for (let i = 0; i < end.length; i++) end[i] = this.next() * (1 - (i + 1) / end.length)
    this.queue = end.length === 0 ? [] : [end]
    this.offset = 0
    this.length = this.fading = end.length
    this.heard = false
    this.resampler?.reset()
  }

  next() {
    const sample = this.queue[0][this.offset++]
    this.length--
    if (this.offset === this.queue[0].length) {
      this.queue.shift()
      this.offset = 0
    }
    return sample
  }

  process(_, [channels]) {
    const [first] = channels
    const ready = this.length >= cushion * sampleRate || currentTime - this.since >= patience
    if (!this.playing && this.length > 0 && ready) {
      this.playing = true
      this.heard = false
      this.port.postMessage({ event: "started" })
    }
    if (this.playing) {
      const count = Math.min(first.length, this.length)
      for (let i = 0; i < count; i++) {
        const sample = this.next()
        first[i] = sample
        this.energy += sample * sample
      }
      for (const channel of channels.slice(1)) channel.set(first)
      if (this.fading > 0) this.fading -= count
      else if (!this.heard && first.some((sample) => Math.abs(sample) > audible)) {
        this.heard = true
        this.port.postMessage({ event: "heard" })
      }
      if (this.length === 0) {
        this.playing = false
        this.port.postMessage({ event: "stopped" })
      }
    }
    this.measured += first.length
    if (this.measured >= 2048) {
      const level = Math.sqrt(this.energy / this.measured)
      if (level > 0 || this.level > 0) this.port.postMessage({ event: "level", level })
      this.level = level
      this.energy = this.measured = 0
    }
    return true
  }
}

registerProcessor("recorder", Recorder)
registerProcessor("player", Player)
