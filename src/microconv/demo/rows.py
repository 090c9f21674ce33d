"""From flat arrays to GA4's nested rows, as Arrow tables.

What comes from a short list (devices, places, channels, items) is built once as an array of structs and taken by code;
only the lists of parameters and items are put together anew, by scattering flat columns into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from microconv.demo import eras
from microconv.demo.calendar import Calendar
from microconv.demo.events import CART_EVENTS, Events, cart_products
from microconv.demo.journeys import Bools, Integers, Journeys
from microconv.demo.params import ParamColumns
from microconv.demo.shop import (
    CATEGORIES,
    CHANNELS,
    CODES,
    CURRENCY,
    DEVICES,
    DIRECT,
    EVENT_NAMES,
    PAGES,
    PLACES,
    PREVIEWS,
    PRODUCTS,
    PRODUCTS_PER_CATEGORY,
    REVIEWS,
    SIGNUP_TAGS,
    SITE,
    STREAM_ID,
    USD_PER_EUR,
    Channel,
)

_HOST = SITE.removeprefix("https://")
_ARRIVAL = [CODES[name] for name in ("first_visit", "session_start", "page_view")]
_INTEGER_TRANSACTIONS = 5
"""Every fifth transaction id reaches its parameter as an integer."""


@dataclass(frozen=True)
class Era:
    """What a shard's schema knows: the columns GA4 added over time, and the one that intraday shards lack."""

    has_newer_columns: bool
    has_last_click: bool

    @property
    def schema(self) -> pa.Schema:
        """The shard's columns in order."""
        kept = [field for field in eras.SCHEMA if self.has_newer_columns or field.name not in eras.NEWER_COLUMNS]
        if not self.has_last_click:
            kept = [field for field in kept if field.name != eras.LAST_CLICK_COLUMN]
        if not self.has_newer_columns:
            kept = [field.with_type(pa.list_(eras.OLD_ITEM)) if field.name == "items" else field for field in kept]
        return pa.schema(kept)


def user_ids(members: Integers) -> pa.Array:
    """Return the account ids (`u0000001`) of account numbers; -1 becomes NULL."""
    padded = pc.utf8_lpad(pa.array(members + 1, mask=members < 0).cast(pa.string()), 7, "0")
    return pc.binary_join_element_wise("u", padded, "")


