/**
 * Telephone calls over WebSockets, as six vendors stream them: audio, keys, interruptions, and how much of what was said
 * the caller has heard.
 *
 * | vendor | on the line | audio that is sent | play-out | hanging up |
 * |---|---|---|---|---|
 * | {@link twilio} Media Streams | µ-law, 8 kHz | as it comes | marks | `HangUp.twilio` |
 * | {@link telnyx} Media Streaming | µ-law or A-law, 8 kHz | 20 ms | marks | `HangUp.telnyx` |
 * | {@link plivo} Audio Streaming | µ-law 8 kHz, PCM 8 or 16 kHz | as it comes | checkpoints | `HangUp.plivo` |
 * | {@link exotel} Voicebot | PCM, 8, 16 or 24 kHz | 3200 bytes | marks | closing the WebSocket |
 * | {@link vonage} Voice API | PCM, 8, 16 or 24 kHz | 20 ms | notifications | closing the WebSocket |
 * | {@link genesys} AudioHook | µ-law, 8 kHz | 1600 bytes | `playback_completed` | a message |
 *
 * A {@link Session} is one connection. It knows no socket: messages go in and come out. It recognises the vendor by the
 * first messages, or beforehand: {@link detect}.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type * as Frame from "./Frame.ts"
import type * as G711 from "./G711.ts"
import { checkPositiveInteger } from "./internal/positiveInteger.ts"
import type * as Dialects from "./internal/telephony/dialect.ts"
import type { Call, Vendor, Wire } from "./internal/telephony/dialect.ts"
import * as Exchange from "./internal/telephony/exchange.ts"
import type { Decoded, Status } from "./internal/telephony/exchange.ts"
import * as Exotel from "./internal/telephony/exotel.ts"
import * as Genesys from "./internal/telephony/genesys.ts"
import * as Message from "./internal/telephony/message.ts"
import * as Plivo from "./internal/telephony/plivo.ts"
import * as Telnyx from "./internal/telephony/telnyx.ts"
import * as Twilio from "./internal/telephony/twilio.ts"
import * as Vonage from "./internal/telephony/vonage.ts"
import * as Errors from "./internal/wire/serializerError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

export type { Call, Vendor, Wire } from "./internal/telephony/dialect.ts"
export type { Decoded, Status } from "./internal/telephony/exchange.ts"
export type { GenesysOptions } from "./internal/telephony/genesys.ts"

/**
 * How one vendor speaks. Opaque: made by {@link twilio} and its like.
 *
 * @category models
 * @since 0.1.0
 */
export interface Dialect {
  readonly vendor: Vendor
}

