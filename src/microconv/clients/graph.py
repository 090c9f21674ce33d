"""Meta's Graph API: each call once, and it is known what may have taken effect.

The token is in a header, and what is sent in the body: neither is ever part of an address. Of what Meta says of a
mistake, only codes are kept: its texts may quote what was sent.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from microconv.clients.outgoing import NoAnswerError, Outgoing, Reply

ENDPOINT = "https://graph.facebook.com"
VERSION = "v26.0"
TERMS = "https://business.facebook.com/ads/manage/customaudiences/tos/"

_LONGEST_WAIT = timedelta(days=1)
_NEARLY_ALL = 95
"""Percent of an allowance, from which on the next request waits."""
_MOST_SHARE = 10_000
_SHORT_WAIT = timedelta(minutes=5)
_RATE = frozenset({4, 17, 32, 341, 613, *range(80_000, 80_015)})
_PASSING = frozenset({1, 2})
_NO_TOKEN = frozenset({102, 104, 190, 463, 467})
_EXPLAINED: Mapping[tuple[int, int | None], str] = {
    (100, 33): "there is no such account, audience or dataset, or the token may not use it",
    (100, 1713228): "the audience has integrity restrictions: appeal in Audience Manager, or begin another one",
    (100, 1713230): "the audience is blocked for integrity restrictions: appeal in Audience Manager, or begin another",
    (100, 1713231): "the audience has integrity restrictions: correct its name in Audience Manager, or appeal",
    (200, 1870034): f"the terms of custom audiences were not accepted for the account: accept them at {TERMS}",
    (200, 1870047): "Meta takes nobody off this audience, since too few would be left: delete the audience there",
    (10, None): "the app lacks a permission: ads_management, with access to the account",
    (104, None): "the proof of the app secret is missing or wrong: give app_secret, of the app that made the token",
    (200, None): "the token lacks a permission: ads_management, and the task of managing campaigns of the account",
    (294, None): "the token lacks the permission ads_management",
    (368, None): "Meta has blocked the action for a while, as abusive: look into Account Quality",
    (2654, None): "Meta did not make the audience",
}
_ABOUT_ROWS = 100
"""The code of a wrong parameter, which may be a row."""


class GraphBusyError(Exception):
    """It was turned away for its rate: nothing took effect."""

    def __init__(self, reason: str, *, retry_after: timedelta | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class GraphRefusedError(Exception):
    """It was refused, and nothing took effect. The text says why, in our words.

    `is_about_rows`: a row may be at fault, and nobody says which. `is_missing`: what it names does not exist.
    """

    def __init__(self, reason: str, *, is_about_rows: bool = False, is_missing: bool = False) -> None:
        super().__init__(reason)
        self.is_about_rows = is_about_rows
        self.is_missing = is_missing


@dataclass
class Graph:
    """The Graph API for one token.

    Attributes:
        token: The access token, of a system user best.
        app_secret: The secret of its app, which proves each request; None: requests are not proven.
        outgoing: Makes the requests.
        endpoint: Meta's, or another one.
    """

    token: SecretStr = field(repr=False)
    app_secret: SecretStr | None = field(repr=False)
    outgoing: Outgoing
    endpoint: str = ENDPOINT
    _pause: timedelta | None = field(default=None, init=False, repr=False)

    def get(self, path: str, **parameters: str) -> dict[str, Any]:
        """Read.

        Raises:
            NotSentError: There was no connection.
            NoAnswerError: No answer came.
            GraphBusyError: Too many requests.
            GraphRefusedError: It was refused.
        """
        query = urlencode({**parameters, **self._proof()})
        return self._judged(self.outgoing.call("GET", self._url(path) + (f"?{query}" if query else ""), self._headers))

    def all_of(self, path: str, **parameters: str) -> Iterator[dict[str, Any]]:
        """Yield each entry of an edge, page by page; see `get`."""
        after = ""
        while True:
            page = self.get(path, **parameters, **({"after": after} if after else {}))
            entries = page.get("data")
            if not isinstance(entries, list):
                raise NoAnswerError("its answer is not one of the Graph API")
            yield from (each for each in entries if isinstance(each, dict))
            paging = page.get("paging")
            cursors = paging.get("cursors") if isinstance(paging, dict) and "next" in paging else None
            seen, after = after, str(cursors.get("after") or "") if isinstance(cursors, dict) else ""
            if not after or after == seen:
                return

    def post(self, path: str, **parameters: object) -> dict[str, Any]:
        """Make or add; see `get`. Where there was no answer, it may have taken effect."""
        return self._sent("POST", path, parameters)

    def delete(self, path: str, **parameters: object) -> dict[str, Any]:
        """Remove; see `post`."""
        return self._sent("DELETE", path, parameters)

    def _sent(self, method: str, path: str, parameters: Mapping[str, object]) -> dict[str, Any]:
        pause, self._pause = self._pause, None
        if pause is not None:
            raise GraphBusyError("the allowance of requests is nearly used up", retry_after=pause)
        texts = {
            name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
            for name, value in parameters.items()
        }
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        body = urlencode({**texts, **self._proof()}).encode()
        return self._judged(self.outgoing.call(method, self._url(path), headers, body))

    def _url(self, path: str) -> str:
        return f"{self.endpoint}/{VERSION}/{path}"

    @property
    def _headers(self) -> dict[str, str]:
        token = self.token.get_secret_value()
        return {"Authorization": f"Bearer {token}", "User-Agent": "microconv", "Accept": "application/json"}

    def _proof(self) -> dict[str, str]:
        if self.app_secret is None:
            return {}
        secret, token = self.app_secret.get_secret_value(), self.token.get_secret_value()
        return {"appsecret_proof": hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()}

    def _judged(self, reply: Reply) -> dict[str, Any]:
        document, status = reply.document, reply.status
        used, regained_in = _usage(reply)
        error = document.get("error") if isinstance(document, dict) else None
        if isinstance(error, dict):
            raise _failure(error, reply, regained_in)
        if status in (429, 503):
            raise GraphBusyError(f"HTTP {status}", retry_after=reply.retry_after() or regained_in)
        if 300 <= status < 400:  # noqa: PLR2004 - redirections
            raise GraphRefusedError(f"HTTP {status}: it answered with a redirect, which is not followed")
        if not (200 <= status < 300 and isinstance(document, dict)):  # noqa: PLR2004 - success
            # A page of HTML, say, whatever its status.
            raise NoAnswerError(f"HTTP {status}, and its answer is not one of the Graph API")
        if used >= _NEARLY_ALL or regained_in:
            self._pause = regained_in or _SHORT_WAIT
        return document


def _failure(error: Mapping[str, Any], reply: Reply, regained_in: timedelta | None) -> Exception:
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode"))
    named = f"Meta's error {code}" + (f", subcode {subcode}" if subcode else "")
    if code in _RATE or reply.status == 429:  # noqa: PLR2004 - too many requests
        return GraphBusyError(f"too many requests ({named})", retry_after=reply.retry_after() or regained_in)
    explained = _EXPLAINED.get((code, subcode)) or _EXPLAINED.get((code, None))
    if code in _NO_TOKEN and explained is None:
        explained = "the access token is not valid, or not any more: make another one in Business Settings"
    if explained is None and 200 <= code < 300:  # noqa: PLR2004 - permissions
        explained = _EXPLAINED[200, None]
    if explained is not None:
        return GraphRefusedError(f"{explained} ({named})", is_missing=(code, subcode) == (100, 33))
    if code in _PASSING or error.get("is_transient") is True or reply.status >= 500:  # noqa: PLR2004 - server errors
        return NoAnswerError(f"it failed, and may have worked ({named})")
    return GraphRefusedError(f"it was refused ({named})", is_about_rows=code == _ABOUT_ROWS)


def number_in(document: Mapping[str, Any]) -> str:
    """Return the number of an object of Meta's, as text.

    Raises:
        NoAnswerError: It has none.
    """
    number = str(document.get("id"))
    if not re.fullmatch(r"[1-9][0-9]{0,19}", number):
        raise NoAnswerError("its answer has no number where one should be")
    return number


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0


def _usage(reply: Reply) -> tuple[int, timedelta | None]:
    """Return what percentage of an allowance is used up, and when there is some again, where a header tells."""
    used, minutes, seconds = 0, 0, 0
    for name in ("x-business-use-case-usage", "x-app-usage", "x-ad-account-usage"):
        for each in _entries(reply.headers.get(name, "")):
            shares = (each.get(key) for key in ("call_count", "total_cputime", "total_time", "acc_id_util_pct"))
            used = max(
                [used, *(int(share) for share in shares if isinstance(share, int | float) and 0 < share <= _MOST_SHARE)]
            )
            minutes = max(minutes, _number(each.get("estimated_time_to_regain_access")))
            if used >= _NEARLY_ALL:
                seconds = max(seconds, _number(each.get("reset_time_duration")))
    wait = max(timedelta(minutes=min(minutes, 10_000)), timedelta(seconds=min(seconds, 100_000)))
    return used, min(wait, _LONGEST_WAIT) or None


def _entries(header: str) -> Iterator[Mapping[str, Any]]:
    try:
        said = json.loads(header)
    except (ValueError, RecursionError):
        return
    if not isinstance(said, dict):
        return
    yield said
    for entries in said.values():
        if isinstance(entries, list):
            yield from (each for each in entries if isinstance(each, dict))
