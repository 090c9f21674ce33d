"""The audit: every check is made and timed, its rows become findings, and these are ranked by what is at stake."""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from microconv.audit import kept_findings
from microconv.audit.audit_findings import AuditFinding, AuditResult, CheckOutcome, CheckStatus, FailOn, sentence
from microconv.audit.checks import AREAS, Check, checks
from microconv.audit.inspectors import INSPECTORS, ToldFinding
from microconv.audit.joining import Fault, faults, fingerprint
from microconv.audit.judges import JUDGES, NotTestedError
from microconv.audit.supplied import Supply, values
from microconv.config.problems import nearest
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import BudgetError, ConfigError, EngineError, UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy

_SAYS_NOTHING_EMPTY = ("mc_profile",)
"""Tables without which a check that reads them has nothing to look at, so that no rows are no pass."""


@dataclass(frozen=True)
class AuditProgress:
    """How far an audit is: the check that begins, its number, and how many there are."""

    check: str
    number: int
    checks: int


@dataclass(frozen=True)
class _Made:
    """A check that was made: what became of it, what is wrong, and the SQL that shows it."""

    check: Check
    seconds: float
    faults: tuple[Fault, ...] = ()
    query: str = ""
    reason: str | None = None
    told: tuple[ToldFinding, ...] = ()


@dataclass(frozen=True)
class _Stakes:
    """The macro-conversions of each day and their value, summed up to it."""

    days: tuple[date, ...]
    macro_conversions: tuple[int, ...]
    values: tuple[float, ...]

    @classmethod
    def read(cls, engine: Engine, supply: Supply) -> _Stakes:
        rows = engine.query(at_stake_query(supply)).to_pylist()
        counts, values_ = [0], [0.0]
        for row in rows:
            counts.append(counts[-1] + row["macro_conversions"])
            values_.append(values_[-1] + (row["value"] or 0.0))
        return cls(tuple(row["event_date"] for row in rows), tuple(counts), tuple(values_))

    def of(self, fault: Fault | ToldFinding, known: int | None = None) -> tuple[int, float]:
        """Return what is at stake: macro-conversions of its days, in proportion to the share of rows concerned.

        Where the check knows how many macro-conversions these are, it is those (`known`).
        """
        first = bisect_left(self.days, fault.first_date) if fault.first_date else 0
        last = bisect_right(self.days, fault.last_date) if fault.last_date else len(self.days)
        count = self.macro_conversions[last] - self.macro_conversions[first]
        value = self.values[last] - self.values[first]
        share = min(fault.share or 0.0, 1.0)
        if known is not None:
            share = known / count if count else 0.0
            return known, round(value * min(share, 1.0), 2)
        return round(count * share), round(value * share, 2)


