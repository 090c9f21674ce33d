"""Every way a taxonomy file can be wrong, and what is said about it."""

from __future__ import annotations

from functools import partial

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microconv.errors import TaxonomyError
from microconv.queries.patterns import problem_in_pattern
from microconv.taxonomy import PRESETS, find_problems, load_taxonomy
from taxonomy_files import GOAL, entry, write_file


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


# What is refused

BAD_ENTRIES = [
    ('id = "Cart"', r'micro-conversion "Cart", key id: must be lower-case letters'),
    (f'id = "{"a" * 65}"', "key id: must be lower-case letters"),
    ('kind = "goal"', r'key kind: must be "milestone", "secondary" or "macro", not "goal"'),
    ('stage = "checkout"', "key stage: must be"),
    ('mindset = "doubt"', "key mindset: must be"),
    ("event = []", "key event: must not be empty"),
    ('event = ""', "key event: must be printable text"),
    ('event = "x"\nexternal = "y"', "key external: cannot be given beside event"),
    ("external = []", "key external: must not be empty"),
    ('event = ["ok", " x"]', r"key event\[1\]: must be printable text"),
    ('value = "money"', 'key value: must be a number from 0 up, or "event"'),
    ("value = -1", "key value: must be a number from 0 up"),
    ("value = nan", "key value: must be a number from 0 up"),
    ("value = true", "key value: must be a number from 0 up"),
    ('since = "first"', 'key since: must be a version such as "1.0"'),
    ("since = 1.0", "key since: must be text in quotes"),
    ('since = "1.1"', r"key since: 1\.1 is later than 1\.0, the version of the file"),
    ('deprecated_in = "1.1"', r"key deprecated_in: 1\.1 is later than 1\.0"),
    ('deprecated = "1.1"', r"key deprecated_in: 1\.1 is later than 1\.0"),
    ('deprecated_in = "1.0"\nremoved_in = "0.9"', r"is removed in 0\.9, before it is deprecated in 1\.0"),
    ('removed_in = "0.9"', r"is removed in 0\.9, before it came in 1\.0"),
    ('goal = "gaol"', r'key goal: "gaol" is not a macro-conversion \(did you mean "goal"\?\)'),
    ('sent_from = "crm"', 'key sent_from: must be "web", "app" or "server", not "crm"'),
    ('owner = ""', "key owner: must be printable text"),
    ('parameters = [{ name = "p", typ = "text" }]', r'parameters\[0\]\.typ: is not a known key \(did you mean "type"'),
    ('parameters = [{ name = "p", type = "money" }]', r'parameters\[0\]\.type: must be "text", "number" or "integer"'),
    ('parameters = [{ name = "p", type = "number", allowed = ["a"] }]', r"parameters\[0\].* allows 'a', which is not"),
    ('since = "1.0"\ndeprecated = "0.9"', r"is deprecated in 0\.9, before it came in 1\.0"),
    ('replaced_by = "goal"', "has replaced_by but no deprecated_in"),
    ('deprecated = "1.0"\nreplaced_by = "gaol"', r'there is no "gaol" \(did you mean "goal"\?\)'),
    ('deprecated_in = "1.0"\nreplaced_by = "x"', "key replaced_by: an entry cannot replace itself"),
    ('deprecate = "1.0"', r'key deprecate: is not a known key \(did you mean "deprecated_in"\?\)'),
    ('event = "x"\nevents = ["x"]', r'key events: is not a known key \(did you mean "event"\?\)'),
    ('page = "/pricing"', "key page: must be a table in braces"),
    ("page = { at_least = 3 }", "key page: at_least needs a number, and the page is text"),
    ("page = { starts_with = 3 }", "key page.starts_with: must be text in quotes"),
    ('page = { begins = "/x" }', "key page.begins: is not a known key"),
    ('where = { parameter = "p", exists = true }', "key where: must be a list in square brackets"),
    ('where = [{ equals = "x" }]', r"key where\[0\]: must name what it looks at"),
    ('where = [{ parameter = "p", field = "page", equals = "x" }]', r"key where\[0\]: must name what it looks at"),
    ('where = [{ field = "hots", equals = "x" }]', r'key where\[0\]\.field: must be "page", "host", .*, not "hots"'),
    ('where = [{ field = "app_version", equals = 3 }]', "equals needs a number, and the app version is text"),
    (
        'where = [{ field = "platform", any_of = ["WEB", "ios"] }]',
        "any_of: must be as GA4 writes it: WEB, IOS, ANDROID",
    ),
    ('where = [{ item = "item_nam", exists = true }]', r'where\[0\]\.item: .* \(did you mean "item_name"\?\)'),
    ('where = [{ query = "a b", exists = true }]', r"where\[0\]\.query: must be letters, digits and any of"),
    ('where = [{ user_property = "", exists = true }]', r"where\[0\]\.user_property: must be letters, digits"),
    ('where = [{ parameter = "p", item = "item_id", exists = true }]', "exactly one of .*; it has parameter, item"),
    ('where = [{ parameter = "p", between = [3, 1] }]', r"between: must be the lower number and the higher one"),
    ('where = [{ parameter = "p", any_of = ["a", 1] }]', r"any_of: must be texts, or numbers, not both"),
    ('where = [{ parameter = "p", as = "text", at_least = 1 }]', r'as: is "text", and at_least must then have text'),
    (
        'where = [{ parameter = "p", as = "number", equals = "1" }]',
        r'as: is "number", and equals must then have a number',
    ),
    ("where = [{ any = [] }]", r"where\[0\]\.any: must not be empty"),
    (
        'where = [{ any = [{ parameter = "p", exists = true }], not = { parameter = "p", exists = true } }]',
        "exactly one of all, any, not",
    ),
    (
        'where = [{ any = [{ not = { parameter = "p", equal = "x" } }] }]',
        r'where\[0\]\.any\[0\]\.not\.equal: is not a known key \(did you mean "equals"',
    ),
    ('where = [{ not = [{ parameter = "p", exists = true }] }]', r"where\[0\]\.not: must be a table in braces"),
    ('event = { matches = "(" }', r"key event\.matches: '\(' is not a regular expression"),
    ('event = { match = "^a" }', r'key event\.match: is not a known key \(did you mean "matches"'),
    ('event = { matches = "" }', r"key event\.matches: must not be empty"),
    ('where = [{ parameter = "p" }]', r"key where\[0\]: must have exactly one of .*; it has none"),
    (
        'where = [{ parameter = "p", equals = "x", contains = "y" }]',
        r"must have exactly one of .*; it has equals, contains",
    ),
    (
        'where = [{ parameter = "p", equal = "x" }]',
        r'where\[0\]\.equal: is not a known key \(did you mean "equals"\?\)',
    ),
    ('where = [{ parameter = "p", equals = true }]', r"where\[0\]\.equals: must be text in quotes, or a number"),
    ('where = [{ parameter = "p", any_of = [] }]', r"where\[0\]\.any_of: must not be empty"),
    ('where = [{ parameter = "p", contains = "" }]', r"where\[0\]\.contains: must not be empty"),
    ('where = [{ parameter = "p", at_least = "3" }]', r"where\[0\]\.at_least: must be a number, without quotes"),
    ('where = [{ parameter = "p", at_most = inf }]', r"where\[0\]\.at_most: must be a finite number"),
    ('where = [{ parameter = "p", exists = "yes" }]', r"where\[0\]\.exists: must be true or false"),
    ('where = [{ parameter = "p", matches = "(" }]', r"where\[0\]\.matches: '\(' is not a regular expression"),
    ("where = [{ parameter = \"p\", matches = 'a(?!b)' }]", "RE2 has no look-around"),
    ('where = [{ parameter = "1p", exists = true }]', r"where\[0\]\.parameter: must be letters, digits"),
    (f'where = [{{ parameter = "{"p" * 101}", exists = true }}]', r"where\[0\]\.parameter: must be letters, digits"),
    ('where = [{ parameter = "p\\"; DROP", exists = true }]', r"where\[0\]\.parameter: must be letters, digits"),
]


