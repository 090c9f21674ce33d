"""Which entry's daily rate moves before the goal's: what can be seen coming."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.buyers import not_enough
from microconv.config.sections import Period
from microconv.config.values import EntryId
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option, Question, days
from microconv.result import Result, column, sheet
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

FEWEST_DAYS = 60
"""Days in a row below which nothing is said."""
LEVEL = 0.05
"""From what adjusted p-value on, and p-value of the forecasts, an entry does not lead."""
_FEWEST_TRIED = 20


def _answer(value: bool) -> str:
    return "yes" if value else "no"


def _p_value(value: float | None) -> str:
    return wording.NOTHING if value is None else ("<0.0001" if value < 0.0001 else wording.decimal(value, 4))  # noqa: PLR2004 - what four decimals would round to nothing


@dataclass(frozen=True)
class LeadingEntry:
    """Whether an entry's daily rate moves before the goal's; what cannot be told is None, and `says` why.

    Attributes:
        micro_conversion: The entry.
        per_day: Actors who do it on a day, on average.
        lag_days: The number of days before at which the two go together most.
        correlation: Of what pre-whitening leaves of the two rates, that many days apart (-1 to 1).
        p_value: How often chance does as much at this lag.
        adjusted: The same, with all entries and lags taken into account (Benjamini and Yekutieli).
        tried_lag: The lag that the days before the hold-out would have chosen: the one that forecasts use.
        gain: By what share forecasts of the goal get closer with it, on the hold-out; below 0 they get worse.
        forecast_p: How often chance helps as much (Clark and West).
        is_leading: Whether it passes both.
        says: Why something is not told.
    """

    micro_conversion: str = column("micro-conversion")
    per_day: float = column("actors a day", wording.decimal)
    lag_days: int | None = column("days before", wording.count)
    correlation: float | None = column("correlation", wording.cents)
    p_value: float | None = column("p", _p_value)
    adjusted: float | None = column("p, all tests", _p_value)
    tried_lag: int | None = column("days in forecasts", wording.count)
    gain: float | None = column("forecast closer by", wording.share)
    forecast_p: float | None = column("p of forecasts", _p_value)
    is_leading: bool = column("leads", _answer)
    says: str = column("says")


@dataclass(frozen=True)
class LeadingResult(Result):
    """Entries whose rate may move before the goal's: those that lead first, then by their p-value.

    Attributes:
        goal: The micro-conversion whose rate is to be seen coming.
        first_date: The first day that is looked at.
        last_date: The last one.
        days: How many days in a row these are.
        tests: How many entries and lags were looked at.
        held_out_days: The last days, of which forecasts are made.
        forecast_error: Root of the mean squared error of forecasts by the goal's own past, in logarithms of its rate.
        entries: One row each.
    """

    row_type: ClassVar[type] = LeadingEntry

    goal: str
    first_date: date | None
    last_date: date | None
    days: int
    tests: int
    held_out_days: int
    forecast_error: float | None
    entries: tuple[LeadingEntry, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[LeadingEntry, ...]:
        """The entries."""
        return self.entries

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the entries that were done at all; nothing where none can be judged for one reason, which is told."""
        seen = [row for row in self.entries if row.per_day]
        if not self.tests and len({row.says for row in seen}) <= 1:
            return
        yield sheet(
            f"What moves before {self.goal}",
            seen,
            LeadingEntry,
            without=() if not self.tests or any(row.says for row in seen) else ("says",),
            only=() if self.tests else ("micro_conversion", "per_day", "says"),
        )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per entry: how strongly its rate goes with the goal's later one."""
        return tuple(
            Bar(
                row.micro_conversion, abs(row.correlation), f"{wording.cents(row.correlation)}, {row.lag_days} d before"
            )
            for row in self.entries
            if row.correlation is not None
        )


