"""`microconv funnel`: every question about a funnel of the configuration, or about one made on the spot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import click

from microconv.cli.answers import Wanted, answer, answer_options, assumptions, changed_section, section_of
from microconv.cli.context import Context
from microconv.cli.funnel_views import View
from microconv.errors import UsageError

if TYPE_CHECKING:
    from microconv.analyses.funnels import Selection
    from microconv.analyses.funnels.trend import Grain
    from microconv.config.sections import FunnelConfig
    from microconv.project import Project


AD_HOC = "ad_hoc"
"""What a funnel made on the spot is called."""

_TOP = 10


@click.command("funnel", short_help="Count a funnel, and ask more about it.")
@click.argument("name", required=False)
@click.option("--steps", metavar="A,B|C,D?", help="Steps instead of NAME: | is any of several, ? optional.")
@click.option("--order", type=click.Choice(["ordered", "strict", "unordered"]), help="How steps may follow each other.")
@click.option("--entry", type=click.Choice(["closed", "open"]), help="Whether to begin at the first step, or at any.")
@click.option("--window", metavar="TIME", help="From the first step to the last, such as 7d.")
@click.option("--step-window", metavar="TIME", help="From each step to the next, instead of --window.")
@click.option("--count", type=click.Choice(["actors", "attempts", "sessions"]), help="What is counted.")
@click.option("--hold", multiple=True, metavar="PROPERTY", help="Stays the same all the way; repeatable.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="First day of starts.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Last day of starts.")
@click.option("--segment", metavar="NAME", help="Only actors of this segment.")
@click.option("--by", metavar="PROPERTY", help="Break down: channel_group, actor.country, page@first, item_id@2 …")
@click.option("--top", type=click.IntRange(1), help="Most values to tell apart with --by or --drop-off.  [default: 10]")
@click.option("--trend", type=click.Choice(["day", "week"]), help="Follow by the day or week of the start.")
@click.option("--times", is_flag=True, help="Measure the time between steps.")
@click.option("--drop-off", is_flag=True, help="Show what those did next who were lost after each step.")
@click.option("--against", metavar="SELECTION", help="Compare with a segment, or with days: 2024-02-01..2024-02-29.")
@answer_options
@click.pass_obj
def funnel(
    context: Context,
    /,
    *,
    name: str | None,
    steps: str | None,
    since: datetime | None,
    until: datetime | None,
    segment: str | None,
    by: str | None,
    top: int | None,
    trend: Grain | None,
    times: bool,
    drop_off: bool,
    against: str | None,
    wanted: Wanted,
    **changed: Any,  # noqa: ANN401 - keys of a funnel, as Click gives them
) -> None:
    """Count the funnel NAME of the configuration, or the steps given; options change its keys for this once.

    Any occurrence of the first step may start it; the window counts from there, inclusive. Times are medians since
    the first step. One of --by, --trend, --times, --drop-off and --against asks something else about it.

    \b
    Examples:
      microconv funnel purchase_journey
      microconv funnel purchase_journey --count sessions --chart
      microconv funnel --steps "view_item,add_to_cart|add_to_wishlist,begin_checkout?,purchase" --window 1d
      microconv funnel purchase_journey --by device_category --top 3
      microconv funnel purchase_journey --since 2024-03-01 --until 2024-03-31 --against 2024-02-01..2024-02-29
      microconv funnel purchase_journey --drop-off --format csv
    """  # noqa: D301 - \b is Click's own mark for lines kept as they are
    from microconv.analyses.funnels import Selection

    asked = _Question(by, trend, times, drop_off, against, top)
    with context.project() as project:
        config = _config(project, name, steps, changed)
        selection = Selection(
            since=since.date() if since else None,
            until=until.date() if until else None,
            segment=project.segment_config(segment) if segment else None,
        )
        view = _asked(project, config, selection, asked)
        days = {"since": selection.since, "until": selection.until, "segment": segment}
        answer(
            context,
            project,
            view.result,
            wanted,
            question={**config.model_dump(mode="json"), **days, **asdict(asked)},
            tables=lambda: [*view.tables(), view.result.sentence, assumptions(view.result)],
            bars=view.bars,
        )


@dataclass(frozen=True)
class _Question:
    """What is asked beside the count of each step: at most one thing.

    Raises:
        UsageError: It is more.
    """

    by: str | None
    trend: Grain | None
    times: bool
    drop_off: bool
    against: str | None
    top: int | None

    def __post_init__(self) -> None:
        asked = [name for name in ("by", "trend", "times", "drop_off", "against") if getattr(self, name)]
        if len(asked) > 1:
            options = " and ".join(f"--{name.replace('_', '-')}" for name in asked)
            raise UsageError(f"{options} are different questions.", hint="Ask one, then the other.")
        if self.top and not (self.by or self.drop_off):
            raise UsageError("--top goes with --by or --drop-off.", hint="Leave it out.")


def _asked(project: Project, config: FunnelConfig, selection: Selection, question: _Question) -> View:
    """Ask, and return the view of the result."""
    from microconv.analyses.funnels.breakdown import Breakdown
    from microconv.cli import funnel_views as views

    funnels, top = project.funnels, question.top or _TOP
    if question.by:
        return views.BreakdownView(funnels.breakdown(config, Breakdown.parse(question.by), selection, top=top))
    if question.trend:
        return views.TrendView(funnels.trend(config, selection, grain=question.trend))
    if question.times:
        return views.TimesView(funnels.times(config, selection))
    if question.drop_off:
        return views.DropOffView(funnels.drop_off(config, selection, top=top))
    if question.against:
        other = _other(project, selection, question.against)
        found = funnels.compare(config, selection, other, name_a=_named(selection), name_b=_named(other))
        return views.ComparisonView(found)
    return views.StepsView(funnels.count(config, selection))


def _other(project: Project, selection: Selection, against: str) -> Selection:
    """Read `--against`: days, or the name of a segment; what it does not say is as on the first side."""
    first, dots, last = against.partition("..")
    if not dots:
        return replace(selection, segment=project.segment_config(against))
    try:
        days = [date.fromisoformat(day) for day in (first, last)]
    except ValueError:
        raise UsageError(
            f"--against {against!r} is neither two days nor a segment.",
            hint="Write days as in 2024-02-01..2024-02-29.",
        ) from None
    return replace(selection, since=days[0], until=days[1])


def _named(selection: Selection) -> str:
    """Say which starts a selection takes."""
    days = f"{selection.since or 'first day'} to {selection.until or 'last day'}"
    parts = [selection.segment.name] if selection.segment else []
    return ", ".join([*parts, *([days] if selection.since or selection.until else [])]) or "everybody"


def _config(project: Project, name: str | None, steps: str | None, changed: Mapping[str, Any]) -> FunnelConfig:
    """Return the funnel that is asked: one of the configuration or one of these steps, with some keys changed."""
    from microconv.config.sections import FunnelConfig

    if (name is None) == (steps is None):
        known = ", ".join(each.name for each in project.config.funnels) or "none"
        raise UsageError(
            "A funnel is asked for by its name, or by its steps.",
            hint=f"Give NAME (the configuration has: {known}) or --steps, one of the two.",
        )
    if steps is None:
        asked = project.funnels.find(name or "")
    else:
        asked = section_of(FunnelConfig, {"name": AD_HOC, "steps": [_step(text.strip()) for text in steps.split(",")]})
    return changed_section(asked, changed, drop=("window", "step_window"))


def _step(text: str) -> dict[str, Any]:
    return {"did": text.removesuffix("?").split("|"), "optional": text.endswith("?")}
