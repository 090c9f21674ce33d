"""What changed: the key figures of some days against as many days before, and whether it is more than chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from pydantic import Field

from microconv import wording
from microconv.analyses.amounts import UNITS_OF_VALUE
from microconv.config.sections import Period
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Question
from microconv.result import Result, column, sheet
from microconv.stats.multiplicity import Correction, adjusted
from microconv.stats.paired_days import DayPair, ratio_of_periods
from microconv.stats.ratios import Ratio
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

Unit = Literal["count", "share", "value"]

LEVEL = 0.05
FEWEST = 10
"""Occurrences in one of the two periods, below which no change is told."""
_FEWEST_PAIRS = 7
_WEEK = 7
_LENGTHS = (28, 14, 7)

_CORRECTIONS: dict[bool, Correction] = {True: "holm", False: "by"}
"""Of the figures that come first, and of all others."""

UP, DOWN, CHANCE = "up", "down", "no more than chance"

SESSIONS, ENGAGED, ACTORS, VALUE = "(sessions)", "(engaged_sessions)", "(actors)", "(value)"


def _change(value: float | None) -> str:
    return wording.NOTHING if value is None else f"{value:+,.1%}".replace("-0.0%", "0.0%").replace("+0.0%", "0.0%")


@dataclass(frozen=True)
class KeyFigureChange:
    """A figure of the days looked at against the days before.

    Attributes:
        figure: What is counted: sessions, engaged sessions, actors a day, an entry of the taxonomy, or value.
        of: What it is a share of; empty where it is a plain number.
        unit: `count`, `share` (0 to 1) or `value` (in the project's currency).
        now: The figure of the days looked at.
        before: That of the days before.
        change: The one over the other, less 1; `low` to `high` is its 95% interval, not corrected.
        p_value: Of no change, corrected: the figures that come first among themselves, the entries among theirs.
        says: Whether it moved.
    """

    figure: str = column("figure")
    of: str = column("of")
    unit: Unit = column("unit")
    now: float | None = column("now", wording.decimal)
    before: float | None = column("before", wording.decimal)
    change: float | None = column("change", _change)
    low: float | None = column("from", _change)
    high: float | None = column("to", _change)
    p_value: float | None = column("corrected p", wording.p_value)
    says: str = column("says")


@dataclass(frozen=True)
class DailyFigure:
    """A figure on one day: a number, and what it is a share of (None where it is a plain number)."""

    event_date: date
    figure: str
    number: float
    of: float | None


@dataclass(frozen=True)
class ChangesResult(Result):
    """The key figures, in the order of the journey.

    Attributes:
        goal: The macro-conversion whose value is told.
        currency: Of `value`.
        first_date: The first day looked at; None where nothing can be held against anything.
        last_date: The last one.
        before_first_date: The first of the days before.
        days: How many days are looked at, and as many before.
        left_out: Days of either period that are not staged, or not over, with those they would be held against.
        changes: The figures.
        series: The figures day by day, of both periods.
    """

    row_type: ClassVar[type] = KeyFigureChange

    goal: str
    currency: str
    first_date: date | None
    last_date: date | None
    before_first_date: date | None
    days: int
    left_out: tuple[date, ...]
    changes: tuple[KeyFigureChange, ...]
    series: tuple[DailyFigure, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[KeyFigureChange, ...]:
        """The figures."""
        return self.changes

    def sheets(self) -> Iterator[Sheet | str]:
        """Show numbers, then shares, then value: each is written in its own way."""
        for unit, title, write in (
            ("count", "Numbers a day", wording.decimal),
            ("share", "Shares", wording.share),
            ("value", f"Value in {self.currency}, a day", wording.cents),
        ):
            rows = [row for row in self.changes if row.unit == unit]
            if rows:
                without = ("unit",) if unit == "share" else ("unit", "of")
                shown = sheet(title, rows, KeyFigureChange, without=without)
                headings = tuple(
                    replace(each, write=write) if each.label in ("now", "before") else each for each in shown.headings
                )
                yield replace(shown, headings=headings)

    def bars(self) -> tuple[Bar, ...]:
        """One bar per figure that moved: by how much."""
        return tuple(
            Bar(row.figure, abs(row.change), f"{_change(row.change)}")
            for row in self.changes
            if row.change is not None and row.says in (UP, DOWN)
        )


class Changes(Period, Question):
    """Say what changed: sessions, engagement, each micro-conversion and value, against as many days before.

    By default the last whole weeks that are staged (four, two or one) against the weeks before. A change is told only
    where it is more than days differ by anyway.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "changes",
        "changes --days 7 --format json",
        "changes --since 2024-03-01 --until 2024-03-31",
    )

    days: int | None = Field(
        default=None, ge=1, le=366, description="how many days to look at; default: 28, 14 or 7, as many as fit twice"
    )

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        spans = self._spans(context)
        project = context.config.project
        goal = context.taxonomy.counted(context.taxonomy.macros[0])
        own = context.taxonomy.entry(goal).value == "event"
        return (
            templates.query(
                "analyses/key_figures",
                params={
                    "micro_conversions": _entries(context.taxonomy),
                    "conversion": goal,
                    "currency": project.currency if own else None,
                    "assumed_currency": project.currency if own and project.assume_currency else None,
                    "first_date": spans.before,
                    "last_date": spans.last,
                },
            ),
        )

    def result(self, tables: Sequence[pa.Table], context: Context) -> ChangesResult:
        """Hold each figure against that of the days before, day by day."""
        spans, taxonomy = self._spans(context), context.taxonomy
        daily: dict[date, dict[str, int]] = {}
        for row in tables[0].to_pylist():
            daily.setdefault(row["event_date"], {})[row["figure"]] = row["number"]
        pairs, left_out = _paired(spans, daily)
        goal = taxonomy.counted(taxonomy.macros[0])
        figures = [
            *_PLAIN,
            *(_Figure(each, each, ACTORS, "share") for each in _entries(taxonomy)),
            _Figure("value", VALUE, None, "value"),
        ]
        seen = [each for each in figures if any(daily[day][each.counted] for pair in pairs for day in pair)]
        first = {*_PLAIN, _Figure(goal, goal, ACTORS, "share"), *(each for each in figures if each.unit == "value")}
        compared = [_compared(each, pairs, daily, goal) for each in seen]
        rows = _judged(compared, [each in first for each in seen])
        told = rows if pairs else ()
        return ChangesResult(
            goal=goal,
            currency=context.config.project.currency,
            first_date=spans.first if pairs else None,
            last_date=spans.last if pairs else None,
            before_first_date=spans.before if pairs else None,
            days=len(pairs),
            left_out=left_out if pairs else (),
            changes=told,
            series=tuple(
                DailyFigure(
                    day,
                    each.name,
                    numbers[each.counted] / (UNITS_OF_VALUE if each.unit == "value" else 1),
                    None if each.of is None else numbers[each.of],
                )
                for each in seen
                for day, numbers in sorted(daily.items())
            ),
            sentence=_sentence(told, spans, goal),
            assumptions=tuple(_assumptions(spans, left_out if pairs else (), goal)),
        )

    def _spans(self, context: Context) -> _Spans:
        rows = context.look_up(templates.query("operations/span"))
        first, last = (rows[0]["first_date"], rows[0]["last_complete_date"]) if rows else (None, None)
        example = templates.EXAMPLE_MOMENT.date()
        first, last = first or example, last or example
        last = min(self.until or last, last)
        length = self.days
        if length is None and self.since is not None:
            length = max((last - self.since).days + 1, 1)
        if length is None:
            fits = ((last - first).days + 1) // 2
            length = next((each for each in _LENGTHS if each <= fits), max(fits, 1))
        start = last - timedelta(days=length - 1)
        return _Spans(start - timedelta(days=length), start, last)


