"""Why somebody is on a list, or is not: what they did, whether the rule held, who may be sent, what was sent, receipts.

Identifiers are shown by the first digits of their hash alone, and no value of the identity table is shown at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any, ClassVar

from microconv import wording
from microconv.activation.audience.first_party import read_consent, read_identity
from microconv.activation.audience_plan import plan_audience
from microconv.activation.destinations.base import Destination
from microconv.activation.push.identifiers import load_identifiers, load_told_devices
from microconv.activation.push.ledger_views import has_ledger
from microconv.activation.push.pushes import Pushes
from microconv.activation.segment_audience import denied_if_erased
from microconv.activation.sending_run import sending_run
from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.config.segment_settings import SegmentConfig
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.result import Result, column, sheet
from microconv.segments.members import Member
from microconv.segments.membership_tables import SEGMENT_MEMBERS
from microconv.segments.memberships import rule_version
from microconv.staging.erasures import read_erased
from microconv.taxonomy import Taxonomy
from microconv.wording import Sheet

_MOST_OCCURRENCES = 20
_SHOWN_DIGITS = 8
_EXPLAINED = "explained"
_LARGEST_KEY = 2**63 - 1


@dataclass(frozen=True)
class Occurrence:
    """Something that the actor did and that the rule names, with the event that it was made of."""

    event_at: datetime = column("when (UTC)", wording.minute)
    micro_conversion: str = column("micro-conversion")
    event_name: str | None = column("event")
    origin: str = column("from")


@dataclass(frozen=True)
class Stay:
    """A stay in the segment."""

    since: datetime = column("since (UTC)", wording.minute)
    until: datetime | None = column("until (UTC)", wording.minute)
    reason: str | None = column("left since it")
    rule_version: str | None = column("rule", is_whole=True)
    run_id: str | None = column("build")


@dataclass(frozen=True)
class SentIdentifier:
    """An identifier of the actor at a destination; `digits` are the first of its SHA-256."""

    destination: str = column("destination")
    gate: str = column("may be sent")
    kind: str = column("identifier", default="")
    digits: str = column("begins with", default="")
    operation: str | None = column("last operation", default=None)
    state: str | None = column("state", default=None)
    batch_id: str | None = column("batch", is_whole=True, default=None)
    request_id: str | None = column("receipt", default=None)
    sent_at: datetime | None = column("sent (UTC)", wording.minute, default=None)


@dataclass(frozen=True)
class Explanation(Result):
    """Why an actor is in a segment and on its lists, or is not."""

    row_type: ClassVar[type] = SentIdentifier

    segment: str
    actor_keys: tuple[int, ...]
    rule_version: str
    occurrences: tuple[Occurrence, ...]
    stays: tuple[Stay, ...]
    sent: tuple[SentIdentifier, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[SentIdentifier, ...]:
        """What was sent."""
        return self.sent

    def sheets(self) -> tuple[Sheet | str, ...]:
        """Tables in the order in which one thing leads to the next."""
        found: list[Sheet | str] = []
        for title, rows, row_type in (
            ("What happened", self.occurrences, Occurrence),
            (f"Stays in {self.segment}", self.stays, Stay),
            ("At destinations", self.sent, SentIdentifier),
        ):
            found.append(sheet(title, rows, row_type) if rows else f"{title}: nothing.")
        return tuple(found)


@dataclass(frozen=True)
class Explaining:
    """Explanations in one project."""

    pushes: Pushes

    def explain(self, actor: str, segment_name: str, destinations: Sequence[str] = ()) -> Explanation:
        """Say why an actor, named by user id or key, is in a segment and on its lists, or is not.

        Raises:
            UsageError: There is no such segment, destination or actor.
            LockedError: Another run holds the lock.
        """
        config, engine = self.pushes.config, self.pushes.engine
        segment = find_named(config.segments, segment_name, "segment")
        names = destinations or segment.destinations
        for each in names:
            find_named(config.destinations, each, "destination")
        with sending_run(engine, "explain", self.pushes.clock()):
            known = engine.query(actors_query(actor)).to_pylist()
            if not known:
                raise UsageError(
                    "No staged session has that user_id or actor key.",
                    hint="Look for it: `microconv query 'SELECT DISTINCT user_id, actor_key FROM mc_sessions'`.",
                )
            keys = tuple(row["actor_key"] for row in known)
            stays = self._stays(keys, segment)
            return Explanation(
                segment=segment.name,
                actor_keys=keys,
                rule_version=rule_version(segment, self.pushes.audiences().taxonomy),
                occurrences=self._occurrences(keys, segment),
                stays=stays,
                sent=tuple(row for name in names for row in self._sent(known, segment, self.pushes.destination(name))),
                sentence=_sentence(segment.name, stays),
                assumptions=(
                    f"At most {_MOST_OCCURRENCES} occurrences are shown, the latest first, of what the rule names.",
                    "Memberships are those of the last build; consent and identity are read now.",
                ),
            )

    def _occurrences(self, keys: Sequence[int], segment: SegmentConfig) -> tuple[Occurrence, ...]:
        taxonomy = self.pushes.audiences().taxonomy
        entries = sorted({taxonomy.counted(entry) for entry, _ in segment.rule.named()})
        found = self.pushes.engine.query(occurrences_query(keys, entries)).to_pylist()
        return tuple(
            Occurrence(row["event_at"], row["micro_conversion"], row["event_name"], _origin(row)) for row in found
        )

    def _stays(self, keys: Sequence[int], segment: SegmentConfig) -> tuple[Stay, ...]:
        if self.pushes.engine.version(SEGMENT_MEMBERS.name) is None:
            return ()
        found = self.pushes.engine.query(stays_query(keys, segment.name)).to_pylist()
        return tuple(
            Stay(row["since"], row["until"], row["reason"], row["rule_version"], row["run_id"]) for row in found
        )

    def _sent(
        self, known: Sequence[dict[str, Any]], segment: SegmentConfig, destination: Destination
    ) -> Iterator[SentIdentifier]:
        """Yield what a destination was told of the actor's identifiers, or why there are none."""
        config, engine, name = self.pushes.config, self.pushes.engine, destination.settings.name
        audience = plan_audience(
            [Member(row["actor_key"], row["user_id"]) for row in known],
            read_identity(config.identity, engine, config.file),
            denied_if_erased(read_consent(config.consent, engine, config.file), read_erased(engine)),
            segment=segment.name,
            identity=segment.identity,
            destination=name,
            accepts=destination.accepts,
            lineage={},
            now=self.pushes.clock(),
        )
        gate = "yes" if audience.written else f"no: {', '.join(audience.excluded)}"
        found = []
        if has_ledger(engine):
            if destination.accepts.devices is None:
                load_identifiers(engine, [audience.audience.rows], _EXPLAINED)
            else:
                users = {row["user_id"] for row in known if row["user_id"] is not None}
                load_told_devices(engine, name, users, _EXPLAINED)
            found = engine.query(identifiers_query(name, segment.name)).to_pylist()
        if not found:
            yield SentIdentifier(name, gate)
        for row in found:
            yield SentIdentifier(
                name,
                gate,
                row["kind"],
                _digits(row["identifier"]),
                row["operation"] or "never sent",
                row["state"],
                row["batch_id"],
                row["request_id"],
                row["sent_at"],
            )


