"""GA4's Data API by the real client, gRPC and REST, against a server on loopback that pages, refuses and locks."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.analytics import data_v1beta as api
from tenacity import Retrying, stop_after_attempt, wait_none

from analytics_server import AnalyticsServer, CutOff, Fault, GoogleProperty, Refuse, Slow
from microconv.clients.analytics_access import Access
from microconv.clients.analytics_data import TRIES, AnalyticsData, Report
from microconv.errors import AnalyticsError

FIRST = date(2026, 3, 1)
DAYS = [FIRST + timedelta(days=n) for n in range(28)]
BY_DAY = Report(("date",), ("eventCount", "sessions"), FIRST, DAYS[-1])
BY_EVENT = Report(("date", "eventName"), ("eventCount",), FIRST, DAYS[-1])
NO_WAIT = Retrying(wait=wait_none(), stop=stop_after_attempt(TRIES))


def model() -> GoogleProperty:
    by_day = {(f"{day:%Y%m%d}",): {"eventCount": 1000 + n, "sessions": 90.0} for n, day in enumerate(DAYS)}
    by_event = {(f"{day:%Y%m%d}", f"event_{n:02d}"): {"eventCount": 10 + n} for day in DAYS for n in range(30)}
    return GoogleProperty(tables={("date",): by_day, ("date", "eventName"): by_event, (): {(): {"sessions": 5}}})


@pytest.fixture
def server() -> Iterator[AnalyticsServer]:
    with AnalyticsServer(model()) as started:
        yield started


@pytest.fixture(params=["grpc", "rest"])
def transport(request: pytest.FixtureRequest) -> str:
    return request.param


def client(server: AnalyticsServer, transport: str, **more: object) -> AnalyticsData:
    access = Access("123456", endpoint=server.url(transport), transport=transport, timeout_seconds=5, page_rows=100)
    return AnalyticsData(Access(**(vars(access) | more)), retrying=NO_WAIT)


def test_a_report_over_many_pages_is_whole(server: AnalyticsServer, transport: str):
    answer = client(server, transport).report(BY_EVENT)

    assert len(answer.rows) == 28 * 30
    assert answer.rows["20260302", "event_07"] == (17.0,)
    assert len(server.requests) == 9
    assert {request.offset for request in server.requests} == set(range(0, 900, 100))


def test_a_report_without_dimensions_is_one_row(server: AnalyticsServer, transport: str):
    assert client(server, transport).report(Report((), ("sessions",), FIRST, FIRST)).rows == {(): (5.0,)}


def test_days_are_asked_for_with_both_ends(server: AnalyticsServer, transport: str):
    answer = client(server, transport).report(Report(("date",), ("eventCount",), DAYS[2], DAYS[3]))
    assert list(answer.rows) == [("20260303",), ("20260304",)]


def test_what_the_api_says_of_a_report_is_kept(server: AnalyticsServer, transport: str):
    restriction = api.ResponseMetaData.SchemaRestrictionResponse.ActiveMetricRestriction(metric_name="totalRevenue")
    server.model.said["date",] = {
        "subject_to_thresholding": True,
        "data_loss_from_other_row": True,
        "sampling_metadatas": [api.SamplingMetadata(samples_read_count=1, sampling_space_size=4)],
        "empty_reason": "none",
        "schema_restriction_response": api.ResponseMetaData.SchemaRestrictionResponse(
            active_metric_restrictions=[restriction]
        ),
    }
    answer = client(server, transport).report(BY_DAY)

    assert (answer.timezone, answer.currency) == ("Europe/Berlin", "EUR")
    assert answer.is_thresholded
    assert answer.has_other_row
    assert answer.sampled_share == 0.25
    assert answer.empty_reason == "none"
    assert answer.restricted == ("totalRevenue",)


def test_rows_that_are_missing_from_what_was_announced_are_an_error(server: AnalyticsServer, transport: str):
    server.lost_rows = 1
    with pytest.raises(AnalyticsError, match="announced 28 rows of a report and gave 27"):
        client(server, transport).report(BY_DAY)


REFUSED = {
    "no permission": (Refuse(403), "may not read GA4 property 123456", "role Viewer"),
    "not enabled": (Refuse(403, "SERVICE_DISABLED"), "is not enabled", "gcloud services enable"),
    "wrong scopes": (Refuse(403, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"), "not for reading Google Analytics", "analytics.r"),
    "no such property": (Refuse(404), "GA4 knows no property 123456", "audit.reconcile.ga4_property"),
    "not valid": (Refuse(400), "did not accept a request for property 123456", "Property details"),
    "expired": (Refuse(401), "did not accept the credentials", "gcloud auth application-default login"),
    "quota spent": (Refuse(429), "quota of GA4 property 123456 is spent", "each hour"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_refusal_is_told_in_words_and_not_tried_again(what: str, server: AnalyticsServer, transport: str):
    fault, message, hint = REFUSED[what]
    server.faults.append(fault)
    with pytest.raises(AnalyticsError, match=message) as raised:
        client(server, transport).report(BY_DAY)
    assert hint in raised.value.hint
    assert server.calls == 1


@pytest.mark.parametrize("fault", [Refuse(503), Refuse(500), CutOff(), Refuse(429, message="concurrent requests")])
def test_what_passes_is_tried_again(fault: Fault, server: AnalyticsServer, transport: str):
    server.faults.append(fault)
    assert len(client(server, transport).report(BY_DAY).rows) == 28
    assert server.calls == 2


def test_an_answer_that_is_too_slow_is_tried_again_and_given_up(server: AnalyticsServer, transport: str):
    server.faults.extend([Slow(1.0)] * TRIES)
    with pytest.raises(AnalyticsError, match="did not answer in time"):
        client(server, transport, timeout_seconds=0.2).report(BY_DAY)
    assert 2 <= server.calls <= TRIES


@pytest.mark.parametrize("status", [500, 503])
def test_server_errors_end_a_run_before_they_lock_the_property(status: int, server: AnalyticsServer, transport: str):
    analytics = client(server, transport)
    server.faults.extend([Refuse(status)] * 30)
    for _ in range(5):
        with pytest.raises(AnalyticsError):
            analytics.report(BY_DAY)

    assert server.calls == 2
    assert not server.model.is_locked


def test_a_network_that_is_gone_is_told(server: AnalyticsServer, transport: str):
    gone = server.url(transport)
    server.__exit__()
    try:
        access = Access("123456", endpoint=gone, transport=transport, timeout_seconds=2)
        with pytest.raises(AnalyticsError, match="could not be reached"):
            AnalyticsData(access, retrying=NO_WAIT).report(BY_DAY)
    finally:
        server.__exit__ = lambda *_: None


@pytest.mark.parametrize("name", ["tokens_per_day", "tokens_per_hour", "tokens_per_project_per_hour"])
@pytest.mark.parametrize("left", [1_200, 520, 300])
def test_a_quota_that_is_nearly_spent_is_left_to_others(name: str, left: int, server: AnalyticsServer, transport: str):
    server.model.tokens[name] = left
    server.model.cost = 90
    with pytest.raises(AnalyticsError, match="nearly spent"):
        client(server, transport).report(BY_EVENT)

    assert not server.model.is_locked
    assert server.model.tokens[name] >= 200, "what was left at the first answer was not spent"


def test_other_quotas_are_left_to_others_as_well(server: AnalyticsServer, transport: str):
    server.model.server_errors = 3
    with pytest.raises(AnalyticsError, match="3 server errors of this hour left"):
        client(server, transport).report(BY_EVENT)
    server.model.server_errors, server.model.thresholded_requests = 10, 5
    with pytest.raises(AnalyticsError, match="5 requests of this hour"):
        client(server, transport).report(BY_EVENT)


def key_file(folder: Path, server: AnalyticsServer) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    file = folder / "key.json"
    file.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": "reader@example.iam.gserviceaccount.com",
                "private_key": pem,
                "private_key_id": "1",
                "token_uri": f"{server.rest}/token",
            }
        )
    )
    return file


def test_a_service_account_reads_and_its_token_is_never_logged(
    server: AnalyticsServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.DEBUG)
    server.token = "ya29.very-secret"
    file = key_file(tmp_path, server)
    assert client(server, "rest", credentials_file=file).report(BY_DAY).rows

    server.faults.append(Refuse(403, message="reader@example.iam.gserviceaccount.com may not"))
    with pytest.raises(AnalyticsError) as raised:
        client(server, "rest", credentials_file=file).report(BY_DAY)
    secret = json.loads(file.read_text())["private_key"].splitlines()[1]
    for told in (caplog.text, str(raised.value)):
        assert "very-secret" not in told
        assert secret not in told
    assert "reader@" not in str(raised.value)


def test_a_token_that_is_not_accepted_is_told(server: AnalyticsServer, tmp_path: Path):
    file = key_file(tmp_path, server)
    server.token = "one"
    analytics = client(server, "rest", credentials_file=file)
    analytics.report(BY_DAY)
    server.token = "another"
    server.faults.extend([Refuse(401)] * 3)
    with pytest.raises(AnalyticsError, match=r"did not accept the credentials in .*key\.json"):
        analytics.report(BY_DAY)


@pytest.mark.parametrize("content", ["", "{}", '{"type": "service_account"}', "not json", "[]"])
def test_a_file_that_is_not_a_key_is_told(content: str, server: AnalyticsServer, tmp_path: Path):
    file = tmp_path / "key.json"
    file.write_text(content)
    with pytest.raises(AnalyticsError, match=r"key\.json is not a key file"):
        client(server, "rest", credentials_file=file).report(BY_DAY)


def test_a_key_file_that_is_not_there_is_told(server: AnalyticsServer, tmp_path: Path):
    with pytest.raises(AnalyticsError, match=r"key file .*gone\.json cannot be read"):
        client(server, "rest", credentials_file=tmp_path / "gone.json").report(BY_DAY)


def test_no_credentials_at_all_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, transport: str):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    with pytest.raises(AnalyticsError, match="no credentials for GA4's Data API") as raised:
        AnalyticsData(Access("123456", transport=transport), retrying=NO_WAIT).report(BY_DAY)
    assert "application-default login" in raised.value.hint


def test_the_client_is_closed_once(server: AnalyticsServer, transport: str):
    analytics = client(server, transport)
    analytics.report(BY_DAY)
    analytics.close()
    analytics.close()
    assert analytics.report(BY_DAY).rows, "it opens again when it is needed"
