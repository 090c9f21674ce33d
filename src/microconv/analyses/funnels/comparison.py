"""Two funnels side by side: by how much their shares differ, and whether chance alone would do that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from microconv.analyses.funnels.results import FunnelResult, FunnelStep
from microconv.config.sections import FunnelConfig
from microconv.result import Result
from microconv.stats.intervals import newcombe, two_proportion_test

LEVEL = 0.95
"""Level of the intervals."""

Whole = Literal["first", "previous"]


@dataclass(frozen=True)
class ComparedStep:
    """How one step compares: its share of the first step or of the step before (`share_of`), on both sides.

    `reached_*` of `of_*` took the step; shares are 0 to 1, and None where nobody took the step compared with.
    `difference` is side b less side a, `low` to `high` its 95 % interval (Newcombe 1998, method 10), `p_value` that of
    the two-sided z-test with pooled variance; None where either share is.
    """

    step: str
    share_of: Whole
    reached_a: int
    of_a: int
    share_a: float | None
    reached_b: int
    of_b: int
    share_b: float | None
    difference: float | None
    low: float | None
    high: float | None
    p_value: float | None


@dataclass(frozen=True)
class FunnelComparison(Result):
    """A funnel for two selections, `a` and `b`; the first step has no rows, since it has nothing to be a share of."""

    analysis: ClassVar[str] = "funnel_comparison"
    row_type: ClassVar[type] = ComparedStep

    funnel: str
    name_a: str
    name_b: str
    a: FunnelResult
    b: FunnelResult
    steps: tuple[ComparedStep, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[ComparedStep, ...]:
        """The steps, for either whole."""
        return self.steps


def compare_funnels(
    config: FunnelConfig, a: FunnelResult, b: FunnelResult, *, name_a: str, name_b: str
) -> FunnelComparison:
    """Hold the figures of one funnel for two selections against each other.

    The step before is the last one that is not optional. In an open funnel only shares of the step before are compared,
    since its later steps are no part of the first.
    """
    rows = tuple(_rows(config, a, b))
    said = [
        f"a is {name_a}, b is {name_b}; a difference is b less a.",
        f"Intervals are {LEVEL:.0%} (Newcombe), p is of the two-sided test that both shares are equal.",
        "Each step is tested by itself: of twenty tests, one is below 0.05 by chance alone.",
        f"The test takes {a.count} of the two sides to be independent; who is on both sides makes it less sure.",
        "Who began less than a window before the latest staged event had less time; a trend says how many they are.",
        "A difference between groups that were not drawn by lot shows no cause.",
    ]
    if a.count != "actors":
        said.append(f"Several {a.count} of one actor are alike, so that intervals are too narrow.")
    shared = [each for each in a.assumptions if each in b.assumptions]
    return FunnelComparison(a.funnel, name_a, name_b, a, b, rows, _sentence(a, rows, name_a, name_b), (*shared, *said))


def _rows(config: FunnelConfig, a: FunnelResult, b: FunnelResult) -> Iterator[ComparedStep]:
    for number in range(1, len(config.steps)):
        before = max(other for other in range(number) if not config.steps[other].optional)
        if config.entry == "closed":
            yield _compared("first", (a.steps[number], a.steps[0]), (b.steps[number], b.steps[0]))
        if config.entry == "closed" or before == number - 1:
            yield _compared("previous", (a.steps[number], a.steps[before]), (b.steps[number], b.steps[before]))


def _compared(share_of: Whole, a: tuple[FunnelStep, FunnelStep], b: tuple[FunnelStep, FunnelStep]) -> ComparedStep:
    (reached_a, of_a), (reached_b, of_b) = ((_reached(step), whole.count) for step, whole in (a, b))
    interval = newcombe(reached_b, of_b, reached_a, of_a, LEVEL)
    test = two_proportion_test(reached_b, of_b, reached_a, of_a)
    share_a, share_b = (reached / of if of else None for reached, of in ((reached_a, of_a), (reached_b, of_b)))
    return ComparedStep(
        step=a[0].step,
        share_of=share_of,
        reached_a=reached_a,
        of_a=of_a,
        share_a=share_a,
        reached_b=reached_b,
        of_b=of_b,
        share_b=share_b,
        difference=None if share_a is None or share_b is None else share_b - share_a,
        low=interval.low if interval else None,
        high=interval.high if interval else None,
        p_value=test.p_value if test else None,
    )


def _reached(step: FunnelStep) -> int:
    """Who took the step after another; in a closed funnel that is everybody who took it."""
    return step.count if step.continued is None else step.continued


def _sentence(a: FunnelResult, rows: tuple[ComparedStep, ...], name_a: str, name_b: str) -> str:
    last = next((row for row in rows if row.step == a.steps[-1].step), None)
    if last is None:
        return f"{name_a} and {name_b}: every later step of this open funnel may leave out the one before."
    if last.difference is None or last.low is None or last.high is None:
        return f"{name_a} and {name_b} cannot be compared: on one side nobody took the step that {last.step} follows."
    points = f"{100 * last.difference:+.1f} points ({100 * last.low:+.1f} to {100 * last.high:+.1f})"
    beyond = "more than chance alone explains" if last.low > 0 or last.high < 0 else "no more than chance may explain"
    return f"{last.step}: {name_b} differs from {name_a} by {points}, {beyond}."
