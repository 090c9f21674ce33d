"""Whatever an export holds: it is staged sensibly or its day is refused, and no value of it ever becomes SQL."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import ga4
from commands import FIRST_DAY, shard
from microconv.config.load import load_config
from microconv.errors import SourceError
from microconv.exports import RAW_LEAVES, ShardSchema
from microconv.project import Project
from microconv.staging import SyncResult, batch_queries
from microconv.staging.own_hosts import OwnHosts
from projects import write_config
from searches import search

NOON = ga4.microseconds("2024-03-01 12:00:00")
ODD = "a'b\"c`d\\e;--/*@x ${y} {{ 7 }} {% set z %} %s é尺"
ODD_WITH_BREAKS = f"{ODD}\n\t\r\0\u202e{ODD}"
SESSION = {"key": "ga_session_id", "value": {"int_value": 1}}


def event(**fields: Any) -> dict[str, Any]:
    """One event of the first day; keywords replace columns of the export."""
    usual = ga4.event(NOON, "page_view", params={"page_location": "https://shop.example/a?b=c"})
    return {**usual, **fields, "event_date": fields.get("event_date", "20240301")}


def text(key: str, value: str | None) -> dict[str, Any]:
    return {"key": key, "value": {"string_value": value}}


def write(folder: Path, events: list[dict[str, Any]]) -> Path:
    write_config(folder, extra='[[funnels]]\nname = "f"\nsteps = ["view_item", "purchase"]\n')
    return ga4.write_parquet(shard(folder, FIRST_DAY), events)


def use(folder: Path, events: list[dict[str, Any]]) -> tuple[SyncResult, list[dict[str, Any]]]:
    """Stage the events as one day and run every analysis on them; return what the sync said and the staged events."""
    write(folder, events)
    with Project(load_config(folder / "microconv.toml", {})) as project:
        result = project.sync()
        documents = [analysis().document() for analysis in (project.coverage, project.channels, project.attribution)]
        for document in (*documents, asdict(project.summary())):
            json.dumps(document, allow_nan=False, default=str)
        project.funnel("f")
        staged = project.engine._connection.sql("SELECT * FROM mc_events ORDER BY event_order").to_arrow_table()
    (folder / "microconv.duckdb").unlink()
    return result, staged.to_pylist()


# Values that look like SQL


def test_values_that_look_like_sql_are_only_values(tmp_path):
    taxonomy = {
        "odd_event": {"event": ODD},
        "odd_page": {"event": "page_view", "page": {"equals": f"/{ODD}"}},
        "odd_text": {"event": "page_view", "where": [{"parameter": "note", "equals": ODD_WITH_BREAKS}]},
        "odd_list": {"event": "page_view", "where": [{"parameter": "note", "any_of": ["x", ODD_WITH_BREAKS]}]},
        "odd_part": {"event": "page_view", "where": [{"parameter": "note", "contains": ODD}]},
        "odd_match": {"event": "page_view", "where": [{"parameter": "note", "matches": "a'b\"c`d.e;--"}]},
    }
    lines = ['version = "1.1"']
    for name, entry in taxonomy.items():
        lines += ["[[micro_conversions]]", f'id = "{name}"', 'kind = "milestone"', 'stage = "awareness"']
        lines += [f"{key} = {inline(value)}" for key, value in entry.items()]
    (tmp_path / "taxonomy.toml").write_text("\n".join(lines), encoding="utf-8")
    path = write_config(
        tmp_path,
        extra='[taxonomy]\nfile = "taxonomy.toml"\n[[funnels]]\nname = "odd"\nsteps = ["odd_page", "odd_event"]\n',
    )
    path.write_text(path.read_text().replace('"p1"', inline(ODD)), encoding="utf-8")
    address = text("page_location", f"https://shop.example/{ODD}?q={ODD_WITH_BREAKS}")
    events = [
        event(
            user_pseudo_id=ODD_WITH_BREAKS, user_id=ODD, event_params=[SESSION, address, text("note", ODD_WITH_BREAKS)]
        ),
        event(
            user_pseudo_id=ODD_WITH_BREAKS,
            user_id=ODD,
            event_timestamp=NOON + 1,
            event_name=ODD,
            event_params=[SESSION],
        ),
        event(
            user_pseudo_id="1.1", event_params=[SESSION, text("note", "x"), text("source", ODD), text("medium", ODD)]
        ),
    ]
    ga4.write_parquet(shard(tmp_path, FIRST_DAY), events)
    with Project(load_config(path, {})) as project:
        assert project.sync().rows == {"mc_events": 3, "mc_sessions": 2, "mc_micro_conversions": 7}
        assert [step.count for step in project.funnel("odd").steps] == [1, 1]
        seen = {day.micro_conversion: day.occurrences for day in project.coverage().days if day.occurrences}
        assert seen == {"odd_event": 1, "odd_page": 1, "odd_text": 1, "odd_list": 2, "odd_part": 1, "odd_match": 1}
        rows = project.engine._connection.execute(
            "SELECT property, user_pseudo_id, user_id, event_name FROM mc_events WHERE event_name <> 'page_view'"
        ).fetchall()
        assert rows == [(ODD, ODD_WITH_BREAKS, ODD, ODD)]
        sources = project.engine._connection.execute("SELECT source FROM mc_sessions WHERE user_id IS NULL").fetchall()
        assert sources == [(ODD,)]
        own = OwnHosts(ODD, ODD)
        queries = (
            batch_queries.events(ODD, ShardSchema(RAW_LEAVES, "", None), project.rules, is_provisional=False),
            batch_queries.micro_conversions(project.rules, (None, None)),
            batch_queries.sessions(project.taxonomy, own),
            batch_queries.touched_sessions(ODD, [FIRST_DAY], own),
            batch_queries.neighbour_events(ODD, [FIRST_DAY], (FIRST_DAY, FIRST_DAY), project.rules),
            batch_queries.session_span(ODD, batch_queries.TOUCHED_SESSIONS),
        )
    for query in queries:
        assert "a'b" not in query.sql
        assert "{{ 7 }}" not in query.sql
        assert "é尺" not in query.sql


def inline(value: object) -> str:
    """Write a value as TOML: for text, that is JSON."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {inline(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(inline(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


