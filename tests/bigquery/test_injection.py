"""No query text holds a value of configuration or data, whatever it looks like."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from google.cloud import bigquery

import ga4
from emulator import Emulator
from export_tables import load_shard
from faulty_proxy import FaultyProxy
from microconv.engines.base import PutRow
from microconv.engines.bigquery import BigQueryEngine
from microconv.exports import OpenShard, Shard
from microconv.queries.templates import Query
from microconv.staging import batch_queries, mc_tables
from microconv.staging.batches import Stamp, stage
from microconv.taxonomy import Taxonomy, load_taxonomy
from taxonomy_files import GOAL, entry, write_file

DAY = date(2024, 3, 1)
ODD = [
    "o'dd odd",
    'o"dd odd',
    "o`dd odd",
    "odd\nodd",
    "odd -- odd",
    "odd */ odd",
    "odd; DROP TABLE mc_events",
    "ödd odd 奇怪",
    "odd \\",
    "${odd} {{ odd }} @odd",
]
"""Each holds the word by which it would be found in a query."""
PARAMETER = "it.em-name"


@pytest.fixture
def taxonomy(tmp_path: Path) -> Taxonomy:
    operand = json.dumps(ODD, ensure_ascii=False)
    conditions = f'where = [{{ parameter = "{PARAMETER}", any_of = {operand} }}]'
    single = f'where = [{{ parameter = "{PARAMETER}", equals = {json.dumps(ODD[3])} }}]'
    text = entry("first", conditions, event="view") + entry("second", single, event="view") + GOAL
    return load_taxonomy(preset=None, file=write_file(tmp_path, text))


@pytest.fixture
def shard(emulator: Emulator, client: bigquery.Client) -> Shard:
    events = [
        ga4.event(f"2024-03-01 12:00:{second:02}", "view", client=odd, params={PARAMETER: odd})
        for second, odd in enumerate(ODD)
    ]
    return replace(load_shard(client, emulator.dataset(), DAY, events), property_id="\n".join(ODD))


def test_values_travel_as_parameters_and_names_beside_the_text(
    engine: BigQueryEngine, shard: Shard, taxonomy: Taxonomy, proxy: FaultyProxy, dataset: str
):
    rules = batch_queries.Rules(taxonomy)
    engine.begin("r1", owner=ODD[0])
    for table in mc_tables.TABLES.values():
        engine.ensure(table, rules.extra_columns(table))
    stage(engine, (OpenShard(shard, shard.table.schema),), rules, Stamp("r1", datetime(2024, 3, 5, tzinfo=UTC)))
    engine.apply([PutRow(mc_tables.RUNS, {"run_id": "r1", "owner": ODD[0], "error": ODD[1]})])
    text = "SELECT property, micro_conversion, COUNT(*) AS n FROM mc_micro_conversions GROUP BY 1, 2 ORDER BY 2"
    found = engine.query(Query("tests/query", text, {})).to_pylist()
    engine.end()

    assert found == [
        {"property": shard.property_id, "micro_conversion": "first", "n": len(ODD)},
        {"property": shard.property_id, "micro_conversion": "second", "n": 1},
    ]
    queries = [call.json()["configuration"]["query"]["query"] for call in proxy.calls_to("POST", "/jobs")]
    assert len(queries) > 10
    for text in queries:
        names = (PARAMETER, dataset, shard.table.dataset, shard.table.project)
        assert not [sign for sign in ("odd", "奇", *names) if sign in text], text
