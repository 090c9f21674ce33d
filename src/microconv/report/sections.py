"""The page's sections: what each one says, shows and tabulates, ready for its partial template.

A new section is a view class, a function that returns a `Section`, its place in `sections`, and `partials/<partial>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from microconv.analyses.attribution.results import AttributionResult
from microconv.analyses.channels import ChannelResult
from microconv.analyses.funnels.results import FunnelResult
from microconv.audit.coverage import CoverageResult
from microconv.report import wording
from microconv.report.data import ReportData
from microconv.report.figures import SYMBOLS, Figure, channel_figure, credit_figure, funnel_figure
from microconv.report.heat import HeatMap, heat_map

CHART_TOUCHPOINTS = 12
AGREEMENT_SHARE = 0.02


@dataclass(frozen=True)
class Key:
    """One entry of a chart's legend: its mark (a plotly symbol) and the CSS variable of its colour."""

    name: str
    symbol: str
    colour: str


@dataclass(frozen=True)
class Chart:
    """A figure with the id of its element, the words for those who do not see it, and its legend.

    The legend is the page's own, because plotly's does not wrap on a phone.
    """

    id: str
    label: str
    figure: Figure
    legend: tuple[Key, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows of ready text: the first cell names the row, the first `words` cells are words, the others numbers."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    foot: tuple[tuple[str, ...], ...] = ()
    words: int = 1


@dataclass(frozen=True)
class FunnelView:
    """One funnel; chart and table are None when nobody entered it, and `summary` says so."""

    title: str
    summary: str
    chart: Chart | None
    table: Table | None


@dataclass(frozen=True)
class WindowView:
    """Attribution within one lookback window; chart and tables are None when no touchpoint earned credit."""

    id: str
    title: str
    summary: tuple[str, ...]
    selected: bool
    chart: Chart | None = None
    credits: Table | None = None
    values: Table | None = None


@dataclass(frozen=True)
class AttributionView:
    """Attribution; no windows when there is nothing to attribute, and `summary` says so."""

    summary: str
    windows: tuple[WindowView, ...] = ()
    assumptions: tuple[str, ...] = ()


@dataclass(frozen=True)
class CoverageView:
    """Coverage by day; no heat map when nothing is staged, and `summary` says so."""

    summary: tuple[str, ...]
    heat: HeatMap | None = None
    outages: Table | None = None


@dataclass(frozen=True)
class ChannelsView:
    """Sessions by channel; chart and table are None when there are none, and `summary` says so."""

    summary: str
    chart: Chart | None = None
    table: Table | None = None


@dataclass(frozen=True)
class Section:
    """One part of the page: its anchor, its heading, its partial template and what that template shows."""

    id: str
    title: str
    view: tuple[FunnelView, ...] | AttributionView | CoverageView | ChannelsView

    @property
    def partial(self) -> str:
        """Return the name of the partial template."""
        return f"partials/{self.id}.html.j2"


def sections(data: ReportData) -> tuple[Section, ...]:
    """Return the sections of the page in reading order."""
    return (
        Section("funnels", "Funnels", tuple(_funnel(index, result) for index, result in enumerate(data.funnels, 1))),
        Section("attribution", "Attribution", _attribution(data.attribution, data.currency)),
        Section("coverage", "Coverage by day", _coverage(data.coverage)),
        Section("channels", "Sessions by channel", _channels(data.channels)),
    )


def _funnel(index: int, result: FunnelResult) -> FunnelView:
    title, steps = result.funnel.replace("_", " ").capitalize(), result.steps
    if not any(step.count for step in steps):
        why = f" {steps[0].step}, its first step, was never reached." if steps else ""
        return FunnelView(title, f"No {result.unit} entered this funnel.{why}", None, None)
    first, last = steps[0], steps[-1]
    summary = result.sentence
    if result.entry == "closed" and result.order != "unordered" and first.count:
        summary = (
            f"{wording.count(last.count)} of {wording.plural(first.count, result.unit)} "
            f"({wording.share(last.count / first.count)}) went from {first.step} to {last.step} {_within(result)}."
        )
    losses = [(before.count - step.count, before, step) for before, step in pairwise(steps)]
    lost, before, after = max(losses, key=lambda loss: loss[0], default=(0, first, last))
    if lost > 0:
        summary += (
            f" Most are lost between {before.step} and {after.step}: "
            f"{wording.count(lost)} of {wording.count(before.count)} ({wording.share(lost / before.count)})."
        )
    table = Table(
        caption=f"{title}, by {result.unit}",
        head=("Step", f"{result.unit.capitalize()}s", "From previous", "From first", "Median time from first"),
        rows=tuple(
            (
                f"{number}. {step.step}",
                wording.count(step.count),
                wording.share(step.from_previous) if number > 1 else wording.NOTHING,
                wording.share(step.from_first),
                wording.elapsed(step.seconds_median) if number > 1 else wording.NOTHING,
            )
            for number, step in enumerate(steps, 1)
        ),
    )
    label = f"Funnel chart of {title}. {summary} The table after it has the same numbers."
    return FunnelView(title, summary, Chart(f"funnel-{index}", label, funnel_figure(result)), table)


def _within(result: FunnelResult) -> str:
    if result.window_seconds is not None:
        return f"within {wording.span(result.window_seconds)}"
    return f"with at most {wording.span(result.step_window_seconds or 0)} from step to step"


def _attribution(result: AttributionResult | None, currency: str) -> AttributionView:
    if result is None:
        return AttributionView("Attribution was not computed for this report.")
    if result.conversions == 0:
        return AttributionView(f"No {result.conversion} was seen, so there is nothing to attribute.")
    value = f", worth {wording.money(result.value, currency)}" if result.value else ""
    summary = (
        f"{wording.plural(result.conversions, f'{result.conversion} conversion')}{value}. "
        "Each model answers the same question, which touchpoint earned them, by another rule. None proves a cause."
    )
    names = tuple(dict.fromkeys([*(row.window for row in result.untouched), *(row.window for row in result.results)]))
    windows = tuple(
        _window(f"window-{index}", name, result, currency, selected=index == len(names))
        for index, name in enumerate(names, 1)
    )
    return AttributionView(summary, windows, result.assumptions)


def _window(id_: str, name: str, result: AttributionResult, currency: str, *, selected: bool) -> WindowView:
    rows = [row for row in result.results if row.window == name]
    models = tuple(dict.fromkeys(row.model for row in rows))
    credit = {(row.touchpoint, row.model): row.credit for row in rows}
    value = {(row.touchpoint, row.model): row.value for row in rows}
    # Largest first over all models together, so that the order of rows favours none of them.
    touchpoints = sorted(
        {row.touchpoint for row in rows},
        key=lambda point: (-sum(credit.get((point, model), 0.0) for model in models), point),
    )
    shares = {
        point: {model: credit.get((point, model), 0.0) / result.conversions for model in models}
        for point in touchpoints
    }
    untouched = [row for row in result.untouched if row.window == name]
    lost, lost_value = sum(row.conversions for row in untouched), sum(row.value for row in untouched)
    words = wording.window(name)
    none = (
        f"{wording.count(lost)} of {wording.plural(result.conversions, 'conversion')} "
        f"({wording.share(lost / result.conversions)}) had no touchpoint within {words} and stay without credit."
        if lost
        else f"Every conversion had a touchpoint within {words}."
    )
    if not touchpoints:
        return WindowView(id_, words, (f"No touchpoint earned credit within {words}.", none), selected)
    summary = [text for text in (_disagreement(shares), none) if text]
    if len(touchpoints) > CHART_TOUCHPOINTS:
        summary.append(
            f"The chart shows the {CHART_TOUCHPOINTS} largest of {len(touchpoints)} touchpoints, the table all."
        )
    label = (
        f"Share of conversions by touchpoint and model, within {words}. {' '.join(summary)} "
        "The table after it has all numbers."
    )
    drawn = dict(list(shares.items())[:CHART_TOUCHPOINTS])
    legend = tuple(
        Key(wording.model(model), SYMBOLS[index % len(SYMBOLS)], f"--series-{index % len(SYMBOLS) + 1}")
        for index, model in enumerate(models)
    )
    chart = Chart(f"{id_}-chart", label, credit_figure(models, drawn), legend)
    head = ("Touchpoint", *(wording.model(model) for model in models))
    credits_table = Table(
        caption=f"Conversions credited within {words}, and their share of all conversions",
        head=head,
        rows=tuple(
            (
                point,
                *(
                    f"{wording.decimal(credit.get((point, m), 0.0))} ({wording.share(shares[point][m])})"
                    for m in models
                ),
            )
            for point in touchpoints
        ),
        foot=(
            (
                "No touchpoint",
                *(f"{wording.decimal(lost)} ({wording.share(lost / result.conversions)})" for _ in models),
            ),
        ),
    )
    values_table = Table(
        caption=f"Value credited within {words}, in {currency}",
        head=head,
        rows=tuple((point, *(wording.decimal(value.get((point, m), 0.0), 2) for m in models)) for point in touchpoints),
        foot=(("No touchpoint", *(wording.decimal(lost_value, 2) for _ in models)),),
    )
    return WindowView(
        id_, words, tuple(summary), selected, chart, credits_table, values_table if result.value else None
    )


def _disagreement(shares: dict[str, dict[str, float]]) -> str:
    """Say where the models' answers lie furthest apart: one model's answer must not be read as the truth."""
    spans = []
    for point, of in shares.items():
        low, high = min(of, key=lambda model: of[model]), max(of, key=lambda model: of[model])
        spans.append((of[high] - of[low], point, low, high))
    distance, point, low, high = max(spans)
    if len(next(iter(shares.values()))) == 1:
        return ""
    if distance < AGREEMENT_SHARE:
        return f"The models agree within {AGREEMENT_SHARE * 100:.0f} percentage points on every touchpoint."
    return (
        f"The models disagree most on {point}: {wording.share(shares[point][low])} by {wording.model(low).lower()}, "
        f"{wording.share(shares[point][high])} by {wording.model(high).lower()}."
    )


def _coverage(result: CoverageResult) -> CoverageView:
    heat = heat_map(result)
    if heat is None:
        return CoverageView(("No micro-conversion was seen on any staged day.",))
    summary = [
        "Each micro-conversion is compared with its own share of traffic on other days.",
        f"{wording.plural(len(result.outages), 'outage')} found." if result.outages else "No outage was found.",
    ]
    if result.never_seen:
        summary.append(f"Never seen: {wording.listed(result.never_seen, limit=len(result.never_seen))}.")
    if heat.days_left_out:
        summary.append(f"The {wording.plural(heat.days_left_out, 'earliest day')} of the period are not drawn.")
    outages = Table(
        caption="Outages",
        head=("Micro-conversion", "When", "Status", "Days", "Seen", "Expected"),
        rows=tuple(
            (
                outage.micro_conversion,
                wording.period(outage.first_date, outage.last_date),
                outage.status,
                wording.count(outage.days),
                wording.count(outage.occurrences),
                f"about {wording.decimal(outage.expected, 0)}",
            )
            for outage in result.outages
        ),
        words=3,
    )
    return CoverageView(tuple(summary), heat, outages if result.outages else None)


def _channels(result: ChannelResult) -> ChannelsView:
    total = sum(row.sessions for row in result.channels)
    if total == 0:
        return ChannelsView("No sessions are staged.")
    largest = max(result.channels, key=lambda row: row.sessions)
    summary = (
        f"{largest.channel_group} brings the most sessions: {wording.count(largest.sessions)} of "
        f"{wording.count(total)} ({wording.share(largest.sessions / total)})."
    )
    table = Table(
        caption="Sessions by default channel group",
        head=("Channel", "Sessions", "Share", "Engaged", "Actors", "Page views per session"),
        rows=tuple(
            (
                row.channel_group,
                wording.count(row.sessions),
                wording.share(row.sessions / total),
                wording.share(wording.ratio(row.engaged_sessions, row.sessions)),
                wording.count(row.actors),
                wording.decimal(row.page_views / row.sessions) if row.sessions else wording.NOTHING,
            )
            for row in result.channels
        ),
    )
    label = f"Bar chart of sessions by channel, engaged and other. {summary} The table after it has the same numbers."
    legend = (Key("Engaged sessions", "square", "--accent"), Key("Other sessions", "square", "--accent-soft"))
    return ChannelsView(summary, Chart("channels-chart", label, channel_figure(result.channels), legend), table)
