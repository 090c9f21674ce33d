"""The events of one day: each session's script written out as flat arrays, one entry per row of the export."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from microconv.demo.calendar import OUTAGE_DAYS, Calendar
from microconv.demo.journeys import (
    BOUGHT,
    IN_CART,
    PAYMENT,
    SHIPPING,
    Bools,
    Integers,
    Journeys,
    chance,
    product_of_view,
    some,
)
from microconv.demo.journeys import CHECKOUT as CHECKOUT_STAGE
from microconv.demo.shop import (
    CART,
    CHECKOUT,
    CODES,
    FIRST_CATEGORY,
    FIRST_PRODUCT,
    HOME,
    LOGIN,
    LOOKBOOK,
    PRODUCTS,
    PRODUCTS_PER_CATEGORY,
    SEARCH,
    SIZING,
    THANKS,
    THANKS_AGAIN,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

EXACT_DUPLICATE_SHARE: Final = 0.004
LATE_SHARE: Final = 0.03
ENGAGED_INTEGER_SHARE: Final = 0.2
SESSION_ID_TEXT_SHARE: Final = 0.01

_ITEM_EVENTS = np.array([CODES[name] for name in ("select_item", "view_item", "add_to_wishlist", "add_to_cart")])
CART_EVENTS = np.array(
    [CODES[name] for name in ("view_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "purchase")]
)
# Rows whose late arrival leaves every planted count as it is.
_MAY_BE_LATE = np.array([CODES[name] for name in ("scroll", "user_engagement", "view_item", "view_item_list")])

# Places in a session's script. A product page takes ten, and a session has at most five.
_LANDING, _SEARCH, _LOOKBOOK, _SIZING, _LIST, _PRODUCTS = 0, 10, 20, 30, 40, 100
_LOGIN, _CART, _CHECKOUT, _SHIPPING, _PAYMENT, _THANKS, _RELOAD, _LEAVE = 200, 210, 220, 230, 240, 250, 260, 300
_STEPS: Final = 512

_SECOND_US: Final = 1_000_000
_LONGEST_GAP_US: Final = 240 * _SECOND_US
_ENGAGED_AFTER_MS: Final = 10_000
_RELOAD_GAP_US: Final = 60 * _SECOND_US


@dataclass(frozen=True)
class Events:
    """Rows, in order of session and time.

    `session` indexes `Sessions`, `code` and `page` the catalogue, `at` is UTC microseconds, `product` and
    `previous_page` are -1 for none, `value` is in EUR. `is_copy` marks the second of two identical rows. `detail` says
    which film or tag a planted row is of (-1 for none).
    """

    session: Integers
    code: Integers
    at: Integers
    page: Integers
    product: Integers
    value: NDArray[np.float64]
    engagement_ms: Integers
    engaged: Bools
    on_landing: Bools
    previous_page: Integers
    batch_page_id: Integers
    batch_ordering_id: Integers
    batch_event_index: Integers
    signed_in: Bools
    cart_tied: Bools
    session_id_as_text: Bools
    engaged_as_integer: Bools
    is_copy: Bools
    detail: Integers

    def __len__(self) -> int:
        return len(self.session)

    def take(self, which: Bools | Integers | slice) -> Events:
        """Return the rows a mask, indices or a slice names."""
        return Events(*(getattr(self, field.name)[which] for field in fields(Events)))

    def named(self, name: str) -> Bools:
        """Return which rows are events of this name."""
        return np.equal(self.code, CODES[name])

    def then(self, other: Events) -> Events:
        """Return these rows followed by the others."""
        return Events(
            *(np.concatenate([getattr(self, field.name), getattr(other, field.name)]) for field in fields(Events))
        )


class _Script:
    """Collects rows in any order: who, at which place of the session's script, what, where, how long after the last."""

    def __init__(self) -> None:
        self._parts: list[tuple[Integers, ...]] = []

    def add(
        self,
        name: str,
        sessions: Integers,
        step: Integers | int,
        page: Integers | int,
        *,
        after: float,
        product: Integers | int = -1,
    ) -> None:
        values = (sessions, step, CODES[name], page, round(after * _SECOND_US), product)
        self._parts.append(tuple(np.broadcast_arrays(*values)))

    def rows(self) -> tuple[Integers, ...]:
        """Return session, step, code, page, mean gap (microseconds) and product, sorted by session and step."""
        columns = [np.concatenate(part) for part in zip(*self._parts, strict=True)]
        order = np.argsort(columns[0].astype(np.int64) * _STEPS + columns[1], kind="stable")
        return tuple(column[order] for column in columns)


