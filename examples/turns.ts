/**
 * Turns of the user: when one begins, which interrupts the bot, and when it is over. Voice activity and transcriptions
 * come from a script, and time is virtual: the detector of turns knows by the text that "I would like to" is no end.
 */
import {
  Frame,
  Mute,
  Pipeline,
  Processor,
  Stt,
  TurnDetector,
  TurnStart,
  TurnStop,
  UserTurn,
  VoiceFrames
} from "@apipeline/core"
import { run, sleep, type Step, upstream } from "@apipeline/core/testing"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Clock, Console, Effect } from "effect"
import { TestClock } from "effect/testing"

const speaks = VoiceFrames.VadUserStartedSpeakingFrame.make
const pauses = VoiceFrames.VadUserStoppedSpeakingFrame.make
const understood = (text: string) =>
  VoiceFrames.TranscriptionFrame.make({ text, userId: "user", timestamp: "", finalized: true })
const botStarts = upstream(VoiceFrames.BotStartedSpeakingFrame.make())
const botStops = upstream(VoiceFrames.BotStoppedSpeakingFrame.make())

const script: ReadonlyArray<Step> = [
  Stt.SttMetadataFrame.make({ service: "script", p99Latency: 1000 }),
  // the greeting: the user is not listened to
  botStarts,
  sleep("200 millis"),
  speaks(),
  sleep("300 millis"),
  pauses(),
  sleep("500 millis"),
  botStops,
  sleep("1 second"),
  // a pause to think, which is no end
  speaks(),
  sleep("800 millis"),
  pauses(),
  sleep("100 millis"),
  understood("I would like to"),
  sleep("900 millis"),
  speaks(),
  sleep("700 millis"),
  pauses(),
  sleep("100 millis"),
  understood("order a coffee."),
  sleep("1 second"),
  // while the bot answers, one word goes by, two are a barge-in
  botStarts,
  sleep("500 millis"),
  understood("Hm."),
  sleep("500 millis"),
  understood("With milk."),
  botStops,
  sleep("2 seconds")
]

const program = Effect.gen(function*() {
  const since = yield* Clock.currentTimeMillis
  const say = (what: string) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => Console.log(`${String(now - since).padStart(5)} ms  ${what}`))
  const turns = UserTurn.make({
    start: [TurnStart.minWords({ words: 2, discard: true })],
    stop: [TurnStop.turnDetector()],
    mute: [Mute.firstSpeech],
    onEvent: (event) => say(event._tag === "TurnStopped" ? `${event._tag} by ${event.strategy}` : event._tag)
  })
  const show = Processor.effect("Show", {
    TranscriptionFrame: (frame) => say(`"${frame.text}"`),
    onInterruption: () => say("the bot is interrupted")
  }, { frames: [VoiceFrames.TranscriptionFrame] })
  const { down } = yield* run(Pipeline.make(turns, show), script)
  yield* Console.log(`${down.filter((frame) => !Frame.isLifecycle(frame)).length} frames have passed`)
}).pipe(Effect.provide([TurnDetector.layerText(), TestClock.layer()]))

NodeRuntime.runMain(program)