@pytest.mark.parametrize(("lines", "message"), BAD_ENTRIES)
def test_bad_entry_is_refused_with_file_entry_and_key(write, lines, message):
    good = {"id": '"x"', "kind": '"secondary"', "stage": '"decision"', "event": '"x"'}
    for line in lines.splitlines():
        good.pop(line.partition(" = ")[0], None)
    path = write(
        GOAL + "[[micro_conversions]]\n" + "".join(f"{key} = {value}\n" for key, value in good.items()) + lines
    )
    with pytest.raises(TaxonomyError, match=message) as caught:
        load_taxonomy(preset=None, file=path)
    assert caught.value.message.startswith(f"The taxonomy file {path} cannot be used: ")
    assert 'micro-conversion "' in caught.value.message
    assert caught.value.exit_code == 2
    assert caught.value.hint


@pytest.mark.parametrize("key", ["id", "kind", "stage", "event"])
def test_missing_key_is_named(write, key):
    text = "".join(line + "\n" for line in entry("x").splitlines() if not line.startswith(key))
    (problem,) = find_problems(preset="ecommerce", file=write(text))
    name = "micro_conversions[0]" if key == "id" else 'micro-conversion "x"'
    assert problem == f"line 2: {name}, key {key}: is required"


BAD_FILES = [
    ('remove = ["scrol"]', "ecommerce", r'the preset has no "scrol" \(did you mean "scroll"\?\)'),
    ('remove = ["scroll"]', None, 'key remove: "scroll" cannot be removed, the file stands alone'),
    ('remove = ["scroll"]\n' + entry("scroll"), "ecommerce", '"scroll" is removed and defined in the same file'),
    ('remove = ["purchase"]', "ecommerce", "there is no macro-conversion"),
    (entry("x"), None, "there is no macro-conversion"),
    (entry("x") + entry("x"), "ecommerce", 'micro-conversion "x" is defined 2 times'),
    (
        'titel = "x"',
        "ecommerce",
        r"key titel: is not a known key \(known are name, version, remove, naming, micro_conversions\)",
    ),
    ("name = 3", "ecommerce", "line 2: key name: must be text in quotes"),
    ('[micro_conversions]\nid = "x"', "ecommerce", r"key micro_conversions: is a list of tables: write \[\[micro_conv"),
    ("micro_conversions = [1]", "ecommerce", r"line 2: micro_conversions\[0\]: must be a table in braces"),
    (
        'remove = ["add_to_cart"]\n'
        + entry("old", 'deprecated = "1.0"', 'replaced_by = "add_to_cart"', stage="decision"),
        "ecommerce",
        'micro-conversion "old", key replaced_by: there is no "add_to_cart"',
    ),
]


