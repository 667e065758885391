import * as Frame from "@apipeline/core/Frame"
import * as FrameLogger from "@apipeline/core/FrameLogger"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, type Layer, Logger, References, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { deepStrictEqual, strictEqual, throws } = assert

class Blob extends Frame.App<Blob>()("Blob", { bytes: Schema.Uint8Array }) {}

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const audio = (): Frame.AudioRawFrame =>
  Frame.AudioRawFrame.make({ audio: new Uint8Array(640).fill(7), sampleRate: 16000, numChannels: 1 })
const same = (name: string): Processor.Processor => Processor.sync(name, {})

/** Log lines, with the levels if asked for; what the kernel itself logs is left out. */
const capture = (options?: { readonly levels: boolean }): {
  readonly lines: Array<string>
  readonly layer: Layer.Layer<never>
} => {
  const lines: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") return
    const line = String(Array.isArray(message) ? message.join(" | ") : message)
    lines.push(options?.levels === true ? `${logLevel} ${line}` : line)
  })
  return { lines, layer: Logger.layer([logger]) }
}

/** Runs frames through both ways, and gives what left at each end. */
const run = Effect.fnUntraced(function*(
  pipeline: Pipeline.Element<never, never>,
  down: ReadonlyArray<Frame.Frame>,
  up: ReadonlyArray<Frame.Frame> = [],
  options?: PipelineTask.Options
) {
  const task = yield* PipelineTask.make(pipeline, options)
  const upstream = yield* Effect.forkChild(Stream.runCollect(task.upstream), { startImmediately: true })
  const output = yield* Effect.forkChild(Stream.runCollect(task.output), { startImmediately: true })
  yield* task.start
  yield* task.queueFrames(down)
  yield* TestClock.adjust("1 millis")
  yield* task.queueFrames(up, "upstream")
  yield* TestClock.adjust("1 millis")
  yield* task.stopWhenDone
  const out = yield* Fiber.join(output)
  strictEqual(out[0]?._tag, "StartFrame")
  strictEqual(out.at(-1)?._tag, "EndFrame")
  return { down: out.slice(1, -1), up: yield* Fiber.join(upstream) }
})

const assertSame = (found: ReadonlyArray<unknown>, expected: ReadonlyArray<unknown>): void => {
  strictEqual(found.length, expected.length)
  for (const [i, one] of expected.entries()) strictEqual(found[i], one)
}

