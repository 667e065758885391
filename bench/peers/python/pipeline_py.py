"""pipeline-py (the package `apipeline`): `python pipeline_py.py <workload> <variant> [--frames N]`."""

import asyncio
import base64
import json
import logging
import time

from apipeline.frames import AudioRawFrame, EndFrame, StartFrame, StartInterruptionFrame, TextFrame
from apipeline.pipeline.parallel_pipeline import ParallelPipeline
from apipeline.pipeline.pipeline import Pipeline
from apipeline.pipeline.task import PipelineParams, PipelineTask
from apipeline.processors.async_frame_processor import AsyncFrameProcessor
from apipeline.processors.frame_processor import FrameDirection, FrameProcessor
from apipeline.serializers.protobuf import ProtobufFrameSerializer

from harness import AUDIO, TEXT, Arrivals, arguments, cpu_per_frame, idle, one_at_a_time, per_cpu_second, report

logging.getLogger().setLevel(logging.WARNING)  # logging off: it says every push at level DEBUG

DOWN = FrameDirection.DOWNSTREAM


class Inline(FrameProcessor):
    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)


class Queued(AsyncFrameProcessor):
    def __init__(self):
        super().__init__(use_upstream_task=False)  # one queue and one task a hop, as everyone else has

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if not isinstance(frame, StartInterruptionFrame):  # the base class has forwarded that one
            await self.queue_frame(frame, direction)


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
    def __init__(self, note=None):
        super().__init__()
        self.arrivals = Arrivals()
        self.started = asyncio.Event()
        self.note = note

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if self.note:
            self.note(frame)
        if isinstance(frame, TextFrame):
            self.arrivals.add()
        elif isinstance(frame, StartFrame):
            self.started.set()


class Session:
    """A pipeline that its own PipelineTask runs."""

    def __init__(self, processors, note=None):
        self.sink = Sink(note)
        self.arrivals = self.sink.arrivals
        self.pipeline = Pipeline([*processors, self.sink])
        self.task = PipelineTask(self.pipeline, PipelineParams(allow_interruptions=True))
        self.running = None

    async def start(self):
        loop = asyncio.get_running_loop()
        self.running = loop.create_task(self.task.run(loop))
        await self.sink.started.wait()
        return self

    async def stop(self):
        await self.task.queue_frame(EndFrame())
        await self.running

    async def direct(self, frame):  # the cheapest way in: no queue of the task's before the first processor
        await self.pipeline.process_frame(frame, DOWN)


def text():
    return TextFrame(text=TEXT)


async def w1(variant, frames):
    hops = int(variant)
    session = await Session([Inline() for _ in range(hops)]).start()
    frames = frames or {1: 120_000, 10: 50_000, 100: 7_000}[hops]
    ns = await cpu_per_frame(session.arrivals, session.direct, text, frames)
    await session.stop()
    return {"nsPerHop": ns / hops}


async def w2(variant, frames):
    hops = int(variant)
    session = await Session([Queued() for _ in range(hops)]).start()
    frames = frames or {1: 100_000, 10: 35_000, 100: 4_000}[hops]
    ns = await cpu_per_frame(session.arrivals, session.task.queue_frame, text, frames)
    await session.stop()
    return {"nsPerHop": ns / hops}


async def w3(variant, frames):
    kind = Inline if variant == "inline" else Queued
    session = await Session([kind() for _ in range(10)]).start()
    push = session.direct if variant == "inline" else session.task.queue_frame
    values = await one_at_a_time(session.arrivals, push, text, frames or 10_000)
    await session.stop()
    return values


async def w4(variant, frames):
    seen = []
    slow = Slow()
    session = await Session([Queued(), slow, Queued()], lambda frame: seen.append((time.perf_counter(), frame))).start()
    for _ in range(frames or 1_000):
        await session.task.queue_frame(text())
    await slow.done.wait_for(80)
    cut = len(seen)
    start = time.perf_counter()
    await session.task.queue_frame(StartInterruptionFrame())
    fresh = TextFrame(text="new")
    await session.task.queue_frame(fresh)
    while not any(frame is fresh for _, frame in seen):
        await asyncio.sleep(0)
    await asyncio.sleep(0.2)  # stragglers
    after = seen[cut:]
    await session.stop()
    return {
        "newFrameMs": next(at - start for at, frame in after if frame is fresh) * 1000,
        "stale": sum(isinstance(frame, TextFrame) and frame is not fresh for _, frame in after),
        "copies": sum(isinstance(frame, StartInterruptionFrame) for _, frame in after),
    }


async def w5(variant, frames):
    async def start(count):
        return await asyncio.gather(*[Session([Queued() for _ in range(10)]).start() for _ in range(count)])

    async def stop(sessions):
        await asyncio.gather(*[session.stop() for session in sessions])

    return await idle(start, stop, frames or 500)


async def w6(variant, frames):
    form, kind = variant.split("-")
    frame = text() if kind == "text" else AudioRawFrame(audio=AUDIO)
    if form == "proto":
        serializer = ProtobufFrameSerializer()
        encode, decode = serializer.serialize, serializer.deserialize
    else:
        # It ships no JSON serializer: the shape is pipeline-go's, by the standard library.
        def encode(frame):
            if isinstance(frame, TextFrame):
                return json.dumps({"type": "text", "data": {"Text": frame.text}})
            audio = {
                "Audio": base64.b64encode(frame.audio).decode(),
                "SampleRate": frame.sample_rate,
                "NumChannels": frame.num_channels,
                "SampleWidth": frame.sample_width,
                "NumFrames": frame.num_frames,
            }
            return json.dumps({"type": "audio", "data": audio})

        def decode(line):
            parsed = json.loads(line)
            data = parsed["data"]
            if parsed["type"] == "text":
                return TextFrame(text=data["Text"])
            audio = base64.b64decode(data["Audio"])
            return AudioRawFrame(audio, data["SampleRate"], data["NumChannels"], data["SampleWidth"])

    wire = encode(frame)
    back = decode(wire)
    assert (back.text == frame.text) if kind == "text" else (back.audio == frame.audio)
    count = frames or 100_000
    return {
        "encPerSec": per_cpu_second(lambda: encode(frame), count),
        "decPerSec": per_cpu_second(lambda: decode(wire), count),
    }


async def w7(variant, frames):
    kind = Inline if variant == "inline" else Queued
    session = await Session([ParallelPipeline(*[[kind(), kind()] for _ in range(4)])]).start()
    push = session.direct if variant == "inline" else session.task.queue_frame
    ns = await cpu_per_frame(session.arrivals, push, text, frames or 10_000)
    return {"usPerFrame": ns / 1000}


NOTES = {
    "w4": "StartInterruptionFrame through two queued processors around the slow one",
    "w6": "JSON by the standard library: the package has protobuf only",
    "w7": "ids seen at the join are kept for ever",
}


async def main():
    args = arguments()
    values = await globals()[args.workload](args.variant, args.frames)
    report("pipeline-py", args, values, NOTES.get(args.workload) if args.variant[:5] != "proto" else None)


asyncio.run(main())
