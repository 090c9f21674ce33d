"""Derived entries: what is seen from other entries only, at the moment at which their condition became true."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from microconv.config.problems import ItemError
from microconv.config.values import Duration, Length
from microconv.exports import ITEM_FIELDS
from microconv.taxonomy.names import Id, ParameterName, one_or_more

Measure = Literal["times", "sessions", "days", "distinct", "total", "engagement", "switches"]
Family = Literal["thresholds", "absences", "returns"]

ENGAGEMENT = "engagement_seconds"
"""What a total adds up where it is the time of engagement that events sent."""
SESSION = "session"
"""What a return is, where it is the beginning of the actor's next session."""
LONGEST_LOOKBACK = Duration.parse("90d")
"""How far back derived entries may look where the configuration does not say."""

_MOST = 1_000_000_000

_Ids = Annotated[tuple[Id, ...], BeforeValidator(one_or_more), Field(strict=False, min_length=1)]
_Count = Annotated[int, Field(ge=1, le=1_000_000)]

_KEYS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "times": (("of", "times", "within"), ("same",)),
    "sessions": (("of", "sessions", "within"), ("same",)),
    "days": (("of", "days", "within"), ("same",)),
    "distinct": (("of", "distinct", "at_least", "within"), ("same",)),
    "total": (("of", "total", "reaches", "within"), ("same",)),
    "again": (("of", "again", "within"), ()),
    "switches": (("between", "switches", "within"), ("same",)),
    "start": (("start", "without", "within"), ("same",)),
    "stalled_after": (("stalled_after", "for"), ()),
    "pause_after": (("pause_after", "for"), ()),
    "first": (("first", "within"), ("without", "then", "same")),
}
"""The kinds of derived entries by the key that tells them, with the keys that each needs and those that it may have."""
_WRITTEN = {"for_": "for"}


DERIVATION_KEYS = tuple(dict.fromkeys(key for needed, optional in _KEYS.values() for key in (*needed, *optional)))
"""All keys of `derived` and `hesitation`, as a file writes them."""


class Derivation(BaseModel):
    """How occurrences are derived from those of other entries; exactly one of the kinds of `_KEYS`.

    `within` and `for` are lengths of time, both ends included. `same` names a property that is the same all the way.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    of: _Ids | None = None
    times: _Count | None = None
    sessions: _Count | None = None
    days: _Count | None = None
    distinct: ParameterName | None = None
    at_least: _Count | None = None
    total: ParameterName | None = None
    reaches: Annotated[float, Field(gt=0, le=_MOST, allow_inf_nan=False)] | None = None
    again: ParameterName | None = None

    between: Annotated[tuple[Id, Id], Field(strict=False)] | None = None
    switches: _Count | None = None

    start: _Ids | None = None
    stalled_after: _Ids | None = None
    pause_after: _Ids | None = None

    first: _Ids | None = None
    then: _Ids | None = None

    without: _Ids | None = None
    same: ParameterName | None = None
    within: Length | None = None
    for_: Length | None = Field(default=None, validation_alias="for")

    @model_validator(mode="after")
    def _one_kind(self) -> Derivation:
        given = [_WRITTEN.get(key, key) for key in type(self).model_fields if getattr(self, key) is not None]
        kinds = [key for key in _KEYS if key in given]
        if len(kinds) != 1:
            found = f"; it has {', '.join(kinds)}" if kinds else ""
            raise ValueError(f"must have exactly one of {', '.join(_KEYS)}{found}")
        needed, optional = _KEYS[kinds[0]]
        for key in given:
            if key not in (*needed, *optional):
                known = ", ".join((*needed, *optional))
                raise ItemError(f"does not go with {kinds[0]}, which takes {known}", (key,))
        if lacking := [key for key in needed if key not in given]:
            raise ValueError(f"lacks {' and '.join(lacking)}: {kinds[0]} needs {', '.join(needed)}")
        self._check_what_goes_together()
        return self

    def _check_what_goes_together(self) -> None:
        for key, others in (("start", self.start), ("first", self.first)):
            for each in set(others or ()) & set(self.without or ()):
                raise ItemError(
                    f'"{each}" is the end of what it begins: name another entry than in {key}', ("without",)
                )
        if self.between and self.between[0] == self.between[1]:
            raise ItemError("needs two different entries", ("between",))
        if self.first and self.same and self.is_of_sessions:
            raise ItemError('needs `then = "…"`: a session has no such property', ("same",))
        if self.then and SESSION in self.then and len(self.then) > 1:
            raise ItemError(f'is either "{SESSION}" or entries', ("then",))
        if self.total in ITEM_FIELDS:
            raise ItemError(f"{self.total} is text, one for each item: it cannot be added up", ("total",))

    @property
    def kind(self) -> str:
        """The key that tells the kind: one of `_KEYS`."""
        return next(key for key in _KEYS if getattr(self, key) is not None)

    @property
    def family(self) -> Family:
        """Which template makes it."""
        if self.kind in ("start", "stalled_after", "pause_after"):
            return "absences"
        return "returns" if self.kind == "first" else "thresholds"

    @property
    def reach(self) -> Duration:
        """How far before its moment the occurrences lie that decide it."""
        found = self.within or self.for_
        assert found is not None  # noqa: S101 - each kind needs one of them
        return found

    @property
    def is_of_sessions(self) -> bool:
        """Whether it is born at the beginning of a session."""
        return self.first is not None and (self.then is None or self.then == (SESSION,))

    @property
    def measure(self) -> Measure:
        """What a threshold counts."""
        if self.total is not None:
            return "engagement" if self.total == ENGAGEMENT else "total"
        for measure in ("sessions", "days", "distinct", "switches"):
            if getattr(self, measure) is not None:
                return measure
        return "times"

    @property
    def need(self) -> int:
        """The threshold; of a total in thousandths."""
        if self.reaches is not None:
            return max(round(self.reaches * 1000), 1)
        return self.at_least or self.times or self.sessions or self.days or self.switches or 2  # the same again

    @property
    def least_rows(self) -> int:
        """How many occurrences it takes at least; a field of the items may hold many values at once."""
        if self.measure in ("total", "engagement") or self.distinct in ITEM_FIELDS:
            return 1
        return self.need + 1 if self.measure == "switches" else self.need

    @property
    def held(self) -> str | None:
        """The property that is the same on all occurrences."""
        return self.again or self.same

    @property
    def counted(self) -> str | None:
        """The property whose values are counted or added up."""
        return self.distinct or (self.total if self.total != ENGAGEMENT else None)

    def properties(self) -> Iterator[str]:
        """Yield the names of the properties that it reads."""
        yield from (name for name in (self.held, self.counted) if name is not None)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the entries that it names, each with the key that names it."""
        for key in ("of", "between", "start", "stalled_after", "pause_after", "first", "then", "without"):
            if key == "then" and self.is_of_sessions:
                continue
            yield from ((key, each) for each in getattr(self, key) or ())

    def describe(self) -> str:
        """Return it as a person reads it: `view_item 3 times within 7d`."""
        same = f" with the same {self.same}" if self.same else ""
        within = f" within {self.within}" if self.within else ""
        without = f", without {_any_of(self.without)} between" if self.without else ""
        back = "another session" if self.is_of_sessions else f"{_any_of(self.then)} in another session"
        one, other = self.between or ("", "")
        of = _any_of(self.of)
        texts = {
            "times": f"{of} {self.times} times",
            "sessions": f"{of} in {_counted(self.sessions, 'session')}",
            "days": f"{of} on {_counted(self.days, 'day')}",
            "distinct": f"{of} with {self.at_least} different values of {self.distinct}",
            "total": f"{of} with {self.reaches or 0:g} of {self.total} in all",
            "again": f"{of} again with the same {self.again}",
            "switches": f"{_counted(self.switches, 'switch')} between {one} and {other}",
            "start": f"{_any_of(self.start)} without {_any_of(self.without)}",
            "stalled_after": f"no milestone or macro after {_any_of(self.stalled_after)} for {self.for_}",
            "pause_after": f"nothing else in the session for {self.for_} after {_any_of(self.pause_after)}",
            "first": f"{back} after {_any_of(self.first)}{without}",
        }
        return f"{texts[self.kind]}{same}{within}"

    def document(self) -> dict[str, Any]:
        """Return the JSON form: the keys that it has, as a file writes them; texts, numbers and lists."""
        found = {_WRITTEN.get(key, key): getattr(self, key) for key in type(self).model_fields}
        return {
            key: list(value) if isinstance(value, tuple) else str(value) if isinstance(value, Duration) else value
            for key, value in found.items()
            if value is not None
        }

    def meaning(self) -> dict[str, Any]:
        """Return what staged rows depend on: times by their length, and entries in an order of their own."""
        found = {key: getattr(self, key) for key in type(self).model_fields}
        if self.first is not None:
            found["then"] = self.then or (SESSION,)
        return {
            key: sorted(value) if isinstance(value, tuple) else value.seconds if isinstance(value, Duration) else value
            for key, value in found.items()
            if value is not None
        }


