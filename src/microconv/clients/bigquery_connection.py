"""Clients of one project, and the one way to call them: with retries, and with errors in our own words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from microconv.clients import retries
from microconv.clients.failures import in_our_words
from microconv.errors import EngineError, MicroconvError

if TYPE_CHECKING:
    from google.cloud import bigquery, bigquery_storage
    from tenacity import Retrying

ResultT = TypeVar("ResultT")

CALL_SECONDS = 120.0
"""How long one HTTP request may take; a wait for a job is many of them."""
ONE_TRY: Any = {"retry": None, "timeout": CALL_SECONDS}
"""Arguments for every call of a client: its own retries are off, since `Connection.call` has the only policy."""
_EMULATOR_VARIABLE = "BIGQUERY_EMULATOR_HOST"


@dataclass(frozen=True)
class Endpoints:
    """Where BigQuery answers, `https://host[:port]` (`http` for `storage` is plain gRPC); None is Google's place."""

    api: str | None = None
    storage: str | None = None
    is_anonymous: bool = False

    @classmethod
    def choose(cls, api: str | None, storage: str | None, *, anonymous: bool, environ: Mapping[str, str]) -> Endpoints:
        """Take what is configured; without it `BIGQUERY_EMULATOR_HOST` decides, and emulators know no credentials."""
        if api is None and (emulator := environ.get(_EMULATOR_VARIABLE)):
            address = emulator if "://" in emulator else f"http://{emulator}"
            return cls(address, storage, is_anonymous=True)
        return cls(api, storage, is_anonymous=anonymous)


class Connection:
    """BigQuery as one project uses it. Clients are made when they are first needed."""

    def __init__(
        self,
        project: str | None,
        *,
        location: str | None = None,
        endpoints: Endpoints = Endpoints(),
        retrying: Retrying | None = None,
    ) -> None:
        """Take the project that jobs run in and are billed to; None is the project of the credentials."""
        self.project = project
        self.location = location
        self._endpoints = endpoints
        self._retrying = retrying or retries.policy()
        self._is_down = False

    @cached_property
    def client(self) -> bigquery.Client:
        """The client of the REST API.

        Raises:
            EngineError: there are no credentials.
        """
        from google.auth import credentials
        from google.cloud import bigquery

        options = {"api_endpoint": self._endpoints.api} if self._endpoints.api else None
        anonymous = credentials.AnonymousCredentials() if self._endpoints.is_anonymous else None  # type: ignore[no-untyped-call]  # ships no types

        def opened() -> bigquery.Client:
            try:
                return bigquery.Client(
                    project=self.project, location=self.location, credentials=anonymous, client_options=options
                )
            except OSError as error:
                raise EngineError(
                    "There is no project to run BigQuery's jobs: none is configured, and the credentials name none.",
                    hint="Set engine.project to the project that pays.",
                ) from error

        return self.call("opening a client", opened)

    @cached_property
    def storage(self) -> bigquery_storage.BigQueryReadClient | None:
        """The client of the Storage Read API; None where only another REST endpoint is configured."""
        import grpc  # type: ignore[import-untyped]  # ships no types
        from google.cloud import bigquery_storage
        from google.cloud.bigquery_storage_v1.services.big_query_read.transports import (
            BigQueryReadGrpcTransport,
        )

        place = self._endpoints.storage
        if place is None and self._endpoints.api is not None:
            return None
        how: dict[str, Any] = {"credentials": self.client._credentials}
        if place is not None and place.startswith("http://"):
            # As the client's own channel, it takes answers of any size.
            any_size = [("grpc.max_receive_message_length", -1)]
            channel = grpc.insecure_channel(place.removeprefix("http://"), options=any_size)
            how = {"transport": BigQueryReadGrpcTransport(channel=channel)}
        elif place is not None:
            how["client_options"] = {"api_endpoint": place.removeprefix("https://")}
        return bigquery_storage.BigQueryReadClient(**how)  # type: ignore[no-untyped-call]  # ships no types

    def call(self, what: str, function: Callable[[], ResultT], *, error: type[MicroconvError] = EngineError) -> ResultT:
        """Call the API, again where that may help.

        `what` completes "BigQuery failed in …" and holds no value of the data. NotFound, Conflict and
        PreconditionFailed of `google.api_core.exceptions` pass through: what they mean, only the caller knows.

        When a call was tried in vain until the deadline, those after it are tried only twice until one works: in an
        outage, ending a run takes many calls, and one deadline is enough.

        Raises:
            MicroconvError: of the class `error`; the call failed for good, or for longer than the deadline.
            EngineError: no valid credentials, or a quota is used up; BudgetError: it would cost more than is allowed.
        """
        from google.api_core import exceptions as api

        # A copy, since a call may be made inside a call.
        retrying = retries.brief(self._retrying) if self._is_down else self._retrying.copy()
        try:
            answer = retrying(function)
        except (api.NotFound, api.Conflict, api.PreconditionFailed, MicroconvError):
            raise
        except Exception as failure:
            self._is_down = retries.is_transient(failure)
            raise in_our_words(failure, what, error) from failure
        self._is_down = False
        return answer

    def close(self) -> None:
        """Close the clients that were opened."""
        for name in ("client", "storage"):
            opened = self.__dict__.pop(name, None)
            if opened is not None:
                with suppress(Exception):  # nothing depends on a clean goodbye
                    opened.close() if name == "client" else opened.transport.close()
