"""Guardrails of staged rows: what each kind counts, since when it is known, and what mistakes in them are told."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asking import answer
from config_files import MINIMAL, problem
from microconv.audit.tracking_audit import Audit
from microconv.config.sections import Config
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import UsageError
from microconv.guardrails.guardrail_states import GuardrailState
from microconv.guardrails.guardrails_question import Guardrails
from microconv.taxonomy import MicroConversion, Taxonomy
from staged_rows import DAY, IN_MEMORY, Row, day, entry, occurrence, session, shard, staged

DAYS = 14
AS_OF = datetime(2024, 3, DAYS + 2, 12, tzinfo=UTC)
_COMPLAINT = MicroConversion.model_validate(
    {"id": "complaint", "name": "Complaint", "external": "complaint", "kind": "secondary", "stage": "post_sale"}
)
TAXONOMY = Taxonomy(
    "t",
    "1.0",
    (entry("purchase"), entry("refund"), _COMPLAINT, entry("never")),
)


def configured(toml: str) -> Config:
    document = {"project": {"timezone": "UTC"}, "sources": [{"property": "p", "path": "/events_*"}]}
    return Config.model_validate(
        {**document, "file": Path("/no.toml"), **tomllib.loads(toml)}, context={"folder": Path("/")}
    )


def metric(number: int, value: float, **columns: Any) -> Row:
    row = {"property": "p", "day": day(number), "name": "speed", "value": value, "dimension": "", "reading": "m"}
    return row | columns


def told(number: int, name: str) -> Row:
    return {"property": "p", "event_date": day(number), "name": name, "source": "desk", "reading": "e", "line": number}


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    """On each of 14 days 10 sessions of 10 actors, 3 of which bounce; 5 purchases; a refund; a metric of 2 or 3."""
    days = range(1, DAYS + 1)
    places = [(number, (number - 1) * DAY) for number in days]
    with staged(
        IN_MEMORY,
        mc_shards=[shard(number, events=100, is_day_over=True) for number in days],
        mc_sessions=[
            session(
                at + actor, number * 100 + actor, "Direct", actor=actor, is_engaged=actor >= 3, session_date=day(number)
            )
            for number, at in places
            for actor in range(10)
        ],
        mc_micro_conversions=[
            occurrence(at + place, name, client=place)
            for number, at in places
            for place, name in enumerate(["purchase"] * 5 + ["refund"] + (["complaint"] if number == 3 else []))
        ],
        mc_external_metrics=[metric(number, 2 + number % 2) for number in days],
        mc_external_events=[told(number, "complaint" if number == 3 else "ticket") for number in range(3, 11)],
        mc_external_files=[
            {"kind": "metrics", "source": "ops", "file": "ops.csv", "reading": "m"},
            {"kind": "events", "source": "desk", "file": "desk.csv", "reading": "e"},
        ],
    ) as opened:
        yield opened


def state(engine: DuckDBEngine, keys: str, as_of: datetime = AS_OF) -> GuardrailState:
    config = configured(f'[[guardrails]]\nname = "one"\ndays = {DAYS}\n{keys}')
    (found,) = answer(engine, Guardrails(as_of=as_of), TAXONOMY, config).rows
    return found


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ('metric = "bounce_rate"\nat_most = 0.5', (0.3, 42, 140, "ok")),
        ('metric = "engagement_rate"\nat_least = 0.9', (0.7, 98, 140, "breached")),
        ('entry = "refund"\nper = "purchase"\nat_most = 0.05', (0.2, 14, 70, "breached")),
        ('entry = "refund"\nper = "sessions"\nat_most = 0.1', (0.1, 14, 140, "warning")),
    ],
    ids=["bounce", "engagement", "refunds", "per session"],
)
def test_what_is_counted_over_what(engine, keys, expected):
    found = state(engine, keys)

    assert (found.value, found.counted, found.units, found.state) == pytest.approx(expected)
    assert (found.days, found.first_date, found.last_date) == (DAYS, day(1), day(DAYS))


def test_per_actors_each_counts_once(engine):
    """Ten actors in all are too few to say anything; of sessions there are 140."""
    found = state(engine, 'entry = "refund"\nper = "actors"\nat_most = 9')

    assert (found.state, found.says) == ("not measured", "not enough data: n = 10 actors on 14 days")


def test_mean_of_a_metric_of_another_system(engine):
    found = state(engine, 'external = "speed"\nat_most = 4')

    assert (found.value, found.units, found.kind, found.state) == (2.5, None, "mean", "ok")


def test_metric_of_another_system_per_session(engine):
    found = state(engine, 'external = "speed"\nper = "sessions"\nat_most = 4')

    assert (found.value, found.units, found.measure) == (0.25, 140, "speed per session")


def test_window_ends_on_the_last_day_that_is_known_of_each_source(engine):
    """The help desk's table ends on day 10: nobody knows of complaints after it."""
    found = state(engine, 'entry = "complaint"\nper = "sessions"\nat_most = 0.5')

    assert (found.last_date, found.counted, found.units) == (day(10), 1, 100)


