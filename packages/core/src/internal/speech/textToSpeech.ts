/** Synthesisers made of synthesisers. */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as Resampler from "../../Resampler.ts"
import type { Options, Part, Service, Switched, TextToSpeechError } from "../../TextToSpeech.ts"

/** What has been given of a text. */
interface Progress {
  readonly milliseconds: number
  readonly words: number
}

const toRate = (parts: Stream.Stream<Part, TextToSpeechError>, from: number, to: number) =>
  from === to ? parts : Stream.suspend(() => {
    const resampler = Result.getOrThrow(Resampler.make({ from, to }))
    const convert = (part: Part): Part =>
      part._tag === "Word" ? part : { _tag: "Audio", samples: resampler.pushInt16(part.samples) }
    return Stream.concat(
      Stream.map(parts, convert),
      Stream.suspend(() => Stream.succeed<Part>({ _tag: "Audio", samples: resampler.flushInt16() }))
    )
  })

/**
 * Another voice goes on: with the word that was cut, where it knows its words; otherwise it says the text once more. Its
 * times are those of what is heard.
 */
const goOn = (
  parts: Stream.Stream<Part, TextToSpeechError>,
  sampleRate: number,
  { milliseconds, words }: Progress
): Stream.Stream<Part, TextToSpeechError> =>
  milliseconds === 0 && words === 0 ? parts : Stream.suspend(() => {
    let seen = 0
    /** Samples that have come. */
    let position = 0
    /** Where it goes on; unknown until the word has come. */
    let from: number | undefined
    return Stream.flattenIterable(Stream.map(parts, (part): ReadonlyArray<Part> => {
      if (part._tag === "Word") {
        seen++
        if (seen === words) from = part.start
        return seen <= words ? [] : [{ ...part, start: milliseconds + part.start - (from ?? 0) }]
      }
      const at = position
      position += part.samples.length
      // it does not tell of words, or no word was told of
      if (seen === 0 || words === 0) from ??= 0
      if (from === undefined) return []
      const skipped = Math.max(0, Math.round(from * sampleRate / 1000) - at)
      return skipped >= part.samples.length ? [] : [{ _tag: "Audio", samples: part.samples.subarray(skipped) }]
    }))
  })

export const failoverOf = (
  services: readonly [Service, ...ReadonlyArray<Service>],
  onSwitched: ((event: Switched) => Effect.Effect<void>) | undefined
): Service => {
  const [{ model, name, sampleRate, voices }] = services
  let active = 0
  const known = new Set(services.flatMap(({ voices }) => voices))
  // a voice that nobody has is left to the service to refuse
  const given = ({ voices }: Service, { voice, ...rest }: Options): Options =>
    voice !== undefined && (voices.includes(voice) || !known.has(voice)) ? { ...rest, voice } : rest

  const attempt = (
    text: string,
    options: Options,
    progress: Progress,
    tried: number
  ): Stream.Stream<Part, TextToSpeechError> =>
    Stream.suspend(() => {
      const at = active
      const service = services[at]!
      let { milliseconds, words } = progress
      return goOn(
        toRate(service.synthesize(text, given(service, options)), service.sampleRate, sampleRate),
        sampleRate,
        progress
      ).pipe(
        Stream.mapArray((parts) => {
          for (const part of parts) {
            if (part._tag === "Word") words++
            else milliseconds += part.samples.length * 1000 / sampleRate
          }
          return parts
        }),
        Stream.catch((error) => {
          if (tried + 1 >= services.length) return Stream.fail(error)
          // another text may have switched meanwhile
          if (active === at) active = (at + 1) % services.length
          const event = { from: service.name, to: services[active]!.name, error }
          return Stream.unwrap(
            Effect.as(onSwitched?.(event) ?? Effect.void, attempt(text, options, { milliseconds, words }, tried + 1))
          )
        })
      )
    })

  return {
    name,
    model,
    sampleRate,
    voices,
    synthesize: (text, options = {}) => attempt(text, options, { milliseconds: 0, words: 0 }, 0)
  }
}
