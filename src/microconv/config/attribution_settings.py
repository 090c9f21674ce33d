"""`[attribution]`: what is credited for a goal, by which models, within which windows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, Field, model_validator

from microconv.config.occurrences import Section
from microconv.config.problems import ItemError
from microconv.config.values import Duration, EntryId, InFolder, Length, Switch, TableName, unique

Touchpoint = Literal["channel_group", "source_medium", "campaign", "landing_page", "micro_conversion"]
Direct = Literal["keep", "drop_trailing", "drop"]
Model = Literal["first", "last", "last_non_direct", "linear", "time_decay", "position", "markov", "shapley"]
RULE_MODELS: tuple[Model, ...] = ("first", "last", "last_non_direct", "linear", "time_decay", "position")


def _sorted_windows(windows: tuple[Duration, ...]) -> tuple[Duration, ...]:
    return tuple(sorted(unique(windows)))


def _weights(weights: Sequence[float]) -> tuple[float, ...]:
    if min(weights) < 0 or abs(sum(weights) - 1) > 1e-9:  # noqa: PLR2004 - what is left of 1 by decimal fractions
        raise ValueError("must be three shares from 0 up that add up to 1")
    return tuple(weights)


_Share = Annotated[float, Field(allow_inf_nan=False, strict=True)]


class AttributionConfig(Section):
    """`[attribution]`: the goal to credit, the touchpoints, and the grid of windows (ascending) and models."""

    renamed: ClassVar[Mapping[str, str]] = {
        "conversion": "goal",
        "since": 'reset_after_conversion = true, where it was "last_conversion"',
    }

    goal: EntryId | None = Field(
        default=None,
        validation_alias=AliasChoices("goal", "conversion"),  # its former name, which configurations in use have
        description="the micro-conversion to credit; default: the first macro-conversion",
    )
    count: Literal["each", "actors", "sessions"] = Field(default="each", description="which conversions count")
    touchpoint: Touchpoint = Field(default="channel_group", description="what earns credit")
    micro_conversions: Annotated[tuple[EntryId, ...], AfterValidator(unique)] = Field(
        default=(), description='with touchpoint = "micro_conversion": which ones; default: all but the goal'
    )
    windows: Annotated[tuple[Length, ...], Field(min_length=1), AfterValidator(_sorted_windows)] = Field(
        default=(Duration.parse("1d"), Duration.parse("7d"), Duration.parse("30d")),
        description="a lookback window, such as 7d",
    )
    reset_after_conversion: Switch = Field(
        default=False, description="what an earlier conversion had behind it does not count again"
    )
    direct: Direct = Field(
        default="keep",
        description="what becomes of direct sessions: paths keep them, or drop those at the end, or all; "
        "a path of nothing else keeps them",
    )
    models: Annotated[tuple[Model, ...], Field(min_length=1), AfterValidator(unique)] = Field(
        default=(*RULE_MODELS, "markov", "shapley"), description="a model"
    )
    half_life: Length = Field(
        default=Duration.parse("7d"), description="of time_decay: a touchpoint this much older earns half the credit"
    )
    position_weights: Annotated[tuple[_Share, _Share, _Share], AfterValidator(_weights)] = (0.4, 0.2, 0.4)
    path: Literal["unique", "exposure", "first"] = Field(
        default="unique", description="which touches of a path markov looks at"
    )
    markov_order: int = Field(default=1, ge=1, le=3, strict=True, description="how many touches back markov remembers")
    self_loops: Switch = True
    shapley_game: Literal["conversions", "rate"] = Field(default="conversions", description="the game of shapley")
    spend_file: InFolder | None = None
    spend_table: TableName | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> AttributionConfig:
        if self.spend_file is not None and self.spend_table is not None:
            raise ItemError("cannot be given beside spend_file; keep one of the two", ("spend_table",))
        if self.micro_conversions and self.touchpoint != "micro_conversion":
            raise ItemError('is a key of touchpoint = "micro_conversion"', ("micro_conversions",))
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal and the touchpoints that are named."""
        if self.goal is not None:
            yield self.goal, "attribution.goal"
        yield from ((entry, "attribution.micro_conversions") for entry in self.micro_conversions)
