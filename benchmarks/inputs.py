"""The data that is measured: folders of day shards, each with a configuration, under one temporary folder."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import run_step

SAMPLE = Path(__file__).parents[2] / "shared" / "data" / "ga4_sample"
ADDED_EVENTS = 32_000
_CONFIG = """\
[project]
timezone = "{timezone}"

[[sources]]
property = "benchmark"
path = "{name}/events_*.parquet"

[[funnels]]
name = "four_steps"
steps = ["view_item", "add_to_cart", "begin_checkout", "purchase"]
window = "7d"

[[segments]]
name = "cart_abandoners"
rule = {{ did = "add_to_cart", at_least = 1, within = "14d", not_did = "purchase" }}
"""


@dataclass(frozen=True)
class Input:
    """Day shards under `folder/days`; `described` says for people what they are."""

    folder: Path
    described: str
    timezone: str

    @property
    def files(self) -> str:
        """All day shards, as a glob."""
        return str(self.folder / "days" / "events_*.parquet")

    @property
    def days(self) -> Sequence[Path]:
        """The day shards in order."""
        return sorted((self.folder / "days").glob("events_*.parquet"))

    @property
    def config(self) -> Path:
        """A configuration that reads all days."""
        return self._configured("days")

    def without_last_day(self) -> Path:
        """Leave out the last day; return a configuration."""
        return self._variant("without_last", self.days[:-1])

    def with_new_files(self, days: int) -> Path:
        """Give the last days new files, as when GA4 exports them again; return a configuration."""
        config = self._variant(f"restated_{days}", self.days[:-days])
        for path in self.days[-days:]:
            copy = self.folder / f"restated_{days}" / path.name
            shutil.copyfile(path, copy)
            os.utime(copy, (time.time(), time.time()))
        return config

    def with_more_events(self, clients: int) -> Path:
        """Add 32,000 events of so many clients to the first day; return a configuration."""
        name, first = f"added_{clients}", self.days[0]
        config = self._variant(name, self.days[1:])
        target = self.folder / name / first.name
        run_step("with_more_events", source=first, target=target, events=ADDED_EVENTS, clients=clients)
        return config

    def with_taxonomy(self, name: str, text: str) -> Path:
        """Stage all days with a taxonomy that stands alone; return a configuration."""
        file = self.folder / f"{name}_taxonomy.toml"
        file.write_text(text, encoding="utf-8")
        config = self.folder / f"{name}.toml"
        named = f'\n[taxonomy]\npreset = "none"\nfile = "{file.name}"\n'
        config.write_text(_CONFIG.format(timezone=self.timezone, name="days") + named, encoding="utf-8")
        return config

    def _variant(self, name: str, days: Sequence[Path]) -> Path:
        (self.folder / name).mkdir()
        for path in days:
            os.link(path, self.folder / name / path.name)
        return self._configured(name)

    def _configured(self, name: str) -> Path:
        config = self.folder / f"{name}.toml"
        config.write_text(_CONFIG.format(timezone=self.timezone, name=name), encoding="utf-8")
        return config


def prepare(folder: Path, events: int | None) -> Input:
    """Take the real export where it is there and no size is asked for; write a demo export otherwise.

    Of a demo only the Parquet days are used, so that every step reads the same files.
    """
    days = folder / "days"
    if events is None and SAMPLE.is_dir():
        shutil.copytree(SAMPLE, days)
        return Input(folder, f"real export, {len(list(days.iterdir()))} days", "UTC")
    events = events or 1_000_000
    run_step("demo", folder=folder / "demo", events=events)
    days.mkdir()
    for path in (folder / "demo" / "exports").glob("events_2*.parquet"):
        os.link(path, days / path.name)
    return Input(folder, f"demo export of about {events:,} events", "Europe/Berlin")
