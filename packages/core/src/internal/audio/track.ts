/** One side of a recording: samples on a time line, of which the beginning has been delivered. */
export class Track {
  private samples = new Int16Array(4096)
  /** Samples that have not been delivered. */
  length = 0
  /** Silence that was put in last, as far as it is still here. */
  private gapAt = 0
  private gapLength = 0
  private delivered = 0

  /** Where the next sample will be. */
  get end(): number {
    return this.delivered + this.length
  }

  append(samples: Int16Array): void {
    this.reserve(samples.length)
    this.samples.set(samples, this.length)
    this.length += samples.length
  }

  /** Puts silence in. */
  silence(count: number): void {
    this.reserve(count)
    this.samples.fill(0, this.length, this.length + count)
    this.gapAt = this.length
    this.gapLength = count
    this.length += count
  }

  /** Takes out again what it can of the silence that was put in last. */
  reclaim(count: number): void {
    const less = Math.min(count, this.gapLength)
    if (less <= 0) return
    this.samples.copyWithin(this.gapAt, this.gapAt + less, this.length)
    this.gapLength -= less
    this.length -= less
  }

  /** Cuts off what lies behind a position. */
  truncate(end: number): void {
    this.length = Math.max(0, Math.min(this.length, end - this.delivered))
    this.gapLength = Math.max(0, Math.min(this.gapLength, this.length - this.gapAt))
  }

  /** Delivers the next samples; what is not there is silence. */
  take(count: number): Int16Array {
    const taken = new Int16Array(count)
    const there = Math.min(count, this.length)
    taken.set(this.samples.subarray(0, there))
    this.samples.copyWithin(0, there, this.length)
    this.length -= there
    this.delivered += count
    this.gapAt -= there
    if (this.gapAt < 0) {
      this.gapLength = Math.max(0, this.gapLength + this.gapAt)
      this.gapAt = 0
    }
    return taken
  }

  /** All of it. */
  takeAll(): Int16Array {
    return this.take(this.length)
  }

  /** Only the last samples stay. */
  keepLast(count: number): void {
    if (this.length > count) this.take(this.length - count)
  }

  clear(): void {
    this.length =
      this.gapAt =
      this.gapLength =
      this.delivered =
        0
  }

  private reserve(more: number): void {
    const needed = this.length + more
    if (needed <= this.samples.length) return
    const larger = new Int16Array(Math.max(needed, 2 * this.samples.length))
    larger.set(this.samples.subarray(0, this.length))
    this.samples = larger
  }
}
