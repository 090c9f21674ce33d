"""Erase a person: from the staged tables, from memberships, from lists at destinations, and from later imports.

It is finished when no removal is waited for. Whoever was erased counts from the first moment as somebody who denied.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from microconv import wording
from microconv.activation.audience.first_party import read_identity
from microconv.activation.audience.people import Person
from microconv.activation.conversions.erased_conversions import erase_conversions
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.engine_table import EngineTableDestination, tables
from microconv.activation.push.identifiers import SignedInDevice, told_devices
from microconv.activation.push.ledger_views import has_ledger
from microconv.activation.push.pushes import Pushes
from microconv.activation.push.removals import (
    RemovalsLedger,
    choose,
    chosen_removals_query,
    rows_of,
    take_off,
)
from microconv.activation.push.sending import Deadline, Sending
from microconv.activation.sending_run import sending_run
from microconv.config.sections import Config
from microconv.engines.base import Change, DeleteKeys, InsertScratch, PutRow
from microconv.errors import MicroconvError, UsageError
from microconv.own_tables.placeholders import is_nobody
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.result import Result, column
from microconv.segments import membership_tables, memberships, propensity_tables
from microconv.segments.propensity_rules import erasing_scores
from microconv.staging import mc_tables
from microconv.staging.erasures import ERASED_KEYS, ERASURES, TABLES, hash_of
from microconv.taxonomy import Taxonomy

_ACTORS, _SESSIONS, _CLIENTS, _KEYS = "erased_actors", "erased_sessions", "erased_clients", "erased_keys"
_HISTORY = "erased_history"
_ROUNDS = 3
"""How often a list is gone through in one run: removed, confirmed, forgotten."""
_SHOWN_DIGITS = 12


@dataclass(frozen=True)
class ErasedPart:
    """One place where the person was: how much there was, and what became of it."""

    place: str = column("place")
    found: int = column("found", wording.count)
    state: str = column("state")


@dataclass(frozen=True)
class ErasureResult(Result):
    """An erasure: where the person was, and whether anything is left.

    Attributes:
        person: The first digits of the salted hash of the user id.
        parts: Where the person was.
        is_finished: Whether nothing is left, and no removal is waited for.
        hints: What is left to others, and what cannot be found.
    """

    row_type: ClassVar[type] = ErasedPart

    person: str
    parts: tuple[ErasedPart, ...]
    is_finished: bool
    hints: tuple[str, ...]

    @property
    def rows(self) -> tuple[ErasedPart, ...]:
        """The places."""
        return self.parts

    @property
    def title(self) -> str:
        """What the table is called."""
        return f"Erasure of {self.person}"

    @property
    def sentence(self) -> str:  # type: ignore[override]  # made of the rest
        """Say whether it is finished."""
        state = "finished: nothing is left that we know of" if self.is_finished else "not finished"
        return f"The erasure of {self.person} is {state}."

    @property
    def assumptions(self) -> tuple[str, ...]:  # type: ignore[override]  # another name for them
        """What is left to others."""
        return self.hints


@dataclass(frozen=True)
class Erasing:
    """Erasures in one project."""

    pushes: Pushes

    def erase(self, user_id: str) -> ErasureResult:
        """Remove a person wherever we know of; run it again until it is finished.

        Raises:
            UsageError: That is not a user id.
            LockedError: Another run holds the lock.
            ConfigError: The identity table cannot be read.
        """
        name = user_id.strip()
        if not name or is_nobody(name):
            raise UsageError(
                "That is a word that stands for nobody, and not a user id.",
                hint="Give the user_id that your site sends to GA4.",
            )
        engine, now = self.pushes.engine, self.pushes.clock()
        with sending_run(engine, "erase", now) as run_id:
            for table in (*TABLES.values(), *membership_tables.TABLES.values(), propensity_tables.PROPENSITY_SCORES):
                engine.ensure(table)
            row = self._noted(name, now)
            # Before the lists are gone through: the ledger forgets them then.
            devices = self._devices(name)
            parts = [*self._tables(name, row), *self._lists(name, run_id)]
            parts += [*self._conversions(name), *self._platforms(name, devices), *self._files(name)]
            left = [part for part in parts if part.state != "removed"]
            done = json.loads(row["done"])
            for part in parts:
                done[part.place] = max(done.get(part.place, 0), part.found)
            engine.apply(
                [
                    PutRow(
                        ERASURES, row | {"done": json.dumps(done), "finished_at": None if left else self.pushes.clock()}
                    )
                ]
            )
        return ErasureResult(row["user_hash"][:_SHOWN_DIGITS], tuple(parts), not left, tuple(self._hints(name, left)))

    def _noted(self, name: str, now: datetime) -> dict[str, Any]:
        """Write down that the person is to be erased: from here on they count as somebody who denied."""
        engine = self.pushes.engine
        known = engine.query(templates.query("staging/erased_users")).to_pylist()
        salt = known[0]["salt"] if known else secrets.token_hex(16)
        user_hash = hash_of(name, salt)
        earlier = engine.query(templates.query("activation/erasure", params={"user_hash": user_hash})).to_pylist()
        row: dict[str, Any] = {
            "user_hash": user_hash,
            "salt": salt,
            "asked_at": earlier[0]["asked_at"] if earlier else now,
            "finished_at": None,
            "done": earlier[0]["done"] if earlier else "{}",
        }
        engine.apply([PutRow(ERASURES, row)])
        return row

    def _tables(self, name: str, row: Mapping[str, Any]) -> Iterator[ErasedPart]:
        """Remove the person from the staged tables and memberships, and keep what an import needs to leave them out."""
        engine = self.pushes.engine
        engine.materialise(templates.query("activation/erased_actors", params={"user_id": name}), _ACTORS)
        engine.materialise(templates.query("activation/erased_person_sessions"), _SESSIONS)
        engine.materialise(templates.query("activation/erased_person_clients"), _CLIENTS)
        of_person = {"user_hash": row["user_hash"]}
        engine.materialise(templates.query("activation/erased_person_keys", params=of_person), _KEYS)
        found = engine.query(templates.query("activation/erased_person_rows")).to_pylist()
        if any(each["found"] for each in found):
            engine.apply(_removals())
        for each in found:
            yield ErasedPart(each["what"], each["found"], "removed")

    def _lists(self, name: str, run_id: str) -> Iterator[ErasedPart]:
        """Take the person's identifiers off every list that was told of them; no answer is waited for."""
        engine, config = self.pushes.engine, self.pushes.config
        if not has_ledger(engine):
            return
        deadline = Deadline(config.push.deadline.seconds, self.pushes.monotonic)
        for number, each in enumerate(config.destinations):
            destination = self.pushes.destination(each.name)
            choose(engine, [name], self._people(name), destination, self.pushes.clock())
            self._forget_history(destination)
            told = self._left(each.name)
            for place, (segment, identifiers) in enumerate(told.items()):
                for again in range(_ROUNDS):
                    push_id = f"{run_id}.{number}.{place}.{again}"
                    audience = destination.audience_list(segment, push_id)
                    sending = Sending(audience, deadline, self.pushes.monotonic, self.pushes.sleep)
                    take_off(
                        RemovalsLedger(engine, each.name, segment),
                        sending,
                        push_id,
                        normalisation=destination.accepts.normalisation.version,
                        clock=self.pushes.clock,
                    )
                    if segment not in self._left(each.name):
                        break
                state = "removed" if segment not in self._left(each.name) else "waiting for the destination"
                yield ErasedPart(f"list {segment} at {each.name}", identifiers, state)

    def _devices(self, name: str) -> dict[str, list[SignedInDevice]]:
        """Return the person's devices that each destination was told of, where it is told of devices."""
        if not has_ledger(self.pushes.engine):
            return {}
        every = map(self.pushes.destination, (each.name for each in self.pushes.config.destinations))
        of_devices = [each.settings.name for each in every if each.accepts.devices is not None]
        return {at: told_devices(self.pushes.engine, at, [name]) for at in of_devices}

    def _platforms(self, name: str, devices: Mapping[str, Sequence[SignedInDevice]]) -> Iterator[ErasedPart]:
        """Have platforms delete what they keep of the person beside lists; one that fails is asked by the next run."""
        for each in self.pushes.config.destinations:
            try:
                asked = self.pushes.destination(each.name).forget([name], devices.get(each.name, ()))
            except MicroconvError as error:
                yield ErasedPart(f"what {each.name} keeps", 1, f"not deleted: {error.message.removesuffix('.')}")
                continue
            if asked is not None:
                yield ErasedPart(f"{asked.what} at {each.name}", asked.ids, "removed")

    def _forget_history(self, destination: Destination) -> None:
        """Take additions of the person out of the table of changes, where a destination keeps one."""
        if not isinstance(destination, EngineTableDestination):
            return
        _, changes = tables(destination.settings.table_name)
        if self.pushes.engine.version(changes.name) is not None:
            self.pushes.engine.materialise(history_query(changes.name), _HISTORY)
            self.pushes.engine.apply([DeleteKeys(changes, "change_key", _HISTORY)])

    def _left(self, destination: str) -> dict[str, int]:
        """Return how many of the person's identifiers each list of a destination still has in the ledger."""
        rows = self.pushes.engine.query(templates.query("activation/erased_left")).to_pylist()
        return {row["segment"]: row["identifiers"] for row in rows if row["destination"] == destination}

    def _people(self, name: str) -> list[Person]:
        config = self.pushes.config
        if config.identity.file is None and config.identity.table is None:
            return []
        people = read_identity(config.identity, self.pushes.engine, config.file)
        return [person for person in people if person.user_id == name]

    def _conversions(self, name: str) -> Iterator[ErasedPart]:
        """Forget what ad platforms were told of the person's conversions."""
        pushes = self.pushes
        for conversion, at, found, is_done in erase_conversions(pushes.engine, pushes.config, pushes.destination, name):
            state = "removed" if is_done else "waiting for `microconv conversions send`"
            yield ErasedPart(f"conversions {conversion} told to {at}", found, state)

    def _files(self, name: str) -> Iterator[ErasedPart]:
        """Name exported files that hold the person; a new export replaces them."""
        for each in self.pushes.config.destinations:
            destination = self.pushes.destination(each.name)
            folder = getattr(destination.settings, "path", None)
            if not isinstance(folder, Path) or not folder.is_dir():
                continue
            known = rows_of([name], self._people(name), destination, self.pushes.clock())
            rows = (row for rows in known for row in rows)
            sought = {value for row in rows for value in (row.email, row.phone, row.external_id) if value}
            for path in sorted(folder.glob("*.csv")) + sorted(folder.glob("*.jsonl")):
                with path.open(encoding="utf-8", errors="replace") as file:
                    found = sum(any(value in line for value in sought) for line in file)
                if found:
                    yield ErasedPart(f"file {path.name} of {each.name}", found, "still there")

    def _hints(self, name: str, left: Sequence[ErasedPart]) -> Iterator[str]:
        if any(part.state == "still there" for part in left):
            yield "Export those files again, or remove them, then run the same command again."
        if any(part.state.startswith("not deleted") for part in left):
            yield "A destination did not take a deletion: see to what it says, then run the same command again."
        if any(part.state.startswith("waiting") for part in left):
            yield "A destination has not confirmed a removal yet: run the same command again later."
        config = self.pushes.config
        if config.identity.file is None and config.identity.table is None:
            yield "Without an identity table, no address or number of this user can be found on a list."
        elif not self._people(name):
            yield (
                "The identity table has no row of this user, so no address or number of theirs can be found on a list. "
                "The next `microconv push` removes whoever that table no longer has."
            )
        yield (
            "Not found by this: addresses that the user had before, which the identity table no longer has (pushes "
            "since then took them off the lists), lists of destinations that the configuration does not name, copies "
            "of files, and what is in encrypted or Parquet files: export these again."
        )
        yield (
            "Left to you: conversions that an ad platform was told of, the user's rows in the export, in the identity "
            "and consent tables and in other systems, and the folders of pushes once they are uploaded. No import "
            "stages this user again."
        )


