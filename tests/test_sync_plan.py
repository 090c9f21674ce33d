"""Which days a sync stages and why, what it says beforehand, and what it does about days that change meanwhile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import ga4
from commands import microconv
from microconv.config.load import load_config
from microconv.errors import BudgetError, EngineError, SourceError, VanishedError
from microconv.exports import ExportTable, FileSource, OpenShard, Shard, ShardSchema, Source
from microconv.project import Project
from microconv.staging import Scope, batch_queries, estimate, find_shards, is_at_cap, mc_tables, plan, sync
from microconv.staging.batches import batches
from projects import write_config

DAYS = [date(2024, 3, 1) + timedelta(days=offset) for offset in range(4)]


def path(folder: Path, day: date, kind: str = "daily") -> Path:
    return folder / "exports" / f"{ga4.shard_name(day, kind)}.parquet"


@pytest.fixture
def days(tmp_path: Path) -> list[Path]:
    """Four days of shards."""
    return [ga4.write_parquet(path(tmp_path, day), ga4.simple_day(day, clients=1)) for day in DAYS]


def rewrite(file: Path, day: date, clients: int) -> None:
    """Export a day again; its time of change is another even on a coarse clock."""
    ga4.write_parquet(file, ga4.simple_day(day, clients=clients))
    state = file.stat()
    os.utime(file, ns=(state.st_atime_ns, state.st_mtime_ns + 1_000_000_000))


def staged_days(project: Project) -> list[tuple[date, int]]:
    return project.engine._connection.sql(
        "SELECT event_date, count(*) FROM mc_events GROUP BY ALL ORDER BY ALL"
    ).fetchall()


def reasons(project: Project, scope: Scope | None = None) -> dict[str, str]:
    return {day.shard.name: day.reason for day in project.plan(scope).days}


@pytest.mark.usefixtures("days")
def test_plan_of_an_unstaged_project_lists_every_day_and_leaves_nothing_behind(tmp_path: Path):
    project = Project(load_config(write_config(tmp_path), {}))

    assert reasons(project) == {f"events_{day:%Y%m%d}": "new" for day in DAYS}
    assert not (tmp_path / "microconv.duckdb").exists()


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        (Scope(since=DAYS[2]), DAYS[2:]),
        (Scope(until=DAYS[1]), DAYS[:2]),
        (Scope(since=DAYS[1], until=DAYS[2]), DAYS[1:3]),
        (Scope(since=DAYS[3] + timedelta(days=1)), []),
    ],
)
@pytest.mark.usefixtures("days")
def test_only_days_of_the_scope_are_seen_and_staged(project: Project, scope: Scope, expected: list[date]):
    result = project.sync(scope)

    assert result.shards == {"seen": len(expected), "staged": len(expected), "skipped": 0}
    assert [day for day, _ in staged_days(project)] == expected


def test_each_reason_is_told_from_the_others(tmp_path: Path, project: Project, days: list[Path]):
    days[0].rename(path(tmp_path, DAYS[0], "intraday"))
    project.sync(Scope(until=DAYS[2]))
    assert reasons(project) == {"events_20240304": "new"}

    ga4.write_parquet(days[0], ga4.simple_day(DAYS[0], clients=2))
    rewrite(days[1], DAYS[1], clients=1)

    assert reasons(project) == {"events_20240301": "replaced", "events_20240302": "changed", "events_20240304": "new"}
    assert reasons(project, Scope(since=DAYS[2], full_refresh=True)) == {
        "events_20240303": "full refresh",
        "events_20240304": "new",
    }


@pytest.mark.usefixtures("days")
def test_new_taxonomy_and_new_version_are_told_apart(tmp_path: Path, project: Project, monkeypatch: pytest.MonkeyPatch):
    project.sync()
    project.close()
    config = write_config(tmp_path, extra='[taxonomy]\npreset = "saas"\n')
    with Project(load_config(config, {})) as other:
        assert set(reasons(other).values()) == {"taxonomy from staged events"}
    monkeypatch.setattr(batch_queries.Rules, "fingerprint", "of another version")
    notices: list[str] = []

    project.sync(on_notice=lambda message, _: notices.append(message))

    assert notices == ["This version of microconv stages differently: 4 days are staged again."]


def test_naming_another_own_host_stages_every_day_again_and_makes_it_no_source(tmp_path: Path):
    day = date(2024, 3, 1)
    page, before = "https://shop.example/thanks", "https://checkout.test/pay"
    event = ga4.event(f"{day} 12:00:00", "page_view", params={"page_location": page, "page_referrer": before})
    ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(day)}.parquet", [event])
    with Project(load_config(write_config(tmp_path), {})) as project:
        project.sync()
        assert [channel.channel_group for channel in project.channels().channels] == ["Referral"]
    config = write_config(tmp_path, extra='own_hosts = ["www.Checkout.test"]\n')
    notices: list[str] = []
    with Project(load_config(config, {})) as project:
        assert set(reasons(project).values()) == {"own hosts"}
        project.sync(on_notice=lambda message, _: notices.append(message))
        assert [channel.channel_group for channel in project.channels().channels] == ["Direct"]
        assert project.plan().days == ()
    assert notices == ["`own_hosts` names other hosts than before: 1 days are staged again."]


@pytest.mark.usefixtures("days")
def test_full_refresh_stages_everything_once(project: Project):
    project.sync()
    before = staged_days(project)

    assert project.sync(Scope(full_refresh=True)).shards == {"seen": 4, "staged": 4, "skipped": 0}
    assert staged_days(project) == before


@pytest.mark.usefixtures("days")
def test_newest_day_comes_first_when_asked(project: Project, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(type(project.engine), "batch_rows", 1)
    steps: list[str] = []

    project.sync(Scope(newest_first=True), on_progress=lambda progress: steps.append(progress.step))

    assert steps == [*(f"events_{day:%Y%m%d}" for day in reversed(DAYS)), "done"]


def test_day_whose_shard_is_gone_is_kept_and_said(project: Project, days: list[Path]):
    project.sync()
    before = staged_days(project)
    days[1].unlink()
    notices: list[str] = []

    result = project.sync(Scope(full_refresh=True), on_notice=lambda message, _: notices.append(message))

    assert notices == ["1 staged days have no shard any more (events_20240302); they stay as they are."]
    assert (result.shards["seen"], staged_days(project)) == (3, before)
    assert project.plan().document()["kept"] == [{"property": "p1", "date": "2024-03-02", "shard": "events_20240302"}]


def test_lesser_shard_never_replaces_a_daily_one(tmp_path: Path, project: Project, days: list[Path]):
    project.sync()
    before = staged_days(project)
    days[1].unlink()
    ga4.write_parquet(path(tmp_path, DAYS[1], "intraday"), ga4.simple_day(DAYS[1], clients=3))

    assert [kept.day for kept in project.plan().kept] == [DAYS[1]]
    assert project.sync().shards["staged"] == 0
    assert staged_days(project) == before


def test_daily_replaces_intraday_that_was_staged(tmp_path: Path, project: Project):
    ga4.write_parquet(path(tmp_path, DAYS[0], "intraday"), ga4.simple_day(DAYS[0], clients=1))
    project.sync()
    ga4.write_parquet(path(tmp_path, DAYS[0]), ga4.simple_day(DAYS[0], clients=2))

    assert reasons(project) == {"events_20240301": "replaced"}


@dataclass(frozen=True)
class Restless:
    """A source in which something happens when a shard is opened."""

    inner: FileSource
    happens: Callable[[Shard], None]

    @property
    def property_id(self) -> str:
        return self.inner.property_id

    @property
    def daily_cap(self) -> int:
        return self.inner.daily_cap

    def shards(self, since: date | None = None, until: date | None = None) -> tuple[Shard, ...]:
        return self.inner.shards(since, until)

    def bytes_to_open(self, shard: Shard) -> int:
        return self.inner.bytes_to_open(shard)

    def open(self, shard: Shard) -> OpenShard:
        opened = self.inner.open(shard)
        self.happens(shard)
        return opened


def run(project: Project, source: Source):
    return sync(project.engine, [source], project.config, project.taxonomy)


def restless(project: Project, happens: Callable[[Shard], None]) -> Restless:
    return Restless(FileSource("p1", project.config.sources[0].path or ""), happens)


def test_day_that_is_exported_again_while_it_is_staged_is_staged_again(project: Project, days: list[Path]):
    left = [2]

    def export_again(shard: Shard) -> None:
        if shard.day == DAYS[1] and left:
            rewrite(days[1], DAYS[1], clients=left.pop())

    result = run(project, restless(project, export_again))

    assert result.warnings == ()
    assert [count for _, count in staged_days(project)] == [4, 8, 4, 4]
    assert reasons(project) == {}


def test_day_that_changes_all_the_time_ends_the_run_all_the_same(project: Project, days: list[Path]):
    tried = []

    def touch(shard: Shard) -> None:
        if shard.day == DAYS[3]:
            tried.append(shard)
            rewrite(days[3], DAYS[3], clients=1)
            os.utime(days[3], (len(tried), len(tried)))

    result = run(project, restless(project, touch))

    assert len(tried) == 3
    assert "events_20240304 changed 3 times while being staged" in " ".join(result.warnings)
    assert reasons(project) == {"events_20240304": "changed"}


def test_day_that_grows_all_the_time_is_not_staged_in_part(project: Project, days: list[Path]):
    clients = iter(range(2, 100))

    def grow(shard: Shard) -> None:
        if shard.day == DAYS[3]:
            rewrite(days[3], DAYS[3], next(clients))

    with pytest.raises(SourceError, match="by its metadata, and 16 were read; it was not staged"):
        run(project, restless(project, grow))

    assert [day for day, _ in staged_days(project)] == DAYS[:3]


def test_shard_that_vanishes_meanwhile_gives_way_to_its_successor(tmp_path: Path, project: Project):
    intraday = ga4.write_parquet(path(tmp_path, DAYS[0], "intraday"), ga4.simple_day(DAYS[0], clients=1))

    def land_daily(shard: Shard) -> None:
        if shard.kind == "intraday":
            intraday.unlink()
            ga4.write_parquet(path(tmp_path, DAYS[0]), ga4.simple_day(DAYS[0], clients=2))
            raise VanishedError("events_intraday_20240301 is gone.", hint="")

    result = run(project, restless(project, land_daily))

    assert (result.shards["staged"], staged_days(project)) == (1, [(DAYS[0], 8)])


def test_shard_that_vanishes_for_good_is_warned_about(project: Project, days: list[Path]):
    def vanish(shard: Shard) -> None:
        if shard.day == DAYS[3]:
            days[3].unlink()
            raise VanishedError("events_20240304 is gone.", hint="")

    result = run(project, restless(project, vanish))

    assert result.warnings == ("events_20240304 of property p1 vanished while it was being read.",)
    assert [day for day, _ in staged_days(project)] == DAYS[:3]


@pytest.mark.usefixtures("days")
def test_damaged_day_is_not_tried_again_until_it_changes(project: Project):
    tried = []

    def damaged(shard: Shard) -> None:
        tried.append(shard.day)
        if shard.day == DAYS[0]:
            raise SourceError("events_20240301 is damaged.", hint="Export it again.")

    with pytest.raises(SourceError, match=r"events_20240301 is damaged\. 3 other changed days were staged"):
        run(project, restless(project, damaged))
    assert tried == DAYS


def a_table(rows: int | None, size: int = 1000) -> Shard:
    schema = ShardSchema(frozenset(), "f", rows)
    table = ExportTable("p", "analytics_1", schema)
    moment = datetime(2024, 3, 2, tzinfo=UTC)
    return Shard("p1", "daily", DAYS[0], "bigquery", (), moment, size, table)


@pytest.mark.parametrize(
    ("rows", "cap", "expected"),
    [(1_000_000, 1_000_000, True), (999_999, 1_000_000, False), (5, 0, False), (None, 5, False)],
)
def test_daily_shard_at_the_export_limit_is_known(rows: int | None, cap: int, expected: bool):
    source = FileSource("p1", "", daily_cap=cap)

    assert is_at_cap(a_table(rows), source) is expected
    assert not is_at_cap(replace(a_table(rows), kind="intraday"), source)


@dataclass(frozen=True)
class Priced(Restless):
    """A source whose shards cost something to get at."""

    def bytes_to_open(self, shard: Shard) -> int:
        return shard.bytes


def test_run_over_budget_is_refused_before_anything_is_staged(tmp_path: Path, days: list[Path]):
    config = load_config(write_config(tmp_path, extra="[engine]\nmaximum_bytes_per_run = 10\n"), {})
    with Project(config) as project:
        source = Priced(FileSource("p1", config.sources[0].path or ""), lambda _: None)
        shards = find_shards([source], Scope())
        expected = estimate(None, plan(None, shards, project.rules, Scope()), shards, project.rules)

        with pytest.raises(BudgetError, match=r"engine\.maximum_bytes_per_run allows 10 B"):
            run(project, source)

        assert expected.bytes == sum(file.stat().st_size for file in days)
        assert staged_days(project) == []
        (status,) = project.engine._connection.sql("SELECT status FROM mc_runs").fetchall()
        assert status == ("failed",)


@pytest.mark.usefixtures("days")
def test_tables_of_an_older_version_can_be_planned_and_answers_say_to_sync_first(project: Project):
    project.sync()
    older = "ALTER TABLE mc_shards DROP COLUMN is_day_over; ALTER TABLE mc_shards DROP COLUMN own_hosts"
    project.engine._connection.execute(f"{older}; COMMENT ON TABLE mc_shards IS NULL")

    assert project.plan().seen == len(staged_days(project))
    with pytest.raises(EngineError, match="An older microconv made mc_shards, which lack") as caught:
        project.ask("coverage")
    assert caught.value.hint == "Run `microconv sync`: it brings them up to date."
    project.sync()
    assert project.ask("coverage").rows


@pytest.mark.usefixtures("days")
def test_tables_of_an_older_version_are_brought_up_to_date_and_it_is_said_first(project: Project):
    project.sync()
    connection = project.engine._connection
    connection.execute("COMMENT ON TABLE mc_runs IS NULL; ALTER TABLE mc_runs DROP COLUMN owner")
    notices: list[str] = []

    project.sync(on_notice=lambda message, _: notices.append(message))

    assert notices == [f"mc_runs has schema version 1; it is brought to {mc_tables.RUNS.version}."]
    assert connection.execute("SELECT count(*), count(owner) FROM mc_runs").fetchall() == [(2, 1)]


@pytest.mark.usefixtures("days")
def test_run_is_recorded_with_all_that_decided_it(project: Project):
    result = project.sync()
    (row,) = project.engine._connection.sql("SELECT * FROM mc_runs").to_arrow_table().to_pylist()

    assert (row["run_id"], row["status"], row["shards_staged"], row["bytes_billed"]) == (result.run_id, "done", 4, 0)
    assert row["owner"].endswith(f"process {os.getpid()}")
    assert None not in {row[name] for name in ("version", "config_fingerprint", "taxonomy_fingerprint", "seconds")}


def test_log_of_a_failed_run_bears_its_id(tmp_path: Path, days: list[Path]):
    write_config(tmp_path)
    days[0].write_bytes(b"PAR1")

    done = microconv(tmp_path, "--log-format", "json", "sync")

    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert (done.code, lines[-1]["level"]) == (3, "error")
    assert {line["run_id"] for line in lines} == {lines[-1]["run_id"]}


def test_run_that_cannot_be_tidied_up_is_done_all_the_same(
    project: Project, days: list[Path], monkeypatch: pytest.MonkeyPatch
):
    def end() -> None:
        raise EngineError("BigQuery did not answer in time.", hint="")

    monkeypatch.setattr(project.engine, "end", end)

    result = project.sync()

    assert (result.status, result.shards["staged"]) == ("done", len(days))
    assert result.warnings[0].startswith("BigQuery did not answer in time.")


@pytest.mark.usefixtures("days")
def test_command_plans_and_prices_without_a_trace(tmp_path: Path):
    write_config(tmp_path)

    planned = microconv(tmp_path, "sync", "--plan", "--format", "json")
    priced = microconv(tmp_path, "sync", "--dry-run")

    assert [day["reason"] for day in json.loads(planned.stdout)["days"]] == ["new"] * 4
    assert priced.stdout == "Nothing would be billed.\n"
    assert not (tmp_path / "microconv.duckdb").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--since", "2024-03-02", "--until", "2024-03-01"), "until is before since (2024-03-02): swap the two days"),
        (("--plan", "--dry-run"), "cannot be combined"),
        (("--since", "yesterday"), "'yesterday' does not match the format"),
    ],
)
def test_options_that_make_no_sense_are_refused(tmp_path: Path, options: tuple[str, ...], said: str):
    write_config(tmp_path)

    done = microconv(tmp_path, "sync", *options)

    assert done.code == 2
    assert said in done.stderr


@dataclass(frozen=True)
class Copied(FileSource):
    """A source of tables with copies as files, as in pull mode: what tells a change are the tables' metadata."""

    schema: str = "of the table"

    def shards(self, since: date | None = None, until: date | None = None) -> tuple[Shard, ...]:
        table = ExportTable("p", "analytics_1", ShardSchema(frozenset(), self.schema, None))
        return tuple(replace(shard, table=table) for shard in super().shards(since, until))


def test_copy_of_a_table_is_compared_by_the_schema_of_the_table(project: Project, days: list[Path]):
    pattern = project.config.sources[0].path or ""

    assert run(project, Copied("p1", pattern)).shards["staged"] == len(days)
    assert run(project, Copied("p1", pattern)).shards["staged"] == 0
    assert run(project, Copied("p1", pattern, schema="with another column")).shards["staged"] == len(days)


def test_intraday_shard_that_grows_while_it_is_staged_waits_for_the_next_run(tmp_path: Path, project: Project):
    file = ga4.write_parquet(path(tmp_path, DAYS[0], "intraday"), ga4.simple_day(DAYS[0], clients=1))
    tried = []

    def touch(shard: Shard) -> None:
        tried.append(shard)
        os.utime(file, (len(tried), len(tried)))

    run(project, restless(project, touch))

    assert len(tried) == 1
    assert reasons(project) == {"events_intraday_20240301": "changed"}


def test_a_batch_has_no_more_shards_than_a_query_bears():
    small = OpenShard(a_table(1), ShardSchema(frozenset(), "f", 1))

    assert [len(batch) for batch in batches([small] * 250, most_rows=5_000_000)] == [100, 100, 50]
