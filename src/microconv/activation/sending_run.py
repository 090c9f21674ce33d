"""A run that sends: under the lock of runs, so that none stages or sends at the same time; with an id of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from microconv.engines.base import Engine
from microconv.staging.record import new_run_id


@contextmanager
def sending_run(engine: Engine, what: str, now: datetime) -> Iterator[str]:
    """Hold the lock, and give the id of the run; `what` is part of it.

    Raises:
        LockedError: another run holds the lock.
    """
    run_id = new_run_id(now, what)
    engine.begin(run_id, f"{socket.gethostname()} process {os.getpid()}")
    try:
        yield run_id
    finally:
        engine.end()