class RowBuilder:
    """Builds the rows of any day of one export."""

    def __init__(self, journeys: Journeys, calendar: Calendar) -> None:
        self._journeys = journeys
        self._calendar = calendar
        self._words = _Words()

    def table(self, events: Events, day: int, era: Era) -> pa.Table:
        """Return the rows of one shard, or a part of them, with the columns of its era."""
        clients, words = self._journeys.clients, self._words
        count = len(events)
        client = self._journeys.sessions.client[events.session]
        channel = self._journeys.sessions.channel[events.session]
        has_consent = ~clients.denied[client]
        gclid = _gclids(events.session)
        known = events.signed_in & has_consent
        columns: dict[str, Any] = {
            "event_date": pa.repeat(self._calendar.text(day), count),
            "event_timestamp": events.at,
            "event_name": words.event_names.take(pa.array(events.code)),
            "event_params": self._params(events, gclid, has_consent),
            "event_value_in_usd": pa.array(np.round(events.value * USD_PER_EUR, 2), mask=~events.named("purchase")),
            # A row that is sent twice travels in another bundle.
            "event_bundle_sequence_id": events.at // 1_000 % 1_000_000_007 + events.is_copy * 1_000_003,
            "event_server_timestamp_offset": 100_000 + events.at % 900_000,
            "user_id": user_ids(np.where(known, clients.member[client], -1)),
            "user_pseudo_id": _client_ids(client, clients.first_seen_at[client], has_consent),
            "privacy_info": words.privacy.take(pa.array(has_consent.astype(np.int8))),
            "user_properties": _user_properties(known, events.at),
            "user_first_touch_timestamp": pa.array(clients.first_seen_at[client], mask=~has_consent),
            "user_ltv": words.user_ltv.take(pa.array(np.zeros(count, np.int8))),
            "device": words.devices.take(pa.array(clients.device[client] * len(PLACES) + clients.place[client])),
            "geo": words.places.take(pa.array(clients.place[client])),
            "traffic_source": words.traffic_sources.take(pa.array(clients.first_channel[client], mask=~has_consent)),
            "stream_id": pa.repeat(STREAM_ID, count),
            "platform": pa.repeat("WEB", count),
            "event_dimensions": words.dimensions.take(pa.array(np.zeros(count, np.int8))),
            "ecommerce": self._ecommerce(events),
            "items": self._items(events, words.items if era.has_newer_columns else words.old_items),
        }
        if era.has_newer_columns:
            columns |= {
                "collected_traffic_source": self._collected(events, channel, gclid),
                "is_active_user": events.engaged,
                "batch_event_index": events.batch_event_index,
                "batch_page_id": events.batch_page_id,
                "batch_ordering_id": events.batch_ordering_id,
            }
        if era.has_last_click:
            columns[eras.LAST_CLICK_COLUMN] = words.last_clicks.take(pa.array(channel, mask=~has_consent))
        return pa.table([_typed(columns.get(field.name), field, count) for field in era.schema], schema=era.schema)

    def _params(self, events: Events, gclid: pa.Array, has_consent: Bools) -> pa.ListArray:
        sessions, words = self._journeys.sessions, self._words
        channel = sessions.channel[events.session]
        params = ParamColumns(len(events))
        everywhere = np.ones(len(events), bool)

        landing = events.on_landing
        address = channel[landing].astype(np.int64) * len(PAGES) + events.page[landing]
        addresses = words.landing_addresses.take(pa.array(address))
        clicked = words.has_gclid[channel]
        tail = words.gclid_tails.take(pa.array(clicked[landing].astype(np.int8)))
        ids = pc.if_else(pa.array(clicked[landing]), gclid.filter(pa.array(landing)), "")
        params.text("page_location", landing, pc.binary_join_element_wise(addresses, tail, ids, ""), None)
        params.text("page_location", ~landing, words.addresses, events.page[~landing])
        params.text("page_title", everywhere, words.titles, events.page)
        opens_page = events.named("page_view")
        inside = opens_page & (events.previous_page >= 0)
        params.text("page_referrer", inside, words.addresses, events.previous_page[inside])
        outside = opens_page & landing & words.has_referrer[channel]
        params.text("page_referrer", outside, words.referrers, channel[outside])

        session_id = sessions.ga_session_id[events.session]
        as_text = has_consent & events.session_id_as_text
        params.integer("ga_session_id", has_consent & ~as_text, session_id)
        params.text("ga_session_id", as_text, pa.array(session_id[as_text]).cast(pa.string()), None)
        client = sessions.client[events.session]
        number = self._journeys.clients.sessions_before[client].astype(np.int64) + sessions.ordinal[events.session] + 1
        params.integer("ga_session_number", has_consent, number)
        as_integer = has_consent & events.engaged_as_integer
        as_word = has_consent & ~events.engaged_as_integer
        params.integer("session_engaged", as_integer, events.engaged)
        params.text("session_engaged", as_word, words.flags, events.engaged[as_word].astype(np.int8))
        params.integer("engaged_session_event", events.engaged, everywhere)
        params.integer("engagement_time_msec", events.engagement_ms > 0, events.engagement_ms)
        params.integer("entrances", landing & opens_page, everywhere)

        arrives = landing & np.isin(events.code, _ARRIVAL) & (channel != DIRECT)
        for key, values in (("source", words.sources), ("medium", words.mediums), ("campaign", words.campaigns)):
            params.text(key, arrives, values, channel[arrives])
        with_click = arrives & clicked & opens_page
        params.text("gclid", with_click, gclid.filter(pa.array(with_click)), None)

        _add_particulars(params, events)
        has_value = events.value > 0
        whole = events.value == np.floor(events.value)
        params.text("currency", has_value, pa.array([CURRENCY]), np.zeros(has_value.sum(), np.int8))
        params.integer("value", has_value & whole, events.value)
        params.double("value", has_value & ~whole, events.value)
        transaction = sessions.transaction[events.session]
        buys = events.named("purchase")
        is_number = buys & (transaction > 0) & (transaction % _INTEGER_TRANSACTIONS == 0)
        params.integer("transaction_id", is_number, transaction)
        is_text = buys & ~is_number
        params.text("transaction_id", is_text, _transaction_ids(transaction[is_text]), None)
        return params.build()

    def _ecommerce(self, events: Events) -> pa.StructArray:
        sessions = self._journeys.sessions
        buys = events.named("purchase")
        in_cart = np.isin(events.code, CART_EVENTS)
        _, second = cart_products(self._journeys, events.session)
        unique = 1 + (second >= 0)
        quantity = sessions.quantity[events.session].astype(np.int64) + (second >= 0)
        fields = {
            "total_item_quantity": pa.array(quantity, mask=~in_cart),
            "unique_items": pa.array(unique, mask=~in_cart),
            "purchase_revenue": pa.array(events.value, mask=~buys),
            "purchase_revenue_in_usd": pa.array(np.round(events.value * USD_PER_EUR, 2), mask=~buys),
            "tax_value": pa.array(np.round(events.value * 19 / 119, 2), mask=~buys),
            "transaction_id": _transaction_ids(np.where(buys, sessions.transaction[events.session], -1)),
        }
        arrays = [_typed(fields.get(field.name), field, len(events)) for field in eras.ECOMMERCE]
        return pa.StructArray.from_arrays(arrays, fields=list(eras.ECOMMERCE), mask=pa.array(events.value <= 0))

    def _items(self, events: Events, words: pa.Array) -> pa.ListArray:
        sessions = self._journeys.sessions
        lists = events.named("view_item_list")
        from_list = lists | events.named("select_item")
        in_cart = np.isin(events.code, CART_EVENTS)
        single = (events.product >= 0) & ~lists
        _first, second = cart_products(self._journeys, events.session)
        with_second = in_cart & (second >= 0)
        count = np.where(lists, PRODUCTS_PER_CATEGORY, single.astype(np.int64) + in_cart + with_second)
        offsets = np.concatenate([[0], np.cumsum(count)])
        codes = np.empty(offsets[-1], np.int64)
        begin = offsets[:-1]
        bought = events.named("purchase")
        category = events.product.astype(np.int64) // PRODUCTS_PER_CATEGORY
        for place in range(PRODUCTS_PER_CATEGORY):
            product = category[lists] * PRODUCTS_PER_CATEGORY + place
            codes[begin[lists] + place] = _item_code(product, 0, False, True)
        codes[begin[single]] = _item_code(events.product[single].astype(np.int64), 0, False, from_list[single])
        quantity = sessions.quantity[events.session]
        codes[begin[in_cart]] = _item_code(_first[in_cart], quantity[in_cart], bought[in_cart], False)
        codes[begin[with_second] + 1] = _item_code(second[with_second], 1, bought[with_second], False)
        return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), words.take(pa.array(codes)))

    def _collected(self, events: Events, channel: Integers, gclid: pa.Array) -> pa.StructArray:
        """What the tracking code saw on the event itself: only the landing's events carry it."""
        arrives = events.on_landing & (channel != DIRECT)
        words = self._words.collected.take(pa.array(channel, mask=~arrives))
        clicked = pa.array(arrives & self._words.has_gclid[channel])
        arrays = [
            pc.if_else(clicked, gclid, None) if field.name == "gclid" else words.field(field.name)
            for field in eras.COLLECTED_TRAFFIC_SOURCE
        ]
        return pa.StructArray.from_arrays(arrays, fields=list(eras.COLLECTED_TRAFFIC_SOURCE), mask=pa.array(~arrives))


