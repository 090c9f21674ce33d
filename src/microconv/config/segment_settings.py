"""`[[segments]]`: a named rule, who of those it holds for stays how long, and where they may be sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from microconv.config.guardrail_settings import EthicsAnswers, GuardrailNames
from microconv.config.occurrences import Section
from microconv.config.problems import ItemError
from microconv.config.push_limits import PushGuards
from microconv.config.segment_rules import SegmentRule
from microconv.config.values import FileStem, Label, Length, as_list, unique

Identifier = Literal["email", "phone", "user_id"]


class SegmentConfig(Section):
    """`[[segments]]`: a named rule (`segment_rules.py`), the identifiers its members may be sent with, and where to."""

    name: FileStem = Field(description="the name used on the command line and in file names")
    rule: SegmentRule = Field(description='such as { did = "add_to_cart", within = "14d", not_did = "purchase" }')
    identity: Annotated[
        tuple[Identifier, ...], BeforeValidator(as_list), Field(min_length=1), AfterValidator(unique)
    ] = ("email",)
    held_for: Length | None = Field(
        default=None, description="how long a member stays at least, also when the rule no longer holds, such as 3d"
    )
    expires_after: Length | None = Field(
        default=None, description="how long a member stays at most, also when the rule still holds, such as 30d"
    )
    away_for: Length | None = Field(
        default=None, description="how long somebody who left cannot enter again, such as 14d"
    )
    route: Label | None = Field(
        default=None, description="segments of one route share nobody: each actor is in the first of them that fits"
    )
    priority: int | None = Field(
        default=None,
        ge=1,
        strict=True,
        description="its place when segments are looked at in order, 1 first; without one: after those that have one",
    )
    destinations: Annotated[tuple[FileStem, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="the destinations that `microconv push` sends it to"
    )
    guardrails: GuardrailNames = Field(default=(), description="the guardrails that must hold before it is sent")
    ethics: EthicsAnswers = Field(default_factory=dict)
    push: PushGuards = Field(default_factory=PushGuards)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of the rule."""
        yield from ((entry, f'segment "{self.name}"') for entry, _ in self.rule.named())

    @model_validator(mode="after")
    def _can_be_held(self) -> Self:
        if self.held_for is not None and self.expires_after is not None and self.expires_after < self.held_for:
            raise ItemError("is shorter than held_for: make it longer, or held_for shorter", ("expires_after",))
        return self
