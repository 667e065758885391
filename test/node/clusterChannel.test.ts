/** The line between a gateway and a runner: what arrives, in which order, how often. */
import * as Frame from "@apipeline/core/Frame"
import { InputTransportMessageFrame } from "@apipeline/core/TransportFrames"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Result, Schema } from "effect"
import { Channel, type Options } from "../../packages/node/src/internal/cluster/channel.ts"
import { makeSerializer } from "../../packages/node/src/internal/cluster/frames.ts"
import { Inbox } from "../../packages/node/src/internal/cluster/inbox.ts"
import { ignore, type Link, makeMemoryPair } from "../../packages/node/src/internal/cluster/link.ts"
import * as Wire from "../../packages/node/src/internal/cluster/wire.ts"
import { payload, randomData } from "../utils/frames.ts"
import { random } from "../utils/random.ts"

const { deepStrictEqual, strictEqual } = assert

const text = (n: number): Wire.Item => ({ _tag: "Frame", frame: Frame.TextFrame.make({ text: String(n) }) })
const audio = (n: number): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: Uint8Array.of(n & 255, n >> 8), sampleRate: 16_000, numChannels: 1 })
const numberOf = (frame: Frame.Frame): number => {
  if (Frame.TextFrame.is(frame)) return Number(frame.text)
  const { audio } = frame as Frame.AudioRawFrame
  return audio[0]! + 256 * audio[1]!
}

interface End {
  readonly channel: Channel
  readonly control: Array<number>
  readonly media: Array<number>
}

/** Takes everything at once. */
const makeEnd = (options: Partial<Options> = {}): End => {
  const control: Array<number> = []
  const media: Array<number> = []
  const channel: Channel = new Channel({
    media: 4,
    control: 3,
    onMedia: (frame) => void media.push(numberOf(frame)),
    onControl: (item, seq) => {
      channel.taken(seq)
      if (item._tag === "Frame") control.push(numberOf(item.frame))
    },
    ...options
  })
  return { channel, control, media }
}

/** As a gateway and a runner do when they have greeted each other. */
const join = (a: End, b: End): readonly [Link, Link] => {
  const [left, right] = makeMemoryPair()
  const received = [a.channel.position.received, b.channel.position.received] as const
  a.channel.open(left, received[1])
  b.channel.open(right, received[0])
  return [left, right]
}

const settle = Effect.promise(async () => {
  for (let i = 0; i < 20; i++) await Promise.resolve()
})

