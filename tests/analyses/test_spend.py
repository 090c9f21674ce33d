"""Spend: read with messages that say where, and joined to credit without losing a row."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microconv.analyses.attribution.spend import AttributionCredit, Spend, join_spend, read_spend
from microconv.errors import ConfigError

FIRST, LAST = date(2024, 1, 1), date(2024, 1, 31)


@pytest.fixture
def spend_file(tmp_path: Path) -> Path:
    return tmp_path / "spend.csv"


def test_rows_of_one_day_and_touchpoint_are_added_up_exactly(spend_file):
    spend_file.write_text("date,touchpoint,cost\n2024-01-02,Email,0.1\n2024-01-01,Email,5\n2024-01-02,Email,0.2\n")

    assert read_spend(spend_file) == (
        Spend(date(2024, 1, 1), "Email", 5.0),
        Spend(date(2024, 1, 2), "Email", 0.3),
    )


def test_a_spreadsheet_s_file_is_read_as_it_is(spend_file):
    spend_file.write_bytes(
        '\ufeffCost , note,Channel,Date\r\n\r\n12.50,x,"Search, paid", 2024-01-31\r\n,,,\r\n'.encode()
    )

    assert read_spend(spend_file) == (Spend(LAST, "Search, paid", 12.5),)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "line 1: there is no column date", "date,touchpoint,cost"),
        ("date;channel;cost\n", "line 1: there is no column date", "with commas"),
        ("date,cost\n", "line 1: there is no column touchpoint or channel", "date,touchpoint,cost"),
        ("date,channel,touchpoint,cost\n", "line 1: there is more than one column touchpoint or channel", "one of"),
        ("date,channel,cost\n\n01/31/2024,a,1\n", "line 3, column date", "2024-01-31"),
        ("date,channel,cost\n2024-02-30,a,1\n", "line 2, column date", "2024-01-31"),
        ("date,channel,cost\n2024-01-01,,1\n", "line 2, column touchpoint: it is empty", "as attribution names it"),
        ('date,channel,cost\n2024-01-01,a,"1,234.50"\n', "line 2, column cost", "no thousands separators"),
        ("date,channel,cost\n2024-01-01,a,1,234.50\n", "line 2: 4 fields where the first line has 3", "1234.50"),
        ("date,channel,cost\n2024-01-01,a,-1\n", "line 2, column cost", "signs"),
        ("date,channel,cost\n2024-01-01,a,€5\n", "line 2, column cost", "currencies"),
        ("date,channel,cost\n2024-01-01,a,1_000\n", "line 2, column cost", "1234.50"),
        ("date,channel,cost\n2024-01-01,a,nan\n", "line 2, column cost", "1234.50"),
        ("date,channel,cost\n2024-01-01,a,\n", "line 2, column cost", "1234.50"),
        ('date,channel,cost\n2024-01-01,"a,1\n', "line 2: unexpected end of data", "double quotes"),
    ],
)
def test_messages_say_where_and_what_to_do(spend_file, text, message, hint):
    spend_file.write_text(text, encoding="utf-8")

    with pytest.raises(ConfigError) as refused:
        read_spend(spend_file)

    assert refused.value.message.startswith(f"The spend file {spend_file}")
    assert message in refused.value.message
    assert hint in refused.value.hint


def test_a_file_that_is_not_utf_8_is_refused(spend_file):
    spend_file.write_bytes("date,channel,cost\n2024-01-01,Köln,1\n".encode("latin-1"))

    with pytest.raises(ConfigError, match="is not UTF-8"):
        read_spend(spend_file)


def test_a_missing_file_and_a_folder_are_refused(spend_file):
    with pytest.raises(ConfigError, match="does not exist"):
        read_spend(spend_file)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_spend(spend_file.parent)


def join(credited=(), spend=(), models=("last",), windows=("7d",)):
    return join_spend(credited, spend, models=models, windows=windows, first=FIRST, last=LAST)


def test_cost_per_conversion_and_return_follow_the_model():
    credited = [
        AttributionCredit("last", "7d", "Search", 4.0, 200.0),
        AttributionCredit("first", "7d", "Search", 2.0, 50.0),
    ]

    result = join(credited, [Spend(FIRST, "Search", 60.0), Spend(LAST, "Search", 40.0)], models=("last", "first"))

    assert [(row.model, row.cost, row.cost_per_conversion, row.return_on_spend) for row in result.rows] == [
        ("last", 100.0, 25.0, 2.0),
        ("first", 100.0, 50.0, 0.5),
    ]


def test_spend_without_credit_and_credit_without_spend_keep_their_rows():
    credited = [AttributionCredit("last", "7d", "Email", 3.0, 9.0), AttributionCredit("last", "7d", "Radio", 0.0, 0.0)]

    result = join(credited, [Spend(FIRST, "Radio", 70.0)])

    assert [
        (row.touchpoint, row.credit, row.cost, row.cost_per_conversion, row.return_on_spend) for row in result.rows
    ] == [("Email", 3.0, 0.0, 0.0, None), ("Radio", 0.0, 70.0, None, 0.0)]
    assert result.without_credit == ("Radio",)
    assert result.sentence == "70.00 was spent from 2024-01-01 to 2024-01-31; no model credits Radio."


def test_a_touchpoint_that_cost_nothing_is_not_missed():
    result = join([], [Spend(FIRST, "Radio", 0.0)])

    assert (len(result.rows), result.without_credit) == (1, ())


def test_spend_without_any_conversion_keeps_a_row_in_every_model_and_window():
    result = join((), [Spend(FIRST, "Radio", 70.0)], models=("first", "last"), windows=("7d", "30d"))

    assert [(row.model, row.window, row.cost) for row in result.rows] == [
        ("first", "7d", 70.0),
        ("first", "30d", 70.0),
        ("last", "7d", 70.0),
        ("last", "30d", 70.0),
    ]


def test_rows_come_by_credit_then_cost_then_name():
    credited = [AttributionCredit("last", "7d", name, credit, 0.0) for name, credit in (("a", 1.0), ("b", 2.0))]

    result = join(credited, [Spend(FIRST, name, cost) for name, cost in (("f", 5.0), ("d", 5.0), ("e", 9.0))])

    assert [row.touchpoint for row in result.rows] == ["b", "a", "e", "d", "f"]


def test_spend_outside_the_days_is_reported_not_joined():
    spend = [Spend(date(2023, 12, 31), "Email", 5), Spend(date(2024, 2, 1), "Radio", 2_007), Spend(LAST, "Email", 1)]

    result = join((), spend)

    assert (result.cost_outside_days, [(row.touchpoint, row.cost) for row in result.rows]) == (2_012, [("Email", 1)])
    assert "; 2,012.00 on other days is left out;" in result.sentence


def test_nothing_credited_and_nothing_spent_is_an_empty_table():
    result = join()

    assert (result.rows, result.without_credit, result.cost_outside_days) == ((), (), 0.0)
    assert result.sentence == "Nothing was spent from 2024-01-01 to 2024-01-31."
    assert list(result.to_pandas().columns)[:3] == ["touchpoint", "model", "window"]


TOUCHPOINTS = st.sampled_from(["Email", "Radio", "Search"])


@given(
    spend=st.lists(st.builds(Spend, st.dates(date(2023, 12, 1), date(2024, 2, 29)), TOUCHPOINTS, st.integers(0, 99))),
    credited=st.dictionaries(TOUCHPOINTS, st.integers(0, 9)),
)
def test_every_cost_and_every_credit_is_in_the_result_once(spend, credited):
    rows = [AttributionCredit("last", "7d", name, credit, 2 * credit) for name, credit in credited.items()]

    result = join(rows, spend)

    assert sum(row.cost for row in result.rows) + result.cost_outside_days == sum(item.cost for item in spend)
    assert {row.touchpoint: row.credit for row in result.rows if row.touchpoint in credited} == credited
    assert len({row.touchpoint for row in result.rows}) == len(result.rows)
    assert json.loads(json.dumps(result.document(), allow_nan=False))["first"] == "2024-01-01"
