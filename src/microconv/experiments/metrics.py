"""The metrics of an experiment: what is asked for them, and what their sums say of each variant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple

from microconv import wording
from microconv.analyses.insight.banded import FEWEST_A_SIDE, FEWEST_TARGETS
from microconv.analyses.insight.buyers import not_enough
from microconv.config.experiment_settings import ExperimentConfig, GuardedMetricConfig, MetricConfig
from microconv.config.sections import ProjectConfig
from microconv.experiments.exposures import exposure_query
from microconv.queries.templates import Query, Value
from microconv.result import column
from microconv.stats.effects import (
    Side,
    TestedEffect,
    VariantEffect,
    anytime_valid,
    effect,
    fixed_horizon,
    posterior,
)
from microconv.stats.intervals import newcombe
from microconv.stats.moments import (
    AdjustedRatioSums,
    AdjustedSums,
    MeanSums,
    RatioSums,
    VariantMoments,
)
from microconv.stats.multiplicity import adjusted
from microconv.taxonomy import Taxonomy

Role = Literal["goal", "metric", "guardrail"]

BETTER, WORSE, SAME = "better", "worse", "no difference shown"
OK, BREACHED, OPEN = "ok", "breached", "not shown yet"
SHARE = "share of actors"
GUARDRAIL = "guardrail: "
"""What the names of guardrails begin with, so that one on what is a metric as well is told apart."""
_CENTS = 100


class Measured(NamedTuple):
    """One metric as it is asked for: under which name, in which role, and by which ids it is staged."""

    config: MetricConfig
    role: Role
    top: str
    bottom: str

    @property
    def is_value(self) -> bool:
        """Whether values are added up, and not occurrences."""
        return self.config.kind == "revenue" or self.config.of_value

    @property
    def label(self) -> str:
        """What it is called; a guardrail on what is a metric as well is told apart."""
        return f"{GUARDRAIL}{self.config.label}" if self.role == "guardrail" else self.config.label

    @property
    def unit(self) -> str:
        """What its numbers are."""
        return {"binary": SHARE, "ratio": f"per {self.config.per}"}.get(self.config.kind, "per actor")


def signed_share(value: float | None) -> str:
    """Write a change with its sign: `+12.7%`, `-5.0%`."""
    return f"{'+' if value is not None and value > 0 else ''}{wording.share(value)}"


def _asked_share(value: float | None) -> str:
    """Write a share that the configuration asks for: it is there where nothing was counted, too."""
    return wording.share(value)


@dataclass(frozen=True)
class ExperimentMetric:
    """What a metric is for one variant, against the control.

    Attributes:
        metric: What is measured.
        role: goal, metric or guardrail.
        unit: What its numbers are.
        variant: The variant.
        actors: Its actors; `doers` of them did what is measured.
        value: The metric.
        control: That of the control; None for the control itself.
        difference: The variant less the control, adjusted by the period before where there is one; `low` to `high` is
            its interval, which for a guardrail is open on one side (None).
        relative: The same as a share of the control's; `relative_low` to `relative_high`.
        p_value: Of no difference, corrected over the metrics (Holm); of a guardrail, that it is worse by its margin.
        chance: That the variant is better than the control, where nothing was believed before.
        risk: What shipping the variant loses on average in the cases in which it is worse, as a share of the control's.
        saved: The share of the variance that the period before explains; None without.
        says: What that comes to.
        margin: How much worse a guardrail may become, as a share of the control's; None for what is none.
    """

    metric: str = column("metric")
    role: str = column("role")
    unit: str = column("unit")
    variant: str = column("variant")
    actors: int = column("actors", wording.count)
    doers: int = column("did it", wording.count)
    value: float | None = column("value", lambda value: wording.decimal(value, 4))
    control: float | None = column("control's", lambda value: wording.decimal(value, 4))
    difference: float | None = column("difference", lambda value: wording.decimal(value, 4))
    low: float | None = column("from", lambda value: wording.decimal(value, 4))
    high: float | None = column("to", lambda value: wording.decimal(value, 4))
    relative: float | None = column("change", signed_share)
    relative_low: float | None = column("change from", signed_share)
    relative_high: float | None = column("change to", signed_share)
    p_value: float | None = column("p", wording.p_value)
    chance: float | None = column("chance to be better", wording.share)
    risk: float | None = column("risk if shipped", wording.share)
    saved: float | None = column("variance explained", wording.share)
    says: str = column("so")
    margin: float | None = column("margin", _asked_share, default=None)

    @property
    def differs(self) -> bool:
        """Whether a difference is shown."""
        return self.says in (BETTER, WORSE)

    def written(self) -> str:
        """Write the value as its unit asks for: `25.7%`, `3.36 per actor`."""
        if self.value is None:
            return wording.NOTHING
        return wording.share(self.value) if self.unit == SHARE else f"{wording.decimal(self.value, 3)} {self.unit}"


@dataclass(frozen=True)
class BalanceBefore:
    """What a metric was in the period before the exposure: variants should be alike."""

    metric: str = column("metric")
    variant: str = column("variant")
    value: float = column("before", lambda value: wording.decimal(value, 4))
    control: float = column("control's before", lambda value: wording.decimal(value, 4))
    p_value: float | None = column("p", wording.p_value)


def measured(experiment: ExperimentConfig, taxonomy: Taxonomy) -> tuple[Measured, ...]:
    """Return what an experiment measures: its goal first, then its metrics, then its guardrails."""
    goal = taxonomy.goal(experiment.goal)
    first = Measured(MetricConfig(entry=goal), "goal", goal, "")
    others: list[Measured] = []
    for each in (*experiment.metrics, *experiment.guardrails):
        role: Role = "guardrail" if isinstance(each, GuardedMetricConfig) else "metric"
        top, bottom = taxonomy.counted(each.entry), taxonomy.counted(each.per) if each.per else ""
        is_the_goal = role == "metric" and each.kind == "binary" and top == goal
        if not is_the_goal:
            others.append(Measured(each, role, top, bottom))
    return (first, *others)


def metric_queries(
    experiment: ExperimentConfig, taxonomy: Taxonomy, project: ProjectConfig, end_at: datetime
) -> tuple[Query, ...]:
    """Return the queries of the sums: one for values that events name, and one for all else."""
    asked = measured(experiment, taxonomy)
    own = [each for each in asked if each.is_value and taxonomy.entry(each.top).value == "event"]
    found = []
    for group, has_currency in ([each for each in asked if each not in own], False), (own, True):
        if not group:
            continue
        params: dict[str, Value] = {
            "metrics": [each.label for each in group],
            "tops": [each.top for each in group],
            "bottoms": [each.bottom for each in group],
            "are_values": [each.is_value for each in group],
            "are_shares": [each.config.kind == "binary" for each in group],
            "winsorised": [each.config.winsorise if each.config.kind == "revenue" else 1.0 for each in group],
            "before_us": experiment.pre_period.microseconds if experiment.pre_period else 0,
            "within_us": experiment.within.microseconds if experiment.within else None,
            "currency": project.currency if has_currency else None,
            "assumed_currency": project.currency if has_currency and project.assume_currency else None,
        }
        found.append(exposure_query("experiments/metrics", experiment, end_at, params))
    return tuple(found)


def caps(rows: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Return at which amount each revenue is cut."""
    return {row["metric"]: row["cap"] / _CENTS for row in rows if row["cap"] is not None}


