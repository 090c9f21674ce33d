"""The parts of the page: what each one says, shows and tabulates, ready for its partial template.

A question needs nothing here: its answers are shown as they are, by `_others`. One whose results are worth a picture
has a part of its own: a view class, a function that makes it, a place in `parts` and `WITH_PARTS`, `partials/<id>`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from microconv import wording
from microconv.analyses.attribution.credits import AttributionResult
from microconv.analyses.channels import ChannelsResult
from microconv.analyses.funnels.counts import FunnelResult
from microconv.audit.audit_findings import AuditResult
from microconv.audit.coverage import CoverageResult
from microconv.report.data import Answered, ReportData
from microconv.report.figures import SYMBOLS, Figure, channel_figure, credit_figure, funnel_figure, model_name
from microconv.report.heat import HeatMap, heat_map
from microconv.wording import Heading, Sheet

WITH_PARTS = (FunnelResult, AttributionResult, CoverageResult, ChannelsResult)
"""Results that have a part of their own."""

CHART_TOUCHPOINTS = 12
AGREEMENT_SHARE = 0.02


@dataclass(frozen=True)
class Key:
    """One entry of a chart's legend: its mark (a plotly symbol) and the CSS variable of its colour."""

    name: str
    symbol: str
    colour: str


@dataclass(frozen=True)
class Plot:
    """A figure with the id of its element, the words for those who do not see it, and its legend.

    The legend is the page's own, because plotly's does not wrap on a phone.
    """

    id: str
    label: str
    figure: Figure
    legend: tuple[Key, ...] = ()


@dataclass(frozen=True)
class FunnelView:
    """One funnel; chart and table are None when nobody entered it, and `summary` says so."""

    title: str
    summary: str
    chart: Plot | None
    table: Sheet | None


@dataclass(frozen=True)
class WindowView:
    """Attribution within one lookback window; chart and tables are None when no touchpoint earned credit."""

    id: str
    title: str
    summary: tuple[str, ...]
    selected: bool
    chart: Plot | None = None
    credits: Sheet | None = None
    values: Sheet | None = None


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
    outages: Sheet | None = None


@dataclass(frozen=True)
class ChannelsView:
    """Sessions by channel; chart and table are None when there are none, and `summary` says so."""

    summary: str
    chart: Plot | None = None
    table: Sheet | None = None


@dataclass(frozen=True)
class AnswerView:
    """An answer as the terminal shows it: what it is about, its tables and sentences, and what they rest on."""

    title: str
    sentence: str
    shown: tuple[Sheet | str, ...]
    assumptions: tuple[str, ...]


View = tuple[FunnelView, ...] | tuple[AnswerView, ...] | AttributionView | CoverageView | ChannelsView | AuditResult


@dataclass(frozen=True)
class Part:
    """One part of the page: its anchor, its heading, what it shows, and the partial template that shows it."""

    id: str
    title: str
    view: View
    template: str = ""

    @property
    def partial(self) -> str:
        """Return the name of the partial template."""
        return f"partials/{self.template or self.id}.html.j2"


def parts(data: ReportData) -> tuple[Part, ...]:
    """Return the parts of the page in reading order."""
    funnels = enumerate(data.results(FunnelResult), start=1)
    return (
        Part("funnels", "Funnels", tuple(_funnel(index, result) for index, result in funnels)),
        Part("attribution", "Attribution", _attribution(data.result(AttributionResult), data.currency)),
        Part("coverage", "Coverage by day", _coverage(data.result(CoverageResult))),
        Part("channels", "Sessions by channel", _channels(data.result(ChannelsResult))),
        *(() if data.audit is None else (Part("audit", "Audit of the tracking", data.audit),)),
        *_others(data.answers),
    )


def _others(answers: tuple[Answered, ...]) -> Iterator[Part]:
    """Show each question that has no part of its own, with all its answers."""
    others: dict[str, list[Answered]] = {}
    for answer in answers:
        if not isinstance(answer.result, WITH_PARTS):
            others.setdefault(answer.question, []).append(answer)
    for question, found in others.items():
        views = tuple(
            AnswerView(
                title=f"{answer.about[:1].upper()}{answer.about[1:]}" if answer.about else "",
                sentence=answer.result.sentence,
                shown=tuple(answer.result.sheets()),
                assumptions=answer.result.assumptions,
            )
            for answer in found
        )
        yield Part(f"answers-{question}", found[0].answers.removesuffix("."), views, template="answers")


