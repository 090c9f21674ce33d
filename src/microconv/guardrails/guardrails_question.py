"""Do the figures that must not get worse hold? The question, and the same for whoever is about to send something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self
from zoneinfo import ZoneInfo

from pydantic import Field

from microconv import wording
from microconv.config.guardrail_settings import PER_ACTORS, PER_SESSIONS, GuardrailConfig
from microconv.config.load import find_named
from microconv.config.problems import nearest
from microconv.config.sections import Config
from microconv.config.values import FileStem
from microconv.errors import EngineError, FindingsError, UsageError
from microconv.guardrails.guardrail_states import (
    FEWEST_DAYS,
    FEWEST_UNITS,
    GuardrailState,
    counted_state,
    mean_state,
    not_measured,
)
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Context, Option, Question, ask
from microconv.result import Result
from microconv.stats.day_clusters import DayCount
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

_DAY = timedelta(days=1)
_DAYS_BEFORE = 90
"""So many days before the window are looked at for what is not seen in it."""


def _whole(value: object) -> str:
    """Write what is written already, to the right as numbers are."""
    return str(value)


@dataclass(frozen=True)
class GuardrailsResult(Result):
    """Guardrails as they are, in the order of the configuration."""

    row_type: ClassVar[type] = GuardrailState

    guardrails: tuple[GuardrailState, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[GuardrailState, ...]:
        """The guardrails."""
        return self.guardrails

    def sheets(self) -> Iterator[Sheet | str]:
        """One table, in which each figure is written as its kind is."""
        headings = (
            *(Heading("guardrail"), Heading("state"), Heading("measure")),
            *(Heading(label, _whole) for label in ("value", "95% interval", "bound", "of")),
            Heading("window"),
        )
        rows = tuple(
            (
                row.guardrail,
                row.state,
                row.measure,
                row.written(row.value),
                row.interval,
                row.limit,
                row.of_how_many,
                _window(row),
            )
            for row in self.guardrails
        )
        yield Sheet("Guardrails", headings, rows)
        for row in self.guardrails:
            if row.says:
                yield f"{row.guardrail}: {row.says}{'' if row.says.endswith(('.', '?')) else '.'}"

    def bars(self) -> tuple[Bar, ...]:
        """One bar per guardrail that is measured: its figure against the bound."""
        return tuple(
            Bar(row.guardrail, abs(row.value / row.bound), f"{row.written(row.value)}, {row.limit}")
            for row in self.guardrails
            if row.value is not None and row.bound
        )


class Guardrails(Question):
    """Say whether the figures that must not get worse hold: bounces, refunds, complaints, page speed and others.

    What is measured is configured under [[guardrails]]. The state follows from the 95% interval: breached when all of
    it lies beyond the bound, ok when none of it does, else warning; not measured when data are missing, too few or old.
    """

    options: ClassVar[Mapping[str, Option]] = {"guardrail": Option(is_argument=True, metavar="[NAME]")}
    examples: ClassVar[tuple[str, ...]] = ("guardrails", "guardrails bounce --as-of 2024-03-04 --format json")

    guardrail: FileStem | None = Field(default=None, description="only this guardrail; default: all")
    as_of: datetime | None = Field(default=None, description="judge as of this moment; default: now")
    check: bool = Field(default=False, description="exit with 1 when a guardrail is breached or cannot be measured")

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield the question where there are guardrails."""
        if config.guardrails:
            yield cls()

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return those of each guardrail that has any days."""
        return tuple(query for each in self._windows(context) for query in each.queries)

    def result(self, tables: Sequence[pa.Table], context: Context) -> GuardrailsResult:
        """Judge each guardrail by its days."""
        rows = iter([table.to_pylist() for table in tables])
        windows = self._windows(context)
        states = tuple(each.state([next(rows) for _ in each.queries]) for each in windows)
        return GuardrailsResult(states, _sentence(states), tuple(_assumptions(windows, context.config)))

    def stop(self, result: Result) -> FindingsError | None:
        """Stop where that was asked for, and a guardrail does not hold."""
        stopping = [row for row in result.rows if row.stops] if self.check else []
        if not stopping:
            return None
        return FindingsError(
            f"{wording.plural(len(stopping), 'guardrail')} not held: {'; '.join(row.words for row in stopping)}.",
            hint="What names them is not sent; docs/guardrails.md says what to do.",
        )

    def _windows(self, context: Context) -> list[_Window]:
        config = context.config
        if not config.guardrails:
            raise UsageError(
                "The configuration has no [[guardrails]], so there is nothing to measure.",
                hint="Add one: docs/guardrails.md says how.",
            )
        chosen = config.guardrails
        if self.guardrail is not None:
            chosen = (find_named(config.guardrails, self.guardrail, "guardrail"),)
        moment = self.as_of or datetime.now(tz=UTC)
        today = moment.astimezone(ZoneInfo(config.project.timezone)).date()
        return [_Window(each, context, today) for each in chosen]


class _Window:
    """The days that a guardrail is measured on, the queries of what happened on them, and what follows."""

    def __init__(self, config: GuardrailConfig, context: Context, today: date) -> None:
        self.config, self.context, self.today = config, context, today
        self.why = ""
        self.last = self._last()
        self.first = None if self.last is None else self.last - (config.days - 1) * _DAY

    @property
    def queries(self) -> tuple[Query, ...]:
        """The queries; none where nothing is known at all."""
        if self.last is None or self.first is None:
            return ()
        if self.config.external is None:
            return (self._counted(self.first, self.last),)
        metric = metric_days(self.config, self.first, self.last)
        return (metric,) if self.config.per is None else (metric, self._counted(self.first, self.last))

    def state(self, answers: Sequence[Sequence[Mapping[str, Any]]]) -> GuardrailState:
        """Return what the guardrail is, by the rows of its queries."""
        config = self.config
        if self.first is None or self.last is None:
            return not_measured(config, self.why)
        window = self.first, self.last
        age = (self.today - self.last).days
        if age * 86_400 > config.max_age.seconds:
            why = (
                f"the last day known is {self.last}, {wording.plural(age, 'day')} ago; max_age is "
                f"{wording.span(config.max_age.seconds)}"
            )
            return not_measured(config, why, first_date=self.first, last_date=self.last)
        if config.external is not None:
            return self._external(answers, window)
        (rows,) = answers
        days = [DayCount(row["event_date"], row["counted"], row["units"]) for row in rows]
        within = [each for each in days if each.day >= self.first]
        before = [each for each in days if each.day < self.first]
        actors = rows[0]["actors"] if rows else 0
        return counted_state(
            config,
            within,
            window,
            actors=actors if config.per == PER_ACTORS else None,
            before=None
            if config.metric
            else (sum(each.counted for each in before), sum(each.units for each in before)),
        )

    def _external(self, answers: Sequence[Sequence[Mapping[str, Any]]], window: tuple[date, date]) -> GuardrailState:
        values = answers[0]
        differing = sum(bool(row["differing"]) for row in values)
        says = (
            f"On {wording.plural(differing, 'day')} files give different values; their mean counts."
            if differing
            else ""
        )
        if self.config.per is None:
            return mean_state(self.config, [(row["event_date"], row["mean"]) for row in values], window, says)
        totals = {row["event_date"]: row["total"] for row in values}
        days = [
            DayCount(row["event_date"], totals[row["event_date"]], row["units"])
            for row in answers[1]
            if row["event_date"] in totals
        ]
        actors = answers[1][0]["actors"] if answers[1] else 0
        return counted_state(self.config, days, window, actors=actors if self.config.per == PER_ACTORS else None)

    def _counted(self, first: date, last: date) -> Query:
        taxonomy = self.context.taxonomy
        return counted_days(self.config, taxonomy, first, last)

    def _last(self) -> date | None:
        """Return the last day that is known, and note why where there is none."""
        look_up, config = self.context.look_up, self.config
        example = None if self.context.open_engine is not None else templates.EXAMPLE_MOMENT.date()
        known: list[date | None] = []
        if config.external is None or config.per is not None:
            rows = look_up(last_day(self.today))
            known.append(rows[0]["last_date"] if rows else example)
            self.why = "no day is staged whose numbers are final" if known[-1] is None else ""
        if config.external is not None:
            known.append(self._last_value(look_up(last_metrics(self.today)), example))
        for name in self._external_names():
            rows = look_up(last_external_events([*name], self.today))
            found = max((row["last_date"] for row in rows), default=example)
            known.append(found)
            if found is None:
                self.why = f"no row of {' or '.join(name)} was ever read from a table of [[external_events]]"
        return None if None in known else min(each for each in known if each is not None)

    def _last_value(self, rows: Iterable[Mapping[str, Any]], example: date | None) -> date | None:
        wanted = self.config.external, self.config.dimension or ""
        of_name = {(row["name"], row["dimension"]): row["last_date"] for row in rows}
        if wanted in of_name:
            found: date = of_name[wanted]
            return found
        what = f"no value of {self.config.external} was ever read from a table of [[external_metrics]]"
        dimensions = sorted(dimension for name, dimension in of_name if name == wanted[0])
        if dimensions:
            shown = wording.listed([each or "none" for each in dimensions])
            self.why = f"{what} for the dimension {self.config.dimension or 'none'}; there are {shown}"
        else:
            known = sorted({name for name, _ in of_name})
            self.why = f"{what}{nearest(wanted[0] or '', known) if known else ''}"
        return example

    def _external_names(self) -> Iterator[tuple[str, ...]]:
        """Yield the names of other systems' events that are counted: what these tables do not tell is not known."""
        taxonomy = self.context.taxonomy
        for entry_id in (self.config.entry, self.config.per):
            if entry_id in (None, PER_SESSIONS, PER_ACTORS):
                continue
            counted = taxonomy.counted(entry_id or "")
            names = sorted(
                {name for each in taxonomy.external_entries if each.counts_as == counted for name in each.external}
            )
            if names:
                yield tuple(names)


