"""Where sessions come from: the data files, a case for each channel group, and days that arrive in any order."""

from __future__ import annotations

import random
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import duckdb
import pytest

from microconv.engines.dialect import to_duckdb
from microconv.queries import templates
from microconv.staging import batch_queries, mc_tables, own_hosts
from microconv.staging.own_hosts import MOST_LEARNT, OwnHosts
from microconv.staging.traffic import channel_params, load_channel_rules, session_params, session_structure

RULES = load_channel_rules()
ORDER = (
    "Direct",
    "Cross-network",
    "Paid Shopping",
    "Paid Search",
    "Paid Social",
    "Paid Video",
    "Display",
    "Paid Other",
    "Organic Shopping",
    "Organic Social",
    "Organic Video",
    "Organic Search",
    "AI Assistant",
    "Referral",
    "Email",
    "Affiliates",
    "Audio",
    "SMS",
    "Mobile Push Notifications",
)

# channel group, source, medium, campaign, category: the first row of a group is its plainest case.
CHANNELS = [
    ("Direct", "(direct)", "(none)", "(direct)", ""),
    ("Direct", "(direct)", "(not set)", "", ""),
    ("Direct", "", "", "", ""),
    ("Cross-network", "google", "cpc", "cross-network", "search"),
    ("Cross-network", "google", "organic", "eu_cross-network_1", "search"),
    ("Paid Shopping", "amazon", "cpc", "", "shopping"),
    ("Paid Shopping", "google", "cpc", "shopping", "search"),
    ("Paid Shopping", "google", "cpc", "my shop", "search"),
    ("Paid Search", "google", "cpc", "", "search"),
    ("Paid Search", "google", "cpm", "", "search"),
    ("Paid Search", "google", "retargeting", "workshop", "search"),
    ("Paid Social", "facebook", "paid_social", "", "social"),
    ("Paid Video", "youtube", "ppc", "", "video"),
    ("Display", "dv360", "cpm", "", ""),
    ("Display", "news.example", "banner", "", ""),
    ("Paid Other", "news.example", "cpc", "", ""),
    ("Organic Shopping", "etsy", "referral", "", "shopping"),
    ("Organic Shopping", "google", "organic", "shopping free listings", "search"),
    ("Organic Social", "facebook", "referral", "", "social"),
    ("Organic Social", "newsletter", "social media", "", ""),
    ("Organic Video", "youtube", "referral", "", "video"),
    ("Organic Video", "partner", "instream video", "", ""),
    ("Organic Search", "google", "organic", "", "search"),
    ("Organic Search", "unknown engine", "organic", "", ""),
    ("Organic Search", "bing", "referral", "", "search"),
    ("AI Assistant", "chatgpt.com", "ai-assistant", "(ai-assistant)", "ai_assistant"),
    ("AI Assistant", "chatgpt.com", "referral", "", "ai_assistant"),
    ("AI Assistant", "chatgpt.com", "", "", "ai_assistant"),
    ("AI Assistant", "perplexity", "(not set)", "(not set)", "ai_assistant"),
    ("Paid Other", "chatgpt.com", "cpc", "", "ai_assistant"),
    ("Unassigned", "chatgpt.com", "(none)", "", "ai_assistant"),
    ("Referral", "news.example", "referral", "", ""),
    ("Referral", "news.example", "link", "", ""),
    ("Email", "newsletter", "email", "", ""),
    ("Email", "e-mail", "x", "", ""),
    ("Email", "chatgpt.com", "email", "", "ai_assistant"),
    ("Affiliates", "partner", "affiliate", "", ""),
    ("Audio", "podcast", "audio", "", ""),
    ("SMS", "sms", "x", "", ""),
    ("SMS", "x", "sms", "", ""),
    ("Mobile Push Notifications", "app", "webpush", "", ""),
    ("Mobile Push Notifications", "app", "mobile_alert", "", ""),
    ("Mobile Push Notifications", "firebase", "x", "", ""),
    ("Unassigned", "news.example", "pushed", "", ""),
    ("Unassigned", "(not set)", "(not set)", "(not set)", ""),
]


