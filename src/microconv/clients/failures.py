"""Errors of the client in our own words: what failed, and what its reader can do about it."""

from __future__ import annotations

import re

from microconv.clients.retries import is_transient
from microconv.errors import BudgetError, EngineError, MicroconvError

_LONGEST = 300
_AROUND = re.compile(r"^(?:GET|POST|PUT|PATCH|DELETE) \S+: |; reason: .*$")
"""What the client writes around BigQuery's own message."""


def is_about_the_query(failure: BaseException | None) -> bool:
    """Tell whether BigQuery could not run a query for what it says or reads, not for want of access."""
    from google.api_core import exceptions as api

    return isinstance(failure, api.BadRequest) and reason_of(failure) in ("invalidQuery", "invalid", None)


def in_our_words(failure: BaseException, what: str, error: type[MicroconvError]) -> MicroconvError:
    """Turn an error of the client into one of ours, of the class `error`.

    What would meet any other call as well (credentials, a quota) is an EngineError, and a limit of the configuration a
    BudgetError.
    """
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    said = f"({what}: {summary(failure)})"
    if is_transient(failure):
        return error(
            f"BigQuery did not answer in time {said}.",
            hint="It was tried again until the deadline; run the command again later, nothing was half-written.",
        )
    if isinstance(failure, auth.GoogleAuthError | api.Unauthorized):
        return EngineError(
            f"There are no valid credentials for BigQuery, or they have expired {said}.",
            hint="Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS to a key file.",
        )
    reason = reason_of(failure)
    if reason == "quotaExceeded":
        return EngineError(
            f"A quota of BigQuery is used up {said}.",
            hint="Wait until it is full again (quotas last up to a day), or ask for a higher one.",
        )
    if reason == "bytesBilledLimitExceeded":
        return BudgetError(
            f"A query would read more than engine.maximum_bytes_billed allows {said}.",
            hint="Raise engine.maximum_bytes_billed, or stage fewer days at a time with --since and --until.",
        )
    if isinstance(failure, api.Forbidden):
        return error(
            f"BigQuery denied access {said}.",
            hint="`microconv doctor` tells which permission is missing, and docs/bigquery.md which role gives it.",
        )
    return error(
        f"BigQuery failed in {what}: {summary(failure)}.",
        hint="Run again; `microconv doctor` checks access and settings. If it stays, this is a bug worth reporting.",
    )


def reason_of(failure: BaseException) -> str | None:
    """Return BigQuery's own reason for an error, such as `accessDenied`; None where it gave none."""
    for each in getattr(failure, "errors", None) or []:
        if hasattr(each, "get") and each.get("reason"):
            return str(each["reason"])
    return None


def summary(failure: BaseException) -> str:
    """Sum up an error in one line, without pieces of rows and without addresses of people."""
    text = str(getattr(failure, "message", None) or failure).strip()
    line = _AROUND.sub("", (text.splitlines() or [type(failure).__name__])[0])
    # Errors of a query cite the values they met; errors of access cite who asked.
    line = re.sub(r"\S+@\S+", "…", line)
    if reason_of(failure) == "invalidQuery":
        line = re.sub(r"""(Bad \w+ value|[Cc]ould not cast|Invalid \w+).*""", r"\1 …", line)
        line = re.sub(r"""(["']).*?\1""", "…", line)
    return line[:_LONGEST].rstrip(". ")
