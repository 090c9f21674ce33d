"""No two lists are one at the platform: each push would take the other's members off it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TypeAlias

from microconv.activation.destinations.base import Destination
from microconv.config.sections import Config
from microconv.errors import MicroconvError, UsageError

Place: TypeAlias = tuple[str, str, str]
"""The kind of a destination, the account there, and the list in it."""


def check_places(lists: Iterable[tuple[str, str]], config: Config, destination: Callable[[str], Destination]) -> None:
    """Hold the places of lists, each of a segment at a destination, against each other and those of the configuration.

    Raises:
        UsageError: Two of them have one place.
    """
    places: dict[Place, tuple[str, str]] = {}
    for wanted in dict.fromkeys(lists):
        _settle(places, wanted, _place(destination(wanted[1]), wanted[0]))
    asked = set(places)
    for segment in config.segments:
        for at in segment.destinations:
            place = None
            # What is wrong with a list that is not asked for is for its own push to say.
            with suppress(MicroconvError):
                place = _place(destination(at), segment.name)
            if place in asked:
                _settle(places, (segment.name, at), place)


def _place(at: Destination, segment: str) -> Place:
    return at.settings.kind, at.account, at.list_place(segment)


def _settle(places: dict[Place, tuple[str, str]], this: tuple[str, str], place: Place) -> None:
    other = places.setdefault(place, this)
    if other == this:
        return
    (one, here), (two, there) = other, this
    if here == there:
        said = f"The segments {one} and {two} would share a list at {here}, and take each other's members off."
    else:
        said = (
            f"The segment {one} at {here} and the segment {two} at {there} would share a list, and take each other's "
            "members off."
        )
    raise UsageError(said, hint="Give one of them another list, audience, property or address, or leave it out.")
