"""Three judges of one GoogleSQL text: our dialect on DuckDB, Google's reference implementation, a BigQuery emulator.

The first two judge independently what it means (`JUDGES`), the third that it runs as a BigQuery job. All take the same
call, `run(sql, params, tables) -> rows`:

- `params`: name -> (value, GoogleSQL type text);
- `tables`: name -> (columns: name -> GoogleSQL type text, rows: list of dicts; a missing column is NULL);
- values are JSON values; TIMESTAMP and DATE are ISO strings in both directions, NaN and infinities the strings
  `NaN`, `Infinity`, `-Infinity`.
"""

from __future__ import annotations

from judges import duckdb_judge, emulator_judge, reference_judge
from judges.compare import assert_same_rows, differences
from judges.types import Columns, Params, Row, Tables

JUDGES = {"duckdb": duckdb_judge.run, "reference": reference_judge.run}
ALL_JUDGES = {**JUDGES, "emulator": emulator_judge.run}

__all__ = ["ALL_JUDGES", "JUDGES", "Columns", "Params", "Row", "Tables", "assert_same_rows", "differences"]
