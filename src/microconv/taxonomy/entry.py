"""An entry of the taxonomy: what counts as it, where it stands in the journey, and what is agreed on about it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any, Literal, get_args

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from microconv.config.problems import ItemError
from microconv.config.values import Length
from microconv.taxonomy.derived import Derivation
from microconv.taxonomy.event_conditions import Clause, Condition, EventPattern
from microconv.taxonomy.names import Id, ParameterName, Printable, Prose, Version, one_or_more, version_key

Kind = Literal["milestone", "secondary", "macro"]
Stage = Literal["awareness", "consideration", "decision", "post_sale"]
Mindset = Literal["curiosity", "consideration", "commitment", "loyalty"]
SentFrom = Literal["web", "app", "server"]
ValueType = Literal["text", "number", "integer"]

STAGES: tuple[Stage, ...] = get_args(Stage)
MINDSETS: tuple[Mindset, ...] = get_args(Mindset)
_USUAL_MINDSET: dict[Stage, Mindset] = dict(zip(STAGES, MINDSETS, strict=True))

ORIGINS = ("event", "derived", "hesitation", "external")
"""The keys that say where an entry's occurrences come from, as a file writes them; an entry has exactly one."""


def _amount(value: object) -> object:
    if value is None or value == "event":
        return value
    # bool is an int to Python, and `value = true` a mistake to everyone else.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise ValueError(f'must be a number from 0 up, or "event" for the event\'s own value, not {value!r}')
    return float(value)


