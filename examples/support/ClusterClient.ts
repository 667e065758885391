/** A client that counts: what it was told, in which order, how often, and for how long it was told nothing. */
import { Frame, FrameSerializer } from "@apipeline/core"
import { WebSocket } from "@effect/platform-node/NodeWS"
import { Data, Effect, type Scope } from "effect"

export class ClientError extends Data.TaggedError("ClientError")<{ readonly why: string }> {
  override get message(): string {
    return this.why
  }
}

const serializer = FrameSerializer.makeJson()

export interface Client {
  /** Numbers that were sent. */
  sent: number
  /** Numbers as they came back. */
  readonly numbers: Array<number>
  /** Sounds that were sent and came back. */
  soundsSent: number
  sounds: number
  /** The longest time without a number, in milliseconds, since it was set to 0 last. */
  silence: number
  /** What it was told of moves, and when. */
  readonly moves: Array<
    {
      readonly from: string
      readonly to: string
      readonly lostFrames: number
      readonly restored: boolean
      readonly at: number
    }
  >
  readonly others: Array<string>
  closed: string | undefined
  readonly sendNumber: () => void
  readonly say: (text: string) => void
  readonly sendSound: (sound: Uint8Array) => void
  readonly close: () => void
}

/** Numbers that came twice, or after a greater one. */
export const faults = ({ numbers }: Client): { readonly doubled: number; readonly disordered: number } => {
  const seen = new Set<number>()
  let doubled = 0
  let disordered = 0
  let last = 0
  for (const n of numbers) {
    if (seen.has(n)) doubled++
    else if (n < last) disordered++
    seen.add(n)
    last = Math.max(last, n)
  }
  return { doubled, disordered }
}

/** Numbers that have not come back although later ones have: they never will. */
export const holes = ({ numbers }: Client): number => Math.max(0, ...numbers) - new Set(numbers).size

export const connect = (url: string): Effect.Effect<Client, ClientError, Scope.Scope> =>
  Effect.gen(function*() {
    const socket = yield* Effect.acquireRelease(
      Effect.callback<WebSocket, ClientError>((resume) => {
        const socket = new WebSocket(url)
        socket.once("open", () => resume(Effect.succeed(socket)))
        socket.once("error", (error) => resume(Effect.fail(new ClientError({ why: error.message }))))
        socket.once("close", (code, reason) => resume(Effect.fail(new ClientError({ why: `${code} ${reason}` }))))
      }),
      (socket) => Effect.sync(() => socket.close(1000))
    )
    let last = performance.now()
    const send = (frame: Frame.Frame): void => {
      if (socket.readyState === WebSocket.OPEN) socket.send(serializer.encodeUnsafe(frame))
    }
    const client: Client = {
      sent: 0,
      numbers: [],
      soundsSent: 0,
      sounds: 0,
      silence: 0,
      moves: [],
      others: [],
      closed: undefined,
      sendNumber: () => send(Frame.TextFrame.make({ text: String(++client.sent) })),
      close: () => socket.close(1000),
      say: (text) => send(Frame.TextFrame.make({ text })),
      sendSound: (audio) => {
        client.soundsSent++
        send(Frame.AudioRawFrame.make({ audio, sampleRate: 16_000, numChannels: 1 }))
      }
    }
    socket.on("close", (code, reason) => {
      client.closed = `${code} ${reason}`
    })
    socket.on("error", () => {})
    socket.on("message", (data) => {
      const now = performance.now()
      const frame = serializer.decodeUnsafe(data.toString())
      if (Frame.AudioRawFrame.is(frame)) client.sounds++
      else if (Frame.TextFrame.is(frame)) {
        client.silence = Math.max(client.silence, now - last)
        last = now
        if (/^\d+$/.test(frame.text)) client.numbers.push(Number(frame.text))
        else if (frame.text.startsWith("moved: ")) client.moves.push({ ...JSON.parse(frame.text.slice(7)), at: now })
        else client.others.push(frame.text)
      }
    })
    return client
  })

/** Lets all of them talk: a number and a sound each time, spread over the interval. */
export const talk = (clients: ReadonlyArray<Client>, interval: number): Effect.Effect<never> => {
  const sound = new Uint8Array(640)
  const steps = Math.max(1, Math.min(10, clients.length))
  let step = 0
  return Effect.sync(() => {
    for (let i = step++ % steps; i < clients.length; i += steps) {
      clients[i]!.sendNumber()
      clients[i]!.sendSound(sound)
    }
  }).pipe(Effect.andThen(Effect.sleep(interval / steps)), Effect.forever)
}
