"""What calls of Google's Data Manager API mean for a push: its failures and its states, in the words of a ledger."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from microconv import wording
from microconv.activation.push.audience_list import Answer, RefusedError, TryLaterError, UnsureError
from microconv.clients.data_manager import DataManager, ReceiverStatus
from microconv.clients.data_manager_failures import BusyError, RequestRefusedError, explained
from microconv.clients.outgoing import NoAnswerError, NotSentError
from microconv.errors import UsageError


@contextmanager
def as_answers() -> Iterator[None]:
    """Turn failures of a call into what the engine of a push knows.

    Raises:
        TryLaterError: Nothing took effect, and it may be tried again.
        UnsureError: It may have taken effect.
        RefusedError: Nothing took effect.
    """
    try:
        yield
    except NotSentError as error:
        raise TryLaterError(str(error)) from None
    except BusyError as error:
        raise TryLaterError(str(error), retry_after=error.retry_after) from None
    except NoAnswerError as error:
        raise UnsureError(str(error)) from None
    except RequestRefusedError as error:
        raise RefusedError(str(error), rows=error.rows) from None
    except UsageError as error:  # credentials that expired under way: nothing leaves without them
        raise RefusedError(str(error)) from None


def asked(client: DataManager, request_id: str) -> Answer:
    """Ask what became of a request.

    Raises:
        UnsureError: It did not say.
        UsageError: The package or the credentials are missing.
    """
    try:
        return answer_of(request_id, client.status(request_id))
    except (NotSentError, NoAnswerError, BusyError, RequestRefusedError) as error:
        raise UnsureError(str(error)) from None


def answer_of(request_id: str, statuses: Sequence[ReceiverStatus]) -> Answer:
    """Sum up what became of a request, at all of its receivers. Google says how many rows it rejected, never which."""
    if not statuses:
        return Answer("unknown", request_id, reason="Google does not know the request any more")
    states = {each.state for each in statuses}
    if states & {"processing", "unknown"}:
        return Answer("accepted", request_id)
    rejected = max((each.rejected or 0 for each in statuses), default=0) or None
    counts = {word: count for each in statuses for word, count in each.reasons}
    reason = ", ".join(f"{explained(word)} ({wording.count(count)})" for word, count in sorted(counts.items())) or None
    if states == {"success"} and rejected is None:
        return Answer("success", request_id)
    if states == {"failed"}:
        return Answer("failed", request_id, rejected=rejected, reason=reason or "Google rejected all of it")
    return Answer("partial", request_id, rejected=rejected, reason=reason)
