"""Discovery: the funnel to propose for a goal, from the milestones that actors really pass before they reach it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from microconv.analyses.paths.results import ARROW
from microconv.config.values import Duration
from microconv.engines.base import Engine
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result
from microconv.taxonomy import Taxonomy

DEFAULT_WINDOW = Duration.parse("30d")
DEFAULT_MIN_SHARE = 0.5

Way = tuple[str, ...]
"""Micro-conversion ids in the order in which an actor came by them."""


@dataclass(frozen=True)
class MilestoneSequence:
    """The milestones that actors passed before the goal, just these and in this order (`a > b > c`, empty for none)."""

    sequence: str
    actors: int
    share: float


@dataclass(frozen=True)
class MilestoneReach:
    """How many of the converting actors pass a milestone before the goal, wherever it comes."""

    milestone: str
    actors: int
    share: float


@dataclass(frozen=True)
class DiscoveryResult(Result):
    """The funnel proposed for a goal, and what it rests on.

    `actors` reached the goal; `steps` is the proposal with the goal at its end, empty when there is none, and `support`
    the number of actors who pass all of it in this order. Shares are of `actors` (0 to 1, None without any). `toml` is
    the proposal as a `[[funnels]]` block of the configuration.
    """

    analysis: ClassVar[str] = "discovery"
    row_type: ClassVar[type] = MilestoneSequence

    goal: str
    window_seconds: int
    min_share: float
    actors: int
    steps: Way
    support: int
    share: float | None
    milestones: tuple[MilestoneReach, ...]
    sequences: tuple[MilestoneSequence, ...]
    toml: str | None
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[MilestoneSequence, ...]:
        """The whole sequences, most frequent first."""
        return self.sequences


def discover(
    engine: Engine,
    taxonomy: Taxonomy,
    goal: str | None = None,
    *,
    window: Duration = DEFAULT_WINDOW,
    min_share: float = DEFAULT_MIN_SHARE,
    top: int = 20,
) -> DiscoveryResult:
    """Propose a funnel for a goal (`sql/analyses/paths/discover.sql`).

    The proposal is the longest sequence of milestones that at least `min_share` of the converting actors pass in its
    order, whatever else they pass in between; of several as long, the one most actors pass, then the one that comes
    first in the taxonomy's order.

    Args:
        engine: Where the staged tables are.
        taxonomy: The taxonomy the tables were staged with.
        goal: A micro-conversion, by default the taxonomy's first macro-conversion.
        window: How long before an actor's first conversion a milestone counts, inclusive.
        min_share: The least share of the converting actors, above 0 and at most 1.
        top: The most whole sequences to return.

    Raises:
        TaxonomyError: The goal is no micro-conversion of the taxonomy.
        UsageError: `min_share` is no such share.
        EngineError: The engine failed.
    """
    if not 0 < min_share <= 1:
        raise UsageError(f"min_share is {min_share:g}.", hint="Give a share above 0 and at most 1, such as 0.5.")
    found = engine.query(discovery_query(taxonomy, goal, window=window)).to_pylist()
    ways = {tuple(filter(None, row["sequence"].split(ARROW))): row["actors"] for row in found}
    goal, milestones = _goal(taxonomy, goal), _milestones(taxonomy, goal)
    actors = sum(ways.values())
    passed, support = _longest(ways, least=min_share * actors, order=milestones)
    steps = (*passed, goal) if passed else ()
    reach = _reach(ways, milestones)
    return DiscoveryResult(
        goal=goal,
        window_seconds=window.seconds,
        min_share=min_share,
        actors=actors,
        steps=steps,
        support=support if steps else 0,
        share=(support if steps else 0) / actors if actors else None,
        milestones=reach,
        sequences=tuple(MilestoneSequence(**row, share=row["actors"] / actors) for row in found[:top]),
        toml=_toml(steps, window) if steps else None,
        sentence=_sentence(goal, actors, steps, support, reach=reach, min_share=min_share),
        assumptions=_assumptions(goal, window, min_share),
    )


def discovery_query(taxonomy: Taxonomy, goal: str | None = None, *, window: Duration = DEFAULT_WINDOW) -> Query:
    """Return the query of discovery; TaxonomyError when the goal is no micro-conversion of the taxonomy."""
    counted = _goal(taxonomy, goal)
    return templates.query(
        "analyses/paths/discover",
        params={"goal": counted, "milestones": _milestones(taxonomy, counted), "window_us": window.microseconds},
    )


def _goal(taxonomy: Taxonomy, goal: str | None) -> str:
    return taxonomy.counted_id(goal or taxonomy.macros[0], named_by="the goal to discover a funnel for")


def _milestones(taxonomy: Taxonomy, goal: str) -> list[str]:
    """What may be a step: milestones and other macro-conversions, in the order of the journey."""
    steps = {entry.counts_as for entry in taxonomy.entries if taxonomy.entry(entry.counts_as).kind != "secondary"}
    return sorted(steps - {goal}, key=taxonomy.rank)


def _longest(ways: dict[Way, int], *, least: float, order: Sequence[str]) -> tuple[Way, int]:
    """Return the longest sequence that ways of at least `least` actors hold, in order and with gaps; and its actors.

    Depth first: a prefix goes on with the rests of the ways behind it (PrefixSpan, Pei et al. 2001), and is given up
    where what may still follow cannot make it the best.
    """
    best: tuple[int, int, list[int], Way] = (0, 0, [], ())

    def go_on(prefix: Way, support: int, rests: dict[Way, int]) -> None:
        nonlocal best
        ranks = [-order.index(step) for step in prefix]
        best = max(best, (len(prefix), support, ranks, prefix))
        behind = {step: _behind(rests, step) for step in order}
        counts = {step: sum(ways.values()) for step, ways in behind.items()}
        frequent = [step for step in order if counts[step] and counts[step] >= least]
        for step in sorted(frequent, key=counts.__getitem__, reverse=True):
            if (len(prefix) + len(frequent), counts[step]) >= best[:2]:
                go_on((*prefix, step), counts[step], behind[step])

    go_on((), 0, ways)
    return best[3], best[1]


def _behind(ways: dict[Way, int], step: str) -> dict[Way, int]:
    """What comes after a step in the ways that hold it, with their actors."""
    rests: dict[Way, int] = {}
    for way, actors in ways.items():
        if step in way:
            rest = way[way.index(step) + 1 :]
            rests[rest] = rests.get(rest, 0) + actors
    return rests


def _reach(ways: dict[Way, int], milestones: Sequence[str]) -> tuple[MilestoneReach, ...]:
    actors = sum(ways.values())
    passed = {step: sum(count for way, count in ways.items() if step in way) for step in milestones}
    return tuple(MilestoneReach(step, count, count / actors) for step, count in passed.items() if count)


def _toml(steps: Way, window: Duration) -> str:
    quoted = ", ".join(f'"{step}"' for step in steps)
    return f'[[funnels]]\nname = "{steps[-1]}_journey"\nsteps = [{quoted}]\nwindow = "{window}"\n'


def _assumptions(goal: str, window: Duration, min_share: float) -> tuple[str, ...]:
    return (
        f"Each actor counts once, with the milestones of at most {window} before their first {goal}, inclusive.",
        "A milestone counts where it first comes in that time; secondary micro-conversions are left out.",
        f"The proposal is the longest sequence that at least {min_share:.0%} of these actors pass in its order.",
        "Only actors who reached the goal are looked at: the funnel itself says how many others took the same steps.",
        "What happened before the first staged day is not seen.",
    )


def _sentence(
    goal: str, actors: int, steps: Way, support: int, *, reach: Sequence[MilestoneReach], min_share: float
) -> str:
    if not actors:
        return f"Nobody reached {goal} in what is staged, so no funnel can be proposed."
    converted = f"{actors:,} actors who reached {goal}"
    if steps:
        return f"{support:,} of {converted} ({support / actors:.1%}) passed {ARROW.join(steps)}."
    if not reach:
        return f"None of the {converted} passed a milestone before it."
    nearest = max(reach, key=lambda each: each.actors)
    return (
        f"No milestone was passed by {min_share:.0%} of the {converted}: "
        f"the nearest is {nearest.milestone} with {nearest.share:.1%}."
    )
