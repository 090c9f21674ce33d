"""Funnels on the page: who takes each step, where they are lost and what they do next, how long it takes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from microconv import wording
from microconv.analyses.funnels.comparison import FunnelComparisonResult
from microconv.analyses.funnels.counts import FunnelResult
from microconv.analyses.funnels.drop_off import FunnelDropOffResult
from microconv.analyses.funnels.times import FunnelTimesResult
from microconv.report.blocks import Block, Picture, Plot, Points, Said, Tabled, Titled
from microconv.report.data import ReportData
from microconv.report.figures import funnel_figure
from microconv.wording import Heading, Sheet

NEXT_SHOWN = 3
"""What came right after a step for those lost there: how many are shown."""


def funnel_blocks(data: ReportData) -> Iterator[Block]:
    """Yield each funnel."""
    for index, result in enumerate(data.results(FunnelResult), start=1):
        yield Titled(
            result.funnel.replace("_", " ").capitalize(),
            (
                *_funnel(index, result),
                *_against(result.funnel, data),
                *_losses(result.funnel, data),
                *([Points("Assumptions", result.assumptions)] if result.assumptions else []),
            ),
        )


def largest_loss(result: FunnelResult) -> tuple[str, str, int, int] | None:
    """Return the two steps between which most are lost, how many those are, and of how many; None where nobody is."""
    losses = [(before.count - step.count, before, step) for before, step in pairwise(result.steps)]
    lost, before, after = max(losses, key=lambda loss: loss[0], default=(0, None, None))
    return (before.step, after.step, lost, before.count) if lost > 0 and before and after else None


def _funnel(index: int, result: FunnelResult) -> Iterator[Block]:
    title, steps = result.funnel.replace("_", " ").capitalize(), result.steps
    if not any(step.count for step in steps):
        why = f" {steps[0].step}, its first step, was never reached." if steps else ""
        yield Said(f"No {result.unit} entered this funnel.{why}")
        return
    summary = result.sentence
    if loss := largest_loss(result):
        before, after, lost, of = loss
        summary += (
            f" Most are lost between {before} and {after}: "
            f"{wording.count(lost)} of {wording.count(of)} ({wording.share(lost / of)})."
        )
    yield Said(summary)
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
    yield Picture(Plot(f"funnel-{index}", label, funnel_figure(result)), table, is_beside=True)


def _losses(funnel: str, data: ReportData) -> Iterator[Block]:
    for lost in data.results(FunnelDropOffResult):
        if lost.funnel == funnel and any(step.lost for step in lost.steps):
            yield Tabled(_loss_table(lost), folded="Who is lost, and what they do next")
    for times in data.results(FunnelTimesResult):
        if times.funnel == funnel:
            yield from (
                Tabled(each, folded="How long each step takes") for each in times.sheets() if isinstance(each, Sheet)
            )


def _loss_table(result: FunnelDropOffResult) -> Sheet:
    """Return one row per step: who was lost after it, and what the most of them did right after."""
    nexts = {
        step.step: ", ".join(
            f"{each.next} ({wording.share(each.share)})"
            for each in [each for each in result.nexts if each.step == step.step and each.place == 1][:NEXT_SHOWN]
        )
        for step in result.steps
    }
    return Sheet(
        f"Lost after each step, {result.count}",
        (
            *(Heading("Last step taken"), Heading("Lost", wording.count), Heading("Left the session", wording.count)),
            *(Heading("Came back later", wording.count), Heading("Most did next")),
        ),
        tuple((step.step, step.lost, step.left_session, step.returned, nexts[step.step]) for step in result.steps),
    )


def _against(funnel: str, data: ReportData) -> Iterator[Block]:
    """Yield the same funnel in the days before, where they were asked for."""
    for compared in data.results(FunnelComparisonResult):
        if compared.funnel == funnel:
            yield Said(against_before(compared))
            yield from (Tabled(each, folded="Step by step against the days before") for each in compared.sheets())


def against_before(compared: FunnelComparisonResult) -> str:
    """Say how the share that comes to the last step compares with the days before: `a` is these, `b` the days now."""
    last = [row for row in compared.steps if row.share_of == "first"][-1:] or list(compared.steps[-1:])
    row = last[0] if last else None
    if row is None or row.difference is None or row.low is None or row.high is None:
        return f"{compared.funnel} cannot be held against the days before: too few began it."
    unit = compared.a.unit
    moved = "no more than chance may explain" if row.low <= 0 <= row.high else "more than chance alone explains"
    return (
        f"{wording.share(row.share_b)} of {unit}s that began {compared.funnel} came to {row.step}, against "
        f"{wording.share(row.share_a)} in the days before: {100 * row.difference:+.1f} points "
        f"(95% interval: {100 * row.low:+.1f} to {100 * row.high:+.1f}), {moved}."
    )
