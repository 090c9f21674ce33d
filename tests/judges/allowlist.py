"""The SQL subset of templates, in `allowlist.txt`: what its lines use is allowed, and both judges answer them alike.

A template that needs another function or construct gets a line there; where DuckDB then differs, the dialect is put
right first. The lines read the table `v` of `values.json`: NULLs, negatives, halves, empty and non-ASCII strings, leap
days.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlglot import exp, parse_one
from sqlglot.dialects.bigquery import BigQuery
from sqlglot.tokens import Token, TokenType

from judges.types import Params, Tables

FOLDER = Path(__file__).parent
_NO_FUNCTION = {  # keywords that a parenthesis may follow
    *(
        "ALL",
        "AND",
        "ARRAY",
        "AS",
        "BETWEEN",
        "BY",
        "DISTINCT",
        "ELSE",
        "EXCEPT",
        "EXISTS",
        "FROM",
        "HAVING",
        "IN",
        "IS",
        "JOIN",
    ),
    *("NOT", "OFFSET", "ON", "OR", "ORDINAL", "OVER", "QUALIFY", "SAFE_OFFSET", "SAFE_ORDINAL", "SELECT", "THEN"),
    *("UNNEST", "USING", "WEEK", "WHEN", "WHERE"),
}


@dataclass(frozen=True)
class Case:
    """One heading of the list, with a query for all its expressions, or its queries."""

    section: str
    name: str
    queries: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"{self.section}: {self.name}"


@cache
def cases() -> tuple[Case, ...]:
    """Read the list; the expressions of one heading become columns of one query."""
    found: list[Case] = []
    section = frame = name = ""
    lines: list[str] = []

    def close() -> None:
        if lines:
            columns = ",\n".join(f"{line} AS x{place}" for place, line in enumerate(lines))
            found.append(Case(section, name, (frame.replace("{}", columns),) if frame else tuple(lines)))
            lines.clear()

    for line in (FOLDER / "allowlist.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("== "):
            close()
            section, _, frame = line[3:].partition(": ")
        elif line.startswith("  "):
            lines.append(line.strip())
        else:
            close()
            name = line
    close()
    return tuple(found)


@cache
def values() -> tuple[Tables, Params]:
    """The table the expressions read, and the query parameters they may name."""
    document = json.loads((FOLDER / "values.json").read_text(encoding="utf-8"))
    params = {name: (value, kind) for name, (value, kind) in document["params"].items()}
    return {"v": (document["columns"], document["rows"])}, params


def params_of(sql: str) -> Params:
    """Those of the parameters that a query names."""
    used = set(re.findall(r"@(\w+)", sql))
    return {name: pair for name, pair in values()[1].items() if name in used}


def functions(sql: str) -> frozenset[str]:
    """Names of the functions a GoogleSQL text calls, as written; `NAME OVER` for a call with a window."""
    tokens = BigQuery().tokenize(sql)
    found = set()
    for place, token in enumerate(tokens[:-1]):
        name = token.text.upper()
        if tokens[place + 1].token_type != TokenType.L_PAREN or not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name):
            continue
        if name in _NO_FUNCTION or token.token_type == TokenType.PARAMETER:
            continue
        if place > 1 and tokens[place - 1].token_type == TokenType.DOT:
            name = f"{tokens[place - 2].text.upper()}.{name}"
        end = _closing(tokens, place + 1)
        followed = tokens[end + 1].text.upper() if end + 1 < len(tokens) else ""
        found.add(f"{name} OVER" if followed == "OVER" else name)
    return frozenset(found)


def _closing(tokens: list[Token], opening: int) -> int:
    depth = 0
    for place in range(opening, len(tokens)):
        depth += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(tokens[place].token_type, 0)
        if depth == 0:
            return place
    return len(tokens)


def constructs(sql: str) -> frozenset[str]:
    """Kinds of syntax a GoogleSQL text uses: the node types of its tree, but for functions."""
    found = set()
    for node in parse_one(sql, read="bigquery").walk():
        if isinstance(node, exp.Func) and not isinstance(node, exp.Binary | exp.Unary):
            continue
        kind = type(node).__name__
        if isinstance(node, exp.Join):
            kind = " ".join(filter(None, [kind, node.side, node.kind]))
        elif isinstance(node, exp.WindowSpec):
            kind = f"{kind} {node.args.get('kind')}"
        elif isinstance(node, exp.SetOperation):
            kind = f"{kind} {'DISTINCT' if node.args.get('distinct') else 'ALL'}"
        elif isinstance(node, exp.DataType):
            kind = f"{kind} {node.this.name}"
        found.add(kind)
    return frozenset(found)


@cache
def allowed_functions() -> frozenset[str]:
    return frozenset().union(*(functions(query) for case in cases() for query in case.queries))


@cache
def allowed_constructs() -> frozenset[str]:
    return frozenset().union(*(constructs(query) for case in cases() for query in case.queries))
