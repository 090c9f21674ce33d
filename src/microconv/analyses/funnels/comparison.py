"""A funnel for two selections: by how much their shares differ, and whether chance alone would do that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field

from microconv import wording
from microconv.analyses.funnels.counts import Funnel, FunnelResult, FunnelStep
from microconv.analyses.funnels.funnel import FunnelQuestion
from microconv.config.funnel_settings import FunnelConfig
from microconv.config.load import find_named
from microconv.config.sections import Config, Period
from microconv.config.segment_settings import SegmentConfig
from microconv.queries.templates import Query
from microconv.question import HIDDEN, Context, Option, day_of, section_of
from microconv.result import Result, column
from microconv.stats.intervals import newcombe, two_proportion_test
from microconv.taxonomy import Taxonomy
from microconv.wording import NOTHING, Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

LEVEL = 0.95
"""Level of the intervals."""

Whole = Literal["first", "previous"]

_SURE = 0.001
"""A p-value below is not written out."""


def _points(difference: float | None) -> str:
    return NOTHING if difference is None else f"{100 * difference:+.1f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"<{_SURE}" if value < _SURE else f"{value:.3f}"


@dataclass(frozen=True)
class ComparedStep:
    """How one step compares: its share of the first step or of the step before (`share_of`), on both sides.

    `reached_*` of `of_*` took the step; shares are 0 to 1, and None where nobody took the step compared with.
    `difference` is side b less side a, `low` to `high` its 95 % interval (Newcombe 1998, method 10), `p_value` that of
    the two-sided z-test with pooled variance; None where either share is.
    """

    step: str = column("step")
    share_of: Whole = column("share of")
    reached_a: int = column("a reached", wording.count)
    of_a: int = column("of a", wording.count)
    share_a: float | None = column("share of a", wording.share)
    reached_b: int = column("b reached", wording.count)
    of_b: int = column("of b", wording.count)
    share_b: float | None = column("share of b", wording.share)
    difference: float | None = column("difference", _points)
    low: float | None = column("low", _points)
    high: float | None = column("high", _points)
    p_value: float | None = column("p", _p_value)


@dataclass(frozen=True)
class FunnelComparisonResult(Result):
    """A funnel for two selections, `a` and `b`; the first step has no rows, since it has nothing to be a share of."""

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

    def sheets(self) -> Iterator[Sheet]:
        """Show a row per step and whole."""
        yield Sheet(
            f"Funnel {self.funnel}: a is {self.name_a}, b is {self.name_b}",
            (
                *(Heading("step"), Heading("share of"), Heading("a", str), Heading("b", str)),
                *(Heading("difference", _points), Heading("95% interval", str), Heading("p", _p_value)),
            ),
            tuple(
                (
                    row.step,
                    row.share_of,
                    f"{wording.count(row.reached_a)} of {wording.count(row.of_a)}, {wording.share(row.share_a)}",
                    f"{wording.count(row.reached_b)} of {wording.count(row.of_b)}, {wording.share(row.share_b)}",
                    row.difference,
                    NOTHING if row.low is None else f"{_points(row.low)} to {_points(row.high)}",
                    row.p_value,
                )
                for row in self.steps
            ),
        )

    def bars(self) -> tuple[Bar, ...]:
        """Two bars per step: its share of the step before."""
        return tuple(
            Bar(f"{row.step}, {side}", share or 0, wording.share(share))
            for row in self.steps
            if row.share_of == "previous"
            for side, share in (("a", row.share_a), ("b", row.share_b))
        )


class Against(Period):
    """The other side of a comparison: what it does not say is as on the first side."""

    segment: SegmentConfig | None = None


class FunnelComparison(FunnelQuestion):
    """A funnel for two selections: by how much their shares differ, and whether chance alone would do that."""

    options: ClassVar[Mapping[str, Option]] = {
        **FunnelQuestion.options,
        "against": Option(metavar="SELECTION"),
        "name_a": HIDDEN,
        "name_b": HIDDEN,
    }

    against: Against = Field(description="compare with a segment, or with days: 2024-02-01..2024-02-29")
    name_a: str | None = Field(default=None, description="what the first side is called")
    name_b: str | None = Field(default=None, description="what the other side is called")

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield for each funnel that has an order the comparison with each segment."""
        for funnel in config.funnels:
            for segment in config.segments if cls.fits(funnel) else ():
                yield cls.over(funnel, {"against": {"segment": segment}})

    @classmethod
    def asked(cls, config: Config, given: Mapping[str, Any]) -> Self:
        """Return the question; `against` may be the name of a segment, or two days with `..` between them."""
        changed = dict(given)
        if isinstance(against := changed.get("against"), str):
            first, dots, last = against.partition("..")
            changed["against"] = (
                {"since": day_of(first), "until": day_of(last)}
                if dots
                else {"segment": find_named(config.segments, against, "segment")}
            )
        return super().asked(config, changed)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of both sides."""
        yield from super().named()
        if self.against.segment is not None:
            yield from self.against.segment.named()

    @property
    def sides(self) -> tuple[Funnel, Funnel]:
        """The funnel for the first side and for the other."""
        own = {name: getattr(self, name) for name in Funnel.model_fields if name in self.model_fields_set}
        other = {name: value for name in Against.model_fields if (value := getattr(self.against, name)) is not None}
        return section_of(Funnel, own), section_of(Funnel, {**own, **other})

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of both sides."""
        return tuple(query for side in self.sides for query in side.queries(context))

    def result(self, tables: Sequence[pa.Table], context: Context) -> FunnelComparisonResult:
        """Hold the figures of both sides against each other.

        The step before is the last one that is not optional. In an open funnel only shares of the step before are
        compared, since its later steps are not part of the first.
        """
        side_a, side_b = self.sides
        a, b = side_a.result(tables[:1], context), side_b.result(tables[1:], context)
        name_a, name_b = self.name_a or _selection(side_a), self.name_b or _selection(side_b)
        rows = tuple(_rows(self, a, b))
        said = [
            f"a is {name_a}, b is {name_b}; a difference is b less a.",
            f"Intervals are {LEVEL:.0%} (Newcombe), p is of the two-sided test that both shares are equal.",
            "Each step is tested by itself: of twenty tests, one is below 0.05 by chance alone.",
            f"The test takes {a.count} of the two sides to be independent; who is on both sides makes it less sure.",
            "Who began less than a window before the latest staged event had less time; a trend says how many.",
            "A difference between groups that were not drawn by lot shows no cause.",
        ]
        if a.count != "actors":
            said.append(f"Several {a.count} of one actor are alike, so that intervals are too narrow.")
        shared = [each for each in a.assumptions if each in b.assumptions]
        return FunnelComparisonResult(
            a.funnel, name_a, name_b, a, b, rows, _sentence(a, rows, name_a, name_b), (*shared, *said)
        )


def _selection(side: Funnel) -> str:
    """Say which starts a side takes."""
    days = f"{side.since or 'first day'} to {side.until or 'last day'}"
    parts = [side.segment.name] if side.segment else []
    return ", ".join([*parts, *([days] if side.since or side.until else [])]) or "everybody"


def _rows(funnel: FunnelConfig, a: FunnelResult, b: FunnelResult) -> Iterator[ComparedStep]:
    for number in range(1, len(funnel.steps)):
        before = max(other for other in range(number) if not funnel.steps[other].optional)
        if funnel.entry == "closed":
            yield _compared("first", (a.steps[number], a.steps[0]), (b.steps[number], b.steps[0]))
        if funnel.entry == "closed" or before == number - 1:
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