describe("Channel", () => {
  it.effect("control waits without a link, and beyond what may be under way", () =>
    Effect.gen(function*() {
      const [a, b] = [makeEnd(), makeEnd()]
      for (let n = 1; n <= 3; n++) yield* a.channel.sendControl(text(n))
      const fourth = yield* Effect.forkChild(a.channel.sendControl(text(4)), { startImmediately: true })
      yield* settle
      assert.isUndefined(fourth.pollUnsafe())
      join(a, b)
      yield* Fiber.join(fourth)
      yield* settle
      deepStrictEqual(b.control, [1, 2, 3, 4])
      assert.isTrue(a.channel.isFlushed)
    }))

  it.effect("whoever gives up waiting leaves nothing behind", () =>
    Effect.gen(function*() {
      const [a, b] = [makeEnd(), makeEnd()]
      for (let n = 1; n <= 3; n++) yield* a.channel.sendControl(text(n))
      const fourth = yield* Effect.forkChild(a.channel.sendControl(text(4)), { startImmediately: true })
      yield* Fiber.interrupt(fourth)
      join(a, b)
      yield* settle
      yield* a.channel.sendControl(text(5))
      yield* settle
      deepStrictEqual(b.control, [1, 2, 3, 5])
    }))

  it.effect("media without a link: the oldest goes, and the gap is counted", () =>
    Effect.gen(function*() {
      const [a, b] = [makeEnd(), makeEnd()]
      for (let n = 1; n <= 10; n++) a.channel.sendMedia(audio(n))
      strictEqual(a.channel.dropped, 6)
      join(a, b)
      yield* settle
      deepStrictEqual(b.media, [7, 8, 9, 10])
      strictEqual(b.channel.lost, 6)
    }))

  it.effect("media is held back while the link is congested, control behind it is not lost", () =>
    Effect.gen(function*() {
      const [a, b] = [makeEnd(), makeEnd()]
      const [left] = join(a, b)
      let congested = true
      Object.assign(left, { isCongested: () => congested })
      for (let n = 1; n <= 6; n++) a.channel.sendMedia(audio(n))
      a.channel.sendControlUnsafe(text(1))
      yield* settle
      deepStrictEqual(b.media, [])
      congested = false
      left.onDrain()
      yield* settle
      deepStrictEqual(b.media, [3, 4, 5, 6])
      deepStrictEqual(b.control, [1])
    }))

  it.effect("what was not acknowledged is sent again, and taken once", () =>
    Effect.gen(function*() {
      const a = makeEnd()
      const seen: Array<number> = []
      // takes without telling
      const b = makeEnd({ onControl: (_, seq) => void seen.push(seq) })
      join(a, b)
      for (let n = 1; n <= 3; n++) yield* a.channel.sendControl(text(n))
      yield* settle
      deepStrictEqual(seen, [1, 2, 3])
      const [left] = makeMemoryPair()
      // the other side has forgotten what it has had
      a.channel.open(left, 0)
      strictEqual(a.channel.pending, 3)
      const [again, right] = makeMemoryPair()
      a.channel.open(again, 0)
      b.channel.open(right, 0)
      yield* settle
      deepStrictEqual(seen, [1, 2, 3])
      strictEqual(b.channel.duplicates, 3)
    }))

  it.effect("numbers that leave one out, and greetings in the middle, end the link", () =>
    Effect.gen(function*() {
      for (
        const packet of [
          { _tag: "Control", seq: 2, item: text(2) },
          { _tag: "Welcome", welcome: { received: 0 } }
        ] as const
      ) {
        const a = makeEnd()
        const [left, right] = makeMemoryPair()
        let closed: number | undefined
        right.onClose = (code) => {
          closed = code
        }
        a.channel.open(left, 0)
        right.write(packet)
        yield* settle
        strictEqual(closed, 4400)
        deepStrictEqual(a.control, [])
      }
    }))

  it.effect("acknowledgements of what was never sent change nothing", () =>
    Effect.gen(function*() {
      const [a, b] = [makeEnd(), makeEnd()]
      const [, right] = join(a, b)
      right.onPacket = ignore
      yield* a.channel.sendControl(text(1))
      right.write({ _tag: "Ack", control: 99, media: 99 })
      yield* settle
      strictEqual(a.channel.pending, 1)
    }))

  const Steps = Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5 }))), {
    maxLength: 60
  })
  it.effect.prop(
    "whatever breaks: control once and in order, media in order, every gap counted",
    { steps: Steps },
    ({ steps }) =>
      Effect.gen(function*() {
        const [a, b] = [makeEnd({ control: 1000 }), makeEnd({ control: 1000 })]
        let links = join(a, b)
        let [control, media] = [0, 0]
        for (const step of steps) {
          if (step <= 1) a.channel.sendControlUnsafe(text(++control))
          else if (step <= 3) a.channel.sendMedia(audio(++media))
          else if (step === 4) yield* settle
          else {
            links[0].close(1006, "")
            a.channel.link = b.channel.link = undefined
            yield* settle
            links = join(a, b)
          }
        }
        yield* settle
        a.channel.sendMedia(audio(++media))
        yield* settle
        deepStrictEqual(b.control, Array.from({ length: control }, (_, i) => i + 1))
        deepStrictEqual(b.media, b.media.toSorted((x, y) => x - y))
        strictEqual(new Set(b.media).size, b.media.length)
        strictEqual(b.media.length + b.channel.lost, media)
        assert.isAtLeast(b.channel.lost, a.channel.dropped)
      }),
    { arbitrary: { runs: 300 } }
  )
})

describe("Inbox", () => {
  it.effect("gives all at once, in order; the oldest media goes when nobody takes it", () =>
    Effect.gen(function*() {
      const inbox = new Inbox<string>(2)
      inbox.pushMedia(audio(1))
      inbox.pushControl({ _tag: "Clear" })
      inbox.pushMedia(audio(2))
      inbox.pushMedia(audio(3))
      const signals = yield* inbox.pull
      deepStrictEqual(signals.map((signal) => signal._tag === "Frame" ? numberOf(signal.frame) : "clear"), [
        "clear",
        2,
        3
      ])
      strictEqual(inbox.dropped, 1)
    }))

  it.effect("what was given before it ends is given, then it ends", () =>
    Effect.gen(function*() {
      const inbox = new Inbox<string>(2)
      const waiting = yield* Effect.forkChild(inbox.pull, { startImmediately: true })
      inbox.pushControl({ _tag: "Clear" })
      strictEqual((yield* Fiber.join(waiting)).length, 1)
      inbox.pushControl({ _tag: "Clear" })
      inbox.end("over")
      inbox.pushControl({ _tag: "Clear" })
      strictEqual((yield* inbox.pull).length, 1)
      strictEqual(yield* Effect.flip(inbox.pull), "over")
    }))

  it.effect("nothing is acknowledged that was not taken", () =>
    Effect.gen(function*() {
      const [a, b] = [makeEnd(), makeEnd()]
      const inbox = new Inbox<string>(2)
      Object.assign(b.channel.options, {
        onControl: (item: Wire.Item, seq: number) => inbox.pushControl(item as never, b.channel, seq)
      })
      join(a, b)
      yield* a.channel.sendControl(text(1))
      yield* settle
      strictEqual(a.channel.pending, 1)
      yield* inbox.pull
      yield* settle
      strictEqual(a.channel.pending, 0)
      yield* a.channel.sendControl(text(2))
      yield* settle
      inbox.freeze()
      yield* a.channel.sendControl(text(3))
      yield* settle
      strictEqual(a.channel.pending, 2)
      const pull = yield* Effect.forkChild(inbox.pull, { startImmediately: true })
      yield* settle
      assert.isUndefined(pull.pollUnsafe())
    }))
})

