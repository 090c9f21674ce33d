from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from segment_builder import unprivileged

from microconv.activation.audience.people import ConsentRecord, Person
from microconv.activation.audience.people_tables import consents_from_rows, people_from_rows, read_consents, read_people
from microconv.errors import ConfigError

HEADER = "user_id,email,phone,first_name,last_name,country,postal_code\n"


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def test_csv_values_are_trimmed_and_empty_ones_are_missing(tmp_path: Path) -> None:
    path = write(tmp_path / "people.csv", HEADER + ' 007 , a@example.com ,,"Lee, Jr",, US,01234\n\n')
    assert tuple(read_people(path)) == (Person("007", "a@example.com", None, "Lee, Jr", None, "US", "01234"),)


def test_csv_of_a_spreadsheet_with_byte_order_mark_and_other_columns_in_any_order(tmp_path: Path) -> None:
    path = write(tmp_path / "people.CSV", "\ufeffemail, user_id ,vip\r\na@example.com,1,yes\r\n")
    assert tuple(read_people(path)) == (Person("1", "a@example.com"),)


def test_rows_without_user_id_belong_to_nobody(tmp_path: Path) -> None:
    assert tuple(read_people(write(tmp_path / "people.csv", HEADER + " ,a@example.com,,,,,\n"))) == ()
    consents = write(
        tmp_path / "consent.csv", "user_id,ad_user_data,ad_personalization,changed_at\n,granted,granted,2026-01-01\n"
    )
    assert tuple(read_consents(consents)) == ()


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([123, None], pa.int64()), "123"),
        (pa.array([123.0, None], pa.float64()), "123"),
        (pa.array([Decimal("123"), None], pa.decimal128(38, 9)), "123"),
        (pa.array(["123", None], pa.string()), "123"),
        (pa.array(["123", None]).dictionary_encode(), "123"),
        (pa.array(["123.0", None]), "123.0"),
        (pa.array([2**60 + 1, None], pa.int64()), str(2**60 + 1)),
    ],
)
def test_parquet_user_id_is_text_whatever_type_it_was_written_with(tmp_path: Path, ids: Any, expected: str) -> None:
    path = tmp_path / "people.parquet"
    pq.write_table(pa.table({"extra": [1, 2], "email": ["a@example.com", "b@example.com"], "user_id": ids}), path)
    assert tuple(read_people(path)) == (Person(expected, "a@example.com"),)


@pytest.mark.parametrize("value", [0.5, 2.0**60, float("inf"), b"raw", [1]])
def test_values_without_a_certain_text_are_refused_by_column_and_not_shown(value: object) -> None:
    with pytest.raises(ConfigError, match="The table people: column user_id") as caught:
        tuple(people_from_rows(["user_id", "email"], [(value, "a@example.com")], source="The table people"))
    assert repr(value) not in str(caught.value)


def test_consent_from_parquet_with_booleans_and_timestamps(tmp_path: Path) -> None:
    path = tmp_path / "consent.parquet"
    instant = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    pq.write_table(
        pa.table(
            {
                "user_id": [1, 2],
                "ad_user_data": [True, False],
                "ad_personalization": [True, None],
                "changed_at": pa.array([instant, None], pa.timestamp("us", tz="Europe/Berlin")),
            }
        ),
        path,
    )
    assert tuple(read_consents(path)) == (
        ConsentRecord("1", "true", "true", "2026-01-02T04:04:05.000006+01:00"),
        ConsentRecord("2", "false", None, None),
    )


def test_consent_from_rows_of_an_engine_takes_dates() -> None:
    columns = ["changed_at", "user_id", "ad_user_data", "ad_personalization"]
    rows = [(date(2026, 1, 1), "u", "granted", "denied")]
    assert tuple(consents_from_rows(columns, rows, source="The table c")) == (
        ConsentRecord("u", "granted", "denied", "2026-01-01"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column user_id"),
        ("id,email\n1,a@example.com\n", "has no column user_id"),
        ("user_id;email\n1;a@example.com\n", "has no column user_id"),
        ("user_id,e-mail\n1,a@example.com\n", "neither a column email nor a column phone"),
        ("user_id,email,email\n1,a@example.com,b@example.com\n", "more than one column email"),
        ("user_id,email\n1,a@example.com\n2\n", "line 3: 1 fields where the first line has 2"),
        ('user_id,email\n1,"a@example.com\n', "line 2: unexpected end of data"),
        (b"user_id,email\n1,\xff@example.com\n", "is not UTF-8"),
    ],
)
def test_broken_identity_csv_says_what_is_wrong_without_showing_it(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = write(tmp_path / "people.csv", text)
    with pytest.raises(ConfigError, match=message) as caught:
        tuple(read_people(path))
    assert f"The identity file {path}" in caught.value.message
    assert "a@example.com" not in str(caught.value)
    assert caught.value.hint


def test_file_without_header_does_not_leak_its_first_person(tmp_path: Path) -> None:
    path = write(tmp_path / "people.csv", "u1,maria@example.com,+18005550100\n")
    with pytest.raises(ConfigError) as caught:
        tuple(read_people(path))
    assert "maria" not in str(caught.value)
    assert "5550100" not in str(caught.value)


def test_consent_file_names_every_missing_column(tmp_path: Path) -> None:
    path = write(tmp_path / "consent.csv", "user_id,ad_user_data\n1,granted\n")
    with pytest.raises(ConfigError, match="has no columns ad_personalization, changed_at") as caught:
        tuple(read_consents(path))
    assert f"The consent file {path}" in caught.value.message


def test_missing_unknown_damaged_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        tuple(read_people(tmp_path / "none.csv"))
    with pytest.raises(ConfigError, match=r"neither \.csv nor \.parquet"):
        tuple(read_people(tmp_path / "people.xlsx"))
    with pytest.raises(ConfigError, match="is not a Parquet file, or is damaged"):
        tuple(read_people(write(tmp_path / "people.parquet", b"PAR1 cut off")))
    folder = tmp_path / "folder.csv"
    folder.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        tuple(read_people(folder))
    with pytest.raises(ConfigError, match="does not exist"):
        tuple(read_consents(tmp_path / "none.parquet"))


def test_file_without_read_permission_is_named() -> None:
    with unprivileged() as folder:
        path = write(folder / "people.csv", HEADER)
        path.chmod(0)
        with pytest.raises(ConfigError, match="cannot be read: Permission denied"):
            tuple(read_people(path))
