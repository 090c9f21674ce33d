"""Conditions on what an event carries: one operator with its operand, for taxonomies and for steps of funnels."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypedDict, cast

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, model_validator

from microconv.queries.patterns import problem_in_pattern

OPERATORS = ("equals", "any_of", "contains", "starts_with", "matches", "at_least", "at_most", "between", "exists")
_NUMERIC = ("at_least", "at_most", "between")


PRESET = {"is_preset": True}
"""The context in which presets are read: tests ask about their patterns, so that no command has to load an engine."""


def usable_pattern(pattern: str, info: ValidationInfo) -> str:
    """Refuse a regular expression that not every engine takes, with the reason; for `AfterValidator`."""
    is_preset = bool((info.context or {}).get("is_preset"))
    if not is_preset and (problem := problem_in_pattern(pattern)):
        raise ValueError(f"{pattern!r} {problem}")
    return pattern


def _text_or_number(value: object) -> object:
    if value is None or isinstance(value, str):
        return value
    # bool is an int to Python, and `equals = true` a mistake to everyone else.
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return float(value)
    raise ValueError("must be text in quotes, or a number")


def _texts_or_numbers(values: object) -> object:
    if not isinstance(values, list | tuple):
        return values  # left for the check of the list to refuse
    read = tuple(_text_or_number(value) for value in values)
    if len({type(value) for value in read}) > 1:
        raise ValueError("must be texts, or numbers, not both")
    return read


def _in_order(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"must be the lower number and the higher one, not [{bounds[0]:g}, {bounds[1]:g}]")
    return bounds


_SomeText = Annotated[str, Field(min_length=1)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_TextsOrNumbers = Annotated[
    tuple[str | float, ...], BeforeValidator(_texts_or_numbers), Field(min_length=1, strict=False)
]
Operand = str | float | bool | tuple[str, ...] | tuple[float, ...]


class Comparison(BaseModel):
    """Exactly one operator with its operand; a subclass says what it looks at (`subject`).

    Text is compared case-sensitively; with a number as operand the subject is read as a number. `between` includes both
    ends. A comparison with what is absent does not hold, except `exists = false`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    equals: Annotated[str | float | None, BeforeValidator(_text_or_number)] = None
    any_of: (
        Annotated[tuple[str | float, ...], BeforeValidator(_texts_or_numbers), Field(min_length=1, strict=False)] | None
    ) = None
    contains: _SomeText | None = None
    starts_with: _SomeText | None = None
    matches: Annotated[_SomeText, AfterValidator(usable_pattern)] | None = None
    at_least: _Number | None = None
    at_most: _Number | None = None
    between: Annotated[tuple[_Number, _Number], Field(strict=False), AfterValidator(_in_order)] | None = None
    exists: bool | None = None

    @model_validator(mode="after")
    def _one_operator(self) -> Comparison:
        if len(given := self._given) != 1:
            raise ValueError(f"must have exactly one of {', '.join(OPERATORS)}; it has {', '.join(given) or 'none'}")
        return self

    @property
    @abstractmethod
    def subject(self) -> str:
        """What it looks at, by name."""

    @property
    def _given(self) -> tuple[str, ...]:
        return tuple(operator for operator in OPERATORS if getattr(self, operator) is not None)

    @property
    def operator(self) -> str:
        """Name of the operator: one of `OPERATORS`."""
        return self._given[0]

    @property
    def operand(self) -> Operand:
        """What the operator compares with: text or texts, a number or numbers (`is_numeric`), or a bool (`exists`)."""
        operand: Operand = getattr(self, self.operator)
        return operand

    @property
    def is_numeric(self) -> bool:
        """Whether the subject is read as a number."""
        operand = self.operand
        one = operand[0] if isinstance(operand, tuple) else operand
        return self.operator in _NUMERIC or isinstance(one, float)

    def describe(self) -> str:
        """Return the condition as a person reads it: `percent_scrolled at least 90`."""
        operand = self.operand
        if isinstance(operand, bool):
            return f"{self.subject} {'exists' if operand else 'does not exist'}"
        texts = [f"{each:g}" if isinstance(each, float) else each for each in _listed(operand)]
        return f"{self.subject} {self.operator.replace('_', ' ')} " + (
            " and " if self.operator == "between" else " | "
        ).join(texts)


def _listed(operand: str | float | tuple[str, ...] | tuple[float, ...]) -> tuple[str | float, ...]:
    return operand if isinstance(operand, tuple) else (operand,)


class Criterion(TypedDict):
    """How SQL asks whether a condition holds; see the macro `holds` of `sql/_conditions.sql`."""

    column: str | None
    operator: str
    number: int
    cast_to: Literal["STRING", "FLOAT64"] | None
    is_list: bool


@dataclass
class Operands:
    """The operands of a query's conditions, as its parameters, n from 0.

    They are called `text_<n>`, `texts_<n>`, `number_<n>` or `numbers_<n>`; `first` is the number of the first.
    """

    first: int = 0
    params: dict[str, str | float | list[str] | list[float]] = field(default_factory=dict)

    def add(
        self, condition: Comparison, column: str | None, *, is_number: bool = False, is_list: bool = False
    ) -> Criterion:
        """Take a condition's operand, and return how the condition is asked.

        Args:
            condition: What must hold.
            column: What it looks at; None where the template knows.
            is_number: Whether the column is a number; to a number operator, text counts as the number it reads.
            is_list: Whether the column holds several texts, a line each: one for which the condition holds will do.
        """
        number = self.first + len(self.params)
        operator, operand = condition.operator, condition.operand
        kind = "number" if condition.is_numeric else "text"
        if isinstance(operand, bool):
            operator = "exists" if operand else "is_absent"
        elif isinstance(operand, tuple):
            self.params[f"{kind}s_{number}"] = cast("list[str] | list[float]", list(operand))
        else:
            self.params[f"{kind}_{number}"] = operand
        if operator in ("equals", "any_of") and condition.is_numeric:
            operator = f"{operator}_number"
        cast_to: Literal["STRING", "FLOAT64"] | None = None
        if is_number != condition.is_numeric and not isinstance(operand, bool):
            cast_to = "FLOAT64" if condition.is_numeric else "STRING"
        return Criterion(column=column, operator=operator, number=number, cast_to=cast_to, is_list=is_list)

    def add_text(self, text: str) -> int:
        """Take a text that is not an operand, and return the number of its parameter, `text_<n>`."""
        number = self.first + len(self.params)
        self.params[f"text_{number}"] = text
        return number
