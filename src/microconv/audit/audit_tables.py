"""What audits keep in the engine: when each was made, what it found, and what somebody accepted."""

from __future__ import annotations

from microconv.engines.tables import Column, Table

_FINDING = (
    Column("finding_id", "STRING", "fingerprint of check, subject and first day"),
    Column("check_name", "STRING", "the check"),
    Column("subject", "STRING", "what it is about"),
    Column("first_date", "DATE", "first day; NULL where it is of no day"),
    Column("last_date", "DATE", "last day"),
)

AUDIT_RUNS = Table(
    "mc_audit_runs",
    "One row per audit.",
    ("audited_at",),
    (
        Column("audited_at", "TIMESTAMP", "when it was made (UTC)"),
        Column("first_date", "DATE", "first day looked at; NULL: all"),
        Column("last_date", "DATE", "last day looked at; NULL: all"),
        Column("checks", "INT64", "checks that were made"),
        Column("not_tested", "INT64", "checks that could not be made"),
        Column("findings", "INT64", "findings, those accepted too"),
        Column("version", "STRING", "version of microconv"),
    ),
)
AUDIT_FINDINGS = Table(
    "mc_audit_findings",
    "One row per finding of an audit.",
    ("audited_at", "finding_id"),
    (
        Column("audited_at", "TIMESTAMP", "the audit, as in mc_audit_runs"),
        *_FINDING,
        Column("severity", "STRING", "error, warning or note"),
        Column("status", "STRING", "new, still, accepted or gone, against the audit before"),
        Column("rows_concerned", "INT64", "rows concerned"),
        Column("at_stake", "INT64", "macro-conversions at stake"),
        Column("message", "STRING", "what was found"),
    ),
)
AUDIT_ACCEPTED = Table(
    "mc_audit_accepted",
    "Findings that somebody accepted.",
    ("finding_id",),
    (
        *_FINDING,
        Column("reason", "STRING", "why"),
        Column("until", "DATE", "the last day on which that holds; NULL: taken back"),
        Column("accepted_at", "TIMESTAMP", "when (UTC)"),
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in (AUDIT_RUNS, AUDIT_FINDINGS, AUDIT_ACCEPTED)}
