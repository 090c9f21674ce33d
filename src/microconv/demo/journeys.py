"""Who comes when, by which channel, and how far they get: every client and session of the demo, as flat arrays.

Outcomes are drawn per client before any event exists, so a planted truth is a property of the model and not an accident
of its rows. These arrays stay in memory for the whole export (about 60 bytes per client and 100 per session), rows do
not.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from microconv.demo.calendar import DAYS, INTRADAY, NEW_COLUMNS_FROM, Calendar
from microconv.demo.shop import (
    CHANNELS,
    DEVICES,
    DIRECT,
    EMAIL,
    FIRST_CATEGORY,
    HOME,
    ORGANIC_SEARCH,
    PAID_SEARCH,
    PLACES,
    PRODUCTS,
    PRODUCTS_PER_CATEGORY,
    WRONG_UTM,
)

Bools = NDArray[np.bool_]
Integers = NDArray[np.integer[Any]]

EVENTS_PER_CLIENT: Final = 17.55
"""Measured on this model; turns the number of events asked for into a number of clients."""

BUY_PROBABILITY: Final = {"desktop": 0.035, "mobile": 0.007, "tablet": 0.015}
"""P(purchase | device) of a client who never opened the sizing guide."""
GUIDE_PROBABILITY: Final = 0.12
"""P(sizing_guide_open), the same on every device and by every channel: its lift is real."""
GUIDE_FACTOR: Final = 2.5
"""What opening the sizing guide does to P(purchase)."""
VIDEO_PROBABILITY: Final = {"desktop": 0.35, "mobile": 0.06, "tablet": 0.1}
"""P(video_start | device): common where people buy anyway, without an effect of its own."""

DENIED_SHARE: Final = 0.08
KNOWN_PATH_SHARE: Final = 0.25
KNOWN_PATH: Final = (PAID_SEARCH, EMAIL, DIRECT)
KNOWN_PATH_GAP_DAYS: Final = 2
MOST_SESSIONS: Final = 6
MOST_VIEWS: Final = 5

# How far a session gets towards a purchase.
NO_CART, IN_CART, CHECKOUT, SHIPPING, PAYMENT, BOUGHT = range(6)

_WEEKDAY_WEIGHTS: Final = (1.0, 0.95, 0.95, 1.0, 0.9, 1.2, 1.35)
_HOUR_WEIGHTS: Final = (*[0] * 6, 1, 2, 3, 4, 4, 4, 5, 5, 4, 4, 4, 5, 6, 7, 8, 8, 6, 3)
_INTRADAY_ENDS_HOUR: Final = 21
_SECOND_US: Final = 1_000_000
_HOUR_US: Final = 3_600 * _SECOND_US


@dataclass(frozen=True)
class Clients:
    """One entry per client (a browser). `member` is the number of the account behind it, -1 for none."""

    device: Integers
    place: Integers
    denied: Bools
    buys: Bools
    opens_guide: Bools
    starts_video: Bools
    is_new: Bools
    sessions_before: Integers
    first_seen_at: Integers
    first_channel: Integers
    member: Integers
    on_known_path: Bools

    def __len__(self) -> int:
        return len(self.device)


@dataclass(frozen=True)
class Sessions:
    """One entry per session, in order of `day` and `start_at` (UTC microseconds)."""

    client: Integers
    ordinal: Integers
    day: Integers
    start_at: Integers
    ga_session_id: Integers
    channel: Integers
    landing: Integers
    searches: Bools
    opens_guide: Bools
    starts_video: Bools
    logs_in: Bools
    logged_in_before: Bools
    views: Integers
    first_product: Integers
    stage: Integers
    second_in_cart: Bools
    quantity: Integers
    cart_tied: Bools
    reloads: Bools
    transaction: Integers

    def __len__(self) -> int:
        return len(self.client)


@dataclass(frozen=True)
class Journeys:
    """All clients and sessions; `day_bounds[n]:day_bounds[n + 1]` are the sessions that start on day n."""

    clients: Clients
    sessions: Sessions
    day_bounds: Integers

    @property
    def has_consent(self) -> Bools:
        """Per session: whether its rows carry ids."""
        return np.logical_not(self.clients.denied[self.sessions.client])


def product_of_view(first_product: Integers, view: Integers | int) -> Integers:
    """Return the product of a session's n-th product page; the step of 7 never repeats one within a session."""
    return (first_product + 7 * view) % len(PRODUCTS)


