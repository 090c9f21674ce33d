"""What a platform says in a dry run of the first requests of a push, where it can check one without any effect."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import get_args

from microconv import wording
from microconv.activation.destinations.base import Destination
from microconv.activation.push.audience_list import (
    Answer,
    Operation,
    RefusedError,
    TryLaterError,
    UnsureError,
)
from microconv.activation.push.push_ledger import PushLedger
from microconv.activation.push.push_result import PushedList
from microconv.errors import DestinationError


@dataclass(frozen=True)
class CheckedRequest:
    """A request that a platform has checked.

    Attributes:
        operation: What it asked.
        identifiers: How many it held.
        answer: What would come of it; `unknown` where it was not checked.
    """

    operation: Operation
    identifiers: int
    answer: Answer

    @property
    def words(self) -> str:
        """Say it in a sentence without its subject."""
        what = f"the first request to {self.operation} ({wording.plural(self.identifiers, 'identifier')})"
        because = f": {self.answer.reason}" if self.answer.reason else ""
        match self.answer.state:
            case "success" | "accepted":
                return f"would take {what}, by its own check."
            case "partial":
                number = "some" if self.answer.rejected is None else wording.count(self.answer.rejected)
                return f"would refuse {number} of {what}, by its own check{because}."
            case "failed":
                return f"would refuse {what}, by its own check{because}."
            case _:
                return f"did not check {what}{because}."


def checked(destination: Destination, ledger: PushLedger, most_identifiers: int) -> Iterator[CheckedRequest]:
    """Have the first request of each operation checked, after `ledger.plan`; nothing comes of it."""
    for operation in get_args(Operation):
        identifiers = ledger.planned(operation, most_identifiers)
        if not identifiers:
            continue
        try:
            answer = destination.validate(ledger.segment, operation, identifiers)
        except RefusedError as error:
            answer = _refused(error, len(identifiers))
        except (TryLaterError, UnsureError) as error:
            answer = Answer("unknown", reason=str(error))
        if answer is not None:
            yield CheckedRequest(operation, len(identifiers), answer)


def with_checks(pushed: PushedList, found: tuple[CheckedRequest, ...]) -> PushedList:
    """Return a list of a dry run with what its platform said: what it would refuse whole is a failure."""
    said = [(each, f"{pushed.segment} at {pushed.destination}: it {each.words}") for each in found]
    refused = [words for each, words in said if each.answer.state == "failed"]
    doubtful = tuple(words for each, words in said if each.answer.state in ("partial", "unknown"))
    well = tuple(words for each, words in said if each.answer.state in ("success", "accepted"))
    failure = DestinationError(
        " ".join(refused), hint="Nothing was sent. See what the destination demands: docs/destinations.md."
    )
    return replace(
        pushed,
        notes=(*pushed.notes, *well),
        warnings=(*pushed.warnings, *doubtful),
        outcome="would be refused" if refused else pushed.outcome,
        failure=failure if refused else pushed.failure,
    )


def _refused(error: RefusedError, identifiers: int) -> Answer:
    """Return what a refusal means for the whole: a push sends the rest without those that are named."""
    if error.rows == ():
        return Answer("failed", reason=str(error))
    rejected = None if error.rows is None else len({place for place in error.rows if 0 <= place < identifiers})
    return Answer("partial", rejected=rejected, reason=str(error))
