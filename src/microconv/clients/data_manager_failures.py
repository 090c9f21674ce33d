"""What a failed call of the Data Manager API means: whether anything took effect, and which rows are at fault.

Of what Google says, only its own short reasons and the places of rows are kept: texts may quote what was sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from microconv.clients.outgoing import NoAnswerError, NotSentError
from microconv.errors import UsageError

API = "datamanager.googleapis.com"
SCOPE = "https://www.googleapis.com/auth/datamanager"
LOGIN = f"gcloud auth application-default login --scopes=openid,https://www.googleapis.com/auth/cloud-platform,{SCOPE}"

_SHORT = re.compile(r"[A-Z][A-Z0-9_]{1,99}")
_PLACE = re.compile(r"(?:audience_?members|events)\W{1,2}(\d{1,6})\b", re.IGNORECASE)
_LONGEST_WAIT = timedelta(days=1)

OF_ROWS = frozenset(
    {
        "INVALID_ARGUMENT",
        "REQUIRED_FIELD_MISSING",
        "INVALID_FORMAT",
        "INVALID_HEX_ENCODING",
        "INVALID_SHA256_FORMAT",
        "INVALID_POSTAL_CODE",
        "INVALID_REGION_CODE",
        "INVALID_ENUM_VALUE",
        "INVALID_NUMBER_FORMAT",
        "INVALID_AUDIENCE_MEMBER",
        "INVALID_MOBILE_ID_FORMAT",
        "TOO_MANY_USER_IDENTIFIERS",
        "TOO_MANY_ELEMENTS",
        "TOO_FEW_ELEMENTS",
        "FIELD_VALUE_TOO_LONG",
        "FIELD_VALUE_TOO_SHORT",
        "INVALID_EVENT",
        "INVALID_EVENT_NAME",
        "INVALID_CURRENCY_CODE",
        "INVALID_CUSTOM_VARIABLE_VALUE",
        "CUSTOM_VARIABLE_VALUE_CONTAINS_PII",
        "INVALID_AD_IDENTIFIER_FOR_ACCOUNT",
        "BOTH_CLIENT_ID_AND_APP_INSTANCE_ID_NOT_ALLOWED",
        "EVENT_TIME_INVALID",
        "NO_IDENTIFIERS_PROVIDED",
        "RESERVED_NAME_USED",
        "INVALID_COUPON_CODE",
    }
)
"""Reasons that are about rows of a request: where none is named, some of them are at fault, and nobody says which."""

_EXPLAINED = {
    "TERMS_AND_CONDITIONS_NOT_SIGNED": "the Customer Match terms were not accepted for the account",
    "UNAUTHENTICATED": "it does not accept the credentials (any more)",
    "PERMISSION_DENIED": "these credentials may not use the account, or there is no such account or list",
    "NOT_FOUND": "there is no such list or account",
    "INVALID_USER_LIST_ID": "the account has no such list",
    "INVALID_USER_LIST_TYPE": "the list is not one for uploaded contact data",
    "USER_LIST_MUTATION_NOT_SUPPORTED": "the list is read-only",
    "SENSITIVE_USER_LIST_IMMUTABLE": "Google has closed the list under its policies",
    "DISPLAY_NAME_ALREADY_USED": "the account has another list of that name",
    "MEMBERSHIP_DURATION_TOO_LONG": "the list may keep members 540 days at most",
    "ADVERTISER_NOT_ALLOWLISTED_FOR_UPLOADED_DATA": "the account may not use Customer Match (yet)",
    "NOT_ALLOWLISTED": "the account may not use this (yet)",
    "EU_POLITICAL_ADVERTISING_DECLARATION_REQUIRED": "the account must first declare whether its campaigns are EU "
    "political advertising (Google Ads, Campaigns > Settings)",
    "SERVICE_DISABLED": f"the Data Manager API is not enabled in the project of these credentials (`gcloud services "
    f"enable {API}`)",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": f"the credentials are valid, but not for the scope {SCOPE}",
    "RESOURCE_EXHAUSTED": "its quota of requests is used up",
    "RATE_LIMIT_EXCEEDED": "its quota of requests is used up",
    "INVALID_DESTINATION": "the account, list, property or conversion action of the destination is not one it can be",
    "OPERATING_ACCOUNT_LOGIN_ACCOUNT_MISMATCH": "the account that signs in and the account that is used do not fit",
    "DESTINATION_ACCOUNT_TYPE_MISMATCH": "the account is of another kind than the configuration says",
}


class RequestRefusedError(Exception):
    """The API refused a request, and nothing of it took effect.

    Attributes:
        reason: The API's own word for it, such as `TERMS_AND_CONDITIONS_NOT_SIGNED`.
        rows: The places of the members or events at fault, from 0; none when it is about something else; None when
            some are at fault and it does not say which.
        reasons: The words for these rows, each once.
    """

    def __init__(self, reason: str, *, rows: tuple[int, ...] | None = (), reasons: tuple[str, ...] = ()) -> None:
        super().__init__("; ".join(map(explained, reasons or (reason,))))
        self.reason = reason
        self.rows = rows
        self.reasons = reasons


class BusyError(Exception):
    """A request was turned away for its rate, and nothing of it took effect; `retry_after` is what was asked for."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(explained(reason))
        self.reason = reason
        self.retry_after = retry_after


def explained(reason: str) -> str:
    """Return a reason of the API with what it means, where that is known."""
    words = _EXPLAINED.get(reason)
    return reason if words is None else f"{reason}: {words}"


def short(text: object) -> str:
    """Return one of the API's short words as it is, and `UNKNOWN` for whatever else stands there."""
    return str(text) if _SHORT.fullmatch(str(text)) else "UNKNOWN"


