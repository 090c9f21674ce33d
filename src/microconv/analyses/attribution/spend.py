"""Spend by day and touchpoint, and what a conversion cost by each model."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import ClassVar

from microconv import wording
from microconv.errors import ConfigError
from microconv.files import read_csv, readable
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result, column

SPEND_TEMPLATE = "analyses/attribution/spend"
_COLUMNS = {"date": ("date",), "touchpoint": ("touchpoint", "channel"), "cost": ("cost",)}
_HEADER = "date,touchpoint,cost"
_COST = re.compile(r"[0-9]{1,15}(\.[0-9]+)?")


@dataclass(frozen=True)
class Spend:
    """What was spent on one touchpoint on one day, in the project's currency."""

    day: date
    touchpoint: str
    cost: float


@dataclass(frozen=True)
class AttributionCredit:
    """What one model gives one touchpoint within one lookback window; `value` in the project's currency."""

    model: str = column("model")
    window: str = column("window")
    touchpoint: str = column("touchpoint")
    credit: float = column("credit", wording.decimal)
    value: float = column("value", wording.cents)


@dataclass(frozen=True)
class Return:
    """What a model credits a touchpoint with, beside what was spent on it.

    `cost_per_conversion` is None where there is no credit, `return_on_spend` (value per unit of cost) where there is
    no cost.
    """

    touchpoint: str = column("touchpoint")
    model: str = column("model")
    window: str = column("window")
    cost: float = column("cost", wording.cents)
    credit: float = column("credit", wording.decimal)
    value: float = column("value", wording.cents)
    cost_per_conversion: float | None = column("cost per conversion", wording.cents)
    return_on_spend: float | None = column("return on spend", wording.cents)


@dataclass(frozen=True)
class ReturnResult(Result):
    """Cost and return by model, window and touchpoint.

    `without_credit` names the touchpoints that cost money and have no credit by any model in any window;
    `cost_outside_days` is what was spent before `first` or after `last`, and is in no row.
    """

    row_type: ClassVar[type] = Return

    first: date
    last: date
    returns: tuple[Return, ...]
    without_credit: tuple[str, ...]
    cost_outside_days: float
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[Return, ...]:
        """The returns."""
        return self.returns


def read_spend(file: Path) -> tuple[Spend, ...]:
    """Read a CSV file in UTF-8 with the columns `date` (2024-01-31), `touchpoint` (or `channel`), `cost` (1234.50).

    Other columns and blank lines are ignored; rows of the same day and touchpoint are added up. Sorted by both.

    Raises:
        ConfigError: The file is missing or unreadable, lacks a column, or has a row that cannot be read. The message
            names the line and the column.
    """
    source = f"The spend file {file}"
    costs: dict[tuple[date, str], Decimal] = {}
    for line, values in _lines(file, source):
        where = f"{source}, line {line}"
        if not values["touchpoint"]:
            raise ConfigError(
                f"{where}, column touchpoint: it is empty.", hint="Name a touchpoint as attribution names it."
            )
        key = _day(values["date"], where), values["touchpoint"]
        costs[key] = costs.get(key, Decimal()) + _cost(values["cost"], where)
    return tuple(Spend(day, touchpoint, float(cost)) for (day, touchpoint), cost in sorted(costs.items()))


