"""A wrong configuration: what a person reads."""

from __future__ import annotations

import re

import pytest

from config_files import BIGQUERY, MINIMAL, PULLED, problem
from microconv.config.positions import Positions


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (
            "[engine]\nmemory_limt = '2GB'",
            'line 8: engine.memory_limt is not a known key (did you mean "memory_limit"?)',
        ),
        (
            '[attribution]\ngoal = "lead"\nconversion = "purchase"',
            "line 9: attribution.conversion has another name now: goal",
        ),
        (
            '[attribution]\nsince = "last_conversion"',
            "line 8: attribution.since has another name now: reset_after_conversion = true",
        ),
        (
            '[[funnels]]\nname = "f"\nsteps = ["a", "b"]\nunit = "sessions"',
            "line 10: funnels[0].unit has another name now: count",
        ),
        ("[egnine]\nx = 1", 'line 7: egnine is not a known key (did you mean "engine"?)'),
        ("colour = 1", "line 7: sources[0].colour is not a known key (known are property, kind, path, project, "),
        (
            "[engine]\nmemory_limit = 'lots'",
            'such as "512MB", "2GB" or "1.5GiB" [MICROCONV_ENGINE__MEMORY_LIMIT is not set; default "1GB"]',
        ),
        ("[engine]\nmemory_limit = 'lots'", 'line 8: engine.memory_limit = "lots" is not an amount of memory such as'),
        ("[engine]\nmemory_limit = '0GB'", 'engine.memory_limit = "0GB" is not an amount of memory'),
        ("[engine]\nthreads = 0", "line 8: engine.threads = 0 must be at least 1"),
        ("[engine]\nthreads = '2'", 'line 8: engine.threads = "2" must be a whole number'),
        ("[engine]\nthreads = true", "line 8: engine.threads = true must be a whole number"),
        ("[engine]\nkind = 'spark'", 'line 8: engine.kind = "spark" is not "duckdb" or "bigquery"'),
        (
            "[engine]\nkind = 'bigquery'",
            'line 7: engine.project is required with kind = "bigquery": the Google Cloud project that pays',
        ),
        ("[engine]\nlease = '1h'", 'line 8: engine.lease = "1h" is not a key of kind = "duckdb"'),
        ("dataset = 'd'", 'line 7: sources[0].dataset = "d" is not a key of kind = "files"'),
        ("daily_cap = -1", "line 7: sources[0].daily_cap = -1 must be at least 0"),
        ("[engine]\npath = ''", 'line 8: engine.path = "" is not a path'),
        ("[engine]\npath = '~nobody-of-that-name/x'", "starts with ~ and a user whose home folder is not known"),
        ("[[engine]]\nthreads = 1", "line 7: engine is one table: write [engine] above its keys"),
        ("[segments]\nname = 's'", "line 7: segments is a list of tables: write [[segments]] above each entry"),
        ("[taxonomy]\npreset = 3", "line 8: taxonomy.preset = 3 must be text in quotes"),
        ("[attribution]\nwindows = []", "line 8: attribution.windows needs at least 1 entry"),
        ("[attribution]\nwindows = '7d'", 'line 8: attribution.windows = "7d" must be a list in square brackets'),
        ("[attribution]\nwindows = ['1d', '24h']", 'attribution.windows[1] = "24h" is there twice'),
        ("[attribution]\nmodels = ['first', 'first']", 'attribution.models[1] = "first" is there twice'),
        ("[attribution]\nmodels = ['firs']", 'attribution.models[0] = "firs" is not "first", "last", '),
        (
            "[attribution]\nhalf_life = '1 week'",
            'attribution.half_life = "1 week" is not a length of time such as "90s"',
        ),
        ("[attribution]\nhalf_life = 7", "attribution.half_life = 7 must be a length of time in quotes"),
        (
            "[identity]\nfile = 'a.csv'\ntable = 'people'",
            'line 9: identity.table = "people" cannot be given beside file; keep one of the two',
        ),
        ("[consent]\ntable = 'a b'", 'line 8: consent.table = "a b" is not a table name such as "crm.people"'),
    ],
)
def test_mistake_is_named_with_line_key_and_value(tmp_path, added, said):
    message = problem(tmp_path, MINIMAL + added)

    assert str(tmp_path / "microconv.toml") in message
    assert said in message


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("project = 'a b'", 'engine.project = "a b" is not the id of a Google Cloud project'),
        ("price_per_tib = -1", "engine.price_per_tib = -1 must be at least 0 [MICROCONV_ENGINE__PRICE_PER_TIB is not"),
        ("price_per_tib = inf", "must be a finite number"),
        ("price_per_tib = '6'", 'engine.price_per_tib = "6" must be a number'),
        ("anonymous = 'yes'", 'engine.anonymous = "yes" must be true or false'),
        ("api_endpoint = 'ftp://x'", 'engine.api_endpoint = "ftp://x" is not an address such as'),
        ("api_endpoint = 'https://x/path'", "is not an address such as"),
        ("storage_endpoint = 'localhost:1'", 'engine.storage_endpoint = "localhost:1" is not an address such as'),
    ],
)
def test_mistakes_in_what_bigquery_is_told(tmp_path, key, said):
    message = problem(tmp_path, PULLED + f"[engine]\n{key}\n")

    assert "line 10: " in message
    assert said in message