class _Spans(NamedTuple):
    """The first of the days before, and the first and the last of the days looked at."""

    before: date
    first: date
    last: date

    @property
    def length(self) -> int:
        return (self.last - self.first).days + 1


class _Figure(NamedTuple):
    name: str
    counted: str
    of: str | None
    unit: Unit


_PLAIN = (
    _Figure("sessions", SESSIONS, None, "count"),
    _Figure("actors", ACTORS, None, "count"),
    _Figure("engaged sessions", ENGAGED, SESSIONS, "share"),
)
_OF = {SESSIONS: "sessions", ACTORS: "actors of the day"}


def _entries(taxonomy: Taxonomy) -> list[str]:
    return sorted({entry.counts_as for entry in taxonomy.staged}, key=taxonomy.rank)


def _paired(spans: _Spans, daily: Mapping[date, Mapping[str, int]]) -> tuple[list[tuple[date, date]], tuple[date, ...]]:
    """Return pairs of a day and the one that it is held against, and what is missing of either."""
    pairs, missing = [], []
    for place in range(spans.length):
        now = spans.first + timedelta(days=place)
        before = now - timedelta(days=spans.length)
        gone = [day for day in (now, before) if day not in daily]
        if gone:
            missing += gone
        else:
            pairs.append((now, before))
    return pairs, tuple(sorted(missing))


