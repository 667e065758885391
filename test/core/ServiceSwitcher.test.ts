import { Frame, Pipeline, PipelineTask, Processor } from "@apipeline/core"
import * as ServiceSwitcher from "@apipeline/core/ServiceSwitcher"
import { act, interrupt, leaks, payload, run, settle, show, sleep, upstream } from "@apipeline/core/testing"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual } from "@effect/vitest/utils"
import { Cause, Context, Data, Effect, Exit, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"

const { failover, RequestMetadataFrame, ServiceMetadataFrame, ServiceSettingsFrame, SwitchServiceFrame } =
  ServiceSwitcher

class Urgent extends Frame.App<Urgent>()("Urgent", { n: Schema.Finite }, { kind: "system" }) {}
class Keep extends Frame.App<Keep>()("Keep", { n: Schema.Finite }, { uninterruptible: true }) {}
class Boom extends Data.TaggedError("Boom")<{ readonly n?: number }> {}

const text = (text: string): Frame.TextFrame => Frame.TextFrame.make({ text })
const texts = (...all: ReadonlyArray<string>): Array<string> => all.map((t) => `TextFrame("${t}")`)
const to = (service: string): ServiceSwitcher.SwitchServiceFrame => SwitchServiceFrame.make({ service })
const words = (frames: Iterable<Frame.Frame>): Array<string> =>
  payload(frames).map((frame) =>
    Frame.TextFrame.is(frame)
      ? frame.text
      : ServiceMetadataFrame.is(frame)
      ? `M:${frame.service}`
      : ServiceSettingsFrame.is(frame)
      ? `S:${JSON.stringify(frame.settings)}`
      : Urgent.is(frame)
      ? `!${frame.n}`
      : Keep.is(frame)
      ? `keep ${frame.n}`
      : Frame.ErrorFrame.is(frame)
      ? `${frame.processor}: ${String(frame.error)}`
      : frame._tag
  )

type Log = Array<string>
const what = (frame: Frame.Frame): string => words([frame])[0] ?? frame._tag

/** Remembers what it sees, and lets it pass. */
const same = (name: string, log: Log = []) =>
  Processor.sync(name, () => {
    const see = (frame: Frame.Frame, push: Processor.Push) => {
      log.push(`${name}: ${what(frame)}`)
      push(frame)
    }
    const told = (frame: Frame.Frame) => void log.push(`${name}: ${frame._tag}`)
    return {
      data: see,
      control: see,
      system: see,
      StartFrame: told,
      EndFrame: told,
      StartInterruptionFrame: told,
      upstream: { data: see, control: see, system: see }
    }
  })

/** Marks texts, taking its time. */
const slow = (name: string, millis: number) =>
  Processor.queued(name, {
    TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(millis), push(text(`${frame.text}.${name}`))),
    upstream: {
      TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(millis), push(text(`${frame.text}.${name}`)))
    }
  })

/** Marks texts at once. */
const quick = (name: string) =>
  Processor.sync(name, {
    TextFrame: (frame, push) => push(text(`${frame.text}.${name}`)),
    upstream: { TextFrame: (frame, push) => push(text(`${frame.text}.${name}`)) }
  })

/** Does what the text says. */
const fragile = (name: string, wire?: Wire) =>
  Processor.effect(name, {
    TextFrame: (frame, context) =>
      frame.text === "recoverable"
        ? context.report(new Boom({ n: 0 }))
        : frame.text === "fatal"
        ? context.report(new Boom({ n: 1 }), { fatal: true })
        : frame.text === "unusable"
        ? context.report(new Boom({ n: 2 }), { unusable: true })
        : frame.text === "fail"
        ? Effect.fail(new Boom({ n: 3 }))
        : frame.text === "die"
        ? Effect.die(new Error("bug"))
        : context.push(text(`${frame.text}.${name}`)),
    onStart: (_, context) =>
      Effect.sync(() => {
        wire?.set(name, context)
      })
  })

/** How a test reaches services from outside of the stream, as their background work would. */
type Wire = Map<string, Processor.ProcessorContext>
const lose = (wire: Wire, name: string, n = 9) =>
  act(() => Effect.suspend(() => wire.get(name)!.report(new Boom({ n }), { unusable: true })))
const revive = (wire: Wire, name: string) => act(() => Effect.suspend(() => wire.get(name)!.recovered))
const usable = (expected: Record<string, boolean>) =>
  act((task) =>
    Effect.map(task.processors, (all) => {
      for (const [name, is] of Object.entries(expected)) {
        assert.strictEqual(all.find((processor) => processor.name === name)?.usable, is, name)
      }
    })
  )

const events = () => {
  const log: Log = []
  return {
    log,
    onServiceSwitched: ({ from, reason, to }: ServiceSwitcher.ServiceSwitched) =>
      Effect.sync(() => void log.push(`${from} -> ${to} (${reason})`)),
    onUsableChanged: (usable: boolean) => Effect.sync(() => void log.push(usable ? "usable" : "unusable"))
  }
}

describe("strategies", () => {
  const state = (active: string, ...usable: ReadonlyArray<boolean>): ServiceSwitcher.State => ({
    active,
    services: ["a", "b", "c"].slice(0, usable.length).map((name, i) => ({ name, usable: usable[i]! }))
  })
  const failure = (service: string, unusable = true) => ({ service, unusable, cause: Cause.fail("gone") })

  it("manual decides nothing", () => {
    deepStrictEqual(ServiceSwitcher.manual, {})
  })

  it("failover: the next usable service, round and round", () => {
    const next = (active: string, ...usable: ReadonlyArray<boolean>) =>
      failover.onError!(failure(active), state(active, ...usable))
    assert.strictEqual(next("a", false, true, true), "b")
    assert.strictEqual(next("b", true, false, true), "c")
    assert.strictEqual(next("c", true, true, false), "a")
    assert.strictEqual(next("a", false, false, true), "c")
    assert.strictEqual(next("b", true, false, false), "a")
    assert.strictEqual(next("a", false, false, false), undefined)
    assert.strictEqual(next("a", false), undefined)
    assert.strictEqual(failover.onError!(failure("a", false), state("a", true, true)), undefined)
    assert.strictEqual(failover.onRecovered!("b", state("a", false, true)), "b")
    assert.strictEqual(failover.onRecovered!("b", state("a", true, true)), undefined)
    assert.strictEqual(failover.onFrame, undefined)
  })
})