class Leading(Period, Question):
    """Show which entry's daily rate moves before the goal's, so that a change can be seen coming.

    Needs 60 days in a row. An entry leads when its rate goes with the goal's some days later beyond chance, all entries
    and lags taken into account, and when it makes forecasts of the goal closer on the last days, held out.
    """

    options: ClassVar[Mapping[str, Option]] = {"goal": Option(metavar="ID")}
    examples: ClassVar[tuple[str, ...]] = ("leading", "leading --goal begin_checkout --lags 7 --format csv")

    goal: EntryId | None = Field(
        default=None, description="the micro-conversion whose rate is to be seen coming; default: the first macro"
    )
    lags: int = Field(default=14, ge=1, le=28, description="maximum number of days to look ahead")

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal."""
        if self.goal is not None:
            yield self.goal, "the goal of leading"

    def goal_in(self, taxonomy: Taxonomy) -> str:
        """Return the id under which the goal is staged."""
        return taxonomy.goal(self.goal)

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the one query."""
        params = {"micro_conversions": _entries(context.taxonomy), **days(self)}
        return (templates.query("analyses/insight/daily_actors", params=params),)

    def result(self, tables: Sequence[pa.Table], context: Context) -> LeadingResult:
        """Hold each entry's rate against the goal's some days later."""
        goal = self.goal_in(context.taxonomy)
        daily = _longest_run(tables[0].to_pylist(), _entries(context.taxonomy))
        entries, contest_error, filled = _judged(daily, goal, self.lags)
        told = [row for row in entries if row.adjusted is not None]
        count = len(daily.days)
        return LeadingResult(
            goal=goal,
            first_date=daily.days[0] if count else None,
            last_date=daily.days[-1] if count else None,
            days=count,
            tests=len(told) * self.lags,
            held_out_days=_held_out(count) if told else 0,
            forecast_error=contest_error,
            entries=entries,
            sentence=_sentence(entries, goal, count, len(told) * self.lags),
            assumptions=(*_assumptions(count, goal), *_of_filled(filled)),
        )


@dataclass(frozen=True)
class _Daily:
    """Counts of days in a row: actors of each entry, and sessions."""

    days: tuple[date, ...]
    actors: Mapping[str, NDArray[np.float64]]
    sessions: NDArray[np.float64]


def _entries(taxonomy: Taxonomy) -> list[str]:
    return sorted({entry.counts_as for entry in taxonomy.staged}, key=taxonomy.rank)


def _longest_run(rows: Sequence[Mapping[str, Any]], entries: Sequence[str]) -> _Daily:
    """Return the longest run of days in a row on which anybody came, the latest of those that are as long."""
    import numpy as np

    sessions = {row["event_date"]: row["sessions"] for row in rows}
    known = sorted(day for day, number in sessions.items() if number)
    runs: list[list[date]] = []
    for day in known:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    run = max(reversed(runs), key=len, default=[])
    place = {day: index for index, day in enumerate(run)}
    actors = {entry: np.zeros(len(run)) for entry in entries}
    for row in rows:
        if row["event_date"] in place:
            actors[row["micro_conversion"]][place[row["event_date"]]] = row["actors"]
    return _Daily(tuple(run), actors, np.array([float(sessions[day]) for day in run]))


def _judged(daily: _Daily, goal: str, lags: int) -> tuple[tuple[LeadingEntry, ...], float | None, dict[str, int]]:
    """Return a row for each entry but the goal, the error of forecasts without any, and how many days are filled in."""
    import numpy as np

    from microconv.stats.leading_series import forecast_contest, leads, weekday_terms
    from microconv.stats.multiplicity import adjusted

    count = len(daily.days)
    others = [entry for entry in daily.actors if entry != goal]
    enough = {entry for entry, seen in daily.actors.items() if count and float(np.median(seen)) >= 1}
    if count < FEWEST_DAYS or goal not in enough:
        why = not_enough_days(count) if count < FEWEST_DAYS else f"{goal}: {not_enough(int(daily.actors[goal].sum()))}"
        return tuple(_untold(entry, daily, why) for entry in others), None, {}
    actors, filled = _without_outages(daily, [entry for entry in daily.actors if entry in enough])
    rates = {entry: np.log((seen + 0.5) / daily.sessions) for entry, seen in actors.items()}
    terms, first = weekday_terms(daily.days), count - _held_out(count)
    candidates = [entry for entry in others if entry in enough]
    found = {entry: leads(rates[entry], rates[goal], terms, lags) for entry in candidates}
    corrected = iter(adjusted([each.p_value for entry in candidates for each in found[entry]], "by"))
    rows, error = [], None
    for entry in candidates:
        best, adjusted_p = min(
            ((each, next(corrected)) for each in found[entry]), key=lambda pair: (pair[0].p_value, pair[0].lag)
        )
        before = leads(rates[entry][:first], rates[goal][:first], terms[:first], lags)
        tried = min(before, key=lambda each: (each.p_value, each.lag)).lag
        contest = forecast_contest(rates[goal], rates[entry], terms, tried, first)
        assert contest is not None  # noqa: S101 - days are held out
        error = contest.error_without
        is_leading = adjusted_p <= LEVEL and contest.gain > 0 and contest.p_value <= LEVEL
        rows.append(
            LeadingEntry(
                entry,
                float(daily.actors[entry].mean()),
                best.lag,
                best.correlation,
                best.p_value,
                adjusted_p,
                tried,
                contest.gain,
                contest.p_value,
                is_leading,
                says="",
            )
        )
    rows.sort(key=lambda row: (not row.is_leading, row.p_value or 0.0, row.micro_conversion))
    thin = (
        _untold(entry, daily, not_enough(int(daily.actors[entry].sum()))) for entry in others if entry not in enough
    )
    return (*rows, *thin), error, filled


