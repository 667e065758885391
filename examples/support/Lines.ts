/** Lines on standard output. On a terminal, the last one may still change: what is being said. */
import { Console, Effect, Stdio, Terminal } from "effect"

/** To the beginning of the line, which is empty from then on. */
export const clear = "\r\x1b[2K"

const escapes = new RegExp(`${String.fromCharCode(27)}\\[\\d+m`, "g")

export const make = Effect.gen(function*() {
  const isTerminal = yield* (yield* Stdio.Stdio).stdoutIsTerminal
  const terminal = yield* Terminal.Terminal
  /** What is at the bottom, without its end. */
  let open: { readonly key: string; readonly line: string } | undefined

  const display = (text: string): Effect.Effect<void> => Effect.ignore(terminal.display(text))

  const fits = (line: string): Effect.Effect<boolean> =>
    Effect.map(terminal.columns, (columns) => line.replace(escapes, "").length < columns)

  return {
    isTerminal,
    /** Above the line that is open. */
    print: (line: string): Effect.Effect<void> => {
      if (!isTerminal) return Console.log(line)
      return Effect.suspend(() => display(open === undefined ? `${line}\n` : `${clear}${line}\n${open.line}`))
    },
    /** Opens a line, or changes the one that is open under this key. */
    open: (key: string, line: string): Effect.Effect<void> => {
      if (!isTerminal) return Console.log(line)
      return Effect.flatMap(fits(line), (fit) => {
        const before = open === undefined ? "" : open.key === key ? clear : "\n"
        open = fit ? { key, line } : undefined
        return display(`${before}${line}${fit ? "" : "\n"}`)
      })
    },
    /** Changes the line that is open under this key, if it is. */
    change: (key: string, line: string): Effect.Effect<void> =>
      Effect.suspend(() => {
        if (open?.key !== key) return Effect.void
        open = { key, line }
        return display(`${clear}${line}`)
      }),
    close: Effect.suspend(() => {
      if (open === undefined) return Effect.void
      open = undefined
      return display("\n")
    })
  }
})
