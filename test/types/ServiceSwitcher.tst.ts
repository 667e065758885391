import * as Pipeline from "@apipeline/core/Pipeline"
import * as Processor from "@apipeline/core/Processor"
import * as ServiceSwitcher from "@apipeline/core/ServiceSwitcher"
import { Context, Data, Effect, type Layer, type Scope } from "effect"
import { describe, expect, test } from "tstyche"

class Boom extends Data.TaggedError("Boom")<{}> {}
class Bang extends Data.TaggedError("Bang")<{}> {}
class Db extends Context.Service<Db, { readonly save: Effect.Effect<void, Boom> }>()("Db") {}
class Log extends Context.Service<Log, { readonly write: Effect.Effect<void> }>()("Log") {}

const same = Processor.sync("Same", {})
const failing = Processor.effect("Failing", { TextFrame: () => Effect.fail(new Boom()) })
const needing = Processor.queued("Needing", { TextFrame: () => Effect.andThen(Db, Effect.fail(new Bang())) })
class Save extends Processor.Service<Save>()("Save", {
  make: Effect.map(Db, (db) => Processor.queued({ TextFrame: () => db.save }))
}) {}

type Switcher<E, R> = Pipeline.Pipeline<E | ServiceSwitcher.ServiceUnavailable, R>

describe("ServiceSwitcher.make", () => {
  test("gathers the errors and the services of all", () => {
    expect(ServiceSwitcher.make({ same })).type.toBe<Switcher<never, never>>()
    expect(ServiceSwitcher.make({ same, failing, needing })).type.toBe<Switcher<Boom | Bang, Db>>()
    expect(ServiceSwitcher.make({ Save, pipeline: Pipeline.make(failing, Save) })).type.toBe<Switcher<Boom, Save>>()
    expect(ServiceSwitcher.make({ inner: ServiceSwitcher.make({ failing }), needing })).type.toBe<
      Switcher<Boom | Bang, Db>
    >()
    const strategy = ServiceSwitcher.failover
    expect(ServiceSwitcher.make({ inner: ServiceSwitcher.make({ failing }, { strategy }), needing }, { strategy })).type
      .toBe<Switcher<Boom | Bang, Db>>()
  })

  test("and the services of its callbacks", () => {
    const onServiceSwitched = () => Effect.flatMap(Log, ({ write }) => Effect.andThen(Effect.scope, write))
    expect(ServiceSwitcher.make({ needing }, { onServiceSwitched })).type.toBe<Switcher<Bang, Db | Log>>()
    expect(ServiceSwitcher.make({ inner: ServiceSwitcher.make({ same }, { onServiceSwitched }) })).type.toBe<
      Switcher<never, Log>
    >()
    class Bot extends Pipeline.Service<Bot>()("Bot", ServiceSwitcher.make({ Save }, { onServiceSwitched })) {}
    expect(Bot.layer).type.toBe<Layer.Layer<Bot, never, Save | Log>>()
    expect<Scope.Scope>().type.not.toBeAssignableTo<Log>()
  })

  test("refuses what is no service", () => {
    expect(ServiceSwitcher.make).type.not.toBeCallableWith({ a: "Same" })
    expect(ServiceSwitcher.make).type.not.toBeCallableWith({ same }, { strategy: "failover" })
  })

  test("frames have the fields that they need", () => {
    expect(ServiceSwitcher.SwitchServiceFrame.make).type.not.toBeCallableWith({})
    expect(ServiceSwitcher.ServiceSettingsFrame.make).type.toBeCallableWith({ settings: {} })
  })
})
