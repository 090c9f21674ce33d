"""The registry of experiments: what the configuration has and what was decided of it, and how a decision is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.tested_entries import EXPERIMENTS, ExperimentRecord, read_record
from microconv.config.experiment_settings import ExperimentConfig
from microconv.config.sections import Config
from microconv.engines.base import Engine, PutRow
from microconv.errors import DestinationError, UsageError
from microconv.experiments.experiment_reading import ExperimentResult
from microconv.experiments.metrics import ExperimentMetric
from microconv.experiments.shipping import check_shipping
from microconv.files import replacing
from microconv.markdown import markdown as markdown_text
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option, Question
from microconv.result import Result, column, sheet
from microconv.wording import Bar, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

Decision = Literal["ship", "keep", "repeat", "stop"]
"""`ship` the variant, `keep` the control, `repeat` the test, or `stop` it without an answer."""
DECISIONS: tuple[str, ...] = get_args(Decision)
OPEN = "not decided"


@dataclass(frozen=True)
class ListedExperiment:
    """An experiment: what it tests, and what was decided of it."""

    experiment: str = column("experiment")
    variant: str = column("variant")
    hypothesis: str = column("hypothesis")
    goal: str = column("goal")
    entry_tested: str = column("entry tested")
    decision: str = column("decision")
    decided_at: datetime | None = column("decided at", wording.minute)
    result: str = column("result")
    learning: str = column("learning")


@dataclass(frozen=True)
class RegistryResult(Result):
    """Experiments, those that are not decided first, then the latest decision first."""

    row_type: ClassVar[type] = ListedExperiment

    search: str | None
    experiments: tuple[ListedExperiment, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[ListedExperiment, ...]:
        """The experiments."""
        return self.experiments

    def sheets(self) -> Iterator[Sheet | str]:
        """Show them without the sentences of their results, which are long; `experiment show` has them."""
        yield sheet("Experiments", self.experiments, ListedExperiment, without=("result",))

    def bars(self) -> tuple[Bar, ...]:
        """One bar per decision: how many variants it was made of."""
        made = [each.decision for each in self.experiments]
        return tuple(
            Bar(each, made.count(each), wording.count(made.count(each))) for each in (OPEN, *DECISIONS) if each in made
        )


class ExperimentList(Question):
    """List the experiments of the configuration and the registry: what was tested, decided and learned.

    With --search, those alone in whose name, hypothesis, entries, result, decision or learning all the words stand.
    """

    options: ClassVar[Mapping[str, Option]] = {"search": Option(metavar="WORDS")}
    examples: ClassVar[tuple[str, ...]] = ("experiment list", 'experiment list --search "reviews cart"')
    in_report: ClassVar[bool] = False

    search: str | None = Field(default=None, description="words that must stand in it, whatever their case")

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of the staged days, and of the registry, which is there once something was decided."""
        days = templates.query("operations/span")
        if context.open_engine is not None and context.engine.version(EXPERIMENTS.name) is None:
            return (days,)
        return days, templates.query("experiments/records")

    def result(self, tables: Sequence[pa.Table], context: Context) -> RegistryResult:
        """List them."""
        decided = [read_record(row) for table in tables[1:] for row in table.to_pylist()]
        rows = [*_open(context.config, context.taxonomy.goal(None), decided), *map(_decided, decided)]
        last = tables[0].to_pylist()[0]["last_date"]
        words = (self.search or "").casefold().split()
        found = tuple(each for each in rows if all(word in _text(each, decided) for word in words))
        open_ones = len({each.experiment for each in found if each.decision == OPEN})
        done = len({each.experiment for each in found if each.decision != OPEN})
        said = f"{wording.plural(done, 'experiment')} decided, {wording.count(open_ones)} not decided"
        of = f"Of those with {' '.join(words)}: " if words else ""
        return RegistryResult(
            search=self.search,
            experiments=found,
            sentence=f"{of}{said}.",
            assumptions=(
                "Those not decided are in the configuration; those decided are in mc_experiments, with or without it.",
                "No day is staged." if last is None else f"The data end on {last}.",
            ),
        )


