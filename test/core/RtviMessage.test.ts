import * as RtviMessage from "@apipeline/core/RtviMessage"
import { assert, describe, it } from "@effect/vitest"
import { deepStrictEqual, strictEqual } from "@effect/vitest/utils"
import { Result } from "effect"
import { random } from "../utils/random.ts"

const message = (type: string, data?: unknown) => ({ label: "rtvi-ai", type, id: "d43f92d3", data })

const read = (u: unknown): RtviMessage.Client => Result.getOrThrow(RtviMessage.decodeClient(u))

const failure = (u: unknown): RtviMessage.RtviMessageError => {
  const result = RtviMessage.decodeClient(u)
  assert(Result.isFailure(result), "expected a failure")
  return result.failure
}

/** One message of every type, as the official client sends it, and what else is allowed. */
const valid: { readonly [T in RtviMessage.ClientType]: ReadonlyArray<unknown> } = {
  "client-ready": [
    {
      version: "2.1.0",
      about: { library: "@pipecat-ai/client-js", library_version: "1.13.1", platform_details: { browser: "Chrome" } }
    },
    {},
    { version: null },
    { version: 3 }
  ],
  "disconnect-bot": [{}, undefined, null],
  "client-message": [{ t: "time", d: { zone: "CET" } }, { t: "ping" }, { t: "", d: null }],
  "send-text": [
    { content: "hi", options: { run_immediately: true, audio_response: false } },
    { content: "hi", options: {} },
    { content: "hi", options: null },
    { content: "" }
  ],
  "llm-function-call-result": [
    { function_name: "f", tool_call_id: "c", arguments: { a: 1 }, result: { b: 2 } },
    { function_name: "f", tool_call_id: "c", arguments: {}, result: "text" },
    { function_name: "f", tool_call_id: "c", result: null }
  ],
  dtmf: [{ buttons: ["1", "2", "#"] }, { button: "*" }],
  "ui-event": [{ event: "click", payload: [1] }, { event: "click" }],
  "ui-snapshot": [
    { tree: { root: { ref: "e1", role: "main", children: [{ ref: "e2", role: "button" }] }, captured_at: 1, more: 2 } },
    { tree: { root: { ref: "e1", role: "main" }, captured_at: 1, selection: { ref: "e1", text: "x" } } }
  ],
  "ui-cancel-job-group": [{ job_id: "j", reason: "no more" }, { job_id: "j" }, { job_id: "j", reason: null }],
  "raw-audio": [{ base64Audio: "AAECAw==", sampleRate: 16000, numChannels: 1 }],
  "raw-audio-batch": [{ base64AudioBatch: ["AAE=", "AgM="], sampleRate: 16000, numChannels: 1 }]
}

