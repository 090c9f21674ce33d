"""Staged rows made up in SQL, the same on every run: sessions and occurrences, and the same, narrow, for other tools.

For ten million events: 1.1 million sessions of 280,000 actors in 90 days, 1.4 million occurrences of the five steps of
a funnel, of them 88,000 purchases, 1.2 million other occurrences, and a million journeys over 290,000 paths. The events
themselves are not written: no analysis reads them.
"""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STEPS = ("view_item", "add_to_cart", "begin_checkout", "add_payment_info", "purchase")
FUNNELS = {
    "plain": STEPS,
    # Three of ten checkouts are at once an occurrence of add_shipping_info: one event must not serve both steps.
    "two_at_once": ("view_item", "add_to_cart", "begin_checkout", "add_shipping_info", "purchase"),
    "repeated": ("view_item", "view_item", "add_to_cart", "begin_checkout", "purchase"),
}
WINDOWS_DAYS = (1, 7, 30)
CHANNELS = (
    "Organic Search", "Direct", "Paid Search", "Referral", "Paid Social", "Email",
    "Organic Social", "Display", "Affiliates", "Paid Shopping", "Organic Video", "Cross-network",
)  # fmt: skip

_CONFIG = f"""\
[project]
timezone = "UTC"

[engine]
threads = 2

[[sources]]
property = "synthetic"
path = "none_*.parquet"

[attribution]
windows = [{", ".join(f'"{days}d"' for days in WINDOWS_DAYS)}]
models = ["first", "last", "last_non_direct", "linear", "time_decay", "position"]
""" + "".join(
    f'\n[[funnels]]\nname = "{name}"\nsteps = [{", ".join(f"{step!r}" for step in steps)}]\n'
    for name, steps in FUNNELS.items()
)

# Chance is a hash of the row's number: `chance(n, salt)` is evenly spread from 0 to 1.
_MACROS = """
CREATE TEMP MACRO chance(n, salt) AS (hash(n * 1000 + salt) >> 11) / 9007199254740992;
CREATE TEMP MACRO channel(u) AS $channels[1 + floor(12 * pow(u, 1.8))::INT];
"""

# Half of the sessions are those of regulars, who have about 14 each.
_SESSIONS = """
CREATE TEMP TABLE sessions AS
SELECT
  n AS session_key,
  CASE WHEN n % 2 = 0
    THEN floor($regulars * chance(n, 1))::BIGINT
    ELSE $regulars + floor($regulars * 7 * chance(n, 1))::BIGINT
  END AS actor_key,
  1704067200000000 + floor(chance(n, 2) * 90 * 86400e6)::BIGINT AS started_us,
  channel(chance(n, 3)) AS channel_group,
  CASE WHEN chance(n, 4) < 0.07 THEN 'last_non_direct' ELSE 'collected' END AS source_rule,
  floor(pow(chance(n, 5), 4.9) * 9)::INT AS rows
FROM range($sessions) AS numbers(n)
"""

# A session goes forward on the whole, with detours; each of its rows is one event, some seconds after the one before.
_OCCURRENCES = """
CREATE TEMP TABLE occurrences AS
WITH drawn AS (
  SELECT
    s.session_key,
    s.actor_key,
    s.started_us + place * 40000000 + floor(chance(s.session_key * 16 + place, 6) * 40e6)::BIGINT AS event_us,
    chance(s.session_key * 16 + place, 7) AS u,
    (place + 1) / s.rows AS progress,
    s.session_key * 16 + place AS number
  FROM sessions AS s, range(s.rows) AS places(place)
),
steps AS (
  SELECT d.*, $steps[1 + floor(4.999 * pow(u, 1.2) * sqrt(progress))::INT] AS micro_conversion FROM drawn AS d
)
SELECT session_key, actor_key, event_us, number, micro_conversion FROM steps
UNION ALL
-- A tag that fired twice: the same transaction.
SELECT session_key, actor_key, event_us + 1000, number, micro_conversion
FROM steps WHERE micro_conversion = 'purchase' AND chance(number, 16) < 0.02
UNION ALL
SELECT session_key, actor_key, event_us, number, 'add_shipping_info'
FROM steps WHERE micro_conversion = 'begin_checkout' AND chance(number, 8) < 0.3
UNION ALL
SELECT
  session_key,
  actor_key,
  started_us + 400000000 + floor(chance(session_key, 9) * 400e6)::BIGINT,
  -1 - session_key,
  ['scroll', 'scroll', 'view_promotion', 'select_item', 'search'][1 + floor(chance(session_key, 10) * 5)::INT]
FROM sessions
"""

