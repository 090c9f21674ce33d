"""A property of GA4 on loopback: Admin API (audiences, custom dimensions, user deletion) and audience exports.

gRPC and REST stand before the same state. An audience definition is looked at as Google documents it. An export is
`CREATING` until time passes, and holds who was in the audience when it was begun. Faults are given call by call.
"""

from __future__ import annotations

import json
import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import grpc
from google.analytics import admin_v1alpha as admin
from google.analytics import data_v1beta as data
from google.longrunning import operations_pb2
from google.protobuf import json_format

from analytics_server import _STATUS, Refuse, _abort

PROPERTY = "123456789"
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class LostAnswer:
    """The call takes effect, and its answer is lost."""


@dataclass
class PropertyModel:
    """What the property has. `members` says who is in an audience (device, user), by its resource name."""

    members: Callable[[admin.Audience], set[tuple[str, str]]] = lambda _: set()
    audiences: list[admin.Audience] = field(default_factory=list)
    dimensions: list[admin.CustomDimension] = field(default_factory=list)
    exports: list[data.AudienceExport] = field(default_factory=list)
    rows: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    deleted: list[dict[str, str]] = field(default_factory=list)
    faults: deque[Refuse | LostAnswer | None] = field(default_factory=deque)
    calls: list[str] = field(default_factory=list)
    now: datetime = START
    fails: bool = False
    lost_rows: int = 0

    def tick(self) -> None:
        """Let so much time pass that exports are made."""
        self.now += timedelta(minutes=15)
        for export in self.exports:
            if export.state == data.AudienceExport.State.CREATING:
                state = data.AudienceExport.State.FAILED if self.fails else data.AudienceExport.State.ACTIVE
                export.state, export.row_count = state, len(self.rows[export.name])

    # Each method takes a request and returns the answer, or a refusal.

    def list_audiences(self, request: Any) -> Any:
        first = int(request.page_token or 0)
        page = self.audiences[first : first + min(request.page_size or 50, 200)]
        more = first + len(page) < len(self.audiences)
        token = str(first + len(page)) if more else ""
        return admin.ListAudiencesResponse(audiences=page, next_page_token=token)

    def create_audience(self, request: Any) -> Any:
        if wrong := mistakes(request.audience):
            return Refuse(400, message=wrong)
        made = admin.Audience(request.audience)
        made.name = f"properties/{PROPERTY}/audiences/{len(self.audiences) + 1}"
        self.audiences.append(made)
        return made

    def list_custom_dimensions(self, _: Any) -> Any:
        return admin.ListCustomDimensionsResponse(custom_dimensions=self.dimensions)

    def create_custom_dimension(self, request: Any) -> Any:
        asked = request.custom_dimension
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]{0,23}", asked.parameter_name):
            return Refuse(400, message="parameter_name")
        if any(each.parameter_name == asked.parameter_name for each in self.dimensions):
            return Refuse(400, message="taken")
        made = admin.CustomDimension(asked)
        made.name = f"properties/{PROPERTY}/customDimensions/{len(self.dimensions) + 1}"
        self.dimensions.append(made)
        return made

    def submit_user_deletion(self, request: Any) -> Any:
        kinds = ("user_id", "client_id", "app_instance_id")
        self.deleted.append({kind: value for kind in kinds if (value := getattr(request, kind))})
        return admin.SubmitUserDeletionResponse(deletion_request_time=self.now)

    def list_audience_exports(self, _: Any) -> Any:
        return data.ListAudienceExportsResponse(audience_exports=self.exports)

    def create_audience_export(self, request: Any) -> Any:
        asked = request.audience_export
        audience = next((each for each in self.audiences if each.name == asked.audience), None)
        if audience is None:
            return Refuse(404, message="no such audience")
        made = data.AudienceExport(asked)
        made.name = f"properties/{PROPERTY}/audienceExports/{len(self.exports) + 1}"
        made.state, made.begin_creating_time = data.AudienceExport.State.CREATING, self.now
        self.exports.append(made)
        self.rows[made.name] = sorted(self.members(audience))
        return operations_pb2.Operation(name="operations/1")

    def query_audience_export(self, request: Any) -> Any:
        export = next((each for each in self.exports if each.name == request.name), None)
        if export is None or export.state != data.AudienceExport.State.ACTIVE:
            return Refuse(400, message="not active")
        rows = self.rows[export.name]
        page = rows[request.offset : request.offset + min(request.limit or 10_000, 250_000)]
        page = page[: len(page) - self.lost_rows]
        return data.QueryAudienceExportResponse(
            row_count=len(rows),
            audience_rows=[
                data.AudienceRow(
                    dimension_values=[data.AudienceDimensionValue(value=each or "(not set)") for each in row]
                )
                for row in page
            ],
        )

    def told(self, name: str, request: Any) -> Any:
        """Answer a call, or fail it: before it took effect, or after it."""
        self.calls.append(name)
        fault = self.faults.popleft() if self.faults else None
        if isinstance(fault, Refuse):
            return fault
        answer = getattr(self, name)(request)
        return Refuse(503, message="lost") if isinstance(fault, LostAnswer) else answer


