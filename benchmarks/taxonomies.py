"""Taxonomies of any size, in which every kind of entry has its share: half observed, half derived or hesitation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import TypeVar

T = TypeVar("T")

JOURNEY = {
    "view_promotion": "awareness",
    "view_search_results": "consideration",
    "select_item": "consideration",
    "view_item": "consideration",
    "add_to_cart": "decision",
    "begin_checkout": "decision",
    "add_shipping_info": "decision",
    "add_payment_info": "decision",
    "purchase": "decision",
}
"""The entries that all others go with: GA4's events of a shop, with their stages."""
LOOKS = ("view_item", "view_promotion", "select_item", "view_search_results")
STEPS = ("add_to_cart", "begin_checkout", "add_shipping_info", "add_payment_info", "purchase")
WORDS = ("shirt", "bag", "men", "women", "kids", "cup", "office", "sale", "new", "eco", "hat", "pen")
CATEGORIES = ("Apparel", "Bags", "Drinkware", "Office", "New", "Accessories", "Lifestyle", "Clearance")
SPANS = ("30m", "1h", "6h", "1d", "3d", "7d", "14d", "30d")
PROPERTIES = ("item_id", "item_category", "page", "item_name")


def text(entries: int) -> str:
    """Write a taxonomy of so many entries."""
    return "\n".join(('version = "1.0"', 'name = "All kinds"', *islice(_entries(), entries)))


def _entries() -> Iterator[str]:
    for event, stage in JOURNEY.items():
        kind = "macro" if event == "purchase" else "milestone" if event in STEPS else "secondary"
        yield _entry(event, f'event = "{event}"', kind=kind, stage=stage, value="event")
    for turn in count():
        for place, body in enumerate((*_observed(turn), *_derived(turn))):
            value = (None, "event", 2)[(turn + place) % 3]
            yield _entry(f"{_NAMES[place]}_{turn}", body, value=value)


def _entry(
    name: str, body: str, *, kind: str = "secondary", stage: str = "consideration", value: str | int | None = None
) -> str:
    amount = "" if value is None else f"value = {value}\n" if isinstance(value, int) else f'value = "{value}"\n'
    return f'[[micro_conversions]]\nid = "{name}"\n{body}\nkind = "{kind}"\nstage = "{stage}"\n{amount}'


def _pick(choices: Sequence[T], turn: int) -> T:
    return choices[turn % len(choices)]


def _observed(turn: int) -> tuple[str, ...]:
    word, category = _pick(WORDS, turn), _pick(CATEGORIES, turn)
    look, step = _pick(LOOKS, turn), _pick(STEPS, turn)
    query, way = _pick(("utm_source", "q", "sort", "page"), turn), _pick(("starts_with", "contains", "equals"), turn)
    host, platform = _pick(("shop", "www", "store"), turn), _pick(("WEB", "IOS", "ANDROID"), turn)
    pattern = _pick(("^add_", "^select_", "_promotion$", "_info$", "^view_s"), turn)
    dear = 20 * (1 + turn)
    on_page = f'page = {{ contains = "{word}" }}'
    engaged = f'{{ parameter = "engagement_time_msec", between = [{60 + turn}000, {90 + turn}000] }}'
    named = f'{{ item = "item_name", contains = "{word.title()}" }}'
    priced = f'{{ item = "price", between = [{dear}, {2 * dear}] }}'
    not_there = f'{{ field = "page", contains = "{category.lower()}" }}, {{ parameter = "currency", exists = false }}'
    return (
        _event("scroll", f'{{ parameter = "percent_scrolled", at_least = {50 + turn % 50} }}', on_page),
        _event("view_search_results", f'{{ parameter = "search_term", contains = "{word}" }}'),
        _event("user_engagement", engaged),
        _event("view_item", f'{{ item = "item_category", contains = "{category}" }}'),
        _event("add_to_cart", f'{{ item = "price", at_least = {dear} }}'),
        _event(step, f'{{ user_property = "plan", equals = "{word}" }}'),
        _event("page_view", f'{{ query = "{query}", exists = true }}', on_page),
        f'event = "page_view"\npage = {{ {way} = "/{word}" }}',
        f"event = \"page_view\"\npage = {{ matches = '(^|[/+-]){word}s?($|[/.+-])' }}",
        _event(look, f'{{ field = "host", contains = "{host}" }}', on_page),
        _event(step, f'{{ field = "platform", equals = "{platform}" }}'),
        _event(step, f'{{ field = "stream", matches = "{turn % 10}$" }}'),
        _event("select_item", f'{{ field = "app_version", exists = {str(bool(turn % 2)).lower()} }}'),
        f'event = {{ matches = "{pattern}" }}',
        _event("view_item", f"{{ any = [{named}, {priced}] }}, {{ not = {{ all = [{not_there}] }} }}"),
        f'event = "{step}"\ncollapse = "{1 + turn % 5}s"',
        f'event = ["user_engagement", "page_view", "scroll"]\n{on_page}\ncounts = false',
    )


