"""Small logs of events for paths, and what paths make of them: by walking each unit's list of events."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import NamedTuple

from hypothesis import strategies as st

from microconv.analyses.paths.path_questions import PathSequences, PathsQuestion
from microconv.taxonomy import Taxonomy
from staged_rows import SECOND, START_US, Row, at, entry, occurrence, session

# Two milestones, one entry beside the way, and the goal; `d` is ranked between milestones.
TAXONOMY = Taxonomy(
    "t",
    "1.0",
    (
        entry("a", kind="milestone"),
        entry("d", kind="secondary"),
        entry("b", kind="milestone"),
        entry("c", kind="milestone"),
        entry("z", kind="macro"),
    ),
)
RANKS = {"a": 1, "d": 2, "b": 3, "c": 4, "z": 5}
MILESTONES = ("a", "b", "c")
PAGES = ("/", "/x", "/y")
POINTS = ("a", "b", "z", "page:/", "page:/x")


class Event(NamedTuple):
    """One event: what it counts as, the page it shows, and who did it. Two clients make an actor."""

    us: int
    client: int
    session: int | None
    kinds: frozenset[str]
    page: str | None
    user: str | None


EVENTS = st.lists(
    st.builds(
        Event,
        us=st.integers(0, 5),
        client=st.integers(1, 4),
        session=st.sampled_from([None, 1, 1, 2]),
        kinds=st.frozensets(st.sampled_from("abcdz"), max_size=2),
        page=st.sampled_from([None, None, *PAGES]),
        user=st.sampled_from([None, None, None, "u"]),
    ),
    max_size=14,
)
QUESTIONS = st.builds(
    lambda point, leads, **options: PathSequences(**({leads: point} if point else {}), **options),
    point=st.sampled_from([None, *POINTS]),
    leads=st.sampled_from(["to", "from_"]),
    goal=st.sampled_from("bz"),
    count=st.sampled_from(["sessions", "actors"]),
    nodes=st.sampled_from(["micro_conversion", "page"]),
    without=st.sampled_from([(), ("d",), ("page:/y", "c")]),
    length=st.integers(1, 4),
    keep_repeats=st.booleans(),
    max_nodes=st.integers(1, 3),
    top=st.just(1_000),
)


def staged_log(events: list[Event]) -> dict[str, list[Row]]:
    """The rows of the three staged tables; places are unique within a client, so that clients of one actor do tie."""
    places: Counter[int] = Counter()
    occurrences, views, sessions = [], [], {}
    for event in events:
        place = places[event.client]
        places[event.client] += 1
        who = {"session_key": session_key(event), "actor_key": actor_key(event)}
        occurrences += [
            occurrence(event.us, kind, client=event.client, place=place, **who) for kind in sorted(event.kinds)
        ]
        views.append(
            {
                "property": "p",
                "event_date": at(event.us).date(),
                "event_at": at(event.us),
                "event_order": (START_US + event.us) * 1_000 + place,
                "event_name": "page_view" if event.page else "click",
                "client_key": event.client,
                "session_key": session_key(event),
                "user_id": event.user,
                "page_location": f"https://shop.example{event.page or '/other'}?id={place}",
            }
        )
        if event.session is not None:
            sessions[session_key(event)] = session(0, session_key(event) or 0, "Direct", actor=pair(event.client))
    return {"mc_micro_conversions": occurrences, "mc_events": views, "mc_sessions": list(sessions.values())}


def pair(client: int) -> int:
    return 1_000 + -(-client // 2)


def session_key(event: Event) -> int | None:
    return None if event.session is None else event.client * 10 + event.session


def actor_key(event: Event) -> int:
    if event.user is not None:
        return int(hashlib.md5(f"u|p|{event.user}".encode()).hexdigest()[:15], 16)
    return event.client if event.session is None else pair(event.client)


@dataclass(frozen=True)
class Walked:
    """What paths return, by name: figures of sequences, links and transitions."""

    sequences: dict[str, tuple[int, int, float]]
    links: dict[tuple[int, str, str], int]
    transitions: dict[tuple[str, str], tuple[int, int, int, float | None]]


Visit = tuple[str, int]
"""A node and its time in microseconds."""


def walk(events: list[Event], question: PathsQuestion, window_us: int, states: int) -> Walked:
    """Follow the journeys of a log one by one."""
    journeys, converted = [], []
    for own in _by_unit(events, question.count):
        found = _journey(own, question, window_us)
        if found is not None:
            journey, order, us = found
            journeys.append(journey)
            converted.append(any(question.goal in e.kinds and o >= order and e.us - us <= window_us for o, e in own))
    return Walked(
        _sequences(journeys, converted, question),
        _links(journeys, question),
        _transitions(journeys, question, states),
    )


def _by_unit(events: list[Event], count: str) -> list[list[tuple[int, Event]]]:
    """Each unit's events with their order, in order."""
    places: Counter[int] = Counter()
    units: dict[int, list[tuple[int, Event]]] = {}
    for event in events:
        order = event.us * 1_000 + places[event.client]
        places[event.client] += 1
        unit = session_key(event) if count == "sessions" else actor_key(event)
        if unit is not None:
            units.setdefault(unit, []).append((order, event))
    return [sorted(own, key=lambda each: (each[0], each[1].client)) for own in units.values()]


