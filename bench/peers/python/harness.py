"""What both Python peers share: arguments, clocks, memory, the one JSON line on stdout."""

import argparse
import asyncio
import gc
import json
import os
import resource
import sys
import time
from statistics import quantiles

TEXT = "twenty characters..."  # 20 characters, as in W6
AUDIO = bytes(range(256)) * 2 + bytes(128)  # 640 bytes: 20 ms of 16 kHz 16-bit mono
CHUNK = 256  # frames in flight: the queues are unbounded, so an unlimited producer would measure memory growth


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("workload")
    parser.add_argument("variant")
    parser.add_argument("--frames", type=int)
    return parser.parse_args()


def report(system, args, values, notes=None):
    line = {"system": system, "workload": args.workload, "variant": args.variant, "values": values}
    if notes:
        line["notes"] = notes
    print(json.dumps(line), flush=True)


def cpu_ns():
    """User and system time of this process, all threads."""
    return time.process_time_ns()


def rss_kib():
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1024
    except OSError:  # not Linux: the peak is all there is (bytes on macOS)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 1024 if sys.platform == "darwin" else peak


def collect():
    for _ in range(3):
        gc.collect()


def latency(samples_ns):
    cuts = quantiles(samples_ns, n=100, method="inclusive")
    return {"p50us": cuts[49] / 1000, "p99us": cuts[98] / 1000}


class Arrivals:
    """Counts frames at the end of a pipeline and wakes whoever waits for the n-th."""

    def __init__(self):
        self.count = 0
        self.at_ns = 0  # when the expected one came: the waiter's own wake-up is no part of a latency
        self._target = 0
        self._event = asyncio.Event()

    def add(self):
        self.count += 1
        if self.count == self._target:
            self.at_ns = time.perf_counter_ns()
            self._event.set()

    def expect(self, target):
        self._target = target
        self._event.clear()

    async def wait_for(self, target):
        self.expect(target)
        if self.count < target:
            await self._event.wait()

    async def expected(self):
        await self._event.wait()


async def saturate(arrivals, push, make, frames):
    """Pushes fresh frames a chunk at a time; every hop has work queued while a chunk passes."""
    goal = arrivals.count
    while frames > 0:
        size = min(CHUNK, frames)
        for _ in range(size):
            await push(make())
        goal += size
        await arrivals.wait_for(goal)
        frames -= size


async def cpu_per_frame(arrivals, push, make, frames):
    await saturate(arrivals, push, make, max(CHUNK, frames // 5))  # warm-up
    before = cpu_ns()
    await saturate(arrivals, push, make, frames)
    return (cpu_ns() - before) / frames


async def one_at_a_time(arrivals, push, make, frames):
    samples = []
    for index in range(frames + frames // 5):
        arrivals.expect(arrivals.count + 1)
        frame = make()
        start = time.perf_counter_ns()
        await push(frame)
        await arrivals.expected()
        if index >= frames // 5:  # the first ones are warm-up
            samples.append(arrivals.at_ns - start)
    return latency(samples)


def per_cpu_second(operation, count):
    for _ in range(count // 5):
        operation()
    before = cpu_ns()
    for _ in range(count):
        operation()
    return count * 1e9 / (cpu_ns() - before)


async def idle(start, stop, count):
    """W5. `start` and `stop` take a number of pipelines; the first few are warm-up (imports, caches)."""
    await stop(await start(10))
    collect()
    tasks, rss, cpu = len(asyncio.all_tasks()), rss_kib(), cpu_ns()
    running = await start(count)
    start_us = (cpu_ns() - cpu) / 1000 / count
    collect()
    memory, alive = (rss_kib() - rss) / count, (len(asyncio.all_tasks()) - tasks) / count
    cpu = cpu_ns()
    await stop(running)
    stop_us = (cpu_ns() - cpu) / 1000 / count
    del running
    collect()
    # Python rarely gives freed memory back, so what is left is what a second round needs on top of the first.
    rss = rss_kib()
    await stop(await start(count))
    collect()
    left = max(0.0, (rss_kib() - rss) / count)
    return {
        "rssKiB": memory,
        "tasks": alive,
        "startUs": start_us,
        "stopUs": stop_us,
        "left": left,
        "leftTasks": (len(asyncio.all_tasks()) - tasks) / count,
    }
