"""What sending a conversion would do: orders sent, restated, retracted, and those left as they are; and its guards."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from microconv import wording
from microconv.activation.push.push_guards import Allowed
from microconv.config.push_limits import PushGuards
from microconv.config.values import Duration
from microconv.engines.base import Engine
from microconv.errors import FindingsError
from microconv.queries import templates

_UNTOUCHED = "Nothing was sent."
_BY_THEMSELVES = ("gone", "withdrawn")
"""Why orders are retracted that nobody gave money back for: a mistake in the data looks the same."""


@dataclass(frozen=True)
class ConversionPlan:
    """What would be told of a conversion; all counts are of orders.

    Attributes:
        orders: How many count, in the time in which the destination takes them.
        left_out: How many of them are not sent, by reason.
        standing: How many the destination has, as far as we know.
        new: Told for the first time.
        restated: Told with another value.
        retracted: Taken back, by reason.
        repeated: Said again since nobody knows whether it took effect, or it was refused.
        waiting: Not to be touched yet: the destination is still working on them.
        left: Left as they are though they should be told, by reason.
        lost: They may or may not have arrived, and cannot be said again without counting twice.
        value: What the new ones are worth, by currency, in millionths.
        fingerprint: SHA-256 of all that would be sent, and where: equal plans send the same.
    """

    orders: int
    left_out: Mapping[str, int]
    standing: int
    new: int
    restated: int
    retracted: Mapping[str, int]
    repeated: int
    waiting: int
    left: Mapping[str, int]
    lost: int
    value: Mapping[str, int]
    fingerprint: str

    @property
    def to_send(self) -> int:
        """How many orders would be sent."""
        return self.new + self.restated + sum(self.retracted.values()) + self.repeated


def plan_conversion(
    engine: Engine, *, destination: str, conversion: str, orders: int, left_out: Mapping[str, int], told: Sequence[str]
) -> ConversionPlan:
    """Count what the scratch table `conversion_changes` holds, and take its fingerprint over it and `told`."""
    rows = engine.query(templates.query("activation/conversion_counts")).to_pylist()

    def total(of: Callable[[Mapping[str, Any]], bool]) -> int:
        return sum(row["orders"] for row in rows if of(row))

    def by_reason(of: Callable[[Mapping[str, Any]], bool]) -> dict[str, int]:
        found: dict[str, int] = {}
        for row in filter(of, rows):
            found[row["why"]] = found.get(row["why"], 0) + row["orders"]
        return found

    again = ("again", "settled")
    known = engine.query(templates.query("activation/conversion_status")).to_pylist()
    return ConversionPlan(
        orders=orders,
        left_out=dict(left_out),
        standing=sum(
            row["standing"] for row in known if (row["destination"], row["conversion"]) == (destination, conversion)
        ),
        new=total(lambda row: row["verdict"] == "send" and row["why"] == "new"),
        restated=total(
            lambda row: (row["verdict"], row["operation"]) == ("send", "restate") and row["why"] not in again
        ),
        retracted=by_reason(
            lambda row: (row["verdict"], row["operation"]) == ("send", "retract") and row["why"] not in again
        ),
        repeated=total(lambda row: row["verdict"] == "send" and row["why"] in again),
        waiting=total(lambda row: row["verdict"] == "hold"),
        left=by_reason(lambda row: row["verdict"] == "stands"),
        lost=total(lambda row: row["verdict"] == "lost"),
        value={
            row["currency"]: row["value_micros"]
            for row in rows
            if row["verdict"] == "send" and row["why"] == "new" and row["value_micros"] is not None
        },
        fingerprint=_fingerprint(engine, told),
    )


def _fingerprint(engine: Engine, told: Sequence[str]) -> str:
    digest = hashlib.sha256("\n".join((*told, "")).encode())
    for batch in engine.stream(templates.query("activation/planned_conversions")):
        for row in batch.to_pylist():
            digest.update(("\t".join(map(str, row.values())) + "\n").encode())
    return digest.hexdigest()


def check_conversion(
    name: str,
    plan: ConversionPlan,
    *,
    limits: PushGuards,
    allowed: Allowed,
) -> None:
    """Stop what would tell more at once than it should, or take back more than it should.

    Raises:
        FindingsError: It would.
    """
    if limits.max_size is not None and plan.new > limits.max_size and not allowed.growth:
        raise _stopped(name, f"{_orders(plan.new)} would be sent", f"max_size is {limits.max_size:,}", "growth")
    removed = sum(plan.retracted.get(each, 0) for each in _BY_THEMSELVES)
    if allowed.shrink or not removed:
        return
    would = f"{_orders(removed)} of {wording.count(plan.standing)} would be taken back"
    if limits.max_deletes is not None and removed > limits.max_deletes:
        raise _stopped(name, would, f"max_deletes is {limits.max_deletes:,}", "shrink")
    if limits.max_delete_pct is not None and 100 * removed > limits.max_delete_pct * plan.standing:
        raise _stopped(name, would, f"max_delete_pct is {limits.max_delete_pct:g}", "shrink")


def check_latest(name: str, latest: datetime, now: datetime, max_age: Duration, allowed: Allowed) -> None:
    """Stop when the latest staged event is so old that nobody can tell what happened since.

    Raises:
        FindingsError: It is.
    """
    age = now - latest
    if age.total_seconds() <= max_age.seconds or allowed.stale:
        return
    raise FindingsError(
        f"Conversion {name}: the latest event is {wording.plural(age.days, 'day')} old ({latest:%Y-%m-%d %H:%M %Z}); "
        f"older than {wording.span(max_age.seconds)} (max_age) stops it. {_UNTOUCHED}",
        hint="Run `microconv sync`, and look at `microconv doctor` if newer days do not arrive. To send it as it is, "
        "run again with --allow-stale, or set max_age of the destination.",
    )


def _stopped(name: str, would: str, limit: str, flag: str) -> FindingsError:
    return FindingsError(
        f"Conversion {name}: {would}; {limit}, which stops it. {_UNTOUCHED}",
        hint="Check the taxonomy, the staged days and the consent table. If this is intended, run again with "
        f"--allow-{flag}, or set other limits under `push` of the conversion.",
    )


def _orders(number: int) -> str:
    return wording.plural(number, "order")
