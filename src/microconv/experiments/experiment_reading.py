"""Read an experiment: first whether its split is right and whether it is time, then what each variant changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.banded import banded_query, read_banded
from microconv.analyses.insight.buyers import ACTOR_GROUPS, staged_days
from microconv.analyses.insight.goals import steps_up_to
from microconv.analyses.insight.onward_rates import Followed
from microconv.config.experiment_settings import ExperimentConfig
from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.errors import FindingsError
from microconv.experiments.carrying import OTHERWISE, PER, CarriedThrough, carried
from microconv.experiments.exposures import Split, VariantSize, WrongSplit, exposure_query, written_p
from microconv.experiments.metrics import (
    BETTER,
    BREACHED,
    GUARDRAIL,
    OK,
    OPEN,
    SAME,
    BalanceBefore,
    ExperimentMetric,
    Measured,
    MetricSums,
    caps,
    measured,
    metric_queries,
    signed_share,
)
from microconv.experiments.shipping import held_now, open_questions, standing
from microconv.guardrails.ethics import EthicsState
from microconv.guardrails.guardrail_states import GuardrailState
from microconv.guardrails.guardrails_question import GuardrailsResult
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import HIDDEN, Context, Option, Question, section_of
from microconv.result import Result, column, sheet
from microconv.staging import properties
from microconv.staging.properties import Property
from microconv.stats.sample_ratio import FAILS_BELOW
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class VariantStep:
    """How many actors of a variant took a step of the funnel after the exposure, in order."""

    variant: str = column("variant")
    step: str = column("step")
    actors: int = column("actors", wording.count)
    share: float | None = column("of the exposed", wording.share)
    onward: float | None = column("of the step before", wording.share)


@dataclass(frozen=True)
class ExperimentResult(Result):
    """What an experiment shows.

    Attributes:
        experiment: Its name.
        hypothesis: What is believed.
        control: The variant that others are held against.
        goal: The micro-conversion that it should raise.
        entry_tested: The micro-conversion that the variant brings about; empty where none is named.
        horizon: fixed or anytime; `level` is that of all intervals.
        is_read_in_time: The fixed horizon is over, or the intervals may be read at any time.
        when: When it may be read, in words.
        split: Who is in which variant, and whether that is right.
        metrics: The rows: every metric of every variant.
        steps: The funnel by variant.
        carried: What differences in micro-conversions would mean for the goal.
        before: Metrics in the period before, which should be alike.
        must_hold: The guardrails of `[[guardrails]]` that it names, as they are now; they are of all actors.
        open_questions: The required questions of the checklist of ethics that are open for it.
    """

    row_type: ClassVar[type] = ExperimentMetric

    experiment: str
    hypothesis: str
    control: str
    goal: str
    entry_tested: str
    horizon: str
    level: float
    is_read_in_time: bool
    when: str
    split: Split
    metrics: tuple[ExperimentMetric, ...]
    steps: tuple[VariantStep, ...]
    carried: tuple[CarriedThrough, ...]
    before: tuple[BalanceBefore, ...]
    must_hold: tuple[GuardrailState, ...]
    open_questions: tuple[EthicsState, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[ExperimentMetric, ...]:
        """The metrics."""
        return self.metrics

    def sheets(self) -> Iterator[Sheet | str]:
        """Show what is believed, the split, when to read, metrics, guardrails, funnel, and what it would mean."""
        yield f"Hypothesis: {self.hypothesis}"
        yield sheet(f"Experiment {self.experiment}: the split", self.split.sizes, VariantSize)
        yield self.split.says
        if self.split.places:
            yield sheet("Where the split is wrong", self.split.places[:5], WrongSplit)
        yield self.when
        told = [each for each in self.metrics if each.role != "guardrail"]
        yield self._metrics("What each variant changes against " + self.control, told, ("p_value", "chance", "risk"))
        if guarded := [each for each in self.metrics if each.role == "guardrail"]:
            yield self._metrics("Guardrails: not worse by more than the margin", guarded, ("margin", "p_value"))
        for each in GuardrailsResult(self.must_hold, "", ()).sheets() if self.must_hold else ():
            yield replace(each, title="Guardrails of all actors, as they are now") if isinstance(each, Sheet) else each
        if self.open_questions:
            yield sheet(
                "Questions of ethics that are open",
                self.open_questions,
                EthicsState,
                only=("question", "state", "answer", "by", "on"),
            )
        if self.before:
            yield sheet("Before the exposure: variants should be alike", self.before, BalanceBefore)
        if self.steps:
            yield sheet("The funnel by variant", self.steps, VariantStep)
        if self.carried:
            yield sheet(f"What it would mean for {self.goal}, per 1,000 actors", self.carried, CarriedThrough)

    def _metrics(self, title: str, rows: Sequence[ExperimentMetric], figures: Sequence[str]) -> Sheet:
        own: Mapping[str, Heading] = {
            name: field.metadata["heading"] for name, field in ExperimentMetric.__dataclass_fields__.items()
        }
        names = ("metric", "variant", "doers")
        changes = ("relative", "relative_low", "relative_high")
        headings = (
            *(own[name] for name in names),
            Heading("value", wording.text),
            *(own[name] for name in (*changes, *figures)),
            own["says"],
        )
        return Sheet(
            title,
            headings,
            tuple(
                (
                    *(getattr(row, name) for name in names),
                    row.written(),
                    *(getattr(row, name) for name in (*changes, *figures)),
                    row.says,
                )
                for row in rows
            ),
        )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per variant: the share of actors who came to the goal."""
        return tuple(
            Bar(row.variant, row.value, wording.share(row.value))
            for row in self.metrics
            if row.role == "goal" and row.value is not None
        )


