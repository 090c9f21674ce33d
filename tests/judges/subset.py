"""The rules of the SQL subset that a template's text must keep; what it may use at all is in `allowlist.txt`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp
from sqlglot.errors import ParseError

from judges.allowlist import allowed_constructs, allowed_functions, constructs, functions

_SAFE_CASTS = {exp.DType.BIGINT, exp.DType.DOUBLE, exp.DType.BOOLEAN}
_IN_ORDER = (exp.Lag, exp.Lead, exp.FirstValue, exp.LastValue, exp.RowNumber)
_OPTIONAL_GROUP = re.compile(r"\((?!\?)(?:[^()\\]|\\.|\((?:[^()\\]|\\.)*\))*\)(?:\?|\*|\{0)")


def violations(sql: str) -> list[str]:
    """What a rendered template may not do, one sentence each."""
    try:
        statements = sqlglot.parse(sql, read="bigquery")
    except ParseError as error:
        return [f"it does not parse: {error}"]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        return ["a template is one SELECT: no scripts, no DDL, no DML"]
    tree = statements[0]
    found = [f"{name} is not in the allow-list" for name in sorted(functions(sql) - allowed_functions())]
    found += [f"{name} is not in the allow-list" for name in sorted(constructs(sql) - allowed_constructs())]
    for check in (_final_columns, _selects, _joins, _unnests, _orders, _calls, _subqueries):
        found += check(tree)
    return list(dict.fromkeys(found))


def _final_columns(tree: exp.Query) -> Iterator[str]:
    last = tree
    while isinstance(last, exp.SetOperation | exp.Subquery):
        last = last.this
    if any(isinstance(column, exp.Star) or column.is_star for column in last.expressions):
        yield "the final SELECT names its columns: no *"
    if any(column.find(exp.JSONFormat) for column in last.expressions):
        yield "TO_JSON_STRING is a hash on DuckDB: no column of the result"


def _selects(tree: exp.Query) -> Iterator[str]:
    for select in tree.find_all(exp.Select):
        if select.args.get("qualify") and not select.args.get("where"):
            yield "QUALIFY stands only with a WHERE"
        if select.args.get("limit") and not select.args.get("order"):
            yield "LIMIT needs an ORDER BY"
        aliases = {column.alias: column.this for column in select.expressions if isinstance(column, exp.Alias)}
        for key in select.args["group"].expressions if select.args.get("group") else ():
            source = aliases.get(key.name) if isinstance(key, exp.Column) and not key.table else None
            inside = {column.name for column in source.find_all(exp.Column)} if source else set()
            if isinstance(source, exp.Column) is False and key.name in inside:
                yield f"GROUP BY {key.name} may mean the column or the alias: name the alias differently"


def _joins(tree: exp.Query) -> Iterator[str]:
    for join in tree.find_all(exp.Join):
        if join.kind == "CROSS" and "pivots" not in join.args:  # sqlglot sets it where it reads the word JOIN
            yield f"a comma joins {join.this.sql('bigquery')}: spell out CROSS JOIN"
        if join.kind == "CROSS" or join.args.get("using") or isinstance(join.this, exp.Unnest):
            continue
        condition = join.args.get("on")
        conjuncts = condition.flatten() if isinstance(condition, exp.And) else [condition]
        if not any(isinstance(part, exp.EQ) and _two_tables(part) for part in conjuncts if part):
            yield f"the join of {join.this.sql('bigquery')} has no equality between two tables"


def _two_tables(equality: exp.EQ) -> bool:
    left, right = (
        {column.parts[0].name for column in side.find_all(exp.Column)} for side in (equality.this, equality.expression)
    )
    return bool(left and right and left != right)


def _unnests(tree: exp.Query) -> Iterator[str]:
    for unnest in tree.find_all(exp.Unnest):
        if isinstance(unnest.parent, exp.In):
            continue
        names = set(unnest.alias_column_names)
        if not names:
            yield f"{unnest.sql('bigquery')} has no alias"
        offset = unnest.args.get("offset")
        names |= {offset.name} if isinstance(offset, exp.Identifier) else set()
        owner = unnest.find_ancestor(exp.Select)
        outputs = set(owner.named_selects) if owner else set()
        for column in owner.find_all(exp.Column) if owner else ():
            bare = len(column.parts) == 1 and column.find_ancestor(exp.Select) is owner
            if bare and column.name not in names | outputs:
                yield f"{column.name} stands beside an UNNEST without the name of its table"


def _orders(tree: exp.Query) -> Iterator[str]:
    for window in tree.find_all(exp.Window):
        call = window.this.this if isinstance(window.this, exp.IgnoreNulls) else window.this
        if isinstance(call, _IN_ORDER) and not window.args.get("order"):
            yield f"{call.sql('bigquery')} needs an ORDER BY in its window"
    for call in tree.find_all(exp.ArrayAgg, exp.GroupConcat):
        inner = call.this.this if isinstance(call.this, exp.Limit) else call.this
        if not isinstance(inner, exp.Order):
            yield f"{call.sql('bigquery')} needs an ORDER BY"


def _calls(tree: exp.Query) -> Iterator[str]:
    for cast in tree.find_all(exp.TryCast):
        if cast.to.this not in _SAFE_CASTS:
            yield f"SAFE_CAST reads INT64, FLOAT64 and BOOL, not {cast.to.sql('bigquery')}"
    for call in tree.find_all(exp.RegexpExtract):
        if not isinstance(call.expression, exp.Literal | exp.RawString):
            yield "REGEXP_EXTRACT needs a literal pattern"
        elif _OPTIONAL_GROUP.search(call.expression.name):
            yield f"the group of {call.expression.name} may be missing: NULL in GoogleSQL, '' in DuckDB"
    for call in tree.find_all(exp.Substring):
        start = call.args["start"]
        if not (isinstance(start, exp.Literal) and int(start.name) > 0):
            yield "SUBSTR starts at a positive literal"


def _subqueries(tree: exp.Query) -> Iterator[str]:
    """A subquery inside an expression reads the row's own arrays, or nothing of the row."""
    for select in tree.find_all(exp.Select):
        around = select.find_ancestor(exp.CTE, exp.From, exp.Join, exp.Select)
        if around is None or around is not select.parent_select:
            continue
        sources = [select.args.get("from_"), *(select.args.get("joins") or ())]
        if all(source and isinstance(source.this, exp.Unnest) for source in sources):
            continue
        own = {source.this.alias_or_name for source in sources if source}
        foreign = {column.parts[0].name for column in select.find_all(exp.Column) if len(column.parts) > 1} - own
        if foreign:
            yield f"a subquery reads {', '.join(sorted(foreign))} from outside: only over the row's own arrays"
