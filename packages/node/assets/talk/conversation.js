/** What was said, as a list: who, what, how much of it was heard, how long the answer took. */

const element = (tag, className, text = "") => {
  const node = document.createElement(tag)
  node.className = className
  node.textContent = text
  return node
}

const seconds = (millis) => `${(millis / 1000).toFixed(2)} s`

/** What the model has written and the voice has not come to yet: what follows the last segment, if that is in it. */
const unvoiced = (segments, tokens) => {
  let end = 0
  for (const { rest, said } of segments.values()) {
    const at = tokens.indexOf(said + rest, end)
    if (at === -1) return ""
    end = at + said.length + rest.length
  }
  return tokens.slice(end).trim()
}

/** Follows the messages of the server. `onLatency` is told how long an answer took. */
export class Conversation {
  constructor(list, onLatency) {
    this.list = list
    this.onLatency = onLatency
    this.follow()
    this.reset()
  }

  reset() {
    this.list.replaceChildren()
    this.following = true
    this.user = undefined
    this.bot = undefined
    /** Whether what the bot says next is another turn. */
    this.over = true
    this.segments = new Map()
    this.tools = new Map()
    this.asked = undefined
    this.early = undefined
    this.answering = false
  }

  // what is on the page

  /** Keeps the newest in sight, unless somebody has scrolled up. */
  follow() {
    const view = this.list.parentElement
    let top = 0
    view.addEventListener("scroll", () => {
      const left = view.scrollHeight - view.scrollTop - view.clientHeight
      this.following = left < 40 || this.following && view.scrollTop >= top
      top = view.scrollTop
    })
    const observer = new ResizeObserver(() => {
      if (this.following) view.scrollTop = view.scrollHeight
    })
    observer.observe(view)
    observer.observe(this.list)
  }

  /** A remark between what is said. */
  note(text, isError = false) {
    this.list.append(element("li", isError ? "note error" : "note", text))
  }

  turn(who, name) {
    const item = element("li", `turn ${who}`)
    const text = element("p", "text")
    const meta = element("p", "meta")
    item.append(element("span", "who", name), text, meta)
    this.list.append(item)
    return { item, text, meta }
  }

  // the user

  /** The user's turn that is going on. */
  openUser() {
    if (this.user === undefined) {
      this.user = { ...this.turn("user", "You"), finals: [], interim: "", since: performance.now() }
      this.over = true
    }
    return this.user
  }

  closeUser() {
    if (this.user === undefined) return
    this.user.item.classList.remove("active")
    this.user = undefined
  }

  showUser() {
    const { finals, interim, text } = this.user
    const before = finals.join(" ")
    text.replaceChildren(before, element("span", "interim", before && interim ? ` ${interim}` : interim))
  }

  /** What was typed. `speech`: the answer will be heard. */
  typed(text, speech) {
    this.closeUser()
    this.openUser().finals.push(text)
    this.showUser()
    this.closeUser()
    this.asked = { at: performance.now(), speech }
    this.following = true
  }

  userStarted() {
    // as long as nobody has answered, it was a pause
    const user = this.openUser()
    user.item.classList.add("active")
    if (user.finals.length === 0 && user.interim === "") user.text.replaceChildren(element("span", "interim", "…"))
    this.asked = undefined
  }

  /** `voiceEnd`: when the microphone fell silent, if that is known. */
  userStopped(voiceEnd) {
    const user = this.openUser()
    user.item.classList.remove("active")
    user.stopped = performance.now()
    const spoken = (voiceEnd ?? user.stopped) - user.since
    user.meta.textContent = `spoke for ${seconds(Math.max(0, spoken))}`
    if (user.finals.length === 0 && user.interim === "") {
      user.text.replaceChildren(element("span", "interim", "(no transcript)"))
    }
    this.asked = { at: voiceEnd ?? user.stopped, noticed: user.stopped, speech: true }
    // sound may overtake messages
    if (this.early !== undefined && user.stopped - this.early < 300) this.answered(this.early)
  }

  transcript({ final, text }) {
    const user = this.openUser()
    if (final) user.finals.push(text.trim())
    user.interim = final ? "" : text.trim()
    this.showUser()
  }

  /** The text that the model was given, where there was no transcript. */
  userText({ text }) {
    if (this.user === undefined || this.user.finals.length > 0) return
    this.user.finals.push(text.trim())
    this.user.interim = ""
    this.showUser()
  }