def events_of_day(journeys: Journeys, day: int, rng: np.random.Generator) -> Events:
    """Return all rows of the sessions that start on day `day`, also those that fall on the next."""
    starting = np.arange(journeys.day_bounds[day], journeys.day_bounds[day + 1])
    session, step, code, page, mean_gap, product = _write_script(journeys, starting, rng).rows()
    count = len(session)
    sessions = journeys.sessions
    row = np.arange(count)
    is_first = np.diff(session, prepend=-1) != 0
    first_row = np.maximum.accumulate(np.where(is_first, row, 0))

    drawn = (rng.exponential(1.0, count) * mean_gap).astype(np.int64) + 50_000
    gap = np.where(mean_gap > 0, np.minimum(drawn, _LONGEST_GAP_US), 0)
    gap = np.where(page == THANKS_AGAIN, np.where(code == CODES["page_view"], _RELOAD_GAP_US, 200_000), gap)
    gap[is_first] = 0
    waited = np.cumsum(gap)
    at = sessions.start_at[session] + waited - waited[first_row]

    is_new_page = is_first | ((code == CODES["page_view"]) & (step > _LANDING + 2))
    page_row = np.maximum.accumulate(np.where(is_new_page, row, 0))
    is_new_batch = is_new_page | (gap > 0)
    batch = np.cumsum(is_new_batch)
    batch_row = np.maximum.accumulate(np.where(is_new_batch, row, 0))

    engagement_ms = gap // 1_000
    engaged_ms = np.cumsum(engagement_ms)
    consent = journeys.has_consent[session]
    return Events(
        session=session.astype(np.int32),
        code=code.astype(np.int8),
        at=at,
        page=page.astype(np.int8),
        product=product.astype(np.int8),
        value=_values(journeys, session, code, product),
        engagement_ms=engagement_ms.astype(np.int32),
        engaged=(engaged_ms - engaged_ms[first_row] > _ENGAGED_AFTER_MS) | (page_row > first_row),
        on_landing=step < _SEARCH,
        previous_page=np.where(page_row > first_row, page[page_row - 1], -1).astype(np.int8),
        batch_page_id=at[page_row] // 1_000,
        batch_ordering_id=(batch - batch[page_row] + 1).astype(np.int16),
        batch_event_index=(row - batch_row + 1).astype(np.int16),
        signed_in=sessions.logged_in_before[session] | (sessions.logs_in[session] & (step > _LOGIN)),
        cart_tied=(code == CODES["add_to_cart"]) & (gap == 0),
        session_id_as_text=consent & chance(rng, SESSION_ID_TEXT_SHARE, count),
        engaged_as_integer=chance(rng, ENGAGED_INTEGER_SHARE, count),
        is_copy=np.zeros(count, bool),
        detail=np.full(count, -1, np.int8),
    )


