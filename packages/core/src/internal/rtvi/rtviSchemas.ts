/**
 * What the `data` of each RTVI message looks like; public as `RtviMessage.clientData` and `RtviMessage.serverData`.
 *
 * What the server reads is as strict as it has to be to make frames of it; unknown fields are dropped, except where an
 * application may want them. What a client of ours sends is a subset of it.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { DtmfKey } from "../../VoiceFrames.ts"
import { integer } from "../kernel/frame.ts"

const { optionalKey, Struct } = Schema

/** Python writes `null` for what is not there. */
const nullable = <S extends Schema.Top>(schema: S) => optionalKey(Schema.NullOr(schema))

const anything = Schema.Record(Schema.String, Schema.Unknown)
const count = integer(Schema.isGreaterThanOrEqualTo(1))

/** There is none; what is sent nevertheless does not matter. */
const nothing = Schema.optional(Schema.Unknown)

// ---------------------------------------------------------------------------------------------------------------------
// client to server
// ---------------------------------------------------------------------------------------------------------------------

const keys = Schema.makeFilter<{
  readonly buttons?: ReadonlyArray<DtmfKey>
  readonly button?: DtmfKey
}>((data) =>
  (data.buttons === undefined ? data.button !== undefined : data.buttons.length > 0) ||
  { path: ["buttons"], issue: "Expected one key at least, got none" }
)

const wholeSamples = Schema.makeFilter<{
  readonly base64Audio?: Uint8Array
  readonly base64AudioBatch?: ReadonlyArray<Uint8Array>
  readonly numChannels: number
}>(({ base64Audio, base64AudioBatch, numChannels }) => {
  if (base64Audio === undefined && base64AudioBatch === undefined) {
    return { path: ["base64Audio"], issue: "Expected audio, got nothing" }
  }
  const unit = 2 * numChannels
  const issue = `Expected a length that is a multiple of ${unit} (numChannels x 2 bytes), got another`
  const wrong = base64AudioBatch?.findIndex((audio) => audio.length % unit !== 0) ?? -1
  if (wrong >= 0) return { path: ["base64AudioBatch", wrong], issue }
  return base64Audio === undefined || base64Audio.length % unit === 0 || { path: ["base64Audio"], issue }
})

const rawAudio = Struct({
  base64Audio: optionalKey(Schema.Uint8ArrayFromBase64),
  base64AudioBatch: optionalKey(Schema.Array(Schema.Uint8ArrayFromBase64)),
  sampleRate: count,
  numChannels: count
}).check(wholeSamples)

// Nodes have nodes: they are not looked into, since a client decides how deep that goes.
const tree = Schema.StructWithRest(
  Struct({
    root: Schema.StructWithRest(Struct({ ref: Schema.String, role: Schema.String }), [anything]),
    captured_at: Schema.Finite,
    selection: nullable(anything)
  }),
  [anything]
)

export const clientData = {
  // A version that is missing or no version is answered, not refused.
  "client-ready": Struct({ version: optionalKey(Schema.Unknown), about: optionalKey(Schema.Unknown) }),
  "disconnect-bot": nothing,
  "client-message": Struct({ t: Schema.String, d: optionalKey(Schema.Unknown) }),
  "send-text": Struct({
    content: Schema.String,
    options: nullable(Struct({ run_immediately: nullable(Schema.Boolean), audio_response: nullable(Schema.Boolean) }))
  }),
  "llm-function-call-result": Struct({
    function_name: Schema.String,
    tool_call_id: Schema.String,
    arguments: nullable(anything),
    // An object or a string from the official client; a handler may give any JSON.
    result: Schema.Unknown
  }),
  // A client of protocol 2.0 sends one key at a time.
  dtmf: Struct({ buttons: optionalKey(Schema.Array(DtmfKey)), button: optionalKey(DtmfKey) }).check(keys),
  "ui-event": Struct({ event: Schema.String, payload: optionalKey(Schema.Unknown) }),
  "ui-snapshot": Struct({ tree }),
  "ui-cancel-job-group": Struct({ job_id: Schema.String, reason: nullable(Schema.String) }),
  "raw-audio": rawAudio,
  "raw-audio-batch": rawAudio
} as const

// ---------------------------------------------------------------------------------------------------------------------
// server to client
// ---------------------------------------------------------------------------------------------------------------------

const text = Struct({ text: Schema.String })
const level = Struct({ value: Schema.Finite })

const measured = { processor: Schema.String, model: optionalKey(Schema.String) }
const value = Struct({ ...measured, value: Schema.Finite })

const at = { job_id: Schema.String, at: Schema.Finite }
const by = { ...at, worker_name: Schema.String }

