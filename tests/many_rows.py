"""Ten thousand rows of every type, as an engine is given them and as it gives them back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa

from microconv.engines.tables import Column, Table
from microconv.queries.templates import Query

TABLE = Table(
    "many",
    "Rows of every type.",
    ("number",),
    (
        Column("result", "STRING", "the same in every row"),
        Column("number", "INT64", "the place of the row"),
        Column("word", "STRING", "a text"),
        Column("share", "FLOAT64", "a number, if any"),
        Column("is_even", "BOOL", "whether the place is even"),
        Column("day", "DATE", "a day, if any"),
        Column("at", "TIMESTAMP", "a moment"),
        Column("nothing", "FLOAT64", "what no row has"),
        Column("unnamed", "STRING", "what no row names"),
    ),
)
QUERY = Query("tests/many", "SELECT m.* FROM many AS m ORDER BY m.number", {})
TYPES = [
    *(pa.string(), pa.int64(), pa.string(), pa.float64(), pa.bool_(), pa.date32()),
    *(pa.timestamp("us", tz="UTC"), pa.float64(), pa.string()),
]


def _row(number: int) -> dict[str, Any]:
    row = {
        "result": "r1",
        "number": number,
        "word": f'{number} "quoted" \\ é \U0001f600' if number % 7 else "",
        "share": number / 7 if number % 3 else None,
        "is_even": number % 2 == 0,
        "at": datetime(2024, 2, 29, 23, 59, 59, 1, tzinfo=UTC) + timedelta(seconds=number),
        "nothing": None,
    }
    return row | {"day": date(2024, 2, 29)} if number % 5 else row


ROWS = tuple(_row(number) for number in range(1, 10_001))
EXPECTED = [{name: row.get(name) for name in TABLE.column_names} for row in ROWS]
