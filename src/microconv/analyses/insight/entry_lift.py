"""What one entry goes with: its figures, what may be said of them, and the sentence that says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from microconv import wording
from microconv.analyses.insight.banded import FEWEST_A_SIDE, Banded
from microconv.analyses.insight.buyers import not_enough
from microconv.analyses.insight.evidence import LEVEL
from microconv.analyses.insight.placebos import NO_BAND, PlaceboBand
from microconv.analyses.insight.tested_entries import ExperimentRecord
from microconv.result import column
from microconv.stats.multiplicity import adjusted
from microconv.stats.ratios import ExposedEvents, Ratio, e_value, ratio_of
from microconv.stats.shrinkage import common, shrunken

MORE, FEWER = "goes with more", "goes with fewer"
CHANCE, NOTHING_MORE, LESS = "may be chance", "no more than any small step", "less than any small step"
ON_PATH, NO_TARGETS, NOBODY_ALIKE = "on the path", "nobody came to it after", "nobody alike to compare with"


@dataclass(frozen=True)
class EntryLift:
    """What one entry goes with.

    Attributes:
        micro_conversion: The entry.
        context: What the actors are like, with `by`; else empty.
        goal: What is counted after it.
        tier: `experimental` (an experiment tested it), `adjusted` (among like actors) or `observed`.
        verdict: What may be said of it, in words.
        ratio: The rate of the goal after the entry over that without it, by Mantel and Haenszel over bands of time;
            None where it cannot be told. `low` to `high` is its 95% interval.
        beyond: An adjusted ratio over that of a small step picked by chance; `beyond_low` to `beyond_high` is its 95%
            interval, by which the verdict is given.
        is_among_placebos: Whether the ratio is one that a small step picked by chance could have.
        shrunken: The ratio (or `beyond`), drawn to that of all entries: the one to rank by.
        p_value: Of nothing there, corrected over all entries.
        observed: The ratio among all actors, whatever they are like.
        exposed: Actors who did it before the goal; `exposed_targets` of them came to the goal after it.
        other_targets: Actors who came to the goal without it.
        exposed_rate: Actors who came to the goal per 1,000 days of actors who had done it; `other_rate`, who had not.
        lag_targets: Actors who came to the goal within moments of it: they count on neither side.
        landmark: The ratio that only looks at what was done in the first day, from the second on.
        weeks: In how many of the weeks in which actors began, with enough to tell, the observed ratio lies on the same
            side of 1.
        before_data: The ratio among actors whose history began before the data.
        e_value: How strongly something that is not known would have to go with both to explain away what an adjusted
            ratio is beyond; `e_value_low`: to explain away that it is sure to be beyond 1. Only where a lift is told.
        unlike: What still differs most between those who did it and like actors who did not, where they are not alike;
            only of the adjusted tier, without `by`.
        says: What it says, and what it does not.
    """

    micro_conversion: str = column("micro-conversion")
    context: str = column("context")
    goal: str = column("goal")
    tier: str = column("evidence")
    verdict: str = column("so")
    ratio: float | None = column("ratio", wording.times)
    low: float | None = column("from", wording.times)
    high: float | None = column("to", wording.times)
    beyond: float | None = column("beyond any step", wording.times)
    beyond_low: float | None = column("beyond from", wording.times)
    beyond_high: float | None = column("beyond to", wording.times)
    is_among_placebos: bool | None = column("among placebos")
    shrunken: float | None = column("shrunken", wording.times)
    p_value: float | None = column("p", wording.p_value)
    observed: float | None = column("observed", wording.times)
    exposed: int = column("did it", wording.count)
    exposed_targets: int = column("goal after it", wording.count)
    other_targets: int = column("goal without", wording.count)
    exposed_rate: float | None = column("rate after it", wording.cents)
    other_rate: float | None = column("rate without", wording.cents)
    lag_targets: int = column("within moments", wording.count)
    landmark: float | None = column("by the first day", wording.times)
    weeks: str = column("weeks alike")
    before_data: float | None = column("began before", wording.times)
    e_value: float | None = column("E-value", wording.times)
    e_value_low: float | None = column("of its interval", wording.times)
    unlike: str = column("not alike in")
    says: str = column("says")


class EntryEstimate(NamedTuple):
    """What there is to judge an entry by."""

    ratio: Ratio
    after: ExposedEvents


def row_of(found: Banded, name: str, context: str, goal: str, tier: str) -> EntryLift:
    """Return the row of an entry with what is counted of it; what is judged comes when all are known."""
    verdict = ""
    if found.is_thin:
        lacking = found.exposed if found.exposed < FEWEST_A_SIDE else found.targets
        verdict = not_enough(lacking)
    elif found.is_on_path:
        verdict = ON_PATH
    elif found.exposed_targets == 0:
        verdict = NO_TARGETS
    return EntryLift(
        name,
        context,
        goal,
        tier,
        verdict,
        *(None,) * 9,
        observed=None,
        exposed=found.exposed,
        exposed_targets=found.exposed_targets,
        other_targets=found.other_targets,
        exposed_rate=None if not found.exposed_days else 1_000 * found.exposed_targets / found.exposed_days,
        other_rate=None if not found.other_days else 1_000 * found.other_targets / found.other_days,
        lag_targets=found.lag_targets,
        landmark=None,
        weeks="",
        before_data=None,
        e_value=None,
        e_value_low=None,
        unlike="",
        says="",
    )


def judged_rows(
    rows: Sequence[EntryLift],
    estimates: Sequence[EntryEstimate | None],
    band: PlaceboBand | None,
    correction: Literal["by", "bh"],
) -> list[EntryLift]:
    """Say what may be said of each: against a ratio of 1, or against what a step picked by chance shows."""
    nothing = NO_BAND if band is None else band
    beyond = {place: nothing.beyond(each.ratio) for place, each in enumerate(estimates) if each is not None}
    p_values = [
        # Few events are surer by the error of a logarithm than they are.
        max(math.erfc(abs(each.value) / each.error / math.sqrt(2)), estimate.after.p_value(nothing.ratio))
        for place, each in beyond.items()
        if (estimate := estimates[place]) is not None
    ]
    corrected = dict(zip(beyond, adjusted(p_values, correction), strict=True))
    of_all = common(list(beyond.values()))
    found = []
    for place, (row, estimate) in enumerate(zip(rows, estimates, strict=True)):
        if estimate is None or of_all is None:
            verdict = row.verdict or (NOBODY_ALIKE if row.tier == "adjusted" else NO_TARGETS)
            found.append(replace(row, verdict=verdict, says=f"{row.micro_conversion}: {verdict}."))
            continue
        ratio, own = estimate.ratio, ratio_of(math.exp(beyond[place].value), beyond[place].error)
        inside = None if band is None else band.holds(ratio)
        verdict = verdict_of(
            ratio, beyond[place].value, corrected[place], is_among_placebos=inside, observed=row.observed
        )
        hidden = e_value(own) if row.tier == "adjusted" and verdict in (MORE, FEWER) else None
        judged = replace(
            row,
            verdict=verdict,
            ratio=ratio.ratio,
            low=ratio.low,
            high=ratio.high,
            beyond=None if band is None else own.ratio,
            beyond_low=None if band is None else own.low,
            beyond_high=None if band is None else own.high,
            is_among_placebos=inside,
            shrunken=math.exp(shrunken(beyond[place], of_all).value),
            p_value=corrected[place],
            e_value=None if hidden is None else hidden.high,
            e_value_low=None if hidden is None else hidden.low,
        )
        found.append(replace(judged, says=says_of(judged, band)))
    return found


def experimental(row: EntryLift, record: ExperimentRecord | None) -> EntryLift:
    """Give an entry that an experiment tested what that showed, in place of what goes together; `observed` stays."""
    ratio = None if record is None else record.tested_ratio
    if record is None or ratio is None:
        return row
    so = (
        f"Chance decided who saw it, so the variant, which brings about {row.micro_conversion}, is the cause."
        if record.is_told
        else f"That may be chance: p = {wording.p_value(record.goal_p)}, corrected for all metrics."
    )
    return replace(
        row,
        tier="experimental",
        verdict=CHANCE if not record.is_told else MORE if ratio.low > 1 else FEWER,
        ratio=ratio.ratio,
        low=ratio.low,
        high=ratio.high,
        beyond=None,
        beyond_low=None,
        beyond_high=None,
        shrunken=ratio.ratio,
        p_value=ratio.p_value,
        e_value=None,
        e_value_low=None,
        says=(
            f"Experiment {record.experiment}: actors who saw {record.variant} came to {row.goal} "
            f"{wording.times(ratio.ratio)} times as often as those who saw {record.control} (interval: "
            f"{wording.times(ratio.low)} to {wording.times(ratio.high)}). {so}"
        ),
    )


def verdict_of(
    ratio: Ratio, beyond: float, p_value: float, *, is_among_placebos: bool | None, observed: float | None = None
) -> str:
    """Say what a ratio comes to.

    Args:
        ratio: The ratio with its interval.
        beyond: The logarithm of the ratio over that of a step picked by chance, or over 1.
        p_value: Of nothing there, corrected.
        is_among_placebos: Whether a step picked by chance could have it; None where it is not held against any.
        observed: The ratio among all actors. Who did as much without the entry did something else in its place: beside
            steps of the way, one that does nothing seems to do harm. Fewer is said only where all of them agree.
    """
    if is_among_placebos:
        return NOTHING_MORE
    if p_value > LEVEL:
        return CHANCE
    if beyond > 0:
        return MORE
    return FEWER if ratio.high < 1 and (observed is None or observed < 1) else LESS


def says_of(row: EntryLift, band: PlaceboBand | None) -> str:
    """Say in a sentence or two what the figures of an entry say, and what they do not."""
    who = f"Among actors with {row.context}, those" if row.context else "Actors"
    others = "like actors" if row.tier == "adjusted" else "others"
    placebos = ""
    if band is not None:
        placebos = f"; small steps picked by chance: {wording.times(band.low)} to {wording.times(band.high)}"
    told = (
        f"{who} who did {row.micro_conversion} came to {row.goal} {wording.times(row.ratio)} times as often after it "
        f"as {others} without it (95% interval: {wording.times(row.low)} to {wording.times(row.high)}{placebos})."
    )
    if row.verdict == CHANCE:
        return f"{told} That may be chance: p = {wording.p_value(row.p_value)}, corrected for all entries."
    if row.verdict in (NOTHING_MORE, LESS):
        return f"{told} That is {row.verdict}."
    reserve = f" They are not quite alike, though: most in {row.unlike}." if row.unlike else ""
    return f"{told}{reserve} It goes together; whether it causes it, only an experiment tells."
