"""What the dialect does to a GoogleSQL text; that the rows stay the same is tested with the allow-list."""

from __future__ import annotations

import duckdb
import pytest

from judges import JUDGES, assert_same_rows
from microconv.engines import dialect
from microconv.engines.dialect import to_duckdb
from microconv.errors import TemplateError

PARAM = "STRUCT<key STRING, value STRUCT<string_value STRING, int_value INT64>>"
EVENTS = (
    {"id": "INT64", "event_params": f"ARRAY<{PARAM}>"},
    [
        {"id": 1, "event_params": [{"key": "page", "value": {"string_value": "/a"}}, {"key": "page", "value": {}}]},
        {"id": 2, "event_params": [{"key": "id", "value": {"int_value": 7}}, {"key": "page", "value": None}]},
        {"id": 3, "event_params": []},
        {"id": 4, "event_params": None},
    ],
)


def first_param(value: str, *, where: str = "p.key = 'page'", order: str = "ORDER BY o LIMIT 1") -> str:
    subquery = f"(SELECT {value} FROM UNNEST(e.event_params) AS p WITH OFFSET AS o WHERE {where} {order})"
    return f"SELECT e.id, {subquery} AS x FROM e ORDER BY e.id"


@pytest.mark.parametrize(
    "value",
    [
        "p.value.string_value",
        "COALESCE(p.value.string_value, CAST(p.value.int_value AS STRING))",
        "COALESCE(p.value.string_value, 'none')",
        "p.value.string_value IS NULL",
        "CASE WHEN p.value.string_value = '/a' THEN 1 ELSE 2 END",
        "p.key",
        "CAST(NULL AS STRING)",
        "e.id",
    ],
)
def test_reading_a_key_is_a_list_lookup_with_the_same_rows(value: str):
    query = first_param(value)
    assert "UNNEST" not in to_duckdb(query)
    duckdb_rows, reference_rows = (judge(query, {}, {"e": EVENTS}) for judge in JUDGES.values())
    assert_same_rows(duckdb_rows, reference_rows, ordered=True)


LISTS = (
    {"id": "INT64", "n": "ARRAY<INT64>", "w": "ARRAY<STRING>", "s": "STRING"},
    [
        {"id": 1, "n": [3, 1, 3, 2], "w": ["b", "a", "B", "b", ""], "s": "b"},
        {"id": 2, "n": [1], "w": ["\u00e4", "z"], "s": None},
        {"id": 3, "n": [], "w": [], "s": "x_b"},
        {"id": 4, "n": None, "w": None, "s": ""},
    ],
)


@pytest.mark.parametrize(
    "expression",
    [
        "ARRAY_TO_STRING(ARRAY(SELECT DISTINCT x AS one FROM UNNEST(v.w) AS x ORDER BY one), '|')",
        "ARRAY_TO_STRING(ARRAY(SELECT DISTINCT NULLIF(LOWER(x), '') AS one FROM UNNEST(v.w) AS x ORDER BY one), '|')",
        "ARRAY_TO_STRING(ARRAY(SELECT DISTINCT CAST(x AS STRING) AS one FROM UNNEST(v.n) AS x ORDER BY one), '|')",
        "ARRAY_TO_STRING(ARRAY(SELECT DISTINCT CONCAT(x, v.s) AS one FROM UNNEST(v.w) AS x ORDER BY one), '|')",
        "ARRAY_TO_STRING(ARRAY(SELECT x AS one FROM UNNEST(v.w) AS x ORDER BY one), '|')",
        "EXISTS(SELECT 1 FROM UNNEST(v.n) AS x WHERE x > 2)",
        "NOT EXISTS(SELECT 1 FROM UNNEST(v.n) AS x WHERE CAST(x AS STRING) = '2')",
        "EXISTS(SELECT 1 FROM UNNEST(SPLIT(v.s, '_')) AS x WHERE x IN UNNEST(v.w))",
    ],
)
def test_questions_to_a_rows_own_array_are_list_functions_with_the_same_rows(expression: str):
    query = f"SELECT v.id, {expression} AS x FROM v ORDER BY v.id"
    assert "UNNEST" not in to_duckdb(query)
    duckdb_rows, reference_rows = (judge(query, {}, {"v": LISTS}) for judge in JUDGES.values())
    assert_same_rows(duckdb_rows, reference_rows, ordered=True)


def test_an_apostrophe_in_a_comment_changes_no_white_space_in_literals():
    query = "-- GA4's word\nSELECT LENGTH(TRIM('\u00a0x\u2003')) AS trimmed, '\u00a0' AS space"
    duckdb_rows, reference_rows = (judge(query, {}, {}) for judge in JUDGES.values())
    assert duckdb_rows == reference_rows == [{"trimmed": 1, "space": "\u00a0"}]


@pytest.mark.parametrize(
    "expression",
    [
        "ARRAY_TO_STRING(ARRAY(SELECT DISTINCT x AS one FROM UNNEST(v.w) AS x ORDER BY one DESC), '|')",
        "EXISTS(SELECT MAX(x) FROM UNNEST(v.n) AS x WHERE x > 2)",
        "EXISTS(SELECT 1 FROM UNNEST(v.n) AS x WITH OFFSET AS o WHERE o > 2)",
    ],
)
def test_other_questions_to_an_array_stay_subqueries_with_the_same_rows(expression: str):
    query = f"SELECT v.id, {expression} AS x FROM v ORDER BY v.id"
    assert "UNNEST" in to_duckdb(query)
    duckdb_rows, reference_rows = (judge(query, {}, {"v": LISTS}) for judge in JUDGES.values())
    assert_same_rows(duckdb_rows, reference_rows, ordered=True)