/**
 * One connection with a vendor.
 *
 * **Gotchas**
 *
 * Messages must be sent in the order in which they were made: AudioHook numbers them. Make and send them under one
 * permit, or in one step with the `Result` forms.
 *
 * @see {@link make} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Session<out E = never> {
  /** Whether there is a message for this type of frame: a transport skips the others. */
  readonly carries: (frame: Frame.Frame) => boolean
  /** Takes a message of the other side. One that fails changes nothing: the session goes on. */
  readonly decode: (message: Wire) => Effect.Effect<Decoded, Errors.SerializerError>
  /**
   * Makes the messages for a frame: audio in any rate and number of channels; `StartInterruptionFrame` is
   * {@link Session.clear}, `OutputAudioEndFrame` and `EndFrame` are {@link Session.flush}. The object in an
   * `OutputTransportMessageFrame` is sent as it is (of AudioHook its `type` and `parameters`), unless it is RTVI. There
   * is nothing to be sent once the call has ended, nor audio while AudioHook is paused.
   */
  readonly encode: (frame: Frame.Frame) => Effect.Effect<ReadonlyArray<Wire>, Errors.SerializerError>
  readonly decodeResult: (message: Wire) => Result.Result<Decoded, Errors.SerializerError>
  readonly encodeResult: (frame: Frame.Frame) => Result.Result<ReadonlyArray<Wire>, Errors.SerializerError>
  /**
   * The end of an utterance: what resampling and packets of one size have held back, filled up with silence, and a mark.
   */
  readonly flush: Effect.Effect<ReadonlyArray<Wire>>
  /** Stops what is being played and drops what waits to be, here and there. */
  readonly clear: Effect.Effect<ReadonlyArray<Wire>>
  /** Waits for the call. Interrupted when the session closes before. */
  readonly started: Effect.Effect<Call>
  /** Waits for the end of the call, and tells why: what the vendor says, `closed` when the session has closed. */
  readonly ended: Effect.Effect<string>
  /**
   * Waits until all audio has been played or cleared, or the call has ended. {@link Session.flush} first. It does not wait
   * where there are no marks. Give it a timeout: nobody has to answer.
   */
  readonly drained: Effect.Effect<void>
  readonly status: Effect.Effect<Status>
  readonly statusUnsafe: () => Status
  /**
   * Hangs up: runs the hook, once, unless the other side has ended the call. Gives the messages that say so, for AudioHook.
   */
  readonly hangUp: Effect.Effect<ReadonlyArray<Wire>, E>
}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /** Who may call. Default: {@link dialects}, all of them. */
  readonly dialects?: ReadonlyArray<Dialect> | undefined
  /** Of the frames that come in, in Hz. Default: that of the line. */
  readonly sampleRate?: number | undefined
  /**
   * How much audio there is between two marks, and so how exact `played` is; the least is a packet. `false`: none, for
   * peers that do not expect marks. Default: 200 ms.
   */
  readonly marks?: Duration.Input | false | undefined
  /** Bytes, or characters of text. Default: 65536, the limit of AudioHook's reference server. */
  readonly maxMessageSize?: number | undefined
  /**
   * Ends the call at the vendor: see `HangUp`. It is run by {@link Session.hangUp} or when the session closes, once, if
   * the call is still on; what fails then is logged.
   */
  readonly hangUp?: ((call: Call) => Effect.Effect<unknown, E, R>) | undefined
  /** For the hook, when the session closes. Default: 5 seconds. */
  readonly hangUpTimeout?: Duration.Input | undefined
}

/**
 * What {@link detect} has found.
 *
 * @category models
 * @since 0.1.0
 */
export interface Detected {
  readonly vendor: Vendor
  readonly call: Call
}

// ---------------------------------------------------------------------------------------------------------------------
// dialects
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Twilio Media Streams, bidirectional: `<Connect><Stream url="wss://..."/></Connect>`.
 *
 * @example
 * ```ts
 * import { Telephony } from "@apipeline/core"
 *
 * Telephony.twilio().vendor // => "twilio"
 * ```
 *
 * @category dialects
 * @since 0.1.0
 */
export const twilio: () => Dialect = Twilio.twilio

/**
 * Telnyx Media Streaming, bidirectional (`stream_bidirectional_mode: "rtp"`). Its messages may come out of order: up to
 * five (100 ms) wait for one that is missing.
 *
 * `encoding` is what is sent; default: what is received.
 *
 * @example
 * ```ts
 * import { Telephony } from "@apipeline/core"
 *
 * Telephony.telnyx({ encoding: "alaw" }).vendor // => "telnyx"
 * ```
 *
 * @category dialects
 * @since 0.1.0
 */
export const telnyx: (options?: { readonly encoding?: G711.Law | undefined }) => Dialect = Telnyx.telnyx

/**
 * Plivo Audio Streaming, bidirectional: `<Stream bidirectional="true" keepCallAlive="true">`. What is sent is coded as
 * what is received: `contentType` of that element.
 *
 * @example
 * ```ts
 * import { Telephony } from "@apipeline/core"
 *
 * Telephony.plivo().vendor // => "plivo"
 * ```
 *
 * @category dialects
 * @since 0.1.0
 */
export const plivo: () => Dialect = Plivo.plivo

