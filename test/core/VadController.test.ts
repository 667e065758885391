import * as VadController from "@apipeline/core/VadController"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Result, Schema } from "effect"

const { deepStrictEqual, strictEqual, throws } = assert

const params = (changes: Parameters<typeof VadController.params>[0] = {}): VadController.Params =>
  Result.getOrThrow(VadController.params({ minVolume: 0, startSecs: 0.3, stopSecs: 0.2, ...changes }))

/** Windows of 0.1 s: `#` is speech, `.` is not; a beginning is `+`, an end `-`, everything else the state. */
const line = (controller: VadController.Controller, windows: string): string =>
  Array.from(windows, (window) => {
    const change = controller.push(window === "#" ? 0.9 : 0.1, 1)
    if (change !== undefined) return change === "started" ? "+" : "-"
    return { quiet: "q", starting: "s", speaking: "S", stopping: "t" }[controller.state()]
  }).join("")

describe("make", () => {
  it("begins after startSecs without a gap, ends after stopSecs without speech", () => {
    strictEqual(
      line(VadController.make(0.1, params()), "..##.###.#..#.###..."),
      "qqssqss+tSt-sqss+t-q"
    )
  })

  it("at least one window is needed, however short the times are", () => {
    strictEqual(line(VadController.make(0.1, params({ startSecs: 0, stopSecs: 0 })), ".#.##."), "q+-+S-")
    strictEqual(line(VadController.make(1, params()), ".#.##."), "q+-+S-")
  })

  it("times are rounded to windows: 0.2 s are 6 windows of 32 ms", () => {
    const controller = VadController.make(0.032, params({ startSecs: 0.2, stopSecs: 0.5 }))
    strictEqual(line(controller, "#".repeat(7) + ".".repeat(17)), `sssss+S${"t".repeat(15)}-q`)
  })

  it("confidence and volume must both be high enough", () => {
    const controller = VadController.make(0.1, params({ confidence: 0.7, minVolume: 0.6, startSecs: 0 }))
    strictEqual(controller.push(0.69, 1), undefined)
    strictEqual(VadController.make(0.1, params({ minVolume: 0.6, startSecs: 0 })).push(0.7, 0.59), undefined)
    strictEqual(VadController.make(0.1, params({ minVolume: 0.6, startSecs: 0 })).push(0.7, 0.6), "started")
  })

  it("volume rises at once and falls slowly", () => {
    const controller = VadController.make(0.032, params({ minVolume: 0.6, startSecs: 0, stopSecs: 0 }))
    const seen = [0.2, 0.8, 0.5, 0.5, 0.5, 0.5, 0.5, 0.8].map((volume) => controller.push(1, volume))
    // 0.8, 0.74, 0.69, 0.65, 0.62, 0.598
    deepStrictEqual(seen, [undefined, "started", undefined, undefined, undefined, undefined, "stopped", "started"])
  })

  it("what is no number is no speech", () => {
    const controller = VadController.make(0.1, params({ minVolume: 0.1, startSecs: 0, stopSecs: 0 }))
    strictEqual(controller.push(NaN, 1), undefined)
    strictEqual(VadController.make(0.1, params({ minVolume: 0.1, startSecs: 0 })).push(1, NaN), undefined)
    controller.push(1, 1)
    for (let i = 0; i < 20; i++) controller.push(1, NaN)
    strictEqual(controller.isSpeaking(), false)
    strictEqual(controller.push(1, 1), "started")
  })

  it("new parameters leave a speech that has begun as it is", () => {
    const controller = VadController.make(0.1, params())
    strictEqual(line(controller, "###."), "ss+t")
    controller.setParams(params({ stopSecs: 0.4 }))
    strictEqual(controller.params().stopSecs, 0.4)
    strictEqual(line(controller, "..."), "tt-")
  })

  it("reset ends a speech, in a pause too", () => {
    const controller = VadController.make(0.1, params())
    strictEqual(controller.reset(), undefined)
    line(controller, "##")
    strictEqual(controller.reset(), undefined)
    strictEqual(line(controller, "##"), "ss")
    line(controller, "#")
    strictEqual(controller.reset(), "stopped")
    strictEqual(controller.state(), "quiet")
    line(controller, "###.")
    strictEqual(controller.reset(), "stopped")
    strictEqual(controller.reset(), undefined)
  })

  it("refuses windows without a length", () => {
    for (const n of [0, -1, NaN, Infinity]) {
      throws(() => VadController.make(n), TypeError, `VadController: windowSecs: found ${n}, expected`)
    }
  })

  const windows = Arbitrary.array(Arbitrary.schema(Schema.Literals([0, 0.3, 0.69, 0.7, 1])), { maxLength: 60 })
  it.effect.prop("beginnings and ends take turns", { windows }, ({ windows }) =>
    Effect.sync(() => {
      const controller = VadController.make(0.1, params())
      let speaking = false
      for (const probability of windows) {
        const change = controller.push(probability, 1)
        if (change !== undefined) {
          strictEqual(change, speaking ? "stopped" : "started")
          speaking = !speaking
        }
        strictEqual(controller.isSpeaking(), speaking)
      }
      strictEqual(controller.reset(), speaking ? "stopped" : undefined)
    }))
})

describe("params", () => {
  it("are those of the field unless others are given", () => {
    deepStrictEqual(Result.getOrThrow(VadController.params({})), {
      confidence: 0.7,
      startSecs: 0.2,
      stopSecs: 0.5,
      minVolume: 0.6
    })
    deepStrictEqual(Result.getOrThrow(VadController.params({ stopSecs: 1, minVolume: undefined }, params())), {
      confidence: 0.7,
      startSecs: 0.3,
      stopSecs: 1,
      minVolume: 0
    })
  })

  it("name what cannot work", () => {
    const cases = [
      [{ confidence: 1.1 }, "confidence: found 1.1, expected a number from 0 to 1"],
      [{ startSecs: -0.1 }, "startSecs: found -0.1, expected a number from 0 to 60"],
      [{ stopSecs: Infinity }, "stopSecs: found Infinity, expected a number from 0 to 60"],
      [{ minVolume: NaN }, "minVolume: found NaN, expected a number from 0 to 1"]
    ] as const
    for (const [changes, message] of cases) {
      const result = VadController.params(changes)
      assert(Result.isFailure(result))
      strictEqual(result.failure._tag, "VadParamsError")
      strictEqual(result.failure.message, message)
    }
  })
})