@pytest.mark.parametrize(
    ("keys", "last"),
    [
        ('metric = "bounce_rate"', day(DAYS)),
        ('external = "speed"', day(DAYS)),
        ('entry = "complaint"\nper = "sessions"', day(10)),
    ],
    ids=["export", "metric", "events"],
)
def test_last_day_that_is_too_old_is_not_measured_and_says_which(engine, keys, last: date):
    on_the_edge = datetime(last.year, last.month, last.day, 12, tzinfo=UTC) + timedelta(days=7)
    keys = f"{keys}\nat_most = 0.9"

    assert state(engine, keys, on_the_edge).state != "not measured"
    found = state(engine, keys, on_the_edge + timedelta(days=1))
    assert found.says == f"the last day known is {last}, 8 days ago; max_age is 7 days"


def test_days_after_the_moment_are_not_looked_at(engine):
    found = state(engine, 'metric = "bounce_rate"\nat_most = 0.9', datetime(2024, 3, 7, 12, tzinfo=UTC))

    assert (found.last_date, found.units) == (day(7), 70)


def test_what_was_never_seen_is_not_measured(engine):
    never = state(engine, 'entry = "never"\nper = "sessions"\nat_most = 0.1')
    event = state(engine, 'event = "exception"\nper = "sessions"\nat_most = 0.1')

    assert "never was not seen once" in never.says
    assert "exception was not seen once" in event.says


def test_metric_that_there_is_not_names_the_nearest(engine):
    found = state(engine, 'external = "sped"\nat_most = 0.1')

    assert found.state == "not measured"
    assert "no value of sped was ever read" in found.says
    assert "speed" in found.says


def test_dimension_that_there_is_not_names_those_there_are(engine):
    found = state(engine, 'external = "speed"\ndimension = "DE"\nat_most = 0.1')

    assert "for the dimension DE; there are none" in found.says


def test_nothing_staged_is_not_measured():
    with staged(IN_MEMORY) as empty:
        found = state(empty, 'metric = "bounce_rate"\nat_most = 0.1')

    assert (found.state, found.says) == ("not measured", "no day is staged whose numbers are final")


def test_without_guardrails_there_is_nothing_to_ask(engine):
    with pytest.raises(UsageError, match=r"no \[\[guardrails\]\]"):
        answer(engine, Guardrails(), TAXONOMY)


