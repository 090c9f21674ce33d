"""What is true of a demo export by construction: exact counts, kept while it is written, for tests to recompute."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any, Final

import numpy as np

from microconv.demo.accounts import PeopleTruth
from microconv.demo.calendar import INTRADAY, NDJSON_DAY, NEW_COLUMNS_FROM, OUTAGE_DAYS, Calendar
from microconv.demo.crm import CrmTruth
from microconv.demo.events import Events
from microconv.demo.journeys import (
    BUY_PROBABILITY,
    GUIDE_FACTOR,
    GUIDE_PROBABILITY,
    KNOWN_PATH,
    KNOWN_PATH_GAP_DAYS,
    VIDEO_PROBABILITY,
    Bools,
    Integers,
    Journeys,
)
from microconv.demo.plants import Plants, PlantTruths
from microconv.demo.shop import AI_ASSISTANT, CHANNELS, DEVICES, DIRECT, REFERRAL, THANKS_AGAIN, WRONG_UTM


@dataclass(frozen=True)
class DayTruth:
    """One shard of `exports/` as first written. `exact_duplicates` are rows beyond the first of each."""

    date: date
    file: str
    kind: str
    events: int
    exact_duplicates: int
    without_consent: int
    add_to_cart: int


@dataclass(frozen=True)
class Stratum:
    """Clients of one device category who did or did not do the thing, and how many of them purchased."""

    device: str
    did: bool
    clients: int
    purchasers: int
    planted_probability: float


@dataclass(frozen=True)
class LiftTruth:
    """A micro-conversion, what it truly does to P(purchase) on any one device (`factor`), and what came of it."""

    event: str
    factor: float
    is_causal: bool
    probability_of_event: dict[str, float]
    strata: tuple[Stratum, ...]


@dataclass(frozen=True)
class KnownPath:
    """Clients with exactly these three sessions, two days apart, the last with the purchase."""

    clients: int
    touchpoints: tuple[str, ...]
    first: str
    last: str
    last_non_direct: str
    days_between: int


@dataclass(frozen=True)
class Transactions:
    """Purchase rows. `ids` distinct transaction ids; `repeated` rows that send one again; `not_set` rows without one.

    `revenue` is EUR over the distinct ids and the rows without one.
    """

    rows: int
    ids: int
    repeated: int
    not_set: int
    revenue: float


@dataclass(frozen=True)
class LateDay:
    """The day that is exported again: `file` lies in `late/`."""

    date: date
    file: str
    events_first: int
    events_again: int


@dataclass(frozen=True)
class TypeDrift:
    """Rows with consent by the physical type of a parameter that changes it."""

    session_engaged_text: int
    session_engaged_integer: int
    ga_session_id_text: int
    value_integer: int
    value_double: int


@dataclass(frozen=True)
class Truths:
    """All planted truths: exact counts of `exports/` as first written, over rows with consent unless said otherwise."""

    days: tuple[DayTruth, ...]
    events: int
    exact_duplicates: int
    without_consent: int
    without_consent_share: float
    clients: int
    sessions: int
    sessions_over_midnight: int
    newer_columns_from: date
    ndjson_date: date
    intraday_date: date
    outage_event: str
    outage_dates: tuple[date, ...]
    late_day: LateDay
    known_path: KnownPath
    lifts: tuple[LiftTruth, ...]
    transactions: Transactions
    shared_session_ids: int
    tied_carts: int
    type_drift: TypeDrift
    sessions_by_channel: dict[str, int]
    wrong_utm_sessions: int
    assistant_sessions: int
    referral_sessions: int
    direct_sessions: int
    signed_in_users: int
    login_sessions: int
    users_on_two_devices: int
    people: PeopleTruth
    plants: PlantTruths
    crm: CrmTruth

    def document(self) -> dict[str, Any]:
        """Return the truths as `truths.json` holds them: dates as ISO text."""
        return asdict(self, dict_factory=_with_iso_dates)


def _with_iso_dates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key: _iso(value) for key, value in pairs}


def _iso(value: object) -> object:
    if isinstance(value, tuple):
        return [_iso(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value


_COUNTED: Final = (
    "tied_carts", "session_engaged_text", "session_engaged_integer", "ga_session_id_text", "value_integer",
    "value_double", "purchase_rows", "repeated", "not_set", "sessions_over_midnight",
)  # fmt: skip


@dataclass
class Tally:
    """Counts the rows of one day after another."""

    days: list[DayTruth] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(_COUNTED, 0)))
    revenue: float = 0.0
    late_day: LateDay | None = None
    plants: Plants = field(default_factory=Plants)

    def add_day(self, events: Events, journeys: Journeys, date: date, file: str, kind: str) -> None:
        """Count the rows of one shard as written."""
        has_consent = journeys.has_consent[events.session]
        self.days.append(
            DayTruth(
                date=date,
                file=file,
                kind=kind,
                events=len(events),
                exact_duplicates=_count(events.is_copy),
                without_consent=_count(~has_consent),
                add_to_cart=_count(events.named("add_to_cart")),
            )
        )
        purchases = events.take(events.named("purchase"))
        transaction = journeys.sessions.transaction[purchases.session]
        repeated = _repeats(purchases)
        whole = events.value == np.floor(events.value)
        has_value = has_consent & (events.value > 0)
        self.counts.update(
            {
                "tied_carts": _count(events.cart_tied & has_consent & ~events.is_copy),
                "session_engaged_text": _count(has_consent & ~events.engaged_as_integer),
                "session_engaged_integer": _count(has_consent & events.engaged_as_integer),
                "ga_session_id_text": _count(events.session_id_as_text),
                "value_integer": _count(has_value & whole),
                "value_double": _count(has_value & ~whole),
                "purchase_rows": len(purchases),
                "repeated": _count(repeated),
                "not_set": _count(transaction == 0),
            }
        )
        self.revenue += float(purchases.value[~repeated].sum())

    def add_crossing(self, sessions: Integers, journeys: Journeys) -> None:
        """Count sessions that go on after midnight."""
        self.counts["sessions_over_midnight"] += _count(journeys.has_consent[sessions])

    def truths(self, journeys: Journeys, calendar: Calendar, people: PeopleTruth, crm: CrmTruth) -> Truths:
        """Return everything, once all days are written."""
        if self.late_day is None:
            raise ValueError("the late day has not been written")
        counts, sessions, consent = self.counts, journeys.sessions, journeys.has_consent
        events = sum(day.events for day in self.days)
        without_consent = sum(day.without_consent for day in self.days)
        member = journeys.clients.member
        accounts = member[member >= 0]
        channel = sessions.channel[consent]
        # The days whose shards state the session's channel; an intraday shard does not.
        stated = consent & (sessions.day >= NEW_COLUMNS_FROM) & (sessions.day != INTRADAY)
        return Truths(
            days=tuple(self.days),
            events=events,
            exact_duplicates=sum(day.exact_duplicates for day in self.days),
            without_consent=without_consent,
            without_consent_share=without_consent / events,
            clients=_count(~journeys.clients.denied),
            sessions=_count(consent),
            sessions_over_midnight=counts["sessions_over_midnight"],
            newer_columns_from=calendar.dates[NEW_COLUMNS_FROM],
            ndjson_date=calendar.dates[NDJSON_DAY],
            intraday_date=calendar.dates[INTRADAY],
            outage_event="add_to_cart",
            outage_dates=tuple(calendar.dates[day] for day in OUTAGE_DAYS),
            late_day=self.late_day,
            known_path=_known_path(journeys),
            lifts=_lifts(journeys),
            transactions=Transactions(
                rows=counts["purchase_rows"],
                ids=_count(sessions.transaction > 0),
                repeated=counts["repeated"],
                not_set=counts["not_set"],
                revenue=round(self.revenue, 2),
            ),
            shared_session_ids=_shared_session_ids(journeys),
            tied_carts=counts["tied_carts"],
            type_drift=TypeDrift(
                **{name: counts[name] for name in TypeDrift.__dataclass_fields__},
            ),
            sessions_by_channel=_by_channel(sessions.channel[stated]),
            wrong_utm_sessions=_count(channel == WRONG_UTM),
            assistant_sessions=_count(channel == AI_ASSISTANT),
            referral_sessions=_count(channel == REFERRAL),
            direct_sessions=_count(channel == DIRECT),
            signed_in_users=len(np.unique(accounts)),
            login_sessions=_count(sessions.logs_in),
            users_on_two_devices=_count(np.bincount(accounts) > 1),
            people=people,
            plants=self.plants.truths(journeys, calendar),
            crm=crm,
        )


def _count(flags: Bools) -> int:
    return int(flags.sum())


def _repeats(purchases: Events) -> Bools:
    return np.equal(purchases.page, THANKS_AGAIN)


def _known_path(journeys: Journeys) -> KnownPath:
    groups = tuple(CHANNELS[channel].group for channel in KNOWN_PATH)
    return KnownPath(
        clients=_count(journeys.clients.on_known_path),
        touchpoints=groups,
        first=groups[0],
        last=groups[2],
        last_non_direct=groups[1],
        days_between=KNOWN_PATH_GAP_DAYS,
    )


def _lifts(journeys: Journeys) -> tuple[LiftTruth, ...]:
    clients = journeys.clients
    everywhere = dict.fromkeys(BUY_PROBABILITY, GUIDE_PROBABILITY)
    guide_average = 1 + GUIDE_PROBABILITY * (GUIDE_FACTOR - 1)
    return (
        LiftTruth(
            "sizing_guide_open",
            GUIDE_FACTOR,
            True,
            everywhere,
            _strata(journeys, clients.opens_guide, not_did=1.0, did=GUIDE_FACTOR),
        ),
        LiftTruth(
            "video_start",
            1.0,
            False,
            dict(VIDEO_PROBABILITY),
            _strata(journeys, clients.starts_video, not_did=guide_average, did=guide_average),
        ),
    )


def _strata(journeys: Journeys, doing: Bools, *, not_did: float, did: float) -> tuple[Stratum, ...]:
    clients = journeys.clients
    categories = np.array([device.category for device in DEVICES])[clients.device]
    return tuple(
        Stratum(
            device=device,
            did=flag,
            clients=_count(among := ~clients.denied & (categories == device) & (doing == flag)),
            purchasers=_count(among & clients.buys),
            planted_probability=round(probability * (did if flag else not_did), 6),
        )
        for device, probability in BUY_PROBABILITY.items()
        for flag in (False, True)
    )


def _shared_session_ids(journeys: Journeys) -> int:
    """Count the values of ga_session_id that more than one client uses."""
    consent = journeys.has_consent
    pairs = np.unique(
        np.stack([journeys.sessions.ga_session_id[consent], journeys.sessions.client[consent].astype(np.int64)]), axis=1
    )
    _, clients = np.unique(pairs[0], return_counts=True)
    return _count(clients > 1)


def _by_channel(channel: Integers) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for place, count in enumerate(np.bincount(channel, minlength=len(CHANNELS))):
        counts[CHANNELS[place].group] += int(count)
    return dict(sorted(counts.items()))
