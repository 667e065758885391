/**
 * Whether it is the vendor who calls: Twilio and Genesys AudioHook sign their requests with a secret that they share with
 * whoever is called. `TelephoneServer` asks here when it has been told a secret.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { createHmac, timingSafeEqual } from "node:crypto"
import { parseSignature, signatureBase } from "./internal/messageSignature.ts"

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What Twilio signs with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Twilio {
  /** Of the account: the primary one, with which Twilio signs. */
  readonly authToken: Redacted.Redacted
  /**
   * Scheme and host under which Twilio knows the server: `https://example.com`. Default: `https://` and the `Host` of the
   * request, which is right behind most proxies.
   */
  readonly origin?: string | undefined
}

/**
 * What Genesys signs with: the credentials of an AudioHook integration.
 *
 * @category models
 * @since 0.1.0
 */
export interface AudioHook {
  readonly apiKey: Redacted.Redacted
  /** In base64. Default: none, and only the key is compared, which whoever has seen a request knows. */
  readonly clientSecret?: Redacted.Redacted | undefined
  /** Host under which Genesys knows the server. Default: the `Host` of the request. */
  readonly authority?: string | undefined
  /** How old a signature may be. Genesys says itself when one expires, after 10 seconds. Default: 30 seconds. */
  readonly maxAge?: Duration.Input | undefined
}

/**
 * Secrets, by vendor.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly twilio?: Twilio | undefined
  readonly genesys?: AudioHook | undefined
}

/**
 * A request, as far as it is signed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Request {
  /** Path and query, as they were asked for. */
  readonly target: string
  /** With names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>
  /** Whether it asks for a WebSocket, which Twilio knows under `wss://`. Default: false. */
  readonly webSocket?: boolean | undefined
  /** Names and values of a posted form. Default: none. */
  readonly form?: ReadonlyArray<readonly [name: string, value: string]> | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A request that does not come from a vendor: it is not signed, with something else, or not now.
 *
 * @example
 * ```ts
 * import { CallSignature } from "@apipeline/node"
 *
 * new CallSignature.SignatureError({ vendor: "twilio", field: "x-twilio-signature", found: "nothing", expected: "a signature" })
 *   .message // => "twilio: x-twilio-signature: found nothing, expected a signature"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class SignatureError extends Schema.TaggedError<SignatureError>()("SignatureError", {
  vendor: Schema.Literals(["twilio", "genesys"]),
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.vendor}: ${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

const refuseFor = (vendor: SignatureError["vendor"]) => (field: string, found: string, expected: string) =>
  Effect.fail(new SignatureError({ vendor, field, found, expected }))

/** In a time that says nothing about where they differ. */
const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b)

const isSameText = (a: string, b: string): boolean => isSame(Buffer.from(a), Buffer.from(b))

// ---------------------------------------------------------------------------------------------------------------------
// Twilio
// ---------------------------------------------------------------------------------------------------------------------

/** Twilio leaves out a port, or says the usual one, and ends the URL of a stream with a slash, or does not. */
const spellings = (url: string): ReadonlyArray<string> => {
  const [, before = "", host = "", port, after = ""] = /^(\w+:\/\/)([^/?#:]*)(:\d+)?(.*)$/s.exec(url) ?? []
  const ports = port === undefined ? ["", ":443"] : [port, ""]
  const endings = before === "wss://" && !/[/?]/.test(after.at(-1) ?? "") ? [after, `${after}/`] : [after]
  return ports.flatMap((port) => endings.map((ending) => `${before}${host}${port}${ending}`))
}

/** Of each name, in order: each value once, in order. */
const flatten = (form: NonNullable<Request["form"]>): string =>
  [...new Set(form.map(([name]) => name))].sort().map((name) => {
    const values = form.flatMap(([other, value]) => other === name ? [value] : [])
    return [...new Set(values)].sort().map((value) => name + value).join("")
  }).join("")

/**
 * Checks `X-Twilio-Signature`: HMAC-SHA1 of the URL and the posted form, for webhooks and for the WebSocket of a stream.
 * Twilio signs no time: who has seen a request can repeat it.
 *
 * @example
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { CallSignature } from "@apipeline/node"
 *
 * const check = CallSignature.twilio({ authToken: Redacted.make("12345"), origin: "https://mycompany.com" }, {
 *   target: "/myapp.php?foo=1&bar=2",
 *   headers: { "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=" },
 *   form: [["CallSid", "CA1234567890ABCDE"], ["Caller", "+14158675309"], ["Digits", "1234"], ["From", "+14158675309"],
 *     ["To", "+18005551212"]]
 * })
 *
 * await Effect.runPromise(Effect.as(check, "it is Twilio")) // => "it is Twilio"
 * ```
 *
 * Source: Twilio's "Validating Signatures from Twilio".
 *
 * @category checks
 * @since 0.1.0
 */
