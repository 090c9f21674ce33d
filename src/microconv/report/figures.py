"""Plotly figures from results, as plain JSON data.

Colours are written as CSS variables (`var(--accent)`): the page's script puts in the values of the reader's theme,
light, dark or print. Positions are numbers and names only labels, so a step that is named twice stays two steps.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from microconv import wording
from microconv.analyses.channels import ChannelSessions
from microconv.analyses.funnels.counts import FunnelResult
from microconv.result import EXIT, OTHER, START

Figure = dict[str, Any]
"""A plotly figure as JSON data: `data` and `layout`, NaN as null."""

LABEL_LENGTH = 20
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")
"""Marks of the models, in order; `partials/macros.html.j2` draws the same ones in the legend."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_ROW_SPREAD = 0.75
_BAND = 0.44
_WHOLE_PERCENT_TICKS, _TENTHS_TICKS = 0.1, 0.01
_RATIO_TICKS = tuple(digit * 10**power for power in range(-3, 5) for digit in (1, 2, 5))
_MOST_TICKS = 9
_FIFTH = 5
_MARKED_DAYS = 45
_ASIDE = frozenset({START, EXIT, OTHER})
_WIDE_MARGIN = {"l": 8, "r": 8, "t": 12, "b": 12}
_ABOVE_THE_LAST = {
    "xref": "paper",
    "yref": "paper",
    "x": 1,
    "y": 1,
    "xanchor": "right",
    "yanchor": "bottom",
    "showarrow": False,
}


@dataclass(frozen=True)
class ForestRow:
    """A row of a forest plot: its mark (a plotly symbol) and colour, the ratio with its interval, and what it says."""

    name: str
    ratio: float
    low: float
    high: float
    symbol: str
    colour: str
    says: str


@dataclass(frozen=True)
class RankRow:
    """A row of a chart of ranks: its rank, the best and the worst that it may have as well, and what it says."""

    name: str
    rank: int
    low: int
    high: int
    says: str


@dataclass(frozen=True)
class TrendLine:
    """A line over days: a share a day (None where there is none), with what is said of each.

    One that is `faint` stands back: thinner, behind the others, without marks.
    """

    name: str
    shares: tuple[float | None, ...]
    notes: tuple[str, ...]
    colour: str
    dash: str = "solid"
    is_faint: bool = False


_MODELS = {
    "first": "First touch",
    "last": "Last touch",
    "last_non_direct": "Last non-direct",
    "linear": "Linear",
    "time_decay": "Time decay",
    "position": "Position-based",
}


def model_name(model: str) -> str:
    """Return the reader's name of an attribution model."""
    return _MODELS.get(model) or model.replace("_", " ").capitalize()


def plotly_script() -> str:
    """Return plotly's own script, from its wheel."""
    return str(get_plotlyjs())


def funnel_figure(result: FunnelResult) -> Figure:
    """Draw one bar per step, as wide as its count, labelled with the count and its share of the first step."""
    rows = list(range(len(result.steps)))
    figure = go.Figure(
        go.Funnel(
            y=rows,
            x=[step.count for step in result.steps],
            text=[
                f"<b>{wording.short_count(step.count)}</b><br>{wording.share(step.from_first)}" for step in result.steps
            ],
            textinfo="text",
            textposition="auto",
            textangle=0,
            constraintext="none",
            cliponaxis=False,
            insidetextfont={"color": "var(--on-accent)"},
            outsidetextfont={"color": "var(--ink)"},
            marker={"color": "var(--accent)"},
            connector={"fillcolor": "var(--accent-soft)", "line": {"width": 0}},
            customdata=[
                [
                    _text(step.step),
                    wording.share(step.from_previous),
                    wording.elapsed(step.seconds_median),
                    wording.count(step.count),
                ]
                for step in result.steps
            ],
            hovertemplate=(
                "<b>%{customdata[0]}</b><br>%{customdata[3]}: %{customdata[1]} of the step before<br>"
                "median time from the first step: %{customdata[2]}<extra></extra>"
            ),
        )
    )
    labels = [f"{row + 1}  {_label(step.step)}" for row, step in enumerate(result.steps)]
    return _finish(
        figure,
        _rows_axis(labels),
        height=16 + 56 * len(rows),
        xaxis={"visible": False},
        margin={"l": 8, "r": 20, "t": 8, "b": 8},
    )