def _held_out(count: int) -> int:
    return max(count // 3, _FEWEST_TRIED)


def _untold(entry: str, daily: _Daily, why: str) -> LeadingEntry:
    mean = float(daily.actors[entry].mean()) if daily.days else 0.0
    return LeadingEntry(entry, mean, *(None,) * 7, is_leading=False, says=why)


def not_enough_days(count: int) -> str:
    """Say that there are too few days."""
    return f"{not_enough(count)} {'day' if count == 1 else 'days'}"


def _without_outages(daily: _Daily, entries: Sequence[str]) -> tuple[dict[str, NDArray[np.float64]], dict[str, int]]:
    """Return counts with what was expected on days on which an entry was not recorded at all, and how many these are.

    An outage of the tracking moves no rate; as a count of 0 it would outweigh all other days.
    """
    import numpy as np

    from microconv.stats.daily_counts import DailyCounts, Limits, outlying_runs

    # Other changes of a count are what is to be seen here.
    nothing_at_all = Limits(low=0.0, high=1e9)

    counts = np.array([daily.actors[entry] for entry in entries])
    if (counts > 0).all():
        return {entry: daily.actors[entry] for entry in entries}, {}
    data = DailyCounts(tuple(entries), daily.days, counts, daily.sessions, np.ones(len(daily.days), dtype=bool))
    found = {entry: daily.actors[entry].copy() for entry in entries}
    filled: dict[str, int] = {}
    for run in outlying_runs(data, nothing_at_all):
        if run.kind == "missing":
            found[run.subject][run.first : run.last + 1] = run.daily
            filled[run.subject] = filled.get(run.subject, 0) + run.last + 1 - run.first
    return found, filled


def _assumptions(count: int, goal: str) -> Iterator[str]:
    yield (
        "A rate is the actors who did it on a day per session that began on the day, in logarithms; only days that are "
        "over count, the longest run of days in a row."
    )
    if count < FEWEST_DAYS:
        yield f"Below {FEWEST_DAYS} days in a row, a lead cannot be told from chance."
        return
    held = _held_out(count)
    yield (
        "Each entry's rate is fitted by an autoregression with days of the week and a trend, and both rates are "
        "filtered by it (pre-whitening); what is left is correlated. P-values are corrected over all entries and lags "
        "(Benjamini and Yekutieli)."
    )
    yield (
        f"An entry must also make forecasts of {goal} closer: on each of the last {wording.plural(held, 'day')}, from "
        "the days before it alone, against an autoregression of the goal. Which lag forecasts use is decided on the "
        "days before these. The test is that of Clark and West."
    )
    yield "What moves first may be a sign without being the cause: both may follow something else."


def _of_filled(filled: Mapping[str, int]) -> Iterator[str]:
    if filled:
        told = [f"{entry} ({wording.plural(number, 'day')})" for entry, number in filled.items()]
        yield f"Where the tracking seems to have been down, what was expected counts: {wording.listed(told)}."


def _sentence(entries: Sequence[LeadingEntry], goal: str, count: int, tests: int) -> str:
    if count < FEWEST_DAYS:
        return (
            f"What moves before {goal} cannot be told yet: {not_enough_days(count)} in a row, and it takes "
            f"{FEWEST_DAYS} ({FEWEST_DAYS - count} more)."
        )
    if not tests:
        why = next((row.says for row in entries), "no other entry")
        return f"What moves before {goal} cannot be told: {why}."
    found = [row for row in entries if row.is_leading]
    over = f"of {wording.plural(tests, 'test')} over entries and lags, in {wording.plural(count, 'day')}"
    if not found:
        closest = entries[0]
        return (
            f"No entry's rate moves before that of {goal} beyond chance, {over}. The closest is "
            f"{closest.micro_conversion}, {wording.plural(closest.lag_days or 0, 'day')} before "
            f"(correlation {wording.cents(closest.correlation)}, "
            f"p {_p_value(closest.adjusted)} with all tests taken into account)."
        )
    said = wording.listed(
        [
            f"{row.micro_conversion} by {wording.plural(row.lag_days or 0, 'day')}"
            f"{', the other way' if (row.correlation or 0) < 0 else ''} (correlation {wording.cents(row.correlation)}, "
            f"forecasts {wording.share(row.gain)} closer)"
            for row in found
        ],
        limit=3,
    )
    return f"Moving before the rate of {goal}: {said}, {over}. That is not proof of a cause."
