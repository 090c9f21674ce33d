"""The plan of a delivery: pure, and with a fingerprint that says what would be sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from memory_destination import MemoryDestination, MemorySettings
from segment_builder import Segment

from microconv.activation.audience.people import ConsentRecord
from microconv.activation.destinations.file import FileDestination, FileSettings
from microconv.activation.export import batches


@pytest.fixture
def destination() -> FileDestination:
    return FileDestination(FileSettings(name="portal", format="csv"))


def test_equal_audiences_have_one_fingerprint_in_whatever_order_they_came(
    segment: Segment, destination: FileDestination
) -> None:
    people = segment.with_users(20).with_user(None)
    first, second = people.plan(destination), people.shuffled().plan(destination)
    assert first.fingerprint == second.fingerprint
    assert len(first.fingerprint) == 64


def test_fingerprint_does_not_depend_on_who_is_left_out_or_when(segment: Segment, destination: FileDestination) -> None:
    people = segment.with_users(3)
    plan = people.plan(destination)
    assert people.with_user(None).plan(destination).fingerprint == plan.fingerprint
    assert people.plan(destination, lineage={"as_of": date(2026, 3, 1)}).fingerprint == plan.fingerprint


def test_fingerprint_changes_with_what_is_sent_and_where(segment: Segment, destination: FileDestination) -> None:
    people = segment.with_user("u1", "granted", email="a@example.com", phone="+18005550100")
    more = people.with_user("u2", "granted", email="b@example.com")
    plans = [
        people.plan(destination),
        more.plan(destination),
        people.plan(destination, segment="other"),
        people.plan(destination, identity=("email", "phone")),
        people.plan(destination, identity=("phone",)),
        people.plan(FileDestination(FileSettings(name="other", format="csv"))),
        people.plan(FileDestination(FileSettings(name="portal", format="google_ads"))),
        people.plan(MemoryDestination(MemorySettings(name="portal"))),
    ]
    # Memory takes the very same rows under the same name and rules as the CSV file.
    assert len({plan.fingerprint for plan in plans}) == len(plans) - 1
    assert plans[-1].fingerprint == plans[0].fingerprint


def test_withdrawn_consent_changes_the_plan(segment: Segment, destination: FileDestination) -> None:
    people = segment.with_users(2)
    withdrawn = replace(
        people, consents=(*people.consents, ConsentRecord("u0", "denied", "denied", "2026-02-01T00:00:00Z"))
    )
    before, after = people.plan(destination), withdrawn.plan(destination)
    assert before.fingerprint != after.fingerprint
    assert (after.members, after.written, after.excluded) == (2, 1, {"consent_denied": 1})


def test_rows_of_a_result_add_up_to_the_members(segment: Segment) -> None:
    people = segment.with_users(2).with_user(None).with_user("u9")
    result = people.export(dry_run=True)
    assert result.csv() == "outcome,members\nwritten,2\nno_consent_record,1\nno_user_id,1"
    assert result.to_pandas()["members"].sum() == result.members
    assert result.sentence == (
        f"ready-to-buy: 2 of 4 members would be written to {segment.folder / 'ready-to-buy.jsonl'}; "
        f"left out: no_consent_record 1, no_user_id 1. Plan {result.plan[:12]}."
    )


@pytest.mark.parametrize(
    ("rows", "size", "expected"),
    [(0, None, [0]), (0, 2, [0]), (4, None, [4]), (4, 2, [2, 2]), (5, 2, [2, 2, 1]), (1, 10_000, [1])],
)
def test_batches_hold_all_rows_in_their_order(
    segment: Segment, destination: FileDestination, rows: int, size: int | None, expected: list[int]
) -> None:
    audience = segment.with_users(rows).plan(destination).audience
    cut = list(batches(audience.rows, size))
    assert [len(batch.rows) for batch in cut] == expected
    assert [batch.number for batch in cut] == list(range(1, len(expected) + 1))
    assert tuple(row for batch in cut for row in batch.rows) == audience.rows
