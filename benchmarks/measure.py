"""Run steps in processes of their own and read what they cost, in turn, so that a busy machine hits all alike."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

RSS_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in one unit of ru_maxrss: it is counted in bytes on macOS and in kilobytes elsewhere."""


@dataclass(frozen=True)
class Reading:
    """What a step cost: CPU and wall seconds, peak memory, CPU seconds of named parts, and what it has to tell."""

    cpu: float
    wall: float
    peak_mb: float
    parts: Mapping[str, float] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Meter:
    """Adds up the CPU seconds of named parts, and of everything while it runs."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = defaultdict(float)
        self.cpu = self.wall = 0.0

    @contextmanager
    def running(self, part: str | None = None) -> Iterator[None]:
        cpu, wall = cpu_seconds(), time.monotonic()
        yield
        if part is None:
            self.cpu, self.wall = cpu_seconds() - cpu, time.monotonic() - wall
        else:
            self.parts[part] += cpu_seconds() - cpu

    def reading(self, **facts: object) -> Reading:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * RSS_UNIT / 1e6
        return Reading(self.cpu, self.wall, peak, dict(self.parts), facts)


def cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def run_step(step: str, /, **arguments: object) -> Reading:
    """Run a function of `benchmarks.steps` in a new interpreter; loading libraries is not part of what it measures."""
    return run_in(sys.executable, "benchmarks.steps", step, arguments)


def run_in(
    python: Path | str,
    module: str,
    step: str,
    arguments: Mapping[str, object],
    environ: Mapping[str, str] | None = None,
) -> Reading:
    """Run a step of a module with an interpreter, and read what it prints last.

    The caller must stay small: a child's peak memory starts at that of the process that forked it.
    """
    command = [str(python), "-m", module, step, json.dumps(arguments, default=str)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=os.environ | dict(environ or {}))
    return Reading(**json.loads(done.stdout.splitlines()[-1]))


def run_command(*command: str) -> Reading:
    """Run a whole command, start of the interpreter included."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Reading(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss * RSS_UNIT / 1e6)


def in_turn(cases: Mapping[str, Callable[[], Reading]], rounds: int) -> dict[str, Reading]:
    """Run all cases round by round; return the median of each."""
    readings: dict[str, list[Reading]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, run in cases.items():
            readings[name].append(run())
    return {name: middle(found) for name, found in readings.items()}


def middle(readings: Sequence[Reading]) -> Reading:
    """Take the median of each figure on its own; facts are those of the last reading."""
    return Reading(
        cpu=median(reading.cpu for reading in readings),
        wall=median(reading.wall for reading in readings),
        peak_mb=median(reading.peak_mb for reading in readings),
        parts={part: median(reading.parts[part] for reading in readings) for part in readings[-1].parts},
        facts=readings[-1].facts,
    )