describe("client messages", () => {
  it.each(Object.entries(valid))("%s", (type, all) => {
    for (const data of all) {
      const decoded = read(message(type, data))
      strictEqual(decoded.type, type)
      strictEqual(decoded.id, "d43f92d3")
      if (!type.startsWith("raw-audio") && data !== undefined && data !== null) deepStrictEqual(decoded.data, data)
    }
  })

  it("client-ready may have no data at all", () => {
    deepStrictEqual(read({ label: "rtvi-ai", type: "client-ready", id: "1" }).data, {})
    deepStrictEqual(read(message("client-ready", null)).data, {})
  })

  it("audio is decoded", () => {
    deepStrictEqual((read(message("raw-audio", valid["raw-audio"][0])) as RtviMessage.Client<"raw-audio">).data, {
      base64Audio: Uint8Array.of(0, 1, 2, 3),
      sampleRate: 16000,
      numChannels: 1
    })
    const batch = read(message("raw-audio", { base64AudioBatch: ["AAE="], sampleRate: 8000, numChannels: 1 }))
    deepStrictEqual((batch as RtviMessage.Client<"raw-audio">).data.base64AudioBatch, [Uint8Array.of(0, 1)])
  })

  it("unknown fields are dropped, except in trees", () => {
    deepStrictEqual(read(message("ui-event", { event: "e", more: 1 })).data, { event: "e" })
  })

  const envelopes: ReadonlyArray<readonly [unknown, string, string]> = [
    [5, "NotRtvi", `Not an RTVI message: label: found 5, expected "rtvi-ai"`],
    [null, "NotRtvi", `Not an RTVI message: label: found null, expected "rtvi-ai"`],
    [[], "NotRtvi", `Not an RTVI message: label: found an array of 0, expected "rtvi-ai"`],
    [{}, "NotRtvi", `Not an RTVI message: label: found nothing, expected "rtvi-ai"`],
    [{ label: "x" }, "NotRtvi", `Not an RTVI message: label: found "x", expected "rtvi-ai"`],
    [
      { label: "rtvi-ai" },
      "InvalidEnvelope",
      "Invalid RTVI transport message: type: found nothing, expected a string"
    ],
    [
      { label: "rtvi-ai", type: 3, id: "1" },
      "InvalidEnvelope",
      "Invalid RTVI transport message: type: found 3, expected a string"
    ],
    [
      { label: "rtvi-ai", type: "dtmf" },
      "InvalidEnvelope",
      "Invalid RTVI transport message: id: found nothing, expected a string"
    ],
    [
      { label: "rtvi-ai", type: "fly", id: 7 },
      "InvalidEnvelope",
      "Invalid RTVI transport message: id: found 7, expected a string"
    ],
    [message("fly"), "UnsupportedType", "Unsupported type fly"],
    [
      message("append-to-context", { role: "user", content: "x" }),
      "UnsupportedType",
      "Unsupported type append-to-context"
    ],
    [message("__proto__"), "UnsupportedType", "Unsupported type __proto__"],
    [message("constructor"), "UnsupportedType", "Unsupported type constructor"],
    [message("dtmf"), "InvalidData", "Invalid message: data: found nothing, expected object"],
    [message("client-ready", 5), "InvalidData", "Invalid message: data: found 5, expected object"],
    [message("dtmf", {}), "InvalidData", "Invalid message: data.buttons: found nothing, expected one key at least"],
    [
      message("dtmf", { buttons: [] }),
      "InvalidData",
      "Invalid message: data.buttons: found an array of 0, expected one key at least"
    ],
    [
      message("dtmf", { buttons: ["1", "A"] }),
      "InvalidData",
      `Invalid message: data.buttons[1]: found "A", expected "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "*" | "#"`
    ],
    [message("client-message", { d: 1 }), "InvalidData", "Invalid message: data.t: found nothing, expected a value"],
    [
      message("send-text", { content: "a", options: { run_immediately: 1 } }),
      "InvalidData",
      "Invalid message: data.options.run_immediately: found 1, expected boolean | null"
    ],
    [
      message("llm-function-call-result", { function_name: "f", tool_call_id: "c" }),
      "InvalidData",
      "Invalid message: data.result: found nothing, expected a value"
    ],
    [
      message("raw-audio", { sampleRate: 16000, numChannels: 1 }),
      "InvalidData",
      "Invalid message: data.base64Audio: found nothing, expected audio"
    ],
    [
      message("raw-audio", { base64Audio: "AAEC", sampleRate: 16000, numChannels: 1 }),
      "InvalidData",
      `Invalid message: data.base64Audio: found "AAEC", expected a length that is a multiple of 2 (numChannels x 2 bytes)`
    ],
    [
      message("raw-audio-batch", { base64AudioBatch: ["AAE=", "?"], sampleRate: 16000, numChannels: 1 }),
      "InvalidData",
      `Invalid message: data.base64AudioBatch[1]: found "?", expected a valid Base64 string`
    ],
    [
      message("raw-audio", { base64Audio: "AAE=", sampleRate: 0, numChannels: 1 }),
      "InvalidData",
      "Invalid message: data.sampleRate: found 0, expected a value greater than or equal to 1"
    ],
    [message("ui-snapshot", { tree: 4 }), "InvalidData", "Invalid message: data.tree: found 4, expected object"],
    [
      message("ui-snapshot", { tree: { root: { ref: 1, role: "x" }, captured_at: 1 } }),
      "InvalidData",
      "Invalid message: data.tree.root.ref: found 1, expected string"
    ]
  ]
  it.each(envelopes)("refuses %j", (u, tag, text) => {
    const error = failure(u)
    strictEqual(error.reason._tag, tag)
    strictEqual(error.message, text)
  })

  it("what answers: nothing, an error, an error response with the id", () => {
    strictEqual(RtviMessage.answer(failure({ label: "other" })), undefined)
    const error = "Invalid RTVI transport message: id: found nothing, expected a string"
    deepStrictEqual(RtviMessage.answer(failure({ label: "rtvi-ai", type: "dtmf" })), {
      label: "rtvi-ai",
      type: "error",
      data: { error, fatal: false, message: error }
    })
    for (const u of [message("fly"), message("dtmf")]) {
      deepStrictEqual(RtviMessage.answer(failure(u)), {
        label: "rtvi-ai",
        type: "error-response",
        id: "d43f92d3",
        data: { error: failure(u).message }
      })
    }
  })

  it("a tree deeper than any stack is taken, and never walked", () => {
    const children = `[{"ref":"e","role":"x","children":`.repeat(50_000) + "[]" + "}]".repeat(50_000)
    const tree = JSON.parse(`{"root":{"ref":"e1","role":"main","children":${children}},"captured_at":1}`)
    strictEqual(read(message("ui-snapshot", { tree })).type, "ui-snapshot")
    strictEqual(read(message("client-message", { t: "x", d: tree })).type, "client-message")
  })
})

