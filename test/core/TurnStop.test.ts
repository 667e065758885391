import * as TurnFrames from "@apipeline/core/TurnFrames"
import * as TurnStart from "@apipeline/core/TurnStart"
import * as TurnStop from "@apipeline/core/TurnStop"
import * as UserTurn from "@apipeline/core/UserTurn"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { trace } from "../utils/turns.ts"

const { deepStrictEqual, strictEqual, throws } = assert

/** What leaves a processor of turns, and the events that it tells. */
const stopped = Effect.fnUntraced(
  function*(stop: ReadonlyArray<TurnStop.TurnStop>, line: string, options: UserTurn.Options = {}) {
    const events: Array<string> = []
    const onEvent = (event: UserTurn.Event) =>
      Effect.sync(() => events.push(event._tag === "TurnStopped" ? `stopped by ${event.reason}` : event._tag))
    const out = yield* trace(UserTurn.make({ stop, onEvent, stopTimeout: "5 seconds", ...options }), line)
    return { trace: out.trace, events }
  }
)

type Case = readonly [line: string, expected: string]

const cases = (
  name: string,
  stop: ReadonlyArray<TurnStop.TurnStop>,
  list: ReadonlyArray<Case>,
  options?: UserTurn.Options
): void => {
  describe(name, () => {
    for (const [line, expected] of list) {
      it.effect(line, () =>
        Effect.gen(function*() {
          strictEqual((yield* stopped(stop, line, options)).trace, expected)
        }))
    }
  })
}

const A = TurnStop.speechTimeout({ timeout: "100 millis" })

