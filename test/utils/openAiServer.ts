import { Effect } from "effect"
import * as http from "node:http"
import type { AddressInfo } from "node:net"

/** A request as it arrived, and what became of it. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  /** Milliseconds. */
  readonly at: number
  /** Whether the connection was closed before the answer was complete. */
  aborted: boolean
}

/** Answers a request. What it writes may be cut anywhere. */
export type Answer = (response: http.ServerResponse, request: Received) => void

export interface Server {
  readonly url: string
  readonly requests: ReadonlyArray<Received>
}

/** Below the range that systems give to clients, so that no client of another test takes it. */
const anyPort = (): number => 20_000 + Math.floor(Math.random() * 11_999)

/**
 * Serves on loopback until the scope closes. The requests are answered by the `answers` in turn, the last one again and
 * again.
 */
export const serve = (...answers: ReadonlyArray<Answer>) =>
  Effect.gen(function*() {
    const requests: Array<Received> = []
    const server = http.createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk) => chunks.push(chunk))
      request.on("end", () => {
        const received: Received = {
          method: request.method ?? "",
          path: request.url ?? "",
          headers: request.headers,
          body: Buffer.concat(chunks),
          at: performance.now(),
          aborted: false
        }
        requests.push(received)
        response.on("close", () => {
          received.aborted = !response.writableFinished
        })
        const answer = answers[Math.min(requests.length, answers.length) - 1]!
        answer(response, received)
      })
    })
    const listen = Effect.suspend(() => {
      const port = anyPort()
      return Effect.callback<number, Error>((resume) => {
        const failed = (error: Error) => resume(Effect.fail(error))
        server.once("error", failed)
        server.listen(port, "127.0.0.1", () => {
          server.removeListener("error", failed)
          resume(Effect.succeed((server.address() as AddressInfo).port))
        })
      })
    })
    const port = yield* Effect.acquireRelease(Effect.retry(listen, { times: 10 }), () =>
      Effect.callback<void>((resume) => {
        server.close(() =>
          resume(Effect.void)
        )
        server.closeAllConnections()
      }))
    return { url: `http://127.0.0.1:${port}/v1`, requests } satisfies Server as Server
  })

/** Answers with a status, a body, and more headers. */
export const respond =
  (status: number, body: unknown, headers: http.OutgoingHttpHeaders = {}): Answer => (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers })
    response.end(typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body))
  }

/** Answers with events, and ends. */
export const events = (...data: ReadonlyArray<unknown>): Answer => (response) => {
  response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" })
  for (const one of data) response.write(event(one))
  response.end()
}

/** An event as it is sent. */
export const event = (data: unknown): string => `data: ${typeof data === "string" ? data : JSON.stringify(data)}\n\n`

/** A piece of an answer. */
export const delta = (delta: object, finish: string | null = null) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  created: 1_780_000_000,
  model: "test-1",
  choices: [{ index: 0, delta, finish_reason: finish }]
})

/** What a server sends behind the answer when it is asked to. */
export const usage = {
  id: "chatcmpl-1",
  created: 1_780_000_000,
  model: "test-1",
  choices: [],
  usage: { prompt_tokens: 12, completion_tokens: 3, total_tokens: 15, prompt_tokens_details: { cached_tokens: 8 } }
}

/** An answer of some words, as OpenAI streams it. */
export const words = (...all: ReadonlyArray<string>): Answer =>
  events(
    delta({ role: "assistant", content: "" }),
    ...all.map((content) => delta({ content })),
    delta({}, "stop"),
    usage,
    "[DONE]"
  )

/** Accepts the connection and the request, and says nothing. */
export const silence: Answer = () => {}

/** Begins an answer, and says no more. */
export const begin = (type: string, first: string | Uint8Array): Answer => (response) => {
  response.writeHead(200, { "content-type": type })
  response.write(first)
}

/** Begins an answer, and cuts the connection. */
export const breakOff = (type: string, first: string | Uint8Array): Answer => (response) => {
  response.writeHead(200, { "content-type": type })
  response.write(first, () => response.destroy())
}

/** Says the same again and again, every 10 ms. */
export const goOn = (type: string, piece: string | Uint8Array): Answer => (response) => {
  response.writeHead(200, { "content-type": type })
  const timer = setInterval(() => response.write(piece), 10)
  response.on("close", () => clearInterval(timer))
}
