"""Whether a platform would take conversions, for the doctor: by one about nobody, which it only checks."""

from __future__ import annotations

from datetime import datetime, timedelta

from microconv.activation.audience.normalise import sha256_hex
from microconv.activation.conversions.conversion_destination import Conversion, ConversionDestination, ConversionRules
from microconv.activation.push.audience_list import Identifier, RefusedError, TryLaterError, UnsureError
from microconv.findings import Finding, fault, not_tested, ok

_NOBODY = "nobody@example.com"
_ORDER_ID = "microconv-doctor"


def examined(name: str, at: ConversionDestination, now: datetime) -> Finding:
    """Let a platform check a conversion about nobody, where it can do that without effect.

    Args:
        name: What the configuration calls the conversion.
        at: Where it goes.
        now: The current time, aware of its zone.
    """
    platform = at.rules.name
    try:
        answer = at.validate([_example(at.rules, now)])
    except RefusedError as error:
        return fault(
            f"{platform} would not take conversions of {name}: {error}.",
            "Compare `action` under [[conversions]] with what is there; docs/conversions.md says what is needed.",
        )
    except (TryLaterError, UnsureError) as error:
        return not_tested(f"{platform} did not say whether it would take conversions of {name}: {error}.")
    if answer is None:
        return ok(f"conversions of {name}: {platform} checks none without counting it, so none was tried.")
    if answer.state == "success":
        return ok(f"{platform} would take conversions of {name}: it checked one about nobody.")
    return fault(f"{platform} would not take conversions of {name}: {answer.reason or answer.state}.", "Correct that.")


def _example(rules: ConversionRules, now: datetime) -> Conversion:
    at = now - timedelta(hours=1)
    email = _NOBODY if "email" in rules.in_clear else sha256_hex(_NOBODY)
    identifiers = (Identifier("email", email),) if "email" in rules.identity else ()
    clicks = {} if identifiers else dict.fromkeys(rules.clicks, "example")
    return Conversion(_ORDER_ID, at, now, clicks=clicks, clicked_at=at if clicks else None, identifiers=identifiers)