def _event(name: str, conditions: str, page: str = "") -> str:
    return f'event = "{name}"\nwhere = [{conditions}]\n{page}'


def _derived(turn: int) -> tuple[str, ...]:
    look, step = _pick(LOOKS, turn), _pick(STEPS, turn)
    other = _pick((*STEPS, *LOOKS), turn + 2)
    end = "purchase" if step != "purchase" else "begin_checkout"
    span, name = _pick(SPANS, turn), _pick(PROPERTIES, turn)
    needed = 2 + turn % 4
    engaged = f'total = "engagement_seconds", reaches = {30 * needed}'
    return (
        f'derived = {{ of = "view_item", times = {needed + 1}, within = "{span}" }}',
        f'derived = {{ of = ["{look}", "page_word_{turn}"], times = {needed}, within = "{span}" }}',
        f'derived = {{ of = "{look}", sessions = {needed}, within = "{span}" }}',
        f'derived = {{ of = ["{look}", "{step}"], days = {needed}, within = "{span}" }}',
        f'derived = {{ of = "{look}", distinct = "{name}", at_least = {needed}, within = "{span}" }}',
        f'derived = {{ of = "purchase", total = "value", reaches = {50 * needed}, within = "{span}" }}',
        f'derived = {{ of = "signal_{turn}", {engaged}, within = "{span}" }}',
        f'derived = {{ of = "{look}", again = "{name}", within = "{span}" }}',
        f'derived = {{ of = "{step}", times = {needed}, same = "page", within = "{span}" }}',
        f'derived = {{ between = ["{look}", "{step}"], switches = {needed}, within = "{span}" }}',
        f'hesitation = {{ start = "{step}", without = "{end}", within = "{span}" }}',
        f'hesitation = {{ start = "item_category_{turn}", without = "{step}", same = "{name}", within = "{span}" }}',
        f'hesitation = {{ stalled_after = "{look}", for = "{span}" }}',
        f'hesitation = {{ pause_after = "{step}", for = "{1 + turn % 9}m" }}',
        f'derived = {{ first = "{look}", without = "{end}", within = "{span}" }}',
        f'derived = {{ first = "{step}", then = "{look if other == step else other}", within = "{span}" }}',
        # Derived of derived, and of these in turn.
        f'derived = {{ of = "left_{turn}", times = 2, within = "{span}" }}',
        f'derived = {{ first = "left_{turn}", without = "purchase", within = "{span}" }}',
        f'hesitation = {{ start = "left_twice_{turn}", without = "purchase", within = "{span}" }}',
    )


_NAMES = (
    "depth",
    "search_term",
    "long_look",
    "item_category",
    "item_price",
    "plan",
    "query",
    "page_word",
    "page_pattern",
    "host",
    "platform",
    "stream",
    "app_version",
    "event_pattern",
    "group",
    "collapsed",
    "signal",
    "times",
    "times_of_two",
    "sessions",
    "days",
    "different",
    "spent",
    "engaged",
    "again",
    "same_page",
    "back_and_forth",
    "left",
    "left_same",
    "stalled",
    "paused",
    "returned",
    "then",
    "left_twice",
    "back_after_leaving",
    "gone_after_leaving",
)
"""The names of what `_observed` and `_derived` yield, in their order."""