def credit_figure(models: Sequence[str], shares: Mapping[str, Mapping[str, float]]) -> Figure:
    """Draw one row per touchpoint with a mark per model, and a band over the models' whole range.

    Within a row each model has its own height, so that models that agree do not hide each other.

    Args:
        models: The models, in the order of the legend.
        shares: Touchpoint → model → share of all conversions (0 to 1), in the order of the rows.
    """
    touchpoints = list(shares)
    figure = go.Figure()
    for index, model in enumerate(models):
        offset = _ROW_SPREAD * (index - (len(models) - 1) / 2) / len(models)
        figure.add_scatter(
            x=[of[model] for of in shares.values()],
            y=[row + offset for row in range(len(touchpoints))],
            name=_text(model_name(model)),
            mode="markers",
            marker={
                "size": 9,
                "symbol": SYMBOLS[index % len(SYMBOLS)],
                "color": f"var(--series-{index % len(SYMBOLS) + 1})",
                "line": {"color": "var(--surface)", "width": 1},
            },
            customdata=[[_text(name), wording.share(of[model])] for name, of in shares.items()],
            hovertemplate="<b>%{customdata[0]}</b><br>%{fullData.name}: %{customdata[1]}<extra></extra>",
        )
    highest = max((value for of in shares.values() for value in of.values()), default=0.0)
    return _finish(
        figure,
        _rows_axis([_label(name) for name in touchpoints], grid=True),
        height=40 + 56 * len(touchpoints),
        xaxis=_value_axis(
            range=[-0.04 * highest, 1.06 * highest],
            tickformat=".0%" if highest >= _WHOLE_PERCENT_TICKS else ".1%",
        ),
        shapes=[
            {
                "type": "rect",
                "layer": "below",
                "x0": min(of.values()),
                "x1": max(of.values()),
                "y0": row - _BAND,
                "y1": row + _BAND,
                "fillcolor": "var(--raised)",
                "line": {"width": 0},
            }
            for row, of in enumerate(shares.values())
        ],
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
    )


def channel_figure(channels: Sequence[ChannelSessions]) -> Figure:
    """Draw one bar per channel group: engaged sessions, then the others."""
    figure = go.Figure()
    for name, colour, values in (
        ("Engaged sessions", "var(--accent)", [row.engaged_sessions for row in channels]),
        ("Other sessions", "var(--accent-soft)", [row.sessions - row.engaged_sessions for row in channels]),
    ):
        figure.add_bar(
            x=values,
            y=list(range(len(channels))),
            orientation="h",
            name=name,
            marker={"color": colour, "line": {"width": 0}},
            customdata=[
                [_text(row.channel_group), wording.count(value)] for row, value in zip(channels, values, strict=True)
            ],
            hovertemplate="<b>%{customdata[0]}</b><br>%{fullData.name}: %{customdata[1]}<extra></extra>",
        )
    return _finish(
        figure,
        _rows_axis([_label(row.channel_group) for row in channels]),
        height=44 + 30 * len(channels),
        xaxis=_value_axis(rangemode="tozero", nticks=5, tickformat=",d"),
        barmode="stack",
        bargap=0.3,
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
    )


