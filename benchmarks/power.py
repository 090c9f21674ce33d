"""How often the checks of volume cry wolf, and what they find, on properties made up by seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from benchmarks.properties import Fault, Planted, clean, faulty
from microconv import wording
from microconv.stats.daily_counts import Judgement, judge
from microconv.stats.intervals import wilson

FAULTS: tuple[Fault, ...] = get_args(Fault)
_KINDS = {"blackout": "missing", "halved": "low", "doubled": "high"}


@dataclass(frozen=True)
class Power:
    """What came of properties with one noise: how many clean ones were alarmed, and how often each fault was found."""

    noise: float | None
    properties: int
    alarmed: int
    found: dict[str, int]
    wrong: dict[str, int]

    def share(self, fault: str) -> float:
        return self.found[fault] / self.properties

    @property
    def text(self) -> str:
        noise = "noise of real events" if self.noise is None else f"{self.noise:.0%} noise"
        lines = [f"{noise}, {self.properties} properties: {self._share(self.alarmed)} clean ones alarmed"]
        lines += [
            f"  {fault}: {self._share(self.found[fault])} found; another event told: {self._share(self.wrong[fault])}"
            for fault in self.found
        ]
        return "\n".join(lines)

    def _share(self, count: int) -> str:
        interval = wilson(count, self.properties)
        assert interval is not None
        low, high = interval
        return f"{wording.share(count / self.properties)} ({wording.share(low)} to {wording.share(high)})"


def power(seeds: Sequence[int], noise: float | None, faults: Sequence[Fault] = FAULTS) -> Power:
    """Judge a property of each seed, clean and with each fault."""
    alarmed = 0
    found: dict[str, int] = dict.fromkeys(faults, 0)
    wrong: dict[str, int] = dict.fromkeys(faults, 0)
    for seed in seeds:
        data = clean(seed, noise)
        judgement = judge(data)
        alarmed += bool(judgement.runs or judgement.shifts)
        for fault in faults:
            bad, planted = faulty(data, fault, seed)
            judgement = judge(bad)
            found[fault] += is_found(judgement, planted)
            wrong[fault] += any(each.subject != planted.event for each in (*judgement.runs, *judgement.shifts))
    return Power(noise, len(seeds), alarmed, found, wrong)


def is_found(judgement: Judgement, planted: Planted) -> bool:
    """Whether a fault was told as what it is: the event, days that overlap, and the kind; a level within two days."""
    if planted.fault in _KINDS:
        return any(
            run.subject == planted.event
            and run.kind == _KINDS[planted.fault]
            and run.first <= planted.last
            and run.last >= planted.first
            for run in judgement.runs
        )
    return any(
        shift.subject == planted.event
        and abs(shift.first - planted.first) <= 2
        and (shift.factor > 1) == planted.fault.endswith("doubled")
        for shift in judgement.shifts
    )
