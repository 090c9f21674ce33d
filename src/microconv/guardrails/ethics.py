"""The checklist of ethics: questions as data, the answers of the configuration, and which are open.

Nothing here measures anything: somebody says what a segment or an experiment is used for, with name and day.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import ClassVar, Literal

from microconv import wording
from microconv.config.guardrail_settings import EthicsAnswer, EthicsConfig
from microconv.config.problems import nearest
from microconv.config.sections import Config
from microconv.errors import ConfigError
from microconv.result import Result, column, sheet
from microconv.wording import Sheet

AnswerState = Literal["ok", "accepted", "bad", "outdated", "unanswered", "not required"]
_OPEN = ("bad", "outdated", "unanswered")


@dataclass(frozen=True)
class EthicsQuestion:
    """A question of the checklist; `bad` is the answer that must not stand without a reason."""

    id: str
    question: str
    bad: Literal["yes", "no"]
    why: str
    instead: str


@dataclass(frozen=True)
class EthicsState:
    """A question as it stands for one segment or experiment.

    Attributes:
        subject: What it is asked about, such as `segment cart_abandoners`.
        question: The id of the question.
        state: ok, accepted (a bad answer with a reason), bad, outdated, unanswered, or not required (and unanswered).
        answer: The answer, if there is one.
        by: Who gave it.
        on: When.
        note: What was noted, or why a bad answer stands.
    """

    subject: str = column("subject")
    question: str = column("question")
    state: str = column("state")
    answer: str = column("answer")
    by: str = column("by")
    on: date | None = column("on")
    note: str = column("note")

    @property
    def is_open(self) -> bool:
        """Whether it must be answered, or answered otherwise."""
        return self.state in _OPEN


@dataclass(frozen=True)
class EthicsResult(Result):
    """The checklist with each answer."""

    row_type: ClassVar[type] = EthicsState

    questions: tuple[EthicsQuestion, ...]
    answers: tuple[EthicsState, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[EthicsState, ...]:
        """The answers."""
        return self.answers

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the questions, each with why it is asked, then the answers."""
        for each in self.questions:
            yield f"{each.id}: {each.question} A bad answer is {each.bad}. {each.why} {each.instead}"
        if self.answers:
            yield sheet("Answers", self.answers, EthicsState)


@cache
def checklist() -> tuple[EthicsQuestion, ...]:
    """Return the questions, in the order of the file."""
    text = (files("microconv.guardrails") / "ethics.toml").read_text(encoding="utf-8")
    return tuple(EthicsQuestion(**each) for each in tomllib.loads(text)["questions"])


def check_questions(config: Config) -> None:
    """Refuse ids under [ethics], [segments.ethics] and [experiments.ethics] that are those of no question.

    Raises:
        ConfigError: There is one; the message names the nearest.
    """
    check_answered(config, "ethics.require", () if config.ethics.require == "all" else config.ethics.require)
    check_answered(config, "ethics.answers", config.ethics.answers)
    for each in config.segments:
        check_answered(config, f"ethics of the segment {each.name}", each.ethics)
    for experiment in config.experiments:
        check_answered(config, f"ethics of the experiment {experiment.name}", experiment.ethics)


def check_answered(config: Config, place: str, names: Iterable[str]) -> None:
    """Refuse ids at a place of the configuration that are those of no question.

    Raises:
        ConfigError: There is one; the message names the nearest.
    """
    known = [each.id for each in checklist()]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"{config.file}, key {place}: {name!r} is not a question of the checklist{nearest(name, known)}.",
                hint="`microconv ethics` lists the questions.",
            )


def ethics_of(
    ethics: EthicsConfig, subject: str, answers: Mapping[str, EthicsAnswer], today: date
) -> tuple[EthicsState, ...]:
    """Return each question as it stands for one subject.

    Args:
        ethics: What is required, and the answers that hold for all.
        subject: What it is asked about, in words: `segment cart_abandoners`, `experiment free_shipping`.
        answers: Its own answers, which count before those for all.
        today: The day that it is now: answers of long ago are outdated.
    """
    every = {**ethics.answers, **answers}
    return tuple(_state(each, ethics, subject, every.get(each.id), today) for each in checklist())


def unanswered(
    ethics: EthicsConfig, subject: str, answers: Mapping[str, EthicsAnswer], today: date
) -> tuple[EthicsState, ...]:
    """Return the required questions that are open for one subject: unanswered, outdated, or answered badly.

    Whether they stop anything is for `ethics.stop` to say; see `ethics_of` for the arguments.
    """
    return tuple(each for each in ethics_of(ethics, subject, answers, today) if each.is_open)


def ethics_result(config: Config, today: date) -> EthicsResult:
    """Return the checklist with the answers for each segment and each experiment.

    Raises:
        ConfigError: The configuration names a question that there is not.
    """
    check_questions(config)
    subjects = (
        *((f"segment {each.name}", each.ethics) for each in config.segments),
        *((f"experiment {each.name}", each.ethics) for each in config.experiments),
    )
    answers = tuple(state for subject, own in subjects for state in ethics_of(config.ethics, subject, own, today))
    return EthicsResult(checklist(), answers, _sentence(config, answers), _assumptions(config))


def open_words(states: Sequence[EthicsState]) -> str:
    """Say which questions are open: `pressure and minors unanswered, consent outdated`."""
    by_state = {state: [each.question for each in states if each.state == state] for state in reversed(_OPEN)}
    said = {"bad": "answered badly", "outdated": "answered too long ago", "unanswered": "not answered"}
    return ", ".join(f"{wording.listed(names)} {said[state]}" for state, names in by_state.items() if names)


def _state(
    question: EthicsQuestion, ethics: EthicsConfig, subject: str, answer: EthicsAnswer | None, today: date
) -> EthicsState:
    is_required = ethics.require == "all" or question.id in ethics.require
    if answer is None:
        return EthicsState(subject, question.id, "unanswered" if is_required else "not required", "", "", None, "")
    state: AnswerState = "ok"
    if answer.answer == question.bad:
        state = "bad" if answer.accepted is None else "accepted"
    if is_required and state != "bad" and (today - answer.on).days * 86_400 > ethics.review_after.seconds:
        state = "outdated"
    note = " ".join(each for each in (answer.note, answer.accepted) if each)
    return EthicsState(subject, question.id, state, answer.answer, answer.by, answer.on, note)


def _sentence(config: Config, answers: Sequence[EthicsState]) -> str:
    if config.ethics.require != "all" and not config.ethics.require:
        return "No answer is required: name questions in `require` under [ethics]."
    found = [each for each in answers if each.is_open]
    there_are = [
        wording.plural(len(each), noun)
        for each, noun in ((config.segments, "segment"), (config.experiments, "experiment"))
        if each
    ]
    if not there_are:
        return "Nothing to answer for: the configuration has neither segments nor experiments."
    if not found:
        return f"All required questions are answered for {wording.listed(there_are)}."
    subjects = dict.fromkeys(each.subject for each in found)
    said = "; ".join(
        f"{subject}: {open_words([each for each in found if each.subject == subject])}" for subject in subjects
    )
    stopped = " These are not sent." if any(each.startswith("segment ") for each in subjects) else ""
    if any(each.startswith("experiment ") for each in subjects):
        stopped += " No variant of these experiments is shipped." if stopped else " No variant of these is shipped."
    return f"{said}.{stopped if config.ethics.stop else ''}"


def _assumptions(config: Config) -> tuple[str, ...]:
    return (
        "These are answers of people, not measurements: microconv looks at none of what is shown to whom.",
        f"An answer is asked for again after {wording.span(config.ethics.review_after.seconds)}.",
    )
