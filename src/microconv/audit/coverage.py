"""Does the tracking record, day by day, what the taxonomy names?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from microconv import wording
from microconv.config.sections import Period
from microconv.errors import FindingsError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Question, days
from microconv.result import Result, column, sheet
from microconv.taxonomy.entry import MicroConversion
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

CoverageStatus = Literal["ok", "low", "missing"]

# A Poisson count of 10 is zero once in 22,000 days, one of 20 below 5 once in 59,000: chance alone raises no alarm.
MISSING_FROM_EXPECTED = 10
LOW_FROM_EXPECTED = 20
LOW_SHARE = 0.25
_OF_OTHER_SYSTEMS = "Events of other systems do not follow the traffic: no day of theirs is an outage."
_DERIVED = "Derived entries follow what they are made of, also on days before: no day of theirs is an outage."


def _whole(number: float) -> str:
    return wording.decimal(number, 0)


@dataclass(frozen=True)
class CoverageDay:
    """One micro-conversion on one day: what happened, and what its share of traffic on other days lets one expect.

    `event_rows` are the events of the occurrences: more of them where the taxonomy takes repeats for one (`collapse`).
    """

    event_date: date = column("day")
    micro_conversion: str = column("micro-conversion")
    occurrences: int = column("occurrences", wording.count)
    event_rows: int = column("rows", wording.count)
    actors: int = column("actors", wording.count)
    expected: float = column("expected", wording.decimal)
    status: CoverageStatus = column("status")


@dataclass(frozen=True)
class Outage:
    """Consecutive days on which a micro-conversion was missing or far below what was expected."""

    micro_conversion: str = column("micro-conversion")
    first_date: date = column("first day")
    last_date: date = column("last day")
    days: int = column("days", wording.count)
    occurrences: int = column("seen", wording.count)
    expected: float = column("expected", _whole)
    status: CoverageStatus = column("status")


@dataclass(frozen=True)
class CoverageResult(Result):
    """Daily coverage of the taxonomy: every staged day of the period for every entry, zeros included."""

    row_type: ClassVar[type] = CoverageDay

    first_date: date | None
    last_date: date | None
    days: tuple[CoverageDay, ...]
    outages: tuple[Outage, ...]
    never_seen: tuple[str, ...]
    sentence: str = ""
    assumptions: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[CoverageDay, ...]:
        """The days of every entry."""
        return self.days

    def by_entry(self) -> Iterator[tuple[str, list[CoverageDay]]]:
        """Yield the days of each micro-conversion that was seen."""
        for name, days_of_entry in groupby(self.days, key=lambda each: each.micro_conversion):
            if name not in self.never_seen:
                yield name, list(days_of_entry)

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the totals of each micro-conversion, then the outages."""
        if self.first_date is None:
            return
        yield Sheet(
            f"Coverage from {self.first_date} to {self.last_date}",
            (
                Heading("micro-conversion"),
                Heading("occurrences", wording.count),
                Heading("rows", wording.count),
                Heading("days seen", str),
                Heading("days with an outage", lambda number: wording.count(number) if number else ""),
            ),
            tuple(
                (
                    name,
                    sum(each.occurrences for each in of_entry),
                    sum(each.event_rows for each in of_entry),
                    f"{sum(each.occurrences > 0 for each in of_entry)} of {len(of_entry)}",
                    sum(each.status != "ok" for each in of_entry),
                )
                for name, of_entry in self.by_entry()
            ),
        )
        if self.outages:
            yield sheet("Outages", self.outages, Outage)
        if self.never_seen:
            yield f"Never seen: {', '.join(self.never_seen)}."

    def bars(self) -> tuple[Bar, ...]:
        """One bar per micro-conversion that was seen: the share of days without an outage."""
        shares = {
            name: sum(each.status == "ok" for each in of_entry) / len(of_entry) for name, of_entry in self.by_entry()
        }
        return tuple(Bar(name, of, wording.share(of)) for name, of in shares.items())


