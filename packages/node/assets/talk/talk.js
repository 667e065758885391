/** The page itself: one connection, its controls, what they show. */

import { Sound } from "./audio.js"
import { decode, encodeAudio, encodeMessage } from "./codec.js"
import { Conversation } from "./conversation.js"

const $ = (id) => document.getElementById(id)
const settings = document.documentElement.dataset

// ---------------------------------------------------------------------------------------------------------------------
// functions that the page runs for the bot
// ---------------------------------------------------------------------------------------------------------------------

/** Add your own from the console: `talk.tools.pick_color = (args) => prompt("Which color?")`. */
const tools = {
  get_local_time: () => {
    const now = new Date()
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions()
    return {
      iso: now.toISOString(),
      time: now.toLocaleTimeString(),
      date: now.toLocaleDateString(),
      time_zone: timeZone
    }
  },
  set_theme: ({ theme }) => {
    if (!["light", "dark", "system"].includes(theme)) return { error: "theme: light, dark or system" }
    document.documentElement.style.colorScheme = theme === "system" ? "" : theme
    return { theme }
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// state
// ---------------------------------------------------------------------------------------------------------------------

let socket
let sound
/** Why there is no sound, or no microphone. */
let problem = ""
let state = "idle"
let muted = false
/** Who speaks, as the server says. */
const speaking = { user: false, bot: false }
/** Whether the server ignores the user, as it says. */
let ignored = false
/** When the microphone was last loud: about -45 dBFS, quieter than speech, louder than most rooms. */
let lastLoud
const loud = 0.0056
const counts = { sent: 0, received: 0, gaps: 0 }
const latencies = []
/** How long each processor took last. */
const firstBytes = new Map()
const entries = []

const conversation = new Conversation($("turns"), ({ total }) => {
  latencies.push(total)
  const mean = latencies.reduce((sum, value) => sum + value, 0) / latencies.length
  $("latency").textContent = `${Math.round(total)} ms (mean ${Math.round(mean)})`
})

const states = {
  idle: "Not connected",
  connecting: "Connecting…",
  ready: "Connected",
  lost: "Disconnected"
}

const show = (next) => {
  state = next
  document.body.dataset.state = next
  $("state").textContent = states[next]
  const ready = next === "ready"
  for (const id of ["text", "send", "hang-up"]) $(id).disabled = !ready
  for (const key of $("keys").children) key.disabled = !ready
  $("mute").disabled = !ready || sound?.hasMicrophone !== true
  $("start").disabled = $("type-only").disabled = next === "connecting"
  $("start").textContent = next === "lost" ? "Talk again" : next === "connecting" ? "Connecting…" : "Start talking"
  showSpeakers()
}

const showSpeakers = () => {
  const ready = state === "ready"
  const microphone = sound?.hasMicrophone === true
  $("you").dataset.active = ready && speaking.user
  $("bot").dataset.active = ready && speaking.bot
  $("you-state").textContent = !ready
    ? ""
    : muted
    ? "muted"
    : ignored
    ? "not listened to now"
    : speaking.user
    ? "speaking"
    : microphone
    ? "listening to you"
    : "no microphone"
  $("bot-state").textContent = !ready ? "" : speaking.bot ? "speaking" : "quiet"
}

/** Decibels, from -60 to 0, as a part of the meter. */
const meter = (id, level) => {
  const part = Math.max(0, Math.min(1, 1 + Math.log10(Math.max(level, 1e-6)) / 3))
  $(id).style.setProperty("--level", part.toFixed(3))
}

const showError = (text) => {
  $("problem").textContent = text
  $("problem").hidden = text === ""
}

const showCounts = () => {
  $("sent").textContent = `${(counts.sent / 16_000).toFixed(1)} s`
  $("received").textContent = `${counts.received.toFixed(1)} s`
  $("gaps").textContent = counts.gaps
}
setInterval(showCounts, 500)

const log = (direction, message) => {
  const { data, type } = message
  const line = `${new Date().toISOString().slice(11, 23)} ${direction} ${type}${
    data === undefined ? "" : ` ${JSON.stringify(data)}`
  }`
  entries.push(line.length > 600 ? `${line.slice(0, 600)}…` : line)
  if (entries.length > 300) entries.splice(0, 100)
  if ($("messages").open) $("log").textContent = entries.join("\n")
}

// ---------------------------------------------------------------------------------------------------------------------
// what is sent
// ---------------------------------------------------------------------------------------------------------------------

const send = (type, data = {}) => {
  const message = { label: "rtvi-ai", type, id: crypto.getRandomValues(new Uint32Array(1))[0].toString(16), data }
  log("→", message)
  socket?.send(encodeMessage(message))
}

const runTool = async ({ arguments: args = {}, function_name: name, tool_call_id: id }) => {
  conversation.tool(id, name, "running")
  if (name === undefined || !Object.hasOwn(tools, name)) return
  let result
  try {
    result = await tools[name](args) ?? { ok: true }
  } catch (error) {
    result = { error: String(error) }
  }
  const known = typeof result === "string" || typeof result === "object" ? result : { value: result }
  send("llm-function-call-result", { function_name: name, tool_call_id: id, arguments: args, result: known })
}

// ---------------------------------------------------------------------------------------------------------------------
// what comes
// ---------------------------------------------------------------------------------------------------------------------

/** The answer is heard no more, at once: what the page has of it goes. */
const interrupt = () => {
  sound?.clear()
  conversation.interrupted()
  speaking.bot = false
}

const on = {
  "bot-ready": ({ about, version }) => {
    show("ready")
    showError(problem)
    $("protocol").textContent = `RTVI ${version}${about?.library ? `, ${about.library}` : ""}`
    $("text").focus()
  },
  error: ({ error, fatal, message }) => {
    conversation.note(error ?? message ?? "an error", true)
    if (fatal) leave(error ?? message)
  },
  "error-response": ({ error }) => conversation.note(error, true),
  "user-started-speaking": () => {
    speaking.user = true
    conversation.userStarted()
  },
  "user-stopped-speaking": () => {
    speaking.user = false
    const voiceEnd = lastLoud !== undefined && performance.now() - lastLoud < 5000 ? lastLoud : undefined
    conversation.userStopped(voiceEnd)
  },
  "user-mute-started": () => {
    ignored = true
  },
  "user-mute-stopped": () => {
    ignored = false
  },
  "user-transcription": (data) => conversation.transcript(data),
  "user-llm-text": (data) => conversation.userText(data),
  "bot-llm-started": () => conversation.responseStarted(),
  "bot-llm-stopped": () => conversation.responseStopped(),
  "bot-llm-text": (data) => conversation.token(data),
  "bot-tts-text": (data) => conversation.word(data),
  "bot-output": (data) => conversation.segment(data),
  "bot-started-speaking": () => {
    speaking.bot = true
    conversation.botStarted()
  },
  "bot-stopped-speaking": () => {
    speaking.bot = false
    conversation.botStopped()
  },
  "bot-interrupted": interrupt,
  "llm-function-call-in-progress": (data) => void runTool(data),
  "llm-function-call-stopped": ({ cancelled, function_name, result, tool_call_id }) =>
    conversation.tool(
      tool_call_id,
      function_name,
      cancelled ? "cancelled" : "done",
      result === undefined ? "" : typeof result === "string" ? result : JSON.stringify(result)
    ),
  metrics: ({ ttfb }) => {
    for (const { processor, value } of ttfb ?? []) {
      // in the beginning all of them say 0
      if (value > 0) firstBytes.set(processor, `${processor} ${Math.round(value * 1000)} ms`)
    }
    $("ttfb").textContent = [...firstBytes.values()].join(", ") || "–"
  },
  "server-message": (data) => conversation.note(typeof data === "string" ? data : JSON.stringify(data))
}

const receive = (bytes) => {
  let frame
  try {
    frame = decode(new Uint8Array(bytes))
  } catch (error) {
    return conversation.note(`A message cannot be read: ${error.message}`, true)
  }
  if (frame.type === "audio") {
    counts.received += frame.samples.length / frame.numChannels / frame.sampleRate
    sound?.play(frame)
  } else if (frame.type === "interruption") {
    interrupt()
  } else if (frame.type === "message" && frame.message?.label === "rtvi-ai") {
    log("←", frame.message)
    if (Object.hasOwn(on, frame.message.type)) on[frame.message.type](frame.message.data ?? {})
  }
  showSpeakers()
}

// ---------------------------------------------------------------------------------------------------------------------
// the connection
// ---------------------------------------------------------------------------------------------------------------------

const openSound = async (microphone) => {
  const opened = await Sound.open({
    onChunk: (samples, level) => {
      meter("you-meter", level)
      if (level > loud) lastLoud = performance.now()
      if (state !== "ready" || socket.readyState !== WebSocket.OPEN) return
      counts.sent += samples.length
      socket.send(encodeAudio(samples, 16_000))
    },
    onMicrophoneLost: () => showError("The microphone is gone: it was unplugged, or taken away by the browser"),
    onPlayer: ({ event, level }) => {
      if (event === "level") return meter("bot-meter", level)
      if (event === "full") return showError("The server sends more audio than can be kept: some is lost")
      log("♪", { type: event, ...event === "heard" && { data: { outputLatency: opened.latency } } })
      if (event === "heard") return conversation.answered(performance.now() + opened.latency * 1000)
      document.body.dataset.playing = event === "started"
      if (event === "stopped") meter("bot-meter", 0)
      // the server says when it is done: silence before that is a gap
      if (event === "stopped" && speaking.bot) lastGap = performance.now()
      if (event === "started" && lastGap !== undefined && speaking.bot && performance.now() - lastGap < 300) {
        counts.gaps++
      }
      if (event === "started") lastGap = undefined
    }
  })
  if (microphone) {
    // without one it is still possible to hear and to type
    await opened.listen().catch((error) => {
      problem = `${error.message}. You can type.`
    })
  }
  opened.mute(muted)
  return opened
}
let lastGap

const start = async (microphone) => {
  if (state === "connecting" || state === "ready") return
  show("connecting")
  showError("")
  conversation.reset()
  Object.assign(counts, { sent: 0, received: 0, gaps: 0 })
  latencies.length = 0
  firstBytes.clear()
  ignored = false
  Object.assign(speaking, { user: false, bot: false })
  lastLoud = lastGap = undefined
  problem = ""
  sound = await openSound(microphone).catch((error) => {
    problem = `${error.message}. You can type.`
  })
  try {
    const response = await fetch(settings.start, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ transport: "websocket" })
    }).catch((error) => {
      throw new Error("The server cannot be reached", { cause: error })
    })
    const answer = await response.json().catch(() => ({}))
    if (!response.ok) throw new Error(answer.detail ?? answer.info ?? `The server answers ${response.status}`)
    const url = new URL(answer.wsUrl)
    if (answer.token !== undefined) url.searchParams.set("token", answer.token)
    open(url)
  } catch (error) {
    await leave(error.message)
  }
}

