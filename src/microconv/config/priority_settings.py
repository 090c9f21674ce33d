"""`[prioritize]`: what ideas cost and risk, and which of one's own are ranked beside those that the data propose."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from microconv.config.occurrences import Section
from microconv.config.problems import ItemError
from microconv.config.values import EntryId, Label, as_list, unique

IdeaKind = Literal["improve", "promote", "test", "fix", "retire", "own"]

Days = Annotated[float, Field(gt=0, le=1_000, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]

USUAL_DAYS: dict[IdeaKind, float] = {"improve": 5, "promote": 3, "test": 3, "fix": 1, "retire": 0.5, "own": 5}
"""How many days of work an idea takes that nobody has estimated."""


class IdeaConfig(Section):
    """`[[prioritize.ideas]]`: what is known of an idea: one that the data propose, by its id, or one of your own."""

    id: Label = Field(description="the id of a proposed idea, such as improve:add_to_cart, or a name of your own")
    what: Label | None = Field(default=None, description="what would be done, in a few words")
    entry: EntryId | None = Field(default=None, description="for an idea of your own: what more people would do")
    more: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] | None = Field(
        default=None, description="how many more would do it, as a share of those who do it now: 0.05 is 5%"
    )
    effort: Days | None = Field(default=None, description="how many days of work it takes")
    risk: Share | None = Field(default=None, description="how much trust it may cost: 0 none, 1 all of what it brings")
    after: Annotated[tuple[Label, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="ids of the ideas that must come first"
    )

    @model_validator(mode="after")
    def _is_whole(self) -> IdeaConfig:
        if (self.entry is None) != (self.more is None):
            lacking = "more" if self.more is None else "entry"
            raise ItemError("is required: an idea of your own names an entry, and how much more of it", (lacking,))
        if self.id in self.after:
            raise ItemError(f'names "{self.id}" itself', ("after",))
        return self

    @property
    def is_own(self) -> bool:
        """Whether it is an idea of one's own, and not a word on one that the data propose."""
        return self.entry is not None


def _unique_ids(ideas: tuple[IdeaConfig, ...]) -> tuple[IdeaConfig, ...]:
    ids = [each.id for each in ideas]
    for index, each in enumerate(ideas):
        if ids.index(each.id) != index:
            raise ItemError(f'"{each.id}" is there twice', (index, "id"))
    return ideas


class PrioritizeConfig(Section):
    """`[prioritize]`: how ideas are weighed."""

    response: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)] = Field(
        default=0.05, description="share of those concerned whom an idea moves"
    )
    effort: dict[IdeaKind, Days] = Field(
        default_factory=dict, description="days of work by kind: improve, promote, test, fix, retire, own"
    )
    ideas: Annotated[tuple[IdeaConfig, ...], AfterValidator(_unique_ids)] = ()

    def days_of(self, kind: IdeaKind) -> float:
        """Return the days of work of an idea that nobody has estimated."""
        return float(self.effort.get(kind, USUAL_DAYS[kind]))

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the entries that ideas name."""
        for each in self.ideas:
            if each.entry is not None:
                yield each.entry, f'idea "{each.id}"'
