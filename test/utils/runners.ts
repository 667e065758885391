/** Runners in memory: where a session is, and when it moves, is for the test to say. */
import type * as Cluster from "@apipeline/node/Cluster"
import { Context, Effect, Exit, Layer, Scope, Stream } from "effect"
import { Admission } from "../../packages/node/src/internal/cluster/admission.ts"
import type { Gateway } from "../../packages/node/src/internal/cluster/gateway.ts"
import { Host } from "../../packages/node/src/internal/cluster/host.ts"
import * as Hosted from "../../packages/node/src/internal/cluster/hosted.ts"
import type { Link } from "../../packages/node/src/internal/cluster/link.ts"
import * as Snapshots from "../../packages/node/src/internal/cluster/snapshots.ts"

interface Activation {
  readonly scope: Scope.Closeable
  readonly session: Hosted.HostedSession
  readonly host: Host["Service"]
}

export interface Runners {
  readonly gateway: Gateway["Service"]
  /** In order: the session leaves, and the next runner has it. */
  readonly move: (id: string) => Effect.Effect<void>
  /** The runner of a session is gone, without a word. */
  readonly kill: (id: string) => Effect.Effect<void>
  /** The connection to it breaks, and nothing else. */
  readonly cut: (id: string) => Effect.Effect<void>
  readonly snapshots: Snapshots.Snapshots["Service"]
  /** Where new activations are. */
  current: number
  /** Answers of runners that do not take a session, first come first served. */
  readonly answers: Array<(id: string) => Stream.Stream<never, unknown>>
  /** Ids for which somebody has asked, in order. */
  readonly asked: Array<string>
}

export const make = <R>(
  session: Cluster.Session<R>,
  options: { readonly handOverTimeout?: number; readonly giveUp?: number; readonly attachTimeout?: number } = {}
): Effect.Effect<Runners, never, Scope.Scope | R> =>
  Effect.gen(function*() {
    const { spec } = session["~apipeline/Cluster/Session"]
    const services = yield* Effect.context<R>()
    const outer = yield* Effect.scope
    const snapshots = Context.get(yield* Layer.build(Snapshots.layerMemory), Snapshots.Snapshots)
    const activations = new Map<string, Activation>()
    const links = new Map<string, Link>()
    /** Remembers over which link each session is reached. */
    class Sessions extends Map<string, Hosted.HostedSession> {
      override set(id: string, session: Hosted.HostedSession): this {
        return super.set(id, {
          ...session,
          accept: (link, hello) => {
            links.set(id, link)
            session.accept(link, hello)
          }
        })
      }
    }
    const sessions = new Sessions()

    const hostOf = (number: number): Host["Service"] => ({
      runner: `runner ${number}`,
      url: "",
      sessions,
      snapshots,
      handOverTimeout: options.handOverTimeout ?? 2000,
      drainTimeout: 0,
      kinds: new Map(),
      admission: new Admission({
        runner: `runner ${number}`,
        sessions: 1000,
        lag: 50,
        currentSessions: () => sessions.size,
        currentLag: () => 0
      })
    })

    const activate = Effect.fnUntraced(function*(id: string) {
      const known = activations.get(id)
      if (known !== undefined) return known
      const scope = yield* Scope.fork(outer)
      const host = hostOf(runners.current)
      const session = yield* Hosted.make(spec, id).pipe(
        Scope.provide(scope),
        Effect.provideService(Host, host),
        Effect.provide(services)
      )
      const made: Activation = { scope, session, host }
      activations.set(id, made)
      return made
    })

    const cut = (id: string) => Effect.sync(() => links.get(id)!.close(1006, ""))

    /** Another runner has it from now on. */
    const forget = (id: string) =>
      Effect.sync(() => {
        runners.current++
        activations.delete(id)
        sessions.delete(id)
      })

    const client = (id: string) => ({
      Attach: (payload: Parameters<Hosted.HostedSession["attach"]>[0]) =>
        Stream.suspend(() => {
          runners.asked.push(id)
          const answer = runners.answers.shift()
          if (answer !== undefined) return answer(id)
          return Stream.unwrap(Effect.map(activate(id), ({ session }) => session.attach(payload)))
        })
    })
    const runners: Runners = {
      gateway: {
        sharding: { makeClient: () => Effect.succeed(client) } as unknown as Gateway["Service"]["sharding"],
        get host() {
          return { ...hostOf(0), runner: `runner ${runners.current}` }
        },
        groups: Effect.succeed(["g0"]),
        prefer: () => {},
        isReady: () => true,
        attachTimeout: options.attachTimeout ?? 10_000,
        giveUp: options.giveUp ?? 60_000,
        attached: new Set()
      },
      move: (id) => Effect.andThen(Scope.close(activations.get(id)!.scope, Exit.void), forget(id)),
      // what is left of it runs on, and nobody hears it
      kill: (id) => Effect.andThen(forget(id), cut(id)),
      cut,
      snapshots,
      current: 1,
      answers: [],
      asked: []
    }
    return runners
  })
