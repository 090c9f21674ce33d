"""An export: a plan, the guards, a destination, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from microconv import wording
from microconv.activation.audience.audience_rows import AudienceRow
from microconv.activation.audience.first_party import consent_stamp
from microconv.activation.audience_plan import AudiencePlan, reasons
from microconv.activation.destinations.base import Batch, Delivery, Destination, Receipt, Target
from microconv.activation.guards import OF_AN_EXPORT, check_age, check_shrink
from microconv.activation.segment_audience import SegmentAudiences
from microconv.activation.sending_gate import SendingGate
from microconv.config.segment_settings import SegmentConfig
from microconv.errors import DestinationError, FindingsError
from microconv.result import Result, column

_LOST = ("partial", "failed", "unknown")
_SHOWN_DIGITS = 12
_CONSENT_TRIES = 3


@dataclass(frozen=True)
class Outcome:
    """What became of some members: `written`, or the reason why not."""

    outcome: str = column("outcome")
    members: int = column("members", wording.count)


@dataclass(frozen=True)
class ExportResult(Result):
    """An audience at its destination; `members` equals `written` plus the sum of `excluded`.

    Attributes:
        segment: The name of the segment.
        destination: The name of the destination in the configuration.
        target: Where it went.
        members: How many are in the segment.
        written: How many of them were sent.
        excluded: How many were not, by reason.
        plan: The fingerprint of what was to be sent.
        dry_run: Whether nothing was sent.
        receipts: What the destination said, one for each batch.
        warnings: What people should look at.
        notes: What is good to know, such as the state of guardrails in a dry run.
    """

    row_type: ClassVar[type] = Outcome

    segment: str
    destination: str
    target: Target
    members: int
    written: int
    excluded: Mapping[str, int]
    plan: str
    dry_run: bool
    receipts: tuple[Receipt, ...]
    warnings: tuple[str, ...]
    sentence: str
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> tuple[Outcome, ...]:
        """What became of the members."""
        return (Outcome("written", self.written), *(Outcome(*each) for each in self.excluded.items()))

    def sheets(self) -> tuple[str, ...]:
        """The sentence says it all, and what is good to know."""
        return (self.sentence, *self.notes)

    def document(self) -> dict[str, Any]:
        """Return the JSON document; where it went is part of it."""
        return {
            "segment": self.segment,
            "destination": self.destination,
            **self.target.facts,
            "members": self.members,
            "written": self.written,
            "excluded": dict(self.excluded),
            "plan": self.plan,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "dry_run": self.dry_run,
        }


def export(
    plan: AudiencePlan,
    destination: Destination,
    *,
    run_id: str,
    now: datetime,
    max_delete_pct: float = 50.0,
    allow_shrink: bool = False,
    allow_stale: bool = False,
    dry_run: bool = False,
    has_user_ids: Callable[[], bool] = lambda: True,
) -> ExportResult:
    """Send what is planned, all of it or nothing.

    Args:
        plan: What to send.
        destination: Where to.
        run_id: The run that exports, for the destination's record.
        now: The current time, aware of its zone.
        max_delete_pct: Largest drop of written members against the last delivery, in percent.
        allow_shrink: Skip the guards against an emptied or shrunken audience.
        allow_stale: Skip the guard against data older than the destination's `max_age`.
        dry_run: Check the guards, but send nothing.
        has_user_ids: Tells whether any row of the export has a user id; asked when nobody can be sent for want of one.

    Raises:
        UsageError: An argument cannot be used, or the segment cannot go there.
        FindingsError: A guard stopped the export; nothing was sent.
        DestinationError: The destination did not take it. Where it takes all or nothing, nothing was changed.
    """
    target = destination.target(plan.segment)
    # Also when nothing of it is looked at: whether it can be entered shows here, before anything is written.
    previous = destination.previous(plan.segment)
    if not allow_stale:
        check_age(plan.segment, plan.known_until, now, destination.settings.max_age)
    if not allow_shrink:
        check_shrink(plan, previous, max_delete_pct=max_delete_pct, has_user_ids=has_user_ids)
    receipts = () if dry_run else _deliver(plan, destination, run_id, now)
    left_out = f"; left out: {reasons(plan.excluded)}" if plan.excluded else ""
    return ExportResult(
        segment=plan.segment,
        destination=plan.destination,
        target=target,
        members=plan.members,
        written=plan.written,
        excluded=plan.excluded,
        plan=plan.fingerprint,
        dry_run=dry_run,
        receipts=receipts,
        warnings=plan.warnings,
        sentence=(
            f"{plan.segment}: {wording.count(plan.written)} of {wording.count(plan.members)} members "
            f"{'would be ' if dry_run else ''}{target.words}{left_out}. Plan {plan.fingerprint[:_SHOWN_DIGITS]}."
        ),
    )


def export_segment(
    audiences: SegmentAudiences,
    segment: SegmentConfig,
    destination: Destination,
    as_of: datetime | None,
    gate: SendingGate,
    **options: Any,  # noqa: ANN401 - those of `export`
) -> ExportResult:
    """Plan and export. Consent is read again at the moment of sending; where it has changed, the plan is made again.

    Raises:
        FindingsError: A guard stopped the export, or the consent table never rests.
        ConfigError: there is no identity or consent table: nobody may be sent without consent.
        DestinationError: The destination did not take it.
    """
    gate.measure([segment])
    warnings = gate.pass_segment(segment, destination.settings.name, OF_AN_EXPORT)
    notes = () if gate.is_kept else gate.said(segment)
    consent, engine, file = audiences.config.consent, audiences.engine, audiences.config.file
    for _ in range(_CONSENT_TRIES):
        agreed = consent_stamp(consent, engine, file)
        plan = audiences.plan(segment, destination, as_of)
        if agreed == consent_stamp(consent, engine, file):
            done = export(plan, destination, has_user_ids=audiences.has_user_ids, **options)
            return replace(done, warnings=(*warnings, *done.warnings), notes=notes)
    raise FindingsError(
        f"Segment {segment.name}: the consent table changed each of the {_CONSENT_TRIES} times that the "
        "audience was put together. Nothing was written; the last export is as it was.",
        hint="Export when nobody writes to it.",
    )


def batches(rows: Sequence[AudienceRow], size: int | None) -> Iterator[Batch]:
    """Cut rows into batches of at most `size`, in their order; no rows are one empty batch."""
    size = size or len(rows) or 1
    for number, start in enumerate(range(0, len(rows) or 1, size), start=1):
        yield Batch(number, rows[start : start + size])


def _deliver(plan: AudiencePlan, destination: Destination, run_id: str, now: datetime) -> tuple[Receipt, ...]:
    delivery = Delivery(
        segment=plan.segment,
        run_id=run_id,
        now=now,
        facts=plan.facts(run_id, now),
        rejects=plan.audience.rejects.pairs,
    )
    with destination.begin(delivery) as send:
        sent = [send(batch) for batch in batches(plan.audience.rows, destination.accepts.members_per_batch)]
    receipts = tuple(map(destination.poll, sent))
    taken = sum(receipt.taken for receipt in receipts)
    states = sorted({receipt.state for receipt in receipts} & set(_LOST))
    if taken != plan.written or states:
        raise DestinationError(
            f"{plan.destination} took {wording.count(taken)} of {wording.count(plan.written)} members of "
            f"{plan.segment}{f' ({wording.listed(states)})' if states else ''}.",
            hint="Look at what the destination itself says of this delivery, then run again.",
        )
    return receipts
