"""`[[experiments]]`: who sees which variant from when on, what is measured, and when the result may be read."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from microconv.config.guardrail_settings import EthicsAnswers, GuardrailNames
from microconv.config.occurrences import PropertyCondition, Section
from microconv.config.problems import ItemError, nearest
from microconv.config.values import EntryId, FileStem, Label, Length, PropertyName, Switch, as_list, unique

MetricKind = Literal["binary", "count", "revenue", "ratio"]

TUNING = 5_000
"""Actors at which an anytime-valid interval is tightest, unless told otherwise."""
_WINSORISE = 0.99

_Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False, strict=True)]


class ExposureConfig(Section):
    """`exposure`: the event with which an actor is in the experiment; the first one counts.

    Without `event` and `external`, that is the first event with the user property of the variant.
    """

    event: Label | None = Field(default=None, description="the GA4 event with which an actor is in the experiment")
    external: Label | None = Field(
        default=None, description="instead of event: the name of rows of [[external_events]]"
    )
    where: tuple[PropertyCondition, ...] = Field(default=(), description="conditions on its event parameters")

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.event is not None and self.external is not None:
            raise ItemError("cannot be given beside event; keep one of the two", ("external",))
        return self


class VariantSource(Section):
    """`variant`: what names the variant: an event parameter (or column of an external table), or a user property."""

    parameter: PropertyName | None = None
    user_property: PropertyName | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_a_name(cls, value: object) -> object:
        return {"parameter": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.parameter is None) == (self.user_property is None):
            raise ValueError('must be the name of an event parameter, or { user_property = "…" }')
        return self


class MetricConfig(Section):
    """A metric of an experiment: actors who come to an entry, occurrences, their value, or a ratio of two of them."""

    entry: EntryId = Field(description="the micro-conversion that is measured")
    kind: MetricKind = Field(default="binary", description="binary, count, revenue or ratio")
    name: Label | None = Field(default=None, description="what it is called; default: entry and kind")
    per: EntryId | None = Field(default=None, description="with ratio: the entry whose occurrences it is told per")
    of_value: Switch = Field(default=False, description="with ratio: the value of the entry, in place of occurrences")
    winsorise: Annotated[float, Field(gt=0.5, le=1, strict=True)] = Field(
        default=_WINSORISE,
        description="with revenue: larger amounts count as that at this share of payers; 1: none",
    )
    better: Literal["more", "fewer"] = Field(default="more", description="which direction is the better one")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind == "ratio" and self.per is None:
            raise ItemError('is required with kind = "ratio": the entry it is told per', ("per",))
        if self.kind != "ratio" and self.per is not None:
            raise ItemError('is a key of kind = "ratio"', ("per",))
        if self.kind != "ratio" and self.of_value:
            raise ItemError('is a key of kind = "ratio"', ("of_value",))
        if self.kind != "revenue" and self.winsorise != _WINSORISE:
            raise ItemError('is a key of kind = "revenue"', ("winsorise",))
        return self

    @property
    def label(self) -> str:
        """Its name, or what it measures: `purchase`, `revenue of purchase`, `view_item per search`."""
        if self.name is not None:
            return self.name
        if self.kind == "ratio":
            return f"{'value of ' if self.of_value else ''}{self.entry} per {self.per}"
        return {"binary": self.entry, "count": f"{self.entry}, times", "revenue": f"revenue of {self.entry}"}[self.kind]


class GuardedMetricConfig(MetricConfig):
    """A metric that must not become worse by more than `margin`, a share of the control's."""

    margin: _Share = Field(description="how much worse it may become, as a share of the control's, such as 0.02")


