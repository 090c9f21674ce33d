"""A platform on loopback, in a process of its own: `python -m benchmarks.platforms grpc|rest|meta` prints its address.

`grpc` and `rest` are Google's Data Manager API, which turns away what is beyond the quota of a project, by the clock of
this machine. A line on its input ends it; it then prints how many requests to add members it took, and how many are
on each list, as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "tests"))

WRITES_PER_MINUTE = 300


@dataclass
class Served:
    """Its address; and, once it has ended, what it tells."""

    address: str
    told: dict[str, Any] = field(default_factory=dict)


@contextmanager
def running(platform: str) -> Iterator[Served]:
    """Run it."""
    command = [sys.executable, "-m", "benchmarks.platforms", platform]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        served = Served(process.stdout.readline().strip())
        try:
            yield served
        finally:
            process.stdin.write("end\n")
            process.stdin.flush()
            served.told = json.loads(process.stdout.readline())


def google(transport: str) -> None:
    from data_manager_server import DataManagerModel, serving

    model = DataManagerModel(writes_per_minute=WRITES_PER_MINUTE)
    done = threading.Event()

    def keep_time() -> None:
        while not done.wait(0.05):
            model.now = datetime.now(tz=UTC)
            model.requests.clear()

    with serving(model) as server:
        threading.Thread(target=keep_time, daemon=True).start()
        time.sleep(0.1)
        print(server.url(transport), flush=True)
        sys.stdin.readline()
        done.set()
        members = {name: len(each.members) for name, each in model.lists.items()}
        print(json.dumps({"requests": model.calls.count("IngestAudienceMembers"), "members": members}), flush=True)


def meta() -> None:
    from meta_server import MetaModel, serving

    class Model(MetaModel):
        """One that keeps the time of this machine, and no request: a million rows would be many."""

        def call(self, method: str, path: str, parameters: dict[str, str]) -> Any:
            told = super().call(method, path, parameters)
            taken[method, path.partition("/")[2]] += 1
            self.requests.clear()
            return told

    taken: Counter[tuple[str, str]] = Counter()
    with serving() as server:
        server.model = model = Model()
        print(server.address, flush=True)
        sys.stdin.readline()
        model.tick()
        members = {name: len(each.listed) for name, each in model.audiences.items()}
        print(json.dumps({"requests": taken["POST", "users"], "members": members}), flush=True)


def main(platform: str) -> None:
    if platform == "meta":
        meta()
    else:
        google(platform)


if __name__ == "__main__":
    main(*sys.argv[1:])