def forest_figure(rows: Sequence[ForestRow], band: tuple[float, float, float] | None) -> Figure:
    """Draw a ratio with its interval a row, on a scale on which twice as often is as far from 1 as half as often.

    Args:
        rows: What is drawn, the first on top.
        band: A ratio that means nothing, and where 95% of such ratios lie; None where that is not known.
    """
    numbers = [value for row in rows for value in (row.low, row.ratio, row.high)] + list(band or ()) + [1.0]
    low, high = math.log10(min(numbers)), math.log10(max(numbers))
    room = 0.06 * (high - low)
    figure = go.Figure(
        go.Scatter(
            x=[math.log10(row.ratio) for row in rows],
            y=list(range(len(rows))),
            mode="markers",
            marker={
                "size": 10,
                "symbol": [row.symbol for row in rows],
                "color": [row.colour for row in rows],
                "line": {"color": "var(--surface)", "width": 1},
            },
            customdata=[
                [_text(row.name), wording.times(row.ratio), wording.times(row.low), wording.times(row.high), row.says]
                for row in rows
            ],
            hovertemplate=(
                "<b>%{customdata[0]}</b><br>%{customdata[1]} times (%{customdata[2]} to %{customdata[3]})<br>"
                "%{customdata[4]}<extra></extra>"
            ),
        )
    )
    intervals = [
        {
            "type": "line",
            "layer": "below",
            "x0": math.log10(row.low),
            "x1": math.log10(row.high),
            "y0": place,
            "y1": place,
            "line": {"color": row.colour, "width": 2},
        }
        for place, row in enumerate(rows)
    ]
    across = {"layer": "below", "yref": "paper", "y0": 0, "y1": 1}
    nothing = []
    if band is not None:
        middle, least, most = map(math.log10, band)
        nothing = [
            {"type": "rect", **across, "x0": least, "x1": most, "fillcolor": "var(--raised)", "line": {"width": 0}},
            {"type": "line", **across, "x0": middle, "x1": middle, "line": {"color": "var(--muted)", "dash": "dot"}},
        ]
    one = {"type": "line", **across, "x0": 0, "x1": 0, "line": {"color": "var(--line-strong)", "width": 1}}
    ticks = [tick for tick in _RATIO_TICKS if low - room <= math.log10(tick) <= high + room]
    ticks = ticks if len(ticks) <= _MOST_TICKS else [tick for tick in ticks if math.log10(tick).is_integer()]
    return _finish(
        figure,
        _rows_axis([_label(row.name) for row in rows]),
        height=56 + 32 * len(rows),
        xaxis=_value_axis(
            range=[low - room, high + room],
            tickmode="array",
            tickvals=[math.log10(tick) for tick in ticks],
            ticktext=[f"{tick:g}×" for tick in ticks],  # noqa: RUF001 - times
        ),
        shapes=[*nothing, one, *intervals],
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
    )


def rank_figure(rows: Sequence[RankRow]) -> Figure:
    """Draw a rank with its interval a row, the best rank on the left: rows whose lines overlap are tied.

    Args:
        rows: What is drawn, the first on top.
    """
    figure = go.Figure(
        go.Scatter(
            x=[row.rank for row in rows],
            y=list(range(len(rows))),
            mode="markers",
            marker={"size": 11, "color": "var(--accent)", "line": {"color": "var(--surface)", "width": 1}},
            customdata=[[_text(row.name), row.low, row.high, _text(row.says)] for row in rows],
            hovertemplate=(
                "<b>%{customdata[0]}</b><br>rank %{x} (%{customdata[1]} to %{customdata[2]})<br>"
                "%{customdata[3]}<extra></extra>"
            ),
        )
    )
    last = max((row.high for row in rows), default=1)
    return _finish(
        figure,
        _rows_axis([_label(row.name) for row in rows]),
        height=56 + 32 * len(rows),
        xaxis=_value_axis(
            range=[0.5, last + 0.5],
            tickmode="linear",
            tick0=1,
            dtick=1 if last <= _MOST_TICKS else _FIFTH,
            title={"text": "rank", "standoff": 8, "font": {"size": 13}},
        ),
        shapes=[
            {
                "type": "line",
                "layer": "below",
                "x0": row.low,
                "x1": row.high,
                "y0": place,
                "y1": place,
                "line": {"color": "var(--accent)", "width": 2},
            }
            for place, row in enumerate(rows)
        ],
        margin={"l": 8, "r": 12, "t": 8, "b": 8},
    )