describe("make", () => {
  it.effect("logs every frame, both ways and lifecycle frames too, and passes every one on", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const a = text("a")
      const sync = Frame.SyncFrame.make()
      const metrics = Frame.MetricsFrame.make({ data: [] })
      const b = text("b")
      const error = Frame.ErrorFrame.make({ error: new Error("no") })
      const out = yield* Effect.provide(run(FrameLogger.make(), [a, sync, metrics], [b, error]), layer)
      assertSame(out.down.filter((frame) => frame !== metrics), [a, sync])
      assertSame(out.up.filter((frame) => frame !== error), [b])
      assert.isTrue(out.down.includes(metrics) && out.up.includes(error))
      const ids = lines.filter((line) => /^-> FrameLogger: (Start|End)Frame#\d+/.test(line))
      strictEqual(ids.length, 2)
      strictEqual(lines[0], ids[0])
      strictEqual(lines.at(-1), ids[1])
      deepStrictEqual(
        lines.slice(1, -1).sort(),
        [
          `-> FrameLogger: ${a.name}("a")`,
          `-> FrameLogger: ${sync.name}`,
          `-> FrameLogger: ${metrics.name}`,
          `<- FrameLogger: ${b.name}("b")`,
          `<- FrameLogger: ${error.name}(no)`
        ].sort()
      )
    }))

  it.effect("logs interruptions, stops and cancels", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const steps = Effect.gen(function*() {
        const task = yield* PipelineTask.make(FrameLogger.make({ ignore: ["StartFrame"] }))
        yield* task.start
        yield* task.interrupt
        yield* task.queueFrame(Frame.StopInterruptionFrame.make())
        yield* task.cancel("enough")
        const other = yield* PipelineTask.make(FrameLogger.make({ ignore: ["StartFrame"] }))
        yield* other.start
        yield* other.stopTask
        yield* other.await
      })
      yield* Effect.provide(steps, layer)
      deepStrictEqual(lines.map((line) => line.replace(/#\d+/, "")), [
        "-> FrameLogger: StartInterruptionFrame",
        "-> FrameLogger: StopInterruptionFrame",
        "-> FrameLogger: CancelFrame(reason: \"enough\")",
        "-> FrameLogger: StopTaskFrame"
      ])
    }))

  it.effect("logs before the frame goes on, in order", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const echo = Processor.effect("Echo", {
        TextFrame: (frame: Frame.TextFrame, { push }: Processor.ProcessorContext) =>
          Effect.andThen(Effect.log(`handled ${frame.text}`), push(frame))
      })
      const pipeline = Pipeline.make(FrameLogger.make({ include: ["TextFrame"] }), echo)
      const [a, b] = [text("a"), text("b")]
      yield* Effect.provide(run(pipeline, [a, b]), layer)
      deepStrictEqual(lines, [
        `-> FrameLogger: ${a.name}("a")`,
        "handled a",
        `-> FrameLogger: ${b.name}("b")`,
        "handled b"
      ])
    }))

  it.effect("include and ignore, by tag or by class", () =>
    Effect.gen(function*() {
      const frames = [text("a"), audio(), Blob.make({ bytes: new Uint8Array(3) })]
      const [a, sound, blob] = frames.map((frame) => `-> FrameLogger: ${Frame.format(frame)}`)
      const logged = Effect.fnUntraced(function*(options: FrameLogger.Options) {
        const { layer, lines } = capture()
        const out = yield* Effect.provide(run(FrameLogger.make(options), frames), layer)
        assertSame(out.down, frames)
        return lines.filter((line) => !/StartFrame|EndFrame/.test(line))
      })
      deepStrictEqual(yield* logged({}), [a, sound, blob])
      deepStrictEqual(yield* logged({ include: ["TextFrame"] }), [a])
      deepStrictEqual(yield* logged({ include: [Frame.AudioRawFrame, "Blob"] }), [sound, blob])
      deepStrictEqual(yield* logged({ ignore: [Blob, "TextFrame"] }), [sound])
      deepStrictEqual(yield* logged({ include: [Frame.TextFrame, Blob], ignore: ["TextFrame"] }), [blob])
      deepStrictEqual(yield* logged({ include: [] }), [])
      deepStrictEqual(yield* logged({ include: ["run", "upstream", "onStart", "data", "TextFrame"] }), [a])
    }))

  it.effect("include takes lifecycle frames", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      yield* Effect.provide(run(FrameLogger.make({ include: [Frame.EndFrame] }), [text("a")]), layer)
      deepStrictEqual(lines.map((line) => line.replace(/#\d+/, "")), ["-> FrameLogger: EndFrame"])
    }))

  it.effect("every n-th frame of each tag, from the first on", () =>
    Effect.gen(function*() {
      const frames = [text("1"), text("2"), audio(), text("3"), text("4"), audio(), text("5"), text("6"), audio()]
      const logged = Effect.fnUntraced(function*(options: FrameLogger.Options) {
        const { layer, lines } = capture()
        const out = yield* Effect.provide(run(FrameLogger.make(options), frames), layer)
        assertSame(out.down, frames)
        return frames.filter((frame) => lines.includes(`-> FrameLogger: ${Frame.format(frame)}`))
      })
      const [one, , first, three, four, , five, , third] = frames
      deepStrictEqual(yield* logged({ every: 3 }), [one, first, four])
      deepStrictEqual(yield* logged({ every: { TextFrame: 2 } }), [one, first, three, frames[5], five, third])
      deepStrictEqual(yield* logged({ every: { TextFrame: 100, AudioRawFrame: 2 } }), [one, first, third])
      deepStrictEqual(yield* logged({ every: 1 }), frames)
    }))

  it.effect("every counts the two directions apart", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const [a, b, c, d] = [text("a"), text("b"), text("c"), text("d")]
      yield* Effect.provide(run(FrameLogger.make({ every: 2, include: ["TextFrame"] }), [a, b, c], [d]), layer)
      deepStrictEqual(lines, [`-> FrameLogger: ${a}`, `-> FrameLogger: ${c}`, `<- FrameLogger: ${d}`])
    }))

  it.effect("every counts only what would be logged, for each task anew", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const logger = FrameLogger.make({ every: 2, include: ["TextFrame"], direction: "upstream" })
      const [a, b, c] = [text("a"), text("b"), text("c")]
      yield* Effect.provide(run(logger, [text("x")], [a, b, c]), layer)
      yield* Effect.provide(run(logger, [], [b]), layer)
      deepStrictEqual(lines, [a, c, b].map((frame) => `<- FrameLogger: ${Frame.format(frame)}`))
    }))

  it.effect("direction", () =>
    Effect.gen(function*() {
      const [down, up] = [text("down"), text("up")]
      const logged = Effect.fnUntraced(function*(direction: Frame.Direction | undefined) {
        const { layer, lines } = capture()
        const logger = FrameLogger.make({ direction, include: ["TextFrame", "EndFrame"] })
        yield* Effect.provide(run(logger, [down], [up]), layer)
        return lines.map((line) => line.replace(/#\d+/, ""))
      })
      const line = "-> FrameLogger: TextFrame(\"down\")"
      const end = "-> FrameLogger: EndFrame"
      deepStrictEqual(yield* logged("downstream"), [line, end])
      deepStrictEqual(yield* logged("upstream"), ["<- FrameLogger: TextFrame(\"up\")"])
      deepStrictEqual(yield* logged(undefined), [line, "<- FrameLogger: TextFrame(\"up\")", end])
    }))

  it.effect("prefix, colour and the processor's name in the pipeline", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const pipeline = Pipeline.make(
        FrameLogger.make({ include: ["TextFrame"], prefix: "2.0" }),
        FrameLogger.make({ include: ["TextFrame"], color: "red" }),
        FrameLogger.make({ include: ["TextFrame"], name: "out", prefix: "3", color: "gray" })
      )
      const frame = text("你好")
      yield* Effect.provide(run(pipeline, [frame]), layer)
      deepStrictEqual(lines, [
        `2.0 -> FrameLogger: ${frame.name}("你好")`,
        `\u001b[31m-> FrameLogger-2: ${frame.name}("你好")\u001b[0m`,
        `\u001b[90m3 -> out: ${frame.name}("你好")\u001b[0m`
      ])
    }))

  it.effect("goes to the loggers at its level, and nowhere below the minimum", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture({ levels: true })
      const log = (level?: FrameLogger.Options["level"]) =>
        FrameLogger.make({ level, include: ["TextFrame"], name: "L" })
      const frame = text("a")
      const pipeline = Pipeline.make(log(), log("Debug"), log("Trace"), log("Error"))
      const out = yield* run(pipeline, [frame]).pipe(
        Effect.provide(layer),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      assertSame(out.down, [frame])
      deepStrictEqual(
        lines,
        ["Info -> L", "Debug -> L-2", "Error -> L-4"].map((start) => `${start}: ${frame.name}("a")`)
      )
    }))

  it.effect("below the minimum no line is made", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      let reads = 0
      const frame = Object.defineProperty(Blob.make({ bytes: new Uint8Array(1) }), "bytes", {
        enumerable: true,
        get: () => ++reads
      })
      const logger = () => FrameLogger.make({ level: "Debug", include: [Blob] })
      yield* Effect.provide(run(logger(), [frame]), layer)
      deepStrictEqual([lines, reads], [[], 0])
      yield* run(logger(), [frame]).pipe(
        Effect.provide(layer),
        Effect.provideService(References.MinimumLogLevel, "Debug")
      )
      deepStrictEqual([lines, reads], [[`-> FrameLogger: ${frame.name}(bytes: 1)`], 1])
    }))

  it.effect("never shows bytes", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const image = Frame.ImageRawFrame.make({
        image: new Uint8Array(12).fill(7),
        width: 2,
        height: 2,
        format: "RAW",
        mode: "RGB"
      })
      const frames = [audio(), image, Blob.make({ bytes: new Uint8Array(5).fill(7) })]
      const tags = frames.map((frame) => frame._tag)
      yield* Effect.provide(run(FrameLogger.make({ include: tags }), frames), layer)
      deepStrictEqual(lines.map((line) => line.replace(/#\d+/, "")), [
        "-> FrameLogger: AudioRawFrame(640 B, 16 kHz, mono, 20 ms)",
        "-> FrameLogger: ImageRawFrame(2x2 RAW RGB, 12 B)",
        "-> FrameLogger: Blob(bytes: 5 B)"
      ])
    }))

  it.effect("a logger that fails is told upstream, once, and swallows nothing", () =>
    Effect.gen(function*() {
      let calls = 0
      const broken = Logger.layer([Logger.make(({ logLevel }) => {
        if (logLevel !== "Info") return
        calls++
        throw new Error("the disk is full")
      })])
      const frames = [text("a"), audio(), text("b")]
      const upwards = [text("c")]
      const logger = FrameLogger.make({ ignore: ["StartFrame"] })
      const out = yield* Effect.provide(run(logger, frames, upwards), broken)
      assertSame(out.down, frames)
      strictEqual(calls, 1)
      const [error, ...rest] = out.up
      assert(Frame.ErrorFrame.is(error))
      strictEqual(String(error.error), "Error: the disk is full")
      strictEqual(error.fatal, false)
      strictEqual(error.processor, "FrameLogger")
      assertSame(rest, upwards)
    }))

  it("checks every", () => {
    for (const every of [0, -1, 1.5, NaN, Infinity]) {
      const message = `FrameLogger: every: found ${every}, expected a positive integer`
      throws(() => FrameLogger.make({ every }), TypeError, message)
      throws(() => FrameLogger.observer({ every }), TypeError, message)
      throws(
        () => FrameLogger.make({ every: { TextFrame: every } }),
        TypeError,
        `FrameLogger: every.TextFrame: found ${every}, expected a positive integer`
      )
    }
  })

  const data = Arbitrary.array(Arbitrary.schema(Frame.DataFrame), { maxLength: 8 })
  const every = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4 })))
  it.effect.prop(
    "passes any frames, the same ones, in order",
    { data, every, up: data },
    ({ data, every, up }) =>
      Effect.gen(function*() {
        const { layer } = capture()
        const out = yield* Effect.provide(run(FrameLogger.make({ every }), data, up), layer)
        assertSame(out.down, data)
        assertSame(out.up, up)
      }),
    { arbitrary: { runs: 50 } }
  )
})