const open = (url) => {
  const opened = new WebSocket(url)
  socket = opened
  opened.binaryType = "arraybuffer"
  opened.addEventListener(
    "open",
    () => send("client-ready", { version: "2.1.0", about: { library: "talk", platform: navigator.userAgent } })
  )
  opened.addEventListener("message", ({ data }) => {
    if (socket === opened && typeof data !== "string") receive(data)
  })
  opened.addEventListener("close", ({ code, reason }) => {
    if (socket !== opened) return
    const what = state === "connecting"
      ? "No connection"
      : code === 1000
      ? "The conversation is over"
      : "The connection is lost"
    void leave(`${what}: ${reason === "" ? "" : `${reason} `}(${code})`)
  })
}

/** Ends the conversation; what was said stays on the page. */
const leave = async (why = "") => {
  const [closing, silenced] = [socket, sound]
  socket = sound = undefined
  speaking.user = speaking.bot = false
  meter("you-meter", 0)
  meter("bot-meter", 0)
  document.body.dataset.playing = false
  conversation.closeUser()
  conversation.botStopped()
  show("lost")
  showCounts()
  showError(why)
  closing?.close(1000)
  await silenced?.close()
  $("start").focus()
}

// ---------------------------------------------------------------------------------------------------------------------
// controls
// ---------------------------------------------------------------------------------------------------------------------