def channel_of(row: tuple[str, str, str, str]) -> str:
    """Render the macro alone and let DuckDB decide one row."""
    names = ("source", "medium", "campaign", "category")
    environment = templates._environment()
    sql = environment.from_string(
        "{% from 'staging/_traffic.sql' import channel_group %}"
        "SELECT {{ channel_group(channel_groups, 'd' | identifier) }} AS channel_group "
        "FROM (SELECT @source AS source, @medium AS medium, @campaign AS campaign, @category AS category) AS d"
    ).render(**session_structure(RULES))
    params = {**channel_params(RULES), **dict(zip(names, row, strict=True))}
    types = tuple((name, "STRING" if isinstance(value, str) else "ARRAY<STRING>") for name, value in params.items())
    with duckdb.connect() as connection:
        return connection.execute(to_duckdb(sql, types), params).fetchall()[0][0]


@pytest.mark.parametrize(("group", "source", "medium", "campaign", "category"), CHANNELS)
def test_each_channel_rule_names_its_group(group, source, medium, campaign, category):
    assert channel_of((source, medium, campaign, category)) == group


# What others publish as right, by source, medium and campaign alone: examples that Velir's dbt package for GA4 tests,
# and usual tags of ad platforms, newsletters and link builders. One of Velir's is left out: ("alibaba", no medium) is
# Paid Shopping there, although Google's definition asks every paid channel for a paid medium.
PUBLISHED = [
    ("Direct", "(direct)", "(none)", ""),
    ("Direct", "(direct)", "(not set)", ""),
    ("Cross-network", "some-source", "some-medium", "some-cross-network-campaign"),
    ("Cross-network", "some-source", "some-medium", "cross-network"),
    ("Paid Shopping", "some-source", "retargeting", "shopping"),
    ("Paid Search", "google", "ppc", ""),
    ("Paid Search", "bing", "cpc", "brand"),
    ("Paid Social", "facebook", "retargeting", ""),
    ("Paid Social", "facebook", "paid_social", "spring"),
    ("Paid Social", "pinterest", "paid_social", "omnibus"),
    ("Paid Social", "linkedin", "paid_social", "blog_promo"),
    ("Paid Social", "tiktok", "cpc", "launch"),
    ("Paid Video", "youtube.com", "paid-something", ""),
    ("Display", "youtube.com", "display", ""),
    ("Paid Other", "some-source", "cpc", ""),
    ("Organic Shopping", "google shopping", "", ""),
    ("Organic Shopping", "some-source", "", "some-shopping-campaign"),
    ("Organic Social", "facebook", "", ""),
    ("Organic Social", "some-source", "social", ""),
    ("Organic Social", "linkedin", "social", "program_evaluator"),
    ("Organic Social", "instagram", "story", ""),
    ("Organic Video", "youtube.com", "", ""),
    ("Organic Video", "some-source", "video", ""),
    ("Organic Search", "bing", "", ""),
    ("Organic Search", "some-source", "organic", ""),
    ("Referral", "some-source", "referral", ""),
    ("Email", "email", "", ""),
    ("Email", "", "e mail", ""),
    ("Email", "newsletter", "email", "weekly_update"),
    ("Affiliates", "some-source", "affiliate", ""),
    ("Audio", "some-source", "audio", ""),
    ("SMS", "sms", "", ""),
    ("SMS", "", "sms", ""),
    ("Mobile Push Notifications", "some-source", "something-push", ""),
    ("Mobile Push Notifications", "some-source", "mobile-notification", ""),
    ("Mobile Push Notifications", "firebase", "", ""),
    ("Unassigned", "some-source", "some-medium", "some-campaign"),
]


@pytest.mark.parametrize(("group", "source", "medium", "campaign"), PUBLISHED)
def test_published_examples_fall_into_the_group_that_they_name(group, source, medium, campaign):
    assert channel_of((source, medium, campaign, RULES.categories.get(source, ""))) == group


def test_every_channel_group_has_a_case():
    assert {row[0] for row in CHANNELS} == {*ORDER, "Unassigned"}


def test_channel_groups_keep_the_order_of_ga4():
    assert tuple(group.name for group in RULES.groups) == ORDER
    assert RULES.fallback == "Unassigned"


def test_everything_the_channel_rules_compare_with_is_lower_case():
    values = [value for group in RULES.groups for test in group.tests for value in test.values]
    aliases = [alias for click in RULES.click_ids for alias in click.aliases]
    assert [text for text in (*values, *RULES.categories, *aliases) if text != text.lower()] == []


