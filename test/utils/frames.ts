import * as Frame from "@apipeline/core/Frame"
import { OutputTransportMessageFrame } from "@apipeline/core/TransportFrames"
import { TranscriptionFrame } from "@apipeline/core/VoiceFrames"
import type { Random } from "./random.ts"

/** The frame under another id: what a peer, whose ids are its own, would send. */
export const withId = <F extends Frame.Frame>(frame: F, id: number): F => Object.assign(frame, { id })

/** What of a frame has to survive any format: its type and its payload. */
export const payload = (frame: Frame.Frame): Record<string, unknown> => {
  const { id: _id, metadata: _metadata, pts: _pts, ...payload } = { ...frame } as any
  return payload
}

export const randomText = (random: Random): Frame.TextFrame =>
  withId(Frame.TextFrame.make({ text: random.text(random.pick([5, 40, 300])) }), random.number(53))

export const randomAudio = (random: Random, sampleWidth?: number): Frame.AudioRawFrame => {
  const width = sampleWidth ?? 1 + random.int(4)
  const numChannels = random.pick([1, 1, 2, 6])
  return withId(
    Frame.AudioRawFrame.make({
      audio: random.bytes(random.pick([0, 1, 20, 200, 2000]) * width * numChannels),
      sampleRate: 1 + random.number(31),
      numChannels,
      sampleWidth: width
    }),
    random.number(53)
  )
}

export const randomImage = (random: Random): Frame.ImageRawFrame =>
  withId(
    Frame.ImageRawFrame.make({
      image: random.bytes(random.pick([0, 1, 100, 5000])),
      width: 1 + random.number(30),
      height: 1 + random.number(30),
      format: random.pick(["jpeg", "png", "", "☃"]),
      mode: random.pick(["RGB", "RGBA", "L", ""])
    }),
    random.number(53)
  )

export const randomPipecat = (random: Random): Frame.Frame => {
  switch (random.int(5)) {
    case 0:
      return randomText(random)
    case 1: {
      const frame = randomAudio(random, 2)
      // Whole nanoseconds up to 2^51 survive the trip through milliseconds.
      return random.boolean() ? frame : withId(Frame.copy(frame, { pts: random.number(51) / 1e6 }), frame.id)
    }
    case 2: {
      const fields = { text: random.text(40), userId: random.text(10), timestamp: random.text(10) }
      return withId(TranscriptionFrame.make(fields), random.number(53))
    }
    case 3:
      return OutputTransportMessageFrame.make({ message: { text: random.text(40) } })
    default:
      return withId(Frame.StartInterruptionFrame.make(), random.number(53))
  }
}

export const randomData = (random: Random): Frame.DataFrame =>
  random.pick([randomText, randomAudio, randomImage])(random)
