"""What goes with conversions, on the page: lift, thresholds, momentum."""

from __future__ import annotations

from collections.abc import Iterator

from microconv import wording
from microconv.analyses.insight.entry_lift import FEWER, LESS, MORE, EntryLift
from microconv.analyses.insight.lift import LiftResult
from microconv.analyses.insight.momentum import MomentumResult
from microconv.analyses.insight.thresholds import ThresholdsResult, TimesRate
from microconv.analyses.propensity.model_card import PropensityResult
from microconv.report.blocks import Block, Key, Picture, Plot, Points, Said, Tabled
from microconv.report.data import ReportData
from microconv.report.figures import Figure, ForestRow, bar_figure, calibration_figure, curve_figure, forest_figure
from microconv.result import sheet
from microconv.wording import Sheet

LIFTS_DRAWN = 16
LIFTS_IN_WORDS = 3
_SEEN = 1.05

_SYMBOLS = {"adjusted": "circle", "observed": "square", "experimental": "diamond"}
_TIERS = {
    "adjusted": "Adjusted: like actors are compared.",
    "observed": "Observed: all actors are compared, whatever they are like.",
    "experimental": "Experimental: actors were divided by lot.",
}


def lift_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the forest plot, what it rests on and how steady it is."""
    for number, result in enumerate(data.results(LiftResult), start=1):
        yield Said(result.sentence)
        told = [row for row in result.lifts if row.ratio and row.low and row.high][:LIFTS_DRAWN]
        sheets = [each for each in result.sheets() if isinstance(each, Sheet)]
        if told:
            yield Said(_how_to_read(result, told), is_aside=True)
            yield Picture(Plot(f"lift-{number}", _label(result), _forest(told, result), _legend(told)), sheets[0])
            said = [row.says for row in told if row.verdict in (MORE, FEWER)][:LIFTS_IN_WORDS]
            yield from (Said(each) for each in said)
        else:
            yield Tabled(sheets[0])
        for each in sheets[1:]:
            yield Tabled(each, folded=each.title)
        yield Points("Assumptions", result.assumptions)


def _how_to_read(result: LiftResult, told: list[EntryLift]) -> str:
    tiers = " ".join(_TIERS[tier] for tier in dict.fromkeys(row.tier for row in told) if tier in _TIERS)
    band = ""
    if result.placebo:
        band = (
            f" The dotted line is what a small step picked by chance goes with, {wording.times(result.placebo)} times."
        )
        if _is_wide(result):
            band += " The band around it is where 95% of such steps lie: inside it, a ratio says nothing of its own."
    return (
        f"How many times as often {result.goal} follows with the step as without it, with 95% intervals. {tiers}{band}"
    )


def _is_wide(result: LiftResult) -> bool:
    """Whether the band of steps picked by chance can be seen."""
    return bool(result.placebo_low and result.placebo_high and result.placebo_high / result.placebo_low > _SEEN)


def _label(result: LiftResult) -> str:
    return f"Ratios with intervals, by micro-conversion. {result.sentence} The table after it has the same numbers."


def _forest(told: list[EntryLift], result: LiftResult) -> Figure:
    rows = [
        ForestRow(
            " ".join(filter(None, (row.micro_conversion, row.context))),
            row.ratio or 1.0,
            row.low or 1.0,
            row.high or 1.0,
            _SYMBOLS.get(row.tier, "circle"),
            _colour(row.verdict),
            row.verdict,
        )
        for row in told
    ]
    band = None
    if result.placebo and result.placebo_low and result.placebo_high:
        band = (result.placebo, result.placebo_low, result.placebo_high)
    return forest_figure(rows, band)


def _colour(verdict: str) -> str:
    return "var(--accent)" if verdict == MORE else "var(--series-2)" if verdict in (FEWER, LESS) else "var(--muted)"


def _legend(told: list[EntryLift]) -> tuple[Key, ...]:
    keys: dict[str, Key] = {}
    for row in told:
        colour = _colour(row.verdict).removeprefix("var(").removesuffix(")")
        keys.setdefault(row.verdict, Key(row.verdict, _SYMBOLS.get(row.tier, "circle"), colour))
    return tuple(keys.values())


def threshold_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the rate by number of the first curve, and what was found."""
    for number, result in enumerate(data.results(ThresholdsResult), start=1):
        yield Said(result.sentence)
        curve = _first_curve(result)
        sheets = [each for each in result.sheets() if isinstance(each, Sheet) and each.title == result.title]
        if len(curve) > 1:
            first = curve[0]
            title = f"How often {result.goal} follows, by number of {first.counted} within {first.landmark}"
            yield Said(f"{title}, with 95% intervals.", is_aside=True)
            label = f"{title}. {result.sentence} The table after it has the same numbers."
            figure = curve_figure(
                [each.times for each in curve],
                [(each.rate or 0.0, each.low or 0.0, each.high or 0.0) for each in curve],
            )
            rates = sheet(title, curve, TimesRate, without=("counted", "landmark"))
            yield Picture(Plot(f"thresholds-{number}", label, figure), rates, folded="The rate by number")
        yield from (Tabled(each, folded="What was found, by what is counted") for each in sheets)
        yield Points("Assumptions", result.assumptions)


def _first_curve(result: ThresholdsResult) -> list[TimesRate]:
    if not result.curves:
        return []
    first = result.curves[0]
    return [
        each
        for each in result.curves
        if (each.counted, each.landmark) == (first.counted, first.landmark)
        and each.rate is not None
        and each.low is not None
        and each.high is not None
    ]


def momentum_blocks(data: ReportData) -> Iterator[Block]:
    """Yield the states of momentum with their bars."""
    for number, result in enumerate(data.results(MomentumResult), start=1):
        yield Said(result.sentence)
        sheets = [each for each in result.sheets() if isinstance(each, Sheet)]
        if any(row.actors for row in result.states):
            label = f"Bar chart of actors by state. {result.sentence} The table after it has the same numbers."
            figure = bar_figure([(each.label, each.value, each.note) for each in result.bars()])
            yield Picture(Plot(f"momentum-{number}", label, figure), sheets[0])
        else:
            yield Tabled(sheets[0])
        for each in sheets[1:]:
            yield Tabled(each, folded=each.title)
        yield Points("Assumptions", result.assumptions)


def propensity_blocks(data: ReportData) -> Iterator[Block]:
    """Yield how chances that were foretold compare with what happened on the hold-out."""
    for number, result in enumerate(data.results(PropensityResult), start=1):
        yield Said(result.sentence)
        sheets = [each for each in result.sheets() if isinstance(each, Sheet)]
        told = [
            (row.predicted, row.rate, row.low, row.high)
            for row in result.deciles
            if row.predicted is not None and row.rate is not None and row.low is not None and row.high is not None
        ]
        deciles = next((each for each in sheets if each.title == result.title), None)
        if len(told) > 1 and deciles:
            said = (
                "Each mark is a tenth of the hold-out: what the model foretold, below, against what happened, with 95% "
                "intervals. On the dotted line, both are the same."
            )
            yield Said(said, is_aside=True)
            label = f"Calibration of the model. {result.sentence} The table after it has the same numbers."
            yield Picture(Plot(f"propensity-{number}", label, calibration_figure(told)), deciles)
        # Told above, or rows without a figure, of which the sentence says why.
        sheets = [each for each in sheets if each is not deciles]
        for each in sheets:
            yield Tabled(each, folded=each.title or "Figures")
        if result.assumptions:
            yield Points("Assumptions", result.assumptions)