class ExperimentConfig(Section):
    """`[[experiments]]`: a test of one's own, from what is believed to when it may be read."""

    name: FileStem = Field(description="the name used on the command line")
    hypothesis: Label = Field(description="what is believed, in a sentence: if this, then that, because")
    minimal_test: Label | None = Field(default=None, description="the least that shows whether it is so")
    exposure: ExposureConfig = Field(default_factory=ExposureConfig)
    variant: VariantSource = Field(description='the event parameter that names the variant, or { user_property = "…" }')
    control: Label = Field(description="the variant that all others are held against")
    variants: dict[Label, _Share] = Field(description="all variants with the share of actors that each should have")
    since: date | None = Field(default=None, description="the first day of exposures that count")
    until: date | None = Field(default=None, description="the last day of exposures that count")
    horizon: Literal["fixed", "anytime"] = Field(
        default="fixed", description="fixed: read once, at until or with so many actors; anytime: as often as you like"
    )
    actors: int | None = Field(default=None, ge=2, strict=True, description="with fixed: read once there are so many")
    tuning: int = Field(
        default=TUNING, ge=1, strict=True, description="with anytime: actors at which intervals are tightest"
    )
    level: Annotated[float, Field(ge=0.5, lt=1, strict=True)] = Field(default=0.95, description="of all intervals")
    goal: EntryId | None = Field(default=None, description="what it should raise in the end; default: the first macro")
    metrics: tuple[MetricConfig, ...] = Field(default=(), description="what else is measured")
    guardrails: tuple[GuardedMetricConfig, ...] = Field(default=(), description="what must not become worse")
    must_hold: GuardrailNames = Field(
        default=(), description="the guardrails of [[guardrails]] that must hold before a variant is shipped"
    )
    ethics: EthicsAnswers = Field(
        default_factory=dict, description="answers to the checklist of ethics, for this experiment alone"
    )
    steps: Annotated[tuple[EntryId, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="the funnel by variant; default: the milestones up to the goal"
    )
    within: Length | None = Field(default=None, description="how long after the exposure occurrences count, such as 7d")
    pre_period: Length | None = Field(
        default=None, description="how long before the exposure the same metrics explain some of the difference (CUPED)"
    )
    tests: EntryId | None = Field(
        default=None, description="the micro-conversion that the variant brings about: its lift becomes experimental"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if len(self.variants) < 2:  # noqa: PLR2004 - a comparison
            raise ItemError("needs at least two: the control and another one", ("variants",))
        if not math.isclose(sum(self.variants.values()), 1, abs_tol=1e-6):
            raise ItemError(f"must add up to 1, and add up to {sum(self.variants.values()):g}", ("variants",))
        if self.control not in self.variants:
            raise ItemError(f"is not one of variants{nearest(self.control, list(self.variants))}", ("control",))
        if self.since is not None and self.until is not None and self.until < self.since:
            raise ItemError(f"is before since ({self.since}): swap the two days", ("until",))
        self._check_exposure()
        self._check_horizon()
        for key, measured in (("metrics", self.metrics), ("guardrails", self.guardrails)):
            labels = [each.label for each in measured]
            for place, label in enumerate(labels):
                if label in labels[:place]:
                    raise ItemError(f'is called "{label}", as another one: give it a name', (key, place))
        return self

    def _check_exposure(self) -> None:
        if self.exposure.event is None and self.exposure.external is None and self.variant.user_property is None:
            raise ItemError(
                "is required: the event with which an actor is in the experiment, or external", ("exposure", "event")
            )
        if self.exposure.external is not None and self.variant.user_property is not None:
            raise ItemError("is of GA4, and rows of another system have none: name a column", ("variant",))

    def _check_horizon(self) -> None:
        if self.horizon == "fixed":
            if self.until is None and self.actors is None:
                raise ItemError(
                    'is required with horizon = "fixed", or actors: when the result is read; or horizon = "anytime"',
                    ("until",),
                )
            if self.tuning != TUNING:
                raise ItemError('is a key of horizon = "anytime"', ("tuning",))
        elif self.actors is not None:
            raise ItemError('is a key of horizon = "fixed"', ("actors",))

    @property
    def treated(self) -> tuple[str, ...]:
        """The variants other than the control."""
        return tuple(each for each in self.variants if each != self.control)

    @property
    def names(self) -> tuple[str, ...]:
        """The variants, the control first."""
        return (self.control, *self.treated)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of its goal, metrics, guardrails and steps."""
        for each in (*self.metrics, *self.guardrails):
            yield each.entry, f'experiment "{self.name}"'
            if each.per is not None:
                yield each.per, f'experiment "{self.name}"'
        for entry in (*self.steps, *filter(None, (self.goal, self.tests))):
            yield entry, f'experiment "{self.name}"'
