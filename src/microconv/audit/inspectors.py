"""Checks that are no SQL: they look at the configuration, or ask elsewhere. They say what all checks say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from microconv import wording
from microconv.audit.checks import Check
from microconv.audit.reconciliation.reconcile import reconcile
from microconv.audit.supplied import Supply
from microconv.engines.base import Engine
from microconv.findings import Severity
from microconv.guardrails.guardrails_question import guardrail_state
from microconv.question import Context


@dataclass(frozen=True)
class ToldFinding:
    """What a check in Python found, in its own words: one fault, with the days it lasted.

    Attributes:
        subject: What it is about; subject and days tell the findings of a check apart.
        severity: How bad it is.
        message: What was found.
        remedy: What to do.
        first_date: Its first day; None where it is of no day.
        last_date: Its last day.
        count: By how much, or how many rows.
        share: The share that this is; None where there is none.
        query: The SQL that shows our side of it, if any.
    """

    subject: str
    severity: Severity
    message: str
    remedy: str
    first_date: date | None = None
    last_date: date | None = None
    count: int = 0
    share: float | None = None
    query: str = ""


@dataclass(frozen=True)
class Inspection:
    """What came of a check in Python: findings, and what could not be looked at, which is not a pass."""

    findings: tuple[ToldFinding, ...] = ()
    not_tested: str = ""


@dataclass(frozen=True)
class Inspector:
    """A check in Python: what it says of itself, and the function that looks, at a moment that is now.

    `look` raises nothing but errors of the engine: what stands in its way it says in `not_tested`.
    """

    check: Check
    look: Callable[[Engine, Supply, datetime], Inspection]


def _against_ga4(engine: Engine, supply: Supply, now: datetime) -> Inspection:
    found = reconcile(supply.config, lambda query: engine.query(query).to_pylist(), now=now)
    return Inspection(
        tuple(
            ToldFinding(
                subject=f"{each.subject} ({each.cause.replace('_', ' ')})",
                severity=each.severity,
                message=each.message,
                remedy=each.remedy,
                first_date=each.first_date,
                last_date=each.last_date,
                count=each.count,
                share=each.share,
                query=found.query,
            )
            for each in found.findings
        ),
        " ".join(found.not_tested),
    )


_SEVERITIES: dict[str, Severity] = {"breached": "error", "not measured": "warning", "warning": "note"}
_NO_GUARDRAILS = "No guardrails are configured: [[guardrails]] says what must not get worse."


def _guardrails(engine: Engine, supply: Supply, now: datetime) -> Inspection:
    if not supply.config.guardrails:
        return Inspection(not_tested=_NO_GUARDRAILS)
    context = Context(supply.config, supply.taxonomy, lambda: engine)
    states = [guardrail_state(each.name, context, now) for each in supply.config.guardrails]
    return Inspection(
        tuple(
            ToldFinding(
                subject=each.guardrail,
                severity=_SEVERITIES[each.state],
                message=f"{wording.capital(each.words)}.",
                remedy="Find out why, in the channels, campaigns and releases of these days; what names it is not sent."
                if each.stops
                else "Look again in some days, or measure it over more of them.",
            )
            for each in states
            if each.state != "ok"
        )
    )


INSPECTORS: tuple[Inspector, ...] = (
    Inspector(
        Check(
            name="ga4_figures",
            area="reconciliation",
            meaning="Figures that GA4 shows and the export does not hold, or the other way round, with the cause of "
            "each gap.",
            severity="warning",
            finding="Which figure differs, on which days, by how much, and why.",
            remedy="What to do depends on the cause; some gaps need nothing.",
        ),
        _against_ga4,
    ),
    Inspector(
        Check(
            name="guardrails",
            area="guardrails",
            meaning="Guardrails that are breached, cannot be measured, or are near their bound, as of now.",
            severity="error",
            finding="Which one, its figure with its interval, and its bound.",
            remedy="Find out why; what names it is not sent until then.",
        ),
        _guardrails,
    ),
)
"""The checks in Python."""