const setMuted = (next) => {
  muted = next
  sound?.mute(next)
  $("mute").setAttribute("aria-pressed", next)
  $("mute-label").textContent = next ? "Unmute" : "Mute"
  if (next) meter("you-meter", 0)
  showSpeakers()
}

$("start").addEventListener("click", () => start(true))
$("type-only").addEventListener("click", () => start(false))
$("hang-up").addEventListener("click", () => leave())
$("mute").addEventListener("click", () => setMuted(!muted))

$("compose").addEventListener("submit", (event) => {
  event.preventDefault()
  const content = $("text").value.trim()
  if (content === "" || state !== "ready") return
  $("text").value = ""
  const speech = !$("silent").checked
  conversation.typed(content, speech)
  send("send-text", { content, options: { run_immediately: true, audio_response: speech } })
})

for (const button of "123456789*0#") {
  const key = document.createElement("button")
  key.type = "button"
  key.textContent = button
  key.disabled = true
  key.addEventListener("click", () => send("dtmf", { buttons: [button] }))
  $("keys").append(key)
}

$("messages").addEventListener("toggle", () => {
  if ($("messages").open) $("log").textContent = entries.join("\n")
})

// M mutes, where it is not typed
addEventListener("keydown", ({ altKey, ctrlKey, key, metaKey, target }) => {
  const typing = target.closest?.("input, textarea, select") !== null
  if (typing || altKey || ctrlKey || metaKey || key.toLowerCase() !== "m" || $("mute").disabled) return
  setMuted(!muted)
})

addEventListener("pagehide", () => socket?.close(1000))

globalThis.talk = { tools, send }
show("idle")
