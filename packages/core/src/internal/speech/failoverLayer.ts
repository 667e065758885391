import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"

/** The services of several layers as one. */
export const failoverLayer = <Self, Service, E, R>(
  key: Context.Service<Self, Service>,
  layers: readonly [Layer.Layer<Self, E, R>, ...ReadonlyArray<Layer.Layer<Self, E, R>>],
  failover: (services: readonly [Service, ...ReadonlyArray<Service>]) => Service
): Layer.Layer<Self, E, R> =>
  Layer.effect(
    key,
    Effect.map(
      Effect.forEach(layers, (layer) => Effect.map(Layer.build(layer), Context.get(key))),
      // as many as there are layers
      (services) => failover(services as readonly [Service, ...ReadonlyArray<Service>])
    )
  )
