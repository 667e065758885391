import * as Mute from "@apipeline/core/Mute"
import * as UserTurn from "@apipeline/core/UserTurn"
import { InputDtmfFrame } from "@apipeline/core/VoiceFrames"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { frameOf, inWords, trace } from "../utils/turns.ts"

const { strictEqual } = assert

/** After each frame: muted (T) or not (F); the frames that a strategy does not ask for change nothing. */
const muted = (mute: Mute.Mute, line: string): string => {
  const tags = new Set(mute.frames.map((one) => typeof one === "string" ? one : one.tag))
  const push = mute.make()
  let is = mute.initial === true
  return line.split(" ").map((word) => {
    const frame = frameOf(word)
    if (tags.has(frame._tag)) is = push(frame)
    return is ? "T" : "F"
  }).join(" ")
}

describe("Mute", () => {
  it("always: while the bot speaks", () => {
    strictEqual(muted(Mute.always, "text bot text /bot text bot /bot"), "F T T F F T F")
  })

  it("firstSpeech: while the bot speaks for the first time", () => {
    strictEqual(muted(Mute.firstSpeech, "text bot text /bot text bot /bot"), "F T T F F F F")
  })

  it("untilFirstBotComplete: from the beginning until the bot has spoken", () => {
    strictEqual(muted(Mute.untilFirstBotComplete, "text bot text /bot text bot /bot"), "T T T F F F F")
  })

  it("functionCall: until each call has a result or was cancelled", () => {
    strictEqual(muted(Mute.functionCall, "call:1 text result:1 text"), "T T F F")
    strictEqual(muted(Mute.functionCall, "call:1 cancelled:1"), "T F")
    strictEqual(muted(Mute.functionCall, "call:1,2 result:1 result:1 cancelled:2 result:2"), "T T T F F")
    strictEqual(muted(Mute.functionCall, "call:1 call:2 result:2 result:1"), "T T T F")
    strictEqual(muted(Mute.functionCall, "result:3 call:1 result:3 cancelled:3 result:1"), "F T T T F")
  })

  it("the state of one does not touch another one's", () => {
    const first = Mute.firstSpeech.make()
    first(frameOf("bot"))
    first(frameOf("/bot"))
    strictEqual(first(frameOf("bot")), false)
    strictEqual(Mute.firstSpeech.make()(frameOf("bot")), true)
  })

  const out = (mute: ReadonlyArray<Mute.Mute>, line: string, options: UserTurn.Options = {}) =>
    Effect.map(trace(UserTurn.make({ mute, ...options }), line), ({ trace, up }) => `${trace} | ${inWords(up)}`)

  it.effect("what the user says does not pass, what is typed does; both sides are told", () =>
    Effect.gen(function*() {
      strictEqual(
        yield* out(
          [Mute.always],
          "audio bot S audio I T speaking E user /user propose text typed context done /bot audio"
        ),
        "audio mute text typed context done /mute audio | bot mute /bot /mute"
      )
    }))

  it.effect("it mutes once, as long as any strategy says so", () =>
    Effect.gen(function*() {
      strictEqual(
        yield* out([Mute.always, Mute.functionCall], "bot call:1 /bot S E result:1 bot /bot"),
        "mute /mute mute /mute | bot mute call /bot result /mute bot mute /bot /mute"
      )
    }))

  it.effect("a turn that is open, and voice activity, are over when the user is muted", () =>
    Effect.gen(function*() {
      const events: Array<UserTurn.Event> = []
      const onEvent = (event: UserTurn.Event) => Effect.sync(() => events.push(event))
      strictEqual(
        yield* out([Mute.always], "S T bot 500 E T 500 /bot 500 S T E 700", { onEvent }),
        "S user ! T E /user mute 1000 /mute 500 S user ! T E 600 /user | user ! bot /user mute /bot /mute user ! /user"
      )
      assert.deepStrictEqual(events, [
        { _tag: "TurnStarted", strategy: "vad" },
        { _tag: "TurnStopped", reason: "muted", strategy: undefined },
        { _tag: "MuteStarted" },
        { _tag: "MuteStopped" },
        { _tag: "TurnStarted", strategy: "vad" },
        { _tag: "TurnStopped", reason: "strategy", strategy: "speechTimeout" }
      ])
    }))

  it.effect("a voice that began while muted is not heard to its end", () =>
    Effect.gen(function*() {
      strictEqual(
        yield* out([Mute.always], "bot S 100 /bot 100 E 100 S E"),
        "mute 100 /mute 200 S user ! E /user | bot mute /bot /mute user !"
      )
      strictEqual(
        yield* out([Mute.always], "S bot 100 /bot 100 E 100 S E"),
        "S user ! E /user mute 100 /mute 200 S user ! E /user | user ! bot /user mute /bot /mute user !"
      )
    }))

  it.effect("a mute from the beginning follows the start, and has its end with the task", () =>
    Effect.gen(function*() {
      strictEqual(yield* out([Mute.untilFirstBotComplete], "S T E 1000 text"), "mute 1000 text /mute | mute")
      strictEqual(
        yield* out([Mute.untilFirstBotComplete], "bot /bot S"),
        "mute /mute S user ! /user | mute bot /bot /mute user !"
      )
    }))

  it.effect("a strategy of one's own may decide by what the user says", () =>
    Effect.gen(function*() {
      const star = Mute.make({
        name: "star",
        frames: [InputDtmfFrame],
        make: () => {
          let is = false
          return () => is = !is
        }
      })
      strictEqual(
        yield* out([star], "T key T key T"),
        "user ! T key /user mute key /mute user ! T /user | user ! /user mute /mute user !"
      )
    }))
})