@dataclass(frozen=True)
class _Details:
    """What an error carries beside its code, alike for gRPC (messages) and REST (JSON)."""

    violations: tuple[tuple[str, str], ...]
    retry_after: timedelta | None
    is_by_the_service: bool
    """Whether the service itself said it: a client, a proxy or a balancer gives no details."""

    @classmethod
    def of(cls, failure: Any) -> _Details:  # noqa: ANN401 - a GoogleAPICallError
        violations: list[tuple[str, str]] = []
        retry_after = None
        for detail in failure.details:
            each = detail if isinstance(detail, Mapping) else _as_document(detail)
            named = _listed(each, "fieldViolations")
            violations += [(str(one.get("field", "")), short(one.get("reason"))) for one in named]
            if "retryDelay" in each:
                retry_after = _seconds(each["retryDelay"])
        return cls(tuple(violations), retry_after, bool(failure.details) or failure.reason is not None)

    @property
    def rows(self) -> tuple[int, ...]:
        found = (_PLACE.match(field) for field, _ in self.violations)
        return tuple(sorted({int(each[1]) for each in found if each}))

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(sorted({reason for field, reason in self.violations if _PLACE.match(field)}))


def _as_document(detail: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a message
    from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # ships no types

    try:
        document: Mapping[str, Any] = MessageToDict(detail)
    except (TypeError, ValueError):
        return {}  # of a kind that this machine does not know
    return document


def _listed(document: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = document.get(name)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _seconds(text: object) -> timedelta | None:
    number = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)s", str(text))
    return None if number is None else min(timedelta(seconds=float(number[1])), _LONGEST_WAIT)


def in_our_words(failure: Exception) -> Exception:
    """Tell what a failure of the client means; what cannot have taken effect is the only thing that is called so."""
    import requests.exceptions as http
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(failure, auth.TransportError):
        return NotSentError("Google's server for sign-in could not be reached")
    if isinstance(failure, auth.GoogleAuthError):
        return RequestRefusedError("UNAUTHENTICATED")
    if isinstance(failure, http.RequestException):
        return _of_connection(failure)
    if isinstance(failure, api.GoogleAPICallError):
        return _of_call(failure)
    return NoAnswerError("its answer could not be read")


def _of_connection(failure: Any) -> Exception:  # noqa: ANN401 - a RequestException, whose type is loaded late
    import requests.exceptions as http
    from urllib3.exceptions import NewConnectionError

    cause = failure.args[0] if failure.args else None
    if isinstance(failure, http.ConnectTimeout) or isinstance(getattr(cause, "reason", cause), NewConnectionError):
        return NotSentError("there was no connection")
    if isinstance(failure, http.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(failure):
        return NotSentError("its certificate is not trusted")
    return NoAnswerError("no answer in time" if isinstance(failure, http.Timeout) else "the connection broke")


def _of_call(failure: Any) -> Exception:  # noqa: ANN401 - a GoogleAPICallError
    """Branch on the reason and the code: REST and gRPC raise different classes for the same."""
    details = _Details.of(failure)
    code = int(failure.code or 500)
    status = str(getattr(failure.grpc_status_code, "name", ""))
    reason = short(failure.reason) if failure.reason else ""
    if code == 429:  # noqa: PLR2004 - too many requests
        # gRPC itself says so of an answer that is too large for it, after all had taken effect.
        if not details.is_by_the_service and status and failure.response is None:
            return NoAnswerError("its answer could not be taken")
        return BusyError(reason or "RESOURCE_EXHAUSTED", retry_after=details.retry_after)
    if code in (408, 409) and reason not in ("ALREADY_EXISTS", "DISPLAY_NAME_ALREADY_USED"):
        return NoAnswerError(f"no answer (HTTP {code})")
    if 400 <= code < 499:  # noqa: PLR2004 - refusals; 499 is a call that was cancelled
        named = reason or _plain_reason(code)
        rows: tuple[int, ...] | None = details.rows
        if not rows and (code == 400 and (named in OF_ROWS) and not details.violations):  # noqa: PLR2004 - bad request
            rows = None
        if not rows and details.violations:
            named = details.violations[0][1] if details.violations[0][1] != "UNKNOWN" else named
        return RequestRefusedError(named, rows=rows, reasons=details.reasons)
    if code == 501:  # noqa: PLR2004 - the method does not exist
        return RequestRefusedError("UNIMPLEMENTED")
    return NoAnswerError(f"no answer (HTTP {code})")


def _plain_reason(code: int) -> str:
    return {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND"}.get(
        code, f"HTTP_{code}"
    )


def without_credentials(failure: BaseException, credentials_file: Path | None) -> UsageError:
    """Say that there are no credentials for Google, or none that can be used; nothing of the failure is quoted."""
    from google.auth import exceptions as auth

    if isinstance(failure, OSError):
        return UsageError(
            f"The key file {credentials_file} cannot be read.",
            hint="Correct credentials_file of the destination, and check that this user may read it.",
        )
    if isinstance(failure, auth.RefreshError):
        whose = f"in {credentials_file}" if credentials_file else "of this machine (application default)"
        return UsageError(
            f"Google did not accept the credentials {whose}: they have expired, were revoked, or lack the scope "
            f"{SCOPE}.",
            hint="Make a new key for the service account." if credentials_file else f"Run `{LOGIN}`.",
        )
    if credentials_file is not None:
        return UsageError(
            f"{credentials_file} is not a key file of a service account.",
            hint="Set credentials_file of the destination to the JSON file that Google Cloud gave for its key.",
        )
    return UsageError(
        "There are no credentials for Google's Data Manager API.",
        hint=f"Run `{LOGIN}`, or set credentials_file of the destination to a service account's key file.",
    )