@pytest.mark.parametrize("size", ["0", "-1", "true", "1.5", "'0'", "'lots'", "'10 gigabytes'", "'999999999999TB'"])
def test_sizes_that_are_none_are_refused(tmp_path, size):
    message = problem(tmp_path, PULLED + f"[engine]\nmaximum_bytes_per_run = {size}\n")

    assert 'is not a number of bytes such as "500MB", "10GB" or "1TiB"' in message


def test_lease_that_no_job_would_outlast_is_refused(tmp_path):
    message = problem(tmp_path, BIGQUERY.replace('dataset = "staged"', 'dataset = "staged"\nlease = "59s"'))

    assert 'engine.lease = "59s" is shorter than "1m"' in message


@pytest.mark.parametrize(("section", "key"), [("engine", "project"), ("engine", "dataset"), ("client", "dataset")])
def test_bigquery_needs_its_project_and_dataset(tmp_path, section, key):
    owner = {"engine": "payer|staged", "client": "client|analytics_1"}[section]
    text = re.sub(rf'^{key} = "({owner})"$', "", BIGQUERY, flags=re.MULTILINE)

    table = "engine" if section == "engine" else "sources[0]"
    assert f'{table}.{key} is required with kind = "bigquery": the ' in problem(tmp_path, text)


@pytest.mark.parametrize("key", ["path = 'x.duckdb'", "memory_limit = '1GB'", "threads = 2"])
def test_keys_of_duckdb_are_refused_with_bigquery(tmp_path, key):
    message = problem(tmp_path, BIGQUERY.replace('dataset = "staged"', f'dataset = "staged"\n{key}'))

    assert 'is not a key of kind = "bigquery"' in message


def test_keys_of_duckdb_are_refused_with_bigquery_from_the_environment_too(tmp_path):
    message = problem(tmp_path, BIGQUERY, {"MICROCONV_ENGINE__THREADS": "2"})

    assert "the environment variable MICROCONV_ENGINE__THREADS: engine.threads = 2 is not a key of" in message


def test_an_export_in_bigquery_has_no_path(tmp_path):
    said = problem(tmp_path, PULLED + 'path = "x"\n')

    assert 'line 9: sources[0].path = "x" is not a key of kind = "bigquery"' in said


def test_bigquery_cannot_read_files(tmp_path):
    files = MINIMAL.partition("\n\n")[2]

    message = problem(tmp_path, f"{BIGQUERY}\n{files}")

    assert 'sources[1].kind is "files", which the engine bigquery cannot read' in message


def test_files_need_a_path(tmp_path):
    message = problem(tmp_path, MINIMAL.replace('path = "exports/events_*.parquet"', ""))

    assert 'sources[0].path is required with kind = "files": the shards of the export' in message


def test_same_export_twice_is_refused(tmp_path):
    message = problem(tmp_path, f"{PULLED}\n{PULLED.partition(chr(10) * 2)[2]}")

    assert 'sources[1].dataset = "analytics_1" reads the same tables for the same property' in message


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("Europe/Berln", '(did you mean "Europe/Berlin"?)'),
        ("europe/berlin", '(did you mean "Europe/Berlin"?)'),
        ("New York", '(did you mean "America/New_York"?)'),
        ("nowhere at all", '(write it as in "Europe/Berlin" or "UTC")'),
    ],
)
def test_bad_time_zone_suggests_the_nearest(tmp_path, zone, said):
    message = problem(tmp_path, MINIMAL.replace("UTC", zone))

    assert f'line 2: project.timezone = "{zone}" is not an IANA time zone {said}' in message


def test_missing_time_zone_says_what_it_is_and_where_it_was_looked_for(tmp_path):
    message = problem(tmp_path, MINIMAL.replace('timezone = "UTC"', ""))

    assert "line 1: project.timezone is required: the reporting time zone of the GA4 property" in message
    assert "[MICROCONV_PROJECT__TIMEZONE is not set; no default]" in message


