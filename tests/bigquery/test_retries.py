"""What is tried again and what is not."""

from __future__ import annotations

import json

import pytest
import requests.exceptions as http
from google.api_core import exceptions as api
from google.auth import exceptions as auth

from microconv.clients.retries import is_transient, policy
from microconv.errors import EngineError


def refused(status: int, reason: str | None = None, message: str = "no") -> Exception:
    errors = [{"reason": reason, "message": message}] if reason else []
    return api.from_http_status(status, message, errors=errors)


@pytest.mark.parametrize(
    "error",
    [
        refused(429),
        refused(500),
        refused(502),
        refused(503),
        refused(504),
        refused(403, "rateLimitExceeded"),
        refused(400, "backendError"),
        refused(400, "jobInternalError"),
        refused(400, "jobRateLimitExceeded"),
        refused(400, "invalidQuery", "Could not serialize access to table p:d.t due to concurrent update"),
        refused(400, "invalidQuery", "Transaction is aborted due to concurrent update against table p:d.t."),
        api.RetryError("deadline", refused(503)),
        http.ConnectionError(),
        http.ReadTimeout(),
        http.ChunkedEncodingError(),
        http.ContentDecodingError(),
        http.JSONDecodeError("cut off", "{", 1),
        http.SSLError("EOF occurred in violation of protocol"),
        ConnectionResetError(),
        auth.TransportError(),
        auth.RefreshError("busy", retryable=True),
    ],
    ids=repr,
)
def test_what_passes_is_tried_again(error: Exception):
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        refused(400, "invalidQuery"),
        refused(500, "bytesBilledLimitExceeded"),
        refused(401),
        refused(403, "accessDenied"),
        refused(403, "quotaExceeded"),
        refused(403, "billingNotEnabled"),
        refused(429, "quotaExceeded"),
        refused(404),
        refused(409),
        refused(412),
        refused(501, "notImplemented"),
        refused(400, "stopped"),
        api.RetryError("deadline", refused(404)),
        api.RetryError("deadline", None),
        http.SSLError("certificate verify failed: CERTIFICATE_VERIFY_FAILED"),
        http.InvalidURL(),
        auth.RefreshError("the key was deleted"),
        auth.DefaultCredentialsError(),
        json.JSONDecodeError("no answer of BigQuery", "{", 1),
        EngineError("no", hint="no"),
        ValueError(),
        KeyboardInterrupt(),
    ],
    ids=repr,
)
def test_what_stays_is_not(error: BaseException):
    assert not is_transient(error)


def test_waits_are_random_and_bounded_and_end_at_the_deadline():
    waits: list[float] = []

    def fail() -> None:
        raise refused(503)

    with pytest.raises(api.ServiceUnavailable):
        policy(deadline_seconds=0.0, slowest_wait=2.0).copy(sleep=waits.append)(fail)
    assert len(waits) == 1  # what took longer than the deadline is tried once more

    waits.clear()
    attempts = 0

    def fail_nine_times() -> str:
        nonlocal attempts
        attempts += 1
        if attempts < 10:
            raise refused(503)
        return "done"

    assert policy(slowest_wait=2.0).copy(sleep=waits.append)(fail_nine_times) == "done"
    assert len(waits) == 9
    assert len(set(waits)) > 1
    assert all(0 <= wait <= 2.0 for wait in waits)