  // the bot

  /** The bot's turn that is going on. */
  openBot() {
    if (this.over) {
      this.over = false
      this.closeUser()
      this.bot = {
        ...this.turn("bot", "Bot"),
        segments: new Map(),
        tokens: "",
        words: [],
        spoken: false,
        finished: false
      }
      this.showLatency()
    }
    return this.bot
  }

  responseStarted() {
    this.answering = true
    // unless it goes on with what the last one began: after a function call, for example
    if (this.bot?.finished === true) this.over = true
  }

  responseStopped() {
    this.answering = false
  }

  token({ text }) {
    const bot = this.openBot()
    bot.tokens += text
    this.showBot(bot)
  }

  word({ text }) {
    if (this.over || this.bot.segments.size > 0) return
    this.bot.words.push(text)
    this.showBot(this.bot)
  }

  segment(data) {
    const id = data.segment_id ?? `segment ${this.segments.size}`
    // what is heard of an earlier turn belongs there
    const bot = this.segments.get(id) ?? this.openBot()
    this.segments.set(id, bot)
    const progress = data.spoken_progress
    const willBeSpoken = data.will_be_spoken ?? data.spoken ?? false
    bot.segments.set(id, {
      said: progress?.accumulated_text ?? (willBeSpoken && data.spoken_status !== undefined ? "" : data.text),
      rest: progress?.remaining_text ?? (willBeSpoken && data.spoken_status === "new" ? data.text : "")
    })
    if (!willBeSpoken && this.asked?.speech === false) this.answered(performance.now())
    this.showBot(bot)
  }

  showBot({ segments, text, tokens, words }) {
    const waiting = unvoiced(segments, tokens)
    const parts = segments.size > 0
      ? [
        ...[...segments.values()].flatMap(({ rest, said }) => [said, element("span", "unspoken", rest), " "]),
        ...waiting === "" ? [] : [element("span", "unspoken", waiting)]
      ]
      : tokens === ""
      ? [words.join(" ")]
      : [element("span", "unspoken", tokens)]
    text.replaceChildren(...parts)
  }

  botStarted() {
    const bot = this.openBot()
    bot.item.classList.add("active")
    bot.spoken = true
    bot.finished = false
  }

  botStopped() {
    if (this.bot === undefined) return
    this.bot.item.classList.remove("active")
    if (!this.answering) this.bot.finished = true
    if (this.bot.text.textContent === "") this.bot.text.replaceChildren(element("span", "interim", "(sound)"))
  }

  interrupted() {
    if (this.bot === undefined || this.bot.finished) return
    const { item, meta, segments, spoken, text } = this.bot
    item.classList.remove("active")
    const isLeft = [...text.querySelectorAll(".unspoken")].some(({ textContent }) => textContent !== "")
    // without segments nobody knows how much was heard
    if (isLeft || spoken && segments.size === 0) {
      item.classList.add("interrupted")
      meta.append(element("span", "tag", "interrupted"))
    }
    this.bot.finished = true
    this.answering = false
  }

  /** The first sound of an answer is heard, or its first text seen. */
  answered(at) {
    this.early = this.asked === undefined ? at : undefined
    if (this.asked === undefined) return
    const { noticed } = this.asked
    this.latency = {
      total: Math.max(0, at - this.asked.at),
      noticed: noticed === undefined ? undefined : Math.max(0, at - noticed)
    }
    this.asked = undefined
    this.onLatency(this.latency)
    if (!this.over) this.showLatency()
  }

  showLatency() {
    if (this.latency === undefined) return
    const { noticed, total } = this.latency
    const shown = element("span", "latency", `answered in ${seconds(total)}`)
    if (noticed !== undefined) {
      shown.title = `${seconds(noticed)} after the server noticed that you had finished`
    }
    this.bot.meta.prepend(shown)
    this.latency = undefined
  }

  // functions

  tool(id, name, state, detail = "") {
    let row = this.tools.get(id)
    if (row === undefined) {
      row = element("li", "note tool")
      this.tools.set(id, row)
      this.list.append(row)
    }
    const known = name ?? row.dataset.name ?? "a function"
    row.dataset.name = known
    row.dataset.state = state
    row.textContent = `${known}: ${state}${detail === "" ? "" : `, ${detail.slice(0, 300)}`}`
  }
}
