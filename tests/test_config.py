"""The configuration: what loads, what the environment changes, and where the file is looked for."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import get_args, get_origin

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from config_files import BIGQUERY, MINIMAL, PULLED, problem, write
from microconv.activation.destinations.file import FileSettings
from microconv.catalogue import destination_settings
from microconv.config.attribution_settings import RULE_MODELS
from microconv.config.load import load_config
from microconv.config.priority_settings import USUAL_DAYS
from microconv.config.sections import Config, PushGuards
from microconv.config.segment_rules import SegmentRule
from microconv.config.values import Duration
from microconv.errors import ConfigError, UsageError
from microconv.project import Project
from microconv.queries.conditions import Comparison

ROOT = Path(__file__).parent.parent


# What loads


def test_minimal_file_gets_the_documented_defaults(tmp_path):
    config = load_config(write(tmp_path, MINIMAL), {})

    assert config.file == tmp_path / "microconv.toml"
    assert config.project.currency == "USD"
    assert (config.engine.kind, config.engine.path) == ("duckdb", tmp_path / "microconv.duckdb")
    assert (config.engine.memory_limit, config.engine.threads) == ("1GB", None)
    assert (config.taxonomy.preset, config.taxonomy.file) == ("ecommerce", None)
    assert config.attribution.goal is None
    assert [window.text for window in config.attribution.windows] == ["1d", "7d", "30d"]
    assert config.attribution.models == (*RULE_MODELS, "markov", "shapley")
    assert config.attribution.half_life.seconds == 7 * 86_400
    assert (config.funnels, config.segments, config.destinations) == ((), (), ())
    assert (config.identity.file, config.identity.table, config.consent.file) == (None, None, None)


def test_defaults_of_list_entries(tmp_path):
    config = load_config(
        write(
            tmp_path,
            MINIMAL
            + """
[[funnels]]
name = "f"
steps = ["a", "b"]
[[segments]]
name = "s"
rule = { did = "a", within = "14d" }
[[destinations]]
name = "d"
format = "csv"
""",
        ),
        {},
        destination_settings,
    )

    funnel, segment, destination = config.funnels[0], config.segments[0], config.destinations[0]
    assert (funnel.count, funnel.order, funnel.entry) == ("actors", "ordered", "closed")
    assert (funnel.window, funnel.step_window, funnel.whole_window) == (
        Duration.parse("7d"),
        None,
        Duration.parse("7d"),
    )
    assert (segment.rule.times, segment.rule.not_did, segment.identity) == ((1, None), (), ("email",))
    assert (destination.kind, destination.path) == ("file", tmp_path / "exports")


def test_keys_of_a_destination_wait_for_who_knows_its_kind(tmp_path):
    text = MINIMAL + "[[destinations]]\nname = 'd'\nformat = 'csv'\npath = 'out'\n"
    config = load_config(write(tmp_path, text), {})
    assert config.destinations[0].model_dump() == {
        "name": "d",
        "kind": "file",
        "max_age": "30d",
        "push": dict.fromkeys(("min_size", "max_size", "max_delete_pct", "max_deletes", "max_churn_pct")),
        "format": "csv",
        "path": "out",
    }

    settings = Project(config).destination("d").settings

    assert settings == load_config(config.file, {}, destination_settings).destinations[0]
    assert settings.path == tmp_path / "out"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("format = 'tsv'\nhost = 'h'", 'destination "d" in .* format = "tsv" is not .*; host is not a known key'),
        ("kind = 'ftp'", "There is no such kind of destination"),
    ],
)
def test_mistakes_in_such_a_destination_are_told_when_it_is_used(tmp_path, keys, said):
    config = load_config(write(tmp_path, MINIMAL + f"[[destinations]]\nname = 'd'\n{keys}\n"), {})

    with pytest.raises(UsageError, match=said):
        Project(config).destination("d")


def test_configuration_is_frozen(tmp_path):
    config = load_config(write(tmp_path, MINIMAL), {})

    with pytest.raises(ValidationError, match="frozen"):
        config.engine.threads = 4


def test_identity_may_be_a_single_word(tmp_path):
    text = MINIMAL + '[[segments]]\nname = "s"\nidentity = "phone"\nrule = { did = "a", within = "1d" }\n'

    assert load_config(write(tmp_path, text), {}).segments[0].identity == ("phone",)


def test_windows_are_sorted_by_length(tmp_path):
    text = MINIMAL + '[attribution]\nwindows = ["30d", "12h", "7d"]\n'

    assert [w.text for w in load_config(write(tmp_path, text), {}).attribution.windows] == ["12h", "7d", "30d"]


def test_byte_order_mark_and_windows_line_ends_are_read(tmp_path):
    path = tmp_path / "microconv.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MINIMAL.replace("\n", "\r\n").encode())

    assert load_config(path, {}).project.timezone == "UTC"


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path, monkeypatch):
    folder = tmp_path / "client [a]"
    folder.mkdir()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(
        folder,
        MINIMAL
        + """
