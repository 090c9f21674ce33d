"""What conversions are worth, currency by currency: nobody can add yen to dollars."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from microconv import wording
from microconv.result import column

UNITS_OF_VALUE = 10**6
"""The templates sum whole numbers of such units, so that a result does not depend on the order of adding."""


def _currency(code: str | None) -> str:
    return code or "(none)"


@dataclass(frozen=True)
class Amount:
    """What conversions are worth whose events name one currency.

    Attributes:
        currency: The currency named; None where none is.
        conversions: How many conversions of a value other than 0.
        without_value: How many more say no value, or 0; with the first currency those that name none, too.
        amount: Their value in that currency.
        value: What of it counts, in the project's currency; None where nothing does.
    """

    currency: str | None = column("currency", _currency)
    conversions: int = column("conversions", wording.count)
    without_value: int = column("without a value", wording.count)
    amount: float = column("amount", wording.cents)
    value: float | None = column("counts as", wording.cents)

    def __str__(self) -> str:
        """Write the amount: `10,000.00 JPY (1 conversion)`."""
        named = f"{wording.cents(self.amount)} {self.currency or 'without a currency'}"
        return f"{named} ({wording.plural(self.conversions, 'conversion')})"


def read_amounts(rows: Iterable[dict[str, Any]], currency: str) -> tuple[Amount, ...]:
    """Read the rows of `sql/analyses/attribution/amounts.sql`: the project's currency first, then most conversions.

    Conversions without a value have no currency that matters: they count with the first where none of theirs has one.
    """
    found = [
        Amount(
            row["currency"] or None,
            row["conversions"],
            row["without_value"],
            row["amount_micros"] / UNITS_OF_VALUE,
            row["value_micros"] / UNITS_OF_VALUE if row["is_counted"] else None,
        )
        for row in rows
    ]
    found.sort(key=lambda each: (each.currency != currency, -each.conversions, each.currency or "", each.value is None))
    worth = [each for each in found if each.conversions]
    if worth:
        others = sum(each.without_value for each in found if not each.conversions)
        worth[0] = replace(worth[0], without_value=worth[0].without_value + others)
    return tuple(worth)


def in_words(
    amounts: Sequence[Amount],
    currency: str,
    *,
    is_assumed: bool,
    otherwise: str = "Their conversions earn credit as all others do.",
) -> tuple[str, ...]:
    """Say what counts and what is left out, as assumptions; nothing where no event says a value.

    `is_assumed`: values without a currency count as being in the project's. `otherwise` says what the conversions still
    count for whose value is left out.
    """
    others = [each for each in amounts if each.currency != currency]
    converted = [each for each in others if each.value is not None and each.currency is not None]
    unnamed = [each for each in others if each.value is not None and each.currency is None]
    left_out = [each for each in others if each.value is None]
    said = []
    if converted:
        value = wording.money(sum(each.value or 0.0 for each in converted), currency)
        said.append(f"{listed(converted)} count as {value}, by GA4's own conversion.")
    for each in unnamed:
        why = "since project.assume_currency is true" if is_assumed else "by GA4's own conversion"
        said.append(f"{each} count as {wording.money(each.value or 0.0, currency)}, {why}.")
    if left_out:
        said.append(
            f"Value is in {currency}, and no other currency is added to it. Left out: {listed(left_out)}. {otherwise}"
        )
    if without := sum(each.without_value for each in amounts):
        of_all = without + sum(each.conversions for each in amounts)
        said.append(
            f"Without a value, and counted as 0, in averages, too: {wording.count(without)} of "
            f"{wording.plural(of_all, 'conversion')}. microconv audit looks closer."
        )
    return tuple(said)


def listed(amounts: Iterable[Amount]) -> str:
    """Name amounts for a sentence, all of them; empty where there is none."""
    named = [str(each) for each in amounts]
    return wording.listed(named, limit=len(named)) if named else ""
