"""What is planted beside the journeys, for derived entries, replacements and `collapse` to find; and how often it is.

Planted rows lie between two rows of a session that is there anyway. They draw from numbers of their own, so that they
change no journey, no channel and no purchase. What is true of them is counted in plain Python, from what was written.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import date
from typing import Any, Final

import numpy as np

from microconv.demo.calendar import LATE_DAY, Calendar
from microconv.demo.events import Events
from microconv.demo.interests import (
    CHECKS,
    ENOUGH_REVIEWS,
    READ,
    Interests,
    PlantedCombination,
    PlantedThreshold,
    truths_of_interests,
)
from microconv.demo.journeys import Bools, Integers, Journeys, chance
from microconv.demo.shop import CODES, PAGES, PREVIEWS, PRICING, REVIEWS

RENAMED_ON_DAY: Final = 15
"""The day (counted from 0) from which on comparing is sent under its new name."""

_SECOND_US: Final = 1_000_000
_MINUTE_US: Final = 60 * _SECOND_US
_DAY_US: Final = 24 * 60 * _MINUTE_US
_SHORTEST_GAP_US: Final = 5 * _SECOND_US
_SECOND_TAG_US: Final = 300_000

RETURN_WITHIN_DAYS: Final = 7
PRICING_WITHIN_DAYS: Final = 30
PREVIEWS_WITHIN_DAYS: Final = 1
FORM_WITHIN_MINUTES: Final = 30


@dataclass(frozen=True)
class RenamedEvent:
    """An event sent under `old` before `renamed_on`, and under `new` from then on."""

    old: str
    new: str
    renamed_on: date
    old_rows: int
    new_rows: int


@dataclass(frozen=True)
class DoubleFiring:
    """An event that two tags send within a second: `rows` in all, of so many `occurrences`."""

    event: str
    rows: int
    occurrences: int


@dataclass(frozen=True)
class CartReturns:
    """Sessions with a cart and no purchase after it, and actors who came back within `within_days` without one."""

    within_days: int
    open_carts: int
    returns: int


@dataclass(frozen=True)
class PricingVisits:
    """Views of the pricing page, the sessions they lie in, and the actors who saw it in a second session."""

    page: str
    within_days: int
    views: int
    sessions: int
    in_two_sessions: int


@dataclass(frozen=True)
class Previews:
    """Films previewed, actors who did, and how often one had previewed three different ones within the time."""

    event: str
    within_days: int
    rows: int
    actors: int
    three_different: int


@dataclass(frozen=True)
class AbandonedForms:
    """Forms begun (once more in the same session: `restarts`), sent, and left: not sent within the time."""

    within_minutes: int
    starts: int
    restarts: int
    submissions: int
    abandoned: int


@dataclass(frozen=True)
class PlantTruths:
    """What is true of the planted rows, over actors: an account, else a client without one."""

    renamed_event: RenamedEvent
    double_firing: DoubleFiring
    cart_returns: CartReturns
    pricing_visits: PricingVisits
    previews: Previews
    abandoned_forms: AbandonedForms
    threshold: PlantedThreshold
    combination: PlantedCombination


@dataclass(frozen=True)
class _Gaps:
    """Per chosen session the row after which something may be planted, and the time until the next one."""

    row: Integers
    length: Integers

    def __len__(self) -> int:
        return len(self.row)


class _Bed:
    """Collects planted rows of one shard."""

    def __init__(self, events: Events, gaps: _Gaps, *, first_index: int = 100) -> None:
        self._events = events
        self._gaps = gaps
        self._first_index = first_index
        self._parts: list[Events] = []

    def add(
        self,
        name: str,
        which: Bools,
        at: float,
        *,
        later: int = 0,
        detail: Integers | int = -1,
        page: int | None = None,
    ) -> None:
        """Add a row to the gaps `which`, at this fraction of their time and `later` microseconds on."""
        rows = self._events.take(self._gaps.row[which])
        count = len(rows)
        moment = rows.at + (self._gaps.length[which] * at).astype(np.int64) + later
        opened = page is not None
        nothing = np.zeros(count, bool)
        self._parts.append(
            Events(
                session=rows.session,
                code=np.full(count, CODES[name], np.int8),
                at=moment,
                page=np.full(count, page, np.int8) if opened else rows.page,
                product=np.full(count, -1, np.int8),
                value=np.zeros(count),
                engagement_ms=np.zeros(count, np.int32),
                engaged=rows.engaged,
                on_landing=nothing,
                previous_page=rows.page if opened else np.full(count, -1, np.int8),
                batch_page_id=moment // 1_000 if opened else rows.batch_page_id,
                batch_ordering_id=np.ones(count, np.int16) if opened else rows.batch_ordering_id + np.int16(1),
                batch_event_index=np.full(count, self._first_index + len(self._parts), np.int16),
                signed_in=rows.signed_in,
                cart_tied=nothing,
                session_id_as_text=nothing,
                engaged_as_integer=nothing,
                is_copy=nothing,
                detail=np.broadcast_to(np.asarray(detail, np.int8), count).copy(),
            )
        )

    def rows(self) -> Events:
        """Return all of them."""
        return Events(
            *(np.concatenate([getattr(part, column.name) for part in self._parts]) for column in fields(Events))
        )


def planted_rows(
    events: Events, crossing: Integers, journeys: Journeys, shoppers: Bools, *, day: int, rng: np.random.Generator
) -> Events:
    """Return what is planted into the rows of one shard (in order of session and time, without copies).

    Sessions without consent and those of `crossing`, which have rows in two shards, are left as they are.
    """
    # A visit of one page stays one of one page.
    gaps = _gaps(events, crossing, journeys, among=journeys.sessions.views > 0)
    sessions = events.session[gaps.row]
    count = len(gaps)
    bed = _Bed(events, gaps)

    compares = (journeys.sessions.views[sessions] > 1) & chance(rng, 0.12, count)
    bed.add("compare_click" if day < RENAMED_ON_DAY else "compare_products", compares, 0.05)

    films = np.where(chance(rng, 0.07, count), rng.integers(1, 5, count), 0)
    first, same = rng.integers(0, len(PREVIEWS), count), chance(rng, 0.2, count)
    for place in range(4):
        # Some preview one film again and again: three previews, and not three films.
        film = np.where(same, first, (first + place) % len(PREVIEWS))
        which = films > place
        # Over a second apart in the shortest gap: two within a second are two tags, not two films.
        bed.add("video_preview", which, 0.1 + 0.22 * place, detail=film[which])

    compares_prices = shoppers[journeys.sessions.client[sessions]]
    prices = chance(rng, np.where(compares_prices, 0.9, 0.02), count)
    bed.add("page_view", prices, 0.45, page=PRICING)

    starts = chance(rng, 0.06, count)
    again = starts & chance(rng, 0.15, count)
    sends = starts & chance(rng, 0.6, count)
    twice = sends & chance(rng, 0.75, count)
    bed.add("form_start", starts, 0.55)
    bed.add("form_start", again, 0.62)
    bed.add("form_submit", sends, 0.75)
    bed.add("newsletter_signup", sends, 0.75, later=50_000, detail=0)
    bed.add("newsletter_signup", twice, 0.75, later=50_000 + _SECOND_TAG_US, detail=1)
    return bed.rows()


def price_shoppers(journeys: Journeys, rng: np.random.Generator) -> Bools:
    """Choose the clients who look at the pricing page whenever they come."""
    return chance(rng, 0.07, len(journeys.clients))


def interest_rows(events: Events, crossing: Integers, journeys: Journeys, interests: Interests, *, day: int) -> Events:
    """Return what is planted into the sessions of one shard: what clients look into.

    In first sessions it is by `interests`. Unlike `planted_rows`, also in visits of one page: none of these rows opens
    one. But not on the day that is exported again: the last row of such a visit may come late, and what is planted lies
    between two rows in either export. Later sessions read up to two reviews, whoever comes, and on that day one more:
    no day has far more or fewer of them than its traffic lets one expect.
    """
    is_late, has_pages = day == LATE_DAY, journeys.sessions.views > 0
    gaps = _gaps(events, crossing, journeys, among=has_pages | (journeys.sessions.ordinal == 0) & (not is_late))
    session = events.session[gaps.row]
    client, is_first = journeys.sessions.client[session], journeys.sessions.ordinal[session] == 0
    bed = _Bed(events, gaps, first_index=200)
    reviews = np.where(is_first, interests.reviews[client], session % ENOUGH_REVIEWS + is_late)
    for place in range(int(reviews.max(initial=0))):
        which = reviews > place
        review = (interests.first_review[client] + place) % len(REVIEWS)
        # Over a second apart in the shortest gap: two within a second are two tags, not two reviews.
        bed.add(READ, which, 0.05 + 0.22 * place, detail=review[which])
    for name, checks, at in zip(CHECKS, interests.checks, (0.5, 0.65), strict=True):
        bed.add(name, is_first & checks[client], at)
    return bed.rows()


def _gaps(events: Events, crossing: Integers, journeys: Journeys, *, among: Bools) -> _Gaps:
    """Find the first gap of each of these sessions that is long enough."""
    gap = np.diff(events.at)
    fits = (np.diff(events.session) == 0) & (gap >= _SHORTEST_GAP_US)
    fits &= journeys.has_consent[events.session[:-1]] & ~np.isin(events.session[:-1], crossing)
    fits &= among[events.session[:-1]]
    places = np.flatnonzero(fits)
    _, first = np.unique(events.session[places], return_index=True)
    return _Gaps(places[first], gap[places[first]])


_KEPT: Final = ("add_to_cart", "purchase")
"""What is not planted, and decides with the planted rows what is true."""


@dataclass
class Plants:
    """Keeps what was planted, and the carts and purchases, of one shard after another."""

    _parts: list[tuple[Integers, ...]] = field(default_factory=list)

    def add_day(self, events: Events, planted: Events, journeys: Journeys) -> None:
        """Keep the rows of one shard: `events` as written, copies included."""
        kept = np.isin(events.code, [CODES[name] for name in _KEPT]) & ~events.is_copy
        for rows in (events.take(kept & journeys.has_consent[events.session]), planted):
            self._parts.append((rows.session, rows.at, rows.code, rows.detail))

    def truths(self, journeys: Journeys, calendar: Calendar) -> PlantTruths:
        """Return what is true, once all days are written."""
        session, at, code, detail = (np.concatenate(column) for column in zip(*self._parts, strict=True))
        actor = _actors(journeys)

        def of(name: str) -> dict[int, list[tuple[int, int, int]]]:
            """Moment, session and detail of the rows of a name, by actor and in order."""
            found: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
            which = np.equal(code, CODES[name])
            order = np.argsort(at[which], kind="stable")
            columns = (actor[session[which]], at[which], session[which], detail[which])
            for who, *row in zip(*(column[order].tolist() for column in columns), strict=True):
                found[who].append((row[0], row[1], row[2]))
            return found

        def rows_of(name: str) -> tuple[Integers, Integers]:
            which = np.equal(code, CODES[name])
            return session[which], at[which]

        threshold, combination = truths_of_interests(
            journeys, {name: rows_of(name) for name in (READ, *CHECKS)}, rows_of("purchase")
        )
        signups = of("newsletter_signup")
        views, films = of("page_view"), of("video_preview")
        starts, ends = of("form_start"), of("form_submit")
        return PlantTruths(
            renamed_event=RenamedEvent(
                "compare_click",
                "compare_products",
                calendar.dates[RENAMED_ON_DAY],
                _rows(of("compare_click")),
                _rows(of("compare_products")),
            ),
            double_firing=DoubleFiring(
                "newsletter_signup",
                _rows(signups),
                sum(not kind for found in signups.values() for _, _, kind in found),
            ),
            cart_returns=_cart_returns(of("add_to_cart"), of("purchase"), actor, journeys),
            pricing_visits=PricingVisits(
                PAGES[PRICING][0],
                PRICING_WITHIN_DAYS,
                _rows(views),
                len({place for found in views.values() for _, place, _ in found}),
                _times_reached(views, 2, PRICING_WITHIN_DAYS, column=1),
            ),
            previews=Previews(
                "video_preview",
                PREVIEWS_WITHIN_DAYS,
                _rows(films),
                len(films),
                _times_reached(films, 3, PREVIEWS_WITHIN_DAYS, column=2),
            ),
            abandoned_forms=AbandonedForms(
                FORM_WITHIN_MINUTES,
                _rows(starts),
                _rows(starts) - len({place for found in starts.values() for _, place, _ in found}),
                _rows(ends),
                _not_ended(starts, ends, FORM_WITHIN_MINUTES * _MINUTE_US),
            ),
            threshold=threshold,
            combination=combination,
        )


_Found = dict[int, list[tuple[int, int, int]]]


def _rows(found: _Found) -> int:
    return sum(map(len, found.values()))


def _actors(journeys: Journeys) -> Integers:
    """Number the actor of each session: an account, else the client."""
    clients = journeys.clients
    actor = np.where(clients.member >= 0, clients.member, clients.member.max(initial=-1) + 1 + np.arange(len(clients)))
    found: Integers = actor[journeys.sessions.client]
    return found


def _times_reached(found: _Found, need: int, within_days: int, *, column: int) -> int:
    """Count how often the number of different values within the time before came to be `need`."""
    times = 0
    for rows in found.values():
        reached = False
        for place, (moment, *_) in enumerate(rows):
            window = [row for row in rows[: place + 1] if moment - row[0] <= within_days * _DAY_US]
            # What falls out of the window between two rows counts too: it may have been false meanwhile.
            before = [row for row in window[:-1] if moment - row[0] < within_days * _DAY_US]
            reached = reached and len({row[column] for row in before}) >= need
            is_so = len({row[column] for row in window}) >= need
            times += is_so and not reached
            reached = is_so
    return times


def _not_ended(starts: _Found, ends: _Found, within_us: int) -> int:
    """Count the starts that no end and no other start follows in time."""
    left = 0
    for who, rows in starts.items():
        next_starts = [*(moment for moment, _, _ in rows[1:]), None]
        moments = [moment for moment, _, _ in ends.get(who, ())]
        for (moment, _, _), again in zip(rows, next_starts, strict=True):
            end = next((each for each in moments if each >= moment), None)
            left += all(each is None or each - moment > within_us for each in (end, again))
    return left


def _cart_returns(carts: _Found, purchases: _Found, actor: Integers, journeys: Journeys) -> CartReturns:
    """Count open carts, and the first session that began after one, in time and without a purchase between."""
    begun = _starts(carts, actor, journeys)
    open_carts = returns = 0
    for who, rows in carts.items():
        bought = [moment for moment, _, _ in purchases.get(who, ())]
        last_of_session = {place: moment for moment, place, _ in rows}
        in_session = {(place, moment) for moment, place, _ in purchases.get(who, ())}
        open_carts += sum(
            not any(place == where and moment > cart for where, moment in in_session)
            for place, cart in last_of_session.items()
        )
        moments = [moment for moment, _, _ in rows]
        answered = set()
        for start in begun[who]:
            place = bisect_right(moments, start) - 1
            if place < 0 or moments[place] == start or moments[place] in answered:
                continue
            cart = moments[place]
            if start - cart <= RETURN_WITHIN_DAYS * _DAY_US and not any(cart < moment <= start for moment in bought):
                answered.add(cart)
                returns += 1
    return CartReturns(RETURN_WITHIN_DAYS, open_carts, returns)


def _starts(carts: _Found, actor: Integers, journeys: Journeys) -> dict[int, list[int]]:
    """Return when the sessions of those with a cart began, in order."""
    sessions = journeys.sessions
    which = journeys.has_consent & np.isin(actor, np.fromiter(carts, np.int64, len(carts)))
    found: dict[int, list[int]] = {who: [] for who in carts}
    # Sessions are in order of time.
    pairs: Iterator[tuple[Any, ...]] = zip(actor[which].tolist(), sessions.start_at[which].tolist(), strict=True)
    for who, start in pairs:
        found[who].append(start)
    return found