/**
 * Exotel's Voicebot applet.
 *
 * `sampleRate` is what the URL asks for with `?sample-rate=`, where the start of the call does not say; default: 8000.
 *
 * @example
 * ```ts
 * import { Telephony } from "@apipeline/core"
 *
 * Telephony.exotel({ sampleRate: 16000 }).vendor // => "exotel"
 * ```
 *
 * @category dialects
 * @since 0.1.0
 */
export const exotel: (options?: { readonly sampleRate?: 8000 | 16000 | 24000 | undefined }) => Dialect = Exotel.exotel

/**
 * WebSocket endpoints of Vonage's Voice API. The rate is that of `content-type` in the NCCO; what else is there in its
 * `headers` is in the parameters of the call.
 *
 * @example
 * ```ts
 * import { Telephony } from "@apipeline/core"
 *
 * Telephony.vonage().vendor // => "vonage"
 * ```
 *
 * @category dialects
 * @since 0.1.0
 */
export const vonage: () => Dialect = Vonage.vonage

/**
 * AudioHook, version 2, of Genesys Cloud's Audio Connector (and Monitor, which takes no audio). Where it offers the
 * caller alone that is chosen, else the caller's channel is taken out.
 *
 * @example
 * ```ts
 * import { Telephony } from "@apipeline/core"
 *
 * const outputVariables = () => ({ action: "transfer" })
 * Telephony.genesys({ outputVariables }).vendor // => "genesys"
 * ```
 *
 * @category dialects
 * @since 0.1.0
 */
export const genesys: (options?: Genesys.GenesysOptions) => Dialect = Genesys.genesys

/**
 * All vendors, with their defaults.
 *
 * @example
 * ```ts
 * import { Telephony } from "@apipeline/core"
 *
 * Telephony.dialects.map(({ vendor }) => vendor) // => ["twilio", "telnyx", "plivo", "exotel", "vonage", "genesys"]
 * ```
 *
 * @category dialects
 * @since 0.1.0
 */
export const dialects: ReadonlyArray<Dialect> = [twilio(), telnyx(), plivo(), exotel(), vonage(), genesys()]

const internal = (dialects: ReadonlyArray<Dialect>): ReadonlyArray<Dialects.Dialect> =>
  dialects.map((dialect) => {
    if ("open" in dialect) return dialect as Dialects.Dialect // made by the constructors above
    throw new TypeError(`Telephony: dialects: found ${Errors.show(dialect)}, expected one of this module`)
  })

