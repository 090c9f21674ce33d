"""Entries of every kind on real input: ten days of a public GA4 sample, against plain Python over the raw files."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import duckdb
import pytest

from external_files import row, write_rows
from microconv.config.load import load_config
from microconv.project import Project
from projects import write_config

SHARDS = "events_2020122*.parquet"
LAST_DAY = date(2020, 12, 29)
SECOND = 1_000_000
MINUTE, HOUR, DAY = 60 * SECOND, 3_600 * SECOND, 86_400 * SECOND

OBSERVED = {
    "view": 'event = "view_item"\nkind = "secondary"\nmindset = "consideration"',
    "time_on_page": 'event = ["user_engagement", "scroll"]\ncounts = false\nkind = "secondary"',
    "cart": 'event = "add_to_cart"\nkind = "milestone"',
    "checkout": 'event = "begin_checkout"\nkind = "milestone"\ncollapse = "1s"',
    "shipping": 'event = "add_shipping_info"\nkind = "milestone"',
    "bought": 'event = "purchase"\nkind = "macro"\nvalue = "event"',
    "called": 'external = "called"\nkind = "secondary"',
}
"""Of a stage in the order of the journey: what comes first at one moment."""
RULES = {
    "looked_thrice": 'derived = { of = "view", times = 3, within = "1h" }',
    "two_sessions": 'derived = { of = "view", sessions = 2, within = "7d" }',
    "two_days": 'derived = { of = "view", days = 2, within = "3d" }',
    "many_products": 'derived = { of = "cart", distinct = "item_id", at_least = 20, within = "1d" }',
    "spent": 'derived = { of = "bought", total = "value", reaches = 100, within = "7d" }',
    "engaged": 'derived = { of = "time_on_page", total = "engagement_seconds", reaches = 120, within = "30m" }',
    "same_again": 'derived = { of = "cart", again = "item_id", within = "1h" }',
    "same_thrice": 'derived = { of = "cart", times = 3, within = "1d", same = "item_id" }',
    "abandoned": 'hesitation = { start = "checkout", without = "bought", within = "1h" }',
    "stalled": 'hesitation = { stalled_after = "cart", for = "1d" }',
    "paused": 'hesitation = { pause_after = "shipping", for = "2m" }',
    "to_and_fro": 'hesitation = { between = ["cart", "checkout"], switches = 3, within = "30m" }',
    "came_back": 'derived = { first = "cart", without = "bought", within = "3d" }',
    "back_in_cart": 'derived = { first = "cart", without = "bought", then = "cart", within = "3d" }',
    "call_after_cart": 'derived = { between = ["cart", "called"], switches = 1, within = "1d" }',
}

RAW = """
SELECT
  user_pseudo_id, event_timestamp, event_name, event_date,
  list_filter(event_params, lambda p: p.key = 'ga_session_id')[1].value.int_value AS session,
  list_filter(event_params, lambda p: p.key = 'page_location')[1].value.string_value AS address,
  list_filter(event_params, lambda p: p.key = 'engagement_time_msec')[1].value.int_value AS engagement,
  list_transform(items, lambda i: i.item_id) AS items,
  ecommerce.purchase_revenue AS revenue,
  ecommerce.transaction_id AS transaction_id
