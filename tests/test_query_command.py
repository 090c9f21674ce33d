"""`microconv query`: SQL of one's own, which can read the tables and do nothing else."""

from __future__ import annotations

import csv
import io
import re
import sys
from pathlib import Path

import pytest

from commands import Done, contents, microconv, write_days
from microconv.config.load import load_config
from microconv.errors import UsageError
from microconv.project import Project
from projects import write_config

SECRET = "somebody.else@example.com"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two staged days, and a file beside it that is nobody's business."""
    made = tmp_path_factory.mktemp("project")
    write_config(made)
    write_days(made, 2)
    (made / "secret.csv").write_text(f"email\n{SECRET}\n", "utf-8")
    assert microconv(made, "sync").code == 0
    return made


def ask(folder: Path, sql: str, *options: str) -> Done:
    return microconv(folder, "query", sql, *options)


def test_rows_come_as_table_csv_and_json(folder):
    sql = "SELECT event_name, COUNT(*) AS events FROM mc_events GROUP BY event_name ORDER BY events DESC, event_name"
    table, text, document = ask(folder, sql), ask(folder, sql, "--format", "csv"), ask(folder, sql, "--format", "json")

    assert table.stderr == text.stderr == document.stderr == ""
    heading, *rows = csv.reader(io.StringIO(text.stdout))
    assert heading == ["event_name", "events"]
    assert document.document == {
        "columns": heading,
        "rows": [{"event_name": name, "events": int(events)} for name, events in rows],
        "complete": True,
    }
    assert all(re.search(rf"{name} +{events}\b", table.stdout) for name, events in rows)
    assert table.stdout.endswith(f"{len(rows)} rows.\n")


def test_values_of_every_type_are_written(folder):
    sql = """SELECT 9007199254740993 AS whole, SUM(1) AS total, 0.1 AS part, NULL AS nothing, TRUE AS yes,
        [1, 2] AS list, {'day': DATE '2024-03-01'} AS struct, TIMESTAMPTZ '2024-03-01 12:00:00+01:00' AS moment,
        'inf'::DOUBLE AS endless, '=1+1' AS formula, -5 AS negative, 'red' || chr(27) AS hostile,
        1.23::DECIMAL(38, 30) AS exact"""
    (row,) = ask(folder, sql, "--format", "json").document["rows"]
    _, line = csv.reader(io.StringIO(ask(folder, sql, "--format", "csv").stdout))
    table = ask(folder, sql).stdout

    assert row["whole"] == 9_007_199_254_740_993
    assert (row["total"], row["part"], row["nothing"], row["yes"]) == (1, 0.1, None, True)
    assert (row["list"], row["struct"]) == ([1, 2], {"day": "2024-03-01"})
    assert (row["moment"], row["endless"]) == ("2024-03-01T11:00:00+00:00", "inf")
    assert (row["formula"], row["negative"], row["exact"]) == ("=1+1", -5, 1.23)
    assert row["hostile"].endswith("\x1b")
    assert [line[place] for place in (0, 3, 5, 9, 10)] == ["9007199254740993", "", "[1, 2]", "'=1+1", "-5"]
    assert "NULL" in table
    assert "\x1b" not in table


def test_more_rows_than_the_limit_are_said(folder):
    sql = "SELECT event_name FROM mc_events"
    shown = ask(folder, sql, "--limit", "2", "--format", "json")

    assert (shown.code, len(shown.document["rows"]), shown.document["complete"]) == (0, 2, False)
    assert "There are more than the 2 rows shown; --limit" in shown.stderr
    assert len(ask(folder, "SELECT 1 FROM range(2)", "--limit", "2", "--format", "json").document["rows"]) == 2
    assert ask(folder, "SELECT 1 AS one FROM range(2)", "--limit", "2").stderr == ""


def test_endless_result_ends_at_the_limit(folder):
    done = ask(folder, "SELECT range FROM range(1000000000000)", "--limit", "3")

    assert (done.code, done.stdout.splitlines()[-1]) == (0, "3 rows.")