def moments(row: Mapping[str, Any], metric: Measured, *, adjusts: bool) -> VariantMoments:
    """Return what the sums of one metric and variant are, adjusted by the period before or not."""
    n, scale = int(row["actors"]), 1 / _CENTS if metric.is_value else 1.0

    def sums(name: str, unit: float) -> MeanSums:
        if metric.config.kind == "binary":
            return MeanSums.of_share(n, float(row[name]))
        return MeanSums(n, float(row[name]) * unit, float(row[f"{name}_squares"]) * unit * unit)

    after, before = sums("top_after", scale), sums("top_before", scale)
    if metric.config.kind != "ratio":
        if not adjusts:
            return after
        return AdjustedSums(after, before, float(row["top_after_top_before"]) * scale * scale)
    below, below_before = sums("bottom_after", 1.0), sums("bottom_before", 1.0)
    if not adjusts:
        return RatioSums(after, below, float(row["top_after_bottom_after"]) * scale)
    return AdjustedRatioSums(
        after,
        below,
        before,
        below_before,
        float(row["top_after_bottom_after"]) * scale,
        float(row["top_after_top_before"]) * scale * scale,
        float(row["top_after_bottom_before"]) * scale,
        float(row["bottom_after_top_before"]) * scale,
        float(row["bottom_after_bottom_before"]),
        float(row["top_before_bottom_before"]) * scale,
    )


