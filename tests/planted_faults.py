"""Small exports of a shop by seed, and faults of many kinds that are planted in them.

A fault says which checks must tell it (`told_by`: one of them will do), and which ones may tell it as well, since they
look at what follows from it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np

import ga4
from microconv.audit.audit_findings import AuditFinding

FIRST = date(2024, 3, 4)
DAYS = 30
SECOND = 1_000_000
HOST = "https://www.shop.example"

Event = dict[str, Any]
Days = dict[int, list[Event]]

STEPS = ("view_item", "add_to_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "purchase")
_GOES_ON = {
    "view_item": 0.9,
    "add_to_cart": 0.6,
    "begin_checkout": 0.8,
    "add_shipping_info": 0.9,
    "add_payment_info": 0.95,
    "purchase": 0.9,
}
_SOURCES = (
    ("google", "organic", "https://www.google.com/"),
    ("newsletter", "email", None),
    ("google", "cpc", "https://www.google.com/"),
    (None, None, None),
)


def clean(random: np.random.Generator, sessions: int = 110) -> Days:
    """Return the events of each day of a property without a fault."""
    days: Days = {}
    clients = 0
    orders = 1000
    week = np.array([1, 1.05, 1.1, 1.05, 1, 0.8, 0.75])
    for day in range(DAYS):
        at_day = FIRST + timedelta(days=day)
        midnight = ga4.microseconds(f"{at_day} 00:00:00")
        events: list[Event] = []
        for number in range(random.poisson(sessions * week[at_day.weekday()] * np.exp(random.normal(0, 0.08)))):
            is_new = clients < 50 or random.random() < 0.75
            clients += is_new
            client = f"{clients if is_new else int(random.integers(1, clients))}.{7 + day // 30}"
            session = int(midnight // SECOND) + number
            at = midnight + int(random.integers(6 * 3600, 22 * 3600)) * SECOND
            source = _SOURCES[int(random.integers(len(_SOURCES)))]
            country = ("Germany", "Austria", "France")[int(random.integers(3))]

            def add(name: str, place: str, *, referrer: str | None = None, source=source, **params: Any) -> None:
                nonlocal at
                given = {"page_location": f"{HOST}{place}", "page_title": place.strip("/") or "Home", **params}
                if referrer:
                    given["page_referrer"] = referrer
                columns: Event = {
                    "device": {"category": "desktop"},
                    "geo": {"country": country},  # noqa: B023 - called inside of the session alone
                }
                if source[0]:
                    columns["collected_traffic_source"] = {"manual_source": source[0], "manual_medium": source[1]}
                if name in STEPS:
                    columns["items"] = [{"item_id": "A1", "item_name": "Shirt", "coupon": None}]
                if name == "purchase":
                    columns["ecommerce"] = {
                        "purchase_revenue": given["value"],
                        "transaction_id": given["transaction_id"],
                    }
                # Called inside of the session alone.
                events.append(ga4.event(at, name, client=client, session=session, params=given, **columns))  # noqa: B023
                at += int(random.integers(15, 60)) * SECOND

            add("session_start", "/", referrer=source[2])
            at -= 10 * SECOND
            if is_new:
                add("first_visit", "/")
            for page in range(int(random.integers(1, 4))):
                add("page_view", "/" if page == 0 else f"/list/{page}", referrer=source[2] if page == 0 else f"{HOST}/")
            price = float(random.integers(10, 90))
            for step in STEPS:
                if random.random() > _GOES_ON[step]:
                    break
                money: dict[str, Any] = {"value": price, "currency": "USD"}
                if step == "purchase":
                    orders += 1
                    money["transaction_id"] = f"T{orders}"
                add(step, f"/{step}", **money)
        days[day] = events
    return days


@dataclass(frozen=True)
class Fault:
    """A fault that was planted: its kind, the days, the event, and the checks that tell it, or may."""

    kind: str
    first: int
    last: int
    event: str
    told_by: frozenset[str]
    may: frozenset[str] = field(default_factory=frozenset)

    def is_told_by(self, finding: AuditFinding) -> bool:
        """Whether a finding is this fault: by its check, its days, and the event where the check names one."""
        return finding.check in self.told_by and self._overlaps(finding) and self._names(finding)

    def explains(self, finding: AuditFinding) -> bool:
        """Whether a finding follows from this fault."""
        return finding.check in self.told_by | self.may and self._overlaps(finding)

    def _overlaps(self, finding: AuditFinding) -> bool:
        if finding.first_date is None or finding.last_date is None:
            return True
        first, last = ((each - FIRST).days for each in (finding.first_date, finding.last_date))
        return first <= self.last and last >= self.first

    def _names(self, finding: AuditFinding) -> bool:
        return finding.check not in _BY_EVENT or self.event in finding.subject


_BY_EVENT = {"blackout", "low_volume", "high_volume", "level_shift", "gone", "multiple_firing"}
_NEIGHBOURS = {"carts_without_views", "purchases_without_checkout", "neighbour_ratio"}


def plant(kind: str, days: Days, random: np.random.Generator) -> Fault:
    """Plant a fault of a kind into the days, which are changed, on days and an event that are drawn."""
    return KINDS[kind](days, random)


def _window(random: np.random.Generator, length: int) -> range:
    first = int(random.integers(8, DAYS - length - 1))
    return range(first, first + length)


def _named(days: Days, window: range, name: str) -> list[Event]:
    return [each for day in window for each in days[day] if each["event_name"] == name]


def _without(days: Days, window: range, goes: Callable[[Event], bool]) -> None:
    for day in window:
        days[day] = [each for each in days[day] if not goes(each)]


def _set(event: Event, name: str, value: str | float | None) -> None:
    event["event_params"] = [each for each in event["event_params"] if each["key"] != name]
    if value is not None:
        event["event_params"] += ga4.event(0, "", session=None, params={name: value})["event_params"]


def _fault(
    kind: str, window: range, event: str, told_by: set[str], may: set[str] | frozenset[str] = frozenset()
) -> Fault:
    return Fault(kind, window[0], window[-1], event, frozenset(told_by), frozenset(may))


def _blackout(days: Days, random: np.random.Generator) -> Fault:
    window, name = _window(random, int(random.integers(2, 4))), str(random.choice(STEPS))
    _without(days, window, lambda each: each["event_name"] == name)
    return _fault("blackout", window, name, {"blackout"}, _NEIGHBOURS)


def _halved(days: Days, random: np.random.Generator) -> Fault:
    window, name = _window(random, int(random.integers(3, 6))), str(random.choice(("page_view", "view_item")))
    _without(days, window, lambda each: each["event_name"] == name and random.random() < 0.5)
    return _fault("halved", window, name, {"low_volume"}, _NEIGHBOURS)


def _copied(days: Days, window: range, name: str, later_seconds: float, **params: str | float) -> None:
    for day in window:
        for each in [one for one in days[day] if one["event_name"] == name]:
            again = copy.deepcopy(each)
            again["event_timestamp"] += int(later_seconds * SECOND)
            for key, value in params.items():
                _set(again, key, value)
            days[day].append(again)


def _doubled(days: Days, random: np.random.Generator) -> Fault:
    window, name = _window(random, int(random.integers(3, 6))), str(random.choice(STEPS[:3]))
    _copied(days, window, name, 7)
    return _fault("doubled", window, name, {"high_volume"}, _NEIGHBOURS | {"multiple_firing"})


def _double_firing(days: Days, random: np.random.Generator) -> Fault:
    window, name = _window(random, int(random.integers(3, 7))), str(random.choice(STEPS[:2]))
    _copied(days, window, name, 0.3, step="2")
    return _fault("double firing", window, name, {"multiple_firing"}, _NEIGHBOURS | {"high_volume"})


def _duplicate_transactions(days: Days, random: np.random.Generator) -> Fault:
    window = _window(random, 4)
    _copied(days, window, "purchase", 9)
    told_by = {"repeated_transactions", "duplicate_transactions"}
    return _fault("duplicate transactions", window, "purchase", told_by, _NEIGHBOURS | {"high_volume"})


def _parameter_lost(name: str, told_by: set[str], may: set[str]) -> Callable[[Days, np.random.Generator], Fault]:
    def planted(days: Days, random: np.random.Generator) -> Fault:
        window = _window(random, int(random.integers(3, 6)))
        for each in _named(days, window, "purchase"):
            _set(each, name, None)
            if name == "value":
                each["ecommerce"] = {**each["ecommerce"], "purchase_revenue": None}
        return _fault(f"{name} missing", window, "purchase", told_by, may)

    return planted


def _address(days: Days, random: np.random.Generator) -> Fault:
    window = _window(random, 4)
    for each in _named(days, window, "page_view"):
        if random.random() < 0.2:
            _set(each, "page_location", f"{HOST}/account?email=jane.doe{int(random.integers(99))}%40mail.example")
    return _fault("e-mail in URL", window, "page_view", {"emails"}, {"tokens", "names"})


def _referral(host: str, told_by: set[str], kind: str) -> Callable[[Days, np.random.Generator], Fault]:
    def planted(days: Days, random: np.random.Generator) -> Fault:
        window = _window(random, 5)
        for day in window:
            sessions = {
                one["value"]["int_value"]
                for each in days[day]
                for one in each["event_params"]
                if one["key"] == "ga_session_id" and random.random() < 0.12
            }
            for each in days[day]:
                session = next(
                    one["value"]["int_value"] for one in each["event_params"] if one["key"] == "ga_session_id"
                )
                if session in sessions:
                    each["collected_traffic_source"] = {"manual_source": host, "manual_medium": "referral"}
                    if each["event_name"] in ("session_start", "first_visit", "page_view"):
                        _set(each, "page_referrer", f"https://{host}/checkout")
        return _fault(kind, window, "", told_by, {"direct_jump", "unassigned", "cross_domain"})

    return planted


def _consent(days: Days, random: np.random.Generator) -> Fault:
    window = _window(random, 4)
    for day in window:
        lost = {each["user_pseudo_id"] for each in days[day] if random.random() < 0.25}
        for each in days[day]:
            if each["user_pseudo_id"] in lost:
                each["user_pseudo_id"] = None
                _set(each, "ga_session_id", None)
    told_by = {"consent_by_day", "clients_missing"}
    return _fault("consent drop", window, "", told_by, {"consent_by_country", "session_ids_missing"})


def _type_change(days: Days, random: np.random.Generator) -> Fault:
    window, name = _window(random, 5), str(random.choice(("view_item", "add_to_cart")))
    for each in _named(days, window, name):
        _set(each, "value", "12,50 EUR")
    told_by = {"mistyped_parameters", "mixed_types"}
    return _fault("type change", window, name, told_by, {"mistyped_parameters", "mixed_types", "value_missing"})


def _gone(days: Days, random: np.random.Generator) -> Fault:
    window, name = range(DAYS - int(random.integers(9, 14)), DAYS), str(random.choice(STEPS[1:5]))
    _without(days, window, lambda each: each["event_name"] == name)
    return _fault("gone entry", window, name, {"gone"}, _NEIGHBOURS)


def _placeholder_ids(days: Days, random: np.random.Generator) -> Fault:
    window = _window(random, 5)
    for each in _named(days, window, "purchase"):
        _set(each, "transaction_id", "(not set)")
        each["ecommerce"] = {**each["ecommerce"], "transaction_id": "(not set)"}
    may = {"placeholder_values", "missing_parameters", "duplicate_transactions", "repeated_transactions"}
    return _fault("placeholder ids", window, "purchase", {"transaction_ids_missing"}, may)


def _placeholder_users(days: Days, random: np.random.Generator) -> Fault:
    window = _window(random, 5)
    for day in window:
        for each in days[day]:
            each["user_id"] = "undefined"
    return _fault("placeholder user ids", window, "", {"user_ids_placeholder"}, {"user_ids_shared"})


def _missing_day(days: Days, random: np.random.Generator) -> Fault:
    window = _window(random, 1)
    days[window[0]] = []
    return _fault("missing day", window, "", {"missing_days"})


def _items_missing(days: Days, random: np.random.Generator) -> Fault:
    window, name = _window(random, 5), str(random.choice(STEPS))
    for each in _named(days, window, name):
        each["items"] = []
    return _fault("items missing", window, name, {"items_missing"})


def _exact_copies(days: Days, random: np.random.Generator) -> Fault:
    window, name = _window(random, 3), str(random.choice(("page_view", *STEPS[:3])))
    _copied(days, window, name, 0)
    return _fault("exact copies", window, name, {"duplicates_by_hour"})


def _level(days: Days, random: np.random.Generator) -> Fault:
    window, name = range(int(random.integers(11, 20)), DAYS), str(random.choice(("page_view", *STEPS[:2])))
    _copied(days, window, name, 7)
    return _fault("level doubled", window, name, {"level_shift"}, _NEIGHBOURS | {"multiple_firing"})


def _unplanned(days: Days, random: np.random.Generator) -> Fault:
    window = _window(random, 10)
    for day in window:
        for each in days[day]:
            if each["event_name"] == "add_to_cart" and random.random() < 0.5:
                each["event_name"] = "Add_To_Cart"
    return _fault(
        "similar name", window, "add_to_cart", {"similar_names"}, {"unplanned_events", "low_volume", "level_shift"}
    )


KINDS: dict[str, Callable[[Days, np.random.Generator], Fault]] = {
    "blackout": _blackout,
    "halved": _halved,
    "doubled": _doubled,
    "double firing": _double_firing,
    "duplicate transactions": _duplicate_transactions,
    "currency missing": _parameter_lost("currency", {"currency_missing"}, {"missing_parameters"}),
    "value missing": _parameter_lost("value", {"value_missing"}, {"missing_parameters", "currency_missing"}),
    "e-mail in URL": _address,
    "self-referral": _referral("www.shop.example", {"self_referrals"}, "self-referral"),
    "payment referral": _referral("www.paypal.com", {"payment_referrals"}, "payment referral"),
    "consent drop": _consent,
    "type change": _type_change,
    "gone entry": _gone,
    "placeholder ids": _placeholder_ids,
    "placeholder user ids": _placeholder_users,
    "missing day": _missing_day,
    "items missing": _items_missing,
    "exact copies": _exact_copies,
    "level doubled": _level,
    "similar name": _unplanned,
}
"""What is planted, by its name."""


def write(days: Days, folder: Path) -> None:
    """Write a shard for each day that has events."""
    for day, events in days.items():
        if events:
            path = folder / f"{ga4.shard_name(FIRST + timedelta(days=day))}.parquet"
            ga4.write_parquet(path, sorted(events, key=lambda each: each["event_timestamp"]))
