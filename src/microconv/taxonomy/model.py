"""What a taxonomy is: its entries, when an event counts as one of them, and what staging needs to know."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from microconv.errors import TaxonomyError
from microconv.queries.conditions import Comparison

Kind = Literal["milestone", "secondary", "macro"]
Stage = Literal["awareness", "consideration", "decision", "post_sale"]
Mindset = Literal["curiosity", "consideration", "commitment", "loyalty"]

_MOST_UNKNOWN = 20
"""How many unknown names one message tells."""
STAGES: tuple[Stage, ...] = get_args(Stage)
_USUAL_MINDSET: dict[Stage, Mindset] = dict(zip(STAGES, get_args(Mindset), strict=True))


def _written(pattern: str, rule: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"{rule}, not {text!r}")
        return text

    return AfterValidator(check)


def _printable(text: str) -> str:
    if not text.isprintable() or text != text.strip() or not text:
        raise ValueError(f"must be printable text without spaces around it, not {text!r}")
    return text


def _one_or_more(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _amount(value: object) -> object:
    if value is None or value == "event":
        return value
    # bool is an int to Python, and `value = true` a mistake to everyone else.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f'must be a number from 0 up, or "event" for the event\'s own value, not {value!r}')
    return float(value)


Id = Annotated[
    str, _written(r"[a-z][a-z0-9_]{0,63}", "must be lower-case letters, digits and _, a letter first, at most 64")
]
Version = Annotated[str, _written(r"\d{1,9}(\.\d{1,9}){0,2}", 'must be a version such as "1.0"')]
# GA4 allows letters, digits and _, 40 characters; real exports also hold dots, dashes and longer names.
_ParameterName = Annotated[
    str,
    _written(r"[A-Za-z][A-Za-z0-9_.-]{0,99}", "must be letters, digits and any of _ . -, a letter first, at most 100"),
]
Printable = Annotated[str, AfterValidator(_printable)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Condition(Comparison):
    """One condition on an event: a parameter or the page, and exactly one operator.

    `field = "page"` is the path of `page_location` (`/pricing`: no scheme, host, query or fragment).
    """

    parameter: _ParameterName | None = None
    field: Literal["page"] | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Condition:
        if (self.parameter is None) == (self.field is None):
            raise ValueError('must name what it looks at: a parameter, or field = "page"')
        if self.field == "page" and self.is_numeric:
            raise ValueError(f"{self.operator} needs a number, and the page is text")
        return self

    @property
    def subject(self) -> str:
        """The parameter, or "page"."""
        return self.parameter or self.field or ""

    def document(self) -> dict[str, Any]:
        """Return the JSON form: `parameter` or `field`, `operator`, `operand`."""
        subject = {"parameter": self.parameter} if self.parameter else {"field": self.field}
        operand = list(self.operand) if isinstance(self.operand, tuple) else self.operand
        return {**subject, "operator": self.operator, "operand": operand}


class MicroConversion(_Frozen):
    """An entry of the taxonomy: what it is called, where it stands in the journey and which events count as it.

    An event counts when its name is one of `events` and every condition in `where` holds. `value` is in the project's
    currency; "event" takes the event's own (purchase revenue, else the parameter `value`). `since` and `deprecated` are
    versions of the taxonomy.
    """

    id: Id
    kind: Kind
    stage: Stage
    events: Annotated[tuple[Printable, ...], BeforeValidator(_one_or_more), Field(min_length=1, strict=False)] = Field(
        validation_alias=AliasChoices("event", "events")
    )
    name: Printable = ""
    mindset: Mindset = "curiosity"
    value: Annotated[float | Literal["event"] | None, BeforeValidator(_amount)] = None
    where: Annotated[tuple[Condition, ...], Field(strict=False)] = ()
    since: Version = "1.0"
    deprecated: Version | None = None
    replaced_by: Id | None = None

    @model_validator(mode="before")
    @classmethod
    def _fill_what_the_file_leaves_out(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        filled = dict(data)
        if isinstance(entry_id := filled.get("id"), str):
            filled.setdefault("name", entry_id.replace("_", " ").capitalize())
        if (stage := filled.get("stage")) in STAGES:
            filled.setdefault("mindset", _USUAL_MINDSET[stage])
        if "page" in filled:
            page, where = filled.pop("page"), filled.get("where", ())
            if isinstance(where, list | tuple):
                # Anything but a table is left for the check of `where` to refuse.
                filled["where"] = (*where, {**page, "field": "page"} if isinstance(page, dict) else page)
        return filled

    @model_validator(mode="after")
    def _versions_in_order(self) -> MicroConversion:
        if self.deprecated is None:
            if self.replaced_by is not None:
                raise ValueError('has replaced_by but no deprecated; add deprecated = "<version>"')
        elif version_key(self.deprecated) < version_key(self.since):
            raise ValueError(f"is deprecated in {self.deprecated}, before it came in {self.since}")
        return self

    @property
    def counts_as(self) -> str:
        """Id that its occurrences are counted under: the replacement of a deprecated entry, else its own."""
        return self.replaced_by or self.id

    def describe(self) -> str:
        """Return what it matches as a person reads it: `click where link_url starts with tel:`."""
        events = " or ".join(self.events)
        conditions = " and ".join(condition.describe() for condition in self.where)
        return f"{events} where {conditions}" if conditions else events

    def document(self) -> dict[str, Any]:
        """Return the JSON form: every attribute, and `counts_as`."""
        return {
            "id": self.id,
            "name": self.name,
            "kind": self.kind,
            "stage": self.stage,
            "mindset": self.mindset,
            "value": self.value,
            "events": list(self.events),
            "where": [condition.document() for condition in self.where],
            "since": self.since,
            "deprecated": self.deprecated,
            "replaced_by": self.replaced_by,
            "counts_as": self.counts_as,
        }


@dataclass(frozen=True, order=True)
class CarriedParameter:
    """An event parameter that conditions read; `as_number` says in which of the two forms."""

    name: str
    as_number: bool


@dataclass(frozen=True)
class Taxonomy:
    """A named, versioned set of entries in the order of their file. `load_taxonomy` makes checked ones."""

    name: str
    version: str
    entries: tuple[MicroConversion, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all entries, deprecated ones included, in the order of the file."""
        return tuple(entry.id for entry in self.entries)

    @property
    def macros(self) -> tuple[str, ...]:
        """Ids of the macro-conversions that occurrences are counted under."""
        return tuple(entry.id for entry in self.entries if entry.kind == "macro" and entry.counts_as == entry.id)

    def entry(self, entry_id: str) -> MicroConversion:
        """Return the entry `entry_id`.

        Raises:
            TaxonomyError: The taxonomy has no such entry; the message says which ids come near and which exist.
        """
        if entry_id not in self._by_id:
            found = get_close_matches(entry_id, self.ids)
            near = f" (did you mean {' or '.join(found)}?)" if found else ""
            raise TaxonomyError(
                f'The taxonomy "{self.name}" {self.version} has no micro-conversion "{entry_id}"{near}.',
                hint=f"It has: {', '.join(self.ids)}.",
            )
        return self._by_id[entry_id]

    def counted(self, entry_id: str) -> str:
        """Return the id under which occurrences of an entry are staged: a deprecated one counts as its replacement.

        Raises:
            TaxonomyError: The taxonomy has no such entry; the message says which ids come near.
        """
        return self.entry(entry_id).counts_as

    def check_names(self, named: Iterable[tuple[str, str]]) -> None:
        """Refuse ids that the taxonomy does not have. This is the only place where names are checked.

        Args:
            named: Ids, each with what names it (`funnel "checkout"`).

        Raises:
            TaxonomyError: One is unknown, or several are; the message says who named each and which ids come near.
        """
        unknown: dict[str, TaxonomyError] = {}
        others = 0
        for entry_id, named_by in named:
            if entry_id in self._by_id:
                continue
            if len(unknown) == _MOST_UNKNOWN:  # to look for the nearest takes time
                others += 1
                continue
            try:
                self.entry(entry_id)
            except TaxonomyError as error:
                unknown[f"In {named_by}: {error.message}"] = error
        if unknown:
            more = f" And {others} more are unknown." if others else ""
            raise TaxonomyError(" ".join(unknown) + more, hint=next(iter(unknown.values())).hint)

    def rank(self, entry_id: str) -> int:
        """Return the place of an entry in the journey, 1 to n: by stage, then by position in the file.

        Raises:
            TaxonomyError: The taxonomy has no such entry.
        """
        return self._ranks[self.entry(entry_id).id]

    def event_ranks(self) -> dict[str, int]:
        """Return, for each event name, the smallest rank among the entries that its occurrences may count as."""
        ranks: dict[str, int] = {}
        for entry in self.entries:
            rank = self._ranks[entry.counts_as]
            for event in entry.events:
                ranks[event] = min(rank, ranks.get(event, rank))
        return ranks

    def carried_parameters(self) -> tuple[CarriedParameter, ...]:
        """Return the parameters that conditions read, sorted; one read both as text and as number comes twice.

        The parameter `value` behind `value = "event"` is not among them: every staged event has its own value.
        """
        conditions = (condition for entry in self.entries for condition in entry.where)
        return tuple(
            sorted({CarriedParameter(each.parameter, each.is_numeric) for each in conditions if each.parameter})
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of what staged rows depend on: matches, what they count as, kind, stage, value and rank.

        Names, comments, mindsets, versions and the order of keys, events and conditions leave it as it is.
        """
        meaning = [
            {
                "counts_as": entry.counts_as,
                "kind": entry.kind,
                "stage": entry.stage,
                "value": entry.value,
                "events": sorted(set(entry.events)),
                "where": sorted(_canonical(condition) for condition in entry.where),
            }
            for entry in sorted(self.entries, key=lambda entry: self._ranks[entry.id])
        ]
        return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()

    def document(self) -> dict[str, Any]:
        """Return the JSON document: `name`, `version`, `fingerprint` and `micro_conversions` by rank."""
        by_rank = sorted(self.entries, key=lambda entry: self._ranks[entry.id])
        return {
            "name": self.name,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "micro_conversions": [{"rank": self._ranks[entry.id], **entry.document()} for entry in by_rank],
        }

    @cached_property
    def _by_id(self) -> dict[str, MicroConversion]:
        return {entry.id: entry for entry in self.entries}

    @cached_property
    def _ranks(self) -> dict[str, int]:
        # sorted() is stable, so the order of the file decides within a stage.
        by_stage = sorted(self.entries, key=lambda entry: STAGES.index(entry.stage))
        return {entry.id: rank for rank, entry in enumerate(by_stage, start=1)}


def _canonical(condition: Condition) -> str:
    document = condition.document()
    if isinstance(document["operand"], list):
        document["operand"] = sorted(set(document["operand"]))
    return json.dumps(document, sort_keys=True)


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are compared by: "1.10" is later than "1.9", "1" equals "1.0"."""
    numbers = [int(number) for number in version.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))
