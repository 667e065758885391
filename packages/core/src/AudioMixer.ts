/**
 * A background sound (an office, hold music) under the voice of the bot.
 *
 * An output that plays in real time asks a {@link Mixer} for every chunk that it sends, also while the bot is silent.
 * {@link processor} mixes into the audio that passes, where there is no such output.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Frame from "./Frame.ts"
import { isAlike } from "./internal/audio/monoAudio.ts"
import * as Processor from "./Processor.ts"
import * as Resampler from "./Resampler.ts"

// ---------------------------------------------------------------------------------------------------------------------
// frames and errors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * Changes the background: what it leaves out stays as it is.
 *
 * @example
 * ```ts
 * import { AudioMixer } from "@apipeline/core"
 *
 * AudioMixer.AudioMixerFrame.make({ sound: "office", volume: 0.2 })
 * AudioMixer.AudioMixerFrame.make({ enabled: false }).kind // => "control"
 * ```
 *
 * Source: `MixerEnableFrame` and `MixerUpdateSettingsFrame` of pipecat.
 *
 * @category frames
 * @since 0.1.0
 */
export class AudioMixerFrame extends Frame.App<AudioMixerFrame>()("AudioMixerFrame", {
  enabled: Schema.optionalKey(Schema.Boolean),
  sound: Schema.optionalKey(Schema.String),
  volume: Schema.optionalKey(Schema.Finite),
  loop: Schema.optionalKey(Schema.Boolean)
}, { kind: "control", uninterruptible: true }) {}

/**
 * A setting that cannot work: names the field, what was found there and what was expected.
 *
 * @example
 * ```ts
 * import { AudioMixer } from "@apipeline/core"
 *
 * const error = new AudioMixer.AudioMixerError({ field: "volume", found: "-1", expected: "a number from 0 to 10" })
 * error.message // => "volume: found -1, expected a number from 0 to 10"
 * ```
 *
 * @category errors
 * @since 0.1.0
 */
export class AudioMixerError extends Schema.TaggedError<AudioMixerError>()("AudioMixerError", {
  field: Schema.String,
  found: Schema.String,
  expected: Schema.String
}) {
  override get message(): string {
    return `${this.field}: found ${this.found}, expected ${this.expected}`
  }
}

// ---------------------------------------------------------------------------------------------------------------------
// models
// ---------------------------------------------------------------------------------------------------------------------

/**
 * What can change while a mixer runs.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly enabled: boolean
  /** Which of the sounds. */
  readonly sound: string
  /** A factor, from 0 to 10; 1 is as loud as the sound is. */
  readonly volume: number
  /** Whether it begins anew when it is over, or is silent. */
  readonly loop: boolean
}

/**
 * The background of one output.
 *
 * @category models
 * @since 0.1.0
 */
export interface Mixer {
  /**
   * Mixes the next piece of the background into a chunk of 16-bit PCM: as many bytes come out as went in, saturated.
   * Chunks of any length may follow each other. While there is no background, the chunk itself comes back.
   */
  readonly mix: (audio: Uint8Array) => Uint8Array
  /** The next piece of the background alone, for times when there is nothing to mix it into. */
  readonly background: (length: number) => Uint8Array
  /** Whether there is anything to hear, or about to be. */
  readonly isAudible: () => boolean
  /** Volume and `enabled` change within 10 ms, without a click; another sound begins at its beginning. */
  readonly update: (changes: { readonly [K in keyof Settings]?: Settings[K] | undefined }) => Result.Result<
    void,
    AudioMixerError
  >
}

/**
 * Makes mixers, one for each output.
 *
 * @category models
 * @since 0.1.0
 */
export interface Service {
  /** For audio of this format; released with the scope. */
  readonly make: (format: {
    /** Hz. */
    readonly sampleRate: number
    readonly numChannels: number
  }) => Effect.Effect<Mixer, AudioMixerError, Scope.Scope>
}

/**
 * The service that makes mixers. An output that finds none plays the bot alone.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { AudioMixer } from "@apipeline/core"
 *
 * const hum = { samples: new Int16Array(8000).fill(100), sampleRate: 8000 }
 * const program = Effect.gen(function*() {
 *   const service = yield* AudioMixer.AudioMixer
 *   const mixer = yield* service.make({ sampleRate: 8000, numChannels: 1 })
 *   return mixer.background(320).length
 * }).pipe(Effect.scoped, Effect.provide(AudioMixer.layer({ sounds: { hum }, sound: "hum" })))
 *
 * await Effect.runPromise(program) // => 320
 * ```
 *
 * @category services
 * @since 0.1.0
 */
export class AudioMixer extends Context.Service<AudioMixer, Service>()("@apipeline/core/AudioMixer") {}

// ---------------------------------------------------------------------------------------------------------------------
// constructors
// ---------------------------------------------------------------------------------------------------------------------

