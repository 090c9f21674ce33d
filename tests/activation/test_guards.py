from __future__ import annotations

import json
from datetime import timedelta

import pytest
from segment_builder import NOW, Segment, file_of, manifest_of, snapshot

from microconv.activation.destinations.file import FileDestination, FileSettings
from microconv.errors import FindingsError


def stopped(segment: Segment, **options: object) -> FindingsError:
    """Export, expect a guard to stop it, and check that the folder was not touched."""
    before = snapshot(segment.folder)
    with pytest.raises(FindingsError) as caught:
        segment.export(**options)
    assert snapshot(segment.folder) == before
    assert caught.value.exit_code == 1
    assert "--allow-shrink" in caught.value.hint
    return caught.value


def test_empty_audience_is_refused_at_the_first_export(segment: Segment) -> None:
    error = stopped(segment.with_user(None).with_user("u1", "denied", email="a@example.com"))
    assert "none of 2 members can be written (excluded: consent_denied 1, no_user_id 1)" in error.message


def test_empty_segment_never_replaces_an_export(segment: Segment) -> None:
    segment.with_users(1).export()
    assert "none of 0 members" in stopped(segment).message


def test_shrink_beyond_the_limit_stops_and_up_to_it_passes(segment: Segment) -> None:
    segment.with_users(100).export()
    error = stopped(segment.with_users(49))
    assert "from 100 to 49 written members, by 51.0%" in error.message
    assert segment.with_users(50).export().written == 50


def test_limit_is_measured_on_written_members_not_on_members(segment: Segment) -> None:
    segment.with_users(10).export()
    grown = segment.with_users(4)
    for _ in range(100):
        grown = grown.with_user(None)
    assert "excluded: no_user_id 100" in stopped(grown).message


def test_limit_can_be_set(segment: Segment) -> None:
    segment.with_users(10).export()
    stopped(segment.with_users(9), max_delete_pct=0)
    stopped(segment.with_users(8), max_delete_pct=19.9)
    assert segment.with_users(8).export(max_delete_pct=20).written == 8


def test_growth_always_passes(segment: Segment) -> None:
    segment.with_users(1).export()
    assert segment.with_users(50).export(max_delete_pct=0).written == 50


def test_allow_shrink_writes_a_small_and_even_an_empty_audience(segment: Segment) -> None:
    segment.with_users(10).export(format="csv")
    assert segment.with_users(1).export(format="csv", allow_shrink=True).written == 1
    result = segment.export(format="csv", allow_shrink=True)
    assert file_of(result).read_text() == "email_sha256,phone_sha256,external_id_sha256\n"
    assert segment.with_users(5).export(format="csv").written == 5


@pytest.mark.parametrize(
    "broken", ["", "{", "[]", "{}", '{"written": null}', '{"written": "9"}', '{"written": true}', '{"written": -1}']
)
def test_unreadable_manifest_stops_the_export(segment: Segment, broken: str) -> None:
    result = segment.with_users(3).export()
    manifest_of(result).write_text(broken)
    error = stopped(segment.with_users(4))
    assert str(manifest_of(result)) in error.message
    assert segment.with_users(4).export(allow_shrink=True).written == 4
    assert json.loads(manifest_of(result).read_text())["written"] == 4


def test_manifest_of_bytes_that_are_no_text_stops_the_export(segment: Segment) -> None:
    result = segment.with_users(3).export()
    manifest_of(result).write_bytes(b"\xff\xfe")
    stopped(segment.with_users(4))


def test_audience_file_whose_manifest_is_gone_stops_the_export(segment: Segment) -> None:
    manifest_of(segment.with_users(3).export()).unlink()
    assert "missing or cannot be read" in stopped(segment.with_users(4)).message


def test_guards_hold_in_a_dry_run(segment: Segment) -> None:
    segment.with_users(10).export()
    stopped(segment.with_users(1), dry_run=True)


def test_segments_and_formats_are_guarded_apart(segment: Segment) -> None:
    segment.with_users(10).export()
    assert segment.with_users(1).export(format="csv").written == 1
    assert segment.with_users(1).export(segment="other").written == 1


# Age


def test_data_that_is_long_past_is_not_sent_and_the_message_says_how_old_it_is(segment: Segment) -> None:
    before = snapshot(segment.folder)
    with pytest.raises(FindingsError, match=r"is 365 days old \(2025-03-01 08:00 UTC\); older than 30 days") as caught:
        segment.with_users(3).export(known_until=NOW - timedelta(days=365))
    assert snapshot(segment.folder) == before
    assert caught.value.exit_code == 1
    assert "--allow-stale" in caught.value.hint
    assert "--allow-shrink" not in caught.value.hint


def test_age_is_measured_to_the_second(segment: Segment) -> None:
    people = segment.with_users(3)
    assert people.export(known_until=NOW - timedelta(days=30)).written == 3
    with pytest.raises(FindingsError, match="is 30 days old"):
        people.export(known_until=NOW - timedelta(days=30, seconds=1))


def test_old_data_is_sent_on_purpose(segment: Segment) -> None:
    people = segment.with_users(3)
    assert people.export(known_until=NOW - timedelta(days=365), allow_stale=True).written == 3
    with pytest.raises(FindingsError, match="days old"):
        people.export(known_until=NOW - timedelta(days=365), allow_shrink=True)
    patient = FileDestination(FileSettings(name="file", format="csv", path=segment.folder, max_age="400d"))
    assert people.export_to(patient, known_until=NOW - timedelta(days=365)).written == 3


def test_age_is_guarded_in_a_dry_run(segment: Segment) -> None:
    with pytest.raises(FindingsError, match="days old"):
        segment.with_users(3).export(known_until=NOW - timedelta(days=365), dry_run=True)


# Nobody


@pytest.mark.parametrize(
    ("has_user_ids", "message"),
    [(False, "no row of this export has a user_id"), (True, "none of the 2 members ever signed in")],
)
def test_a_segment_in_which_nobody_signed_in_names_the_cause_and_no_way_around(
    segment: Segment, *, has_user_ids: bool, message: str
) -> None:
    with pytest.raises(FindingsError, match=message) as caught:
        segment.with_user(None).with_user("undefined").export(has_user_ids=lambda: has_user_ids)
    assert "--allow-shrink" not in str(caught.value)


def test_tables_that_know_none_of_the_members_are_named(segment: Segment) -> None:
    with pytest.raises(FindingsError, match=r"none of the 2 members has a row in the consent table") as caught:
        segment.with_user("u1").with_user("u2").export()
    assert "--allow-shrink" not in str(caught.value)
    with pytest.raises(FindingsError, match=r"none of the 2 members has a row in the identity table") as caught:
        segment.with_user("u1", "granted").with_user("u2", "granted").export()
    assert "--allow-shrink" not in str(caught.value)


def test_a_segment_of_people_who_all_denied_may_be_emptied_on_purpose(segment: Segment) -> None:
    segment.with_users(2).export()
    denied = segment.with_user("u0", "denied").with_user("u1", "denied")
    assert "consent_denied 2" in stopped(denied).message
    assert denied.export(allow_shrink=True).written == 0