def mistakes(audience: admin.Audience) -> str:
    """Return what is wrong with the definition of an audience, as its documentation says; "": nothing."""
    return next(_mistakes(audience), "")


def _mistakes(audience: admin.Audience) -> Iterator[str]:
    if not audience.display_name or not audience.description or not audience.filter_clauses:
        yield "display_name, description and filter_clauses are required"
    if not 1 <= audience.membership_duration_days <= 540:
        yield "membership_duration_days"
    for clause in audience.filter_clauses:
        if clause.clause_type not in (1, 2) or "simple_filter" not in clause or not clause.simple_filter.scope:
            yield "a clause has a type, and a filter with a scope"
        top = clause.simple_filter.filter_expression
        if "and_group" not in top or not top.and_group.filter_expressions:
            yield "the top level must be an and_group"
        for either in top.and_group.filter_expressions:
            if "or_group" not in either or not either.or_group.filter_expressions:
                yield "an and_group holds or_groups only"
            for each in either.or_group.filter_expressions:
                yield from _of_expression(each)


def _of_expression(each: admin.AudienceFilterExpression) -> Iterator[str]:
    if "and_group" in each or "or_group" in each:
        yield "an or_group holds no groups"
    if "dimension_or_metric_filter" in each:
        yield from _of_filter(each.dimension_or_metric_filter)
    if "event_filter" in each:
        if not each.event_filter.event_name:
            yield "event_name"
        inner = each.event_filter.event_parameter_filter_expression
        if "event_parameter_filter_expression" in each.event_filter and "and_group" not in inner:
            yield "parameters are an and_group"
        for one in inner.and_group.filter_expressions:
            if "dimension_or_metric_filter" not in one:
                yield "parameters are filters"
            yield from _of_filter(one.dimension_or_metric_filter)


def _of_filter(one: admin.AudienceDimensionOrMetricFilter) -> Iterator[str]:
    kinds = ("string_filter", "in_list_filter", "numeric_filter", "between_filter")
    if not one.field_name or sum(kind in one for kind in kinds) != 1:
        yield "a filter has a field, and one condition"
    if one.in_any_n_day_period > 60:
        yield "in_any_n_day_period"


