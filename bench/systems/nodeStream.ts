/** Node's `Transform` in object mode. An interruption is to destroy the chain and to build it anew. */
import { Transform, Writable } from "node:stream"
import { serve } from "../protocol.ts"
import { type MakeChain, workloads } from "./peer.ts"

const queued: MakeChain = ({ hops, seen, slow }) => {
  const all = Array.from({ length: hops }, (_, i) =>
    new Transform({
      objectMode: true,
      transform: i === slow
        ? (frame, _, done) => void setTimeout(() => done(null, frame), 1)
        : (frame, _, done) => done(null, frame)
    }))
  const sink = new Writable({
    objectMode: true,
    write: (frame, _, done) => {
      seen(frame)
      done()
    }
  })
  const streams = [...all, sink]
  all.forEach((stream, i) => stream.pipe(streams[i + 1]!))
  return {
    push: (frame) => void all[0]!.write(frame),
    stop: () => {
      for (const stream of streams) stream.destroy()
    }
  }
}

await serve("node-transform", workloads({ queued }, { queued: 150 }))