@pytest.mark.parametrize("suffix", [".parquet", ".ndjson", ".ndjson.gz"])
@pytest.mark.parametrize(
    "name", ["q'uo\"te;--", "br [ab]", "st*r", "wh?t", "new\nline", "@x {{ 7 }} `é尺", "back\\slash"]
)
def test_shards_in_folders_with_odd_names_are_read_and_their_neighbours_are_not(tmp_path, name, suffix):
    # What the odd name would match as a pattern; reading it too would double the day.
    for neighbour in ("br a", "star", "what"):
        (tmp_path / neighbour).mkdir()
        write_shard(tmp_path / neighbour / f"events_20240301{suffix}", ga4.simple_day(FIRST_DAY, clients=7))
    (tmp_path / name).mkdir()
    write_shard(tmp_path / name / f"events_20240301{suffix}", ga4.simple_day(FIRST_DAY, clients=3))
    escaped = "".join(f"[{character}]" if character in "*?[" else character for character in name)
    config = write_config(tmp_path)
    config.write_text(
        config.read_text().replace('"exports/events_*"', json.dumps(f"{escaped}/events_*")), encoding="utf-8"
    )
    with Project(load_config(config, {})) as project:
        assert project.sync().rows["mc_events"] == 12


def write_shard(path: Path, events: list[dict[str, Any]]) -> None:
    (ga4.write_parquet if path.suffix == ".parquet" else ga4.write_ndjson)(path, events)


