"""One GoogleSQL text on DuckDB: sqlglot's translation, put right where it is wrong in silence or slow.

Only the SQL subset of the templates is held to be equal: a test compares every allowed function with Google's reference
implementation. What the subset leaves out may still translate, and mean something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.generators.duckdb import DuckDBGenerator

from microconv.errors import TemplateError

# Under these an integer literal stays as it is: it takes the type of what it is compared with, or must be a bare or a
# 32-bit number. Everywhere else its own type reaches a result or a calculation.
_LITERAL_KEEPS_ITS_TYPE_OF = (
    *(exp.Bracket, exp.Fetch, exp.Group, exp.Limit, exp.Offset, exp.Ordered, exp.WindowSpec),
    *(exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between, exp.In),
    *(exp.RegexpExtract, exp.Round, exp.SHA2Digest, exp.StrToDate, exp.Substring, exp.UnixToTime),
)
# GoogleSQL's TRIM takes off every Unicode white space; DuckDB's only the space itself.
_WHITE_SPACE = "\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    chr(c) for c in range(0x2000, 0x200B)
)
# What SAFE_CAST reads as a number. DuckDB alone also reads '1.5', '1e3' and '1_000' as integers.
_INTEGER_TEXT = r"\s*[+-]?([0-9]+|0[xX][0-9a-fA-F]+)\s*"
_FLOAT_TEXT = r"(?i)\s*[+-]?(([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?|inf|infinity|nan)\s*"


@cache
def to_duckdb(sql: str, params: tuple[tuple[str, str], ...] = (), *, pretty: bool = False) -> str:
    """Translate one GoogleSQL query of the templates' subset into DuckDB SQL.

    `@name` becomes `$name`. With `params` (name and GoogleSQL type of each) it becomes `CAST($name AS …)`; without them
    DuckDB takes a small number for a 32-bit one and an empty list for a list of integers.
    `pretty` breaks the lines, for people.

    The rows are those of GoogleSQL if the connection's `TimeZone` is 'UTC'; a GoogleSQL TIMESTAMP is a TIMESTAMPTZ.
    Two types differ: a sum of INT64 is a HUGEINT (cast it where it leaves the engine), and TO_JSON_STRING is a 64-bit
    hash, good for telling equal arrays of records within one query (NULL and empty count as equal) and for nothing
    else. An array element out of bounds is NULL and a division by zero infinite, where GoogleSQL stops with an error.

    Raises:
        TemplateError: the text does not parse, has no DuckDB form, or uses a parameter that `params` does not name.
    """
    try:
        tree = sqlglot.parse_one(sql, read="bigquery")
        _read_keys_once(tree)
        _keep_to_lists(tree)
        _count_offsets_from_zero(tree)
        _type_literals(tree)
        if params:
            _type_params(tree, dict(params))
        # An apostrophe in a comment makes DuckDB take the spaces of Unicode in later literals for plain ones.
        return _written(tree, pretty=pretty)
    except SqlglotError as error:
        raise TemplateError(
            f"This GoogleSQL has no DuckDB form: {str(error).splitlines()[0]}",
            hint="Stay inside the SQL subset of the templates.",
        ) from error


def _read_keys_once(tree: exp.Expr) -> None:
    """Rewrite `(SELECT <expr of p> FROM UNNEST(<array>) AS p WITH OFFSET AS o WHERE p.key = <k> ORDER BY o LIMIT 1)`.

    It becomes `<expr of array[position of k among the keys]>`. DuckDB lists the keys once for all columns that read the
    same array; as correlated subqueries they cost several times more.
    """
    for subquery in list(tree.find_all(exp.Subquery)):
        select = subquery.this
        found = _key_lookup(select) if isinstance(select, exp.Select) else None
        if found is None:
            continue
        alias, array, field, key = found
        keys = exp.Transform(
            this=array.copy(),
            expression=exp.Lambda(
                this=exp.Dot(this=exp.to_identifier("x"), expression=exp.to_identifier(field)),
                expressions=[exp.to_identifier("x")],
            ),
        )
        position = exp.Anonymous(this="LIST_POSITION", expressions=[keys, key.copy()])
        element = exp.Paren(this=exp.Anonymous(this="LIST_EXTRACT", expressions=[array.copy(), position]))
        value = _replace_root(select.expressions[0].unalias().copy(), alias, element)
        if not _is_null_without(select.expressions[0].unalias(), alias):
            present = exp.Is(this=position.copy(), expression=exp.Null()).not_()
            value = exp.Case(ifs=[exp.If(this=present, true=value)])
        subquery.replace(exp.alias_(value, subquery.alias) if subquery.alias else exp.Paren(this=value))


def _key_lookup(select: exp.Select) -> tuple[str, exp.Expr, str, exp.Expr] | None:
    """Return (alias, array, key field, wanted key) if the select is the one pattern that `_read_keys_once` knows."""
    used = {name for name, value in select.args.items() if value}
    unnest = select.args["from_"].this if "from_" in used else None
    if used != {"expressions", "from_", "where", "order", "limit"} or not isinstance(unnest, exp.Unnest):
        return None
    columns, offset, orders = unnest.alias_column_names, unnest.args.get("offset"), select.args["order"].expressions
    condition, limit = select.args["where"].this, select.args["limit"].expression
    if not isinstance(condition, exp.EQ) or len(columns) != 1 or not isinstance(offset, exp.Identifier):
        return None
    field, key, alias = condition.this, condition.expression, columns[0]
    in_order = len(orders) == 1 and orders[0].this == exp.column(offset.name) and not orders[0].args.get("desc")
    is_key = isinstance(field, exp.Column) and field.table == alias and not field.args.get("db")
    foreign = {offset.name} & _roots(select.expressions[0]) or {offset.name, alias} & _roots(key)
    if not in_order or not is_key or foreign or limit.name != "1" or len(select.expressions) != 1:
        return None
    return alias, unnest.expressions[0], field.name, key


def _roots(expression: exp.Expr) -> set[str]:
    """First parts of all column paths."""
    return {column.parts[0].name for column in expression.find_all(exp.Column)}


def _keep_to_lists(tree: exp.Expr) -> None:
    """Rewrite four questions to a row's own array as functions of lists; as correlated subqueries they take minutes.

    They are `ARRAY(SELECT <expr of i> AS x FROM UNNEST(<array>) AS i ORDER BY x)`, the same with `SELECT DISTINCT` in
    `ARRAY_TO_STRING(…, <text>)`, `EXISTS(SELECT 1 FROM UNNEST(<array>) AS i WHERE <condition on i>)`, and
    `(SELECT SUM(<expr of i>) FROM UNNEST(<array>) AS i)`. A NULL array counts as empty in all of them.
    """
    for subquery in list(tree.find_all(exp.Subquery)):
        total = subquery.this.expressions[0] if isinstance(subquery.this, exp.Select) else None
        found = _own_array(subquery.this, of=exp.Sum) if isinstance(total, exp.Sum) else None
        if found is not None and total is not None and not isinstance(total.this, exp.Distinct) and not subquery.alias:
            terms = _list_call("LIST_TRANSFORM", found[1], found[0], total.this)
            subquery.replace(exp.Anonymous(this="LIST_SUM", expressions=[terms]))
    for call in list(tree.find_all(exp.Array)):
        select = call.expressions[0] if len(call.expressions) == 1 else None
        found = _own_array(select, "order")
        if found is not None and select is not None and _is_ordered_by_value(select):
            each = _list_call("LIST_TRANSFORM", found[1], found[0], select.expressions[0].unalias())
            directions = [exp.Literal.string(text) for text in ("ASC", "NULLS FIRST")]
            sorted_ = exp.Anonymous(this="LIST_SORT", expressions=[each, *directions])
            call.replace(exp.Coalesce(this=sorted_, expressions=[exp.Array()]))
    for join in list(tree.find_all(exp.ArrayToString)):
        select = join.this.expressions[0] if isinstance(join.this, exp.Array) and join.this.expressions else None
        found = _own_array(select, "distinct", "order")
        if found is None or select is None or join.args.get("null"):
            continue
        alias, array = found
        if _is_ordered_by_value(select):
            texts = _list_call("LIST_TRANSFORM", array, alias, select.expressions[0].unalias())
            for name in ("LIST_DISTINCT", "LIST_SORT"):
                texts = exp.Anonymous(this=name, expressions=[texts])
            join.set("this", exp.Coalesce(this=texts, expressions=[exp.Array()]))
    for question in list(tree.find_all(exp.Exists)):
        select = question.this
        found = _own_array(select, "where")
        if found is not None:
            alias, array = found
            matches = exp.Anonymous(
                this="LEN", expressions=[_list_call("LIST_FILTER", array, alias, select.args["where"].this)]
            )
            some = exp.GT(this=matches, expression=exp.Literal.number(0))
            question.replace(exp.Paren(this=exp.Coalesce(this=some, expressions=[exp.false()])))


def _is_ordered_by_value(select: exp.Select) -> bool:
    value, orders = select.expressions[0], select.args["order"].expressions
    return len(orders) == 1 and orders[0].this == exp.column(value.alias) and not orders[0].args.get("desc")


def _own_array(
    select: exp.Expr | None, *clauses: str, of: type[exp.AggFunc] | None = None
) -> tuple[str, exp.Expr] | None:
    """Return (alias, array) of a select of one expression from one UNNEST, with these other clauses and no more.

    `of` is the aggregate that the expression is; without it there is none.
    """
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return None
    used = {name for name, value in select.args.items() if value}
    unnest = select.args["from_"].this if "from_" in used else None
    if used != {"expressions", "from_", *clauses} or not isinstance(unnest, exp.Unnest) or unnest.args.get("offset"):
        return None
    names = unnest.alias_column_names
    own = (select, select.expressions[0]) if of else (select,)
    others = select.find_all(exp.AggFunc, exp.Query, exp.Window)
    is_plain = not any(all(found is not each for each in own) for found in others)
    return (names[0], unnest.expressions[0]) if len(names) == 1 and is_plain else None


def _list_call(function: str, array: exp.Expr, alias: str, body: exp.Expr) -> exp.Expr:
    """Call a function of lists with a lambda, whose variable is the alias of the elements."""
    variable = exp.to_identifier(alias)
    each = exp.Lambda(this=_replace_root(body.copy(), alias, variable), expressions=[variable.copy()])
    return exp.Anonymous(this=function, expressions=[array.copy(), each])


def _replace_root(expression: exp.Expr, alias: str, element: exp.Expr) -> exp.Expr:
    """Let every path that starts at `alias` start at `element`."""

    def path(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Column) or node.parts[0].name != alias:
            return node
        whole: exp.Expr = element.copy()
        for part in node.parts[1:]:
            whole = exp.Dot(this=whole, expression=part.copy())
        return whole

    return expression.transform(path)


def _is_null_without(expression: exp.Expr, alias: str) -> bool:
    """Whether the expression is NULL for sure when the row `alias` is missing, as a subquery without rows is."""
    if isinstance(expression, exp.Column):
        return expression.parts[0].name == alias
    if isinstance(expression, exp.Null):
        return True
    if isinstance(
        expression, exp.Cast | exp.Paren | exp.Dot | exp.Lower | exp.Nullif | exp.RegexpExtract | exp.RegexpReplace
    ):
        return _is_null_without(expression.this, alias)
    if isinstance(expression, exp.If):
        otherwise = expression.args.get("false") or exp.null()
        return all(_is_null_without(item, alias) for item in (expression.args["true"], otherwise))
    if isinstance(expression, exp.Coalesce):
        return all(_is_null_without(item, alias) for item in (expression.this, *expression.expressions))
    return False


def _count_offsets_from_zero(tree: exp.Expr) -> None:
    """GoogleSQL's WITH OFFSET counts from 0; sqlglot turns it into WITH ORDINALITY, which counts from 1."""
    for unnest in list(tree.find_all(exp.Unnest)):
        offset, owner = unnest.args.get("offset"), unnest.find_ancestor(exp.Select)
        if not isinstance(offset, exp.Identifier) or owner is None:
            continue
        for column in list(owner.find_all(exp.Column)):
            if column.name != offset.name or column.table or _offset_owner(column, offset.name) is not owner:
                continue
            from_zero = exp.paren(exp.Sub(this=column.copy(), expression=exp.Literal.number(1)))
            column.replace(exp.alias_(from_zero, offset.name) if column.parent is owner else from_zero)


