"""Stop an export that would empty or decimate an audience, also when that cannot be evaluated."""

from __future__ import annotations

from microconv import wording
from microconv.activation.audience_plan import AudiencePlan, reasons
from microconv.activation.destinations.base import Previous
from microconv.errors import FindingsError, UsageError

_IF_INTENDED = "If this is intended, run again with --allow-shrink."
_UNTOUCHED = "Nothing was written; the last export is as it was."


def check_shrink(plan: AudiencePlan, previous: Previous | None, *, max_delete_pct: float) -> None:
    """Compare a plan with what was delivered last; return when it may replace that.

    Args:
        plan: What would be sent.
        previous: The last delivery of the segment; None at the first one.
        max_delete_pct: Largest drop of `written` that passes, in percent of the last delivery.

    Raises:
        UsageError: `max_delete_pct` is not a percentage.
        FindingsError: Nobody would be sent, the drop is too large, or nobody can tell how large it is.
    """
    if not 0 <= max_delete_pct <= 100:  # noqa: PLR2004 - percent
        raise UsageError(f"max_delete_pct is {max_delete_pct:g}.", hint="Give a percentage from 0 to 100.")
    because = f" (excluded: {reasons(plan.excluded)})" if plan.excluded else ""
    if not plan.written:
        raise FindingsError(
            f"Segment {plan.segment}: none of {wording.count(plan.members)} members can be written{because}. "
            f"{_UNTOUCHED}",
            hint=f"Check the rule, the identity table and the consent table. {_IF_INTENDED}",
        )
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