@dataclass(frozen=True)
class Audit:
    """What is audited, and how.

    Attributes:
        config: The configuration.
        taxonomy: The taxonomy that the tables were staged with.
        first_date: The first day to look at; None: all.
        last_date: The last day to look at; None: all.
        only: Names of checks and areas to which it is limited; empty: all.
        fail_on: The severity from which a finding stops a pipeline; None: that of the configuration.
    """

    config: Config
    taxonomy: Taxonomy
    first_date: date | None = None
    last_date: date | None = None
    only: tuple[str, ...] = ()
    fail_on: FailOn | None = None

    @cached_property
    def supply(self) -> Supply:
        """What the parameters of checks are taken from."""
        return Supply(self.config, self.taxonomy, self.first_date, self.last_date)

    @cached_property
    def chosen(self) -> tuple[Check, ...]:
        """The checks to make.

        Raises:
            UsageError: `only` names what is neither a check nor an area.
        """
        known = all_checks()
        names = {*AREAS, *(each.name for each in known)}
        for each in self.only:
            if each not in names:
                raise UsageError(
                    f"There is no check or area {each!r}{nearest(each, sorted(names))}.",
                    hint="`microconv audit list` lists them.",
                )
        return tuple(each for each in known if not self.only or {each.name, each.area} & set(self.only))

    def query(self, check: Check) -> Query:
        """Return the query of a check that is a template."""
        template = templates.load(check.template)
        given = values(template.params, self.supply, self.thresholds(check))
        return templates.query(check.template, params=given)

    def thresholds(self, check: Check) -> dict[str, float]:
        """Return the thresholds of a check: its own, with those of the configuration laid over them."""
        return {
            **{each.name: each.default for each in check.thresholds},
            **self.config.audit.thresholds.get(check.name, {}),
        }

    def run(
        self,
        engine: Engine,
        *,
        now: datetime,
        is_kept: bool = True,
        on_progress: Callable[[AuditProgress], None] = lambda _: None,
    ) -> AuditResult:
        """Make the checks.

        A check that fails is not tested, with the reason; the others are made all the same.

        Args:
            engine: Where the staged tables are.
            now: The current time, aware of its zone.
            is_kept: Whether the next audit is compared with this one.
            on_progress: Told as each check begins.

        Raises:
            UsageError: `only` names what is neither a check nor an area.
            ConfigError: The configuration names a check or threshold that there is not.
            EngineError: What is at stake cannot be read, or the audit cannot be kept.
        """
        check_thresholds(self.config)
        chosen = self.chosen
        stakes = _Stakes.read(engine, self.supply)
        made = []
        for number, check in enumerate(chosen, start=1):
            on_progress(AuditProgress(check.name, number, len(chosen)))
            made.append(self._make(check, engine, now))
        memory = kept_findings.Memory.read(engine)
        today = now.astimezone(ZoneInfo(self.config.project.timezone)).date()
        judged = memory.judge([found for each in made for found in _findings(each, stakes)], today)
        outcomes = tuple(_outcome(each, judged) for each in made)
        there = tuple(sorted(judged, key=lambda each: each.place))
        findings = (*there, *memory.gone(judged, outcomes, self.first_date, self.last_date))
        if is_kept:
            kept_findings.keep(engine, findings, outcomes, (self.first_date, self.last_date), now)
        return AuditResult(
            findings=findings,
            checks=outcomes,
            fail_on=self.fail_on or self.config.audit.fail_on,
            sentence=sentence(findings, outcomes),
            assumptions=(
                "At stake: macro-conversions of the days concerned, in proportion to the share of rows concerned.",
                "What is at stake ranks findings; it is not a loss.",
            ),
        )

    def _make(self, check: Check, engine: Engine, now: datetime) -> _Made:
        began = time.monotonic()
        query = ""
        try:
            if (look := _LOOKS.get(check.name)) is not None:
                inspection = look(engine, self.supply, now)
                return _Made(
                    check,
                    time.monotonic() - began,
                    told=inspection.findings,
                    reason=inspection.not_tested or None,
                )
            rows, query = self._rows(check, engine)
        except NotTestedError as error:
            return _Made(check, time.monotonic() - began, query=query, reason=str(error))
        except BudgetError as error:
            return _Made(check, time.monotonic() - began, reason=str(error))
        except EngineError as error:
            return _Made(check, time.monotonic() - began, reason=f"It could not be asked: {error.message}")
        return _Made(check, time.monotonic() - began, faults(rows), query)

    def _rows(self, check: Check, engine: Engine) -> tuple[Sequence[Mapping[str, Any]], str]:
        query = self.query(check)
        for table in sorted(query.reads):
            if engine.version(table) is None:
                raise NotTestedError(f"{table} is not staged yet: run `microconv sync` first.")
            if table in _SAYS_NOTHING_EMPTY and _is_empty(engine, table):
                raise NotTestedError(f"{table} has no rows: run `microconv sync`, which stages it with each day.")
        rows: list[dict[str, Any]] = engine.query(query).to_pylist()
        if check.judge is None:
            return rows, query.sql
        return JUDGES[check.judge](rows, self.thresholds(check)), query.sql


_LOOKS = {each.check.name: each.look for each in INSPECTORS}


