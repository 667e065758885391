/**
 * The frames of pipecat's protobuf that neither `Frame` nor `VoiceFrames` has: see `FrameSerializer.layerPipecat`.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Frame from "./Frame.ts"

/**
 * A message between the application and its client, outside the data: for pipecat's clients, the JSON text of one RTVI
 * message. It is urgent: a system frame, it overtakes data and is never held.
 *
 * **Gotchas**
 *
 * Nothing checks that `data` is JSON: it is passed on as it came.
 *
 * @example
 * ```ts
 * import { PipecatFrames } from "@apipeline/core"
 *
 * const frame = PipecatFrames.MessageFrame.make({ data: `{"label":"rtvi-ai","type":"bot-ready"}` })
 * frame.kind // => "system"
 * ```
 *
 * @category frames
 * @since 0.1.0
 */
export class MessageFrame extends Frame.App<MessageFrame>()("MessageFrame", { data: Schema.String }, {
  kind: "system"
}) {}