describe("wire", () => {
  const serializer = makeSerializer()
  const back = (packet: Wire.Packet): Wire.Packet =>
    Result.getOrThrow(Wire.decode(Wire.encode(packet, serializer), serializer))

  it("frames of any kind come back", () => {
    const some = random(7)
    for (let n = 0; n < 300; n++) {
      const frame = Frame.copy(randomData(some), {
        ...some.boolean() && { metadata: { destination: some.text(8), n } },
        ...some.boolean() && { pts: some.number(40) / 8 }
      })
      const media = back({ _tag: "Media", seq: n, frame })
      assert.isTrue(media._tag === "Media" && media.seq === n)
      if (media._tag !== "Media" || media.frame === undefined) continue
      deepStrictEqual(payload(media.frame), payload(frame))
      strictEqual(media.frame.pts, frame.pts)
      deepStrictEqual(media.frame.metadata?.["n"], frame.metadata?.["n"])
    }
  })

  it("everything else comes back", () => {
    const message = InputTransportMessageFrame.make({ message: { type: "client-ready", data: { a: [1, null] } } })
    const control = back({ _tag: "Control", seq: 0xFFFF_FFFF, item: { _tag: "Frame", frame: message } })
    assert.isTrue(control._tag === "Control" && control.item._tag === "Frame" && control.seq === 0xFFFF_FFFF)
    if (control._tag === "Control" && control.item._tag === "Frame") {
      deepStrictEqual(payload(control.item.frame), payload(message))
    }
    const packets: ReadonlyArray<Wire.Packet> = [
      { _tag: "Control", seq: 1, item: { _tag: "Clear" } },
      { _tag: "Control", seq: 2, item: { _tag: "End" } },
      { _tag: "Control", seq: 3, item: { _tag: "Leave", reason: "☃ left" } },
      { _tag: "Control", seq: 4, item: { _tag: "Ended", failed: true, reason: "no route" } },
      { _tag: "Ack", control: 5, media: 6 },
      { _tag: "Hello", hello: { session: "g0:a", token: "t", received: 1, control: 2, media: 3 } },
      { _tag: "Welcome", welcome: { received: 7 } }
    ]
    for (const packet of packets) deepStrictEqual(back(packet), packet)
  })

  it("what is no packet says which field, what was found, and what was expected", () => {
    const error = (bytes: ReadonlyArray<number>): string => {
      const result = Wire.decode(Uint8Array.from(bytes), serializer)
      return Result.isFailure(result) ? result.failure.message : "none"
    }
    strictEqual(error([]), "kind: found nothing, expected 1 to 6")
    strictEqual(error([9]), "kind: found 9, expected 1 to 6")
    strictEqual(error([4, 0, 0]), "length: found 3, expected at least 9")
    strictEqual(error([1, 0, 0, 0, 1, 0, 0]), "audio: found 7 bytes, expected at least 21")
    strictEqual(error([3, 0, 0, 0, 1, 77]), "item: found 77, expected 0 to 4")
    assert.match(error([5, 123, 125]), /^hello: found .*, expected a greeting$/s)
  })

  it("a frame that this side does not know is passed over, and told", () => {
    const bytes = Buffer.concat([Buffer.of(3, 0, 0, 0, 1, 0), Buffer.from(`{"_tag":"FrameOfTomorrow","id":1}`)])
    const control = Result.getOrThrow(Wire.decode(bytes, serializer))
    assert.isTrue(control._tag === "Control" && control.seq === 1 && control.item._tag === "Unreadable")
    const media = Result.getOrThrow(Wire.decode(Buffer.of(2, 0, 0, 0, 9, 123), serializer))
    deepStrictEqual(media, { _tag: "Media", seq: 9, frame: undefined })
  })

  it("bytes by chance are refused, or are a packet: nothing else", () => {
    const some = random(11)
    for (let n = 0; n < 20_000; n++) {
      const bytes = some.bytes(some.int(60))
      if (bytes.length > 0 && some.boolean()) bytes[0] = some.int(8)
      const result = Wire.decode(bytes, serializer)
      if (Result.isFailure(result)) assert.isString(result.failure.message)
    }
    // a good one with one byte changed
    const good = Wire.encode({ _tag: "Media", seq: 1, frame: audio(513) }, serializer)
    for (let at = 0; at < good.length; at++) {
      for (const byte of [0, 1, 127, 255]) {
        const bytes = Buffer.from(good)
        bytes[at] = byte
        Wire.decode(bytes, serializer)
      }
    }
  })
})
