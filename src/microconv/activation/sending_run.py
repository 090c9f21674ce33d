"""A run that sends: under the lock of runs, so that none stages or sends at the same time; with an id of its own."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from microconv.engines.base import Engine


@contextmanager
def sending_run(engine: Engine, what: str, now: datetime) -> Iterator[str]:
    """Hold the lock, and give the id of the run; `what` is part of it.

    Raises:
        LockedError: another run holds the lock.
    """
    run_id = f"{now:%Y%m%dT%H%M%SZ}-{what}-{secrets.token_hex(3)}"
    engine.begin(run_id, f"{socket.gethostname()} process {os.getpid()}")
    try:
        yield run_id
    finally:
        engine.end()
