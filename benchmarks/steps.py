"""The steps that are measured: `python -m benchmarks.steps NAME ARGUMENTS` runs one and prints its reading as JSON."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow.parquet as pq

from benchmarks import people as made_up_people
from benchmarks import synthetic
from benchmarks.measure import Meter, Reading
from microconv import catalogue, staging
from microconv.analyses.attribution.markov import markov
from microconv.analyses.attribution.shapley import shapley
from microconv.analyses.attribution.touch_paths import TouchPaths
from microconv.analyses.propensity.propensity_models import refusal
from microconv.config.attribution_settings import RULE_MODELS
from microconv.config.load import load_config
from microconv.config.sections import Config
from microconv.demo import write_demo
from microconv.engines.base import AddRows
from microconv.engines.dialect import to_duckdb
from microconv.engines.duckdb import DuckDBEngine
from microconv.engines.tables import Column, Table
from microconv.project import Project
from microconv.staging import mc_tables

T = TypeVar("T")

THREADS = 2
SIX_KEYS = {
    "int_value": ("ga_session_id", "ga_session_number", "engagement_time_msec"),
    "string_value": ("page_location", "page_referrer", "currency"),
}


class MeteredEngine(DuckDBEngine):
    """The product's engine, with a note of what each template and the writing cost."""

    meter: Meter

    def query(self, query):
        with self.meter.running(part_of(query.name)):
            return super().query(query)

    def materialise(self, query, scratch):
        with self.meter.running(part_of(query.name)):
            super().materialise(query, scratch)

    def apply(self, changes):
        with self.meter.running("write"):
            super().apply(changes)


def part_of(template: str) -> str:
    """Name the stage of a template: the three that make tables, derived entries, and the bookkeeping around them."""
    stage = template.removeprefix("staging/")
    if stage in ("events", "sessions", "micro_conversions"):
        return stage
    return "derived" if stage.startswith("derived_") or stage in ("ingredients", "session_starts") else "bookkeeping"


def demo(folder: str, events: int) -> Reading:
    """Write a demo export."""
    meter = Meter()
    with meter.running():
        write_demo(Path(folder), events=events)
    return meter.reading()


def with_more_events(source: str, target: str, events: int, clients: int) -> Reading:
    """Copy a shard and add events of some clients: product views, carts, checkouts and purchases, a second apart.

    They are rows of the same shard under other clients, so that they fall into many sessions.
    """
    names = "['view_item', 'add_to_cart', 'begin_checkout', 'purchase']"
    with duckdb.connect() as connection:
        rows, first = connection.execute(
            f"SELECT count(*), min(event_timestamp) FROM read_parquet('{source}')"
        ).fetchone()
        connection.execute(
            f"""
            COPY (
              SELECT * FROM read_parquet('{source}')
              UNION ALL BY NAME
              SELECT * EXCLUDE (place) REPLACE (
                'added ' || place * {clients} // {events} AS user_pseudo_id,
                {names}[place % 4 + 1] AS event_name,
                {first} + place * 1000000 AS event_timestamp
              )
              FROM (
                SELECT shard.*, row_number() OVER () - 1 AS place
                FROM read_parquet('{source}') AS shard CROSS JOIN range({events} // {rows} + 1)
              ) WHERE place < {events}
            ) TO '{target}' (FORMAT parquet)
            """
        )
    return Meter().reading()


def decode(files: str) -> Reading:
    """Decode `event_params` and nothing else: what every cost of reading is compared with."""
    return _scan(files, "SELECT sum(len(event_params)) FROM raw_events")


def parameters(files: str) -> Reading:
    """Read six parameters as the templates do, through the product's dialect."""
    columns = ", ".join(
        f"COUNT((SELECT p.value.{slot} FROM UNNEST(e.event_params) AS p WITH OFFSET AS o "
        f"WHERE p.key = '{key}' ORDER BY o LIMIT 1))"
        for slot, keys in SIX_KEYS.items()
        for key in keys
    )
    return _scan(files, to_duckdb(f"SELECT {columns} FROM raw_events AS e"))


def _scan(files: str, sql: str) -> Reading:
    meter = Meter()
    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.execute(f"CREATE VIEW raw_events AS SELECT * FROM read_parquet('{files}', union_by_name = true)")
        with meter.running():
            connection.execute(sql).fetchall()
    return meter.reading()


def _config(config: str, database: str, **overrides: str) -> Config:
    overrides |= {"MICROCONV_ENGINE__PATH": database, "MICROCONV_ENGINE__THREADS": str(THREADS)}
    return load_config(Path(config), overrides)


