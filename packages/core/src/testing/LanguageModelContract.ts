/**
 * What a language model has to do so that `Llm` can talk with it: the checks for any `LanguageModel` layer.
 *
 * @since 0.1.0
 */
import * as AiError from "effect/ai/AiError"
import * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import type * as Toolkit from "effect/ai/Toolkit"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Check } from "./Contract.ts"
import { drive, expect, expectThat, pass, until } from "./Contract.ts"
import { leaks } from "./index.ts"

/**
 * What a check is about to ask for: `text` is answered with words, `tool` with a call of the subject's tool and then,
 * with its result, with words, `slow` with words that take their time, `failure` with an error. `requests`: how many.
 *
 * @category models
 * @since 0.1.0
 */
export interface Scenario {
  readonly what: "text" | "tool" | "slow" | "failure"
  readonly requests: number
}

/**
 * A language model under test, and what it can do.
 *
 * @category models
 * @since 0.1.0
 */
export interface Subject {
  /** The model, ready for a scenario. One that always does the same need not look at it. */
  readonly open: (
    scenario: Scenario
  ) => Effect.Effect<Layer.Layer<LanguageModel.LanguageModel, unknown>, unknown, Scope.Scope>
  /** What is answered with words. Default: `Hello.` */
  readonly text?: string | undefined
  /** What makes it call a tool, and what the tool gives. Default: it calls none. */
  readonly tool?: {
    readonly text: string
    readonly toolkit: Toolkit.Toolkit<any>
    readonly name: string
    /** Encoded. Default: any. */
    readonly params?: unknown
    /** Encoded. */
    readonly result: unknown
    /** What the answer says then. Default: anything. */
    readonly answer?: string | undefined
  } | undefined
  /** What is answered slowly: it can be interrupted after the first words. Default: nothing. */
  readonly slow?: string | undefined
  /** Whether the provider has noticed that the slow request was cut. Default: it cannot tell. */
  readonly noticed?: (() => boolean) | undefined
  /** What a `failure` is. Default: there is none. */
  readonly failure?: { readonly text: string; readonly isRetryable: boolean } | undefined
  /** Whether it counts tokens. Default: false. */
  readonly countsTokens?: boolean | undefined
}

type Part = Response.StreamPart<any, "deferred">

const check = (
  name: string,
  applies: (subject: Subject) => boolean,
  run: (subject: Subject) => Effect.Effect<void, unknown, Scope.Scope>
): Check<Subject> => ({ name, applies, run })

const always = (): boolean => true

const greeting = ({ text = "Hello." }: Subject): string => text

/** What `Llm` asks for. */
const stream = (
  model: LanguageModel.LanguageModel,
  prompt: Prompt.RawInput,
  toolkit?: Toolkit.Toolkit<any>
): Stream.Stream<Part, unknown> =>
  (toolkit === undefined
    ? model.streamText({ prompt })
    : model.streamText({
      prompt,
      // its handlers are not called
      toolkit: Effect.provideContext(toolkit, handlersOf(toolkit)) as any,
      disableToolCallResolution: true,
      toolCallValidation: "deferred"
    })) as Stream.Stream<any, unknown>

const handlersOf = (toolkit: Toolkit.Toolkit<any>) =>
  Effect.runSync(toolkit.toHandlers(
    Object.fromEntries(
      Object.keys(toolkit.tools).map((name) => [name, () => Effect.die("a handler was called")])
    ) as any
  ))

const withModel = (
  subject: Subject,
  scenario: Scenario,
  f: (model: LanguageModel.LanguageModel) => Effect.Effect<void, unknown, Scope.Scope>
): Effect.Effect<void, unknown, Scope.Scope> =>
  Effect.flatMap(
    subject.open(scenario),
    (layer) => Effect.provide(Effect.flatMap(Effect.service(LanguageModel.LanguageModel), f), layer)
  )

const collect = (parts: Stream.Stream<Part, unknown>) => drive("the end of the answer", Stream.runCollect(parts))

const saidIn = (parts: ReadonlyArray<Part>): string =>
  parts.map((part) => part.type === "text-delta" ? part.delta : "").join("")

