"""Calls of BigQuery that fail during a sync: what passes is tried again and nothing runs twice; what stays is told."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import pytest
import story
from places import (
    ATTEMPTS,
    COMPARED,
    FEW_ENTRIES,
    EmulatedPlace,
    LocalPlace,
    PulledPlace,
    Staged,
    contents,
    run,
    write_project,
)

import ga4
from calls import EachFails, job_id, shape, step
from faulty_proxy import Call, CutOff, Drop, Fault, FaultyProxy, Garble, Refuse
from microconv.errors import EngineError, SourceError
from microconv.staging import Scope

PASSING: tuple[Fault, ...] = (
    Refuse(503),
    Drop(after=True),
    Refuse(429),
    CutOff(),
    Refuse(403, "rateLimitExceeded"),
    Drop(),
    Garble(),
)


@pytest.fixture(scope="module")
def whole_days(tmp_path_factory: pytest.TempPathFactory) -> list[Staged]:
    """What may be staged of two days: neither, either or both of them, by DuckDB from files."""
    local = LocalPlace(write_project(tmp_path_factory.mktemp("whole_days"), entries=FEW_ENTRIES))
    story.begin(local)
    found = [contents(local, COMPARED).staged]
    for number, scope in enumerate([Scope(until=story.DAYS[0]), Scope(since=story.DAYS[1]), Scope()]):
        of_these = replace(local, database=f"{number}.duckdb")
        run(of_these, scope=scope)
        found.append(contents(of_these, COMPARED).staged)
    return found


@pytest.fixture(scope="module")
def expected(whole_days: list[Staged]) -> Staged:
    """What two days are staged as."""
    return whole_days[-1]


@pytest.fixture(params=[EmulatedPlace, PulledPlace], ids=["BigQuery", "pulled"])
def any_place(request: pytest.FixtureRequest, place: EmulatedPlace) -> EmulatedPlace:
    """Either way to read an export in BigQuery, with two days in it."""
    story.begin(place)
    return request.param(**vars(place))


@pytest.mark.parametrize("first", [0, 3])
def test_each_call_may_fail_twice(first: int, any_place: EmulatedPlace, proxy: FaultyProxy, expected: Staged):
    proxy.rule = EachFails(2, PASSING, first)

    run(any_place)

    assert contents(any_place, COMPARED).staged == expected
    with any_place.client() as client:
        jobs = [job.job_id for job in client.list_jobs() if job.job_id.startswith("microconv-")]
    submitted = {job_id(call) for call in proxy.calls} - {""}
    assert submitted <= set(jobs)
    assert not [name for name in submitted if re.search(r"-\d+$", name)], "a job ran again"


class Outage:
    """Nothing answers calls of one shape any more: the first that is not among those that were tried before."""

    def __init__(self, tried: set[tuple[str, str]]) -> None:
        self._tried = tried
        self.shape: tuple[str, str] | None = None
        self.failed: Counter[tuple[str, ...]] = Counter()

    def __call__(self, call: Call) -> Fault | None:
        if self.shape is None and shape(call) not in self._tried:
            self.shape = shape(call)
        if shape(call) != self.shape:
            return None
        self.failed[call.path, job_id(call), step(call)] += 1
        return Refuse(503)


def test_a_call_that_fails_for_ever_is_told_and_the_next_run_completes(
    any_place: EmulatedPlace, proxy: FaultyProxy, expected: Staged, whole_days: list[Staged]
):
    tried: set[tuple[str, str]] = set()
    while (outage := _run_in_outage(any_place, proxy, tried)).shape:
        tried.add(outage.shape)
        assert max(outage.failed.values()) <= 2 * ATTEMPTS, outage.failed
        any_place.await_lease_end()
        # A batch that cannot be read is tried day by day: which of them get by depends on when jobs end.
        assert contents(any_place, COMPARED).staged in whole_days, outage.shape

    found = contents(any_place, COMPARED)
    assert found.staged == expected
    assert found.runs[-1] == ("done", None)
    assert "running" not in {status for status, _ in found.runs}
    assert len(tried) >= (3 if isinstance(any_place, PulledPlace) else 12), tried


def _run_in_outage(place: EmulatedPlace, proxy: FaultyProxy, tried: set[tuple[str, str]]) -> Outage:
    """Run until a call of a new shape fails for ever; if it only tidies up, that is a warning, else it ends the run."""
    proxy.rule = outage = Outage(tried)
    try:
        said = " ".join(run(place).warnings)
    except (EngineError, SourceError) as error:
        said = error.message
    assert ("did not answer in time" in said) == (outage.shape is not None), (said, outage.shape)
    return outage


@pytest.mark.parametrize(
    "refusal",
    [Refuse(403, "accessDenied"), Refuse(403, "quotaExceeded"), Refuse(401, "authError")],
    ids=lambda refusal: refusal.reason,
)
def test_what_stays_refused_is_asked_once(refusal: Refuse, place: EmulatedPlace, proxy: FaultyProxy):
    place.put(story.DAYS[0], story.FIRST)
    proxy.rule = lambda call: refusal if step(call) == "staging_events" else None

    with pytest.raises((EngineError, SourceError)) as raised:
        run(place)

    assert raised.value.exit_code == 3
    assert len([call for call in proxy.calls if step(call) == "staging_events"]) == 1
    assert [status for status, _ in contents(place).runs] == ["failed"]


def test_shards_that_change_and_vanish_while_they_are_staged_are_staged_as_they_are_then(
    place: EmulatedPlace, proxy: FaultyProxy, expected: Staged
):
    first, second = story.DAYS[:2]
    place.put(first, [*story.FIRST[1:], ga4.event("2024-03-01 18:00:00", "purchase", client="9.9")])
    place.put(second, story.SECOND[:1], "intraday")
    read: list[Call] = []

    def change(call: Call) -> None:
        if step(call) == "staging_sessions" and not read:
            read.append(call)
            place.put(first, story.FIRST)
            place.put(second, story.SECOND)
            place.remove(second, "intraday")

    proxy.rule = change

    result = run(place)

    assert contents(place, COMPARED).staged == expected
    assert result.shards["staged"] == 2
    assert run(place).shards["staged"] == 0
