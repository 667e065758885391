/**
 * The sentence machine: takes one code point at a time and never looks at one twice, so what it puts out cannot
 * depend on how the text was cut into chunks, and its cost per character is constant.
 */
import * as Rules from "./sentenceRules.ts"

/** How much text is kept at hand for the guards to look back at. */
const lookBehind = 64

const isHighSurrogate = (code: number): boolean => code >= 0xd800 && code <= 0xdbff

export class Machine {
  // the sentence so far is head + recent + gap + held
  private head = ""
  private recent = ""
  private gap = ""
  private lineBreaks = 0
  // "<", "</b", ... right behind an ender: a closing tag belongs to it, anything else does not
  private held = ""
  // half a surrogate pair, at the end of a chunk
  private half = ""

  // the ender that waits for its next character; run is "" when there is none
  private run = ""
  private before = ""
  private strong = false
  private closed = false

  // what is known of the sentence
  private solid = false
  private link = false
  private tag = ""
  // what is known of the text
  private cased = false
  private opened = ""

  private span: readonly [start: string, end: string] | undefined
  private spanLength = 0

  private readonly german: boolean
  private readonly spans: ReadonlyArray<readonly [start: string, end: string]>
  private readonly keep: number

  constructor(locale: string, spans: ReadonlyArray<readonly [start: string, end: string]>) {
    this.german = /^de(?:-|$)/i.test(locale)
    this.spans = spans
    this.keep = Math.max(lookBehind, ...spans.flat().map((tag) => tag.length))
  }

  get pending(): string {
    return this.head + this.recent + this.gap + this.held + this.half
  }

  push(chunk: string, out: Array<string>): void {
    let text = this.half + chunk
    this.half = ""
    if (isHighSurrogate(text.charCodeAt(text.length - 1))) {
      this.half = text.slice(-1)
      text = text.slice(0, -1)
    }
    for (const c of text) this.step(c, out)
  }

  /** No more text: puts out what is complete and keeps the rest. */
  end(out: Array<string>): void {
    const half = this.half
    this.half = ""
    if (half !== "") this.step(half, out)
    this.release(out)
    if (this.run !== "") this.cut(out)
  }

  private step(c: string, out: Array<string>): void {
    if (this.span !== undefined) this.inSpan(c, this.span)
    else if (this.held !== "" || (c === "<" && this.run !== "" && this.gap === "")) this.hold(c, out)
    else if (Rules.isSpace(c) || (this.gap !== "" && Rules.isExtend(c))) this.space(c, out)
    else {
      if (this.run !== "" && this.belongsToEnder(c)) this.append(c)
      else {
        if (this.run !== "" || this.gap !== "") this.settle(c, out)
        this.text(c)
      }
      if (this.spans.length > 0) this.openSpan()
    }
  }

  private text(c: string): void {
    const before = this.recent
    const inTag = this.markup(c)
    this.append(c)
    this.solid ||= Rules.isSolid(c)
    this.cased ||= Rules.isUpper(c)
    this.link ||= c === "@" || (c === "/" && this.recent.endsWith("://"))
    if (!inTag && (Rules.isWeak(c) || Rules.isStrong(c))) {
      this.run = c
      this.before = before
      this.strong = Rules.isStrong(c)
      this.closed = false
    }
  }

  private belongsToEnder(c: string): boolean {
    if (this.gap !== "") {
      if (this.lineBreaks > 0 || !Rules.isSpacedCloser(c, this.opened)) return false
      this.append(this.gap)
      this.gap = ""
      this.closed = true
      return true
    }
    if (Rules.isWeak(c) || Rules.isStrong(c)) {
      this.run += c
      this.strong ||= Rules.isStrong(c)
      return true
    }
    if (Rules.isExtend(c)) return true
    if (!Rules.isCloser(c)) return false
    if (this.strong && !Rules.isStrictCloser(c) && !(this.opened.includes(c) || this.closes(c))) return false
    this.closed = true
    return true
  }

  /** The second * of a closing **. */
  private closes(c: string): boolean {
    return this.closed && Rules.isTwoWay(c) && this.recent.endsWith(c)
  }

  private space(c: string, out: Array<string>): void {
    if (this.strong && this.run !== "" && this.solid) this.cut(out)
    this.markup(c)
    this.gap += c
    if (c === "\n" && ++this.lineBreaks === 2) {
      // an empty line ends whatever stands before it, a heading or a list item without an ender too
      if (this.solid) this.cut(out)
      this.opened = ""
      this.tag = ""
    }
  }

  /** The next character after an ender, or after white space, is there: does a sentence end before it? */
  private settle(next: string, out: Array<string>): void {
    const ends = this.run === ""
      ? Rules.isThaiEnd(this.recent, next)
      : Rules.confirms({
        before: this.before,
        run: this.run,
        strong: this.strong,
        closed: this.closed,
        gap: this.gap === "" ? "none" : this.lineBreaks > 0 ? "lineBreak" : "space",
        next,
        link: this.link,
        cased: this.cased
      }, this.german)
    if (ends && this.solid) this.cut(out)
    const gap = this.gap
    this.gap = ""
    this.lineBreaks = 0
    this.run = ""
    if (gap === "") return
    this.link = false
    this.append(gap)
  }

  private cut(out: Array<string>): void {
    out.push(this.head + this.recent)
    this.head = ""
    this.recent = ""
    this.run = ""
    this.solid = false
  }

  private append(c: string): void {
    const opener = c === "«" ? "»" : c === "»" ? "«" : Rules.isTwoWay(c) && !this.recent.endsWith(c) ? c : ""
    if (opener !== "") {
      this.opened = this.opened.includes(opener) ? this.opened.replace(opener, "") : this.opened + c
    }
    this.recent += c
    // a long string that grows must not be looked at: only `recent` is, and it stays short
    if (this.recent.length > 4 * this.keep) {
      this.head += this.recent.slice(0, -this.keep)
      this.recent = this.recent.slice(-this.keep)
    }
  }

  /** Follows tags; true inside one. */
  private markup(c: string): boolean {
    if (this.tag === "") {
      if (c === "<") this.tag = c
      return false
    }
    const tag = this.tag + c
    this.tag = Rules.isTagPrefix(tag) ? tag : c === "<" ? c : ""
    return this.tag.length > 1
  }

  private hold(c: string, out: Array<string>): void {
    this.held += c
    if (Rules.isClosingTag(this.held)) {
      this.append(this.held)
      this.held = ""
      this.closed = true
    } else if (!Rules.isClosingTagPrefix(this.held)) {
      this.release(out)
    }
  }

  private release(out: Array<string>): void {
    if (this.held === "") return
    const held = this.held
    this.held = ""
    this.settle("<", out)
    for (const c of held) this.step(c, out)
  }

  private openSpan(): void {
    this.span = this.spans.find(([start]) => start !== "" && this.recent.endsWith(start))
    if (this.span === undefined) return
    this.spanLength = 0
    this.run = ""
    this.tag = ""
  }

  private inSpan(c: string, [, end]: readonly [start: string, end: string]): void {
    this.append(c)
    this.cased ||= Rules.isUpper(c)
    this.spanLength += c.length
    if (this.spanLength >= end.length && this.recent.endsWith(end)) this.span = undefined
  }
}

/** Index just after the first complete sentence, 0 if there is none. */
export const endOf = (text: string): number => {
  const machine = new Machine("en", [])
  const out: Array<string> = []
  for (const c of text) {
    machine.push(c, out)
    if (out.length > 0) break
  }
  if (out.length === 0) machine.end(out)
  return out[0]?.length ?? 0
}
