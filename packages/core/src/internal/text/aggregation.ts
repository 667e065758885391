import * as Frame from "../../Frame.ts"
import * as Processor from "../../Processor.ts"

/** Puts out a piece of text; `from` is the frame with which it begins, `whole` says that it is all of that frame. */
export type Out = (text: string, from: Frame.TextFrame, whole?: boolean) => void

/** What one task needs of an aggregator of text. */
export interface Aggregation {
  readonly take: (frame: Frame.TextFrame, out: Out) => void
  readonly flush: (out: Out) => void
  readonly reset: () => void
}

/** The processor around an aggregator of text: when it flushes, and when it forgets. */
export const processor = (
  name: string,
  flushOn: ReadonlyArray<Frame.AnyClass> | undefined,
  make: () => Aggregation
): Processor.Processor =>
  Processor.sync(name, () => {
    const aggregation = make()
    const out = (push: Processor.Push): Out => (text, from, whole) =>
      push(whole === true ? from : Frame.TextFrame.make({ text, pts: from.pts, metadata: from.metadata }))
    const flush = (frame: Frame.Frame, push: Processor.Push): void => {
      aggregation.flush(out(push))
      push(frame)
    }
    return {
      ...Object.fromEntries((flushOn ?? []).map(({ tag }) => [tag, flush])),
      TextFrame: (frame, push) => aggregation.take(frame, out(push)),
      onInterruption: () => aggregation.reset(),
      onEnd: (_, push) => aggregation.flush(out(push))
    }
  })
