"""One conversion: which orders count, who is behind them, what the destination must be told, and telling it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import get_args

from microconv import wording
from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.first_party import consent_signature, read_consent, read_identity
from microconv.activation.conversions.conversion_destination import ConversionDestination, ConversionRules
from microconv.activation.conversions.conversion_ledger import ConversionLedger, TakenBackLedger
from microconv.activation.conversions.conversion_plan import (
    ConversionPlan,
    check_conversion,
    check_latest,
    plan_conversion,
)
from microconv.activation.conversions.conversion_results import SentConversion
from microconv.activation.conversions.converters import ORDERS, load_people
from microconv.activation.guards import Told
from microconv.activation.push.audience_list import RefusedError, TryLaterError, UnsureError
from microconv.activation.push.list_push import ListPush
from microconv.activation.push.push_guards import Allowed
from microconv.activation.push.push_ledger import LedgerBatch, PlannedCounts
from microconv.activation.push.sending import Sending
from microconv.activation.segment_audience import denied_if_erased
from microconv.activation.sending_gate import SendingGate
from microconv.config.conversion_settings import ConversionConfig
from microconv.config.load import find_named
from microconv.config.push_limits import PushGuards
from microconv.config.sections import Config
from microconv.engines.base import Engine
from microconv.errors import DestinationError, FindingsError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.staging.erasures import read_erased
from microconv.taxonomy import Taxonomy

_CONSENT_TRIES = 3
_CLICK_ID = "click_id"
_OF_CONVERSIONS = Told(
    "sending", "sent", "Nothing is sent but orders that are taken back, since consent was denied or money given back."
)
_KINDS: tuple[IdentityKind, ...] = get_args(IdentityKind)

OnProgress = Callable[[int, int, str], None]
"""Is told how many orders were sent, of how many, and of which conversion."""


class ConsentHasChangedError(Exception):
    """The consent table is not the one that the plan was made from."""


@dataclass
class OneConversion:
    """One conversion: which orders count, who is behind them, what the destination must be told, and telling it."""

    engine: Engine
    config: Config
    taxonomy: Taxonomy
    latest: datetime
    conversion: ConversionConfig
    at: ConversionDestination
    push_id: str
    sending: Sending
    clock: Callable[[], datetime]
    gate: SendingGate | None = None
    allowed: Allowed = field(default_factory=Allowed)
    on_progress: OnProgress = lambda _done, _all, _name: None
    plan: ConversionPlan | None = field(default=None, init=False)
    orders: int = field(default=0, init=False)
    left_out: dict[str, int] = field(default_factory=dict, init=False)

    @property
    def ledger(self) -> ConversionLedger:
        """What the destination was told."""
        return conversion_ledger(self.engine, self.config, self.conversion, self.at)

    def result(self, *, dry_run: bool) -> SentConversion:
        """Plan, check and send."""
        warnings: tuple[str, ...] = ()
        try:
            if self.gate is not None:
                warnings = self.gate.pass_conversion(self.conversion, _OF_CONVERSIONS)
        except FindingsError as error:
            stopped = self._so_far("stopped", error)
            return stopped if dry_run else self._taken_back(stopped, error)
        done = self._result(dry_run=dry_run)
        if dry_run and self.gate is not None:
            warnings = self.gate.said(self.conversion)
        return replace(done, notes=(*done.notes, *warnings))

    def _result(self, *, dry_run: bool) -> SentConversion:
        try:
            return self._planned() if dry_run else self._sent()
        except FindingsError as error:
            return self._so_far("stopped", error)
        except DestinationError as error:
            return self._so_far("failed", error)

    def _taken_back(self, stopped: SentConversion, error: FindingsError) -> SentConversion:
        """Take back orders whose person denied consent, or whose money was given back: that waits for no guard."""
        ledger = taken_back_ledger(self.engine, self.config, self.conversion, self.at)
        name = f"{self.conversion.name} at {self.conversion.destination}"
        ledger.prepare()
        self.load()
        push = ListPush(
            ledger,
            self.sending,
            self.clock,
            before_send=lambda _: self.sending.await_turn(name),
            wait_for=self.sending.wait_for,
        )
        try:
            outcome = push.push(f"{self.push_id}.taken-back", normalisation=self.at.rules.normalisation.version)
        except DestinationError as failure:
            return replace(stopped, failure=failure).noting(error.message)
        now = {each.batch_id: each for each in push.poll()}
        batches = tuple(now.get(each.batch_id, each) for each in outcome.batches)
        sent = stopped.settled(batches)
        number = sum(each.identifiers for each in batches)
        if number:
            sent = sent.noting(f"{name}: {wording.plural(number, 'order')} taken back all the same.")
        if sent.failure is not None:
            sent = sent.noting(error.message)
        return replace(sent, outcome="stopped", failure=sent.failure or error)

    def load(self) -> None:
        """Find the orders, and decide of whom anything may be sent."""
        engine, config = self.engine, self.config
        query = orders_query(config, self.taxonomy, self.conversion, self.at.rules, self.clock())
        engine.materialise(query, ORDERS)
        consents = read_consent(config.consent, engine, config.file)
        counted = load_people(
            engine,
            read_identity(config.identity, engine, config.file),
            denied_if_erased(consents, read_erased(engine)),
            rules=self.at.rules,
            identity=[kind for kind in _KINDS if kind in self.conversion.identity],
            now=self.clock(),
        )
        self.orders = counted.orders
        self.left_out = dict(sorted(counted.left_out.items()))

    def _planned(self) -> SentConversion:
        push = self._push()
        limits = self.sending.limits
        counts = push.ledger.plan(push.now(), settles_after=limits.settles_after, refresh_after=None)
        push.check(counts)
        done = self._so_far("would be sent" if self.plan and self.plan.to_send else "nothing to send")
        return self._validated(done)

    def _validated(self, done: SentConversion) -> SentConversion:
        """Let the destination check the first orders, where it can without any effect."""
        conversions = self.ledger.first_planned(self.sending.limits.most_identifiers, self.clock())
        if not conversions:
            return done
        name = f"{self.conversion.name} at {self.conversion.destination}"
        try:
            answer = self.at.validate(conversions)
        except (UnsureError, TryLaterError, RefusedError) as error:
            said = (
                f"{name} was not checked there" if not isinstance(error, RefusedError) else f"{name} refused the check"
            )
            return done.noting(f"{said}: {error}.")
        if answer is None:
            return done
        checked = wording.plural(len(conversions), "order")
        return done.noting(f"{name} checked {checked}: {answer.reason or answer.state}.")

    def _sent(self) -> SentConversion:
        for number in range(1, _CONSENT_TRIES + 1):
            push_id = self.push_id if number == 1 else f"{self.push_id}.{number}"
            agreed = self._consent()
            push = self._push()
            push.before_send = self._before_send(agreed)
            push.wait_for = self.sending.wait_for
            try:
                outcome = push.push(push_id, normalisation=self.at.rules.normalisation.version)
            except ConsentHasChangedError:
                continue
            now = {each.batch_id: each for each in push.poll()}
            return self._so_far("").settled(tuple(now.get(each.batch_id, each) for each in outcome.batches))
        raise FindingsError(
            f"Conversion {self.conversion.name}: the consent table changed each of the {_CONSENT_TRIES} times that it "
            "was planned. What was planned and not sent stays here.",
            hint="Send when nobody writes to it.",
        )

    def _push(self) -> ListPush:
        ledger = self.ledger
        ledger.prepare()
        max_age = find_named(self.config.destinations, self.conversion.destination, "destination").max_age
        check_latest(self.conversion.name, self.latest, self.clock(), max_age, self.allowed)
        self.load()
        return ListPush(ledger, self.sending, self.clock, check=self._check)

    def _check(self, counts: PlannedCounts) -> None:
        del counts
        conversion, rules = self.conversion, self.at.rules
        self.plan = plan_conversion(
            self.engine,
            destination=conversion.destination,
            conversion=conversion.name,
            orders=self.orders,
            left_out=self.left_out,
            told=(conversion.destination, conversion.name, conversion.action, rules.normalisation.version),
        )
        check_conversion(conversion.name, self.plan, limits=self._limits, allowed=self.allowed)

    @property
    def _limits(self) -> PushGuards:
        config = self.config
        at = find_named(config.destinations, self.conversion.destination, "destination")
        return self.conversion.push.over(at.push.over(config.push))

    def _so_far(self, outcome: str, failure: FindingsError | DestinationError | None = None) -> SentConversion:
        return SentConversion(
            self.conversion.name,
            self.conversion.destination,
            self.plan,
            outcome=outcome,
            notes=tuple(self._notes()),
            failure=failure,
        )

    def _notes(self) -> Iterator[str]:
        name = self.conversion.refund
        if name is not None and self.taxonomy.entry(self.taxonomy.counted(name)).value != "event":
            yield (
                f'{self.conversion.name}: {name} has no value of its own (`value = "event"` in the taxonomy), so that '
                "each takes back the whole order."
            )

    def _consent(self) -> str:
        return consent_signature(self.config.consent, self.engine, self.config.file)

    def _before_send(self, agreed: str) -> Callable[[LedgerBatch], None]:
        """Read consent again before each batch, and tell how far it is."""
        sent = 0
        name = f"{self.conversion.name} at {self.conversion.destination}"

        def before(batch: LedgerBatch) -> None:
            nonlocal sent
            self.sending.await_turn(name)
            if self._consent() != agreed:
                raise ConsentHasChangedError
            self.on_progress(sent, self.plan.to_send if self.plan else 0, name)
            sent += 0 if batch.attempts else batch.identifiers

        return before


def orders_query(
    config: Config, taxonomy: Taxonomy, conversion: ConversionConfig, rules: ConversionRules, now: datetime
) -> Query:
    """Return the query of the orders of a conversion that a destination takes now."""
    entry = taxonomy.entry(taxonomy.counted(conversion.entry))
    project = config.project
    is_priced = entry.value not in (None, "event")
    since = now - rules.max_age + timedelta(seconds=config.push.deadline.seconds)
    if conversion.since is not None:
        since = max(since, datetime(conversion.since.year, conversion.since.month, conversion.since.day, tzinfo=UTC))
    lookback = timedelta(seconds=conversion.click_lookback.seconds)
    clicks = sorted(rules.clicks) if _CLICK_ID in conversion.identity else []
    return templates.query(
        "activation/conversion_orders",
        params={
            "destination": conversion.destination,
            "conversion": conversion.name,
            "entry": entry.id,
            "refund_entry": None if conversion.refund is None else taxonomy.counted(conversion.refund),
            "since": since,
            "until": now,
            "with_provisional": conversion.provisional,
            "fixed_value": conversion.value,
            "fixed_currency": project.currency,
            "assumed_currency": project.currency if is_priced or project.assume_currency else None,
            "clicks": clicks,
            "first_click_date": (since - lookback - timedelta(days=2)).date(),
            "lookback_us": lookback // timedelta(microseconds=1),
        },
    )


def conversion_ledger(
    engine: Engine, config: Config, conversion: ConversionConfig, at: ConversionDestination
) -> ConversionLedger:
    """Return what a destination was told of a conversion; a request may leave until `push.deadline` is over."""
    margin = timedelta(seconds=config.push.deadline.seconds)
    return ConversionLedger(engine, conversion.destination, conversion.name, at.rules, margin)


def taken_back_ledger(
    engine: Engine, config: Config, conversion: ConversionConfig, at: ConversionDestination
) -> TakenBackLedger:
    """Return the same ledger, of which only what is taken back is planned."""
    margin = timedelta(seconds=config.push.deadline.seconds)
    return TakenBackLedger(engine, conversion.destination, conversion.name, at.rules, margin)