def _funnel(index: int, result: FunnelResult) -> FunnelView:
    title, steps = result.funnel.replace("_", " ").capitalize(), result.steps
    if not any(step.count for step in steps):
        why = f" {steps[0].step}, its first step, was never reached." if steps else ""
        return FunnelView(title, f"No {result.unit} entered this funnel.{why}", None, None)
    summary = result.sentence
    losses = [(before.count - step.count, before, step) for before, step in pairwise(steps)]
    lost, before, after = max(losses, key=lambda loss: loss[0], default=(0, steps[0], steps[-1]))
    if lost > 0:
        summary += (
            f" Most are lost between {before.step} and {after.step}: "
            f"{wording.count(lost)} of {wording.count(before.count)} ({wording.share(lost / before.count)})."
        )
    table = Sheet(
        f"{title}, by {result.unit}",
        (
            *(Heading("Step"), Heading(f"{result.unit.capitalize()}s", wording.count)),
            *(Heading("From previous", wording.share), Heading("From first", wording.share)),
            Heading("Median time from first", wording.elapsed),
        ),
        tuple(
            (
                f"{number}. {step.step}",
                step.count,
                step.from_previous if number > 1 else None,
                step.from_first,
                step.seconds_median if number > 1 else None,
            )
            for number, step in enumerate(steps, 1)
        ),
    )
    label = f"Funnel chart of {title}. {summary} The table after it has the same numbers."
    return FunnelView(title, summary, Plot(f"funnel-{index}", label, funnel_figure(result)), table)


def _attribution(result: AttributionResult | None, currency: str) -> AttributionView:
    if result is None:
        return AttributionView("Attribution was not computed for this report.")
    if result.conversions == 0:
        return AttributionView(f"No {result.goal} was seen, so there is nothing to attribute.")
    value = f", worth {wording.money(result.value, currency)}" if result.value else ""
    if uncounted := result.left_out_amounts:
        value += f"{' and' if value else ','} {uncounted} that do not count as {currency}"
    summary = (
        f"{wording.plural(result.conversions, f'{result.goal} conversion')}{value}. "
        "Each model has its own rule for which touchpoints earned them. None of them proves a cause."
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
        Key(model_name(model), SYMBOLS[index % len(SYMBOLS)], f"--series-{index % len(SYMBOLS) + 1}")
        for index, model in enumerate(models)
    )
    chart = Plot(f"{id_}-chart", label, credit_figure(models, drawn), legend)

    def table(title: str, cells: dict[tuple[str, str], float], none: float, write: Callable[[float], str]) -> Sheet:
        return Sheet(
            title,
            (Heading("Touchpoint"), *(Heading(model_name(model), write) for model in models)),
            tuple((point, *(cells.get((point, model), 0.0) for model in models)) for point in touchpoints),
            foot=(("No touchpoint", *(none for _ in models)),),
        )

    credits_table = table(
        f"Conversions credited within {words}, and their share of all conversions",
        credit,
        lost,
        lambda credited: f"{wording.decimal(credited)} ({wording.share(credited / result.conversions)})",
    )
    values_table = table(f"Value credited within {words}, in {currency}", value, lost_value, wording.cents)
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
        f"The models disagree most on {point}: {wording.share(shares[point][low])} by {model_name(low).lower()}, "
        f"{wording.share(shares[point][high])} by {model_name(high).lower()}."
    )


def _coverage(result: CoverageResult | None) -> CoverageView:
    if result is None:
        return CoverageView(("Coverage was not computed for this report.",))
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
    outages = Sheet(
        "Outages",
        (
            *(Heading("Micro-conversion"), Heading("When"), Heading("Status"), Heading("Days", wording.count)),
            *(Heading("Seen", wording.count), Heading("Expected", _about)),
        ),
        tuple(
            (
                outage.micro_conversion,
                wording.period(outage.first_date, outage.last_date),
                outage.status,
                outage.days,
                outage.occurrences,
                outage.expected,
            )
            for outage in result.outages
        ),
    )
    return CoverageView(tuple(summary), heat, outages if result.outages else None)


def _about(expected: float) -> str:
    return f"about {wording.decimal(expected, 0)}"


def _channels(result: ChannelsResult | None) -> ChannelsView:
    if result is None:
        return ChannelsView("Sessions were not counted for this report.")
    total = sum(row.sessions for row in result.channels)
    if total == 0:
        return ChannelsView(result.sentence)
    table = Sheet(
        "Sessions by default channel group",
        (
            *(Heading("Channel"), Heading("Sessions", wording.count), Heading("Share", wording.share)),
            *(Heading("Engaged", wording.share), Heading("Actors", wording.count)),
            Heading("Page views per session", wording.decimal),
        ),
        tuple(
            (
                row.channel_group,
                row.sessions,
                row.sessions / total,
                wording.ratio(row.engaged_sessions, row.sessions),
                row.actors,
                wording.ratio(row.page_views, row.sessions),
            )
            for row in result.channels
        ),
    )
    label = f"Bar chart of sessions by channel. {result.sentence} The table after it has the same numbers."
    legend = (Key("Engaged sessions", "square", "--accent"), Key("Other sessions", "square", "--accent-soft"))
    return ChannelsView(result.sentence, Plot("channels-chart", label, channel_figure(result.channels), legend), table)