def _offset_owner(column: exp.Expr, name: str) -> exp.Expr | None:
    """The nearest select around a column whose FROM gives an offset of that name."""
    select = column.find_ancestor(exp.Select)
    while select is not None:
        sources = [select.args.get("from_"), *(select.args.get("joins") or ())]
        unnests = [source.this for source in sources if source and isinstance(source.this, exp.Unnest)]
        offsets = [unnest.args.get("offset") for unnest in unnests]
        if any(isinstance(offset, exp.Identifier) and offset.name == name for offset in offsets):
            return select
        select = select.find_ancestor(exp.Select)
    return None


def _type_literals(tree: exp.Expr) -> None:
    """An integer literal is an INT64, one with a point a FLOAT64; to DuckDB they are 32-bit, and an exact decimal."""
    for literal in list(tree.find_all(exp.Literal)):
        parent = literal.parent
        if literal.is_string or literal.find_ancestor(exp.Interval, exp.DataType):
            continue
        if literal.is_int and isinstance(parent, _LITERAL_KEEPS_ITS_TYPE_OF):
            continue
        kind = exp.DType.BIGINT if literal.is_int else exp.DType.DOUBLE
        if isinstance(parent, exp.Neg):  # -9223372036854775808 fits, 9223372036854775808 does not
            parent.replace(exp.cast(parent.copy(), kind))
        else:
            literal.replace(exp.cast(literal.copy(), kind))


