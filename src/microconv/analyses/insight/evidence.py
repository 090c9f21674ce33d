"""What each entry says about the goal: how often the goal follows it, and whether that is more than chance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from microconv import wording
from microconv.analyses.insight.among_like import AmongLike
from microconv.analyses.insight.banded import FEWEST_A_SIDE, Banded
from microconv.stats.multiplicity import adjusted
from microconv.stats.ratios import Ratio
from microconv.stats.shrinkage import Estimated, common, shrunken

Tier = Literal["observed", "adjusted", "experimental"]

DISCOUNTS: Mapping[Tier, float] = {"observed": 0.25, "adjusted": 0.5, "experimental": 1.0}
"""What is left of an expected effect by the kind of evidence behind it: a convention, not an estimate."""

LEVEL = 0.05
NOTHING = (0.8, 1.25)
"""Between these ratios an entry says nothing that anybody could use."""
_ON_PATH, _COMMON = 0.05, 0.25
FEWEST_TO_RETIRE = 100
"""Actors who did an entry, below which it is not said that it predicts nothing."""


@dataclass(frozen=True)
class Evidence:
    """One entry against the goal.

    Attributes:
        entry: Its id.
        banded: How it stands to the goal.
        p_value: That the true ratio is 1, adjusted for all entries that were looked at (Benjamini and Yekutieli).
        shrunken: The ratio drawn to the mean of all: the largest of many is too large on average.
        is_among_placebos: Whether a small step picked by chance could have its ratio.
    """

    entry: str
    banded: Banded
    p_value: float | None
    shrunken: float | None
    is_among_placebos: bool = False

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
        return (
            self.ratio is not None
            and self.banded.exposed >= FEWEST_TO_RETIRE
            and NOTHING[0] <= self.ratio.low <= self.ratio.high <= NOTHING[1]
        )

    def in_words(self, goal: str) -> str:
        """Say it for people, what it does not say included."""
        if self.banded.is_on_path:
            return f"nobody reaches {goal} without it"
        if self.ratio is None:
            return "not enough data to hold those who did it against the others"
        return (
            f"{goal} follows it {wording.decimal(self.ratio.ratio)} times as often as like actors reach it without "
            f"({wording.decimal(self.ratio.low)} to {wording.decimal(self.ratio.high)}); not proof that it causes it"
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
        entry: Evidence(entry, each, p_values.get(entry), drawn.get(entry), entry in known.among_placebos)
        for entry, each in banded.items()
    }


def rule_as_toml(value: Any) -> str:  # noqa: ANN401 - any value of a rule
    """Write a value of a rule as TOML on one line: text, numbers, lists and tables of them."""
    import json

    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {rule_as_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(rule_as_toml(each) for each in value) + "]"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    # JSON's strings, numbers and truth are TOML's, but for the delete character, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