// ---------------------------------------------------------------------------------------------------------------------
// detection
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Tells who is calling by the first messages of a connection: the first one that starts a call decides. `none` while
 * there is none that does, or that can be read.
 *
 * @example
 * ```ts
 * import { Telephony } from "@apipeline/core"
 * import { Option } from "effect"
 *
 * const detected = Telephony.detect([
 *   `{"event":"connected","protocol":"Call","version":"1.0.0"}`,
 *   `{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1","customParameters":{"user":"ann"}}}`
 * ])
 * Option.map(detected, ({ call, vendor }) => [vendor, call.parameters.user]) // => Option.some(["twilio", "ann"])
 * ```
 *
 * @category detection
 * @since 0.1.0
 */
export const detect = (
  messages: ReadonlyArray<Wire>,
  options: Pick<Options, "dialects"> = {}
): Option.Option<Detected> => {
  const all = internal(options.dialects ?? dialects)
  for (const message of messages) {
    if (typeof message !== "string") continue
    try {
      const json = Message.parse(Exchange.unknown, message)
      const dialect = Exchange.recognise(all, json)
      if (dialect !== undefined) return Option.some({ vendor: dialect.vendor, call: dialect.open(json, []).call })
    } catch (error) {
      if (!(error instanceof Errors.SerializerError)) throw error
    }
  }
  return Option.none()
}

// ---------------------------------------------------------------------------------------------------------------------
// sessions
// ---------------------------------------------------------------------------------------------------------------------

const attempt = <A>(f: () => A): Result.Result<A, Errors.SerializerError> => {
  try {
    return Result.succeed(f())
  } catch (error) {
    if (error instanceof Errors.SerializerError) return Result.fail(error)
    throw error
  }
}

/**
 * Makes the session of one connection. When its scope closes, a call that is still on is hung up.
 *
 * Options that cannot work are a defect: a `TypeError`.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { Frame, Telephony } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const session = yield* Telephony.make({ sampleRate: 16000 })
 *   yield* session.decode(`{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1"}}`)
 *   const audio = new Uint8Array(4)
 *   const messages = yield* session.encode(Frame.AudioRawFrame.make({ audio, sampleRate: 8000, numChannels: 1 }))
 *   return [...messages, ...yield* session.clear]
 * }).pipe(Effect.scoped)
 *
 * Effect.runSync(program)
 * // => [`{"event":"media","streamSid":"MZ1","media":{"payload":"//8="}}`, `{"event":"clear","streamSid":"MZ1"}`]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(
  function*<E = never, R = never>(options: Options<E, R> = {}): Effect.fn.Return<Session<E>, never, R | Scope.Scope> {
    const { hangUpTimeout = "5 seconds", marks = "200 millis", maxMessageSize = 65_536, sampleRate } = options
    checkPositiveInteger("Telephony: maxMessageSize", maxMessageSize)
    if (sampleRate !== undefined) checkPositiveInteger("Telephony: sampleRate", sampleRate)
    const context = yield* Effect.context<R>()
    const started = yield* Deferred.make<Call>()
    const ended = yield* Deferred.make<string>()
    const settled = yield* Latch.make(true)
    const markInterval = marks === false ? undefined : Duration.toMillis(marks)

    const exchange = Exchange.make({
      dialects: internal(options.dialects ?? dialects),
      sampleRate,
      maxMessageSize,
      markInterval,
      onStart: (call) => Deferred.doneUnsafe(started, Exit.succeed(call)),
      onEnd: (reason) => {
        Deferred.doneUnsafe(ended, Exit.succeed(reason))
        settled.openUnsafe()
      },
      onSettled: (is) => {
        if (markInterval === undefined) return
        if (is || exchange.status().ended) settled.openUnsafe()
        else settled.closeUnsafe()
      }
    })

    let hungUp = false
    const runHook: Effect.Effect<void, E, R> = Effect.suspend(() => {
      const { call, ended } = exchange.status()
      if (hungUp || call === undefined || ended) return Effect.void
      hungUp = true
      return options.hangUp === undefined ? Effect.void : Effect.asVoid(options.hangUp(call))
    })

    yield* Effect.addFinalizer(() =>
      runHook.pipe(
        Effect.timeout(hangUpTimeout),
        Effect.catchCause((cause) => Effect.logWarning("Telephony: could not hang up", cause)),
        Effect.andThen(Effect.sync(() => {
          settled.openUnsafe()
          Deferred.doneUnsafe(ended, Exit.succeed("closed"))
        })),
        Effect.andThen(Deferred.interrupt(started))
      )
    )

    const decodeResult = (message: Wire): Result.Result<Decoded, Errors.SerializerError> =>
      attempt(() => exchange.decode(message))
    const encodeResult = (frame: Frame.Frame): Result.Result<ReadonlyArray<Wire>, Errors.SerializerError> =>
      attempt(() => exchange.encode(frame))

    return {
      carries: Exchange.carries,
      decodeResult,
      encodeResult,
      decode: (message) => Effect.suspend(() => Effect.fromResult(decodeResult(message))),
      encode: (frame) => Effect.suspend(() => Effect.fromResult(encodeResult(frame))),
      flush: Effect.sync(exchange.flush),
      clear: Effect.sync(exchange.clear),
      started: Deferred.await(started),
      ended: Deferred.await(ended),
      drained: settled.await,
      status: Effect.sync(exchange.status),
      statusUnsafe: exchange.status,
      hangUp: Effect.suspend(() => {
        const messages = hungUp ? [] : exchange.goodbye()
        return Effect.as(runHook, messages)
      }).pipe(Effect.provide(context))
    }
  }
)
