"""From people to identifiers: what a list holds, and how many people each stands for.

An address (first and last name, hashed, country, postal code) is matched as a whole, so it is one identifier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import pyarrow as pa

from microconv.activation.audience.packed_rows import AudienceRows
from microconv.activation.push.push_ledger import WANTED
from microconv.engines.base import Engine
from microconv.queries import templates

_ROWS = "push_rows"
_SCHEMA = pa.schema([("kind", pa.string()), ("identifier", pa.string())])
_FIELDS = {"email": "email", "phone": "phone", "user_id": "external_id"}
"""Which field of a row is which kind of identifier."""
_BETWEEN = "\t"
"""Stands between the parts of an address: no country or postal code holds one."""


class Address(NamedTuple):
    """The parts of an identifier of the kind `address`, as they are sent."""

    first_name: str
    last_name: str
    country: str
    postal_code: str

    @property
    def identifier(self) -> str:
        """The parts as one text."""
        return _BETWEEN.join(self)

    @classmethod
    def of(cls, identifier: str) -> Address:
        """Return the parts of such a text."""
        return cls(*identifier.split(_BETWEEN))


def want(engine: Engine, rows: Iterable[AudienceRows]) -> None:
    """Make the scratch table `wanted_identifiers`: each identifier of these people, and how many of them have it."""
    load_identifiers(engine, rows, _ROWS)
    engine.materialise(templates.query("activation/wanted_identifiers"), WANTED)


def load_identifiers(engine: Engine, rows: Iterable[AudienceRows], scratch: str) -> None:
    """Write the identifiers of people into a scratch table, with `kind` and `identifier`; some may be there twice."""
    batches = (batch for each in rows for batch in _batches(each))
    engine.load(pa.RecordBatchReader.from_batches(_SCHEMA, batches), scratch)


def _batches(rows: AudienceRows) -> Iterator[pa.RecordBatch]:
    for columns in rows.columns():
        found = {kind: [each for each in columns[field] if each] for kind, field in _FIELDS.items()}
        parts = zip(*(columns[field] for field in Address._fields), strict=True)
        found["address"] = [Address(*each).identifier for each in parts if all(each)]
        kinds = [kind for kind, values in found.items() for _ in values]
        yield pa.record_batch([kinds, [each for values in found.values() for each in values]], schema=_SCHEMA)