describe("switching", () => {
  it.effect("frames of all kinds go into the active service only; lifecycle frames are told to all, the end leaves once", () =>
    Effect.gen(function*() {
      const log: Log = []
      const switcher = ServiceSwitcher.make({ a: same("a", log), b: same("b", log), c: same("c", log) })
      const { down, up } = yield* run(switcher, [
        text("1"),
        Urgent.make({ n: 1 }),
        text("2"),
        Frame.SyncFrame.make(),
        sleep("1 millis"),
        interrupt,
        upstream(text("u")),
        upstream(Urgent.make({ n: 2 })),
        sleep("1 millis")
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "Urgent(n: 1)",
        ...texts("1", "2"),
        "SyncFrame",
        "StartInterruptionFrame",
        "EndFrame"
      ])
      deepStrictEqual(words(up), ["!2", "u"])
      const told = (name: string) => [`${name}: StartInterruptionFrame`]
      deepStrictEqual(log, [
        "a: StartFrame",
        "b: StartFrame",
        "c: StartFrame",
        "a: !1",
        "a: 1",
        "a: 2",
        "a: SyncFrame",
        ...told("a"),
        ...told("b"),
        ...told("c"),
        "a: !2",
        "a: u",
        "a: EndFrame",
        "b: EndFrame",
        "c: EndFrame"
      ])
    }))

  it.effect("by hand: the frame goes no further, later frames go into the other service, an event tells", () =>
    Effect.gen(function*() {
      const log: Log = []
      const { log: told, ...options } = events()
      const switcher = ServiceSwitcher.make({ a: same("a", log), b: same("b", log), c: same("c", log) }, options)
      const { down, up } = yield* run(switcher, [text("1"), to("b"), text("2"), to("b"), to("c"), text("3"), to("a")])
      deepStrictEqual(show(down), ["StartFrame", ...texts("1", "2", "3"), "EndFrame"])
      deepStrictEqual(up, [])
      deepStrictEqual(told, ["a -> b (manual)", "b -> c (manual)", "c -> a (manual)"])
      deepStrictEqual(log.filter((line) => !line.endsWith("Frame")), ["a: 1", "b: 2", "c: 3"])
    }))

  it.effect("an unknown service: the frame passes, nothing changes, no event", () =>
    Effect.gen(function*() {
      const { log: told, ...options } = events()
      const { down } = yield* run(ServiceSwitcher.make({ a: quick("A"), b: quick("B") }, options), [
        to("z"),
        text("1")
      ])
      deepStrictEqual(words(down), ["SwitchServiceFrame", "1.A"])
      deepStrictEqual(told, [])
    }))

  it.effect("two switchers in a row: each takes its own", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.make(
        ServiceSwitcher.make({ a: quick("a"), b: quick("b") }),
        ServiceSwitcher.make({ x: quick("x"), y: quick("y") })
      )
      const { down, up } = yield* run(pipeline, [
        text("1"),
        to("y"),
        text("2"),
        to("b"),
        text("3"),
        // and in the other direction
        sleep("1 millis"),
        upstream(text("u")),
        upstream(to("a")),
        upstream(text("v")),
        sleep("1 millis"),
        text("4")
      ])
      deepStrictEqual(words(down), ["1.a.x", "2.a.y", "3.b.y", "4.a.y"])
      deepStrictEqual(words(up), ["u.y.b", "v.y.a"])
    }))

  it.effect("order is kept over a switch, although both services work at once", () =>
    Effect.gen(function*() {
      const { down } = yield* run(ServiceSwitcher.make({ a: slow("a", 50), b: slow("b", 10) }), [
        text("1"),
        text("2"),
        to("b"),
        text("3"),
        to("a"),
        text("4"),
        sleep("60 millis"),
        text("5"),
        to("b"),
        text("6")
      ])
      deepStrictEqual(words(down), ["1.a", "2.a", "3.b", "4.a", "5.a", "6.b"])
    }))

  it.effect("what the new service makes is there as soon as the one before is done", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const below = Processor.sync("Below", { TextFrame: (frame) => void seen.push(frame.text) })
      const switcher = ServiceSwitcher.make({ a: slow("a", 50), b: slow("b", 40), c: quick("c") })
      yield* run(Pipeline.make(switcher, below), [
        text("1"),
        to("b"),
        text("2"),
        to("c"),
        text("3"),
        sleep("49 millis"),
        act(() => Effect.sync(() => deepStrictEqual(seen, []))),
        sleep("1 millis"),
        act(() => Effect.sync(() => deepStrictEqual(seen, ["1.a", "2.b", "3.c"])))
      ])
    }))

  it.effect("order is kept upstream, too, and below an effectful processor that shares the lane", () =>
    Effect.gen(function*() {
      const wait = Processor.effect("Wait", {
        TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(1), push(frame)),
        upstream: { TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(1), push(frame)) }
      })
      const pipeline = Pipeline.make(wait, ServiceSwitcher.make({ a: slow("a", 50), b: quick("b") }), same("Below"))
      const steps = [text("1"), text("2")].flatMap((frame) => [frame, upstream(frame)])
      const { down, up } = yield* run(pipeline, [
        ...steps,
        sleep("10 millis"),
        to("b"),
        sleep("1 millis"),
        ...[text("3"), text("4")].flatMap((frame) => [frame, upstream(frame)]),
        sleep("200 millis")
      ])
      deepStrictEqual(words(down), ["1.a", "2.a", "3.b", "4.b"])
      deepStrictEqual(words(up), ["1.a", "2.a", "3.b", "4.b"])
    }))

  it.effect("inline services: many frames, many switches, nothing lost, in order", () =>
    Effect.gen(function*() {
      const names = ["a", "b", "c"]
      const steps = Array.from({ length: 300 }, (_, i) => i % 7 === 0 ? to(names[(i * 5) % 3]!) : text(String(i)))
      const services = { a: same("a"), b: Pipeline.make(slow("s", 1), same("b")), c: Processor.concurrent(same("c")) }
      const { down } = yield* run(ServiceSwitcher.make(services), steps)
      deepStrictEqual(
        words(down).map((word) => parseInt(word)),
        steps.flatMap((step) => Frame.TextFrame.is(step) ? [Number(step.text)] : [])
      )
    }))

  it.effect("a processor further down may ask for another service", () =>
    Effect.gen(function*() {
      const ask = Processor.sync("Ask", {
        TextFrame: (frame, push) => {
          push(frame)
          if (frame.text === "1.a") push.upstream(to("b"))
        }
      })
      const pipeline = Pipeline.make(ServiceSwitcher.make({ a: quick("a"), b: quick("b") }), ask)
      const { down, up } = yield* run(pipeline, [text("1"), sleep("1 millis"), text("2")])
      deepStrictEqual(words(down), ["1.a", "2.b"])
      deepStrictEqual(up, [])
    }))

  it.effect("what a service pushes of its own accord while it is not active is held back and counted", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const tell = (name: string, word: string) =>
        act(() => Effect.suspend(() => wire.get(name)!.pushDownstream(text(word))))
      const shout = (name: string, n: number) =>
        act(() => Effect.suspend(() => wire.get(name)!.pushUpstream(Urgent.make({ n }))))
      const { down, up } = yield* run(ServiceSwitcher.make({ a: fragile("a", wire), b: fragile("b", wire) }), [
        sleep("1 millis"),
        tell("a", "from a"),
        tell("b", "from b"),
        shout("a", 1),
        shout("b", 2),
        sleep("1 millis"),
        act((task) => Effect.map(task.drops, (drops) => assert.strictEqual(drops.inactive, 2))),
        to("b"),
        sleep("1 millis"),
        tell("a", "too late"),
        tell("b", "in time"),
        sleep("1 millis"),
        act((task) => Effect.map(task.drops, (drops) => assert.strictEqual(drops.inactive, 3)))
      ])
      deepStrictEqual(words(down), ["from a", "in time"])
      deepStrictEqual(words(up), ["!1"])
    }))

  it.effect("a system frame comes out where it went in, also after a switch", () =>
    Effect.gen(function*() {
      const thinks = Processor.effect("Thinks", {
        Urgent: (frame, { push }) => Effect.andThen(Effect.sleep("10 millis"), push(frame))
      }, { frames: [Urgent] })
      const { down } = yield* run(ServiceSwitcher.make({ a: thinks, b: same("b") }), [
        Urgent.make({ n: 1 }),
        to("b"),
        sleep("1 millis"),
        Urgent.make({ n: 2 }),
        sleep("20 millis")
      ])
      deepStrictEqual(words(down), ["!2", "!1"])
    }))

  it.effect("a strategy of one's own chooses by the frames that come; each task gets its own", () =>
    Effect.gen(function*() {
      const { log: told, ...options } = events()
      let made = 0
      const strategy = (): ServiceSwitcher.Strategy => {
        made++
        return {
          onFrame: (frame, { services }) =>
            Frame.TextFrame.is(frame)
              ? services.find(({ name }) => frame.text.startsWith(name))?.name
              : Urgent.is(frame)
              ? "en"
              : undefined
        }
      }
      const switcher = ServiceSwitcher.make({ en: quick("EN"), de: quick("DE") }, { strategy, ...options })
      const once = run(switcher, [
        text("en 1"),
        text("de 2"),
        text("3"),
        sleep("1 millis"),
        Urgent.make({ n: 1 }),
        text("4")
      ])
      const { down } = yield* once
      deepStrictEqual(words(down), ["en 1.EN", "de 2.DE", "3.DE", "!1", "4.EN"])
      deepStrictEqual(told, ["en -> de (frame)", "de -> en (frame)"])
      yield* once
      assert.strictEqual(made, 2)
    }))

  it.effect("a strategy that throws, or names nobody, is a defect of the switcher", () =>
    Effect.gen(function*() {
      for (const onFrame of [() => "nobody", (): never => assert.fail("bug")]) {
        const switcher = ServiceSwitcher.make({ a: quick("A") }, { name: "S", strategy: { onFrame } })
        const { exit } = yield* run(switcher, [text("1"), sleep("1 millis")], { end: false })
        assert.isTrue(Exit.isFailure(exit))
        assert.match(String(exit), /S failed: .*(nobody|bug)/s)
      }
    }))

  it.effect("callbacks use services, run beside the frames, and may fail", () =>
    Effect.gen(function*() {
      class Sink
        extends Context.Service<Sink, { readonly write: (line: string) => Effect.Effect<void> }>()("test/Sink")
      {}
      class Bot extends Pipeline.Service<Bot>()(
        "test/Bot",
        ServiceSwitcher.make({ a: quick("A"), b: quick("B") }, {
          onServiceSwitched: ({ to }) =>
            Effect.gen(function*() {
              yield* (yield* Sink).write(to)
              return yield* Effect.fail("told")
            })
        })
      ) {}
      const lines: Array<string> = []
      const { down, exit } = yield* run(Bot, [to("b"), text("1")]).pipe(
        Effect.provide(Bot.layer.pipe(
          Layer.provide(Layer.succeed(Sink, { write: (line) => Effect.sync(() => void lines.push(line)) }))
        ))
      )
      deepStrictEqual(words(down), ["1.B"])
      deepStrictEqual(lines, ["b"])
      assert.isTrue(Exit.isSuccess(exit))
    }))

  it.effect("names are checked", () =>
    Effect.gen(function*() {
      const refused = (pipeline: Pipeline.Element<any, never>) =>
        Effect.map(Effect.flip(Effect.scoped(PipelineTask.make(pipeline))), (error) => error.message)
      const expected = "expected a name of its own for a service"
      assert.include(yield* refused(ServiceSwitcher.make({ 1: quick("A") })), `found a number, ${expected}`)
      assert.include(
        yield* refused(Pipeline.make(ServiceSwitcher.make({ a: quick("A") }), ServiceSwitcher.make({ a: quick("B") }))),
        `processors[1].a: found the name of another processor, ${expected}`
      )
      assert.include(yield* refused(ServiceSwitcher.make({})), "expected at least one branch")
      const task = yield* PipelineTask.make(Pipeline.make(
        ServiceSwitcher.make({ a: quick("A"), b: Pipeline.make(quick("B"), quick("C")) }),
        ServiceSwitcher.make({ c: quick("A") }),
        quick("a")
      ))
      deepStrictEqual((yield* task.processors).map(({ name }) => name), [
        "ServiceSwitcher",
        "a",
        "B",
        "C",
        "ServiceSwitcher-2",
        "c",
        "a-2"
      ])
    }).pipe(Effect.scoped))

  it.effect("metrics count what comes to a switcher and what leaves it", () =>
    Effect.gen(function*() {
      const { down } = yield* run(ServiceSwitcher.make({ a: quick("A"), b: quick("B") }), [
        text("1"),
        to("b"),
        text("2"),
        sleep("1 millis"),
        act((task) =>
          Effect.map(task.metrics, (all) => {
            const of = (name: string) => all.find(({ processor }) => processor === name)!
            assert.strictEqual(of("ServiceSwitcher").framesIn.data, 2)
            assert.strictEqual(of("ServiceSwitcher").framesOut.data, 2)
            assert.strictEqual(of("ServiceSwitcher").framesIn.control, 1)
            assert.strictEqual(of("ServiceSwitcher").framesOut.control, 0)
            assert.strictEqual(of("a").framesIn.data, 1)
          })
        )
      ], { enableMetrics: true })
      deepStrictEqual(words(down).filter((word) => word !== "MetricsFrame"), ["1.A", "2.B"])
    }))
})