def all_checks() -> tuple[Check, ...]:
    """Return all checks, templates and others, by area and name."""
    order = list(AREAS)
    every = (*checks(), *(each.check for each in INSPECTORS))
    return tuple(sorted(every, key=lambda each: (order.index(each.area), each.name)))


def find_check(name: str) -> Check:
    """Return a check by its name.

    Raises:
        UsageError: There is none; the message names the nearest.
    """
    known = {each.name: each for each in all_checks()}
    if name not in known:
        raise UsageError(
            f"There is no check {name!r}{nearest(name, list(known))}.", hint="`microconv audit list` lists them."
        )
    return known[name]


def check_thresholds(config: Config) -> None:
    """Refuse thresholds of `[audit.thresholds]` that no check has.

    Raises:
        ConfigError: One names a check or threshold that there is not, or cannot be it; the message names the nearest.
    """
    for name, given in config.audit.thresholds.items():
        key = f"audit.thresholds.{name}"
        try:
            check = find_check(name)
        except UsageError as error:
            raise ConfigError(f"{config.file}, key {key}: {error.message}", hint=error.hint) from None
        known = {each.name: each for each in check.thresholds}
        for threshold, value in given.items():
            problem = known[threshold].problem(value) if threshold in known else None
            if threshold not in known:
                near = nearest(threshold, list(known)) if known else ": it has none"
                problem = f"is not a threshold of this check{near}"
            if problem:
                raise ConfigError(
                    f"{config.file}, key {key}.{threshold}: {problem}.",
                    hint=f"`microconv audit show {name}` lists the thresholds of the check.",
                )


def at_stake_query(supply: Supply) -> Query:
    """Return the query of what each day brought."""
    params = {name: supply.value(name) for name in ("macro_ids", "currency")}
    return templates.query("audit/at_stake", params=params)


def examples(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of an audit: those of all checks, and what it compares with."""
    audit = Audit(config, taxonomy)
    yield None, at_stake_query(audit.supply)
    for check in checks():
        yield f"check {check.name}", audit.query(check)
    yield None, templates.query("audit/event_names")
    yield None, templates.query("audit/last_audit")
    yield None, templates.query("audit/accepted")
    yield None, _rows_of(_SAYS_NOTHING_EMPTY[0])


def _rows_of(table: str) -> Query:
    return templates.query("audit/rows_of", structure={"table": table})


def _is_empty(engine: Engine, table: str) -> bool:
    (row,) = engine.query(_rows_of(table)).to_pylist()
    return not row["rows_there"]


def _findings(made: _Made, stakes: _Stakes) -> Iterator[AuditFinding]:
    check = made.check
    for fault in made.faults:
        at_stake, value = stakes.of(fault, fault.macro_conversions)
        yield AuditFinding(
            id=fingerprint(check.name, fault.subject, fault.first_date),
            check=check.name,
            severity=check.severity,
            subject=fault.subject,
            first_date=fault.first_date,
            last_date=fault.last_date,
            count=fault.count,
            share=fault.share,
            at_stake=at_stake,
            value_at_stake=value,
            message=fault.message(check),
            remedy=check.remedy,
            query=made.query,
            status="new",
        )
    for told in made.told:
        at_stake, value = stakes.of(told)
        yield AuditFinding(
            id=fingerprint(check.name, told.subject, told.first_date),
            check=check.name,
            severity=told.severity,
            subject=told.subject,
            first_date=told.first_date,
            last_date=told.last_date,
            count=told.count,
            share=told.share,
            at_stake=at_stake,
            value_at_stake=value,
            message=told.message,
            remedy=told.remedy,
            query=told.query,
            status="new",
        )


def _outcome(made: _Made, judged: Sequence[AuditFinding]) -> CheckOutcome:
    counted = sum(each.counts and each.check == made.check.name for each in judged)
    status: CheckStatus = "failed" if counted else "not_tested" if made.reason is not None else "passed"
    return CheckOutcome(made.check.name, made.check.area, status, made.seconds, counted, made.reason or "")