def stage(config: str, database: str) -> Reading:
    """Sync: stage whatever of the configuration's shards is not in the database yet."""
    settings = _config(config, database)
    meter = Meter()
    with (
        Project(settings) as project,
        MeteredEngine(
            settings.engine.path, memory_limit=settings.engine.memory_limit, threads=settings.engine.threads
        ) as engine,
    ):
        engine.meter = meter
        with meter.running():
            result = staging.sync(engine, project.sources, settings, project.taxonomy)
    return meter.reading(events=result.rows["mc_events"], staged=result.shards["staged"])


def sync_bigquery(config: str) -> Reading:
    """Sync with BigQuery as engine or source: what it costs this machine, not what it costs there."""
    meter = Meter()
    with Project(load_config(Path(config), {})) as project, meter.running():
        result = project.sync()
    return meter.reading(staged=result.shards["staged"])


def add_rows(database: str, rows: int) -> Reading:
    """Add rows from Python to a table in one go, as saved results are."""
    table = Table(
        "added",
        "Rows from Python.",
        ("number",),
        (
            Column("number", "INT64", "the place of the row"),
            Column("word", "STRING", "a text"),
            Column("share", "FLOAT64", "a number"),
            Column("at", "TIMESTAMP", "a moment"),
            Column("nothing", "STRING", "what no row has"),
        ),
    )
    first = datetime(2024, 1, 1, tzinfo=UTC)
    made = tuple(
        {
            "number": number,
            "word": f"word {number % 100}",
            "share": number / rows,
            "at": first + timedelta(seconds=number),
            "nothing": None,
        }
        for number in range(rows)
    )
    meter = Meter()
    with DuckDBEngine(Path(database)) as engine:
        engine.ensure(table)
        with meter.running():
            engine.apply([AddRows(table, made)])
    return meter.reading()


def make_people(folder: str, people: int) -> Reading:
    """Write a project whose one segment holds so many people."""
    return Meter().reading(config=str(made_up_people.make(Path(folder), people)))


def export(config: str) -> Reading:
    """Write the audience of everybody."""
    meter = Meter()
    with Project(load_config(Path(config), {}, catalogue.destination_settings)) as project:
        project.summary()
        with meter.running():
            result = project.export("everybody", "google_ads", allow_shrink=True)
    return meter.reading(written=result.written)


def push(config: str, entry: str) -> Reading:
    """Push everybody to a destination called ads, of that entry, to the end of the last request that may be sent."""
    path = Path(config)
    pushing = path.with_name("push.toml")
    pushing.write_text(f"{path.read_text()}\n{entry}")
    meter = Meter()
    with Project(load_config(pushing, {}, catalogue.destination_settings)) as project:
        with meter.running():
            result = project.pushes.push(["everybody"], ["ads"])
        (pushed,) = result.lists
        assert not result.failures, result.failures
    return meter.reading(identifiers=pushed.plan.to_send)


def build_segments(config: str, segments: int) -> Reading:
    """Build so many segments that everybody enters, as a part; the reading is the same build again."""
    meter = Meter()
    loaded = load_config(Path(config), {}, catalogue.destination_settings)
    (everybody,) = loaded.segments
    copies = tuple(everybody.model_copy(update={"name": f"{everybody.name}_{place}"}) for place in range(segments))
    with tempfile.TemporaryDirectory(dir=Path(config).parent) as folder:
        database = Path(shutil.copy(loaded.engine.path, folder))
        engine = loaded.engine.model_copy(update={"path": database})
        with Project(loaded.model_copy(update={"segments": copies, "engine": engine})) as project:
            first = _twice(meter, project.build_segments)
    return meter.reading(members=sum(each.members for each in first.segments))


def analyse(config: str, database: str, name: str) -> Reading:
    """Run one analysis twice: the first call also translates its SQL and is a part; the second is the reading."""
    meter = Meter()
    overrides = {"MICROCONV_ATTRIBUTION__MODELS": ",".join(RULE_MODELS)} if name == "rules" else {}
    with Project(_config(config, database, **overrides)) as project:
        project.summary()
        run = {
            "funnel": lambda: project.funnel(project.config.funnels[0].name),
            "rules": project.attribution,
            "attribution": project.attribution,
            "paths": project.paths,
            "discover": project.discover,
            "coverage": project.coverage,
            "members": lambda: project.members(project.config.segments[0].name),
            "report_data": project.report_data,
        }[name]
        _twice(meter, run)
    return meter.reading()


