"""pipecat (the package `pipecat-ai`): `python pipecat_bench.py <workload> <variant> [--frames N]`."""

import asyncio
import time

from loguru import logger

logger.remove()  # logging off, before the imports below greet: without a sink loguru returns at once

from pipecat.frames.frames import EndFrame, InterruptionFrame, OutputAudioRawFrame, StartFrame, TextFrame
from pipecat.pipeline.parallel_pipeline import ParallelPipeline
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.workers.runner import WorkerRunner

from harness import AUDIO, TEXT, Arrivals, arguments, cpu_ns, cpu_per_frame, idle, one_at_a_time, report


class Pass(FrameProcessor):
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


def inline():
    return Pass(enable_direct_mode=True)


class Slow(FrameProcessor):
    def __init__(self):
        super().__init__()
        self.done = Arrivals()

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TextFrame):
            await asyncio.sleep(0.001)
            self.done.add()
        await self.push_frame(frame, direction)


class Sink(FrameProcessor):
    """In direct mode, so that counting costs no queue."""

    def __init__(self, note=None):
        super().__init__(enable_direct_mode=True)
        self.arrivals = Arrivals()
        self.note = note

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if self.note:
            self.note(frame)
        if isinstance(frame, TextFrame):
            self.arrivals.add()
        await self.push_frame(frame, direction)  # the worker waits for start and end at the pipeline's end


class Session:
    """A pipeline with a PipelineWorker and a runner of its own, bare unless `defaults`.

    A runner tells each of its workers of every other, so that many in one would measure that.
    """

    def __init__(self, processors, note=None, defaults=False):
        self.runner = WorkerRunner(handle_sigint=False)
        self.sink = Sink(note)
        self.arrivals = self.sink.arrivals
        # Off in the bare form: heartbeats, turn tracking, RTVI, the idle observer.
        bare = {"enable_rtvi": False, "enable_turn_tracking": False, "idle_timeout_secs": None}
        self.worker = PipelineWorker(
            Pipeline([*processors, self.sink]),
            params=PipelineParams(enable_heartbeats=False),
            **({} if defaults else bare),
        )
        self.started = asyncio.Event()
        self.worker.add_event_handler("on_pipeline_started", lambda worker, frame: self.started.set())

    async def start(self):
        await self.runner.add_workers(self.worker)
        self.running = asyncio.create_task(self.runner.run())
        await self.started.wait()
        return self

    async def stop(self):
        await self.worker.queue_frame(EndFrame())
        await self.running  # ends with its only worker

    async def direct(self, frame):  # the cheapest way in: past the worker's own queue
        await self.worker.pipeline.queue_frame(frame)


def text():
    return TextFrame(text=TEXT)


async def w1(variant, frames):
    hops = int(variant)
    session = await Session([inline() for _ in range(hops)]).start()
    frames = frames or {1: 16_000, 10: 8_000, 100: 1_300}[hops]
    ns = await cpu_per_frame(session.arrivals, session.direct, text, frames)
    await session.stop()
    return {"nsPerHop": ns / hops}


async def w2(variant, frames):
    size, _, defaults = variant.partition("-")
    hops = int(size)
    session = await Session([Pass() for _ in range(hops)], defaults=defaults == "defaults").start()
    frames = frames or {1: 16_000, 10: 3_000 if defaults else 6_000, 100: 1_000}[hops]
    ns = await cpu_per_frame(session.arrivals, session.worker.queue_frame, text, frames)
    await session.stop()
    return {"nsPerHop": ns / hops}


async def w3(variant, frames):
    kind = inline if variant == "inline" else Pass
    session = await Session([kind() for _ in range(10)]).start()
    push = session.direct if variant == "inline" else session.worker.queue_frame
    values = await one_at_a_time(session.arrivals, push, text, frames or 4_000)
    await session.stop()
    return values


async def w4(variant, frames):
    seen = []
    slow = Slow()
    note = lambda frame: seen.append((time.perf_counter(), frame))
    session = await Session([Pass(), slow, Pass()], note).start()
    for _ in range(frames or 1_000):
        await session.worker.queue_frame(text())
    await slow.done.wait_for(80)
    cut = len(seen)
    start = time.perf_counter()
    await session.worker.queue_frame(InterruptionFrame())
    fresh = TextFrame(text="new")
    await session.worker.queue_frame(fresh)
    # Unlike the others it may drop the new frame too: then there is a timeout to report, not a hang.
    deadline = start + 3
    while not any(frame is fresh for _, frame in seen) and time.perf_counter() < deadline:
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)  # stragglers
    after = seen[cut:]
    await session.stop()
    through = [at - start for at, frame in after if frame is fresh]
    return {
        "newFrameMs": through[0] * 1000 if through else None,
        "stale": sum(isinstance(frame, TextFrame) and frame is not fresh for _, frame in after),
        "copies": sum(isinstance(frame, InterruptionFrame) for _, frame in after),
    }


async def w5(variant, frames):
    async def start(count):
        return await asyncio.gather(*[Session([Pass() for _ in range(10)]).start() for _ in range(count)])

    async def stop(sessions):
        await asyncio.gather(*[session.stop() for session in sessions])

    return await idle(start, stop, frames or 200)


async def w6(variant, frames):
    form, kind = variant.split("-")
    if form != "proto":
        raise SystemExit("pipecat has no JSON serializer for frames")
    serializer = ProtobufFrameSerializer()
    if kind == "text":
        frame = text()
    else:
        frame = OutputAudioRawFrame(audio=AUDIO, sample_rate=16_000, num_channels=1)
    wire = await serializer.serialize(frame)
    back = await serializer.deserialize(wire)
    assert (back.text == frame.text) if kind == "text" else (back.audio == frame.audio)

    async def per_cpu_second(operation, value, count):
        for _ in range(count // 5):
            await operation(value)
        before = cpu_ns()
        for _ in range(count):
            await operation(value)
        return count * 1e9 / (cpu_ns() - before)

    count = frames or 60_000
    return {
        "encPerSec": await per_cpu_second(serializer.serialize, frame, count),
        "decPerSec": await per_cpu_second(serializer.deserialize, wire, count),
    }


async def w7(variant, frames):
    kind = inline if variant == "inline" else Pass
    session = await Session([ParallelPipeline(*[[kind(), kind()] for _ in range(4)])]).start()
    push = session.direct if variant == "inline" else session.worker.queue_frame
    ns = await cpu_per_frame(session.arrivals, push, text, frames or 5_000)
    await session.stop()
    return {"usPerFrame": ns / 1000}


NOTES = {
    "w4": "InterruptionFrame through three queued processors, the middle one slow",
    "w7": "ids seen at the join are kept for ever",
}


async def main():
    args = arguments()
    values = await globals()[args.workload](args.variant, args.frames)
    report("pipecat", args, values, NOTES.get(args.workload))


asyncio.run(main())
