"""The part of a project that acts on people: who is in a segment, and what is sent of them where."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from microconv import catalogue
from microconv.config.load import find_named
from microconv.project.workplace import Workplace

if TYPE_CHECKING:  # each is loaded by who asks for it
    from microconv.activation.conversions.sending_conversions import Conversions
    from microconv.activation.destinations.base import Destination
    from microconv.activation.export import ExportResult
    from microconv.activation.push.erasing import ErasureResult
    from microconv.activation.push.explaining import Explanation
    from microconv.activation.push.pushes import Pushes
    from microconv.activation.segment_audience import SegmentAudiences
    from microconv.analyses.propensity.propensity_models import PropensityModels
    from microconv.engines.base import Engine
    from microconv.guardrails.ethics import EthicsResult
    from microconv.segments.builds import Build, Change, SegmentDaysResult
    from microconv.segments.members import Member
    from microconv.segments.overlap import SegmentOverlapResult
    from microconv.segments.rules_in_words import SegmentsInWords


class ActivatesSegments(Workplace):
    """Build segments, say who is in them, and send them to destinations."""

    def members(self, segment_name: str, *, as_of: datetime | None = None) -> tuple[Member, ...]:
        """List the members of a segment at a moment, by default that of the latest event; see `named_members`."""
        from microconv.segments.members import named_members

        moment = as_of or self.default_as_of()
        return tuple(named_members(self._staged, self.config, segment_name, self.taxonomy, moment))

    @contextmanager
    def _running(self) -> Iterator[tuple[Engine, str]]:
        """Hold the run lock over the staged tables; give the engine and the id of the run.

        Raises:
            LockedError: Another run holds it.
        """
        from microconv.staging.record import new_run_id, process_owner

        run_id = new_run_id(datetime.now(tz=UTC))
        with self._reading() as engine:
            engine.begin(run_id, process_owner())
            try:
                yield engine, run_id
            finally:
                engine.end()

    def build_segments(
        self,
        *,
        as_of: datetime | None = None,
        on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
    ) -> Build:
        """Bring the memberships of all segments up to a moment, by default that of the latest staged event.

        See `microconv.segments.memberships.build`.

        Raises:
            UsageError: The moment is before that of the last build.
            LockedError: Another run holds the lock.
            SourceError: Nothing is staged yet.
        """
        from microconv.segments.memberships import build, default_moment

        taxonomy, latest = self.taxonomy, self.default_as_of()
        with self._running() as (engine, run_id):
            moment = as_of or default_moment(engine, latest, datetime.now(tz=UTC))
            return build(engine, self.config, taxonomy, moment, run_id, on_progress=on_progress)

    def preview_segment(
        self,
        name: str,
        *,
        as_of: datetime | None = None,
        with_people: int = 0,
        on_progress: Callable[[int, int, str], None] = lambda _done, _total, _step: None,
    ) -> tuple[Build, tuple[Change, ...]]:
        """Say who would enter and leave a segment with a build, which needs the others as well; nothing is changed.

        `with_people` is how many single actors are told, who are personal data.

        Raises:
            UsageError: The configuration has no such segment, or the moment is before that of the last build.
            LockedError: Another run holds the lock.
        """
        from microconv.segments.builds import changes_of
        from microconv.segments.memberships import default_moment, preview

        segment = find_named(self.config.segments, name, "segment")
        taxonomy, latest = self.taxonomy, self.default_as_of()
        with self._running() as (engine, run_id):
            moment = as_of or default_moment(engine, latest, datetime.now(tz=UTC))
            found = preview(engine, self.config, taxonomy, moment, run_id, on_progress=on_progress)
            people = tuple(changes_of(engine, segment.name, with_people)) if with_people else ()
        return found.only(segment.name), people

    def segment_days(self, name: str) -> SegmentDaysResult:
        """Say how many were in a segment on each day on which it was built; see `builds.segment_days`."""
        from microconv.segments.builds import segment_days

        segment = find_named(self.config.segments, name, "segment")
        with self._reading() as engine:
            return segment_days(engine, segment.name, self.config.project.timezone)

    def segments_in_words(self, name: str | None = None) -> SegmentsInWords:
        """Say what segments mean; see `SegmentsInWords.of`."""
        from microconv.segments.rules_in_words import SegmentsInWords

        return SegmentsInWords.of(self.config.segments, self.taxonomy, name)

    def segment_overlap(self, *, as_of: datetime | None = None) -> SegmentOverlapResult:
        """Say how far segments hold the same actors; see `microconv.segments.overlap.overlap`."""
        from microconv.segments.overlap import overlap

        return overlap(self._staged, self.config, self.taxonomy, as_of or self.default_as_of())

    def destination(self, name: str) -> Destination:
        """Return a destination of the configuration; nothing is opened yet.

        Raises:
            UsageError: the configuration has none of that name, or there is no such kind.
            ConfigError: its keys cannot be used.
        """
        entry = find_named(self.config.destinations, name, "destination")
        return catalogue.destination(entry, self.config.file, lambda: self.engine)

    def export(
        self,
        segment_name: str,
        destination_name: str,
        *,
        as_of: datetime | None = None,
        allow_shrink: bool = False,
        allow_stale: bool = False,
        allow_guardrails: Sequence[str] = (),
        dry_run: bool = False,
    ) -> ExportResult:
        """Send a segment's audience to a destination; see `microconv.activation.export.export_segment`.

        Its members are those of the latest event, or with `as_of` those whom the rule holds for at that moment.

        Raises:
            UsageError: the configuration has no such segment or destination.
            ConfigError: there is no identity or consent table: nobody may be sent without consent.
            FindingsError: a guard, a guardrail or an open question of ethics stopped the export.
            DestinationError: the destination did not take it.
        """
        from microconv.activation.export import export_segment
        from microconv.activation.sending_gate import SendingGate
        from microconv.activation.sending_run import sending_run

        segment = find_named(self.config.segments, segment_name, "segment")
        destination = self.destination(destination_name)
        now = datetime.now(tz=UTC)
        with sending_run(self._staged, "export", now) as run_id:
            audiences = self._audiences
            if as_of is None:
                audiences = audiences.built(run_id, dry_run=dry_run)
            gate = SendingGate(
                self.config, self.taxonomy, self._staged, now, run_id, tuple(allow_guardrails), is_kept=not dry_run
            )
            return export_segment(
                audiences,
                segment,
                destination,
                as_of,
                gate,
                run_id=run_id,
                now=now,
                allow_shrink=allow_shrink,
                allow_stale=allow_stale,
                dry_run=dry_run,
            )

    @property
    def _audiences(self) -> SegmentAudiences:
        from microconv.activation.segment_audience import SegmentAudiences

        return SegmentAudiences(self._staged, self.config, self.taxonomy, self.default_as_of())

    @property
    def propensity(self) -> PropensityModels:
        """Train models of the chance to reach a goal, and score actors; see `propensity_models`."""
        from microconv.analyses.propensity.propensity_models import PropensityModels

        return PropensityModels(self._running, self.taxonomy, self.default_as_of)

    @property
    def pushes(self) -> Pushes:
        """What can be done with lists at destinations: push, look, ask; see `microconv.activation.push.pushes`."""
        from microconv.activation.push.pushes import Pushes

        return Pushes(self.config, self._staged, lambda: self._audiences, self.destination)

    @property
    def conversions(self) -> Conversions:
        """What can be sent back to ad platforms; see `microconv.activation.conversions.sending_conversions`."""
        from microconv.activation.conversions.sending_conversions import Conversions

        return Conversions(self.config, self.taxonomy, self._staged, self.default_as_of, self.destination)

    def explain(self, actor: str, segment: str, destinations: Sequence[str] = ()) -> Explanation:
        """Say why somebody is in a segment and on its lists, or is not; see `microconv.activation.push.explaining`."""
        from microconv.activation.push.explaining import Explaining

        return Explaining(self.pushes).explain(actor, segment, destinations)

    def ethics(self) -> EthicsResult:
        """Return the checklist of ethics with the answers of the configuration; see `microconv.guardrails.ethics`."""
        from microconv.guardrails.ethics import ethics_result

        return ethics_result(self.config, datetime.now(tz=ZoneInfo(self.config.project.timezone)).date())

    def erase(self, user_id: str) -> ErasureResult:
        """Remove a person wherever we know of; see `microconv.activation.push.erasing`."""
        from microconv.activation.push.erasing import Erasing

        return Erasing(self.pushes).erase(user_id)
