"""The memory of audits: what the last one found, what somebody accepted, and what became of each finding since."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from microconv.audit.audit_findings import AuditFinding, CheckOutcome
from microconv.audit.audit_tables import AUDIT_ACCEPTED, AUDIT_FINDINGS, AUDIT_RUNS
from microconv.engines.base import AddRows, Change, Engine, PutRow
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Value
from microconv.version import __version__
from microconv.wording import iso_dates

_LEAST_PREFIX = 4
"""So many letters of a fingerprint name a finding."""


@dataclass(frozen=True)
class KeptFinding:
    """A finding that is kept: which fault it is, and why it was accepted, if it was."""

    id: str
    check: str
    subject: str
    first_date: date | None
    last_date: date | None
    severity: str = ""
    message: str = ""
    reason: str = ""
    until: date | None = None
    status: str = ""
    at_stake: int = 0
    audited_at: datetime | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON document."""
        document: dict[str, Any] = iso_dates(asdict(self))
        return document

    def is_of(self, finding: AuditFinding) -> bool:
        """Whether a finding is the same fault: of the check and the subject, with days that meet its own."""
        if (self.check, self.subject) != (finding.check, finding.subject):
            return False
        if None in (self.first_date, self.last_date, finding.first_date, finding.last_date):
            return self.first_date == finding.first_date
        return self.first_date <= finding.last_date and finding.first_date <= self.last_date  # type: ignore[operator]  # none is None


@dataclass(frozen=True)
class Memory:
    """What is known of audits before: the findings of the last one, and what is accepted."""

    last: tuple[KeptFinding, ...] = ()
    accepted: tuple[KeptFinding, ...] = ()

    @classmethod
    def read(cls, engine: Engine) -> Memory:
        """Read what is kept; nothing where no audit was made yet.

        Raises:
            EngineError: It cannot be read.
        """
        last: tuple[KeptFinding, ...] = ()
        accepted: tuple[KeptFinding, ...] = ()
        if engine.version(AUDIT_FINDINGS.name) is not None and engine.version(AUDIT_RUNS.name) is not None:
            last = tuple(map(_kept, engine.query(templates.query("audit/last_audit")).to_pylist()))
        if engine.version(AUDIT_ACCEPTED.name) is not None:
            accepted = tuple(map(_kept, engine.query(templates.query("audit/accepted")).to_pylist()))
        return cls(last, accepted)

    def judge(self, findings: Iterable[AuditFinding], today: date) -> tuple[AuditFinding, ...]:
        """Say of each finding whether it is new, still there or accepted; an ongoing fault keeps its fingerprint."""
        taken: set[str] = set()
        return tuple(self._judged(each, today, taken) for each in findings)

    def _judged(self, finding: AuditFinding, today: date, taken: set[str]) -> AuditFinding:
        known = next((each for each in self.last if each.is_of(finding)), None)
        if known is not None:
            # A fault that has fallen apart since keeps its id once: the parts are told apart by theirs.
            kept = known.id if known.id not in taken else finding.id
            taken.add(kept)
            finding = replace(finding, id=kept, status="still")
        for each in self.accepted:
            if each.is_of(finding) and each.until is not None and each.until >= today:
                return replace(finding, status="accepted", reason=each.reason)
        return finding

    def gone(
        self, findings: Sequence[AuditFinding], checks: Sequence[CheckOutcome], first: date | None, last: date | None
    ) -> tuple[AuditFinding, ...]:
        """Return the findings of the last audit that this one would have seen and did not.

        Args:
            findings: Those of this audit.
            checks: What became of its checks: what was not tested is not gone.
            first: The first day that it looked at; None: all.
            last: The last day that it looked at; None: all.
        """
        made = {each.check for each in checks if each.status != "not_tested"}
        return tuple(
            AuditFinding(
                id=each.id,
                check=each.check,
                severity=each.severity,  # type: ignore[arg-type]  # as it was written
                subject=each.subject,
                first_date=each.first_date,
                last_date=each.last_date,
                count=0,
                share=None,
                at_stake=0,
                value_at_stake=0.0,
                message=each.message,
                remedy="",
                query="",
                status="gone",
            )
            for each in self.last
            if each.check in made
            and not any(each.is_of(finding) for finding in findings)
            and (first is None or (each.last_date is not None and each.last_date >= first))
            and (last is None or (each.first_date is not None and each.first_date <= last))
        )


