"""What a webhook is sent, as data: a JSON document with places that are filled, for each tool that takes it.

A text `{{name}}` stands for a value. A list that holds `{"$each": {"email": …}}` has one element for each identifier in
its place, as its kind says. There are no conditions and no code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args
from urllib.parse import quote

from pydantic import Field, ValidationError, model_validator

from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.push.audience_list import BatchState, Identifier, Operation, Origin
from microconv.config.occurrences import Section
from microconv.errors import ConfigError
from microconv.files import read_settings

PayloadName = Literal["microconv", "klaviyo", "hubspot", "mailchimp", "braze"]
Values: TypeAlias = Mapping[str, str | None]
"""What places are filled with; None: there is nothing."""
_PLACE = re.compile(r"\{\{(\w+)\}\}")
_EACH = "$each"
IN_BODIES = frozenset(
    {"segment", "list", "property", "operation", "push_id", "request_id", "sent_at", "rule", "rule_version"}
)
"""What a body or a path may name."""
OF_EACH = frozenset({"reason", "since", "consent", "consented_at"})
"""What an element of `$each` may name besides, and `value`: why the identifier is on the list, or leaves it."""
_CONSENT = {"member": "granted", "refused": "denied"}
IN_HEADERS = frozenset({"token", "token_basic", "request_id"})
_POINTER = r"(?:/[^/]*)+"


class RequestShape(Section):
    """One request: a path behind the address of the webhook, and a body."""

    path: str = ""
    body: dict[str, Any] = Field(description="a JSON object")
    refused: str | None = Field(default=None, pattern=_POINTER, description="where an answer lists values not taken")


class RejectedShape(Section):
    """Where an answer says how many rows were refused: a number, or a list of as many (JSON pointers)."""

    count: str | None = Field(default=None, pattern=_POINTER)
    length: str | None = Field(default=None, pattern=_POINTER)

    def read(self, document: object) -> int:
        """Return how many an answer names."""
        number = pointed(document, self.count) if self.count else None
        entries = pointed(document, self.length) if self.length else None
        found = number if isinstance(number, int) and not isinstance(number, bool) and number > 0 else 0
        return max(found, len(entries) if isinstance(entries, list) else 0)


class StatusShape(Section):
    """How the tool is asked later: the id in the first answer, the path to ask at, and what the words there mean."""

    id: str = Field(pattern=_POINTER)
    path: str
    state: str = Field(pattern=_POINTER)
    states: dict[str, BatchState]


class Payload(Section):
    """What a tool is sent, and how its answers are read.

    Attributes:
        source: Where its maker documents that.
        url: Its address, where all accounts have one.
        in_clear: The identifiers that it wants as they are.
        most_identifiers: The most that a request may hold.
        headers: Headers beside ours.
        add: The request that puts identifiers on the list.
        remove: The request that takes them off.
        rejected: Where an answer says how many were refused.
        status: How it is asked later.
        examine: What the doctor asks for, of which each must be there: whether the key is good, the list is there.
        members: Where the answer to the first of these says how many members the list has (a JSON pointer).
        nothing: What it takes for a value that there is not.
    """

    source: str = ""
    url: str | None = None
    in_clear: tuple[IdentityKind, ...] = ()
    most_identifiers: int = Field(default=1_000, ge=1, le=10_000)
    requests_per_minute: int | None = Field(default=None, ge=1)
    headers: dict[str, str] = Field(default_factory=dict)
    add: RequestShape
    remove: RequestShape
    rejected: RejectedShape = RejectedShape(count="/rejected")
    status: StatusShape | None = None
    examine: tuple[str, ...] = ()
    members: str | None = Field(default=None, pattern=_POINTER)
    nothing: str | None = None

    @model_validator(mode="after")
    def _can_be_filled(self) -> Payload:
        for operation in get_args(Operation):
            shape = self.shape(operation)
            found = list(_each_in(shape.body))
            if len(found) != 1:
                raise ValueError(f'{operation}.body needs one list that holds {{"{_EACH}": …}}')
            inside = {*_names(found[0][1])} if found else set()
            unknown = {*_names(shape.body), *_names(shape.path)} - IN_BODIES - (inside & {"value", *OF_EACH})
            if unknown:
                raise ValueError(f"{operation} names {', '.join(sorted(unknown))}, which nothing fills")
            if set(found[0][1]) - set(get_args(IdentityKind)) or not found[0][1]:
                raise ValueError(f"{operation}.body: {_EACH} has an element for each of {get_args(IdentityKind)}")
        if unknown := set(_names(self.headers)) - IN_HEADERS:
            raise ValueError(f"headers name {', '.join(sorted(unknown))}, which nothing fills")
        if unknown := set(_names(list(self.examine))) - {"list", "property"}:
            raise ValueError(f"examine names {', '.join(sorted(unknown))}, which nothing fills")
        if self.kinds("add") != self.kinds("remove"):
            raise ValueError("what can be added must be removable: add and remove take other identifiers")
        return self

    def shape(self, operation: Operation) -> RequestShape:
        """Return the request of an operation."""
        return self.add if operation == "add" else self.remove

    def kinds(self, operation: Operation = "add") -> frozenset[IdentityKind]:
        """Return which identifiers it takes."""
        ((_, elements),) = _each_in(self.shape(operation).body)
        return frozenset(elements)  # type: ignore[arg-type]  # checked above

    @property
    def needs(self) -> frozenset[str]:
        """Which of token, list and property somebody has to give."""
        parts = (self.headers, *(each for shape in (self.add, self.remove) for each in (shape.body, shape.path)))
        named = {name.removesuffix("_basic") for part in parts for name in _names(part)}
        return frozenset(named & {"token", "list"})

    @property
    def tells_why(self) -> bool:
        """Whether it says of each identifier why it is on the list or leaves it."""
        return any(OF_EACH & set(_names(shape.body)) for shape in (self.add, self.remove))

    def place(self, values: Values) -> tuple[str, ...]:
        """Return what tells the list of one segment from that of another, in what is sent."""
        named = {*_names(self.add.body), *_names(self.add.path)}
        return tuple(values[name] or "" for name in ("segment", "list", "property") if name in named)

    def path(self, operation: Operation, values: Values) -> str:
        """Return the path of a request."""
        return in_path(self.shape(operation).path, values)

    def body(
        self,
        operation: Operation,
        values: Values,
        identifiers: Sequence[Identifier],
        why: Callable[[Identifier], Origin] = lambda _: Origin(),
    ) -> bytes:
        """Return the body of a request; `why` says of an identifier why it is on the list, or leaves it."""
        each = [{**values, "value": one.value, "kind": one.kind, **_in_values(why(one))} for one in identifiers]
        filled = _filled(self.shape(operation).body, values, each, self.nothing)
        return json.dumps(filled, ensure_ascii=False, separators=(",", ":")).encode()

    def refused(self, operation: Operation, document: object, identifiers: Sequence[Identifier]) -> tuple[int, ...]:
        """Return the places of the identifiers that an answer lists as not taken, although it took the rest."""
        pointer = self.shape(operation).refused
        if pointer is None:
            return ()
        values = {each.strip().casefold() for each in pointed_at(document, pointer) if isinstance(each, str)}
        return tuple(place for place, each in enumerate(identifiers) if each.value.casefold() in values)

    def rows(self, operation: Operation, document: object, count: int) -> tuple[int, ...]:
        """Return the rows that an error names by JSON pointers into what was sent (`/identifiers/3/value`)."""
        ((prefix, _),) = _each_in(self.shape(operation).body)
        row = re.compile(rf"#?{re.escape(prefix)}/([0-9]{{1,6}})(?:/.*)?", re.DOTALL)
        matches = (row.fullmatch(text) for text in _pointers(document))
        found = {int(each[1]) for each in matches if each}
        return tuple(sorted(place for place in found if place < count))


def pointed(document: object, pointer: str) -> object:
    """Return what a JSON pointer leads to; None where there is nothing."""
    for part in pointer.split("/")[1:]:
        if isinstance(document, Mapping):
            document = document.get(part)
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        else:
            return None
    return document


def pointed_at(document: object, pointer: str) -> Iterator[object]:
    """Yield what a JSON pointer leads to in which `*` is each element of a list; of a list at its end, all."""
    before, star, after = pointer.partition("/*")
    found = pointed(document, before)
    for each in found if isinstance(found, list) else ():
        yield from pointed_at(each, after) if star and after else (each,)


@cache
def payload(name: PayloadName) -> Payload:
    """Return a payload of ours."""
    text = resources.files(__package__).joinpath("payloads_of_tools", f"{name}.json").read_text(encoding="utf-8")
    return Payload.model_validate_json(text)


def payload_in(path: Path) -> Payload:
    """Read a payload of somebody's own.

    Raises:
        ConfigError: It cannot be used.
    """
    try:
        return Payload.model_validate_json(read_settings(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.", hint="Correct payload_file.") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ConfigError(
            f"{path} is not a payload: {f'{where}: ' if where else ''}{first['msg']}.",
            hint='Write it as docs/destinations.md says, under "Your own payload".',
        ) from None
    except ValueError:
        raise ConfigError(f"{path} is not a payload: it is not JSON.", hint="Correct the file.") from None


def in_path(path: str, values: Values) -> str:
    """Fill the places of a path."""
    return _PLACE.sub(lambda found: quote(values[found[1]] or "", safe=""), path)


def _in_values(origin: Origin) -> dict[str, str | None]:
    """Return what an element of `$each` may name of an origin."""
    return {
        "reason": origin.reason,
        "since": _moment(origin.since),
        "consent": _CONSENT.get(origin.reason, "unknown"),
        "consented_at": _moment(origin.consented_at),
    }


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _filled(part: Any, values: Values, identifiers: Sequence[Values], nothing: str | None) -> Any:  # noqa: ANN401 - JSON
    def text(template: str) -> str:
        return _PLACE.sub(lambda found: values.get(found[1]) or "", template)

    if isinstance(part, str):
        whole = _PLACE.fullmatch(part)
        return nothing if whole and values.get(whole[1]) is None else text(part)
    if isinstance(part, Mapping):
        return {text(key): _filled(each, values, identifiers, nothing) for key, each in part.items()}
    if not isinstance(part, list):
        return part
    filled: list[Any] = []
    for each in part:
        if isinstance(each, Mapping) and _EACH in each:
            filled += [_filled(each[_EACH][one["kind"]], one, (), nothing) for one in identifiers]
        else:
            filled.append(_filled(each, values, identifiers, nothing))
    return filled


def _each_in(part: object, pointer: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each list with `$each`, by its pointer, and the elements of each kind."""
    if isinstance(part, Mapping):
        for key, each in part.items():
            yield from _each_in(each, f"{pointer}/{key}")
    elif isinstance(part, list):
        for place, each in enumerate(part):
            if isinstance(each, Mapping) and isinstance(each.get(_EACH), Mapping):
                yield pointer, each[_EACH]
            else:
                yield from _each_in(each, f"{pointer}/{place}")


def _names(part: object) -> Iterator[str]:
    if isinstance(part, str):
        yield from _PLACE.findall(part)
    elif isinstance(part, Mapping):
        for key, each in part.items():
            yield from (*_names(key), *_names(each))
    elif isinstance(part, list):
        for each in part:
            yield from _names(each)


def _pointers(document: object, depth: int = 0) -> Iterator[str]:
    """Yield the texts under any key `pointer` of an answer."""
    if depth > 8:  # noqa: PLR2004 - deeper than any answer that names rows
        return
    if isinstance(document, Mapping):
        for key, each in document.items():
            if key == "pointer" and isinstance(each, str):
                yield each
            else:
                yield from _pointers(each, depth + 1)
    elif isinstance(document, list):
        for each in document:
            yield from _pointers(each, depth + 1)