describe("observer", () => {
  it.effect("logs what each frame moves from and to, the pipeline from left to right", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const [down, up] = [text("down"), text("up")]
      const observers = [FrameLogger.observer({ include: [Frame.TextFrame] })]
      yield* Effect.provide(run(Pipeline.make(same("A"), same("B")), [down], [up], { observers }), layer)
      deepStrictEqual(lines, [
        `task -> A: ${down.name}("down")`,
        `A -> B: ${down.name}("down")`,
        `B -> task: ${down.name}("down")`,
        `B <- task: ${up.name}("up")`,
        `A <- B: ${up.name}("up")`,
        `task <- A: ${up.name}("up")`
      ])
    }))

  it.effect("takes the options of the processor", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture({ levels: true })
      const frames = [text("1"), audio(), text("2"), text("3"), text("4")]
      const observer = FrameLogger.observer({
        ignore: ["AudioRawFrame", "EndFrame"],
        every: 3,
        direction: "downstream",
        level: "Error",
        prefix: "call 7",
        color: "green",
        name: "calls"
      })
      strictEqual(observer.name, "calls")
      yield* Effect.provide(run(same("A"), frames, [text("up")], { observers: [observer] }), layer)
      deepStrictEqual(lines, [
        `Error \u001b[32mcall 7 task -> A: ${frames[0]}\u001b[0m`,
        `Error \u001b[32mcall 7 A -> task: ${frames[0]}\u001b[0m`,
        `Error \u001b[32mcall 7 task -> A: ${frames[4]}\u001b[0m`,
        `Error \u001b[32mcall 7 A -> task: ${frames[4]}\u001b[0m`
      ])
    }))

  it.effect("logs what does not arrive", () =>
    Effect.gen(function*() {
      const { layer, lines } = capture()
      const stuck = Processor.queued("Stuck", { TextFrame: () => Effect.never })
      const [a, b] = [text("a"), text("b")]
      const steps = Effect.gen(function*() {
        const task = yield* PipelineTask.make(stuck, {
          observers: [FrameLogger.observer({ ignore: [Frame.AudioRawFrame], direction: "upstream" })]
        })
        yield* task.start
        yield* task.queueFrames([a, b, audio()])
        yield* TestClock.adjust("1 millis")
        yield* task.interrupt
        yield* TestClock.adjust("1 millis")
      })
      yield* Effect.provide(steps, layer)
      deepStrictEqual(lines, [`Stuck dropped ${b.name}("b"): interrupted`])
    }))

  it.effect("a logger that fails detaches the observer and touches no frame", () =>
    Effect.gen(function*() {
      const broken = Logger.layer([Logger.make(({ logLevel }) => {
        if (logLevel === "Info") throw new Error("the disk is full")
      })])
      const frames = [text("a"), text("b")]
      const out = yield* Effect.provide(run(same("A"), frames, [], { observers: [FrameLogger.observer()] }), broken)
      assertSame(out.down, frames)
    }))
})
