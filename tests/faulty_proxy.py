"""A proxy in front of an HTTP API that breaks calls on purpose: what answers them goes wrong as a rule says."""

from __future__ import annotations

import gzip
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SECONDS = 60
_OF_ONE_CONNECTION = frozenset({"connection", "transfer-encoding", "content-length", "accept-encoding", "host"})


@dataclass(frozen=True)
class Call:
    """One call: `number` counts from 1 over all calls, `nth` over those with this method and path (without query)."""

    method: str
    path: str
    query: str
    body: bytes
    number: int
    nth: int

    def json(self) -> Any:
        """The body as JSON, whether it is compressed or not; {} without one."""
        plain = gzip.decompress(self.body) if self.body[:2] == b"\x1f\x8b" else self.body
        return json.loads(plain) if plain else {}


@dataclass(frozen=True)
class Refuse:
    """The call is not made; it is answered with an error, in the form of Google's APIs."""

    status: int
    reason: str = "backendError"
    message: str = "broken on purpose"


@dataclass(frozen=True)
class Drop:
    """The connection is closed without an answer, before the call is made or `after` it."""

    after: bool = False


@dataclass(frozen=True)
class CutOff:
    """The call is made, and the connection closed after half of the answer."""


@dataclass(frozen=True)
class Garble:
    """The call is made, and half of the answer passed on as if it were all of it."""


@dataclass(frozen=True)
class Edit:
    """The call is made, and the JSON of its answer changed: what the function returns is sent."""

    change: Callable[[Any], Any]


@dataclass(frozen=True)
class Hold:
    """The call is made once the event is set; `reached` is set when it is waiting."""

    release: threading.Event
    reached: threading.Event


Fault = Refuse | Drop | CutOff | Garble | Edit | Hold
Rule = Callable[[Call], Fault | None]


class FaultyProxy:
    """Passes calls on to `target`, except as the rule says. A context manager; `url` is where it listens.

    The rule may be set anew at any time; calls are served in threads of their own, so it must be safe in these.
    """

    def __init__(self, target: str, rule: Rule = lambda _: None) -> None:
        self.target = target
        self.rule = rule
        self.calls: list[Call] = []
        self._counting = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def calls_to(self, method: str, ending: str) -> list[Call]:
        """The calls so far with this method, whose path ends like this."""
        return [call for call in self.calls if call.method == method and call.path.endswith(ending)]

    def record(self, method: str, address: str, body: bytes) -> Call:
        """Note a call that came in."""
        path, _, query = address.partition("?")
        with self._counting:
            nth = 1 + sum((call.method, call.path) == (method, path) for call in self.calls)
            call = Call(method, path, query, body, len(self.calls) + 1, nth)
            self.calls.append(call)
        return call


class _Server(ThreadingHTTPServer):
    proxy: FaultyProxy
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break: here they do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms between its headers and its content
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        proxy = self.server.proxy
        call = proxy.record(self.command, self.path, body)
        match proxy.rule(call):
            case Refuse(status=status, reason=reason, message=message):
                error = {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}
                self._answer(status, {"Content-Type": "application/json"}, json.dumps({"error": error}).encode())
            case Drop(after=after):
                if after:
                    self._forward(body)
                self._hang_up()
            case CutOff():
                status, headers, content = self._forward(body)
                self._answer(status, headers, content[: len(content) // 2], length=len(content))
                self._hang_up()
            case Garble():
                status, headers, content = self._forward(body)
                self._answer(status, headers, content[: len(content) // 2])
            case Edit(change=change):
                status, headers, content = self._forward(body)
                self._answer(status, headers, json.dumps(change(json.loads(content))).encode())
            case Hold(release=release, reached=reached):
                reached.set()
                release.wait(SECONDS)
                self._answer(*self._forward(body))
            case None:
                self._answer(*self._forward(body))

    do_DELETE = do_GET = do_PATCH = do_POST = do_PUT = _serve  # noqa: N815 - the names that http.server calls

    def _forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Make the call, and return what came back, as it would be without compression."""
        target = urlsplit(self.server.proxy.target)
        connection = HTTPConnection(str(target.hostname), target.port, timeout=SECONDS)
        try:
            headers = {name: value for name, value in self.headers.items() if name.lower() not in _OF_ONE_CONNECTION}
            connection.request(self.command, self.path, body, headers)
            response: HTTPResponse = connection.getresponse()
            # An upload goes on at the address that the answer names.
            kept = {
                name: value.replace(self.server.proxy.target, self.server.proxy.url)
                for name, value in response.getheaders()
                if name.lower() not in _OF_ONE_CONNECTION
            }
            return response.status, kept, response.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: dict[str, str], content: bytes, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        self.wfile.write(content)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the method it replaces
        """Log nothing."""