describe("server messages", () => {
  const all: ReadonlyArray<RtviMessage.Server> = [
    RtviMessage.server("bot-ready", { version: "2.1.0", about: { library: "x" } }, "1"),
    RtviMessage.error("no route", true),
    RtviMessage.server("error-response", { error: "no" }, "1"),
    RtviMessage.server("server-response", { t: "time", d: 12 }, "1"),
    RtviMessage.server("server-response", { t: "time" }, "1"),
    RtviMessage.server("server-message", { any: ["thing"] }),
    RtviMessage.server("server-message", null),
    RtviMessage.server("user-started-speaking"),
    RtviMessage.server("user-stopped-speaking"),
    RtviMessage.server("vad-user-started-speaking"),
    RtviMessage.server("vad-user-stopped-speaking"),
    RtviMessage.server("user-mute-started"),
    RtviMessage.server("user-mute-stopped"),
    RtviMessage.server("user-transcription", { text: "hi", user_id: "u", timestamp: "t", final: true }),
    RtviMessage.server("user-llm-text", { text: "hi" }),
    RtviMessage.server("bot-llm-started"),
    RtviMessage.server("bot-llm-stopped"),
    RtviMessage.server("bot-llm-text", { text: "hi" }),
    RtviMessage.server("bot-tts-started"),
    RtviMessage.server("bot-tts-stopped"),
    RtviMessage.server("bot-tts-text", { text: "hi" }),
    RtviMessage.server("bot-started-speaking"),
    RtviMessage.server("bot-stopped-speaking"),
    RtviMessage.server("bot-interrupted"),
    RtviMessage.server("bot-output", {
      text: "hi",
      aggregated_by: "sentence",
      segment_id: 1,
      will_be_spoken: true,
      spoken_status: "new",
      spoken_progress: { accumulated_text: "", remaining_text: "hi" }
    }),
    RtviMessage.server("bot-output", { text: "hi", aggregated_by: "sentence", spoken: true }),
    RtviMessage.server("bot-transcription", { text: "hi" }),
    RtviMessage.server("llm-function-call-started", {}),
    RtviMessage.server("llm-function-call-in-progress", { tool_call_id: "c", function_name: "f", arguments: { a: 1 } }),
    RtviMessage.server("llm-function-call-stopped", { tool_call_id: "c", cancelled: false, result: 1 }),
    RtviMessage.server("llm-function-call", { function_name: "f", tool_call_id: "c", args: {} }),
    RtviMessage.server("bot-llm-search-response", {
      search_result: "x",
      origins: [{ site_uri: "https://x", results: [{ text: "y", confidence: [0.5] }] }]
    }),
    RtviMessage.server("metrics", {
      ttfb: [{ processor: "Llm", model: "m", value: 0.123 }],
      ttfa: [{ processor: "Tts", ttfa: 0.3, ttfb: 0.2, leading_silence: 0.1 }],
      ttfat: [{ processor: "Llm", ttfat: 0.3, ttfb: 0.2, thinking_time: 0.1 }],
      processing: [{ processor: "Llm", value: 1 }],
      tokens: [{ prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }],
      characters: [{ processor: "Tts", value: 12 }],
      stt_usage: [{ processor: "Stt", value: { audio_seconds: 3 } }]
    }),
    RtviMessage.server("ui-command", { command: "toast", payload: { title: "hi" } }),
    RtviMessage.server("ui-job-group", {
      kind: "group_started",
      job_id: "j",
      workers: ["a"],
      cancellable: true,
      at: 1
    }),
    RtviMessage.server("ui-job-group", { kind: "job_update", job_id: "j", worker_name: "a", data: 1, at: 1 }),
    RtviMessage.server("ui-job-group", {
      kind: "job_completed",
      job_id: "j",
      worker_name: "a",
      status: "completed",
      at: 1
    }),
    RtviMessage.server("ui-job-group", { kind: "group_completed", job_id: "j", at: 1 }),
    RtviMessage.server("user-audio-level", { value: 0.5 }),
    RtviMessage.server("bot-audio-level", { value: 0.5 }),
    RtviMessage.server("system-log", { text: "hi" }),
    RtviMessage.server("bot-tts-audio", { audio: "AAE=", sample_rate: 24000, num_channels: 1 })
  ]

  it("there is one of every type", () => {
    deepStrictEqual(new Set(all.map(({ type }) => type)), new Set(Object.keys(RtviMessage.serverData)))
  })

  it.each(all)("$type goes through JSON and is read as it was", (message) => {
    deepStrictEqual(Result.getOrThrow(RtviMessage.decodeServer(JSON.parse(JSON.stringify(message)))), message)
  })

  it("has what belongs to it only", () => {
    deepStrictEqual(RtviMessage.server("bot-llm-started"), { label: "rtvi-ai", type: "bot-llm-started" })
    deepStrictEqual(RtviMessage.server("error-response", { error: "x" }, "1"), {
      label: "rtvi-ai",
      type: "error-response",
      id: "1",
      data: { error: "x" }
    })
  })

  it("refuses answers without an id, and data of the wrong kind", () => {
    const refuse = (u: unknown) => {
      const result = RtviMessage.decodeServer(u)
      assert(Result.isFailure(result))
      return result.failure.message
    }
    strictEqual(
      refuse({ label: "rtvi-ai", type: "bot-ready", data: { version: "2.1.0" } }),
      "Invalid RTVI transport message: id: found nothing, expected a string"
    )
    strictEqual(
      refuse({ label: "rtvi-ai", type: "bot-llm-text", data: {} }),
      "Invalid message: data.text: found nothing, expected a value"
    )
    strictEqual(refuse({ label: "rtvi-ai", type: "dtmf", data: {} }), "Unsupported type dtmf")
  })
})

