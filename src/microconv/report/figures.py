"""Plotly figures from results, as plain JSON data.

Colours are written as CSS variables (`var(--accent)`): the page's script puts in the values of the reader's theme,
light, dark or print. Positions are numbers and names only labels, so a step that is named twice stays two steps.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from microconv import wording
from microconv.analyses.channels import ChannelSessions
from microconv.analyses.funnels.counts import FunnelResult

Figure = dict[str, Any]
"""A plotly figure as JSON data: `data` and `layout`, NaN as null."""

LABEL_LENGTH = 20
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star", "hexagon")
"""Marks of the models, in order; `partials/macros.html.j2` draws the same ones in the legend."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_ROW_SPREAD = 0.75
_BAND = 0.44
_WHOLE_PERCENT_TICKS = 0.1


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