export const twilio = (
  { authToken, origin }: Twilio,
  { form = [], headers, target, webSocket = false }: Request
): Effect.Effect<void, SignatureError> =>
  Effect.suspend(() => {
    const refuse = refuseFor("twilio")
    const given = headers["x-twilio-signature"]
    if (given === undefined) return refuse("x-twilio-signature", "nothing", "a signature")
    const base = (origin ?? `https://${headers["host"] ?? ""}`).replace(/\/$/, "")
    const url = (webSocket ? base.replace(/^http/, "ws") : base) + target
    const fields = flatten(form)
    const isSigned = spellings(url).some((url) => {
      const expected = createHmac("sha1", Redacted.value(authToken)).update(url + fields).digest("base64")
      return isSameText(given, expected)
    })
    return isSigned
      ? Effect.void
      : refuse("x-twilio-signature", "another signature", `that of ${url} with the token of the account`)
  })

// ---------------------------------------------------------------------------------------------------------------------
// AudioHook
// ---------------------------------------------------------------------------------------------------------------------

const signedHeaders = [
  "audiohook-organization-id",
  "audiohook-session-id",
  "audiohook-correlation-id",
  "x-api-key"
] as const

/** Clocks of two machines differ by so many seconds. */
const tolerance = 5

const duration = (field: string, input: Duration.Input): number => {
  const seconds = Duration.toSeconds(input)
  if (seconds > 0 && seconds < Infinity) return seconds
  throw new TypeError(`CallSignature: ${field}: found ${seconds} s, expected a finite duration greater than zero`)
}

/**
 * Checks `X-API-KEY`, and the `Signature` of an AudioHook client: HMAC-SHA256 of the request target, the authority, the ids
 * and the key, as in RFC 9421. It must be of now. Gives its nonce: nobody else may use it again.
 *
 * @example
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { CallSignature } from "@apipeline/node"
 *
 * const check = CallSignature.audioHook({ apiKey: Redacted.make("key") }, { target: "/calls", headers: { "x-api-key": "no" } })
 *
 * const { message } = await Effect.runPromise(Effect.flip(check))
 * message // => "genesys: x-api-key: found another key, expected the configured one"
 * ```
 *
 * Source: Genesys' "AudioHook security", RFC 9421.
 *
 * @category checks
 * @since 0.1.0
 */
