"""How one of GA4's own APIs is reached: which property, over what, with whose credentials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from microconv.clients import analytics_failures as failures
from microconv.clients.analytics_failures import Asked
from microconv.errors import MicroconvError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

ClientT = TypeVar("ClientT")
ResultT = TypeVar("ResultT")
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


class AnalyticsClient:
    """One of GA4's APIs for one property; a subclass has its `_client`, opened when it is needed."""

    tries = 4

    def __init__(self, access: Access, asked: Asked, *, retrying: Retrying | None = None) -> None:
        """Take how to reach it. Tests pass a policy that does not wait."""
        self.access = access
        self._asked = asked
        policy = retrying or Retrying(
            wait=wait_random_exponential(multiplier=1.0, max=16.0), stop=stop_after_attempt(self.tries)
        )
        self._retrying = policy.copy(retry=retry_if_exception(failures.is_passing), reraise=True)

    def close(self) -> None:
        """Close the client, if it was opened."""
        client = self.__dict__.pop("_client", None)
        if client is not None:
            client.transport.close()

    @property
    def _parent(self) -> str:
        return f"properties/{self.access.ga4_property}"

    def _patiently(self, function: Callable[[], ResultT]) -> ResultT:
        """Call what may be called again; the client's own retries are off."""
        try:
            return self._retrying.copy()(function)
        except Exception as failure:
            raise self._in_our_words(failure) from failure

    def _in_our_words(self, failure: Exception) -> MicroconvError:
        if isinstance(failure, MicroconvError):
            return failure
        return failures.in_our_words(failure, self.access.ga4_property, self.access.credentials_file, self._asked)


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
