import * as Frame from "@apipeline/core/Frame"
import { OutputTransportMessageFrame } from "@apipeline/core/TransportFrames"
import { TranscriptionFrame } from "@apipeline/core/VoiceFrames"
import protobuf from "protobufjs"

/** The messages as their owners declare them, and protobufjs as the judge of what we write and read. */
const declarations = `syntax = "proto3";
package pipeline_frames;
message TextFrame     { uint64 id = 1; string name = 2; string text = 3; }
message AudioRawFrame {
  uint64 id = 1; string name = 2; bytes audio = 3; uint32 sample_rate = 4; uint32 num_channels = 5;
  uint32 sample_width = 6;
}
message ImageRawFrame {
  uint64 id = 1; string name = 2; bytes image = 3; string size = 4; string format = 5; string mode = 6;
}
message Frame { oneof frame { TextFrame text = 1; AudioRawFrame audio = 2; ImageRawFrame image = 3; } }`

const old = `syntax = "proto3";
package old_frames;
message AudioRawFrame {
  uint64 id = 1; string name = 2; bytes audio = 3; uint32 sample_rate = 4; uint32 num_channels = 5;
}
message ImageRawFrame { bytes data = 1; uint32 width = 2; uint32 hight = 3; string format = 4; }
message Frame { oneof frame { AudioRawFrame audio = 2; ImageRawFrame image = 3; } }`

const pipecat = `syntax = "proto3";
package pipecat;
message TextFrame          { uint64 id = 1; string name = 2; string text = 3; }
message AudioRawFrame {
  uint64 id = 1; string name = 2; bytes audio = 3; uint32 sample_rate = 4; uint32 num_channels = 5;
  optional uint64 pts = 6;
}
message TranscriptionFrame {
  uint64 id = 1; string name = 2; string text = 3; string user_id = 4; string timestamp = 5;
}
message MessageFrame       { string data = 1; }
message InterruptionFrame  { uint64 id = 1; string name = 2; }
message Frame {
  oneof frame {
    TextFrame text = 1; AudioRawFrame audio = 2; TranscriptionFrame transcription = 3; MessageFrame message = 4;
    InterruptionFrame interruption = 5;
  }
}`

export interface Type {
  readonly encode: (message: object) => Uint8Array
  /** Numbers of 64 bits in decimal digits, absent fields left out. */
  readonly decode: (bytes: Uint8Array) => any
  readonly type: protobuf.Type
}

/** Compiles declarations; `name` is the message one means. */
export const lookup = (declarations: string, name: string): Type => {
  const type = protobuf.parse(declarations).root.lookupType(name)
  return {
    encode: (message) => Uint8Array.from(type.encode(type.fromObject(message)).finish()),
    decode: (bytes) => type.toObject(type.decode(bytes), { longs: String, defaults: false, oneofs: true }),
    type
  }
}

export const types = {
  protobuf: lookup(declarations, "pipeline_frames.Frame"),
  old: lookup(old, "old_frames.Frame"),
  pipecat: lookup(pipecat, "pipecat.Frame")
}

/** What protobufjs should see in what we write, without the fields that proto3 leaves out. */
export const expected = (frame: Frame.Frame, format: "protobuf" | "pipecat"): Record<string, unknown> => {
  const isDefault = (key: string, value: unknown): boolean =>
    value === "" || (key === "id" && value === "0") || (value instanceof Uint8Array && value.length === 0)
  const message = (name: string, fields: Record<string, unknown>): Record<string, unknown> => ({
    frame: name,
    [name]: Object.fromEntries(Object.entries(fields).filter(([key, value]) => !isDefault(key, value)))
  })
  const identity = { id: String(frame.id), name: `${frame._tag}#${frame.id}` }
  if (Frame.TextFrame.is(frame)) return message("text", { ...identity, text: frame.text })
  if (Frame.AudioRawFrame.is(frame)) {
    const { audio, numChannels, pts, sampleRate, sampleWidth } = frame
    return message("audio", {
      ...identity,
      audio,
      sampleRate,
      numChannels,
      ...format === "protobuf" && { sampleWidth },
      ...format === "pipecat" && pts !== undefined && { pts: String(BigInt(Math.round(pts * 1e6))) }
    })
  }
  if (Frame.ImageRawFrame.is(frame)) {
    const { height, image, mode, width } = frame
    return message("image", { ...identity, image, size: `${width}x${height}`, format: frame.format, mode })
  }
  if (TranscriptionFrame.is(frame)) {
    const { text, timestamp, userId } = frame
    return message("transcription", { ...identity, text, userId, timestamp })
  }
  if (OutputTransportMessageFrame.is(frame)) return message("message", { data: JSON.stringify(frame.message) })
  return message("interruption", identity)
}
