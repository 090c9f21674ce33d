"""The part of a project that looks at the tracking: checks, accepted findings, proposals for the taxonomy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from microconv.errors import SourceError
from microconv.project.workplace import Workplace
from microconv.taxonomy import Taxonomy

if TYPE_CHECKING:  # each is loaded by who asks for it
    from microconv.audit.audit_findings import AuditResult, FailOn
    from microconv.audit.checks import Check
    from microconv.audit.kept_findings import KeptFinding
    from microconv.audit.suggestions import SuggestionsResult
    from microconv.audit.tracking_audit import AuditProgress


class AuditsTracking(Workplace):
    """Check the tracking, remember which findings are accepted, and propose what the taxonomy lacks."""

    def audit(
        self,
        *,
        since: date | None = None,
        until: date | None = None,
        only: Sequence[str] = (),
        fail_on: FailOn | None = None,
        now: datetime | None = None,
        on_progress: Callable[[AuditProgress], None] = lambda _: None,
    ) -> AuditResult:
        """Make every check of the tracking, or `only` some checks or areas; see `microconv.audit.tracking_audit`.

        The findings are kept, so that the next audit says what is new, still there or gone.
        """
        from microconv.audit.tracking_audit import Audit

        audit = Audit(self.config, self.taxonomy, since, until, tuple(only), fail_on)
        with self._reading() as engine:
            return audit.run(engine, now=now or datetime.now(tz=UTC), on_progress=on_progress)

    def audit_query(self, check: Check) -> tuple[str, dict[str, float]]:
        """Return the SQL of a check, empty where it is not made by any, and its thresholds as configured."""
        from microconv.audit.tracking_audit import Audit, check_thresholds

        check_thresholds(self.config)
        audit = Audit(self.config, self.taxonomy)
        return audit.query(check).sql if check.has_template else "", audit.thresholds(check)

    def accept_finding(self, named: str, *, reason: str, until: date) -> KeptFinding:
        """Take a finding of the last audit out of the count until a day; see `microconv.audit.kept_findings`."""
        from microconv.audit.kept_findings import accept

        return accept(self._staged, named, reason=reason, until=until, now=datetime.now(tz=UTC))

    def take_back_finding(self, named: str) -> KeptFinding:
        """Let an accepted finding count again."""
        from microconv.audit.kept_findings import take_back

        return take_back(self._staged, named, now=datetime.now(tz=UTC))

    def accepted_findings(self) -> tuple[KeptFinding, ...]:
        """Return the findings that are accepted."""
        from microconv.audit.kept_findings import Memory

        return Memory.read(self._staged).accepted

    def suggest(self, *, others: Sequence[Taxonomy] = ()) -> SuggestionsResult:
        """Propose entries to add, collapse and retire; see `microconv.audit.suggestions.suggest`.

        The parameters come from a few days of the export, which are read anew: on BigQuery that is billed.

        Raises:
            SourceError: Nothing is staged yet.
        """
        from microconv.audit.suggestions import suggest
        from microconv.staging import Scope, find_shards
        from microconv.staging.parameter_profile import ParameterProfile, profile

        with self._reading() as engine:
            try:
                parameters = profile(engine, find_shards(self.sources, Scope()))
            except SourceError as error:
                parameters = ParameterProfile(problem=error.message)
            return suggest(engine, self.config, self.taxonomy, parameters, others=others)