describe("metadata", () => {
  const tells = (name: string, log: Log) =>
    Processor.sync(name, () => {
      const metadata = () => ServiceMetadataFrame.make({ service: name, info: { voice: name } })
      return {
        onStart: (_, push) => push(metadata()),
        RequestMetadataFrame: (frame, push) => {
          log.push(`${name}: ${frame.service}`)
          push(metadata())
        }
      }
    }, { frames: [RequestMetadataFrame] })

  it.effect("only the active service's gets out; one that becomes active is asked once", () =>
    Effect.gen(function*() {
      const log: Log = []
      const { down } = yield* run(ServiceSwitcher.make({ a: tells("a", log), b: tells("b", log), c: same("c") }), [
        text("1"),
        to("b"),
        text("2"),
        to("c"),
        text("3")
      ])
      deepStrictEqual(words(down), ["M:a", "1", "M:b", "2", "3"])
      deepStrictEqual(log, ["b: b"])
    }))

  it.effect("not twice when the set-up of another has failed", () =>
    Effect.gen(function*() {
      const bad = Processor.effect("Bad", Effect.as(Effect.fail(new Boom({})), {}))
      const { down } = yield* run(ServiceSwitcher.make({ bad, b: tells("b", []) }, { strategy: failover }), [text("1")])
      deepStrictEqual(words(down), ["M:b", "1"])
    }))

  it.effect("by a slow service, in order", () =>
    Effect.gen(function*() {
      const { down } = yield* run(
        ServiceSwitcher.make({ a: slow("a", 20), b: Pipeline.make(slow("b", 5), tells("m", [])) }),
        [
          text("1"),
          to("b"),
          text("2"),
          upstream(to("a")),
          sleep("1 millis"),
          text("3")
        ]
      )
      deepStrictEqual(words(down), ["1.a", "M:m", "2.b", "3.a"])
    }))
})

describe("settings", () => {
  const applies = (name: string, log: Log, millis = 0) => {
    const apply = (frame: ServiceSwitcher.ServiceSettingsFrame, { push }: Processor.ProcessorContext) =>
      Effect.suspend(() => {
        log.push(`${name} ${JSON.stringify(frame.settings)}`)
        return push(frame)
      })
    return Processor.queued(name, {
      ServiceSettingsFrame: apply,
      TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep(millis), push(text(`${frame.text}.${name}`))),
      upstream: { ServiceSettingsFrame: apply }
    }, { frames: [ServiceSettingsFrame] })
  }
  const set = (n: number, fields: { readonly service?: string; readonly reachInactive?: boolean } = {}) =>
    ServiceSettingsFrame.make({ ...fields, settings: { n } })

  for (const direction of ["downstream", "upstream"] as const) {
    it.effect(`${direction}: the active one's; all; the one that is named`, () =>
      Effect.gen(function*() {
        const log: Log = []
        const first = ServiceSwitcher.make({ a: applies("a", log), b: applies("b", log), c: applies("c", log) })
        const second = ServiceSwitcher.make({ x: applies("x", log), y: applies("y", log) })
        const frames = [
          set(1),
          set(2, { reachInactive: true }),
          set(3, { service: "b" }),
          set(4, { service: "a" }),
          set(5, { service: "y" }),
          set(6, { service: "x" })
        ]
        const steps = frames.flatMap((
          frame
        ) => [direction === "downstream" ? frame : upstream(frame), sleep("1 millis")])
        const { down, up } = yield* run(Pipeline.make(first, second), [...steps])
        const of = (n: number) => log.filter((line) => line.endsWith(`{"n":${n}}`)).map((line) => line[0]!).toSorted()
        deepStrictEqual(of(1), ["a", "x"])
        deepStrictEqual(of(2), ["a", "b", "c", "x", "y"])
        // A frame for a service that is not active goes no further than there.
        deepStrictEqual(of(3), direction === "downstream" ? ["b"] : ["b", "x"])
        deepStrictEqual(of(4), ["a", "x"])
        deepStrictEqual(of(5), direction === "downstream" ? ["a", "y"] : ["y"])
        deepStrictEqual(of(6), ["a", "x"])
        const out = payload(direction === "downstream" ? down : up)
        deepStrictEqual(out.map((frame) => frames.indexOf(frame as never) + 1), [1, 2, 4, 6])
        assert.isUndefined(frames[1]!.service)
        deepStrictEqual(payload(direction === "downstream" ? up : down), [])
      }))
  }

  it.effect("they keep their place behind what a slow service works on, and reach one that is not active before a switch", () =>
    Effect.gen(function*() {
      const log: Log = []
      const { down } = yield* run(ServiceSwitcher.make({ a: applies("a", log, 20), b: applies("b", log, 5) }), [
        text("1"),
        set(1),
        set(2, { service: "b" }),
        set(3, { reachInactive: true }),
        sleep("1 millis"),
        act(() => Effect.sync(() => deepStrictEqual(log, ["b {\"n\":2}", "b {\"n\":3}"]))),
        to("b"),
        text("2"),
        act((task) => Effect.map(task.drops, (drops) => assert.strictEqual(drops.inactive, 0)))
      ])
      deepStrictEqual(words(down), ["1.a", "S:{\"n\":1}", "S:{\"n\":3}", "2.b"])
      deepStrictEqual(log, ["b {\"n\":2}", "b {\"n\":3}", "a {\"n\":1}", "a {\"n\":3}"])
    }))

  it.effect("a copy does not get out because its service has become active meanwhile", () =>
    Effect.gen(function*() {
      const log: Log = []
      const busy = Pipeline.make(slow("s", 30), applies("b", log))
      const { down } = yield* run(ServiceSwitcher.make({ a: applies("a", log), busy }), [
        to("busy"),
        text("1"),
        to("a"),
        set(1, { reachInactive: true }),
        to("busy"),
        text("2")
      ])
      deepStrictEqual(words(down), ["1.s.b", "S:{\"n\":1}", "2.s.b"])
      deepStrictEqual(log.toSorted(), ["a {\"n\":1}", "b {\"n\":1}"])
    }))
})