_STAGED = """
INSERT INTO mc_sessions BY NAME
SELECT
  'synthetic' AS property,
  make_timestamp(started_us)::DATE AS session_date,
  session_key, actor_key, actor_key AS client_key,
  make_timestamptz(started_us) AS started_at,
  channel_group, source_rule, 'google' AS source, 'organic' AS medium
FROM sessions ORDER BY session_date;

INSERT INTO mc_micro_conversions BY NAME
SELECT
  'synthetic' AS property,
  make_timestamp(event_us)::DATE AS event_date,
  make_timestamptz(event_us) AS event_at,
  event_us * 1000 AS event_order,
  micro_conversion, session_key, actor_key, actor_key AS client_key,
  CASE WHEN micro_conversion = 'purchase' THEN 5 + floor(chance(number, 11) * 20000) / 100 END AS value,
  CASE WHEN micro_conversion = 'purchase' THEN 'T' || number END AS transaction_id
FROM occurrences ORDER BY event_date;

INSERT INTO mc_shards BY NAME
SELECT
  'synthetic' AS property, event_date, 'daily' AS kind, $events // 90 AS events,
  0 AS duplicates_removed, 0 AS consentless_events
FROM (SELECT DISTINCT event_date FROM mc_micro_conversions);
"""

# What other tools get: the same rows, with nothing but the columns that the question needs.
_NARROW = {
    "occurrences": """
        SELECT actor_key, epoch_us(event_at) AS event_us, micro_conversion, value, transaction_id
        FROM mc_micro_conversions ORDER BY event_date
    """,
    "touches": """
        SELECT
          actor_key, epoch_us(started_at) AS touch_us, session_key,
          CASE WHEN source_rule = 'last_non_direct' THEN 'Direct' ELSE channel_group END AS touchpoint
        FROM mc_sessions ORDER BY session_date
    """,
    # Steps tend to repeat the one before. A third of the paths are of one step.
    "journeys": """
        WITH steps AS (
          SELECT
            n,
            place,
            floor(12 * pow(chance(n * 16 + CASE WHEN chance(n * 16 + place, 12) < 0.4 THEN 0 ELSE place END, 13), 1.8))
              ::INT AS touchpoint
          FROM range($journeys) AS numbers(n), range(1 + floor(pow(chance(n, 14), 2) * 10)::INT) AS places(place)
        ),
        paths AS (
          SELECT
            n,
            string_agg(touchpoint::VARCHAR, '>' ORDER BY place) AS path,
            string_agg($channels[1 + touchpoint], ' > ' ORDER BY place) AS named,
            chance(n, 15) < 0.015 * sum(1 + touchpoint % 3) AS converted
          FROM steps GROUP BY n
        )
        SELECT
          path,
          any_value(named) AS named,
          count_if(converted)::BIGINT AS conversions,
          (sum(CASE WHEN converted THEN 500 + n % 20000 ELSE 0 END) * 10000)::BIGINT AS value_micros,
          count_if(NOT converted)::BIGINT AS others
        FROM paths GROUP BY path ORDER BY path
    """,
}


def config(folder: Path) -> Path:
    """Write the configuration of a folder's database; its sources are nowhere."""
    path = folder / "synthetic.toml"
    path.write_text(_CONFIG, encoding="utf-8")
    return path


def fill(connection: DuckDBPyConnection, folder: Path, events: int) -> dict[str, int]:
    """Fill the staged tables with the rows of so many events, and write `folder`/NAME.parquet for each narrow table.

    Returns how many rows the narrow tables have.
    """
    values = {
        "events": events,
        "sessions": events * 11 // 100,
        "regulars": events * 4 // 1000,
        "journeys": events // 10,
        "channels": list(CHANNELS),
        "steps": list(STEPS),
    }
    for script in (_MACROS, _SESSIONS, _OCCURRENCES, _STAGED):
        connection.execute(Template(script).substitute(values))
    rows = {}
    for name, query in _NARROW.items():
        written = connection.execute(
            f"COPY ({Template(query).substitute(values)}) TO '{folder / name}.parquet' (FORMAT parquet)"
        )
        rows[name] = written.fetchone()[0]
    return rows
