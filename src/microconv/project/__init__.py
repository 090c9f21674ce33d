"""The Python face of the product: one object that does what the command line does."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from microconv import catalogue
from microconv.catalogue import QUESTIONS, questions_of
from microconv.config.load import load_config
from microconv.errors import SourceError
from microconv.project.activating import ActivatesSegments
from microconv.project.asking import AnswersQuestions
from microconv.project.auditing import AuditsTracking
from microconv.project.staging_days import StagesDays
from microconv.version import __version__

if TYPE_CHECKING:  # each is loaded by who asks for it
    from microconv.audit.audit_findings import AuditResult
    from microconv.report.data import ReportData
    from microconv.report.dictionary import Dictionary


class Project(StagesDays, AnswersQuestions, AuditsTracking, ActivatesSegments):
    """A configuration with its taxonomy and engine. Use it as a context manager: an open engine holds a lock.

    Results are frozen, as `microconv.result` says; each has `document()` and `to_pandas()`.

    Examples:
        >>> with Project.load(Path("microconv.toml")) as project:  # doctest: +SKIP
        ...     project.sync()
        ...     project.funnel("purchase_journey").to_pandas()
    """

    @classmethod
    def load(cls, path: Path | str | None = None) -> Self:
        """Load a configuration file, or the default one, with overrides from the environment.

        Raises:
            ConfigError: the file is missing or wrong.
        """
        file = None if path is None else Path(path)
        return cls(load_config(file, dict(os.environ), catalogue.destination_settings))

    def report_data(self) -> ReportData:
        """Answer everything that the report shows: each question that the configuration asks by itself."""
        from microconv.report.data import Answered, ReportData

        answers = tuple(
            Answered(name, QUESTIONS[name].answers, question.about, self.answer(question))
            for name, question in questions_of(self.config, self.taxonomy)
            if question.in_report
        )
        return ReportData(
            project_name=self.config.project.name,
            timezone=self.config.project.timezone,
            currency=self.config.project.currency,
            generated_at=datetime.now(tz=UTC),
            version=__version__,
            summary=self.summary(),
            answers=answers,
            export_findings=self.export_findings(),
            audit=self._audit_of_report(),
        )

    def _audit_of_report(self) -> AuditResult:
        """Audit for the report: what it finds is compared with the last audit, and not kept as one."""
        from microconv.audit.tracking_audit import Audit

        with self._reading() as engine:
            return Audit(self.config, self.taxonomy).run(engine, now=datetime.now(tz=UTC), is_kept=False)

    def report(self, path: Path) -> Path:
        """Write the report, one self-contained HTML page.

        Raises:
            UsageError: there is something else in its place, or the configuration names it.
            DestinationError: the page could not be written.
        """
        from microconv.report import check_report_path, write_report

        check_report_path(path, self.config)
        return write_report(self.report_data(), path)

    def dictionary(self) -> Dictionary:
        """Return the dictionary of the taxonomy and its journey map, with volumes where something is staged."""
        from microconv.report.dictionary import dictionary
        from microconv.staging.volumes import volumes

        try:
            with self._reading() as engine:
                found = volumes(engine)
        except SourceError:  # nothing is staged: the rest can be told all the same
            found = None
        return dictionary(self.config, self.taxonomy, found)

    def __enter__(self) -> Self:
        """Return the project itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the engine."""
        self.close()
