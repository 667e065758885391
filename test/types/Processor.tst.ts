import type * as Frame from "@apipeline/core/Frame"
import * as FrameModule from "@apipeline/core/Frame"
import * as Processor from "@apipeline/core/Processor"
import { Context, Data, Effect, type Layer, Schema, type Scope, Stream } from "effect"
import { describe, expect, test } from "tstyche"

class Ping extends FrameModule.App<Ping>()("Ping", { n: Schema.Finite }) {}
class Tick extends FrameModule.App<Tick>()("Tick", { at: Schema.Finite }, { kind: "system" }) {}
class Boom extends Data.TaggedError("Boom")<{ readonly why: string }> {}
class Bang extends Data.TaggedError("Bang")<{}> {}
class Db extends Context.Service<Db, { readonly save: (text: string) => Effect.Effect<void, Boom> }>()("Db") {}
class Clock extends Context.Service<Clock, { readonly now: Effect.Effect<number> }>()("Clock") {}

declare const push: Processor.Push
declare const context: Processor.ProcessorContext
declare const frame: Frame.Frame
declare const failing: Effect.Effect<void, Boom>
declare const needing: Effect.Effect<void, Bang, Db>

describe("handlers get exact frames", () => {
  test("sync", () => {
    Processor.sync({
      TextFrame: (frame, push) => {
        expect(frame).type.toBe<Frame.TextFrame>()
        expect(push).type.toBe<Processor.Push>()
      },
      HeartbeatFrame: (frame) => expect(frame).type.toBe<Frame.HeartbeatFrame>(),
      ErrorFrame: (frame) => expect(frame).type.toBe<Frame.ErrorFrame>(),
      data: (frame) => expect(frame).type.toBe<Frame.DataFrame | Frame.AppFrame<"data">>(),
      control: (frame) => expect(frame).type.toBe<Frame.ControlFrame | Frame.AppFrame<"control">>(),
      system: (frame) => expect(frame).type.toBe<Frame.SystemFrame | Frame.AppFrame<"system">>(),
      onStart: (frame) => expect(frame).type.toBe<Frame.StartFrame>(),
      onInterruption: (frame) => expect(frame).type.toBe<Frame.StartInterruptionFrame>(),
      onEnd: (frame) => expect(frame).type.toBe<Frame.EndFrame>(),
      onCancel: (frame) => expect(frame).type.toBe<Frame.CancelFrame>(),
      upstream: {
        AudioRawFrame: (frame, push) => {
          expect(frame).type.toBe<Frame.AudioRawFrame>()
          expect(push).type.toBe<Processor.Push>()
        },
        data: (frame) => expect(frame).type.toBe<Frame.DataFrame | Frame.AppFrame<"data">>()
      }
    })
    Processor.sync("Named", () => ({ TextFrame: (frame) => expect(frame).type.toBe<Frame.TextFrame>() }))
  })

  test("effect and queued", () => {
    for (const make of [Processor.effect, Processor.queued]) {
      make({
        TextFrame: (frame, context) => {
          expect(frame).type.toBe<Frame.TextFrame>()
          expect(context).type.toBe<Processor.ProcessorContext>()
          return Effect.void
        },
        upstream: {
          ImageRawFrame: (frame, context) => {
            expect(frame).type.toBe<Frame.ImageRawFrame>()
            return context.push(frame)
          }
        },
        onStart: (frame, { push }) => {
          expect(frame).type.toBe<Frame.StartFrame>()
          return push(frame)
        },
        run: (nothing, context) => {
          expect(nothing).type.toBe<undefined>()
          expect(context).type.toBe<Processor.ProcessorContext>()
          return Effect.never
        }
      })
    }
  })

  test("app frames that `frames` names", () => {
    Processor.sync("S", { Ping: (frame) => expect(frame).type.toBe<Ping>() }, { frames: [Ping, Tick] })
    Processor.effect("E", {
      Ping: (frame) => {
        expect(frame).type.toBe<Ping>()
        return Effect.void
      },
      TextFrame: (frame, { push }) => {
        expect(frame).type.toBe<Frame.TextFrame>()
        return push(frame)
      }
    }, { frames: [Ping, Tick] })
    Processor.queued({
      Tick: (frame) => {
        expect(frame).type.toBe<Tick>()
        return Effect.void
      },
      upstream: {
        Ping: (frame, { push }) => {
          expect(frame).type.toBe<Ping>()
          return push(frame)
        }
      }
    }, { frames: [Ping, Tick] })
  })

  test("sink and fromStream take data", () => {
    Processor.sink("Sink", (frame) => {
      expect(frame).type.toBe<Processor.Kinds["data"]>()
      return Effect.void
    })
    Processor.fromStream("T", (frames) => {
      expect(frames).type.toBe<Stream.Stream<Processor.Kinds["data"]>>()
      return frames
    })
  })
})