def _write_script(journeys: Journeys, starting: Integers, rng: np.random.Generator) -> _Script:
    sessions, clients = journeys.sessions, journeys.clients
    script = _Script()

    def where(condition: Bools, share: float = 1.0) -> Integers:
        chosen = condition[starting]
        return starting[chosen & (chance(rng, share, len(starting)))] if share < 1 else starting[chosen]

    everyone = np.ones(len(sessions), bool)
    client = sessions.client
    landing = sessions.landing

    # Without consent every visit looks like a first one: GA4 has no id to know better.
    first_visit = where(clients.denied[client] | (clients.is_new[client] & (sessions.ordinal == 0)))
    script.add("first_visit", first_visit, _LANDING, landing[first_visit], after=0)
    script.add("session_start", starting, _LANDING + 1, landing[starting], after=0)
    script.add("page_view", starting, _LANDING + 2, landing[starting], after=0)
    promoted = where(landing == HOME, 0.5)
    script.add("view_promotion", promoted, _LANDING + 3, HOME, after=1)
    for name, share, place, seconds in (("scroll", 0.45, 4, 8.0), ("user_engagement", 0.55, 6, 12.0)):
        who = where(everyone, share)
        script.add(name, who, _LANDING + place, landing[who], after=seconds)
    script.add("select_promotion", promoted[chance(rng, 0.06, len(promoted))], _LANDING + 5, HOME, after=6)

    who = where(sessions.searches)
    script.add("page_view", who, _SEARCH, SEARCH, after=20)
    script.add("view_search_results", who, _SEARCH + 1, SEARCH, after=0.3)

    who = where(sessions.starts_video)
    script.add("page_view", who, _LOOKBOOK, LOOKBOOK, after=20)
    for name, share, place, seconds in (
        ("video_start", 1.0, 1, 4),
        ("video_progress", 0.8, 2, 15),
        ("video_complete", 0.5, 3, 30),
    ):
        who = where(sessions.starts_video, share)
        script.add(name, who, _LOOKBOOK + place, LOOKBOOK, after=seconds)

    who = where(sessions.opens_guide)
    script.add("page_view", who, _SIZING, SIZING, after=20)
    script.add("sizing_guide_open", who, _SIZING + 1, SIZING, after=3)

    _write_products(script, journeys, starting, rng)

    who = where(sessions.logs_in)
    script.add("page_view", who, _LOGIN, LOGIN, after=10)
    script.add("login", who, _LOGIN + 1, LOGIN, after=15)
    for stage, step, page, name, seconds in (
        (IN_CART, _CART, CART, "view_cart", 0.1),
        (CHECKOUT_STAGE, _CHECKOUT, CHECKOUT, "begin_checkout", 0.1),
        (SHIPPING, _SHIPPING, None, "add_shipping_info", 40.0),
        (PAYMENT, _PAYMENT, None, "add_payment_info", 30.0),
        (BOUGHT, _THANKS, THANKS, "purchase", 0.2),
    ):
        who = where(sessions.stage >= stage)
        if page is not None:
            script.add("page_view", who, step, page, after=12)
        script.add(name, who, step + 1, CHECKOUT if page is None else page, after=seconds)
    who = where(sessions.reloads)
    script.add("page_view", who, _RELOAD, THANKS_AGAIN, after=60)
    script.add("purchase", who, _RELOAD + 1, THANKS_AGAIN, after=0.2)

    leaving = where(everyone, 0.6)
    last_page = _last_page(journeys)[leaving]
    script.add("user_engagement", leaving, _LEAVE, last_page, after=10)
    return script


def _write_products(script: _Script, journeys: Journeys, starting: Integers, rng: np.random.Generator) -> None:
    """Add the category list and the product pages, the last of them with the cart."""
    sessions = journeys.sessions
    browsing = starting[sessions.views[starting] > 0]
    category = FIRST_CATEGORY + sessions.first_product[browsing] // PRODUCTS_PER_CATEGORY
    elsewhere = sessions.landing[browsing] != category
    script.add("page_view", browsing[elsewhere], _LIST, category[elsewhere], after=15)
    first_product = sessions.first_product[browsing]
    script.add("view_item_list", browsing, _LIST + 1, category, after=0.2, product=first_product)
    half = chance(rng, 0.5, len(browsing))
    script.add("scroll", browsing[half], _LIST + 2, category[half], after=8)
    script.add("select_item", browsing, _LIST + 3, category, after=6, product=first_product)

    views = sessions.views[browsing].astype(np.int64)
    viewer = np.repeat(browsing, views)
    view = np.arange(len(viewer)) - np.repeat(np.cumsum(views) - views, views)
    product = product_of_view(sessions.first_product[viewer].astype(np.int64), view)
    step, page = _PRODUCTS + 10 * view, FIRST_PRODUCT + product
    script.add("page_view", viewer, step, page, after=15)
    script.add("view_item", viewer, step + 1, page, after=0.1, product=product)
    for name, share, place, seconds in (
        ("scroll", 0.5, 3, 7),
        ("user_engagement", 0.7, 4, 12),
        ("add_to_wishlist", 0.03, 5, 5),
    ):
        some_views = chance(rng, share, len(viewer))
        script.add(
            name,
            viewer[some_views],
            step[some_views] + place,
            page[some_views],
            after=seconds,
            product=product[some_views] if name == "add_to_wishlist" else -1,
        )
    carts = (view == sessions.views[viewer] - 1) & (sessions.stage[viewer] >= IN_CART)
    tied = sessions.cart_tied[viewer]
    for which, place, seconds in ((carts & tied, 2, 0), (carts & ~tied, 6, 12)):
        script.add(
            "add_to_cart", viewer[which], step[which] + place, page[which], after=seconds, product=product[which]
        )


