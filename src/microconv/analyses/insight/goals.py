"""What `--goal` means: an entry, or for each entry the next stage of the journey."""

from __future__ import annotations

from microconv.taxonomy import Taxonomy
from microconv.taxonomy.entry import STAGES

NEXT_STAGE = "next_stage"
"""The goal that is another one for each entry: whatever comes first of a later stage."""


def entries_before(goal: str, taxonomy: Taxonomy) -> list[str]:
    """Return what may go before a goal: all that is staged, but the goal itself, in the order of the taxonomy."""
    return [each for each in staged_entries(taxonomy) if each != goal]


def staged_entries(taxonomy: Taxonomy) -> list[str]:
    """Return the ids under which occurrences are staged, in the order of the taxonomy."""
    return sorted({each.counts_as for each in taxonomy.entries}, key=taxonomy.rank)


def small_steps(goals: set[str], taxonomy: Taxonomy) -> list[str]:
    """Return what shows that somebody is active and no more: early entries that are neither goals nor hesitation."""
    early = STAGES[:2]
    return [
        each
        for each in staged_entries(taxonomy)
        if each not in goals and taxonomy.entry(each).stage in early and not taxonomy.entry(each).is_hesitation
    ]


def next_stages(taxonomy: Taxonomy) -> list[tuple[list[str], list[str]]]:
    """Return pairs: entries of a stage, and whatever lies in a later one, hesitation left out."""
    staged = [(each, taxonomy.entry(each)) for each in staged_entries(taxonomy)]
    found = []
    for place, stage in enumerate(STAGES):
        entries = [name for name, entry in staged if entry.stage == stage and entry.kind != "macro"]
        later = [
            name
            for name, entry in staged
            if not entry.is_hesitation
            and (STAGES.index(entry.stage) > place or (entry.stage == stage and entry.kind == "macro"))
            and entry.stage != "post_sale"
        ]
        if entries and later:
            found.append((entries, later))
    return found


def steps_up_to(goal: str, taxonomy: Taxonomy) -> list[str]:
    """Return the milestones and macros up to a goal, which comes last."""
    before = [
        each
        for each in staged_entries(taxonomy)
        if taxonomy.entry(each).kind != "secondary"
        and not taxonomy.entry(each).is_hesitation
        and taxonomy.rank(each) < taxonomy.rank(goal)
    ]
    return [*before, goal]


def milestones_before(goal: str, taxonomy: Taxonomy) -> list[str]:
    """Return the milestones on the way to a goal, in the order of the journey."""
    return [each for each in steps_up_to(goal, taxonomy)[:-1] if taxonomy.entry(each).kind == "milestone"]


def can_be_invited_to(entry: str, taxonomy: Taxonomy) -> bool:
    """Whether people can do an entry of themselves before they have decided, so that inviting them to it makes sense.

    It is a single act, not what is seen from others; of the stage awareness or consideration; and not one that shows
    commitment or loyalty: who logs in to pay has decided.
    """
    asked = taxonomy.entry(entry)
    return (
        asked.is_observed
        and asked.kind == "secondary"
        and not asked.is_hesitation
        and asked.stage in STAGES[:2]
        and asked.mindset not in ("commitment", "loyalty")
    )
