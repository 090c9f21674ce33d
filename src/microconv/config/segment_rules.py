"""The rules of segments: trees of what actors did, did not, were like; and the segments that rules name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol, Self, TypeVar, get_args

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    model_serializer,
    model_validator,
)

from microconv.config.occurrences import Occurrences, PropertyCondition, Section
from microconv.config.positions import KeyPath
from microconv.config.problems import ItemError, nearest
from microconv.config.values import Duration, EntryId, Label, Length, PropertyName, as_list, unique

Stage = Literal["awareness", "consideration", "decision", "post_sale"]
Touch = Literal["first", "last"]

ANYTHING = "anything"
"""What `of` says with `lapsed` where any visit ends the absence."""
VALUE = "value"
"""What `total` adds up where it is money."""
ENGAGEMENT = "engagement_seconds"
"""What `total` adds up where it is the time of engagement."""
TRAITS = ("channel", "campaign", "source", "medium", "country", "device", "language")
"""What sessions have, by which an actor's first or last one is looked at."""

_MOST_TIMES = 1_000_000
_MOST_AMOUNT = 1_000_000_000
_DEEPEST = 12
DECILES = 10
"""Tenths of the actors by their chance, of which `propensity` names some."""
MOST_STEPS = 10
"""How many steps a sequence may have."""

LOOKED_UP = ("rule", "currency", "assumed_currency")
"""What a rule is given when the configuration is read; no file says it."""
_COUNTED = ("at_least", "at_most", "exactly", "in_sessions", "on_days", "distinct", "where", "not_did", "not_within")
_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "all": ((), ()),
    "any": ((), ()),
    "not": ((), ()),
    "segment": ((), ("rule",)),
    "did": (("within",), _COUNTED),
    "sequence": (("within",), ("window", "gap", "without")),
    "first": (("within",), ("where",)),
    "lapsed": (("for",), ("of", "where")),
    "last": (("between",), ("where",)),
    "stage": ((), ("within",)),
    "total": (("of", "within"), ("at_least", "below", "where", *LOOKED_UP[1:])),
    "propensity": ((), ("goal",)),
    **{trait: ((), (*(other for other in TRAITS if other != trait), "touch")) for trait in TRAITS},
}
"""The kinds of nodes by the key that tells them, with the keys that each needs besides and those that it may have."""
_INSTEAD = {
    "rule": "name the segment only",
    "currency": "values count in the currency of [project]",
    "assumed_currency": "see assume_currency under [project]",
}
_COMPANIONS = {
    "at_least": "did", "at_most": "did", "exactly": "did", "in_sessions": "did", "on_days": "did", "distinct": "did",
    "not_did": "did", "not_within": "did", "window": "sequence", "gap": "sequence", "without": "sequence",
    "for": "lapsed", "between": "last", "below": "total", "of": "total", "touch": "channel", "goal": "propensity",
}  # fmt: skip
"""What goes with the keys that tell no kind, to say what is missing where they stand alone."""


def _amount(value: object) -> object:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic collects ValueError only
    if not abs(value) <= _MOST_AMOUNT:
        raise ValueError(f"must be at most {_MOST_AMOUNT:,}")
    return value


def _first_before_last(bounds: tuple[Duration, Duration]) -> tuple[Duration, Duration]:
    if bounds[0] > bounds[1]:
        raise ValueError(f'must be the shorter time and the longer one, such as ["{bounds[1]}", "{bounds[0]}"]')
    return bounds


_Amount = Annotated[float | None, PlainValidator(_amount)]
_Times = Annotated[int, Field(ge=0, le=_MOST_TIMES, strict=True)]
_AtLeastOnce = Annotated[int, Field(ge=1, le=_MOST_TIMES, strict=True)]
_Ids = Annotated[tuple[EntryId, ...], BeforeValidator(as_list), AfterValidator(unique)]
_Values = Annotated[tuple[Label, ...], BeforeValidator(as_list), AfterValidator(unique)]


