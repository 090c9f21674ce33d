"""Find, check and render the templates under `sql/`: structure by Jinja, values by query parameters, never as text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateNotFound, meta, nodes
from jinja2 import Template as CompiledTemplate
from jinja2 import TemplateError as JinjaError
from markupsafe import Markup

from microconv.errors import TemplateError

_TYPES = r"(?:STRING|INT64|FLOAT64|BOOL|DATE|TIMESTAMP)"
_HEADER_LINE = re.compile(r"^-- ?(.*)$")
_PARAM = re.compile(rf"^([a-z][a-z0-9_]*(?:<[a-z]+>)?)\s+({_TYPES}|ARRAY<{_TYPES}>)$")
_QUERY_PARAM = re.compile(r"@([A-Za-z_][A-Za-z0-9_]*)")
_LITERALS_AND_COMMENTS = re.compile(r"--[^\n]*|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|`[^`]*`")
_OF_EVERY_TEMPLATE = frozenset({"relation", "dialect"})
_ASKS_FOR_DIALECT = re.compile(r"\bdialect *[!=]=")
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

EXAMPLE_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
"""What stands for a moment that is known only when a query runs, where only its SQL is wanted."""

Value = (
    str | int | float | bool | date | datetime | None | Sequence[str] | Sequence[int] | Sequence[float] | Sequence[date]
)


THRESHOLD = re.compile(r"(?P<name>\w+) (?P<type>INT64|FLOAT64) = (?P<default>-?[\d.]+) (?P<meaning>\S.*)")
"""A threshold of a check: a parameter with its default."""
NOTES = ("severity", "finding", "remedy", "threshold", "judge")
"""Sections of a header that say what rows mean to people; only checks of the audit have them."""


@dataclass(frozen=True)
class Template:
    """One file under `sql/`, with the contract of its header.

    `params` maps a declared query parameter to its GoogleSQL type; a name such as `step_<n>` stands for `step_0`,
    `step_1` and so on.
    `structure` names the Jinja variables a caller must give. `notes` are the further sections that `NOTES` names: what
    a check of the audit says of itself; of a `threshold` there may be several.
    """

    name: str
    description: str
    grain: tuple[str, ...]
    params: Mapping[str, str]
    structure: tuple[str, ...]
    text: str = field(repr=False)
    notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    def param_type(self, name: str) -> str:
        """Return the declared GoogleSQL type of a query parameter; TemplateError if it is not declared."""
        for declared, declared_type in self.params.items():
            pattern = re.sub(r"<[a-z]+>", r"[A-Za-z0-9_]+", declared)
            if re.fullmatch(pattern, name):
                return declared_type
        raise TemplateError(
            f"Template {self.name} uses @{name}, which its header does not declare.", hint="Declare it under `params:`."
        )


@dataclass(frozen=True)
class Union:
    """Several tables that a template reads as one: these columns of all their rows."""

    tables: tuple[str, ...]
    columns: tuple[str, ...]


Place = str | Union
"""Where a relation of a template really lives: a dotted name, or a union of tables."""


@dataclass(frozen=True)
class Query:
    """A rendered template with its values: GoogleSQL text, and for each parameter a (GoogleSQL type, value) pair.

    `reads` are the relations that it reads, under the names of the template. `structure` and `relations` are what `sql`
    was rendered with. `duckdb_form` is what DuckDB runs instead where the
    template asks for the `dialect`: GoogleSQL but for what only DuckDB can do, with the same rows.
    """

    name: str
    sql: str
    params: Mapping[str, tuple[str, Value]]
    reads: frozenset[str] = frozenset()
    structure: Mapping[str, object] = field(default_factory=dict, repr=False)
    relations: Mapping[str, Place] = field(default_factory=dict, repr=False)
    duckdb_form: str | None = field(default=None, repr=False)

    def placed(self, relations: Mapping[str, Place]) -> str:
        """Render the template again, with relations that live elsewhere."""
        return render(self.name, structure=self.structure, relations={**self.relations, **relations})


def root() -> Path:
    """Return the folder of the templates: inside an installed package, or at the top of a source checkout."""
    packaged = Path(__file__).parents[1] / "sql"
    return packaged if packaged.is_dir() else Path(__file__).parents[3] / "sql"


def names() -> tuple[str, ...]:
    """Return the names of all templates, such as `analyses/funnels/counts`; `_name` holds macros."""
    found = (path.relative_to(root()) for path in root().rglob("*.sql") if not path.name.startswith("_"))
    return tuple(sorted(path.with_suffix("").as_posix() for path in found))


def quote(*parts: str) -> Markup:
    """Quote an identifier (`quote("dataset", "table")`) for GoogleSQL; refuses what no identifier may hold."""
    for part in parts:
        if not part or any(character in part for character in "`\\\n\r\0"):
            raise TemplateError(f"{part!r} cannot be an identifier.", hint="Use letters, digits and underscores.")
    return Markup(".").join(Markup(f"`{part}`") for part in parts)  # noqa: S704 - SQL, not HTML: marks text as rendered by us


def _path(dotted: str) -> Markup:
    """Quote a dotted field path."""
    return quote(*dotted.split("."))


def _union(union: Union) -> Markup:
    """Write a union as a subquery; its tables hold the columns with equal types."""
    columns = Markup(", ").join(quote(column) for column in union.columns)
    parts = (Markup("SELECT {} FROM {}").format(columns, _path(table)) for table in union.tables)
    return Markup("({})").format(Markup(" UNION ALL ").join(parts))


def _constant(word: str) -> Markup:
    """Write a word of the template itself (a GA4 parameter name, say) as a string literal; values are parameters."""
    if not _PLAIN.fullmatch(word):
        raise TemplateError(f"{word!r} is not a plain word.", hint="Pass values as query parameters.")
    return Markup(f"'{word}'")  # noqa: S704 - SQL, not HTML


def _parameter(prefix: str, index: int | str = "") -> Markup:
    """Write a query parameter, `@prefix` or `@prefixN`."""
    if not _PLAIN.fullmatch(f"{prefix}{index}"):
        raise TemplateError(f"{prefix}{index!r} is not a parameter name.", hint="Use letters, digits and underscores.")
    return Markup(f"@{prefix}{index}")  # noqa: S704 - SQL, not HTML


def _only_sql(value: Any) -> Any:  # noqa: ANN401 - Jinja hands over whatever an expression gives
    """Let only numbers and text made by our own filters and macros into SQL."""
    if isinstance(value, (Markup, StrictUndefined)) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise TemplateError(
        f"A template wrote the value {value!r} into SQL.", hint="Values are query parameters; identifiers are quoted."
    )


@cache
def _environment() -> Environment:
    # Autoescape escapes nothing here: it makes Jinja mark what macros return, so that `_only_sql` knows it from text.
    environment = Environment(
        loader=FileSystemLoader(root()),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_only_sql,
    )
    environment.filters["identifier"] = _path
    environment.globals.update(constant=_constant, parameter=_parameter)
    return environment


@cache
def _compiled(environment: Environment, text: str) -> CompiledTemplate:
    """Compile a template once; a sync renders the same ones for each batch."""
    return environment.from_string(_parsed(environment, text))


@cache
def _parsed(environment: Environment, text: str) -> nodes.Template:
    """Parse a template once: what it imports is asked of the tree too, and parsing is half of compiling."""
    return environment.parse(text)


@cache
def load(name: str) -> Template:
    """Read a template and its header; TemplateError names the file and what its header lacks."""
    path = root() / f"{name}.sql"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError:
        raise TemplateError(
            f"There is no template {name} (looked for {path}).", hint=f"Templates are: {', '.join(names())}."
        ) from None
    header: list[str] = []
    for line in text.splitlines():
        match = _HEADER_LINE.match(line)
        if match is None:
            break
        header.append(match.group(1).strip())
    sections: dict[str, str] = {"description": ""}
    notes: dict[str, list[str]] = {}
    current = "description"
    for line in header:
        key, colon, rest = line.partition(":")
        if colon and key in ("grain", "params", "structure", *NOTES):
            current, line = key, rest.strip()  # noqa: PLW2901 - the rest of a header line continues its section
            if key in NOTES:
                notes.setdefault(key, []).append("")
        if current in NOTES:
            notes[current][-1] = f"{notes[current][-1]} {line}".strip()
        else:
            sections[current] = f"{sections.get(current, '')} {line}".strip()
    missing = [key for key in ("description", "grain", "params") if not sections.get(key)]
    if missing:
        raise TemplateError(
            f"The header of template {name} lacks: {', '.join(missing)}.",
            hint="Write `-- grain:` and `-- params:` (or `none`).",
        )
    return Template(
        name=name,
        description=sections["description"],
        grain=_words(sections["grain"]),
        params=MappingProxyType(_declared(name, sections["params"]) | _parameters(name, notes, text)),
        structure=_words(sections.get("structure", "none")),
        text=text,
        notes=MappingProxyType({key: tuple(said) for key, said in notes.items()}),
    )


def _words(section: str) -> tuple[str, ...]:
    return () if section == "none" else tuple(word.strip() for word in section.split(","))


def _declared(name: str, section: str) -> dict[str, str]:
    declared: dict[str, str] = {}
    for item in _words(section):
        match = _PARAM.match(item)
        if match is None:
            raise TemplateError(f"Template {name} declares the parameter {item!r}.", hint="Write `name TYPE`.")
        declared[match.group(1)] = match.group(2)
    return declared


def _parameters(name: str, notes: Mapping[str, Sequence[str]], text: str) -> dict[str, str]:
    """Return the thresholds that are parameters of the query: all, but for those that the judge alone reads."""
    declared = _thresholds(name, notes.get("threshold", ()))
    return {each: kind for each, kind in declared.items() if "judge" not in notes or re.search(rf"@{each}\b", text)}


def _thresholds(name: str, notes: Iterable[str]) -> dict[str, str]:
    """Return the parameters that thresholds are: each is written `name TYPE = default meaning`."""
    declared: dict[str, str] = {}
    for note in notes:
        match = THRESHOLD.fullmatch(note)
        if match is None:
            raise TemplateError(
                f"Template {name} declares the threshold {note!r}.", hint="Write `name TYPE = default meaning`."
            )
        declared[match["name"]] = match["type"]
    return declared


@cache
def sources(name: str) -> tuple[str, ...]:
    """Return the text of a template and of the macro files that it imports: all that its SQL is rendered from."""
    texts = {name: load(name).text}
    unread = [texts[name]]
    while unread:
        for imported in meta.find_referenced_templates(_parsed(_environment(), unread.pop())):
            if imported is not None and imported not in texts:
                texts[imported] = (root() / imported).read_text(encoding="utf-8")
                unread.append(texts[imported])
    return tuple(text for _, text in sorted(texts.items()))


def without_comments(text: str) -> str:
    """Return a template's text without comments, indentation and blank lines: what its meaning is made of."""
    text = re.sub(r"\{#.*?#\}", "", text, flags=re.DOTALL)
    text = _LITERALS_AND_COMMENTS.sub(lambda found: "" if found[0].startswith("--") else found[0], text)
    return "\n".join(line.strip() for line in text.splitlines() if line.strip())