describe("failover", () => {
  const three = (wire?: Wire, options: ServiceSwitcher.Options = {}) =>
    ServiceSwitcher.make({ a: fragile("a", wire), b: fragile("b", wire), c: fragile("c", wire) }, {
      strategy: failover,
      name: "S",
      ...options
    })

  for (const how of ["unusable", "fatal", "die"]) {
    it.effect(`${how}: the next service, the error is absorbed, the task goes on`, () =>
      Effect.gen(function*() {
        const { log: told, ...options } = events()
        const { down, exit, failures, up } = yield* run(three(undefined, options), [
          text("1"),
          text(how),
          text("2"),
          sleep("1 millis"),
          usable({ S: true, a: false, b: true, c: true })
        ])
        deepStrictEqual(words(down), ["1.a", "2.b"])
        deepStrictEqual(up, [])
        deepStrictEqual(failures.map(({ fatal, processor }) => `${processor} ${fatal}`), ["a false"])
        assert.isTrue(Exit.isSuccess(exit))
        deepStrictEqual(told, ["a -> b (error)"])
      }))
  }

  it.effect("a policy may call a failure `unusable`", () =>
    Effect.gen(function*() {
      const picky = Processor.effect("P", { TextFrame: () => Effect.fail(new Boom({})) }, {
        onError: (cause) => Cause.hasDies(cause) ? "fatal" : "unusable"
      })
      const { down, up } = yield* run(ServiceSwitcher.make({ picky, b: quick("b") }, { strategy: failover }), [
        text("1"),
        text("2")
      ])
      deepStrictEqual(words(down), ["2.b"])
      deepStrictEqual(up, [])
      // without a switcher it is reported, and the processor counts as of no use
      const alone = yield* run(picky, [text("1"), sleep("1 millis"), usable({ P: false })])
      deepStrictEqual(show(alone.up), ["ErrorFrame(P: Boom)"])
      assert.isTrue(Exit.isSuccess(alone.exit))
    }))

  for (const how of ["recoverable", "fail"]) {
    it.effect(`${how}: reported as always, no switch`, () =>
      Effect.gen(function*() {
        const { log: told, ...options } = events()
        const { down, up } = yield* run(three(undefined, options), [text(how), text("1")])
        deepStrictEqual(words(down), ["1.a"])
        deepStrictEqual(up.map((frame) => Frame.ErrorFrame.is(frame) && frame.processor), ["a"])
        deepStrictEqual(told, [])
      }))
  }

  it.effect("round and round, when services are revived", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const { log: told, ...options } = events()
      const { down, up } = yield* run(three(wire, options), [
        text("unusable"),
        text("1"),
        text("unusable"),
        text("2"),
        sleep("1 millis"),
        revive(wire, "a"),
        revive(wire, "b"),
        usable({ a: true, b: true, c: true }),
        text("unusable"),
        text("3"),
        text("die"),
        text("4")
      ])
      deepStrictEqual(words(down), ["1.b", "2.c", "3.a", "4.b"])
      deepStrictEqual(up, [])
      deepStrictEqual(told, ["a -> b (error)", "b -> c (error)", "c -> a (error)", "a -> b (error)"])
    }))

  it.effect("it skips what is unusable; by hand works as well; what is unusable is refused by hand", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const { log: told, ...options } = events()
      const { down, up } = yield* run(three(wire, options), [
        sleep("1 millis"),
        lose(wire, "b"),
        text("unusable"),
        text("1"),
        to("b"),
        text("2"),
        sleep("1 millis"),
        revive(wire, "b"),
        to("b"),
        text("3")
      ])
      deepStrictEqual(words(down), ["1.c", "2.c", "3.b"])
      deepStrictEqual(told, ["a -> c (error)", "c -> b (manual)"])
      assert.strictEqual(up.length, 1)
      assert.match(words(up)[0]!, /^S: .*S: asked for a service that has failed: b \(.*Boom/s)
    }))

  it.effect("errors from outside pass, in both directions, and switch nothing", () =>
    Effect.gen(function*() {
      const bad = Processor.effect("Bad", { TextFrame: (_, { report }) => report(new Boom({}), { unusable: true }) })
      const { log: told, ...options } = events()
      const { up } = yield* run(Pipeline.make(three(undefined, options), bad), [
        text("1"),
        sleep("1 millis"),
        Frame.ErrorFrame.make({ error: "from above", fatal: false }),
        sleep("1 millis")
      ])
      deepStrictEqual(up.map((frame) => Frame.ErrorFrame.is(frame) && frame.processor), ["Bad"])
      deepStrictEqual(told, [])
    }))

  it.effect("a service that was lost and goes on failing, and reserves that fail: nothing upstream, everything counted", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const { log: told, ...options } = events()
      const { down, failures, up } = yield* run(three(wire, options), [
        text("unusable"),
        sleep("1 millis"),
        lose(wire, "a", 1),
        lose(wire, "a", 2),
        act(() => Effect.suspend(() => wire.get("c")!.report(new Boom({ n: 3 })))),
        lose(wire, "c", 4),
        text("1")
      ])
      deepStrictEqual(words(down), ["1.b"])
      deepStrictEqual(up, [])
      deepStrictEqual(failures.map(({ cause, processor }) => [processor, (Cause.squash(cause) as Boom).n]), [
        ["a", 2],
        ["a", 1],
        ["a", 2],
        ["c", 3],
        ["c", 4]
      ])
      deepStrictEqual(told, ["a -> b (error)"])
    }))

  it.effect("nothing left: every error is the switcher's, with the originals in its text", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const { log: told, ...options } = events()
      const { down, exit, failures, up } = yield* run(three(wire, options), [
        text("unusable"),
        text("unusable"),
        text("unusable"),
        sleep("1 millis"),
        usable({ S: false, a: false, b: false, c: false }),
        lose(wire, "c", 7),
        lose(wire, "a", 8),
        text("still here"),
        sleep("1 millis"),
        revive(wire, "b"),
        usable({ S: true, b: true }),
        text("1")
      ])
      deepStrictEqual(words(down), ["still here.c", "1.b"])
      deepStrictEqual(up.map((frame) => Frame.ErrorFrame.is(frame) && frame.processor), ["S", "S", "S"])
      for (const line of words(up)) {
        assert.match(line, /S: no service is left: a \(.*Boom.*\), b \(.*Boom.*\), c \(.*Boom/s)
      }
      assert.isTrue(
        failures.filter(({ processor }) => processor === "S").every(({ cause }) =>
          Cause.squash(cause) instanceof ServiceSwitcher.ServiceUnavailable
        )
      )
      assert.isTrue(Exit.isSuccess(exit))
      deepStrictEqual(told, ["a -> b (error)", "b -> c (error)", "unusable", "usable", "c -> b (recovered)"])
    }))

  it.effect("nothing left after a defect: the task fails", () =>
    Effect.gen(function*() {
      const switcher = ServiceSwitcher.make({ a: fragile("a") }, { strategy: failover, name: "S" })
      const { exit } = yield* run(switcher, [text("die"), sleep("1 millis")], { end: false })
      assert.isTrue(Exit.isFailure(exit))
      assert.match(String(exit), /S failed: .*no service is left: a \(Error: bug\)/s)
    }))

  it.effect("manual: the loss is the switcher's, which is still usable; the text names the service; a defect is survived", () =>
    Effect.gen(function*() {
      for (const how of ["unusable", "die"]) {
        const { log: told, ...options } = events()
        const switcher = ServiceSwitcher.make({ a: fragile("a"), b: fragile("b") }, { name: "S", ...options })
        const { down, exit, up } = yield* run(switcher, [
          text(how),
          text("1"),
          sleep("1 millis"),
          usable({ S: true, a: false, b: true }),
          to("b"),
          text("2"),
          to("a"),
          text("3")
        ])
        deepStrictEqual(words(down), ["1.a", "2.b", "3.b"])
        assert.isTrue(Exit.isSuccess(exit))
        deepStrictEqual(up.map((frame) => Frame.ErrorFrame.is(frame) && `${frame.processor} ${frame.fatal}`), [
          "S false",
          "S false"
        ])
        assert.match(words(up)[0]!, /its active service has failed: a \(.*(Boom|bug)/s)
        assert.match(words(up)[1]!, /asked for a service that has failed: a \(.*(Boom|bug)/s)
        deepStrictEqual(told, ["a -> b (manual)"])
      }
    }))

  it.effect("a strategy of one's own sees recoverable errors, too", () =>
    Effect.gen(function*() {
      const seen: Array<string> = []
      const strategy: ServiceSwitcher.Strategy = {
        onError: ({ service, unusable }, { active, services }) => {
          seen.push(`${service} ${unusable} ${active} ${services.length}`)
          return seen.length < 2 ? undefined : "c"
        }
      }
      const { down, up } = yield* run(three(undefined, { strategy }), [
        text("fail"),
        text("1"),
        text("fail"),
        text("2")
      ])
      deepStrictEqual(words(down), ["1.a", "2.c"])
      deepStrictEqual(seen, ["a false a 3", "a false a 3"])
      assert.strictEqual(up.length, 1)
    }))

  it.effect("what waits in front of a lost service goes to the next one, in order, uninterruptible or not", () =>
    Effect.gen(function*() {
      const stuck = Processor.queued("Stuck", {
        TextFrame: (_, { report }) =>
          Effect.andThen(Effect.sleep("10 millis"), report(new Boom({}), { unusable: true }))
      }, { capacity: 2 })
      const { down } = yield* run(ServiceSwitcher.make({ stuck, b: slow("b", 1) }, { strategy: failover }), [
        text("gone"),
        text("1"),
        Keep.make({ n: 1 }),
        text("2"),
        text("3"),
        sleep("11 millis"),
        text("4")
      ])
      deepStrictEqual(words(down), ["1.b", "keep 1", "2.b", "3.b", "4.b"])
    }))

  it.effect("of what waits there, settings and orders stay where they belong", () =>
    Effect.gen(function*() {
      const log: Log = []
      const set = (fields: object) => ServiceSettingsFrame.make({ settings: fields as {}, ...fields })
      const applies = (name: string) =>
        Processor.queued(name, {
          ServiceSettingsFrame: (frame, { push }) =>
            Effect.andThen(Effect.sync(() => void log.push(`${name}: ${JSON.stringify(frame.settings)}`)), push(frame)),
          TextFrame: (_, { report }) =>
            Effect.andThen(Effect.sleep("10 millis"), report(new Boom({}), { unusable: true }))
        }, { frames: [ServiceSettingsFrame] })
      const inner = ServiceSwitcher.make({ x: applies("x"), y: applies("y") })
      const second = ServiceSwitcher.make({ v: quick("v"), w: quick("w") })
      const switcher = ServiceSwitcher.make({ a: applies("a"), b: same("b", log), inner }, { strategy: failover })
      const { down } = yield* run(Pipeline.make(switcher, second), [
        text("gone"),
        text("1"),
        set({ service: "a" }),
        set({ reachInactive: true }),
        set({ service: "x" }),
        set({}),
        to("w"),
        text("2"),
        sleep("20 millis")
      ])
      const lines = words(down)
      deepStrictEqual(lines.filter((line) => !line.startsWith("S:")), ["1.v", "2.w"])
      deepStrictEqual(lines.filter((line) => line.startsWith("S:")).toSorted(), [
        "S:{\"reachInactive\":true}",
        "S:{\"service\":\"a\"}",
        "S:{}"
      ])
      deepStrictEqual(log.filter((line) => line.includes("{")).toSorted(), [
        "a: {\"reachInactive\":true}",
        "a: {\"service\":\"a\"}",
        "b: S:{\"reachInactive\":true}",
        "b: S:{}",
        "x: {\"reachInactive\":true}",
        "x: {\"service\":\"x\"}",
        "y: {\"reachInactive\":true}"
      ])
    }))

  it.effect("and so do requests for metadata", () =>
    Effect.gen(function*() {
      const asked: Log = []
      const busy = (name: string) =>
        Processor.queued(name, {
          TextFrame: (_, { report }) =>
            Effect.andThen(Effect.sleep("10 millis"), report(new Boom({}), { unusable: true })),
          RequestMetadataFrame: ({ service }) => Effect.sync(() => void asked.push(`${name}: ${service}`))
        }, { frames: [RequestMetadataFrame] })
      const switcher = ServiceSwitcher.make({ a: busy("a"), b: busy("b") }, { strategy: failover })
      yield* run(switcher, [text("1"), upstream(to("b")), upstream(to("a")), sleep("20 millis")])
      deepStrictEqual(asked.toSorted(), ["a: a", "b: b", "b: b"])
    }))

  it.effect("and the end, which every service sees", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const ended: Log = []
      const end = (name: string) => Processor.effect(name, { onEnd: () => Effect.sync(() => void ended.push(name)) })
      // On the stack on which the end enters the services, and before the first of them has got it.
      const trouble = Processor.sync("Trouble", {
        onEnd: () => Effect.runSync(wire.get("a")!.report(new Boom({}), { unusable: true }))
      })
      const services = { a: Pipeline.make(fragile("a", wire), end("A")), b: end("B"), trouble }
      const { down } = yield* run(ServiceSwitcher.make(services, { strategy: failover }), [text("1")])
      deepStrictEqual(show(down), ["StartFrame", ...texts("1.a"), "EndFrame"])
      deepStrictEqual(ended.toSorted(), ["A", "B"])
    }))

  it.effect("failures of the service before, while it finishes what it got, are reported; later ones are not", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const late = Processor.queued("Late", {
        onStart: (_, context) => Effect.sync(() => wire.set("late", context)),
        TextFrame: () => Effect.andThen(Effect.sleep("10 millis"), Effect.fail(new Boom({})))
      })
      const { failures, up } = yield* run(ServiceSwitcher.make({ late, b: quick("b") }), [
        text("1"),
        to("b"),
        sleep("20 millis"),
        act(() => Effect.suspend(() => wire.get("late")!.report(new Boom({}))))
      ])
      deepStrictEqual(show(up), ["ErrorFrame(late: Boom)"])
      assert.strictEqual(failures.length, 2)
    }))

  it.effect("a lost service that hangs is not waited for; what it says later gets out, and its end comes", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const hangs = Processor.queued("Hangs", {
        onStart: (_, context) => Effect.sync(() => wire.set("hangs", context)),
        TextFrame: (frame, { push }) => Effect.andThen(Effect.sleep("100 millis"), push(frame))
      })
      const { down } = yield* run(ServiceSwitcher.make({ hangs, b: quick("b") }, { strategy: failover }), [
        text("1"),
        sleep("1 millis"),
        lose(wire, "hangs"),
        text("2"),
        sleep("200 millis"),
        act(() => Effect.suspend(() => wire.get("hangs")!.pushDownstream(text("of its own accord")))),
        text("3")
      ])
      deepStrictEqual(words(down), ["2.b", "1", "3.b"])
    }))

  it.effect("after a switch by hand, the one before may be lost while it is waited for", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const hangs = Processor.queued("Hangs", {
        onStart: (_, context) => Effect.sync(() => wire.set("hangs", context)),
        TextFrame: () => Effect.never
      })
      const seen: Array<string> = []
      const below = Processor.sync("Below", { TextFrame: (frame) => void seen.push(frame.text) })
      const switcher = ServiceSwitcher.make({ hangs, b: quick("b") })
      const { up } = yield* run(Pipeline.make(switcher, below), [
        text("1"),
        to("b"),
        text("2"),
        sleep("1 millis"),
        act(() => Effect.sync(() => deepStrictEqual(seen, []))),
        lose(wire, "hangs"),
        sleep("1 millis"),
        act(() => Effect.sync(() => deepStrictEqual(seen, ["2.b"])))
      ], { end: false })
      deepStrictEqual(up, [])
    }))

  it.effect("a failing hook or source is a failing service", () =>
    Effect.gen(function*() {
      const start = Processor.effect("Start", { onStart: () => Effect.die("no start") })
      const source = Processor.source("Source", Stream.fromEffect(Effect.die("no source")))
      const { down, exit, up } = yield* run(
        ServiceSwitcher.make({ start, source, b: quick("b") }, { strategy: failover }),
        [
          sleep("1 millis"),
          text("1")
        ]
      )
      deepStrictEqual(words(down), ["1.b"])
      deepStrictEqual(up, [])
      assert.isTrue(Exit.isSuccess(exit))
    }))

  it.effect("a sync service that throws while others on the same stack go on pushing", () =>
    Effect.gen(function*() {
      const thrice = Processor.sync("Thrice", {
        TextFrame: (frame, push) => ["x", "y", "z"].forEach((letter) => push(text(frame.text + letter)))
      })
      const throws = Processor.sync("Throws", {
        TextFrame: (frame, push) => {
          if (frame.text === "1y") throw new Error("bug")
          push(text(`${frame.text}.a`))
        }
      })
      const services = { a: Pipeline.make(thrice, throws), b: quick("b") }
      const { down } = yield* run(
        Pipeline.make(
          Processor.sync("Above", {}),
          ServiceSwitcher.make(services, { strategy: failover }),
          same("Below")
        ),
        [text("0"), text("1"), text("2")]
      )
      // What the lost service had not finished is not waited for, and not lost.
      deepStrictEqual(words(down), ["0x.a", "0y.a", "0z.a", "1x.a", "2.b", "1z.a"])
    }))
})

