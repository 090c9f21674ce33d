"""Hesitation by the transition of mindset at which it happens, against plain Python."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from asking import answer
from microconv.analyses.hesitation import Hesitation
from microconv.taxonomy import Taxonomy
from staged_rows import DAY, IN_MEMORY, SECOND, entry, occurrence, staged

MINDSETS = ("curiosity", "consideration", "commitment", "loyalty")
ORDINARY = {"look": 0, "weigh": 1, "choose": 1, "decide": 2, "stay": 3}
TAXONOMY = Taxonomy(
    "t",
    "1.0",
    (
        *(entry(name, mindset=MINDSETS[level]) for name, level in ORDINARY.items()),
        entry("old_error", deprecated_in="1.0", replaced_by="error", hesitation=True),
        entry("error", hesitation=True),
        entry("left", hesitation=True),
    ),
)
PLAIN = Taxonomy("t", "1.0", (entry("look"),))


def rows_of(found):
    return [(row.micro_conversion, row.from_mindset, row.to_mindset, row.occurrences, row.actors) for row in found.rows]


def test_transition_is_named_with_counts_and_share():
    done = [(0, "weigh"), (1, "left"), (2, "decide"), (3, "left"), (4, "error"), (5, "stay"), (6, "left")]
    rows = [occurrence(at * SECOND, name) for at, name in done]
    rows += [occurrence(0, "error", client=2), occurrence(SECOND, "weigh", client=2), occurrence(9, "left", client=2)]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = answer(engine, Hesitation(), TAXONOMY)
    assert rows_of(result) == [
        ("error", "(nothing before)", "curiosity", 1, 1),
        ("error", "commitment", "loyalty", 1, 1),
        ("left", "(nothing before)", "curiosity", 1, 1),
        ("left", "consideration", "commitment", 1, 1),
        ("left", "commitment", "loyalty", 1, 1),
        ("left", "loyalty", "(none higher)", 1, 1),
    ]
    assert [row.share for row in result.rows] == [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]
    assert result.sentence == (
        "Most hesitation happens between (nothing before) and curiosity: 2 of 6 occurrences (33.3%)."
    )
    assert result.never_seen == ()


def test_days_are_those_of_the_hesitation():
    rows = [occurrence(0, "weigh"), occurrence(DAY, "left"), occurrence(2 * DAY, "left")]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = answer(engine, Hesitation(since=date(2024, 3, 2), until=date(2024, 3, 2)), TAXONOMY)
        nothing = answer(engine, Hesitation(since=date(2024, 4, 1)), TAXONOMY)
    assert rows_of(result) == [("left", "consideration", "commitment", 1, 1)]
    assert result.never_seen == ("error",)
    assert nothing.rows == ()
    assert nothing.sentence == "No hesitation is staged in these days."


def test_taxonomy_without_hesitation_says_so():
    with staged(IN_MEMORY, mc_micro_conversions=[occurrence(0, "look")]) as engine:
        result = answer(engine, Hesitation(), PLAIN)
    assert result.rows == ()
    assert result.sentence == "The taxonomy has no entry that shows hesitation."


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 6),
            st.sampled_from([*ORDINARY, "error", "left"]),
            st.sampled_from([1, 2, 3]),
        ),
        max_size=30,
        unique=True,
    )
)
def test_any_course_of_events_is_counted_as_plain_python_does(done: list[tuple[int, str, int]]):
    # Clients 1 and 2 are one actor; where entries share moment and client, they are of one event.
    actors = {1: 7, 2: 7, 3: 8}
    rows = [occurrence(at * SECOND, name, client=client, actor_key=actors[client]) for at, name, client in done]
    counted: dict[tuple[str, int], list[int]] = defaultdict(list)
    for at, name, client in done:
        if name not in ORDINARY:
            before = [
                (then, who, ORDINARY[what])
                for then, what, who in done
                if what in ORDINARY and actors[who] == actors[client] and (then, who) <= (at, client)
            ]
            counted[name, max(before)[2] if before else -1].append(actors[client])
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = answer(engine, Hesitation(), TAXONOMY)
    found = {
        (row.micro_conversion, MINDSETS.index(row.from_mindset) if row.from_mindset in MINDSETS else -1): (
            row.occurrences,
            row.actors,
        )
        for row in result.rows
    }
    assert found == {key: (len(those), len(set(those))) for key, those in counted.items()}