EVENT_PATTERN = "<event pattern>"
"""Under this key `event` is read where it is a table; no file can write it."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class RequiredParameter(_Frozen):
    """A parameter that the events of an entry must carry: its type, and the values it may have where they are known."""

    name: ParameterName
    type: ValueType = "text"
    allowed: Annotated[tuple[str | float, ...], Field(strict=False)] = ()
    description: Prose = ""

    @model_validator(mode="after")
    def _values_of_the_type(self) -> RequiredParameter:
        for value in self.allowed:
            if isinstance(value, str) != (self.type == "text"):
                raise ValueError(f"is {self.type}, and allows {value!r}, which is not")
        return self

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "name": self.name,
            "type": self.type,
            "allowed": list(self.allowed),
            "description": self.description,
        }


class MicroConversion(_Frozen):
    """An entry of the taxonomy: what it is called, where it stands in the journey and which events count as it.

    An event counts when its name is one of `events`, or matches `event_pattern`, and all that is in `where` holds; an
    external one when its name is in `external`. `value` is in the project's currency; "event" takes the event's own
    (purchase revenue, else the parameter `value`). Repeats by one client on one page, each at most `collapse` after the
    one before, are one occurrence. `since`, `deprecated_in` and `removed_in` are versions of the taxonomy.
    """

    id: Id
    kind: Kind
    stage: Stage

    # What counts as it: exactly one of ORIGINS, and what goes with it.
    events: Annotated[tuple[Printable, ...], BeforeValidator(one_or_more), Field(min_length=1, strict=False)] = Field(
        default=(), validation_alias=AliasChoices("event", "events")
    )
    event_pattern: EventPattern | None = Field(default=None, validation_alias=EVENT_PATTERN)
    where: Annotated[tuple[Clause, ...], Field(strict=False)] = ()
    external: Annotated[tuple[Printable, ...], BeforeValidator(one_or_more), Field(min_length=1, strict=False)] = Field(
        default=()
    )
    collapse: Length | None = None
    derived: Derivation | None = None
    hesitation: Derivation | None = None

    is_hesitation: bool = False
    """Set by `hesitation`, a table or true; a file cannot write it."""
    counts: bool = True
    """False: its occurrences are ingredients of derived entries, and in no answer themselves."""

    # What it is worth, and how people speak of it.
    value: Annotated[float | Literal["event"] | None, BeforeValidator(_amount)] = None
    name: Printable = ""
    mindset: Mindset = "curiosity"

    # The contract: what is agreed on about it. It decides no figure.
    description: Prose = ""
    owner: Printable | None = None
    goals: Annotated[tuple[Id, ...], BeforeValidator(one_or_more), Field(strict=False)] = Field(
        default=(), validation_alias=AliasChoices("goal", "goals")
    )
    friction: Prose = ""
    parameters: Annotated[tuple[RequiredParameter, ...], Field(strict=False)] = ()
    identifiers: Annotated[tuple[ParameterName, ...], BeforeValidator(one_or_more), Field(strict=False)] = ()
    sent_from: Annotated[tuple[SentFrom, ...], BeforeValidator(one_or_more), Field(strict=False)] = ()
    triggers: Annotated[tuple[Printable, ...], BeforeValidator(one_or_more), Field(strict=False)] = ()

    # Its history.
    since: Version = "1.0"
    deprecated_in: Version | None = Field(default=None, validation_alias=AliasChoices("deprecated_in", "deprecated"))
    removed_in: Version | None = None
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
        for key in ("event", "events"):
            if isinstance(filled.get(key), dict):
                filled[EVENT_PATTERN] = filled.pop(key)
        if "is_hesitation" in filled:
            raise ItemError("is not a known key: write hesitation = true", ("is_hesitation",))
        if "hesitation" in filled:
            filled["is_hesitation"] = filled["hesitation"] is not False
            filled.setdefault("kind", "secondary")
            if isinstance(filled["hesitation"], bool):
                del filled["hesitation"]
        if "page" in filled:
            page, where = filled.pop("page"), filled.get("where", ())
            if isinstance(where, list | tuple):
                # Anything but a table is left for the check of `where` to refuse.
                filled["where"] = (*where, {**page, "field": "page"} if isinstance(page, dict) else page)
        return filled

    @model_validator(mode="after")
    def _one_origin(self) -> MicroConversion:
        given = [key for key in ORIGINS if (self.is_observed if key == "event" else getattr(self, key))]
        if not given:
            raise ItemError("is required", ("event",))
        if len(given) > 1:
            raise ItemError(f"cannot be given beside {given[0]}: an entry has one origin", (given[-1],))
        if not self.is_observed:
            self._check_what_goes_with_events()
        return self

    def _check_what_goes_with_events(self) -> None:
        if self.where and self.external:
            raise ItemError("is a condition on an event of the export; give external ones names instead", ("where",))
        if self.where:
            raise ItemError("is a condition on an event of the export; derived entries look at others", ("where",))
        if self.collapse:
            raise ItemError("takes repeats of an event of the export for one; others are one already", ("collapse",))
        if not self.counts:
            raise ItemError("goes with event only", ("counts",))
        if self.derivation is not None and self.replaced_by is not None:
            raise ItemError("cannot be given: history is read anew when a derived entry changes", ("replaced_by",))

    @model_validator(mode="after")
    def _versions_in_order(self) -> MicroConversion:
        if self.replaced_by == self.id:
            raise ItemError("an entry cannot replace itself: name another one", ("replaced_by",))
        if self.replaced_by is not None and self.deprecated_in is None and self.removed_in is None:
            raise ValueError('has replaced_by but no deprecated_in; add deprecated_in = "<version>"')
        course = (
            ("came in", self.since),
            ("is deprecated in", self.deprecated_in),
            ("is removed in", self.removed_in),
        )
        known = [(what, version) for what, version in course if version is not None]
        for (before, earlier), (after, later) in pairwise(known):
            if version_key(later) < version_key(earlier):
                raise ValueError(f"{after} {later}, before it {before} {earlier}")
        return self

    @property
    def derivation(self) -> Derivation | None:
        """How it is derived from other entries; None for one that counts events."""
        return self.derived or self.hesitation

    @property
    def is_observed(self) -> bool:
        """Whether its occurrences are events of the export."""
        return bool(self.events) or self.event_pattern is not None

    def conditions(self) -> Iterator[Condition]:
        """Yield its conditions, those inside of groups too."""
        for clause in self.where:
            yield from clause.leaves()

    @property
    def is_retired(self) -> bool:
        """Whether it is deprecated or removed: it stands for history, and new tracking must not send it."""
        return self.deprecated_in is not None or self.removed_in is not None

    def is_removed(self, version: str) -> bool:
        """Whether it counts nothing any more in this version of the taxonomy; its replacement, if any, does."""
        return self.removed_in is not None and version_key(self.removed_in) <= version_key(version)

    @property
    def counts_as(self) -> str:
        """Id that its occurrences are counted under: the replacement of a deprecated entry, else its own."""
        return self.replaced_by or self.id

    def describe(self) -> str:
        """Return what it matches as a person reads it: `click where link_url starts with tel:`."""
        if self.external:
            return f"external {' or '.join(self.external)}"
        if self.derivation is not None:
            return self.derivation.describe()
        events = f"events matching {self.event_pattern.matches}" if self.event_pattern else " or ".join(self.events)
        conditions = " and ".join(clause.describe() for clause in self.where)
        return f"{events} where {conditions}" if conditions else events

    def meaning(self) -> dict[str, Any]:
        """Return what staged rows depend on, and nothing else; the order of events and conditions does not count."""
        return {
            "counts_as": self.counts_as,
            "kind": self.kind,
            "stage": self.stage,
            "value": self.value,
            "events": sorted(set(self.events)),
            "event_pattern": self.event_pattern and self.event_pattern.matches,
            "where": sorted(clause.canonical() for clause in self.where),
            **({"external": sorted(set(self.external))} if self.external else {}),
            "collapse_us": self.collapse.microseconds if self.collapse else None,
            **({"derived": self.derivation.meaning()} if self.derivation else {}),
            **({} if self.counts else {"counts": False}),
        }

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
            "event_pattern": self.event_pattern and self.event_pattern.matches,
            "where": [clause.document() for clause in self.where],
            "external": list(self.external),
            "collapse": str(self.collapse) if self.collapse else None,
            "derived": self.derivation.document() if self.derivation else None,
            "is_hesitation": self.is_hesitation,
            "counts": self.counts,
            "description": self.description,
            "owner": self.owner,
            "goals": list(self.goals),
            "friction": self.friction,
            "parameters": [parameter.document() for parameter in self.parameters],
            "identifiers": list(self.identifiers),
            "sent_from": list(self.sent_from),
            "triggers": list(self.triggers),
            "since": self.since,
            "deprecated_in": self.deprecated_in,
            "removed_in": self.removed_in,
            "replaced_by": self.replaced_by,
            "counts_as": self.counts_as,
        }
