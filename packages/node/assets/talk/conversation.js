/** What was said, as a list: who, what, how much of it was heard, how long the answer took. */

const element = (tag, className, text = "") => {
  const node = document.createElement(tag)
  node.className = className
  node.textContent = text
  return node
}

const seconds = (millis) => `${(millis / 1000).toFixed(2)} s`

/** Follows the messages of the server. `onLatency` is told how long an answer took. */
export class Conversation {
  constructor(list, onLatency) {
    this.list = list
    this.onLatency = onLatency
    this.reset()
  }

  reset() {
    this.list.replaceChildren()
    this.user = undefined
    this.bot = undefined
    this.tools = new Map()
    this.asked = undefined
    this.answering = false
    this.audible = false
  }

  // what is on the page

  append(node) {
    const view = this.list.parentElement
    const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 80
    this.list.append(node)
    if (atEnd) this.follow()
  }

  /** Keeps the newest in sight. */
  follow() {
    const view = this.list.parentElement
    view.scrollTop = view.scrollHeight
  }

  update(change) {
    const view = this.list.parentElement
    const atEnd = view.scrollHeight - view.scrollTop - view.clientHeight < 80
    change()
    if (atEnd) this.follow()
  }

  /** A remark between what is said. */
  note(text, isError = false) {
    this.append(element("li", isError ? "note error" : "note", text))
  }

  turn(who, name) {
    const item = element("li", `turn ${who}`)
    const text = element("p", "text")
    const meta = element("p", "meta")
    item.append(element("span", "who", name), text, meta)
    this.append(item)
    return { item, text, meta }
  }

  // the user

  /** The user's turn that is going on. */
  openUser() {
    if (this.user === undefined) {
      this.user = { ...this.turn("user", "You"), finals: [], interim: "", since: performance.now() }
      this.bot = undefined
      this.answering = false
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
    this.update(() =>
      text.replaceChildren(before, element("span", "interim", before && interim ? ` ${interim}` : interim))
    )
  }

  /** What was typed. `speech`: the answer will be heard. */
  typed(text, speech) {
    this.closeUser()
    this.openUser().finals.push(text)
    this.showUser()
    this.closeUser()
    this.asked = { at: performance.now(), speech }
    this.follow()
  }

  userStarted() {
    // a pause, not a new turn, as long as nobody has answered
    if (this.user === undefined || this.user.stopped !== undefined && this.user.finals.length > 0) this.closeUser()
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
    if (this.bot === undefined) {
      this.closeUser()
      this.bot = { ...this.turn("bot", "Bot"), segments: new Map(), tokens: "", words: [], spoken: false }
      this.showLatency()
    }
    return this.bot
  }

  responseStarted() {
    this.answering = true
    // a new answer is a new turn, unless it goes on with what the last one began: after a function call, for example
    if (this.bot?.finished === true) this.bot = undefined
  }

  responseStopped() {
    this.answering = false
  }

  token({ text }) {
    const bot = this.openBot()
    bot.tokens += text
    this.showBot()
  }

  word({ text }) {
    const bot = this.openBot()
    bot.words.push(text)
    if (bot.segments.size === 0) this.showBot()
  }

  segment(data) {
    const bot = this.openBot()
    const id = data.segment_id ?? `segment ${bot.segments.size}`
    const progress = data.spoken_progress
    const willBeSpoken = data.will_be_spoken ?? data.spoken ?? false
    bot.segments.set(id, {
      said: progress?.accumulated_text ?? (willBeSpoken && data.spoken_status !== undefined ? "" : data.text),
      rest: progress?.remaining_text ?? (willBeSpoken && data.spoken_status === "new" ? data.text : "")
    })
    if (!willBeSpoken && this.asked?.speech === false) this.answered()
    this.showBot()
  }

  showBot() {
    const { segments, text, tokens, words } = this.bot
    const parts = segments.size > 0
      ? [...segments.values()].flatMap(({ rest, said }) => [said, element("span", "unspoken", rest), " "])
      : tokens === ""
      ? [words.join(" ")]
      : [element("span", "unspoken", tokens)]
    this.update(() => text.replaceChildren(...parts))
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
    if (this.bot === undefined) return
    const { item, meta, spoken, text } = this.bot
    item.classList.remove("active")
    if (spoken && !this.bot.finished || text.querySelector(".unspoken")?.textContent) {
      item.classList.add("interrupted")
      meta.append(element("span", "tag", "interrupted"))
    }
    this.bot.finished = true
    this.answering = false
  }

  /** The first sound of an answer is heard, or its first text seen. */
  answered(delay = 0) {
    if (this.asked === undefined) return
    const now = performance.now() + delay
    const { at, noticed } = this.asked
    this.asked = undefined
    this.latency = { total: now - at, noticed: noticed === undefined ? undefined : now - noticed }
    this.onLatency(this.latency)
    if (this.bot !== undefined) this.showLatency()
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
      this.append(row)
    }
    const known = name ?? row.dataset.name ?? "a function"
    row.dataset.name = known
    row.dataset.state = state
    row.textContent = `${known}: ${state}${detail === "" ? "" : `, ${detail}`}`
  }
}
