"""Errors of GA4's own APIs in our own words: what failed, whether another try may help, and what to do about it.

No message quotes credentials or addresses: of what Google says, only its own short reason is repeated.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from microconv.errors import AnalyticsError, MicroconvError

READ_SCOPE = "https://www.googleapis.com/auth/analytics.readonly"
EDIT_SCOPE = "https://www.googleapis.com/auth/analytics.edit"
_NOT_ENABLED = frozenset({"SERVICE_DISABLED", "accessNotConfigured"})
_SCOPE = "ACCESS_TOKEN_SCOPE_INSUFFICIENT"
_CONCURRENT = re.compile(r"concurrent", re.IGNORECASE)
_FOUND_IN_GA4 = "It is the number under Admin > Property details in GA4, not the id of a stream (G-…)."


@dataclass(frozen=True)
class Asked:
    """Which of GA4's APIs is asked, and on whose behalf, as messages call it.

    Attributes:
        api: "Data API" or "Admin API".
        host: Where it is.
        scope: What credentials must be good for.
        settings: What names the key file and the property: the section of the configuration, with a dot behind it.
        again: What to do when it fails for a while.
        without_credentials: The error when there are none.
    """

    api: str = "Data API"
    host: str = "analyticsdata.googleapis.com"
    scope: str = READ_SCOPE
    settings: str = "audit.reconcile."
    again: str = "Run the audit again later; nothing else of it depends on this."
    without_credentials: type[MicroconvError] = AnalyticsError

    @property
    def log_in(self) -> str:
        """The command that gives this machine credentials."""
        return (
            "gcloud auth application-default login --scopes=openid,"
            f"https://www.googleapis.com/auth/cloud-platform,{self.scope}"
        )


OF_AN_AUDIT = Asked()


def is_server_error(failure: BaseException) -> bool:
    """Tell whether the server failed: ten of these within an hour lock a property for the project that asks."""
    from google.api_core import exceptions as api

    return isinstance(failure, api.ServerError | api.Unknown) and not isinstance(failure, api.MethodNotImplemented)


def is_passing(failure: BaseException) -> bool:
    """Tell whether the same call may work a moment later: the network, the server, or too many calls at once."""
    import requests.exceptions as http
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth
    from google.protobuf.json_format import ParseError  # type: ignore[import-untyped]  # ships no types

    if isinstance(failure, http.SSLError):
        return False
    if isinstance(failure, auth.GoogleAuthError):
        return isinstance(failure, auth.TransportError)
    # An answer that was cut off is not JSON.
    if isinstance(failure, http.RequestException | ConnectionError | ParseError):
        return True
    if isinstance(failure, api.TooManyRequests):
        return bool(_CONCURRENT.search(str(failure)))
    return is_server_error(failure)


def in_our_words(
    failure: BaseException, ga4_property: str, credentials_file: Path | None, asked: Asked = OF_AN_AUDIT
) -> MicroconvError:
    """Turn an error of the client into ours."""
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    if isinstance(failure, auth.GoogleAuthError) and not isinstance(failure, auth.TransportError):
        return without_credentials(failure, credentials_file, asked)
    if isinstance(failure, api.Unauthorized):
        return _expired(credentials_file, asked)
    if isinstance(failure, api.Forbidden):
        return _forbidden(failure, ga4_property, asked)
    if isinstance(failure, api.ClientError):
        return _refused(failure, ga4_property, asked)
    if is_server_error(failure) and not isinstance(failure, api.ServiceUnavailable | api.GatewayTimeout):
        return server_errors(asked)
    return AnalyticsError(
        f"GA4's {asked.api} could not be reached, or did not answer in time.",
        hint=f"Check that this machine may reach {asked.host} (network, proxy, firewall). {asked.again}",
    )


def server_errors(asked: Asked = OF_AN_AUDIT) -> AnalyticsError:
    """Say that the server failed, and that it was not asked until it locks the property."""
    return AnalyticsError(
        f"GA4's {asked.api} failed with server errors; it was not asked further, since ten of these within an hour "
        "lock the property.",
        hint=asked.again,
    )


def nearly_spent(ga4_property: str, kind: str, remaining: int) -> AnalyticsError:
    """Say that the rest of a quota was left to others."""
    from microconv import wording

    return AnalyticsError(
        f"A quota of GA4 property {ga4_property} is nearly spent ({wording.count(remaining)} {kind} left): "
        "no more was asked, so that dashboards and other tools are not locked out.",
        hint=f"Quotas are filled again each hour and each day. {OF_AN_AUDIT.again}",
    )


def without_credentials(
    failure: BaseException, credentials_file: Path | None, asked: Asked = OF_AN_AUDIT
) -> MicroconvError:
    """Say that there are no credentials, or none that can be used."""
    from google.auth import exceptions as auth

    if isinstance(failure, auth.RefreshError | auth.InvalidOperation):
        return _expired(credentials_file, asked)
    if credentials_file is not None:
        return asked.without_credentials(
            f"{credentials_file} is not a key file of a service account.",
            hint=f"Set {asked.settings}credentials_file to the JSON file that Google Cloud gave for its key.",
        )
    return asked.without_credentials(
        f"There are no credentials for GA4's {asked.api}.",
        hint=f"Run `{asked.log_in}`, or set {asked.settings}credentials_file to a service account's key file.",
    )


def unreadable_credentials(credentials_file: Path, asked: Asked = OF_AN_AUDIT) -> MicroconvError:
    """Say that the file named by the configuration cannot be read."""
    return asked.without_credentials(
        f"The key file {credentials_file} cannot be read.",
        hint=f"Check {asked.settings}credentials_file, and that this user may read it.",
    )


def _refused(failure: BaseException, ga4_property: str, asked: Asked) -> AnalyticsError:
    from google.api_core import exceptions as api

    if isinstance(failure, api.TooManyRequests):
        return AnalyticsError(
            f"The quota of GA4 property {ga4_property} is spent: the {asked.api} takes no more requests now.",
            hint=f"Quotas are filled again each hour and each day. {asked.again}",
        )
    said = "GA4 knows no" if isinstance(failure, api.NotFound) else "GA4 did not accept a request for"
    return AnalyticsError(
        f"{said} property {ga4_property}.", hint=f"Check {asked.settings}ga4_property. {_FOUND_IN_GA4}"
    )


def _expired(credentials_file: Path | None, asked: Asked) -> MicroconvError:
    whose = f"in {credentials_file}" if credentials_file else "of this machine (application default)"
    return asked.without_credentials(
        f"GA4 did not accept the credentials {whose}: they have expired or were revoked.",
        hint="Make a new key for the service account."
        if credentials_file
        else "Run `gcloud auth application-default login` again.",
    )


def _forbidden(failure: BaseException, ga4_property: str, asked: Asked) -> AnalyticsError:
    reason = str(getattr(failure, "reason", None) or "")
    text = str(failure)
    is_reading = asked.scope == READ_SCOPE
    may, what, role = ("read", "reading", "Viewer") if is_reading else ("change", "changing", "Editor")
    if reason in _NOT_ENABLED or "has not been used in project" in text:
        return AnalyticsError(
            f"The Google Analytics {asked.api} is not enabled in the project of these credentials.",
            hint=f"Run `gcloud services enable {asked.host}` for that project, wait some minutes, and run again.",
        )
    if reason == _SCOPE or "insufficient authentication scopes" in text:
        return AnalyticsError(
            f"The credentials are valid, but not for {what} Google Analytics.",
            hint=f"Run `{asked.log_in}`.",
        )
    return AnalyticsError(
        f"These credentials may not {may} GA4 property {ga4_property}, or there is no such property.",
        hint="In GA4 under Admin > Property access management, give the account of these credentials the role "
        f"{role}. Check {asked.settings}ga4_property as well. {_FOUND_IN_GA4}",
    )
