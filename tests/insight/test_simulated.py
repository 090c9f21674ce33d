"""Simulated rows lie where staging would have put them: tests of forty properties rest on that."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from insight.simulated import DAY, HOUR, Done, Visits, staged, taxonomy
from microconv.queries.templates import Query

TAXONOMY = taxonomy(
    seen={"kind": "secondary", "stage": "awareness"},
    bought={"kind": "macro", "stage": "decision"},
)


def test_an_occurrence_lies_in_the_latest_visit_that_had_begun(tmp_path: Path) -> None:
    visits = Visits(np.array([1, 0, 1]), np.array([2 * DAY, HOUR, HOUR]), {"device_category": ["mobile", "a", "b"]})
    done = {
        "seen": Done(np.array([1, 1, 0]), np.array([2 * DAY + 5, HOUR, 0])),
        "bought": Done(np.array([1]), np.array([2 * DAY + 5]), {"value": [7.5]}),
    }
    with staged(tmp_path / "simulated.duckdb", TAXONOMY, visits, done, days=3) as engine:
        rows = engine.query(
            Query(
                "tests/simulated",
                "SELECT m.micro_conversion AS name, m.actor_key, m.value, s.session_number, s.device_category "
                "FROM mc_micro_conversions AS m LEFT JOIN mc_sessions AS s ON s.session_key = m.session_key "
                "ORDER BY m.actor_key, m.event_order",
                {},
            )
        ).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("seen", 0, None, None, None),
        ("seen", 1, None, 1, "b"),
        ("seen", 1, None, 2, "mobile"),
        ("bought", 1, 7.5, 2, "mobile"),
    ]


def test_what_lies_beyond_the_last_day_is_left_out_and_no_two_rows_share_a_grain(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    actor = np.arange(500).repeat(4)
    at_us = rng.integers(0, 4 * DAY, len(actor)) // HOUR * HOUR
    done = {name: Done(actor, at_us) for name in ("seen", "bought")}
    with staged(tmp_path / "simulated.duckdb", TAXONOMY, Visits(actor, at_us), done, days=3) as engine:
        (row,) = engine.query(
            Query(
                "tests/simulated",
                "SELECT COUNT(*) AS n, COUNT(DISTINCT (client_key, event_order, micro_conversion)) AS grains, "
                "MAX(event_date) AS last_date FROM mc_micro_conversions",
                {},
            )
        ).to_pylist()
    assert row["n"] == row["grains"] == 2 * int((at_us < 3 * DAY).sum())
    assert row["last_date"].isoformat() == "2024-03-03"