METHODS: dict[str, tuple[str, str, Any, Any]] = {
    "ListAudiences": ("GET", r"/v1alpha/(?P<parent>[^/]+/[^/]+)/audiences", admin.ListAudiencesRequest, None),
    "CreateAudience": ("POST", r"/v1alpha/(?P<parent>[^/]+/[^/]+)/audiences", admin.CreateAudienceRequest, "audience"),
    "ListCustomDimensions": (
        "GET",
        r"/v1alpha/(?P<parent>[^/]+/[^/]+)/customDimensions",
        admin.ListCustomDimensionsRequest,
        None,
    ),
    "CreateCustomDimension": (
        "POST",
        r"/v1alpha/(?P<parent>[^/]+/[^/]+)/customDimensions",
        admin.CreateCustomDimensionRequest,
        "customDimension",
    ),
    "SubmitUserDeletion": (
        "POST",
        r"/v1alpha/(?P<name>[^/]+/[^/]+):submitUserDeletion",
        admin.SubmitUserDeletionRequest,
        "",
    ),
    "ListAudienceExports": (
        "GET",
        r"/v1beta/(?P<parent>[^/]+/[^/]+)/audienceExports",
        data.ListAudienceExportsRequest,
        None,
    ),
    "CreateAudienceExport": (
        "POST",
        r"/v1beta/(?P<parent>[^/]+/[^/]+)/audienceExports",
        data.CreateAudienceExportRequest,
        "audienceExport",
    ),
    "QueryAudienceExport": (
        "POST",
        r"/v1beta/(?P<name>[^/]+/[^/]+/[^/]+/[^/]+):query",
        data.QueryAudienceExportRequest,
        "",
    ),
}
"""For each method: how REST calls it, its request, and which field of that the body is ("": all of it; None: none)."""
_SERVICES = {
    "google.analytics.admin.v1alpha.AnalyticsAdminService": tuple(METHODS)[:5],
    "google.analytics.data.v1beta.BetaAnalyticsData": tuple(METHODS)[5:],
}


def _snake(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


class PropertyServer:
    """A context manager; `url(transport)` is its address, the same for both APIs."""

    def __init__(self, model: PropertyModel | None = None) -> None:
        self.model = model or PropertyModel()
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self._grpc = grpc.server(ThreadPoolExecutor(4))
        for service, names in _SERVICES.items():
            handlers = {name: self._over_grpc(name) for name in names}
            self._grpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(service, handlers)])
        self._port = self._grpc.add_insecure_port("127.0.0.1:0")

    def __enter__(self) -> PropertyServer:
        self._thread.start()
        self._grpc.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self._grpc.stop(None).wait()

    def url(self, transport: str) -> str:
        return f"http://127.0.0.1:{self._port if transport == 'grpc' else self._http.server_address[1]}"

    def told(self, name: str, request: Any) -> Any:
        with self._lock:
            where = getattr(request, "parent", "") or request.name
            if not where.startswith(f"properties/{PROPERTY}"):
                return Refuse(403, message="no permission")
            return self.model.told(_snake(name), request)

    def _over_grpc(self, name: str) -> grpc.RpcMethodHandler:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            told = self.told(name, request)
            return _abort(context, told) if isinstance(told, Refuse) else told

        return grpc.unary_unary_rpc_method_handler(answer, METHODS[name][2].deserialize, _serialized)


def _serialized(message: Any) -> bytes:
    return message.SerializeToString() if hasattr(message, "SerializeToString") else type(message).serialize(message)


def _handler(server: PropertyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._called("GET")

        def do_POST(self) -> None:
            self._called("POST")

        def _called(self, verb: str) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            parts = urlsplit(self.path)
            for name, (method, pattern, request_type, body) in METHODS.items():
                found = re.fullmatch(pattern, parts.path)
                if method != verb or found is None:
                    continue
                document: dict[str, Any] = dict(found.groupdict())
                # Parameters that begin with $ are about the form of the answer.
                document |= {key: value for key, value in parse_qsl(parts.query) if not key.startswith("$")}
                if body is not None:
                    document |= {body: json.loads(content)} if body else json.loads(content)
                told = server.told(name, request_type.from_json(json.dumps(document)))
                self._send(told)
                return
            self._send(Refuse(404, message=parts.path))

        def _send(self, told: Any) -> None:
            if isinstance(told, Refuse):
                status = told.status
                error = {"code": status, "status": _STATUS[status][0], "message": told.message}
                text = json.dumps({"error": error})
            else:
                status = 200
                plain = told if hasattr(told, "DESCRIPTOR") else type(told).pb(told)
                text = json_format.MessageToJson(plain)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler
