"""Templates: a header that is a contract, structure that must be given whole, and nothing but SQL written into SQL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from jinja2 import Environment, meta

from judges.cases import discover
from microconv.errors import TemplateError
from microconv.queries import templates

HEADER = "-- A sentence.\n-- grain: none\n-- params: none\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of templates of the test's own."""

    def forget() -> None:
        templates.load.cache_clear()
        templates._environment.cache_clear()

    monkeypatch.setattr(templates, "root", lambda: tmp_path)
    forget()
    yield tmp_path
    forget()


def write(folder: Path, text: str, name: str = "t.sql") -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", templates.names())
def test_header_declares_the_structure_that_the_template_reads(name: str):
    template = templates.load(name)

    assert templates.structure_used(template) == set(template.structure)


@pytest.mark.parametrize("name", templates.names())
def test_a_template_that_asks_for_the_dialect_has_a_form_for_duckdb(name: str):
    trees = (Environment().parse(re.sub(r"\| *identifier", "", text)) for text in templates.sources(name))
    asks = any("dialect" in meta.find_undeclared_variables(tree) for tree in trees)

    assert templates._has_duckdb_form(name) == asks


@pytest.mark.parametrize("name", templates.names())
def test_every_declared_parameter_is_used(name: str):
    used = {param for case in discover() if case.template == name for param in templates.params_used(case.query.sql)}
    patterns = {declared: re.sub(r"<[a-z]+>", r"\\w+", declared) for declared in templates.load(name).params}

    assert [declared for declared, pattern in patterns.items() if not any(re.fullmatch(pattern, p) for p in used)] == []


@pytest.mark.parametrize("name", templates.names())
def test_description_is_a_sentence(name: str):
    assert re.fullmatch(r"[A-Z].*\.", templates.load(name).description)


def test_header_is_read_over_several_lines(folder: Path):
    write(
        folder,
        "-- What it gives:\n-- in two lines.\n-- grain: a, b\n-- params: day DATE, step_<n> STRING,\n"
        "--   names ARRAY<STRING>\n"
        "-- structure: steps,\n--   unit\nSELECT 1 AS a -- a comment: params: none\n",
        "folder/one.sql",
    )

    template = templates.load("folder/one")

    assert template.name == "folder/one"
    assert template.description == "What it gives: in two lines."
    assert template.grain == ("a", "b")
    assert template.params == {"day": "DATE", "step_<n>": "STRING", "names": "ARRAY<STRING>"}
    assert template.structure == ("steps", "unit")


def test_names_leave_out_macro_files(folder: Path):
    for name in ("b/two.sql", "a/one.sql", "a/_macros.sql", "a/notes.txt"):
        write(folder, HEADER, name)

    assert templates.names() == ("a/one", "b/two")


def test_unknown_template_is_named_with_those_there_are(folder: Path):
    write(folder, HEADER, "a/one.sql")

    with pytest.raises(TemplateError, match=r"no template a/two .*a/one"):
        templates.load("a/two")


@pytest.mark.parametrize(
    ("header", "lacks"),
    [
        ("-- grain: none\n-- params: none\n", "description"),
        ("-- A sentence.\n-- params: none\n", "grain"),
        ("-- A sentence.\n-- grain: none\n\n-- params: none\n", "params"),
        ("", "description, grain, params"),
    ],
)
def test_incomplete_header_is_refused(folder: Path, header: str, lacks: str):
    write(folder, f"{header}SELECT 1 AS one\n")

    with pytest.raises(TemplateError, match=f"template t lacks: {lacks}"):
        templates.load("t")


@pytest.mark.parametrize(
    "declared", ["day", "day date", "Day DATE", "day NUMERIC", "days ARRAY<ARRAY<DATE>>", "a STRING b"]
)
def test_parameter_without_a_type_of_the_subset_is_refused(folder: Path, declared: str):
    write(folder, f"-- A sentence.\n-- grain: none\n-- params: {declared}\nSELECT 1 AS one\n")

    with pytest.raises(TemplateError, match="declares the parameter"):
        templates.load("t")


def test_values_are_bound_with_their_declared_types(folder: Path):
    write(
        folder,
        "-- A sentence.\n-- grain: none\n-- params: day DATE, step_<n> STRING, none ARRAY<INT64>\n"
        "SELECT @day AS d, @step_0 AS a, @step_10 AS b, @none AS n\n",
    )

    query = templates.query("t", params={"day": date(2021, 1, 2), "step_0": "x", "step_10": None, "none": []})

    assert query.name == "t"
    assert query.params == {
        "day": ("DATE", date(2021, 1, 2)),
        "step_0": ("STRING", "x"),
        "step_10": ("STRING", None),
        "none": ("ARRAY<INT64>", []),
    }


@pytest.mark.parametrize(
    ("params", "complaint"),
    [
        ({}, r"missing: \['day'\]; given but unused: none"),
        ({"day": None, "days": None}, r"missing: none; given but unused: \['days'\]"),
        ({"Day": None}, r"missing: \['day'\]; given but unused: \['Day'\]"),
    ],
)
def test_parameters_are_given_exactly(folder: Path, params: dict[str, None], complaint: str):
    write(folder, "-- A sentence.\n-- grain: none\n-- params: day DATE, days DATE\nSELECT @day AS d\n")

    with pytest.raises(TemplateError, match=complaint):
        templates.query("t", params=params)


def test_undeclared_parameter_is_refused(folder: Path):
    write(folder, "-- A sentence.\n-- grain: none\n-- params: step_<n> STRING\nSELECT @step_1_b AS a, @stepped AS b\n")

    with pytest.raises(TemplateError, match="@stepped, which its header does not declare"):
        templates.query("t", params={"step_1_b": "x", "stepped": "y"})


def test_parameters_in_literals_comments_and_identifiers_are_none():
    sql = r"""SELECT '@a' AS x, "it's @b" AS y, r'\'@c' AS z, t.`@d`, @e -- @f
    FROM t WHERE t.s = @g"""

    assert templates.params_used(sql) == {"e", "g"}


@pytest.mark.parametrize("given", [{}, {"steps": 1}, {"steps": 1, "unit": 2, "more": 3}])
def test_structure_is_given_exactly(folder: Path, given: dict[str, int]):
    write(folder, f"{HEADER}-- structure: steps, unit\nSELECT {{{{ steps }}}} AS a, {{{{ unit }}}} AS b\n")

    with pytest.raises(TemplateError, match=r"takes the structure \['steps', 'unit'\]"):
        templates.render("t", structure=given)


@pytest.mark.parametrize(
    "expression", ["step.name", "step['name']", "missing", "step | missing", "step.name | identifier"]
)
def test_structure_that_is_not_there_is_refused(folder: Path, expression: str):
    write(folder, f"{HEADER}-- structure: step\n{{% if step %}}SELECT {{{{ {expression} }}}} AS a{{% endif %}}\n")

    with pytest.raises(TemplateError, match=r"cannot be rendered|which is not there"):
        templates.render("t", structure={"step": {"id": 1}})


@pytest.mark.parametrize("value", ["x'; --", "event_name", 1.5, True, None, [1]])
def test_value_is_never_written_into_sql(folder: Path, value: object):
    write(folder, f"{HEADER}-- structure: value\nSELECT {{{{ value }}}} AS a\n")

    with pytest.raises(TemplateError, match="wrote the value"):
        templates.render("t", structure={"value": value})


def test_whole_numbers_identifiers_words_and_parameters_are_written(folder: Path):
    write(folder, "{% macro twice(x) -%}{{ x }} + {{ x }}{%- endmacro %}\n", "_macros.sql")
    write(
        folder,
        HEADER + "-- structure: column, n\n{% from '_macros.sql' import twice %}\n"
        "SELECT {{ twice(column | identifier) }}, {{ n }}, {{ constant('ga_session_id') }}, "
        "{{ parameter('step_', n) }}\n",
    )

    sql = templates.render("t", structure={"column": "a b.c-d", "n": 3})

    assert sql.splitlines()[-1] == "SELECT `a b`.`c-d` + `a b`.`c-d`, 3, 'ga_session_id', @step_3"


@pytest.mark.parametrize("name", ["a`b", "a\nb", "a\\b", "", "a..b", "a\0"])
def test_identifier_that_no_quotes_can_hold_is_refused(folder: Path, name: str):
    write(folder, f"{HEADER}-- structure: name\nSELECT {{{{ name | identifier }}}} AS a\n")

    with pytest.raises(TemplateError, match="cannot be an identifier"):
        templates.render("t", structure={"name": name})


@pytest.mark.parametrize("call", ["constant", "parameter"])
@pytest.mark.parametrize("word", ["it's", "a b", "1a", "", "a\n"])
def test_word_that_is_not_plain_is_refused(folder: Path, call: str, word: str):
    write(folder, f"{HEADER}-- structure: word\nSELECT {{{{ {call}(word) }}}} AS a\n")

    with pytest.raises(TemplateError, match="is not a"):
        templates.render("t", structure={"word": word})


def test_relation_stands_where_it_really_lives(folder: Path):
    write(folder, HEADER + "SELECT 1 AS a FROM {{ relation('mc_events') }}, {{ relation('mc_shards') }}\n")

    sql = templates.render("t", relations={"mc_events": "project-1.dataset.mc_events"})

    assert "FROM `project-1`.`dataset`.`mc_events`, `mc_shards`" in sql


def test_query_knows_the_relations_it_reads(folder: Path):
    (folder / "_macros.sql").write_text("{% macro rows() %}{{ relation('mc_sessions') }}{% endmacro %}")
    (folder / "one.sql").write_text(
        HEADER + "{% from '_macros.sql' import rows with context %}\n"
        "SELECT 'mc_events' AS no_relation FROM {{ relation('mc_shards') }} AS a CROSS JOIN {{ rows() }} AS b"
    )

    assert templates.query("one").reads == {"mc_shards", "mc_sessions"}


def test_missing_macro_file_is_named(folder: Path):
    write(folder, HEADER + "{% from '_gone.sql' import x %}\nSELECT {{ x() }} AS a\n")

    with pytest.raises(TemplateError, match=r"imports _gone\.sql, which is not there"):
        templates.render("t")


def test_header_of_a_check_says_what_its_rows_mean(folder: Path):
    write(
        folder,
        "-- Carts without a product.\n-- severity: warning\n-- finding: {count} of {total} carts: {detail}.\n"
        "-- remedy: Look at the tag,\n--   then at the page.\n"
        "-- threshold: min_share FLOAT64 = 0.05 share of carts from which it is told\n"
        "-- threshold: min_count INT64 = 10 carts of a day\n--   below which it is not told\n"
        "-- grain: subject\n-- params: first_date DATE\nSELECT @min_share + @min_count AS a, @first_date AS b\n",
    )

    template = templates.load("t")

    assert template.description == "Carts without a product."
    assert template.params == {"first_date": "DATE", "min_share": "FLOAT64", "min_count": "INT64"}
    assert template.notes == {
        "severity": ("warning",),
        "finding": ("{count} of {total} carts: {detail}.",),
        "remedy": ("Look at the tag, then at the page.",),
        "threshold": (
            "min_share FLOAT64 = 0.05 share of carts from which it is told",
            "min_count INT64 = 10 carts of a day below which it is not told",
        ),
    }


@pytest.mark.parametrize("written", ["min_share", "min_share FLOAT64", "min_share DATE = 1 of all", "a INT64 = 5"])
def test_threshold_without_type_default_or_meaning_is_refused(folder: Path, written: str):
    write(folder, f"-- A sentence.\n-- threshold: {written}\n-- grain: none\n-- params: none\nSELECT 1 AS one\n")

    with pytest.raises(TemplateError, match="declares the threshold"):
        templates.load("t")
