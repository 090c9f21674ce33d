"""What a taxonomy's own names should be like, and the JSON Schema by which editors know a taxonomy file."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from functools import partial
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from json_schema import faults
from microconv.cli import cli
from microconv.taxonomy import PRESETS, find_problems, find_warnings, load_taxonomy
from microconv.taxonomy.contract import ga4_limits
from microconv.taxonomy.json_schema import json_schema
from taxonomy_files import entry, write_file

DOCUMENTATION = Path(__file__).parent.parent / "docs" / "taxonomy.md"


@pytest.fixture
def write(tmp_path):
    return partial(write_file, tmp_path)


def run(*arguments: str):
    return CliRunner().invoke(cli, arguments)


# Names


NAMING = "[naming]\nentry = '^[a-z]+_[a-z_]+$'\nevent = '^shop_'\nparameter = '^[a-z_]+$'\n"


def test_names_that_break_the_rules_of_the_file_are_warned_of_with_line_and_rule(write):
    path = write(
        NAMING
        + entry("guide", event="openGuide")
        + entry("guide_opened", 'parameters = [{ name = "guideId" }]', event="shop_guide")
    )
    assert find_problems(preset="ecommerce", file=path) == ()
    rule = "is not named by the rule of `[naming]`"
    assert find_warnings(file=path) == (
        f"""line 7: micro-conversion "guide", key id: "guide" {rule}: entry = '^[a-z]+_[a-z_]+$'""",
        f"""line 10: micro-conversion "guide", key event: "openGuide" {rule}: event = '^shop_'""",
        f"""line 16: micro-conversion "guide_opened", key parameters: "guideId" {rule}: parameter = '^[a-z_]+$'""",
    )


def test_names_of_google_and_retired_entries_break_no_rule(write):
    path = write(
        NAMING
        + entry("cart_start", event="add_to_cart")
        + entry("page_seen", event="page_view")
        + entry("old", 'deprecated_in = "1.0"', event="oldEvent")
    )
    assert find_warnings(file=path) == ()


@pytest.mark.parametrize(
    ("naming", "message"),
    [
        ("entry = '('", r"key naming\.entry: '\(' is not a regular expression"),
        ("events = '^a'", r'key naming\.events: is not a known key \(did you mean "event"\?\)'),
        ("event = ''", r"key naming\.event: must not be empty"),
    ],
)
def test_rule_that_cannot_be_used_is_a_problem(write, naming, message):
    (problem,) = find_problems(preset="ecommerce", file=write(f"[naming]\n{naming}\n"))
    assert problem.startswith("line 3: ")
    assert re.search(message, problem)


def many_parameters(count: int) -> str:
    named = ", ".join(f'{{ name = "p{number}" }}' for number in range(count))
    return entry("x", f"parameters = [{named}]")


LIMITS = [
    (entry("x", event="a" * 41), "has 41 characters, and GA4 takes at most 40"),
    (entry("x", event="ga_click"), 'the event "ga_click" begins with "ga_", which GA4 keeps for itself'),
    (entry("x", event="my-click"), 'the event "my-click" is not a name that GA4 takes'),
    (entry("x", 'sent_from = "server"', event="form_submit"), '"form_submit" cannot be sent from a server'),
    (entry("x", 'parameters = [{ name = "google_x" }]'), 'the parameter "google_x" begins with "google_"'),
    (entry("x", f'parameters = [{{ name = "{"p" * 41}" }}]'), "has 41 characters"),
    (entry("x", 'parameters = [{ name = "user_id" }]'), 'GA4 takes no custom definition called "user_id"'),
    (
        entry("x", f'parameters = [{{ name = "p", allowed = ["{"v" * 101}"] }}]'),
        "p allows a text of 101 characters, and GA4 cuts values of it after 100",
    ),
    (
        entry("x", f'where = [{{ any = [{{ parameter = "p", equals = "{"v" * 101}" }}] }}]'),
        "p is compared with a text of 101 characters",
    ),
    (
        entry("x", f'where = [{{ user_property = "u", any_of = ["{"v" * 37}"] }}]'),
        "GA4 cuts values of it after 36, so that this cannot hold",
    ),
    (
        entry("x", f'where = [{{ user_property = "{"u" * 25}", exists = true }}]'),
        "takes at most 24: no event can have it",
    ),
    (
        many_parameters(26),
        "must carry 26 parameters, and GA4 takes at most 25",
    ),
]


@pytest.mark.parametrize(("text", "message"), LIMITS)
def test_what_ga4_drops_or_cuts_is_warned_of(write, text, message):
    path = write(text)
    assert find_problems(preset="ecommerce", file=path) == ()
    (warning,) = find_warnings(file=path)
    assert warning.startswith("line ")
    assert 'micro-conversion "x", key ' in warning
    assert message in warning


@pytest.mark.parametrize(
    "text",
    [
        entry("x", event="a" * 40),
        entry("x", event="form_submit"),
        entry("x", f'parameters = [{{ name = "{"p" * 40}", allowed = ["{"v" * 100}"] }}]'),
        entry("x", f'parameters = [{{ name = "page_location", allowed = ["{"v" * 1000}"] }}]'),
        entry("x", f'where = [{{ parameter = "page_title", equals = "{"v" * 300}" }}]'),
        entry("x", f'where = [{{ parameter = "p", matches = "{"v" * 101}" }}]'),
        many_parameters(25),
    ],
)
def test_what_ga4_takes_is_not_warned_of(write, text):
    assert find_warnings(file=write(text)) == ()


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_within_the_limits(preset):
    file = Path(str(files("microconv.taxonomy") / "presets" / f"{preset}.toml"))
    assert find_warnings(file=file) == ()


def test_limits_are_data_with_a_date():
    limits = ga4_limits()
    assert date.fromisoformat(limits["as_of"])
    assert len(limits["reserved"]["events"]) == len(set(limits["reserved"]["events"])) == 21
    assert not {*limits["reserved"]["events"]} & {*limits["recommended"]["events"]}


# Types


def test_parameter_required_with_two_types_is_a_problem_of_the_second(write):
    path = write(
        entry("a", 'parameters = [{ name = "p", type = "number" }]') + entry("b", 'parameters = [{ name = "p" }]')
    )
    (problem,) = find_problems(preset="ecommerce", file=path)
    assert problem == (
        'line 13: micro-conversion "b", key parameters: p must be text here and number in "a": a parameter has one type'
    )


def test_condition_that_reads_a_required_text_as_a_number_is_a_problem(write):
    path = write(
        entry("a", 'parameters = [{ name = "p" }]') + entry("b", 'where = [{ not = { parameter = "p", equals = 3 } }]')
    )
    (problem,) = find_problems(preset="ecommerce", file=path)
    assert problem == 'line 13: micro-conversion "b", key where: p is read as a number, and "a" requires it as text'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (entry("x", 'deprecated_in = "1.0"', 'replaced_by = "gaol"'), 8),
        (entry("x", 'since = "2.0"'), 7),
        (entry("x", 'goal = "gaol"'), 7),
        (entry("x", 'replaced_by = "x"', 'deprecated_in = "1.0"'), 7),
        (entry("x") + entry("x"), 8),
        ('remove = ["scrol"]', 2),
    ],
)
def test_problem_that_only_the_whole_file_shows_has_its_line(write, text, line):
    (problem,) = find_problems(preset="ecommerce", file=write(text))
    assert problem.startswith(f"line {line}: ")


# The command


def test_validate_prints_warnings_and_is_strict_when_asked(write):
    path = write(entry("x", event="ga_click"))
    arguments = ("taxonomy", "validate", str(path), "--preset", "ecommerce")

    shown = run(*arguments)
    assert shown.exit_code == 0
    assert "is valid" in shown.stdout
    assert 'warning: line 6: micro-conversion "x", key event: the event "ga_click"' in shown.stdout

    as_json = json.loads(run(*arguments, "--format", "json").stdout)
    assert as_json["valid"] is True
    assert len(as_json["warnings"]) == 1

    strict = run(*arguments, "--strict")
    assert strict.exit_code == 2
    assert "has 1 warning." in strict.stderr


# The schema for editors


SCHEMA = json_schema()


def documents() -> dict[str, dict[str, object]]:
    """What is shipped and shown: presets, and the files in the documentation."""
    presets = files("microconv.taxonomy") / "presets"
    found = {name: tomllib.loads((presets / f"{name}.toml").read_text(encoding="utf-8")) for name in PRESETS}
    demo = files("microconv.demo") / "taxonomy.toml"
    found["demo"] = tomllib.loads(demo.read_text(encoding="utf-8"))
    shown = re.findall(r"```toml\n(.*?)```", DOCUMENTATION.read_text(encoding="utf-8"), re.DOTALL)
    return found | {f"shown {number}": {"version": "1.0", **tomllib.loads(text)} for number, text in enumerate(shown)}


@pytest.mark.parametrize("name", documents())
def test_files_shipped_and_shown_meet_the_schema(name):
    assert list(faults(documents()[name], SCHEMA)) == []


@pytest.mark.parametrize(
    "line",
    [
        'kind = "goal"',
        'stage = "checkout"',
        'value = "money"',
        "value = true",
        "event = []",
        'event = { match = "x" }',
        'owners = "x"',
        'since = "first"',
        'sent_from = "crm"',
        'where = [{ parameter = "p", equal = "x" }]',
        'where = [{ field = "hots", equals = "x" }]',
        'where = [{ parameter = "p", between = [1] }]',
        "where = [{ any = [] }]",
        'where = [{ not = { any = [{ parameter = "p", at_least = "3" }] } }]',
        'page = { begins_with = "/x" }',
        'parameters = [{ name = "p", type = "money" }]',
    ],
)
def test_mistakes_that_keys_and_values_tell_are_refused_by_the_schema(write, line):
    good = {"id": '"x"', "kind": '"secondary"', "stage": '"decision"', "event": '"x"'}
    good.pop(line.partition(" = ")[0], None)
    text = "[[micro_conversions]]\n" + "".join(f"{key} = {value}\n" for key, value in good.items())
    assert list(faults({"version": "1.0", **tomllib.loads(text + line)}, SCHEMA))
    assert find_problems(preset="ecommerce", file=write(text + line))


def test_schema_has_every_key_of_an_entry_and_is_printed():
    printed = json.loads(run("taxonomy", "schema").stdout)
    assert printed == SCHEMA
    entry_schema = printed["$defs"]["MicroConversion"]
    documented = load_taxonomy(preset="ecommerce", file=None).entries[0].document()
    assert {"page", "event", "events", "deprecated"} <= set(entry_schema["properties"])
    assert set(documented) - {"event_pattern", "counts_as", "is_hesitation"} <= set(entry_schema["properties"])
    assert "null" not in json.dumps(printed)
    assert list(faults({}, SCHEMA)) == [":required"]
    assert list(faults({"version": "1.0", "micro_conversion": []}, SCHEMA)) == [":additionalProperties"]