def _last_page(journeys: Journeys) -> Integers:
    """Return the page each session ends on."""
    sessions = journeys.sessions
    last_product = FIRST_PRODUCT + product_of_view(
        sessions.first_product.astype(np.int64), np.maximum(sessions.views.astype(np.int64) - 1, 0)
    )
    page = np.where(sessions.views > 0, last_product, sessions.landing)
    for condition, last in (
        (sessions.searches & (sessions.views == 0), SEARCH),
        (sessions.starts_video & (sessions.views == 0), LOOKBOOK),
        (sessions.opens_guide & (sessions.views == 0), SIZING),
        (sessions.logs_in, LOGIN),
        (sessions.stage >= IN_CART, CART),
        (sessions.stage >= CHECKOUT_STAGE, CHECKOUT),
        (sessions.stage == BOUGHT, THANKS),
        (sessions.reloads, THANKS_AGAIN),
    ):
        page = np.where(condition, last, page)
    return page


def cart_products(journeys: Journeys, session: Integers) -> tuple[Integers, Integers]:
    """Return the first and the second product in each session's cart (-1 for no second)."""
    sessions = journeys.sessions
    last = np.maximum(sessions.views[session].astype(np.int64) - 1, 0)
    first_product = sessions.first_product[session].astype(np.int64)
    second = np.where(sessions.second_in_cart[session], product_of_view(first_product, last - 1), -1)
    return product_of_view(first_product, last), second


def _values(journeys: Journeys, session: Integers, code: Integers, product: Integers) -> NDArray[np.float64]:
    prices = np.array([item.price for item in PRODUCTS] + [0.0], np.float64)
    first, second = cart_products(journeys, session)
    cart = prices[first] * journeys.sessions.quantity[session] + prices[second]
    value = np.where(np.isin(code, _ITEM_EVENTS), prices[product], 0.0)
    value = np.where(np.isin(code, CART_EVENTS), cart, value)
    return np.round(value, 2).astype(np.float64)


def split_at(events: Events, midnight: int) -> tuple[Events, Events]:
    """Return the rows before `midnight` (UTC microseconds) and those from it on."""
    before = events.at < midnight
    return events.take(before), events.take(~before)


def without_outage(events: Events, calendar: Calendar) -> Events:
    """Drop every add_to_cart of the outage's days: its tag is broken while the shop goes on."""
    begins, ends = calendar.midnights[OUTAGE_DAYS[0]], calendar.midnights[OUTAGE_DAYS[-1] + 1]
    lost = events.named("add_to_cart") & (events.at >= begins) & (events.at < ends)
    return events.take(~lost) if lost.any() else events


def with_exact_duplicates(events: Events, journeys: Journeys, rng: np.random.Generator) -> Events:
    """Send some rows twice: same client, name, time and parameters, another bundle. Purchases have their own plan."""
    candidates = journeys.has_consent[events.session] & ~events.named("purchase")
    copies = events.take(some(rng, candidates, EXACT_DUPLICATE_SHARE))
    return events.then(replace(copies, is_copy=np.ones(len(copies), bool)))


def late_rows(events: Events, crossing: Integers, journeys: Journeys, rng: np.random.Generator) -> Bools:
    """Choose the rows that the day's first export lacks.

    Only rows whose absence changes no planted count but that of events: none that is sent twice, tied with a cart, of a
    session that crosses midnight (`crossing`), or without consent.
    """
    twice = np.isin(_row_key(events), _row_key(events.take(events.is_copy)))
    tied = np.isin(events.session, events.session[events.cart_tied])
    candidates = (
        np.isin(events.code, _MAY_BE_LATE)
        & journeys.has_consent[events.session]
        & ~twice
        & ~tied
        & ~np.isin(events.session, crossing)
    )
    share = min(1.0, LATE_SHARE * len(events) / max(1, candidates.sum()))
    return some(rng, candidates, share)


def _row_key(events: Events) -> Integers:
    """Return a number that only identical rows of one day share."""
    return (events.at * len(CODES) + events.code) * 31 + events.session
