"""`collapse`: repeats of an entry by one client on one page within a time are one occurrence, the first."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ga4
from microconv.config.load import load_config
from microconv.errors import TaxonomyError
from microconv.project import Project
from microconv.taxonomy import PRESETS, find_problems, load_taxonomy
from projects import write_config
from searches import search
from taxonomy_files import GOAL, entry, write_file

SECOND = 1_000_000
MIDNIGHT = ga4.microseconds("2024-03-02 00:00:00")
COLLAPSE_US = 2 * SECOND
TAXONOMY = (
    GOAL
    + entry("checkout", 'collapse = "2s"', event="begin_checkout")
    + entry("old_checkout", 'deprecated_in = "1.0"', 'replaced_by = "checkout"', event="start_checkout")
    + entry("view", event="begin_checkout")
)


def occurrences(project: Project, micro_conversion: str) -> list[tuple[Any, ...]]:
    return project.engine._connection.execute(
        "SELECT event_order // 1000, client_key, session_key, page, transaction_id, value, copies "
        "FROM mc_micro_conversions WHERE micro_conversion = ? ORDER BY ALL",
        [micro_conversion],
    ).fetchall()


def in_plain_python(rows: list[tuple[Any, ...]], collapse_us: int) -> list[tuple[Any, ...]]:
    """One act a row: the first of its events in time, and how many they are. `rows` are single events."""
    acts: dict[tuple[Any, ...], list[list[tuple[Any, ...]]]] = defaultdict(list)
    for row in sorted(rows, key=lambda each: each[0]):
        at_us, client, session, page, transaction = row[:5]
        day = datetime.fromtimestamp(at_us / SECOND, tz=UTC).date() if session is None else None
        found = acts[client, session, day, page, transaction]
        if found and at_us - found[-1][-1][0] <= collapse_us:
            found[-1].append(row)
        else:
            found.append([row])
    return sorted((*act[0][:6], len(act)) for each in acts.values() for act in each)


@st.composite
def visits(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events around midnight, no two of one client at one time: their order would be that of the export."""
    moments = draw(st.lists(st.integers(-60, 60), min_size=1, max_size=60, unique=True))
    slack = st.sampled_from([0, 0, 1, -1])
    return [
        ga4.event(
            MIDNIGHT + moment * SECOND + draw(slack),
            draw(st.sampled_from(["begin_checkout", "begin_checkout", "start_checkout"])),
            client=draw(st.sampled_from(["1.1", "1.1", "2.2"])),
            session=draw(st.sampled_from([1, 1, 2, None])),
            params={
                "page_location": draw(
                    st.sampled_from(["https://a.example/x", "https://a.example/x?s=2", "https://a.example/y"])
                ),
                "transaction_id": draw(st.sampled_from([None, None, None, "T1", "T2"])),
                "value": moment,
            },
        )
        for moment in moments
    ]


@search(3, 40)
@given(events=visits())
def test_collapsed_occurrences_are_those_of_plain_python(
    tmp_path_factory: pytest.TempPathFactory, events: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("visits")
    config = write_config(folder, extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n')
    staged = {}
    for name, text in (("collapsed", TAXONOMY), ("rows", TAXONOMY.replace('collapse = "2s"\n', ""))):
        write_file(folder, text.replace('id = "checkout"', 'id = "checkout"\nvalue = "event"'))
        for day in {event["event_date"] for event in events}:
            ga4.write_parquet(
                folder / "exports" / f"events_{day}.parquet", [one for one in events if one["event_date"] == day]
            )
        with Project(load_config(config, {"MICROCONV_ENGINE__PATH": str(folder / f"{name}.duckdb")})) as project:
            project.sync()
            staged[name] = occurrences(project, "checkout")
            assert all(row[-1] == 1 for row in occurrences(project, "view"))
    assert all(row[-1] == 1 for row in staged["rows"])
    assert staged["collapsed"] == in_plain_python(staged["rows"], COLLAPSE_US)


@pytest.mark.parametrize(
    ("written", "said"),
    [('"fast"', "is not a length of time"), ('"0s"', "is not a length of time"), ("1", "length of time")],
)
def test_collapse_must_be_a_length_of_time(tmp_path: Path, written: str, said: str) -> None:
    file = write_file(tmp_path, GOAL + entry("checkout", f"collapse = {written}"))
    (problem,) = find_problems(preset=None, file=file)
    assert problem.startswith('line 12: micro-conversion "checkout", key collapse: ')
    assert said in problem
    with pytest.raises(TaxonomyError):
        load_taxonomy(preset=None, file=file)


def test_only_events_of_the_export_collapse(tmp_path: Path) -> None:
    external = entry("won", 'collapse = "1s"').replace('event = "won"', 'external = "won"')
    (problem,) = find_problems(preset=None, file=write_file(tmp_path, GOAL + external))
    assert 'micro-conversion "won", key collapse: takes repeats of an event of the export' in problem


def test_fingerprint_follows_how_long_collapse_is_and_not_how_it_is_written(tmp_path: Path) -> None:
    def fingerprint(*lines: str) -> str:
        return load_taxonomy(preset=None, file=write_file(tmp_path, GOAL + entry("checkout", *lines))).fingerprint

    assert fingerprint('collapse = "60s"') == fingerprint('collapse = "1m"')
    assert len({fingerprint(), fingerprint('collapse = "1s"'), fingerprint('collapse = "2s"')}) == 3


def test_presets_collapse_the_steps_of_a_checkout_and_nothing_else() -> None:
    steps = {"view_cart", "begin_checkout", "add_shipping_info", "add_payment_info"}
    collapsing = {
        event: str(each.collapse)
        for preset in PRESETS
        for each in load_taxonomy(preset=preset, file=None).entries
        if each.collapse
        for event in each.events
    }
    assert collapsing == dict.fromkeys(steps, "1s")
