"""Where people waver: between which mindsets each sign of hesitation happens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, ClassVar

from microconv import wording
from microconv.config.sections import Period
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Context, Question, days
from microconv.result import Result, column
from microconv.taxonomy import Taxonomy
from microconv.taxonomy.entry import MINDSETS
from microconv.wording import Bar

if TYPE_CHECKING:
    import pyarrow as pa

NOTHING_BEFORE = "(nothing before)"
"""Stands for the mindset of an actor who had done nothing that the taxonomy counts."""
HIGHEST = "(none higher)"
"""Stands for the mindset that comes next where there is no higher one."""
_ASSUMPTIONS = (
    "The mindset before is that of what the actor last did, on any device and any day, but for hesitation.",
    "What was abandoned or stalled counts at the moment at which its time was over.",
)


@dataclass(frozen=True)
class HesitationTransition:
    """Occurrences of a hesitation on the way from one mindset to the next higher one.

    `from_mindset` is that of what the actor last did before; `share` is of all occurrences of the hesitation (0 to 1).
    """

    micro_conversion: str = column("hesitation")
    from_mindset: str = column("from mindset")
    to_mindset: str = column("to mindset")
    occurrences: int = column("occurrences", wording.count)
    actors: int = column("actors", wording.count)
    share: float = column("share", wording.share)


@dataclass(frozen=True)
class HesitationResult(Result):
    """Transitions of mindset at which people hesitated: entries in the order of the journey, mindsets upwards."""

    row_type: ClassVar[type] = HesitationTransition

    transitions: tuple[HesitationTransition, ...]
    sentence: str
    assumptions: tuple[str, ...]
    never_seen: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None

    @property
    def rows(self) -> tuple[HesitationTransition, ...]:
        """The transitions."""
        return self.transitions

    @property
    def title(self) -> str:
        """What the table is called."""
        return "Hesitation by transition of mindset"

    def bars(self) -> tuple[Bar, ...]:
        """One bar per transition: its occurrences."""
        return tuple(
            Bar(
                f"{row.micro_conversion}: {row.from_mindset} > {row.to_mindset}",
                row.occurrences,
                wording.count(row.occurrences),
            )
            for row in self.transitions
        )


class Hesitation(Period, Question):
    """Show between which mindsets people hesitate: that before each hesitation, and the next higher one."""

    examples: ClassVar[tuple[str, ...]] = ("hesitation", "hesitation --since 2024-03-01 --format json")
    in_report: ClassVar[bool] = False

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        ordinary = [each for each in _staged(context.taxonomy) if each not in _hesitations(context.taxonomy)]
        params: dict[str, Value] = {
            "entries": ordinary,
            "levels": [MINDSETS.index(context.taxonomy.entry(each).mindset) for each in ordinary],
            "hesitations": _hesitations(context.taxonomy),
        }
        return (templates.query("analyses/hesitation", params=params | days(self)),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> HesitationResult:
        """Name the transition at which most hesitate."""
        rows: list[dict[str, Any]] = tables[0].to_pylist()
        total: Counter[str] = Counter()
        for row in rows:
            total[row["micro_conversion"]] += row["occurrences"]
        rows.sort(
            key=lambda row: (
                context.taxonomy.rank(row["micro_conversion"]),
                -1 if row["mindset_level"] is None else row["mindset_level"],
            )
        )
        transitions = tuple(_transition(row, total[row["micro_conversion"]]) for row in rows)
        hesitations = _hesitations(context.taxonomy)
        return HesitationResult(
            transitions=transitions,
            sentence=_sentence(transitions, hesitations),
            assumptions=_ASSUMPTIONS,
            never_seen=tuple(each for each in hesitations if not total[each]),
            since=self.since,
            until=self.until,
        )


def _staged(taxonomy: Taxonomy) -> list[str]:
    return sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)


def _hesitations(taxonomy: Taxonomy) -> list[str]:
    return [each for each in _staged(taxonomy) if taxonomy.entry(each).is_hesitation]


def _transition(row: Mapping[str, Any], total: int) -> HesitationTransition:
    level = -1 if row["mindset_level"] is None else int(row["mindset_level"])
    return HesitationTransition(
        micro_conversion=row["micro_conversion"],
        from_mindset=MINDSETS[level] if level >= 0 else NOTHING_BEFORE,
        to_mindset=MINDSETS[level + 1] if level + 1 < len(MINDSETS) else HIGHEST,
        occurrences=row["occurrences"],
        actors=row["actors"],
        share=row["occurrences"] / total,
    )


def _sentence(transitions: Sequence[HesitationTransition], hesitations: Sequence[str]) -> str:
    if not hesitations:
        return "The taxonomy has no entry that shows hesitation."
    if not transitions:
        return "No hesitation is staged in these days."
    total = sum(row.occurrences for row in transitions)
    ways: Counter[tuple[str, str]] = Counter()
    for row in transitions:
        ways[row.from_mindset, row.to_mindset] += row.occurrences
    (before, after), most = min(ways.items(), key=lambda way: (-way[1], way[0]))
    return (
        f"Most hesitation happens between {before} and {after}: {wording.count(most)} of "
        f"{wording.plural(total, 'occurrence')} ({wording.share(most / total)})."
    )
