"""`[[funnels]]`: the steps of a funnel, how they may follow each other, and what fits together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from microconv.config.occurrences import Occurrences, Section
from microconv.config.problems import ItemError
from microconv.config.values import Duration, FileStem, Label, Length, PropertyName, Switch, as_list, unique

Count = Literal["actors", "attempts", "sessions"]
Order = Literal["ordered", "strict", "immediate", "unordered"]
Entry = Literal["closed", "open"]
Excluded = Literal["stay", "leave"]

DEFAULT_WINDOW = Duration.parse("7d")


class StepConfig(Occurrences):
    """A step of a funnel; an optional one may be left out on the way."""

    name: Label | None = None
    optional: Switch = False

    @property
    def label(self) -> str:
        """Its name, or what it takes."""
        return self.name or super().label


class ExclusionConfig(Occurrences):
    """What must not happen between two steps (numbers from 1), by default between the first and the last."""

    between: tuple[int, int] | None = None


class FunnelConfig(Section):
    """`[[funnels]]`: the steps, how they may follow each other and within what time, and what is counted."""

    renamed: ClassVar[Mapping[str, str]] = {"unit": "count"}

    name: FileStem = Field(description="the name used on the command line")
    steps: Annotated[tuple[StepConfig, ...], Field(min_length=2, description="micro-conversion ids, first step first")]
    count: Count = Field(default="actors", description="what is counted")
    order: Order = Field(default="ordered", description="how steps may follow each other")
    entry: Entry = Field(default="closed", description="whether to begin at the first step, or at any")
    window: Length = Field(default=DEFAULT_WINDOW, description="from the first step to the last, such as 7d")
    step_window: Length | None = Field(default=None, description="from each step to the next, instead of window")
    hold: Annotated[tuple[PropertyName, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="what stays the same all the way"
    )
    exclude: tuple[ExclusionConfig, ...] = ()
    excluded: Excluded = Field(
        default="stay", description="what becomes of who is excluded: counts up to there, or leaves the funnel"
    )

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
        if self.excluded == "leave" and not self.exclude:
            raise ItemError('is "leave", and nothing is excluded: add exclude, or leave it out', ("excluded",))
        if self.order == "unordered":
            self._check_unordered()
        return self

    def _check_unordered(self) -> None:
        """Refuse what has no meaning where steps come in any order."""
        if self.entry == "open":
            raise ItemError('is "open", and an unordered funnel begins at any step anyhow', ("entry",))
        if self.step_window is not None:
            raise ItemError("needs an order of steps; give an unordered funnel a window", ("step_window",))
        if self.excluded == "leave":
            raise ItemError('is "leave", and needs an order of steps', ("excluded",))
        for index, step in enumerate(self.steps):
            if step.optional:
                raise ItemError("has no meaning in an unordered funnel", ("steps", index, "optional"))
        for index, exclusion in enumerate(self.exclude):
            if exclusion.between is not None:
                raise ItemError("needs an order of steps; leave it out", ("exclude", index, "between"))

    @model_serializer(mode="wrap")
    def _without_unused_window(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out the window that step_window took the place of, so that what is written can be read again."""
        document: dict[str, Any] = handler(self)
        if self.step_window is not None:
            document.pop("window", None)
        return document

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of its steps and exclusions."""
        for each in (*self.steps, *self.exclude):
            yield from ((entry, f'funnel "{self.name}"') for entry in each.did)

    @property
    def whole_window(self) -> Duration | None:
        """The time from the first step to the last; None where each step has its own time."""
        return self.window if self.step_window is None else None
