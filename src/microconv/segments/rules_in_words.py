"""What segments mean, in words: a list of them, and one in detail. Nothing is counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from microconv.config.load import find_named
from microconv.config.segment_settings import SegmentConfig
from microconv.result import Result, column, sheet
from microconv.segments.ga4_audiences import obstacles
from microconv.segments.sentence import sentence
from microconv.taxonomy import Taxonomy
from microconv.wording import Sheet, plural


@dataclass(frozen=True)
class SegmentInWords:
    """A segment: its rule as a sentence, what it is sent with and where to, and whether GA4 could express it."""

    segment: str = column("segment")
    rule: str = column("rule")
    identity: str = column("identity")
    destinations: str = column("destinations")
    ga4_could: bool = column("GA4 could", lambda could: "yes" if could else "no")


@dataclass(frozen=True)
class SegmentsInWords(Result):
    """Segments in words.

    Attributes:
        segments: What each means.
        is_one: One was asked for by its name.
        ga4_obstacles: Of one, why no audience of GA4 can express it.
    """

    row_type: ClassVar[type] = SegmentInWords

    segments: tuple[SegmentInWords, ...]
    is_one: bool
    ga4_obstacles: tuple[str, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @classmethod
    def of(cls, segments: Sequence[SegmentConfig], taxonomy: Taxonomy, name: str | None = None) -> Self:
        """Say what segments mean, or one of them by its name.

        Raises:
            UsageError: There is no segment of that name.
            TaxonomyError: One names a micro-conversion that the taxonomy does not have.
        """
        chosen = tuple(segments) if name is None else (find_named(segments, name, "segment"),)
        taxonomy.check_names(named for each in chosen for named in each.named())
        reasons = {each.name: obstacles(each.rule, taxonomy) for each in chosen}
        rows = tuple(
            SegmentInWords(
                each.name,
                sentence(each.rule),
                ", ".join(each.identity),
                ", ".join(each.destinations),
                not reasons[each.name],
            )
            for each in chosen
        )
        if name is None:
            return cls(rows, False, (), f"The configuration has {plural(len(rows), 'segment')}.", ())
        (row,) = rows
        said = "An audience of GA4 itself could express this rule, without transactions counting once."
        if not row.ga4_could:
            said = "No audience of GA4 itself can express this rule."
        return cls(rows, True, reasons[row.segment], f"{row.rule} {said}", reasons[row.segment])

    @property
    def rows(self) -> tuple[SegmentInWords, ...]:
        """The segments."""
        return self.segments

    def sheets(self) -> Iterable[Sheet | str]:
        """Return one table of the segments; the sentence says the rule of a single one."""
        if self.is_one:
            return (sheet(f"Segment {self.rows[0].segment}", self.rows, SegmentInWords, without=("rule",)),)
        return (sheet("Segments", self.rows, SegmentInWords),)