class MetricSums(NamedTuple):
    """The rows of `sql/experiments/metrics.sql`, by metric and variant."""

    rows: Mapping[tuple[str, str], Mapping[str, Any]]
    experiment: ExperimentConfig

    @classmethod
    def read(cls, rows: Iterable[Mapping[str, Any]], experiment: ExperimentConfig) -> MetricSums:
        """Read them."""
        return cls({(row["metric"], row["variant"]): row for row in rows}, experiment)

    def pair(self, metric: Measured, variant: str, *, adjusts: bool) -> tuple[VariantMoments, VariantMoments] | None:
        """Return the control and a variant; None where one of them has no actors."""
        found = [self.rows.get((metric.label, each)) for each in (self.experiment.control, variant)]
        control, treated = found
        if control is None or treated is None:
            return None
        return moments(control, metric, adjusts=adjusts), moments(treated, metric, adjusts=adjusts)

    def told(self, asked: Sequence[Measured]) -> tuple[ExperimentMetric, ...]:
        """Return every metric of every variant, p-values corrected over the goal and the metrics of all variants."""
        found: list[ExperimentMetric] = []
        for metric in asked:
            for variant in self.experiment.names:
                row = self.rows.get((metric.label, variant))
                bare = ExperimentMetric(metric.label, metric.role, metric.unit, variant, 0, 0, *(None,) * 12, says="")
                nobody = replace(bare, says="" if variant == self.experiment.control else not_enough(0))
                found.append(nobody if row is None else self._told(metric, variant, row))
        places = [place for place, each in enumerate(found) if each.role != "guardrail" and each.p_value is not None]
        corrected = adjusted([found[place].p_value or 0.0 for place in places], "holm")
        kinds = {each.label: each.config for each in asked}
        for place, told in enumerate(found):
            config = kinds[told.metric]
            if isinstance(config, GuardedMetricConfig) and told.variant != self.experiment.control:
                found[place] = replace(told, margin=config.margin)
        for place, p_value in zip(places, corrected, strict=True):
            told = replace(found[place], p_value=p_value)
            found[place] = replace(told, says=self._verdict(told, kinds[told.metric]))
        return tuple(found)

    def _verdict(self, row: ExperimentMetric, config: MetricConfig) -> str:
        if row.p_value is None or row.p_value >= 1 - self.experiment.level:
            return SAME
        return BETTER if ((row.difference or 0.0) > 0) == (config.better == "more") else WORSE

    def _told(self, metric: Measured, variant: str, row: Mapping[str, Any]) -> ExperimentMetric:
        bare = ExperimentMetric(
            metric.label,
            metric.role,
            metric.unit,
            variant,
            int(row["actors"]),
            int(row["doers"]),
            moments(row, metric, adjusts=False).mean,
            *(None,) * 11,
            says="",
        )
        pair = self.pair(metric, variant, adjusts=self.experiment.pre_period is not None)
        if variant == self.experiment.control or pair is None:
            return bare
        control, treated = pair
        bare = replace(bare, control=control.plain_mean)
        doers = bare.doers + int(self.rows[metric.label, self.experiment.control]["doers"])
        fewest = min(control.n, treated.n)
        if fewest < FEWEST_A_SIDE or doers < FEWEST_TARGETS:
            return replace(bare, says=not_enough(fewest if fewest < FEWEST_A_SIDE else doers))
        found, relative = (effect(control, treated, is_relative=each) for each in (False, True))
        if found is None:
            return self._by_shares(bare, metric, control, treated)
        if metric.role == "guardrail":
            return self._guarded(bare, metric, found, relative)
        told = self._tested(found)
        share = None if relative is None else self._tested(relative)
        believed = posterior(found if relative is None else relative, self.experiment.level)
        is_more = metric.config.better == "more"
        low, high = self._ends(told, metric, control, treated)
        return replace(
            bare,
            difference=told.estimate,
            low=low,
            high=high,
            relative=None if share is None else share.estimate,
            relative_low=None if share is None else share.low,
            relative_high=None if share is None else share.high,
            p_value=told.p_value,
            chance=believed.chance if is_more else 1 - believed.chance,
            risk=None if relative is None else believed.risk_shipped if is_more else believed.risk_kept,
            saved=self._saved(metric, variant, found),
        )

    def _tested(self, found: VariantEffect, side: Side = "both", null: float = 0.0) -> TestedEffect:
        level = self.experiment.level
        if self.experiment.horizon == "anytime":
            return anytime_valid(found, level, side=side, null=null, tuning=self.experiment.tuning)
        return fixed_horizon(found, level, side=side, null=null)

    def _ends(
        self, told: TestedEffect, metric: Measured, control: VariantMoments, treated: VariantMoments
    ) -> tuple[float, float]:
        """Return the interval of a difference: by Newcombe for two shares that are read once and not adjusted."""
        is_plain = self.experiment.horizon == "fixed" and metric.config.kind == "binary"
        if is_plain and isinstance(control, MeanSums) and isinstance(treated, MeanSums):
            found = newcombe(treated.total, treated.n, control.total, control.n, self.experiment.level)
            if found is not None:
                return found.low, found.high
        return told.low, told.high

    def _by_shares(
        self, bare: ExperimentMetric, metric: Measured, control: VariantMoments, treated: VariantMoments
    ) -> ExperimentMetric:
        """Tell the difference of two shares of which one is nobody or everybody; nothing of other metrics."""
        after = [each.after if isinstance(each, AdjustedSums) else each for each in (control, treated)]
        one, other = after
        if metric.config.kind != "binary" or not isinstance(one, MeanSums) or not isinstance(other, MeanSums):
            return replace(bare, says="cannot be told: all actors of a variant are alike")
        level = self.experiment.level if metric.role != "guardrail" else 2 * self.experiment.level - 1
        found = newcombe(other.total, other.n, one.total, one.n, level)
        if found is None:
            return replace(bare, says=not_enough(0))
        if isinstance(metric.config, GuardedMetricConfig) and self.experiment.horizon == "fixed" and one.mean:
            is_more = metric.config.better == "more"
            change, low, high = ((each / one.mean) for each in (other.mean - one.mean, found.low, found.high))
            margin = metric.config.margin
            holds, broken = (low > -margin, high < -margin) if is_more else (high < margin, low > margin)
            return replace(
                bare,
                difference=other.mean - one.mean,
                relative=change,
                relative_low=low if is_more else None,
                relative_high=None if is_more else high,
                says=OK if holds else BREACHED if broken else OPEN,
            )
        return replace(
            bare,
            difference=other.mean - one.mean,
            low=found.low,
            high=found.high,
            says="cannot be tested: nobody or everybody did it in a variant",
        )

    def _guarded(
        self, bare: ExperimentMetric, metric: Measured, found: VariantEffect, relative: VariantEffect | None
    ) -> ExperimentMetric:
        """Tell whether a guardrail holds: worse by its margin or more is ruled out, or sure, or neither."""
        config = metric.config
        if relative is None or not isinstance(config, GuardedMetricConfig):
            return replace(bare, difference=found.estimate, says="not measured: the control has none")
        is_more = config.better == "more"
        margin = -config.margin if is_more else config.margin
        toward: Side = "greater" if is_more else "less"
        away: Side = "less" if is_more else "greater"
        told, against = self._tested(relative, toward, margin), self._tested(relative, away, margin)
        end, other = (told.low, against.high) if is_more else (told.high, against.low)
        holds = end > margin if is_more else end < margin
        broken = other < margin if is_more else other > margin
        believed = posterior(relative, self.experiment.level)
        return replace(
            bare,
            difference=found.estimate,
            relative=relative.estimate,
            relative_low=_finite(told.low),
            relative_high=_finite(told.high),
            p_value=told.p_value,
            chance=believed.chance if is_more else 1 - believed.chance,
            says=OK if holds else BREACHED if broken else OPEN,
        )

    def _saved(self, metric: Measured, variant: str, found: VariantEffect) -> float | None:
        if self.experiment.pre_period is None:
            return None
        pair = self.pair(metric, variant, adjusts=False)
        plain = None if pair is None else effect(*pair, is_relative=False)
        return None if plain is None else 1 - (found.error / plain.error) ** 2

    def before(self, asked: Sequence[Measured]) -> Iterator[BalanceBefore]:
        """Yield what metrics were before the exposure, where a period before is asked for."""
        if self.experiment.pre_period is None:
            return
        for metric in asked:
            if metric.role == "guardrail":
                continue
            for variant in self.experiment.treated:
                pair = self.pair(metric, variant, adjusts=True)
                sides = [each.before for each in pair or () if isinstance(each, AdjustedSums | AdjustedRatioSums)]
                if not sides:
                    continue
                found = effect(sides[0], sides[1], is_relative=False)
                p_value = None if found is None else fixed_horizon(found).p_value
                yield BalanceBefore(metric.label, variant, sides[1].mean, sides[0].mean, p_value)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