@pytest.mark.parametrize("suffix", [".parquet", ".ndjson"])
def test_folder_named_like_a_partition_adds_no_column(tmp_path, suffix):
    folder = tmp_path / "exports" / "event_date=2024-03-01" / "user_id=7" / "event_name=purchase"
    write_shard(folder / f"events_20240301{suffix}", ga4.simple_day(FIRST_DAY))
    with Project(load_config(write_config(tmp_path, exports="exports/**/events_*"), {})) as project:
        assert project.sync().rows == {"mc_events": 12, "mc_sessions": 3, "mc_micro_conversions": 6}
        assert project.engine._connection.execute("SELECT DISTINCT user_id FROM mc_events").fetchall() == [(None,)]


# Values that no GA4 property should send, but anybody can


def test_shard_without_rows_is_a_staged_day_without_events(tmp_path):
    result, staged = use(tmp_path, [])
    assert result.shards == {"seen": 1, "staged": 1, "skipped": 0}
    assert staged == []


@pytest.mark.parametrize(
    ("value", "session"),
    [
        ({"string_value": "12"}, 12),
        ({"string_value": " 12 "}, 12),
        ({"int_value": 2**63 - 1}, 2**63 - 1),
        ({"int_value": -(2**63)}, -(2**63)),
        ({"string_value": "abc"}, None),
        ({"string_value": ""}, None),
        ({"string_value": str(2**63)}, None),
        ({"string_value": "1.5"}, None),
        ({"double_value": 1.5}, None),
        ({"double_value": math.nan}, None),
        ({"double_value": math.inf}, None),
        ({"double_value": 1e300}, None),
        (None, None),
    ],
    ids=str,
)
def test_session_id_that_is_no_whole_number_leaves_the_event_outside_any_session(tmp_path, value, session):
    result, (staged,) = use(tmp_path, [event(event_params=[{"key": "ga_session_id", "value": value}])])
    assert staged["ga_session_id"] == session
    assert (staged["session_key"] is None) == (session is None)
    assert staged["client_key"] is not None
    assert result.rows["mc_sessions"] == (session is not None)


def test_first_of_two_parameters_with_one_key_counts(tmp_path):
    doubled = [SESSION, text("page_location", "https://a.example/1"), text("page_location", "https://a.example/2")]
    _, (staged,) = use(tmp_path, [event(event_params=doubled)])
    assert staged["page_location"] == "https://a.example/1"


@pytest.mark.parametrize("params", [[], None, [None], [{"key": None, "value": None}]], ids=str)
def test_event_without_parameters_is_an_event_outside_any_session(tmp_path, params):
    _, (staged,) = use(tmp_path, [event(event_params=params)])
    assert (staged["client_key"] is None, staged["session_key"]) == (False, None)


def test_empty_client_id_counts_as_no_client(tmp_path):
    result, (staged,) = use(tmp_path, [event(user_pseudo_id="")])
    assert (staged["client_key"], staged["session_key"]) == (None, None)
    assert result.rows["mc_sessions"] == 0


def test_very_long_values_are_kept_whole(tmp_path):
    address = text("page_location", f"https://a.example/{'z' * 1_000_000}")
    _, (staged,) = use(
        tmp_path, [event(event_name="x" * 100_000, user_pseudo_id="y" * 100_000, event_params=[address])]
    )
    assert len(staged["event_name"]) == len(staged["user_pseudo_id"]) == 100_000
    assert len(staged["page_location"]) == 1_000_018


