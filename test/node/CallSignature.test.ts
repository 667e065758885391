import * as CallSignature from "@apipeline/node/CallSignature"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { TestClock } from "effect/testing"
import { createHmac } from "node:crypto"
import { random } from "../utils/random.ts"

const { strictEqual } = assert

const refused = (check: Effect.Effect<unknown, CallSignature.SignatureError>) =>
  Effect.map(Effect.flip(check), ({ message }) => message)

describe("twilio", () => {
  const secret = { authToken: Redacted.make("12345"), origin: "https://mycompany.com" }
  const form = [
    ["To", "+18005551212"],
    ["From", "+14158675309"],
    ["Digits", "1234"],
    ["Caller", "+14158675309"],
    ["CallSid", "CA1234567890ABCDE"]
  ] as const
  const known: CallSignature.Request = {
    target: "/myapp.php?foo=1&bar=2",
    headers: { "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B8=" },
    form
  }
  const sign = (text: string, token = "12345") => createHmac("sha1", token).update(text).digest("base64")
  const signed = (url: string) => ({ "x-twilio-signature": sign(url), host: "example.com" })

  it.effect("the vector of Twilio's own libraries", () => CallSignature.twilio(secret, known))

  it.effect("the vector of Twilio's documentation", () =>
    CallSignature.twilio(secret, {
      ...known,
      headers: { "x-twilio-signature": "0/KCTR6DLpKmkAf8muzZqo1nDgQ=" },
      form: form.map(([name, value]) => [name, value.replace("+14158675309", "+12349013030")])
    }))

  it.effect("whatever is changed, it does not hold", () =>
    Effect.gen(function*() {
      const changed: Array<CallSignature.Request> = [
        { ...known, target: "/myapp.php?foo=1&bar=3" },
        { ...known, form: form.slice(1) },
        { ...known, form: [...form, ["More", ""]] },
        { ...known, form: form.map(([name, value]) => [name, `${value}0`]) },
        { ...known, webSocket: true },
        { ...known, headers: { "x-twilio-signature": "RSOYDt4T1cUTdK1PDd93/VVr8B9=" } },
        { ...known, headers: { "x-twilio-signature": "" } },
        { ...known, headers: { "x-twilio-signature": "ä" } }
      ]
      for (const request of changed) {
        assert.match(
          yield* refused(CallSignature.twilio(secret, request)),
          /^twilio: x-twilio-signature: found another/
        )
      }
      const other = { ...secret, authToken: Redacted.make("12346") }
      assert.notInclude(yield* refused(CallSignature.twilio(other, known)), "12346")
      strictEqual(
        yield* refused(CallSignature.twilio(secret, { ...known, headers: {} })),
        "twilio: x-twilio-signature: found nothing, expected a signature"
      )
    }))

  it.effect("values of one name are signed in order, each once", () =>
    CallSignature.twilio(secret, {
      target: "/a",
      headers: { "x-twilio-signature": sign("https://mycompany.com/aA1A2B3") },
      form: [["B", "3"], ["A", "2"], ["A", "1"], ["A", "2"]]
    }))

  it.effect("the spellings of a URL: with and without port, with a slash at the end of a stream's", () =>
    Effect.gen(function*() {
      const { authToken } = secret
      const check = (url: string, target: string, webSocket: boolean) =>
        CallSignature.twilio({ authToken }, { target, headers: signed(url), webSocket })
      yield* check("wss://example.com/calls", "/calls", true)
      yield* check("wss://example.com:443/calls", "/calls", true)
      yield* check("wss://example.com/calls/", "/calls", true)
      yield* check("https://example.com/calls?a=1", "/calls?a=1", false)
      yield* refused(check("https://example.com/calls", "/calls", true))
      yield* refused(check("https://example.com/calls/", "/calls", false))
      yield* refused(check("wss://example.org/calls", "/calls", true))
      const origin = "https://example.com:8443/"
      const headers = signed("wss://example.com/calls")
      yield* CallSignature.twilio({ authToken, origin }, { target: "/calls", headers, webSocket: true })
    }))
})