@pytest.mark.parametrize("sources", ["", "sources = []\n"])
def test_a_source_is_required(tmp_path, sources):
    assert re.search(
        "sources (is required|needs at least 1 entry)", problem(tmp_path, sources + '[project]\ntimezone = "UTC"\n')
    )


@pytest.mark.parametrize("label", ["", "   ", "a\\u0007b"])
def test_property_must_be_printable_text(tmp_path, label):
    message = problem(tmp_path, MINIMAL.replace('"123"', f'"{label}"'))

    assert "line 5: sources[0].property" in message
    assert "must be text of printable characters, and not empty" in message


@pytest.mark.parametrize("name", ["", "Big", "1st", "a b", "../a", "a.b", "naïve"])
@pytest.mark.parametrize(
    ("section", "rest"),
    [
        ("funnels", "steps = ['a', 'b']"),
        ("segments", "rule = { did = 'a', within = '1d' }"),
        ("destinations", "format = 'csv'"),
    ],
)
def test_names_that_cannot_be_file_names_are_refused(tmp_path, section, rest, name):
    message = problem(tmp_path, MINIMAL + f'[[{section}]]\nname = "{name}"\n{rest}\n')

    assert f'line 8: {section}[0].name = "{name}" cannot be a name' in message


@pytest.mark.parametrize(
    ("section", "rest"),
    [
        ("funnels", "steps = ['a', 'b']"),
        ("segments", "rule = { did = 'a', within = '1d' }"),
        ("destinations", "format = 'csv'"),
    ],
)
def test_duplicate_names_are_refused_at_the_second(tmp_path, section, rest):
    entry = f"[[{section}]]\nname = 'same'\n{rest}\n"

    message = problem(tmp_path, MINIMAL + entry + entry)

    assert f'line 11: {section}[1].name = "same" is taken by an earlier entry' in message


def test_same_source_twice_is_refused(tmp_path):
    entry = "\n[[sources]]\nproperty = '123'\npath = './exports/events_*.parquet'\n"

    message = problem(tmp_path, MINIMAL + entry)

    assert "line 10: sources[1].path" in message
    assert "reads the same files for the same property as an earlier source" in message


def test_two_destinations_that_would_overwrite_each_other_are_refused(tmp_path):
    first = "[[destinations]]\nname = 'a'\nformat = 'csv'\n"
    second = "[[destinations]]\nname = 'b'\nformat = 'csv'\npath = './exports'\n"

    message = problem(tmp_path, MINIMAL + first + second)

    assert "line 10: destinations[1] writes the same files as an earlier destination" in message


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            "format = 'csv'\nfolder = 'out'",
            (
                "line 10: destinations[0].folder is not a known key "
                "(known are name, kind, max_age, push, path, encrypt_to, format)"
            ),
        ),
        ("format = 'csv'\npaths = 'out'", 'line 10: destinations[0].paths is not a known key (did you mean "path"?)'),
        (
            "path = 'out'",
            'line 7: destinations[0].format is required: what the files look like, such as "google_ads", "meta"',
        ),
        ("format = 'tsv'", 'line 9: destinations[0].format = "tsv" is not "google_ads", "meta", "tiktok",'),
        ("format = 'csv'\npath = ''", 'line 10: destinations[0].path = "" is not a path [default "exports"]'),
        (
            "kind = 'flie'\nformat = 'csv'",
            'kind = "flie" cannot be used: there is no such kind of destination (did you mean "file"?) [default "file',
        ),
        ("kind = 'ftp'", "cannot be used: there is no such kind of destination (known are file"),
        ("kind = 7\nformat = 'csv'", "line 9: destinations[0].kind = 7 must be text in quotes"),
    ],
)
def test_mistakes_in_a_destination(tmp_path, entry, said):
    message = problem(tmp_path, MINIMAL + f"[[destinations]]\nname = 'd'\n{entry}\n")

    assert said in message
    assert "problems" not in message


def test_mistakes_of_several_destinations_are_listed_together_in_the_order_of_the_file(tmp_path):
    message = problem(
        tmp_path,
        MINIMAL
        + "[[destinations]]\nname = 'A'\nformat = 'tsv'\n"
        + "[[destinations]]\nname = 'B'\nkind = 'ftp'\nhost = 'h'\n"
        + "[engine]\nthreads = 0\n",
    )

    assert "has 5 problems: (1) line 8: destinations[0].name" in message
    places = ["(2) line 9: destinations[0].format", "(3) line 11: destinations[1].name"]
    for place in (*places, "(4) line 12: destinations[1].kind", "(5) line 15: engine.threads"):
        assert place in message