describe("set-up", () => {
  const broken = (name: string) => Processor.effect(name, Effect.as(Effect.fail(new Boom({})), {}))
  const gone = (log: Log) =>
    Processor.sync("b", {
      onStart: () => void log.push("b: start"),
      TextFrame: (frame, push) => {
        log.push(`b: ${frame.text}`)
        push(frame)
      }
    })

  it.effect("fails: the backup is active before the start", () =>
    Effect.gen(function*() {
      const log: Log = []
      const switcher = ServiceSwitcher.make({ a: broken("A"), x: broken("X"), b: gone(log) }, {
        strategy: failover,
        onServiceSwitched: ({ from, reason, to }) => Effect.sync(() => void log.push(`${from} -> ${to} (${reason})`))
      })
      const { down, failures, up } = yield* run(switcher, [text("1"), usable({ a: false, x: false, b: true })])
      deepStrictEqual(show(down), ["StartFrame", ...texts("1"), "EndFrame"])
      deepStrictEqual(up, [])
      assert.include(log, "a -> b (error)")
      deepStrictEqual(log.filter((line) => line.startsWith("b:")), ["b: start", "b: 1"])
      deepStrictEqual(failures.map(({ processor }) => processor).toSorted(), ["a", "x"])
    }))

  it.effect("manual: the switcher reports it, and goes on", () =>
    Effect.gen(function*() {
      const switcher = ServiceSwitcher.make({ a: broken("A"), b: quick("b") }, { name: "S" })
      const { down, up } = yield* run(switcher, [text("1"), sleep("1 millis"), to("b"), text("2")])
      deepStrictEqual(words(down), ["1", "2.b"])
      assert.match(words(up).join(), /^S: .*its active service has failed: a/s)
    }))

  it.effect("a reserve fails: nobody notices, until it is needed", () =>
    Effect.gen(function*() {
      const switcher = ServiceSwitcher.make({ a: fragile("a"), b: broken("B") }, { strategy: failover, name: "S" })
      const { down, up } = yield* run(switcher, [text("1"), sleep("1 millis"), text("unusable"), text("2")])
      deepStrictEqual(words(down), ["1.a", "2.a"])
      assert.match(words(up).join(), /^S: .*no service is left: a \(.*\), b \(/s)
    }))

  it.effect("none is left: the set-up of the switcher has failed", () =>
    Effect.gen(function*() {
      const make = () => ServiceSwitcher.make({ a: broken("A"), b: broken("B") }, { strategy: failover, name: "S" })
      const { exit } = yield* run(make(), [], { end: false })
      assert.match(String(exit), /the set-up of S failed: .*no service is left: a \(.*\), b \(/s)
      const { down, up } = yield* run(make(), [text("1")], { onSetupFailure: "continue" })
      deepStrictEqual(words(down), ["1"])
      deepStrictEqual(up.map((frame) => Frame.ErrorFrame.is(frame) && frame.processor), ["S"])
    }))

  it.effect("a switcher inside fails as a whole", () =>
    Effect.gen(function*() {
      const inner = ServiceSwitcher.make({ a: broken("A"), b: broken("B") }, { strategy: failover, name: "Inner" })
      const outer = ServiceSwitcher.make({ inner, c: quick("c") }, { strategy: failover, name: "Outer" })
      const { down, up } = yield* run(outer, [text("1"), usable({ Inner: false, Outer: true })])
      deepStrictEqual(words(down), ["1.c"])
      deepStrictEqual(up, [])
    }))
})

describe("nesting", () => {
  it.effect("a switcher in a switcher: frames find the service, failures climb", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const { log: told, ...options } = events()
      const inner = ServiceSwitcher.make({ a: fragile("a", wire), b: fragile("b", wire) }, {
        strategy: failover,
        name: "Inner",
        ...options
      })
      const outer = ServiceSwitcher.make({ inner, c: Pipeline.make(quick("x"), fragile("c", wire)) }, {
        strategy: failover,
        name: "Outer",
        ...options
      })
      const { down, up } = yield* run(outer, [
        text("1"),
        to("b"),
        text("2"),
        to("c"),
        text("3"),
        // The inner one is not active, and can be configured: nobody sees that.
        to("a"),
        sleep("1 millis"),
        act(() => Effect.suspend(() => wire.get("a")!.report(new Boom({})))),
        to("inner"),
        text("4"),
        text("unusable"),
        text("5"),
        text("die"),
        text("6"),
        sleep("1 millis"),
        usable({ Inner: false, Outer: true }),
        revive(wire, "b"),
        usable({ Inner: true }),
        lose(wire, "c"),
        text("7")
      ])
      deepStrictEqual(words(down), ["1.a", "2.b", "3.x.c", "4.a", "5.b", "6.x.c", "7.b"])
      deepStrictEqual(up, [])
      deepStrictEqual(told, [
        "a -> b (manual)",
        "inner -> c (manual)",
        "b -> a (manual)",
        "c -> inner (manual)",
        "a -> b (error)",
        "unusable",
        "inner -> c (error)",
        "usable",
        "c -> inner (error)"
      ])
    }))

  for (const order of ["arrival", "branch"] as const) {
    it.effect(`a switcher in a synchronised pipeline stays in step (${order})`, () =>
      Effect.gen(function*() {
        const pipeline = Pipeline.syncParallel({ order })(
          ServiceSwitcher.make({ a: slow("a", 20), b: quick("b"), c: slow("c", 5) }),
          slow("o", 10)
        )
        const { down } = yield* run(pipeline, [text("1"), to("b"), text("2"), to("c"), text("3"), text("4")])
        const expected = order === "branch"
          ? ["1.a", "1.o", "2.b", "2.o", "3.c", "3.o", "4.c", "4.o"]
          : ["1.o", "1.a", "2.b", "2.o", "3.c", "3.o", "4.c", "4.o"]
        deepStrictEqual(words(down).filter((word) => word !== "SwitchServiceFrame"), expected)
      }))
  }

  it.effect("a switcher in a synchronised pipeline fails over without holding it up", () =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const hangs = Processor.queued("Hangs", {
        onStart: (_, context) => Effect.sync(() => wire.set("hangs", context)),
        TextFrame: () => Effect.never
      })
      const pipeline = Pipeline.syncParallel({ order: "branch" })(
        ServiceSwitcher.make({ hangs, b: quick("b") }, { strategy: failover }),
        quick("o")
      )
      const { down } = yield* run(pipeline, [
        text("1"),
        text("2"),
        sleep("1 millis"),
        lose(wire, "hangs"),
        text("3"),
        sleep("1 millis"),
        text("4")
      ], { end: false })
      // What marks the end of the first frame has waited behind it, and goes the other way.
      deepStrictEqual(words(down), ["1.o", "2.b", "2.o", "3.b", "3.o", "4.b", "4.o"])
    }))

  it.effect("a strategy sees frames, and nothing else", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      const onFrame = (frame: Frame.Frame) => void seen.push(frame._tag)
      const switcher = ServiceSwitcher.make({ a: quick("a"), b: quick("b") }, { strategy: { onFrame } })
      const { down } = yield* run(Pipeline.syncParallel()(switcher), [text("1"), to("b"), Keep.make({ n: 1 })])
      deepStrictEqual(words(down), ["1.a", "keep 1"])
      deepStrictEqual(seen, ["TextFrame", "Keep"])
    }))

  it.effect("a switcher in a parallel pipeline: nothing twice", () =>
    Effect.gen(function*() {
      const pipeline = Pipeline.parallel(ServiceSwitcher.make({ a: same("a"), b: slow("b", 5) }), same("o"))
      const { down } = yield* run(pipeline, [text("1"), to("b"), text("2"), sleep("10 millis")])
      deepStrictEqual(words(down).filter((word) => word !== "SwitchServiceFrame"), ["1", "2", "2.b"])
    }))

  it.effect("pipelines of every form as services", () =>
    Effect.gen(function*() {
      const services = {
        sync: Pipeline.syncParallel({ order: "branch" })(slow("a", 20), quick("b")),
        both: Pipeline.parallel(quick("c"), slow("d", 5)),
        merge: Pipeline.merge(quick("e"), quick("f")),
        inner: ServiceSwitcher.make({ g: slow("g", 3), h: quick("h") })
      }
      const { down } = yield* run(ServiceSwitcher.make(services), [
        text("1"),
        to("both"),
        text("2"),
        to("merge"),
        text("3"),
        to("inner"),
        text("4"),
        to("h"),
        text("5"),
        to("sync"),
        text("6")
      ])
      deepStrictEqual(words(down), ["1.a", "1.b", "2.c", "2.d", "3.e", "3.f", "4.g", "5.h", "6.a", "6.b"])
    }))

  it.effect("a parallel pipeline as a service that fails", () =>
    Effect.gen(function*() {
      const both = Pipeline.parallel(fragile("x"), Processor.queued("y", {}))
      const { down, up } = yield* run(ServiceSwitcher.make({ both, b: quick("b") }, { strategy: failover }), [
        text("1"),
        sleep("1 millis"),
        text("die"),
        sleep("1 millis"),
        text("2")
      ])
      deepStrictEqual(words(down).toSorted(), ["1", "1.x", "2.b", "die"])
      deepStrictEqual(up, [])
    }))
})

