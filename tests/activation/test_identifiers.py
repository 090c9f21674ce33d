"""From an audience to the identifiers of a list, on both engines."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

import pytest
from segment_builder import Segment

from microconv.activation.audience.packed_rows import AudienceRows
from microconv.activation.destinations.file import FileDestination, FileSettings
from microconv.activation.push.identifiers import Address, load_identifiers, wanted_query
from microconv.engines.base import Engine

ADDRESS = {"first_name": "Alex", "last_name": "Lee", "country": "us", "postal_code": "94016"}


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def wanted(engine: Engine, people: Iterable[AudienceRows]) -> dict[tuple[str, str], int]:
    """What people are wanted by; a push writes the rows of this query, and drops those that it was made of."""
    load_identifiers(engine, people, "push_rows")
    rows = engine.query(wanted_query())
    return {(row["kind"], row["identifier"]): row["people"] for row in rows.to_pylist()}


@pytest.fixture
def plan_rows(segment: Segment) -> Callable[..., object]:
    def rows(segment: Segment = segment):
        destination = FileDestination(FileSettings(name="files", format="google_ads"))
        return segment.plan(destination, identity=("email", "phone")).audience.rows

    return rows


def test_each_identifier_is_wanted_once_with_the_people_who_have_it(engine, segment, plan_rows):
    people = (
        segment.with_user("u1", "granted", email="AlexZ@example.com", phone="+18005550100", **ADDRESS)
        .with_user("u2", "granted", email="b@example.com", **ADDRESS)
        .with_user("u3", "denied", email="c@example.com")
    )
    address = Address(sha("alex"), sha("lee"), "US", "94016")
    assert wanted(engine, [plan_rows(people)]) == {
        ("email", sha("alexz@example.com")): 1,
        ("email", sha("b@example.com")): 1,
        ("phone", sha("+18005550100")): 1,
        ("address", address.identifier): 2,
    }
    assert Address.of(address.identifier) == address


def test_what_was_wanted_before_is_replaced_also_by_nobody(engine, segment, plan_rows):
    assert len(wanted(engine, [plan_rows(segment.with_user("u1", "granted", email="a@example.com"))])) == 1
    assert wanted(engine, [plan_rows(segment.with_user("u1", "denied", email="a@example.com"))]) == {}
