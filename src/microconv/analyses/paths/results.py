"""What paths return."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from microconv.analyses.paths.question import By, Nodes
from microconv.result import Result

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["sequences", "transitions", "links"]

ARROW = " > "
"""What stands between the nodes of a sequence in text."""


@dataclass(frozen=True)
class PathSequence:
    """Nodes in the order they happened (`a > b > c`), and the journeys that are made of just these.

    `share` is of all journeys (0 to 1), `conversions` are journeys that reach the goal, `seconds_median` is the median
    time from the first node to the last.
    """

    sequence: str
    journeys: int
    share: float
    conversions: int
    seconds_median: float

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes one by one; no name of a node holds the arrow."""
        return tuple(self.sequence.split(ARROW))


@dataclass(frozen=True)
class Transition:
    """How often one node follows another, over whole journeys.

    `probability` is the share of `from_node`'s transitions (0 to 1), `returns` are those to a node that the journey had
    been at before, `skips` those that pass over a milestone, `seconds_median` is the median time of a hop; None from
    `(start)` and to `(exit)`.
    """

    from_node: str
    to_node: str
    transitions: int
    probability: float
    returns: int
    skips: int
    seconds_median: float | None


@dataclass(frozen=True)
class PathLink:
    """Journeys that go from one node to the next: a band of a Sankey diagram.

    Positions count from the point, which is 0: -2, -1, 0 on the way to it, 0, 1, 2 on the way from it. The link goes
    from `from_node` at `from_position` to `to_node` at the position after.
    """

    from_position: int
    from_node: str
    to_node: str
    journeys: int


@dataclass(frozen=True)
class PathsResult(Result):
    """Journeys to a point, from it, or from where they start: sequences, transitions and links, most frequent first.

    `journeys` are units (sessions or actors), one journey each; `conversions` those that reach the goal. `rows` are the
    sequences; `shown` gives the same result with other rows.
    """

    analysis: ClassVar[str] = "path_sequences"
    row_type: ClassVar[type] = PathSequence

    to: str | None
    from_: str | None
    goal: str
    by: By
    nodes: Nodes
    without: tuple[str, ...]
    window_seconds: int
    length: int
    collapse: bool
    journeys: int
    conversions: int
    sequences: tuple[PathSequence, ...]
    transitions: tuple[Transition, ...]
    links: tuple[PathLink, ...]
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[Any, ...]:
        """The sequences."""
        return self.sequences

    def shown(self, kind: Kind) -> PathsResult:
        """Return this result with the sequences, the transitions or the links as its rows."""
        return {"sequences": PathsResult, "transitions": _Transitions, "links": _Links}[kind](**vars(self))

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the attributes, with `from` for `from_` and the `nodes` of each sequence."""
        document = {name.removesuffix("_"): value for name, value in super().document().items()}
        document["sequences"] = [asdict(each) | {"nodes": each.nodes} for each in self.sequences]
        return document

    def to_pandas(self, kind: Kind | None = None) -> pd.DataFrame:
        """Return one row per sequence, transition or link, with the columns of its class; by default, `rows`."""
        return super().to_pandas() if kind is None else self.shown(kind).to_pandas()


class _Transitions(PathsResult):
    analysis = "path_transitions"
    row_type = Transition

    @property
    def rows(self) -> tuple[Transition, ...]:
        return self.transitions


class _Links(PathsResult):
    analysis = "path_links"
    row_type = PathLink

    @property
    def rows(self) -> tuple[PathLink, ...]:
        return self.links
