"""What a funnel says in words: one sentence on what came out, and what its figures rest on."""

from __future__ import annotations

from collections.abc import Sequence

from microconv.analyses.funnels.machine import Selection
from microconv.analyses.funnels.results import FunnelStep
from microconv.config.sections import Count, FunnelConfig

_ORDERS = {
    "ordered": "Each step follows the one before; anything may happen in between.",
    "strict": "Each step follows the one before; in between, no event meets a step other than these two.",
    "unordered": "Steps come in any order; each is taken by another event.",
}
_ATTEMPTS = {
    "closed": "Every occurrence of the first step starts an attempt; what follows belongs to the latest one it can.",
    "open": "Every step not taken on the way from an earlier one starts an attempt; what follows belongs to the one "
    "that came in at the earliest step, and of those to the latest.",
}


def counted(count: Count, number: int) -> str:
    """Write a number of what is counted: `1 actor`, `2,000 sessions`."""
    return f"{number:,} {count.removesuffix('s') if number == 1 else count}"


def sentence(config: FunnelConfig, steps: Sequence[FunnelStep]) -> str:
    """Say how many came through."""
    first, last = steps[0], steps[-1]
    if not any(step.count for step in steps):
        return f"No {config.count.removesuffix('s')} took any step of the funnel {config.name}."
    if config.entry == "open":
        through = f"{last.continued or 0:,} of them on the way from an earlier step"
        return f"{counted(config.count, last.count)} took {last.step}, {through}."
    if not first.count:
        return f"No {config.count.removesuffix('s')} took the first step of the funnel {config.name}, {first.step}."
    way = f"took all {len(steps)} steps" if config.order == "unordered" else f"went from {first.step} to {last.step}"
    time = f"within {config.window}" if config.whole_window else f"with at most {config.step_window} from step to step"
    return f"{last.count:,} of {counted(config.count, first.count)} ({last.count / first.count:.1%}) {way} {time}."


def assumptions(config: FunnelConfig, selection: Selection) -> tuple[str, ...]:
    """Say what the figures rest on."""
    said = [_ORDERS[config.order]]
    if config.order != "unordered":
        said.append("A path may begin at any step." if config.entry == "open" else "A path begins at the first step.")
        said.append("An event takes one step; of several ways to a step, the one that began last counts.")
    said.append(
        f"The last step of a path lies within {_time(config)}, inclusive."
        if config.whole_window
        else f"Each step lies within {_time(config)}, inclusive."
    )
    if config.count == "attempts":
        said.append(_ATTEMPTS[config.entry])
    else:
        said.append(f"Each {config.count.removesuffix('s')} counts once in a step, whichever of its attempts took it.")
    if config.hold:
        names = " and ".join(config.hold)
        said.append(
            f"{names} stay the same along a path; occurrences without take no part."
            if len(config.hold) > 1
            else f"{names} stays the same along a path; occurrences without it take no part."
        )
    said += [
        f"{exclusion.label} may not come between step {first} and step {last}."
        for exclusion in config.exclude
        for first, last in [exclusion.between or (1, len(config.steps))]
    ]
    if selection.since or selection.until:
        begin, end = selection.since or "the first staged day", selection.until or "the last staged day"
        said.append(f"Paths begin from {begin} to {end}; later steps may lie after that.")
    if selection.segment is not None:
        moment = f" as of {selection.as_of:%Y-%m-%d %H:%M} UTC" if selection.as_of else ""
        said.append(f"Only actors of the segment {selection.segment.name}{moment} count.")
    said.append("Occurrences with the same transaction id count once, at the earliest.")
    return tuple(said)


def _time(config: FunnelConfig) -> str:
    return f"{config.window} of the first" if config.whole_window else f"{config.step_window} of the step before"
