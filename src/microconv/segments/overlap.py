"""How far segments hold the same actors."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import permutations
from typing import ClassVar

from microconv import wording
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.result import Result, column, pivot
from microconv.segments.members import members_query
from microconv.segments.propensity_rules import check_scores
from microconv.staging import properties
from microconv.taxonomy import Taxonomy
from microconv.wording import Heading, Sheet


@dataclass(frozen=True)
class SegmentOverlap:
    """Two segments: the members of each, those of both, and what share of the first these are."""

    segment: str = column("segment")
    other: str = column("other")
    members: int = column("members", wording.count)
    other_members: int = column("members of the other", wording.count)
    both: int = column("in both", wording.count)
    share: float | None = column("share of the segment", wording.share)


@dataclass(frozen=True)
class SegmentOverlapResult(Result):
    """How far segments hold the same actors at a moment; each pair is there both ways."""

    row_type: ClassVar[type] = SegmentOverlap

    as_of: datetime
    pairs: tuple[SegmentOverlap, ...]
    sentence: str
    assumptions: tuple[str, ...] = ("Members are those for whom the rule holds at that moment, whatever was built.",)

    @property
    def rows(self) -> tuple[SegmentOverlap, ...]:
        """The pairs."""
        return self.pairs

    def sheets(self) -> Iterable[Sheet | str]:
        """Return a matrix: of the members of the segment on the left, the share that is in the one above."""
        cells = {(each.segment, each.other): each.share for each in self.pairs}
        members: Mapping[Hashable, int] = {each.segment: each.members for each in self.pairs}
        names = list(dict.fromkeys(each.segment for each in self.pairs))
        in_order: dict[tuple[Hashable, Hashable], float | None] = {
            (one, other): cells.get((one, other)) for one in names for other in names
        }
        heading = Heading("members", wording.count)
        return (
            pivot(
                "Overlap of segments",
                in_order,
                down=Heading("of the members of"),
                write=wording.share,
                label=lambda name: f"in {name}",
                beside={heading: members.__getitem__},
            ),
        )


def overlap(engine: Engine, config: Config, taxonomy: Taxonomy, as_of: datetime) -> SegmentOverlapResult:
    """Say how far segments hold the same actors at a moment; their members are read one segment after the other.

    Raises:
        TaxonomyError: A rule names a micro-conversion or stage that the taxonomy does not have.
        SourceError: A rule looks at a property that is not staged yet.
        EngineError: The engine failed.
    """
    import numpy as np  # slow to load

    needed = (each for one in config.segments for each in properties.of_rule(one.rule))
    properties.check(engine, needed, config, taxonomy)
    check_scores(engine, [each.rule for each in config.segments], taxonomy, as_of)
    members = {
        each.name: engine.query(members_query(each, taxonomy, as_of)).column("actor_key").to_numpy()
        for each in config.segments
    }
    pairs = []
    for one, other in permutations(members, 2):
        both = len(np.intersect1d(members[one], members[other], assume_unique=True))
        first, second = len(members[one]), len(members[other])
        pairs.append(SegmentOverlap(one, other, first, second, both, wording.ratio(both, first)))
    if not pairs:
        said = "An overlap needs two segments or more; the configuration has fewer."
    else:
        most = max(pairs, key=lambda pair: (pair.share or 0, pair.both))
        said = (
            f"The largest overlap: {wording.share(most.share)} of {most.segment} "
            f"({wording.plural(most.both, 'actor')}) are in {most.other}, too."
            if most.both
            else "No actor is in two of the segments."
        )
    return SegmentOverlapResult(as_of, tuple(pairs), said)
