"""Conditions of every kind on real input: 32 days of a public GA4 sample, against plain SQL on the raw files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config

ENTRIES = {
    "apparel": (
        """event = "view_item"
where = [{ item = "item_category", equals = "Apparel" }]""",
        "event_name = 'view_item' AND len(list_filter(items, lambda i: trim(i.item_category) = 'Apparel')) > 0",
    ),
    "dear_by_pattern": (
        """event = { matches = "^(view|select)_" }
where = [{ item = "price", at_least = 100 }]""",
        "regexp_matches(event_name, '^(view|select)_') AND len(list_filter(items, lambda i: i.price >= 100)) > 0",
    ),
    "shop_host": (
        """event = "page_view"
where = [{ field = "host", equals = "shop.googlemerchandisestore.com" }]
page = { starts_with = "/Google+Redesign/" }""",
        """event_name = 'page_view'
AND regexp_matches(address, '^https?://shop\\.googlemerchandisestore\\.com/Google\\+Redesign/')""",
    ),
    # No address of the sample has a query; these look as if they had one, and lack its sign.
    "looks_like_a_query": (
        """event = ["page_view", "scroll"]
where = [{ query = "vid", exists = false }, { field = "page", contains = "&vid=" }]""",
        "event_name IN ('page_view', 'scroll') AND contains(address, '&vid=')",
    ),
    "long_engagement": (
        """event = "user_engagement"
where = [{ parameter = "engagement_time_msec", between = [10000, 60000] }]""",
        "event_name = 'user_engagement' AND engagement BETWEEN 10000 AND 60000",
    ),
    "groups": (
        """event = "page_view"
where = [
  { any = [
    { parameter = "page_title", contains = "Apparel" },
    { all = [
      { not = { parameter = "medium", exists = true } },
      { parameter = "page_title", starts_with = "Shop" },
    ] },
  ] },
  { field = "platform", equals = "WEB" },
  { user_property = "plan", exists = false },
]""",
        """event_name = 'page_view' AND platform = 'WEB'
AND (contains(title, 'Apparel') OR (medium IS NULL AND starts_with(title, 'Shop')))""",
    ),
}

RAW = """
SELECT
  event_name, items, platform,
  list_filter(event_params, lambda p: p.key = 'page_location')[1].value.string_value AS address,
  list_filter(event_params, lambda p: p.key = 'page_title')[1].value.string_value AS title,
  list_filter(event_params, lambda p: p.key = 'engagement_time_msec')[1].value.int_value AS engagement,
  coalesce(
    list_filter(event_params, lambda p: p.key = 'medium')[1].value.string_value,
    CAST(list_filter(event_params, lambda p: p.key = 'medium')[1].value.int_value AS VARCHAR)
  ) AS medium
FROM read_parquet($files)
WHERE user_pseudo_id IS NOT NULL
"""


@pytest.fixture(scope="module")
def occurrences(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    folder = tmp_path_factory.mktemp("conditions")
    entries = "".join(
        f'[[micro_conversions]]\nid = "{name}"\nkind = "macro"\nstage = "decision"\n{written}\n'
        for name, (written, _) in ENTRIES.items()
    )
    (folder / "taxonomy.toml").write_text(f'version = "1.0"\n{entries}', encoding="utf-8")
    config = write_config(
        folder,
        exports=str(sample / "ga4_sample" / "events_*.parquet"),
        extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n',
    )
    with Project(load_config(config, {})) as project:
        project.sync()
        counted = project.engine._connection.execute(
            "SELECT micro_conversion, COUNT(*) FROM mc_micro_conversions GROUP BY ALL"
        ).fetchall()
        yield dict(counted)


def test_occurrences_are_the_raw_events_that_meet_the_conditions(occurrences: dict[str, int], sample: Path) -> None:
    counted = ", ".join(f"COUNT(*) FILTER (WHERE {meets}) AS {name}" for name, (_, meets) in ENTRIES.items())
    files = str(sample / "ga4_sample" / "events_*.parquet")
    cursor = duckdb.execute(f"SELECT {counted} FROM ({RAW})", {"files": files})
    (expected,) = cursor.fetchall()
    assert occurrences == dict(zip(ENTRIES, expected, strict=True))
    assert all(expected)
