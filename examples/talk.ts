/**
 * Talk to a bot, in a browser.
 *
 *     npm run talk                  opens the page
 *     npm run talk -- --port 8080   at another port
 *     npm run talk -- --no-open     tells where it is, and leaves the rest to you
 *
 * The bot is a parrot: see `support/Parrot.ts`. What is around it stays the same for any other: a `WebSocketServer` with a
 * session for each client, `Rtvi` for what the page shows, `TalkPage` for the page.
 */
import { FrameSerializer, MessageProtocol, Pipeline, PipelineTask, Rtvi, VoiceActivity } from "@apipeline/core"
import { NodeRunner, TalkPage, WebSocketServer } from "@apipeline/node"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Data, Effect, Layer, Stdio } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { HttpRouter } from "effect/http"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import * as Parrot from "./support/Parrot.ts"

class NoServer extends Data.TaggedError("NoServer")<{ readonly port: number; readonly why: unknown }> {
  override get [CliError.userMessage](): string {
    return `there can be no server at port ${this.port} (${this.why}): try --port ${this.port + 1}`
  }
}

const sessions = (port: number) =>
  WebSocketServer.layer({
    paths: {
      // the page drops what it has at an interruption
      "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat(), { flushes: true }),
      "/json": MessageProtocol.fromSerializer(FrameSerializer.makeMessageJson())
    },
    // no page but this one may use the bot of this machine
    origins: [`http://localhost:${port}`, `http://127.0.0.1:${port}`],
    session: (transport) =>
      Effect.gen(function*() {
        const rtvi = yield* Rtvi.make({ about: { library: "parrot" }, functionCalls: { get_local_time: "full" } })
        const pipeline = Pipeline.make(transport.input, rtvi.processor, Parrot.pipeline, transport.output)
        return yield* PipelineTask.make(pipeline, { observers: [rtvi.observer], audioOutSampleRate: 24_000 })
      })
  }).pipe(Layer.provide(VoiceActivity.layerEnergy()))

const launchers: Partial<Record<NodeJS.Platform, readonly [command: string, ...args: Array<string>]>> = {
  darwin: ["open"],
  linux: ["xdg-open"],
  win32: ["cmd", "/c", "start", ""]
}

/** Where there is no browser, the person has to look for one. */
const show = Effect.fnUntraced(function*(url: string) {
  const launcher = launchers[process.platform]
  if (launcher === undefined || !(yield* (yield* Stdio.Stdio).stdoutIsTerminal)) return
  const [command, ...args] = launcher
  const spawner = yield* ChildProcessSpawner.ChildProcessSpawner
  yield* Effect.ignore(spawner.exitCode(ChildProcess.make(command, [...args, url], { stderr: "ignore" })))
})

const main = Command.make(
  "talk",
  {
    port: Flag.Int("port").pipe(Flag.withDescription("Where it listens, on this machine only"), Flag.withDefault(7860)),
    open: Flag.Boolean("open").pipe(Flag.withDescription("Open the page in your browser"), Flag.withDefault(true))
  },
  Effect.fn(function*({ open, port }) {
    const server = HttpRouter.serve(Layer.merge(sessions(port), TalkPage.layer({ title: "Talk to the parrot" })), {
      disableLogger: true,
      disableListenLog: true
    }).pipe(Layer.provide(WebSocketServer.layerHttp({ port })))
    yield* Effect.mapError(Layer.build(server), ({ cause }) => new NoServer({ port, why: cause }))
    const url = `http://localhost:${port}`
    yield* Console.log(`Talk at ${url} (Ctrl-C ends it)`)
    if (open) yield* show(url)
    yield* Effect.never
  }, Effect.scoped)
).pipe(Command.withDescription("Serves a page on which one talks to a bot"))

main.pipe(Command.run({ version: "0.1.0" }), Effect.provide(NodeServices.layer), NodeRunner.runMain)
