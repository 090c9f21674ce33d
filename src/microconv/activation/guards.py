"""Stop an export that would empty or decimate an audience, or send what is long past, also when nobody can tell.

What holds for a push as well says so in words of its own (`Told`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from microconv import wording
from microconv.activation.audience.reasons import Reason
from microconv.activation.audience_plan import AudiencePlan, reasons
from microconv.activation.destinations.base import Previous
from microconv.config.values import Duration
from microconv.errors import FindingsError, UsageError

_IF_INTENDED = "If this is intended, run again with --allow-shrink."
_UNTOUCHED = "Nothing was written; the last export is as it was."


@dataclass(frozen=True)
class Told:
    """How a guard calls what it stops, what would become of people, and what has become of nothing."""

    what: str
    done: str
    untouched: str


OF_AN_EXPORT = Told("export", "written", _UNTOUCHED)


def check_age(
    segment: str, known_until: datetime | None, now: datetime, max_age: Duration, told: Told = OF_AN_EXPORT
) -> None:
    """Return when what is known of a segment is recent enough to be sent.

    Args:
        segment: The name of the segment.
        known_until: The moment of the latest event that its membership knows of; None: that is not asked.
        now: The current time, aware of its zone.
        max_age: How long ago that may be.
        told: What is stopped.

    Raises:
        FindingsError: It is longer ago.
    """
    if known_until is None:
        return
    age = now - known_until
    if age.total_seconds() > max_age.seconds:
        raise FindingsError(
            f"Segment {segment}: the latest event that it knows of is {wording.plural(age.days, 'day')} old "
            f"({known_until:%Y-%m-%d %H:%M %Z}); older than {wording.span(max_age.seconds)} (max_age) stops the "
            f"{told.what}. {told.untouched}",
            hint="Run `microconv sync`, and look at `microconv doctor` if newer days do not arrive. To send it as it "
            "is, run again with --allow-stale, or set max_age of the destination.",
        )


def check_shrink(
    plan: AudiencePlan,
    previous: Previous | None,
    *,
    max_delete_pct: float,
    has_user_ids: Callable[[], bool] = lambda: True,
) -> None:
    """Compare a plan with what was delivered last; return when it may replace that.

    Args:
        plan: What would be sent.
        previous: The last delivery of the segment; None at the first one.
        max_delete_pct: Largest drop of `written` that passes, in percent of the last delivery.
        has_user_ids: Tells whether any row of the export has a user id.

    Raises:
        UsageError: `max_delete_pct` is not a percentage.
        FindingsError: Nobody would be sent, the drop is too large, or nobody can tell how large it is.
    """
    if not 0 <= max_delete_pct <= 100:  # noqa: PLR2004 - percent
        raise UsageError(f"max_delete_pct is {max_delete_pct:g}.", hint="Give a percentage from 0 to 100.")
    because = f" (excluded: {reasons(plan.excluded)})" if plan.excluded else ""
    check_somebody(plan, has_user_ids)
    if previous is None:
        return
    if previous.written is None:
        raise FindingsError(
            f"Segment {plan.segment}: {previous.record} is missing or cannot be read, so nobody can tell how much the "
            f"audience would shrink. {_UNTOUCHED}",
            hint="Restore it, or run again with --allow-shrink to replace the last export unseen.",
        )
    lost = previous.written - plan.written
    if 100 * lost > max_delete_pct * previous.written:
        raise FindingsError(
            f"Segment {plan.segment} would shrink from {wording.count(previous.written)} to "
            f"{wording.count(plan.written)} written members, by {wording.share(lost / previous.written)}; more than "
            f"{max_delete_pct:g}% (max_delete_pct) stops the export{because}. {_UNTOUCHED}",
            hint=f"Check the rule, the identity table, the consent table and the freshness of the data. {_IF_INTENDED}",
        )


def check_somebody(
    plan: AudiencePlan, has_user_ids: Callable[[], bool] = lambda: True, told: Told = OF_AN_EXPORT
) -> None:
    """Return when anybody would be sent.

    Raises:
        FindingsError: Nobody would; where one cause keeps everybody out, the message names it.
    """
    if plan.written:
        return
    if (found := _cause(plan, has_user_ids)) is not None:
        cause, remedy = found
        raise FindingsError(f"Segment {plan.segment}: {cause} {told.untouched}", hint=remedy)
    because = f" (excluded: {reasons(plan.excluded)})" if plan.excluded else ""
    raise FindingsError(
        f"Segment {plan.segment}: none of {wording.count(plan.members)} members can be {told.done}{because}. "
        f"{told.untouched}",
        hint=f"Check the rule, the identity table and the consent table. {_IF_INTENDED}",
    )


def _cause(plan: AudiencePlan, has_user_ids: Callable[[], bool]) -> tuple[str, str] | None:
    """Return what keeps every single member out, if it is one thing that sending an empty audience would not mend."""
    if len(plan.excluded) != 1:
        return None
    (reason,) = plan.excluded
    everybody = f"none of the {wording.count(plan.members)} members"
    if reason == Reason.NO_USER_ID.value:
        if has_user_ids():
            return (
                f"{everybody} ever signed in, so that nobody can be looked up in the identity table (no_user_id).",
                "Choose a rule that people meet who sign in, or send user_id to GA4 on more pages.",
            )
        return (
            f"{everybody} can be identified: no row of this export has a user_id.",
            "Let the site send user_id to GA4 when somebody signs in; from then on, members can be looked up.",
        )
    if reason == Reason.NO_CONSENT_RECORD.value:
        return (
            f"{everybody} has a row in the consent table (no_consent_record).",
            "Check that user_id of the consent table is the one that the site sends to GA4.",
        )
    if reason == Reason.NO_IDENTITY_RECORD.value:
        return (
            f"{everybody} has a row in the identity table (no_identity_record).",
            "Check that user_id of the identity table is the one that the site sends to GA4.",
        )
    return None
