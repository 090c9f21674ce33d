"""What experiments have shown of entries: the registry of decided experiments, as lift and others may ask it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import date, datetime
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from microconv import wording
from microconv.engines.base import Engine
from microconv.engines.tables import Column, Table
from microconv.queries import templates
from microconv.result import column
from microconv.stats.ratios import Ratio

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

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
        goal_share: Share of the control's actors who came to the goal.
        entry_ratio: As `goal_ratio`, for the entry tested; `entry_share` as `goal_share`.
        level: The level of the intervals.
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
    goal_share: float | None = column("goal share of the control", wording.fine_share)
    entry_share: float | None = column("entry share of the control", wording.fine_share)
    level: float | None = column("level", wording.share)
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

    @property
    def is_told(self) -> bool:
        """Whether it shows a difference in the goal: by its interval, and by the p-value corrected over all metrics."""
        ratio = self.tested_ratio
        if ratio is None or self.level is None:
            return False
        return ratio.p_value <= 1 - self.level and not ratio.low <= 1 <= ratio.high

    def goals_of_a_doer(self, seed: int, number: int) -> tuple[float, npt.NDArray[np.float64]] | None:
        """Return how many goals each actor brought whom the variant made do the entry, and draws of it.

        That is the difference in the goal over the difference in the entry (Wald, 1940): most who saw the variant did
        the entry no more than before, so that the ratio of the goal says little of those who did. Both differences are
        drawn as if they were independent. None where it is not shown that the variant brings about more of the entry.
        """
        import numpy as np

        if self.tested_ratio is None or None in (self.entry_low, self.entry_high) or not self.level:
            return None
        goal = self.goal_share, self.goal_ratio, self.goal_low, self.goal_high
        entry = self.entry_share, self.entry_ratio, self.entry_low, self.entry_high
        if any(each is None for each in (*goal, *entry)) or (self.entry_low or 0.0) <= 1:
            return None
        rng, width = np.random.default_rng(seed), 2 * NormalDist().inv_cdf((1 + self.level) / 2)

        def gained(share: float, ratio: float, low: float, high: float) -> tuple[float, npt.NDArray[np.float64]]:
            logs = rng.normal(math.log(ratio), math.log(high / low) / width, number)
            # A difference near none, which the interval excludes, would bring any number of goals.
            return share * (ratio - 1), share * (np.exp(logs).clip(low, high) - 1)

        (goals, drawn_goals), (doers, drawn_doers) = gained(*goal), gained(*entry)  # type: ignore[arg-type]  # none is None
        return goals / doers, drawn_goals / drawn_doers


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
