/**
 * `uint64 id = 1; string name = 2;`, with which the messages of frames begin.
 *
 * @since 0.1.0
 */
import type * as Frame from "../../Frame.ts"
import type * as Protobuf from "../../Protobuf.ts"
import * as Rules from "../kernel/frameRules.ts"
import * as SerializerError from "./serializerError.ts"

export const write = (frame: Frame.Base, writer: Protobuf.Writer): void => {
  const violation = Rules.id(frame.id)
  if (violation !== undefined) throw SerializerError.invalid(writer.format, frame._tag, violation)
  if (frame.id !== 0) writer.tag(1, 0).uint64(frame.id)
  writer.tag(2, 2).string(`${frame._tag}#${frame.id}`)
}

/** Where a decoded frame keeps what its message said, if that said anything. */
export const metadata = (id: number | string, name: string): Frame.Metadata | undefined =>
  id === 0 && name === "" ? undefined : { wireId: id, wireName: name }