[engine]
path = "data/m.duckdb"
[taxonomy]
file = "../shared/taxonomy.toml"
[[destinations]]
name = "d"
format = "csv"
path = "out"
[identity]
file = "/abs/identity.csv"
""",
    )
    monkeypatch.chdir(elsewhere)

    config = load_config(Path("../client [a]/microconv.toml"), {}, destination_settings)

    base = elsewhere / ".." / "client [a]"
    assert config.engine.path == base / "data" / "m.duckdb"
    assert config.taxonomy.file == base / ".." / "shared" / "taxonomy.toml"
    assert config.destinations[0].path == base / "out"
    assert config.identity.file == Path("/abs/identity.csv")


def test_brackets_in_the_configs_own_folder_are_no_pattern(tmp_path):
    folder = tmp_path / "client [a]"
    (folder / "exports").mkdir(parents=True)
    shard = folder / "exports" / "events_20210101.parquet"
    shard.touch()

    pattern = load_config(write(folder, MINIMAL), {}).sources[0].path

    assert Path(pattern).is_absolute()
    assert list(Path("/").glob(pattern.removeprefix("/"))) == [shard]


def test_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    text = MINIMAL.replace("exports/", "~/exports/") + '[engine]\npath = "~/m.duckdb"\n'

    config = load_config(write(tmp_path, text), {})

    assert config.sources[0].path == str(tmp_path / "home" / "exports" / "events_*.parquet")
    assert config.engine.path == tmp_path / "home" / "m.duckdb"


@pytest.mark.parametrize("limit", ["512MB", "2GB", "1.5GiB", "1 TB", "900KiB"])
def test_memory_limits_that_the_engine_understands_load(tmp_path, limit):
    config = load_config(write(tmp_path, MINIMAL + f'[engine]\nmemory_limit = "{limit}"\n'), {})

    assert config.engine.memory_limit == limit


# BigQuery


def test_the_engine_bigquery_gets_the_documented_defaults(tmp_path):
    engine = load_config(write(tmp_path, BIGQUERY), {}).engine

    assert (engine.project, engine.dataset, engine.location) == ("payer", "staged", None)
    assert (engine.maximum_bytes_billed, engine.maximum_bytes_per_run) == (None, None)
    assert (engine.price_per_tib, engine.read_price_per_tib) == (6.25, 1.1)
    assert engine.lease == Duration.parse("30m")
    assert (engine.api_endpoint, engine.storage_endpoint, engine.anonymous) == (None, None, False)


def test_duckdb_may_pull_from_bigquery_and_be_told_how(tmp_path):
    told = 'project = "payer"\nlocation = "EU"\nmaximum_bytes_per_run = "1TiB"\nprice_per_tib = 5\nanonymous = true\n'
    config = load_config(write(tmp_path, f"{PULLED}[engine]\n{told}"), {})

    source = config.sources[0]
    assert (source.kind, source.project, source.dataset, source.path) == ("bigquery", "client", "analytics_1", None)
    assert (source.daily_cap, source.cache) == (1_000_000, tmp_path / "pulled")
    assert (config.engine.kind, config.engine.project, config.engine.location) == ("duckdb", "payer", "EU")
    assert (config.engine.price_per_tib, config.engine.anonymous) == (5.0, True)


def test_two_properties_may_share_a_cache(tmp_path):
    other = PULLED.partition("\n\n")[2].replace('"123"', '"456"')

    config = load_config(write(tmp_path, f"{PULLED}\n{other}"), {})

    assert len({source.cache for source in config.sources}) == 1


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("5", 5),
        ('"5"', 5),
        ('"10GB"', 10_000_000_000),
        ('"1TiB"', 2**40),
        ('"1.5 KiB"', 1536),
        ('"500MB"', 500_000_000),
    ],
)
def test_sizes_are_bytes_or_a_number_with_a_unit(tmp_path, written, size):
    text = BIGQUERY.replace('dataset = "staged"', f'dataset = "staged"\nmaximum_bytes_billed = {written}')

    assert load_config(write(tmp_path, text), {}).engine.maximum_bytes_billed == size


@pytest.mark.parametrize("address", ["https://bigquery.example.com", "http://127.0.0.1:9050", "http://[::1]:9050"])
def test_endpoints_are_addresses_with_a_scheme(tmp_path, address):
    text = f'{PULLED}[engine]\napi_endpoint = "{address}"\nstorage_endpoint = "{address}"\n'

    engine = load_config(write(tmp_path, text), {}).engine

    assert (engine.api_endpoint, engine.storage_endpoint) == (address, address)


# Environment


def test_environment_overrides_numbers_and_switches(tmp_path):
    engine = load_config(
        write(tmp_path, BIGQUERY),
        {
            "MICROCONV_ENGINE__ANONYMOUS": "True",
            "MICROCONV_ENGINE__PRICE_PER_TIB": "5.5",
            "MICROCONV_ENGINE__READ_PRICE_PER_TIB": "0",
            "MICROCONV_ENGINE__MAXIMUM_BYTES_BILLED": "10GB",
            "MICROCONV_ENGINE__MAXIMUM_BYTES_PER_RUN": "12345678901",
            "MICROCONV_ENGINE__LEASE": "1h",
            "MICROCONV_ENGINE__DATASET": "other",
        },
    ).engine

    assert (engine.anonymous, engine.price_per_tib, engine.read_price_per_tib) == (True, 5.5, 0.0)
    assert (engine.maximum_bytes_billed, engine.maximum_bytes_per_run) == (10_000_000_000, 12_345_678_901)
    assert (engine.lease, engine.dataset) == (Duration.parse("1h"), "other")


def test_environment_overrides_keys_of_tables(tmp_path):
    config = load_config(
        write(tmp_path, MINIMAL + '[engine]\nmemory_limit = "1GB"\n'),
        {
            "MICROCONV_ENGINE__MEMORY_LIMIT": "4GB",
            "MICROCONV_ENGINE__THREADS": "3",
            "MICROCONV_ENGINE__PATH": "other.duckdb",
            "MICROCONV_PROJECT__TIMEZONE": "Asia/Tokyo",
            "MICROCONV_ATTRIBUTION__WINDOWS": "30d, 7d",
            "MICROCONV_IDENTITY__FILE": "people.csv",
            "MICROCONV_TAXONOMY__PRESET": "",
            "HOME": "/nowhere",
        },
    )

    assert (config.engine.memory_limit, config.engine.threads) == ("4GB", 3)
    assert config.engine.path == tmp_path / "other.duckdb"
    assert config.project.timezone == "Asia/Tokyo"
    assert [window.text for window in config.attribution.windows] == ["7d", "30d"]
    assert config.identity.file == tmp_path / "people.csv"
    assert config.taxonomy.preset == "ecommerce"


def test_environment_can_supply_a_required_key(tmp_path):
    text = MINIMAL.replace('[project]\ntimezone = "UTC"\n', "")

    config = load_config(write(tmp_path, text), {"MICROCONV_PROJECT__TIMEZONE": "UTC"})

    assert config.project.timezone == "UTC"


@pytest.mark.parametrize("key", ["goal", "conversion"])
def test_goal_is_also_read_under_its_former_name(tmp_path, key):
    file = write(tmp_path, MINIMAL + f'[attribution]\n{key} = "sign_up"\n')

    assert load_config(file, {}).attribution.goal == "sign_up"


def test_wrong_value_from_the_environment_names_the_variable_and_no_line(tmp_path):
    message = problem(tmp_path, MINIMAL + "[engine]\nthreads = 2\n", {"MICROCONV_ENGINE__THREADS": "many"})

    assert (
        'the environment variable MICROCONV_ENGINE__THREADS: engine.threads = "many" must be a whole number' in message
    )
    assert "line" not in message


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("MICROCONV_ATTRIBUTION__CONVERSION", "sets a key that has another name now: goal"),
        ("MICROCONV_ENGINE__MEMORY", "sets no known key (did you mean MICROCONV_ENGINE__MEMORY_LIMIT?)"),
        ("MICROCONV_ENGIN__PATH", "sets no known key (did you mean MICROCONV_ENGINE__PATH?)"),
        ("MICROCONV_ENGINE_PATH", "sets no known key (did you mean MICROCONV_ENGINE__PATH?)"),
        ("MICROCONV_SEGMENTS__NAME", "cannot be used: [[segments]] is a list, set in the file only"),
    ],
)
def test_unknown_override_is_refused(tmp_path, variable, said):
    assert f"the environment variable {variable} {said}" in problem(tmp_path, MINIMAL, {variable: "x"})


def test_other_variables_with_the_prefix_are_left_alone(tmp_path):
    environ = {"MICROCONV_CONFIG": "/nowhere.toml", "MICROCONV_LOG_FORMAT": "json"}

    assert load_config(write(tmp_path, MINIMAL), environ).project.timezone == "UTC"


# Finding the file


def test_without_a_path_the_variable_names_the_file_before_the_current_folder(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    write(here, MINIMAL)
    write(there, MINIMAL)
    monkeypatch.chdir(here)

    assert load_config(None, {}).file == here / "microconv.toml"
    assert load_config(None, {"MICROCONV_CONFIG": str(there / "microconv.toml")}).file == there / "microconv.toml"


def test_missing_file_lists_every_place_looked_at(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError) as caught:
        load_config(None, {})

    assert caught.value.message == (
        "There is no configuration: -c was not given, MICROCONV_CONFIG is not set in the environment, "
        f"and {tmp_path / 'microconv.toml'} does not exist."
    )
    assert "microconv init" in caught.value.hint


def test_missing_file_named_by_the_variable_does_not_fall_back_to_another(tmp_path, monkeypatch):
    write(tmp_path, MINIMAL)
    monkeypatch.chdir(tmp_path)

    with pytest.raises(ConfigError, match=r"gone\.toml, named by MICROCONV_CONFIG, does not exist"):
        load_config(None, {"MICROCONV_CONFIG": "gone.toml"})


def test_missing_file_given_by_hand_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"gone\.toml, given with -c, does not exist"):
        load_config(tmp_path / "gone.toml", {})


def test_folder_instead_of_a_file(tmp_path):
    with pytest.raises(ConfigError, match=f"{re.escape(str(tmp_path))} cannot be read: Is a directory"):
        load_config(tmp_path, {})


def test_text_that_is_not_utf_8(tmp_path):
    path = tmp_path / "microconv.toml"
    path.write_bytes(b'[project]\nname = "caf\xe9"\n')

    with pytest.raises(ConfigError, match="is not UTF-8 text") as caught:
        load_config(path, {})
    assert caught.value.hint == "Save it as UTF-8."


def test_broken_toml_is_named_with_line_and_column(tmp_path):
    message = problem(tmp_path, "[project]\ntimezone = UTC\n")

    assert str(tmp_path / "microconv.toml") in message
    assert "not valid TOML" in message
    assert "line 2, column" in message


# Durations


@given(st.integers(1, 999_999_999), st.sampled_from("smhd"))
def test_duration_reads_back_as_written(number, unit):
    text = f"{number}{unit}"
    seconds = number * {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    if seconds > 3650 * 86_400:
        with pytest.raises(UsageError):
            Duration.parse(text)
        return

    duration = Duration.parse(text)

    assert str(duration) == duration.text == text
    assert Duration.parse(str(duration)) == duration
    assert (duration.seconds, duration.microseconds) == (seconds, seconds * 1_000_000)


@given(st.text(alphabet="0179smhdw -+.\n\u0664", max_size=8).filter(lambda t: not re.fullmatch("[1-9][0-9]*[smhd]", t)))
def test_text_that_is_no_duration_is_refused(text):
    with pytest.raises(UsageError):
        Duration.parse(text)


def test_durations_of_one_length_are_equal():
    assert Duration.parse("24h") == Duration.parse("1d")
    assert Duration.parse("90s") < Duration.parse("2m")


# The example


def leaves(model: type[BaseModel], path: tuple[str, ...] = ()):
    """Yield (path, field) of every key of the file."""
    for name, info in model.model_fields.items():
        kinds = [info.annotation, *get_args(info.annotation)]
        inner = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
        # What a rule of a segment is made of are rules; docs/segments.md names their keys. Keys of a dict are data.
        if inner and not issubclass(inner[0], Comparison | SegmentRule) and get_origin(info.annotation) is not dict:
            yield from leaves(inner[0], (*path, name))
        elif (*path, name) != ("file",):
            yield (*path, name), info


def value_at(document, path):
    """The value at a path, in the first entry of each list that has it; None where there is none."""
    if isinstance(document, list) and path:
        return next((found for entry in document if (found := value_at(entry, path)) is not None), None)
    if not path:
        return document
    return value_at(document[path[0]], path[1:]) if isinstance(document, dict) and path[0] in document else None


NOT_THE_DEFAULT = {
    ("report", "sections"),
    ("engine", "threads"),
    ("external_events", "path"),
    ("external_metrics", "path"),
    ("identity", "file"),
    ("consent", "file"),
    *(("funnels", key) for key in ("hold", "step_window")),
    ("funnels", "exclude", "where"),
    ("funnels", "exclude", "between"),
    ("funnels", "steps", "where"),
    ("funnels", "steps", "optional"),
    ("audit", "thresholds"),
    ("segments", "ethics"),
    ("experiments", "ethics"),
    ("experiments", "must_hold"),
    ("ethics", "answers"),
    ("prioritize", "effort"),
    ("prioritize", "ideas", "after"),
    *(("experiments", key) for key in ("exposure", "steps")),
    ("experiments", "exposure", "where"),
}
COMMENTED_OUT = {
    *(("engine", key) for key in ("dataset", "lease", "maximum_bytes_billed", "project", "location")),
    *(("engine", key) for key in ("maximum_bytes_per_run", "api_endpoint", "storage_endpoint")),
    *(("sources", key) for key in ("project", "dataset", "cache")),
    *(("external_events", key) for key in ("table", "property", "event", "stream")),
    *(("external_metrics", key) for key in ("table", "property", "metric")),
    ("taxonomy", "file"),
    ("attribution", "spend_file"),
    ("attribution", "spend_table"),
    ("identity", "table"),
    ("consent", "table"),
    *(("audit", "reconcile", key) for key in ("property", "credentials_file", "endpoint")),
    *(("push", key) for key in ("min_size", "max_size", "max_deletes")),
    *(
        (section, "push", key)
        for section in ("segments", "destinations", "conversions")
        for key in PushGuards.model_fields
    ),
    *(("conversions", key) for key in ("value", "refund", "since")),
    *(("guardrails", key) for key in ("entry", "event", "external", "dimension", "per", "at_least")),
}


def test_example_loads():
    config = load_config(ROOT / "config.example.toml", {}, destination_settings)

    assert [step.label for step in config.funnels[0].steps] == [
        "view_item",
        "add_to_cart",
        "begin_checkout",
        "purchase",
    ]
    shirts = config.funnels[1]
    assert shirts.steps[0].label == "shirt seen"
    assert shirts.steps[1].did == ("add_to_wishlist", "add_to_cart")
    assert (shirts.step_window, shirts.whole_window) == (Duration.parse("1d"), None)
    assert shirts.exclude[0].between == (1, 3)
    assert config.identity.file == ROOT / "identity.csv"


def test_example_shows_every_key_and_no_other_default_than_the_true_one():
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    document = tomllib.loads(text)

    for path, info in (*leaves(Config), *leaves(FileSettings, ("destinations",))):
        shown = value_at(document, path)
        if path in COMMENTED_OUT:
            section = re.split(rf"\n\[+{re.escape('.'.join(path[:-1]))}\]+\n", text)[1].split("\n[")[0]
            commented = re.search(rf"^# ({path[-1]} = .*)$", section, re.MULTILINE)
            assert commented, path
            shown = tomllib.loads(commented[1])[path[-1]]
        else:
            assert shown is not None, path
        if not info.is_required() and info.default is not None and path not in NOT_THE_DEFAULT:
            default = info.default
            expected = json.loads(json.dumps(default, default=str)) if isinstance(default, tuple) else default
            assert shown == (expected if isinstance(expected, list | int | float) else str(expected)), path


def test_days_of_work_in_the_example_are_those_of_ideas_that_nobody_estimated():
    document = tomllib.loads((ROOT / "config.example.toml").read_text(encoding="utf-8"))

    assert document["prioritize"]["effort"] == USUAL_DAYS


def test_commented_alternatives_of_the_example_load(tmp_path):
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    swapped = re.sub(r'^file = .*\n# (table = "\w+")', r"\1", text, flags=re.MULTILINE)
    swapped = swapped.replace('# file = "taxonomy.toml"', 'file = "taxonomy.toml"')

    config = load_config(write(tmp_path, swapped), {}, destination_settings)

    assert (config.identity.table, config.consent.table) == ("people", "consents")
    assert config.taxonomy.file == tmp_path / "taxonomy.toml"


def test_commented_keys_of_bigquery_in_the_example_load(tmp_path):
    text = (ROOT / "config.example.toml").read_text(encoding="utf-8")
    engine, sources, rest = re.split(r"\n(?=\[\[sources\]\]|# Events of other systems)", text)
    swapped = re.sub(r"^# (?=\w+ = )", "", engine, flags=re.MULTILINE).replace('kind = "duckdb"', 'kind = "bigquery"')
    swapped = re.sub(r"^(path|memory_limit|threads) = .*$", "", swapped, flags=re.MULTILINE)
    export = re.sub(r"^# (?=\[\[|\w+ = )", "", sources.partition("\n\n")[2], flags=re.MULTILINE)

    config = load_config(write(tmp_path, "\n".join([swapped, export, rest])), {}, destination_settings)

    assert (config.engine.kind, config.engine.project, config.engine.dataset) == ("bigquery", "my-project", "microconv")
    assert config.engine.maximum_bytes_per_run == 2**40
    assert [(each.kind, each.dataset) for each in config.sources] == [("bigquery", "analytics_987654321")]


@pytest.mark.parametrize(("assumes", "assumed"), [("", None), ("assume_currency = true", "EUR")])
def test_totals_of_values_in_rules_count_in_the_currency_of_the_project(tmp_path, assumes, assumed):
    rule = '{ total = "value", of = "purchase", within = "9d", at_least = 5 }'
    time = rule.replace('"value"', '"engagement_seconds"')
    path = tmp_path / "microconv.toml"
    path.write_text(
        f'[project]\ntimezone = "UTC"\ncurrency = "EUR"\n{assumes}\n'
        '[[sources]]\nproperty = "1"\npath = "exports/events_*"\n'
        f'[[segments]]\nname = "a"\nrule = {{ all = [{rule}, {{ not = {{ any = [{rule}] }} }}, {time}] }}\n'
        '[[segments]]\nname = "b"\nrule = { segment = "a" }\n'
    )
    for segment in load_config(path, {}).segments:
        money = {(leaf.currency, leaf.assumed_currency) for leaf in segment.rule.leaves() if leaf.total == "value"}
        assert money == {("EUR", assumed)}
        assert [leaf.currency for leaf in segment.rule.leaves() if leaf.total != "value"] == [None]