def keep(
    engine: Engine,
    findings: Sequence[AuditFinding],
    checks: Sequence[CheckOutcome],
    days: tuple[date | None, date | None],
    now: datetime,
) -> None:
    """Keep an audit, for the next one to compare with; the tables are made on first use.

    Args:
        engine: Where to.
        findings: All that it said.
        checks: What became of the checks.
        days: The days it looked at.
        now: When it was made, aware of its zone.

    Raises:
        EngineError: It cannot be written.
    """
    for table in (AUDIT_RUNS, AUDIT_FINDINGS, AUDIT_ACCEPTED):
        engine.ensure(table)
    run: dict[str, Value] = {
        "audited_at": now,
        "first_date": days[0],
        "last_date": days[1],
        "checks": len(checks),
        "not_tested": sum(each.status == "not_tested" for each in checks),
        "findings": sum(each.status != "gone" for each in findings),
        "version": __version__,
    }
    rows: tuple[dict[str, Value], ...] = tuple(
        {
            "audited_at": now,
            "finding_id": each.id,
            "check_name": each.check,
            "subject": each.subject,
            "first_date": each.first_date,
            "last_date": each.last_date,
            "severity": each.severity,
            "status": each.status,
            "rows_concerned": each.count,
            "at_stake": each.at_stake,
            "message": each.message,
        }
        for each in findings
    )
    changes: list[Change] = [AddRows(AUDIT_RUNS, (run,))]
    engine.apply([*changes, *([AddRows(AUDIT_FINDINGS, rows)] if rows else [])])


def accept(engine: Engine, named: str, *, reason: str, until: date, now: datetime) -> KeptFinding:
    """Accept a finding of the last audit, until a day; accepting it again replaces reason and day.

    Args:
        engine: Where it is kept.
        named: Its fingerprint, or the beginning of it.
        reason: Why it may be.
        until: The last day on which that holds.
        now: The current time, aware of its zone.

    Raises:
        UsageError: There is no such finding, or the reason or the day cannot be.
        EngineError: It cannot be written.
    """
    if not reason.strip():
        raise UsageError("A finding is accepted for a reason, and --reason is empty.", hint="Say why it may be.")
    if until < now.date():
        raise UsageError(f"--until {until} is over.", hint="Name the last day on which the finding may be there.")
    memory = Memory.read(engine)
    found = _named(named, memory.last)
    engine.ensure(AUDIT_ACCEPTED)
    engine.apply([PutRow(AUDIT_ACCEPTED, _accepted(found, reason.strip(), until, now))])
    return replace(found, reason=reason.strip(), until=until)


def take_back(engine: Engine, named: str, *, now: datetime) -> KeptFinding:
    """Let an accepted finding count again.

    Raises:
        UsageError: None is accepted under that fingerprint.
        EngineError: It cannot be written.
    """
    found = _named(named, Memory.read(engine).accepted)
    engine.apply([PutRow(AUDIT_ACCEPTED, _accepted(found, found.reason, None, now))])
    return found


def _accepted(found: KeptFinding, reason: str, until: date | None, now: datetime) -> dict[str, Value]:
    return {
        "finding_id": found.id,
        "check_name": found.check,
        "subject": found.subject,
        "first_date": found.first_date,
        "last_date": found.last_date,
        "reason": reason,
        "until": until,
        "accepted_at": now,
    }


def _named(named: str, kept: Sequence[KeptFinding]) -> KeptFinding:
    found = [each for each in kept if each.id.startswith(named)] if len(named) >= _LEAST_PREFIX else []
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{named!r} begins {len(found)} fingerprints.", hint="Give more letters of it.")
    if not kept:
        raise UsageError(f"There is no finding {named!r}: none is kept.", hint="Run `microconv audit` first.")
    from microconv.config.problems import nearest

    raise UsageError(
        f"There is no finding {named!r}{nearest(named, [each.id for each in kept])}.",
        hint="`microconv audit` prints the fingerprint of each finding.",
    )


def _kept(row: dict[str, Any]) -> KeptFinding:
    return KeptFinding(
        id=row["finding_id"],
        check=row["check_name"],
        subject=row["subject"],
        first_date=row["first_date"],
        last_date=row["last_date"],
        severity=row.get("severity", ""),
        message=row.get("message", ""),
        reason=row.get("reason") or "",
        until=row.get("until"),
        status=row.get("status") or "",
        at_stake=row.get("at_stake") or 0,
        audited_at=row.get("audited_at"),
    )