def test_sentence_counts_states_and_says_what_follows(engine):
    config = configured(
        '[[guardrails]]\nname = "a"\nmetric = "bounce_rate"\nat_most = 0.1\n'
        '[[guardrails]]\nname = "b"\nmetric = "bounce_rate"\nat_most = 0.3\n'
        '[[guardrails]]\nname = "c"\nentry = "never"\nper = "sessions"\nat_most = 0.3\n'
        '[[guardrails]]\nname = "d"\nmetric = "bounce_rate"\nat_most = 0.9\n'
    )

    every = answer(engine, Guardrails(as_of=AS_OF), TAXONOMY, config)
    last = answer(engine, Guardrails(guardrail="d", as_of=AS_OF), TAXONOMY, config)

    assert every.sentence == (
        "4 guardrails: 1 breached (a), 1 not measured (c), 1 near the bound (b). What names one that is breached or "
        "not measured is not sent."
    )
    assert last.sentence == "1 guardrail: it holds."
    stop = Guardrails(check=True).stop(every)
    assert stop is not None
    assert stop.exit_code == 1
    assert Guardrails(check=True).stop(last) is None
    assert Guardrails().stop(every) is None


def test_audit_shows_guardrails_as_findings_by_their_state(engine):
    config = configured(
        '[[guardrails]]\nname = "a"\nmetric = "bounce_rate"\nat_most = 0.1\n'
        '[[guardrails]]\nname = "b"\nmetric = "bounce_rate"\nat_most = 0.3\n'
        '[[guardrails]]\nname = "c"\nentry = "never"\nper = "sessions"\nat_most = 0.3\n'
        '[[guardrails]]\nname = "d"\nmetric = "bounce_rate"\nat_most = 0.9\n'
    )

    result = Audit(config, TAXONOMY, only=("guardrails",)).run(engine, now=AS_OF)

    assert [(each.subject, each.severity) for each in result.findings] == [
        ("a", "error"),
        ("c", "warning"),
        ("b", "note"),
    ]
    assert result.findings[0].message.startswith("Guardrail a is breached: bounce rate 30.0% (95% interval ")
    assert not result.passed


def test_audit_without_guardrails_says_that_none_is_configured(engine):
    result = Audit(configured(""), TAXONOMY, only=("guardrails",)).run(engine, now=AS_OF)

    assert [(each.status, each.reason) for each in result.checks] == [
        ("not_tested", "No guardrails are configured: [[guardrails]] says what must not get worse.")
    ]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("at_most = 0.5", "guardrails[0].metric"),
        ('metric = "bounce_rate"', "at_most"),
        ('metric = "bounce_rate"\nat_most = 55', "write 0.55 for 55%"),
        ('metric = "bounce_rate"\nat_most = 0.5\nat_least = 0.1', "cannot be given beside at_most"),
        ('metric = "bounce_rate"\nentry = "refund"\nat_most = 0.5', "cannot be given beside metric"),
        ('metric = "bounce_rate"\nper = "sessions"\nat_most = 0.5', "is not a key of metric"),
        ('entry = "refund"\nat_most = 0.5', "per"),
        ('entry = "refund"\nper = "purchase"\ndimension = "DE"\nat_most = 0.5', "is a key of external"),
        ('entry = "refund"\nper = "purchase"\nat_most = -1', "is below 0"),
        ('metric = "bounce_rate"\nat_most = 0.5\ndays = 3', "days"),
    ],
)
def test_mistake_in_a_guardrail_is_told_with_its_key(tmp_path: Path, keys: str, said: str):
    assert said in problem(tmp_path, f'{MINIMAL}\n[[guardrails]]\nname = "one"\n{keys}\n')


@pytest.mark.parametrize("section", ["[push]", '[[segments]]\nname = "s"\nrule = { did = "purchase", within = "9d" }'])
def test_name_of_no_guardrail_is_told_with_the_nearest(tmp_path: Path, section: str):
    bounce = '[[guardrails]]\nname = "bounce"\nmetric = "bounce_rate"\nat_most = 0.5'

    said = problem(tmp_path, f'{MINIMAL}\n{bounce}\n{section}\nguardrails = ["bounc"]\n')

    assert "names no guardrail of [[guardrails]]" in said
    assert '"bounce"' in said