@pytest.mark.parametrize(("text", "preset", "message"), BAD_FILES)
def test_bad_file_is_refused(write, text, preset, message):
    with pytest.raises(TaxonomyError, match=message):
        load_taxonomy(preset=preset, file=write(text))


def test_replacements_do_not_chain_or_circle(write):
    chain = (
        entry("a", 'deprecated = "1.0"', 'replaced_by = "b"')
        + entry("b", 'deprecated = "1.0"', 'replaced_by = "c"')
        + entry("c", 'deprecated = "1.0"', 'replaced_by = "a"')
    )
    problems = find_problems(preset="ecommerce", file=write(chain))
    assert len(problems) == 3
    assert all("is deprecated itself" in problem for problem in problems)


def test_version_is_required(tmp_path):
    path = tmp_path / "t.toml"
    path.write_text(GOAL, encoding="utf-8")
    assert find_problems(preset=None, file=path) == ("key version: is required",)


def test_all_problems_of_a_file_are_in_one_message(write):
    path = write('titel = "x"\n' + entry("Bad") + entry("x", "value = -1", 'page = { ends = "x" }'))
    problems = find_problems(preset="ecommerce", file=path)
    keys = ["key titel", '"Bad", key id', '"x", key value', '"x", key page.ends']
    assert len(problems) == len(keys)
    assert all(any(key in problem for problem in problems) for key in keys)
    with pytest.raises(TaxonomyError) as caught:
        load_taxonomy(preset="ecommerce", file=path)
    listed = "; ".join(f"({number}) {problem}" for number, problem in enumerate(problems, start=1))
    assert caught.value.message == f"The taxonomy file {path} cannot be used: {listed}."


def test_problem_names_the_line_of_the_key(write):
    path = write(entry("x", "", "# a comment", 'where = [{ parameter = "p", matches = "(" }]'))
    (problem,) = find_problems(preset="ecommerce", file=path)
    assert problem.startswith('line 9: micro-conversion "x", key where[0].matches: ')
    assert path.read_text().splitlines()[8].startswith("where")


def test_unknown_preset_is_answered_with_the_known_ones():
    with pytest.raises(TaxonomyError, match='no taxonomy preset "shop"') as caught:
        load_taxonomy(preset="shop", file=None)
    assert all(preset in caught.value.hint for preset in PRESETS)