def test_destination_that_is_no_table_is_named(tmp_path):
    message = problem(tmp_path, "destinations = ['out']\n" + MINIMAL)

    assert 'line 1: destinations[0] = "out" must be a table in braces' in message


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("steps = ['a']", "line 9: funnels[0].steps needs at least 2 entries"),
        ("steps = 'a,b'", 'line 9: funnels[0].steps = "a,b" must be a list'),
        ("steps = ['a',\n ' ']", "line 9: funnels[0].steps[1]"),
        (
            "steps = ['a', 'b']\ncount = 'users'",
            'line 10: funnels[0].count = "users" is not "actors", "attempts" or "sessions"',
        ),
        (
            "steps = ['a', 'b']\norder = 'random'",
            'line 10: funnels[0].order = "random" is not "ordered", "strict", "immediate" or "unordered"',
        ),
        ("steps = ['a', { did = [] }]", "line 9: funnels[0].steps[1].did needs at least 1 entry"),
        ("steps = ['a', 7]", "line 9: funnels[0].steps[1] = 7 must be a table in braces"),
        ("steps = ['a', { did = 'b', option = true }]", 'option is not a known key (did you mean "optional"?)'),
        (
            "steps = ['a', { did = 'b', optional = true }]",
            "optional = true is true for the first or last step",
        ),
        (
            "steps = ['a', { did = 'b', where = [{ property = 'page' }] }]",
            "steps[1].where[0] must have exactly one of equals, any_of",
        ),
        (
            "steps = ['a', { did = 'b', where = [{ property = 'a b', equals = 'x' }] }]",
            'where[0].property = "a b" is not the name of a property such as "page"',
        ),
        (
            "steps = ['a', 'b']\nwindow = '1d'\nstep_window = '1d'",
            'line 11: funnels[0].step_window = "1d" cannot be given',
        ),
        (
            "steps = ['a', 'b']\norder = 'unordered'\nentry = 'open'",
            'funnels[0].entry = "open" is "open", and',
        ),
        ("steps = ['a', 'b']\norder = 'unordered'\nstep_window = '1d'", 'step_window = "1d" needs an order of steps'),
        ("steps = ['a', 'b']\nhold = ['page', 'page']", 'line 10: funnels[0].hold[1] = "page" is there twice'),
        (
            "steps = ['a', 'b']\nexclude = [{ did = 'c', between = [2, 1] }]",
            "line 10: funnels[0].exclude[0].between must be two steps of this funnel, the earlier first, from 1 to 2",
        ),
        ("steps = ['a', 'b']\nwindow = '0d'", 'line 10: funnels[0].window = "0d" is not a length of time'),
        ("steps = ['a', 'b']\nwindow = '99999d'", '(at most "3650d") [default "7d"]'),
        ("count = 'actors'", "line 7: funnels[0].steps is required: micro-conversion ids, first step first"),
    ],
)
def test_mistakes_in_a_funnel(tmp_path, entry, said):
    message = problem(tmp_path, MINIMAL + f"[[funnels]]\nname = 'f'\n{entry}\n")

    assert said in message
    assert "problems" not in message


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("{ did = 'a', within = '7 days' }", 'line 13: segments[1].rule.within = "7 days" is not a length of time'),
        ("{ did = 'a' }", "line 13: segments[1].rule.within is required: how far back to look"),
        ("{ did = 'a', within = '7d', at_least = 0 }", "segments[1].rule.at_least = 0 must be at least 1"),
        (
            "{ did = 'a', within = '7d', not_within = '3d' }",
            'segments[1].rule.not_within = "3d" is the time of not_did, which is not there',
        ),
        ("{ did = 'a', within = '7d', not_did = 'a' }", 'segments[1].rule.not_did = "a" is the same micro-conversion'),
        (
            "{ did = 'a', within = '7d', not_do = 'a' }",
            'segments[1].rule.not_do is not a known key (did you mean "not_did"?)',
        ),
        ("'did a'", 'segments[1].rule = "did a" must be a table in braces'),
    ],
)
def test_mistakes_in_a_segment_are_found_in_the_right_entry(tmp_path, rule, said):
    first = "# first\n[[segments]]\nname = 'first'\nrule = { did = 'a', within = '7d' }\n"

    assert said in problem(tmp_path, MINIMAL + first + f"[[segments]]\nname = 's'\nrule = {rule}\n")


