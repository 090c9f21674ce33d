"""Whether what an entry goes with differs between contexts, such as devices, beyond chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from microconv import wording
from microconv.analyses.insight.evidence import LEVEL
from microconv.result import column
from microconv.stats.distributions import chi_square_tail
from microconv.stats.multiplicity import adjusted
from microconv.stats.ratios import Ratio


@dataclass(frozen=True)
class ContextDifference:
    """Whether the ratio of an entry differs between contexts, beyond chance (Cochran's Q, 1954).

    `chi_square` has one degree of freedom fewer than there are contexts with a ratio. `p_value` is corrected over all
    entries (Holm).
    """

    micro_conversion: str = column("micro-conversion")
    contexts: int = column("contexts with a ratio", wording.count)
    lowest: str = column("lowest in")
    highest: str = column("highest in")
    chi_square: float = column("chi-square", wording.cents)
    p_value: float = column("p, all entries", wording.p_value)


def differences_between(ratios: Iterable[tuple[str, str, Ratio]]) -> Iterator[ContextDifference]:
    """Yield, for each entry with a ratio in two contexts or more, whether these differ; given entry, context, ratio."""
    by_entry: dict[str, list[tuple[str, Ratio]]] = {}
    for entry, context, ratio in ratios:
        by_entry.setdefault(entry, []).append((context, ratio))
    compared = {entry: each for entry, each in by_entry.items() if len(each) > 1}
    squares = {entry: _squares([ratio for _, ratio in each]) for entry, each in compared.items()}
    tails = adjusted([chi_square_tail(squares[entry], len(each) - 1) for entry, each in compared.items()], "holm")
    for (entry, each), p_value in zip(compared.items(), tails, strict=True):
        lowest, highest = (pick(each, key=lambda one: one[1].ratio)[0] for pick in (min, max))
        yield ContextDifference(entry, len(each), lowest, highest, squares[entry], p_value)


def _squares(ratios: Sequence[Ratio]) -> float:
    """Return the weighted squares of the logarithms around their mean."""
    weights = [1 / each.log_error**2 for each in ratios]
    logs = [math.log(each.ratio) for each in ratios]
    mean = math.fsum(w * log for w, log in zip(weights, logs, strict=True)) / math.fsum(weights)
    return math.fsum(w * (log - mean) ** 2 for w, log in zip(weights, logs, strict=True))


def in_words(found: Sequence[ContextDifference], by: str | None) -> str:
    """Say which entries differ between contexts; nothing where nothing is compared."""
    if not found or by is None:
        return ""
    apart = [each for each in found if each.p_value <= LEVEL]
    name = by.replace("_", " ")
    if not apart:
        return f" By {name}, no ratio differs beyond chance."
    named = [f"{each.micro_conversion} (highest in {each.highest}, lowest in {each.lowest})" for each in apart]
    return f" By {name}, ratios differ beyond chance for {wording.listed(named)}."