def flow_figure(links: Sequence[tuple[int, str, str, int]]) -> Figure:
    """Draw journeys as bands from node to node, one column for each position (a Sankey diagram).

    Args:
        links: Position, node, node at the next position, journeys.
    """
    weights: dict[tuple[int, str], list[int]] = {}
    for position, start, end, journeys in links:
        weights.setdefault((position, start), [0, 0])[1] += journeys
        weights.setdefault((position + 1, end), [0, 0])[0] += journeys
    columns: dict[int, list[tuple[str, int]]] = {}
    for (position, name), both in weights.items():
        columns.setdefault(position, []).append((name, max(both)))
    for column in columns.values():
        column.sort(key=lambda node: (node[0] in _ASIDE, -node[1], node[0]))
    first, last = min(columns), max(columns)
    most = max(sum(weight for _, weight in column) for column in columns.values())
    gap = 0.06
    scale = min((1 - gap * (len(column) - 1)) / most for column in columns.values())
    places: dict[tuple[int, str], int] = {}
    names: list[str] = []
    xs: list[float] = []
    ys: list[float] = []
    for position in sorted(columns):
        at = 0.0
        for name, weight in columns[position]:
            places[position, name] = len(names)
            names.append(name)
            xs.append(min(max((position - first) / (last - first), 0.001), 0.999))
            ys.append(min(max(at + weight * scale / 2, 0.001), 0.999))
            at += weight * scale + gap
    # The name of a node that all come to stands above it: beside it, it would cover that of the node before.
    alone = places[last, columns[last][0][0]] if len(columns[last]) == 1 else None
    margin = _WIDE_MARGIN if alone is None else {**_WIDE_MARGIN, "t": 28}
    height = 140 + 60 * max(map(len, columns.values()))
    figure = go.Figure(
        go.Sankey(
            arrangement="fixed",
            node={
                "label": ["" if place == alone else _label(name) for place, name in enumerate(names)],
                "customdata": [_text(name) for name in names],
                "x": xs,
                "y": ys,
                "pad": gap
                * (height - margin["t"] - margin["b"]),  # plotly makes the nodes as high as it leaves room for
                "thickness": 12,
                "color": ["var(--line-strong)" if name in _ASIDE else "var(--accent)" for name in names],
                "line": {"width": 0},
                "hovertemplate": "<b>%{customdata}</b><br>%{value:,} journeys<extra></extra>",
            },
            link={
                "source": [places[position, start] for position, start, _, _ in links],
                "target": [places[position + 1, end] for position, _, end, _ in links],
                "value": [journeys for *_, journeys in links],
                "color": [
                    "var(--raised)" if _ASIDE & {start, end} else "var(--accent-soft)" for _, start, end, _ in links
                ],
                "hovertemplate": ("%{source.customdata} → %{target.customdata}<br>%{value:,} journeys<extra></extra>"),
            },
        )
    )
    return _finish(
        figure,
        {"visible": False},
        height=height,
        xaxis={"visible": False},
        margin=margin,
        annotations=[] if alone is None else [{**_ABOVE_THE_LAST, "text": _label(names[alone])}],
    )