class _Words:
    """The short lists that rows take their values from; an array per column, in the order of the catalogue."""

    def __init__(self) -> None:
        self.event_names = pa.array(EVENT_NAMES)
        self.flags = pa.array(["0", "1"])
        self.addresses = pa.array([SITE + path for path, _ in PAGES])
        self.titles = pa.array([f"{title} | Demo Shop" for _, title in PAGES])
        self.referrers = pa.array([channel.referrer for channel in CHANNELS])
        self.has_referrer = np.array([channel.referrer is not None for channel in CHANNELS])
        self.has_gclid = np.array([channel.has_gclid for channel in CHANNELS])
        self.gclid_tails = pa.array(["", "&gclid="])
        self.landing_addresses = pa.array([SITE + path + channel.query for channel in CHANNELS for path, _ in PAGES])
        self.sources = pa.array([channel.param_source or channel.source for channel in CHANNELS])
        self.mediums = pa.array([channel.param_medium or channel.medium for channel in CHANNELS])
        self.campaigns = pa.array([_campaign(channel) for channel in CHANNELS])
        self.privacy = pa.array(
            [
                {"analytics_storage": "No", "ads_storage": "No", "uses_transient_token": "Yes"},
                {"analytics_storage": "Yes", "ads_storage": "Yes", "uses_transient_token": "No"},
            ],
            eras.PRIVACY,
        )
        self.user_ltv = pa.array([{"revenue": 0.0, "currency": CURRENCY}], eras.USER_LTV)
        self.dimensions = pa.array([{"hostname": _HOST}], eras.EVENT_DIMENSIONS)
        self.devices = pa.array(
            [
                {
                    "category": device.category,
                    "mobile_brand_name": device.brand,
                    "mobile_model_name": device.model,
                    "operating_system": device.system,
                    "language": place.language,
                    "is_limited_ad_tracking": "No",
                    "web_info": {
                        "browser": device.browser,
                        "browser_version": device.browser_version,
                        "hostname": _HOST,
                    },
                }
                for device in DEVICES
                for place in PLACES
            ],
            eras.DEVICE,
        )
        self.places = pa.array([{**place._asdict(), "metro": "(not set)"} for place in PLACES], eras.GEO)
        self.traffic_sources = pa.array(
            [
                {"source": channel.source, "medium": channel.medium, "name": channel.campaign or _campaign(channel)}
                for channel in CHANNELS
            ],
            eras.TRAFFIC_SOURCE,
        )
        self.collected = pa.array([_collected(channel) for channel in CHANNELS], eras.COLLECTED_TRAFFIC_SOURCE)
        self.last_clicks = pa.array([_last_click(channel) for channel in CHANNELS], eras.LAST_CLICK)
        items = [
            _item(product, quantity, bought=bought, in_list=in_list)
            for product in range(len(PRODUCTS))
            for quantity in (None, 1, 2)
            for bought in (False, True)
            for in_list in (False, True)
        ]
        self.items = pa.array([{**item, "item_params": []} for item in items], eras.ITEM)
        self.old_items = pa.array(items, eras.OLD_ITEM)


