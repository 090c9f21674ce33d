"""GA4's Data API over a model of a property, by gRPC and by REST, as Google documents it.

A model holds, for each set of dimensions, the rows that GA4 would show. The server orders and pages them, takes quota
for each request and locks the property once one is spent, and breaks calls on demand.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from google.analytics import data_v1beta as api
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

_STATUS = {
    400: ("INVALID_ARGUMENT", grpc.StatusCode.INVALID_ARGUMENT),
    401: ("UNAUTHENTICATED", grpc.StatusCode.UNAUTHENTICATED),
    403: ("PERMISSION_DENIED", grpc.StatusCode.PERMISSION_DENIED),
    404: ("NOT_FOUND", grpc.StatusCode.NOT_FOUND),
    429: ("RESOURCE_EXHAUSTED", grpc.StatusCode.RESOURCE_EXHAUSTED),
    500: ("INTERNAL", grpc.StatusCode.INTERNAL),
    503: ("UNAVAILABLE", grpc.StatusCode.UNAVAILABLE),
}
SERVER_ERRORS_AN_HOUR = 10
Rows = dict[tuple[str, ...], dict[str, float]]


@dataclass(frozen=True)
class Refuse:
    """The call is answered with an error."""

    status: int
    reason: str = ""
    message: str = "broken on purpose"


@dataclass(frozen=True)
class CutOff:
    """The connection is closed after half of the answer (REST), or without one (gRPC)."""


@dataclass(frozen=True)
class Slow:
    """The answer comes so late."""

    seconds: float


Fault = Refuse | CutOff | Slow


@dataclass
class GoogleProperty:
    """What GA4 shows of a property: rows by set of dimensions, what it says of each set, and its quotas."""

    ga4_property: str = "123456"
    timezone: str = "Europe/Berlin"
    currency: str = "EUR"
    tables: dict[tuple[str, ...], Rows] = field(default_factory=dict)
    said: dict[tuple[str, ...], dict[str, Any]] = field(default_factory=dict)
    """Further metadata of a set of dimensions, such as `subject_to_thresholding`."""
    tokens: dict[str, int] = field(
        default_factory=lambda: {
            "tokens_per_day": 200_000,
            "tokens_per_hour": 40_000,
            "tokens_per_project_per_hour": 14_000,
        }
    )
    cost: int = 8
    thresholded_requests: int = 120
    server_errors: int = SERVER_ERRORS_AN_HOUR
    is_locked: bool = False


class AnalyticsServer:
    """A context manager; `rest` and `grpc` are its addresses. Each call takes one of `faults`, while there are any."""

    def __init__(self, model: GoogleProperty) -> None:
        self.model = model
        self.faults: deque[Fault] = deque()
        self.requests: list[api.RunReportRequest] = []
        self.calls = 0
        self.token: str | None = None
        """What the token endpoint gives out, and a call must carry."""
        self.lost_rows = 0
        """How many rows of each page get lost on the way."""
        self._counting = threading.Lock()
        self._http = _Server(("127.0.0.1", 0), _Handler)
        self._http.analytics = self
        self.rest = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._grpc = grpc.server(ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(
            self._over_grpc, api.RunReportRequest.deserialize, api.RunReportResponse.serialize
        )
        self._grpc.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    "google.analytics.data.v1beta.BetaAnalyticsData", {"RunReport": handler}
                )
            ]
        )
        self.grpc = f"http://127.0.0.1:{self._grpc.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> AnalyticsServer:
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._grpc.stop(None).wait()

    def url(self, transport: str) -> str:
        return self.grpc if transport == "grpc" else self.rest

    def next_fault(self) -> Fault | None:
        with self._counting:
            self.calls += 1
            return self.faults.popleft() if self.faults else None

    def refusal(self, fault: Refuse) -> Refuse:
        """Count a server error; ten of them lock the property."""
        if fault.status >= 500:
            self.model.server_errors -= 1
            self.model.is_locked |= self.model.server_errors <= 0
        return fault

    def answer(self, request: api.RunReportRequest) -> api.RunReportResponse | Refuse:
        """Answer a report as the model has it."""
        self.requests.append(request)
        model = self.model
        if request.property != f"properties/{model.ga4_property}":
            return Refuse(403, message="User does not have sufficient permissions for this property.")
        for name in model.tokens:
            if model.is_locked or model.tokens[name] < model.cost:
                model.is_locked = True
                return Refuse(429, message=f"Exhausted property {name.replace('_', ' ')}.")
        for name in model.tokens:
            model.tokens[name] -= model.cost
        dimensions = tuple(each.name for each in request.dimensions)
        metrics = [each.name for each in request.metrics]
        said = model.said.get(dimensions, {})
        model.thresholded_requests -= bool(said.get("subject_to_thresholding"))
        rows = self._rows(request, dimensions)
        page = rows[request.offset : request.offset + min(request.limit or 10_000, 250_000)]
        page = page[: len(page) - self.lost_rows] if self.lost_rows else page
        return api.RunReportResponse(
            dimension_headers=[api.DimensionHeader(name=each) for each in dimensions],
            metric_headers=[api.MetricHeader(name=each) for each in metrics],
            rows=[
                api.Row(
                    dimension_values=[api.DimensionValue(value=each) for each in key],
                    metric_values=[api.MetricValue(value=_text(values.get(each, 0))) for each in metrics],
                )
                for key, values in page
            ],
            row_count=len(rows),
            metadata=api.ResponseMetaData(time_zone=model.timezone, currency_code=model.currency, **said),
            property_quota=self._quota() if request.return_property_quota else None,
        )

    def _rows(self, request: api.RunReportRequest, dimensions: tuple[str, ...]) -> list[tuple[tuple[str, ...], Any]]:
        first, last = (getattr(request.date_ranges[0], each).replace("-", "") for each in ("start_date", "end_date"))
        rows = self.model.tables.get(dimensions, {}).items()
        if "date" in dimensions:
            place = dimensions.index("date")
            rows = [(key, values) for key, values in rows if first <= key[place] <= last]
        by = [dimensions.index(each.dimension.dimension_name) for each in request.order_bys]
        # Without an order, pages overlap: as with the real API, nobody promises one.
        return sorted(rows, key=lambda row: [row[0][place] for place in by] if by else hash((row[0], self.calls)))

    def _quota(self) -> api.PropertyQuota:
        model = self.model
        tokens = {
            name: api.QuotaStatus(consumed=model.cost, remaining=remaining) for name, remaining in model.tokens.items()
        }
        return api.PropertyQuota(
            **tokens,
            concurrent_requests=api.QuotaStatus(consumed=0, remaining=10),
            server_errors_per_project_per_hour=api.QuotaStatus(consumed=0, remaining=model.server_errors),
            potentially_thresholded_requests_per_hour=api.QuotaStatus(consumed=1, remaining=model.thresholded_requests),
        )

    def _over_grpc(self, request: api.RunReportRequest, context: grpc.ServicerContext) -> api.RunReportResponse:
        match self.next_fault():
            case Refuse() as fault:
                return _abort(context, self.refusal(fault))
            case CutOff():
                context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
            case Slow(seconds=seconds):
                time.sleep(seconds)
        answer = self.answer(request)
        return _abort(context, answer) if isinstance(answer, Refuse) else answer


def _text(value: float) -> str:
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _abort(context: grpc.ServicerContext, fault: Refuse) -> api.RunReportResponse:
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason=fault.reason, domain="googleapis.com"))
    code = _STATUS[fault.status][1].value[0]
    details = [detail] if fault.reason else []
    context.abort_with_status(
        rpc_status.to_status(status_pb2.Status(code=code, message=fault.message, details=details))
    )
    raise AssertionError


class _Server(ThreadingHTTPServer):
    analytics: AnalyticsServer
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break: here they do on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server.analytics
        if self.path == "/token":
            self._send(200, {"access_token": server.token, "expires_in": 3600, "token_type": "Bearer"})
            return
        fault = server.next_fault()
        if server.token is not None and self.headers.get("Authorization") != f"Bearer {server.token}":
            fault = Refuse(401, message="Request had invalid authentication credentials.")
        if isinstance(fault, Slow):
            time.sleep(fault.seconds)
        if isinstance(fault, Refuse):
            self._refuse(server.refusal(fault))
            return
        document = json.loads(body)
        document["property"] = self.path.partition("?")[0].removeprefix("/v1beta/").removesuffix(":runReport")
        answer = server.answer(api.RunReportRequest.from_json(json.dumps(document)))
        if isinstance(answer, Refuse):
            self._refuse(answer)
            return
        text = api.RunReportResponse.to_json(answer, always_print_fields_with_no_presence=False)
        self._send(200, json.loads(text), cut=isinstance(fault, CutOff))

    def _refuse(self, fault: Refuse) -> None:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": fault.reason, "domain": "googleapis.com"}
        error: Mapping[str, Any] = {
            "code": fault.status,
            "status": _STATUS[fault.status][0],
            "message": fault.message,
            "details": [info] if fault.reason else [],
        }
        self._send(fault.status, {"error": error})

    def _send(self, status: int, document: Mapping[str, Any], *, cut: bool = False) -> None:
        content = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = cut

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the name of the method it replaces
        """Log nothing."""
