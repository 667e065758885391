/** Which frames cross the line between a gateway and a runner, and how: as canonical JSON, but for audio. */
import type * as Frame from "@apipeline/core/Frame"
import * as FrameSerializer from "@apipeline/core/FrameSerializer"
import * as RtviFrames from "@apipeline/core/RtviFrames"
import type { TransportError } from "@apipeline/core/Transport"
import * as TransportFrames from "@apipeline/core/TransportFrames"
import * as VoiceFrames from "@apipeline/core/VoiceFrames"
import * as Result from "effect/Result"
import { unencodable } from "../messageConnection.ts"

const isFrameClass = (u: unknown): u is Frame.AnyClass =>
  typeof u === "function" && "tag" in u && "schema" in u && "is" in u

const known = [TransportFrames, VoiceFrames, RtviFrames].flatMap((module) =>
  Object.values(module).filter((u): u is Frame.AnyClass => isFrameClass(u))
)

export const makeSerializer = (own: ReadonlyArray<Frame.AnyClass> = []): FrameSerializer.Serializer<string> =>
  FrameSerializer.makeJson({
    frames: [...known.filter(({ tag }) => own.every((other) => other.tag !== tag)), ...own]
  })

/** Sent at most once, the oldest dropped first. Everything else arrives, in order and once. */
export const isMedia = (frame: Frame.Frame): boolean => frame._tag === "AudioRawFrame" || frame._tag === "ImageRawFrame"

/** Why a frame cannot be sent, if so: it is found out before it is given a number. */
export const unsendableOf = (
  serializer: FrameSerializer.Serializer<string>,
  frame: Frame.Frame
): TransportError | undefined => {
  const encoded = serializer.encodeResult(frame)
  return Result.isFailure(encoded) ? unencodable(frame, encoded.failure) : undefined
}
