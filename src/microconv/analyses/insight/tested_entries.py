"""What experiments have shown of entries: the registry of decided experiments, as lift and others may ask it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any

from microconv import wording
from microconv.engines.base import Engine
from microconv.engines.tables import Column, Table
from microconv.queries import templates
from microconv.result import column
from microconv.stats.ratios import Ratio

_TYPES = {"datetime": "TIMESTAMP", "date": "DATE", "int": "INT64", "float": "FLOAT64", "bool": "BOOL", "str": "STRING"}


@dataclass(frozen=True)
class ExperimentRecord:
    """What was decided of one variant of an experiment, and on what figures.

    Attributes:
        experiment: Its name in the configuration.
        variant: The variant that was held against the control.
        control: The control.
        decided_at: When it was decided (UTC).
        decision: ship, keep, repeat or stop.
        hypothesis: What was believed.
        minimal_test: The test that was made of it.
        result: What it showed, in a sentence.
        reason: Why it was decided so.
        learning: What is known now.
        decided_by: Who decided.
        goal: The micro-conversion that it should raise.
        entry_tested: The micro-conversion that the variant brings about; empty where none is named.
        horizon: fixed or anytime.
        actors: Actors of both variants.
        is_split_right: The sample ratio was as it should be.
        is_read_in_time: The horizon was over, or the intervals may be read at any time.
        goal_ratio: Share of actors who came to the goal, over that of the control; `goal_low` to `goal_high` is its
            interval at the level of the experiment.
        goal_p: Of no difference in the goal, corrected over the metrics.
        entry_ratio: The same for the entry tested.
        first_date: The first day of exposures.
        last_date: The last staged day.
    """

    experiment: str = column("experiment")
    variant: str = column("variant")
    control: str = column("control")
    decided_at: datetime = column("decided at", wording.minute)
    decision: str = column("decision")
    hypothesis: str = column("hypothesis")
    minimal_test: str = column("minimal test")
    result: str = column("result")
    reason: str = column("reason")
    learning: str = column("learning")
    decided_by: str = column("decided by")
    goal: str = column("goal")
    entry_tested: str = column("entry tested")
    horizon: str = column("horizon")
    actors: int = column("actors", wording.count)
    is_split_right: bool = column("split is right")
    is_read_in_time: bool = column("read in time")
    goal_ratio: float | None = column("goal ratio", wording.times)
    goal_low: float | None = column("goal ratio from", wording.times)
    goal_high: float | None = column("goal ratio to", wording.times)
    goal_p: float | None = column("goal p", wording.p_value)
    entry_ratio: float | None = column("entry ratio", wording.times)
    entry_low: float | None = column("entry ratio from", wording.times)
    entry_high: float | None = column("entry ratio to", wording.times)
    first_date: date | None = column("first day")
    last_date: date | None = column("last day")

    @property
    def tested_ratio(self) -> Ratio | None:
        """The ratio of the goal with its interval, where it may be relied on; None otherwise."""
        if not (self.is_split_right and self.is_read_in_time):
            return None
        if self.goal_ratio is None or self.goal_low is None or self.goal_high is None or self.goal_low <= 0:
            return None
        return Ratio(self.goal_ratio, self.goal_low, self.goal_high, 1.0 if self.goal_p is None else self.goal_p)


EXPERIMENTS = Table(
    "mc_experiments",
    "What was decided of experiments: one row per variant other than the control; deciding again replaces it.",
    ("experiment", "variant"),
    tuple(
        Column(each.name, _TYPES[str(each.type).removesuffix(" | None")], str(each.metadata["heading"].label))
        for each in fields(ExperimentRecord)
    ),
)


def records(engine: Engine) -> tuple[ExperimentRecord, ...]:
    """Return what was decided, the latest first; nothing where nothing was.

    Raises:
        EngineError: It cannot be read.
    """
    if engine.version(EXPERIMENTS.name) is None:
        return ()
    return tuple(map(read_record, engine.query(templates.query("experiments/records")).to_pylist()))


def read_record(row: Mapping[str, Any]) -> ExperimentRecord:
    """Read a row of mc_experiments."""
    return ExperimentRecord(**{each.name: row[each.name] for each in fields(ExperimentRecord)})


def shown_by_experiments(found: Iterable[ExperimentRecord], goal: str) -> dict[str, ExperimentRecord]:
    """Return the latest record of each entry that an experiment tested towards a goal, and that may be relied on."""
    latest: dict[str, ExperimentRecord] = {}
    for each in sorted(found, key=lambda record: (record.decided_at, record.variant)):
        if each.entry_tested and each.goal == goal and each.tested_ratio is not None:
            latest[each.entry_tested] = each
    return latest