def _as_staged(languages: tuple[str, ...]) -> tuple[str, ...]:
    return unique(tuple(each.lower().replace("_", "-") for each in languages))


def _deciles(value: object) -> object:
    """Return deciles as they are written, `9..10`; one of them may be written alone."""
    if value is None:
        return None
    low, dots, high = str(value).partition("..")
    bounds = [int(each) for each in (low, high if dots else low) if each.isascii() and each.isdecimal()]
    if isinstance(value, bool) or len(bounds) != 2 or not 1 <= bounds[0] <= bounds[1] <= DECILES:  # noqa: PLR2004 - two ends
        raise ValueError('must be deciles of the chance, from 1 (the smallest) to 10, such as "9..10"')
    return f"{bounds[0]}..{bounds[1]}"


_Languages = Annotated[_Values, AfterValidator(_as_staged)]


class SegmentRule(Section):
    """A node of a rule: `all`, `any` or `not` of others, another `segment`, or a leaf, told by its first key.

    `did` with a number of times, sessions, days or distinct values; `sequence`; `first`; `lapsed`; `last`; `stage`;
    `total`; `propensity`; or what a first or last session was like (`channel`, `campaign`, `source`, `medium`,
    `country`, `device`, `language`).
    Times are looked at backwards from the moment at which a segment is built; both ends of each are included.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True, serialize_by_alias=True)

    did: _Ids = Field(default=(), description="the id of a micro-conversion, or a list of ids of which any will do")
    at_least: _Amount = Field(default=None, description="how many times, or with total what amount, at least")
    at_most: _Times | None = Field(default=None, description="how many times at most; never counts, too")
    exactly: _Times | None = Field(default=None, description="how many times exactly")
    in_sessions: _AtLeastOnce | None = Field(default=None, description="in how many different sessions at least")
    on_days: _AtLeastOnce | None = Field(default=None, description="on how many different days at least")
    distinct: PropertyName | None = Field(
        default=None, description="the property whose different values are counted, such as item_id"
    )
    within: Length | None = Field(default=None, description='how far back to look, such as "14d"')
    where: tuple[PropertyCondition, ...] = Field(default=(), description="conditions on carried properties")
    not_did: _Ids = Field(default=(), description="what undoes each did before it")
    not_within: Length | None = Field(
        default=None, description="how far back nobody may have done not_did at all, before did or after"
    )

    sequence: Annotated[tuple[Occurrences, ...], BeforeValidator(as_list)] = Field(
        default=(), description="what was done, in this order"
    )
    window: Length | None = Field(default=None, description="the longest time from the first step to the last")
    gap: Length | None = Field(default=None, description="the longest time from each step to the next")
    without: _Ids = Field(default=(), description="what may not come between the first step and the last")

    first: _Ids = Field(default=(), description="what was done for the first time ever")
    lapsed: _Ids = Field(default=(), description="what was done, and then not again")
    for_: Length | None = Field(
        default=None, alias="for", description='for how long it was not done again, such as "60d"'
    )
    last: _Ids = Field(default=(), description="what was done, and when last")
    between: Annotated[tuple[Length, Length], AfterValidator(_first_before_last)] | None = Field(
        default=None, description='how long ago the last time was, such as ["1d", "7d"]'
    )
    stage: Annotated[tuple[Stage, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="the furthest stage reached, or a list of stages"
    )
    total: PropertyName | None = Field(
        default=None, description='what is added up: "value", a numeric property, or "engagement_seconds"'
    )
    of: _Ids = Field(default=(), description="whose amounts are added up")
    below: _Amount = Field(default=None, description="below what amount; nothing at all counts, too")

    propensity: Annotated[str | None, BeforeValidator(_deciles)] = Field(
        default=None, description='in which tenths of actors by the chance to reach the goal, such as "9..10"'
    )
    goal: EntryId | None = Field(default=None, description="the goal of that chance; default: the first macro")

    channel: _Values = Field(default=(), description="channel group of the actor's first or last session")
    campaign: _Values = Field(default=(), description="campaign of that session")
    source: _Values = Field(default=(), description="traffic source of that session")
    medium: _Values = Field(default=(), description="traffic medium of that session")
    country: _Values = Field(default=(), description="country of that session")
    device: _Values = Field(default=(), description="device category of that session")
    language: _Languages = Field(
        default=(), description='language of the device in that session: "en-gb", or "en" with all its regions'
    )
    touch: Touch | None = Field(default=None, description="which session is looked at; default: last")

    all: tuple[SegmentRule, ...] = Field(default=(), description="rules that must all hold")
    any: tuple[SegmentRule, ...] = Field(default=(), description="rules of which one must hold")
    not_: SegmentRule | None = Field(default=None, alias="not", description="a rule that must not hold")
    segment: Label | None = Field(default=None, description="the name of another segment, whose rule must hold")
    rule: SegmentRule | None = None
    """With `segment`: the rule of that name. It is looked up when the configuration is read."""
    currency: Label | None = None
    """With `total = "value"`: the project's currency; what is in another one is never added to it."""
    assumed_currency: Label | None = None
    """The currency of values that name none, where the project assumes one."""

    @model_validator(mode="after")
    def _one_kind(self, info: ValidationInfo) -> SegmentRule:
        given = self._given
        kinds = [key for key in _KEYS if key in given]
        if kinds and kinds[0] in TRAITS:
            kinds = kinds[:1]
        if not kinds:
            self._say_what_lacks(given)
        if len(kinds) > 1:
            raise ValueError(
                f"has {' and '.join(kinds)}: a rule has one of them; write {{ all = [{{ … }}, {{ … }}] }} for both"
            )
        needed, optional = _KEYS[kinds[0]]
        for key in given:
            if key not in (kinds[0], *needed, *optional):
                known = ", ".join((*needed, *optional)) or "no other key"
                raise ItemError(f"does not go with {kinds[0]}, which takes {known}", (key,))
        for key in needed:
            if key not in given:
                raise ItemError(f"is required: {self._meaning(key)}", (key,))
        for key in LOOKED_UP:
            if key in given and "folder" in (info.context or {}):
                raise ItemError(f"is not a known key: {_INSTEAD[key]}", (key,))
        self._check_what_goes_together()
        return self

    @property
    def _given(self) -> tuple[str, ...]:
        """The keys that say something, as a file writes them."""
        return tuple(
            field.alias or name
            for name, field in type(self).model_fields.items()
            if getattr(self, name) is not None and getattr(self, name) != ()
        )

    def _say_what_lacks(self, given: Sequence[str]) -> None:
        for name in self.model_fields_set:
            if getattr(self, name) == ():
                raise ItemError("needs at least 1 entry", (type(self).model_fields[name].alias or name,))
        if given and given[0] in _COMPANIONS:
            missing = _COMPANIONS[given[0]]
            raise ItemError(f"is required: {self._meaning(missing)}", (missing,))
        kinds = [key for key in _KEYS if key not in TRAITS]
        raise ValueError(f"must have one of {', '.join(kinds)}, {', '.join(TRAITS)}")

    def _meaning(self, key: str) -> str:
        fields = type(self).model_fields
        field = fields.get(key) or fields[f"{key}_"]
        return field.description or ""

    def _check_what_goes_together(self) -> None:
        if self.did:
            self._check_did()
        if self.sequence and not 1 < len(self.sequence) <= MOST_STEPS:
            raise ItemError(f"must have 2 to {MOST_STEPS} steps", ("sequence",))
        if self.lapsed and self.of not in ((), (ANYTHING,)):
            raise ItemError(f'can only be "{ANYTHING}" with lapsed: leave it out, or write that', ("of",))
        if self.total is not None:
            if (self.at_least is None) == (self.below is None):
                raise ValueError("must have at_least or below, one of the two, to say what total is held against")
            key = "below" if self.at_least is None else "at_least"
            if getattr(self, key) <= 0:
                raise ItemError("must be more than 0", (key,))

    def _check_did(self) -> None:
        if self.at_least is not None:
            if self.at_least != int(self.at_least):
                raise ItemError("must be a whole number", ("at_least",))
            if self.at_least < 1:
                raise ItemError("must be at least 1", ("at_least",))
        for other in ("at_least", "at_most"):
            if self.exactly is not None and getattr(self, other) is not None:
                raise ItemError(f"cannot be given beside {other}; keep one of the two", ("exactly",))
        if self.at_least is not None and self.at_most is not None and self.at_most < self.at_least:
            raise ItemError(f"is less than at_least ({self.at_least:g}), so nobody can be in the segment", ("at_most",))
        for each in self.not_did:
            if each in self.did:
                raise ItemError("is the same micro-conversion as did, so nobody can be in the segment", ("not_did",))
        if self.not_within is not None and not self.not_did:
            raise ItemError("is the time of not_did, which is not there: add not_did, or leave it out", ("not_within",))

    @model_serializer(mode="wrap")
    def _only_what_is_given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what says nothing; a list of one id is that id."""
        document: dict[str, Any] = handler(self)
        given = {key: document[key] for key in self._given if key in document}
        return {
            key: value[0] if key not in ("where", "sequence", "all", "any", "between") and _is_one(value) else value
            for key, value in given.items()
        }

    @property
    def kind(self) -> str:
        """The key that tells the kind: `all`, `any`, `not`, `segment`, a kind of leaf, or `session` for its traits."""
        kind = next(key for key in _KEYS if key in self._given)
        return "session" if kind in TRAITS else kind

    @property
    def parts(self) -> tuple[tuple[KeyPath, SegmentRule], ...]:
        """The rules that it is made of, each with the path to it."""
        found: list[tuple[KeyPath, SegmentRule]] = []
        found += ((("all", index), each) for index, each in enumerate(self.all))
        found += ((("any", index), each) for index, each in enumerate(self.any))
        found += [(("not",), self.not_)] if self.not_ else []
        return tuple(found)

    def leaves(self) -> Iterator[SegmentRule]:
        """Yield its leaves, those of the segments that it names among them."""
        inner = [each for _, each in self.parts] + ([self.rule] if self.rule else [])
        if not inner:
            yield self
        for each in inner:
            yield from each.leaves()

    def references(self) -> Iterator[tuple[KeyPath, str]]:
        """Yield the names of the segments that it names itself, each with the path to it."""
        if self.segment is not None:
            yield ("segment",), self.segment
        for path, each in self.parts:
            yield from (((*path, *deeper), name) for deeper, name in each.references())

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of the rule."""
        for leaf in self.leaves():
            ids = [*leaf.did, *leaf.not_did, *(entry for step in leaf.sequence for entry in step.did)]
            ids += [*leaf.without, *leaf.first, *leaf.lapsed, *leaf.last]
            ids += () if leaf.lapsed else leaf.of
            ids += () if leaf.goal is None else (leaf.goal,)
            yield from ((entry, "a segment's rule") for entry in ids)

    def properties(self) -> Iterator[str]:
        """Yield the names of the properties that it looks at."""
        for leaf in self.leaves():
            for conditions in (leaf.where, *(step.where for step in leaf.sequence)):
                yield from (condition.property for condition in conditions)
            if leaf.distinct is not None:
                yield leaf.distinct
            if leaf.total not in (None, ENGAGEMENT):
                yield leaf.total or ""

    @property
    def deciles(self) -> tuple[int, int] | None:
        """The first and the last decile of the chance to reach a goal that `propensity` names."""
        if self.propensity is None:
            return None
        low, _, high = self.propensity.partition("..")
        return int(low), int(high)

    @property
    def times(self) -> tuple[int, int | None] | None:
        """How many times at least and at most `did` asks for; None where it only asks for sessions or days."""
        if self.exactly is not None:
            return self.exactly, self.exactly
        if self.at_least is None and self.at_most is None:
            return None if (self.in_sessions or self.on_days) and not self.distinct else (1, None)
        return int(self.at_least or 0), self.at_most

    def holds_without_anything(self) -> bool:
        """Whether it holds for an actor who did nothing of all that it names, and was like nothing of it."""
        if self.all or self.any or self.not_:
            inner = [each.holds_without_anything() for _, each in self.parts]
            return not inner[0] if self.not_ else all(inner) if self.all else any(inner)
        if self.rule is not None:
            return self.rule.holds_without_anything()
        if self.did:
            return self.times is not None and self.times[0] == 0 and not self.in_sessions and not self.on_days
        return self.below is not None

    def with_rules(self, rules: Mapping[str, SegmentRule]) -> Self:
        """Return it with the rules of the segments that it names."""
        update: dict[str, Any] = {}
        if self.segment is not None:
            update["rule"] = rules[self.segment]
        if self.not_:
            update["not_"] = self.not_.with_rules(rules)
        for key in ("all", "any"):
            if inner := getattr(self, key):
                update[key] = tuple(each.with_rules(rules) for each in inner)
        return self.model_copy(update=update) if update else self

    def in_currency(self, currency: str, assumed: str | None) -> Self:
        """Return it with the currency in which its totals of values count; `assumed`: that of values that name none."""
        if self.total == VALUE:
            return self.model_copy(update={"currency": currency, "assumed_currency": assumed})
        update: dict[str, Any] = {
            key: inner.in_currency(currency, assumed) for key in ("not_", "rule") if (inner := getattr(self, key))
        }
        for key in ("all", "any"):
            if several := getattr(self, key):
                update[key] = tuple(each.in_currency(currency, assumed) for each in several)
        return self.model_copy(update=update) if update else self

    def depth(self) -> int:
        """How many rules lie in each other, those of the segments that it names among them."""
        inner = [each for _, each in self.parts] + ([self.rule] if self.rule else [])
        return 1 + max((each.depth() for each in inner), default=0)