@pytest.mark.parametrize("moment", [0, -1, -(10**15), 2**63 // 1000 - 10])
def test_moment_far_from_its_day_is_kept_and_warned_about(tmp_path, moment):
    result, staged = use(tmp_path, [event(), event(event_timestamp=moment)])
    assert datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=moment) in {row["event_at"] for row in staged}
    (finding,) = [each for each in result.findings if each.check == "stray_events"]
    assert finding.message.startswith("1 of 2 events in the export has a time outside of their day")


@pytest.mark.parametrize(
    "fields",
    [
        {"event_timestamp": 2**63 - 1},
        {"event_timestamp": -(2**63)},
        {"event_timestamp": 10**16},
        {"event_date": "2024-03-01"},
        {"event_date": ""},
        {"event_date": "20240230"},
        {"event_date": None},
        {"event_date": "20240302"},
    ],
    ids=str,
)
def test_moment_or_day_that_cannot_be_refuses_the_day_and_names_the_shard(tmp_path, fields):
    with pytest.raises(SourceError, match="events_20240301"):
        use(tmp_path, [event(), event(**fields)])


@pytest.mark.parametrize("fields", [{"event_timestamp": None}, {"event_name": None}], ids=str)
def test_event_without_moment_or_name_refuses_the_day(tmp_path, fields):
    with pytest.raises(SourceError, match="events_20240301"):
        use(tmp_path, [event(), event(**fields)])


@pytest.mark.parametrize("revenue", [math.nan, math.inf, -math.inf, 1e300])
def test_value_that_is_no_amount_counts_as_none(tmp_path, revenue):
    sale = {"purchase_revenue": revenue, "transaction_id": "t1"}
    _, (staged,) = use(tmp_path, [event(event_name="purchase", ecommerce=sale)])
    assert staged["value"] is None


@pytest.mark.parametrize("written", ["NaN", "inf", "1e300"])
def test_text_value_that_is_no_amount_counts_as_none(tmp_path, written):
    _, (staged,) = use(tmp_path, [event(event_name="purchase", event_params=[SESSION, text("value", written)])])
    assert staged["value"] is None


@pytest.mark.parametrize("msec", [2**63 - 1, -(2**63), -1, 86_400_001])
def test_engagement_that_cannot_be_counts_as_none_and_does_not_block_the_day(tmp_path, msec):
    params = [SESSION, {"key": "engagement_time_msec", "value": {"int_value": msec}}]
    result, staged = use(tmp_path, [event(event_params=params), event(event_params=params, event_timestamp=NOON + 1)])
    assert result.rows["mc_sessions"] == 1
    assert [row["engagement_msec"] for row in staged] == [None, None]


def test_a_thousand_events_of_one_moment_have_a_thousand_places(tmp_path):
    _, staged = use(tmp_path, [event(event_name=f"e{number}") for number in range(1_000)])
    assert [row["event_order"] - NOON * 1000 for row in staged] == list(range(1_000))


ODD_TEXT = st.one_of(
    st.none(),
    st.sampled_from(["", " ", "0", "(not set)", "NULL", ODD, ODD_WITH_BREAKS, "x" * 5_000]),
    st.text(max_size=20),
)
ODD_ADDRESS = st.one_of(
    ODD_TEXT,
    st.sampled_from(["?", "#", "//", "http://", "https://[::1]/", "android-app://a/b", "https://a.b?utm_source=%"]),
    st.builds("https://a.example/{}?utm_source={}&utm_medium={}&gclid={}#{}".format, *[st.text(max_size=8)] * 5),
    st.builds(
        "https://a.example/?utm_source=%{}%{}".format, st.text("0123456789abcdefG%", max_size=4), st.text(max_size=2)
    ),
)
ODD_INTEGER = st.one_of(st.none(), st.sampled_from([0, -1, 2**31, 2**63 - 1, -(2**63)]), st.integers(0, 50))
ODD_NUMBER = st.one_of(st.none(), st.floats())
ODD_KEYS = ["ga_session_id", "ga_session_number", "engagement_time_msec", "value", "source", "note"]
ODD_VALUE = st.fixed_dictionaries(
    {
        "string_value": ODD_TEXT,
        "int_value": ODD_INTEGER,
        "float_value": ODD_NUMBER,
        "double_value": st.none() | st.floats(),
    }
)
ODD_PARAM = st.one_of(
    st.none(),
    st.builds(dict, key=st.sampled_from(ODD_KEYS), value=st.none() | ODD_VALUE),
    st.builds(text, st.sampled_from(["page_location", "page_referrer"]), ODD_ADDRESS),
    st.builds(text, st.sampled_from(["medium", "campaign", "gclid", "currency", "transaction_id", ""]), ODD_TEXT),
)
ODD_EVENT = st.builds(
    event,
    event_timestamp=st.sampled_from([0, -1, NOON, NOON, NOON, NOON + 1, NOON + 86_400_000_000]),
    event_name=st.sampled_from(["page_view", "view_item", "purchase", "session_start", "", ODD]),
    event_params=st.one_of(st.none(), st.lists(ODD_PARAM, max_size=5)),
    user_pseudo_id=st.one_of(ODD_TEXT, st.just("1.1")),
    user_id=ODD_TEXT,
    stream_id=ODD_TEXT,
    device=st.one_of(st.none(), st.builds(dict, category=ODD_TEXT)),
    geo=st.one_of(st.none(), st.builds(dict, country=ODD_TEXT)),
    ecommerce=st.one_of(st.none(), st.builds(dict, purchase_revenue=ODD_NUMBER, transaction_id=ODD_TEXT)),
    batch_event_index=ODD_INTEGER,
    batch_page_id=ODD_INTEGER,
    batch_ordering_id=ODD_INTEGER,
    collected_traffic_source=st.one_of(
        st.none(), st.builds(dict, manual_source=ODD_TEXT, manual_medium=ODD_TEXT, gclid=ODD_TEXT)
    ),
)


# What Unicode calls white space; Python's strip() would take the separators U+001C to U+001F as well.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))

PLACEHOLDERS = (
    *(
        "",
        "-",
        "0",
        "-1",
        "00000000-0000-0000-0000-000000000000",
        "undefined",
        "null",
        "(null)",
        "nil",
        "none",
        "(none)",
    ),
    *("nan", "n/a", "(not set)", "not set", "unknown", "anonymous", "guest", "true", "false", "[object object]"),
)


def names_nobody(client_id):
    return (client_id or "").strip(WHITE_SPACE).lower() in PLACEHOLDERS


@search(5, 60, shares_fixtures=True)
@given(events=st.lists(ODD_EVENT, min_size=4, max_size=16))
def test_any_odd_events_are_staged_whole(tmp_path, events):
    result, staged = use(tmp_path, events)
    assert len(staged) + result.duplicates_removed == len(events)
    assert sum(row["client_key"] is None for row in staged) == sum(
        names_nobody(row["user_pseudo_id"]) for row in events
    )
    with_session = {row["session_key"] for row in staged} - {None}
    assert result.rows["mc_sessions"] == len(with_session)


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("event_timestamp", pa.string(), str(NOON)),
        ("event_timestamp", pa.float64(), float(NOON)),
        ("event_date", pa.int64(), 20240301),
        ("batch_page_id", pa.float64(), 7.0),
        ("stream_id", pa.int64(), 1),
        ("user_id", pa.int64(), None),
        ("user_id", pa.null(), None),
    ],
    ids=str,
)
def test_columns_of_other_types_that_mean_the_same_are_read(tmp_path, name, kind, value):
    write_column(write(tmp_path, [event()]), name, pa.array([value], kind))
    with Project(load_config(tmp_path / "microconv.toml", {})) as project:
        assert project.sync().rows == {"mc_events": 1, "mc_sessions": 1, "mc_micro_conversions": 0}


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("event_timestamp", pa.string(), "noon"),
        ("event_date", pa.date32(), FIRST_DAY),
        ("event_params", pa.string(), "{}"),
        ("event_params", pa.list_(pa.string()), ["{}"]),
        ("device", pa.string(), "mobile"),
    ],
    ids=str,
)
def test_columns_that_mean_something_else_refuse_the_day_or_are_left_out(tmp_path, name, kind, value):
    write_column(write(tmp_path, [event()]), name, pa.array([value], kind))
    with Project(load_config(tmp_path / "microconv.toml", {})) as project:
        if name == "device":
            assert project.sync().rows["mc_events"] == 1
        else:
            with pytest.raises(SourceError, match="events_20240301"):
                project.sync()


def write_column(path: Path, name: str, column: pa.Array) -> None:
    """Replace a column of a shard."""
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.schema.get_field_index(name), name, column), path)