export const serverData = {
  "bot-ready": Struct({ version: Schema.String, about: optionalKey(Schema.Unknown) }),
  // `message` is what clients before 1.13.1 read.
  error: Struct({ error: Schema.String, fatal: Schema.Boolean, message: optionalKey(Schema.String) }),
  "error-response": Struct({ error: Schema.String }),
  "server-response": Struct({ t: Schema.String, d: optionalKey(Schema.Unknown) }),
  "server-message": Schema.Unknown,
  "user-started-speaking": nothing,
  "user-stopped-speaking": nothing,
  "vad-user-started-speaking": nothing,
  "vad-user-stopped-speaking": nothing,
  "user-mute-started": nothing,
  "user-mute-stopped": nothing,
  "user-transcription": Struct({
    text: Schema.String,
    user_id: Schema.String,
    timestamp: Schema.String,
    final: Schema.Boolean
  }),
  "user-llm-text": text,
  "bot-llm-started": nothing,
  "bot-llm-stopped": nothing,
  "bot-llm-text": text,
  "bot-tts-started": nothing,
  "bot-tts-stopped": nothing,
  "bot-tts-text": text,
  "bot-started-speaking": nothing,
  "bot-stopped-speaking": nothing,
  "bot-interrupted": nothing,
  "bot-output": Struct({
    text: Schema.String,
    aggregated_by: Schema.String,
    // of version 2
    segment_id: optionalKey(Schema.Finite),
    will_be_spoken: optionalKey(Schema.Boolean),
    spoken_status: optionalKey(Schema.Literals(["new", "in-progress", "completed"])),
    spoken_progress: optionalKey(Struct({ accumulated_text: Schema.String, remaining_text: Schema.String })),
    // of version 1
    spoken: optionalKey(Schema.Boolean)
  }),
  "bot-transcription": text,
  "llm-function-call-started": Struct({ function_name: optionalKey(Schema.String) }),
  "llm-function-call-in-progress": Struct({
    tool_call_id: Schema.String,
    function_name: optionalKey(Schema.String),
    arguments: optionalKey(Schema.Unknown)
  }),
  "llm-function-call-stopped": Struct({
    tool_call_id: Schema.String,
    cancelled: Schema.Boolean,
    function_name: optionalKey(Schema.String),
    result: optionalKey(Schema.Unknown)
  }),
  "llm-function-call": Struct({ function_name: Schema.String, tool_call_id: Schema.String, args: anything }),
  "bot-llm-search-response": Struct({
    search_result: optionalKey(Schema.String),
    rendered_content: optionalKey(Schema.String),
    origins: Schema.Array(Struct({
      site_uri: optionalKey(Schema.String),
      site_title: optionalKey(Schema.String),
      results: Schema.Array(Struct({ text: Schema.String, confidence: Schema.Array(Schema.Finite) }))
    }))
  }),
  // all times in seconds
  metrics: Struct({
    ttfb: optionalKey(Schema.Array(value)),
    ttfa: optionalKey(Schema.Array(Struct({
      ...measured,
      ttfa: Schema.Finite,
      ttfb: optionalKey(Schema.Finite),
      leading_silence: optionalKey(Schema.Finite)
    }))),
    ttfat: optionalKey(Schema.Array(Struct({
      ...measured,
      ttfat: Schema.Finite,
      ttfb: optionalKey(Schema.Finite),
      thinking_time: optionalKey(Schema.Finite)
    }))),
    processing: optionalKey(Schema.Array(value)),
    tokens: optionalKey(Schema.Array(Struct({
      prompt_tokens: Schema.Finite,
      completion_tokens: Schema.Finite,
      total_tokens: Schema.Finite,
      cache_read_input_tokens: optionalKey(Schema.Finite),
      reasoning_tokens: optionalKey(Schema.Finite)
    }))),
    characters: optionalKey(Schema.Array(value)),
    stt_usage: optionalKey(Schema.Array(Struct({ ...measured, value: Struct({ audio_seconds: Schema.Finite }) })))
  }),
  "ui-command": Struct({ command: Schema.String, payload: Schema.Unknown }),
  "ui-job-group": Schema.Union([
    Struct({
      kind: Schema.Literal("group_started"),
      ...at,
      workers: Schema.Array(Schema.String),
      label: optionalKey(Schema.String),
      cancellable: Schema.Boolean
    }),
    Struct({ kind: Schema.Literal("job_update"), ...by, data: Schema.Unknown }),
    Struct({
      kind: Schema.Literal("job_completed"),
      ...by,
      status: Schema.Literals(["running", "completed", "cancelled", "failed", "error"]),
      response: optionalKey(Schema.Unknown)
    }),
    Struct({ kind: Schema.Literal("group_completed"), ...at })
  ]),
  "user-audio-level": level,
  "bot-audio-level": level,
  "system-log": text,
  "bot-tts-audio": Struct({ audio: Schema.String, sample_rate: count, num_channels: count })
} as const
