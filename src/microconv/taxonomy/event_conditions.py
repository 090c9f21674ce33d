"""Conditions of entries: what an event must be called and carry to count, alone and in groups (`all`, `any`, `not`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from microconv.config.problems import ItemError
from microconv.exports import CONDITION_ITEM_FIELDS
from microconv.queries.conditions import Comparison, usable_pattern
from microconv.taxonomy.names import ParameterName, QueryName

EventField = Literal["page", "host", "platform", "stream", "app_version"]
"""What every event has, or may have, besides its parameters; all of it is text."""
Type = Literal["number", "text"]

PLATFORMS = ("WEB", "IOS", "ANDROID")
SUBJECTS = ("parameter", "item", "user_property", "query", "field")
"""The keys that say what a condition looks at; it has exactly one of them."""
GROUPS = ("all", "any", "not")
TAGS = ("<condition>", "<group>")
"""How pydantic marks which of the two an error is about: a file holds no such key."""


def _item_field(name: str) -> str:
    if name in CONDITION_ITEM_FIELDS:
        return name
    near = get_close_matches(name, CONDITION_ITEM_FIELDS, n=1)
    meant = f' (did you mean "{near[0]}"?)' if near else f" (known are {', '.join(CONDITION_ITEM_FIELDS)})"
    raise ValueError(f'"{name}" is not a field of items that is read{meant}')


class EventPattern(BaseModel):
    """The events whose names match a regular expression, whichever the export holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    matches: Annotated[str, Field(min_length=1), AfterValidator(usable_pattern)]


class Condition(Comparison):
    """One condition on an event: what it looks at, and exactly one operator.

    `field = "page"` is the path of `page_location` (`/pricing`: no scheme, host, query or fragment), `query` names a
    parameter of its query. Of several items one for which the condition holds will do. `as` says in which form the
    subject is read, where the operand does not: `exists` as a number.
    """

    parameter: ParameterName | None = None
    item: Annotated[str, AfterValidator(_item_field)] | None = None
    user_property: ParameterName | None = None
    query: QueryName | None = None
    field: EventField | None = None
    as_type: Type | None = Field(default=None, alias="as")

    @model_validator(mode="after")
    def _fits_together(self) -> Condition:
        if len(given := [key for key in SUBJECTS if getattr(self, key) is not None]) != 1:
            fields = ", ".join(get_args(EventField))
            raise ValueError(
                f"must name what it looks at: exactly one of {', '.join(SUBJECTS)} (which is one of {fields}); "
                f"it has {', '.join(given) or 'none'}"
            )
        operator = self.operator
        if self.field and self.is_numeric:
            raise ValueError(f"{operator} needs a number, and the {self.subject} is text: write it in quotes")
        if self.field and self.as_type == "number":
            raise ItemError(f'is "number", and the {self.subject} is text', ("as",))
        if operator != "exists" and self.as_type and (self.as_type == "number") != self.is_numeric:
            wanted = "a number, without quotes" if self.as_type == "number" else "text in quotes"
            raise ItemError(f'is "{self.as_type}", and {operator} must then have {wanted}', ("as",))
        if operator == "matches" and self.field is None and self.as_type == "number":
            raise ItemError('is "number", and a pattern is for text', ("as",))
        if self.field == "platform" and operator in ("equals", "any_of"):
            operand = self.operand
            for name in operand if isinstance(operand, tuple) else (operand,):
                if name not in PLATFORMS:
                    raise ItemError(f"must be as GA4 writes it: {', '.join(PLATFORMS)}; not {name!r}", (operator,))
        return self

    @property
    def kind(self) -> str:
        """Which of `SUBJECTS` it looks at."""
        return next(key for key in SUBJECTS if getattr(self, key) is not None)

    @property
    def name(self) -> str:
        """The name of what it looks at: a parameter, a field of items, a property of the user, a part of the event."""
        name: str = getattr(self, self.kind)
        return name

    @property
    def subject(self) -> str:
        """What it looks at, in words."""
        return {
            "parameter": self.parameter,
            "item": f"{self.item} of an item",
            "user_property": f"user property {self.user_property}",
            "query": f"query parameter {self.query}",
            "field": (self.field or "").replace("_", " "),
        }[self.kind] or ""

    @property
    def reads_number(self) -> bool:
        """Whether the subject is read as a number: its operand is one, or `as` says so."""
        return self.is_numeric or self.as_type == "number"

    def describe(self) -> str:
        """Return the condition as a person reads it: `percent_scrolled at least 90`."""
        return super().describe() + (" as a number" if self.reads_number and not self.is_numeric else "")

    def leaves(self) -> Iterator[Condition]:
        """Yield the conditions of which it is made: itself."""
        yield self

    def document(self) -> dict[str, Any]:
        """Return the JSON form: what it looks at, `operator`, `operand`, and `as` where that says more."""
        operand = list(self.operand) if isinstance(self.operand, tuple) else self.operand
        form = {"as": "number"} if self.reads_number and not self.is_numeric else {}
        return {self.kind: self.name, "operator": self.operator, "operand": operand, **form}

    def canonical(self) -> str:
        """Return a text that two conditions share when they mean the same: the order of `any_of` does not count."""
        document = self.document()
        if self.operator == "any_of":
            document["operand"] = sorted(set(document["operand"]))
        return json.dumps(document, sort_keys=True)


class Group(BaseModel):
    """Several conditions of which all must hold, or any, or one that must not; groups may hold groups."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    all: Annotated[tuple[Clause, ...], Field(strict=False, min_length=1)] | None = None
    any: Annotated[tuple[Clause, ...], Field(strict=False, min_length=1)] | None = None
    none: Clause | None = Field(default=None, alias="not")

    @model_validator(mode="after")
    def _one_group(self) -> Group:
        if sum(part is not None for part in (self.all, self.any, self.none)) != 1:
            raise ValueError(f"must have exactly one of {', '.join(GROUPS)}")
        return self

    @property
    def word(self) -> str:
        """Which of `GROUPS` it is."""
        return "all" if self.all is not None else "any" if self.any is not None else "not"

    @property
    def clauses(self) -> tuple[Clause, ...]:
        """What it holds together: one clause where it is `not`."""
        if self.none is not None:
            return (self.none,)
        return self.all or self.any or ()

    def describe(self) -> str:
        """Return the group as a person reads it: `not (page starts with /blog)`."""
        inner = [clause.describe() for clause in self.clauses]
        if self.word == "not":
            return f"not ({inner[0]})"
        return f"({(' and ' if self.word == 'all' else ' or ').join(inner)})" if len(inner) > 1 else inner[0]

    def leaves(self) -> Iterator[Condition]:
        """Yield the conditions of which it is made."""
        for clause in self.clauses:
            yield from clause.leaves()

    def document(self) -> dict[str, Any]:
        """Return the JSON form, as a file writes it."""
        inner = [clause.document() for clause in self.clauses]
        return {self.word: inner[0] if self.word == "not" else inner}

    def canonical(self) -> str:
        """Return a text that two groups share when they mean the same: the order of their clauses does not count."""
        return json.dumps({self.word: sorted({clause.canonical() for clause in self.clauses})})


def _kind_of(value: object) -> str:
    is_group = isinstance(value, Group) or (isinstance(value, dict) and any(word in value for word in GROUPS))
    return TAGS[1] if is_group else TAGS[0]


Clause = Annotated[
    Annotated[Condition, Tag(TAGS[0])] | Annotated[Group, Tag(TAGS[1])],
    Discriminator(_kind_of),
]
"""A condition, or a group of them."""

Group.model_rebuild()
