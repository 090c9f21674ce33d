"""Funnels: the figures, and how the configuration's steps reach them. Row-level cases lie under tests/sql."""

from __future__ import annotations

from itertools import combinations, count
from statistics import median

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microconv import templates
from microconv.analyses.funnels import funnel
from microconv.config import Duration, FunnelConfig
from microconv.errors import TaxonomyError
from microconv.taxonomy import Taxonomy, load_taxonomy
from staged_rows import IN_MEMORY, SECOND, Row, entry, occurrence, staged

TAXONOMY = load_taxonomy(preset="ecommerce", file=None)
JOURNEY = ("view_item", "add_to_cart", "purchase")


def config(*steps: str, window: str = "1d", unit: str = "actor") -> FunnelConfig:
    return FunnelConfig(name="journey", steps=steps, window=Duration.parse(window), unit=unit)


def test_shares_are_of_the_step_before_and_of_the_first():
    rows = [occurrence(0, "view_item", client=client) for client in range(4)]
    rows += [occurrence(3 * SECOND, "add_to_cart", client=client) for client in range(2)]
    rows += [occurrence(9 * SECOND, "purchase", client=0)]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = funnel(engine, config(*JOURNEY), TAXONOMY)
    assert [(step.step, step.count) for step in result.steps] == [("view_item", 4), ("add_to_cart", 2), ("purchase", 1)]
    assert [step.from_previous for step in result.steps] == [None, 0.5, 0.5]
    assert [step.from_first for step in result.steps] == [1.0, 0.5, 0.25]
    assert [step.seconds_median for step in result.steps] == [0.0, 3.0, 9.0]
    assert (result.funnel, result.unit, result.window_seconds) == ("journey", "actor", 86_400)


def test_empty_tables_give_zeros_and_none():
    with staged(IN_MEMORY) as engine:
        result = funnel(engine, config(*JOURNEY), TAXONOMY)
    assert [(step.count, step.from_previous, step.from_first, step.seconds_median) for step in result.steps] == [
        (0, None, None, None)
    ] * 3


def test_unit_session_counts_sessions():
    rows = [
        occurrence(0, "view_item", session_key=1),
        occurrence(SECOND, "view_item", session_key=2),
        occurrence(2 * SECOND, "add_to_cart", session_key=2),
    ]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        by_session = funnel(engine, config("view_item", "add_to_cart", unit="session"), TAXONOMY)
        by_actor = funnel(engine, config("view_item", "add_to_cart"), TAXONOMY)
    assert [step.count for step in by_session.steps] == [2, 1]
    assert [step.count for step in by_actor.steps] == [1, 1]


def test_deprecated_step_counts_as_its_replacement():
    old = entry("cart_start", deprecated="1.1", replaced_by="add_to_cart")
    taxonomy = Taxonomy("shop", "1.1", (entry("view_item"), old, entry("add_to_cart")))
    rows = [occurrence(0, "view_item"), occurrence(SECOND, "add_to_cart")]
    with staged(IN_MEMORY, mc_micro_conversions=rows) as engine:
        result = funnel(engine, config("view_item", "cart_start"), taxonomy)
    assert [(step.step, step.count) for step in result.steps] == [("view_item", 1), ("add_to_cart", 1)]


def test_unknown_step_names_the_funnel_and_the_nearest_id():
    with staged(IN_MEMORY) as engine, pytest.raises(TaxonomyError) as caught:
        funnel(engine, config("view_item", "add_to_kart"), TAXONOMY)
    assert 'funnel "journey"' in caught.value.message
    assert "did you mean add_to_cart" in caught.value.message


# Few instants, so that ties, repeats and windows hit exactly are common; an event may be two things at once.
EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5),  # microseconds
        st.integers(1, 4),  # client: two to an actor
        st.sets(st.sampled_from("abc"), min_size=1, max_size=2),
    ),
    max_size=16,
)


def rows_of(events: list[tuple[int, int, set[str]]]) -> list[list[Row]]:
    """The rows of each event; places are unique within a client, so that clients of one actor do tie."""
    places = {client: count() for client in range(1, 5)}
    return [
        [
            occurrence(us, what, client=client, place=place, actor_key=-(-client // 2))
            for what in sorted(micro_conversions)
        ]
        for us, client, micro_conversions in events
        for place in [next(places[client])]
    ]


def by_trying_all(events: list[list[Row]], steps: list[str], window_us: int) -> list[tuple[int, float | None]]:
    """Try every subsequence of every actor's events: (actors, median seconds) of each step."""
    elapsed: list[list[int]] = [[] for _ in steps]
    for actor in {event[0]["actor_key"] for event in events}:
        own = [event for event in events if event[0]["actor_key"] == actor]
        own.sort(key=lambda event: (event[0]["event_order"], event[0]["client_key"]))
        instants = [event[0]["event_order"] // 1_000 for event in own]
        kinds = [{row["micro_conversion"] for row in event} for event in own]
        for length in range(1, len(steps) + 1):
            # Each chain as (where it ends, how long it took): the smallest is the first reach with its latest start.
            chains = [
                (chain[-1], instants[chain[-1]] - instants[chain[0]])
                for chain in combinations(range(len(own)), length)
                if all(step in kinds[index] for index, step in zip(chain, steps, strict=False))
            ]
            within = [(last, took) for last, took in chains if took <= window_us]
            if within:
                elapsed[length - 1].append(min(within)[1])
    return [(len(times), median(times) / SECOND if times else None) for times in elapsed]


@settings(max_examples=40, deadline=None)
@given(events=EVENTS, steps=st.lists(st.sampled_from("abc"), min_size=2, max_size=4), window_us=st.integers(0, 5))
def test_funnel_equals_trying_all_subsequences(events, steps, window_us):
    by_event = rows_of(events)
    query = templates.query(
        "analyses/funnel",
        structure={"steps": len(steps), "unit_column": "actor_key"},
        params={"window_us": window_us, **{f"step_{number}": step for number, step in enumerate(steps, start=1)}},
    )
    with staged(IN_MEMORY, mc_micro_conversions=[row for event in by_event for row in event]) as engine:
        rows = engine.query(query).to_pylist()
    assert [row["units"] for row in rows] == [units for units, _ in by_trying_all(by_event, steps, window_us)]
    assert [row["seconds_median"] for row in rows] == pytest.approx(
        [seconds for _, seconds in by_trying_all(by_event, steps, window_us)], abs=1e-12
    )
