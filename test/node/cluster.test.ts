/** Sessions in memory, in virtual time: `layerSingle`, and runners of which the test says what happens to them. */
import * as Frame from "@apipeline/core/Frame"
import * as Pipeline from "@apipeline/core/Pipeline"
import * as PipelineTask from "@apipeline/core/PipelineTask"
import * as Processor from "@apipeline/core/Processor"
import { settle } from "@apipeline/core/testing"
import * as Cluster from "@apipeline/node/Cluster"
import { assert, describe, it } from "@effect/vitest"
import {
  ConfigProvider,
  Context,
  Deferred,
  Effect,
  Exit,
  Fiber,
  Layer,
  Option,
  Ref,
  Schema,
  Scope,
  Stream
} from "effect"
import { MailboxFull } from "effect/cluster/ClusterError"
import { Sharding } from "effect/cluster/Sharding"
import { TestClock } from "effect/testing"
import { makeLag } from "../../packages/node/src/internal/cluster/admission.ts"
import * as Runners from "../utils/runners.ts"
import { until } from "../utils/until.ts"

const { deepStrictEqual, strictEqual } = assert

class Heard extends Context.Service<Heard, Ref.Ref<ReadonlyArray<string>>>()("Heard") {
  static readonly layer = Layer.effect(Heard, Ref.make<ReadonlyArray<string>>([]))
}

/** Says back what it is told, and what it was told before when it is asked. */
const parrot = Processor.queued(
  "Parrot",
  Effect.map(Heard, (heard) => ({
    TextFrame: (frame: Frame.TextFrame, { push }: Processor.ProcessorContext) =>
      Effect.gen(function*() {
        if (frame.text === "slow") yield* Effect.sleep("1 second")
        if (frame.text === "fail") return yield* Effect.fail(new Error("no route"))
        if (frame.text === "all") {
          return yield* push(Frame.TextFrame.make({ text: (yield* Ref.get(heard)).join(",") }))
        }
        yield* Ref.update(heard, (all) => [...all, frame.text])
        yield* push(frame)
      }),
    SessionMovedFrame: (frame: Cluster.SessionMovedFrame, { push }: Processor.ProcessorContext) => {
      const { from, lostFrames, lostMillis, restored, to } = frame
      return push(Frame.TextFrame.make({ text: `${from} -> ${to} ${lostMillis} ${lostFrames} ${restored}` }))
    }
  })),
  { frames: [Cluster.SessionMovedFrame] }
)

const options = {
  services: Heard.layer,
  pipeline: parrot,
  transport: { output: { realTime: false, chunk: 20, sampleRate: 16_000 } }
}
const Parrot = Cluster.session("parrot", options)
const Keeping = Cluster.session("keeping", {
  ...options,
  snapshot: { schema: Schema.Array(Schema.String), take: Heard.use(Ref.get), every: "3 seconds" },
  restore: (all) => Heard.use(Ref.set(all))
})

const say = (remote: Cluster.Remote, text: string) => remote.send(Frame.TextFrame.make({ text }))
const audio = (n: number) =>
  Frame.AudioRawFrame.make({ audio: new Uint8Array(640).fill(n), sampleRate: 16_000, numChannels: 1 })

interface Listener {
  readonly remote: Cluster.Remote
  readonly heard: Array<string>
  readonly notices: Array<Cluster.Notice>
  readonly id: string
}

/** A client that writes down what it hears. */
const listen = Effect.fnUntraced(function*(remote: Cluster.Remote) {
  const heard: Array<string> = []
  const notices: Array<Cluster.Notice> = []
  const note = (signal: Cluster.Signal): string =>
    signal._tag === "Clear" ? "clear" : Frame.TextFrame.is(signal.frame)
      ? signal.frame.text
      : Frame.AudioRawFrame.is(signal.frame)
      ? `audio ${signal.frame.audio[0]}`
      : signal.frame._tag
  yield* Effect.forkScoped(
    Stream.runForEach(remote.received, (signal) => Effect.sync(() => heard.push(note(signal)))),
    { startImmediately: true }
  )
  yield* Effect.forkScoped(Stream.runForEach(remote.notices, (notice) => Effect.sync(() => notices.push(notice))), {
    startImmediately: true
  })
  const listener: Listener = { remote, heard, notices, id: yield* remote.id }
  return listener
})

