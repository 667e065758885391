/**
 * What one would write by hand: the limit. `10` is a chain of plain calls, `base-10` the same with what a processor of
 * a framework has to look at for each frame; in W2 a hop is an array that a microtask drains.
 */
import { serve } from "../protocol.ts"
import { type Chain, type MakeChain, type TextFrame, workloads } from "./peer.ts"

interface Hop {
  process(frame: TextFrame): void
}

class Pass implements Hop {
  private readonly next: Hop
  constructor(next: Hop) {
    this.next = next
  }
  process(frame: TextFrame): void {
    this.next.process(frame)
  }
}

class Sink implements Hop {
  private readonly seen: (frame: TextFrame) => void
  constructor(seen: (frame: TextFrame) => void) {
    this.seen = seen
  }
  process(frame: TextFrame): void {
    this.seen(frame)
  }
}

type Handler = (frame: TextFrame, push: (frame: TextFrame) => void) => void

const handlers: Record<string, Handler> = { TextFrame: (frame, push) => push(frame) }

/** A handler of its own for each hop, which gets something to push with: two calls a hop. */
class Handled implements Hop {
  private readonly handler: Handler = (frame, push) => push(frame)
  private readonly push: (frame: TextFrame) => void
  constructor(next: Hop) {
    this.push = (frame) => next.process(frame)
  }
  process(frame: TextFrame): void {
    this.handler(frame, this.push)
  }
}

/** Handlers by tag, what is no data apart, observers, failures, an end: what a framework cannot do without. */
class Base implements Hop {
  private readonly next: Hop
  private readonly handlers = handlers
  private readonly push: (frame: TextFrame) => void
  private ended = false
  private observer: ((frame: TextFrame) => void) | undefined = undefined
  constructor(next: Hop) {
    this.next = next
    this.push = (frame) => {
      if (this.observer !== undefined) this.observer(frame)
      if (!this.ended) this.next.process(frame)
    }
  }
  process(frame: TextFrame): void {
    if (frame.kind !== "data") return this.end()
    const handler = this.handlers[frame._tag]
    if (handler === undefined) return this.push(frame)
    try {
      handler(frame, this.push)
    } catch {
      this.end()
    }
  }
  private end(): void {
    this.ended = true
  }
}

/** A mailbox in front of a hop. */
class Queued implements Hop {
  private items: Array<TextFrame> = []
  private scheduled = false
  private readonly next: Hop
  constructor(next: Hop) {
    this.next = next
  }
  process(frame: TextFrame): void {
    this.items.push(frame)
    if (this.scheduled) return
    this.scheduled = true
    queueMicrotask(this.drain)
  }
  clear(): void {
    this.items = []
  }
  private readonly drain = (): void => {
    this.scheduled = false
    const items = this.items
    this.items = []
    for (let i = 0; i < items.length; i++) this.next.process(items[i]!)
  }
}

/** A mailbox whose frames take a millisecond each. */
class Slow implements Hop {
  private items: Array<TextFrame> = []
  private timer: NodeJS.Timeout | undefined = undefined
  private readonly next: Hop
  constructor(next: Hop) {
    this.next = next
  }
  process(frame: TextFrame): void {
    this.items.push(frame)
    this.timer ??= setTimeout(this.one, 1)
  }
  clear(): void {
    this.items = []
    clearTimeout(this.timer)
  }
  private readonly one = (): void => {
    const frame = this.items.shift()!
    this.timer = this.items.length > 0 ? setTimeout(this.one, 1) : undefined
    this.next.process(frame)
  }
}

const chain = (inline: boolean, make: (next: Hop) => Hop): MakeChain => ({ hops, seen, slow }): Chain => {
  const all: Array<Hop & { clear?: () => void }> = [new Sink(seen)]
  for (let i = hops - 1; i >= 0; i--) all.unshift(i === slow ? new Slow(all[0]!) : make(all[0]!))
  const first = all[0]!
  return {
    inline,
    push: (frame) => first.process(frame),
    stop: () => {
      for (const hop of all) hop.clear?.()
    }
  }
}

const kinds = {
  inline: chain(true, (next) => new Pass(next)),
  handlers: chain(true, (next) => new Handled(next)),
  base: chain(true, (next) => new Base(next)),
  queued: chain(false, (next) => new Queued(next)),
  queuedBase: chain(false, (next) => new Queued(new Base(next)))
}

await serve("plain", workloads(kinds, { inline: 10, handlers: 15, base: 15, queued: 30, queuedBase: 40 }))
