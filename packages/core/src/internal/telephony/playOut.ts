/** How much of what was sent has been played, by the marks that come back. Counts samples on the line. */

export interface PlayOut {
  readonly send: (samples: number) => void
  /** The name of a mark to be sent now, `undefined` when it is too soon or nothing is new. */
  readonly mark: (now?: boolean) => string | undefined
  /** A mark has come back. Whether it is one of ours, pending or not. */
  readonly reach: (name: string) => boolean
  readonly reachAll: () => void
  /** The far side drops what it has not played. */
  readonly clear: () => void
  readonly isSettled: () => boolean
  readonly sent: () => number
  readonly played: () => number
  readonly cleared: () => number
}

const prefix = "apipeline:"

/** Peers may never answer: the oldest are forgotten, as later ones confirm all that was before them. */
const maxPending = 1024

export const make = (interval: number): PlayOut => {
  const pending: Array<{ readonly number: number; readonly at: number }> = []
  let count = 0
  let sent = 0
  let marked = 0
  let played = 0
  let cleared = 0

  const settled = (): number => played + cleared

  return {
    send: (samples) => {
      sent += samples
    },
    mark: (now = false) => {
      if (sent === marked || (!now && sent - marked < interval)) return undefined
      marked = sent
      pending.push({ number: ++count, at: sent })
      if (pending.length > maxPending) pending.shift()
      return prefix + count
    },
    reach: (name) => {
      if (!name.startsWith(prefix)) return false
      const index = pending.findIndex(({ number }) => name === prefix + number)
      // One that was cleared comes back too, and has not been played.
      if (index < 0) return true
      played += pending[index]!.at - settled()
      pending.splice(0, index + 1)
      return true
    },
    reachAll: () => {
      played = sent - cleared
      pending.length = 0
    },
    clear: () => {
      cleared = sent - played
      marked = sent
      pending.length = 0
    },
    isSettled: () => sent === settled(),
    sent: () => sent,
    played: () => played,
    cleared: () => cleared
  }
}