def history_query(changes: str) -> Query:
    """Return the query of a person's additions in a table of changes."""
    return templates.query("activation/erased_history", relations={"audience_changes": changes})


def _removals() -> list[Change]:
    of_clients = (mc_tables.EVENTS, mc_tables.SESSIONS, mc_tables.MICRO_CONVERSIONS, mc_tables.SIGNALS)
    return [
        *(DeleteKeys(table, "session_key", _SESSIONS) for table in of_clients),
        *(DeleteKeys(table, "client_key", _CLIENTS) for table in (*of_clients, mc_tables.EXTERNAL_EVENTS)),
        *(DeleteKeys(table, "actor_key", _ACTORS) for table in (mc_tables.MICRO_CONVERSIONS, mc_tables.SIGNALS)),
        DeleteKeys(mc_tables.EXTERNAL_EVENTS, "user_key", _ACTORS),
        memberships.erasing(_ACTORS),
        erasing_scores(_ACTORS),
        InsertScratch(ERASED_KEYS, _KEYS),
    ]


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of an erasure."""
    yield None, templates.query("activation/erasure", params={"user_hash": "hash"})
    yield None, templates.query("activation/erased_actors", params={"user_id": "user"})
    yield None, templates.query("activation/erased_person_keys", params={"user_hash": "hash"})
    for name in ("erased_person_sessions", "erased_person_clients", "erased_person_rows"):
        yield None, templates.query(f"activation/{name}")
    yield None, history_query("mc_audience_changes")
    yield None, chosen_removals_query()
    yield None, templates.query("activation/erased_left")
