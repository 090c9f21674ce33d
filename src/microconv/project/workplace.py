"""What all parts of a project work with: its configuration, taxonomy, engine and sources."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from microconv import wording
from microconv.config.sections import Config, SourceConfig
from microconv.errors import EngineError, SourceError, TaxonomyError
from microconv.taxonomy import Taxonomy, load_taxonomy

if TYPE_CHECKING:  # each is loaded by who asks for it
    from microconv.clients.bigquery_connection import Connection
    from microconv.engines.base import Engine
    from microconv.exports import Source
    from microconv.question import Context
    from microconv.staging.rules import Rules


class Workplace:
    """A configuration with its taxonomy and engine, each made on first use. Close it: an open engine holds a lock."""

    def __init__(self, config: Config, *, patience_seconds: float | None = None) -> None:
        """Take a configuration; nothing is opened before it is needed.

        `patience_seconds` is how long a call of BigQuery is tried again while it fails; None is as long as a sync does.
        """
        self.config = config
        self._patience_seconds = patience_seconds

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy: preset and file of the configuration, which names nothing that it does not have.

        Raises:
            TaxonomyError: it cannot be used, or lacks what the configuration names.
        """
        taxonomy = self.taxonomy_as_it_is
        taxonomy.check_names(self.config.named())
        return taxonomy

    @property
    def taxonomy_as_it_is(self) -> Taxonomy:
        """The taxonomy, whether or not the configuration names entries that it does not have.

        Raises:
            TaxonomyError: it cannot be loaded.
        """
        configured = self.config.taxonomy
        return load_taxonomy(preset=configured.preset, file=configured.file, lookback=configured.lookback)

    @cached_property
    def rules(self) -> Rules:
        """What decides staged rows beside the shards: the taxonomy, and the properties carried."""
        from microconv.staging.rules import Rules

        return Rules.of(self.config, self.taxonomy)

    @cached_property
    def connection(self) -> Connection:
        """The way to BigQuery, for an engine or a source there; nothing is asked before it is used."""
        from microconv.clients import retries
        from microconv.clients.bigquery_connection import Connection, Endpoints

        settings = self.config.engine
        endpoints = Endpoints.choose(
            settings.api_endpoint, settings.storage_endpoint, anonymous=settings.anonymous, environ=os.environ
        )
        project = settings.project
        if project is None and endpoints.is_anonymous:  # without credentials nobody else names one
            project = next((each.project for each in self.config.sources if each.project), None)
        retrying = retries.policy(self._patience_seconds or retries.DEADLINE_SECONDS)
        return Connection(project, location=settings.location, endpoints=endpoints, retrying=retrying)

    @cached_property
    def engine(self) -> Engine:
        """The engine, opened on first use.

        Raises:
            LockedError: another run has the database open.
            EngineError: it cannot be opened.
        """
        settings = self.config.engine
        if settings.kind == "duckdb":
            from microconv.engines.duckdb import DuckDBEngine

            return DuckDBEngine(settings.path, memory_limit=settings.memory_limit, threads=settings.threads)
        from microconv.engines.bigquery import BigQueryEngine

        return BigQueryEngine(
            self.connection,
            dataset=settings.dataset or "",
            exports=[(each.project or "", each.dataset or "") for each in self.config.sources],
            maximum_bytes_billed=settings.maximum_bytes_billed,
            maximum_bytes_per_run=settings.maximum_bytes_per_run,
            lease_seconds=settings.lease.seconds,
        )

    @cached_property
    def sources(self) -> tuple[Source, ...]:
        """Where the exports lie, as configured; nothing is read yet."""
        return tuple(self._source(each) for each in self.config.sources)

    def _source(self, settings: SourceConfig) -> Source:
        from microconv.exports import USER_PROPERTY_LEAVES, FileSource
        from microconv.staging.properties import carried, leaves

        try:
            wanted = leaves(self.rules.of_events)
        except TaxonomyError:  # the export can be looked at all the same; whoever stages it is told
            wanted = leaves(carried(self.config, None))
        if self.config.audit.profile:
            wanted |= USER_PROPERTY_LEAVES
        if settings.kind == "files":
            return FileSource(settings.property, settings.path or "", settings.daily_cap, wanted)
        from microconv.exports.pull import PulledSource
        from microconv.exports.table_source import TableSource

        source = TableSource(
            settings.property,
            self.connection,
            settings.project or "",
            settings.dataset or "",
            settings.daily_cap,
            wanted,
        )
        return PulledSource(source, settings.cache) if self.config.engine.kind == "duckdb" else source

    @property
    def _engine_if_there(self) -> Engine | None:
        """The engine, unless opening it would create a database: a question leaves nothing behind."""
        settings = self.config.engine
        return self.engine if settings.kind == "bigquery" or settings.path.exists() else None

    @cached_property
    def _staged(self) -> Engine:
        """The engine, once it is known to hold staged tables."""
        engine = self._engine_if_there
        if engine is None or engine.version("mc_shards") is None:
            settings = self.config.engine
            place = settings.path if settings.kind == "duckdb" else f"{settings.project}.{settings.dataset}"
            raise SourceError(f"Nothing is staged yet in {place}.", hint="Run `microconv sync` first.")
        return engine

    @contextmanager
    def _reading(self) -> Iterator[Engine]:
        """Give the engine to whoever reads the staged tables; where that fails on older ones, say so."""
        engine = self._staged
        try:
            yield engine
        except EngineError as error:
            if older := self._older_tables():
                raise EngineError(
                    f"An older microconv made {wording.listed(older)}, which lack what is asked for.",
                    hint="Run `microconv sync`: it brings them up to date.",
                ) from error
            raise

    def _older_tables(self) -> list[str]:
        from microconv.staging.mc_tables import TABLES

        versions = {name: self._staged.version(name) or 0 for name in TABLES}
        return [name for name, version in versions.items() if version < TABLES[name].version]

    @property
    def context(self) -> Context:
        """What questions are asked within."""
        from microconv.question import Context

        return Context(self.config, self.taxonomy, lambda: self._staged)

    def default_as_of(self) -> datetime:
        """Return the moment of the latest staged event (UTC)."""
        latest = self.context.latest_event_at
        if latest is None:
            raise SourceError("No events are staged, so no segment can be built.", hint="Run `microconv sync` first.")
        return latest

    def close(self) -> None:
        """Close the engine, if it was opened."""
        self.__dict__.pop("_staged", None)
        self.__dict__.pop("sources", None)
        for name in ("engine", "connection"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                opened.close()
