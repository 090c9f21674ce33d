"""The answering part of servers on loopback that speak HTTP: one request at a time, as a function tells."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Told:
    """What a server answers: a status, a document or a page, headers; or it hangs up."""

    status: int = 200
    document: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    page: str | None = None
    hangs_up: bool = False


@dataclass(frozen=True)
class Asked:
    """A request: its first line, the parts of that, its headers by their names in small letters, and its body."""

    line: str
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@contextmanager
def answering(tell: Callable[[Asked], Told]) -> Iterator[str]:
    """Serve on loopback; give the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._take()

        def do_POST(self) -> None:
            self._take()

        def do_DELETE(self) -> None:
            self._take()

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:
                told = tell(Asked(self.requestline, self.command, self.path, headers, body))
            if told.hangs_up:
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)
                return
            self._answer(told)

        def _answer(self, told: Told) -> None:
            text = "" if told.document is None else json.dumps(told.document)
            content = (text if told.page is None else told.page).encode()
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Type", "application/json" if told.page is None else "text/html")
            if told.status != 204:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    lock = threading.Lock()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
