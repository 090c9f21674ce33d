"""What each entry says about the goal: how often the goal follows it, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from microconv import wording
from microconv.analyses.insight.among_like import AmongLike
from microconv.analyses.insight.banded import FEWEST_A_SIDE, Banded
from microconv.question import Context
from microconv.stats.multiplicity import adjusted
from microconv.stats.ratios import Ratio
from microconv.stats.shrinkage import Estimated, common, shrunken

Tier = Literal["observed", "adjusted", "experimental"]

DISCOUNTS: Mapping[Tier, float] = {"observed": 0.25, "adjusted": 0.5, "experimental": 1.0}
"""What is left of an expected effect by the kind of evidence behind it: a convention, not an estimate."""

LEVEL = 0.01
"""How likely one false finding or more may be among all that one question looks at, where nothing is there: of a
hundred such properties, one may be told something. At 5%, one question asked every day would soon find something."""

NOTHING = (0.8, 1.25)
"""Between these ratios an entry says nothing that anybody could use."""
_ON_PATH, _COMMON = 0.05, 0.25
FEWEST_TO_RETIRE = 100
"""Actors who did an entry, below which it is not said that it makes no difference."""


@dataclass(frozen=True)
class Evidence:
    """One entry against the goal.

    Attributes:
        entry: Its id.
        banded: How it stands to the goal.
        p_value: That the true ratio is 1, adjusted for all entries that were looked at (Benjamini and Yekutieli).
        shrunken: The ratio drawn to the mean of all: the largest of many is too large on average.
        is_among_placebos: Whether a small step picked by chance could have its ratio.
        is_beyond: Whether the ratio is that over the ratio of a small step picked by chance.
    """

    entry: str
    banded: Banded
    p_value: float | None
    shrunken: float | None
    is_among_placebos: bool = False
    is_beyond: bool = False

    @property
    def ratio(self) -> Ratio | None:
        """The ratio with its interval."""
        return self.banded.ratio

    @property
    def is_signal(self) -> bool:
        """Whether it tells people apart by whether they reach the goal.

        The goal follows it more often than chance explains, after the correction, and by more than nobody could use;
        it is beyond what a small step picked by chance could have; and it is neither done by nearly all who reach the
        goal, as a step of the way is, nor by a large part of all.
        """
        each = self.banded
        return (
            self.ratio is not None
            and self.p_value is not None
            and self.p_value <= LEVEL
            and not self.is_among_placebos
            and self.ratio.low > NOTHING[1]
            and each.exposed_targets >= FEWEST_A_SIDE
            and each.other_targets > _ON_PATH * (each.exposed_targets + each.other_targets)
            and each.exposed <= _COMMON * each.actors
        )

    @property
    def is_nothing(self) -> bool:
        """Whether the whole interval lies where nobody could use it, with enough actors to say so."""
        return self.ratio is not None and is_nothing(self.banded.exposed, self.ratio.low, self.ratio.high)

    def in_words(self, goal: str) -> str:
        """Say it for people, what it does not say included."""
        if self.banded.is_on_path:
            return f"hardly anybody reaches {goal} without it"
        if self.ratio is None:
            return "not enough data to hold those who did it against the others"
        return (
            f"{goal} follows it {wording.decimal(self.ratio.ratio)} times as often as like actors reach it without"
            f"{', divided by what any small step shows' if self.is_beyond else ''} "
            f"({wording.decimal(self.ratio.low)} to {wording.decimal(self.ratio.high)}); {self._doubt}"
        )

    @property
    def _doubt(self) -> str:
        """What is to be said against the ratio: first of all that it may be nothing."""
        if self.is_among_placebos:
            return "no more than any small step may have"
        if self.p_value is None or self.p_value > LEVEL:
            return "corrected for all entries, it may be chance"
        return "not proof that it causes it"


def is_nothing(exposed: int, low: float, high: float) -> bool:
    """Whether a whole interval lies where nobody could use it, with enough actors to say so."""
    return exposed >= FEWEST_TO_RETIRE and NOTHING[0] <= low <= high <= NOTHING[1]


def unused(goal: str, context: Context) -> frozenset[str]:
    """Return the entries that may be retired: secondary ones that nothing of taxonomy and configuration uses.

    None where the goal is a step: what says nothing of one may say a lot of what comes after it.
    """
    taxonomy = context.taxonomy
    if taxonomy.entry(goal).kind != "macro":
        return frozenset()
    used = {goal, *(taxonomy.counted(entry) for entry, _ in context.config.named())}
    used |= {named for entry in taxonomy.entries if entry.derivation for _, named in entry.derivation.named()}
    return frozenset(
        entry.id
        for entry in taxonomy.entries
        if entry.kind == "secondary" and not (entry.triggers or entry.is_retired) and entry.id not in used
    )


def weigh(known: AmongLike) -> dict[str, Evidence]:
    """Return the evidence of each entry, corrected for how many there are; those on the path are not tested."""
    banded = known.banded
    tested = [(entry, each.ratio) for entry, each in banded.items() if each.ratio is not None and not each.is_on_path]
    estimates = [Estimated(math.log(ratio.ratio), ratio.log_error) for _, ratio in tested if ratio.log_error > 0]
    of_all = common(estimates)
    p_values = dict(zip((entry for entry, _ in tested), adjusted([each.p_value for _, each in tested]), strict=True))
    drawn = {
        entry: math.exp(shrunken(Estimated(math.log(ratio.ratio), ratio.log_error), of_all).value)
        for entry, ratio in tested
        if of_all is not None and ratio.log_error > 0
    }
    return {
        entry: Evidence(
            entry,
            each,
            p_values.get(entry),
            drawn.get(entry),
            is_among_placebos=entry in known.among_placebos,
            is_beyond=known.band is not None,
        )
        for entry, each in banded.items()
    }
