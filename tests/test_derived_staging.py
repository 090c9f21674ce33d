"""Derived occurrences: what is staged of them, whatever the order of arrival, is what the definitions say."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given
from hypothesis import strategies as st

import ga4
from derived_oracle import Staged, derived_rows
from microconv.config.load import load_config
from microconv.project import Project
from microconv.staging import sync
from projects import write_config
from searches import search

FIRST_DAY = date(2024, 3, 1)
DAYS = [FIRST_DAY + timedelta(days=offset) for offset in (0, 1, 2, 4, 7)]
ZONE = "America/New_York"
LATER = datetime(2024, 6, 1, tzinfo=UTC)

OBSERVED = {
    "view": 'event = "view_item"',
    "cart": 'event = "add_to_cart"\nvalue = "event"\nkind = "milestone"',
    "check": 'event = "begin_checkout"\nkind = "milestone"\nvalue = 2',
    "buy": 'event = "purchase"\nkind = "macro"\nvalue = "event"',
    "old_buy": 'event = "bought"\nkind = "macro"\ndeprecated_in = "1.0"\nreplaced_by = "buy"',
    "seen": 'event = ["page_view", "view_item"]\ncounts = false',
}
RULES = {
    "times": '{ of = "view", times = 2, within = "12h" }',
    "times_of_two": '{ of = ["view", "seen", "cart"], times = 3, within = "1d" }',
    "times_same": '{ of = "view", times = 2, within = "2d", same = "item_id" }',
    "bought_twice": '{ of = "buy", times = 2, within = "4d" }',
    "sessions": '{ of = ["view", "seen"], sessions = 2, within = "2d" }',
    "days": '{ of = "view", days = 2, within = "3d" }',
    "distinct": '{ of = ["view", "cart"], distinct = "item_id", at_least = 2, within = "1d" }',
    "distinct_pages": '{ of = "seen", distinct = "page", at_least = 2, within = "1s" }',
    "spent": '{ of = ["cart", "buy"], total = "value", reaches = 12.5, within = "2d" }',
    "scored": '{ of = "view", total = "score", reaches = 3, within = "1d", same = "page" }',
    "engaged": '{ of = "seen", total = "engagement_seconds", reaches = 1.5, within = "1d" }',
    "again": '{ of = "view", again = "item_id", within = "1d" }',
    "torn": '{ between = ["view", "cart"], switches = 2, within = "1d" }',
    "back": '{ first = "cart", without = "buy", within = "3d" }',
    "back_at": '{ first = ["cart", "check"], without = "buy", then = "view", within = "3d" }',
    "back_same": '{ first = "view", then = "cart", within = "3d", same = "item_id" }',
    "left": '{ start = "check", without = "buy", within = "1h" }',
    "left_item": '{ start = ["cart", "view"], without = ["buy", "check"], within = "1d", same = "item_id" }',
    "stalled": '{ stalled_after = "cart", for = "2d" }',
    "paused": '{ pause_after = ["view", "cart"], for = "1s" }',
    # Of derived ones.
    "left_twice": '{ of = ["left", "stalled"], times = 2, within = "7d" }',
    "back_after_left": '{ first = "left", then = "seen", within = "5d" }',
    "left_for_good": '{ start = "left_item", without = ["back", "view"], within = "1d" }',
    "many": '{ of = ["times", "again", "back", "torn"], days = 2, within = "3d" }',
}


def taxonomy_text() -> str:
    text = 'version = "1.0"\n'
    for entry_id, lines in OBSERVED.items():
        kind = "" if "kind" in lines else 'kind = "secondary"\n'
        text += f'[[micro_conversions]]\nid = "{entry_id}"\nstage = "decision"\n{kind}{lines}\n'
    for number, (entry_id, rule) in enumerate(RULES.items()):
        value = ("", "value = 3\n", 'value = "event"\n')[number % 3]
        kind = 'kind = "milestone"\n' if entry_id == "many" else ""
        key = "derived" if number % 2 or kind else "hesitation"
        usual = "" if key == "hesitation" or kind else 'kind = "secondary"\n'
        text += f'[[micro_conversions]]\nid = "{entry_id}"\nstage = "post_sale"\n{usual}{kind}{value}{key} = {rule}\n'
    return text


@contextmanager
def project_of(folder: Path, database: str) -> Iterator[Project]:
    (folder / "taxonomy.toml").write_text(taxonomy_text(), encoding="utf-8")
    path = write_config(folder, extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n')
    environment = {
        "MICROCONV_ENGINE__PATH": str(folder / database),
        "MICROCONV_PROJECT__TIMEZONE": ZONE,
    }
    with Project(load_config(path, environment)) as project:
        yield project


def stage(project: Project, now: datetime) -> None:
    sync(project.engine, project.sources, project.config, project.taxonomy, now=lambda: now)


def rows(project: Project, table: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = project.engine._connection.sql(f"SELECT * FROM {table}").to_arrow_table().to_pylist()
    return found


def alike(found: list[dict[str, Any]]) -> list[str]:
    """Rows as texts, in an order of their own."""
    return sorted(str([(name, str(row[name])) for name in sorted(row)]) for row in found)


def staged(project: Project) -> dict[str, list[str]]:
    return {name: alike(rows(project, name)) for name in ("mc_micro_conversions", "mc_signals", "mc_sessions")}


def expected(project: Project) -> list[dict[str, Any]]:
    days = [(row["property"], row["event_date"]) for row in rows(project, "mc_shards") if row["is_day_over"]]
    over = {name: frozenset(day for of, day in days if of == name) for name, _ in days}
    ordinary = [row for row in rows(project, "mc_micro_conversions") if not row["is_derived"]]
    carried = [each.column for each in project.rules.carried]
    return derived_rows(
        project.taxonomy,
        Staged([*ordinary, *rows(project, "mc_signals")], rows(project, "mc_sessions"), over, ZONE, carried),
    )


NAMES = ["page_view", "view_item", "view_item", "add_to_cart", "begin_checkout", "purchase", "bought"]
CLOCKS = ["00:00:00", "00:00:01", "11:00:00", "12:00:00", "12:00:01", "12:00:02", "13:00:00", "23:59:59"]
"""Moments on the ends of the rules' times, and ties."""


