"""The only proof that GA4 has what it was told: its audience, exported and held against the ledger, device by device.

GA4 makes an export in some minutes, so that whoever does not wait asks again later: an export that was begun is found
there. What nobody had confirmed, and the audience now shows, is confirmed in the ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

import pyarrow as pa

from microconv import wording
from microconv.activation.destinations.ga4 import Ga4Destination
from microconv.activation.push.ledger_tables import LEDGER, SENT
from microconv.activation.push.ledger_views import has_ledger
from microconv.activation.push.list_plan import lists
from microconv.activation.push.push_ledger import LedgerBatch
from microconv.activation.push.pushes import Pushes
from microconv.activation.push.sending import Deadline
from microconv.activation.sending_run import sending_run
from microconv.clients.audience_exports import AudienceExports, MembersExport
from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.engines.base import DeleteKeys, InsertScratch, PutRow
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.result import Result, column
from microconv.segments.ga4_definition import audience_name
from microconv.taxonomy import Taxonomy

_MEMBERS, _PROVED, _ROWS = "ga4_members", "proved_devices", "proved_rows"
_SCHEMA = pa.schema([("device_id", pa.string()), ("user_id", pa.string())])
_RECENT = timedelta(hours=1)
"""An export of so long ago still says who is in the audience now."""
_SHORTEST_PAUSE, _LONGEST_PAUSE = 15.0, 120.0


@dataclass(frozen=True)
class ProvedList:
    """A list, and what the audience of GA4 says of it; counts are None until the audience is exported."""

    segment: str = column("segment")
    destination: str = column("destination")
    exported_at: datetime | None = column("exported at", wording.second)
    told: int | None = column("told to be in", wording.count)
    found: int | None = column("found in", wording.count)
    missing: int | None = column("missing", wording.count)
    still_in: int | None = column("left, but in", wording.count)
    others: int | None = column("others", wording.count)
    confirmed: int | None = column("newly confirmed", wording.count)
    outcome: str = column("outcome")

    @property
    def is_proved(self) -> bool:
        """Whether the audience is what GA4 was told."""
        return self.missing == self.still_in == self.others == 0


@dataclass(frozen=True)
class Proofs(Result):
    """What the audiences of GA4 say of lists."""

    row_type: ClassVar[type] = ProvedList

    lists: tuple[ProvedList, ...]

    @property
    def rows(self) -> tuple[ProvedList, ...]:
        """The lists."""
        return self.lists

    @property
    def is_waiting(self) -> bool:
        """Whether GA4 is still exporting an audience."""
        return any(each.exported_at is None for each in self.lists)

    @property
    def is_proved(self) -> bool:
        """Whether all audiences are what GA4 was told."""
        return all(each.is_proved for each in self.lists)

    @property
    def sentence(self) -> str:  # type: ignore[override]  # made of the rest
        """Say how many are as they should be."""
        proved = sum(each.is_proved for each in self.lists)
        return f"{wording.count(proved)} of {wording.plural(len(self.lists), 'list')} are in GA4 as it was told."

    @property
    def assumptions(self) -> tuple[str, ...]:  # type: ignore[override]  # the same for all
        """What to think of what is missing."""
        return (
            "GA4 takes a day or two until an audience has whom it was told of.",
            "A device that GA4 has not seen since the audience was made may be missing for good.",
        )


@dataclass(frozen=True)
class Proving:
    """Proofs in one project."""

    pushes: Pushes

    def prove(
        self,
        segments: Sequence[str] = (),
        destinations: Sequence[str] = (),
        *,
        wait: bool = False,
        on_wait: Callable[[int], None] = lambda _: None,
    ) -> Proofs:
        """Hold lists against the audiences of GA4; begin to export those that are not.

        Args:
            segments: Names of segments; none: all that were pushed to GA4.
            destinations: Names of destinations; none: all of the kind `ga4`.
            wait: Wait until GA4 has exported them, or `push.deadline` is over.
            on_wait: Is told how many exports are waited for, before each wait.

        Raises:
            UsageError: There is no such segment or destination, or nothing was pushed to it.
            LockedError: Another run holds the lock.
            ConfigError: There are no credentials.
            AnalyticsError: GA4 refused or failed.
        """
        engine, deadline = self.pushes.engine, Deadline(self.pushes.config.push.deadline.seconds, self.pushes.monotonic)
        with sending_run(engine, "prove", self.pushes.clock()) as run_id:
            asked = list(self._asked(segments, destinations))
            pause = _SHORTEST_PAUSE
            done: dict[tuple[str, str], ProvedList] = {}
            while True:
                for number, (segment, destination, sent_at) in enumerate(asked):
                    key = (segment, destination.settings.name)
                    if key not in done or done[key].exported_at is None:
                        done[key] = self._proved(segment, destination, sent_at, f"{run_id}.{number}")
                waiting = sum(each.outcome.startswith("being exported") for each in done.values())
                if not waiting or not wait or deadline.is_before(pause):
                    break
                on_wait(waiting)
                self.pushes.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
        return Proofs(tuple(done.values()))

    def _asked(
        self, segments: Sequence[str], destinations: Sequence[str]
    ) -> Iterator[tuple[str, Ga4Destination, datetime | None]]:
        config, found = self.pushes.config, False
        for name in segments:
            find_named(config.segments, name, "segment")
        for name in destinations:
            if find_named(config.destinations, name, "destination").kind != "ga4":
                raise UsageError(
                    f"The destination {name} is not of the kind ga4.",
                    hint="Only audiences of GA4 can be read back.",
                )
        known = lists(self.pushes.engine) if has_ledger(self.pushes.engine) else []
        of_ga4 = {each.name for each in config.destinations if each.kind == "ga4"}
        for row in known:
            if (
                row["destination"] in (destinations or of_ga4)
                and row["destination"] in of_ga4
                and row["segment"] in (segments or [row["segment"]])
            ):
                destination = self.pushes.destination(row["destination"])
                assert isinstance(destination, Ga4Destination)  # noqa: S101 - its kind says so
                found = True
                yield row["segment"], destination, row["last_sent_at"]
        if not found:
            raise UsageError(
                "No such list was pushed to GA4 yet, so there is nothing to prove.",
                hint="Run `microconv push` with a destination of the kind ga4 first.",
            )

    def _proved(self, segment: str, destination: Ga4Destination, sent_at: datetime | None, run_id: str) -> ProvedList:
        name = destination.settings.name
        nothing = dict.fromkeys(("told", "found", "missing", "still_in", "others", "confirmed"))
        with closing(destination.admin(reading=True)) as admin, closing(destination.exports()) as exports:
            audience = admin.audiences().get(audience_name(segment))
            if audience is None:
                return ProvedList(segment, name, None, **nothing, outcome=f'no audience "{audience_name(segment)}"')
            export = exports.latest(audience)
            recent = self.pushes.clock() - _RECENT
            oldest = recent if sent_at is None else max(recent, sent_at)
            if export is None or export.state == "failed" or (export.state == "active" and export.began_at < oldest):
                export = exports.begin(audience)
            if export.state != "active":
                return ProvedList(segment, name, None, **nothing, outcome="being exported: ask again in a quarter hour")
            return self._held_against(segment, destination, export, exports, run_id)

    def _held_against(
        self, segment: str, destination: Ga4Destination, export: MembersExport, exports: AudienceExports, run_id: str
    ) -> ProvedList:
        engine, name = self.pushes.engine, destination.settings.name
        columns = ([list(each) for each in zip(*page, strict=True)] for page in exports.rows(export))
        pages = (pa.record_batch(each, schema=_SCHEMA) for each in columns)
        engine.load(pa.RecordBatchReader.from_batches(_SCHEMA, pages), _MEMBERS)
        engine.materialise(proved_query(name, segment), _PROVED)
        rows = engine.query(templates.query("activation/proof_counts")).to_pylist()
        counts = {(row["operation"], row["is_in"]): row["devices"] for row in rows}
        found, missing = (counts.get(("add", is_in), 0) for is_in in (True, False))
        still_in, others = counts.get(("remove", True), 0), counts.get(("none", True), 0)
        confirmed = self._confirmed(segment, destination, export, run_id)
        proved = ProvedList(
            segment, name, export.began_at, found + missing, found, missing, still_in, others, confirmed, "differs"
        )
        return replace(proved, outcome="proved") if proved.is_proved else proved

    def _confirmed(self, segment: str, destination: Ga4Destination, export: MembersExport, run_id: str) -> int:
        """Confirm in the ledger what nobody had, and the audience shows; return how many devices that are."""
        engine, name = self.pushes.engine, destination.settings.name
        sent_before = export.began_at - timedelta(seconds=destination.settings.settles_after.seconds)
        engine.materialise(confirmed_query(name, segment, sent_before, run_id), _ROWS)
        batches = engine.query(templates.query("activation/proved_batches")).to_pylist()
        if batches:
            now = self.pushes.clock()
            made = [
                LedgerBatch(
                    batch_id=row["batch_id"],
                    push_id=run_id,
                    destination=name,
                    segment=segment,
                    operation=row["operation"],
                    state="success",
                    identifiers=row["identifiers"],
                    rejected=None,
                    request_id=export.name,
                    attempts=1,
                    planned_at=sent_before,
                    sent_at=sent_before,
                    settled_at=now,
                    reason="read back from the audience",
                )
                for row in batches
            ]
            engine.apply(
                [
                    DeleteKeys(SENT, "sent_key", _ROWS),
                    InsertScratch(SENT, _ROWS),
                    *(PutRow(LEDGER, asdict(each)) for each in made),
                ]
            )
        return sum(row["identifiers"] for row in batches)


def proved_query(destination: str, segment: str) -> Query:
    """Return the query of what was told of a list, and whether the audience has it."""
    params: dict[str, Value] = {"destination": destination, "segment": segment}
    return templates.query("activation/proved_devices", params=params)


def confirmed_query(destination: str, segment: str, sent_before: datetime, run_id: str) -> Query:
    """Return the query of the rows of the ledger that are confirmed."""
    params: dict[str, Value] = {
        "destination": destination,
        "segment": segment,
        "sent_before": sent_before,
        "added_id": f"{run_id}-added",
        "removed_id": f"{run_id}-removed",
    }
    return templates.query("activation/proved_rows", params=params)


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of a proof."""
    yield None, proved_query("destination", "segment")
    yield None, templates.query("activation/proof_counts")
    yield None, confirmed_query("destination", "segment", templates.EXAMPLE_MOMENT, "run")
    yield None, templates.query("activation/proved_batches")
