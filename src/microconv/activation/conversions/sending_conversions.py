"""What can be done with conversions: send them, say what that would be, ask what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast, get_args

from microconv import wording
from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import GOOGLE
from microconv.activation.audience_plan import reasons
from microconv.activation.conversions.conversion_destination import (
    MICROS,
    Adjustments,
    ClickId,
    ConversionDestination,
    ConversionRules,
)
from microconv.activation.conversions.conversion_ledger import (
    ConversionLedger,
    ConversionList,
    open_batches_query,
    taken_back_query,
)
from microconv.activation.conversions.conversion_results import (
    ConversionRequest,
    ConversionRequests,
    ConversionStatus,
    ConversionStatuses,
    ListedConversion,
    ListedConversions,
    SentConversions,
)
from microconv.activation.conversions.conversion_tables import BATCHES
from microconv.activation.conversions.one_conversion import OneConversion, OnProgress, conversion_ledger, orders_query
from microconv.activation.destinations.base import Destination
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.polling import polled
from microconv.activation.push.push_guards import Allowed
from microconv.activation.push.sending import Deadline, Sending
from microconv.activation.sending_gate import SendingGate
from microconv.activation.sending_run import sending_run
from microconv.config.conversion_settings import ConversionConfig
from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import UsageError
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.taxonomy import Taxonomy

_COMMAND = "microconv conversions send"
_NOBODY_ALLOWED = Allowed()


@dataclass(frozen=True)
class Conversions:
    """The conversions of one project.

    Attributes:
        config: The configuration.
        taxonomy: The taxonomy that the tables were staged with.
        engine: Where the staged tables and the ledger are.
        latest: Gives the moment of the latest staged event.
        destination: Gives a destination of the configuration by its name.
        clock: Gives the current time.
        monotonic: Seconds that only grow.
        sleep: Waits for seconds.
    """

    config: Config
    taxonomy: Taxonomy
    engine: Engine
    latest: Callable[[], datetime]
    destination: Callable[[str], Destination]
    clock: Callable[[], datetime] = lambda: datetime.now(tz=UTC)
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def send(
        self,
        names: Sequence[str] = (),
        *,
        dry_run: bool = False,
        allowed: Allowed = _NOBODY_ALLOWED,
        on_progress: OnProgress = lambda _done, _all, _name: None,
    ) -> SentConversions:
        """Tell destinations of orders as they are now. What stops or fails one conversion does not keep the others.

        Args:
            names: Names of conversions; none: all.
            dry_run: Plan and check, but send nothing.
            allowed: Guards that let it through.
            on_progress: Is told how far a conversion is.

        Raises:
            UsageError: There is no such conversion, its destination takes none, or credentials are missing.
            ConfigError: There is no identity or consent table, or it cannot be read.
            LockedError: Another run holds the lock.
        """
        for name in allowed.guardrails:
            find_named(self.config.guardrails, name, "guardrail")
        wanted = [(each, self._at(each)) for each in self._named(names)]
        self._check_places()
        for name in dict.fromkeys(each.destination for each, _ in wanted):
            self.destination(name).check_ready()
        with sending_run(self.engine, "conversions", self.clock()) as run_id:
            deadline = Deadline(self.config.push.deadline.seconds, self.monotonic)
            gate = SendingGate(
                self.config,
                self.taxonomy,
                self.engine,
                self.clock(),
                run_id,
                allowed.guardrails,
                is_kept=not dry_run,
            )
            gate.measure(conversions=[conversion for conversion, _ in wanted])
            done = []
            for number, (conversion, at) in enumerate(wanted, start=1):
                one = self._one(conversion, at, f"{run_id}.{number}", deadline)
                one.gate, one.allowed, one.on_progress = gate, allowed, on_progress
                done.append(one.result(dry_run=dry_run))
        return SentConversions(run_id, dry_run, tuple(done))

    def overview(self) -> ListedConversions:
        """Say of each conversion how many orders count, and how many of them may be sent; nothing is sent.

        Raises:
            ConfigError: There is no identity or consent table, or it cannot be read.
            LockedError: Another run holds the lock.
        """
        rows, told = [], []
        with sending_run(self.engine, "conversions", self.clock()) as run_id:
            for each in self._named(()):
                at = self._at(each)
                one = self._one(each, at, run_id, Deadline(1.0, self.monotonic))
                span = wording.span(int(at.rules.max_age.total_seconds()))
                told.append(f"{each.name}: orders of the last {span} count; {at.rules.name} takes none that is older.")
                one.ledger.prepare()
                one.load()
                left_out = sum(one.left_out.values())
                rows.append(
                    ListedConversion(
                        each.name,
                        each.entry,
                        each.destination,
                        each.action,
                        one.orders,
                        one.orders - left_out,
                        reasons(one.left_out),
                    )
                )
        orders, sendable = sum(row.orders for row in rows), sum(row.may_be_sent for row in rows)
        return ListedConversions(
            tuple(rows),
            f"{wording.count(sendable)} of {wording.plural(orders, 'order')} may be sent.",
            tuple(told),
        )

    def poll(self, *, wait: bool = False, on_wait: Callable[[int], None] = lambda _: None) -> ConversionRequests:
        """Ask what became of requests that are being worked on.

        Args:
            wait: Ask again until there is an answer to all, or `push.deadline` is over.
            on_wait: Is told how many requests are without an answer, before each wait.

        Raises:
            LockedError: Another run holds the lock.
        """
        deadline = Deadline(self.config.push.deadline.seconds, self.monotonic)
        with sending_run(self.engine, "conversions", self.clock()):
            known = self.engine.version(BATCHES.name) is not None
            pushes = [self._push(each, deadline) for each in self.config.conversions if known]
            asked, said = polled(pushes, deadline, self.sleep, wait=wait, on_wait=on_wait)
        return ConversionRequests(tuple(map(ConversionRequest.of, asked)), said)

    def status(self) -> ConversionStatuses:
        """Say what is known of each conversion: of those of the configuration, and of others that were sent once."""
        known = []
        if self.engine.version(BATCHES.name) is not None:
            known = self.engine.query(status_query()).to_pylist()
        configured = {(each.name, each.destination) for each in self.config.conversions}
        told = {(row["conversion"], row["destination"]) for row in known}
        rows = [
            ConversionStatus(
                value=None if row["currency"] is None else row["value_micros"] / MICROS,
                **{name: value for name, value in row.items() if name != "value_micros"},
                note="" if (row["conversion"], row["destination"]) in configured else "not in the configuration",
            )
            for row in known
        ]
        rows += [
            ConversionStatus(name, at, 0, None, None, 0, 0, 0, 0, None, "never sent")
            for name, at in sorted(configured - told)
        ]
        rows.sort(key=lambda row: (row.conversion, row.destination, row.currency or ""))
        standing = sum(row.standing for row in rows)
        return ConversionStatuses(
            tuple(rows),
            f"{wording.plural(len(configured | told), 'conversion')} with {wording.plural(standing, 'order')} told.",
        )

    def _check_places(self) -> None:
        """Two destinations may be one account: an order would count there for both conversions."""
        places: dict[tuple[str, str, str], str] = {}
        for each in self.config.conversions:
            at = self.destination(each.destination)
            place = (at.settings.kind, at.account, at.conversion_place(each.action))
            other = places.setdefault(place, each.name)
            if other != each.name:
                raise UsageError(
                    f"The conversions {other} and {each.name} have one action in one account: one order would count "
                    "there for both.",
                    hint="Give one of them another action, or leave it out.",
                )

    def _at(self, conversion: ConversionConfig) -> ConversionDestination:
        return self.destination(conversion.destination).conversions(conversion.action)

    def _sending(self, at: ConversionDestination, deadline: Deadline) -> Sending:
        return Sending(ConversionList(at), deadline, self.monotonic, self.sleep, command=_COMMAND)

    def _push(self, conversion: ConversionConfig, deadline: Deadline) -> ListPush:
        at = self._at(conversion)
        ledger = conversion_ledger(self.engine, self.config, conversion, at)
        return ListPush(ledger, self._sending(at, deadline), self.clock)

    def _one(
        self, conversion: ConversionConfig, at: ConversionDestination, push_id: str, deadline: Deadline
    ) -> OneConversion:
        return OneConversion(
            self.engine,
            self.config,
            self.taxonomy,
            self.latest(),
            conversion,
            at,
            push_id,
            self._sending(at, deadline),
            self.clock,
        )

    def _named(self, names: Sequence[str]) -> list[ConversionConfig]:
        if not self.config.conversions:
            raise UsageError(
                "The configuration has no [[conversions]], so there is nothing to send.",
                hint="Add one: docs/conversions.md says how.",
            )
        if not names:
            return list(self.config.conversions)
        return [find_named(self.config.conversions, name, "conversion") for name in dict.fromkeys(names)]


def status_query() -> Query:
    """Return the query of what is known of each conversion."""
    return templates.query("activation/conversion_status")


def examples(config: Config, taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of conversions; which click ids a destination takes, only it knows."""
    example = _example_rules()
    for each in config.conversions or _example_conversions(taxonomy):
        yield (
            each.name if config.conversions else None,
            orders_query(config, taxonomy, each, example, templates.EXAMPLE_MOMENT),
        )
    yield None, templates.query("activation/conversion_actors")
    yield None, taken_back_query()
    ledger = ConversionLedger(cast("Engine", None), "destination", "conversion", example, timedelta(minutes=30))
    yield None, ledger.changes_query(templates.EXAMPLE_MOMENT, settles_after=timedelta(hours=1), refresh_after=None)
    for name in ("conversion_counts", "planned_conversions", "conversion_status"):
        yield None, templates.query(f"activation/{name}")
    at: dict[str, Value] = {"destination": "destination", "conversion": "conversion"}
    now = templates.EXAMPLE_MOMENT
    planned: dict[str, Value] = {**at, "push_id": "run", "now": now, "normalisation": "version", "most_orders": 2_000}
    yield None, templates.query("activation/conversion_planned", params=planned)
    yield None, templates.query("activation/conversion_batches", params={"push_id": "run", "now": now})
    yield None, templates.query("activation/conversion_replaced", params=at)
    named: dict[str, Value] = {"batch_id": "batch", "refused_id": "batch-x1", "places": [0], "refusals": 6}
    yield None, templates.query("activation/conversion_named", params=named)
    yield None, templates.query("activation/batch_conversions", params={"batch_id": "batch"})
    yield None, open_batches_query("destination", "conversion")


def _example_conversions(taxonomy: Taxonomy) -> Iterator[ConversionConfig]:
    """Yield one where the configuration has none, of the first entry that counts under its own name."""
    for each in taxonomy.entries:
        if each.counts_as == each.id:
            yield ConversionConfig(name="example", entry=each.id, destination="destination", action="action")
            return


def _example_rules() -> ConversionRules:
    return ConversionRules(
        "destination",
        frozenset(get_args(ClickId)),
        frozenset(get_args(IdentityKind)),
        GOOGLE,
        max_age=timedelta(days=90),
        adjustments=Adjustments(restates=True, retracts="value"),
    )
