/** The microphone and the loudspeaker of the page. */

const workletUrl = () => {
  const source = document.getElementById("worklet").textContent
  return URL.createObjectURL(new Blob([source], { type: "text/javascript" }))
}

/** What went wrong with a microphone, in words that help. */
const microphoneProblem = (error) => {
  switch (error.name) {
    case "NotAllowedError":
      return "The browser does not allow the microphone"
    case "NotFoundError":
      return "There is no microphone"
    case "NotReadableError":
      return "Another program uses the microphone"
    default:
      return `The microphone does not work: ${error.message}`
  }
}

export class Sound {
  /** To be called from a click: browsers are silent before one. Fails with an error whose message is for people. */
  static async open(handlers) {
    const context = new AudioContext({ latencyHint: "interactive" })
    if (context.audioWorklet === undefined) {
      await context.close()
      throw new Error("The browser gives sound only to pages from this machine, or over HTTPS")
    }
    const url = workletUrl()
    try {
      await context.audioWorklet.addModule(url)
      await context.resume()
    } catch (error) {
      await context.close()
      throw error
    } finally {
      URL.revokeObjectURL(url)
    }
    return new Sound(context, handlers)
  }

  constructor(context, handlers) {
    this.context = context
    this.handlers = handlers
    this.muted = false
    this.player = new AudioWorkletNode(context, "player", { numberOfInputs: 0, outputChannelCount: [2] })
    this.player.connect(context.destination)
    this.player.port.addEventListener("message", ({ data }) => handlers.onPlayer(data))
    this.player.port.start()
  }

  /** Seconds from the player to the ear, as far as the browser knows. */
  get latency() {
    return (this.context.baseLatency || 0) + (this.context.outputLatency || 0)
  }

  get hasMicrophone() {
    return this.stream !== undefined
  }

  /** Fails with an error whose message is for people. */
  async listen() {
    if (navigator.mediaDevices === undefined) {
      throw new Error("The browser gives the microphone only to pages from this machine, or over HTTPS")
    }
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({
        audio: { channelCount: 1, echoCancellation: true, noiseSuppression: true, autoGainControl: true }
      })
    } catch (error) {
      throw new Error(microphoneProblem(error), { cause: error })
    }
    for (const track of this.stream.getTracks()) {
      // not told of a track that is stopped from here
      track.addEventListener("ended", () => this.handlers.onMicrophoneLost())
      track.enabled = !this.muted
    }
    const recorder = new AudioWorkletNode(this.context, "recorder")
    recorder.port.addEventListener("message", ({ data }) => {
      if (!this.muted) this.handlers.onChunk(data.samples, data.level)
    })
    recorder.port.start()
    this.context.createMediaStreamSource(this.stream).connect(recorder)
    // it is silent: browsers run only what leads to the loudspeaker
    recorder.connect(this.context.destination)
  }

  /** While it is muted nothing is sent at all. */
  mute(muted) {
    this.muted = muted
    for (const track of this.stream?.getTracks() ?? []) track.enabled = !muted
  }

  play(audio) {
    this.player.port.postMessage(audio, [audio.samples.buffer])
  }

  /** Silence, now. */
  clear() {
    this.player.port.postMessage("clear")
  }

  async close() {
    for (const track of this.stream?.getTracks() ?? []) track.stop()
    await this.context.close()
  }
}
