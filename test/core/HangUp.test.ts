import { HangUp, Telephony } from "@apipeline/core"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, Option, Redacted, Result } from "effect"
import { HttpClient, HttpClientError, type HttpClientRequest, HttpClientResponse } from "effect/http"

const { deepStrictEqual, strictEqual } = assert

const callOf = (vendor: "twilio" | "telnyx" | "plivo", callId: string): Telephony.Call => {
  const start = {
    twilio: { event: "start", start: { streamSid: "MZ1", callSid: callId, accountSid: "AC-of-the-peer" } },
    telnyx: { stream_id: "s1", start: { call_control_id: callId } },
    plivo: { event: "start", start: { streamId: "s1", callId } }
  }[vendor]
  return Option.getOrThrow(Telephony.detect([JSON.stringify(start)])).call
}

const secret = Redacted.make("s3cret")
const hooks = {
  twilio: HangUp.twilio({ accountSid: "AC1", authToken: secret }),
  telnyx: HangUp.telnyx({ apiKey: secret }),
  plivo: HangUp.plivo({ authId: "MA1", authToken: secret })
}

const show = (request: HttpClientRequest.HttpClientRequest) => {
  const { body, headers, method, url } = request
  return [
    method,
    url,
    headers.authorization,
    body._tag === "Uint8Array" ? [body.contentType, new TextDecoder().decode(body.body)] : body._tag
  ]
}

/** A client that answers with a status, or not at all. */
const answering = (status: number | undefined, seen: Array<unknown> = []) =>
  Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) => {
      seen.push(show(request))
      return status === undefined
        ? Effect.fail(
          new HttpClientError.HttpClientError({ reason: new HttpClientError.TransportError({ request }) })
        )
        : Effect.succeed(HttpClientResponse.fromWeb(request, new Response(null, { status })))
    })
  )

describe("requests", () => {
  const basic = (user: string) => `Basic ${Buffer.from(`${user}:s3cret`).toString("base64")}`

  it.effect("are the vendors' own, with our account, whatever the call says", () =>
    Effect.gen(function*() {
      const seen: Array<unknown> = []
      yield* Effect.all([
        hooks.twilio(callOf("twilio", "CA1")),
        hooks.telnyx(callOf("telnyx", "v2:T02/x")),
        hooks.plivo(callOf("plivo", "c1"))
      ]).pipe(Effect.provide(answering(200, seen)))
      deepStrictEqual(seen, [
        [
          "POST",
          "https://api.twilio.com/2010-04-01/Accounts/AC1/Calls/CA1.json",
          basic("AC1"),
          ["application/x-www-form-urlencoded", "Status=completed"]
        ],
        [
          "POST",
          "https://api.telnyx.com/v2/calls/v2%3AT02%2Fx/actions/hangup",
          "Bearer s3cret",
          ["application/json", "{}"]
        ],
        ["DELETE", "https://api.plivo.com/v1/Account/MA1/Call/c1/", basic("MA1"), "Empty"]
      ])
    }))

  it("go elsewhere if asked to", () => {
    const url = (result: Result.Result<HttpClientRequest.HttpClientRequest, unknown>) => Result.getOrThrow(result).url
    const other = { url: "https://api.dublin.ie1.twilio.com" }
    strictEqual(
      url(HangUp.twilioRequest(callOf("twilio", "CA1"), { accountSid: "AC1", authToken: secret, ...other })),
      "https://api.dublin.ie1.twilio.com/2010-04-01/Accounts/AC1/Calls/CA1.json"
    )
  })

  it.effect("an id that would lead elsewhere makes none", () =>
    Effect.gen(function*() {
      for (const vendor of ["twilio", "telnyx", "plivo"] as const) {
        const seen: Array<unknown> = []
        for (const id of [".", "..", "..."]) {
          const error = yield* Effect.flip(hooks[vendor](callOf(vendor, id))).pipe(Effect.provide(answering(200, seen)))
          strictEqual(error.message, `HangUp: ${vendor}: callId: found "${id}", expected an id`)
        }
        for (const id of ["../x", "a?b#c", "%2e%2e"]) {
          yield* hooks[vendor](callOf(vendor, id)).pipe(Effect.provide(answering(200, seen)))
        }
        const paths = seen.map((request) => new URL((request as Array<string>)[1]!).pathname.split("/").length)
        strictEqual(new Set(paths).size, 1)
      }
      const vonage = Option.getOrThrow(Telephony.detect([`{"event":"websocket:connected"}`])).call
      const error = yield* Effect.flip(hooks.telnyx(vonage)).pipe(Effect.provide(answering(200)))
      strictEqual(error.message, "HangUp: vonage: callId: found undefined, expected an id")
    }))
})

describe("answers", () => {
  it.effect("a call that has ended already is no error", () =>
    Effect.gen(function*() {
      for (const vendor of ["twilio", "telnyx", "plivo"] as const) {
        for (const status of [200, 204, 404]) {
          yield* hooks[vendor](callOf(vendor, "c1")).pipe(Effect.provide(answering(status)))
        }
      }
      yield* hooks.telnyx(callOf("telnyx", "c1")).pipe(Effect.provide(answering(422)))
    }))

  it.effect("a refusal and a failure are, and neither tells the secret", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(hooks.twilio(callOf("twilio", "CA1"))).pipe(Effect.provide(answering(401)))
      strictEqual(refused.message, "HangUp: twilio: found status 401, expected success")
      const failed = yield* Effect.flip(hooks.plivo(callOf("plivo", "c1"))).pipe(Effect.provide(answering(undefined)))
      strictEqual(failed.reason._tag, "RequestFailed")
      assert(!failed.message.includes("s3cret"), failed.message)
    }))
})

it.effect("a session takes a hook, and closes whatever becomes of it", () =>
  Effect.gen(function*() {
    const seen: Array<unknown> = []
    const lines: Array<unknown> = []
    const logger = Logger.make<unknown, void>(({ message }) => {
      lines.push(Array.isArray(message) ? message[0] : message)
    })
    const start = `{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1"}}`
    const program = Effect.scoped(
      Telephony.make({ hangUp: hooks.twilio }).pipe(Effect.flatMap((session) => session.decode(start)))
    ).pipe(Effect.provide(Logger.layer([logger])))
    yield* program.pipe(Effect.provide(answering(200, seen)))
    strictEqual(seen.length, 1)
    deepStrictEqual(lines, [])
    yield* program.pipe(Effect.provide(answering(500, seen)))
    strictEqual(seen.length, 2)
    deepStrictEqual(lines, ["Telephony: could not hang up"])
  }))