def structure_used(template: Template) -> frozenset[str]:
    """Return the Jinja variables that a template and its macros read, without the globals every template has."""
    environment = _environment()
    trees = (_parsed(environment, text) for text in sources(template.name))
    undeclared = {variable for tree in trees for variable in meta.find_undeclared_variables(tree)}
    return frozenset(undeclared - set(environment.globals) - _OF_EVERY_TEMPLATE)


def params_used(sql: str) -> frozenset[str]:
    """Return the query parameters that rendered SQL names, outside literals, comments and quoted identifiers."""
    return frozenset(_QUERY_PARAM.findall(_LITERALS_AND_COMMENTS.sub(" ", sql)))


def render(
    name: str,
    *,
    structure: Mapping[str, object] | None = None,
    relations: Mapping[str, Place] | None = None,
    dialect: Literal["googlesql", "duckdb"] = "googlesql",
) -> str:
    """Render a template to GoogleSQL.

    Args:
        name: such as `analyses/funnels/counts`.
        structure: a value for each Jinja variable of the header's `structure:`.
        relations: where a relation of the template really lives (`{"mc_events": "project.dataset.mc_events"}`); without
            an entry a relation keeps its own name.
        dialect: what the text is for; few templates ask.

    Raises:
        TemplateError: the structure is not what the header declares, or a value would have been written into the SQL.
    """
    return _rendered(name, structure, relations, dialect)[0]


