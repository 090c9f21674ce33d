"""Three days in which everything happens that a kill could tear apart; the second is exported twice."""

from __future__ import annotations

from datetime import date

from places import Event, Place

from ga4 import event

DAYS = (date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3))
LATER_SCHEMA = ("geo",)
"""The third day lacks columns of the others, so that it makes a batch of its own."""


def _page(name: str) -> dict[str, str]:
    return {"page_location": f"https://shop.example/{name}"}


# Ann browses without signing in on the first day. Bob's session goes on over midnight.
FIRST: list[Event] = [
    event("2024-03-01 12:00:00", "page_view", client="1.1", session=11, params=_page("home")),
    event("2024-03-01 12:00:05", "view_item", client="1.1", session=11, params=_page("shoe")),
    event("2024-03-01 23:58:00", "page_view", client="2.2", session=21, params={"source": "news", "medium": "email"}),
    event("2024-03-01 23:59:00", "view_item", client="2.2", session=21),
    event("2024-03-01 15:00:00", "page_view", client=None, session=None),
]
SECOND: list[Event] = [
    event("2024-03-02 00:01:00", "add_to_cart", client="2.2", session=21),
    event("2024-03-02 10:00:00", "page_view", client="1.1", session=12, params=_page("home")),
    event("2024-03-02 11:00:00", "page_view", client="3.3", session=31),
]
# Exported again: Ann signs in, so that her first day moves to her; events of Bob arrived late, one of them twice; Cid
# is gone; and another session goes on over midnight.
SECOND_AGAIN: list[Event] = [
    event("2024-03-02 00:01:00", "add_to_cart", client="2.2", session=21),
    event("2024-03-02 00:02:00", "begin_checkout", client="2.2", session=21),
    event("2024-03-02 00:02:00", "begin_checkout", client="2.2", session=21),
    event("2024-03-02 10:00:00", "page_view", client="1.1", session=12, user_id="ann", params=_page("home")),
    event("2024-03-02 23:59:30", "view_item", client="4.4", session=41, params=_page("hat")),
]
THIRD: list[Event] = [
    event("2024-03-03 00:00:30", "add_to_cart", client="4.4", session=41),
    event("2024-03-03 09:00:00", "purchase", client="1.1", session=13, user_id="ann", params={"value": 5}),
    event("2024-03-03 09:30:00", "page_view", client=None, session=None),
]


def begin(place: Place) -> None:
    """Export the first two days."""
    place.put(DAYS[0], FIRST)
    place.put(DAYS[1], SECOND)


def go_on(place: Place) -> None:
    """Export the second day again and the third for the first time: two batches."""
    place.put(DAYS[1], SECOND_AGAIN)
    place.put(DAYS[2], THIRD, without=LATER_SCHEMA)
