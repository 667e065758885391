/**
 * Ends calls at vendors that have an HTTP API for it: hooks for `hangUp` of `Telephony.make`, and the requests that they
 * make.
 *
 * Exotel and Vonage end a call when its WebSocket closes, and AudioHook by a message: they need no hook.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Call } from "./internal/telephony/dialect.ts"
import * as Errors from "./internal/wire/serializerError.ts"

// ---------------------------------------------------------------------------------------------------------------------
// errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The id of the call cannot be part of a URL: there is none, or it would lead elsewhere.
 *
 * @example
 * ```ts
 * import { HangUp } from "@apipeline/core"
 *
 * new HangUp.InvalidCallId({ vendor: "twilio", found: "\"..\"" }).message
 * // => "HangUp: twilio: callId: found \"..\", expected an id"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidCallId extends Schema.TaggedError<InvalidCallId>()("InvalidCallId", {
  vendor: Schema.String,
  found: Schema.String
}) {
  override get message(): string {
    return `HangUp: ${this.vendor}: callId: found ${this.found}, expected an id`
  }
}

/**
 * The vendor could not be asked.
 *
 * @example
 * ```ts
 * import { HangUp } from "@apipeline/core"
 *
 * new HangUp.RequestFailed({ vendor: "twilio", cause: new Error("ECONNRESET") }).message
 * // => "HangUp: twilio: the request failed: Error: ECONNRESET"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class RequestFailed extends Schema.TaggedError<RequestFailed>()("RequestFailed", {
  vendor: Schema.String,
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `HangUp: ${this.vendor}: the request failed: ${this.cause}`
  }
}

/**
 * The vendor has refused.
 *
 * @example
 * ```ts
 * import { HangUp } from "@apipeline/core"
 *
 * new HangUp.Refused({ vendor: "twilio", status: 401 }).message
 * // => "HangUp: twilio: found status 401, expected success"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  vendor: Schema.String,
  status: Schema.Finite
}) {
  override get message(): string {
    return `HangUp: ${this.vendor}: found status ${this.status}, expected success`
  }
}

/**
 * The one error of hooks; `reason` tells which.
 *
 * @example
 * ```ts
 * import { HangUp } from "@apipeline/core"
 *
 * new HangUp.HangUpError({ reason: new HangUp.Refused({ vendor: "twilio", status: 401 }) }).message
 * // => "HangUp: twilio: found status 401, expected success"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class HangUpError extends Schema.TaggedError<HangUpError>()("HangUpError", {
  reason: Schema.Union([InvalidCallId, RequestFailed, Refused])
}) {
  override get message(): string {
    return this.reason.message
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * The hook: ends a call.
 *
 * @category models
 * @since 0.1.0
 */
export type Hook = (call: Call) => Effect.Effect<void, HangUpError, HttpClient.HttpClient>

type Request = Result.Result<HttpClientRequest.HttpClientRequest, HangUpError>

/**
 * Who may end calls at Twilio.
 *
 * @category models
 * @since 0.1.0
 */
export interface TwilioCredentials {
  readonly accountSid: string
  readonly authToken: Redacted.Redacted
  /** Default: `https://api.twilio.com`; regions have their own, `https://api.dublin.ie1.twilio.com` for example. */
  readonly url?: string | undefined
}

/**
 * Who may end calls at Telnyx.
 *
 * @category models
 * @since 0.1.0
 */
export interface TelnyxCredentials {
  readonly apiKey: Redacted.Redacted
  /** Default: `https://api.telnyx.com`. */
  readonly url?: string | undefined
}

/**
 * Who may end calls at Plivo.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlivoCredentials {
  readonly authId: string
  readonly authToken: Redacted.Redacted
  /** Default: `https://api.plivo.com`. */
  readonly url?: string | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// requests
// ---------------------------------------------------------------------------------------------------------------------

/** The id comes from the other side: it must stay one segment of the path. */
const segment = (call: Call): Result.Result<string, HangUpError> => {
  const { callId, vendor } = call
  return callId === undefined || /^\.*$/.test(callId)
    ? Result.fail(new HangUpError({ reason: new InvalidCallId({ vendor, found: Errors.show(callId) }) }))
    : Result.succeed(encodeURIComponent(callId))
}

/**
 * `POST /2010-04-01/Accounts/{AccountSid}/Calls/{CallSid}.json` with `Status=completed`.
 *
 * @example
 * ```ts
 * import { Redacted, Result } from "effect"
 * import { HangUp, type Telephony } from "@apipeline/core"
 *
 * const url = (call: Telephony.Call) =>
 *   Result.map(HangUp.twilioRequest(call, { accountSid: "AC1", authToken: Redacted.make("secret") }), ({ url }) => url)
 * ```
 *
 * @category requests
 * @since 0.1.0
 */