def test_rules_name_only_fields_patterns_and_categories_that_exist():
    tests = [test for group in RULES.groups for test in group.tests]
    assert {test.field for test in tests} <= {"source", "medium", "campaign", "category"}
    assert {test.pattern for test in tests if test.pattern} == set(RULES.patterns)
    named = {value for test in tests if test.field == "category" for value in test.values}
    assert named == set(RULES.categories.values())
    assert all(re.compile(pattern) for pattern in RULES.patterns.values())


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("shop.example", True),
        ("www.shop.example", True),
        ("pay.shop.example", True),
        ("b.shop.co.uk", True),
        ("shop.co.uk", True),
        ("co.uk", False),
        ("other.co.uk", False),
        ("notshop.example", False),
        ("shop.example.org", False),
        ("a.shop.b.example", True),
        ("shop.b.example", True),
        ("b.example", True),
        ("c.b.example", False),
    ],
)
def test_own_hosts_are_those_of_pages_what_lies_below_and_the_domains_above(host: str, is_own: bool):
    found = own_hosts.pattern(["shop.example", "b.shop.co.uk", "a.shop.b.example"], RULES)
    assert bool(re.search(found, host)) is is_own
    assert bool(re.search(found, f"x.test {host}")) is is_own
    assert bool(re.search(found, f"{host} x.test")) is is_own
    assert not re.search(own_hosts.pattern([], RULES), host)


def test_a_page_on_a_host_that_is_a_known_source_does_not_make_it_the_property_s_own():
    seen = ["www.google.com", "cache.google.com", "facebook.com", "shop.example", "sites.google.com"]
    found = own_hosts.learnt(dict.fromkeys((*seen, "unseen.example"), 1) | {"unseen.example": 0}, RULES)
    assert found == {"shop.example"}
    # Somebody's blog there is his own, and the domain above it is not.
    blog = own_hosts.pattern(own_hosts.learnt({"foo.blogspot.com": 3}, RULES), RULES)
    assert re.search(blog, "foo.blogspot.com")
    assert not re.search(blog, "blogspot.com")
    assert not re.search(blog, "other.blogspot.com")


def test_hosts_that_the_configuration_names_are_own_whatever_is_known_of_them():
    own = OwnHosts.of_batch([{"host": "a.test", "events_before": 0, "events_now": 2}], ["etsy.com"], RULES)
    assert re.search(own.pattern, "etsy.com")
    assert re.search(own.pattern, "a.test")
    assert own.changed is not None
    assert re.search(own.changed, "a.test")
    assert not re.search(own.changed, "etsy.com")
    unchanged = OwnHosts.of_batch([{"host": "a.test", "events_before": 1, "events_now": 2}], ["etsy.com"], RULES)
    assert unchanged.changed is None


def test_of_very_many_hosts_those_with_most_events_are_learnt():
    hosts = {f"h{number:04}.example": number + 1 for number in range(MOST_LEARNT + 50)}
    found = own_hosts.learnt(hosts, RULES)
    assert len(found) == MOST_LEARNT
    assert "h0049.example" not in found
    assert "h0050.example" in found


def test_categories_hold_googles_list_and_ai_assistants():
    count = {name: list(RULES.categories.values()).count(name) for name in set(RULES.categories.values())}
    assert count["search"] >= 129
    assert count["social"] >= 592
    assert count["video"] >= 46
    assert count["shopping"] >= 52
    assert RULES.categories["chatgpt.com"] == "ai_assistant"
    assert all(RULES.categories[engine] == "search" for engine in RULES.search_engines if engine in RULES.categories)


def test_click_ids_name_a_platform_that_google_can_place():
    assert len({click.click_id for click in RULES.click_ids}) == len(RULES.click_ids)
    assert {click.kind for click in RULES.click_ids} == {"paid", "free", "unknown"}
    for click in RULES.click_ids:
        assert click.source in click.aliases
    assert all(click.source in RULES.categories for click in RULES.click_ids if click.kind != "paid")