def plan_journeys(events: int, calendar: Calendar, rng: np.random.Generator) -> Journeys:
    """Draw every client and session of an export of about `events` rows."""
    clients = _draw_clients(max(20, round(events / EVENTS_PER_CLIENT)), rng)
    client, ordinal, day = _draw_days(clients, calendar, rng)
    # Sessions are still grouped by client here: bounds say where each client's begin.
    bounds = np.searchsorted(client, np.arange(len(clients) + 1))
    count = np.diff(bounds)
    known = clients.on_known_path

    buy_ordinal = np.where(known, 2, _below(rng, count))
    last_chance = np.where(clients.buys, buy_ordinal + 1, count)
    guide_ordinal, video_ordinal, login_ordinal = (_below(rng, last_chance) for _ in range(3))
    is_member = clients.member >= 0

    def chosen(wanted: Bools, at: Integers) -> Bools:
        return np.logical_and(wanted[client], np.equal(ordinal, at[client]))

    buys = chosen(clients.buys, buy_ordinal)
    start_at = _draw_starts(day, known[client], calendar, rng)
    channel = _draw_channels(client, ordinal, count, buys=buys, clients=clients, rng=rng)
    views = np.where(chance(rng, 0.48, len(client)), np.minimum(rng.geometric(0.52, len(client)), MOST_VIEWS), 0)
    views = np.where(buys, np.maximum(views, 1), views).astype(np.int8)
    stage = _draw_stages(buys, views, rng)
    first_product = (rng.beta(1.0, 1.6, len(client)) * len(PRODUCTS)).astype(np.int8)
    transaction, reloads = _draw_transactions(buys, start_at, rng)

    sessions = Sessions(
        client=client,
        ordinal=ordinal,
        day=day,
        start_at=start_at,
        ga_session_id=start_at // _SECOND_US,
        channel=channel,
        landing=np.where(
            chance(rng, 0.35, len(client)), FIRST_CATEGORY + first_product // PRODUCTS_PER_CATEGORY, HOME
        ).astype(np.int8),
        searches=chance(rng, 0.1, len(client)),
        opens_guide=chosen(clients.opens_guide, guide_ordinal),
        starts_video=chosen(clients.starts_video, video_ordinal),
        logs_in=chosen(is_member, login_ordinal),
        logged_in_before=is_member[client] & (ordinal > login_ordinal[client]),
        views=views,
        first_product=first_product,
        stage=stage,
        second_in_cart=(views > 1) & chance(rng, 0.35, len(client)),
        quantity=rng.choice(np.array([1, 2], np.int8), len(client), p=[0.85, 0.15]),
        cart_tied=chance(rng, 0.25, len(client)),
        reloads=reloads,
        transaction=transaction,
    )
    first_session = bounds[:-1]
    seen_before = (rng.random(len(clients)) * 200 * 24).astype(np.int64) * _HOUR_US
    clients = replace(
        clients,
        first_seen_at=start_at[first_session] - np.where(clients.is_new, 0, seen_before),
        first_channel=channel[first_session],
    )
    sessions = _in_order_of_time(sessions)
    sessions = replace(sessions, ga_session_id=_with_collisions(sessions, rng))
    return Journeys(clients, sessions, np.searchsorted(sessions.day, np.arange(DAYS + 1)))


