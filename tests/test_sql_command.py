"""`microconv sql`: the queries that a configuration makes, their translation and their cost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from config_files import BIGQUERY
from every_question import VARIANT
from faulty_proxy import Call, Edit, FaultyProxy
from microconv.catalogue import questions_of
from microconv.cli import cli
from microconv.cli.output import Verbatim, emit
from microconv.config.load import load_config
from microconv.engines.duckdb import DuckDBEngine
from microconv.errors import UsageError
from microconv.project import Project
from microconv.queries import templates
from microconv.queries.templates import EXAMPLE_MOMENT, Query
from microconv.staging.mc_tables import TABLES
from projects import write_config
from staged_rows import at, occurrence, session, shard, staged

EXTRA = """
[[sources]]
property = "p2"
path = "other/events_*"
[[funnels]]
name = "buying"
steps = ["view_item", "purchase"]
[[funnels]]
name = "looking"
steps = ["search", "view_item"]
[[funnels]]
name = "about"
steps = ["search", "view_item"]
order = "unordered"
[[segments]]
name = "carts"
rule = { did = "add_to_cart", within = "14d" }
[[experiments]]
name = "reviews_first"
hypothesis = "Reviews make people trust the product."
exposure = { event = "experiment_view" }
variant = "variant_id"
control = "old"
variants = { old = 0.5, new = 0.5 }
actors = 1000
metrics = [{ entry = "purchase" }]
steps = ["view_item", "purchase"]
[consent]
table = "crm.consents"
[taxonomy]
file = "taxonomy.toml"
"""
AGAIN = """
version = "1.2"
[[micro_conversions]]
id = "same_product_again"
derived = { of = "view_item", again = "item_id", within = "7d" }
kind = "secondary"
stage = "consideration"
"""
"""A threshold, of which the preset has none."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_config(tmp_path, extra=EXTRA)
    (tmp_path / "taxonomy.toml").write_text(AGAIN, encoding="utf-8")
    return tmp_path


@pytest.fixture
def command(folder: Path) -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(folder / "microconv.toml"), *arguments])


def test_every_template_is_listed_with_its_sentence(command):
    document = json.loads(command("sql", "--format", "json").stdout)
    shown = command("sql").stdout

    assert [each["name"] for each in document["templates"]] == list(templates.names())
    assert "Sessions by default channel group." in shown
    assert "How many actors, sessions or attempts take each step of a funnel" in shown
    assert "number_<n>" not in shown


OF_NAMED_TABLES = ("analyses/attribution/spend", "segments/identity", "staging/external_table")
"""Templates that read a table which the configuration names; that of the tests names none."""


@pytest.mark.parametrize("name", templates.names())
def test_every_template_can_be_asked(command, name):
    queries = json.loads(command("sql", name, "--format", "json").stdout)["queries"]

    assert bool(queries) == (name not in OF_NAMED_TABLES)
    for query in queries:
        assert {each["name"] for each in query["params"]} == templates.params_used(query["sql"])


@pytest.mark.parametrize("name", [name for name in templates.names() if name != "segments/identity"])
def test_every_template_has_a_translation(command, name):
    shown = command("sql", name, "--dialect", "duckdb").stdout

    lines = "\n".join(line for line in shown.splitlines() if not line.startswith("--"))
    text = re.sub(r"/\*.*?\*/|'(?:[^']|'')*'", "", lines, flags=re.DOTALL)
    assert "@" not in text
    assert "`" not in "\n".join(line for line in shown.splitlines() if not line.startswith(("--", "/*")))


