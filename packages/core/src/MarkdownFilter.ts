/**
 * Takes the Markdown out of text that is to be spoken: what marks bold, italic, code, headings, links and tables goes,
 * the words stay.
 *
 * {@link strip} is the plain function, {@link makeFilter} the same for text that comes in pieces, {@link make} the
 * processor. Give it whole sentences or lines: put it behind a `TextAggregator` or a `SentenceAggregator`. Each text is
 * taken to begin a line, and only blocks of code are followed from one text to the next.
 *
 * The rules:
 *
 * 1. What looks like Markdown and is not stays: `2 * 3`, `snake_case`, `C#`, `#tag`, and whatever a backslash escapes.
 * 2. White space stays as it is, except that empty lines in a row become one space.
 * 3. Asterisks go even where the other end of what they mark is missing (it may be in another sentence). Underscores
 *    and tildes go in pairs only.
 * 4. Numbered and bullet lists stay; a bullet is a `-`.
 * 5. Headings, block quotes and images come down to their text, links to theirs, URLs lose `http://` and `https://`.
 * 6. Rules (`---`), the lines around a block of code, and the delimiters of a table go. The cells of a row are joined
 *    by commas.
 * 7. A character that is neither a letter nor a digit and comes five times or more in a row goes.
 * 8. HTML tags go, entities become what they stand for.
 * 9. Code is not touched.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as Frame from "./Frame.ts"
import * as Processor from "./Processor.ts"

/**
 * What a filter does; it can be changed while it works.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  /** With `false`, text passes as it is. Default: true. */
  readonly enabled?: boolean | undefined
  /** Takes blocks of code away altogether. Default: false. */
  readonly removeCode?: boolean | undefined
  /** Takes tables away altogether. Default: false. */
  readonly removeTables?: boolean | undefined
  /** Rule 7. Default: true. */
  readonly removeRepeated?: boolean | undefined
  /** Takes HTML tags away; not when they mean something to what speaks. Default: true. */
  readonly removeTags?: boolean | undefined
}

/**
 * A filter for text that comes in pieces: it knows whether the last one ended inside a block of code.
 *
 * @see {@link makeFilter} for the constructor and an example
 * @category models
 * @since 0.1.0
 */
export interface Filter {
  readonly filter: (text: string) => string
  /** Changes the settings that are given, from the next text on. */
  readonly update: (settings: Settings) => void
  /** The settings in force. */
  readonly settings: Settings
  /** Forgets the block of code that is open. */
  readonly reset: () => void
}

/**
 * Changes the settings of every filter that it passes, in order with the text. Survives interruptions.
 *
 * **Example** (Reading code aloud, or not)
 *
 * ```ts
 * import { MarkdownFilter } from "@apipeline/core"
 *
 * MarkdownFilter.UpdateFrame.make({ settings: { removeCode: true } }).uninterruptible // => true
 * ```
 *
 * @category models
 * @since 0.1.0
 */
export class UpdateFrame extends Frame.App<UpdateFrame>()("MarkdownFilterUpdateFrame", {
  settings: Schema.Struct({
    enabled: Schema.optional(Schema.Boolean),
    removeCode: Schema.optional(Schema.Boolean),
    removeTables: Schema.optional(Schema.Boolean),
    removeRepeated: Schema.optional(Schema.Boolean),
    removeTags: Schema.optional(Schema.Boolean)
  })
}, { kind: "control", uninterruptible: true }) {}

/**
 * Options of {@link make}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options extends Settings, Pick<Processor.Options, "capacity" | "strategy"> {
  /** Default: `MarkdownFilter`. */
  readonly name?: string | undefined
}

// ---------------------------------------------------------------------------------------------------------------------
// inline: one pass, so that nothing that came out is looked at again. The bounds keep it linear.
// ---------------------------------------------------------------------------------------------------------------------