def _type_params(tree: exp.Expr, types: Mapping[str, str]) -> None:
    for parameter in list(tree.find_all(exp.Parameter)):
        if parameter.name not in types:
            raise TemplateError(f"The query uses @{parameter.name}, which has no type.", hint="Declare it.")
        parameter.replace(exp.cast(parameter.copy(), exp.DataType.build(types[parameter.name], dialect="bigquery")))


def _in_unnest(generator: DuckDBGenerator, node: exp.In) -> str:
    """`x IN UNNEST(array)`: NULL for a NULL x, unless the array is empty."""
    if not node.args.get("unnest"):
        return generator.in_sql(node)
    value, array = generator.sql(node.this), generator.sql(node.args["unnest"].expressions[0])
    contains = f"COALESCE(LIST_CONTAINS({array}, {value}), FALSE)"
    return f"CASE WHEN {value} IS NULL AND LEN({array}) > 0 THEN NULL ELSE {contains} END"


def _cast(generator: DuckDBGenerator, node: exp.Cast) -> str:
    """CAST: a FLOAT64 rounds half away from zero to an INT64, and is written as `%.15g` or, if that loses, `%.17g`.

    Where the operand's type does not show in the text, DuckDB tells; it folds the test of `TYPEOF` when it plans.
    """
    value, plain, kind = generator.sql(node.this), generator.cast_sql(node), _kind(node.this)
    if kind not in (None, exp.DType.DOUBLE) or node.to.this not in (exp.DType.BIGINT, exp.DType.TEXT):
        return plain
    if node.to.this == exp.DType.TEXT:  # the lambda names the value once: texts of templates nest such casts
        exact = "CASE WHEN CAST(PRINTF('%.15g', x) AS DOUBLE) = x THEN PRINTF('%.15g', x) ELSE PRINTF('%.17g', x) END"
        from_float = f"LIST_TRANSFORM([CAST({value} AS DOUBLE)], LAMBDA x : {exact})[1]"
    elif isinstance(node.this, exp.Round | exp.Floor | exp.Ceil | exp.Trunc):
        return plain
    else:
        from_float = f"CAST(ROUND(CAST({value} AS DOUBLE)) AS BIGINT)"
    return from_float if kind else f"CASE WHEN TYPEOF({value}) = 'DOUBLE' THEN {from_float} ELSE {plain} END"