def last_day(until: date) -> Query:
    """Return the query of the last staged day whose numbers are final."""
    return templates.query("guardrails/last_day", params={"until": until})


def last_metrics(until: date) -> Query:
    """Return the query of the last day of each metric of other systems."""
    return templates.query("guardrails/last_metrics", params={"until": until})


def last_external_events(names: Sequence[str], until: date) -> Query:
    """Return the query of until when it is known what happened of other systems' events."""
    return templates.query("guardrails/last_external_events", params={"names": list(names), "until": until})


def metric_days(config: GuardrailConfig, first: date, last: date) -> Query:
    """Return the query of a metric of another system by day."""
    days: dict[str, Value] = {"first_date": first, "last_date": last}
    of: dict[str, Value] = {"name": config.external, "dimension": config.dimension or ""}
    return templates.query("guardrails/metric_days", params={**of, **days})


def counted_days(config: GuardrailConfig, taxonomy: Taxonomy, first: date, last: date) -> Query:
    """Return the query of what a guardrail counts by day, and what it is counted per."""
    params: dict[str, Value] = {"first_date": first, "last_date": last}
    if config.entry is not None or config.event is not None:
        params["counted"] = taxonomy.counted(config.entry) if config.entry else config.event
        params["first_date"] = first - _DAYS_BEFORE * _DAY
    per = "entry"
    if config.per in (None, PER_SESSIONS, PER_ACTORS):
        per = config.per or PER_SESSIONS
    else:
        params["per"] = taxonomy.counted(config.per or "")
    if per == PER_ACTORS:
        params["window_date"] = first
    counted = {"bounce_rate": "bounced", "engagement_rate": "engaged"}.get(config.metric or "")
    counted = counted or ("entry" if config.entry else "event" if config.event else "nothing")
    return templates.query("guardrails/counted_days", params=params, structure={"counted": counted, "per": per})