@pytest.mark.parametrize(
    "words",
    ["DESCRIBE mc_events", "SHOW TABLES", "FROM mc_shards", "WITH x AS (SELECT 1) FROM x", "SUMMARIZE mc_shards"],
)
def test_every_statement_that_reads_is_taken(folder, words):
    assert ask(folder, words).code == 0


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE mc_events",
        "DELETE FROM mc_events",
        "INSERT INTO mc_runs SELECT * FROM mc_runs",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TEMP TABLE t AS SELECT 1",
        "UPDATE mc_events SET property = 'x'",
        "SELECT 1; DROP TABLE mc_events",
        "COPY mc_events TO 'stolen.csv'",
        "COPY (SELECT 1) TO 'stolen.csv'",
        "EXPORT DATABASE 'stolen'",
        "ATTACH 'stolen.duckdb' AS stolen",
        "ATTACH ':memory:' AS m",
        "SET enable_external_access = true",
        "RESET enable_external_access",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "INSTALL httpfs",
        "LOAD httpfs",
        "BEGIN",
        "CHECKPOINT",
        "EXPLAIN ANALYZE SELECT 1",
        "PREPARE p AS SELECT 1",
        "SELECT * FROM read_csv('secret.csv')",
        "SELECT * FROM 'secret.csv'",
        "SELECT * FROM read_text('secret.csv')",
        "SELECT * FROM read_blob('secret.csv')",
        "SELECT * FROM glob('*')",
        "SELECT * FROM sniff_csv('secret.csv')",
        "SELECT * FROM read_parquet('exports/*.parquet')",
        "SELECT * FROM parquet_metadata('exports/*.parquet')",
        "SELECT * FROM query('DROP TABLE mc_events')",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "SELECT * FROM os",
        "SELECT getenv('HOME')",
    ],
)
def test_nothing_is_changed_and_nothing_beside_the_database_is_read(folder, sql):
    before, files = contents(folder / "microconv.duckdb"), sorted(each.name for each in folder.iterdir())
    done = ask(folder, sql)

    done.assert_failed(2)
    assert SECRET not in done.stderr
    assert contents(folder / "microconv.duckdb") == before
    assert sorted(each.name for each in folder.iterdir()) == files


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("", "There is no SQL."),
        ("   ", "There is no SQL."),
        ("/* nothing */", "That is 0 statements of SQL."),
        ("SELECT 1; SELECT 2", "That is 2 statements of SQL."),
        ("selec 1", 'syntax error at or near "selec"'),
        ("SELECT nope FROM mc_events", 'Referenced column "nope" not found'),
        ("SELECT * FROM mc_event", "Table with name mc_event does not exist! Did you mean"),
        ("SELECT 1 AS a, 2 AS a", "Two columns are called a."),
        (f"SELECT '{SECRET}'::INT", "Conversion Error: Could not convert string …"),
    ],
)
def test_query_that_cannot_be_run_says_why_without_values(folder, sql, said):
    done = ask(folder, sql)

    done.assert_failed(2, said)
    assert SECRET not in done.stderr


def test_sql_may_begin_with_a_comment_and_a_mistaken_option_is_none(folder):
    assert ask(folder, "-- The answer.\nSELECT 42 AS answer", "--format", "json").document["rows"] == [{"answer": 42}]
    assert ask(folder, "SELECT 1", "--formt", "json").code == 2


def test_every_query_of_the_documentation_can_be_run(folder):
    page = (Path(__file__).parent.parent / "docs" / "tables.md").read_text("utf-8")
    shown = re.findall(r"```sql\n(.*?)```", page, re.DOTALL)

    assert len(shown) >= 4  # The blocks were found; the page may show more.
    for sql in shown:
        assert ask(folder, sql, "--format", "json").code == 0, sql


def test_query_is_read_from_stdin(folder):
    read = "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:], input=b'SELECT 42 AS answer').returncode)"
    done = microconv(folder, "query", "-", "--format", "json", before=(sys.executable, "-c", read))

    assert done.document["rows"] == [{"answer": 42}]


def test_nothing_staged_says_to_sync_and_makes_no_database(tmp_path):
    write_config(tmp_path)
    ask(tmp_path, "SELECT 1").assert_failed(3, "Nothing is staged yet", "microconv sync")

    assert not (tmp_path / "microconv.duckdb").exists()


def test_file_that_is_not_a_database_is_refused(tmp_path):
    write_config(tmp_path)
    (tmp_path / "microconv.duckdb").write_text("user_id,email\n")
    ask(tmp_path, "SELECT 1").assert_failed(3, "microconv.duckdb")

    assert (tmp_path / "microconv.duckdb").read_text() == "user_id,email\n"


def test_database_in_use_is_exit_code_5(folder):
    hold = "import duckdb, subprocess, sys; held = duckdb.connect('microconv.duckdb'); "
    hold += "sys.exit(subprocess.run(sys.argv[1:]).returncode)"
    done = microconv(folder, "query", "SELECT 1", before=(sys.executable, "-c", hold))

    done.assert_failed(5, "is in use by process")


def test_python_asks_and_goes_on_with_other_questions(folder):
    with Project(load_config(folder / "microconv.toml", {})) as project:
        first = project.channels()
        looked = project.query("SELECT COUNT(*) AS sessions FROM mc_sessions")
        limited = project.query("SELECT * FROM mc_events", limit=1)
        with pytest.raises(UsageError, match="not a SELECT, but DROP"):
            project.query("DROP TABLE mc_events")

        assert looked.rows[0][0] == sum(row.sessions for row in first.rows)
        assert list(looked.to_pandas().columns) == ["sessions"]
        assert (len(limited.rows), limited.is_whole) == (1, False)
        assert project.channels() == first


def test_variable_of_python_is_not_a_table(folder):
    import pyarrow as pa

    somebody = pa.table({"email": [SECRET]})
    with (
        Project(load_config(folder / "microconv.toml", {})) as project,
        pytest.raises(UsageError, match="does not exist"),
    ):
        project.query("SELECT * FROM somebody")
    assert somebody.num_rows == 1


def test_wide_table_keeps_every_value_whole_in_a_pipe(folder):
    sql = "SELECT * FROM mc_shards"
    document = ask(folder, sql, "--format", "json").document
    shown = ask(folder, sql).stdout

    assert set(document["columns"]) <= set(shown.split())
    assert document["rows"][0]["run_id"] in shown
    assert "…" not in shown
