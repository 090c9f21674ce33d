"""Ideas: what could be done, what it would bring, and what that rests on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from microconv import wording
from microconv.analyses.insight.entry_lift import MORE, EntryLift
from microconv.analyses.insight.evidence import DISCOUNTS, Tier
from microconv.analyses.insight.onward_rates import RESAMPLES, Followed, resampling, share_beyond
from microconv.analyses.insight.tested_entries import ExperimentRecord
from microconv.config.priority_settings import IdeaConfig, IdeaKind
from microconv.stats.ratios import Ratio

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Drawn = npt.NDArray[np.float64]

FEWEST_REACHED = 10
"""Actors who reached the goal after a step, below which it is not said what the step brings."""
_SUPPORT = 20
_SEED = 20_240_302


@dataclass(frozen=True)
class Gain:
    """What an idea brings before any discount: more goals and their value, with what was drawn of both."""

    goals: float
    value: float
    drawn_goals: Drawn
    drawn_value: Drawn


@dataclass(frozen=True)
class Idea:
    """Something that could be done.

    Attributes:
        id: Its kind and what it is about: `improve:add_to_cart`.
        kind: What is to be done.
        what: In a sentence.
        entries: The entries of the taxonomy that it rests on.
        see_also: The command that looks closer at what it rests on.
        gain: What it brings; None where nothing can be told, and `says` why.
        tier: The evidence behind it; empty where it needs none.
        goals: Actors who reached the goal behind the figures.
        steady: In what share of weeks the evidence points the same way; 1 where that is not asked.
        moves_people: Whether it tries to make people do something, so that trust is at risk.
        says: What else there is to say.
    """

    id: str
    kind: IdeaKind
    what: str
    entries: tuple[str, ...]
    see_also: str
    gain: Gain | None = None
    tier: Tier | None = None
    goals: int = 0
    steady: float = 1.0
    moves_people: bool = False
    says: str = ""

    @property
    def confidence(self) -> float:
        """How far what it brings is believed, 0 to 1: by tier, times support, times how steady it is.

        Support is n / (n + 20) for n goals behind it. The tiers' discounts are a convention (see `DISCOUNTS`).
        """
        if self.tier is None:
            return 0.0
        return DISCOUNTS[self.tier] * self.goals / (self.goals + _SUPPORT) * self.steady


def improvements(
    milestones: Sequence[str], followed: Mapping[str, Followed], goal: str, response: float
) -> Iterator[Idea]:
    """Yield, for each milestone, what another chance as good as the first brings to some of those lost after it.

    Lost is who came to no later step. Of these, `response` are moved, and then come to the goal at the rate of those
    who did the milestone.
    """
    weights = resampling()
    for place, step in enumerate(milestones):
        then = milestones[place + 1] if place + 1 < len(milestones) else goal
        if step not in followed:
            continue
        each = followed[step]
        actors, onward, reached = (int(part.sum()) for part in (each.actors, each.as_far_as(then), each.at(goal)))
        lost = actors - onward
        if not actors or lost <= 0:
            continue
        id_ = f"improve:{step}"
        of_all = f"{wording.count(lost)} of {wording.count(actors)}"
        what = f"Improve what comes after {step}: {of_all} came to no later step."
        see_also = f'what-if "{step} +5%"'
        if reached < FEWEST_REACHED:
            says = f"not enough data: n = {wording.count(reached)} reached {goal} after it"
            yield Idea(id_, "improve", what, (step, then), see_also, says=says)
            continue
        drawn_actors = (weights @ each.actors).clip(min=1)
        drawn_lost = response * (drawn_actors - weights @ each.as_far_as(then))
        yield Idea(
            id_,
            "improve",
            what,
            (step, then),
            see_also,
            Gain(
                response * lost * reached / actors,
                response * lost * float(each.value.sum()) / actors,
                drawn_lost * (weights @ each.at(goal)) / drawn_actors,
                drawn_lost * (weights @ each.value) / drawn_actors,
            ),
            "observed",
            reached,
        )


def promotions(
    lifts: Sequence[EntryLift],
    start: str | None,
    followed: Mapping[str, Followed],
    goal: str,
    response: float,
    *,
    tested: Mapping[str, ExperimentRecord],
) -> Iterator[Idea]:
    """Yield, for each entry that goes with more: what inviting those to it who have not done it yet brings.

    Of those who did the first milestone and never the entry, `response` do it, and of them only those count who would
    not have reached the goal anyway: by what an experiment showed of those whom it made do it, else by the entry's
    ratio. An entry that no experiment has tested is tested first.
    """
    weights = resampling()
    for row in lifts:
        if row.verdict != MORE or row.micro_conversion not in followed or start in (None, row.micro_conversion):
            continue
        entry, each, before = row.micro_conversion, followed[row.micro_conversion], followed[start or ""]
        reached = int(each.at(goal).sum())
        without = before.actors - before.who_did(entry)
        if reached < FEWEST_REACHED or without.sum() <= 0:
            continue
        kind: IdeaKind = "promote" if row.tier == "experimental" else "test"
        verb = "Promote" if kind == "promote" else "Test whether it brings more to promote"
        what = f"{verb} {entry}: {wording.count(int(without.sum()))} did {start} and never {entry}."
        brought = _goals_of_a_doer(row, each, goal, tested.get(entry))
        if brought is None:
            yield Idea(f"{kind}:{entry}", kind, what, (entry, start or ""), "lift", says=_not_of_a_doer(entry))
            continue
        per_doer, drawn = brought
        yield Idea(
            f"{kind}:{entry}",
            kind,
            what,
            (entry, start or ""),
            "lift",
            _gain(response * float(without.sum()) * per_doer, response * (weights @ without) * drawn, each, reached),
            _tier(row),
            row.exposed_targets,
            _steady(row.weeks),
            moves_people=True,
        )


def own_idea(
    asked: IdeaConfig,
    entry: str,
    row: EntryLift | None,
    followed: Followed,
    goal: str,
    *,
    tested: ExperimentRecord | None,
) -> Idea:
    """Return an idea of one's own: so much more of an entry, by people who are here already."""
    reached, more = int(followed.at(goal).sum()), asked.more or 0.0
    what = asked.what or f"{more * 100:g}% more {entry}."
    idea = Idea(asked.id, "own", what, (entry,), f'what-if "{entry} +{more * 100:g}%"', moves_people=True)
    if reached < FEWEST_REACHED:
        return replace(idea, says=f"not enough data: n = {wording.count(reached)} reached {goal} after it")
    brought = _goals_of_a_doer(row, followed, goal, tested)
    if brought is None:
        return replace(idea, says=_not_of_a_doer(entry))
    per_doer, drawn = brought
    added, drawn_added = more * float(followed.actors.sum()), more * (resampling() @ followed.actors)
    return replace(
        idea,
        gain=_gain(added * per_doer, drawn_added * drawn, followed, reached),
        tier=_tier(row),
        goals=reached,
        steady=1.0 if row is None else _steady(row.weeks),
    )