export const audioHook = (
  { apiKey, authority, clientSecret, maxAge = "30 seconds" }: AudioHook,
  { headers, target }: Request
): Effect.Effect<{ readonly nonce: string; readonly until: number } | undefined, SignatureError> => {
  const oldest = duration("maxAge", maxAge)
  const refuse = refuseFor("genesys")
  return Effect.flatMap(Clock.currentTimeMillis, (millis) => {
    const now = Math.floor(millis / 1000)
    const key = headers["x-api-key"]
    if (key === undefined) return refuse("x-api-key", "nothing", "the key")
    if (!isSameText(key, Redacted.value(apiKey))) return refuse("x-api-key", "another key", "the configured one")
    if (clientSecret === undefined) return Effect.succeed(undefined)
    const signed = parseSignature(headers["signature-input"], headers["signature"])
    if (typeof signed === "string") return refuse("signature", signed, "one member, made of a list and its parameters")
    const { components, parameters, signature } = signed
    const { alg, created, expires, keyid, nonce } = parameters
    const missing = ["@request-target", ...signedHeaders].find((name) => !components.includes(name)) ??
      (components.includes("@authority") || components.includes("host") ? undefined : "@authority")
    if (missing !== undefined) return refuse("signature-input", `no ${missing}`, "it to be signed")
    if (alg !== undefined && alg !== "hmac-sha256") return refuse("signature-input.alg", `${alg}`, "hmac-sha256")
    if (keyid !== key) return refuse("signature-input.keyid", "another key", "that of x-api-key")
    if (typeof nonce !== "string" || nonce === "") return refuse("signature-input.nonce", "nothing", "a nonce")
    if (typeof created !== "number") return refuse("signature-input.created", "nothing", "a time")
    if (created > now + tolerance) return refuse("signature-input.created", `${created - now} s ahead`, "a past time")
    const until = Math.min(created + oldest, typeof expires === "number" ? expires : Infinity) + tolerance
    if (now > until) {
      return refuse("signature-input.created", `${now - created} s ago`, "a signature that has not expired")
    }
    const host = authority ?? headers["host"] ?? ""
    const base = signatureBase(signed, (name) =>
      name === "@request-target"
        ? target
        : name === "@authority"
        ? host.toLowerCase().replace(/:(80|443)$/, "")
        : name === "host"
        ? host
        : headers[name])
    if (base === undefined) return refuse("signature-input", components.join(" "), "headers that the request has")
    const expected = createHmac("sha256", Buffer.from(Redacted.value(clientSecret), "base64")).update(base).digest()
    return isSame(signature, expected)
      ? Effect.succeed({ nonce, until: until * 1000 })
      : refuse("signature", "another signature", "that of the request with the secret of the integration")
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// all
// ---------------------------------------------------------------------------------------------------------------------

/** A signature is good for half a minute: more connections than that in such a time are a flood. */
const mostNonces = 100_000

/**
 * Makes a check for whoever comes: the vendor whose signature the request has. A signature of AudioHook is good once.
 *
 * @example
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { CallSignature } from "@apipeline/node"
 *
 * const check = CallSignature.make({ twilio: { authToken: Redacted.make("12345") } })
 * const error = Effect.flip(check({ target: "/calls", headers: { host: "example.com" } }))
 *
 * const { message } = await Effect.runPromise(error)
 * message // => "twilio: x-twilio-signature: found nothing, expected a signature"
 * ```
 *
 * @category checks
 * @since 0.1.0
 */
export const make = (
  options: Options
): (request: Request) => Effect.Effect<SignatureError["vendor"], SignatureError> => {
  if (options.genesys?.maxAge !== undefined) duration("genesys.maxAge", options.genesys.maxAge)
  /** When each may be forgotten, the oldest first. */
  const nonces = new Map<string, number>()
  const once = Effect.fnUntraced(function*(nonce: string, until: number) {
    const now = yield* Clock.currentTimeMillis
    for (const [other, until] of nonces) {
      if (until >= now && nonces.size < mostNonces) break
      nonces.delete(other)
    }
    if (nonces.has(nonce)) {
      return yield* refuseFor("genesys")("signature-input.nonce", "one that was used", "a new one")
    }
    nonces.set(nonce, until)
  })
  return (request) => {
    const { genesys, twilio: account } = options
    const isAudioHook = request.headers["signature"] !== undefined || request.headers["x-api-key"] !== undefined
    if (genesys !== undefined && (isAudioHook || account === undefined)) {
      return audioHook(genesys, request).pipe(
        Effect.tap((signed) => signed === undefined ? Effect.void : once(signed.nonce, signed.until)),
        Effect.as("genesys")
      )
    }
    return account === undefined
      ? refuseFor("twilio")("x-twilio-signature", "no secret", "one for a vendor")
      : Effect.as(twilio(account, request), "twilio")
  }
}