describe("fuzz", () => {
  const seeds = Object.entries(valid).flatMap(([type, all]) => all.map((data) => JSON.stringify(message(type, data))))
  const values = [null, 0, -1, 1.5, 1e300, "", "A", "AA==", true, {}, [], [[]], { label: "rtvi-ai" }, "1", "__proto__"]

  it("whatever comes: a message, or an error that names a field and has an answer", () => {
    const { boolean, int, pick } = random(3)
    let understood = 0
    const spoil = (target: any): void => {
      const keys = Object.keys(target)
      if (keys.length === 0) return
      const key = pick(keys)
      if (typeof target[key] === "object" && target[key] !== null && boolean()) return spoil(target[key])
      if (int(4) === 0) delete target[key]
      else target[key] = pick([...values, target[key]])
    }
    const rounds = 20_000
    for (let i = 0; i < rounds; i++) {
      const u = JSON.parse(pick(seeds))
      for (let n = int(3); n >= 0; n--) spoil(u)
      for (const decode of [RtviMessage.decodeClient, RtviMessage.decodeServer]) {
        const result: Result.Result<unknown, RtviMessage.RtviMessageError> = decode(u)
        if (Result.isSuccess(result)) {
          understood++
          continue
        }
        const { message, reason } = result.failure
        assert.isAbove(message.length, 0)
        assert.isBelow(message.length, 400)
        const answer = RtviMessage.answer(result.failure)
        strictEqual(answer === undefined, reason._tag === "NotRtvi")
        if (answer !== undefined) assert(Result.isSuccess(RtviMessage.decodeServer(answer)), JSON.stringify(answer))
      }
    }
    assert.isAbove(understood, rounds * 0.05)
    assert.isBelow(understood, rounds * 0.9)
  })
})