def _open(config: Config, goal: str, decided: Sequence[ExperimentRecord]) -> Iterator[ListedExperiment]:
    done = {(each.experiment, each.variant) for each in decided}
    for each in config.experiments:
        for variant in each.treated:
            if (each.name, variant) not in done:
                yield ListedExperiment(
                    each.name, variant, each.hypothesis, each.goal or goal, each.tests or "", OPEN, None, "", ""
                )


def _decided(record: ExperimentRecord) -> ListedExperiment:
    return ListedExperiment(
        record.experiment,
        record.variant,
        record.hypothesis,
        record.goal,
        record.entry_tested,
        record.decision,
        record.decided_at,
        record.result,
        record.learning,
    )


def _text(row: ListedExperiment, decided: Sequence[ExperimentRecord]) -> str:
    kept = next((each for each in decided if (each.experiment, each.variant) == (row.experiment, row.variant)), None)
    more = () if kept is None else (kept.minimal_test, kept.reason, kept.decided_by)
    return " ".join(
        (
            *(row.experiment, row.variant, row.hypothesis, row.goal, row.entry_tested, row.decision),
            *(row.result, row.learning, *more),
        )
    ).casefold()


@dataclass(frozen=True)
class DecisionGiven:
    """What somebody decides: on which variant, why, and what is known now; `allowed` guardrails do not stop it."""

    decision: str
    reason: str
    learning: str
    by: str
    variant: str | None = None
    allowed: tuple[str, ...] = ()


def decide(
    engine: Engine,
    experiment: ExperimentConfig,
    found: ExperimentResult,
    given: DecisionGiven,
    now: datetime,
    *,
    ethics_stop: bool = True,
) -> tuple[ExperimentRecord, ...]:
    """Keep a decision in mc_experiments, with what it rests on; deciding again replaces it.

    Args:
        engine: Where it is kept; the table is made on first use.
        experiment: The experiment.
        found: What it shows.
        given: What is decided; of a variant, or of all.
        now: The current time, aware of its zone.
        ethics_stop: Whether open questions of ethics stop a variant from being shipped.

    Raises:
        UsageError: It cannot be decided so.
        FindingsError: A variant would be shipped while a guardrail does not hold, or a question of ethics is open.
        EngineError: It cannot be written.
    """
    if given.decision not in DECISIONS:
        raise UsageError(f"{given.decision!r} is no decision.", hint=f"Choose one of {', '.join(DECISIONS)}.")
    for name, text in (("--because", given.reason), ("--learning", given.learning)):
        if not text.strip():
            raise UsageError(f"A decision without {name} teaches nobody.", hint=f"Give {name} a sentence.")
    if given.variant is not None and given.variant not in experiment.treated:
        raise UsageError(
            f"{given.variant!r} is not a variant to decide on.", hint=f"Choose one of {', '.join(experiment.treated)}."
        )
    if given.decision == "ship" and given.variant is None and len(experiment.treated) > 1:
        raise UsageError(
            "Which variant is shipped?", hint=f"Name it with --variant: {' or '.join(experiment.treated)}."
        )
    if given.decision == "ship" and found.split.is_wrong:
        raise UsageError(
            f"Nothing is shipped on a wrong split. {found.split.says}",
            hint="Decide repeat or stop, and mend the split.",
        )
    if given.decision == "ship" and not found.is_read_in_time:
        raise UsageError(found.when, hint="Wait for the end, or decide stop or keep.")
    variants = experiment.treated if given.variant is None else (given.variant,)
    if given.decision == "ship":
        shipped = [each for each in found.metrics if each.variant in variants]
        ignored = check_shipping(
            experiment,
            found.must_hold,
            shipped,
            found.open_questions,
            allowed=given.allowed,
            ethics_stop=ethics_stop,
        )
        if ignored:
            said = f"{found.sentence} Shipped all the same, by --allow-guardrail: {wording.listed(ignored)}."
            found = replace(found, sentence=said)
    elif given.allowed:
        raise UsageError("--allow-guardrail goes with --decision ship.", hint="Leave it out.")
    made = tuple(_record(experiment, found, given, variant, now) for variant in variants)
    engine.ensure(EXPERIMENTS)
    engine.apply([PutRow(EXPERIMENTS, vars(each)) for each in made])
    return made


