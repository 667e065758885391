/** Texts as streams of words: the one next to this example, a file, or what comes in on standard input. */
import { Data, Effect, FileSystem, Option, Path, Stdio, Stream } from "effect"
import { CliError } from "effect/cli"

export interface Document {
  readonly title: string
  readonly words: Stream.Stream<string, Unreadable>
  /** The number of words, where it can be known beforehand. */
  readonly length: number | undefined
}

export class Unreadable extends Data.TaggedError("Unreadable")<{ readonly what: string; readonly why: string }> {
  override get message(): string {
    return `cannot read ${this.what}: ${this.why}`
  }
  override get [CliError.userMessage](): string {
    return this.message
  }
}

const reasons: Record<string, string> = {
  NotFound: "no such file",
  PermissionDenied: "permission denied",
  BadResource: "it is no file"
}

const unreadable =
  (what: string) => (error: { readonly reason: { readonly _tag: string }; readonly message: string }) =>
    new Unreadable({ what, why: reasons[error.reason._tag] ?? error.message })

/** Cuts text into words, however it was cut before. White space stays with the words: nothing is lost. */
export const words = <E, R>(text: Stream.Stream<string, E, R>): Stream.Stream<string, E, R> =>
  Stream.mapAccum(text, () => "", (rest, chunk) => {
    const all = rest + chunk
    const complete: Array<string> = all.match(/\s*\S+\s+/g) ?? []
    return [all.slice(complete.join("").length), complete]
  }, { onHalt: (rest) => rest.trim() === "" ? [] : [rest] })

/** How many words there are in a text. */
export const count = (text: string): number => text.match(/\S+/g)?.length ?? 0

export const open = (file: Option.Option<string>): Effect.Effect<
  Document,
  Unreadable,
  FileSystem.FileSystem | Path.Path | Stdio.Stdio
> =>
  Effect.gen(function*() {
    const name = Option.getOrUndefined(file)
    if (name === "-") {
      const { stdin } = yield* Stdio.Stdio
      const text = stdin.pipe(Stream.decodeText(), Stream.mapError(unreadable("standard input")))
      return { title: "standard input", words: words(text), length: undefined }
    }
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const alice = path.join(import.meta.dirname, "..", "data", "alice.txt")
    const text = yield* Effect.mapError(fs.readFileString(name ?? alice), unreadable(name ?? alice))
    const title = name ?? "Lewis Carroll, Alice's Adventures in Wonderland, chapters I and II"
    return { title, words: words(Stream.make(text)), length: count(text) }
  })
