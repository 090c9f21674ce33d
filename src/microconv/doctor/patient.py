"""What the checks of the doctor look at, read once; nothing here writes, and nothing is billed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from microconv.clients.bigquery_connection import ONE_TRY
from microconv.clients.failures import in_our_words
from microconv.config.sections import Config
from microconv.errors import EngineError
from microconv.exports import Shard, Source
from microconv.project import Project
from microconv.staging import mc_tables, runs
from microconv.staging.sync_plan import staged_days

if TYPE_CHECKING:
    from google.cloud import bigquery

AnswerT = TypeVar("AnswerT")

PATIENCE_SECONDS = 20.0
"""How long a call of BigQuery is tried: whoever asks the doctor waits for the answer."""
_RUNS = 100


@dataclass
class Patient:
    """A configuration and all that it leads to. Properties raise MicroconvError where there is nothing to be had."""

    load: Callable[[], Config]
    now: Callable[[], datetime]

    @cached_property
    def config(self) -> Config:
        """The configuration."""
        return self.load()

    @cached_property
    def project(self) -> Project:
        """The project, which gives up soon on a service that does not answer."""
        return Project(self.config, patience_seconds=PATIENCE_SECONDS)

    @property
    def is_bigquery(self) -> bool:
        """Whether staging runs in BigQuery."""
        return self.config.engine.kind == "bigquery"

    @property
    def pulls(self) -> bool:
        """Whether DuckDB stages an export that lies in BigQuery."""
        return not self.is_bigquery and self.reads_bigquery

    @property
    def reads_bigquery(self) -> bool:
        """Whether an export lies in BigQuery."""
        return any(source.kind == "bigquery" for source in self.config.sources)

    @cached_property
    def shards(self) -> dict[Shard, Source]:
        """The shards of all sources, from names and metadata."""
        return {shard: source for source in self.project.sources for shard in source.shards()}

    @cached_property
    def newest(self) -> tuple[Shard, ...]:
        """The newest shard of each export that lies in BigQuery."""
        newest: dict[tuple[str, str], Shard] = {}
        for shard in self.shards:
            if shard.table is not None:
                place = (shard.table.project, shard.table.dataset)
                newest[place] = max(newest.get(place, shard), shard, key=lambda each: each.day)
        return tuple(newest.values())

    def days(self) -> dict[str, set[date]]:
        """The days of each property."""
        found: dict[str, set[date]] = {}
        for shard in self.shards:
            found.setdefault(shard.property_id, set()).add(shard.day)
        return found

    @cached_property
    def trial(self) -> bigquery.QueryJob:
        """A dry run of the smallest query there is; what BigQuery says with it tells more than whether it may run."""
        return self.dry_run("SELECT 1", "starting a job")

    def ask(self, what: str, function: Callable[[], AnswerT]) -> AnswerT:
        """Call BigQuery.

        Raises:
            EngineError: it failed, or what was asked for is not there.
        """
        from google.api_core import exceptions as api

        try:
            return self.project.connection.call(what, function)
        except api.NotFound as error:
            raise in_our_words(error, what, EngineError) from error

    def dry_run(
        self, sql: str, what: str, *, project: str | None = None, dataset: str | None = None
    ) -> bigquery.QueryJob:
        """Have BigQuery check a query, which is free and runs nothing."""
        from google.cloud import bigquery

        settings = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
        if project and dataset:
            settings.default_dataset = bigquery.DatasetReference(project, dataset)
        client = self.project.connection.client
        return self.ask(
            what,
            lambda: client.query(
                sql,
                job_config=settings,
                job_retry=None,
                **ONE_TRY,
            ),
        )

    def dataset(self, project: str, name: str) -> bigquery.Dataset | None:
        """Return a dataset's metadata; None when there is no such dataset."""
        from google.cloud import bigquery

        client = self.project.connection.client
        reference = bigquery.DatasetReference(project, name)
        return self._if_there(
            f"reading the metadata of {project}.{name}",
            lambda: client.get_dataset(
                reference,
                **ONE_TRY,
            ),
        )

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return all rows of a small table of the working dataset, not by a query: queries are billed."""
        from google.cloud import bigquery

        client = self.project.connection.client
        engine = self.config.engine
        reference = bigquery.DatasetReference(engine.project or "", engine.dataset or "").table(table)

        def read() -> list[dict[str, Any]]:
            pages = client.list_rows(
                reference,
                **ONE_TRY,
            )
            return [dict(row.items()) for row in pages]

        return self._if_there(f"reading {table}", read) or []

    def _if_there(self, what: str, function: Callable[[], AnswerT]) -> AnswerT | None:
        from google.api_core import exceptions as api

        try:
            return self.project.connection.call(what, function)
        except api.NotFound:
            return None

    @property
    def has_database(self) -> bool:
        """Whether there is an engine to ask: opening DuckDB would create the file."""
        return self.is_bigquery or self.config.engine.path.exists()

    @cached_property
    def versions(self) -> dict[str, int | None]:
        """The schema version of each staged table; None where it is missing."""
        if not self.has_database:
            return dict.fromkeys(mc_tables.TABLES)
        return {name: self.project.engine.version(name) for name in mc_tables.TABLES}

    @property
    def older(self) -> list[str]:
        """The tables that are as an older microconv made them."""
        return [name for name, version in self.versions.items() if (version or 0) < mc_tables.TABLES[name].version]

    @property
    def is_staged(self) -> bool:
        """Whether a sync has made the tables."""
        return None not in self.versions.values()

    @cached_property
    def staged(self) -> list[Mapping[str, Any]]:
        """The staged days, with the columns of `sql/staging/staged_shards.sql`."""
        if not self.is_bigquery:
            return staged_days(self.project.engine)
        taxonomies = {row["run_id"]: row["taxonomy_fingerprint"] for row in self.rows("mc_runs") or ()}
        return [{**row, "taxonomy_fingerprint": taxonomies.get(row["run_id"])} for row in self.rows("mc_shards") or ()]

    @cached_property
    def runs(self) -> tuple[runs.Run, ...]:
        """The latest runs, the latest first."""
        if not self.is_bigquery:
            return runs.list_runs(self.project.engine, limit=_RUNS).runs
        found = [runs.Run(**row) for row in self.rows("mc_runs")]
        return runs.in_order(found)[:_RUNS]

    @property
    def why_no_runs(self) -> str | None:
        """Why no run can be looked at; None when one can."""
        if self.versions["mc_runs"] is not None and "mc_runs" in self.older:
            return "An older microconv wrote mc_runs: the next `microconv sync` upgrades it."
        return None if self.is_staged and self.runs else "There is no run yet."

    def close(self) -> None:
        """Close what was opened."""
        if "project" in self.__dict__:
            self.project.close()
