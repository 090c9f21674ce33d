"""A project on the emulator, behind a proxy that breaks calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from places import FEW_ENTRIES, EmulatedPlace, write_project

from emulator import Emulator
from faulty_proxy import FaultyProxy


@pytest.fixture
def proxy(emulator: Emulator) -> Iterator[FaultyProxy]:
    """What stands between runs and the emulator; it breaks nothing yet."""
    with FaultyProxy(emulator.rest_url) as running:
        yield running


@pytest.fixture
def place(emulator: Emulator, proxy: FaultyProxy, tmp_path: Path) -> EmulatedPlace:
    """An export without shards, and a working dataset that does not exist yet."""
    folder = write_project(tmp_path / "place", entries=FEW_ENTRIES)
    return EmulatedPlace(folder, emulator.rest_url, proxy.url, emulator.project, emulator.dataset())