def join_spend(
    credited: Sequence[AttributionCredit],
    spend: Iterable[Spend],
    *,
    models: Sequence[str],
    windows: Sequence[str],
    first: date,
    last: date,
) -> ReturnResult:
    """Put spend beside credit, for every model and window.

    Args:
        credited: One row per model, window and touchpoint.
        spend: In the same currency as the values; touchpoints named alike.
        models: The models of `credited`, in the order of the result.
        windows: Its windows.
        first: The first day whose conversions were credited.
        last: The last day.

    Returns:
        By model and window, a row for each touchpoint with credit there or spend within the days; most credit first,
        then most cost, then by name.
    """
    cost: dict[str, float] = {}
    outside = 0.0
    for item in spend:
        if first <= item.day <= last:
            cost[item.touchpoint] = cost.get(item.touchpoint, 0.0) + item.cost
        else:
            outside += item.cost
    blocks: dict[tuple[str, str], dict[str, AttributionCredit]] = {key: {} for key in product(models, windows)}
    for credit in credited:
        blocks[credit.model, credit.window][credit.touchpoint] = credit
    rows = [
        _return(model, window, touchpoint, block.get(touchpoint), cost.get(touchpoint, 0.0))
        for (model, window), block in blocks.items()
        for touchpoint in {**block, **cost}
    ]
    places = {key: place for place, key in enumerate(blocks)}
    rows.sort(key=lambda row: (places[row.model, row.window], -row.credit, -row.cost, row.touchpoint))
    with_credit = {row.touchpoint for row in credited if row.credit}
    without_credit = tuple(sorted(name for name, spent in cost.items() if spent and name not in with_credit))
    return ReturnResult(
        first=first,
        last=last,
        returns=tuple(rows),
        without_credit=without_credit,
        cost_outside_days=outside,
        sentence=_in_words(first, last, sum(cost.values()), outside, without_credit),
        assumptions=(
            f"Spend counts from {first} to {last}, whole days; conversions of those days may rest on earlier spend.",
            "A touchpoint without a row of spend cost nothing.",
            "Cost per conversion is an average: it does not say what one more conversion would cost.",
        ),
    )


def _in_words(first: date, last: date, cost: float, outside: float, without_credit: Sequence[str]) -> str:
    said = [
        f"{wording.cents(cost)} was spent from {first} to {last}"
        if cost
        else f"Nothing was spent from {first} to {last}"
    ]
    if outside:
        said.append(f"{wording.cents(outside)} on other days is left out")
    if without_credit:
        said.append(f"no model credits {', '.join(without_credit)}")
    return "; ".join(said) + "."


def _return(model: str, window: str, touchpoint: str, credit: AttributionCredit | None, cost: float) -> Return:
    conversions, value = (credit.credit, credit.value) if credit else (0.0, 0.0)
    return Return(
        model=model,
        window=window,
        touchpoint=touchpoint,
        credit=conversions,
        value=value,
        cost=cost,
        cost_per_conversion=cost / conversions if conversions else None,
        return_on_spend=value / cost if cost else None,
    )


def _lines(file: Path, source: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the number of each line that is not blank, and its values by column, trimmed."""
    with readable(source):
        if file.is_char_device():  # /dev/zero has no end
            raise ConfigError(f"{source} is not a file.", hint="Name a CSV file as attribution.spend_file.")
        columns, rows = read_csv(file, source)
    places = {column: _place([name.lower() for name in columns], names, source) for column, names in _COLUMNS.items()}
    for line, row in rows:
        if any(value.strip() for value in row):
            yield line, {column: row[place].strip() for column, place in places.items()}


def _place(columns: Sequence[str], names: Sequence[str], source: str) -> int:
    places = [place for place, column in enumerate(columns) if column in names]
    spelled = " or ".join(names)
    if not places:
        raise ConfigError(
            f"{source}, line 1: there is no column {spelled}.", hint=f"Let the first line be {_HEADER}, with commas."
        )
    if len(places) > 1:
        raise ConfigError(f"{source}, line 1: there is more than one column {spelled}.", hint="Keep one of them.")
    return places[0]


def _day(text: str, where: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{where}, column date: this is not a date.", hint="Write dates like 2024-01-31.") from None


def _cost(text: str, where: str) -> Decimal:
    if not _COST.fullmatch(text):
        raise ConfigError(
            f"{where}, column cost: this is not a cost.",
            hint="Write costs like 1234.50: a point before decimals, no thousands separators, signs or currencies.",
        )
    return Decimal(text)


def spend_query(table: str) -> Query:
    """Return the query of what touchpoints cost, from a table of the engine with `date`, `touchpoint` and `cost`."""
    return templates.query(SPEND_TEMPLATE, relations={"spend": table})
