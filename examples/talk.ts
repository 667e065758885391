/**
 * Talk to a bot, in a browser.
 *
 *     npm run talk                  opens the page
 *     npm run talk -- --port 8080   at another port
 *     npm run talk -- --no-open     tells where it is, and leaves the rest to you
 *     npm run talk -- --bot parrot  a bot that needs no models: it repeats what it hears, and what is typed, in tones
 *
 * The bot is that of `npm start`: see `support/Bot.ts`. What is around it stays the same for any other: a `WebSocketServer`
 * with a session for each client, `Rtvi` for what the page shows, `TalkPage` for the page.
 */
import {
  FrameSerializer,
  LlmContext,
  MessageProtocol,
  Pipeline,
  PipelineTask,
  Processor,
  Rtvi,
  RtviFrames,
  type Transport,
  VoiceActivity
} from "@apipeline/core"
import { Flite, NodeRunner, TalkPage, WebSocketServer } from "@apipeline/node"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Console, Data, Effect, Layer, Schedule, type Scope, Stdio } from "effect"
import { CliError, Command, Flag } from "effect/cli"
import { HttpRouter } from "effect/http"
import { ChildProcess, ChildProcessSpawner } from "effect/process"
import * as Bot from "./support/Bot.ts"
import * as Parrot from "./support/Parrot.ts"

class NoServer extends Data.TaggedError("NoServer")<{ readonly port: number; readonly why: unknown }> {
  override get [CliError.userMessage](): string {
    return `there can be no server at port ${this.port} (${this.why}): try --port ${this.port + 1}`
  }
}

class NoModels extends Data.TaggedError("NoModels")<{ readonly why: { readonly message: string } }> {
  override get [CliError.userMessage](): string {
    return `the models cannot be loaded (${this.why.message}): try --bot parrot`
  }
}

/** The bot speaks first, as soon as the client listens. */
const greet = Processor.sync("Greet", {
  RtviClientReadyFrame: (frame, push) => {
    push(frame)
    push.downstream(LlmContext.LlmRunFrame.make())
  }
}, { frames: [RtviFrames.RtviClientReadyFrame] })

const talk = Effect.fnUntraced(function*(transport: Transport.Transport) {
  const rtvi = yield* Rtvi.make({ about: { library: "apipeline" }, functionCalls: { "*": "full" } })
  const { pipeline } = yield* Bot.make(transport, { client: Pipeline.make(rtvi.processor, greet) })
  return yield* PipelineTask.make(pipeline, { enableMetrics: true, observers: [rtvi.observer] })
})

const repeat = Effect.fnUntraced(function*(transport: Transport.Transport) {
  const rtvi = yield* Rtvi.make({ about: { library: "parrot" }, functionCalls: { get_local_time: "full" } })
  const pipeline = Pipeline.make(transport.input, rtvi.processor, Parrot.pipeline, transport.output)
  return yield* PipelineTask.make(pipeline, { observers: [rtvi.observer] })
})

const sessions = <E, R>(
  port: number,
  session: (transport: Transport.Transport) => Effect.Effect<PipelineTask.PipelineTask<any>, E, R | Scope.Scope>
) =>
  WebSocketServer.layer({
    paths: {
      // the page drops what it has at an interruption
      "/ws": MessageProtocol.fromSerializer(FrameSerializer.makePipecat(), { flushes: true }),
      "/json": MessageProtocol.fromSerializer(FrameSerializer.makeMessageJson())
    },
    // no page but this one may use the bot of this machine
    origins: [`http://localhost:${port}`, `http://127.0.0.1:${port}`],
    // who ends it does not want to hear a long answer first
    farewellTimeout: "500 millis",
    session
  })

/** The models are loaded once, and shared by all who talk. */
const loaded = Effect.fnUntraced(function*(stt: "tiny" | "base", voice: Flite.Voice) {
  const start = yield* Clock.currentTimeMillis
  const loading = Console.error(`Loading the models (Silero, Moonshine ${stt}, flite) ...`).pipe(
    Effect.repeat(Schedule.spaced("2 seconds")),
    Effect.andThen(Effect.never)
  )
  const services = yield* Layer.build(Bot.layer({ stt: { model: stt }, tts: { voice } })).pipe(
    Effect.mapError((why) => new NoModels({ why })),
    Effect.raceFirst(loading)
  )
  const millis = (yield* Clock.currentTimeMillis) - start
  yield* Console.error(`Loaded in ${(millis / 1000).toFixed(1)} s`)
  return services
})

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
    open: Flag.Boolean("open").pipe(Flag.withDescription("Open the page in your browser"), Flag.withDefault(true)),
    bot: Flag.Literals("bot", ["dialogue", "parrot"]).pipe(
      Flag.withDescription("Whom to talk to"),
      Flag.withDefault("dialogue" as const)
    ),
    stt: Flag.Literals("stt", ["tiny", "base"]).pipe(
      Flag.withDescription("The model that understands: base errs less and takes twice as long"),
      Flag.withDefault("tiny" as const)
    ),
    voice: Flag.Literals("voice", Flite.voices).pipe(
      Flag.withDescription("The voice of the bot"),
      Flag.withDefault("slt" as const)
    )
  },
  Effect.fn(function*({ bot, open, port, stt, voice }) {
    const sessionsOfBot = bot === "parrot"
      ? Layer.provide(sessions(port, repeat), VoiceActivity.layerEnergy())
      : Layer.provide(sessions(port, talk), Layer.succeedContext(yield* loaded(stt, voice)))
    const page = TalkPage.layer({ title: bot === "parrot" ? "Talk to the parrot" : "Talk to the bot" })
    const server = HttpRouter.serve(Layer.merge(sessionsOfBot, page), {
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
