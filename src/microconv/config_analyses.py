"""The sections of a configuration that say what is asked of the staged tables: funnels and attribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from microconv.conditions import Comparison
from microconv.config_errors import ItemError
from microconv.config_values import (
    Duration,
    EntryId,
    FileStem,
    InFolder,
    Label,
    Length,
    PropertyName,
    Switch,
    TableName,
    as_list,
    unique,
)

Count = Literal["actors", "attempts", "sessions"]
Order = Literal["ordered", "strict", "unordered"]
Entry = Literal["closed", "open"]
Touchpoint = Literal["channel_group", "source_medium", "campaign", "landing_page", "micro_conversion"]
Model = Literal["first", "last", "last_non_direct", "linear", "time_decay", "position", "markov", "shapley"]
RULE_MODELS: tuple[Model, ...] = ("first", "last", "last_non_direct", "linear", "time_decay", "position")

DEFAULT_WINDOW = Duration.parse("7d")


class Section(BaseModel):
    """A table of the configuration: frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class PropertyCondition(Comparison):
    """A condition on a carried property of an occurrence: `{ property = "page", starts_with = "/pricing" }`."""

    @property
    def subject(self) -> str:
        """The property."""
        return self.property

    # After the use of `property` as a decorator, which it hides from here on.
    property: PropertyName = Field(description='what it looks at, such as "page" or "item_id"')


class _Occurrences(Section):
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


class StepConfig(_Occurrences):
    """A step of a funnel; an optional one may be left out on the way."""

    name: Label | None = None
    optional: Switch = False

    @property
    def label(self) -> str:
        """Its name, or what it takes."""
        return self.name or super().label


class ExclusionConfig(_Occurrences):
    """What must not happen between two steps (numbers from 1), by default between the first and the last."""

    between: tuple[int, int] | None = None


class FunnelConfig(Section):
    """`[[funnels]]`: the steps, how they may follow each other and within what time, and what is counted."""

    name: FileStem = Field(description="the name used on the command line")
    steps: Annotated[tuple[StepConfig, ...], Field(min_length=2, description="micro-conversion ids, first step first")]
    count: Count = "actors"
    order: Order = "ordered"
    entry: Entry = "closed"
    window: Length = DEFAULT_WINDOW
    step_window: Length | None = None
    hold: Annotated[tuple[PropertyName, ...], BeforeValidator(as_list), AfterValidator(unique)] = ()
    exclude: tuple[ExclusionConfig, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> FunnelConfig:
        if self.step_window is not None and "window" in self.model_fields_set:
            raise ItemError("cannot be given beside window; keep one of the two", ("step_window",))
        for index in (0, len(self.steps) - 1):
            if self.steps[index].optional:
                raise ItemError(
                    "is true for the first or last step, which a funnel needs", ("steps", index, "optional")
                )
        for index, exclusion in enumerate(self.exclude):
            first, last = exclusion.between or (1, len(self.steps))
            if not 1 <= first < last <= len(self.steps):
                raise ItemError(
                    f"must be two steps of this funnel, the earlier first, from 1 to {len(self.steps)}",
                    ("exclude", index, "between"),
                )
        if self.order == "unordered":
            self._check_unordered()
        return self

    def _check_unordered(self) -> None:
        """Refuse what has no meaning where steps come in any order."""
        if self.entry == "open":
            raise ItemError('is "open", and an unordered funnel begins at any step anyhow', ("entry",))
        if self.step_window is not None:
            raise ItemError("needs an order of steps; give an unordered funnel a window", ("step_window",))
        for index, step in enumerate(self.steps):
            if step.optional:
                raise ItemError("has no meaning in an unordered funnel", ("steps", index, "optional"))
        for index, exclusion in enumerate(self.exclude):
            if exclusion.between is not None:
                raise ItemError("needs an order of steps; leave it out", ("exclude", index, "between"))

    @property
    def whole_window(self) -> Duration | None:
        """The time from the first step to the last; None where each step has its own time."""
        return self.window if self.step_window is None else None


def _sorted_windows(windows: tuple[Duration, ...]) -> tuple[Duration, ...]:
    return tuple(sorted(unique(windows)))


def _weights(weights: Sequence[float]) -> tuple[float, ...]:
    if min(weights) < 0 or abs(sum(weights) - 1) > 1e-9:  # noqa: PLR2004 - what is left of 1 by decimal fractions
        raise ValueError("must be three shares from 0 up that add up to 1")
    return tuple(weights)


_Share = Annotated[float, Field(allow_inf_nan=False, strict=True)]


class AttributionConfig(Section):
    """`[attribution]`: the conversion to credit, the touchpoints, and the grid of windows (ascending) and models."""

    conversion: EntryId = "purchase"
    count: Literal["each", "actors", "sessions"] = "each"
    touchpoint: Touchpoint = "channel_group"
    micro_conversions: Annotated[tuple[EntryId, ...], AfterValidator(unique)] = ()
    windows: Annotated[tuple[Length, ...], Field(min_length=1), AfterValidator(_sorted_windows)] = (
        Duration.parse("1d"),
        Duration.parse("7d"),
        Duration.parse("30d"),
    )
    since: Literal["window", "last_conversion"] = "window"
    models: Annotated[tuple[Model, ...], Field(min_length=1), AfterValidator(unique)] = (
        *RULE_MODELS,
        "markov",
        "shapley",
    )
    half_life: Length = Duration.parse("7d")
    position_weights: Annotated[tuple[_Share, _Share, _Share], AfterValidator(_weights)] = (0.4, 0.2, 0.4)
    path: Literal["unique", "exposure", "first"] = "unique"
    markov_order: int = Field(default=1, ge=1, le=3, strict=True)
    self_loops: Switch = True
    shapley_game: Literal["conversions", "rate"] = "conversions"
    spend_file: InFolder | None = None
    spend_table: TableName | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> AttributionConfig:
        if self.spend_file is not None and self.spend_table is not None:
            raise ItemError("cannot be given beside spend_file; keep one of the two", ("spend_table",))
        if self.micro_conversions and self.touchpoint != "micro_conversion":
            raise ItemError('is a key of touchpoint = "micro_conversion"', ("micro_conversions",))
        return self