def _rendered(
    name: str,
    structure: Mapping[str, object] | None,
    relations: Mapping[str, Place] | None,
    dialect: Literal["googlesql", "duckdb"],
) -> tuple[str, frozenset[str]]:
    """Return the text of a template, and the relations that it asked for while it was rendered."""
    template = load(name)
    given = dict(structure or {})
    if set(given) != set(template.structure):
        raise TemplateError(
            f"Template {name} takes the structure {sorted(template.structure)}, got {sorted(given)}.",
            hint="Pass exactly these.",
        )
    places = dict(relations or {})
    reads: set[str] = set()

    def relation(relation_name: str) -> Markup:
        reads.add(relation_name)
        place = places.get(relation_name, relation_name)
        return _union(place) if isinstance(place, Union) else _path(place)

    try:
        text = _compiled(_environment(), template.text).render(**given, relation=relation, dialect=dialect)
    except TemplateNotFound as error:
        raise TemplateError(
            f"Template {name} imports {error.name}, which is not there.", hint="Check the name."
        ) from error
    except JinjaError as error:
        raise TemplateError(
            f"Template {name} cannot be rendered: {error}.", hint="Check the structure passed to it."
        ) from error
    return f"{text.strip()}\n", frozenset(reads)


def query(
    name: str,
    *,
    params: Mapping[str, Value] | None = None,
    structure: Mapping[str, object] | None = None,
    relations: Mapping[str, Place] | None = None,
) -> Query:
    """Render a template and bind its values; every parameter used is given, and none is given in vain.

    Raises:
        TemplateError: a parameter is missing, unused or not declared in the header.
    """
    sql, reads = _rendered(name, structure, relations, "googlesql")
    given = dict(params or {})
    used = params_used(sql)
    if used != set(given):
        missing, unused = sorted(used - set(given)), sorted(set(given) - used)
        raise TemplateError(
            f"Template {name}: parameters missing: {missing or 'none'}; given but unused: {unused or 'none'}.",
            hint="Pass exactly what it uses.",
        )
    template = load(name)
    return Query(
        name=name,
        sql=sql,
        params={key: (template.param_type(key), value) for key, value in given.items()},
        reads=reads,
        structure=dict(structure or {}),
        relations=dict(relations or {}),
        duckdb_form=(
            render(name, structure=structure, relations=relations, dialect="duckdb") if _has_duckdb_form(name) else None
        ),
    )


@cache
def _has_duckdb_form(name: str) -> bool:
    return any(_ASKS_FOR_DIALECT.search(text) for text in sources(name))