FROM read_parquet($files)
WHERE user_pseudo_id IS NOT NULL
"""


class Happened(NamedTuple):
    """One event of the raw files."""

    client: str
    us: int
    name: str
    day: str
    session: int
    address: str | None
    engagement: int | None
    items: list[str] | None
    revenue: float | None
    transaction: str | None


Log = list[Happened]


class Raw:
    """The raw events by client and name, in order of time, and the calls that another system tells of."""

    def __init__(self, files: str) -> None:
        found = [Happened(*each) for each in duckdb.execute(RAW, {"files": files}).fetchall()]
        self.began: dict[tuple[str, int], int] = {}
        self.of: dict[str, dict[str, Log]] = defaultdict(lambda: defaultdict(list))
        for each in sorted(found, key=lambda each: each.us):
            self.began.setdefault((each.client, each.session), each.us)
            self.of[each.name][each.client].append(each)
        self.of["checkout"] = defaultdict(list, {who: acts(log) for who, log in self.of["begin_checkout"].items()})
        for client in sorted(self.of["add_to_cart"])[::5]:
            first = self.of["add_to_cart"][client][0]
            call = Happened(client, first.us + 2 * HOUR, "called", "", 0, None, None, None, None, None)
            self.of["called"][client].append(call)

    def logs(self, *names: str) -> Iterator[Log]:
        """Yield what each client did under these names; what comes at one moment in the order of the names."""
        for client in {who for name in names for who in self.of[name]}:
            rows = [
                (each.us, place, each) for place, name in enumerate(names) for each in self.of[name].get(client, [])
            ]
            yield [each for _, _, each in sorted(rows, key=lambda row: row[:2])]


def acts(log: Log) -> Log:
    """The first of each burst on one page in one session, each at most a second after the one before."""
    latest: dict[tuple[int, str], int] = {}
    found = []
    for each in log:
        where = each.session, urlsplit(each.address or "").path
        if each.us - latest.get(where, -DAY) > SECOND:
            found.append(each)
        latest[where] = each.us
    return found


def becomes_true(logs: Iterable[Log], within: int, is_met: Callable[[Log], bool]) -> int:
    """How often what is looked at in the trailing time turns from false to true."""
    born = 0
    for log in logs:
        first = 0
        for place, now in enumerate(log):
            while now.us - log[first].us > within:
                first += 1
            if is_met(log[first : place + 1]) and not is_met(log[first:place]):
                born += 1
    return born


def spent_in_all(log: Log) -> float:
    """A transaction told again counts once, as it was told last."""
    amounts = {}
    for place, each in enumerate(log):
        known = each.transaction not in (None, "(not set)")
        amounts[each.transaction if known else place] = each.revenue or 0
    return sum(amounts.values())


def with_one_item(raw: Raw, within: int, times: int) -> int:
    """Moments at which an item, any of those put into the cart there, comes so often."""
    born = set()
    for log in raw.logs("add_to_cart"):
        by_item: dict[str, Log] = defaultdict(list)
        for each in log:
            for item in set(each.items or ()):
                by_item[item].append(each)
        for those in by_item.values():
            for place, now in enumerate(those):
                recent = sum(now.us - each.us <= within for each in those[:place])
                if recent == times - 1:
                    born.add((now.client, id(now)))
    return len(born)


def is_known(us: int) -> bool:
    """Whether the days that are staged reach to this moment."""
    return datetime.fromtimestamp(us / SECOND, tz=UTC).date() <= LAST_DAY


def left_off(raw: Raw, start: str, ends: tuple[str, ...], wait: int) -> int:
    born = 0
    for log in raw.logs(start, *ends):
        for place, now in enumerate(log):
            rest = log[place + 1 :]
            began = now.name == log_name(start)
            born += began and is_known(now.us + wait) and all(each.us - now.us > wait for each in rest)
    return born


def log_name(entry: str) -> str:
    return {"checkout": "begin_checkout"}.get(entry, entry)


def paused(raw: Raw, wait: int) -> int:
    """Shipping given, and the next micro-conversion of the session later than that."""
    born = 0
    for log in raw.logs("view_item", "add_to_cart", "checkout", "add_shipping_info", "purchase"):
        for place, now in enumerate(log):
            rest = [each for each in log[place + 1 :] if each.session == now.session]
            born += bool(now.name == "add_shipping_info" and rest and rest[0].us - now.us > wait)
    return born


def returned(raw: Raw, within: int, *, then: str | None) -> int:
    """After the last cart that no purchase followed: once, in a session that began later."""
    sessions: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for (client, _), us in raw.began.items():
        sessions[client].append((us, us))
    born = 0
    for client, carts in raw.of["add_to_cart"].items():
        backs = (
            [(each.us, raw.began[client, each.session]) for each in raw.of[then][client]] if then else sessions[client]
        )
        taken = set()
        for us, began in sorted(backs):
            left = max((cart.us for cart in carts if cart.us < us), default=None)
            if left is None or left in taken or us - left > within or began <= left:
                continue
            if not any(left <= bought.us < us for bought in raw.of["purchase"].get(client, [])):
                taken.add(left)
                born += 1
    return born


def switched(times: int) -> Callable[[Log], bool]:
    return lambda log: sum(one.name != other.name for one, other in pairwise(log)) >= times


FIGURES: dict[str, Callable[[Raw], int]] = {
    "view": lambda raw: sum(map(len, raw.logs("view_item"))),
    "cart": lambda raw: sum(map(len, raw.logs("add_to_cart"))),
    "checkout": lambda raw: sum(map(len, raw.logs("checkout"))),
    "shipping": lambda raw: sum(map(len, raw.logs("add_shipping_info"))),
    "bought": lambda raw: sum(map(len, raw.logs("purchase"))),
    "called": lambda raw: sum(map(len, raw.logs("called"))),
    "looked_thrice": lambda raw: becomes_true(raw.logs("view_item"), HOUR, lambda log: len(log) >= 3),
    "two_sessions": lambda raw: becomes_true(
        raw.logs("view_item"), 7 * DAY, lambda log: len({each.session for each in log}) >= 2
    ),
    "two_days": lambda raw: becomes_true(
        raw.logs("view_item"), 3 * DAY, lambda log: len({each.day for each in log}) >= 2
    ),
    "many_products": lambda raw: becomes_true(
        raw.logs("add_to_cart"), DAY, lambda log: len({item for each in log for item in each.items or ()}) >= 20
    ),
    "spent": lambda raw: becomes_true(raw.logs("purchase"), 7 * DAY, lambda log: spent_in_all(log) >= 100),
    "engaged": lambda raw: becomes_true(
        raw.logs("user_engagement", "scroll"),
        30 * MINUTE,
        lambda log: sum(each.engagement or 0 for each in log) >= 120_000,
    ),
    "same_again": lambda raw: with_one_item(raw, HOUR, 2),
    "same_thrice": lambda raw: with_one_item(raw, DAY, 3),
    "abandoned": lambda raw: left_off(raw, "checkout", ("purchase",), HOUR),
    "stalled": lambda raw: left_off(raw, "add_to_cart", ("checkout", "add_shipping_info", "purchase"), DAY),
    "paused": lambda raw: paused(raw, 2 * MINUTE),
    "to_and_fro": lambda raw: becomes_true(raw.logs("add_to_cart", "checkout"), 30 * MINUTE, switched(3)),
    "came_back": lambda raw: returned(raw, 3 * DAY, then=None),
    "back_in_cart": lambda raw: returned(raw, 3 * DAY, then="add_to_cart"),
    "call_after_cart": lambda raw: becomes_true(raw.logs("add_to_cart", "called"), DAY, switched(1)),
}


@pytest.fixture(scope="module")
def raw(sample: Path) -> Raw:
    return Raw(str(sample / "ga4_sample" / SHARDS))


@pytest.fixture(scope="module")
def project(sample: Path, raw: Raw, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("derived")
    entries = "".join(
        f'[[micro_conversions]]\nid = "{name}"\nstage = "decision"\n{written}\n'
        + ('kind = "secondary"\n' if written.startswith("derived") else "")
        for name, written in (OBSERVED | RULES).items()
    )
    (folder / "taxonomy.toml").write_text(f'version = "1.0"\n{entries}', encoding="utf-8")
    calls = [each for log in raw.logs("called") for each in log]
    write_rows(
        folder / "calls.csv",
        [row(moment(each.us).isoformat(), "called", client=each.client, stream_id="2100450278") for each in calls],
    )
    config = write_config(
        folder,
        exports=str(sample / "ga4_sample" / SHARDS),
        extra='[taxonomy]\npreset = "none"\nfile = "taxonomy.toml"\n'
        '[[external_events]]\nname = "calls"\npath = "calls.csv"\n',
    )
    with Project(load_config(config, {})) as opened:
        opened.sync()
        yield opened


def moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def ask(project: Project, sql: str) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = project.engine._connection.execute(sql).fetchall()
    return found


@pytest.mark.parametrize("entry", FIGURES)
def test_occurrences_are_those_that_the_raw_events_give(project: Project, raw: Raw, entry: str) -> None:
    ((staged,),) = ask(project, f"SELECT COUNT(*) FROM mc_micro_conversions WHERE micro_conversion = '{entry}'")
    assert staged == FIGURES[entry](raw)
    assert staged > 0


def test_every_entry_but_the_signal_has_its_figure() -> None:
    assert set(FIGURES) == set(OBSERVED | RULES) - {"time_on_page"}


def test_repeats_that_became_one_act_are_as_many_as_the_raw_events(project: Project, raw: Raw) -> None:
    ((rows, acts_of),) = ask(
        project, "SELECT SUM(copies), COUNT(*) FROM mc_micro_conversions WHERE micro_conversion = 'checkout'"
    )
    assert rows == sum(map(len, raw.logs("begin_checkout"))) > acts_of


def test_a_signal_is_an_ingredient_and_no_micro_conversion(project: Project, raw: Raw) -> None:
    signals = ask(project, "SELECT micro_conversion, COUNT(*) FROM mc_signals GROUP BY ALL")
    assert signals == [("time_on_page", sum(map(len, raw.logs("user_engagement", "scroll"))))]
    assert ask(project, "SELECT 1 FROM mc_micro_conversions WHERE micro_conversion = 'time_on_page'") == []


def test_what_another_system_tells_of_a_client_is_the_actor_of_its_events(project: Project, raw: Raw) -> None:
    ((actors,),) = ask(
        project,
        """SELECT COUNT(DISTINCT c.actor_key) FROM mc_micro_conversions AS c
        INNER JOIN mc_micro_conversions AS e ON e.actor_key = c.actor_key AND e.micro_conversion = 'cart'
          AND e.event_at <= c.event_at
        WHERE c.micro_conversion = 'called'""",
    )
    assert actors == len(raw.of["called"]) > 100


def test_hesitation_lies_after_the_mindset_of_what_was_done_before(project: Project) -> None:
    mindsets = {each.id: each.mindset for each in project.taxonomy.entries if not each.is_hesitation}
    courses: dict[int, list[tuple[int, str, str]]] = defaultdict(list)
    for actor, order, entry in ask(
        project, "SELECT actor_key, event_order, micro_conversion FROM mc_micro_conversions ORDER BY ALL"
    ):
        # Of one event hesitation comes last, and the highest mindset before it.
        place = {"consideration": "1", "commitment": "2"}.get(mindsets.get(entry, ""), "3")
        courses[actor].append((order, place, entry))
    expected: dict[tuple[str, str], int] = defaultdict(int)
    for course in courses.values():
        before = "(nothing before)"
        for _, _, entry in sorted(course):
            if entry in mindsets:
                before = mindsets[entry]
            else:
                expected[entry, before] += 1
    result = project.ask("hesitation")
    assert {(row.micro_conversion, row.from_mindset): row.occurrences for row in result.rows} == expected
    assert {before for _, before in expected} >= {"consideration", "commitment"}
