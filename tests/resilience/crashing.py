"""An engine that fails or dies at a step of a run, and processes to die in."""

from __future__ import annotations

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from queue import SimpleQueue
from typing import Any, Literal

import microconv.engines.bigquery
from microconv.engines.base import Change, Engine
from microconv.engines.dialect import to_duckdb
from microconv.errors import MicroconvError
from microconv.queries.templates import Query

STEPS = frozenset({"begin", "version", "ensure", "query", "estimate", "read_shards", "materialise", "apply", "end"})
"""Every method of an engine that reads, writes or locks."""

_SPAWN = multiprocessing.get_context("spawn")


When = Literal["before", "within", "after"]


@dataclass(frozen=True)
class Moment:
    """A moment of a run: before or after its step `number` (from 1), or within it, before its `change` (from 1).

    `step` is the step in words, such as `materialise staging/events` or `apply mc_events`.
    """

    number: int
    when: When = "before"
    change: int = 0
    step: str = field(default="", compare=False)


Strike = Callable[[Moment], None]
"""Told of each moment as it comes; it may raise, or end the process."""


@dataclass(frozen=True)
class DieAt:
    """Dies at a moment as from `kill -9`."""

    fatal: Moment

    def __call__(self, moment: Moment) -> None:
        if moment == self.fatal:
            die()


@dataclass(frozen=True)
class DieIn:
    """Dies as from `kill -9` before or after a step that is told in words, when it comes first."""

    step: str
    when: When = "before"

    def __call__(self, moment: Moment) -> None:
        if (moment.step, moment.when) == (self.step, self.when):
            die()


def die() -> None:
    """End this process as `kill -9` does: nothing is closed, given back or written."""
    os.kill(os.getpid(), signal.SIGKILL)


class CrashingEngine:
    """An engine whose every step can be struck; `steps` are the names and arguments of those that were begun."""

    def __init__(self, engine: Engine, strike: Strike = lambda _: None) -> None:
        self._engine = engine
        self._strike = strike
        self.steps: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._engine, name)
        if name not in STEPS:
            return found

        def step(*arguments: Any) -> Any:
            self.steps.append((name, arguments))
            number, words = len(self.steps), _in_words(name, arguments)
            self._strike(Moment(number, step=words))
            if name == "apply":
                arguments = (
                    _Watched(arguments[0], lambda change: self._strike(Moment(number, "within", change, words))),
                )
            result = found(*arguments)
            self._strike(Moment(number, "after", step=words))
            return result

        return step

    @property
    def queries(self) -> list[Query]:
        """The queries of all steps so far."""
        return [arguments[0] for name, arguments in self.steps if name in ("query", "materialise")]


def _in_words(name: str, arguments: Sequence[Any]) -> str:
    """Tell a step by its method, and by the template or the (first) table that it is about."""
    about = arguments[0][0].table if name == "apply" else arguments[0] if arguments else None
    return f"{name} {getattr(about, 'name', '')}".strip()


class _Watched(list[Change]):
    """Changes that tell, before each but the first, that an engine has come so far."""

    def __init__(self, changes: Iterable[Change], tell: Callable[[int], None]) -> None:
        super().__init__(changes)
        self._tell = tell

    def __iter__(self) -> Iterator[Change]:
        for number, change in enumerate(super().__iter__(), start=1):
            if number > 1:
                self._tell(number)
            yield change


class Victims:
    """Processes that may die: forked from hosts that have all modules loaded and no database open.

    A context manager. `queries` are translated beforehand, as that takes longer than all else a small run does.
    """

    def __init__(self, queries: Iterable[Query] = (), *, hosts: int = 1) -> None:
        translations = [(each.sql, tuple((name, kind) for name, (kind, _) in each.params.items())) for each in queries]
        self._idle: SimpleQueue[Connection] = SimpleQueue()
        self._hosts = []
        self.process_id = 0
        for _ in range(hosts):
            ours, theirs = _SPAWN.Pipe()
            self._idle.put(ours)
            self._hosts.append(_SPAWN.Process(target=_host, args=(theirs, translations), daemon=True))
            self._hosts[-1].start()
            theirs.close()

    def __enter__(self) -> Victims:
        return self

    def __exit__(self, *_: object) -> None:
        for _ in self._hosts:
            self._idle.get().close()
        for host in self._hosts:
            host.join()

    def run(self, work: Callable[[], object]) -> int:
        """Do some work, which can be pickled, in a process of its own, and return its exit code.

        That is the one of an error of ours, 1 for another error, and minus the signal for a process that was killed.
        Meanwhile `process_id` is its id. As many threads as there are hosts may call this at once.
        """
        host = self._idle.get()
        host.send(work)
        self.process_id = host.recv()
        code: int = host.recv()
        self._idle.put(host)
        return code


def _host(pipe: Connection, translations: Iterable[tuple[str, tuple[tuple[str, str], ...]]]) -> None:
    for sql, params in translations:
        to_duckdb(sql, params)
    assert microconv.engines.bigquery  # loaded, with Google's clients
    while True:
        try:
            work = pipe.recv()
        except EOFError:
            return
        process_id = os.fork()
        if process_id == 0:
            os._exit(_exit_code(work))
        pipe.send(process_id)
        pipe.send(os.waitstatus_to_exitcode(os.waitpid(process_id, 0)[1]))


def _exit_code(work: Callable[[], object]) -> int:
    try:
        work()
    except MicroconvError as error:
        return error.exit_code
    except BaseException:  # noqa: BLE001 - nothing of the host's may run in the copy
        traceback.print_exc()
        return 1
    return 0
