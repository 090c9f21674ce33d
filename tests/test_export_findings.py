"""What the staged export shows: sync, doctor and report say the same, and ask for it only when something was staged."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

import ga4
from commands import FIRST_DAY, microconv, shard, write_days
from microconv.config.load import load_config
from microconv.engines.duckdb import DuckDBEngine
from microconv.project import Project
from microconv.queries.templates import Query
from microconv.report import attention
from projects import write_config


def buy(folder: Path, *purchases: tuple[float, str | None], day: int = 0, in_usd: float | None = None) -> None:
    """Write a day of purchases, each of a client of its own."""
    date = FIRST_DAY + timedelta(days=day)
    noon = ga4.microseconds(f"{date} 12:00:00")
    events = [
        ga4.event(
            noon + place,
            "purchase",
            client=f"{place}.{day}",
            params={"value": value, **({"currency": currency} if currency is not None else {})},
            event_value_in_usd=in_usd,
        )
        for place, (value, currency) in enumerate(purchases)
    ]
    ga4.write_parquet(shard(folder, date), events)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project in US dollars."""
    write_config(tmp_path)
    return tmp_path


def found(folder: Path) -> dict[str, str]:
    """What sync finds, by check."""
    done = microconv(folder, "sync", "--format", "json")
    assert done.code == 0, done
    return {finding["check"]: finding["message"] for finding in done.document["findings"]}


def test_an_export_that_agrees_with_the_configuration_has_no_findings(folder):
    buy(folder, (100.0, "USD"), (0.0, None))

    done = microconv(folder, "sync", "--format", "json")

    assert done.document["findings"] == []
    assert done.stderr == ""


def test_sync_doctor_and_report_say_the_same_of_several_currencies(folder):
    buy(folder, (100.0, "USD"), (10_000.0, "JPY"), (50.0, None))

    synced = microconv(folder, "sync", "--format", "json")

    assert [finding["check"] for finding in synced.document["findings"]] == ["currency", "value_without_currency"]
    currency, without = (finding["message"] for finding in synced.document["findings"])
    assert "1 of 3 in JPY (10,000.00 JPY)" in currency
    assert "1 of 3 values in the export name no currency" in without
    assert currency in synced.stderr
    assert without in synced.stderr
    with Project(load_config(folder / "microconv.toml", {})) as project:
        said = {finding.check: finding.message for finding in attention(project.report_data())}
    assert (said["currency"], said["value_without_currency"]) == (currency, without)
    checks = microconv(folder, "doctor", "--format", "json").document["checks"]
    checked = [check for check in checks if check["check"] == "staged export"]
    assert [check["severity"] for check in checked] == ["warning", "warning"]
    assert [check["message"] for check in checked] == [currency, without]
    assert [check["remedy"] for check in checked] == [finding["remedy"] for finding in synced.document["findings"]]


def test_a_shop_in_one_other_currency_is_told_what_to_set(folder):
    buy(folder, (100.0, "EUR"), (20.0, "EUR"))

    done = microconv(folder, "sync", "--format", "json")

    (finding,) = done.document["findings"]
    assert finding["message"].startswith("Every value in the export is in EUR, and project.currency is USD")
    assert finding["remedy"] == "Set project.currency to EUR."


def test_ga4s_own_conversion_is_told_where_the_project_is_in_us_dollars(folder):
    buy(folder, (100.0, "EUR"), (20.0, "EUR"), (1.0, None), in_usd=2.0)

    (finding,) = microconv(folder, "sync", "--format", "json").document["findings"]
    assert finding["severity"] == "note"
    assert finding["message"].endswith("They count with GA4's own conversion to US dollars.")

    config = folder / "microconv.toml"
    config.write_text(config.read_text().replace("[project]", '[project]\ncurrency = "CHF"'))
    assert found(folder)["currency"].endswith("They do not count as CHF: currencies are never added up.")
    assert "1 of 3 values in the export name no currency" in found(folder)["value_without_currency"]


def test_values_without_a_currency_can_be_assumed_to_be_in_the_projects(folder):
    buy(folder, (100.0, "USD"), (20.0, None))
    config = folder / "microconv.toml"
    config.write_text(config.read_text().replace("[project]", "[project]\nassume_currency = true"))

    (finding,) = microconv(folder, "sync", "--format", "json").document["findings"]

    assert (finding["severity"], finding["check"]) == ("note", "value_without_currency")
    assert "count as USD" in finding["message"]


def test_findings_follow_the_configuration_without_another_look_at_the_export(folder):
    buy(folder, (100.0, "EUR"))
    assert list(found(folder)) == ["currency"]

    config = folder / "microconv.toml"
    config.write_text(config.read_text().replace("[project]", '[project]\ncurrency = "EUR"'))

    assert found(folder) == {}