def _is_one(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) == 1


class _Ruled(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def rule(self) -> SegmentRule: ...
    def model_copy(self, *, update: Mapping[str, Any] | None = None) -> Self: ...


RuledT = TypeVar("RuledT", bound=_Ruled)

EVERYONE = (
    "holds for actors who did nothing of what it names, so nearly everyone is a member: add what members must have "
    'done, such as all = [{ did = "page_view", within = "90d" }, …]'
)


def resolved(segments: tuple[RuledT, ...]) -> tuple[RuledT, ...]:
    """Return segments whose rules know the rules of the segments that they name.

    Raises:
        ItemError: a rule names a segment that is not there, or itself by way of others; or it holds for everyone.
    """
    by_name = {segment.name: segment for segment in segments}
    paths = {segment.name: (index, "rule") for index, segment in enumerate(segments)}
    rules: dict[str, SegmentRule] = {}

    def resolve(name: str, chain: tuple[str, ...]) -> SegmentRule:
        for path, other in by_name[name].rule.references():
            where = (*paths[name], *path)
            if other not in by_name:
                known = [each for each in by_name if each != name]
                near = nearest(other, known) if known else ""
                raise ItemError(f"is not a segment of this configuration{near}", where)
            if other in (*chain, name):
                turns = (*chain, name)[(*chain, name).index(other) :]
                raise ItemError(f"comes back to itself: {' → '.join((*turns, other))}", where)
            if other not in rules:
                resolve(other, (*chain, name))
        rules[name] = by_name[name].rule.with_rules(rules)
        if rules[name].depth() > _DEEPEST:
            raise ItemError(f"nests rules more than {_DEEPEST} deep, with those of the segments it names", paths[name])
        if rules[name].holds_without_anything():
            raise ItemError(EVERYONE, paths[name])
        return rules[name]

    for name in by_name:
        if name not in rules:
            resolve(name, ())
    return tuple(segment.model_copy(update={"rule": rules[segment.name]}) for segment in segments)


STAGES: tuple[Stage, ...] = get_args(Stage)