describe("any services, any moments", () => {
  const leaf = Schema.Struct({
    kind: Schema.Literals(["sync", "effect", "queued", "concurrent", "parallel", "sync parallel", "inner", "two"]),
    millis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 4 })),
    capacity: Schema.Literals([1, 2, 1024])
  })
  const shape = Schema.Struct({
    services: Schema.Array(leaf).check(Schema.isMinLength(3), Schema.isMaxLength(3)),
    around: Schema.Literals(["nothing", "parallel", "sync parallel", "queues", "effects", "switcher"]),
    script: Schema.Array(Schema.Struct({
      act: Schema.Literals([
        "text",
        "text",
        "keep",
        "up",
        "switch",
        "switch up",
        "time",
        "interrupt",
        "lose",
        "recover"
      ]),
      n: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 7 }))
    })).check(Schema.isMaxLength(40))
  })
  type Shape = typeof shape.Type

  const pass = (
    name: string,
    { capacity, kind, millis }: Shape["services"][number],
    wire: Wire
  ): Pipeline.Element<any, never> => {
    const late = (frame: Frame.Frame, { push }: Processor.ProcessorContext) =>
      Effect.andThen(millis === 0 ? Effect.void : Effect.sleep(millis), push(frame))
    const told = (_: unknown, context: Processor.ProcessorContext) => Effect.sync(() => wire.set(name, context))
    const handlers = { data: late, upstream: { data: late }, onStart: told }
    switch (kind) {
      case "sync":
        return Pipeline.make(same(`${name}1`), Processor.effect(name, { onStart: told }))
      case "effect":
        return Processor.effect(name, handlers)
      case "queued":
        return Processor.queued(name, handlers, { capacity })
      case "concurrent":
        return Pipeline.make(
          Processor.concurrent(same(`${name}1`), { capacity }),
          Processor.effect(name, { onStart: told })
        )
      case "parallel":
        return Pipeline.parallel(same(`${name}1`), Processor.queued(name, handlers, { capacity }))
      case "sync parallel":
        return Pipeline.syncParallel()(same(`${name}1`), Processor.queued(name, handlers, { capacity }))
      case "inner":
        return ServiceSwitcher.make({ [`${name}2`]: Processor.queued(name, handlers), [`${name}3`]: same("3") })
      case "two":
        return Pipeline.make(Processor.queued(name, handlers), Processor.queued(`${name}2`, handlers, { capacity }))
    }
  }

  const around = (how: Shape["around"], switcher: Pipeline.Element<any, never>): Pipeline.Element<any, never> => {
    const late = (frame: Frame.Frame, { push }: Processor.ProcessorContext) =>
      Effect.andThen(Effect.sleep(1), push(frame))
    const handlers = { TextFrame: late, upstream: { TextFrame: late } }
    switch (how) {
      case "nothing":
        return switcher
      case "parallel":
        return Pipeline.parallel(
          switcher,
          Processor.sync("N", { data: () => {}, control: () => {}, upstream: { data: () => {} } })
        )
      case "sync parallel":
        return Pipeline.syncParallel()(
          switcher,
          Processor.sync("N", { data: () => {}, control: () => {}, upstream: { data: () => {} } })
        )
      case "queues":
        return Pipeline.make(
          Processor.queued("A", handlers, { capacity: 2 }),
          switcher,
          Processor.queued("B", handlers, { capacity: 2 })
        )
      case "effects":
        return Pipeline.make(Processor.effect("A", handlers), switcher, Processor.effect("B", handlers))
      case "switcher":
        return ServiceSwitcher.make({ outer: switcher, other: same("O") })
    }
  }

  const perform = ({ around: how, script, services }: Shape) =>
    Effect.gen(function*() {
      const wire: Wire = new Map()
      const names = ["a", "b", "c"]
      const { log: _, ...options } = events()
      const switcher = ServiceSwitcher.make(
        Object.fromEntries(services.map((service, i) => [names[i]!, pass(`p${i}`, service, wire)])),
        { strategy: failover, ...options }
      )
      const named = [...names, "outer", "other"]
      const sent: { readonly [K in "down" | "up"]: Array<string> } = { down: [], up: [] }
      let n = 0
      const steps = script.map((step) => {
        n++
        const context = Effect.sync(() => wire.get(`p${step.n % 3}`))
        switch (step.act) {
          case "text":
          case "keep": {
            const frame = step.act === "text" ? text(String(n)) : Keep.make({ n })
            sent.down.push(what(frame))
            return act((task) =>
              Effect.forkScoped(task.queueFrame(frame), { startImmediately: true }) as Effect.Effect<unknown>
            )
          }
          case "up":
            sent.up.push(String(n))
            return upstream(text(String(n)))
          case "switch":
            return act((task) =>
              Effect.forkScoped(task.queueFrame(to(named[step.n % 5]!)), { startImmediately: true }) as Effect.Effect<
                unknown
              >
            )
          case "switch up":
            return upstream(to(named[step.n % 5]!))
          case "time":
            return sleep(step.n)
          case "interrupt":
            // What is uninterruptible takes time, which must be able to pass.
            return act((task) =>
              Effect.forkScoped(task.interrupt, { startImmediately: true }) as Effect.Effect<unknown>
            )
          case "lose":
            return act(() =>
              Effect.flatMap(context, (context) => context?.report(new Boom({}), { unusable: true }) ?? Effect.void)
            )
          case "recover":
            return act(() => Effect.flatMap(context, (context) => context?.recovered ?? Effect.void))
        }
      })
      const result = yield* run(around(how, switcher), [sleep(1), ...steps])
      const only = (frames: ReadonlyArray<Frame.Frame>) =>
        frames.filter((frame) => Frame.TextFrame.is(frame) || Keep.is(frame)).map(what)
      return { ...result, sent, texts: { down: only(result.down), up: only(result.up) } }
    })

  const without = (...acts: ReadonlyArray<string>) => (shape: Shape): Shape => ({
    ...shape,
    script: shape.script.filter(({ act }) => !acts.includes(act))
  })
  const runs = Number(process.env["APIPELINE_RUNS"] ?? 300)
  const settings = { arbitrary: { runs }, timeout: Math.max(60_000, runs * 60) }

  it.effect.prop(
    "switched by hand: nothing lost, nothing twice, in order",
    { shape },
    ({ shape }) =>
      Effect.gen(function*() {
        const { down, sent, texts } = yield* perform(without("interrupt", "lose", "recover")(shape))
        deepStrictEqual(texts, sent)
        assert.strictEqual(down.at(-1)?._tag, "EndFrame")
      }),
    settings
  )

  it.effect.prop("with failures: nothing lost, nothing twice", { shape }, ({ shape }) =>
    Effect.gen(function*() {
      const { down, exit, sent, texts } = yield* perform(without("interrupt")(shape))
      deepStrictEqual({ down: texts.down.toSorted(), up: texts.up.toSorted() }, {
        down: sent.down.toSorted(),
        up: sent.up.toSorted()
      })
      assert.strictEqual(down.at(-1)?._tag, "EndFrame")
      assert.isTrue(Exit.isSuccess(exit))
    }), settings)

  it.effect.prop(
    "with interruptions: what is uninterruptible survives, once, in order",
    { shape },
    ({ shape }) =>
      Effect.gen(function*() {
        const { down, sent, texts } = yield* perform(without("lose", "recover")(shape))
        const kept = (lines: ReadonlyArray<string>) => lines.filter((line) => line.startsWith("keep"))
        deepStrictEqual(kept(texts.down), kept(sent.down))
        deepStrictEqual(texts.down, sent.down.filter((line) => texts.down.includes(line)))
        assert.strictEqual(down.at(-1)?._tag, "EndFrame")
      }),
    settings
  )

  it.effect.prop(
    "with everything: the end comes, once, and what is uninterruptible",
    { shape },
    ({ shape }) =>
      Effect.gen(function*() {
        const { down, exit, sent, texts } = yield* perform(shape)
        const kept = (lines: ReadonlyArray<string>) => lines.filter((line) => line.startsWith("keep")).toSorted()
        deepStrictEqual(kept(texts.down), kept(sent.down))
        assert.strictEqual(down.filter(({ _tag }) => _tag === "EndFrame").length, 1)
        assert.isTrue(Exit.isSuccess(exit))
      }),
    settings
  )
})