describe("what is wrong does not compile", () => {
  test("a wrong tag", () => {
    expect(Processor.sync).type.toBeCallableWith({ TextFrame: () => {} })
    expect(Processor.sync).type.not.toBeCallableWith({ TextFrames: () => {} })
    expect(Processor.sync).type.not.toBeCallableWith("S", { TextFrames: () => {} })
    expect(Processor.sync).type.not.toBeCallableWith("S", { Ping: () => {} })
    expect(Processor.sync).type.not.toBeCallableWith("S", { upstream: { TextFrames: () => {} } })
    for (const make of [Processor.effect, Processor.queued]) {
      expect(make).type.toBeCallableWith({ TextFrame: () => Effect.void })
      expect(make).type.not.toBeCallableWith({ TextFrames: () => Effect.void })
      expect(make).type.not.toBeCallableWith("E", { TextFrame: () => Effect.void, TextFrames: () => Effect.void })
      expect(make).type.not.toBeCallableWith("E", { Ping: () => Effect.void })
      expect(make).type.not.toBeCallableWith("E", { upstream: { TextFrames: () => Effect.void } })
      expect(make).type.not.toBeCallableWith("E", { onStarted: () => Effect.void })
    }
  })

  test("an app frame that `frames` does not name", () => {
    expect(Processor.effect).type.toBeCallableWith("E", { Ping: () => Effect.void }, { frames: [Ping] })
    expect(Processor.effect).type.not.toBeCallableWith("E", { Tick: () => Effect.void }, { frames: [Ping] })
    expect(Processor.effect).type.not.toBeCallableWith("E", { upstream: { Tick: () => Effect.void } }, {
      frames: [Ping]
    })
    expect(Processor.sync).type.toBeCallableWith("S", { Ping: () => {} }, { frames: [Ping] })
    expect(Processor.sync).type.not.toBeCallableWith("S", { Tick: () => {} }, { frames: [Ping] })
    expect(Processor.queued).type.toBeCallableWith("Q", { upstream: { Ping: () => Effect.void } }, { frames: [Ping] })
    expect(Processor.queued).type.not.toBeCallableWith("Q", { upstream: { Tick: () => Effect.void } }, {
      frames: [Ping]
    })
  })

  test("a wrong field of a frame", () => {
    Processor.sync({
      TextFrame: (frame, push) => {
        expect(frame).type.not.toHaveProperty("txt")
        expect(frame).type.not.toHaveProperty("audio")
        expect(frame).type.toHaveProperty("text")
        expect(push).type.not.toBeCallableWith(frame.text)
      },
      upstream: { AudioRawFrame: (frame) => expect(frame).type.not.toHaveProperty("text") }
    })
    Processor.queued("Q", {
      Ping: (frame, { push }) => {
        expect(frame).type.toHaveProperty("n")
        expect(frame).type.not.toHaveProperty("m")
        return push(frame)
      },
      upstream: {
        TextFrame: (frame, { push }) => {
          expect(frame).type.not.toHaveProperty("txt")
          return push(frame)
        }
      }
    }, { frames: [Ping] })
  })

  test("a handler for a frame of another type, or one that returns no Effect", () => {
    expect(Processor.effect).type.not.toBeCallableWith("E", { TextFrame: (_: Frame.AudioRawFrame) => Effect.void })
    expect(Processor.sync).type.not.toBeCallableWith("S", { TextFrame: (_: Frame.AudioRawFrame) => {} })
    expect(Processor.effect).type.not.toBeCallableWith("E", { TextFrame: () => 42 })
    expect(Processor.effect).type.not.toBeCallableWith("E", { TextFrame: () => {} })
    expect(Processor.effect).type.not.toBeCallableWith("E", { onStart: () => {} })
    expect(Processor.queued).type.not.toBeCallableWith("E", { upstream: { TextFrame: () => {} } })
    expect(Processor.queued).type.not.toBeCallableWith({ TextFrame: () => {} })
  })

  test("wrong options", () => {
    expect(Processor.queued).type.toBeCallableWith("Q", {}, { capacity: 1, strategy: "sliding", onError: "fatal" })
    expect(Processor.queued).type.not.toBeCallableWith("Q", {}, { strategy: "slide" })
    expect(Processor.queued).type.not.toBeCallableWith("Q", {}, { capacity: "1" })
    expect(Processor.queued).type.not.toBeCallableWith("Q", {}, { onError: "log" })
    expect(Processor.queued).type.not.toBeCallableWith("Q", {}, {
      upstreamMailbox: { capacity: 1, strategy: "suspend" }
    })
    expect(Processor.queued).type.not.toBeCallableWith("Q", {}, { frames: ["Ping"] })
  })
})

