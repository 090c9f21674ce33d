"""Two independent judges of one GoogleSQL text: DuckDB through our dialect, and Google's own reference implementation.

Both take the same call, `run(sql, params, tables) -> rows`:

- `params`: name -> (value, GoogleSQL type text);
- `tables`: name -> (columns: name -> GoogleSQL type text, rows: list of dicts; a missing column is NULL);
- values are JSON values; TIMESTAMP and DATE are ISO strings in both directions, NaN and infinities the strings
  `NaN`, `Infinity`, `-Infinity`.
"""

from __future__ import annotations

from judges import duckdb_judge, reference_judge
from judges.compare import assert_same_rows, differences
from judges.types import Columns, Params, Row, Tables

JUDGES = {"duckdb": duckdb_judge.run, "reference": reference_judge.run}

__all__ = ["JUDGES", "Columns", "Params", "Row", "Tables", "assert_same_rows", "differences"]
