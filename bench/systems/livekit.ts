/** Nodes of LiveKit's agents: each reads a stream and writes a stream channel. An interruption aborts and rebuilds. */
import { setTimeout as sleep } from "node:timers/promises"
import { serve } from "../protocol.ts"
import { load, type MakeChain, type TextFrame, workloads } from "./peer.ts"

interface Channel {
  readonly write: (frame: TextFrame) => Promise<void>
  readonly stream: () => ReadableStream<TextFrame>
  readonly abort: (error: Error) => Promise<void>
}

// The package as a whole loads native binaries; what is measured is its stream utility.
const streams = new URL("../node_modules/@livekit/agents/dist/stream/stream_channel.js", import.meta.url).href
const { createStreamChannel } = await load<{ createStreamChannel: () => Channel }>(streams)

const read = async (stream: ReadableStream<TextFrame>, f: (frame: TextFrame) => unknown): Promise<void> => {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      await f(value)
    }
  } catch {
    // aborted
  }
}

const queued: MakeChain = ({ hops, seen, slow }) => {
  const channels = Array.from({ length: hops + 1 }, createStreamChannel)
  channels.forEach((channel, i) => {
    const next = channels[i + 1]
    if (next === undefined) return void read(channel.stream(), seen)
    void read(channel.stream(), async (frame) => {
      if (i === slow) await sleep(1)
      await next.write(frame)
    })
  })
  return {
    tasks: channels.length,
    push: (frame) => void channels[0]!.write(frame).catch(() => {}),
    stop: async () => {
      await Promise.all(channels.map((channel) => channel.abort(new Error("interrupted")).catch(() => {})))
    }
  }
}

await serve("livekit", workloads({ queued }, { queued: 2000 }))
