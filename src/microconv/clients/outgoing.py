"""A request that changes something elsewhere: sent once, never again by itself, and it is known whether it left.

No redirect is followed, nothing is cached, and a connection serves one request: on one that was kept open nobody could
tell a request that was not read from one whose answer was lost.
"""

from __future__ import annotations

import json
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import urllib3

_MOST_BYTES = 4 * 2**20
_CONNECT_SECONDS = 10.0
_LONGEST_WAIT = timedelta(days=1)


class NotSentError(Exception):
    """Nothing was sent: there was no connection. The text says why, without any address."""


class NoAnswerError(Exception):
    """It was sent, in whole or in part, and no answer came."""


@dataclass(frozen=True)
class Reply:
    """An answer.

    Attributes:
        status: The status code of HTTP.
        headers: Its headers; names in small letters.
        document: The body as JSON; None where it is not JSON, or too large. It is somebody else's text: never shown.
    """

    status: int
    headers: Mapping[str, str]
    document: Any = field(repr=False)

    def retry_after(self, now: datetime | None = None) -> timedelta | None:
        """Return the wait that was asked for, a day at most; None: none was."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(timedelta(seconds=int(text[:9])), _LONGEST_WAIT)
        try:
            until = parsedate_to_datetime(text)
        except ValueError:
            return None
        until = until if until.tzinfo else until.replace(tzinfo=UTC)
        return min(max(until - (now or datetime.now(tz=UTC)), timedelta(0)), _LONGEST_WAIT)


@dataclass
class Outgoing:
    """Makes requests; each waits for its answer for so many seconds."""

    seconds: float

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        import urllib3

        logging.getLogger("urllib3.connectionpool").addFilter(_without_query)
        return urllib3.PoolManager(num_pools=1, retries=False)

    def call(self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Reply:
        """Make a request and return the answer, whatever its status.

        Raises:
            NotSentError: There was no connection.
            NoAnswerError: It left, and no answer came, or none that could be read.
        """
        import urllib3
        from urllib3 import exceptions

        try:
            response = self._pool.request(
                method,
                url,
                body=body,
                headers={**headers, "Connection": "close", "Accept-Encoding": "identity"},
                timeout=urllib3.Timeout(connect=min(_CONNECT_SECONDS, self.seconds), read=self.seconds),
                redirect=False,
                retries=False,
                preload_content=False,
            )
            try:
                # To the end, since only there an answer that was cut off shows.
                content = b""
                while len(content) <= _MOST_BYTES and (part := response.read(_MOST_BYTES, decode_content=False)):
                    content += part
            finally:
                response.close()
        # Their texts name addresses, and may quote what was sent.
        except (exceptions.NewConnectionError, exceptions.ConnectTimeoutError):
            raise NotSentError("there was no connection") from None
        except exceptions.SSLError as error:
            if isinstance(error.args[0] if error.args else None, ssl.SSLCertVerificationError):
                raise NotSentError("its certificate is not trusted") from None
            raise NoAnswerError("the connection broke") from None
        except exceptions.TimeoutError:
            raise NoAnswerError(f"no answer within {self.seconds:g} s") from None
        except (exceptions.HTTPError, OSError):
            raise NoAnswerError("the connection broke") from None
        return Reply(response.status, {name.lower(): value for name, value in response.headers.items()}, _json(content))


def _without_query(record: logging.LogRecord) -> bool:
    """Take what stands behind the ? of an address out of what urllib3 logs: keys may stand there."""
    if isinstance(record.args, tuple):
        record.args = tuple(each.partition("?")[0] if isinstance(each, str) else each for each in record.args)
    return True


def _json(content: bytes) -> Any:  # noqa: ANN401 - whatever was answered
    if len(content) > _MOST_BYTES:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
