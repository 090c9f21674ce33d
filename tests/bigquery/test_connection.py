"""One way to call BigQuery: where it answers, what is tried again, and what its errors say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from tenacity import Retrying

from faulty_proxy import FaultyProxy, Refuse
from microconv.clients.bigquery_connection import Connection, Endpoints
from microconv.errors import BudgetError, EngineError, MicroconvError, SourceError


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def function() -> str:
        if left:
            raise left.pop(0)
        return "answer"

    return function


@pytest.mark.parametrize(
    ("api_endpoint", "anonymous", "environ", "expected"),
    [
        (None, False, {}, Endpoints(None, "s")),
        ("https://bq.example", False, {}, Endpoints("https://bq.example", "s")),
        ("https://bq.example", True, {}, Endpoints("https://bq.example", "s", is_anonymous=True)),
        (None, False, {"BIGQUERY_EMULATOR_HOST": "127.0.0.1:9050"}, Endpoints("http://127.0.0.1:9050", "s", True)),
        (None, False, {"BIGQUERY_EMULATOR_HOST": "http://bq:9050"}, Endpoints("http://bq:9050", "s", True)),
        ("https://bq.example", False, {"BIGQUERY_EMULATOR_HOST": "bq:9050"}, Endpoints("https://bq.example", "s")),
        (None, False, {"BIGQUERY_EMULATOR_HOST": ""}, Endpoints(None, "s")),
    ],
)
def test_what_is_configured_goes_before_the_environment(
    api_endpoint: str | None, anonymous: bool, environ: dict[str, str], expected: Endpoints
):
    assert Endpoints.choose(api_endpoint, "s", anonymous=anonymous, environ=environ) == expected


def test_another_rest_endpoint_alone_has_no_storage_api():
    with_rest_only = Connection("p", endpoints=Endpoints("http://127.0.0.1:1", None, is_anonymous=True))

    assert with_rest_only.storage is None


def test_a_call_that_fails_now_and_then_gives_its_answer(impatient: Retrying):
    flaky = failing(api.ServiceUnavailable("busy"), ConnectionResetError(), api.TooManyRequests("slow down"))

    assert Connection("p", retrying=impatient).call("testing", flaky) == "answer"


def test_an_outage_costs_one_deadline_and_not_one_for_each_call(impatient: Retrying):
    connection = Connection("p", retrying=impatient)
    tries: list[str] = []

    def down() -> None:
        tries.append("down")
        raise api.ServiceUnavailable("busy")

    for expected in (4, 2, 2):
        tries.clear()
        with pytest.raises(EngineError, match="did not answer in time"):
            connection.call("testing", down)
        assert len(tries) == expected

    assert connection.call("testing", failing(api.ServiceUnavailable("busy"))) == "answer"
    assert connection.call("testing", failing(*[api.ServiceUnavailable("busy")] * 3)) == "answer"


def test_a_call_inside_a_call_has_retries_of_its_own(impatient: Retrying):
    connection = Connection("p", retrying=impatient)
    outer = failing(api.ServiceUnavailable("busy"))

    def nested() -> str:
        inner = failing(*[api.ServiceUnavailable("busy")] * 3)
        return connection.call("inner", inner) + connection.call("outer", outer)

    assert connection.call("testing", nested) == "answeranswer"


def test_a_call_that_never_works_is_an_error_of_the_kind_asked_for(impatient: Retrying):
    busy = failing(*[api.ServiceUnavailable("busy")] * 4)

    with pytest.raises(SourceError, match=r"did not answer in time \(listing shards: busy\)") as raised:
        Connection("p", retrying=impatient).call("listing shards", busy, error=SourceError)
    assert isinstance(raised.value.__cause__, api.ServiceUnavailable)


@pytest.mark.parametrize("error", [api.NotFound("gone"), api.Conflict("there"), api.PreconditionFailed("changed")])
def test_what_only_the_caller_understands_reaches_the_caller(error: Exception, impatient: Retrying):
    with pytest.raises(type(error)):
        Connection("p", retrying=impatient).call("testing", failing(error))


def test_errors_of_our_own_pass_unchanged(impatient: Retrying):
    with pytest.raises(BudgetError, match="too much"):
        Connection("p", retrying=impatient).call("testing", failing(BudgetError("too much", hint="less")))


def refusal(status: int, reason: str, message: str) -> Exception:
    return api.from_http_status(status, message, errors=[{"reason": reason}])


@pytest.mark.parametrize(
    ("failure", "kind", "says", "hint"),
    [
        (auth.RefreshError("invalid_grant"), EngineError, "no valid credentials", "gcloud auth"),
        (auth.DefaultCredentialsError("none found"), EngineError, "no valid credentials", "gcloud auth"),
        (api.Unauthorized("expired"), EngineError, "have expired", "gcloud auth"),
        (refusal(403, "quotaExceeded", "used up"), EngineError, "quota of BigQuery is used up", "Wait"),
        (refusal(403, "accessDenied", "no"), SourceError, "denied access", "doctor"),
        (refusal(400, "bytesBilledLimitExceeded", "too big"), BudgetError, "maximum_bytes_billed", "Raise"),
        (refusal(400, "invalid", "odd"), SourceError, "failed in testing: odd", "doctor"),
    ],
)
def test_an_error_says_what_to_do(
    failure: Exception, kind: type[MicroconvError], says: str, hint: str, impatient: Retrying
):
    with pytest.raises(MicroconvError) as raised:
        Connection("p", retrying=impatient).call("testing", failing(failure), error=SourceError)

    assert type(raised.value) is kind
    assert says in raised.value.message
    assert hint in raised.value.hint


@pytest.mark.parametrize(
    ("failure", "never"),
    [
        (refusal(400, "invalidQuery", 'Could not cast literal "secret" to type DATE at [1:8]'), "secret"),
        (refusal(400, "invalidQuery", "Bad int64 value: secret"), "secret"),
        (refusal(400, "invalidQuery", "Invalid date: 'secret'; reason: invalidQuery, message: secret"), "secret"),
        (refusal(403, "accessDenied", "User ann@example.com does not have bigquery.jobs.create"), "example.com"),
        (refusal(400, "invalid", "odd\nrow: secret"), "secret"),
        (refusal(400, "invalid", "GET https://bq.example/secret?x=1: odd"), "secret"),
    ],
)
def test_an_error_repeats_no_values_and_no_addresses(failure: Exception, never: str, impatient: Retrying):
    with pytest.raises(MicroconvError) as raised:
        Connection("p", retrying=impatient).call("testing", failing(failure))

    assert never not in str(raised.value)


def test_missing_credentials_are_told_when_the_client_is_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, impatient: Retrying
):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "no-such-key.json"))

    with pytest.raises(EngineError, match="no valid credentials"):
        _ = Connection("p", retrying=impatient).client


def test_project_that_nobody_names_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, impatient: Retrying):
    key = tmp_path / "key.json"
    # As `gcloud auth application-default login` leaves it: a person's credentials name no project.
    key.write_text('{"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "t"}')
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
    monkeypatch.setenv("PATH", "")
    for variable in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT"):
        monkeypatch.delenv(variable, raising=False)

    with pytest.raises(EngineError, match="none is configured, and the credentials name none") as caught:
        _ = Connection(None, retrying=impatient).client

    assert "engine.project" in caught.value.hint


def test_expired_credentials_are_not_tried_again(connect: Callable[..., Connection], proxy: FaultyProxy):
    proxy.rule = lambda _: Refuse(401, "authError", "Request had invalid authentication credentials.")
    connection = connect()

    with pytest.raises(EngineError, match="have expired"):
        connection.call("listing datasets", lambda: list(connection.client.list_datasets(retry=None)))
    assert len(proxy.calls) == 1


def test_a_closed_connection_opens_again_when_it_is_used(connect: Callable[..., Connection]):
    connection = connect()
    first = connection.client
    connection.close()

    assert connection.client is not first
    assert connection.call("listing datasets", lambda: list(connection.client.list_datasets(retry=None)))
