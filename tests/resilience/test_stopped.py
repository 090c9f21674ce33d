"""A scheduler's stop (SIGTERM) during a job of BigQuery: the run is recorded and its lock given back."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path

import story
from places import EmulatedPlace, contents

from calls import step
from commands import microconv, start
from emulator import Emulator
from faulty_proxy import FaultyProxy, Hold
from projects import write_bigquery_config

PATIENCE_SECONDS = 300
"""A sync on a busy emulator may take a minute; one that ends early is not waited for."""


def test_a_stopped_sync_ends_as_interrupted_and_the_next_completes(
    place: EmulatedPlace, proxy: FaultyProxy, emulator: Emulator, tmp_path: Path
):
    place.put(story.DAYS[0], story.FIRST)
    config = write_bigquery_config(tmp_path, emulator, dataset=place.working, exports=place.export)
    config.write_text(config.read_text().replace(emulator.rest_url, proxy.url))
    hold = Hold(release=threading.Event(), reached=threading.Event())
    proxy.rule = lambda call: hold if step(call) == "staging_sessions" and not hold.reached.is_set() else None

    with start(tmp_path, "-c", config.name, "sync") as sync:
        patience = time.monotonic() + PATIENCE_SECONDS
        while not hold.reached.wait(0.2):
            assert sync.poll() is None, "the sync ended before the job"
            assert time.monotonic() < patience
        sync.send_signal(signal.SIGTERM)
        hold.release.set()
        stdout, stderr = sync.communicate(timeout=PATIENCE_SECONDS)

    assert (sync.returncode, stdout) == (130, "")
    assert "Interrupted. What was finished is kept" in stderr
    assert "Traceback" not in stderr
    found = contents(place)
    assert found.runs == [("interrupted", "interrupted")]
    assert found.staged["mc_events"] == []
    assert microconv(tmp_path, "-c", config.name, "sync").code == 0
    assert [status for status, _ in contents(place).runs] == ["interrupted", "done"]