def _kind(node: exp.Expr) -> exp.DType | None:
    """The type of an expression as far as its text shows it."""
    if isinstance(node, exp.Cast):
        return exp.DType(node.to.this)
    if isinstance(node, exp.Literal):
        return exp.DType.TEXT
    if isinstance(node, exp.Coalesce):
        kinds = {_kind(item) for item in (node.this, *node.expressions)}
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(node, exp.Concat | exp.Null | exp.RegexpReplace):
        return exp.DType.TEXT
    return exp.DType.DOUBLE if isinstance(node, exp.Div | exp.Round | exp.Floor | exp.Ceil | exp.Trunc) else None


def _safe_cast(generator: DuckDBGenerator, node: exp.TryCast) -> str:
    """SAFE_CAST of a string to a number or a truth value: only what GoogleSQL reads is read.

    Hexadecimal text is the exception: GoogleSQL also reads it with a sign, and as a FLOAT64.
    """
    value, plain = generator.sql(node.this), generator.trycast_sql(node)
    readable = {
        exp.DType.BIGINT: f"REGEXP_FULL_MATCH({value}, '{_INTEGER_TEXT}')",
        exp.DType.DOUBLE: f"REGEXP_FULL_MATCH({value}, '{_FLOAT_TEXT}')",
        exp.DType.BOOLEAN: f"LOWER({value}) IN ('true', 'false')",
    }.get(node.to.this)
    return f"CASE WHEN {readable} THEN {plain} END" if readable else plain


