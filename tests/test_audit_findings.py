"""An audit of staged rows: what is found, how it is ranked, and what becomes of it from one audit to the next."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from asking import CONFIG
from microconv.audit import tracking_audit
from microconv.audit.audit_findings import AuditFinding, AuditResult
from microconv.audit.inspectors import Inspection, ToldFinding
from microconv.audit.kept_findings import Memory, accept, take_back
from microconv.audit.tracking_audit import Audit, all_checks, check_thresholds
from microconv.config.sections import AuditConfig
from microconv.engines.base import DeleteDays
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import ConfigError, EngineError, UsageError
from microconv.findings import Severity
from microconv.staging import mc_tables
from microconv.taxonomy import Taxonomy
from staged_rows import DAY, IN_MEMORY, day, entry, fill, occurrence, shard, staged

NOW = datetime(2024, 4, 1, 12, tzinfo=UTC)
TAXONOMY = Taxonomy("t", "1.0", (entry("purchase", value=5.0),))


def audited(engine: DuckDBEngine, later: int = 0, audit: Audit | None = None) -> AuditResult:
    """Audit the days that are missing, some days later."""
    chosen = audit or Audit(CONFIG, TAXONOMY, only=("missing_days",))
    return chosen.run(engine, now=NOW + timedelta(days=later))


def forget(engine: DuckDBEngine, *days: int) -> None:
    """Take days out of what is staged."""
    engine.apply([DeleteDays(mc_tables.SHARDS, "p", tuple(map(day, days)))])


@pytest.fixture
def engine() -> Iterator[DuckDBEngine]:
    """Ten days are staged, but for the fourth and fifth; 3 purchases a day."""
    with staged(
        IN_MEMORY,
        mc_shards=[shard(number, events=100) for number in range(1, 11) if number not in (4, 5)],
        mc_micro_conversions=[
            occurrence((number - 1) * DAY + place, "purchase", client=place, value=5.0)
            for number in range(1, 11)
            for place in range(3)
        ],
    ) as opened:
        yield opened


def test_a_fault_is_told_with_its_days_and_what_is_at_stake(engine):
    result = audited(engine)

    (finding,) = result.findings
    assert finding.message == "Property p has no events at all from 4 to 5 March 2024."
    assert (finding.first_date, finding.last_date, finding.status) == (day(4), day(5), "new")
    assert (finding.at_stake, finding.value_at_stake) == (6, 30.0)
    assert "mc_shards" in finding.query
    assert [(each.check, each.status, each.findings) for each in result.checks] == [("missing_days", "failed", 1)]
    assert not result.passed


def test_nothing_found_passes(engine):
    fill(engine, mc_shards=[shard(number, events=100) for number in (4, 5)])

    result = audited(engine)

    assert (result.findings, result.passed, result.stop()) == ((), True, None)
    assert [each.status for each in result.checks] == ["passed"]


def test_a_fault_that_stays_keeps_its_id_while_it_grows(engine):
    (first,) = audited(engine).findings
    forget(engine, 3, 6)
    (later,) = audited(engine, 1).findings
    (last,) = audited(engine, 2).findings

    assert (first.status, later.status, last.status) == ("new", "still", "still")
    assert (later.first_date, later.last_date) == (day(3), day(6))
    assert first.id == later.id == last.id


def test_two_faults_never_share_an_id(engine):
    forget(engine, 3, 6, 7, 8)
    (whole,) = audited(engine).findings
    fill(engine, mc_shards=[shard(number, events=100) for number in (5, 6)])
    parts = audited(engine, 1).findings

    assert sorted((each.first_date, each.last_date) for each in parts) == [(day(3), day(4)), (day(7), day(8))]
    assert len({each.id for each in parts}) == len(parts)
    assert whole.id in {each.id for each in parts}


def test_a_fault_that_is_mended_is_gone_once(engine):
    (found,) = audited(engine).findings
    fill(engine, mc_shards=[shard(number, events=100) for number in (4, 5)])

    mended = audited(engine, 1)
    after = audited(engine, 2)

    assert [(each.id, each.status) for each in mended.findings] == [(found.id, "gone")]
    assert mended.passed
    assert after.findings == ()


def test_a_fault_of_days_that_are_not_looked_at_is_not_gone(engine):
    audited(engine)

    later = audited(engine, 1, Audit(CONFIG, TAXONOMY, first_date=day(7), only=("missing_days",)))

    assert later.findings == ()


def test_an_accepted_finding_does_not_count_until_its_day(engine):
    (found,) = audited(engine).findings
    accept(engine, found.id[:6], reason=" the export was paused ", until=date(2024, 4, 3), now=NOW)

    accepted, expired = audited(engine, 2), audited(engine, 3)

    assert [(each.id, each.status, each.reason) for each in accepted.findings] == [
        (found.id, "accepted", "the export was paused")
    ]
    assert accepted.passed
    assert [(each.id, each.status) for each in expired.findings] == [(found.id, "still")]
    assert not expired.passed


def test_an_accepted_finding_can_be_taken_back(engine):
    (found,) = audited(engine).findings
    accept(engine, found.id, reason="known", until=date(2025, 1, 1), now=NOW)
    assert [each.id for each in Memory.read(engine).accepted] == [found.id]

    take_back(engine, found.id, now=NOW)

    assert Memory.read(engine).accepted == ()
    assert not audited(engine, 1).passed


@pytest.mark.parametrize(
    ("named", "changes", "complaint"),
    [
        ("zzzzzz", {}, "no finding 'zzzzzz'"),
        ("", {}, "no finding ''"),
        (None, {"reason": "  "}, "--reason is empty"),
        (None, {"until": date(2024, 3, 1)}, "is over"),
    ],
)
def test_what_cannot_be_accepted_is_said(engine, named: str | None, changes: dict[str, Any], complaint: str):
    (found,) = audited(engine).findings
    given: dict[str, Any] = {"reason": "known", "until": date(2025, 1, 1), "now": NOW} | changes

    with pytest.raises(UsageError, match=complaint):
        accept(engine, found.id if named is None else named, **given)

    assert Memory.read(engine).accepted == ()


def test_before_the_first_audit_nothing_can_be_accepted(engine):
    with pytest.raises(UsageError, match="none is kept") as error:
        accept(engine, "abcdef", reason="known", until=date(2025, 1, 1), now=NOW)

    assert "microconv audit" in error.value.hint


def test_a_check_whose_table_is_missing_is_not_tested_and_the_rest_is(tmp_path: Path):
    with DuckDBEngine(tmp_path / "d.duckdb") as engine:
        for table in (mc_tables.MICRO_CONVERSIONS, mc_tables.EVENTS):
            engine.ensure(table)
        result = audited(engine)

    assert [(each.status, each.findings) for each in result.checks] == [("not_tested", 0)]
    assert result.checks[0].reason == "mc_shards is not staged yet: run `microconv sync` first."
    assert result.passed, "nothing was found: what was not tested is said"
    assert "could not be made" in result.sentence


def test_a_check_that_fails_does_not_stop_the_others(engine, monkeypatch):
    def fails(*_: object) -> Inspection:
        raise EngineError("The disk is full.", hint="Make room.")

    monkeypatch.setitem(tracking_audit._LOOKS, "ga4_figures", fails)

    result = audited(engine, audit=Audit(CONFIG, TAXONOMY, only=("missing_days", "ga4_figures")))

    assert {each.check: each.status for each in result.checks} == {
        "missing_days": "failed",
        "ga4_figures": "not_tested",
    }
    assert "The disk is full." in next(each.reason for each in result.checks if each.check == "ga4_figures")


def test_what_python_finds_is_told_as_what_sql_finds(engine, monkeypatch):
    told = ToldFinding("events (late)", "note", "GA4 shows more.", "Wait.", day(1), day(2), 7, 0.5)
    monkeypatch.setitem(tracking_audit._LOOKS, "ga4_figures", lambda *_: Inspection((told,), "Without users."))

    result = audited(engine, audit=Audit(CONFIG, TAXONOMY, only=("reconciliation",)))

    (finding,) = result.findings
    assert (finding.check, finding.severity, finding.message) == ("ga4_figures", "note", "GA4 shows more.")
    assert finding.at_stake == 3, "half of the purchases of two days"
    assert [(each.status, each.reason) for each in result.checks] == [("failed", "Without users.")]
    assert result.passed, "a note stops nothing"


def test_without_a_ga4_property_the_figures_are_not_tested(engine):
    (outcome,) = audited(engine, audit=Audit(CONFIG, TAXONOMY, only=("ga4_figures",))).checks

    assert outcome.status == "not_tested"
    assert "ga4_property" in outcome.reason


@pytest.mark.parametrize("named", ["missing_day", "volumes"])
def test_an_unknown_check_or_area_is_named_with_the_nearest(named: str):
    with pytest.raises(UsageError, match=r"did you mean \W*(missing_days|volume)"):
        _ = Audit(CONFIG, TAXONOMY, only=(named,)).chosen


def test_an_area_stands_for_its_checks():
    chosen = Audit(CONFIG, TAXONOMY, only=("volume",)).chosen

    assert {each.name for each in chosen} == {each.name for each in all_checks() if each.area == "volume"}


def configured(**thresholds: dict[str, float]):
    return CONFIG.model_copy(update={"audit": AuditConfig(thresholds=thresholds)})


@pytest.mark.parametrize(
    ("thresholds", "complaint"),
    [
        ({"missing_dais": {}}, r"audit\.thresholds\.missing_dais.*did you mean \W*missing_days"),
        ({"missing_days": {"min_share": 0.1}}, r"audit\.thresholds\.missing_days\.min_share.*has none"),
    ],
)
def test_thresholds_that_no_check_has_are_refused(thresholds: dict[str, dict[str, float]], complaint: str):
    with pytest.raises(ConfigError, match=complaint):
        check_thresholds(configured(**thresholds))


def finding(severity: Severity, at_stake: int = 0, count: int = 1, **changes: Any) -> AuditFinding:
    made = AuditFinding(
        id=f"{severity}{at_stake}{count}",
        check="c",
        severity=severity,
        subject="s",
        first_date=None,
        last_date=None,
        count=count,
        share=None,
        at_stake=at_stake,
        value_at_stake=0.0,
        message="M.",
        remedy="R.",
        query="",
        status="new",
    )
    return replace(made, **changes)


def test_findings_are_ranked_by_severity_then_stake_then_rows():
    ranked = [
        finding("error", 1),
        finding("warning", 9, 2),
        finding("warning", 9, 1),
        finding("warning", 2, 50),
        finding("note", 100),
        finding("error", 500, status="accepted"),
    ]

    shuffled = ranked[::-1]
    assert sorted(shuffled, key=lambda each: each.place) == ranked


@pytest.mark.parametrize(
    ("fail_on", "severity", "stops"),
    [
        ("error", "error", True),
        ("error", "warning", False),
        ("warning", "warning", True),
        ("warning", "error", True),
        ("warning", "note", False),
        ("never", "error", False),
    ],
)
def test_fail_on_says_what_stops_a_pipeline(fail_on: Any, severity: Severity, stops: bool):
    result = AuditResult((finding(severity),), (), fail_on, "S.")

    assert (result.passed, result.stop() is not None) == (not stops, stops)
    assert AuditResult((finding(severity, status="gone"),), (), fail_on, "S.").passed