@pytest.mark.parametrize("preset", [None, "none"])
def test_neither_preset_nor_file_is_an_error(preset):
    with pytest.raises(TaxonomyError, match="neither a preset nor a file"):
        load_taxonomy(preset=preset, file=None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"version = \n", r"is not valid TOML: .*line 1"),
        (b'version = "\xff"', "is not UTF-8 text"),
        (None, "cannot be read: No such file"),
    ],
)
def test_unreadable_file_is_a_clear_error(tmp_path, content, message):
    path = tmp_path / "t.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TaxonomyError, match=message) as caught:
        load_taxonomy(preset="ecommerce", file=path)
    assert str(path) in caught.value.message


# Regular expressions


@pytest.mark.parametrize(
    "pattern",
    [
        r"a(?=b)", r"a(?!b)", r"(?<=a)b", r"(?<!a)b", r"(a)\1", r"(?P<x>a)(?P=x)", r"(?>a)", r"(a)(?(1)b)", r"a(?#x)",
        r"a++", r"a*+", r"a{2}+", r"a{,3}", r"a{1001}", r"a{1,2000}", r"a\Z", r"[[:alpha:]]", r"\ü",
        r"\u0041", r"[\u0041]", r"[\b]", r"(?x)a b", r"(", r"[", r"*",
    ],
)  # fmt: skip
def test_pattern_that_re2_reads_differently_or_not_at_all_is_refused(pattern):
    assert problem_in_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^/pricing(/|$)", r"(?i)cart", r"(?i:a)b", r"(?P<year>\d{4})-\d\d", r"[^]a(?=]x",
        r"\(\?=x\)", r"a\++", r"a+?", r"a{2,}?", r"\bfoo\b", r"[\w.-]+@x", r"\x41", r"a{b}", r"[a+]+", r"\\", "ü+",
        r"(?:a(?:b))",
    ],
)  # fmt: skip
def test_pattern_that_re2_knows_is_taken(pattern):
    assert problem_in_pattern(pattern) is None
    duckdb.execute("SELECT regexp_matches('a', ?)", [pattern]).fetchall()


@pytest.mark.parametrize(
    "pattern",
    ["((a{20}){20}){20}", "(a{1000}){2}", "(?:(?:x{9}){9}){9}{2}", "((b{2,40})+c{40}){40}", "(.{1000}){1000}"],
)
def test_repetitions_that_multiply_beyond_what_re2_takes_are_refused_where_they_stand(write, pattern):
    with pytest.raises(duckdb.Error):
        duckdb.execute("SELECT regexp_matches('a', ?)", [pattern]).fetchall()

    text = f"""
[[micro_conversions]]
id = "many"
kind = "milestone"
stage = "awareness"
event = "page_view"
page = {{ matches = '{pattern}' }}
"""
    (problem,) = find_problems(preset="ecommerce", file=write(text))

    assert 'micro-conversion "many", key page' in problem
    assert pattern in problem
    assert "regular expression" in problem
    assert "bug" not in problem


@pytest.mark.parametrize("preset", PRESETS)
def test_patterns_of_presets_run_on_re2(preset):
    entries = load_taxonomy(preset=preset, file=None).entries
    patterns = [each.matches for entry in entries for each in entry.conditions() if each.matches]
    assert [problem_in_pattern(pattern) for pattern in patterns] == [None] * len(patterns)


_PIECES = [
    *r"ab1(){}[]<>?*+|^$\,-=!:#.&~ _@ü",
    *("(?:", "(?P<x>", "(?i)", "(?i:", "(?-i:", "{2}", "{2,}", "{2,3}", "{,2}", "[^", "[]", "[a-", "[[:alpha:]]"),
    *(r"\b", r"\B", r"\A", r"\d", r"\w", r"\x41", r"\n", r"\v", r"\.", r"\]", r"\-", r"\ü", "\n"),
]


@given(st.lists(st.sampled_from(_PIECES), max_size=8).map("".join))
@settings(max_examples=500, deadline=None)
def test_every_pattern_taken_runs_on_re2(pattern):
    if problem_in_pattern(pattern) is None:
        duckdb.execute("SELECT regexp_matches('a', ?)", [pattern]).fetchall()


def test_external_entry_takes_no_conditions(write):
    won = '[[micro_conversions]]\nid = "won"\nkind = "macro"\nstage = "decision"\nexternal = "deal_won"\n'
    (problem,) = find_problems(preset=None, file=write(f'{won}where = [{{ parameter = "a", exists = true }}]\n'))
    assert problem.startswith('line 7: micro-conversion "won", key where: is a condition on an event of the export')
