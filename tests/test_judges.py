"""The judges' own rules: what counts as the same rows, and which inputs are refused."""

from __future__ import annotations

import pytest

from judges import ALL_JUDGES, JUDGES, assert_same_rows, differences

VALUES = {
    "at": ("TIMESTAMP", "1970-01-01T00:00:00Z"),
    "later": ("TIMESTAMP", "2021-01-03T23:30:00.000001Z"),
    "day": ("DATE", "1969-12-31"),
    "none": ("ARRAY<STRING>", []),
    "flag": ("BOOL", False),
    "zero": ("INT64", 0),
    "empty": ("STRING", ""),
    "nested": ("ARRAY<STRUCT<key STRING, value STRUCT<int_value INT64>>>", [{"key": "é", "value": {"int_value": 0}}]),
    "infinite": ("FLOAT64", "-Infinity"),
    "nan": ("FLOAT64", "NaN"),
}


@pytest.mark.parametrize("judge", ALL_JUDGES)
def test_every_type_comes_back_as_it_went_in(judge: str):
    row = {name: value for name, (_, value) in VALUES.items()}
    columns = {name: kind for name, (kind, _) in VALUES.items()}
    names = ", ".join(f"t.`{name}`" for name in VALUES)
    assert ALL_JUDGES[judge](f"SELECT {names} FROM t", {}, {"t": (columns, [row])}) == [row]


@pytest.mark.parametrize("judge", ALL_JUDGES)
@pytest.mark.parametrize("name", [name for name in VALUES if name not in {"nested"}])
def test_every_type_comes_back_from_a_parameter(judge: str, name: str):
    kind, value = VALUES[name]
    assert ALL_JUDGES[judge]("SELECT @x AS x", {"x": (value, kind)}, {}) == [{"x": value}]


@pytest.mark.parametrize(("judge", "answer"), [*((judge, None) for judge in JUDGES), ("emulator", [])])
def test_an_array_that_is_null_stays_null_but_over_the_wire(judge: str, answer: list[int] | None):
    tables = {"t": ({"missing": "ARRAY<INT64>"}, [{"missing": None}])}
    assert ALL_JUDGES[judge]("SELECT t.missing FROM t", {}, tables) == [{"missing": answer}]


@pytest.mark.parametrize("judge", ALL_JUDGES)
def test_columns_left_out_are_null(judge: str):
    tables = {"t": ({"a": "INT64", "s": "STRUCT<x INT64, y INT64>"}, [{"s": {"x": 1}}])}
    assert ALL_JUDGES[judge]("SELECT t.a, t.s FROM t", {}, tables) == [{"a": None, "s": {"x": 1, "y": None}}]


@pytest.mark.parametrize("judge", ALL_JUDGES)
@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"b": 1}, "unknown field"),
        ({"a": "1"}, "not a INT64"),
        ({"a": True}, "not a INT64"),
        ({"s": {"z": 1}}, "unknown field"),
        ({"s": 1}, "not a struct"),
    ],
)
def test_a_row_that_does_not_fit_its_table_is_refused(judge: str, row: dict[str, object], complaint: str):
    with pytest.raises(ValueError, match=complaint):
        ALL_JUDGES[judge]("SELECT t.a FROM t", {}, {"t": ({"a": "INT64", "s": "STRUCT<x INT64>"}, [row])})


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"x": 1}, {"x": 2}),
        ({"x": 1}, {"x": True}),
        ({"x": 0}, {"x": None}),
        ({"x": "1"}, {"x": 1}),
        ({"x": 1.0}, {"x": 1.00001}),
        ({"x": [1, 2]}, {"x": [2, 1]}),
        ({"x": {"a": 1}}, {"x": {"b": 1}}),
        ({"x": 1}, {"y": 1}),
    ],
)
def test_rows_that_differ_are_told_apart(one: dict[str, object], other: dict[str, object]):
    assert differences([one], [other], ordered=False)
    with pytest.raises(AssertionError):
        assert_same_rows([one], [other])


def test_missing_and_extra_rows_are_told():
    assert differences([{"x": 1}], [{"x": 1}, {"x": 1}], ordered=False) == ["1 rows instead of 2"]


def test_order_counts_only_where_asked():
    rows, turned = [{"x": 1}, {"x": 2}], [{"x": 2}, {"x": 1}]
    assert differences(rows, turned, ordered=False) == []
    assert differences(rows, turned, ordered=True)


def test_floats_are_the_same_within_the_tolerance():
    assert differences([{"x": 0.1 + 0.2}, {"x": 2}], [{"x": 0.3}, {"x": 2.0}], ordered=True) == []