@pytest.mark.parametrize("identity", ["[]", "['email', 'email']", "['mail']", "'mail'"])
def test_identity_is_a_set_of_known_identifiers(tmp_path, identity):
    text = MINIMAL + f"[[segments]]\nname = 's'\nrule = {{ did = 'a', within = '1d' }}\nidentity = {identity}\n"

    assert "line 10: segments[0].identity" in problem(tmp_path, text)


def test_every_problem_is_listed_once_in_the_order_of_the_file(tmp_path):
    message = problem(
        tmp_path,
        "[project]\ntimezone = 'UTC'\ncurrency = 'euro'\n"
        "[engine]\nthreads = 0\nmemory = 1\n"
        "[[sources]]\nproperty = 7\npath = 'x'\n",
        {"MICROCONV_ENGIN__PATH": "x"},
    )

    assert "has 5 problems: (1) the environment variable MICROCONV_ENGIN__PATH" in message
    assert message.index("(2) line 3: project.currency") < message.index("(3) line 5: engine.threads")
    assert message.index("(4) line 6: engine.memory ") < message.index("(5) line 8: sources[0].property")


def test_a_variable_of_a_key_with_another_name_now_is_told_the_name(tmp_path):
    message = problem(tmp_path, MINIMAL, {"MICROCONV_ATTRIBUTION__CONVERSION": "purchase"})

    assert (
        "the environment variable MICROCONV_ATTRIBUTION__CONVERSION sets a key that has another name now: goal"
        in message
    )


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ('[[segments]]\nname = "s"\nidentity = "jane@example.com"\nrule = { did = "a", within = "1d" }', "jane@"),
        ('[identity]\ntable = "postgres://me:hunter2@host/db"', "hunter2"),
        ('[identity]\npassword = "hunter2"', "hunter2"),
        ('[identity]\n"jane@example.com" = 1', "jane@"),
        ('[engine]\nmemory_limit = "' + "k3y" * 30 + '"', "k3y"),
        ('[engine]\napi_endpoint = "https://me:hunter2@host"', "hunter2"),
    ],
)
def test_what_may_be_personal_or_secret_is_not_repeated(tmp_path, text, secret):
    assert secret not in problem(tmp_path, MINIMAL + text)


def test_a_top_level_file_key_cannot_pose_as_the_place_of_the_file(tmp_path):
    assert "line 1: file is not a known key" in problem(tmp_path, 'file = "x"\n' + MINIMAL)


def test_a_flood_of_problems_is_cut(tmp_path):
    message = problem(tmp_path, MINIMAL + "[[funnels]]\n" * 30)

    assert "has 60 problems" in message
    assert "(20) " in message
    assert message.endswith("; and 40 more.")


LINES = '''\
# timezone = "in a comment"
[project]
name = """
[engine]
threads = 3
"""
timezone = "UTC"

[[funnels]]
steps = [
  "a",  # threads = 1
  "b",
]
"quoted key" = 1
window = "x"
[[funnels]]
window = "y"
rule.within = "z"
[engine]
threads = 2
'''


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("project",), 2),
        (("project", "timezone"), 7),
        (("funnels", 0), 9),
        (("funnels", 0, "steps", 1), 10),
        (("funnels", 0, "quoted key"), 14),
        (("funnels", 1), 16),
        (("funnels", 1, "window"), 17),
        (("funnels", 1, "rule", "within"), 18),
        (("engine", "threads"), 20),
        (("engine", "path"), None),
        (("funnels", 2), None),
        (("project", "name", 0), None),
    ],
)
def test_line_of_a_key_is_the_first_line_of_its_statement(path, line):
    assert Positions(LINES).line_of(path) == line
    assert Positions(LINES.replace("\n", "\r\n")).line_of(path) == line


def test_pattern_that_no_engine_takes_is_a_mistake_of_the_configuration(tmp_path):
    step = "{ did = 'a', where = [{ property = 'page', matches = '((a{20}){20}){20}' }] }"

    message = problem(tmp_path, f"{MINIMAL}[[funnels]]\nname = 'f'\nsteps = [{step}, 'b']\n")

    assert "line 9: funnels[0].steps[0].where[0].matches" in message
    assert "cannot be used as a regular expression" in message


@pytest.mark.parametrize("section", ["segments", "funnels", "destinations"])
def test_name_too_long_for_a_file_is_a_mistake_of_the_configuration(tmp_path, section):
    message = problem(tmp_path, f"{MINIMAL}[[{section}]]\nname = '{'x' * 101}'\n")

    assert f"line 8: {section}[0].name cannot be a name" in message
    assert "100 letters at most" in message