describe("audioHook", () => {
  const apiKey = "SGVsbG8sIEkgYW0gdGhlIEFQSSBrZXkh"
  const clientSecret = "TXlTdXBlclNlY3JldEtleVRlbGxOby0xITJAMyM0JDU="
  const secret = { apiKey: Redacted.make(apiKey), clientSecret: Redacted.make(clientSecret) }
  const created = 1_641_013_200
  const list = (authority = "@authority") =>
    `("@request-target" "${authority}" "audiohook-organization-id" "audiohook-session-id" ` +
    `"audiohook-correlation-id" "x-api-key")`
  const parameters = (expires: number, nonce = "VGhpc0lzQVVuaXF1ZU5vbmNl") =>
    `;keyid="${apiKey}";nonce="${nonce}";alg="hmac-sha256";created=${created};expires=${expires}`
  const headers = {
    host: "audiohook.example.com",
    "audiohook-organization-id": "d7934305-0972-4844-938e-9060eef73d05",
    "audiohook-correlation-id": "e160e428-53e2-487c-977d-96989bf5c99d",
    "audiohook-session-id": "30b0e395-84d3-4570-ac13-9a62d8f514c0",
    "x-api-key": apiKey,
    "signature": "sig1=:NZBwyBHRRyRoeLqy1IzOa9VYBuI8TgMFt2GRDkDuJh4=:",
    "signature-input": `sig1=${list()}${parameters(3_282_026_430)}`
  }
  const target = "/api/v1/voicebiometrics/ws"
  const known: CallSignature.Request = { target, headers }
  const now = TestClock.setTime((created + 4) * 1000)
  const sign = (input: string): string => {
    const lines = [
      `"@request-target": ${target}`,
      `"@authority": ${headers.host}`,
      ...(["audiohook-organization-id", "audiohook-session-id", "audiohook-correlation-id", "x-api-key"] as const)
        .map((name) => `"${name}": ${headers[name]}`),
      `"@signature-params": ${input}`
    ]
    const key = Buffer.from(clientSecret, "base64")
    return `sig1=:${createHmac("sha256", key).update(lines.join("\n")).digest("base64")}:`
  }
  const signed = (input: string): CallSignature.Request => ({
    target,
    headers: { ...headers, "signature-input": `sig1=${input}`, signature: sign(input) }
  })

  it.effect("the vector of Genesys' documentation", () => Effect.andThen(now, CallSignature.audioHook(secret, known)))

  it.effect("the vector of Genesys' reference implementation, which signs the host", () =>
    Effect.andThen(
      now,
      CallSignature.audioHook(secret, {
        target,
        headers: {
          ...headers,
          signature: "sig1=:zupMJUMfd/kMuvKc5zhRyfJPE3jTROuz1S1hn8SCTpE=:",
          "signature-input": `sig1=${list("host")}${parameters(3_282_026_430)}`
        }
      })
    ))

  it.effect("whatever is changed, it does not hold", () =>
    Effect.gen(function*() {
      yield* now
      for (const name of Object.keys(headers) as Array<keyof typeof headers>) {
        for (
          const value of [undefined, "", `${headers[name]}x`, headers[name].replace(/[a-z0-9](?=[^a-z0-9]*$)/i, "~")]
        ) {
          const check = CallSignature.audioHook(secret, { target, headers: { ...headers, [name]: value } })
          assert.match(yield* refused(check), /^genesys: /)
        }
      }
      yield* refused(CallSignature.audioHook(secret, { ...known, target: `${target}?x=1` }))
      yield* refused(CallSignature.audioHook({ ...secret, authority: "example.org" }, known))
      yield* refused(CallSignature.audioHook({ ...secret, clientSecret: Redacted.make("eA==") }, known))
      yield* CallSignature.audioHook({ ...secret, authority: "audiohook.example.com:443" }, known)
    }))

  it.effect("what must be signed is, with the right algorithm, by the right key, with a nonce", () =>
    Effect.gen(function*() {
      yield* now
      const good = `${list()}${parameters(created + 10)}`
      yield* CallSignature.audioHook(secret, signed(good))
      const cases: ReadonlyArray<readonly [from: string | RegExp, to: string, expected: RegExp]> = [
        [` "x-api-key"`, "", /signature-input: found no x-api-key/],
        [`"@request-target" `, "", /found no @request-target/],
        ["@authority", "@method", /found no @authority/],
        ["hmac-sha256", "hmac-md5", /signature-input.alg: found hmac-md5/],
        [/keyid="\w+"/, `keyid="x"`, /signature-input.keyid/],
        [/;nonce="\w+"/, "", /signature-input.nonce/],
        [/;created=\d+/, "", /signature-input.created: found nothing/],
        [`created=${created}`, `created=${created + 60}`, /signature-input.created: found 56 s ahead/],
        [
          `expires=${created + 10}`,
          `expires=${created - 2}`,
          /found 4 s ago, expected a signature that has not expired/
        ]
      ]
      for (const [from, to, expected] of cases) {
        assert.match(yield* refused(CallSignature.audioHook(secret, signed(good.replace(from, to)))), expected)
      }
    }))

  it.effect("is too old after 30 seconds, and good once", () =>
    Effect.gen(function*() {
      yield* now
      const check = CallSignature.make({ genesys: secret })
      strictEqual(yield* check(known), "genesys")
      assert.match(yield* refused(check(known)), /signature-input.nonce: found one that was used/)
      strictEqual(yield* check(signed(`${list()}${parameters(created + 10, "another")}`)), "genesys")
      yield* TestClock.setTime((created + 36) * 1000)
      assert.match(yield* refused(CallSignature.make({ genesys: secret })(known)), /found 36 s ago/)
      yield* TestClock.setTime((created + 34) * 1000)
      yield* CallSignature.make({ genesys: secret })(known)
    }))

  it.effect("the key alone, where there is no secret", () =>
    Effect.gen(function*() {
      const check = CallSignature.make({ genesys: { apiKey: Redacted.make("key") } })
      strictEqual(yield* check({ target: "/", headers: { "x-api-key": "key" } }), "genesys")
      assert.match(
        yield* refused(check({ target: "/", headers: { "x-api-key": "no" } })),
        /x-api-key: found another key/
      )
      assert.match(yield* refused(check({ target: "/", headers: {} })), /x-api-key: found nothing/)
    }))

  it.effect("garbage in the headers is refused, at once", () =>
    Effect.gen(function*() {
      yield* now
      const { pick, int } = random(5)
      const pieces = [`"`, `(`, `)`, `;`, `=`, `:`, `sig1`, `"a"`, ` `, `\\`, `created`, `1`, `=`, ",", `"@authority"`]
      for (let i = 0; i < 2000; i++) {
        const text = () => Array.from({ length: int(40) }, () => pick(pieces)).join("")
        const input = pick([text(), `sig1=${text()}`, headers["signature-input"].slice(0, int(200))])
        const signature = pick([text(), headers.signature])
        yield* refused(
          CallSignature.audioHook(secret, { target, headers: { ...headers, "signature-input": input, signature } })
        )
      }
      const long = `sig1=(${`"x" `.repeat(4000)}`
      const since = performance.now()
      yield* refused(CallSignature.audioHook(secret, { target, headers: { ...headers, "signature-input": long } }))
      assert.isBelow(performance.now() - since, 200)
    }))
})

describe("both", () => {
  it.effect("each by what it signs; nobody without", () =>
    Effect.gen(function*() {
      const check = CallSignature.make({
        twilio: { authToken: Redacted.make("12345") },
        genesys: { apiKey: Redacted.make("key") }
      })
      const signature = createHmac("sha1", "12345").update("wss://example.com/calls").digest("base64")
      const request = { target: "/calls", webSocket: true } as const
      strictEqual(
        yield* check({ ...request, headers: { host: "example.com", "x-twilio-signature": signature } }),
        "twilio"
      )
      strictEqual(yield* check({ ...request, headers: { "x-api-key": "key" } }), "genesys")
      assert.match(yield* refused(check({ ...request, headers: {} })), /^twilio: x-twilio-signature: found nothing/)
      assert.match(yield* refused(CallSignature.make({})({ ...request, headers: {} })), /found no secret/)
      assert.throws(
        () => CallSignature.make({ genesys: { apiKey: Redacted.make("key"), maxAge: 0 } }),
        /CallSignature: genesys.maxAge: found 0 s/
      )
    }))
})
