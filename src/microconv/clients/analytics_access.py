"""How one of GA4's own APIs is reached: which property, over what, with whose credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from microconv.clients import analytics_failures as failures
from microconv.clients.analytics_failures import Asked

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

ClientT = TypeVar("ClientT")
Transport = Literal["grpc", "rest"]
CALL_SECONDS = 60.0
PAGE_ROWS = 100_000
"""Rows asked for at once; the API gives 250,000 at most."""


@dataclass(frozen=True)
class Access:
    """Which property is read, and how.

    `endpoint` is `https://host[:port]`, or `http://` for one on this machine; None is Google's.
    """

    ga4_property: str
    credentials_file: Path | None = None
    endpoint: str | None = None
    transport: Transport = "grpc"
    timeout_seconds: float = CALL_SECONDS
    page_rows: int = PAGE_ROWS


def opened(
    client: Callable[..., ClientT],
    over_grpc: Callable[..., Any],
    over_rest: Callable[..., Any],
    access: Access,
    asked: Asked,
) -> ClientT:
    """Make a client of Google's, over its transport for gRPC or that for REST.

    Raises:
        MicroconvError: There are no credentials.
    """
    scheme, _, host = (access.endpoint or f"https://{asked.host}").partition("://")
    if access.transport == "rest":
        return client(transport=over_rest(host=host, url_scheme=scheme, credentials=_credentials(access, asked)))
    if scheme == "http":
        import grpc  # type: ignore[import-untyped]  # ships no types

        return client(transport=over_grpc(channel=grpc.insecure_channel(host)))
    return client(transport=over_grpc(host=host, credentials=_credentials(access, asked)))


def _credentials(access: Access, asked: Asked) -> Credentials:
    import google.auth
    from google.auth import exceptions as auth
    from google.auth.credentials import AnonymousCredentials
    from google.oauth2 import service_account

    file, scopes = access.credentials_file, (asked.scope,)
    try:
        if file is not None:
            return service_account.Credentials.from_service_account_file(str(file), scopes=scopes)  # type: ignore[no-any-return, no-untyped-call]  # ships no types
        if (access.endpoint or "").startswith("http://"):  # a server on this machine knows no credentials
            return AnonymousCredentials()  # type: ignore[no-untyped-call]  # ships no types
        credentials, _ = google.auth.default(scopes=scopes)
    except OSError as error:
        raise failures.unreadable_credentials(file or Path(), asked) from error
    except (auth.GoogleAuthError, AttributeError, KeyError, TypeError, ValueError) as error:
        raise failures.without_credentials(error, file, asked) from None  # it may quote what the file holds
    return credentials
