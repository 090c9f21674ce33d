"""Checks of BigQuery: credentials, permissions, datasets, locations, the lock, the clock. All of them are free."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from microconv.clients.bigquery_connection import ONE_TRY
from microconv.doctor.examination import to_do
from microconv.doctor.patient import Patient
from microconv.errors import MicroconvError
from microconv.exports import Shard
from microconv.findings import Finding, fault, not_tested, ok, warning
from microconv.queries import templates

_LARGEST_DRIFT = timedelta(minutes=5)
_UNUSED = "Neither the engine nor any source is BigQuery."
_LEAF = "event_name"


def credentials(patient: Patient) -> Finding:
    """Open a client; it does not matter here whose credentials they are."""
    if not (patient.is_bigquery or patient.reads_bigquery):
        return not_tested(_UNUSED)
    _ = patient.project.connection.client
    if patient.config.engine.anonymous:
        return ok("No credentials are sent: engine.anonymous is true.")
    return ok("Credentials were found.")


def jobs(patient: Patient) -> Finding:
    """Dry-run the smallest query."""
    if not patient.is_bigquery:
        return not_tested("DuckDB runs the queries: no jobs are needed.")
    try:
        _ = patient.trial
    except MicroconvError as error:
        grant = f"bigquery.jobs.create (roles/bigquery.jobUser) on the project {patient.config.engine.project}"
        return fault(error.message, to_do(error, grant))
    return ok(f"Queries can run in the project {patient.config.engine.project}.")


def reading(patient: Patient) -> Finding:
    """Dry-run a query of one column of each export's newest shard."""
    if not patient.is_bigquery:
        return not_tested("DuckDB runs the queries.")
    for shard in patient.newest:
        project, dataset = _place(shard)
        sql = f"SELECT {templates.quote(_LEAF)} FROM {templates.quote(shard.name)}"
        try:
            patient.dry_run(sql, f"checking a query of {shard.place}", project=project, dataset=dataset)
        except MicroconvError as error:
            return fault(error.message, to_do(error, f"roles/bigquery.dataViewer on the dataset {project}.{dataset}"))
    return ok(f"Queries can read {', '.join(shard.place for shard in patient.newest)}.")


def storage(patient: Patient) -> Finding:
    """Open a session of the Storage Read API on each export's newest shard, and read nothing from it."""
    if not (patient.is_bigquery or patient.reads_bigquery):
        return not_tested(_UNUSED)
    client = patient.project.connection.storage
    if client is None:
        return not_tested(
            "engine.api_endpoint is set but engine.storage_endpoint is not: results come by REST, which is slower."
        )
    from google.cloud.bigquery_storage_v1 import types

    payer = f"projects/{patient.project.connection.client.project}"
    tables = [shard for shard in patient.newest if shard.table and not shard.table.is_view]
    if not tables:
        return not_tested("The newest shards are views: queries read them, in BigQuery.")
    for shard in tables:
        project, dataset = _place(shard)
        wanted = types.ReadSession(
            table=f"projects/{project}/datasets/{dataset}/tables/{shard.name}",
            data_format=types.DataFormat.ARROW,
            read_options=types.ReadSession.TableReadOptions(selected_fields=[_LEAF]),
        )
        open_session = partial(
            client.create_read_session,
            parent=payer,
            read_session=wanted,
            max_stream_count=1,
            **ONE_TRY,
        )
        try:
            patient.ask(f"opening a read session on {shard.place}", open_session)
        except MicroconvError as error:
            grant = f"bigquery.readsessions.create (roles/bigquery.readSessionUser) on {payer}"
            # The engine does without: results come by REST then.
            say = fault if patient.pulls else warning
            return say(error.message, to_do(error, grant))
    return ok(f"Read sessions can be opened on {', '.join(shard.place for shard in tables)}.")


def dataset(patient: Patient) -> Finding:
    """Look for the working dataset, and dry-run a statement that would write there."""
    if not patient.is_bigquery:
        return not_tested("The engine is DuckDB.")
    project, name = patient.config.engine.project or "", patient.config.engine.dataset or ""
    if patient.dataset(project, name) is None:
        return warning(
            f"{project}.{name} does not exist yet.",
            "The first sync creates it, which needs bigquery.datasets.create (roles/bigquery.user). Or create it "
            "yourself, in the location of the export.",
        )
    try:
        # A dry run is checked like the statement itself, and does nothing.
        patient.dry_run(
            "CREATE TABLE mc_doctor AS SELECT 1 AS x", f"checking a table in {name}", project=project, dataset=name
        )
    except MicroconvError as error:
        return fault(error.message, to_do(error, f"roles/bigquery.dataEditor on the dataset {project}.{name}"))
    return ok(f"{project}.{name} exists, and tables can be created in it.")


def locations(patient: Patient) -> Finding:
    """Compare where the working dataset, the exports and the jobs are: a query cannot cross locations."""
    if not patient.is_bigquery:
        return not_tested("DuckDB can pull an export from any location.")
    engine = patient.config.engine
    places = {(engine.project or "", engine.dataset or "")}
    places |= {(source.project or "", source.dataset or "") for source in patient.config.sources}
    found = {"engine.location": engine.location} if engine.location else {}
    for place in sorted(places):
        there = patient.dataset(*place)
        if there is not None and there.location:
            found[".".join(place)] = there.location
    said = ", ".join(f"{place} in {location}" for place, location in found.items())
    if len({location.lower() for location in found.values()}) > 1:
        return fault(
            f"The locations differ: {said}.",
            "Set engine.dataset to a dataset in the location of the export, and engine.location to that location.",
        )
    return ok(f"{said}.")


def lock(patient: Patient) -> Finding:
    """Look up who holds the lock of the working dataset."""
    if not patient.is_bigquery:
        return not_tested('With DuckDB the database file is the lock: see the check "database".')
    held = [row for row in patient.rows("mc_lock") if row["run_id"] is not None and row["expires_at"] is not None]
    if not held:
        return ok("No run holds the lock.")
    (row,) = held
    who = f"{row['owner']} (run {row['run_id']})"
    if row["expires_at"] < (patient.trial.created or patient.now()):
        return warning(
            f"The lock of {who} expired at {row['expires_at']:%Y-%m-%d %H:%M} UTC: that run died.",
            "Nothing has to be done: the next sync takes over the lock.",
        )
    return ok(f"{who} holds the lock until {row['expires_at']:%Y-%m-%d %H:%M} UTC at the latest: a sync is running.")


def clock(patient: Patient) -> Finding:
    """Compare this machine's clock with BigQuery's."""
    if not patient.is_bigquery:
        return not_tested("The engine is DuckDB: the clock of no other machine matters.")
    before = patient.now()
    theirs = patient.dry_run("SELECT 1", "asking for the time").created
    if theirs is None:
        return not_tested("The answer of BigQuery did not say when it was made.")
    drift = theirs - before
    if abs(drift) > _LARGEST_DRIFT:
        ahead = "behind" if drift > timedelta() else "ahead of"
        return warning(
            f"This machine's clock is {abs(drift).total_seconds() / 60:.0f} minutes {ahead} BigQuery's.",
            "Synchronise it by NTP: the ids of runs and the check of freshness depend on it.",
        )
    return ok("This machine's clock agrees with BigQuery's.")


def _place(shard: Shard) -> tuple[str, str]:
    return (shard.table.project, shard.table.dataset) if shard.table else ("", "")
