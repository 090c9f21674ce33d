"""Judge 2: Google's own analyzer and reference implementation of GoogleSQL (PyPI `zetasql`), in process.

The WebAssembly module takes 10 to 60 s to compile; wasmtime's cache on disk spares later processes that. Requests and
answers go as plain protobuf messages: the package's own models cannot tell an empty array or the epoch from NULL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, timedelta
from functools import cache
from typing import Any

import wasmtime
import zetasql.types as zt
from zetasql.api import CatalogBuilder, TableBuilder, TypeFactory
from zetasql.core import ZetaSqlLocalService, wasm_client
from zetasql.types import AnalyzerOptions, LanguageOptions, ProductMode, TypeKind, ZetaSQLBuiltinFunctionOptions

from judges.types import (
    Columns,
    Params,
    Row,
    Tables,
    Type,
    Value,
    complete,
    parse_timestamp,
    parse_type,
    row_type,
    to_json,
)

EPOCH = date(1970, 1, 1)
KINDS = {
    "INT64": TypeKind.TYPE_INT64,
    "FLOAT64": TypeKind.TYPE_DOUBLE,
    "STRING": TypeKind.TYPE_STRING,
    "BOOL": TypeKind.TYPE_BOOL,
    "TIMESTAMP": TypeKind.TYPE_TIMESTAMP,
    "DATE": TypeKind.TYPE_DATE,
}
NAMES = {int(kind): name for name, kind in KINDS.items()}
FIELDS = {"INT64": "int64_value", "FLOAT64": "double_value", "STRING": "string_value", "BOOL": "bool_value"}
Message = Any  # the package ships its protobuf classes without types


def _cached_config() -> wasmtime.Config:
    config = wasmtime.Config()
    try:
        config.cache = True
    except wasmtime.WasmtimeError:  # no writable home directory
        return wasmtime.Config()
    return config


@cache
def service() -> ZetaSqlLocalService:
    """The one instance of the module in this process."""
    wasm_client.Config = _cached_config  # the client offers no other way to pass a configuration
    return ZetaSqlLocalService.get_instance()


@cache
def language() -> LanguageOptions:
    """GoogleSQL as BigQuery has it: all released features, external product mode, QUALIFY reserved."""
    service()
    options = LanguageOptions.maximum_features()
    options.product_mode = ProductMode.PRODUCT_EXTERNAL
    options.reserved_keywords = [*(options.reserved_keywords or []), "QUALIFY"]
    return options


def run(sql: str, params: Params | None = None, tables: Tables | None = None) -> list[Row]:
    """Analyze and evaluate one query on the given tables; rows in result order."""
    given, tables = params or {}, tables or {}
    request = _question(
        sql,
        {name: kind for name, (_, kind) in given.items()},
        {name: columns for name, (columns, _) in tables.items()},
    )
    for name, (columns, rows) in tables.items():
        data, kind = request.table_content[name].table_data, row_type(columns)
        data.SetInParent()
        for index, row in enumerate(rows):
            filled = complete(dict(row), kind, f"{name}[{index}]")
            data.row.add().cell.extend(_message(filled[column], field) for column, field in kind.fields)
    prepared = _call("PrepareQuery", request, zt.PrepareQueryResponse).prepared
    try:
        evaluate = zt.EvaluateQueryRequest(prepared_query_id=prepared.prepared_query_id).to_proto()
        for name, (value, text) in given.items():
            kind = parse_type(text)
            evaluate.params.add(name=name, value=_message(complete(value, kind, name), kind))
        answer = _call("EvaluateQuery", evaluate, zt.EvaluateQueryResponse).content.table_data
    finally:
        service().unprepare_query(prepared_query_id=prepared.prepared_query_id)
    columns = [(column.name, _type(column.type)) for column in prepared.columns]
    return [
        {name: to_json(_value(cell, kind)) for (name, kind), cell in zip(columns, row.cell, strict=True)}
        for row in answer.row
    ]


def columns_of(sql: str, params: Columns, tables: Mapping[str, Columns]) -> dict[str, str]:
    """Type-check a query (`params`: name -> type text) and return the types of its columns."""
    prepared = _call("PrepareQuery", _question(sql, params, tables), zt.PrepareQueryResponse).prepared
    service().unprepare_query(prepared_query_id=prepared.prepared_query_id)
    return {column.name: _type(column.type).name for column in prepared.columns}


def _question(sql: str, params: Columns, tables: Mapping[str, Columns]) -> Message:
    return zt.PrepareQueryRequest(sql=sql, options=_options(params), simple_catalog=_catalog(tables)).to_proto()


def _call(method: str, request: Message, answer: type) -> Message:
    return service().wasm_client.call_grpc_func(f"ZetaSqlLocalService_{method}", request, answer._PROTO_CLASS)


def _options(params: Columns) -> AnalyzerOptions:
    declared = [
        AnalyzerOptions.QueryParameter(name=name, type=_zetasql(parse_type(text))) for name, text in params.items()
    ]
    return AnalyzerOptions(language_options=language(), query_parameters=declared, default_timezone="UTC")


def _catalog(tables: Mapping[str, Columns]) -> zt.SimpleCatalog:
    catalog = CatalogBuilder("judge").with_builtin_functions(ZetaSQLBuiltinFunctionOptions(language_options=language()))
    for name, columns in tables.items():
        table = TableBuilder(name)
        for column, text in columns.items():
            table.add_column(column, _zetasql(parse_type(text)))
        catalog.add_table(table.build())
    return catalog.build()


def _zetasql(kind: Type) -> zt.Type:
    if kind.element is not None:
        return TypeFactory.create_array_type(_zetasql(kind.element))
    if kind.fields:
        return TypeFactory.create_struct_type([(name, _zetasql(field)) for name, field in kind.fields])
    return TypeFactory.create_simple_type(KINDS[kind.name])


def _type(kind: Message) -> Type:
    if kind.type_kind == TypeKind.TYPE_ARRAY:
        return Type("ARRAY", element=_type(kind.array_type.element_type))
    if kind.type_kind == TypeKind.TYPE_STRUCT:
        return Type("STRUCT", fields=tuple((f.field_name, _type(f.field_type)) for f in kind.struct_type.field))
    return Type(NAMES[kind.type_kind])


def _message(value: Value, kind: Type) -> Message:
    message = zt.Value._PROTO_CLASS()
    if value is None:
        return message
    if kind.element is not None:
        message.array_value.SetInParent()
        message.array_value.element.extend(_message(item, kind.element) for item in value)
    elif kind.fields:
        message.struct_value.SetInParent()
        message.struct_value.field.extend(_message(value[name], field) for name, field in kind.fields)
    elif kind.name == "TIMESTAMP":
        message.timestamp_value.SetInParent()
        message.timestamp_value.FromDatetime(parse_timestamp(value))
    elif kind.name == "DATE":
        message.date_value = (date.fromisoformat(value) - EPOCH).days
    else:
        setattr(message, FIELDS[kind.name], value)
    return message


def _value(message: Message, kind: Type) -> Value:
    if message.WhichOneof("value") is None:
        return None
    if kind.element is not None:
        return [_value(item, kind.element) for item in message.array_value.element]
    if kind.fields:
        pairs = zip(kind.fields, message.struct_value.field, strict=True)
        return {name: _value(item, field) for (name, field), item in pairs}
    if kind.name == "TIMESTAMP":
        return message.timestamp_value.ToDatetime(tzinfo=UTC)
    if kind.name == "DATE":
        return EPOCH + timedelta(days=message.date_value)
    return getattr(message, FIELDS[kind.name])
