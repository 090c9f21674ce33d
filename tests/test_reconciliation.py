"""A staged export is held against GA4 by the real client: what agrees, what does not, why, and what hinders it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from analytics_server import AnalyticsServer, GoogleProperty, Refuse
from bigquery_export import Export
from emulator import Emulator
from ga4 import event, microseconds, shard_name, write_parquet
from microconv import Project
from microconv.audit.reconciliation.export_figures import Ask
from microconv.audit.reconciliation.reconcile import NOT_CONFIGURED, Reconciliation, reconcile
from microconv.cli import cli
from projects import write_bigquery_config, write_config

FIRST = date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(10)]
NOW = datetime(2026, 3, 20, tzinfo=UTC)
NAMES = ("session_start", "page_view", "page_view", "view_item", "purchase")


def day_of_events(day: date, clients: int) -> list[dict]:
    noon = microseconds(f"{day} 12:00:00")
    return [
        event(
            noon + client * 1_000_000 + step * 1_000,
            name,
            client=f"{client}.7",
            session=int(f"{day:%m%d}{client:03d}"),
            params={"page_location": f"https://shop.example/{name}/{step}", "engagement_time_msec": 400}
            | ({"value": 20.0, "currency": "EUR", "transaction_id": f"{day}-{client}"} if name == "purchase" else {}),
        )
        for client in range(clients)
        for step, name in enumerate(NAMES)
    ]


def clients_on(day: date) -> int:
    return 20 + day.day


def model() -> GoogleProperty:
    """What GA4 shows of the same days, counted apart from any query of ours."""
    by_day, by_event = {}, {}
    for day in DAYS:
        clients = clients_on(day)
        by_day[f"{day:%Y%m%d}",] = {
            "eventCount": 5 * clients,
            "sessions": clients,
            "totalUsers": clients,
            "activeUsers": clients,
            "screenPageViews": 2 * clients,
            "totalRevenue": 20.0 * clients,
            "transactions": clients,
        }
        for name in set(NAMES):
            by_event[f"{day:%Y%m%d}", name] = {"eventCount": NAMES.count(name) * clients}
    most = max(clients_on(day) for day in DAYS)
    whole = {name: sum(each[name] for each in by_day.values()) for name in by_day["20260301",]}
    whole |= {"totalUsers": most, "activeUsers": most}
    return GoogleProperty(
        timezone="UTC",
        tables={
            ("date",): by_day,
            (): {(): whole},
            ("date", "eventName"): by_event,
            ("country",): {("(not set)",): whole},
            ("sessionDefaultChannelGroup",): {("Direct",): whole},
        },
    )


@pytest.fixture
def server() -> Iterator[AnalyticsServer]:
    with AnalyticsServer(model()) as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reconciled")
    (made / "exports").mkdir()
    for day in DAYS:
        write_parquet(made / "exports" / f"{shard_name(day)}.parquet", day_of_events(day, clients_on(day)))
    with Project.load(configured(made)) as project:
        project.sync()
    return made


def configured(folder: Path, keys: str = "") -> Path:
    path = write_config(folder, exports="exports/events_*.parquet", extra=keys)
    path.write_text(path.read_text().replace('timezone = "UTC"', 'timezone = "UTC"\ncurrency = "EUR"'))
    return path


def run(folder: Path, server: AnalyticsServer, transport: str = "rest", keys: str = "") -> Reconciliation:
    table = f'[audit.reconcile]\nga4_property = "123456"\nendpoint = "{server.url(transport)}"\n'
    path = configured(folder, f'{table}transport = "{transport}"\n{keys}')
    with Project.load(path) as project:
        return reconcile(project.config, asker(project), now=NOW)


def asker(project: Project) -> Ask:
    return lambda query: project.engine.query(query).to_pylist()


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_an_export_that_agrees_with_ga4_has_no_findings(folder: Path, server: AnalyticsServer, transport: str):
    found = run(folder, server, transport)

    assert (found.findings, found.not_tested) == ((), ())
    assert (found.first_date, found.last_date) == (DAYS[0], DAYS[-1])
    told = {each.name: (each.ours, each.theirs) for each in found.figures}
    assert told["events"] == (1275, 1275)
    assert told["users"] == (30, 30)
    assert told["revenue"] == (5100, 5100)
    assert len(server.requests) == 5


def test_nothing_is_summed_and_the_newest_days_are_left_out(folder: Path, server: AnalyticsServer):
    table = f'[audit.reconcile]\nga4_property = "123456"\nendpoint = "{server.rest}"\ntransport = "rest"\ndays = 4\n'
    with Project.load(configured(folder, table)) as project:
        found = reconcile(project.config, asker(project), now=datetime(2026, 3, 11, 12, tzinfo=UTC))

    # Of the days up to the 10th, those of the 8th to 10th are the newest three.
    assert (found.first_date, found.last_date) == (date(2026, 3, 4), date(2026, 3, 7))
    asked = {tuple(each.name for each in request.dimensions) for request in server.requests}
    assert asked == {("date",), (), ("date", "eventName"), ("country",), ("sessionDefaultChannelGroup",)}
    assert all(request.return_property_quota for request in server.requests)


def test_a_gap_says_which_figure_how_much_why_and_what_to_do(folder: Path, server: AnalyticsServer):
    for row in (server.model.tables["date",]["20260305",], server.model.tables["date",]["20260306",]):
        row["eventCount"] -= 40
    (finding,) = run(folder, server).findings

    assert (finding.cause, finding.severity) == ("unexplained", "warning")
    assert (finding.first_date, finding.last_date, finding.count) == (date(2026, 3, 5), date(2026, 3, 6), 80)
    assert finding.message == (
        "From 5 to 6 March 2026 GA4 shows 175 events, the export 255 (45.7% more): no cause left a mark."
    )
    assert "explorations" in finding.remedy


def test_settings_that_differ_are_found_where_no_figure_does(folder: Path, server: AnalyticsServer):
    server.model.timezone = "Europe/Berlin"
    server.model.currency = "USD"
    found = run(folder, server).findings

    assert [(each.cause, each.severity) for each in found] == [("time_zone", "error"), ("currency", "error")]
    assert found[0].message == "The property's time zone in GA4 is Europe/Berlin, and project.timezone says UTC."


def test_a_missing_event_is_named(folder: Path, server: AnalyticsServer):
    for day in DAYS:
        server.model.tables["date",][f"{day:%Y%m%d}",]["eventCount"] += 15
        server.model.tables["date", "eventName"][f"{day:%Y%m%d}", "consent_banner"] = {"eventCount": 15}
    (finding,) = run(folder, server).findings

    assert (finding.cause, finding.subject, finding.count) == ("filter", "consent_banner", 150)
    assert "GA4 shows 150 events of consent_banner, the export 0" in finding.message


def test_another_property_is_suspected_where_all_days_differ(folder: Path, server: AnalyticsServer):
    for number, row in enumerate(server.model.tables["date",].values()):
        row["eventCount"] = 3 + 4 * (number * 7 % 10)
    found = run(folder, server).findings
    assert "audit.reconcile.ga4_property is the property that this export comes from" in found[-1].remedy


REASONS = {
    "no permission": ([Refuse(403)], "may not read GA4 property 123456"),
    "wrong property": ([Refuse(404)], "GA4 knows no property 123456"),
    "quota spent": ([Refuse(429)], "quota of GA4 property 123456 is spent"),
    "server errors": ([Refuse(500)] * 2, "failed with server errors"),
}


@pytest.mark.parametrize("what", REASONS)
def test_what_stands_in_the_way_is_said_and_not_raised(what: str, folder: Path, server: AnalyticsServer):
    faults, reason = REASONS[what]
    server.faults.extend(faults)
    found = run(folder, server)

    assert found.findings == ()
    assert len(found.not_tested) == 1
    assert reason in found.not_tested[0]


def test_a_quota_that_runs_low_leaves_the_rest_untested(folder: Path, server: AnalyticsServer):
    server.model.tokens["tokens_per_hour"] = 520
    for row in server.model.tables["date",].values():
        row["eventCount"] *= 2
    found = run(folder, server)

    assert found.findings, "what was answered is compared"
    assert "Without the reports by event, country and channel" in found.not_tested[0]
    assert "nearly spent" in found.not_tested[0]
    assert not server.model.is_locked
    assert server.model.tokens["tokens_per_hour"] >= 500


def test_a_property_without_data_is_not_a_pass(folder: Path, server: AnalyticsServer):
    server.model.tables.clear()
    found = run(folder, server)
    assert "GA4 property 123456 shows nothing for 1 to 10 March 2026" in found.not_tested[0]


def test_without_configuration_it_says_which_key_is_missing(folder: Path):
    with Project.load(configured(folder)) as project:
        assert reconcile(project.config, lambda _: [], now=NOW).not_tested == (NOT_CONFIGURED,)


def test_without_an_old_day_it_says_so(folder: Path, server: AnalyticsServer):
    path = configured(folder, f'[audit.reconcile]\nga4_property = "123456"\nendpoint = "{server.rest}"\n')
    with Project.load(path) as project:
        found = reconcile(project.config, lambda _: [], now=NOW)
    assert "No staged day is old enough" in found.not_tested[0]
    assert not server.requests


def test_revenue_that_the_role_hides_is_not_compared(folder: Path, server: AnalyticsServer):
    from google.analytics.data_v1beta import ResponseMetaData

    restriction = ResponseMetaData.SchemaRestrictionResponse.ActiveMetricRestriction(metric_name="totalRevenue")
    server.model.said["date",] = {
        "schema_restriction_response": ResponseMetaData.SchemaRestrictionResponse(
            active_metric_restrictions=[restriction]
        )
    }
    for row in server.model.tables["date",].values():
        row["totalRevenue"] = 0
    found = run(folder, server)

    assert found.findings == ()
    assert found.not_tested == ("Without revenue: the role of these credentials in GA4 hides them.",)


def test_a_sample_is_no_unexplained_gap(folder: Path, server: AnalyticsServer):
    from google.analytics.data_v1beta import SamplingMetadata

    server.model.said["date",] = {
        "sampling_metadatas": [SamplingMetadata(samples_read_count=10, sampling_space_size=100)]
    }
    server.model.tables["date",]["20260305",]["eventCount"] += 30
    (finding,) = run(folder, server).findings
    assert (finding.cause, finding.severity) == ("sampling", "note")


@pytest.mark.parametrize("number", ['"G-ABC"', '""', "true", '"12"', "-5"])
def test_a_number_that_is_not_a_property_is_refused(number: str, tmp_path: Path):
    from microconv.errors import ConfigError

    path = write_config(tmp_path, extra=f"[audit.reconcile]\nga4_property = {number}\n")
    with pytest.raises(ConfigError, match="not the number of a GA4 property"):
        Project.load(path)


@pytest.mark.parametrize("number", ['"123456"', "123456", '"properties/123456"'])
def test_a_property_may_be_written_as_ga4_writes_it(number: str, tmp_path: Path):
    path = write_config(tmp_path, extra=f"[audit.reconcile]\nga4_property = {number}\n")
    settings = Project.load(path).config.audit.reconcile
    assert settings is not None
    assert (settings.ga4_property, settings.property) == ("123456", "p1")


def test_credentials_are_not_sent_in_the_clear(tmp_path: Path):
    from microconv.errors import ConfigError

    keys = '[audit.reconcile]\nga4_property = "123456"\nendpoint = "http://analytics.example.com"\n'
    with pytest.raises(ConfigError, match="must begin with https://"):
        Project.load(write_config(tmp_path, extra=keys))


def test_several_properties_need_a_label(tmp_path: Path):
    from microconv.errors import ConfigError

    other = '[[sources]]\nproperty = "p2"\npath = "other/events_*"\n'
    keys = f'{other}[audit.reconcile]\nga4_property = "123456"\n'
    with pytest.raises(ConfigError, match="is required where there are several: p1, p2"):
        Project.load(write_config(tmp_path, extra=keys))
    settings = Project.load(write_config(tmp_path, extra=f'{keys}property = "p2"\n')).config.audit.reconcile
    assert settings is not None
    assert settings.property == "p2"


def audited(folder: Path, keys: str, *options: str) -> Any:
    path = configured(folder, keys)
    return CliRunner().invoke(cli, ["--config", str(path), "audit", "--only", "ga4_figures", *options])


def keys_of(server: AnalyticsServer, transport: str = "rest") -> str:
    where = f'endpoint = "{server.url(transport)}"\ntransport = "{transport}"\n'
    return f'[audit.reconcile]\nga4_property = "123456"\n{where}'


@pytest.mark.parametrize("transport", ["grpc", "rest"])
def test_the_audit_holds_the_export_against_ga4(folder: Path, server: AnalyticsServer, transport: str):
    done = audited(folder, keys_of(server, transport), "--format", "json")
    (check,) = json.loads(done.output)["checks"]

    assert (done.exit_code, check["status"], check["findings"]) == (0, "passed", 0)


def test_the_audit_tells_a_gap_and_fails_by_it(folder: Path, server: AnalyticsServer):
    server.model.currency = "USD"
    done = audited(folder, keys_of(server), "--format", "json")
    (finding,) = json.loads(done.stdout)["findings"]

    assert done.exit_code == 1
    assert finding["check"] == "ga4_figures"
    assert (finding["severity"], finding["first_date"], finding["last_date"]) == ("error", "2026-03-01", "2026-03-10")
    assert "currency in GA4 is USD" in finding["message"]
    assert finding["remedy"].startswith("Set project.currency to USD")
    assert "mc_events" in finding["query"]


@pytest.mark.parametrize("what", REASONS)
def test_an_audit_that_cannot_ask_ga4_is_not_a_pass_and_not_an_error(what: str, folder: Path, server: AnalyticsServer):
    faults, reason = REASONS[what]
    server.faults.extend(faults)
    done = audited(folder, keys_of(server), "--format", "json")
    (check,) = json.loads(done.output)["checks"]

    assert (done.exit_code, check["status"]) == (0, "not_tested")
    assert reason in check["reason"]


def test_an_audit_without_a_ga4_property_says_which_key_is_missing(folder: Path):
    done = audited(folder, "")
    assert done.exit_code == 0
    assert "set `ga4_property` under" in " ".join(done.output.split())


def test_both_engines_find_the_same(emulator: Emulator, server: AnalyticsServer, tmp_path: Path):
    server.model.tables["date",]["20260302",]["eventCount"] -= 40
    server.model.timezone = "Europe/Berlin"
    export = Export(emulator, emulator.client(), tmp_path)
    (tmp_path / "exports").mkdir()
    for day in DAYS[:3]:
        export.put(shard_name(day), day_of_events(day, 5))
        write_parquet(tmp_path / "exports" / f"{shard_name(day)}.parquet", day_of_events(day, 5))
    on_bigquery = write_bigquery_config(
        tmp_path, emulator, dataset=emulator.dataset(), exports=export.dataset, extra=keys_of(server)
    )
    found = []
    on_bigquery.write_text(on_bigquery.read_text().replace('timezone = "UTC"', 'timezone = "UTC"\ncurrency = "EUR"'))
    for path in (on_bigquery, configured(tmp_path, keys_of(server))):
        with Project.load(path) as project:
            project.sync()
            found.append(reconcile(project.config, asker(project), now=NOW))

    assert found[0].findings[0].cause == "time_zone"
    assert found[0].figures[0].ours == 75
    assert found[0].figures == found[1].figures
    assert found[0].findings == found[1].findings