def _campaign(channel: Channel) -> str:
    named = channel.param_campaign or channel.campaign
    return named or {"(none)": "(direct)", "organic": "(organic)"}.get(channel.medium, "(referral)")


def _collected(channel: Channel) -> dict[str, Any]:
    return {
        "manual_source": channel.param_source or channel.source,
        "manual_medium": channel.param_medium or channel.medium,
        "manual_campaign_name": _campaign(channel),
    }


def _last_click(channel: Channel) -> dict[str, Any]:
    name = channel.campaign or _campaign(channel)
    ads = {"customer_id": "123-456-7890", "account_name": "Demo Shop", "campaign_id": "9001", "campaign_name": name}
    return {
        "manual_campaign": {
            "source": channel.param_source or channel.source,
            "medium": channel.param_medium or channel.medium,
            "campaign_name": _campaign(channel),
        },
        "google_ads_campaign": ads if channel.has_gclid else None,
        "cross_channel_campaign": {
            "source": channel.source,
            "medium": channel.medium,
            "campaign_name": name,
            "default_channel_group": channel.group,
            "primary_channel_group": channel.group,
        },
    }


def _item(product: int, quantity: int | None, *, bought: bool, in_list: bool) -> dict[str, Any]:
    item = PRODUCTS[product]
    revenue = item.price * (quantity or 1) if bought else None
    return {
        "item_id": item.item_id,
        "item_name": item.name,
        "item_brand": "Demo Shop",
        "item_category": item.category,
        "price": item.price,
        "price_in_usd": round(item.price * USD_PER_EUR, 2),
        "quantity": quantity,
        "item_revenue": revenue,
        "item_revenue_in_usd": None if revenue is None else round(revenue * USD_PER_EUR, 2),
        "item_list_id": f"list_{CATEGORIES.index(item.category) + 1}" if in_list else None,
        "item_list_name": item.category if in_list else None,
        "item_list_index": str(product % PRODUCTS_PER_CATEGORY) if in_list else None,
    }