def _draw_clients(count: int, rng: np.random.Generator) -> Clients:
    device = _weighted(rng, [device.weight for device in DEVICES], count)
    denied = chance(rng, DENIED_SHARE, count)
    opens_guide = chance(rng, GUIDE_PROBABILITY, count)
    starts_video = chance(rng, _per_device(VIDEO_PROBABILITY)[device], count)
    buys = _draw_buyers(device, denied, opens_guide, starts_video, rng)
    # A random part of the buyers, so that the path planted on them leaves every lift as it is.
    known = some(rng, buys, KNOWN_PATH_SHARE, at_least=3)
    is_new = known | chance(rng, 0.8, count)
    is_member = ~denied & chance(rng, np.where(buys, 0.6, 0.22), count)
    return Clients(
        device=device,
        place=_weighted(rng, [place.weight for place in PLACES], count),
        denied=denied,
        buys=buys,
        opens_guide=opens_guide,
        starts_video=starts_video,
        is_new=is_new,
        sessions_before=np.where(is_new, 0, rng.integers(1, 6, count)).astype(np.int8),
        first_seen_at=np.zeros(count, np.int64),
        first_channel=np.zeros(count, np.int8),
        member=_number_members(is_member, known, rng),
        on_known_path=known,
    )


def _draw_buyers(
    device: Integers, denied: Bools, opens_guide: Bools, starts_video: Bools, rng: np.random.Generator
) -> Bools:
    """Draw who buys, by systematic sampling: in each group of like clients the planted share, give or take one."""
    probability = _per_device(BUY_PROBABILITY)[device] * np.where(opens_guide, GUIDE_FACTOR, 1.0)
    category = np.unique([entry.category for entry in DEVICES], return_inverse=True)[1][device]
    order = np.lexsort((rng.random(len(device)), starts_video, opens_guide, category))
    expected = np.cumsum(np.where(denied, 0.0, probability)[order]) + rng.random()
    buys = np.zeros(len(device), bool)
    buys[order] = np.diff(np.floor(expected), prepend=0.0) > 0
    return buys


def _number_members(is_member: Bools, known: Bools, rng: np.random.Generator) -> Integers:
    """Number the accounts; a few are used from two devices, but none on the known path (its clients stay one actor)."""
    places = np.flatnonzero(is_member)
    may_share = ~known[places] & ~np.roll(known[places], 1)
    may_share[:1] = False
    shares = some(rng, may_share, 0.03)
    member = np.full(len(is_member), -1, np.int32)
    member[places] = np.cumsum(~shares) - 1
    return member


def _draw_days(clients: Clients, calendar: Calendar, rng: np.random.Generator) -> tuple[Integers, Integers, Integers]:
    """Return client, ordinal and day of every session, grouped by client; at most one session of a client a day."""
    known = clients.on_known_path
    weights = np.array([_WEEKDAY_WEIGHTS[day.weekday()] for day in calendar.dates])
    arrival = rng.choice(DAYS, len(clients), p=weights / weights.sum())
    # The whole known path lies where the export states the session's source.
    arrival = np.where(known, rng.integers(NEW_COLUMNS_FROM, INTRADAY - 2 * KNOWN_PATH_GAP_DAYS, len(clients)), arrival)
    count = np.where(known, len(KNOWN_PATH), np.minimum(rng.geometric(0.52, len(clients)), MOST_SESSIONS))
    client = np.repeat(np.arange(len(clients), dtype=np.int32), count)
    first = np.cumsum(count) - count
    ordinal = np.arange(len(client)) - first[client]
    gap = np.where(known[client], KNOWN_PATH_GAP_DAYS, rng.geometric(0.28, len(client)))
    gap[first] = 0
    waited = np.cumsum(gap)
    day = arrival[client] + waited - waited[first][client]
    kept = day < DAYS
    return client[kept], ordinal[kept].astype(np.int8), day[kept].astype(np.int8)


def _draw_starts(day: Integers, known: Bools, calendar: Calendar, rng: np.random.Generator) -> Integers:
    """Return when each session starts; some start right before midnight, none runs out of the last day."""
    midnights = np.array(calendar.midnights)
    weights = np.array(_HOUR_WEIGHTS, float)
    # The last shard is intraday: its day is not over yet.
    evening = np.where(np.arange(24) < _INTRADAY_ENDS_HOUR, weights, 0)
    hour = rng.choice(24, len(day), p=weights / weights.sum())
    hour = np.where((day == INTRADAY) | known, rng.choice(24, len(day), p=evening / evening.sum()), hour)
    start = midnights[day] + hour * _HOUR_US + rng.integers(0, _HOUR_US, len(day))
    is_late = (day != INTRADAY) & ~known & chance(rng, 0.02, len(day))
    left = rng.integers(2 * _SECOND_US, 120 * _SECOND_US, len(day))
    return np.where(is_late, midnights[day + 1] - left, start)