def test_click_pattern_finds_the_last_click_id_of_an_address():
    pattern = re.compile(str(session_params(RULES)["click_pattern"]))

    def found(address: str) -> str | None:
        match = pattern.match(address)
        return match and match.group(1)

    assert found("https://shop.example/?gclid=a&fbclid=b") == "fbclid"
    assert found("https://shop.example/?x=1&gclid=a#top") == "gclid"
    assert found("https://shop.example/?gclid=") is None
    assert found("https://shop.example/?xgclid=a") is None


TYPES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMPTZ",
}
FIRST_DAY = date(2021, 1, 1)


def session_query(own: OwnHosts) -> templates.Query:
    return templates.query(
        "staging/sessions",
        params={
            "key_events": ["purchase"],
            "lookback_us": 3 * 86_400 * 10**6,
            "own_hosts": own.pattern,
            **session_params(RULES),
        },
        structure={**session_structure(RULES), "has_key_pattern": False},
    )


def on_duckdb(query: templates.Query) -> tuple[str, dict[str, Any]]:
    types = tuple((name, kind) for name, (kind, _) in query.params.items())
    return to_duckdb(query.sql, types), {name: value for name, (_, value) in query.params.items()}


def columns_of(table: str) -> str:
    return ", ".join(f"{column.name} {TYPES[column.type]}" for column in mc_tables.TABLES[table].columns)


class Staging:
    """What a caller of the template does: replaces days of events, then the sessions of the clients they touch."""

    def __init__(self) -> None:
        self.connection = duckdb.connect(config={"threads": 1})
        self.connection.execute("SET TimeZone = 'UTC'")
        for name in ("mc_events", "changed_events", "neighbour_events"):
            self.connection.execute(f"CREATE TABLE {name} ({columns_of('mc_events')})")
        self.connection.execute(f"CREATE TABLE mc_sessions ({columns_of('mc_sessions')})")
        self.connection.execute("CREATE TABLE touched_sessions (session_key BIGINT, client_key BIGINT)")
        for name in ("mc_hosts", "page_hosts"):
            self.connection.execute(f"CREATE TABLE {name} ({columns_of('mc_hosts')})")

    def insert(self, table: str, query: templates.Query) -> None:
        sql, params = on_duckdb(query)
        self.connection.execute(f"INSERT INTO {table} BY NAME {sql}", params)

    def stage(self, days: list[date], events: list[dict[str, Any]]) -> None:
        """Replace `days`, whose events are now `events`."""
        run = self.connection.execute
        for name in ("changed_events", "neighbour_events", "touched_sessions", "page_hosts"):
            run(f"DELETE FROM {name}")
        for event in events:
            names = ", ".join(event)
            marks = ", ".join(f"${place}" for place in range(1, len(event) + 1))
            run(f"INSERT INTO changed_events ({names}) VALUES ({marks})", list(event.values()))
        self.insert("page_hosts", batch_queries.page_hosts("shop"))
        hosts = run(*on_duckdb(batch_queries.hosts_of_property("shop", days)))
        names = [column[0] for column in hosts.description]
        own = OwnHosts.of_batch([dict(zip(names, row, strict=True)) for row in hosts.fetchall()], (), RULES)
        self.insert("touched_sessions", batch_queries.touched_sessions("shop", days, own))
        run("DELETE FROM mc_events WHERE list_contains($1, event_date)", [days])
        run("INSERT INTO neighbour_events SELECT * FROM mc_events SEMI JOIN touched_sessions USING (session_key)")
        run("INSERT INTO mc_events SELECT * FROM changed_events")
        sql, params = on_duckdb(session_query(own))
        run(f"CREATE OR REPLACE TEMP TABLE rebuilt AS {sql}", params)
        run("DELETE FROM mc_sessions WHERE client_key IN (SELECT client_key FROM touched_sessions)")
        run("INSERT INTO mc_sessions SELECT * FROM rebuilt")
        run("DELETE FROM mc_hosts WHERE list_contains($1, event_date)", [days])
        run("INSERT INTO mc_hosts SELECT * FROM page_hosts")

    def sessions(self) -> list[tuple[str | None, ...]]:
        return self.connection.execute(
            "SELECT CAST(COLUMNS(*) AS VARCHAR) FROM mc_sessions ORDER BY session_key"
        ).fetchall()