def _item_code(product: Integers, quantity: Integers | int, bought: Bools | bool, in_list: Bools | bool) -> Integers:
    """Return the place in the list of items that `_Words` builds (a quantity of 0 means none is given)."""
    return ((product * 3 + quantity) * 2 + bought) * 2 + in_list


def _add_particulars(params: ParamColumns, events: Events) -> None:
    """Add what events of one name have."""
    for name, key, value in (
        ("scroll", "percent_scrolled", 90),
        ("video_start", "video_percent", 0),
        ("video_progress", "video_percent", 50),
        ("video_complete", "video_percent", 100),
    ):
        params.integer(key, events.named(name), np.full(len(events), value))
    for name, key, text in (
        ("view_search_results", "search_term", "rain"),
        ("video_start", "video_title", "Autumn lookbook"),
        ("video_progress", "video_title", "Autumn lookbook"),
        ("video_complete", "video_title", "Autumn lookbook"),
        ("login", "method", "email"),
        ("add_shipping_info", "shipping_tier", "Standard"),
        ("add_payment_info", "payment_type", "Invoice"),
        ("form_start", "form_id", "newsletter"),
        ("form_submit", "form_id", "newsletter"),
    ):
        which = events.named(name)
        params.text(key, which, pa.array([text]), np.zeros(which.sum(), np.int8))
    for name, key, texts in (
        ("video_preview", "video_title", PREVIEWS),
        ("newsletter_signup", "sent_by", SIGNUP_TAGS),
        ("review_read", "review_id", REVIEWS),
    ):
        which = events.named(name)
        params.text(key, which, pa.array(texts), events.detail[which])


def _typed(column: object, field: pa.Field, count: int) -> pa.Array:
    if column is None:
        return pa.nulls(count, field.type)
    array = column if isinstance(column, pa.Array) else pa.array(column)
    return array if array.type == field.type else array.cast(field.type)


def _gclids(session: Integers) -> pa.Array:
    return pc.binary_join_element_wise("Cj0KCQ-demo-", pa.array(session).cast(pa.string()), "")


def _client_ids(client: Integers, first_seen_at: Integers, has_consent: Bools) -> pa.Array:
    """Return client ids as the web tag makes them: a random number, a dot, the second of the first visit."""
    # An odd multiplier permutes the numbers below 2^31, so that no two clients get one number.
    number = client.astype(np.int64) * 1_103_515_245 % 2**31
    parts = [pa.array(values, mask=~has_consent).cast(pa.string()) for values in (number, first_seen_at // 1_000_000)]
    return pc.binary_join_element_wise(*parts, ".")


def _transaction_ids(transaction: Integers) -> pa.Array:
    texts = pa.array(transaction, mask=transaction < 0).cast(pa.string())
    return pc.if_else(pa.array(transaction == 0), "(not set)", texts)


def _user_properties(known: Bools, at: Integers) -> pa.ListArray:
    count = int(known.sum())
    club = pa.repeat("club", count)
    values = {"string_value": club, "set_timestamp_micros": pa.array(at[known])}
    fields = list(eras.PROPERTY.field("value").type)
    value = pa.StructArray.from_arrays(
        [_typed(values.get(field.name), field, count) for field in fields], fields=fields
    )
    entries = pa.StructArray.from_arrays([pa.repeat("membership", count), value], fields=list(eras.PROPERTY))
    offsets = np.concatenate([[0], np.cumsum(known)]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), entries)
