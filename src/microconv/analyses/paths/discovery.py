"""Discovery: the funnel to propose for a goal, from the milestones that actors really pass before they reach it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.paths.path_questions import ARROW
from microconv.config.sections import Config
from microconv.config.toml import literal
from microconv.config.values import Duration, EntryId, Length
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context, Option, Question
from microconv.result import Result, column, sheet
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Sheet, Verbatim

if TYPE_CHECKING:
    import pyarrow as pa

Steps = tuple[str, ...]
"""Micro-conversion ids in the order in which an actor first came to them."""


@dataclass(frozen=True)
class MilestoneSequence:
    """The milestones that actors passed before the goal, exactly these and in this order (`a > b > c`, empty for none).

    `share` is of the actors who reached the goal (0 to 1).
    """

    sequence: str = column("milestones")
    actors: int = column("actors", wording.count)
    share: float = column("share", wording.share)


@dataclass(frozen=True)
class MilestoneReach:
    """How many of the converting actors pass a milestone before the goal, wherever it comes."""

    milestone: str = column("milestone")
    actors: int = column("actors", wording.count)
    share: float = column("share", wording.share)


@dataclass(frozen=True)
class DiscoveryResult(Result):
    """The funnel proposed for a goal, and what it rests on.

    `actors` reached the goal; `steps` is the proposal with the goal at its end, empty when there is none, and `support`
    the number of actors who pass all of it in this order. Shares are of `actors` (0 to 1, None without any). `toml` is
    the proposal as a `[[funnels]]` block of the configuration.
    """

    row_type: ClassVar[type] = MilestoneSequence

    goal: str
    window_seconds: int
    min_share: float
    actors: int
    steps: Steps
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

    def sheets(self) -> Iterator[Sheet | str]:
        """Show the sequences, then the proposal."""
        shown = tuple(replace(row, sequence=row.sequence or "none") for row in self.sequences)
        yield sheet(f"Milestones before {self.goal}, actors: {wording.count(self.actors)}", shown, MilestoneSequence)
        if self.toml:
            yield Verbatim(f"\n{self.toml}")

    def bars(self) -> tuple[Bar, ...]:
        """One bar per sequence."""
        return tuple(Bar(row.sequence or "none", row.actors, wording.count(row.actors)) for row in self.sequences)


class Discover(Question):
    """Propose a funnel for a goal, ready to paste into the configuration.

    The proposal is the longest sequence of milestones that enough of the converting actors pass in this order
    (--min-share); anything may happen in between. If several are equally long, it is the one that most actors pass,
    then the one that comes first in the order of the taxonomy.
    """

    options: ClassVar[Mapping[str, Option]] = {"goal": Option(metavar="ID"), "window": Option(metavar="TIME")}
    examples: ClassVar[tuple[str, ...]] = ("discover", "discover --goal begin_checkout --window 7d --min-share 0.8")
    in_report: ClassVar[bool] = False

    goal: EntryId | None = Field(
        default=None, description="the micro-conversion to lead to; default: the first macro-conversion"
    )
    window: Length = Field(default=Duration.parse("30d"), description="how long before the goal a milestone counts")
    min_share: float = Field(
        default=0.5, gt=0, le=1, description="minimum share of the converting actors who pass the whole funnel"
    )
    top: int = Field(default=20, ge=1, le=1_000, description="maximum number of sequences to show")

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal."""
        if self.goal is not None:
            yield self.goal, "the goal of discover"

    def _goal(self, taxonomy: Taxonomy) -> str:
        return taxonomy.goal(self.goal)

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the query of the sequences."""
        goal = self._goal(context.taxonomy)
        query = templates.query(
            "analyses/paths/discover",
            params={
                "goal": goal,
                "milestones": _milestones(context.taxonomy, goal),
                "window_us": self.window.microseconds,
            },
        )
        return (query,)

    def result(self, tables: Sequence[pa.Table], context: Context) -> DiscoveryResult:
        """Find the proposal in the sequences."""
        (table,) = tables
        found = table.to_pylist()
        sequences = {tuple(filter(None, row["sequence"].split(ARROW))): row["actors"] for row in found}
        goal = self._goal(context.taxonomy)
        milestones = _milestones(context.taxonomy, goal)
        actors = sum(sequences.values())
        passed, support = _longest(sequences, minimum=self.min_share * actors, order=milestones)
        steps = (*passed, goal) if passed else ()
        reach = _reach(sequences, milestones)
        return DiscoveryResult(
            goal=goal,
            window_seconds=self.window.seconds,
            min_share=self.min_share,
            actors=actors,
            steps=steps,
            support=support if steps else 0,
            share=wording.ratio(support if steps else 0, actors),
            milestones=reach,
            sequences=tuple(MilestoneSequence(**row, share=row["actors"] / actors) for row in found[: self.top]),
            toml=_toml(_free_name(goal, context.config), steps, self.window) if steps else None,
            sentence=self._sentence(goal, actors, steps, support, reach),
            assumptions=self._assumptions(goal),
        )

    def _sentence(self, goal: str, actors: int, steps: Steps, support: int, reach: Sequence[MilestoneReach]) -> str:
        if not actors:
            return f"Nobody reached {goal} in the staged days, so no funnel can be proposed."
        converted = f"{wording.plural(actors, 'actor')} who reached {goal}"
        if steps:
            share = wording.share(support / actors)
            return f"{wording.count(support)} of {converted} ({share}) passed {ARROW.join(steps)}."
        if not reach:
            return f"None of the {converted} passed a milestone before it."
        nearest = max(reach, key=lambda each: each.actors)
        return (
            f"No milestone was passed by {wording.share(self.min_share)} of the {converted}: "
            f"the nearest is {nearest.milestone} with {wording.share(nearest.share)}."
        )

    def _assumptions(self, goal: str) -> tuple[str, ...]:
        window, share = wording.span(self.window.seconds), wording.share(self.min_share)
        return (
            f"Each actor counts once, with the milestones passed at most {window} before their first {goal}.",
            "A milestone counts once, where it first occurs in that time; secondary micro-conversions are left out.",
            f"The proposal is the longest sequence that at least {share} of these actors pass in this order.",
            "Only actors who reached the goal are counted here; the funnel shows how many others took these steps.",
            "What happened before the first staged day is not known.",
        )


def _milestones(taxonomy: Taxonomy, goal: str) -> list[str]:
    """What may be a step: milestones and other macro-conversions, in the order of the journey."""
    steps = {entry.counts_as for entry in taxonomy.entries if taxonomy.entry(entry.counts_as).kind != "secondary"}
    return sorted(steps - {goal}, key=taxonomy.rank)


def _longest(sequences: Mapping[Steps, int], *, minimum: float, order: Sequence[str]) -> tuple[Steps, int]:
    """Return the longest sequence that at least `minimum` actors pass, in order and with gaps; and their number.

    Depth first: a prefix goes on with the rests of the sequences behind it (PrefixSpan, Pei et al. 2001), and is given
    up where what may still follow cannot make it the best.
    """
    best: tuple[int, int, list[int], Steps] = (0, 0, [], ())

    def go_on(prefix: Steps, support: int, rests: Mapping[Steps, int]) -> None:
        nonlocal best
        ranks = [-order.index(step) for step in prefix]
        best = max(best, (len(prefix), support, ranks, prefix))
        behind = {step: _behind(rests, step) for step in order}
        counts = {step: sum(found.values()) for step, found in behind.items()}
        frequent = [step for step in order if counts[step] and counts[step] >= minimum]
        for step in sorted(frequent, key=counts.__getitem__, reverse=True):
            if (len(prefix) + len(frequent), counts[step]) >= best[:2]:
                go_on((*prefix, step), counts[step], behind[step])

    go_on((), 0, sequences)
    return best[3], best[1]


def _behind(sequences: Mapping[Steps, int], step: str) -> dict[Steps, int]:
    """What comes after a step in the sequences that hold it, with their actors."""
    rests: dict[Steps, int] = {}
    for sequence, actors in sequences.items():
        if step in sequence:
            rest = sequence[sequence.index(step) + 1 :]
            rests[rest] = rests.get(rest, 0) + actors
    return rests


def _reach(sequences: Mapping[Steps, int], milestones: Sequence[str]) -> tuple[MilestoneReach, ...]:
    actors = sum(sequences.values())
    passed = {step: sum(count for sequence, count in sequences.items() if step in sequence) for step in milestones}
    return tuple(MilestoneReach(step, count, count / actors) for step, count in passed.items() if count)


def _free_name(goal: str, config: Config) -> str:
    """Return a name that no funnel of the configuration has: pasted beside them, it is a funnel of its own."""
    taken = {funnel.name for funnel in config.funnels}
    names = (f"{goal}_journey{suffix}" for suffix in ("", *(f"_{number}" for number in range(2, len(taken) + 3))))
    return next(name for name in names if name not in taken)


def _toml(name: str, steps: Steps, window: Duration) -> str:
    keys = {"name": name, "steps": steps, "window": str(window)}
    return "[[funnels]]\n" + "".join(f"{key} = {literal(value)}\n" for key, value in keys.items())
