"""What questions at landmarks share: who is looked at; half of the actors are for finding, half for testing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from pydantic import Field

from microconv import wording
from microconv.analyses.insight.evidence import LEVEL
from microconv.config.sections import Period
from microconv.config.values import Duration, EntryId, Length
from microconv.queries import templates
from microconv.queries.templates import Value
from microconv.question import Context, Option, Question, days
from microconv.taxonomy import Taxonomy

FINDING, TESTING = 1, 2
"""The half of the actors on which something is looked for, and the one on which it is tested."""

CANDIDATE_LEVEL = 0.05
"""How likely chance alone may be in the first half for something to be tested in the other."""

FEWEST_TARGETS = 20
"""Actors in each half who reached the goal, below which nothing is told."""
FEWEST_A_SIDE = 10
"""Actors in each half on one side, below which nothing is told."""
FEWEST_REACHED_A_SIDE = 5
"""Actors of one side who reached the goal, below which the rate of that side is not told."""


class LandmarkQuestion(Period, Question):
    """A question about what actors had done by a moment after they began, and whether they reached a goal after it."""

    options: ClassVar[Mapping[str, Option]] = {"goal": Option(metavar="ID")}

    goal: EntryId | None = Field(
        default=None, description="the micro-conversion to reach; default: the first macro-conversion"
    )
    window: Length = Field(
        default=Duration.parse("7d"), description="how long after the landmark the goal counts, such as 7d"
    )

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the goal."""
        if self.goal is not None:
            yield self.goal, "the goal"

    def goal_in(self, taxonomy: Taxonomy) -> str:
        """Return the id under which the goal is staged."""
        return taxonomy.goal(self.goal)

    def small_steps(self, taxonomy: Taxonomy) -> list[str]:
        """Return the ids of what may come before the goal: all that counts but macros, hesitation and the goal."""
        counted = sorted({entry.counts_as for entry in taxonomy.staged}, key=taxonomy.rank)
        kept = (each for each in counted if each != self.goal_in(taxonomy))
        return [
            each for each in kept if taxonomy.entry(each).kind != "macro" and not taxonomy.entry(each).is_hesitation
        ]

    def at_landmarks(self, context: Context, landmarks: Sequence[Duration]) -> dict[str, Value]:
        """Return the parameters of `sql/analyses/insight/_landmarks.sql`."""
        return {
            "goals": [self.goal_in(context.taxonomy)],
            "landmarks_ms": [each.seconds * 1_000 for each in landmarks],
            "window_ms": self.window.seconds * 1_000,
            "end_at": context.latest_event_at or templates.EXAMPLE_MOMENT,
            **days(self),
        }

    def of_actors(self, goal: str) -> Iterator[str]:
        """Say who counts, and what is tested on whom."""
        yield (
            "Counted is what actors had done by a landmark, a time after their first session. Only those count who had "
            f"not reached {goal} by then, and {goal} counts in the {wording.window(self.window.text)} after it. Who "
            "cannot be followed for that long in the data, and whose first session in the data was not their first, is "
            "left out."
        )
        yield (
            "One half of the actors (by a hash) is for finding, the other for testing; what is said of a finding is "
            f"what the testing half says. All tests are corrected together (Holm), at {LEVEL:.0%}: where nothing "
            "is there, fewer than 1 property in 100 is told that something is."
        )
        if self.since is not None or self.until is not None:
            yield "The days asked for are those on which actors began; what came later counts, too."


def of_other_systems(goals: Sequence[str], taxonomy: Taxonomy) -> Iterator[str]:
    """Say who can reach those goals whose occurrences are rows of other systems."""
    external = {taxonomy.counted(each.id) for each in taxonomy.external_entries}
    told = [goal for goal in goals if goal in external]
    if told:
        yield (
            f"{wording.listed(told)} {'is' if len(told) == 1 else 'are'} told by other systems, and only whom their "
            "rows name can reach that. Where they name users, these are people who signed in: whatever only they do, "
            "such as signing in, is then followed by it more often by construction."
        )


def too_few(reached: int, goal: str) -> str:
    """Say that too few reached the goal."""
    return f"not enough data: n = {wording.count(reached)} reached {goal}"