describe("lifecycle", () => {
  it.effect("the end waits for a slow service and for the one before it", () =>
    Effect.gen(function*() {
      const { down } = yield* run(ServiceSwitcher.make({ a: slow("a", 50), b: slow("b", 100) }), [
        text("1"),
        text("2"),
        to("b"),
        text("3")
      ])
      deepStrictEqual(show(down), ["StartFrame", ...texts("1.a", "2.a", "3.b"), "EndFrame"])
    }))

  it.effect("an interruption cuts all services and what is held; what is uninterruptible goes on, in order", () =>
    Effect.gen(function*() {
      const log: Log = []
      const hangs = Processor.queued("Hangs", { TextFrame: () => Effect.never })
      const { down } = yield* run(ServiceSwitcher.make({ hangs, b: Pipeline.make(same("b", log), quick("q")) }), [
        text("1"),
        Keep.make({ n: 1 }),
        text("2"),
        to("b"),
        text("3"),
        Keep.make({ n: 2 }),
        sleep("1 millis"),
        interrupt,
        text("4"),
        sleep("1 millis"),
        act((task) => Effect.map(task.drops, (drops) => assert.strictEqual(drops.interrupted, 2)))
      ])
      deepStrictEqual(show(down), [
        "StartFrame",
        "StartInterruptionFrame",
        "Keep(n: 1)",
        "Keep(n: 2)",
        ...texts("4.q"),
        "EndFrame"
      ])
      deepStrictEqual(log.filter((line) => line.includes("Interruption")), ["b: StartInterruptionFrame"])
    }))

  it.effect("interruptions and switches at every moment: uninterruptible frames survive, once, in order", () =>
    Effect.gen(function*() {
      for (let delay = 0; delay < 12; delay++) {
        const services = { a: slow("a", 5), b: Pipeline.make(same("b"), slow("q", 2)), c: same("c") }
        const { down } = yield* run(ServiceSwitcher.make(services), [
          Keep.make({ n: 1 }),
          text("1"),
          Keep.make({ n: 2 }),
          to("b"),
          text("2"),
          Keep.make({ n: 3 }),
          sleep(delay),
          interrupt,
          to("c"),
          Keep.make({ n: 4 }),
          text("3"),
          interrupt,
          to("a"),
          Keep.make({ n: 5 }),
          text("4")
        ])
        const kept = payload(down).flatMap((frame) => Keep.is(frame) ? [frame.n] : [])
        deepStrictEqual(kept, [1, 2, 3, 4, 5], `after ${delay} ms`)
        assert.strictEqual(words(down).at(-1), "4.a")
      }
    }))

  it.effect("a stopped task's services stay as they are", () =>
    Effect.gen(function*() {
      const task = yield* PipelineTask.make(ServiceSwitcher.make({ a: quick("a"), b: quick("b") }))
      yield* task.queueFrames([text("1"), to("b"), text("2")])
      yield* task.stopTask
      deepStrictEqual(words(yield* Stream.runCollect(task.output)), ["1.a", "2.b"])
      const next = yield* PipelineTask.takeOver(task)
      yield* next.queueFrames([text("3"), to("a"), text("4")])
      yield* next.stopWhenDone
      deepStrictEqual(words(yield* Stream.runCollect(next.output)), ["3.b", "4.a"])
    }).pipe(Effect.scoped))

  it.effect("one description, many tasks: each starts with the first service", () =>
    Effect.gen(function*() {
      const switcher = ServiceSwitcher.make({ a: quick("a"), b: quick("b") })
      const twice = yield* Effect.all([run(switcher, [to("b"), text("1")]), run(switcher, [text("1")])], {
        concurrency: 2
      })
      deepStrictEqual(twice.map(({ down }) => words(down)), [["1.b"], ["1.a"]])
    }))

  it.effect("nothing is left running, however it ends", () =>
    Effect.gen(function*() {
      for (const end of [true, false]) {
        const services = {
          a: slow("a", 50),
          b: Pipeline.parallel(slow("c", 5), fragile("d")),
          e: Processor.queued("E", {})
        }
        const { log: _, ...options } = events()
        const switcher = ServiceSwitcher.make(services, { strategy: failover, ...options })
        const [, alive] = yield* leaks(
          run(switcher, [text("1"), to("b"), text("2"), text("die"), text("3"), sleep("3 millis")], { end })
        )
        assert.strictEqual(alive, 0)
      }
      yield* TestClock.adjust("1 second")
      yield* settle
    }))

  it("a switcher can be drawn", () => {
    const mermaid = Pipeline.toMermaid(ServiceSwitcher.make({ a: quick("A"), b: quick("B") }))
    assert.include(mermaid, "A")
    assert.include(mermaid, "B")
  })
})