describe("TurnStop", () => {
  cases("speechTimeout: 100 ms from the end of voice activity on", [A], [
    ["S T E 99", "S user ! T E 99 /user"],
    ["S T E 500", "S user ! T E 100 /user"],
    ["S 10 T 20 E 500", "S user ! 10 T 20 E 100 /user"],
    ["S I T E 500", "S user ! I T E 100 /user"],
    ["S T I E 50 S T E 500", "S user ! T I E 50 S T E 100 /user"],
    ["S I E 50 T 500", "S user ! I E 50 T 50 /user"],
    ["S I E 20 I 20 T 500", "S user ! I E 20 I 20 T 60 /user"],
    ["S E 50 T 500", "S user ! E 50 T 50 /user"],
    ["S E 20 I 20 T 500", "S user ! E 20 I 20 T 60 /user"],
    ["S T E 500 S T E 500", "S user ! T E 100 /user 400 S user ! T E 100 /user"],
    ["S E 50 T 10 T 500", "S user ! E 50 T 10 T 40 /user"],
    ["S I E 50 T I 10 T 500", "S user ! I E 50 T I 10 T 40 /user"]
  ])

  cases("speechTimeout: without voice activity, from the last transcription on", [A], [
    ["T 500", "user ! T 100 /user"],
    ["I 30 T 500", "user ! I 30 T 100 /user"],
    ["T 60 T 500", "user ! T 60 T 100 /user"],
    ["T 60 S 200 E 500", "user ! T 60 S 200 E 100 /user"]
  ])

  cases("speechTimeout: what is understood late ends the turn at once", [A], [
    ["S I E 300 I 10 F 500", "S user ! I E 300 I 10 F /user"],
    ["S I E 300 I 10 T 500", "S user ! I E 300 I 10 T /user"],
    ["S E 300 I 500", "S user ! E 300 I 500 /user"]
  ])

  cases("speechTimeout: the recogniser has its time, from the end of speech on", [A], [
    // P = 400 ms
    ["stt:400 S E 50 F 500", "stt S user ! E 50 F 50 /user"],
    ["stt:400 S F E 500", "stt S user ! F E 100 /user"],
    ["stt:400 S E 50 T 500", "stt S user ! E 50 T 350 /user"],
    ["stt:400 S T E 500", "stt S user ! T E 400 /user"],
    ["stt:400 T 500", "stt user ! T 100 /user"],
    ["stt:400 S E 450 T 500", "stt S user ! E 450 T /user"],
    // more is on its way: what was final does not cover it
    ["stt:400 S F I E 500", "stt S user ! F I E 400 /user"],
    ["stt:400 S E 10 F 10 I 10 T 500", "stt S user ! E 10 F 10 I 10 T 370 /user"],
    ["stt:400 S F E 50 S T E 500", "stt S user ! F E 50 S T E 400 /user"],
    // the detection of its end takes 200 ms: they are over when it is told
    ["vad:200 stt:400 S T E 500", "vad stt S user ! T E 200 /user"],
    ["vad:500 stt:400 S T E 500", "vad stt S user ! T E 100 /user"],
    ["stt:400 stt:150 S T E 500", "stt stt S user ! T E 150 /user"]
  ])

  cases("speechTimeout: never while the user speaks", [A], [
    ["S F 500", "S user ! F 500 /user"],
    ["S E 50 S F 300 E 500", "S user ! E 50 S F 300 E 100 /user"]
  ])

  it.effect("speechTimeout: what is understood between turns does not end the next one", () =>
    Effect.gen(function*() {
      const { events, trace } = yield* stopped([A], "S T E 150 T 60 S T 200 E 300", { start: [TurnStart.vad()] })
      strictEqual(trace, "S user ! T E 100 /user 50 T 60 S user ! T 200 E 100 /user")
      deepStrictEqual(events, ["TurnStarted", "stopped by strategy", "TurnStarted", "stopped by strategy"])
    }))

  cases("speechTimeout: without waiting for text", [
    TurnStop.speechTimeout({ timeout: "100 millis", waitForTranscript: false })
  ], [
    ["S E 500", "S user ! E 100 /user"],
    ["S E 50 S 200 E 500", "S user ! E 50 S 200 E 100 /user"]
  ])

  cases("speechTimeout: of 0, and the default", [TurnStop.speechTimeout({ timeout: 0 })], [
    ["S T E", "S user ! T E /user"],
    ["S E 100 T", "S user ! E 100 T /user"]
  ])

  it.effect("speechTimeout: 600 ms by default", () =>
    Effect.gen(function*() {
      strictEqual((yield* stopped([TurnStop.speechTimeout()], "S T E 1000")).trace, "S user ! T E 600 /user")
      strictEqual((yield* trace(UserTurn.make(), "S T E 1000")).trace, "S user ! T E 600 /user")
    }))

  const external = [TurnStop.external({ timeout: "50 millis" })]

  // the frames are those of others: where the turn ends is seen by what comes next
  cases("external: the turns of others", [TurnStop.deferred(external[0]!)], [
    // no text, no end
    ["user /user 200 T 200", "user /user 200 T 50 infer"],
    ["user T /user 200", "user T /user infer"],
    ["user T I /user 200 T 200", "user T I /user 200 T 50 infer"],
    ["user /user 20 T 30 T 200", "user /user 20 T 30 T 50 infer"],
    ["user /user 20 T 30 user 200 /user", "user /user 20 T 30 user 200 /user infer"],
    ["T user 200", "T user 200 /user"],
    ["/user T 200", "T"]
  ], { start: [TurnStart.external()] })

  cases("external: proposals are decided on, and announced", external, [
    ["propose T /propose 200", "user ! T /user"],
    ["propose /propose 20 T 200", "user ! 20 T 50 /user"],
    ["propose /propose 20 T 30 T 200", "user ! 20 T 30 T 50 /user"],
    ["propose /propose 20 T 30 propose 200 /propose", "user ! 20 T 230 /user"],
    ["propose /propose 20 T 20 I 200 T 200", "user ! 20 T 20 I 200 T 50 /user"],
    ["/propose T 200", "T"]
  ], { start: [TurnStart.external()] })

  it.effect("external: when it is over is told by an event, also where the frames are of others", () =>
    Effect.gen(function*() {
      const options = { start: [TurnStart.external()] }
      const over = ["TurnStarted", "stopped by strategy"]
      deepStrictEqual((yield* stopped(external, "user T /user 10", options)).events, over)
      deepStrictEqual((yield* stopped(external, "user /user T 50", options)).events, over)
      deepStrictEqual((yield* stopped(external, "user /user T 49", options)).events, ["TurnStarted", "stopped by end"])
    }))

  cases("external: without waiting for text", [
    TurnStop.external({ timeout: "50 millis", waitForTranscript: false })
  ], [
    ["300", ""],
    ["/propose 300", ""],
    ["propose 100 /propose 300", "user ! 100 /user"],
    // a turn that another strategy opens after the signal
    ["/propose 100 S E 300", "100 S user ! E 50 /user"]
  ], { start: [TurnStart.external(), TurnStart.vad()] })

  cases("external: who goes on within the grace goes on with the turn", [
    TurnStop.external({ timeout: "50 millis", grace: "100 millis" })
  ], [
    ["propose T /propose 300", "user ! T 100 /user"],
    ["propose T /propose 99 propose 300 /propose 300", "user ! T 499 /user"],
    ["propose /propose 20 T 300", "user ! 20 T 150 /user"]
  ], { start: [TurnStart.external()] })

  it.effect("external: no watchdog while others say that the user speaks; afterwards, without text, it ends the turn", () =>
    Effect.gen(function*() {
      const options: UserTurn.Options = { start: [TurnStart.external()], stopTimeout: "200 millis" }
      deepStrictEqual((yield* stopped(external, "user 1000 /user 199", options)).events, [
        "TurnStarted",
        "stopped by end"
      ])
      deepStrictEqual((yield* stopped(external, "user 1000 /user 200", options)).events, [
        "TurnStarted",
        "stopped by timeout"
      ])
    }))

  it.effect("external: proposals count as the user's voice for the watchdog", () =>
    Effect.gen(function*() {
      const options: UserTurn.Options = { start: [TurnStart.external()], stopTimeout: "200 millis" }
      strictEqual((yield* stopped(external, "9000 propose 1000 /propose 500", options)).trace, "9000 user ! 1200 /user")
      const adopted = TurnStart.transcription()
      strictEqual(
        (yield* stopped([], "9000 T 1000", { start: [adopted], stopTimeout: "200 millis" })).trace,
        "9000 user ! T 200 /user"
      )
    }))

  it.effect("proposals go no further where a strategy of their side decides on them", () =>
    Effect.gen(function*() {
      const line = "propose /propose"
      const on = (start: boolean, stop: ReadonlyArray<TurnStop.TurnStop>) =>
        Effect.map(
          stopped(stop, line, { start: start ? [TurnStart.external()] : [TurnStart.vad()] }),
          ({ trace }) => trace
        )
      strictEqual(yield* on(false, [A]), "propose /propose")
      strictEqual(yield* on(true, [A]), "user ! /propose /user")
      strictEqual(yield* on(false, external), "propose")
      strictEqual(yield* on(false, external.map(TurnStop.deferred)), "propose")
    }))

  const judged = [TurnStop.deferred(A), TurnStop.externalCompletion()]

  cases("externalCompletion: whoever judges ends the turn", judged, [
    ["S T E 150 done 500", "S user ! T E 100 infer 50 done /user"],
    ["S T E 150 ^done 500", "S user ! T E 100 infer 50 /user"],
    // the judgement comes too late: the user goes on
    ["S T E 150 S done 50 T E 120 done", "S user ! T E 100 infer 50 S done 50 T E 100 infer 20 done /user"],
    ["done", "done"],
    // once for what was said
    ["S T E 150 I I 100 T 50 done", "S user ! T E 100 infer 50 I I 100 T infer 50 done /user"]
  ])

  it.effect("deferred: first that an answer may begin; only the watchdog ends the turn, after the same time again", () =>
    Effect.gen(function*() {
      const { events, trace } = yield* stopped([TurnStop.deferred(A)], "S T E 1000", { stopTimeout: "300 millis" })
      strictEqual(trace, "S user ! T E 100 infer 300 /user")
      deepStrictEqual(events, ["TurnStarted", "InferenceTriggered", "stopped by timeout"])
      strictEqual(TurnFrames.UserTurnInferenceTriggeredFrame.make().kind, "system")
    }))

  it("refuses what cannot work", () => {
    throws(() => TurnStop.speechTimeout({ timeout: -5 }), "TurnStop.speechTimeout: timeout: found -5 ms")
    throws(() => TurnStop.external({ grace: -5 }), "TurnStop.external: grace: found -5 ms, expected a duration")
    throws(() => TurnStop.turnDetector({ threshold: 2 }), "TurnStop.turnDetector: threshold: found 2")
  })
})
