"""Conditions on what an event carries: one operator with its operand, for taxonomies and for steps of funnels."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypedDict

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from microconv.queries.patterns import problem_in_pattern

OPERATORS = ("equals", "any_of", "contains", "starts_with", "matches", "at_least", "at_most", "exists")
_NUMERIC = ("at_least", "at_most")


PRESET = {"is_preset": True}
"""The context in which presets are read: tests ask about their patterns, so that no command has to load an engine."""


def _usable_pattern(pattern: str, info: ValidationInfo) -> str:
    is_preset = bool((info.context or {}).get("is_preset"))
    if not is_preset and (problem := problem_in_pattern(pattern)):
        raise ValueError(f"{pattern!r} {problem}")
    return pattern


_SomeText = Annotated[str, Field(min_length=1)]
_Number = Annotated[float, Field(allow_inf_nan=False)]


class Comparison(BaseModel):
    """Exactly one operator with its operand; a subclass says what it looks at (`subject`).

    Text is compared case-sensitively. A comparison with what is absent does not hold, except `exists = false`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    equals: str | None = None
    any_of: Annotated[tuple[str, ...], Field(min_length=1, strict=False)] | None = None
    contains: _SomeText | None = None
    starts_with: _SomeText | None = None
    matches: Annotated[_SomeText, AfterValidator(_usable_pattern)] | None = None
    at_least: _Number | None = None
    at_most: _Number | None = None
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
    def operand(self) -> str | tuple[str, ...] | float | bool:
        """What the operator compares with: text, texts (`any_of`), a number (`is_numeric`) or a bool (`exists`)."""
        operand: str | tuple[str, ...] | float | bool = getattr(self, self.operator)
        return operand

    @property
    def is_numeric(self) -> bool:
        """Whether the subject is read as a number."""
        return self.operator in _NUMERIC

    def describe(self) -> str:
        """Return the condition as a person reads it: `percent_scrolled at least 90`."""
        operand = self.operand
        if isinstance(operand, bool):
            return f"{self.subject} {'exists' if operand else 'does not exist'}"
        if isinstance(operand, float):
            return f"{self.subject} {self.operator.replace('_', ' ')} {operand:g}"
        texts = " | ".join((operand,) if isinstance(operand, str) else operand)
        return f"{self.subject} {self.operator.replace('_', ' ')} {texts}"


class Criterion(TypedDict):
    """How SQL asks whether a condition holds; see the macro `holds` of `sql/_conditions.sql`."""

    column: str | None
    operator: str
    number: int
    cast_to: Literal["STRING", "FLOAT64"] | None
    is_list: bool


@dataclass
class Operands:
    """The operands of a query's conditions, as its parameters: `text_<n>`, `texts_<n>` or `number_<n>`, n from 0."""

    params: dict[str, str | list[str] | float] = field(default_factory=dict)

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
        number = len(self.params)
        operator, operand = condition.operator, condition.operand
        if isinstance(operand, bool):
            operator = "exists" if operand else "is_absent"
        elif isinstance(operand, tuple):
            self.params[f"texts_{number}"] = list(operand)
        else:
            self.params[f"{'number' if condition.is_numeric else 'text'}_{number}"] = operand
        cast_to: Literal["STRING", "FLOAT64"] | None = None
        if is_number != condition.is_numeric and not isinstance(operand, bool):
            cast_to = "FLOAT64" if condition.is_numeric else "STRING"
        return Criterion(column=column, operator=operator, number=number, cast_to=cast_to, is_list=is_list)
