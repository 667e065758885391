/** The official clients of pipecat, in Node: no browser, no microphone, real sockets. */
import { Effect } from "effect"
import { afterEach, beforeEach, vi } from "vitest"

// The clients are made for browsers: this is all that Node lacks.
Object.assign(globalThis, { window: globalThis })
const { LogLevel, PipecatClient, RTVIEvent, RTVIMessage } = await import("@pipecat-ai/client-js")
const { WebSocketTransport } = await import("@pipecat-ai/websocket-transport")
export type Client = InstanceType<typeof PipecatClient>

/** Its transport has a logger of its own, which nobody can turn off. */
export const silence = (): void => {
  beforeEach(() => {
    for (const level of ["debug", "info", "log", "warn", "error"] as const) vi.spyOn(console, level).mockReturnValue()
  })
  afterEach(() => vi.restoreAllMocks())
}

/** A microphone and a speaker that are none. */
export class FakeMedia {
  played = 0
  enabled = true
  speak: (audio: ArrayBuffer) => void = () => {}
  setUserAudioCallback(speak: (audio: ArrayBuffer) => void) {
    this.speak = speak
  }
  setClientOptions() {}
  async initialize() {}
  async connect() {}
  async disconnect() {}
  async userStartedSpeaking() {}
  bufferBotAudio(audio: Int16Array) {
    this.played += audio.length
    return audio
  }
  enableMic(enabled: boolean) {
    this.enabled = enabled
  }
  get isMicEnabled() {
    return this.enabled
  }
  tracks() {
    return { local: {} }
  }
  async getAllMics() {
    return []
  }
  async getAllCams() {
    return []
  }
  async getAllSpeakers() {
    return []
  }
  updateMic() {}
  updateCam() {}
  updateSpeaker() {}
  enableCam() {}
  enableScreenShare() {}
  selectedMic = {}
  selectedCam = {}
  selectedSpeaker = {}
  isCamEnabled = false
  isSharingScreen = false
  supportsScreenShare = false
}

export type Seen = readonly [event: string, data?: any]

export const makeClient = Effect.gen(function*() {
  const media = new FakeMedia()
  const seen: Array<Seen> = []
  // Its type wants a subclass of a class that is not exported.
  const transport = new WebSocketTransport({ mediaManager: media as any })
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => new PipecatClient({ transport, enableMic: true })),
    (client) => Effect.promise(() => client.disconnect().catch(() => undefined))
  )
  client.setLogLevel(LogLevel.NONE)
  for (const event of Object.values(RTVIEvent)) {
    client.on(event, (data?: unknown) => void seen.push(data === undefined ? [event] : [event, data]))
  }
  return { client, media, seen, transport }
})

export const until = (what: string, condition: () => boolean, millis = 5000): Effect.Effect<void, Error> =>
  Effect.gen(function*() {
    for (let left = millis; !condition(); left -= 10) {
      if (left <= 0) return yield* Effect.fail(new Error(`not within ${millis} ms: ${what}`))
      yield* Effect.sleep(10)
    }
  })

export const send = (client: Client, type: string, data: unknown) =>
  client.transport.sendMessage(new RTVIMessage(type, data))