@pytest.mark.parametrize(
    "query",
    [
        first_param("p.value.string_value", order="ORDER BY o DESC LIMIT 1"),
        first_param("p.value.string_value", where="p.key = 'page' AND o = 0", order=""),
        first_param("MAX(p.value.string_value)", order=""),
        first_param("o"),
        first_param("p.key", where="p.key = p.value.string_value"),
        first_param("p.key", where="p.key != 'page'"),
    ],
)
def test_other_subqueries_of_an_array_stay_subqueries_with_the_same_rows(query: str):
    assert "UNNEST" in to_duckdb(query)
    duckdb_rows, reference_rows = (judge(query, {}, {"e": EVENTS}) for judge in JUDGES.values())
    assert_same_rows(duckdb_rows, reference_rows, ordered=True)


def test_columns_that_read_one_array_name_its_keys_alike():
    """DuckDB computes an expression once that several columns write in the same words."""
    columns = [first_param("p.value.int_value", where=f"p.key = '{key}'")[len("SELECT e.id, ") :] for key in "abc"]
    query = f"SELECT {', '.join(column.split(' AS x FROM e ')[0] for column in columns)} FROM e"
    assert to_duckdb(query).count('LIST_TRANSFORM("e"."event_params", LAMBDA "x" : "x"."key")') == 3


def test_parameters_take_their_declared_type():
    query = "SELECT @n * 1000000000000 AS n, ARRAY_LENGTH(@names) AS names, @day AS day"
    declared = (("n", "INT64"), ("names", "ARRAY<STRING>"), ("day", "DATE"))
    with duckdb.connect() as connection:
        result = connection.sql(
            to_duckdb(query, declared), params={"n": 3, "names": [], "day": "2021-01-03"}
        ).to_arrow_table()
    assert [str(field.type) for field in result.schema] == ["int64", "int64", "date32[day]"]
    assert result.column("n").to_pylist() == [3_000_000_000_000]


def test_a_parameter_without_a_type_is_refused():
    with pytest.raises(TemplateError, match="@window"):
        to_duckdb("SELECT @window AS x", (("n", "INT64"),))


def test_literals_are_64_bits_wide_and_never_decimals():
    with duckdb.connect() as connection:
        result = connection.sql(to_duckdb("SELECT 1 AS i, 1.5 AS f, 0.1 + 0.2 AS g, -9223372036854775808 AS low"))
        assert [str(kind) for kind in result.types] == ["BIGINT", "DOUBLE", "DOUBLE", "BIGINT"]
        assert result.fetchall() == [(1, 1.5, 0.1 + 0.2, -(2**63))]


def test_names_that_duckdb_reserves_are_quoted():
    with duckdb.connect() as connection:
        rows = connection.sql(to_duckdb("SELECT t.column, t.lambda FROM (SELECT 1 AS column, 2 AS lambda) AS t"))
        assert rows.fetchall() == [(1, 2)]


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("SELECT FROM WHERE", "no DuckDB form"),
        ("SELECT REGEXP_EXTRACT(s, @pattern) AS x FROM t", "literal pattern"),
        ("SELECT TO_HEX(SHA512(s)) AS x FROM t", "TO_HEX takes MD5 or SHA256"),
    ],
)
def test_text_without_a_duckdb_form_is_refused_with_a_hint(query: str, complaint: str):
    with pytest.raises(TemplateError, match=complaint) as raised:
        to_duckdb(query)
    assert raised.value.hint


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1 + 0.2, "0.30000000000000004"), (1e15, "1e+15"), (12345678.0, "12345678"), (0.1, "0.1"), (1e-5, "1e-05")],
)
def test_a_float_is_written_as_googlesql_writes_it(value: float, text: str):
    for judge in JUDGES.values():
        assert judge("SELECT CAST(@value AS STRING) AS x", {"value": (value, "FLOAT64")}, {}) == [{"x": text}]
        rows = judge("SELECT CAST(t.f AS STRING) AS x FROM t", {}, {"t": ({"f": "FLOAT64"}, [{"f": value}])})
        assert rows == [{"x": text}]


@pytest.mark.parametrize(("value", "rounded"), [(0.5, 1), (1.5, 2), (2.5, 3), (-0.5, -1), (-2.5, -3), (0.4, 0)])
def test_a_half_is_rounded_away_from_zero(value: float, rounded: int):
    for judge in JUDGES.values():
        assert judge("SELECT CAST(@value AS INT64) AS x", {"value": (value, "FLOAT64")}, {}) == [{"x": rounded}]
        rows = judge("SELECT CAST(t.f AS INT64) AS x FROM t", {}, {"t": ({"f": "FLOAT64"}, [{"f": value}])})
        assert rows == [{"x": rounded}]


def test_no_class_of_ours_inherits_from_sqlglot():
    """Its compiled parts (`sqlglot[c]`), which another package may bring, cannot be inherited from."""
    inherited = {base.__module__ for each in vars(dialect).values() if isinstance(each, type) for base in each.__mro__}
    ours = {each for each in vars(dialect).values() if isinstance(each, type) and each.__module__ == dialect.__name__}

    assert any(module.startswith("sqlglot") for module in inherited)  # it is imported, and used as it is
    assert ours == set()
