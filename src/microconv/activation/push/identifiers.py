"""From people to identifiers: what a list holds, and how many people each stands for.

An address (first and last name, hashed, country, postal code) is matched as a whole, so it is one identifier. So is a
device: its client id, with the user who signed in on it and who consented.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from microconv.activation.audience.packed_rows import AudienceRows, PersonOrigins
from microconv.activation.push.push_ledger import WANTED
from microconv.engines.base import Engine
from microconv.queries import templates
from microconv.queries.templates import Query, Value

_ROWS, _USERS = "push_rows", "told_users"
_SCHEMA = pa.schema([("kind", pa.string()), ("identifier", pa.string())])
_SCHEMA_WITH_ORIGINS = pa.schema([*_SCHEMA, ("actor_key", pa.int64()), ("consented_us", pa.int64())])
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


DEVICE = "device"
"""The kind of an identifier that is a device."""


class SignedInDevice(NamedTuple):
    """The parts of an identifier of the kind `device`: the client id (in an app, the instance id), and its user."""

    client_id: str
    user_id: str

    @property
    def identifier(self) -> str:
        """The parts as one text."""
        return _BETWEEN.join(self)

    @classmethod
    def of(cls, identifier: str) -> SignedInDevice:
        """Return the parts of such a text."""
        return cls(*identifier.split(_BETWEEN))


@dataclass(frozen=True)
class DevicesOf:
    """Which devices of its people a destination takes: of apps or the web, in one property (None: in all there are)."""

    is_app: bool
    property: str | None = None


def want(engine: Engine, rows: Iterable[AudienceRows], devices: DevicesOf | None = None) -> None:
    """Make the scratch table `wanted_identifiers`: each identifier of these people, and how many of them have it.

    With `devices`, these are the devices on which they signed in, and nobody else did.
    """
    load_identifiers(engine, rows, _ROWS)
    engine.materialise(wanted_query(devices), WANTED)
    engine.discard(_ROWS)


def wanted_query(devices: DevicesOf | None = None) -> Query:
    """Return the query of what people are wanted by."""
    if devices is None:
        return templates.query("activation/wanted_identifiers")
    params: dict[str, Value] = {"property": devices.property, "is_app": devices.is_app, "between": _BETWEEN}
    return templates.query("activation/wanted_devices", params=params)


def people_with_devices(engine: Engine) -> int:
    """Return how many people the devices stand for that are wanted."""
    (row,) = engine.query(templates.query("activation/people_with_devices")).to_pylist()
    return int(row["people"])


def load_told_devices(engine: Engine, destination: str, user_ids: Collection[str], scratch: str) -> None:
    """Write into a scratch table the devices of some users that a destination was told of, as `load_identifiers`."""
    _load_users(engine, user_ids)
    engine.materialise(told_devices_query(destination), scratch)


def told_devices(engine: Engine, destination: str, user_ids: Collection[str]) -> list[SignedInDevice]:
    """Return the devices of some users that a destination was told of."""
    _load_users(engine, user_ids)
    found = engine.query(told_devices_query(destination)).column("identifier").to_pylist()
    return sorted(map(SignedInDevice.of, found))


def _load_users(engine: Engine, user_ids: Collection[str]) -> None:
    engine.load(pa.table({"user_id": pa.array(sorted(user_ids), pa.string())}).to_reader(), _USERS)


def told_devices_query(destination: str) -> Query:
    """Return the query of the devices of users that a destination was told of."""
    return templates.query("activation/told_devices", params={"destination": destination})


def load_identifiers(engine: Engine, rows: Iterable[AudienceRows], scratch: str) -> None:
    """Write the identifiers of people into a scratch table, with `kind` and `identifier`; some may be there twice."""
    batches = (batch for each in rows for batch in _batches(each))
    engine.load(pa.RecordBatchReader.from_batches(_SCHEMA, batches), scratch)


def load_origins(engine: Engine, rows: AudienceRows, scratch: str) -> None:
    """Write the identifiers of people into a scratch table, each with its actor and the moment of its consent."""
    batches = (_with_origins(columns, origins) for columns, origins in zip(rows.columns(), rows.origins(), strict=True))
    engine.load(pa.RecordBatchReader.from_batches(_SCHEMA_WITH_ORIGINS, batches), scratch)


def _batches(rows: AudienceRows) -> Iterator[pa.RecordBatch]:
    for columns in rows.columns():
        found = {kind: [each for each in values if each] for kind, values in _cells(columns).items()}
        kinds = [kind for kind, values in found.items() for _ in values]
        yield pa.record_batch([kinds, [each for values in found.values() for each in values]], schema=_SCHEMA)


def _with_origins(columns: Mapping[str, list[str]], origins: PersonOrigins) -> pa.RecordBatch:
    persons = list(zip(origins.actor_keys.tolist(), origins.granted_at.tolist(), strict=True))
    found = [
        (kind, value, *person)
        for kind, values in _cells(columns).items()
        for value, person in zip(values, persons, strict=True)
        if value
    ]
    values = [[row[place] for row in found] for place in range(len(_SCHEMA_WITH_ORIGINS))]
    return pa.record_batch(values, schema=_SCHEMA_WITH_ORIGINS)


def _cells(columns: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Return the identifiers of each kind, one a row; "" where there is none."""
    found = {kind: columns[field] for kind, field in _FIELDS.items()}
    parts = zip(*(columns[field] for field in Address._fields), strict=True)
    return found | {"address": [Address(*each).identifier if all(each) else "" for each in parts]}
