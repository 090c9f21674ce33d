"""What is asked of paths: where they lead to or from, of whom, through what, how far and within what time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from microconv.config.values import Duration
from microconv.errors import UsageError

By = Literal["session", "actor"]
Nodes = Literal["micro_conversion", "page"]
Direction = Literal["to", "from", "start"]

PAGE = "page:"
"""What a point begins with that is the path of a page."""

_MOST = {"length": 20, "top": 1_000, "max_nodes": 100}


@dataclass(frozen=True)
class PathsQuestion:
    """Which journeys are looked at, and how much of them is shown.

    Attributes:
        to: The micro-conversion, or `page:/checkout`, that journeys lead to: for each unit its first occurrence.
        from_: The one that journeys begin at, likewise. Without either they begin at the unit's first node.
        goal: The micro-conversion that makes a journey convert, by default the taxonomy's first macro-conversion.
        by: Journeys of sessions or of actors.
        nodes: What journeys are made of: micro-conversions, or the pages viewed.
        without: Micro-conversions, or `page:/checkout`, that journeys leave out.
        window: How far a journey reaches from its point, inclusive.
        length: The most nodes of a sequence or of the flow, beside the point.
        collapse: Take repeats that follow each other for one node.
        top: The most sequences to return.
        max_nodes: The most nodes of the flow at one position; the others are `(other)`.

    Raises:
        UsageError: Both `to` and `from_` are given, the point is left out, a page has no path, or a number is out of
            its range.
    """

    to: str | None = None
    from_: str | None = None
    goal: str | None = None
    by: By = "session"
    nodes: Nodes = "micro_conversion"
    without: tuple[str, ...] = ()
    window: Duration = Duration.parse("30d")  # noqa: RUF009 - a frozen value
    length: int = 5
    collapse: bool = True
    top: int = 20
    max_nodes: int = 8

    def __post_init__(self) -> None:
        if self.to is not None and self.from_ is not None:
            raise UsageError(
                f"Paths lead to {self.to} or from {self.from_}, not both.",
                hint="Give one of the two; a funnel counts the way between two points.",
            )
        if PAGE in (self.point, *self.without):
            raise UsageError(f'"{PAGE}" names no page.', hint='Write the path of one, such as "page:/checkout".')
        if self.point in self.without:
            raise UsageError(f"Paths {self.direction} {self.point} cannot leave it out.", hint="Give it only once.")
        for name, most in _MOST.items():
            if not 1 <= (given := getattr(self, name)) <= most:
                raise UsageError(
                    f"{name} is {given}, and paths take 1 to {most}.", hint=f"Choose a number from 1 to {most}."
                )

    @property
    def direction(self) -> Direction:
        """Whether journeys lead `to` a point, `from` a point, or `start` with the unit's first node."""
        return "to" if self.to is not None else "from" if self.from_ is not None else "start"

    @property
    def point(self) -> str | None:
        """The point as given; None where journeys start with the unit's first node."""
        return self.to if self.to is not None else self.from_


def page_of(name: str) -> str | None:
    """Return the path of a page given as `page:/checkout`; None for a micro-conversion."""
    return name.removeprefix(PAGE) if name.startswith(PAGE) else None