def guardrail_state(name: str, context: Context, now: datetime) -> GuardrailState:
    """Say what a guardrail is now, for whoever is about to send something, shows it, or reads an experiment.

    What the engine refuses to answer is not measured, and raises nothing.

    Args:
        name: The name of a guardrail of the configuration.
        context: What is asked within; several guardrails may share it.
        now: The current time, aware of its zone.

    Raises:
        UsageError: There is no such guardrail.
    """
    config = find_named(context.config.guardrails, name, "guardrail")
    try:
        result = ask(Guardrails(guardrail=name, as_of=now), context)
    except EngineError as error:
        return not_measured(config, f"it could not be asked: {error.message}")
    state: GuardrailState
    (state,) = result.rows
    return state


def examples(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries that a configuration with a guardrail of each kind would make."""
    context = Context(config, taxonomy)
    day = templates.EXAMPLE_MOMENT.date()
    yield None, last_day(day)
    yield None, last_metrics(day)
    yield None, last_external_events(["a name"], day)
    some = (
        GuardrailConfig(name="example", metric="bounce_rate", at_most=0.5),
        GuardrailConfig(name="example", event="exception", per=PER_ACTORS, at_most=0.5),
        GuardrailConfig(name="example", external="complaints", per=PER_SESSIONS, at_most=0.5),
    )
    for each in some:
        yield from ((None, query) for query in _Window(each, context, day).queries)


def _window(state: GuardrailState) -> str:
    if state.last_date is None:
        return ""
    return f"{wording.plural(state.days, 'day')} to {state.last_date}" if state.days else f"ends {state.last_date}"


def _sentence(states: Sequence[GuardrailState]) -> str:
    of = {
        state: [row.guardrail for row in states if row.state == state]
        for state in ("breached", "not measured", "warning")
    }
    total = wording.plural(len(states), "guardrail")
    said = [
        f"{wording.count(len(names))} {words} ({wording.listed(names)})"
        for names, words in (
            (of["breached"], "breached"),
            (of["not measured"], "not measured"),
            (of["warning"], "near the bound"),
        )
        if names
    ]
    if not said:
        return f"{total}: {'it holds' if len(states) == 1 else 'all hold'}."
    stops = " What names one that is breached or not measured is not sent." if any(row.stops for row in states) else ""
    return f"{total}: {', '.join(said)}.{stops}"


def _assumptions(windows: Sequence[_Window], config: Config) -> Iterator[str]:
    yield (
        "Breached: the whole 95% interval lies beyond the bound. Warning: the bound lies within the interval. Ok: the "
        "whole interval is on the good side of the bound."
    )
    kinds = [each.config for each in windows]
    if any(each.external is None or each.per for each in kinds):
        yield (
            "Only staged days whose numbers are final count. Intervals of shares are Wilson's and those of rates exact "
            "Poisson ones, widened by how much changes from one day to the next; a level that lasts is no chance."
        )
    if any(each.external and not each.per for each in kinds):
        yield "Daily values: their mean, with an interval by how much changes from one day to the next."
    yield (
        f"Not measured: under {FEWEST_DAYS} days with figures, under {FEWEST_UNITS} units, a last day older than "
        "max_age of the guardrail, or nothing seen of what was seen before."
    )
    yield f"Days are those of {config.project.timezone}."