/** Lets what is under way get through: some of it waits for timers of milliseconds. */
const pass = (millis = 20) => Effect.andThen(TestClock.adjust(millis), settle)

/** As much time as it takes. */
const inTime = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    for (let i = 0; i < 200 && fiber.pollUnsafe() === undefined; i++) yield* pass(50)
    return yield* Fiber.join(fiber)
  })

/** Runs a program in a cluster of its own, whose end takes its time, too. */
const inCluster = <A, E, R>(
  layer: Layer.Layer<never, never, Cluster.Host | Sharding>,
  program: Effect.Effect<A, E, R>,
  options: Cluster.SingleOptions = {}
) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const cluster = layer.pipe(Layer.provideMerge(Cluster.layerSingle({ currentLag: () => 0, ...options })))
    const context = yield* inTime(Layer.buildWithScope(cluster, scope))
    return yield* program.pipe(
      Effect.provide(context),
      Scope.provide(scope),
      Effect.onExit(() => inTime(Scope.close(scope, Exit.void)))
    )
  })

describe("in one process", () => {
  const connectTo = <R>(session: Cluster.Session<R>, options?: Cluster.ConnectOptions) =>
    Effect.flatMap(
      Effect.scope,
      (scope) =>
        Effect.provideService(Effect.flatMap(inTime(Cluster.connect(session, options)), listen), Scope.Scope, scope)
    )
  const connect = (options?: Cluster.ConnectOptions) => connectTo(Parrot, options)

  it.effect("a session is said things, says them back, and ends in order", () =>
    Effect.gen(function*() {
      const { heard, id, remote } = yield* connect()
      assert.match(id, /^g0:[-0-9a-f]{36}$/)
      strictEqual(yield* remote.runner, "localhost")
      for (const text of ["a", "b", "c"]) yield* say(remote, text)
      yield* pass()
      deepStrictEqual(heard, ["a", "b", "c"])
      deepStrictEqual(yield* Cluster.Cluster.use(({ sessions }) => sessions), [id])
      yield* remote.end
      yield* pass()
      deepStrictEqual(yield* remote.ended, { failed: false, reason: "the task has ended" })
      deepStrictEqual(yield* Cluster.Cluster.use(({ sessions }) => sessions), [])
    }).pipe((program) => inCluster(Parrot.layer, program)))

  it.effect("a pipeline may be a layer: of the runner, or of each session", () =>
    Effect.gen(function*() {
      class Shout extends Pipeline.Service<Shout>()(
        "test/Shout",
        Pipeline.make(Processor.sync("Shout", {
          TextFrame: (frame, push) => push(Frame.TextFrame.make({ text: frame.text.toUpperCase() }))
        }))
      ) {}
      const ofTheRunner = Cluster.session("of the runner", { pipeline: Shout })
      const ofEach = Cluster.session("of each", { pipeline: Shout, services: Shout.layer })
      for (
        const [session, layer] of [
          [ofTheRunner, Layer.provide(ofTheRunner.layer, Shout.layer)],
          [ofEach, ofEach.layer]
        ] as const
      ) {
        const program = Effect.gen(function*() {
          const { heard, remote } = yield* connectTo<Shout>(session)
          yield* say(remote, "a")
          yield* pass()
          deepStrictEqual(heard, ["A"])
        })
        yield* inCluster(layer, program)
      }
    }))

  it.effect("audio goes there and back", () =>
    Effect.gen(function*() {
      const { heard, remote } = yield* connect()
      for (let n = 1; n <= 5; n++) yield* remote.send(audio(n))
      yield* pass(200)
      deepStrictEqual(heard, [1, 2, 3, 4, 5].map((n) => `audio ${n}`))
      deepStrictEqual(yield* remote.counts, {
        mediaSent: 5,
        mediaDropped: 0,
        mediaReceived: 5,
        mediaLost: 0,
        duplicates: 0
      })
    }).pipe((program) => inCluster(Parrot.layer, program)))

  it.effect("a pipeline that fails ends its session, and says why", () => {
    const Broken = Cluster.session("broken", {
      pipeline: (transport) =>
        PipelineTask.make(Pipeline.make(
          transport.input,
          Processor.queued("Broken", {
            TextFrame: (_: Frame.TextFrame, { report }: Processor.ProcessorContext) =>
              report(new Error("no route"), { fatal: true })
          }),
          transport.output
        ))
    })
    return Effect.gen(function*() {
      const { remote } = yield* connectTo(Broken)
      yield* say(remote, "a")
      yield* pass()
      const { failed, reason } = yield* remote.ended
      assert.isTrue(failed)
      assert.include(reason, "no route")
    }).pipe((program) => inCluster(Broken.layer, program))
  })

  it.effect("a pipeline that cannot be made is a typed failure", () => {
    const Broken = Cluster.session("broken", { pipeline: () => Effect.fail(new Error("no key")) })
    return Effect.gen(function*() {
      const error = yield* Effect.flip(inTime(Cluster.connect(Broken)))
      assert.isTrue(error instanceof Cluster.SessionFailed)
      assert.match(error.message, /^session g0:.* on localhost: no key$/)
    }).pipe((program) => inCluster(Broken.layer, program))
  })

  it.effect("the same id is the same pipeline: whoever comes last has it", () =>
    Effect.gen(function*() {
      const first = yield* connect()
      yield* say(first.remote, "a")
      yield* pass()
      const second = yield* connect({ id: first.id })
      yield* pass()
      deepStrictEqual(yield* first.remote.ended, { failed: false, reason: "the client has connected elsewhere" })
      yield* say(second.remote, "all")
      yield* pass()
      deepStrictEqual(second.heard, ["a"])
      strictEqual((yield* Cluster.Cluster.use(({ sessions }) => sessions)).length, 1)
    }).pipe((program) => inCluster(Parrot.layer, program)))

  it.effect("a runner refuses what is too much: sessions, lag, the end", () => {
    let lag = 0
    return Effect.gen(function*() {
      const refusal = Effect.gen(function*() {
        const error = yield* inTime(Effect.flip(Cluster.connect(Parrot)))
        assert.isTrue(error instanceof Cluster.Refused)
        return error as Cluster.Refused
      })
      const { remote } = yield* connect()
      yield* connect()
      const full = yield* refusal
      strictEqual(full.message, "localhost takes no more sessions: sessions: found 2, expected less than 2")
      yield* inTime(remote.leave("enough"))
      yield* pass()
      lag = 75
      const late = yield* refusal
      strictEqual(late.message, "localhost takes no more sessions: lag: found 75, expected less than 30")
      lag = 0
      yield* connect()
      yield* Cluster.Cluster.use(({ drain }) => Effect.forkChild(drain))
      yield* pass()
      const draining = yield* refusal
      strictEqual(draining.message, "localhost takes no more sessions: it is about to end")
      assert.isFalse(yield* Cluster.Cluster.use(({ isReady }) => isReady))
    }).pipe((program) => inCluster(Parrot.layer, program, { capacity: { sessions: 2 }, currentLag: () => lag }))
  })

  it.effect("a session is gone from memory soon after its client", () =>
    Effect.gen(function*() {
      const sharding = yield* Sharding
      const { remote } = yield* connect()
      strictEqual(yield* sharding.activeEntityCount, 1)
      // held by its client, however long it is silent
      yield* TestClock.adjust("2 minutes")
      strictEqual(yield* sharding.activeEntityCount, 1)
      yield* inTime(remote.leave("enough"))
      yield* TestClock.adjust("40 seconds")
      strictEqual(yield* sharding.activeEntityCount, 0)
    }).pipe((program) => inCluster(Parrot.layer, program)))

  it.effect("what is delivered from anywhere arrives once; what is poison harms nobody else", () =>
    Effect.gen(function*() {
      const { heard, id, remote } = yield* connect()
      const deliver = (key: string, text: string) =>
        Cluster.deliver(Parrot, id, key, Frame.TextFrame.make({ text })).pipe(
          Effect.forkChild,
          Effect.tap(() => TestClock.adjust("2 seconds")),
          Effect.flatMap(Fiber.join)
        )
      strictEqual(yield* deliver("1", "paid"), "taken")
      strictEqual(yield* deliver("1", "paid"), "taken")
      strictEqual(yield* deliver("2", "again"), "taken")
      deepStrictEqual(heard, ["paid", "again"])
      const { entity } = Parrot["~apipeline/Cluster/Session"]
      const clientOf = yield* entity.client
      const poison = yield* Effect.forkChild(Effect.exit(clientOf(id).Deliver({ id: "3", frame: "no JSON" })))
      yield* TestClock.adjust("2 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(poison)))
      yield* say(remote, "still here")
      yield* say(remote, "fail")
      yield* say(remote, "and here")
      yield* pass()
      deepStrictEqual(heard, ["paid", "again", "still here", "and here"])
      yield* inTime(remote.leave("enough"))
      yield* pass()
      strictEqual(yield* deliver("4", "late"), "no session")
    }).pipe((program) => inCluster(Parrot.layer, program)))

  it.effect("who has a grace is waited for, and finds everything as it was", () => {
    const Patient = Cluster.session("patient", { ...options, grace: "30 seconds" })
    return Effect.gen(function*() {
      const connect = (id?: string) => connectTo(Patient, { id })
      const first = yield* connect()
      yield* say(first.remote, "a")
      yield* pass()
      yield* inTime(first.remote.leave("a tunnel"))
      yield* TestClock.adjust("29 seconds")
      const second = yield* connect(first.id)
      yield* say(second.remote, "all")
      yield* pass()
      deepStrictEqual(second.heard, ["a"])
      yield* inTime(second.remote.leave("another one"))
      yield* TestClock.adjust("31 seconds")
      deepStrictEqual(yield* Cluster.Cluster.use(({ sessions }) => sessions), [])
    }).pipe((program) => inCluster(Patient.layer, program))
  })

  it.effect("nothing of it is left when its scope has closed", () =>
    Effect.gen(function*() {
      const ended = yield* Deferred.make<string>()
      const Watched = Cluster.session("watched", {
        pipeline: Processor.effect(
          "Watched",
          Effect.as(Effect.addFinalizer(() => Deferred.succeed(ended, "finalized")), {})
        )
      })
      const program = Effect.gen(function*() {
        yield* connectTo(Watched)
      })
      yield* inCluster(Watched.layer, program)
      strictEqual(yield* Deferred.await(ended), "finalized")
    }))
})

describe("on several runners", () => {
  const start = Effect.fnUntraced(
    function*<R>(session: Cluster.Session<R>, options?: Parameters<typeof Runners.make>[1]) {
      const scope = yield* Scope.make()
      const runners = yield* Scope.provide(Runners.make(session, options), scope)
      yield* Effect.addFinalizer(() => inTime(Scope.close(scope, Exit.void)))
      const connect = (options?: Cluster.ConnectOptions) =>
        Cluster.connect(session, options).pipe(
          Effect.flatMap(listen),
          Effect.provideService(Cluster.Gateway, runners.gateway)
        )
      return { runners, connect }
    }
  )

  it.effect("a connection that breaks is made again: nobody notices but in the counts", () =>
    Effect.gen(function*() {
      const { connect, runners } = yield* start(Parrot)
      const { heard, id, notices, remote } = yield* connect()
      yield* say(remote, "a")
      yield* pass()
      yield* runners.cut(id)
      yield* say(remote, "b")
      yield* pass(200)
      yield* say(remote, "c")
      yield* pass()
      deepStrictEqual(heard, ["a", "b", "c"])
      deepStrictEqual(notices.map(({ _tag }) => _tag), ["Attached", "Lost", "Restored"])
      strictEqual((yield* remote.counts).duplicates, 0)
    }))

  it.effect("a runner that dies: the next one has what was saved, and is told what was lost", () =>
    Effect.gen(function*() {
      const { connect, runners } = yield* start(Keeping)
      const { heard, id, notices, remote } = yield* connect()
      yield* say(remote, "a")
      yield* TestClock.adjust("3 seconds")
      yield* say(remote, "after the snapshot")
      yield* pass()
      for (let n = 1; n <= 30; n++) yield* remote.send(audio(n))
      yield* pass()
      heard.length = 0
      // it has told of the first 25
      yield* runners.kill(id)
      yield* settle
      yield* say(remote, "all")
      yield* pass(200)
      deepStrictEqual(heard, ["runner 1 -> runner 2 0 5 true", "a"])
      deepStrictEqual(notices.map(({ _tag }) => _tag), ["Attached", "Lost", "Moved"])
    }))

  it.effect("nothing was saved: the pipeline begins anew, and knows it", () =>
    Effect.gen(function*() {
      const { connect, runners } = yield* start(Parrot)
      const { heard, id, remote } = yield* connect()
      yield* say(remote, "a")
      yield* pass()
      yield* runners.kill(id)
      yield* say(remote, "all")
      yield* pass(200)
      deepStrictEqual(heard, ["a", "runner 1 -> runner 2 0 0 false", ""])
    }))

  it.effect("a session that moves finishes what it has begun, leaves the rest to the next one, and takes its state along", () =>
    Effect.gen(function*() {
      const { connect, runners } = yield* start(Keeping)
      const { heard, id, remote } = yield* connect()
      for (const text of ["a", "slow", "b"]) yield* say(remote, text)
      yield* settle
      const moving = yield* Effect.forkChild(runners.move(id), { startImmediately: true })
      yield* settle
      yield* say(remote, "c")
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(moving)
      yield* TestClock.adjust("2 seconds")
      yield* say(remote, "all")
      yield* pass(500)
      deepStrictEqual(heard.filter((text) => !text.includes("->")), ["a", "slow", "b", "c", "a,slow,b,c"])
      strictEqual(heard.filter((text) => text.includes("->")).length, 1)
    }))

  it.effect("a handler that hangs does not hold up a move", () =>
    Effect.gen(function*() {
      const Hanging = Cluster.session("hanging", {
        pipeline: Processor.queued("Hanging", { TextFrame: () => Effect.never })
      })
      const { connect, runners } = yield* start(Hanging, { handOverTimeout: 500 })
      const { id, notices, remote } = yield* connect()
      yield* say(remote, "a")
      yield* pass()
      const moving = yield* Effect.forkChild(runners.move(id), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(moving)
      yield* pass(1000)
      deepStrictEqual(notices.map(({ _tag }) => _tag), ["Attached", "Lost", "Moved"])
    }))

  it.effect("a runner that refuses is passed over; one whose mailbox is full, too", () =>
    Effect.gen(function*() {
      const { connect, runners } = yield* start(Parrot)
      const refused = new Cluster.Refused({ reason: "sessions", runner: "runner 0", found: 9, limit: 9 })
      runners.answers.push(() => Stream.fail(refused), () => Stream.fail(refused))
      const { id } = yield* connect()
      strictEqual(new Set(runners.asked).size, 3)
      strictEqual(runners.asked[2], id)
      runners.answers.push((id) => Stream.fail(new MailboxFull({ address: { entityId: id } as never })))
      const { notices } = yield* inTime(connect())
      deepStrictEqual(notices.map(({ _tag }) => _tag), ["Attached"])
      strictEqual(new Set(runners.asked).size, 5)
      runners.answers.push(...Array.from({ length: 12 }, () => () => Stream.fail(refused)))
      strictEqual((yield* Effect.flip(connect())).message, refused.message)
    }))

  it.effect("nobody answers: a new client is told, and a session that has lost its runner is given up", () =>
    Effect.gen(function*() {
      const { connect, runners } = yield* start(Parrot, { attachTimeout: 5000, giveUp: 20_000 })
      const { id, remote } = yield* connect()
      const nobody = () => Stream.never
      runners.answers.push(...Array.from({ length: 40 }, () => nobody))
      const late = yield* Effect.forkChild(Effect.flip(connect()))
      yield* TestClock.adjust("6 seconds")
      strictEqual(
        (yield* Fiber.join(late)).message.replace(/g0:[^:]+/, "s"),
        "session s: no runner has answered within 5000 ms"
      )
      yield* runners.kill(id)
      yield* TestClock.adjust("30 seconds")
      deepStrictEqual(yield* remote.ended, {
        failed: true,
        reason: "no runner has taken the session up within 20000 ms"
      })
    }))

  it.effect("an old token is worth nothing", () =>
    Effect.gen(function*() {
      const { connect, runners } = yield* start(Parrot)
      const { heard, id, remote } = yield* connect()
      const session = runners.gateway.host!.sessions.get(id)!
      const closed: Array<number> = []
      const link = {
        write: () => {},
        isCongested: () => false,
        onPacket: () => {},
        onClose: () => {},
        onDrain: () => {}
      }
      session.accept({ ...link, close: (code) => void closed.push(code) }, {
        session: id,
        token: "of yesterday",
        received: 0,
        control: 0,
        media: 0
      })
      deepStrictEqual(closed, [4404])
      yield* say(remote, "a")
      yield* pass()
      deepStrictEqual(heard, ["a"])
    }))

  it.effect("a frame that has no JSON form is refused where it is sent, and harms nothing", () =>
    Effect.gen(function*() {
      class Own extends Frame.App<Own>()("Own", { text: Schema.String }) {}
      const { connect } = yield* start(Parrot)
      const { heard, remote } = yield* connect()
      const error = yield* Effect.flip(remote.send(Own.make({ text: "a" })))
      assert.include(error.message, "Own")
      yield* say(remote, "b")
      yield* pass()
      deepStrictEqual(heard, ["b"])

      const Knowing = Cluster.session("knowing", { pipeline: Processor.sync("Same", {}), frames: [Own] })
      const { connect: connectKnowing } = yield* start(Knowing)
      const knowing = yield* connectKnowing()
      yield* knowing.remote.send(Own.make({ text: "a" }))
      yield* pass()
      deepStrictEqual(knowing.heard, ["Own"])
    }))

  it.effect("a gateway that is lost is waited for, then the session ends", () =>
    Effect.gen(function*() {
      const { connect, runners } = yield* start(Parrot)
      const { id } = yield* Effect.scoped(connect())
      strictEqual(runners.gateway.host!.sessions.has(id), true)
      yield* TestClock.adjust("14 seconds")
      strictEqual(runners.gateway.host!.sessions.has(id), true)
      yield* TestClock.adjust("2 seconds")
      strictEqual(runners.gateway.host!.sessions.has(id), false)
    }))
})

describe("options", () => {
  it.effect("of a runner, from the environment", () =>
    Effect.gen(function*() {
      const provider = ConfigProvider.layer(ConfigProvider.fromUnknown({
        APIPELINE_HOST: "10.0.0.7",
        APIPELINE_GROUP: "g1",
        APIPELINE_SESSIONS: "30",
        APIPELINE_DRAIN_TIMEOUT: "1 hour"
      }))
      const options = yield* Effect.provide(Cluster.runnerConfig, provider)
      strictEqual(options.host, "10.0.0.7")
      deepStrictEqual([options.port, options.dataPort, options.group], [7700, 7701, "g1"])
      strictEqual(options.capacity?.sessions, 30)
      assert.isTrue(Option.isNone(
        yield* Effect.option(Cluster.runnerConfig.pipe(
          Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
        ))
      ))
    }))

  it("the id of a session says which generation it is of, whoever asks", () => {
    const { entity } = Parrot["~apipeline/Cluster/Session"]
    const groupOf = (id: string) => entity.getShardGroup(id as never)
    deepStrictEqual(["g1:a", "g7:a:b", "a", ":a"].map(groupOf), ["g1", "g7", "g0", ""])
  })

  it.live("how late the event loop is", () =>
    Effect.gen(function*() {
      const lag = yield* makeLag
      strictEqual(lag(), 0)
      yield* Effect.sleep("100 millis")
      const nothing = new Int32Array(new SharedArrayBuffer(4))
      for (let i = 0; i < 4; i++) {
        Atomics.wait(nothing, 0, 0, 100)
        yield* Effect.sleep("20 millis")
      }
      yield* until("it is noticed", 5000, Effect.sync(() => lag() > 5))
    }))

  it("that cannot work name the field, what was found and what was expected", () => {
    assert.throws(
      () => Cluster.session("a", { pipeline: parrot, mediaCapacity: 0 }),
      "Cluster.session: mediaCapacity: found 0, expected a positive integer"
    )
    assert.throws(
      () => Cluster.session("a", { pipeline: parrot, grace: "-1 second" as never }),
      /grace/
    )
    assert.throws(
      () => Cluster.layerRunner({ host: "h", port: 1, dataPort: 2, group: "green" }),
      "Cluster.layerRunner: group: found green, expected one of g0, g1, g2, g3, g4, g5, g6, g7"
    )
  })
})
