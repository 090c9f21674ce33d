"""Who was erased, so that no import brings them back: user ids as salted hashes, clients and sessions as their keys."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.engines.tables import Column, Table
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.staging import batch_queries, mc_tables
from microconv.staging.properties import Property
from microconv.staging.rules import Rules
from microconv.taxonomy import Taxonomy

ERASURES = Table(
    "mc_erasures",
    "One row per user who was erased (microconv erase).",
    ("user_hash",),
    (
        Column("user_hash", "STRING", "SHA-256 of the salt and the user id, in hex"),
        Column("salt", "STRING", "random letters, the same in all rows"),
        Column("asked_at", "TIMESTAMP", "when it was asked for first (UTC)"),
        Column("finished_at", "TIMESTAMP", "when nothing was left to remove (UTC); NULL: not yet"),
        Column("done", "STRING", "what was removed, as JSON: counts only"),
    ),
)
ERASED_KEYS = Table(
    "mc_erased_keys",
    "One row per client or session of a user who was erased: what is known of them is not staged again.",
    ("kind", "key"),
    (
        Column("kind", "STRING", "client: nobody else used it; session"),
        Column("key", "INT64", "client_key or session_key, as in mc_events"),
        Column("user_hash", "STRING", "whose it was, as in mc_erasures"),
    ),
)
TABLES = {table.name: table for table in (ERASURES, ERASED_KEYS)}


@dataclass(frozen=True)
class Erased:
    """Everybody who was erased."""

    salt: str
    hashes: frozenset[str]
    clients: frozenset[int]

    def has(self, user_id: str) -> bool:
        """Tell whether a user was erased."""
        return hash_of(user_id, self.salt) in self.hashes

    def has_row(self, row: Mapping[str, Any]) -> bool:
        """Tell whether a row of another system is about somebody who was erased."""
        user_id = row.get("user_id")
        return self.has(user_id) if user_id else row.get("client_key") in self.clients


def hash_of(user_id: str, salt: str) -> str:
    """Return what stands for a user id in `mc_erasures`."""
    return hashlib.sha256(f"{salt}|{user_id}".encode("utf-8", "surrogatepass")).hexdigest()


def read_erased(engine: Engine) -> Erased | None:
    """Return who was erased; None where nobody was."""
    if any(engine.version(name) is None for name in TABLES):
        return None
    people = engine.query(templates.query("staging/erased_users")).to_pylist()
    if not people:
        return None
    clients = engine.query(templates.query("staging/erased_clients")).column("key").to_pylist()
    return Erased(people[0]["salt"], frozenset(row["user_hash"] for row in people), frozenset(clients))


def leave_out_erased(engine: Engine, rules: Rules) -> None:
    """Take people who were erased out of the events that were just read (the scratch table `changed_events`)."""
    erased = read_erased(engine)
    if erased is not None:
        engine.materialise(kept_events(erased.salt, rules.of_events), batch_queries.CHANGED_EVENTS)


def kept_events(salt: str, carried: Iterable[Property]) -> Query:
    """Return the query of the events of everybody else, with the properties that are carried."""
    columns = [*mc_tables.EVENTS.column_names, *(each.column for each in carried)]
    return templates.query("staging/kept_events", params={"salt": salt}, structure={"columns": columns})


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of who was erased."""
    yield None, templates.query("staging/erased_users")
    yield None, templates.query("staging/erased_clients")
    yield None, kept_events("salt", ())