def _record(
    experiment: ExperimentConfig,
    found: ExperimentResult,
    given: DecisionGiven,
    variant: str,
    now: datetime,
) -> ExperimentRecord:
    own = {each.metric: each for each in found.metrics if each.variant == variant}
    of_goal = next((each for each in own.values() if each.role == "goal"), None)
    of_entry = own.get(found.entry_tested)
    return ExperimentRecord(
        experiment=experiment.name,
        variant=variant,
        control=experiment.control,
        decided_at=now,
        decision=given.decision,
        hypothesis=experiment.hypothesis,
        minimal_test=experiment.minimal_test or design(experiment, found.goal),
        result=found.sentence,
        reason=given.reason.strip(),
        learning=given.learning.strip(),
        decided_by=given.by.strip(),
        goal=found.goal,
        entry_tested=found.entry_tested,
        horizon=experiment.horizon,
        actors=found.split.actors,
        is_split_right=not found.split.is_wrong,
        is_read_in_time=found.is_read_in_time,
        **dict(zip(("goal_ratio", "goal_low", "goal_high"), _ratio(of_goal), strict=True)),
        goal_p=None if of_goal is None else of_goal.p_value,
        **dict(zip(("entry_ratio", "entry_low", "entry_high"), _ratio(of_entry), strict=True)),
        goal_share=None if of_goal is None else of_goal.control,
        entry_share=None if of_entry is None else of_entry.control,
        level=found.level,
        first_date=found.split.first_date,
        last_date=found.split.last_date,
    )


def _ratio(row: ExperimentMetric | None) -> tuple[float | None, float | None, float | None]:
    if row is None or row.relative is None or row.relative_low is None or row.relative_high is None:
        return None, None, None
    return 1 + row.relative, 1 + row.relative_low, 1 + row.relative_high


def design(experiment: ExperimentConfig, goal: str) -> str:
    """Say the test in a sentence: who sees what, what is measured, and when it is read."""
    shares = ", ".join(f"{name} {wording.share(share)}" for name, share in experiment.variants.items())
    exposed = experiment.exposure.event or experiment.exposure.external
    from_when = f"from {exposed} on" if exposed else f"from the first event with {experiment.variant.user_property} on"
    ends = [
        *([f"after {experiment.until}"] if experiment.until else []),
        *([f"with {wording.count(experiment.actors)} actors"] if experiment.actors else []),
    ]
    read = "read at any time" if experiment.horizon == "anytime" else f"read once, {' or '.join(ends)}"
    metrics = [each.label for each in (*experiment.metrics, *experiment.guardrails)]
    also = f", also {wording.listed(metrics)}" if metrics else ""
    held = f"; must hold: {wording.listed(experiment.must_hold)}" if experiment.must_hold else ""
    return f"Actors {from_when} ({shares}); measured: {goal}{also}{held}; {read}."


def markdown(record: ExperimentRecord) -> str:
    """Write a decision as Markdown: hypothesis, minimal test, result, decision, learning."""
    parts = (
        ("Hypothesis", record.hypothesis),
        ("Minimal test", record.minimal_test),
        ("Result", record.result),
        ("Decision", f"{record.decision}: {record.reason}"),
        ("Learning", record.learning),
    )
    by = f" by {record.decided_by}" if record.decided_by else ""
    head = f"# {_plain(record.experiment)}: {_plain(record.variant)} against {_plain(record.control)}"
    decided = f"Decided on {record.decided_at:%Y-%m-%d}{_plain(by)}; {wording.plural(record.actors, 'actor')}."
    body = "\n\n".join(f"## {title}\n\n{_plain(text)}" for title, text in parts)
    return f"{head}\n\n{decided}\n\n{body}\n"


def write_record(path: Path, text: str) -> None:
    """Write a record to a file that is not there yet.

    Raises:
        DestinationError: It cannot be written.
    """
    try:
        with replacing(path, is_private=False) as hidden:
            hidden.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DestinationError(
            f"{path} cannot be written ({error.strerror}). The decision is kept in mc_experiments.",
            hint="Mend the folder, then print the record with `microconv experiment show NAME`.",
        ) from error


def _plain(text: str) -> str:
    """Write text for Markdown: what would be a mark, a link, HTML or another line stays text.

    Within a word, `_` is no mark: ids stay as they are typed.
    """
    return re.sub(r"(?<=\w)\\_(?=\w)", "_", markdown_text(text))
