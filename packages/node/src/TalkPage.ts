/**
 * A page on which a person talks or types to a pipeline: microphone, loudspeaker, captions, keys, what it costs in time.
 * It is one file, asks nobody else for anything, and speaks RTVI in pipecat's protobuf dialect.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import { createHash } from "node:crypto"
import { fileURLToPath } from "node:url"

/**
 * Options of {@link layer}. Paths begin with a slash.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<R = never> {
  /** Where the page is. Default: `/`. */
  readonly path?: HttpRouter.PathInput | undefined
  /** Where clients ask how to connect. Default: `/start`, which pipecat's clients expect. */
  readonly startPath?: HttpRouter.PathInput | undefined
  /** Where one may ask whether the server is up. Default: `/status`, as in pipecat. */
  readonly statusPath?: HttpRouter.PathInput | undefined
  /** Where the `WebSocketServer` speaks pipecat's protobuf. Default: `/ws`. */
  readonly webSocketPath?: HttpRouter.PathInput | undefined
  /** What is written on top of the page. Default: `Talk`. */
  readonly title?: string | undefined
  /** Makes the token with which a client connects, for `authorize` of the `WebSocketServer`. Default: none. */
  readonly token?: Effect.Effect<string, never, R> | undefined
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  "\"": "&quot;",
  "'": "&#39;"
}

const escape = (text: string): string => text.replace(/[&<>"']/g, (character) => escapes[character]!)

/** Modules in one: what they import from each other is there already. */
const withoutModules = (source: string): string =>
  source.replace(/^import .* from "\.\/.*"\n/gm, "").replace(/^export (?=const|class)/gm, "")

/** One file of several, each where `{{name}}` stands. */
const bundle = Effect.fnUntraced(function*(values: Readonly<Record<string, string>>) {
  const fs = yield* FileSystem.FileSystem
  const read = (name: string) => fs.readFileString(fileURLToPath(new URL(`../assets/talk/${name}`, import.meta.url)))
  const html = yield* read("index.html")
  const names = new Set(Array.from(html.matchAll(/\{\{([^}]+)\}\}/g), ([, names]) => names!.split(" ")).flat())
  const parts = new Map(Object.entries(values))
  for (const name of names) {
    if (!parts.has(name)) parts.set(name, withoutModules(yield* read(name)))
  }
  return html.replace(
    /\{\{([^}]+)\}\}/g,
    (_, names: string) => names.split(" ").map((name) => parts.get(name)!).join("\n")
  )
})

/** What the page may do: run what is in it, and talk to the server that it comes from. */
const policy = (html: string): string => {
  const hashes = (element: RegExp): string =>
    Array.from(html.matchAll(element), ([, content]) => {
      return `'sha256-${createHash("sha256").update(content!).digest("base64")}'`
    }).join(" ")
  return [
    "default-src 'none'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "connect-src 'self'",
    "img-src data:",
    `style-src ${hashes(/<style>([^]*?)<\/style>/g)}`,
    // the worklet is made from its text in the page
    `script-src ${hashes(/<script type="module">([^]*?)<\/script>/g)} blob:`
  ].join("; ")
}

/** A name or an address, and perhaps a port: nothing that could change what a URL means. */
const isHost = (host: string): boolean => /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i.test(host)

/**
 * Serves the page, next to a `WebSocketServer`.
 *
 * **Details**
 *
 * - `POST /start` answers `{ "wsUrl": ... }`, and with `token` also `{ "token": ... }`: what pipecat's clients need to
 *   connect. The URL is on the host that the client asked; `wss:` where a proxy says `x-forwarded-proto: https`.
 * - `GET /status` answers `{ "status": "ready", "transports": ["websocket"] }`.
 * - Browsers give a microphone to pages of `localhost` or over HTTPS only. Elsewhere one can type.
 * - The page runs the functions `get_local_time` and `set_theme` for the bot, where `Rtvi` is told to name them, and those
 *   that you put into `talk.tools` on its console.
 * - Pages of other origins may not ask `/start`, unless you add `HttpRouter.cors`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { HttpRouter } from "effect/http"
 * import { FrameSerializer, MessageProtocol, Pipeline, PipelineTask, Rtvi } from "@apipeline/core"
 * import { NodeRunner, TalkPage, WebSocketServer } from "@apipeline/node"
 *
 * const sessions = WebSocketServer.layer({
 *   paths: { "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat()) },
 *   session: (transport) =>
 *     Effect.gen(function*() {
 *       const rtvi = yield* Rtvi.make()
 *       const pipeline = Pipeline.make(transport.input, rtvi.processor, transport.output)
 *       return yield* PipelineTask.make(pipeline, { observers: [rtvi.observer] })
 *     })
 * })
 *
 * const main = HttpRouter.serve(Layer.merge(sessions, TalkPage.layer())).pipe(
 *   Layer.provide(WebSocketServer.layerHttp({ port: 7860 }))
 * )
 *
 * NodeRunner.runMain(Layer.launch(main))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <R = never>(
  options: Options<R> = {}
): Layer.Layer<never, never, HttpRouter.HttpRouter | FileSystem.FileSystem | R> =>
  Layer.effectDiscard(Effect.gen(function*() {
    const { path = "/", startPath = "/start", statusPath = "/status", title = "Talk", webSocketPath = "/ws" } = options
    const router = yield* HttpRouter.HttpRouter
    const services = yield* Effect.context<R>()
    // it comes with this package
    const html = yield* Effect.orDie(bundle({ title: escape(title), start: escape(startPath) }))
    const page = HttpServerResponse.text(html, {
      contentType: "text/html; charset=utf-8",
      headers: {
        "cache-control": "no-cache",
        "content-security-policy": policy(html),
        "permissions-policy": "microphone=(self)",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff"
      }
    })
    const start = Effect.gen(function*() {
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const host = headers["host"] ?? ""
      if (!isHost(host)) {
        const detail = `host: found ${JSON.stringify(host)}, expected a name or an address, and perhaps a port`
        return HttpServerResponse.jsonUnsafe({ detail }, { status: 400 })
      }
      const secure = headers["x-forwarded-proto"]?.split(",")[0]!.trim() === "https"
      const wsUrl = `${secure ? "wss" : "ws"}://${host}${webSocketPath}`
      // no other field: pipecat's clients refuse what they do not know
      return options.token === undefined
        ? HttpServerResponse.jsonUnsafe({ wsUrl })
        : HttpServerResponse.jsonUnsafe({ wsUrl, token: yield* Effect.provideContext(options.token, services) })
    })
    const noStore = { "cache-control": "no-store" }
    yield* router.add("GET", path, page)
    yield* router.add("POST", startPath, Effect.map(start, HttpServerResponse.setHeaders(noStore)))
    yield* router.add(
      "GET",
      statusPath,
      HttpServerResponse.jsonUnsafe({ status: "ready", transports: ["websocket"] }, { headers: noStore })
    )
  }))