def random_events(chance: random.Random, days: int) -> list[dict[str, Any]]:
    """A few clients whose sessions cross midnight, with every kind of evidence for their source."""
    evidence: list[dict[str, Any]] = [
        {},
        {},
        {"page_location": "https://shop.example/", "page_referrer": "https://www.google.com/"},
        {"page_location": "https://shop.example/?utm_source=mail&utm_medium=email"},
        {"page_location": "https://shop.example/?gclid=a"},
        {"page_location": "https://shop.example/b", "page_referrer": "https://pay.test/"},
        {"page_location": "https://shop.example/b", "page_referrer": "https://blog.test/", "ignores_referrer": True},
        {"page_location": "https://shop.example/b", "page_referrer": "https://news.test/"},
        {"traffic_rule": "event_params", "traffic_source": "blog.test", "traffic_medium": "referral"},
        {"traffic_rule": "ga4_last_click", "traffic_source": "pay.test", "traffic_medium": "referral"},
        {"traffic_rule": "collected", "traffic_source": "bing", "traffic_medium": "cpc"},
        {"traffic_rule": "event_params", "traffic_source": "(direct)", "traffic_medium": "(none)"},
        {"traffic_rule": "ga4_last_click", "traffic_source": "x", "traffic_medium": "y", "traffic_channel_group": "Z"},
        {"user_id": "ann"},
    ]
    midnight = datetime(FIRST_DAY.year, FIRST_DAY.month, FIRST_DAY.day, tzinfo=UTC)
    events = []
    # One second domain has pages on some days, another may have some in a first export alone.
    evidence += [{"page_location": "https://pay.test/x", "page_referrer": "https://shop.example/"}] * chance.randrange(
        2
    )
    for client in range(1, 5):
        for session in range(1, 5):
            start = chance.randrange(days * 24)
            for number in range(chance.randrange(1, 5)):
                event_at = midnight + timedelta(hours=start + 7 * number)
                order = int(event_at.timestamp()) * 10**9 + session * 10 + number
                event: dict[str, Any] = {
                    "property": "shop",
                    "event_date": event_at.date(),
                    "event_at": event_at,
                    "event_order": order,
                    "event_name": chance.choice(["page_view", "scroll", "purchase"]),
                    "client_key": client,
                    "session_key": client * 100 + session,
                    "user_pseudo_id": f"{client}.0",
                    "ga_session_id": session,
                    "is_provisional": chance.random() < 0.2,
                    **chance.choice(evidence),
                }
                events.append(event)
    return events


@pytest.mark.parametrize("seed", range(24))
def test_sessions_do_not_depend_on_the_order_in_which_days_arrive(seed):
    chance = random.Random(seed)
    events = random_events(chance, days=6)
    days = sorted({event["event_date"] for event in events})
    at_once, by_day = Staging(), Staging()
    at_once.stage(days, events)

    order = [*days, *chance.sample(days, 2)]
    chance.shuffle(order)
    # The first export of one day is another one: some of its sessions vanish when the right one arrives.
    wrong = [
        {
            **event,
            "session_key": event["session_key"] + 50,
            "ga_session_id": 51,
            "page_location": chance.choice(["https://blog.test/", "https://news.test/", "https://shop.example/"]),
        }
        for event in events[:6]
    ]
    by_day.stage([days[0]], [event for event in wrong if event["event_date"] == days[0]])
    for day in order:
        by_day.stage([day], [event for event in events if event["event_date"] == day])

    assert by_day.sessions() == at_once.sessions()
    assert len(at_once.sessions()) == len({event["session_key"] for event in events})
    rules = {row[mc_tables.SESSIONS.column_names.index("source_rule")] for row in at_once.sessions()}
    assert len(rules) >= 3, "the events must exercise the rules"


def test_a_session_is_output_once_and_in_the_columns_of_the_table():
    staging = Staging()
    staging.stage([FIRST_DAY], random_events(random.Random(1), days=3))
    names = [row[0] for row in staging.connection.execute("DESCRIBE rebuilt").fetchall()]
    keys = [row[0] for row in staging.connection.execute("SELECT session_key FROM rebuilt ORDER BY 1").fetchall()]
    assert tuple(names) == mc_tables.SESSIONS.column_names
    assert keys
    assert all(one < other for one, other in pairwise(keys))
