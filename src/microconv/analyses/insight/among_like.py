"""The ratio of an entry among like actors, over that of a small step picked by chance: what questions build on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

from microconv.analyses.insight.banded import PLACEBO, Banded, banded_query, read_banded, read_ratios
from microconv.analyses.insight.goals import small_steps
from microconv.analyses.insight.placebos import PlaceboBand, placebo_band
from microconv.queries.templates import Query
from microconv.stats.ratios import Ratio, ratio_of
from microconv.taxonomy import Taxonomy


class AmongLike(NamedTuple):
    """Entries against a goal, among like actors.

    Attributes:
        banded: By entry. Counts are those of all actors, and so is whether it is on the path; the ratio is that among
            like actors, over that of a small step picked by chance where that is known.
        among_placebos: Entries whose ratio is one that a small step picked by chance could have.
        band: What these show; None where too few of them can be told.
    """

    banded: Mapping[str, Banded]
    among_placebos: frozenset[str]
    band: PlaceboBand | None


def among_like_queries(
    entries: Sequence[str], goal: str, end_at: datetime, since: date | None, until: date | None, *, taxonomy: Taxonomy
) -> tuple[Query, Query]:
    """Return the queries of all actors, and of like ones with placebos."""
    asked = (entries, goal, end_at, since, until)
    steps = small_steps({goal}, taxonomy)
    return banded_query(*asked), banded_query(*asked, alike=True, small_steps=steps, placebos=True)


def read_among_like(everybody: Iterable[Mapping[str, Any]], alike: Iterable[Mapping[str, Any]]) -> AmongLike:
    """Read the rows of the two."""
    ratios = {name: ratio for (name, _), ratio in read_ratios(alike).items()}
    band = placebo_band(ratio for name, ratio in ratios.items() if name.startswith(PLACEBO))
    found: dict[str, Banded] = {}
    among = set()
    for name, each in read_banded(everybody).items():
        ratio = None if each.is_thin or each.is_on_path else ratios.get(name)
        if ratio is not None and band is not None and band.holds(ratio):
            among.add(name)
        found[name] = each._replace(ratio=None if ratio is None else _beyond(ratio, band))
    return AmongLike(found, frozenset(among), band)


def _beyond(ratio: Ratio, band: PlaceboBand | None) -> Ratio:
    if band is None:
        return ratio
    value, error = band.beyond(ratio)
    return ratio_of(math.exp(value), error)
