"""Attribution on the page: which touchpoints earn the conversions, by every model, and how stable that is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from microconv import wording
from microconv.analyses.attribution.credits import AttributionResult
from microconv.analyses.attribution.stability import StabilityResult
from microconv.report.blocks import Block, Choice, Key, Panel, Picture, Plot, Points, Said, Tabled, Titled
from microconv.report.data import ReportData
from microconv.report.figures import SYMBOLS, credit_figure, model_name
from microconv.wording import Heading, Sheet

CHART_TOUCHPOINTS = 12
AGREEMENT_SHARE = 0.02
_HOW_TO_READ = (
    "Share of all conversions. Each mark is one model. A narrow band: the models agree. "
    "A wide one: the answer depends on the model."
)


def attribution_blocks(data: ReportData) -> Iterator[Block]:
    """Yield what attribution says, and how stable that is."""
    result = data.result(AttributionResult)
    if result is None:
        yield Said("Attribution was not computed for this report.")
        return
    yield from _attribution(result, data.currency)
    for stability in data.results(StabilityResult):
        yield from _stability(stability, result.assumptions)


def _attribution(result: AttributionResult, currency: str) -> Iterator[Block]:
    if result.conversions == 0:
        yield Said(f"No {result.goal} was seen, so there is nothing to attribute.")
        return
    value = f", worth {wording.money(result.value, currency)}" if result.value else ""
    if uncounted := result.left_out_amounts:
        value += f"{' and' if value else ','} {uncounted} that do not count as {currency}"
    yield Said(
        f"{wording.plural(result.conversions, f'{result.goal} conversion')}{value}. "
        "Each model has its own rule for which touchpoints earned them. None of them proves a cause."
    )
    names = tuple(dict.fromkeys([*(row.window for row in result.untouched), *(row.window for row in result.results)]))
    yield Choice(
        "Lookback window",
        tuple(_window(f"window-{index}", name, result, currency) for index, name in enumerate(names, 1)),
    )
    yield Points("Assumptions", result.assumptions)


def _window(id_: str, name: str, result: AttributionResult, currency: str) -> Panel:
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
    title = f"Within {words}"
    none = (
        f"{wording.count(lost)} of {wording.plural(result.conversions, 'conversion')} "
        f"({wording.share(lost / result.conversions)}) had no touchpoint within {words} and stay without credit."
        if lost
        else f"Every conversion had a touchpoint within {words}."
    )
    if not touchpoints:
        return Panel(id_, words, title, (Said(f"No touchpoint earned credit within {words}. {none}"),))
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
    blocks: list[Block] = [
        Said(" ".join(summary)),
        Said(_HOW_TO_READ, is_aside=True),
        Picture(
            Plot(f"{id_}-chart", label, credit_figure(models, drawn), legend),
            credits_table,
            folded="Conversions by touchpoint and model",
        ),
    ]
    if result.value:
        blocks.append(Tabled(values_table, folded="Value by touchpoint and model"))
    return Panel(id_, words, title, tuple(blocks))


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


def _stability(result: StabilityResult, said: Collection[str]) -> Iterator[Block]:
    """Yield how stable the credits are; of what they rest on, what is not `said` already."""
    sheets = [each for each in result.sheets() if isinstance(each, Sheet)]
    yield Titled(
        "How stable that is",
        (
            Said(result.sentence),
            Points("Touchpoint by touchpoint", tuple(each.sentence for each in result.touchpoints)),
            *(Tabled(each, folded=wording.capital(each.title)) for each in sheets[-1:]),
            Points("Assumptions", tuple(each for each in result.assumptions if each not in said)),
        ),
    )
