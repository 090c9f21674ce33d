"""The checks in their order, and how they are made: none of them can stop the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from microconv.config.sections import Config
from microconv.doctor import cloud, local, receivers, staged
from microconv.doctor.examination import Examination, to_do
from microconv.doctor.patient import Patient
from microconv.errors import LockedError, MicroconvError
from microconv.findings import Finding, fault, not_tested

_STAGED = ("configuration", "credentials", "jobs", "database")
CHECKS = (
    Examination("configuration", "the configuration file and its overrides", local.configuration, needs=()),
    Examination("taxonomy", "the preset, its file, and what the configuration names of it", local.taxonomy),
    Examination("zone and currency", "project.timezone and project.currency", local.zone_and_currency),
    Examination("libraries", "what microconv needs to have installed", local.libraries, needs=()),
    Examination("credentials", "Application Default Credentials", cloud.credentials),
    Examination("jobs", "a dry run of a query", cloud.jobs, needs=("configuration", "credentials")),
    Examination("exports", "names and metadata of the shards", staged.exports, needs=("configuration", "credentials")),
    Examination("passed over", "what looks like a part of the export", staged.unread, needs=("exports",)),
    Examination("reading", "a dry run of reading the newest shard", cloud.reading, needs=("jobs", "exports")),
    Examination("fast reading", "a session of the Storage Read API", cloud.storage, needs=("credentials", "exports")),
    Examination("working dataset", "the dataset of the staged tables", cloud.dataset, needs=("jobs",)),
    Examination("locations", "where datasets and jobs are", cloud.locations, needs=("configuration", "credentials")),
    Examination("database", "the file of the staged tables", local.database),
    Examination("disk", "free space beside the database", local.disk),
    Examination("lock", "who holds the lock", cloud.lock, needs=("jobs",)),
    Examination("tables", "schema versions of the staged tables", staged.versions, needs=_STAGED),
    Examination("freshness", "the newest daily shard", staged.freshness, needs=("exports",)),
    Examination("gaps", "days between the first shard and the last", staged.gaps, needs=("exports",)),
    Examination("daily limit", "rows of the daily shards", staged.cap, needs=("exports",)),
    Examination(
        "waiting days", "shards against what is staged", staged.waiting, needs=("exports", "taxonomy", "tables")
    ),
    Examination("external tables", "tables of other systems, against what was read", staged.external, needs=_STAGED),
    Examination("staged export", "what the last run found in it", staged.staged_export, needs=("taxonomy", "tables")),
    Examination("runs", "how the latest runs ended", staged.runs, needs=("tables",)),
    Examination("destinations", "what a push or conversions to each of them need", receivers.destinations),
    Examination("clock", "the time here and at BigQuery", cloud.clock, needs=("jobs",)),
)
"""All checks, in the order in which they are made and shown."""


def diagnose(
    load: Callable[[], Config], *, now: Callable[[], datetime] = lambda: datetime.now(tz=UTC)
) -> tuple[Finding, ...]:
    """Make all checks.

    A check that needs another one to pass is not made when that one failed, and says which. Nothing is written, and
    no query runs that would be billed.

    Args:
        load: Loads the configuration; what it raises is the first finding.
        now: The time of this machine.
    """
    patient = Patient(load, now)
    findings: list[Finding] = []
    blocked: set[str] = set()
    try:
        for check in CHECKS:
            missing = next((name for name in check.needs if name in blocked), None)
            found = (not_tested(f'The check "{missing}" must pass first.'),) if missing else _look(check, patient)
            if missing or any(finding.severity == "error" for finding in found):
                blocked.add(check.name)
            findings.extend(check.named(finding) for finding in found)
    finally:
        patient.close()
    return tuple(findings)


def _look(check: Examination, patient: Patient) -> tuple[Finding, ...]:
    try:
        found = check.look(patient)
    except LockedError as error:
        found = not_tested(error.message)
    except MicroconvError as error:
        found = fault(error.message, to_do(error))
    except Exception as error:  # noqa: BLE001 - a check that breaks is a finding; the others still have theirs
        found = fault(
            f"The check itself failed ({type(error).__name__}).",
            "This is a bug: please report it. The other checks do not depend on it.",
        )
    return found if isinstance(found, tuple) else (found,)