export const twilioRequest = (call: Call, credentials: TwilioCredentials): Request =>
  Result.map(segment(call), (id) => {
    const { accountSid, authToken, url = "https://api.twilio.com" } = credentials
    return HttpClientRequest.post(
      `${url}/2010-04-01/Accounts/${encodeURIComponent(accountSid)}/Calls/${id}.json`
    ).pipe(
      HttpClientRequest.basicAuth(accountSid, authToken),
      HttpClientRequest.bodyUrlParams({ Status: "completed" })
    )
  })

/**
 * `POST /v2/calls/{call_control_id}/actions/hangup`.
 *
 * @example
 * ```ts
 * import { Redacted, Result } from "effect"
 * import { HangUp, type Telephony } from "@apipeline/core"
 *
 * const url = (call: Telephony.Call) =>
 *   Result.map(HangUp.telnyxRequest(call, { apiKey: Redacted.make("secret") }), ({ url }) => url)
 * ```
 *
 * @category requests
 * @since 0.1.0
 */
export const telnyxRequest = (call: Call, credentials: TelnyxCredentials): Request =>
  Result.map(segment(call), (id) => {
    const { apiKey, url = "https://api.telnyx.com" } = credentials
    return HttpClientRequest.post(`${url}/v2/calls/${id}/actions/hangup`).pipe(
      HttpClientRequest.bearerToken(apiKey),
      HttpClientRequest.bodyJsonUnsafe({})
    )
  })

/**
 * `DELETE /v1/Account/{auth_id}/Call/{call_uuid}/`.
 *
 * @example
 * ```ts
 * import { Redacted, Result } from "effect"
 * import { HangUp, type Telephony } from "@apipeline/core"
 *
 * const url = (call: Telephony.Call) =>
 *   Result.map(HangUp.plivoRequest(call, { authId: "MA1", authToken: Redacted.make("secret") }), ({ url }) => url)
 * ```
 *
 * @category requests
 * @since 0.1.0
 */
export const plivoRequest = (call: Call, credentials: PlivoCredentials): Request =>
  Result.map(segment(call), (id) => {
    const { authId, authToken, url = "https://api.plivo.com" } = credentials
    return HttpClientRequest.delete(`${url}/v1/Account/${encodeURIComponent(authId)}/Call/${id}/`).pipe(
      HttpClientRequest.basicAuth(authId, authToken)
    )
  })

// ---------------------------------------------------------------------------------------------------------------------
// hooks
// ---------------------------------------------------------------------------------------------------------------------

/** `over`: statuses that say that the call has ended already. */
const hook = (make: (call: Call) => Request, over: ReadonlyArray<number>): Hook =>
  Effect.fnUntraced(function*(call: Call) {
    const { vendor } = call
    const request = yield* Effect.fromResult(make(call))
    const { status } = yield* HttpClient.execute(request).pipe(
      Effect.mapError((cause) => new HangUpError({ reason: new RequestFailed({ vendor, cause }) }))
    )
    if ((status >= 200 && status < 300) || over.includes(status)) return
    return yield* new HangUpError({ reason: new Refused({ vendor, status }) })
  })

/**
 * Ends calls at Twilio. A call that has ended already (404) is no error.
 *
 * @example
 * ```ts
 * import { Effect, Redacted } from "effect"
 * import { FetchHttpClient } from "effect/http"
 * import { HangUp, Telephony } from "@apipeline/core"
 *
 * const session = Telephony.make({
 *   hangUp: HangUp.twilio({ accountSid: "AC123", authToken: Redacted.make("secret") })
 * }).pipe(Effect.provide(FetchHttpClient.layer))
 * ```
 *
 * @category hooks
 * @since 0.1.0
 */
export const twilio = (credentials: TwilioCredentials): Hook => hook((call) => twilioRequest(call, credentials), [404])

/**
 * Ends calls at Telnyx. A call that has ended already (404, 422) is no error.
 *
 * @example
 * ```ts
 * import { HangUp, Telephony } from "@apipeline/core"
 * import { Redacted } from "effect"
 *
 * const session = Telephony.make({ hangUp: HangUp.telnyx({ apiKey: Redacted.make("secret") }) })
 * ```
 *
 * @category hooks
 * @since 0.1.0
 */
export const telnyx = (credentials: TelnyxCredentials): Hook =>
  hook((call) => telnyxRequest(call, credentials), [404, 422])

/**
 * Ends calls at Plivo. A call that has ended already (404) is no error.
 *
 * @example
 * ```ts
 * import { HangUp, Telephony } from "@apipeline/core"
 * import { Redacted } from "effect"
 *
 * const session = Telephony.make({ hangUp: HangUp.plivo({ authId: "MA123", authToken: Redacted.make("secret") }) })
 * ```
 *
 * @category hooks
 * @since 0.1.0
 */
export const plivo = (credentials: PlivoCredentials): Hook => hook((call) => plivoRequest(call, credentials), [404])