/** Texts that are begun, said and ended in order, and one `finish` as the last part. */
const expectWellFormed = (parts: ReadonlyArray<Part>) =>
  Effect.gen(function*() {
    const open = new Set<string>()
    for (const part of parts) {
      if (part.type === "text-start") open.add(part.id)
      else if (part.type === "text-delta") yield* expect(`text ${part.id} has begun`, open.has(part.id), true)
      else if (part.type === "text-end") yield* expect(`text ${part.id} has begun`, open.delete(part.id), true)
      else if (part.type === "error") yield* expect("error parts", part.error, "none")
    }
    yield* expect("texts that have not ended", Array.from(open), [])
    yield* expect("finish parts", parts.filter(({ type }) => type === "finish").length, 1)
    yield* expect("the last part", parts.at(-1)?.type, "finish")
  })

const streams = check(
  "an answer comes in pieces and is finished",
  always,
  (subject) =>
    withModel(subject, { what: "text", requests: 1 }, (model) =>
      Effect.gen(function*() {
        const parts = yield* collect(stream(model, greeting(subject)))
        yield* expectWellFormed(parts)
        yield* expectThat("the answer", saidIn(parts).trim() !== "", saidIn(parts), "words")
        const finish = parts.at(-1)!
        yield* expect("the reason", finish.type === "finish" && finish.reason, "stop")
      }))
)

const wholes = check(
  "an answer can be had as a whole",
  always,
  (subject) =>
    withModel(subject, { what: "text", requests: 1 }, (model) =>
      Effect.gen(function*() {
        const answer = yield* drive("the answer", model.generateText({ prompt: greeting(subject) }))
        yield* expectThat("the answer", answer.text.trim() !== "", answer.text, "words")
        yield* expect("the reason", answer.finishReason, "stop")
      }))
)

const counts = check(
  "tokens are counted",
  ({ countsTokens = false }) => countsTokens,
  (subject) =>
    withModel(subject, { what: "text", requests: 1 }, (model) =>
      Effect.gen(function*() {
        const finish = (yield* collect(stream(model, greeting(subject)))).at(-1)!
        if (finish.type !== "finish") return yield* expect("the last part", finish.type, "finish")
        const { inputTokens, outputTokens } = finish.usage
        yield* expectThat("tokens in", (inputTokens.total ?? 0) > 0, inputTokens.total, "more than 0")
        yield* expectThat("tokens out", (outputTokens.total ?? 0) > 0, outputTokens.total, "more than 0")
      }))
)

const again = check(
  "the same request can be made again",
  always,
  (subject) =>
    withModel(subject, { what: "text", requests: 2 }, (model) =>
      Effect.gen(function*() {
        const request = stream(model, greeting(subject))
        for (let i = 0; i < 2; i++) {
          const parts = yield* collect(request)
          yield* expectWellFormed(parts)
          yield* expectThat("the answer", saidIn(parts).trim() !== "", saidIn(parts), "words")
        }
      }))
)

const together = check(
  "requests at the same time do not disturb each other",
  always,
  (subject) =>
    withModel(subject, { what: "text", requests: 3 }, (model) =>
      Effect.gen(function*() {
        const answers = yield* drive(
          "three answers",
          Effect.all([1, 2, 3].map(() => Stream.runCollect(stream(model, greeting(subject)))), {
            concurrency: "unbounded"
          })
        )
        for (const parts of answers) yield* expectWellFormed(parts)
      }))
)

const history = check(
  "a conversation is understood: instructions, two messages of the user in a row, an answer that was cut",
  always,
  (subject) =>
    withModel(subject, { what: "text", requests: 1 }, (model) =>
      Effect.gen(function*() {
        const parts = yield* collect(stream(model, [
          { role: "system", content: "You are brief." },
          { role: "user", content: "Good morning." },
          { role: "user", content: "Are you there?" },
          { role: "assistant", content: "Yes, I" },
          { role: "user", content: greeting(subject) }
        ]))
        yield* expectWellFormed(parts)
        yield* expectThat("the answer", saidIn(parts).trim() !== "", saidIn(parts), "words")
      }))
)

