"""People made up in SQL, the same on every run: users who added to a cart, who they are, and what they agreed to."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import duckdb

from microconv.engines.duckdb import DuckDBEngine
from microconv.staging import mc_tables

_CONFIG = """\
[project]
timezone = "UTC"

[engine]
threads = 2

[[sources]]
property = "people"
path = "none_*.parquet"

[[segments]]
name = "everybody"
rule = { did = "add_to_cart", within = "14d" }
identity = ["email", "phone"]

[[destinations]]
name = "google_ads"
format = "google_ads"
path = "audiences"

[identity]
file = "identity.csv"

[consent]
file = "consent.csv"
"""

# Half of the numbers are in international form, and half as dialled at home; one in ten people refused.
_IDENTITY = """
SELECT
  'user-' || n AS user_id,
  'First.Last' || n || CASE n % 4 WHEN 0 THEN '@gmail.com' WHEN 1 THEN '@Example.com' ELSE '@example.org' END AS email,
  CASE n % 4
    WHEN 0 THEN '+49 1512 ' || lpad(n::VARCHAR, 7, '0')
    WHEN 1 THEN '0170/' || lpad(n::VARCHAR, 7, '0')
    WHEN 2 THEN '+1 (212) ' || lpad(n::VARCHAR, 7, '2')
    ELSE '202-' || lpad(n::VARCHAR, 7, '2')
  END AS phone,
  ['Anna', 'Ben', 'Zoë', 'Dr. Jane'][1 + n % 4] || CASE WHEN n % 7 = 0 THEN ' Maria' ELSE '' END AS first_name,
  'Name' || n % 20000 AS last_name,
  CASE WHEN n % 4 < 2 THEN 'DE' ELSE 'US' END AS country,
  lpad((n % 90000)::VARCHAR, 5, '1') AS postal_code
FROM range($people) AS numbers(n) ORDER BY hash(n)
"""
_CONSENT = """
SELECT
  'user-' || n AS user_id,
  CASE WHEN n % 10 = 0 THEN 'denied' ELSE 'granted' END AS ad_user_data,
  'granted' AS ad_personalization,
  make_timestamp(1735689600000000 + (hash(n) % 20000000)::BIGINT * 1000000) AS changed_at
FROM range($people) AS numbers(n) ORDER BY hash(n + 1)
"""
_STAGED = """
INSERT INTO mc_sessions BY NAME
SELECT 'people' AS property, $day::DATE AS session_date, n AS session_key, n AS actor_key, n AS client_key,
  'user-' || n AS user_id, $day AS started_at
FROM range($people) AS numbers(n);

INSERT INTO mc_micro_conversions BY NAME
SELECT 'people' AS property, $day::DATE AS event_date, $day AS event_at, n AS event_order,
  'add_to_cart' AS micro_conversion, n AS session_key, n AS actor_key, n AS client_key
FROM range($people) AS numbers(n);

INSERT INTO mc_events BY NAME
SELECT 'people' AS property, $day::DATE AS event_date, $day AS event_at, 0 AS event_order, 'add_to_cart' AS event_name;

INSERT INTO mc_shards BY NAME
SELECT 'people' AS property, $day::DATE AS event_date, 'daily' AS kind, $people AS events,
  0 AS duplicates_removed, 0 AS consentless_events;
"""


def make(folder: Path, people: int) -> Path:
    """Write a project whose segment holds so many people; return its configuration."""
    config = folder / "microconv.toml"
    config.write_text(_CONFIG)
    database = folder / "microconv.duckdb"
    with DuckDBEngine(database) as engine:
        for table in mc_tables.TABLES.values():
            engine.ensure(table)
    today = datetime.now(tz=UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    with duckdb.connect(str(database)) as connection:
        for statement in _STAGED.split(";\n"):
            if statement.strip():
                given = {name: value for name, value in (("people", people), ("day", today)) if f"${name}" in statement}
                connection.execute(statement, given)
        for name, rows in (("identity", _IDENTITY), ("consent", _CONSENT)):
            connection.execute(f"COPY ({rows.replace('$people', str(people))}) TO '{folder / name}.csv' (HEADER)")
    return config