def _draw_channels(
    client: Integers, ordinal: Integers, count: Integers, *, buys: Bools, clients: Clients, rng: np.random.Generator
) -> Integers:
    channel = _weighted(rng, [channel.weight for channel in CHANNELS], len(client))
    known = clients.on_known_path[client]
    channel = np.where(known, np.array(KNOWN_PATH, np.int8)[np.minimum(ordinal, 2)], channel)
    # Nobody else may walk the known path by chance: its count is exact.
    start = np.flatnonzero(ordinal == 0)
    three = start[count[client[start]] == len(KNOWN_PATH)]
    lookalike = (
        np.isin(channel[three], (PAID_SEARCH, WRONG_UTM))
        & (channel[three + 1] == EMAIL)
        & (channel[three + 2] == DIRECT)
        & buys[three + 2]
        & ~known[three]
    )
    channel[three[lookalike]] = ORGANIC_SEARCH
    return channel


def _draw_stages(buys: Bools, views: Integers, rng: np.random.Generator) -> Integers:
    reached = (views > 0) & chance(rng, 0.12, len(views))
    stage = np.where(reached, IN_CART, NO_CART).astype(np.int8)
    for share in (0.45, 0.6, 0.6):
        reached &= chance(rng, share, len(views))
        stage += reached
    return np.where(buys, BOUGHT, stage).astype(np.int8)


def _draw_transactions(buys: Bools, start_at: Integers, rng: np.random.Generator) -> tuple[Integers, Bools]:
    """Return each session's transaction number (0 for "(not set)", -1 without one) and whether it is sent twice."""
    not_set = some(rng, buys, 0.04)
    with_id = np.flatnonzero(buys & ~not_set)
    transaction = np.full(len(buys), -1, np.int32)
    transaction[not_set] = 0
    in_time = with_id[np.argsort(start_at[with_id], kind="stable")]
    transaction[in_time] = 700_001 + np.arange(len(in_time))
    return transaction, some(rng, transaction > 0, 0.12)


def _with_collisions(sessions: Sessions, rng: np.random.Generator) -> Integers:
    """Give some sessions the id of the session before them, another client's: ids are unique only within a client."""
    collides = some(rng, np.diff(sessions.client, prepend=sessions.client[:1]) != 0, 0.02)
    return np.where(collides, np.roll(sessions.ga_session_id, 1), sessions.ga_session_id)


def _in_order_of_time(sessions: Sessions) -> Sessions:
    order = np.lexsort((sessions.client, sessions.start_at))
    return Sessions(*(getattr(sessions, field.name)[order] for field in fields(Sessions)))


def _per_device(probability: dict[str, float]) -> NDArray[np.float64]:
    return np.array([probability[device.category] for device in DEVICES])


def _weighted(rng: np.random.Generator, weights: list[float], size: int) -> Integers:
    total = np.array(weights)
    return rng.choice(len(weights), size, p=total / total.sum()).astype(np.int8)


def _below(rng: np.random.Generator, limit: Integers) -> Integers:
    """Draw one whole number from 0 to below `limit`, per entry."""
    return (rng.random(len(limit)) * limit).astype(np.int8)


def chance(rng: np.random.Generator, share: float | NDArray[np.float64], size: int) -> Bools:
    """Draw yes with probability `share`, `size` times (or one share per entry)."""
    return np.less(rng.random(size), share)


def some(rng: np.random.Generator, candidates: Bools, share: float, *, at_least: int = 1) -> Bools:
    """Choose `share` of the candidates (`at_least` so many, where there are that many)."""
    places = np.flatnonzero(candidates)
    count = min(len(places), max(at_least, round(share * len(places))))
    chosen = np.zeros(len(candidates), bool)
    chosen[rng.permutation(places)[:count]] = True
    return chosen
