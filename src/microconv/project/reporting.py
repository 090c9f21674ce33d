"""The part of a project that makes the report: every question answered, of some days or of all that are staged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from microconv import wording
from microconv.catalogue import QUESTIONS, question_class, questions_of
from microconv.config.sections import Period
from microconv.errors import MicroconvError, SourceError, UsageError
from microconv.project.activating import ActivatesSegments
from microconv.project.asking import AnswersQuestions
from microconv.project.staging_days import StagesDays
from microconv.version import __version__

if TYPE_CHECKING:  # each is loaded by who asks for it
    from microconv.audit.audit_findings import AuditResult
    from microconv.question import Question
    from microconv.report.data import Answered, Days, ReportData, Unanswered
    from microconv.report.dictionary import Dictionary
    from microconv.staging.summary import StagedSummary
    from microconv.wording import Sheet

BEYOND_THE_DEFAULT = frozenset(
    {"funnel_drop_off", "funnel_times", "path_links", "attribution_comparison", "hesitation", "segment"}
)
"""Questions that are no section of their own, and that a section of the page is made of."""


class MakesReports(StagesDays, AnswersQuestions, ActivatesSegments):
    """Make the report, and the dictionary of the taxonomy."""

    def report_data(
        self,
        *,
        since: date | None = None,
        until: date | None = None,
        sections: Sequence[str] | None = None,
        on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
    ) -> ReportData:
        """Answer everything that the report shows: each question that the configuration asks by itself.

        Args:
            since: The first day; None: the first that is staged.
            until: The last day; None: the last that is staged.
            sections: The sections to show, in this order; None: those of the configuration.
            on_progress: Told before each question how many are answered, of how many, and what is asked now.

        A question that cannot be answered is told as such; the others are answered all the same.

        Raises:
            UsageError: `until` is before `since`, or no day of the two is staged.
            ConfigError: `report.sections` names what is no section.
            SourceError: Nothing is staged yet.
        """
        from microconv.question import section_of
        from microconv.report.data import Days, ReportData
        from microconv.report.page_sections import check_sections

        period = section_of(Period, {"since": since, "until": until})
        shown = self.config.report.sections if sections is None else tuple(sections)
        check_sections(shown, tuple(QUESTIONS))
        summary = self._summary_of(period.since, period.until)
        if (since or until) and not summary.days:
            staged = self._summary_of(None, None)
            days = f"Staged are {staged.first_date} to {staged.last_date}." if staged.days else "No day is staged."
            raise UsageError(f"No day from {since or 'the first'} to {until or 'the last'} is staged.", hint=days)
        asked = before = None
        if (since or until) and summary.first_date and summary.last_date:
            asked = Days(since or summary.first_date, until or summary.last_date)
            before = self._staged_before(asked)
        questions = list(self._questions_of_report(shown, period, asked, before))
        steps = len(questions) + 1
        answers: list[Answered] = []
        unanswered: list[Unanswered] = []
        for done, (name, question) in enumerate(questions):
            on_progress(done, steps, name)
            self._answer_for_report(name, question, answers, unanswered)
        on_progress(len(questions), steps, "audit")
        is_whole = not shown
        return ReportData(
            project_name=self.config.project.name,
            timezone=self.config.project.timezone,
            currency=self.config.project.currency,
            generated_at=datetime.now(tz=UTC),
            version=__version__,
            summary=summary,
            staged=self._summary_of(None, None) if asked else summary,
            answers=tuple(answers),
            export_findings=self.export_findings(),
            audit=self._audit_of_report(period) if is_whole or {"audit", "overview"} & set(shown) else None,
            unanswered=tuple(unanswered),
            asked=asked,
            before=before,
            summary_before=self._summary_of(before.first, before.last) if before else None,
            dictionary=self.dictionary(),
            ethics=self.ethics() if is_whole or {"ethics", "overview"} & set(shown) else None,
            do_ethics_stop=self.config.ethics.stop,
            lists=tuple(self._lists()) if is_whole or "segments" in shown else (),
            lineage=tuple(self._lineage(period)) if is_whole or "lineage" in shown else (),
            sections=shown,
        )

    def _questions_of_report(
        self, sections: Sequence[str], period: Period, asked: Days | None, before: Days | None
    ) -> Iterator[tuple[str, Question]]:
        """Yield what is asked, of the days of the page where a question can be, each with its name."""
        from microconv.report.page_sections import questions_needed

        needed = questions_needed(sections)
        days = {name: value for name, value in (("since", period.since), ("until", period.until)) if value}
        for name, question in questions_of(self.config, self.taxonomy):
            if needed is None and not (question.in_report or name in BEYOND_THE_DEFAULT):
                continue
            if needed is not None and name not in needed:
                continue
            if name == "funnel_comparison":  # with each segment: not the report's
                continue
            yield name, question.model_copy(update=days) if isinstance(question, Period) else question
        if asked and before and (needed is None or "funnel_comparison" in needed):
            comparison: Any = question_class("funnel_comparison")
            for funnel in self.config.funnels:
                if comparison.fits(funnel):
                    given: dict[str, Any] = {
                        "name": funnel.name,
                        "since": before.first,
                        "until": before.last,
                        "against": f"{asked.first}..{asked.last}",
                        "name_a": "the days before",
                        "name_b": "these days",
                    }
                    yield "funnel_comparison", comparison.asked(self.config, given)

    def _answer_for_report(
        self, name: str, question: Question, answers: list[Answered], unanswered: list[Unanswered]
    ) -> None:
        from microconv.report.data import Answered, Unanswered

        said = QUESTIONS[name].answers
        try:
            result = self.answer(question)
        except MicroconvError as error:
            unanswered.append(Unanswered(name, said, question.about, error.message, error.hint or ""))
        except Exception as error:  # noqa: BLE001 - one question that fails must not take the page with it
            why = f"It failed unexpectedly ({type(error).__name__})."
            unanswered.append(Unanswered(name, said, question.about, why, "Ask it by its command to see more."))
        else:
            is_of_period = isinstance(question, Period)
            answers.append(Answered(name, said, question.about, result, is_of_period, QUESTIONS[name].command))

    def _summary_of(self, first: date | None, last: date | None) -> StagedSummary:
        from microconv.staging.summary import summary

        with self._reading() as engine:
            return summary(engine, first, last)

    def _staged_before(self, asked: Days) -> Days | None:
        """Return as many days before; None where not all of them are staged."""
        from microconv.report.data import Days

        length = (asked.last - asked.first).days + 1
        before = Days(asked.first - timedelta(days=length), asked.first - timedelta(days=1))
        return before if self._summary_of(before.first, before.last).days == length else None

    def _lists(self) -> Iterator[Sheet]:
        """Yield the tables of what was sent to destinations last."""
        if self.config.destinations and self.config.segments:
            yield from (each for each in self.pushes.status().sheets() if isinstance(each, wording.Sheet) and each.rows)

    def _lineage(self, period: Period) -> Iterator[Sheet]:
        """Yield the tables of where the figures come from."""
        from microconv.result import sheet
        from microconv.staging.lineage import ShardGroup, lineage
        from microconv.staging.mc_tables import TABLES

        with self._reading() as engine:
            found = lineage(engine, period.since, period.until)
            versions = {name: engine.version(name) for name in TABLES}
        yield sheet("The days of the page, by shard and taxonomy", found, ShardGroup)
        yield wording.Sheet(
            "The staged tables that everything is counted from",
            (wording.Heading("table"), wording.Heading("version", wording.count), wording.Heading("what it holds")),
            tuple((name, versions[name], TABLES[name].description) for name in TABLES if versions[name]),
        )

    def _audit_of_report(self, period: Period) -> AuditResult:
        """Audit for the report: what it finds is compared with the last audit, and not kept as one."""
        from microconv.audit.tracking_audit import Audit

        with self._reading() as engine:
            audit = Audit(self.config, self.taxonomy, period.since, period.until)
            return audit.run(engine, now=datetime.now(tz=UTC), is_kept=False)

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
