/** WHATWG `TransformStream`s piped through each other. */
import { serve } from "../protocol.ts"
import { type MakeChain, type TextFrame, workloads } from "./peer.ts"

const queued: MakeChain = ({ hops, seen }) => {
  const first = new TransformStream<TextFrame, TextFrame>()
  let last = first.readable
  for (let i = 1; i < hops; i++) last = last.pipeThrough(new TransformStream())
  const abort = new AbortController()
  last.pipeTo(new WritableStream({ write: seen }), { signal: abort.signal }).catch(() => {}) // aborted
  const writer = first.writable.getWriter()
  return {
    push: (frame) => void writer.write(frame).catch(() => {}),
    stop: () => abort.abort()
  }
}

await serve("web-streams", workloads({ queued }, { queued: 2000 }))