def curve_figure(xs: Sequence[str], rates: Sequence[tuple[float, float, float]]) -> Figure:
    """Draw a share with its interval for each of some numbers of times.

    Args:
        xs: The numbers, as they are written below the axis.
        rates: The rate, and the ends of its interval (0 to 1).
    """
    figure = go.Figure(
        go.Scatter(
            x=list(range(len(xs))),
            y=[rate for rate, _, _ in rates],
            mode="lines+markers",
            line={"color": "var(--accent)", "width": 2},
            marker={"size": 7, "color": "var(--accent)"},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high - rate for rate, _, high in rates],
                "arrayminus": [rate - low for rate, low, _ in rates],
                "color": "var(--line-strong)",
                "thickness": 1.5,
                "width": 3,
            },
            customdata=[
                [_text(x), wording.share(rate), wording.share(low), wording.share(high)]
                for x, (rate, low, high) in zip(xs, rates, strict=True)
            ],
            hovertemplate=(
                "%{customdata[0]} times: %{customdata[1]} (%{customdata[2]} to %{customdata[3]})<extra></extra>"
            ),
        )
    )
    return _finish(
        figure,
        _share_axis(max((high for *_, high in rates), default=0.0)),
        height=300,
        xaxis={
            **_value_axis(showgrid=False),
            "tickmode": "array",
            "tickvals": list(range(len(xs))),
            "tickangle": 0,
            "ticktext": [
                # Plotly leaves out what does not fit, so the last one is short: `20+`.
                _text(x.replace(" or more", "+")) if _is_written(place, len(xs)) else ""
                for place, x in enumerate(xs)
            ],
        },
        margin={"l": 8, "r": 12, "t": 12, "b": 8},
    )


def _is_written(place: int, of: int) -> bool:
    """Whether a number has its label: of many, every fifth and the last, since a phone has no room for more."""
    if of <= _MOST_TICKS + 2:
        return True
    last = of - 1
    return place == last or (place % _FIFTH == 0 and last - place > _FIFTH // 2)


def calibration_figure(points: Sequence[tuple[float, float, float, float]]) -> Figure:
    """Draw what happened over what was foretold, with the line on which both are the same.

    Args:
        points: The share foretold, the share that happened, and the ends of its interval (0 to 1).
    """
    most = max(max(foretold, high) for foretold, _, _, high in points) or 1.0
    figure = go.Figure(
        go.Scatter(
            x=[foretold for foretold, *_ in points],
            y=[rate for _, rate, _, _ in points],
            mode="markers",
            marker={"size": 9, "color": "var(--accent)", "line": {"color": "var(--surface)", "width": 1}},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [high - rate for _, rate, _, high in points],
                "arrayminus": [rate - low for _, rate, low, _ in points],
                "color": "var(--line-strong)",
                "thickness": 1.5,
                "width": 3,
            },
            customdata=[
                [wording.share(foretold), wording.share(rate), wording.share(low), wording.share(high)]
                for foretold, rate, low, high in points
            ],
            hovertemplate=(
                "foretold %{customdata[0]}<br>happened %{customdata[1]} (%{customdata[2]} to %{customdata[3]})"
                "<extra></extra>"
            ),
        )
    )
    same = {"type": "line", "layer": "below", "x0": 0, "y0": 0, "x1": most, "y1": most}
    return _finish(
        figure,
        {**_share_axis(most), "range": [0, 1.06 * most]},
        height=320,
        xaxis={**_share_axis(most), "range": [0, 1.06 * most]},
        shapes=[{**same, "line": {"color": "var(--muted)", "dash": "dot", "width": 1}}],
        margin={"l": 8, "r": 16, "t": 12, "b": 8},
    )


def bar_figure(rows: Sequence[tuple[str, float, str]]) -> Figure:
    """Draw one bar a row: its name, its length, and what is written at its end."""
    figure = go.Figure(
        go.Bar(
            x=[value for _, value, _ in rows],
            y=list(range(len(rows))),
            orientation="h",
            marker={"color": "var(--accent)", "line": {"width": 0}},
            text=[_text(note) for *_, note in rows],
            textposition="outside",
            textfont={"color": "var(--ink)"},
            cliponaxis=False,
            customdata=[[_text(name), _text(note)] for name, _, note in rows],
            hovertemplate="<b>%{customdata[0]}</b><br>%{customdata[1]}<extra></extra>",
        )
    )
    most = max((value for _, value, _ in rows), default=0.0)
    return _finish(
        figure,
        _rows_axis([_label(name) for name, _, _ in rows]),
        height=24 + 34 * len(rows),
        xaxis={"visible": False, "fixedrange": True, "range": [0, 1.35 * most or 1]},
        bargap=0.35,
        margin={"l": 8, "r": 12, "t": 4, "b": 4},
    )