def multiply(source: str, target: str, times: int) -> Reading:
    """Copy staged tables so many times over, each copy with people, sessions and orders of its own."""
    with duckdb.connect(target) as connection:
        connection.execute(f"ATTACH '{source}' AS one (READ_ONLY)")
        tables = "SELECT table_name, comment FROM duckdb_tables() WHERE database_name = 'one'"
        for name, comment in connection.execute(tables).fetchall():
            columns = [each[0] for each in connection.execute(f"SELECT * FROM one.{name} LIMIT 0").description]
            copies = times if name in _COPIED else 1
            connection.execute(
                f"CREATE TABLE {name} AS SELECT {', '.join(map(_of_a_copy, columns))} FROM one.{name} AS t "
                f"CROSS JOIN range({copies}) AS copies (copy)"
            )
            connection.execute(f"COMMENT ON TABLE {name} IS '{comment}'")
        (events,) = connection.execute("SELECT COUNT(*) FROM mc_events").fetchall()[0]
    return Meter().reading(events=events)


_COPIED = {
    table.name for table in (mc_tables.EVENTS, mc_tables.SESSIONS, mc_tables.MICRO_CONVERSIONS, mc_tables.SIGNALS)
}


def _of_a_copy(column: str) -> str:
    if column.endswith("_key"):
        return f"t.{column} + copy AS {column}"
    if column in {"transaction_id", "user_pseudo_id", "user_id"}:
        return f"t.{column} || IF(copy = 0, '', '.' || copy) AS {column}"
    return f"t.{column}"


def question(config: str, database: str, name: str, fields: Mapping[str, Any]) -> Reading:
    """Ask a question of the catalogue once, its SQL not translated before, as a command does."""
    meter = Meter()
    with Project(_config(config, database)) as project:
        project.summary()
        with meter.running():
            project.ask(name, **fields)
    return meter.reading()


def propensity(config: str, database: str) -> Reading:
    """Train a model of the first macro-conversion; scoring by it is a part. On a copy: both write."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.duckdb"
        shutil.copy(database, copy)
        meter = Meter()
        with Project(_config(config, str(copy))) as project:
            with meter.running():
                trained = project.propensity.train()
            if refusal(trained) is None:
                with meter.running("score"):
                    project.propensity.score()
    return meter.reading()


def _twice(meter: Meter, run: Callable[[], T]) -> T:
    """Run it once to warm up, as a part, and once more as the reading."""
    with meter.running("first call"):
        run()
    with meter.running():
        return run()


def make_up(folder: str, events: int) -> Reading:
    """Write staged rows and narrow files for the suite `beside`."""
    config = synthetic.config(Path(folder))
    database = config.with_suffix(".duckdb")
    with DuckDBEngine(database) as engine:
        for table in mc_tables.TABLES.values():
            engine.ensure(table)
    with duckdb.connect(str(database)) as connection:
        return Meter().reading(rows=synthetic.fill(connection, config.parent, events))


def funnel(config: str, database: str, name: str) -> Reading:
    """Count a funnel; tell how many reached each step."""
    meter = Meter()
    with Project(_config(config, database)) as project:
        project.summary()
        found = _twice(meter, lambda: project.funnel(name))
    return meter.reading(reached=[step.count for step in found.steps])


def rules(config: str, database: str) -> Reading:
    """Credit channels by the rule models of a configuration; tell each credit."""
    meter = Meter()
    with Project(_config(config, database)) as project:
        project.summary()
        found = _twice(meter, project.attribution)
    return meter.reading(credits=[asdict(credit) for credit in found.results])


def markov_and_shapley(folder: str) -> Reading:
    """Credit channels by a Markov chain and a Shapley game, from paths as the engine returns them."""
    table = pq.read_table(f"{folder}/journeys.parquet", columns=["path", "conversions", "value_micros", "others"])
    meter = Meter()
    for metered in (Meter(), meter):
        with metered.running():
            with metered.running("reading paths"):
                paths = TouchPaths.read(table, synthetic.CHANNELS)
            with metered.running("markov"):
                chain = markov(paths)
            with metered.running("shapley"):
                shapley(paths, game="rate")
    return meter.reading(
        conversions=dict(zip(synthetic.CHANNELS, chain.conversions.tolist(), strict=True)),
        removal_effects=dict(zip(synthetic.CHANNELS, chain.removal_effects.tolist(), strict=True)),
    )


_ALL = (
    demo,
    with_more_events,
    decode,
    parameters,
    stage,
    sync_bigquery,
    add_rows,
    make_people,
    export,
    push,
    build_segments,
    analyse,
    multiply,
    question,
    propensity,
    make_up,
    funnel,
    rules,
    markov_and_shapley,
)
STEPS = {step.__name__: step for step in _ALL}


def main(name: str, arguments: str) -> None:
    given: dict[str, Any] = json.loads(arguments)
    print(json.dumps(asdict(STEPS[name](**given))))


if __name__ == "__main__":
    main(*sys.argv[1:])
