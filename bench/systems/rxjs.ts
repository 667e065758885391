/** RxJS: `map` inline, `observeOn(asapScheduler)` with a queue at each hop. */
import { serve } from "../protocol.ts"
import { load, type MakeChain, type TextFrame, workloads } from "./peer.ts"

interface Observable {
  readonly pipe: (operator: unknown) => Observable
  readonly subscribe: (next: (frame: TextFrame) => void) => { readonly unsubscribe: () => void }
}

interface Rx {
  readonly Subject: new() => Observable & { readonly next: (frame: TextFrame) => void }
  readonly asapScheduler: unknown
  readonly map: (f: (frame: TextFrame) => TextFrame) => unknown
  readonly observeOn: (scheduler: unknown) => unknown
}

const { asapScheduler, map, observeOn, Subject } = await load<Rx>("rxjs")

const chain = (operator: () => unknown, inline: boolean): MakeChain => ({ hops, seen }) => {
  const subject = new Subject()
  let last: Observable = subject
  for (let i = 0; i < hops; i++) last = last.pipe(operator())
  const subscription = last.subscribe(seen)
  return { inline, push: (frame) => subject.next(frame), stop: () => subscription.unsubscribe() }
}

const kinds = { inline: chain(() => map((frame) => frame), true), queued: chain(() => observeOn(asapScheduler), false) }

await serve("rxjs", workloads(kinds, { inline: 30, queued: 4000 }))
