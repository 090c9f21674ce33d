"""What sections of the configuration are, and how they name micro-conversions with conditions on what these carry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from microconv.config.values import EntryId, PropertyName, as_list, unique
from microconv.queries.conditions import Comparison


class Section(BaseModel):
    """A table of the configuration: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    renamed: ClassVar[Mapping[str, str]] = {}
    """Keys that were called otherwise: what stands for each now."""

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield each micro-conversion id that the section names, with what names it (`funnel "checkout"`)."""
        yield from ()


class PropertyCondition(Comparison):
    """A condition on a carried property of an occurrence: `{ property = "page", starts_with = "/pricing" }`."""

    @property
    def subject(self) -> str:
        """The property."""
        return self.property

    # After the use of `property` as a decorator, which it hides from here on.
    property: PropertyName = Field(description='what it looks at, such as "page" or "item_id"')


class Occurrences(Section):
    """One micro-conversion or any of several, with conditions; a bare id stands for `{ did = id }`."""

    did: Annotated[tuple[EntryId, ...], BeforeValidator(as_list), Field(min_length=1), AfterValidator(unique)] = Field(
        description="the id of a micro-conversion, or a list of ids of which any will do"
    )
    where: tuple[PropertyCondition, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _from_an_id(cls, value: object) -> object:
        return {"did": value} if isinstance(value, str) else value

    @property
    def label(self) -> str:
        """What people read: `add_to_cart or add_to_wishlist where page starts with /shop`."""
        conditions = " and ".join(condition.describe() for condition in self.where)
        return " or ".join(self.did) + (f" where {conditions}" if conditions else "")
