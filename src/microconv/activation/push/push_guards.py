"""Stop a push that would change a list more than it should, empty it, or send what is long past."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from microconv import wording
from microconv.activation.audience_plan import AudiencePlan
from microconv.activation.guards import Told, check_age, check_somebody
from microconv.activation.push.list_plan import ListAudience, ListPlan
from microconv.config.push_limits import PushGuards
from microconv.config.values import Duration
from microconv.errors import FindingsError

_UNTOUCHED = "Nothing is sent but removals of people who refused."
OF_A_PUSH = Told("push", "sent", _UNTOUCHED)


@dataclass(frozen=True)
class Allowed:
    """What is let through on purpose, for one push.

    Attributes:
        shrink: Fewer people than `min_size`, nobody at all, and more removals than the limits allow.
        growth: More people than `max_size`.
        churn: More changes than `max_churn_pct`.
        stale: Data older than `max_age` of the destination.
        guardrails: Names of guardrails that are breached, or cannot be measured.
    """

    shrink: bool = False
    growth: bool = False
    churn: bool = False
    stale: bool = False
    guardrails: tuple[str, ...] = ()


def check_audience(
    audience: AudiencePlan,
    *,
    limits: PushGuards,
    max_age: Duration,
    allowed: Allowed,
    now: datetime,
    has_user_ids: Callable[[], bool],
) -> None:
    """Look at who would be on the list, before it is held against what is.

    Raises:
        FindingsError: The data is too old, or the people are too few or too many.
    """
    if not allowed.stale:
        check_age(audience.segment, audience.known_until, now, max_age, OF_A_PUSH)
    size = audience.written
    would = f"{_people(size)} would be on the list"
    if not allowed.shrink:
        check_somebody(audience, has_user_ids, OF_A_PUSH)
        if limits.min_size is not None and size < limits.min_size:
            raise _stopped(audience, would, f"min_size is {limits.min_size:,}", "shrink")
    if limits.max_size is not None and size > limits.max_size and not allowed.growth:
        raise _stopped(audience, would, f"max_size is {limits.max_size:,}", "growth")


def check_changes(audience: ListAudience, plan: ListPlan, *, limits: PushGuards, allowed: Allowed) -> None:
    """Look at what would change on a list; to a list that holds nothing, anything may be added.

    Raises:
        FindingsError: More would be removed, or changed, than the limits allow.
    """
    removed, changed = plan.removed, plan.added + plan.removed
    if not allowed.shrink:
        would = f"{_identifiers(removed)} of {plan.listed:,} on the list would be removed"
        if limits.max_deletes is not None and removed > limits.max_deletes:
            raise _stopped(audience, would, f"max_deletes is {limits.max_deletes:,}", "shrink")
        if limits.max_delete_pct is not None and 100 * removed > limits.max_delete_pct * plan.listed:
            share = _share(removed, plan.listed)
            raise _stopped(audience, f"{would}{share}", f"max_delete_pct is {limits.max_delete_pct:g}", "shrink")
    is_new = not plan.listed
    if limits.max_churn_pct is not None and not is_new and not allowed.churn:
        would = (
            f"{plan.added:,} would be added and {removed:,} removed, against {_identifiers(plan.listed)} on the list"
        )
        if 100 * changed > limits.max_churn_pct * plan.listed:
            share = _share(changed, plan.listed)
            raise _stopped(audience, f"{would}{share}", f"max_churn_pct is {limits.max_churn_pct:g}", "churn")


def _stopped(audience: AudiencePlan | ListAudience, would: str, limit: str, flag: str) -> FindingsError:
    return FindingsError(
        f"Segment {audience.segment} at {audience.destination}: {would}; {limit}, which stops the push. {_UNTOUCHED}",
        hint="Check the rule, the identity table, the consent table and the freshness of the data. If this is "
        f"intended, run again with --allow-{flag}, or set other limits under [push].",
    )


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{wording.count(number)} people"


def _identifiers(number: int) -> str:
    return wording.plural(number, "identifier")


def _share(part: int, whole: int) -> str:
    return f" ({wording.share(part / whole)})" if whole else ""