const inlineSyntax = new RegExp(
  [
    String.raw`\\(?<escaped>[!-\/:-@[-\x60{-~])`,
    String.raw`(?<![\x60])(?<ticks>\x60{1,9})(?!\x60)(?<code>.{1,2000}?)(?<!\x60)\k<ticks>(?!\x60)`,
    String
      .raw`!?\[(?<label>[^\[\]]{0,1000})\]\([^()\s]{0,2000}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?(?:\s+"[^"]{0,500}")?\)`,
    String.raw`<(?<autolink>https?:\/\/[^\s<>]{1,2000})>`,
    String.raw`https?:\/\/(?<url>[^\s*\x60<>|]{0,2000})`,
    String.raw`(?<tag><(?:\/?[a-z][\w:-]*(?:\s[^<>]{0,1000})?\/?|!--.{0,1000}?--)>)`,
    String.raw`&(?:(?<named>amp|lt|gt|nbsp|quot|apos)|#(?<decimal>\d{1,7})|#x(?<hex>[\da-f]{1,6}));`,
    String.raw`(?<repeated>[^\s\p{L}\p{M}\p{N}])\k<repeated>{4,}`,
    String.raw`(?<stars>\*+)`,
    String.raw`(?<![\p{L}\p{N}_])(?<lines>_{1,3})(?=[^\s_])(?<emphasized>.{0,1000}?[^\s_])\k<lines>(?![\p{L}\p{N}_])`,
    String.raw`~~(?=[^\s~])(?<struck>.{0,1000}?[^\s~])~~(?!~)`,
    String.raw`(?<stray>\x60+)`
  ].join("|"),
  "giu"
)

const entities: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", nbsp: " ", quot: "\"", apos: "'" }

const character = (code: number, otherwise: string): string =>
  code === 0xa0 ? " " : code > 0 && code <= 0x10ffff && (code < 0xd800 || code > 0xdfff)
    ? String.fromCodePoint(code)
    : otherwise

const isSpace = (c: string): boolean => /\s/.test(c)
const isDigit = (c: string): boolean => c >= "0" && c <= "9"
const isWord = (c: string): boolean => /[\p{L}\p{M}\p{N}]/u.test(c)

/** Whether asterisks mark something, by the characters around them; "" is the end of the text. */
const mark = (stars: string, at: number, line: string): boolean => {
  const before = line.charAt(at - 1)
  const after = line.charAt(at + stars.length)
  if (before === "" || after === "") return true
  if (isSpace(before) && isSpace(after) || isDigit(before) && isDigit(after)) return false
  if (stars.length > 1 || !isWord(before) || !isWord(after)) return true
  // a single one inside a word: not without another
  return line.indexOf("*", at + 1) >= 0 || line.lastIndexOf("*", at - 1) >= 0
}

