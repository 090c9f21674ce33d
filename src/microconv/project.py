"""The Python face of the product: one object that does what the command line does."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from microconv import __version__
from microconv.config import Config, load_config
from microconv.errors import SourceError, UsageError
from microconv.taxonomy import Taxonomy, load_taxonomy

if TYPE_CHECKING:
    from types import TracebackType

    from microconv.activation.destinations.file import ExportResult
    from microconv.analyses.results import (
        AttributionResult,
        ChannelResult,
        CoverageResult,
        FunnelResult,
        StagedSummary,
    )
    from microconv.config import DestinationConfig, SegmentConfig
    from microconv.engines.base import Engine
    from microconv.report.data import ReportData
    from microconv.segments import Member
    from microconv.sync import Progress, SyncResult


class _Named(Protocol):
    @property
    def name(self) -> str: ...


NamedT = TypeVar("NamedT", bound=_Named)


class Project:
    """A configuration with its taxonomy and engine. Use it as a context manager: an open engine holds a lock.

    Results are the frozen classes of `microconv.analyses.results`; each has `document()` and `to_pandas()`.

    Examples:
        >>> with Project.load(Path("microconv.toml")) as project:  # doctest: +SKIP
        ...     project.sync()
        ...     project.funnel("purchase_journey").to_pandas()
    """

    def __init__(self, config: Config) -> None:
        """Take a configuration; nothing is opened before it is needed."""
        self.config = config

    @classmethod
    def load(cls, path: Path | None = None) -> Self:
        """Load a configuration file, or the default one, with overrides from the environment.

        Raises:
            ConfigError: the file is missing or wrong.
        """
        return cls(load_config(path, dict(os.environ)))

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The taxonomy: preset and file of the configuration."""
        return load_taxonomy(preset=self.config.taxonomy.preset, file=self.config.taxonomy.file)

    @cached_property
    def engine(self) -> Engine:
        """The engine, opened on first use.

        Raises:
            LockedError: another run has the database open.
            EngineError: it cannot be opened.
        """
        from microconv.engines.duckdb import DuckDBEngine  # noqa: PLC0415 - opened only when something runs

        settings = self.config.engine
        return DuckDBEngine(settings.path, memory_limit=settings.memory_limit, threads=settings.threads)

    @cached_property
    def _staged(self) -> Engine:
        """The engine, once it is known to hold staged tables."""
        # Opening would create the file, and a question leaves nothing behind.
        if not self.config.engine.path.exists() or not self.engine.has_table("mc_shards"):
            raise SourceError(
                f"Nothing is staged yet in {self.config.engine.path}.", hint="Run `microconv sync` first."
            )
        return self.engine

    def sync(self, *, on_progress: Callable[[Progress], None] = lambda _: None) -> SyncResult:
        """Stage what changed; see `microconv.sync.sync`."""
        from microconv.sync import sync  # noqa: PLC0415 - analyses need none of it

        return sync(self.engine, self.config, self.taxonomy, on_progress=on_progress)

    def summary(self) -> StagedSummary:
        """Count what is staged."""
        from microconv.analyses.channels import summary  # noqa: PLC0415 - each analysis loads its own

        return summary(self._staged)

    def funnel(self, name: str) -> FunnelResult:
        """Count a funnel of the configuration.

        Raises:
            UsageError: the configuration has no funnel of that name.
            TaxonomyError: a step is no micro-conversion of the taxonomy.
        """
        from microconv.analyses.funnels import funnel  # noqa: PLC0415 - each analysis loads its own

        chosen = _named(self.config.funnels, name, "funnel")
        return funnel(self._staged, chosen, self.taxonomy)

    def attribution(self) -> AttributionResult:
        """Credit channels for the conversion of the configuration, by each model and lookback window."""
        from microconv.analyses.attribution import attribution  # noqa: PLC0415 - each analysis loads its own

        return attribution(self._staged, self.config.attribution, self.taxonomy)

    def channels(self) -> ChannelResult:
        """Count sessions by default channel group."""
        from microconv.analyses.channels import channels  # noqa: PLC0415 - each analysis loads its own

        return channels(self._staged)

    def coverage(self) -> CoverageResult:
        """Count every micro-conversion of the taxonomy by day, and find outages."""
        from microconv.audit import coverage  # noqa: PLC0415 - each analysis loads its own

        return coverage(self._staged, self.taxonomy)

    def members(self, segment_name: str, *, as_of: datetime | None = None) -> tuple[Member, ...]:
        """List the members of a segment at a moment, by default that of the latest staged event.

        Raises:
            UsageError: the configuration has no segment of that name.
        """
        segment = _named(self.config.segments, segment_name, "segment")
        return self._members(segment, as_of or self.default_as_of())

    def default_as_of(self) -> datetime:
        """Return the moment of the latest staged event (UTC)."""
        from microconv import segments  # noqa: PLC0415 - each analysis loads its own

        latest = segments.default_as_of(self._staged)
        if latest is None:
            raise SourceError("No events are staged, so no segment can be built.", hint="Run `microconv sync` first.")
        return latest

    def _members(self, segment: SegmentConfig, as_of: datetime) -> tuple[Member, ...]:
        from microconv import segments  # noqa: PLC0415 - each analysis loads its own

        return segments.members(self._staged, segment, self.taxonomy, as_of)

    def export(
        self,
        segment_name: str,
        destination_name: str,
        *,
        as_of: datetime | None = None,
        allow_shrink: bool = False,
        dry_run: bool = False,
    ) -> ExportResult:
        """Write a segment's audience to a destination; see `microconv.activation.destinations.file.export_audience`.

        Raises:
            UsageError: the configuration has no such segment or destination.
            ConfigError: there is no identity or consent table: nobody may be sent without consent.
            FindingsError: a guard stopped the export.
            DestinationError: the files could not be written.
        """
        from microconv.activation.destinations.file import export_audience  # noqa: PLC0415 - only exports need it
        from microconv.activation.first_party import read_consent, read_identity  # noqa: PLC0415 - only exports need it

        segment = _named(self.config.segments, segment_name, "segment")
        destination: DestinationConfig = _named(self.config.destinations, destination_name, "destination")
        people = read_identity(self.config.identity, self._staged, self.config.file)
        consents = read_consent(self.config.consent, self._staged, self.config.file)
        moment = as_of or self.default_as_of()
        summary = self.summary()
        now = datetime.now(tz=UTC)
        return export_audience(
            self._members(segment, moment),
            people,
            consents,
            segment=segment.name,
            format=destination.format,
            folder=destination.path,
            identity=segment.identity,
            run_id=f"{now:%Y%m%dT%H%M%SZ}-export",
            now=now,
            lineage={
                "rule": {**dict(segment.rule), "within": str(segment.rule.within)},
                "as_of": moment,
                "taxonomy": f"{self.taxonomy.name} {self.taxonomy.version}",
                "taxonomy_fingerprint": self.taxonomy.fingerprint,
                "first_date": summary.first_date,
                "last_date": summary.last_date,
                "version": __version__,
            },
            destination=destination.name,
            allow_shrink=allow_shrink,
            dry_run=dry_run,
        )

    def report_data(self) -> ReportData:
        """Compute everything the report shows."""
        from microconv.report.data import ReportData  # noqa: PLC0415 - plotly comes with it

        counted = self.taxonomy.ids
        return ReportData(
            project_name=self.config.project.name,
            timezone=self.config.project.timezone,
            currency=self.config.project.currency,
            generated_at=datetime.now(tz=UTC),
            version=__version__,
            summary=self.summary(),
            funnels=tuple(self.funnel(funnel.name) for funnel in self.config.funnels),
            attribution=self.attribution() if self.config.attribution.conversion in counted else None,
            coverage=self.coverage(),
            channels=self.channels(),
        )

    def report(self, path: Path) -> Path:
        """Write the report, one self-contained HTML page.

        Raises:
            DestinationError: the page could not be written.
        """
        from microconv.report import write_report  # noqa: PLC0415 - plotly comes with it

        return write_report(self.report_data(), path)

    def close(self) -> None:
        """Close the engine, if it was opened."""
        self.__dict__.pop("_staged", None)
        engine = self.__dict__.pop("engine", None)
        if engine is not None:
            engine.close()

    def __enter__(self) -> Self:
        """Return the project itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()


def _named(items: Sequence[NamedT], name: str, what: str) -> NamedT:
    for item in items:
        if item.name == name:
            return item
    known = ", ".join(item.name for item in items) or "none"
    raise UsageError(
        f"The configuration has no {what} named {name!r}.", hint=f"It has: {known}. Add one under [[{what}s]]."
    )