class ExperimentRead(Question):
    """Read the experiment NAME: first whether the split is right and it is time, then what each variant changes.

    Each actor counts from the first exposure on. It shows every metric with its interval and corrected p, the chance
    that the variant is the better one, guardrails, the funnel by variant, and what differences in micro-conversions
    would mean for the goal.
    """

    options: ClassVar[Mapping[str, Option]] = {
        "name": Option(metavar="NAME", is_argument=True),
        "experiment": HIDDEN,
    }
    examples: ClassVar[tuple[str, ...]] = (
        "experiment read reviews_first",
        "experiment read reviews_first --format json",
    )

    name: str = Field(description="the experiment")
    experiment: ExperimentConfig

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield the question for each experiment of the configuration."""
        for each in config.experiments:
            yield cls(name=each.name, experiment=each)

    @classmethod
    def asked(cls, config: Config, given: Mapping[str, Any]) -> Self:
        """Return the question about an experiment of the configuration."""
        found = find_named(config.experiments, given.get("name") or "", "experiment")
        return section_of(cls, {**given, "experiment": found})

    @property
    def about(self) -> str:
        """Name the experiment."""
        return f"experiment {self.name}"

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids that it names."""
        yield from self.experiment.named()

    def properties(self) -> Collection[Property]:
        """Return what tells exposures and variants."""
        return properties.of_experiment(self.experiment)

    def _steps(self, taxonomy: Taxonomy) -> list[str]:
        given = [taxonomy.counted(each) for each in self.experiment.steps]
        return given or steps_up_to(taxonomy.goal(self.experiment.goal), taxonomy)

    def _before_goal(self, taxonomy: Taxonomy) -> dict[str, str]:
        """Return the micro-conversions before the goal that are measured as shares, by the name of the metric."""
        goal = taxonomy.goal(self.experiment.goal)
        return {
            each.label: each.top
            for each in measured(self.experiment, taxonomy)
            if each.role == "metric" and each.config.kind == "binary" and taxonomy.rank(each.top) < taxonomy.rank(goal)
        }

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of the split, the funnel, what follows micro-conversions, and the sums of the metrics."""
        taxonomy, experiment = context.taxonomy, self.experiment
        end_at = context.latest_event_at or templates.EXAMPLE_MOMENT
        goal, steps = taxonomy.goal(experiment.goal), self._steps(taxonomy)
        entries = list(dict.fromkeys(self._before_goal(taxonomy).values()))
        onward: dict[str, Value] = {
            "entries": entries,
            "steps": [goal],
            "conversion": goal,
            "currency": None,
            "assumed_currency": None,
            "first_date": None,
            "last_date": None,
            "end_at": end_at,
            "actor_groups": ACTOR_GROUPS,
        }
        funnel: dict[str, Value] = {
            "steps": steps,
            "within_us": experiment.within.microseconds if experiment.within else None,
        }
        found = [
            exposure_query("experiments/splits", experiment, end_at),
            exposure_query("experiments/funnel", experiment, end_at, funnel, length=len(steps)),
            templates.query("analyses/insight/onward", params=onward),
        ]
        if entries:
            found.append(banded_query(entries, goal, end_at, None, None))
        return (*found, *metric_queries(experiment, taxonomy, context.config.project, end_at))

    def result(self, tables: Sequence[pa.Table], context: Context) -> ExperimentResult:
        """Read the rows."""
        taxonomy, experiment = context.taxonomy, self.experiment
        goal, entries = taxonomy.goal(experiment.goal), self._before_goal(taxonomy)
        split = Split.read(tables[0].to_pylist(), experiment)
        ratios = read_banded(tables[3].to_pylist()) if entries else {}
        sums_rows = [row for table in tables[4 if entries else 3 :] for row in table.to_pylist()]
        sums, asked = MetricSums.read(sums_rows, experiment), measured(experiment, taxonomy)
        metrics = sums.told(asked)
        onward = tables[2].to_pylist()
        followed = {entry: Followed.read(onward, entry, goal) for entry in entries.values()}
        carrying = tuple(carried(metrics, entries, followed, ratios, goal))
        last = staged_days(context)[1]
        is_over, when = self._when(split, last)
        before = tuple(sums.before(asked))
        held, questions = held_now(experiment, context), open_questions(experiment, context.config)
        said = _sentence(experiment, split, metrics, carrying, goal, is_over=is_over, when=when)
        stands = standing(held, questions, ethics_stop=context.config.ethics.stop)
        return ExperimentResult(
            experiment=experiment.name,
            hypothesis=experiment.hypothesis,
            control=experiment.control,
            goal=goal,
            entry_tested=taxonomy.counted(experiment.tests) if experiment.tests else "",
            horizon=experiment.horizon,
            level=experiment.level,
            is_read_in_time=is_over,
            when=when,
            split=split,
            metrics=metrics,
            steps=tuple(_funnel(tables[1].to_pylist(), ["exposed", *self._steps(taxonomy)], experiment)),
            carried=carrying,
            before=before,
            must_hold=held,
            open_questions=questions,
            sentence=f"{said} {stands}".rstrip(),
            assumptions=tuple(self._assumptions(context, split, sums_rows, asked, before)),
        )

    def stop(self, result: Result) -> FindingsError | None:
        """Stop a pipeline where the split is wrong: nothing else of the experiment may be believed."""
        if isinstance(result, ExperimentResult) and result.split.is_wrong:
            return FindingsError(
                f"Experiment {self.name}: {result.split.says}",
                hint="Do not read the metrics. Find what loses or doubles actors there, and begin again.",
            )
        return None

    def _when(self, split: Split, last: date) -> tuple[bool, str]:
        experiment = self.experiment
        if not split.actors:
            return False, "Nobody is in it, so there is nothing to read."
        if experiment.horizon == "anytime":
            return True, (
                "Intervals are anytime-valid: read them as often as you like, and stop when you like. They are "
                f"tightest at about {wording.count(experiment.tuning)} actors."
            )
        by_day = experiment.until is not None and last >= experiment.until
        by_actors = experiment.actors is not None and split.actors >= experiment.actors
        ends = [
            *([f"{experiment.until} is over"] if experiment.until else []),
            *([f"{wording.count(experiment.actors)} actors are in it"] if experiment.actors else []),
        ]
        end = " or ".join(ends)
        if by_day or by_actors:
            then = "but the split is wrong: mend it and begin again" if split.is_wrong else "read it, and decide"
            return True, f"Fixed horizon: it is read once, when {end}. That is so; {then}."
        return False, (
            f"Too early to read: the horizon is fixed, and it is read once, when {end}. The data end on {last}, with "
            f"{wording.count(split.actors)} actors. Whoever stops at the first good day finds what is not there."
        )

    def _assumptions(
        self,
        context: Context,
        split: Split,
        rows: Iterable[Mapping[str, Any]],
        asked: Sequence[Measured],
        before: Sequence[BalanceBefore],
    ) -> Iterator[str]:
        experiment = self.experiment
        yield "Each actor counts from the first exposure on, in the variant that was seen then."
        yield from split.assumptions()
        if experiment.within is not None:
            length = wording.window(str(experiment.within))
            yield f"What happens within {length} of the exposure counts, as far as the data reach."
        tests = sum(each.role != "guardrail" for each in asked) * len(experiment.treated)
        yield (
            f"Intervals are at {wording.share(experiment.level)}. p-values are corrected over "
            f"{wording.plural(tests, 'test')} (Holm); guardrails are tested by themselves, on one side."
        )
        yield "An interval is that of its metric alone; where it and the corrected p differ, the p decides."
        yield (
            "The chance to be better comes from this test alone (a flat prior). It is not a p-value. The risk is what "
            "shipping loses on average, as a share of the control's."
        )
        for metric, cap in sorted(caps(rows).items()):
            money = wording.money(cap, context.config.project.currency)
            yield f"{metric}: what one actor brings counts up to {money}, so that a few large ones do not decide."
        if experiment.must_hold:
            yield (
                "Guardrails of [[guardrails]] are of all actors in their own last days, in the experiment or not: they "
                "do not hold variants against each other."
            )
        if experiment.pre_period is not None:
            yield from self._of_the_period_before(context, split, before)
        if any(each.config.kind == "ratio" for each in asked):
            yield "Ratios are of sums over all actors; their variance is by the delta method."

    def _of_the_period_before(self, context: Context, split: Split, before: Sequence[BalanceBefore]) -> Iterator[str]:
        length = self.experiment.pre_period
        if length is None:
            return
        written = wording.window(str(length))
        yield f"Differences are adjusted by the same metrics in the {written} before the exposure (CUPED)."
        first = staged_days(context)[0]
        if split.first_date is not None and split.first_date - timedelta(seconds=length.seconds) < first:
            yield (
                f"The data begin on {first}: of those exposed first, a part of that period is unknown, and counts as "
                "nothing."
            )
        uneven = [each for each in before if each.p_value is not None and each.p_value < FAILS_BELOW]
        if uneven:
            named = wording.listed([f"{each.metric} ({each.variant})" for each in uneven])
            yield f"Variants differed before they were exposed, in {named}: they were not made by chance."


def _funnel(
    rows: Iterable[Mapping[str, Any]], names: Sequence[str], experiment: ExperimentConfig
) -> Iterator[VariantStep]:
    counted = {(row["variant"], row["step"]): int(row["actors"]) for row in rows}
    for variant in experiment.names:
        exposed = counted.get((variant, 0), 0)
        for place, name in enumerate(names):
            actors = counted.get((variant, place), 0)
            before = counted.get((variant, place - 1), 0) if place else None
            yield VariantStep(
                variant,
                name,
                actors,
                wording.ratio(actors, exposed),
                None if before is None else wording.ratio(actors, before),
            )


def _sentence(
    experiment: ExperimentConfig,
    split: Split,
    metrics: Sequence[ExperimentMetric],
    carrying: Sequence[CarriedThrough],
    goal: str,
    *,
    is_over: bool,
    when: str,
) -> str:
    if not split.actors:
        return f"{experiment.name}: nobody was exposed in the data: no event with the variant, or other days."
    if split.is_wrong:
        return f"{experiment.name}: do not read the metrics. {split.says}"
    if not is_over:
        return f"{experiment.name}: {when[:1].lower()}{when[1:]}"
    told = [_of_variant(variant, metrics, carrying, goal) for variant in experiment.treated]
    return f"{experiment.name}: {' '.join(told)}"


def _of_variant(
    variant: str, metrics: Sequence[ExperimentMetric], carrying: Sequence[CarriedThrough], goal: str
) -> str:
    own = [each for each in metrics if each.variant == variant]
    of_goal = next((each for each in own if each.role == "goal"), None)
    if of_goal is None:
        return f"{variant}: nobody was exposed to it."
    said = f"{variant}: {_against(of_goal, goal)}"
    others = [each for each in own if each.role == "metric" and each.differs]
    if others:
        first = "It differs" if of_goal.says == SAME else "It also differs"
        said += f" {first} in {wording.listed([f'{each.metric} ({_change(each)})' for each in others])}."
    elif of_goal.says == SAME:
        said += " No other metric differs, either."
    shown = {each.metric for each in others}
    for each in carrying:
        if each.variant == variant and each.micro_conversion in shown and each.beyond is not None:
            said += (
                f" Carried through, the difference in {each.micro_conversion} would mean {_signed(each.beyond)} {goal} "
                f"per {wording.count(PER)} actors ({_signed(each.beyond_low or 0.0)} to "
                f"{_signed(each.beyond_high or 0.0)}): the difference is experimental, what follows it is observed."
            )
            if each.says == OTHERWISE and each.measured is not None:
                said += (
                    f" The test itself shows otherwise: {_signed(each.measured)} "
                    f"({_signed(each.measured_low or 0.0)} to {_signed(each.measured_high or 0.0)}). Those whom the "
                    "variant adds do not go on like others."
                )
    return said + "".join(f" {each}" for each in _of_guardrails(own))


def _of_guardrails(own: Sequence[ExperimentMetric]) -> Iterator[str]:
    """Yield what is to be said of the guardrails of a variant: those that do not hold, or not yet."""
    told = {each.metric.removeprefix(GUARDRAIL): each.says for each in own if each.role == "guardrail"}
    if breached := [name for name, says in told.items() if says == BREACHED]:
        yield f"Worse than the margin allows: {wording.listed(breached)}."
    if not_yet := [name for name, says in told.items() if says == OPEN]:
        yield f"Not shown yet that it stays within the margin: {wording.listed(not_yet)}."
    if unknown := [f"{name} ({says})" for name, says in told.items() if says not in (OK, OPEN, BREACHED)]:
        yield f"Guardrails that cannot be told: {wording.listed(unknown)}."


def _against(row: ExperimentMetric, goal: str) -> str:
    values = f"{row.written()} of actors against {wording.share(row.control)}"
    p_value = f"corrected p {written_p(row.p_value)}" if row.p_value is not None else ""
    if row.says == SAME:
        return f"no difference in {goal} is shown ({values}: {_change(row)}; {p_value})."
    if row.differs:
        often = "more" if row.says == BETTER else "less"
        return f"{often} {goal} than the control ({values}: {_change(row)}; {p_value})."
    return f"{goal}: {row.says} ({values})."


def _change(row: ExperimentMetric) -> str:
    if row.relative is None or row.relative_low is None or row.relative_high is None:
        return "change not told"
    low, high = signed_share(row.relative_low), signed_share(row.relative_high)
    return f"{signed_share(row.relative)}, {low} to {high}"


def _signed(value: float) -> str:
    return f"{'+' if value > 0 else ''}{wording.decimal(value)}"