def _journey(
    own: list[tuple[int, Event]], question: PathsQuestion, window_us: int
) -> tuple[list[Visit], int, int] | None:
    """The nodes of the unit's journey, and order and time of its point; None without a point."""
    point = question.point and question.point.removeprefix("page:")
    left_out = {name.removeprefix("page:") for name in question.without} - {point}
    rows = []
    for order, event in own:
        pages = [event.page] if event.page else []
        kinds = sorted(event.kinds, key=RANKS.__getitem__)
        names = pages if question.nodes == "page" else kinds
        if point in pages and question.nodes != "page":
            names = [*pages, *kinds]
        elif point in kinds and question.nodes == "page":
            names = [*pages, str(point)]
        rows += [(name, event.us, order) for name in names if name not in left_out]
    points = [index for index, row in enumerate(rows) if row[0] == point] if point else list(range(len(rows)))
    if not points:
        return None
    first = points[0]
    kept = rows[: first + 1] if question.direction == "to" else rows[first:]
    _, us, order = rows[first]
    visits = [(name, time) for name, time, _ in kept if abs(time - us) <= window_us]
    if not question.keep_repeats:
        visits = [next(group) for _, group in groupby(visits, key=lambda visit: visit[0])]
    return visits, order, us


def _cut(journey: list[Visit], question: PathsQuestion) -> list[Visit]:
    if question.direction == "to":
        return journey[-question.length - 1 :]
    return journey[: question.length + (question.point is not None)]


def _sequences(
    journeys: list[list[Visit]], converted: list[bool], question: PathsQuestion
) -> dict[str, tuple[int, int, float]]:
    found: dict[str, list[tuple[int, bool]]] = {}
    for journey, has_converted in zip(journeys, converted, strict=True):
        cut = _cut(journey, question)
        names, is_cut = [name for name, _ in cut], len(cut) < len(journey)
        text = " > ".join([*["…"] * (is_cut and question.direction == "to"), *names])
        text += " > …" * (is_cut and question.direction != "to")
        found.setdefault(text, []).append((cut[-1][1] - cut[0][1], has_converted))
    return {
        text: (len(all_), sum(each[1] for each in all_), median(each[0] for each in all_) / SECOND)
        for text, all_ in sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    }


def _links(journeys: list[list[Visit]], question: PathsQuestion) -> dict[tuple[int, str, str], int]:
    """Each journey as names by position, with (start) before it or (exit) after it where there is room."""
    rows: list[dict[int, str]] = []
    room = question.length + (question.point is not None)
    for journey in journeys:
        names = [name for name, _ in _cut(journey, question)]
        first = 1 - len(names) if question.direction == "to" else 0
        rows.append({first + index: name for index, name in enumerate(names)})
    counts: dict[int, Counter[str]] = {}
    for row in rows:
        for position, name in row.items():
            counts.setdefault(position, Counter())[name] += 1
    kept = {
        position: sorted(names, key=lambda name: (-names[name], name))[: question.max_nodes]
        for position, names in counts.items()
    }
    links: Counter[tuple[int, str, str]] = Counter()
    for row in rows:
        shown = {position: name if name in kept[position] else "(other)" for position, name in row.items()}
        if len(row) < room:
            shown |= {min(row) - 1: "(start)"} if question.direction == "to" else {max(row) + 1: "(exit)"}
        for position, following in pairwise(sorted(shown)):
            links[position, shown[position], shown[following]] += 1
    return dict(links)


def _transitions(
    journeys: list[list[Visit]], question: PathsQuestion, states: int
) -> dict[tuple[str, str], tuple[int, int, int, float | None]]:
    counts = Counter(name for journey in journeys for name, _ in journey)
    kept = set(sorted(counts, key=lambda name: (-counts[name], name))[:states])
    left_out = {name.removeprefix("page:") for name in question.without}
    hops: dict[tuple[str, str], list[tuple[bool, bool, int | None]]] = {}
    for journey in journeys:
        shown = [name if name in kept else "(other)" for name, _ in journey]
        hops.setdefault(("(start)", shown[0]), []).append((False, False, None))
        hops.setdefault((shown[-1], "(exit)"), []).append((False, False, None))
        for index in range(1, len(journey)):
            before, (name, us) = [each for each, _ in journey[:index]], journey[index]
            is_return = name in before and name != before[-1]
            is_skip = question.nodes == "micro_conversion" and _skips(before, name, left_out)
            hops.setdefault((shown[index - 1], shown[index]), []).append(
                (is_return, is_skip, us - journey[index - 1][1])
            )
    return {
        pair_: (
            len(all_),
            sum(each[0] for each in all_),
            sum(each[1] for each in all_),
            None if all_[0][2] is None else median(each[2] for each in all_ if each[2] is not None) / SECOND,
        )
        for pair_, all_ in hops.items()
    }


def _skips(before: list[str], name: str, left_out: set[str]) -> bool:
    """Whether a milestone stands before `name` and after everything on the way that the journey has been at."""
    if name not in (*MILESTONES, "z") or name in left_out:
        return False
    furthest = max((RANKS[each] for each in before if each in (*MILESTONES, "z") and each not in left_out), default=0)
    return any(furthest < RANKS[each] < RANKS[name] for each in MILESTONES if each not in left_out)
