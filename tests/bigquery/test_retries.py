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


PASSES = {
    "too many requests": refused(429),
    "internal error": refused(500),
    "bad gateway": refused(502),
    "service unavailable": refused(503),
    "gateway timeout": refused(504),
    "rate limit, as forbidden": refused(403, "rateLimitExceeded"),
    "job: backend error": refused(400, "backendError"),
    "job: internal error": refused(400, "jobInternalError"),
    "job: rate limit": refused(400, "jobRateLimitExceeded"),
    "job: concurrent update": refused(
        400, "invalidQuery", "Could not serialize access to table p:d.t due to concurrent update"
    ),
    "job: transaction aborted": refused(
        400, "invalidQuery", "Transaction is aborted due to concurrent update against table p:d.t."
    ),
    "the client gave up on 503": api.RetryError("deadline", refused(503)),
    "no connection": http.ConnectionError(),
    "no answer in time": http.ReadTimeout(),
    "answer cut off": http.ChunkedEncodingError(),
    "answer garbled": http.ContentDecodingError(),
    "answer is half a document": http.JSONDecodeError("cut off", "{", 1),
    "TLS ended early": http.SSLError("EOF occurred in violation of protocol"),
    "connection reset": ConnectionResetError(),
    "token server not reached": auth.TransportError(),
    "token server busy": auth.RefreshError("busy", retryable=True),
}


@pytest.mark.parametrize("error", PASSES.values(), ids=PASSES)
def test_what_passes_is_tried_again(error: Exception):
    assert is_transient(error)


STAYS = {
    "job: invalid query": refused(400, "invalidQuery"),
    "limit of bytes": refused(500, "bytesBilledLimitExceeded"),
    "not signed in": refused(401),
    "access denied": refused(403, "accessDenied"),
    "quota, as forbidden": refused(403, "quotaExceeded"),
    "no billing": refused(403, "billingNotEnabled"),
    "quota, as too many requests": refused(429, "quotaExceeded"),
    "not found": refused(404),
    "there already": refused(409),
    "changed meanwhile": refused(412),
    "not implemented": refused(501, "notImplemented"),
    "job: stopped": refused(400, "stopped"),
    "the client gave up on 404": api.RetryError("deadline", refused(404)),
    "the client gave up on nothing": api.RetryError("deadline", None),
    "certificate not trusted": http.SSLError("certificate verify failed: CERTIFICATE_VERIFY_FAILED"),
    "address is wrong": http.InvalidURL(),
    "key deleted": auth.RefreshError("the key was deleted"),
    "no credentials": auth.DefaultCredentialsError(),
    "JSON of somebody else": json.JSONDecodeError("no answer of BigQuery", "{", 1),
    "error of ours": EngineError("no", hint="no"),
    "bug of ours": ValueError(),
    "Ctrl-C": KeyboardInterrupt(),
}


@pytest.mark.parametrize("error", STAYS.values(), ids=STAYS)
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
