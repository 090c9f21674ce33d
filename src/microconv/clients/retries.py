"""What is worth trying again: outages and throttling are, quotas and permissions are not. One policy for every call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tenacity import Retrying, retry_if_exception, stop_after_attempt, stop_after_delay, wait_random_exponential

DEADLINE_SECONDS = 600.0
"""How long a call is tried before it counts as failed."""

TRANSIENT_REASONS = frozenset(
    {
        "rateLimitExceeded",
        "backendError",
        "internalError",
        "jobBackendError",
        "jobInternalError",
        "jobRateLimitExceeded",
    }
)
"""Reasons that BigQuery gives for errors that pass; `quotaExceeded` is not one of them: it lasts for hours.

Source: https://cloud.google.com/bigquery/docs/error-messages.
"""
_LASTING_REASONS = frozenset({"quotaExceeded", "accessDenied", "billingNotEnabled", "stopped", "timeout"})
_COLLISION = "due to concurrent update"
"""Part of the message (the reason is `invalidQuery`) when another job changed the table first; nothing was written."""


def policy(deadline_seconds: float = DEADLINE_SECONDS, *, slowest_wait: float = 32.0) -> Retrying:
    """Return the policy of all calls: transient errors again until the deadline, with growing random waits."""
    return Retrying(
        retry=retry_if_exception(is_transient),
        wait=wait_random_exponential(multiplier=min(1.0, slowest_wait), max=slowest_wait),
        # A job may fail later than that: it has a second chance all the same.
        stop=stop_after_delay(deadline_seconds) & stop_after_attempt(2),
        reraise=True,
    )


def brief(retrying: Retrying) -> Retrying:
    """Return a policy that tries each call twice at most."""
    return retrying.copy(stop=stop_after_attempt(2))


def is_transient(error: BaseException) -> bool:
    """Tell whether the same call may work a moment later."""
    import requests.exceptions as http
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(error, auth.GoogleAuthError):
        return isinstance(error, auth.TransportError) or error.retryable
    if isinstance(error, http.SSLError):
        return "CERTIFICATE_VERIFY_FAILED" not in str(error)
    # An answer cut off in the middle is not JSON.
    if isinstance(error, http.Timeout | http.ChunkedEncodingError | http.ContentDecodingError | http.JSONDecodeError):
        return True
    if isinstance(error, http.ConnectionError | ConnectionError):
        return True
    if isinstance(error, api.RetryError):
        return error.cause is not None and is_transient(error.cause)
    return isinstance(error, api.GoogleAPICallError) and _passes(error)


def _passes(error: Any) -> bool:  # noqa: ANN401 - a GoogleAPICallError, whose type is loaded with the client
    from google.api_core import exceptions as api

    reasons = {str(each.get("reason")) for each in _details(error)}
    if reasons & _LASTING_REASONS or isinstance(error, api.MethodNotImplemented):
        return False
    if reasons & TRANSIENT_REASONS or _COLLISION in str(error):
        return True
    if reasons and type(error) is api.InternalServerError:
        return False  # so the client calls the failure of a job whose reason it does not know
    return isinstance(error, api.TooManyRequests | api.ServerError | api.Aborted)


def _details(error: Any) -> list[Mapping[str, Any]]:  # noqa: ANN401 - see above
    return [each for each in getattr(error, "errors", None) or [] if hasattr(each, "get")]