def _sentence(segment: str, stays: Sequence[Stay]) -> str:
    if not stays:
        return f"Never in {segment}, by the builds so far."
    latest = stays[0]
    if latest.until is None:
        return f"In {segment} since {wording.second(latest.since)}."
    return f"Not in {segment} since {wording.second(latest.until)} ({latest.reason})."


def _origin(row: dict[str, Any]) -> str:
    if row["external_source"] is not None:
        return f"other system: {row['external_source']}"
    return "derived from other occurrences" if row["is_derived"] else "export"


def _digits(identifier: str) -> str:
    """Return the first digits of an identifier, of its hash where it is not one itself."""
    is_hash = re.fullmatch(r"[0-9a-f]{64}", identifier)
    return (identifier if is_hash else sha256(identifier.encode()).hexdigest())[:_SHOWN_DIGITS]


def actors_query(actor: str) -> Query:
    """Return the query of the actors of a user id, or with a key."""
    key = int(actor) if re.fullmatch(r"[0-9]{1,19}", actor) and int(actor) <= _LARGEST_KEY else None
    return templates.query("activation/actors_of", params={"user_id": actor, "actor_key": key})


def occurrences_query(keys: Sequence[int], entries: Sequence[str]) -> Query:
    """Return the query of what actors did of some entries."""
    params: dict[str, Value] = {"actor_keys": list(keys), "entries": list(entries), "most": _MOST_OCCURRENCES}
    return templates.query("activation/actor_occurrences", params=params)


def stays_query(keys: Sequence[int], segment: str) -> Query:
    """Return the query of the stays of actors in a segment."""
    return templates.query("activation/actor_stays", params={"actor_keys": list(keys), "segment": segment})


def identifiers_query(destination: str, segment: str) -> Query:
    """Return the query of what a list was told of some identifiers."""
    params = {"destination": destination, "segment": segment}
    return templates.query("activation/explained_identifiers", params=params)


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of an explanation."""
    yield None, actors_query("user")
    yield None, occurrences_query([1], ["purchase"])
    yield None, stays_query([1], "segment")
    yield None, identifiers_query("destination", "segment")