class Coverage(Period, Question):
    """Compare each micro-conversion on each day with what the day's traffic lets one expect.

    An outage is a run of days on which a micro-conversion was missing, or far below its usual share of the traffic.
    JSON and CSV hold every day; the tables hold the totals and the outages. A day is compared with all other staged
    days, whatever the period.
    """

    examples: ClassVar[tuple[str, ...]] = (
        "coverage",
        "coverage --since 2024-03-01 --format csv",
        "coverage --fail-on-outage",
    )

    fail_on_outage: bool = Field(default=False, description="exit with 1 when there is an outage")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query; deprecated entries are left out."""
        ids = [entry.id for entry in context.taxonomy.entries if not entry.is_retired]
        return (templates.query("audit/coverage", params={"micro_conversions": ids, **days(self)}),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> CoverageResult:
        """Tell days with an outage from the others, and join those that follow each other.

        A day is `missing` when nothing was seen and at least 10 were expected, `low` when less than a quarter of at
        least 20 was seen. A provisional day is never `low`: what people do differs by the hour, and that day is not
        over. Neither events of other systems nor derived entries follow the traffic of their day, so that no day of
        theirs is an outage. Days come by entry in the order of the taxonomy, then by date.
        """
        (table,) = tables
        external = {entry.id for entry in context.taxonomy.external_entries}
        derived = {each.id for each in context.taxonomy.derived}
        found = tuple(
            _day(row, follows_traffic=row["micro_conversion"] not in external | derived) for row in table.to_pylist()
        )
        dates = [each.event_date for each in found]
        by_entry = {name: tuple(of_entry) for name, of_entry in groupby(found, key=lambda each: each.micro_conversion)}
        never_seen = [name for name, of_entry in by_entry.items() if not any(each.occurrences for each in of_entry)]
        bought = [
            each for each in by_entry if each not in never_seen and _has_transactions(context.taxonomy.entry(each))
        ]
        outages = tuple(outage for of_entry in by_entry.values() for outage in _outages(of_entry))
        return CoverageResult(
            first_date=min(dates, default=None),
            last_date=max(dates, default=None),
            days=found,
            outages=outages,
            never_seen=tuple(never_seen),
            sentence=_sentence(dates, outages),
            assumptions=(
                "Expected: the median share of a day's events on all other staged days, times the events of the day.",
                f"Missing: none seen and at least {MISSING_FROM_EXPECTED} expected.",
                f"Low: under {LOW_SHARE:.0%} of at least {LOW_FROM_EXPECTED} expected; a provisional day is never low.",
                *([_OF_OTHER_SYSTEMS] if external else []),
                *([_DERIVED] if derived else []),
                *([_repeated(bought)] if bought else []),
            ),
        )

    def stop(self, result: Result) -> FindingsError | None:
        """Stop on an outage where that was asked for."""
        if not (self.fail_on_outage and isinstance(result, CoverageResult) and result.outages):
            return None
        names = sorted({outage.micro_conversion for outage in result.outages})
        return FindingsError(
            f"Outages of {', '.join(names)}: {len(result.outages)} in all.",
            hint="Check the tracking of those days; `microconv coverage` lists them.",
        )


def _has_transactions(entry: MicroConversion) -> bool:
    """Whether its occurrences can carry a transaction id."""
    named = {*entry.identifiers, *(each.name for each in entry.parameters)}
    return entry.value == "event" or "transaction_id" in named


def _repeated(entries: Sequence[str]) -> str:
    return (
        f"Occurrences are what was recorded: one more with the same transaction id ({wording.listed(entries)}) counts "
        "again here, and only once, at the earliest, in funnels, attribution and segments."
    )


def _sentence(dates: Sequence[date], outages: Sequence[Outage]) -> str:
    if not dates:
        return "No day of this period is staged."
    if not outages:
        return f"No outage in {wording.plural(len(set(dates)), 'day')}."
    names = wording.listed(tuple(dict.fromkeys(outage.micro_conversion for outage in outages)))
    return f"{wording.plural(len(outages), 'outage')}: {names}."


def _day(row: Mapping[str, Any], *, follows_traffic: bool) -> CoverageDay:
    return CoverageDay(
        event_date=row["event_date"],
        micro_conversion=row["micro_conversion"],
        occurrences=row["occurrences"],
        event_rows=row["event_rows"],
        actors=row["actors"],
        expected=row["expected"],
        status=_status(row["occurrences"], row["expected"], is_provisional=row["is_provisional"])
        if follows_traffic
        else "ok",
    )


def _status(occurrences: int, expected: float, *, is_provisional: bool) -> CoverageStatus:
    if occurrences == 0 and expected >= MISSING_FROM_EXPECTED:
        return "missing"
    if occurrences < LOW_SHARE * expected and expected >= LOW_FROM_EXPECTED and not is_provisional:
        return "low"
    return "ok"


def _outages(days: Sequence[CoverageDay]) -> Iterator[Outage]:
    """Join neighbouring staged days that are not ok; a day nobody staged neither ends nor lengthens an outage."""
    for is_ok, group in groupby(days, key=lambda day: day.status == "ok"):
        if is_ok:
            continue
        run = tuple(group)
        occurrences = sum(day.occurrences for day in run)
        yield Outage(
            micro_conversion=run[0].micro_conversion,
            first_date=run[0].event_date,
            last_date=run[-1].event_date,
            days=len(run),
            occurrences=occurrences,
            expected=sum(day.expected for day in run),
            status="low" if occurrences else "missing",
        )