def _array_agg(generator: DuckDBGenerator, node: exp.ArrayAgg, *, ignore_nulls: bool = False) -> str:
    inner = node.this
    limit = inner.expression if isinstance(inner, exp.Limit) else None
    ordered = inner.this if isinstance(inner, exp.Limit) else inner
    text = f"ARRAY_AGG({generator.sql(ordered)})"
    if ignore_nulls:
        value = ordered.this if isinstance(ordered, exp.Order) else ordered
        value = value.expressions[0] if isinstance(value, exp.Distinct) else value
        text = f"{text} FILTER(WHERE {generator.sql(value)} IS NOT NULL)"
    return f"({text})[1:{generator.sql(limit)}]" if limit else text


def _ignore_nulls(generator: DuckDBGenerator, node: exp.IgnoreNulls) -> str:
    if isinstance(node.this, exp.ArrayAgg):
        return _array_agg(generator, node.this, ignore_nulls=True)
    return generator.ignorenulls_sql(node)


def _regexp_extract(generator: DuckDBGenerator, node: exp.RegexpExtract) -> str:
    """NULL without a match; DuckDB alone would give ''. sqlglot's own form collects all matches to take the first."""
    if not isinstance(node.expression, exp.Literal | exp.RawString):
        generator.unsupported("REGEXP_EXTRACT needs a literal pattern, whose groups are known")
    value, pattern = generator.sql(node.this), generator.sql(node.expression)
    group = generator.sql(node, "group") or "0"
    return f"CASE WHEN REGEXP_MATCHES({value}, {pattern}) THEN REGEXP_EXTRACT({value}, {pattern}, {group}) END"


def _like(generator: DuckDBGenerator, node: exp.Like) -> str:
    """GoogleSQL's LIKE always has the backslash as its escape character."""
    text = generator.like_sql(node)
    pattern = node.expression
    plain = isinstance(pattern, exp.Literal | exp.RawString) and "\\" not in pattern.name
    return text if plain else f"{text} ESCAPE '\\'"


def _trim(generator: DuckDBGenerator, node: exp.Trim) -> str:
    if node.expression or node.args.get("position"):
        return generator.trim_sql(node)
    value = generator.sql(node.this)
    trimmed = f"TRIM({value}, '{_WHITE_SPACE}')"
    if not all(
        isinstance(each, exp.Cast | exp.Column | exp.DataType | exp.Dot | exp.Identifier) for each in node.this.walk()
    ):
        return trimmed  # a long text would be there four times
    # Looking at both ends first takes a twentieth of the time, and most texts need nothing else.
    ends = f"{value} >= '!' AND {value} < CHR(127) AND ({value})[-1] BETWEEN '!' AND '~'"
    return f"CASE WHEN {ends} THEN {value} ELSE {trimmed} END"


def _date(generator: DuckDBGenerator, node: exp.Date) -> str:
    """DATE(timestamp[, zone]): the day in that zone."""
    zone = generator.sql(node, "zone")
    if node.expressions:
        return generator.function_fallback_sql(node)
    return f"CAST(({generator.sql(node.this)}) AT TIME ZONE {zone or repr('UTC')} AS DATE)"


def _extract(generator: DuckDBGenerator, node: exp.Extract) -> str:
    part, source = node.this.name.upper(), generator.sql(node.expression)
    if part == "DATE":
        return f"CAST({source} AS DATE)"
    if part == "DAYOFWEEK":  # Sunday is 1, to DuckDB 0
        return f"(EXTRACT(DAYOFWEEK FROM {source}) + 1)"
    return f"EXTRACT({'WEEK' if part == 'ISOWEEK' else part} FROM {source})"