def _any_of(ids: tuple[str, ...] | None) -> str:
    return " or ".join(ids or ())


def _counted(number: int | None, noun: str) -> str:
    plural = "es" if noun.endswith("ch") else "s"
    return f"{number} {noun if number == 1 else noun + plural}"


@dataclass(frozen=True)
class Derived:
    """A derived entry of a taxonomy: `needs` are the ids, as staged, whose occurrences make it; `level` counts from 1.

    `reach` is how long before it the first occurrence may lie that decides it, through all levels, in seconds.
    """

    id: str
    rule: Derivation
    needs: frozenset[str]
    level: int
    reach: int
    chain: tuple[str, ...]


class CircleError(ValueError):
    """Derived entries that need each other; `chain` begins and ends with the same id."""

    def __init__(self, chain: tuple[str, ...]) -> None:
        super().__init__(" → ".join(chain))
        self.chain = chain


def ordered(rules: dict[str, tuple[Derivation, frozenset[str]]]) -> tuple[Derived, ...]:
    """Put derived entries into an order in which each comes after those that it is made of.

    Args:
        rules: By id, the rule and the ids that it needs.

    Raises:
        CircleError: Some need each other.
    """
    done: dict[str, Derived] = {}
    for root in rules:
        # Without recursion: a chain may be as long as the file.
        stack: list[tuple[str, Iterator[str]]] = [(root, iter(sorted(rules[root][1])))]
        on_way = {root: None}
        while root not in done:
            current, needs = stack[-1]
            step = next((each for each in needs if each in rules and each not in done), None)
            if step is not None:
                if step in on_way:
                    way = list(on_way)
                    raise CircleError((*way[way.index(step) :], step))
                on_way[step] = None
                stack.append((step, iter(sorted(rules[step][1]))))
                continue
            stack.pop()
            del on_way[current]
            rule, needed = rules[current]
            below = [done[each] for each in sorted(needed) if each in done]
            farthest = max(below, key=lambda each: each.reach, default=None)
            done[current] = Derived(
                current,
                rule,
                needed,
                max((each.level for each in below), default=0) + 1,
                rule.reach.seconds + (farthest.reach if farthest else 0),
                (current, *(farthest.chain if farthest else ())),
            )
    return tuple(sorted(done.values(), key=lambda each: each.level))