def test_a_sync_that_stages_nothing_does_not_ask_again_and_still_tells(folder, monkeypatch):
    asked: list[str] = []
    query = DuckDBEngine.query

    def noted(engine: DuckDBEngine, each: Query) -> object:
        asked.append(each.name)
        return query(engine, each)

    monkeypatch.setattr(DuckDBEngine, "query", noted)
    buy(folder, (100.0, "EUR"))
    findings = []
    for _ in range(2):
        with Project(load_config(folder / "microconv.toml", {})) as project:
            findings.append(project.sync().findings)
    buy(folder, (100.0, "USD"), day=1)
    with Project(load_config(folder / "microconv.toml", {})) as project:
        findings.append(project.sync().findings)

    assert asked.count("operations/export_facts") == 2
    assert findings[0] == findings[1] != findings[2]


def test_what_a_run_before_a_failed_one_saw_is_not_believed(folder):
    buy(folder, (100.0, "EUR"))
    found(folder)
    buy(folder, (100.0, "USD"), day=1)
    broken = shard(folder, FIRST_DAY + timedelta(days=2))
    broken.write_bytes(b"not Parquet")
    assert microconv(folder, "sync").code == 3
    broken.unlink()

    assert "1 of 2 in EUR" in found(folder)["currency"]


def test_doctor_has_nothing_to_say_before_the_first_sync_or_where_all_is_well(folder):
    def checked() -> dict[str, str]:
        checks = microconv(folder, "doctor", "--format", "json").document["checks"]
        (check,) = (each for each in checks if each["check"] == "staged export")
        return check

    write_days(folder, 1)
    assert checked()["severity"] == "not_tested"
    assert microconv(folder, "sync").code == 0
    assert checked()["severity"] == "ok"


def visit(folder: Path, *sessions: tuple[str, str | None], day: int = 0) -> None:
    """Write a day of first sessions: page and referrer of each."""
    date = FIRST_DAY + timedelta(days=day)
    noon = ga4.microseconds(f"{date} 12:00:00")
    events = [
        ga4.event(
            noon + place,
            "page_view",
            client=f"{place}.{day}",
            params={"page_location": page, **({"page_referrer": referrer} if referrer else {})},
        )
        for place, (page, referrer) in enumerate(sessions)
    ]
    ga4.write_parquet(shard(folder, date), events)


def test_visits_from_own_hosts_are_told_with_the_hosts(folder):
    own, other = "https://shop.example/", "https://pay-shop.test/"
    visit(folder, (own, None), (other, own), (other, own), (own, other), (own, "https://www.google.com/"))

    done = microconv(folder, "sync", "--format", "json")

    (finding,) = done.document["findings"]
    assert finding["check"] == "self_referral"
    assert "3 of 5 sessions (60.0%), with 0 conversions" in finding["message"]
    assert "shop.example (2) and pay-shop.test (1)" in finding["message"]
    assert "unwanted referrals" in finding["remedy"]
    channels = microconv(folder, "channels", "--format", "json").document["channels"]
    assert {row["channel_group"]: row["sessions"] for row in channels} == {"Direct": 4, "Organic Search": 1}


def test_few_visits_from_own_hosts_are_not_worth_a_word(folder):
    own, other = "https://shop.example/", "https://pay-shop.test/"
    visit(folder, *[(own, None)] * 58, (other, own))
    visit(folder, *[(own, None)] * 42, day=1)

    assert found(folder) == {}


def test_placeholders_and_clients_without_a_session_are_told(folder):
    noon = ga4.microseconds(f"{FIRST_DAY} 12:00:00")
    paid = {"value": 1.0, "currency": "USD"}
    events = [
        ga4.event(noon, "purchase", client="1.1", params={**paid, "transaction_id": "undefined"}),
        ga4.event(noon + 1, "purchase", client="2.2", params={**paid, "transaction_id": "T1"}),
        ga4.event(noon + 2, "page_view", client="undefined"),
        ga4.event(noon + 3, "page_view", client="3.3", session=None),
    ]
    ga4.write_parquet(shard(folder, FIRST_DAY), events)

    done = microconv(folder, "sync", "--format", "json")

    told = {(each["check"], each["subject"]): each["message"] for each in done.document["findings"]}
    assert told["placeholder_ids", "transaction_id"].startswith("1 of 2 values of transaction_id")
    assert told["placeholder_ids", "user_pseudo_id"].startswith("1 of 4 values of user_pseudo_id")
    assert told["clients_without_session", ""].startswith("1 of 4 events")
    assert ("placeholder_ids", "user_id") not in told