class Happened(NamedTuple):
    """An event, in few words."""

    name: str
    clock: str
    client: str
    session: int | None
    user: str | None
    page: str
    items: str
    value: float | None
    score: str | None
    engagement: int | None
    transaction: str | None

    def event(self, day: date) -> dict[str, Any]:
        params = {
            "page_location": f"https://a.example/{self.page}",
            "engagement_time_msec": self.engagement,
            "value": self.value,
            "currency": "EUR",
            "score": self.score,
            "transaction_id": self.transaction if self.name == "purchase" else None,
        }
        return ga4.event(
            f"{day} {self.clock}",
            self.name,
            client=self.client,
            session=self.session,
            user_id=self.user,
            params={name: value for name, value in params.items() if value is not None},
            items=[{"item_id": item} for item in self.items],
        )


class Arrival(NamedTuple):
    """A shard that arrives, and whether its day is over then."""

    day: date
    kind: str
    is_over: bool
    happened: list[Happened]

    @property
    def now(self) -> datetime:
        return LATER if self.is_over else datetime(self.day.year, self.day.month, self.day.day, 17, tzinfo=UTC)


HAPPENED = st.builds(
    Happened,
    st.sampled_from(NAMES),
    st.sampled_from(CLOCKS),
    st.sampled_from(["1.5", "2.5", "3.5"]),
    st.sampled_from([1, 2, 3, 3, None]),
    st.sampled_from([None, None, "u1", "u2"]),
    st.sampled_from(["x", "y?q"]),
    st.sampled_from(["", "A", "B", "BA"]),
    st.sampled_from([None, 5.0, 7.5, 10.0, -3.0]),
    st.sampled_from([None, "1.5", "2", "much"]),
    st.sampled_from([None, 500, 1000]),
    st.sampled_from([None, "T1", "T2"]),
)
# Late, again, intraday before daily and before the day is over, with gaps between.
ARRIVALS = st.lists(
    st.one_of(
        st.builds(
            Arrival,
            st.sampled_from(DAYS),
            st.just("daily"),
            st.just(value=True),
            st.lists(HAPPENED, min_size=1, max_size=10),
        ),
        st.builds(
            Arrival,
            st.sampled_from(DAYS),
            st.just("intraday"),
            st.booleans(),
            st.lists(HAPPENED, min_size=1, max_size=10),
        ),
    ),
    min_size=1,
    max_size=4,
)


@search(5, 60, shares_fixtures=True)
@given(arrivals=ARRIVALS)
def test_any_order_of_arrival_ends_in_what_the_definitions_say(tmp_path: Path, arrivals: list[Arrival]) -> None:
    check(tmp_path, arrivals)


def check(tmp_path: Path, arrivals: list[Arrival]) -> None:
    shutil.rmtree(tmp_path, ignore_errors=True)
    tmp_path.mkdir()
    with project_of(tmp_path, "incremental.duckdb") as project:
        for arrival in arrivals:
            events = [each.event(arrival.day) for each in arrival.happened]
            ga4.write_parquet(tmp_path / "exports" / f"{ga4.shard_name(arrival.day, arrival.kind)}.parquet", events)
            stage(project, arrival.now)
            derived = [row for row in rows(project, "mc_micro_conversions") if row["is_derived"]]
            assert alike(derived) == alike(expected(project))
        stage(project, LATER)
        incremental = staged(project)
    with project_of(tmp_path, "rebuilt.duckdb") as project:
        stage(project, LATER)
        assert staged(project) == incremental