def _compared(
    figure: _Figure, pairs: Sequence[tuple[date, date]], daily: Mapping[date, Mapping[str, int]], goal: str
) -> tuple[KeyFigureChange, Ratio | None]:
    def of(day: date) -> float:
        return float(daily[day][figure.of]) if figure.of else 1.0

    unit = UNITS_OF_VALUE if figure.unit == "value" else 1
    held = [
        DayPair(daily[now][figure.counted] / unit, of(now), daily[before][figure.counted] / unit, of(before))
        for now, before in pairs
    ]
    counted = goal if figure.unit == "value" else figure.counted
    numbers = [sum(daily[pair[place]][counted] for pair in pairs) for place in (0, 1)]
    ratio = None
    if min(numbers) >= FEWEST and len(pairs) >= _FEWEST_PAIRS:
        ratio = ratio_of_periods(held, events=(numbers[0], numbers[1]))
    few = f"not enough data: n = {wording.count(min(numbers))}"
    if len(pairs) < _FEWEST_PAIRS:
        few = f"not enough days: {len(pairs)}, at least {_FEWEST_PAIRS} are needed"
    row = KeyFigureChange(
        figure=figure.name,
        of=_OF.get(figure.of or "", ""),
        unit=figure.unit,
        now=wording.ratio(sum(each.now for each in held), sum(each.now_of for each in held)),
        before=wording.ratio(sum(each.before for each in held), sum(each.before_of for each in held)),
        change=None if ratio is None else ratio.ratio - 1,
        low=None if ratio is None else ratio.low - 1,
        high=None if ratio is None else ratio.high - 1,
        p_value=None,
        says=few if ratio is None else CHANCE,
    )
    return row, ratio


def _judged(
    found: Sequence[tuple[KeyFigureChange, Ratio | None]], comes_first: Sequence[bool]
) -> tuple[KeyFigureChange, ...]:
    """Correct the p-values, and say which moved.

    The few figures that come first are what anybody asks about, whatever else is counted: they are corrected among
    themselves (Holm), and the entries among themselves, as many as there are (Benjamini and Yekutieli).
    """
    told = [(ratio.p_value, own) for (_, ratio), own in zip(found, comes_first, strict=True) if ratio is not None]
    p_values = {
        is_first: iter(adjusted([p_value for p_value, own in told if own == is_first], how))
        for is_first, how in _CORRECTIONS.items()
    }
    rows = []
    for (row, ratio), is_first in zip(found, comes_first, strict=True):
        if ratio is None:
            rows.append(row)
            continue
        p_value = next(p_values[is_first])
        says = CHANCE if p_value > LEVEL else UP if ratio.ratio > 1 else DOWN
        rows.append(replace(row, p_value=p_value, says=says))
    return tuple(rows)


def _named(row: KeyFigureChange) -> str:
    """Say what changed: a share is not a number, though its change is as relative as that of a number."""
    if row.unit != "share":
        return row.figure
    return f"share of actors with {row.figure}" if row.of == _OF[ACTORS] else f"share of {row.figure}"


def _sentence(rows: Sequence[KeyFigureChange], spans: _Spans, goal: str) -> str:
    if not rows:
        return "Nothing can be held against days before: too few days are staged."
    told = [row for row in rows if row.change is not None]
    days = f"{wording.period(spans.first, spans.last)} against the {wording.plural(spans.length, 'day')} before"
    if not told:
        return f"{days}: {rows[0].says}."
    moved = [row for row in told if row.says in (UP, DOWN)]
    said = [f"{_named(row)} {_change(row.change)}" for row in sorted(moved, key=lambda row: row.figure != goal)]
    of_goal = next((row for row in rows if row.figure == goal), None)
    if of_goal is None:
        first = f"{goal} did not happen"
    elif of_goal.change is None:
        first = f"{_named(of_goal)}: {of_goal.says}"
    elif of_goal in moved:
        return f"{days}: {wording.listed(said)}."
    else:
        first = f"{_named(of_goal)} changed no more than days differ by anyway ({_change(of_goal.change)})"
    rest = f" Moved: {wording.listed(said)}." if said else " No other figure moved more than that."
    return f"{days}: {first}.{rest}"


def _assumptions(spans: _Spans, left_out: Sequence[date], goal: str) -> Iterator[str]:
    same = "the same weekday" if spans.length % _WEEK == 0 else "another weekday"
    yield (
        f"Each day is held against the one {wording.plural(spans.length, 'day')} before, {same}. A change is more than "
        "chance where it is more than such pairs differ by, at 5%: sessions, actors, engaged sessions, "
        f"{goal} and value corrected among themselves (Holm), all other entries among theirs (Benjamini and Yekutieli)."
    )
    yield (
        "Changes are relative: from 2.0% to 3.0% is +50.0%. From and to are the 95% interval of each figure by itself, "
        "not corrected. What it says is corrected, so a figure may be no more than chance though its interval leaves "
        "out 0."
    )
    if spans.length % _WEEK:
        yield "The days are not whole weeks: weekends may weigh more in one period than in the other."
    yield (
        "Shares of entries are of the actors of a day who did it, on average over days: who comes on two days counts "
        f"twice. Value is that of {goal}, each transaction once."
    )
    yield (
        "Only days that are over count. A change does not say why: a season, a campaign or a tag can bring it as much "
        "as the site."
    )
    if left_out:
        days = wording.listed([wording.day(each) for each in left_out])
        yield f"Not staged, or not over, and left out with the days they would be held against: {days}."
