"""What a push says of itself: each list with its plan and what became of it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from microconv import wording
from microconv.activation.audience_plan import reasons
from microconv.activation.push.list_plan import ListPlan
from microconv.activation.push.push_ledger import LedgerBatch
from microconv.errors import DestinationError, MicroconvError
from microconv.result import Result, column, sheet
from microconv.wording import Sheet

_SHOWN_DIGITS = 12
_UNDONE = ("sent", "failed", "unknown")
"""States of a batch that another push has to do again."""


@dataclass(frozen=True)
class ListChanges:
    """A list of a push: who should be on it, what was sent, and what became of that."""

    segment: str = column("segment")
    destination: str = column("destination")
    people: int | None = column("people", wording.count)
    listed: int | None = column("listed before", wording.count)
    added: int | None = column("added", wording.count)
    removed: int | None = column("removed", wording.count)
    refreshed: int | None = column("refreshed", wording.count)
    repeated: int | None = column("repeated", wording.count)
    waiting: int | None = column("waiting", wording.count)
    outcome: str = column("outcome")


@dataclass(frozen=True)
class Became:
    """What became of batches: in a word or two, what people should look at, and what was not confirmed."""

    outcome: str
    warnings: tuple[str, ...] = ()
    failure: DestinationError | None = None


def became_of(batches: tuple[LedgerBatch, ...], destination: str, name: str, noun: str, again: str) -> Became:
    """Sum up what became of batches of a list or conversion; `noun` is what they hold, `again` says what to do next.

    What was refused by name is not a failure, since saying it again changes nothing, unless it cannot be taken off.
    """
    if not batches:
        return Became("nothing to send")
    rejected = sum(each.rejected or 0 for each in batches)
    warnings = (f"{destination} refused {wording.plural(rejected, noun)} of {name}.",) if rejected else ()
    undone = [
        each for each in batches if each.state in _UNDONE and not (each.is_set_apart and each.operation != "remove")
    ]
    if undone:
        why = sorted({each.reason for each in undone if each.reason})
        because = f" ({wording.listed(why)})" if why else " (no answer came)"
        number = wording.plural(sum(each.identifiers for each in undone), noun)
        said = f"{destination} did not confirm {number} of {name}{because}."
        return Became("partly failed", warnings, DestinationError(said, hint=again))
    is_accepted = any(each.state == "accepted" for each in batches)
    has_left = not all(each.is_set_apart for each in batches)
    return Became("accepted" if is_accepted else "sent" if has_left else "refused", warnings)


@dataclass(frozen=True)
class PushedList:
    """What a push did with one list.

    Attributes:
        segment: The name of the segment.
        destination: The name of the destination.
        plan: What was planned; None where that could not be told.
        excluded: Members who are not on the list, by reason.
        batches: The requests that were sent, as they are now.
        outcome: In a word or two what became of it.
        warnings: What people should look at.
        failure: What stopped it, if anything did.
        notes: What is good to know, such as what its platform said in a dry run.
    """

    segment: str
    destination: str
    plan: ListPlan | None
    excluded: Mapping[str, int]
    batches: tuple[LedgerBatch, ...]
    outcome: str
    warnings: tuple[str, ...]
    failure: MicroconvError | None = None
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of its plan; empty where there is none."""
        return self.plan.fingerprint if self.plan else ""

    @property
    def row(self) -> ListChanges:
        """The list as a row."""
        plan = asdict(self.plan) if self.plan else {}
        counts = {name: plan.get(name) for name in ("listed", "added", "removed", "refreshed", "repeated", "waiting")}
        return ListChanges(self.segment, self.destination, plan.get("written"), **counts, outcome=self.outcome)

    def settled(self, batches: tuple[LedgerBatch, ...]) -> PushedList:
        """Return the same after its batches were sent, with what these have become."""
        became = became_of(
            batches,
            self.destination,
            self.segment,
            "identifier",
            "Run `microconv push` again: it says once more what was not confirmed, and nothing twice at a time.",
        )
        return replace(
            self,
            batches=batches,
            outcome=became.outcome,
            warnings=(*self.warnings, *became.warnings),
            failure=became.failure,
        )

    def document(self) -> dict[str, Any]:
        """Return the list as JSON."""
        return {
            "segment": self.segment,
            "destination": self.destination,
            "outcome": self.outcome,
            **(asdict(self.plan) if self.plan else {}),
            "excluded": dict(self.excluded),
            "batches": [wording.iso_dates(asdict(each)) for each in self.batches],
            "warnings": list(self.warnings),
            "notes": list(self.notes),
            "problem": None if self.failure is None else self.failure.message,
        }


@dataclass(frozen=True)
class PushResult(Result):
    """A push: its lists, and the fingerprint of all that it planned."""

    row_type: ClassVar[type] = ListChanges

    push_id: str
    dry_run: bool
    lists: tuple[PushedList, ...]

    @property
    def plan(self) -> str:
        """SHA-256 of what is planned for all lists: a dry run and the push after it have the same."""
        told = [f"{each.segment} {each.destination} {each.fingerprint}" for each in self.lists]
        return hashlib.sha256("\n".join(told).encode()).hexdigest()

    @property
    def rows(self) -> tuple[ListChanges, ...]:
        """The lists."""
        return tuple(each.row for each in self.lists)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people should look at."""
        return tuple(warning for each in self.lists for warning in each.warnings)

    @property
    def failures(self) -> tuple[MicroconvError, ...]:
        """What stopped lists, or failed; the one that decides on the exit code comes last."""
        found = [each.failure for each in self.lists if each.failure is not None]
        return tuple(sorted(found, key=lambda failure: failure.exit_code))

    @property
    def sentence(self) -> str:  # type: ignore[override]  # made of the rest
        """Say what was sent, or would be."""
        sent = [each for each in self.lists if each.outcome != "stopped" and (each.failure is None or each.batches)]
        planned = [each.plan for each in sent if each.plan]
        added, removed, again = (
            sum(getattr(plan, name) for plan in planned for name in names)
            for names in (("added",), ("removed",), ("refreshed", "repeated"))
        )
        would = "would be " if self.dry_run else ""
        return (
            f"{wording.plural(len(self.lists), 'list')}: {wording.plural(added, 'identifier')} {would}added, "
            f"{wording.count(removed)} removed, {wording.count(again)} said again. Plan {self.plan[:_SHOWN_DIGITS]}."
        )

    @property
    def assumptions(self) -> tuple[str, ...]:  # type: ignore[override]  # made of the rest
        """Who is left out, and what else is good to know."""
        left_out = (
            f"{each.segment} at {each.destination} leaves out: {reasons(each.excluded)}."
            for each in self.lists
            if each.excluded
        )
        return (*left_out, *(note for each in self.lists for note in each.notes))

    def sheets(self) -> tuple[Sheet, ...]:
        """One table of the lists."""
        return (sheet("Dry run" if self.dry_run else "Push", self.rows, ListChanges),)

    def document(self) -> dict[str, Any]:
        """Return the push as JSON."""
        return {
            "push_id": self.push_id,
            "dry_run": self.dry_run,
            "plan": self.plan,
            "lists": [each.document() for each in self.lists],
            "sentence": self.sentence,
        }
