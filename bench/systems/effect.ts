/**
 * Effect without a framework. `10` in W1 is `Stream.map`; `item`: a queue and a fiber a hop, each frame taken and
 * offered by itself; `batch`: all that is there at a time, which is the limit for what is built on queues and fibers.
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import { serve } from "../protocol.ts"
import { framesFor, parse, perHop } from "./measure.ts"
import { type Chain, type MakeChain, type Options, text, TextFrame, workloads } from "./peer.ts"

type Hop = (input: Queue.Queue<TextFrame>, output: Queue.Queue<TextFrame>, slow: boolean) => Effect.Effect<void>

const item: Hop = (input, output, slow) =>
  Effect.flatMap(Queue.take(input), (frame) => {
    const offer = Effect.asVoid(Queue.offer(output, frame))
    return slow ? Effect.andThen(Effect.sleep(1), offer) : offer
  })

const batch: Hop = (input, output) =>
  Effect.flatMap(Queue.takeAll(input), (frames) => Effect.asVoid(Queue.offerAll(output, frames)))

const chain = (hop: Hop) => ({ hops, seen, slow }: Options): Chain => {
  const queues = Array.from({ length: hops + 1 }, () => Effect.runSync(Queue.bounded<TextFrame>(1024)))
  // Without it, each turn of the loop would cost a turn of the event loop.
  const loop = (effect: Effect.Effect<void>) => Effect.runFork(Effect.forever(effect, { disableYield: true }))
  const fibers: Array<Fiber.Fiber<unknown>> = Array.from(
    { length: hops },
    (_, i) => loop(hop(queues[i]!, queues[i + 1]!, i === slow))
  )
  fibers.push(loop(Effect.map(Queue.takeAll(queues[hops]!), (frames) => frames.forEach(seen))))
  return {
    tasks: fibers.length,
    push: (frame) => void Queue.offerUnsafe(queues[0]!, frame),
    stop: () => Effect.runPromise(Fiber.interruptAll(fibers))
  }
}

const kinds: Record<string, MakeChain> = { item: chain(item), batch: chain(batch) }

function* fresh(frames: number): Generator<TextFrame> {
  for (let i = 0; i < frames; i++) yield new TextFrame(text)
}

await serve("effect", {
  ...workloads(kinds, { item: 500, batch: 20 }),
  w1: (variant, frames) => {
    const { hops } = parse(variant)
    return perHop(hops, frames ?? framesFor(hops, 4e6), (frames) => {
      let stream: Stream.Stream<TextFrame> = Stream.fromIterable(fresh(frames))
      for (let i = 0; i < hops; i++) stream = Stream.map(stream, (frame) => frame)
      return Effect.runPromise(Stream.runDrain(stream))
    })
  }
})