def line_figure(dates: Sequence[date], lines: Sequence[TrendLine]) -> Figure:
    """Draw shares by day as lines; a day without a share is a gap.

    Args:
        dates: The days, or the first days of weeks.
        lines: What is drawn over them.
    """
    figure = go.Figure()
    for line in lines:
        figure.add_scatter(
            x=[day.isoformat() for day in dates],
            y=list(line.shares),
            mode="lines+markers" if len(dates) <= _MARKED_DAYS and not line.is_faint else "lines",
            name=_text(line.name),
            connectgaps=False,
            opacity=0.6 if line.is_faint else 1,
            line={"color": line.colour, "width": 1 if line.is_faint else 2, "dash": line.dash},
            marker={"size": 5, "color": line.colour},
            customdata=[
                [wording.day(day), wording.share(share), _text(note)]
                for day, share, note in zip(dates, line.shares, line.notes, strict=True)
            ],
            hovertemplate="%{customdata[0]}<br>%{fullData.name}: %{customdata[1]}<br>%{customdata[2]}<extra></extra>",
        )
    highest = max((share for line in lines for share in line.shares if share is not None), default=0.0)
    return _finish(
        figure,
        _share_axis(highest),
        height=280,
        xaxis=_value_axis(type="date", showgrid=False, nticks=6, tickformat="%-d %b"),
        margin={"l": 8, "r": 16, "t": 12, "b": 8},
    )


def _share_axis(highest: float) -> dict[str, Any]:
    return {
        **_value_axis(rangemode="tozero", nticks=5),
        "tickformat": ".0%" if highest >= _WHOLE_PERCENT_TICKS else ".1%" if highest >= _TENTHS_TICKS else ".2%",
    }


def _text(value: str) -> str:
    """Escape a name for plotly, which reads a little HTML in every text it draws."""
    return html.escape(value, quote=False)


def _label(value: str) -> str:
    return _text(value if len(value) <= LABEL_LENGTH else f"{value[: LABEL_LENGTH - 1]}…")


def _rows_axis(labels: list[str], *, grid: bool = False) -> dict[str, Any]:
    return {
        "tickmode": "array",
        "tickvals": list(range(len(labels))),
        "ticktext": labels,
        "range": [len(labels) - 0.5, -0.5],
        "automargin": True,
        "fixedrange": True,
        "showgrid": grid,
        "gridcolor": "var(--line)",
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 6,
        "tickcolor": "rgba(0,0,0,0)",
        "color": "var(--ink)",
    }


def _value_axis(**options: object) -> dict[str, Any]:
    return {
        "fixedrange": True,
        "automargin": True,
        "gridcolor": "var(--line)",
        "zeroline": False,
        "nticks": 6,
        "color": "var(--muted)",
        **options,
    }


def _finish(figure: Any, yaxis: dict[str, Any], *, height: int, **layout: object) -> Figure:  # noqa: ANN401 - plotly ships no types
    figure.update_layout(
        **{
            "template": "none",
            "yaxis": yaxis,
            "height": height,
            "autosize": True,
            "dragmode": False,
            "showlegend": False,
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": _FONT, "size": 13, "color": "var(--ink)"},
            "hoverlabel": {
                "bgcolor": "var(--surface)",
                "bordercolor": "var(--line-strong)",
                "font": {"family": _FONT, "size": 13, "color": "var(--ink)"},
                "align": "left",
            },
            "separators": ".,",
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            **layout,
        }
    )
    plain: Figure = json.loads(figure.to_json())
    return plain
