"""Results for the sections that have a picture or a view of their own, with one name that a test chooses."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import date, timedelta
from typing import Any, TypeVar

from microconv.analyses.insight.entry_lift import CHANCE, FEWER, MORE, EntryLift
from microconv.analyses.insight.leading import LeadingEntry, LeadingResult
from microconv.analyses.insight.lift import LiftResult
from microconv.analyses.insight.momentum import MomentumResult, MomentumState
from microconv.analyses.insight.thresholds import ThresholdsResult, TimesRate
from microconv.analyses.key_figures import ChangesResult, DailyFigure, KeyFigureChange
from microconv.analyses.paths.path_questions import PathLink, PathLinksResult, PathSequence
from microconv.analyses.propensity.model_card import HoldOutFigure, PropensityDecile, PropensityResult
from microconv.catalogue import QUESTIONS
from microconv.config.load import load_config
from microconv.guardrails.ethics import EthicsResult, EthicsState, checklist
from microconv.guardrails.guardrail_states import GuardrailState
from microconv.guardrails.guardrails_question import GuardrailsResult
from microconv.priorities.prioritize import PrioritiesResult, Priority
from microconv.project import Project
from microconv.report import Answered, ReportData
from microconv.report.dictionary import dictionary
from microconv.segments.size import SegmentResult
from microconv.staging.volumes import Volume
from projects import write_config

Made = TypeVar("Made")
FIRST, LAST = date(2026, 11, 5), date(2026, 11, 18)
RATES = (0.010, 0.012, 0.011, 0.013, 0.012, 0.015, 0.016, 0.011, 0.012, 0.012, 0.014, 0.013, 0.016, 0.017)


def filled(made: type[Made], /, **given: Any) -> Made:
    """Make one of a dataclass; what is not given is None."""
    return made(**{each.name: given.get(each.name) for each in fields(made)})


def lift(name: str) -> LiftResult:
    entries = [
        ("add_to_cart", MORE, 6.66, 5.40, 8.22),
        (name, MORE, 2.5, 2.1, 3.0),
        ("search", CHANCE, 1.2, 0.8, 1.7),
        ("share", FEWER, 0.5, 0.4, 0.62),
    ]
    rows = tuple(
        filled(
            EntryLift,
            micro_conversion=entry,
            context="",
            goal="purchase",
            tier="adjusted",
            verdict=verdict,
            ratio=ratio,
            low=low,
            high=high,
            exposed=1_000,
            exposed_targets=100,
            other_targets=50,
            lag_targets=0,
            weeks="4 of 4",
            says=f"{entry} says so.",
        )
        for entry, verdict, ratio, low, high in entries
    )
    return filled(
        LiftResult,
        goal="purchase",
        tier="adjusted",
        lifts=rows,
        placebo=1.1,
        placebo_low=0.8,
        placebo_high=1.5,
        among_placebos=1,
        balances=(),
        sentence="2 of 4 go with more purchase among like actors.",
        assumptions=("Placebos are steps picked by chance.",),
    )


def paths(name: str) -> PathLinksResult:
    return PathLinksResult(
        to="purchase",
        from_=None,
        goal="purchase",
        count="sessions",
        nodes="micro_conversion",
        without=(),
        window_seconds=2_592_000,
        length=5,
        keep_repeats=False,
        top=20,
        journeys=100,
        conversions=100,
        sequences=(PathSequence(f"view_item > {name} > purchase", 60, 0.6, 60, 95.0),),
        transitions=(),
        links=(
            PathLink(-2, "view_item", name, 60),
            PathLink(-2, "(start)", "add_to_cart", 40),
            PathLink(-1, name, "purchase", 60),
            PathLink(-1, "add_to_cart", "purchase", 40),
        ),
        sentence=f"100 sessions reached purchase, 60 by {name}.",
        assumptions=("Each session has one journey.",),
    )


def thresholds(name: str) -> ThresholdsResult:
    curve = tuple(
        filled(
            TimesRate,
            counted=name,
            landmark="1 day",
            times=times,
            actors=1_000,
            reached=reached,
            rate=reached / 1_000,
            low=reached / 1_250,
            high=reached / 800,
        )
        for times, reached in (("0", 10), ("1", 20), ("2", 60), ("3 or more", 70))
    )
    return ThresholdsResult(
        goal="purchase",
        thresholds=(),
        curves=curve,
        tested=0,
        sentence="From 2 on, purchase follows three times as often.",
        assumptions=("The number is chosen on one half.",),
    )


def momentum() -> MomentumResult:
    states = tuple(
        filled(MomentumState, state=state, actors=actors, share=actors / 1_000, says="")
        for state, actors in (("accelerating", 100), ("steady", 300), ("hesitating", 50), ("stalled", 550))
    )
    return MomentumResult("purchase", LAST, 3, states, (), "Of 1,000 actors, 10.0% accelerate.", ("States are told.",))


def changes(name: str) -> ChangesResult:
    days = [FIRST + timedelta(days=place) for place in range(-14, 14)]
    return ChangesResult(
        goal="purchase",
        currency="EUR",
        first_date=FIRST,
        last_date=LAST,
        before_first_date=days[0],
        days=14,
        left_out=(),
        changes=(
            KeyFigureChange("purchase", "actors of the day", "share", 0.013, 0.011, 0.18, 0.05, 0.32, 0.01, "up"),
            KeyFigureChange(name, "actors of the day", "share", 0.2, 0.2, 0.0, -0.1, 0.1, 1.0, "no more than chance"),
        ),
        series=tuple(
            DailyFigure(day, figure, 1_000 * RATES[place % 14], 1_000.0)
            for place, day in enumerate(days)
            for figure in ("purchase", name)
        ),
        sentence="5 to 18 November 2026 against the 14 days before: purchase +18.0%.",
        assumptions=("Each day is held against the one 14 days before.",),
    )


def leading(name: str) -> LeadingResult:
    row = filled(LeadingEntry, micro_conversion=name, per_day=12.0, lag_days=3, is_leading=True, says="")
    return LeadingResult("purchase", FIRST, LAST, 70, 10, 14, 0.1, (row,), f"{name} moves first.", ("Pre-whitened.",))


def propensity() -> PropensityResult:
    deciles = tuple(
        filled(
            PropensityDecile,
            decile=number,
            actors=100,
            predicted=0.05 * number,
            reached=5 * number,
            rate=0.05 * number,
            low=0.04 * number,
            high=0.06 * number,
            up="",
            down="",
            says="",
        )
        for number in (3, 2, 1)
    )
    return filled(
        PropensityResult,
        goal="purchase",
        model_id="m1",
        status="accepted",
        deciles=deciles,
        figures=(filled(HoldOutFigure, figure="AUC", model="0.70", trees="", reads="good"),),
        weights=(),
        scored_actors=0,
        sentence="The model tells people apart.",
        assumptions=("Trained on earlier weeks.",),
    )


def guardrails(name: str) -> GuardrailsResult:
    row = filled(
        GuardrailState,
        guardrail=name,
        state="breached",
        measure="share of sessions",
        kind="share",
        value=0.5,
        low=0.45,
        high=0.55,
        direction="at most",
        bound=0.3,
        counted=50.0,
        units=100,
        days=14,
        first_date=FIRST,
        last_date=LAST,
        says="",
    )
    return GuardrailsResult((row,), f"{name} is breached.", ("By days.",))


def priorities(name: str) -> PrioritiesResult:
    """Return three ideas with ranks, of which the last two are tied, and a fault of the tracking without one."""
    ranks = [("improve:cart", 1, 1, 1), (f"test:{name}", 2, 2, 3), ("improve:pay", 3, 2, 3)]
    ranked = [
        filled(
            Priority,
            place=place,
            rank=rank,
            rank_low=low,
            rank_high=high,
            idea=idea,
            kind=idea.partition(":")[0],
            what=f"Do {idea}.",
            goals=20.0 - place,
            low=10.0,
            high=25.0,
            tier="observed",
            confidence=0.2,
            effort=5.0,
            risk=0.0,
            score=4.0 - rank,
            after="",
            says="",
            see_also="microconv lift",
        )
        for place, (idea, rank, low, high) in enumerate(ranks, start=1)
    ]
    fix = filled(
        Priority, place=4, idea="fix:ab", kind="fix", what="Mend it.", tier="", effort=1.0, risk=0.0, after="", says=""
    )
    return filled(
        PrioritiesResult,
        goal="purchase",
        currency="EUR",
        scored_by="goals",
        priorities=(*ranked, replace(fix, see_also="microconv audit")),
        amounts=(),
        sentence="First: improve:cart.",
        assumptions=("Ranks are of scores.",),
    )


def ethics(name: str, *open_subjects: str) -> EthicsResult:
    """Return the checklist for two segments: one is answered, questions are open for those named."""
    subjects = ("segment answered", *open_subjects)
    answers = tuple(
        EthicsState(subject, each.id, *_ethics_state(subject in open_subjects, each.id), name)
        for subject in subjects
        for each in checklist()
    )
    return EthicsResult(checklist(), answers, "segment: some are open.", ("Answers of people.",))


def _ethics_state(is_open: bool, question: str) -> tuple[str, str, str, date | None]:
    return ("unanswered", "", "", None) if is_open and question == "consent" else ("ok", "no", "Anna", LAST)


def segment(name: str) -> SegmentResult:
    return SegmentResult(name, None, 425, 106, 10_000, f"{name}: 425 members.", ())


def with_all_parts(data: ReportData, folder: Any, name: str) -> ReportData:
    """Return a report's data with every section that has a view of its own, and `name` in each of them."""
    config = load_config(write_config(folder), {})
    taxonomy = Project(config).taxonomy
    volumes = {"view_item": Volume("view_item", 800, 700, FIRST, LAST)}
    told = {
        "changes": changes(name),
        "leading": leading(name),
        "path_links": paths(name),
        "lift": lift(name),
        "thresholds": thresholds(name),
        "momentum": momentum(),
        "propensity": propensity(),
        "guardrails": guardrails(name),
        "prioritize": priorities(name),
        "segment": segment(name),
    }
    more = tuple(Answered(question, QUESTIONS[question].answers, None, each) for question, each in told.items())
    return replace(
        data,
        answers=(*data.answers, *more),
        dictionary=dictionary(config, taxonomy, volumes),
        ethics=ethics(name, "segment open"),
    )


CHARTS = (
    *("priorities-1", "trend-1", "leading-1", "paths-chart", "lift-1", "thresholds-1", "momentum-1", "propensity-1"),
)
"""The charts of these sections."""