/**
 * A sound of one channel; `Wav.decode` gives one, `Pcm.toMono` makes it one channel.
 *
 * @category models
 * @since 0.1.0
 */
export interface Sound {
  readonly samples: Int16Array
  /** Hz. It is resampled once for each rate that is asked for; that of the outputs costs nothing. */
  readonly sampleRate: number
}

/**
 * Options of {@link make} and {@link layer}.
 *
 * @category models
 * @since 0.1.0
 */
export interface Options {
  readonly sounds: Readonly<Record<string, Sound>>
  /** The one to begin with. */
  readonly sound: string
  /** Default: 0.4. */
  readonly volume?: number | undefined
  /** Default: true. */
  readonly loop?: boolean | undefined
  /** Default: true. */
  readonly enabled?: boolean | undefined
}

const maxVolume = 10
/** Seconds that the volume takes from 0 to 1. */
const fade = 0.01

const invalid = (field: string, found: unknown, expected: string): AudioMixerError =>
  new AudioMixerError({ field, found: typeof found === "string" ? JSON.stringify(found) : String(found), expected })

const makeMixer = (
  sampleRate: number,
  numChannels: number,
  initial: Settings,
  load: (sound: string) => Result.Result<Int16Array, AudioMixerError>
): Result.Result<Mixer, AudioMixerError> =>
  Result.map(load(initial.sound), (first) => {
    let settings = initial
    let samples = first
    let at = 0
    let over = samples.length === 0
    let volume = initial.enabled ? initial.volume : 0
    const step = 1 / (fade * sampleRate)

    const isAudible = (): boolean => !over && (volume > 0 || (settings.enabled && settings.volume > 0))

    const mix = (audio: Uint8Array): Uint8Array => {
      if (!isAudible()) return audio
      const target = settings.enabled ? settings.volume : 0
      const mixed = audio.slice()
      const unit = 2 * numChannels
      for (let i = 0; i + unit <= mixed.length && !over; i += unit) {
        volume = volume < target ? Math.min(target, volume + step) : Math.max(target, volume - step)
        const background = samples[at]! * volume
        for (let j = i; j < i + unit; j += 2) {
          const sample = (mixed[j]! | mixed[j + 1]! << 8) << 16 >> 16
          const sum = Math.max(-32768, Math.min(32767, Math.round(sample + background)))
          mixed[j] = sum
          mixed[j + 1] = sum >> 8
        }
        // it stands still while nobody hears it
        if (volume === 0 && target === 0) break
        if (++at < samples.length) continue
        at = 0
        over = !settings.loop
      }
      return mixed
    }

    return {
      mix,
      background: (length) => mix(new Uint8Array(length)),
      isAudible,
      update: (changes) => {
        const next = { ...settings }
        if (changes.volume !== undefined) {
          if (!(changes.volume >= 0 && changes.volume <= maxVolume)) {
            return Result.fail(invalid("volume", changes.volume, `a number from 0 to ${maxVolume}`))
          }
          next.volume = changes.volume
        }
        if (changes.sound !== undefined) {
          const loaded = load(changes.sound)
          if (Result.isFailure(loaded)) return Result.fail(loaded.failure)
          next.sound = changes.sound
          samples = loaded.success
          at = 0
          over = samples.length === 0
        }
        next.enabled = changes.enabled ?? next.enabled
        next.loop = changes.loop ?? next.loop
        if (changes.loop === true) over = samples.length === 0
        settings = next
        return Result.void
      }
    }
  })

