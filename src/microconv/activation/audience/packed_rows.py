"""Audience rows and rejects as sequences over packed arrays, so that a million of them fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np
import numpy.typing as npt

from microconv.activation.audience.audience_rows import AudienceRow, Reject
from microconv.activation.audience.reasons import Reason

if TYPE_CHECKING:
    import hashlib

DIGEST_BYTES = 32
_CHUNK_ROWS = 4_096
_REASONS = tuple(Reason)


HASHED = ("email", "phone", "external_id", "first_name", "last_name")
"""The fields of a row that are digests, always, in their order."""


class PersonOrigins(NamedTuple):
    """Where persons come from: one actor and the microsecond of one consent (since 1970) for each."""

    actor_keys: npt.NDArray[np.int64]
    granted_at: npt.NDArray[np.int64]


class AudienceRows(Sequence[AudienceRow]):
    """Rows that are unpacked one by one as they are read.

    Args:
        fields: Those of `HASHED` that there are digests of; the others are empty.
        digests: One digest for each person and field; 32 zero bytes where there is nothing.
        countries: One text a person.
        postal_codes: One text a person.
        order: Which of the persons are rows, in their order.
        clear: For identifiers that go out as they are: the text of each digest (in hex), by field.
        origins: Where the persons come from, where that is asked for.
    """

    def __init__(
        self,
        fields: tuple[str, ...],
        digests: npt.NDArray[np.uint8],
        countries: Sequence[str],
        postal_codes: Sequence[str],
        order: npt.NDArray[np.int64],
        *,
        clear: Mapping[str, Mapping[str, str]] | None = None,
        origins: PersonOrigins | None = None,
    ) -> None:
        self._fields = fields
        self._digests = digests
        self._countries = countries
        self._postal_codes = postal_codes
        self._order = order
        self._clear = clear or {}
        self._origins = origins

    def __len__(self) -> int:
        return len(self._order)

    @overload
    def __getitem__(self, place: int) -> AudienceRow: ...
    @overload
    def __getitem__(self, place: slice) -> AudienceRows: ...
    def __getitem__(self, place: int | slice) -> AudienceRow | AudienceRows:
        if isinstance(place, slice):
            order = self._order[place]
            shared = (self._fields, self._digests, self._countries, self._postal_codes)
            return AudienceRows(*shared, order, clear=self._clear, origins=self._origins)
        place = range(len(self))[place]
        return next(iter(self[place : place + 1]))

    def __iter__(self) -> Iterator[AudienceRow]:
        for columns in self.columns():
            yield from map(AudienceRow, *columns.values())

    def columns(self) -> Iterator[dict[str, list[str]]]:
        """Yield the rows in blocks: for each field of `AudienceRow`, in its order, the values of some rows."""
        width = 2 * DIGEST_BYTES
        nothing = "0" * width
        for packed, countries, postal_codes in self._blocks():
            text = packed.hex()
            cells = ["" if (cell := text[at : at + width]) == nothing else cell for at in range(0, len(text), width)]
            found = {field: cells[slot :: len(self._fields)] for slot, field in enumerate(self._fields)}
            for field, texts in self._clear.items():
                found[field] = [texts[cell] if cell else "" for cell in found[field]]
            empty = [""] * len(countries)
            yield {
                **{field: found.get(field, empty) for field in HASHED},
                "country": countries,
                "postal_code": postal_codes,
            }

    def origins(self) -> Iterator[PersonOrigins]:
        """Yield where the rows come from, in the blocks of `columns`; they must have been asked for."""
        assert self._origins is not None  # noqa: S101 - who asks has asked for them
        for start in range(0, len(self), _CHUNK_ROWS):
            block = self._order[start : start + _CHUNK_ROWS]
            yield PersonOrigins(self._origins.actor_keys[block], self._origins.granted_at[block])

    def _blocks(self) -> Iterator[tuple[bytes, list[str], list[str]]]:
        for start in range(0, len(self), _CHUNK_ROWS):
            block = self._order[start : start + _CHUNK_ROWS]
            places = block.tolist()
            countries = [self._countries[place] for place in places]
            yield self._digests[block].tobytes(), countries, [self._postal_codes[place] for place in places]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return False
        return all(a == b for a, b in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((self._fields, tuple(packed for packed, *_ in self._blocks())))

    def update(self, digest: hashlib._Hash) -> None:
        """Feed the rows to a digest. No place holds a tab or a line break: codes are checked, or hashed themselves."""
        for packed, countries, postal_codes in self._blocks():
            digest.update(packed)
            lines = map("\t".join, zip(countries, postal_codes, strict=True))
            digest.update("\n".join((*lines, "")).encode())

    def __repr__(self) -> str:
        return f"AudienceRows({len(self)} rows)"


class Rejects(Sequence[Reject]):
    """Rejects by actor key, packed: `codes` are places in the list of reasons."""

    def __init__(self, actor_keys: npt.NDArray[np.int64], codes: npt.NDArray[np.uint8]) -> None:
        self._actor_keys = actor_keys
        self._codes = codes

    def __len__(self) -> int:
        return len(self._actor_keys)

    @overload
    def __getitem__(self, place: int) -> Reject: ...
    @overload
    def __getitem__(self, place: slice) -> Rejects: ...
    def __getitem__(self, place: int | slice) -> Reject | Rejects:
        if isinstance(place, slice):
            return Rejects(self._actor_keys[place], self._codes[place])
        return Reject(int(self._actor_keys[place]), _REASONS[self._codes[place]])

    def __iter__(self) -> Iterator[Reject]:
        for start in range(0, len(self), _CHUNK_ROWS):
            block = slice(start, start + _CHUNK_ROWS)
            for actor_key, code in zip(self._actor_keys[block].tolist(), self._codes[block].tolist(), strict=True):
                yield Reject(actor_key, _REASONS[code])

    @property
    def pairs(self) -> RejectPairs:
        """The same as pairs of actor key and reason code, as they are written."""
        return RejectPairs(self)

    def counts(self) -> dict[str, int]:
        """Return how many there are of each reason, by its code."""
        found = np.bincount(self._codes, minlength=len(_REASONS)).tolist()
        return dict(sorted((reason.value, number) for reason, number in zip(_REASONS, found, strict=True) if number))


class RejectPairs(Sequence[tuple[int, str]]):
    """Rejects as pairs of actor key and reason code."""

    def __init__(self, rejects: Rejects) -> None:
        self._rejects = rejects

    def __len__(self) -> int:
        return len(self._rejects)

    @overload
    def __getitem__(self, place: int) -> tuple[int, str]: ...
    @overload
    def __getitem__(self, place: slice) -> RejectPairs: ...
    def __getitem__(self, place: int | slice) -> tuple[int, str] | RejectPairs:
        if isinstance(place, slice):
            return RejectPairs(self._rejects[place])
        reject = self._rejects[place]
        return reject.actor_key, reject.reason.value

    def __iter__(self) -> Iterator[tuple[int, str]]:
        return ((reject.actor_key, reject.reason.value) for reject in self._rejects)


def code_of(reason: Reason) -> int:
    """Return the place of a reason in the list of reasons, as `Rejects` takes it."""
    return _REASONS.index(reason)