def _element(generator: DuckDBGenerator, node: exp.Bracket) -> str:
    """`array[OFFSET(n)]` and its kin. Lists count from 1, and from the end where the index is negative."""
    array, index, base = generator.sql(node.this), node.expressions[0], node.args.get("offset") or 0
    if isinstance(index, exp.Literal):
        return f"{array}[{int(index.name) - base + 1}]"
    place = generator.sql(index)
    return f"CASE WHEN {place} >= {base} THEN {array}[{place} + {1 - base}] END"


def _timestamp(generator: DuckDBGenerator, node: exp.UnixToTime) -> str:
    """TIMESTAMP_MICROS, _MILLIS and _SECONDS; sqlglot's forms lose the zone."""
    scale = int(node.args["scale"].name) if node.args.get("scale") else 0
    return f"MAKE_TIMESTAMPTZ(({generator.sql(node.this)}) * {10 ** (6 - scale)})"


def _int_div(generator: DuckDBGenerator, node: exp.IntDiv) -> str:
    return f"(({generator.sql(node.this)}) // ({generator.sql(node.expression)}))"


def _mod(generator: DuckDBGenerator, node: exp.Mod) -> str:
    return f"(({generator.sql(node.this)}) % ({generator.sql(node.expression)}))"


def _count_if(generator: DuckDBGenerator, node: exp.CountIf) -> str:
    return f"COUNT(CASE WHEN {generator.sql(node.this)} THEN 1 END)"  # COUNT_IF is a HUGEINT


def _lower_hex(generator: DuckDBGenerator, node: exp.LowerHex) -> str:
    """TO_HEX(SHA256(x)): DuckDB's SHA256 is hex text already."""
    if isinstance(node.this, exp.SHA2Digest) and node.this.args["length"].name == "256":
        return f"SHA256({generator.sql(node.this.this)})"
    generator.unsupported("TO_HEX takes MD5 or SHA256")
    return ""


def _parse_date(generator: DuckDBGenerator, node: exp.StrToDate) -> str:
    return f"CAST(STRPTIME({generator.sql(node.this)}, {generator.format_time(node)}) AS DATE)"


def _safe_function(generator: DuckDBGenerator, node: exp.SafeFunc) -> str:
    return f"TRY({generator.sql(node.this)})"


def _as_date(kind: type[exp.Expr]) -> Callable[[DuckDBGenerator, Any], str]:
    """DuckDB makes a TIMESTAMP of a DATE it shifts or truncates."""
    usual = DuckDBGenerator.TRANSFORMS[kind]
    return lambda generator, node: f"CAST({usual(generator, node)} AS DATE)"


_WRITTEN: Final[dict[type[exp.Expr], Callable[..., str]]] = {
    exp.ArrayAgg: _array_agg,
    exp.Bracket: _element,
    exp.Cast: _cast,
    exp.CountIf: _count_if,
    exp.Date: _date,
    exp.DateAdd: _as_date(exp.DateAdd),
    exp.DateSub: _as_date(exp.DateSub),
    exp.DateTrunc: lambda generator, node: f"CAST({generator.datetrunc_sql(node)} AS DATE)",
    exp.Extract: _extract,
    exp.IgnoreNulls: _ignore_nulls,
    exp.In: _in_unnest,
    exp.IntDiv: _int_div,
    exp.JSONFormat: lambda generator, node: f"HASH({generator.sql(node.this)})",
    exp.Length: lambda generator, node: f"LENGTH({generator.sql(node.this)})",
    exp.Like: _like,
    exp.LowerHex: _lower_hex,
    exp.Mod: _mod,
    exp.RegexpExtract: _regexp_extract,
    exp.SafeFunc: _safe_function,
    exp.StrToDate: _parse_date,
    exp.Trim: _trim,
    exp.TryCast: _safe_cast,
    exp.UnixToTime: _timestamp,
}
"""What is written otherwise than sqlglot does, so that the DuckDB SQL means what the GoogleSQL text meant."""


def _written(tree: exp.Expr, *, pretty: bool) -> str:
    generator = DuckDB().generator(identify=True, pretty=pretty, comments=pretty, unsupported_level=ErrorLevel.RAISE)
    # No class of our own: sqlglot's compiled parts (`sqlglot[c]`) cannot be inherited from.
    generator._dispatch = {**generator._dispatch, **_WRITTEN}
    return generator.generate(tree, copy=False)