describe("errors and services", () => {
  test("a sync processor has none", () => {
    expect(Processor.sync({ TextFrame: (frame, push) => push(frame) })).type.toBe<Processor.Processor>()
    expect(Processor.sync("S", () => ({}))).type.toBe<Processor.Processor<never, never>>()
  })

  test("those of all handlers and hooks, upstream ones too", () => {
    for (const make of [Processor.effect, Processor.queued]) {
      expect(make({})).type.toBe<Processor.Processor<never, never>>()
      expect(make({ TextFrame: () => failing })).type.toBe<Processor.Processor<Boom, never>>()
      expect(make("N", { data: () => needing })).type.toBe<Processor.Processor<Bang, Db>>()
      expect(make("N", { TextFrame: () => failing, onEnd: () => needing })).type.toBe<
        Processor.Processor<Boom | Bang, Db>
      >()
      expect(make("N", { upstream: { TextFrame: () => needing } })).type.toBe<Processor.Processor<Bang, Db>>()
      expect(make("N", { run: () => failing })).type.toBe<Processor.Processor<Boom, never>>()
      expect(make("N", { source: () => needing })).type.toBe<Processor.Processor<Bang, Db>>()
      expect(make("N", { Ping: () => needing }, { frames: [Ping] })).type.toBe<Processor.Processor<Bang, Db>>()
    }
  })

  test("those of the set-up; its Scope is the task's", () => {
    for (const make of [Processor.effect, Processor.queued]) {
      expect(make("N", Effect.as(failing, {}))).type.toBe<Processor.Processor<Boom, never>>()
      expect(make(Effect.as(needing, { TextFrame: () => failing }))).type.toBe<Processor.Processor<Bang | Boom, Db>>()
      expect(make("N", Effect.map(Clock, () => ({ data: () => needing })))).type.toBe<
        Processor.Processor<Bang, Clock | Db>
      >()
      expect(make("N", Effect.as(Effect.acquireRelease(Effect.void, () => Effect.void), {}))).type.toBe<
        Processor.Processor<never, never>
      >()
    }
    expect(Processor.effect("N", { TextFrame: () => Effect.addFinalizer(() => Effect.void) })).type.toBe<
      Processor.Processor<never, never>
    >()
  })

  test("those of streams", () => {
    const texts: Stream.Stream<Frame.TextFrame, Boom, Db> = null!
    expect(Processor.source("S", texts)).type.toBe<Processor.Processor<Boom, Db>>()
    expect(Processor.source).type.not.toBeCallableWith("S", Stream.make("text"))
    expect(Processor.fromStream("S", (frames) => Stream.concat(frames, texts))).type.toBe<
      Processor.Processor<Boom, Db>
    >()
    expect(Processor.sink("S", () => needing)).type.toBe<Processor.Processor<Bang, Db>>()
  })

  test("concurrent keeps them", () => {
    expect(Processor.concurrent(Processor.effect({ TextFrame: () => needing }))).type.toBe<
      Processor.Processor<Bang, Db>
    >()
    expect(Processor.concurrent).type.not.toBeCallableWith(Processor.sync({}), { onError: "fatal" })
  })

  test("a service's layer needs what its making and its handlers need", () => {
    class P extends Processor.Service<P>()("P", {
      make: Effect.gen(function*() {
        const db = yield* Db
        yield* failing
        return Processor.queued({
          TextFrame: (frame) => db.save(frame.text),
          onStart: () => Effect.andThen(Clock, Effect.fail(new Bang()))
        })
      })
    }) {}
    expect(P.layer).type.toBe<Layer.Layer<P, Boom, Db | Clock>>()
    expect<(typeof P)["Service"]>().type.toBe<Processor.Processor<Boom | Bang>>()
    class Q extends Processor.Service<Q>()("Q", { make: Effect.succeed(Processor.sync({})) }) {}
    expect(Q.layer).type.toBe<Layer.Layer<Q>>()
    expect(Processor.Service<Q>()).type.not.toBeCallableWith("Q", { make: Effect.succeed("no processor") })
  })
})

describe("what handlers are given", () => {
  test("push", () => {
    expect(push).type.toBeCallableWith(frame)
    expect(push.upstream(frame)).type.toBe<void>()
    expect(push.interrupt()).type.toBe<void>()
    expect(context.push(frame)).type.toBe<Effect.Effect<void>>()
    expect(context.pushUpstream(frame)).type.toBe<Effect.Effect<void>>()
    expect(context.interrupt).type.toBe<Effect.Effect<void>>()
    expect(context.report(new Boom({ why: "x" }), { fatal: true })).type.toBe<Effect.Effect<void>>()
    expect(context.push).type.not.toBeCallableWith({ text: "x" })
    expect(push).type.toBeCallableWith(Ping.make({ n: 1 }))
    expect<Scope.Scope>().type.not.toBeAssignableTo<Db>()
  })
})