const inline = (line: string, settings: Settings): string => {
  if (!/[\\`[<&*_~]|:\/\/|([^\s\p{L}\p{M}\p{N}])\1{4}/u.test(line)) return line
  return line.replace(inlineSyntax, (found: string, ...args: Array<any>): string => {
    const groups = args.at(-1) as Record<string, string | undefined>
    if (groups["escaped"] !== undefined) return groups["escaped"]
    if (groups["code"] !== undefined) {
      const code = groups["code"]
      if (settings.removeCode === true && groups["ticks"]!.length > 2) return ""
      return code.startsWith(" ") && code.endsWith(" ") && code.trim() !== "" ? code.slice(1, -1) : code
    }
    if (groups["autolink"] !== undefined) return groups["autolink"].replace(/^https?:\/\//i, "")
    if (groups["url"] !== undefined) return groups["url"]
    if (groups["tag"] !== undefined) return settings.removeTags === false ? found : ""
    if (groups["named"] !== undefined) return entities[groups["named"].toLowerCase()]!
    if (groups["decimal"] !== undefined) return character(Number.parseInt(groups["decimal"], 10), found)
    if (groups["hex"] !== undefined) return character(Number.parseInt(groups["hex"], 16), found)
    if (groups["repeated"] !== undefined) return settings.removeRepeated === false ? found : ""
    if (groups["stars"] !== undefined) return mark(found, args.at(-3), args.at(-2)) ? "" : found
    if (groups["stray"] !== undefined) return ""
    return inline(groups["label"] ?? groups["emphasized"] ?? groups["struck"]!, settings)
  })
}

// ---------------------------------------------------------------------------------------------------------------------
// blocks
// ---------------------------------------------------------------------------------------------------------------------

const isRow = (line: string): boolean => /^\s*\|.*\|\s*$/.test(line)
const isDelimiter = (line: string | undefined): boolean =>
  line !== undefined && line.includes("|") && line.includes("-") && /^[\s|:-]+$/.test(line)
const isRule = (line: string): boolean => /^([-*_=])(?:[ \t]*\1){2,}$/.test(line.trim())

const cells = (row: string, settings: Settings): string =>
  row.replace(/^\s*\||\|\s*$/g, "").split(/(?<!\\)\|/).map((cell) => inline(cell.trim(), settings)).filter((cell) =>
    cell !== ""
  ).join(", ")

const line = (text: string, settings: Settings): string => {
  const [, indent = "", rest = ""] = /^(\s*(?:>[ \t]?)*)([^]*)$/.exec(text)!
  const start = indent.replace(/>[ \t]?/g, "")
  const heading = rest.replace(/^#{1,6}[ \t]+(?=\S)/, "")
  if (heading !== rest) return start + inline(heading.replace(/(?<![ \t])[ \t]+#+\s*$/, ""), settings)
  const bullet = /^[*+]([ \t].*)$/.exec(rest)
  return bullet === null ? start + inline(rest, settings) : `${start}-${inline(bullet[1]!, settings)}`
}

const blocks = (text: string, settings: Settings): string => {
  const lines = text.split("\n")
  const out: Array<string> = []
  let inTable = false
  for (const [i, one] of lines.entries()) {
    const delimiter: boolean = isDelimiter(one) && (inTable || isRow(one))
    inTable = delimiter || isRow(one) || (one.includes("|") && (inTable || isDelimiter(lines[i + 1])))
    if (delimiter || (inTable && settings.removeTables === true) || isRule(one)) continue
    out.push(inTable ? cells(one, settings) : line(one, settings))
  }
  return out.join("\n").replace(/(?<![^\n])(?:[^\S\n]*\n)+/g, " ")
}

/** What opens a block of code, and what looks like it: backticks that close on the same line are inline code. */
const fences = /(?<!`)(`{3,})(?!`).{1,2000}?(?<!`)\1(?!`)|(`{3,})|^[ \t]{0,9}(~{3,})/gm

const opening = (text: string): RegExpExecArray | undefined => {
  for (const found of text.matchAll(fences)) if (found[1] === undefined) return found
  return undefined
}

/** The state of {@link Filter}: how the block of code that is open was opened, and whether its first line goes on. */
interface Fence {
  readonly mark: string
  readonly first: boolean
}

/**
 * Makes a {@link Filter}. It is a plain mutable object: one per stream of text, not to be shared.
 *
 * **Example** (A block of code in two pieces)
 *
 * ```ts
 * import { MarkdownFilter } from "@apipeline/core"
 *
 * const filter = MarkdownFilter.makeFilter({ removeCode: true })
 * filter.filter("Like **this**: ```js\nconst a = 1.") // => "Like this: "
 * filter.filter(" const b = 2\n``` Good?") // => " Good?"
 * filter.update({ enabled: false })
 * filter.filter("**bold**") // => "**bold**"
 * ```
 *
 * Source: pipecat's `MarkdownTextFilter`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeFilter = (settings: Settings = {}): Filter => {
  let current = settings
  let fence: Fence | undefined

  /** Takes the code at the beginning of a text, to its end; gives what is behind. */
  const inCode = (text: string, open: Fence, out: Array<string>): string => {
    let code = text
    if (open.first) {
      const end = text.indexOf("\n")
      const close = text.indexOf(open.mark)
      if (end < 0 && close < 0) return ""
      if (close < 0 || (end >= 0 && end < close)) code = text.slice(end + 1)
      fence = { mark: open.mark, first: false }
    }
    const end = new RegExp(`(?:(?<=^|\\n)[ \\t]{1,9})?${open.mark[0]}{${open.mark.length},}(?:[ \\t]{0,9}\\n)?`).exec(
      code
    )
    const body = end === null ? code : code.slice(0, end.index)
    if (current.removeCode !== true) out.push(body)
    if (end === null) return ""
    fence = undefined
    return code.slice(end.index + end[0].length)
  }

  const filter = (text: string): string => {
    const out: Array<string> = []
    let rest = text
    while (rest !== "") {
      if (fence !== undefined) {
        rest = inCode(rest, fence, out)
        continue
      }
      const open = opening(rest)
      out.push(blocks(open === undefined ? rest : rest.slice(0, open.index), current))
      if (open === undefined) break
      fence = { mark: open[2] ?? open[3]!, first: true }
      rest = rest.slice(open.index + open[0].length)
    }
    return out.join("")
  }

  return {
    filter: (text) => current.enabled === false ? text : filter(text),
    update: (settings) => {
      const given = Object.entries(settings).filter(([, value]) => value !== undefined)
      current = { ...current, ...Object.fromEntries(given) }
      if (current.enabled === false) fence = undefined
    },
    get settings() {
      return current
    },
    reset: () => {
      fence = undefined
    }
  }
}

/**
 * Takes the Markdown out of a whole text.
 *
 * **Example** (For speech)
 *
 * ```ts
 * import { MarkdownFilter } from "@apipeline/core"
 *
 * MarkdownFilter.strip("## **Bold** and `code` ##") // => "Bold and code"
 * MarkdownFilter.strip("1. See [the *docs*](https://a.b/c_d_)") // => "1. See the docs"
 * MarkdownFilter.strip("2 * 3 &lt; 7!!!!! https://a.b") // => "2 * 3 < 7 a.b"
 * MarkdownFilter.strip("| a | b |\n|---|---|\n| 1 | 2 |") // => "a, b\n1, 2"
 * ```
 *
 * @category operations
 * @since 0.1.0
 */
export const strip = (text: string, settings?: Settings): string => makeFilter(settings).filter(text)

/**
 * Makes a processor that takes the Markdown out of text frames.
 *
 * **Details**
 *
 * - A frame without Markdown passes as it is; another is replaced by one with the same `pts` and metadata. A frame of
 *   which nothing is left goes nowhere.
 * - {@link UpdateFrame} changes the settings, in order with the text, and passes.
 * - An interruption ends a block of code that is open, unless the task does not allow interruptions.
 * - Only downstream text is filtered.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { Frame, MarkdownFilter, Pipeline, PipelineTask, TextAggregator } from "@apipeline/core"
 *
 * const program = Effect.gen(function*() {
 *   const task = yield* PipelineTask.make(Pipeline.make(TextAggregator.make({ trim: true }), MarkdownFilter.make()))
 *   yield* task.queueFrames(["It is **ve", "ry** good. A ", "`b`"].map((text) => Frame.TextFrame.make({ text })))
 *   yield* task.stopWhenDone
 *   const frames = yield* Stream.runCollect(task.output)
 *   return frames.filter(Frame.TextFrame.is).map((frame) => frame.text)
 * }).pipe(Effect.scoped)
 *
 * await Effect.runPromise(program) // => ["It is very good.", "A b"]
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): Processor.Processor => {
  const { capacity, name, strategy, ...settings } = options
  return Processor.sync(name ?? "MarkdownFilter", () => {
    const filter = makeFilter(settings)
    return {
      TextFrame: (frame, push) => {
        const text = filter.filter(frame.text)
        if (text === frame.text) push(frame)
        else if (text !== "") push(Frame.TextFrame.make({ text, pts: frame.pts, metadata: frame.metadata }))
      },
      MarkdownFilterUpdateFrame: (frame, push) => {
        filter.update(frame.settings)
        push(frame)
      },
      onInterruption: () => filter.reset()
    }
  }, { frames: [UpdateFrame], capacity, strategy })
}