class Listening(DuckDBEngine):
    """DuckDB that keeps what it was asked."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.asked: list[Query] = []

    def query(self, query: Query) -> pa.Table:
        self.asked.append(query)
        return super().query(query)


OF_THE_DATA = {
    "touchpoints",
    "as_of",
    "latest_us",
    "end_at",
    "end_date",
    "until_date",
    "first_date",
    "last_date",
    "cut_offs_us",
}


def known(query):
    """A query without the values that are known only once the data are."""
    return query.name, query.sql, {name: query.params[name] for name in query.params if name not in OF_THE_DATA}


def test_what_is_shown_is_what_the_commands_ask(folder):
    rows = {
        "mc_shards": [shard(1, events=9, carried_columns=VARIANT.name)],
        "mc_events": [{"event_at": at(0)}],
        "mc_sessions": [session(0, 1, "Email")],
        "mc_micro_conversions": [occurrence(0, "view_item")],
    }
    staged(folder / "microconv.duckdb", carried=(VARIANT,), **rows).close()
    with (
        Project(load_config(folder / "microconv.toml", {})) as project,
        Listening(project.config.engine.path) as engine,
    ):
        project.__dict__["engine"] = engine
        for _, question in questions_of(project.config, project.taxonomy):
            project.answer(question)
        project.summary()
        project.members("carts", as_of=EXAMPLE_MOMENT)
        project.runs()
        asked = [known(query) for query in engine.asked]
        names = {query.name for query in engine.asked}
        shown = [known(query) for name in names for _, query in project.queries(name)]

    assert len(names) > 10
    assert [query for query in asked if query not in shown] == []
    assert [query for query in shown if query not in asked] == []


def test_values_stand_in_comments_and_nowhere_else(command):
    lines = command("sql", "analyses/funnels/counts").stdout.splitlines()

    assert lines[0] == "-- analyses/funnels/counts, funnel buying"
    assert '-- @micro_conversions ARRAY<STRING> = ["view_item", "purchase"]' in lines
    assert "-- @window_us INT64 = 604800000000" in lines
    assert "-- analyses/funnels/counts, funnel looking" in lines
    assert not any("'search'" in line or "604800" in line for line in lines if not line.startswith("--"))


def test_a_value_cannot_end_its_comment(tmp_path):
    config = write_config(tmp_path, extra='[taxonomy]\nfile = "taxonomy.toml"\n')
    (tmp_path / "taxonomy.toml").write_text(
        'version = "1.0"\n[[micro_conversions]]\nid = "odd"\nname = "Odd"\nkind = "secondary"\nstage = "awareness"\n'
        'mindset = "curiosity"\nevents = ["page_view"]\n'
        'where = [{ parameter = "page_type", equals = "x\\n; DROP TABLE mc_events --\\u2028\\u0085y" }]\n'
    )

    result = CliRunner().invoke(cli, ["-c", str(config), "sql", "staging/micro_conversions"])

    (line,) = [line for line in result.stdout.splitlines() if "DROP TABLE" in line]
    assert re.match(r"-- @text_\d+ STRING = ", line), result.stderr


def test_a_property_is_asked_for_once(command):
    queries = json.loads(command("sql", "staging/events", "--format", "json").stdout)["queries"]

    assert [query["about"] for query in queries] == ["property p1", "property p2"]
    assert all(query["needs_sync"] for query in queries)


def test_a_first_party_table_stands_under_its_own_name(command):
    assert "FROM `crm`.`consents` AS c" in command("sql", "segments/consent").stdout
    assert "makes no query of segments/identity" in command("sql", "segments/identity").stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("sql", "analyses/funnels/count"), 'did you mean "analyses/funnels/counts"?'),
        (("sql", "--estimate"), "--estimate needs a template"),
    ],
)
def test_mistakes_are_usage_errors(command, arguments, said):
    result = command(*arguments)

    assert result.exit_code == UsageError.exit_code
    assert said in result.stderr


def test_nothing_is_billed_on_duckdb_and_no_database_is_made_to_say_so(command, folder):
    shown = command("sql", "analyses/channels", "--estimate").stdout
    document = json.loads(command("sql", "analyses/channels", "--estimate", "--format", "json").stdout)

    assert "Nothing is billed" in shown
    assert document["queries"][0]["estimate"] == {"bytes": 0, "cost": 0.0}
    assert not (folder / "microconv.duckdb").exists()


@pytest.fixture
def billed(tmp_path: Path, mocker) -> Callable[..., Result]:
    """A project on BigQuery that answers every dry run with 256 GiB; the emulator always says 0."""
    (tmp_path / "microconv.toml").write_text(BIGQUERY)
    mocker.patch.object(Project, "estimate_query", return_value=2**38)
    return lambda *arguments: CliRunner().invoke(cli, ["-c", str(tmp_path / "microconv.toml"), *arguments])


def test_an_estimate_is_a_bound_in_bytes_and_money(billed):
    shown = billed("sql", "analyses/channels", "--estimate").stdout
    document = json.loads(billed("sql", "analyses/channels", "--estimate", "--format", "json").stdout)

    assert "cost at most" in shown
    assert "256.0 GiB" in shown
    assert "$1.56" in shown
    assert document["queries"][0]["estimate"] == {"bytes": 2**38, "cost": 1.5625}


def test_an_estimate_is_the_dry_run_of_bigquery(emulator, tmp_path):
    def large(answer: dict[str, Any]) -> dict[str, Any]:
        answer["statistics"]["query"]["totalBytesProcessed"] = str(3 * 2**40)
        return answer

    def rule(call: Call) -> Edit | None:
        is_job = call.method == "POST" and call.path.endswith("/jobs")
        return Edit(large) if is_job and call.json()["configuration"].get("dryRun") else None

    with FaultyProxy(emulator.rest_url, rule) as proxy:
        keys = f'api_endpoint = "{proxy.url}"\nanonymous = true\n'
        text = BIGQUERY.replace('"payer"', f'"{emulator.project}"').replace('"staged"', f'"{emulator.dataset()}"')
        (tmp_path / "microconv.toml").write_text(text.replace("[project]", f"{keys}[project]"))
        with Project(load_config(tmp_path / "microconv.toml", {})) as project:
            for table in TABLES.values():
                project.engine.ensure(table)
        command = ["-c", str(tmp_path / "microconv.toml"), "sql", "analyses/channels", "--estimate", "--format", "json"]
        (query,) = json.loads(CliRunner().invoke(cli, command).stdout)["queries"]
        run = [call for call in proxy.calls_to("POST", "/jobs") if not call.json()["configuration"].get("dryRun")]

    assert query["estimate"] == {"bytes": 3 * 2**40, "cost": 18.75}
    assert run == []


def test_what_runs_only_within_a_sync_is_not_estimated_alone(billed):
    shown = billed("sql", "staging/sessions", "--estimate").stdout
    document = json.loads(billed("sql", "staging/sessions", "--estimate", "--format", "json").stdout)

    assert re.search(r"What a whole sync would cost: `microconv -c \S+ sync --dry-run`", " ".join(shown.split()))
    assert document["queries"][0]["estimate"] is None


def test_without_the_estimate_nothing_is_asked(billed):
    document = json.loads(billed("sql", "analyses/channels", "--format", "json").stdout)

    assert document["queries"][0]["estimate"] is None


def test_lines_of_sql_stay_whole_on_a_narrow_terminal(capsys, mocker):
    mocker.patch("sys.stdout.isatty", return_value=True)
    mocker.patch.dict("os.environ", {"COLUMNS": "20"})
    line = "SELECT " + ", ".join(f"c{number}" for number in range(40))

    emit("table", document={}, shown=lambda: [Verbatim(f"-- :smile:\n{line}")])

    assert capsys.readouterr().out == f"-- :smile:\n{line}\n"
