"""`[[guardrails]]` and `[ethics]`: what must not get worse, and what must be answered, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from microconv.config.occurrences import Section
from microconv.config.problems import ItemError, nearest
from microconv.config.values import Duration, EntryId, FileStem, Label, Length, Switch, as_list, unique

GuardrailMetric = Literal["bounce_rate", "engagement_rate"]
PER_SESSIONS, PER_ACTORS = "sessions", "actors"
"""Words of `per` that name no entry."""
_MEASURES = ("metric", "entry", "event", "external")
_BOUNDS = ("at_most", "at_least")

GuardrailNames = Annotated[tuple[FileStem, ...], BeforeValidator(as_list), AfterValidator(unique)]
"""Names of guardrails that must hold before something is sent."""


class GuardrailConfig(Section):
    """`[[guardrails]]`: a figure of the last days, and the bound beyond which it must not go."""

    name: FileStem = Field(description="what segments and the command line call it")
    metric: GuardrailMetric | None = Field(default=None, description="a figure of sessions")
    entry: EntryId | None = Field(default=None, description="the micro-conversion whose occurrences are counted")
    event: Label | None = Field(default=None, description="the GA4 event that is counted, in the taxonomy or not")
    external: Label | None = Field(default=None, description="the name of a metric of [[external_metrics]]")
    dimension: Label | None = Field(default=None, description="the dimension of the external metric that is meant")
    per: EntryId | None = Field(
        default=None, description='what it is counted per: "sessions", "actors", or the id of a micro-conversion'
    )
    at_most: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="the bound that it must not be above"
    )
    at_least: Annotated[float, Field(allow_inf_nan=False)] | None = Field(
        default=None, description="the bound that it must not be below"
    )
    days: int = Field(default=28, ge=7, le=366, strict=True, description="how many days it is measured over")
    max_age: Length = Field(
        default=Duration.parse("7d"), description="how long ago the last day may be that it is measured on"
    )

    @property
    def bound(self) -> float:
        """The bound."""
        return self.at_most if self.at_most is not None else self.at_least or 0.0

    @property
    def is_upper(self) -> bool:
        """Whether the figure must not be above the bound; else it must not be below."""
        return self.at_most is not None

    @model_validator(mode="after")
    def _fits_together(self) -> GuardrailConfig:
        given = [key for key in _MEASURES if getattr(self, key) is not None]
        if not given:
            raise ItemError("is required, or entry, event or external: what is measured", ("metric",))
        if len(given) > 1:
            raise ItemError(f"cannot be given beside {given[0]}; keep one of the two", (given[1],))
        if self.at_most is None and self.at_least is None:
            raise ItemError("is required, or at_least: the bound", ("at_most",))
        if self.at_most is not None and self.at_least is not None:
            raise ItemError("cannot be given beside at_most; write two guardrails", ("at_least",))
        if self.per is not None and self.metric is not None:
            raise ItemError(f"is not a key of metric: {self.metric} is a share of sessions", ("per",))
        if self.per is None and (self.entry or self.event):
            raise ItemError('is required: "sessions", "actors", or the id of a micro-conversion', ("per",))
        if self.dimension is not None and self.external is None:
            raise ItemError("is a key of external", ("dimension",))
        bound = _BOUNDS[0] if self.is_upper else _BOUNDS[1]
        if self.metric is not None and not 0 <= self.bound <= 1:
            raise ItemError("is a share from 0 to 1: write 0.55 for 55%", (bound,))
        if self.external is None and self.bound < 0:
            raise ItemError("is below 0, and counts are not", (bound,))
        return self

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of its entries."""
        by = f'guardrail "{self.name}"'
        if self.entry is not None:
            yield self.entry, by
        if self.per not in (None, PER_SESSIONS, PER_ACTORS):
            yield self.per or "", by


class EthicsAnswer(Section):
    """An answer to a question of the checklist; `accepted` says why a bad one may stand."""

    answer: Literal["yes", "no"]
    by: Label = Field(description="who answered")
    on: date = Field(description="when, such as 2026-11-29")
    note: Label | None = None
    accepted: Label | None = None


EthicsAnswers = dict[str, EthicsAnswer]
"""Answers by the id of the question, as `[segments.ethics.consent]`."""


class EthicsConfig(Section):
    """`[ethics]`: which questions of the checklist must be answered for each segment, and what answers hold for all.

    Which questions there are, only the checklist knows: it looks at the ids.
    """

    require: Literal["all"] | Annotated[tuple[Label, ...], AfterValidator(unique)] = ()
    review_after: Length = Field(default=Duration.parse("365d"), description="after how long a question is asked again")
    stop: Switch = Field(default=True, description="whether an open question stops what is sent")
    answers: EthicsAnswers = Field(default_factory=dict)


def unknown_guardrail(name: str, known: Sequence[str]) -> str:
    """Say that a name is that of no guardrail."""
    return f"names no guardrail of [[guardrails]]{nearest(name, list(known))}"
