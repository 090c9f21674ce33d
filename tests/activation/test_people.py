"""Who becomes a row: accounts of one person, user ids that are personal data or nobody's, rows that cannot be read."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from segment_builder import SEVERAL_KINDS, Segment, file_of, manifest_of, read_rows

from microconv.activation.audience.people import Person
from microconv.activation.audience.people_tables import read_consents, read_people
from microconv.segments.members import Member


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def rows_of(segment: Segment, **options: object) -> list[dict[str, str]]:
    return read_rows(file_of(segment.export(**options)))


# One person, one row


@pytest.mark.parametrize("audience_format", SEVERAL_KINDS)
def test_accounts_that_share_a_mailbox_are_one_row(segment: Segment, audience_format: str) -> None:
    people = segment.with_user("u1", "granted", email="jane@example.com", phone="+1 800 555 0100")
    people = people.with_user("u2", "granted", email="Jane@Example.com")
    people = people.with_user("u3", "granted", email="jane@example.com", phone="+1 800 555 0101")
    result = people.export(format=audience_format, identity=("email", "phone"))
    (row,) = read_rows(file_of(result))
    digits = "18005550100" if audience_format == "meta" else "+18005550100"
    assert {sha("jane@example.com"), sha(digits)} <= set(row.values())
    assert result.excluded == {"duplicate_identifier": 2}


def test_the_row_of_a_mailbox_has_what_only_a_later_account_knows(segment: Segment) -> None:
    address = {"first_name": "Jane", "last_name": "Doe", "country": "US", "postal_code": "02138"}
    people = segment.with_user("u1", "granted", email="jane@example.com", phone="nonsense")
    people = people.with_user("u2", "granted", email="jane@example.com", phone="+1 800 555 0101", **address)
    result = people.export(format="google_ads", identity=("email", "phone"))
    assert read_rows(file_of(result)) == [
        {
            "Email": sha("jane@example.com"),
            "Phone": sha("+18005550101"),
            "First Name": sha("jane"),
            "Last Name": sha("doe"),
            "Country": "US",
            "Zip": "02138",
        }
    ]
    assert "values_left_out" in manifest_of(result).read_text()
    assert "invalid_phone" not in manifest_of(result).read_text()


def test_a_number_of_two_people_is_in_the_row_of_the_first(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="ann@example.com", phone="+1 800 555 0100")
    people = people.with_user("u2", "granted", email="ben@example.com", phone="(800) 555-0100", country="US")
    people = people.with_user("u3", "granted", phone="+1 800 555 0100")
    for shuffled in (people, people.shuffled()):
        result = shuffled.export(format="csv", identity=("email", "phone"), allow_shrink=True)
        phones = {row["email_sha256"]: row["phone_sha256"] for row in read_rows(file_of(result))}
        assert phones == {sha("ann@example.com"): sha("+18005550100"), sha("ben@example.com"): ""}
        assert result.excluded == {"duplicate_identifier": 1}


def test_no_hash_is_in_two_rows_whatever_people_share(segment: Segment) -> None:
    emails = ["a@example.com", "b@example.com", "c@example.com", None]
    phones = ["+18005550100", "+18005550101", None]
    people = segment
    for number in range(40):
        email, phone = emails[number % 4], phones[number % 3]
        people = people.with_user(f"u{number}", "granted", email=email, phone=phone)
    rows = rows_of(people, format="csv", identity=("email", "phone"))
    for key in ("email_sha256", "phone_sha256"):
        held = [row[key] for row in rows if row[key]]
        assert len(held) == len(set(held))


def test_rows_of_a_user_that_come_to_the_same_are_one(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="Jane@Example.com", phone="+1 800 555 0100", first_name="Jane")
    again = Person("u1", " jane@example.com", "(800) 555-0100", "JANE", country="US")
    result = replace(people, people=(*people.people, again)).export(format="google_ads", identity=("email", "phone"))
    assert (result.written, result.excluded) == (1, {})


@pytest.mark.parametrize(
    "other",
    [
        Person("u1", "other@example.com", "+18005550100"),
        Person("u1", "jane@example.com", "+18005550101"),
        Person("u1", "jane@example.com"),
        Person("u1", "nonsense", "+18005550100"),
    ],
)
def test_rows_of_a_user_that_contradict_each_other_name_nobody(segment: Segment, other: Person) -> None:
    people = segment.with_users(1).with_user("u1", "granted", email="jane@example.com", phone="+18005550100")
    for rows in ((*people.people, other), (other, *people.people)):
        result = replace(people, people=rows).export(identity=("email", "phone"))
        assert result.excluded == {"ambiguous_identity": 1}


def test_rows_that_differ_in_what_is_not_sent_are_one(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="jane@example.com", phone="+18005550100", first_name="Jane")
    people = replace(people, people=(*people.people, Person("u1", "jane@example.com", first_name="J.")))
    assert people.export(format="csv", identity=("email",)).written == 1


# User ids


@pytest.mark.parametrize(
    "user_id", ["jane@example.com", "Jane@Example.com", "+18005550100", "tel:+18005550100", "0049 170 1234567"]
)
def test_a_user_id_that_is_personal_is_never_sent(segment: Segment, user_id: str) -> None:
    people = segment.with_users(1).with_user(user_id, "granted", phone="+1 800 555 0199")
    result = people.export(format="csv", identity=("user_id",))
    assert result.excluded == {"personal_user_id": 1}
    rows = rows_of(people, format="csv", identity=("user_id", "phone"))
    assert {row["external_id_sha256"] for row in rows} == {sha("u0"), ""}
    assert sha("+18005550199") in {row["phone_sha256"] for row in rows}


def test_a_user_id_of_the_digits_of_its_own_number_is_never_sent(segment: Segment) -> None:
    people = segment.with_users(1).with_user("8005550100", "granted", phone="+1 800 555 0100")
    assert people.export(format="csv", identity=("user_id",)).excluded == {"personal_user_id": 1}


@pytest.mark.parametrize(
    "user_id",
    [
        *("", " ", "undefined", "null", "NULL", "None", "NaN", "0", "(not set)", "[object Object]", "\u200b"),
        *("00000000-0000-0000-0000-000000000000", "{{user_id}}", "%USER_ID%", "${userId}"),
    ],
)
def test_a_word_for_not_signed_in_is_nobody(segment: Segment, user_id: str) -> None:
    people = segment.with_users(1).with_user(user_id, "granted", email="jane@example.com")
    result = people.export(format="csv", identity=("email", "user_id"))
    assert result.excluded == {"no_user_id": 1}


def test_a_user_id_is_found_in_spite_of_blanks_around_it(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="jane@example.com")
    people = replace(people, members=(Member(1, " u1 "), Member(2, "u1")))
    result = people.export(format="csv", identity=("email", "user_id"))
    assert result.excluded == {"duplicate_identifier": 1}
    assert read_rows(file_of(result))[0]["external_id_sha256"] == sha("u1")


def test_two_devices_of_one_actor_key_are_told_apart_whatever_order_they_came_in(segment: Segment) -> None:
    people = segment.with_user("u1", "granted", email="a@example.com").with_user("u2", "granted", email="A@example.com")
    members = (Member(5, "u1"), Member(5, "u2"))
    results = [replace(people, members=order).export(format="csv") for order in (members, members[::-1])]
    assert [result.excluded for result in results] == [{"duplicate_identifier": 1}] * 2


# Values that cannot be read


def odd_columns() -> dict[str, pa.Array]:
    """Return columns of two values, of which Python cannot hold the first."""
    ends = pa.array([0, 2, 7], pa.int32()).buffers()[1]
    not_utf8 = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"\xff\xfehello")])
    return {
        "invalid UTF-8": not_utf8,
        "year 10000": pa.array([253_402_300_800, 0], pa.int64()).cast(pa.timestamp("s")),
        "huge duration": pa.array([2**62, None], pa.int64()).cast(pa.duration("s")),
        "unknown zone": pa.array([0, None], pa.int64()).cast(pa.timestamp("us", "Mars/Phobos")),
        "date beyond the calendar": pa.array([2**30, None], pa.int32()).cast(pa.date32()),
        "bytes": pa.array([b"\xff", None]),
        "not a number": pa.array([float("inf"), None]),
    }


def write_consent(path: Path, user_ids: object, answers: object, moments: object) -> None:
    table = {"user_id": user_ids, "ad_user_data": answers, "ad_personalization": ["granted"] * 2, "changed_at": moments}
    pq.write_table(pa.table(table), path)


@pytest.mark.parametrize("what", odd_columns())
def test_an_odd_value_excludes_its_user_and_nobody_else(segment: Segment, tmp_path: Path, what: str) -> None:
    path = tmp_path / "people.parquet"
    pq.write_table(
        pa.table({"user_id": ["u1", "u2"], "email": ["a@example.com", "b@example.com"], "phone": odd_columns()[what]}),
        path,
    )
    people = segment.with_user("u1", "granted").with_user("u2", "granted")
    people = replace(people, people=tuple(read_people(path)))
    result = people.export(format="csv", identity=("email", "phone"))
    assert result.excluded == {"identity_unreadable": 1}
    assert [row["email_sha256"] for row in read_rows(file_of(result))] == [sha("b@example.com")]


@pytest.mark.parametrize("what", odd_columns())
def test_an_odd_moment_of_consent_excludes_its_user_and_nobody_else(
    segment: Segment, tmp_path: Path, what: str
) -> None:
    path = tmp_path / "consent.parquet"
    write_consent(path, ["u1", "x"], ["granted"] * 2, odd_columns()[what])
    people = segment.with_user("u1", email="a@example.com").with_user("u2", "granted", email="b@example.com")
    people = replace(people, consents=(*people.consents, *read_consents(path)))
    assert people.export(format="csv").excluded == {"consent_unreadable": 1}


def test_an_odd_answer_is_a_refusal(segment: Segment, tmp_path: Path) -> None:
    path = tmp_path / "consent.parquet"
    odd = odd_columns()["invalid UTF-8"]
    moments = [datetime(2026, 1, 1, tzinfo=UTC)] * 2
    write_consent(path, ["u1", "x"], odd, moments)
    people = segment.with_user("u1", email="a@example.com").with_user("u2", "granted", email="b@example.com")
    people = replace(people, consents=(*people.consents, *read_consents(path)))
    assert people.export(format="csv").excluded == {"consent_denied": 1}


def test_a_user_id_that_cannot_be_read_is_nobody_and_in_the_consent_table_a_warning(
    segment: Segment, tmp_path: Path
) -> None:
    odd = odd_columns()["invalid UTF-8"]
    people_path, consent_path = tmp_path / "people.parquet", tmp_path / "consent.parquet"
    pq.write_table(pa.table({"user_id": odd, "email": ["a@example.com", "b@example.com"]}), people_path)
    write_consent(consent_path, odd, ["granted"] * 2, ["2026-01-01"] * 2)
    people = replace(
        segment.with_user("hello"), people=tuple(read_people(people_path)), consents=tuple(read_consents(consent_path))
    )
    result = people.export(format="csv")
    assert result.written == 1
    assert any("user_id cannot be read" in warning for warning in result.warnings)


# Meta


def test_meta_file_has_its_headers_and_hashes_every_part(segment: Segment) -> None:
    result = segment.with_user(
        "u1",
        "granted",
        email="Jane.Doe+x@Gmail.com",
        phone="(800) 555-0100",
        first_name="Dr. Anna-Maria",
        last_name="O'Brien",
        country="us",
        postal_code="2138-1234",
    ).export(format="meta", identity=("email", "phone"))
    assert file_of(result) == segment.folder / "ready-to-buy.meta.csv"
    parts = ("jane.doe+x@gmail.com", "18005550100", "annamaria", "obrien", "02138", "us")
    assert file_of(result).read_text() == f"email,phone,fn,ln,zip,country\n{','.join(map(sha, parts))}\n"


def test_meta_file_leaves_the_address_blank_where_a_part_is_missing(segment: Segment) -> None:
    (row,) = rows_of(segment.with_user("u1", "granted", email="a@example.com", first_name="Ann"), format="meta")
    assert row == {"email": sha("a@example.com"), "phone": "", "fn": "", "ln": "", "zip": "", "country": ""}