const calls = check(
  "a tool is called, and its result is answered",
  ({ tool }) => tool !== undefined,
  (subject) =>
    withModel(subject, { what: "tool", requests: 2 }, (model) =>
      Effect.gen(function*() {
        const tool = subject.tool!
        const asked = { role: "user", content: tool.text } as const
        const parts = yield* collect(stream(model, [asked], tool.toolkit))
        yield* expectWellFormed(parts)
        const [call, ...more] = parts.filter((part) => part.type === "tool-call")
        yield* expect("calls", more.length + (call === undefined ? 0 : 1), 1)
        yield* expect("the tool", call!.name, tool.name)
        yield* expectThat("the id of the call", call!.id !== "", call!.id, "some characters")
        if (tool.params !== undefined) yield* expect("the parameters", call!.params, tool.params)
        const finish = parts.at(-1)!
        yield* expect("the reason", finish.type === "finish" && finish.reason, "tool-calls")
        const { id, name, params } = call!
        const result = { type: "tool-result", id, name, isFailure: false, result: tool.result } as const
        const answer = yield* collect(stream(model, [
          asked,
          { role: "assistant", content: [{ type: "tool-call", id, name, params }] },
          { role: "tool", content: [result] }
        ], tool.toolkit))
        yield* expectWellFormed(answer)
        yield* expect("calls in the answer", answer.filter(({ type }) => type === "tool-call").length, 0)
        const said = saidIn(answer)
        yield* expectThat("the answer", said.trim() !== "", said, "words")
        if (tool.answer === undefined) return
        yield* expectThat("the answer", said.includes(tool.answer), said, `something with ${tool.answer}`)
      }))
)

const ids = check(
  "no two calls have the same id",
  ({ tool }) => tool !== undefined,
  (subject) =>
    withModel(
      subject,
      { what: "tool", requests: 1 },
      (first) =>
        withModel(subject, { what: "tool", requests: 1 }, (second) =>
          Effect.gen(function*() {
            const { text, toolkit } = subject.tool!
            const found: Array<string> = []
            for (const model of [first, second]) {
              const parts = yield* collect(stream(model, text, toolkit))
              for (const part of parts) if (part.type === "tool-call") found.push(part.id)
            }
            yield* expect("different ids", new Set(found).size, 2)
          }))
    )
)

const interruption = check(
  "an interruption ends the request, and leaves nothing behind",
  ({ slow }) => slow !== undefined,
  (subject) =>
    withModel(subject, { what: "slow", requests: 1 }, (model) =>
      Effect.gen(function*() {
        const [, alive] = yield* leaks(Effect.scoped(Effect.gen(function*() {
          let said = 0
          const fiber = yield* stream(model, subject.slow!).pipe(
            Stream.runForEach((part) =>
              Effect.sync(() => {
                if (part.type === "text-delta") said++
              })
            ),
            Effect.forkScoped({ startImmediately: true })
          )
          yield* until("the first words", () => said > 0)
          yield* expect("the answer is complete", fiber.pollUnsafe() !== undefined, false)
          yield* drive("the end of the request", Fiber.interrupt(fiber))
          const before = said
          yield* pass("200 millis")
          yield* expect("words after the interruption", said - before, 0)
          if (subject.noticed !== undefined) yield* until("the provider's notice", subject.noticed)
        })))
        yield* expect("fibers that are left", alive, 0)
      }))
)

const failures = check(
  "a failure is an AiError that says whether it is worth another try",
  ({ failure }) => failure !== undefined,
  (subject) =>
    withModel(subject, { what: "failure", requests: 1 }, (model) =>
      Effect.gen(function*() {
        const { isRetryable, text } = subject.failure!
        const exit = yield* drive("the failure", Effect.exit(Effect.flip(Stream.runDrain(stream(model, text)))))
        if (!Exit.isSuccess(exit)) return yield* expect("the request", String(exit), "a failure")
        const error = exit.value
        if (!AiError.isAiError(error)) return yield* expect("the failure", String(error), "an AiError")
        yield* expect("isRetryable", error.isRetryable, isRetryable)
      }))
)

/**
 * Everything that a language model has to do. Run each check that applies as a test of its own.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import * as LanguageModelContract from "@apipeline/core/testing/LanguageModelContract"
 *
 * const conforms = (subject: LanguageModelContract.Subject) =>
 *   Effect.forEach(
 *     LanguageModelContract.checks.filter((check) => check.applies(subject)),
 *     (check) => Effect.scoped(check.run(subject))
 *   )
 * ```
 *
 * @category contracts
 * @since 0.1.0
 */
export const checks: ReadonlyArray<Check<Subject>> = [
  streams,
  wholes,
  counts,
  again,
  together,
  history,
  calls,
  ids,
  interruption,
  failures
]
