/** What the processes of a load test tell each other, over the channel that `fork` opens. */
import type { Sparse } from "./histogram.ts"

/** To the server and to the clients. `end` comes after `begin`, `close` after `end`. */
export type Order =
  | { readonly do: "begin" }
  | { readonly do: "end" }
  | { readonly do: "close" }

/** Of the server: `idle` when nobody is connected, `busy` for the time between `begin` and `end`, `gone` in the end. */
export type FromServer =
  | { readonly is: "listening"; readonly memory: Memory }
  | { readonly is: "busy"; readonly load: Load }
  | { readonly is: "gone"; readonly clients: number; readonly turns: Turns; readonly memory: Memory }

/** Of a process with clients. */
export type FromClients =
  | { readonly is: "connected" }
  | { readonly is: "done"; readonly traffic: Traffic }
  | { readonly is: "failed"; readonly why: string }

/** Bytes. */
export interface Memory {
  readonly rss: number
  /** What the program holds after a garbage collection: objects and buffers. */
  readonly held: number
}

export interface Load {
  readonly memory: Memory
  /** Of user and system, all threads: 1 is one core. */
  readonly cpu: number
  /** Of the time, how much the event loop was not waiting: 1 is all. */
  readonly utilization: number
  /** Of the time, how much the thread that does the work could have run and got no core; Linux tells. */
  readonly waited: number | undefined
  /** Milliseconds. */
  readonly lag: { readonly p50: number; readonly p99: number; readonly max: number }
  readonly sessions: number
}

export interface Turns {
  readonly started: number
  readonly stopped: number
}

export interface Traffic {
  readonly sent: number
  readonly received: number
  readonly interruptions: number
  /** Interruptions that the server has not confirmed. */
  readonly unconfirmed: number
  /** Frames that an interruption has cut, as it should. */
  readonly cut: number
  /** Frames that never came back, though nothing had cut them. */
  readonly lost: number
  /** Frames from before an interruption that came after it. */
  readonly stale: number
  readonly duplicated: number
  readonly reordered: number
  /** Frames whose samples were not those that were sent. */
  readonly damaged: number
  /** Connections that were closed before their time, and why the first was. */
  readonly closed: number
  readonly why: string | undefined
  /** Milliseconds from when a frame was sent until it was back, while the load was measured. */
  readonly latency: Sparse
  /** Milliseconds from when a frame was due until it was sent: what the clients are late. */
  readonly lateness: Sparse
}
