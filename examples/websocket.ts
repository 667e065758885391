/** A server and a client in one program: the client says something, the server sends it back in capitals. */
import {
  Frame,
  FrameSerializer,
  MessageProtocol,
  Pipeline,
  PipelineTask,
  Processor,
  TextTransformer
} from "@apipeline/core"
import { WebSocketClient, WebSocketServer } from "@apipeline/node"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Console, Effect, Layer, Logger } from "effect"
import { HttpRouter } from "effect/http"
import { Socket } from "effect/socket"

const port = 28_765
const protocol = MessageProtocol.fromSerializer(FrameSerializer.makePipelineGoJson())

/** Each client has a task of its own. */
const Server = HttpRouter.serve(
  WebSocketServer.layer({
    paths: { "/shout": protocol },
    session: (transport) => {
      const shout = TextTransformer.map((text) => text.toUpperCase())
      return PipelineTask.make(Pipeline.make(transport.input, shout, transport.output))
    }
  }),
  { disableLogger: true, disableListenLog: true }
).pipe(Layer.provide(WebSocketServer.layerHttp({ port })))

const client = Effect.gen(function*() {
  const transport = yield* WebSocketClient.make({ url: `ws://127.0.0.1:${port}/shout`, protocol })
  const words = ["how are you", "goodbye"]
  const say = (text: string) => Frame.TextFrame.make({ text })
  const talk = Processor.effect("Talk", {
    onStart: (_, { pushDownstream }) => pushDownstream(say("hello")),
    // what the other side has said; what is pushed goes back to it
    TextFrame: ({ text }, { pushDownstream }) => {
      const word = words.shift()
      const answer = word === undefined ? Frame.EndFrame.make() : say(word)
      return Effect.andThen(Console.log(`the server says ${text}`), pushDownstream(answer))
    }
  })
  const task = yield* PipelineTask.make(Pipeline.make(transport.input, talk, transport.output))
  yield* Console.log(`the task has ${(yield* task.run)._tag.toLowerCase()}`)
})

const program = client.pipe(
  Effect.scoped,
  Effect.provide([Server, Socket.layerWebSocketConstructorGlobal]),
  Effect.provide(Logger.layer([]))
)

NodeRuntime.runMain(program)
