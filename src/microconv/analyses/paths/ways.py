"""Paths: journeys by their most frequent sequences, by what follows what, and as a flow (`sql/analyses/path_*.sql`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from microconv.analyses.paths.question import PathsQuestion, page_of
from microconv.analyses.paths.results import PathLink, PathSequence, PathsResult, Transition
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.taxonomy import Taxonomy

MOST_STATES = 100
"""Nodes of the transition matrix beside `(other)`: a site has more pages than anybody reads rows."""


def paths(engine: Engine, question: PathsQuestion, taxonomy: Taxonomy) -> PathsResult:
    """Follow the journeys to or from a point, one of each unit: its first occurrence of the point.

    Sequences come most frequent first, then by their text; transitions by number, then by name; links by position, then
    by journeys, then by name.

    Args:
        engine: Where the staged tables are.
        question: The point, the units, the nodes and how much to show.
        taxonomy: The taxonomy the tables were staged with.

    Raises:
        TaxonomyError: The point or the goal is no micro-conversion of the taxonomy.
        EngineError: The engine failed.
    """
    sequences = engine.query(sequences_query(question, taxonomy)).to_pylist()
    journeys, conversions = (sequences[0][name] if sequences else 0 for name in ("all_journeys", "all_conversions"))
    transitions = engine.query(transitions_query(question, taxonomy)).to_pylist()
    links = engine.query(links_query(question, taxonomy)).to_pylist()
    shown = tuple(
        PathSequence(
            sequence=row["sequence"],
            journeys=row["journeys"],
            share=row["journeys"] / journeys,
            conversions=row["conversions"],
            seconds_median=row["seconds_median"],
        )
        for row in sequences
    )
    goal = _goal(question, taxonomy)
    return PathsResult(
        to=question.to,
        from_=question.from_,
        goal=goal,
        by=question.by,
        nodes=question.nodes,
        without=question.without,
        window_seconds=question.window.seconds,
        length=question.length,
        collapse=question.collapse,
        journeys=journeys,
        conversions=conversions,
        sequences=shown,
        transitions=_transitions(transitions),
        links=tuple(PathLink(**row) for row in links),
        sentence=_sentence(question, goal, journeys, conversions, shown),
        assumptions=_assumptions(question, goal),
    )


def sequences_query(question: PathsQuestion, taxonomy: Taxonomy) -> Query:
    """Return the query of the most frequent sequences; TaxonomyError when the taxonomy lacks the point or the goal."""
    return _query(
        "analyses/paths/sequences",
        question,
        taxonomy,
        {"furthest": _furthest(question), "goal": _goal(question, taxonomy), "most": question.top},
    )


def links_query(question: PathsQuestion, taxonomy: Taxonomy) -> Query:
    """Return the query of the flow; TaxonomyError when the taxonomy does not have the point."""
    return _query(
        "analyses/paths/links", question, taxonomy, {"furthest": _furthest(question), "most": question.max_nodes}
    )


def transitions_query(question: PathsQuestion, taxonomy: Taxonomy) -> Query:
    """Return the query of the transition matrix; TaxonomyError when the taxonomy does not have the point."""
    params: dict[str, Value] = {"most": MOST_STATES}
    if question.nodes == "micro_conversion":
        before, done = _milestones(taxonomy, _without(question, taxonomy))
        params |= {"milestones_before": before, "milestones_done": done}
    return _query("analyses/paths/transitions", question, taxonomy, params)


def _query(name: str, question: PathsQuestion, taxonomy: Taxonomy, params: dict[str, Value]) -> Query:
    params |= {"window_us": question.window.microseconds, "without": _without(question, taxonomy)}
    kind = None
    if question.point is not None:
        kind = "micro_conversion" if page_of(question.point) is None else "page"
        params["point"] = _node(question.point, taxonomy, named_by=f"paths {question.direction} {question.point}")
    if "micro_conversion" in (question.nodes, kind):
        params["micro_conversions"] = _ranked(taxonomy)
    leads = "to" if question.direction == "to" else "from"
    return templates.query(
        name,
        params=params,
        structure={
            "by": question.by,
            "nodes": question.nodes,
            "point": kind,
            "leads": leads,
            "collapse": question.collapse,
        },
    )


def _node(name: str, taxonomy: Taxonomy, *, named_by: str) -> str:
    """Return the node that a point or an exception is: a path, or the id that occurrences are staged with."""
    page = page_of(name)
    return taxonomy.counted_id(name, named_by=named_by) if page is None else page


def _without(question: PathsQuestion, taxonomy: Taxonomy) -> list[str]:
    return [_node(name, taxonomy, named_by="what paths leave out") for name in question.without]


def _goal(question: PathsQuestion, taxonomy: Taxonomy) -> str:
    return taxonomy.counted_id(question.goal or taxonomy.macros[0], named_by="the goal of paths")


def _furthest(question: PathsQuestion) -> int:
    """The most nodes between a node and the point, its own included: the point itself, if any, comes on top."""
    return question.length - (question.direction == "start")


def _ranked(taxonomy: Taxonomy) -> list[str]:
    """The ids that occurrences are counted under, in the order of the journey."""
    return sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)


def _milestones(taxonomy: Taxonomy, without: Sequence[str]) -> tuple[list[int], list[int]]:
    """Return, for each ranked id, the milestones that come before it and those done or passed over with it.

    Secondary entries lie beside the way and pass over nothing; what is left out cannot be passed over.
    """
    before, done, milestones = [], [], 0
    for entry_id in _ranked(taxonomy):
        kind = "secondary" if entry_id in without else taxonomy.entry(entry_id).kind
        before.append(0 if kind == "secondary" else milestones)
        milestones += kind == "milestone"
        done.append(0 if kind == "secondary" else milestones)
    return before, done


def _transitions(rows: Sequence[dict[str, Any]]) -> tuple[Transition, ...]:
    leaving: dict[str, int] = {}
    for row in rows:
        leaving[row["from_node"]] = leaving.get(row["from_node"], 0) + row["transitions"]
    return tuple(Transition(**row, probability=row["transitions"] / leaving[row["from_node"]]) for row in rows)


def _assumptions(question: PathsQuestion, goal: str) -> tuple[str, ...]:
    one = question.by
    point = question.point or f"first {_kind(question)}"
    where, beside, anchor = {
        "to": (
            f"leads to the first {point} of its {one}, from at most {question.window} before",
            "beside the",
            "point",
        ),
        "from": (f"begins at the first {point} of its {one}, up to {question.window} later", "beside the", "point"),
        "start": (f"begins with the {point} of its {one}, up to {question.window} later", "from the", "beginning"),
    }[question.direction]
    return (
        f"Each {one} has one journey: it {where}, inclusive.",
        f"Sequences and links show at most {question.length} nodes {beside} {anchor}; transitions show all.",
        "Repeats that follow each other are one node, at the time of the first."
        if question.collapse
        else "Every repeat is a node of its own.",
        f"A journey converts when its {one} comes to {goal} at its {anchor} or at most {question.window} later.",
        "What happened outside the session, before or after, is not seen."
        if one == "session"
        else "What happened before the first staged day or after the last is not seen.",
        *([f"Left out: {', '.join(question.without)}."] if question.without else []),
        "What comes before a conversion need not have caused it.",
    )


def _sentence(
    question: PathsQuestion, goal: str, journeys: int, conversions: int, sequences: Sequence[PathSequence]
) -> str:
    point = question.point
    if not sequences:
        missing = f"comes to {point}" if point else f"has a {_kind(question)}"
        return f"No {question.by} {missing} in what is staged, so there are no paths."
    units = f"{journeys:,} {question.by}" + ("s" if journeys != 1 else "")
    where = {"to": f"on the way to {point}", "from": f"on the way from {point}", "start": "from their beginning"}
    converting = "" if goal == question.to else f", of which {conversions:,} convert ({goal})"
    top = sequences[0]
    return (
        f"{units} {where[question.direction]}{converting}; "
        f"the most frequent path is {top.sequence} ({top.journeys:,}, {top.share:.1%})."
    )


def _kind(question: PathsQuestion) -> str:
    return question.nodes.replace("_", "-")
