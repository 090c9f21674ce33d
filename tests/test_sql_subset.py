"""Templates stay inside the SQL subset, on which both engines agree (see `judges/allowlist.txt`)."""

from __future__ import annotations

import re

import pytest

from judges import JUDGES, allowlist, assert_same_rows
from judges.cases import TemplateCase, discover
from judges.subset import violations
from microconv.queries import templates

LISTED = allowlist.cases()
FUNCTIONS = ("scalars", "aggregates", "windows")
TEXT_IN_QUOTES = re.compile(r"""(?<!\w)['"][^'"\n{}]*\{\{""")


@pytest.mark.parametrize("case", LISTED, ids=lambda case: case.id)
def test_both_judges_answer_alike(case: allowlist.Case):
    tables, _ = allowlist.values()
    for query in case.queries:
        params = allowlist.params_of(query)
        duckdb, reference = (JUDGES[name](query, params, tables) for name in ("duckdb", "reference"))
        assert_same_rows(duckdb, reference, ordered=True, label=query)
        for row, other in zip(duckdb, reference, strict=True):
            assert _types(row) == _types(other), f"types differ in {query}"


def _types(value: object) -> object:
    if isinstance(value, dict):
        return {name: _types(item) for name, item in value.items()}
    return [_types(item) for item in value] if isinstance(value, list) else type(value)


@pytest.mark.parametrize("case", [case for case in LISTED if case.section in FUNCTIONS], ids=lambda case: case.id)
def test_a_function_is_listed_where_its_expressions_use_it(case: allowlist.Case):
    names = {name.removesuffix(" OVER") for name in allowlist.functions(case.queries[0])}
    assert case.name in names | {"ARRAY", "EXISTS"}


@pytest.mark.parametrize("case", discover(), ids=lambda case: case.id)
def test_template_stays_inside_the_subset(case: TemplateCase):
    assert violations(case.query.sql) == []


@pytest.mark.parametrize("name", templates.names())
def test_template_writes_no_value_between_quotes(name: str):
    assert not TEXT_IN_QUOTES.search(templates.load(name).text)


@pytest.mark.parametrize("case", [case for case in LISTED if case.section == "queries"], ids=lambda case: case.id)
def test_listed_queries_keep_the_rules(case: allowlist.Case):
    for query in case.queries:
        assert violations(query) == [], query


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT v.id FROM v; SELECT v.id FROM v", "one SELECT"),
        ("DECLARE x INT64", "one SELECT"),
        ("CREATE TEMP FUNCTION f(x INT64) RETURNS INT64 LANGUAGE js AS 'return x'", "one SELECT"),
        ("DELETE FROM v WHERE TRUE", "one SELECT"),
        ("SELECT FROM WHERE", "does not parse"),
        ("SELECT FARM_FINGERPRINT(v.s) AS x FROM v", "FARM_FINGERPRINT is not in the allow-list"),
        ("SELECT APPROX_COUNT_DISTINCT(v.s) AS x FROM v", "APPROX_COUNT_DISTINCT is not"),
        ("SELECT APPROX_QUANTILES(v.i, 2) AS x FROM v", "APPROX_QUANTILES is not"),
        ("SELECT CURRENT_TIMESTAMP() AS x", "CURRENT_TIMESTAMP is not"),
        ("SELECT RAND() AS x", "RAND is not"),
        ("SELECT NET.HOST(v.s) AS x FROM v", "NET.HOST is not"),
        ("SELECT TIMESTAMP_DIFF(v.ts, v.ts, DAY) AS x FROM v", "TIMESTAMP_DIFF is not"),
        ("SELECT STRING_AGG(v.s, ',' ORDER BY v.id) OVER () AS x FROM v", "STRING_AGG OVER is not"),
        ("SELECT x.a FROM v PIVOT(SUM(i) FOR k IN ('a')) AS x", "Pivot is not"),
        ("SELECT v.i << 1 AS x FROM v", "BitwiseLeftShift is not"),
        ("SELECT v.* FROM v", "names its columns"),
        ("WITH a AS (SELECT v.id FROM v) SELECT * FROM a", "names its columns"),
        ("SELECT TO_JSON_STRING(v.p) AS x FROM v", "TO_JSON_STRING is a hash"),
        ("SELECT v.id FROM v QUALIFY ROW_NUMBER() OVER (ORDER BY v.id) = 1", "QUALIFY"),
        ("SELECT v.id FROM v LIMIT 1", "LIMIT needs"),
        ("SELECT DATE_TRUNC(v.d, MONTH) AS d, COUNT(*) AS n FROM v GROUP BY d", "GROUP BY d may mean"),
        ("SELECT l.id FROM v AS l, v AS r WHERE l.id = r.id", "spell out CROSS JOIN"),
        ("SELECT l.id FROM v AS l INNER JOIN v AS r ON l.id > r.id", "no equality"),
        ("SELECT l.id FROM v AS l INNER JOIN v AS r ON l.id = 3", "no equality"),
        ("SELECT l.id FROM v AS l INNER JOIN v AS r ON l.id = r.id OR l.i = r.i", "no equality"),
        ("SELECT l.id FROM v AS l, UNNEST(l.n) AS x", "spell out CROSS JOIN"),
        ("SELECT v.id FROM v CROSS JOIN UNNEST(v.n)", "has no alias"),
        ("SELECT v.id, key FROM v CROSS JOIN UNNEST(v.p) AS x WHERE value IS NULL", "stands beside an UNNEST"),
        ("SELECT ARRAY_AGG(v.id) AS x FROM v", "needs an ORDER BY"),
        ("SELECT LAG(v.id) OVER (PARTITION BY v.k) AS x FROM v", "needs an ORDER BY in its window"),
        ("SELECT SAFE_CAST(v.s AS DATE) AS x FROM v", "SAFE_CAST reads"),
        ("SELECT REGEXP_EXTRACT(v.s, @text) AS x FROM v", "literal pattern"),
        ("SELECT REGEXP_EXTRACT(v.s, r'a(b)?') AS x FROM v", "may be missing"),
        ("SELECT SUBSTR(v.s, -2) AS x FROM v", "positive literal"),
        ("SELECT v.id FROM v WHERE EXISTS(SELECT 1 FROM v AS x WHERE x.id = v.i)", "from outside"),
        ("SELECT (SELECT MAX(x.id) FROM v AS x WHERE x.i = v.i) AS m FROM v", "from outside"),
    ],
)  # fmt: skip
def test_rule_is_enforced(sql: str, complaint: str):
    assert any(complaint in found for found in violations(sql)), violations(sql)
