/** Bodies of `multipart/form-data` (RFC 7578). */
import * as HttpBody from "effect/http/HttpBody"
import { encodeUtf8 } from "../wire/bytes.ts"

/** A field, or a file. */
export type Entry =
  | readonly [name: string, value: string]
  | readonly [name: string, value: Uint8Array, file: { readonly name: string; readonly type: string }]

/** Puts fields and files together. `boundary` must not occur in them; names are plain ASCII, without
 * quotes. */
export const multipart = (entries: ReadonlyArray<Entry>, boundary: string): HttpBody.Uint8Array => {
  const chunks: Array<Uint8Array> = []
  for (const [name, value, file] of entries) {
    const disposition = `Content-Disposition: form-data; name="${name}"`
    chunks.push(encodeUtf8(
      file === undefined
        ? `--${boundary}\r\n${disposition}\r\n\r\n`
        : `--${boundary}\r\n${disposition}; filename="${file.name}"\r\nContent-Type: ${file.type}\r\n\r\n`
    ))
    chunks.push(typeof value === "string" ? encodeUtf8(value) : value, encodeUtf8("\r\n"))
  }
  chunks.push(encodeUtf8(`--${boundary}--\r\n`))
  const body = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    body.set(chunk, at)
    at += chunk.length
  }
  return HttpBody.uint8Array(body, `multipart/form-data; boundary=${boundary}`)
}