def _goals_of_a_doer(
    row: EntryLift | None, followed: Followed, goal: str, tested: ExperimentRecord | None
) -> tuple[float, Drawn] | None:
    """Return how many goals another actor brings who does an entry, beyond what would have come anyway; and draws.

    None where an experiment tested it, and does not tell.
    """
    if tested is not None:
        return tested.goals_of_a_doer(_SEED, RESAMPLES)
    weights = resampling()
    rate = float(followed.at(goal).sum()) / float(followed.actors.sum())
    rates: Drawn = (weights @ followed.at(goal)) / (weights @ followed.actors).clip(min=1)
    kept, drawn_kept = _beyond(row, rate, rates)
    return rate * kept, rates * drawn_kept


def _gain(goals: float, drawn: Drawn, followed: Followed, reached: int) -> Gain:
    """Return goals with their value: each is worth what those behind the figures are worth on average."""
    worth = float(followed.value.sum()) / reached
    return Gain(goals, goals * worth, drawn, drawn * worth)


def _beyond(row: EntryLift | None, rate: float, rates: Drawn) -> tuple[float, Drawn]:
    """Return which share of those who reach the goal after an entry would not have reached it without, and its draws.

    Where there is no ratio, as for a step that all take, all of them.
    """
    import numpy as np

    ratio = None if row is None else _ratio(row)
    if ratio is None:
        return 1.0, np.ones(RESAMPLES)
    noise = np.random.default_rng(_SEED).normal(0, ratio.log_error, RESAMPLES)
    told = float(share_beyond(np.array([rate]), np.array([ratio.ratio]))[0])
    return told, share_beyond(rates, ratio.ratio * np.exp(noise))


def _not_of_a_doer(entry: str) -> str:
    return f"its experiment does not show that more did {entry}, so it does not tell what more of it brings"


def _tier(row: EntryLift | None) -> Tier:
    """Return the evidence behind what an entry goes with."""
    known: dict[str, Tier] = {"adjusted": "adjusted", "experimental": "experimental"}
    return "observed" if row is None or row.ratio is None else known.get(row.tier, "observed")


def _ratio(row: EntryLift) -> Ratio | None:
    """Return what an entry goes with, beyond what any small step does, where that is known."""
    if row.ratio is None or row.low is None or row.high is None:
        return None
    if row.beyond is None or row.beyond_low is None or row.beyond_high is None:
        return Ratio(row.ratio, row.low, row.high, row.p_value or 1.0)
    return Ratio(row.beyond, row.beyond_low, row.beyond_high, row.p_value or 1.0)


def _steady(weeks: str) -> float:
    """Return the share of weeks alike, drawn to a half: 3 of 4 is (3 + 1) / (4 + 2); 1 where no week can be told."""
    parts = weeks.split(" of ")
    if len(parts) != 2 or not all(part.isdigit() for part in parts):  # noqa: PLR2004 - "3 of 4"
        return 1.0
    alike, told = map(int, parts)
    return (alike + 1) / (told + 2) if told else 1.0


def scaled(idea: Idea, factor: float) -> Gain | None:
    """Return what an idea brings in another length of time."""
    gain = idea.gain
    if gain is None or not math.isfinite(factor):
        return None
    return Gain(gain.goals * factor, gain.value * factor, gain.drawn_goals * factor, gain.drawn_value * factor)
