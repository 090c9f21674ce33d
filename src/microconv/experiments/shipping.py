"""What must hold before a variant is shipped: its guardrails, those of all actors, and the checklist of ethics."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from shlex import quote
from zoneinfo import ZoneInfo

from microconv import wording
from microconv.config.experiment_settings import ExperimentConfig
from microconv.config.problems import nearest
from microconv.config.sections import Config
from microconv.errors import FindingsError, UsageError
from microconv.experiments.metrics import GUARDRAIL, OK, OPEN, ExperimentMetric
from microconv.guardrails.ethics import EthicsState, check_questions, open_words, unanswered
from microconv.guardrails.guardrail_states import GuardrailState
from microconv.guardrails.guardrails_question import guardrail_state
from microconv.question import Context


def held_now(experiment: ExperimentConfig, context: Context) -> tuple[GuardrailState, ...]:
    """Return the guardrails of `[[guardrails]]` that an experiment names, as they are now."""
    now = datetime.now(tz=UTC)
    return tuple(guardrail_state(name, context, now) for name in experiment.must_hold)


def open_questions(experiment: ExperimentConfig, config: Config) -> tuple[EthicsState, ...]:
    """Return the required questions of the checklist that are open for an experiment.

    Raises:
        ConfigError: The configuration answers a question that there is not.
    """
    check_questions(config)
    today = datetime.now(tz=ZoneInfo(config.project.timezone)).date()
    return unanswered(config.ethics, f"experiment {experiment.name}", experiment.ethics, today)


def standing(held: Sequence[GuardrailState], questions: Sequence[EthicsState], *, ethics_stop: bool) -> str:
    """Say what stops a variant from being shipped, and what is near to it, in sentences; empty where nothing does.

    Args:
        held: The guardrails of `[[guardrails]]` that the experiment names.
        questions: The questions that are open.
        ethics_stop: Whether open questions stop.
    """
    stopping = [each.words for each in held if each.stops]
    said = f"of the checklist of ethics, {open_words(questions)}" if questions else ""
    sentences = []
    if stopping or (said and ethics_stop):
        sentences.append(f"This stops shipping: {'; '.join([*stopping, *([said] if said and ethics_stop else [])])}")
    if said and not ethics_stop:
        sentences.append(wording.capital(said))
    sentences += [wording.capital(each.words) for each in held if each.state == "warning"]
    return " ".join(f"{each.removesuffix('.')}." for each in sentences)


def check_shipping(
    experiment: ExperimentConfig,
    held: Sequence[GuardrailState],
    metrics: Sequence[ExperimentMetric],
    questions: Sequence[EthicsState],
    *,
    allowed: Collection[str],
    ethics_stop: bool,
) -> tuple[str, ...]:
    """Refuse to ship a variant while a guardrail does not hold or a question is open.

    Args:
        experiment: The experiment.
        held: The guardrails of `[[guardrails]]` that it names.
        metrics: The metrics of the variant.
        questions: The questions that are open.
        allowed: Names of guardrails that are ignored.
        ethics_stop: Whether open questions stop.

    Returns:
        The names of those that would have stopped it, and are ignored.

    Raises:
        UsageError: A guardrail is ignored that there is not.
        FindingsError: A guardrail is breached or cannot be measured, or a question is open.
    """
    known = [*experiment.must_hold, *(each.label for each in experiment.guardrails)]
    for name in allowed:
        if name not in known:
            raise UsageError(
                f"The experiment {experiment.name} has no guardrail {name!r}{nearest(name, known)}.",
                hint=f"Its guardrails: {', '.join(known) or 'none'}.",
            )
    found = {
        **{each.guardrail: each.words for each in held if each.stops},
        **dict(_not_holding(metrics)),
    }
    stopping = {name: words for name, words in found.items() if name not in allowed}
    said, hints = list(stopping.values()), []
    if stopping:
        names = " ".join(f"--allow-guardrail {quote(name)}" for name in stopping)
        hints.append(f"Find out why before all see it. To ship it all the same, decide again with {names}.")
    if questions and ethics_stop:
        said.append(f"of the checklist of ethics, {open_words(questions)}")
        hints.append(
            f"`microconv ethics` shows the questions; answer them under [experiments.ethics] of {experiment.name}. A "
            "bad answer may stand with `accepted`, the reason why; with `stop = false` under [ethics] open questions "
            "stop nothing."
        )
    if said:
        raise FindingsError(
            f"Experiment {experiment.name}: {'; '.join(said)}; that stops the decision to ship. Nothing was kept.",
            hint=" ".join(hints),
        )
    return tuple(found)


def _not_holding(metrics: Sequence[ExperimentMetric]) -> Iterator[tuple[str, str]]:
    """Yield the guardrails of the experiment that a variant breaches, or that cannot be told."""
    for each in metrics:
        if each.role == "guardrail" and each.says not in (OK, OPEN):
            name = each.metric.removeprefix(GUARDRAIL)
            change = "" if each.relative is None else f" ({wording.share(each.relative)} against the control)"
            yield name, f"guardrail {name} of {each.variant}: {each.says}{change}"