/**
 * Makes the service from sounds in memory. Throws a `TypeError` when the options cannot work.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { AudioMixer } from "@apipeline/core"
 *
 * const hum = { samples: new Int16Array(8000).fill(100), sampleRate: 8000 }
 * const service = AudioMixer.make({ sounds: { hum }, sound: "hum", volume: 0.5 })
 * const mixer = Effect.runSync(Effect.scoped(service.make({ sampleRate: 8000, numChannels: 1 })))
 * Array.from(mixer.mix(Uint8Array.of(1, 0, 255, 255))) // => [51, 0, 49, 0]
 * ```
 *
 * Source: `SoundfileMixer` of pipecat.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Service => {
  const { enabled = true, loop = true, sound, sounds, volume = 0.4 } = options
  if (!(volume >= 0 && volume <= maxVolume)) {
    throw new TypeError(`AudioMixer: volume: found ${volume}, expected a number from 0 to ${maxVolume}`)
  }
  if (!Object.hasOwn(sounds, sound)) {
    throw new TypeError(`AudioMixer: sound: found ${JSON.stringify(sound)}, expected one of ${names(sounds)}`)
  }
  const resampled = new Map<string, Int16Array>()
  const load = (sampleRate: number) => (name: string): Result.Result<Int16Array, AudioMixerError> => {
    if (!Object.hasOwn(sounds, name)) return Result.fail(invalid("sound", name, `one of ${names(sounds)}`))
    const key = `${sampleRate} ${name}`
    const found = resampled.get(key)
    if (found !== undefined) return Result.succeed(found)
    const { sampleRate: from, samples } = sounds[name]!
    if (from === sampleRate) return Result.succeed(samples)
    return Result.mapBoth(Resampler.resample(samples, { from, to: sampleRate }), {
      onFailure: ({ expected, field, found }) =>
        new AudioMixerError({ field: field === "from" ? `sounds.${name}.sampleRate` : "sampleRate", found, expected }),
      onSuccess: (samples) => {
        resampled.set(key, samples)
        return samples
      }
    })
  }
  return {
    make: ({ numChannels, sampleRate }) =>
      Effect.suspend(() =>
        Effect.fromResult(makeMixer(sampleRate, numChannels, { enabled, loop, sound, volume }, load(sampleRate)))
      )
  }
}

const names = (sounds: Readonly<Record<string, Sound>>): string =>
  Object.keys(sounds).map((name) => JSON.stringify(name)).join(", ")

/**
 * Mixers with sounds in memory: see {@link make}.
 *
 * @example
 * ```ts
 * import { AudioMixer } from "@apipeline/core"
 *
 * const office = { samples: new Int16Array(16000), sampleRate: 16000 }
 * const music = { samples: new Int16Array(16000), sampleRate: 16000 }
 * const layer = AudioMixer.layer({ sounds: { office, music }, sound: "office", volume: 0.2 })
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<AudioMixer> => Layer.sync(AudioMixer, () => make(options))

/**
 * Makes a processor that mixes the background into the audio that passes it downstream, and takes
 * {@link AudioMixerFrame}s, which go on. There is no background while no audio passes.
 *
 * **Details**
 *
 * A setting that cannot work is reported and changes nothing. Audio that cannot be mixed passes, and that is reported
 * once.
 *
 * @example
 * ```ts
 * import { Effect } from "effect"
 * import { AudioMixer, Pipeline, PipelineTask } from "@apipeline/core"
 *
 * const office = { samples: new Int16Array(16000), sampleRate: 16000 }
 * const task = PipelineTask.make(Pipeline.make(AudioMixer.processor())).pipe(
 *   Effect.provide(AudioMixer.layer({ sounds: { office }, sound: "office" }))
 * )
 * ```
 *
 * @category constructors
 * @since 0.1.0
 */
export const processor = (
  options: {
    /** Default: `AudioMixer`. */
    readonly name?: string | undefined
  } = {}
): Processor.Processor<never, AudioMixer> =>
  Processor.effect(
    options.name ?? "AudioMixer",
    Effect.gen(function*() {
      const service = yield* AudioMixer
      const scope = yield* Effect.scope
      /** What has changed so far: a mixer for another format begins with it. */
      let changes: { readonly [K in keyof Settings]?: Settings[K] | undefined } = {}
      let format: Frame.AudioRawFrame | undefined
      let mixer: Mixer | undefined
      const open = Effect.fnUntraced(function*(frame: Frame.AudioRawFrame) {
        if (frame.sampleWidth !== 2) return yield* Effect.fail(invalid("sampleWidth", frame.sampleWidth, "2"))
        return yield* Scope.provide(service.make(frame), scope)
      })
      const update = (next: typeof changes, report: Processor.ProcessorContext["report"]): Effect.Effect<void> => {
        const result = mixer?.update(next) ?? Result.void
        return Result.isFailure(result) ? report(result.failure) : Effect.void
      }
      const mix = (frame: Frame.AudioRawFrame): Frame.AudioRawFrame => {
        if (mixer === undefined) return frame
        const audio = mixer.mix(frame.audio)
        return audio === frame.audio ? frame : Frame.copy(frame, { audio })
      }
      return {
        AudioRawFrame: (frame: Frame.AudioRawFrame, { push, report }: Processor.ProcessorContext) =>
          Effect.suspend((): Effect.Effect<void> => {
            if (format !== undefined && isAlike(format, frame)) return push(mix(frame))
            format = frame
            mixer = undefined
            return Effect.matchEffect(open(frame), {
              onFailure: (error) => Effect.andThen(report(error), push(frame)),
              onSuccess: (made) => {
                mixer = made
                return Effect.andThen(update(changes, report), Effect.suspend(() => push(mix(frame))))
              }
            })
          }),
        AudioMixerFrame: (frame: AudioMixerFrame, { push, report }: Processor.ProcessorContext) =>
          Effect.suspend((): Effect.Effect<void> => {
            const { enabled, loop, sound, volume } = frame
            const result = mixer?.update({ enabled, loop, sound, volume }) ?? Result.void
            if (Result.isFailure(result)) return Effect.andThen(report(result.failure), push(frame))
            changes = {
              enabled: enabled ?? changes.enabled,
              loop: loop ?? changes.loop,
              sound: sound ?? changes.sound,
              volume: volume ?? changes.volume
            }
            return push(frame)
          })
      }
    }),
    { frames: [AudioMixerFrame] }
  )
