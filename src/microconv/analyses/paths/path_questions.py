"""Paths: the journeys to a point, or from one, as the most frequent sequences, as transitions, and as a flow.

Three questions that differ in what they show. Each makes all three queries, so that a JSON document has everything.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from microconv import wording
from microconv.config.problems import ItemError
from microconv.config.sections import Config
from microconv.config.values import Duration, EntryId, Length, as_list, unique
from microconv.queries import templates
from microconv.queries.templates import Query, Value
from microconv.question import Context, Option, Question
from microconv.result import Result, column, sheet
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar, Heading, Sheet

if TYPE_CHECKING:
    import pyarrow as pa

Units = Literal["sessions", "actors"]
Nodes = Literal["micro_conversion", "page"]
Direction = Literal["to", "from", "start"]

ARROW = " > "
"""What stands between the nodes of a sequence in text."""

MORE = "…"
"""Stands in a sequence where journeys go on that are longer than what is shown; so in the template."""

PAGE = "page:"
"""What the path of a page begins with where a micro-conversion could stand as well."""

MOST_STATES = 100
"""Nodes that transitions name; all others are `(other)`, since a site has more pages than anybody reads rows."""


# Results


@dataclass(frozen=True)
class PathSequence:
    """Nodes in the order in which they happened (`a > b > c`), and the journeys that consist of exactly these.

    `… > a > b` are journeys that had begun before, `a > b > …` those that went on. `share` is of all journeys (0 to 1),
    `conversions` are journeys that reach the goal, `seconds_median` is the median time from the first node shown to the
    last.
    """

    sequence: str = column("path")
    journeys: int = column("journeys", wording.count)
    share: float = column("share", wording.share)
    conversions: int = column("conversions", wording.count)
    seconds_median: float = column("median time", wording.elapsed)

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes that are shown, one by one; no name of a node holds the arrow."""
        return tuple(self.sequence.removeprefix(f"{MORE}{ARROW}").removesuffix(f"{ARROW}{MORE}").split(ARROW))

    @property
    def is_cut(self) -> bool:
        """Whether the journeys are longer than what is shown of them."""
        return len(self.nodes) < len(self.sequence.split(ARROW))


@dataclass(frozen=True)
class Transition:
    """How often one node follows another, over whole journeys.

    `probability` is the share of all transitions from `from_node` (0 to 1), `returns` are those to a node where the
    journey had been before, `skips` those that pass over a milestone, `seconds_median` is the median time between the
    two; None from `(start)` and to `(exit)`.
    """

    from_node: str = column("from")
    to_node: str = column("to")
    transitions: int = column("transitions", wording.count)
    probability: float = column("probability", wording.share)
    returns: int = column("returns", wording.count)
    skips: int = column("skips", wording.count)
    seconds_median: float | None = column("median time", wording.elapsed)


@dataclass(frozen=True)
class PathLink:
    """Journeys that go from one node to the next: a band of a Sankey diagram.

    Positions count from the point, which is 0: -2, -1, 0 on the way to it, 0, 1, 2 on the way from it. The link goes
    from `from_node` at `from_position` to `to_node` at the next position.
    """

    from_position: int = column("position", str)
    from_node: str = column("from")
    to_node: str = column("to")
    journeys: int = column("journeys", wording.count)


@dataclass(frozen=True)
class PathsResult(Result):
    """Journeys to a point, from one, or from their beginning: one of each session or actor.

    `conversions` are the journeys that reach the goal. Sequences come by number of journeys, then by text; transitions
    by number, then by name; links by position, then by number of journeys, then by name. Which of the three are the
    rows depends on the subclass.
    """

    to: str | None
    from_: str | None
    goal: str
    count: Units
    nodes: Nodes
    without: tuple[str, ...]
    window_seconds: int
    length: int
    keep_repeats: bool
    top: int
    journeys: int
    conversions: int
    sequences: tuple[PathSequence, ...]
    transitions: tuple[Transition, ...]
    links: tuple[PathLink, ...]
    sentence: str
    assumptions: tuple[str, ...]

    def document(self) -> dict[str, Any]:
        """Return the JSON document: the attributes, `from` for `from_`, and `nodes` and `is_cut` of each sequence."""
        document = {name.removesuffix("_"): value for name, value in super().document().items()}
        document["sequences"] = [asdict(each) | {"nodes": each.nodes, "is_cut": each.is_cut} for each in self.sequences]
        return document

    def title_of(self, what: str) -> str:
        """Return the title of a table of sequences, transitions or links."""
        point = f" to {self.to}" if self.to else f" from {self.from_}" if self.from_ else ""
        return f"Paths{point}, {what}, {self.count}: {wording.count(self.journeys)}"


@dataclass(frozen=True)
class PathSequencesResult(PathsResult):
    """Paths whose rows are the most frequent sequences."""

    row_type: ClassVar[type] = PathSequence

    @property
    def rows(self) -> tuple[PathSequence, ...]:
        """The sequences."""
        return self.sequences

    def sheets(self) -> Iterator[Sheet]:
        """Show a row per sequence, with the share of its journeys that convert."""
        yield Sheet(
            self.title_of("sequences"),
            (
                *(Heading("path"), Heading("journeys", wording.count), Heading("share", wording.share)),
                *(Heading(self.goal, wording.share), Heading("median time", wording.elapsed)),
            ),
            tuple(
                (row.sequence, row.journeys, row.share, row.conversions / row.journeys, row.seconds_median)
                for row in self.sequences
            ),
        )

    def bars(self) -> tuple[Bar, ...]:
        """One bar per sequence."""
        return tuple(Bar(row.sequence, row.journeys, wording.count(row.journeys)) for row in self.sequences)


@dataclass(frozen=True)
class PathTransitionsResult(PathsResult):
    """Paths whose rows are the transitions; tables and charts show the `top` most frequent."""

    row_type: ClassVar[type] = Transition

    @property
    def rows(self) -> tuple[Transition, ...]:
        """The transitions."""
        return self.transitions

    def sheets(self) -> Iterator[Sheet]:
        """Show a row per transition."""
        shown, total = self.transitions[: self.top], len(self.transitions)
        part = f"the first {wording.count(len(shown))} of {wording.count(total)} " if len(shown) < total else ""
        yield sheet(self.title_of(f"{part}transitions"), shown, Transition)

    def bars(self) -> tuple[Bar, ...]:
        """One bar per transition that is shown."""
        return tuple(
            Bar(f"{row.from_node}{ARROW}{row.to_node}", row.transitions, wording.count(row.transitions))
            for row in self.transitions[: self.top]
        )


@dataclass(frozen=True)
class PathLinksResult(PathsResult):
    """Paths whose rows are the links of the flow; all are shown, since a part of a flow makes no sense."""

    row_type: ClassVar[type] = PathLink

    @property
    def rows(self) -> tuple[PathLink, ...]:
        """The links."""
        return self.links

    @property
    def title(self) -> str:
        """What the table of the links is called."""
        return self.title_of("links")

    def bars(self) -> tuple[Bar, ...]:
        """One bar per link."""
        return tuple(
            Bar(f"{row.from_position}: {row.from_node}{ARROW}{row.to_node}", row.journeys, wording.count(row.journeys))
            for row in self.links
        )


# Questions


def page_of(name: str) -> str | None:
    """Return the path of a page given as `page:/checkout`; None for a micro-conversion."""
    return name.removeprefix(PAGE) if name.startswith(PAGE) else None


def _check_page(name: str) -> str:
    if name == PAGE:
        raise ValueError('names no page; write the path of one, such as "page:/checkout"')
    return name


Node = Annotated[EntryId, AfterValidator(_check_page)]
"""A micro-conversion, or a page as `page:/checkout`."""


class PathsQuestion(Question):
    """Journeys to a point (`to`), from one (`from_`), or from their beginning: one of each session or actor."""

    options: ClassVar[Mapping[str, Option]] = {
        "to": Option(metavar="POINT"),
        "from_": Option("--from", metavar="POINT"),
        "goal": Option(metavar="ID"),
        "without": Option(metavar="NODE"),
        "window": Option(metavar="TIME"),
    }
    examples: ClassVar[tuple[str, ...]] = (
        "paths --to purchase --without scroll",
        "paths --from page:/pricing --nodes page --count actors --window 7d",
        "paths --to purchase --show transitions --format csv",
    )
    in_report: ClassVar[bool] = False
    result_type: ClassVar[type[PathsResult]]
    """What its answer is."""

    to: Node | None = Field(default=None, description="micro-conversion, or page:/checkout, that journeys lead to")
    from_: Node | None = Field(default=None, description="micro-conversion, or page:/checkout, that journeys begin at")
    goal: EntryId | None = Field(
        default=None, description="what makes a journey convert; default: the first macro-conversion"
    )
    count: Units = Field(default="sessions", description="whose journeys are counted")
    nodes: Nodes = Field(default="micro_conversion", description="what journeys are made of")
    without: Annotated[tuple[Node, ...], BeforeValidator(as_list), AfterValidator(unique)] = Field(
        default=(), description="leave out a micro-conversion or page"
    )
    window: Length = Field(
        default=Duration.parse("30d"), description="how much time before or after the point a journey covers"
    )
    length: int = Field(default=5, ge=1, le=20, description="maximum number of nodes to show beside the point")
    keep_repeats: bool = Field(
        default=False, description="count every repeat: by default, a node several times in a row counts once"
    )
    top: int = Field(default=20, ge=1, le=1_000, description="maximum number of sequences, and of rows in a table")
    max_nodes: int = Field(
        default=8, ge=1, le=100, description="maximum number of nodes at each position of the flow; others are (other)"
    )

    @model_validator(mode="after")
    def _has_one_point(self) -> Self:
        if self.to is not None and self.from_ is not None:
            raise ItemError("cannot be given beside from: a funnel counts the way between two points", ("to",))
        if self.point in self.without:
            raise ItemError(f"names {self.point}, which is the point of the paths", ("without",))
        return self

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield the paths to the first macro-conversion."""
        yield cls(to=taxonomy.macros[0])

    @property
    def direction(self) -> Direction:
        """Whether journeys lead `to` a point, `from` a point, or `start` with the first node."""
        return "to" if self.to is not None else "from" if self.from_ is not None else "start"

    @property
    def point(self) -> str | None:
        """The point as given; None where journeys start with the first node."""
        return self.to if self.to is not None else self.from_

    @property
    def unit(self) -> str:
        """What has one journey each, in the singular: `session` or `actor`."""
        return self.count.removesuffix("s")

    @property
    def node_name(self) -> str:
        """What a node is called: `micro-conversion` or `page`."""
        return self.nodes.replace("_", "-")

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the micro-conversions among its nodes, and the goal."""
        if self.point is not None and page_of(self.point) is None:
            yield self.point, f"paths {self.direction} {self.point}"
        yield from ((name, "what paths leave out") for name in self.without if page_of(name) is None)
        if self.goal is not None:
            yield self.goal, "the goal of paths"

    def goal_in(self, taxonomy: Taxonomy) -> str:
        """Return the id under which the goal is staged."""
        return taxonomy.goal(self.goal)

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of the sequences, the transitions and the links."""
        taxonomy = context.taxonomy
        furthest = self.length - (self.direction == "start")  # the point itself, if any, comes on top
        sequences: dict[str, Value] = {"furthest": furthest, "goal": self.goal_in(taxonomy), "most": self.top}
        transitions: dict[str, Value] = {"most": MOST_STATES}
        if self.nodes == "micro_conversion":
            transitions["milestones_before"], transitions["milestones_done"] = self._milestones(taxonomy)
        return (
            self._query("analyses/paths/sequences", taxonomy, sequences),
            self._query("analyses/paths/transitions", taxonomy, transitions),
            self._query("analyses/paths/links", taxonomy, {"furthest": furthest, "most": self.max_nodes}),
        )

    def _query(self, name: str, taxonomy: Taxonomy, own: Mapping[str, Value]) -> Query:
        params: dict[str, Value] = {**own, "window_us": self.window.microseconds, "without": self._without(taxonomy)}
        kind = None
        if self.point is not None:
            kind = "micro_conversion" if page_of(self.point) is None else "page"
            params["point"] = _staged(self.point, taxonomy)
        if "micro_conversion" in (self.nodes, kind):
            params["micro_conversions"] = _ranked(taxonomy)
        return templates.query(
            name,
            params=params,
            structure={
                "count": self.count,
                "nodes": self.nodes,
                "point": kind,
                "leads": "to" if self.direction == "to" else "from",
                "keep_repeats": self.keep_repeats,
            },
        )

    def _without(self, taxonomy: Taxonomy) -> list[str]:
        return [_staged(name, taxonomy) for name in self.without]

    def _milestones(self, taxonomy: Taxonomy) -> tuple[list[int], list[int]]:
        """Return, for each ranked id, the milestones that come before it and those done or passed over with it.

        Secondary entries are not steps on the way and pass over nothing; what is left out cannot be passed over.
        """
        before, done, milestones, without = [], [], 0, self._without(taxonomy)
        for entry_id in _ranked(taxonomy):
            kind = "secondary" if entry_id in without else taxonomy.entry(entry_id).kind
            before.append(0 if kind == "secondary" else milestones)
            milestones += kind == "milestone"
            done.append(0 if kind == "secondary" else milestones)
        return before, done

    def result(self, tables: Sequence[pa.Table], context: Context) -> PathsResult:
        """Return the paths, with shares of all journeys and of the transitions from each node."""
        sequences, transitions, links = (table.to_pylist() for table in tables)
        journeys, conversions = (sequences[0][name] if sequences else 0 for name in ("all_journeys", "all_conversions"))
        goal = self.goal_in(context.taxonomy)
        return self.result_type(
            to=self.to,
            from_=self.from_,
            goal=goal,
            count=self.count,
            nodes=self.nodes,
            without=self.without,
            window_seconds=self.window.seconds,
            length=self.length,
            keep_repeats=self.keep_repeats,
            top=self.top,
            journeys=journeys,
            conversions=conversions,
            sequences=tuple(
                PathSequence(
                    sequence=row["sequence"],
                    journeys=row["journeys"],
                    share=row["journeys"] / journeys,
                    conversions=row["conversions"],
                    seconds_median=row["seconds_median"],
                )
                for row in sequences
            ),
            transitions=_transitions(transitions),
            links=tuple(PathLink(**row) for row in links),
            sentence=self._sentence(goal, journeys, conversions, sequences),
            assumptions=self._assumptions(goal),
        )

    def _sentence(self, goal: str, journeys: int, conversions: int, sequences: Sequence[Mapping[str, Any]]) -> str:
        first = "page view" if self.nodes == "page" else self.node_name
        reached = f"reached {self.point}" if self.point else f"had a {first}"
        if not sequences:
            return f"No {self.unit} {reached} in the staged days, so there are no paths."
        converted = "" if goal == self.point else f", and {wording.count(conversions)} of them converted ({goal})"
        top = sequences[0]
        return (
            f"{wording.plural(journeys, self.unit)} {reached}{converted}; the most frequent path is {top['sequence']} "
            f"({wording.count(top['journeys'])}, {wording.share(top['journeys'] / journeys)})."
        )

    def _assumptions(self, goal: str) -> tuple[str, ...]:
        unit, window = self.unit, wording.span(self.window.seconds)
        point = self.point or self.node_name
        journey = {
            "to": f"it ends with the first {point} of the {unit} and holds what came at most {window} before",
            "from": f"it begins with the first {point} of the {unit} and holds what came at most {window} later",
            "start": f"it begins with the first {point} of the {unit} and holds what came at most {window} later",
        }[self.direction]
        nodes = wording.plural(self.length, self.node_name)
        shown = {
            "to": f"the last {nodes} before {point}",
            "from": f"the first {nodes} after {point}",
            "start": f"the first {nodes}",
        }[self.direction]
        anchor = self.point or "its beginning"
        return (
            f"Each {unit} has one journey: {journey}.",
            f"Sequences and links show {shown}; transitions show the whole journey.",
            f"In a sequence, {MORE} stands where its journeys are longer.",
            f"The same {self.node_name} several times in a row counts "
            + ("each time." if self.keep_repeats else "once, at the time of the first."),
            f"Every journey converts, since {goal} is the goal."
            if goal == self.point
            else f"A journey converts when its {unit} reaches {goal} at {anchor} or at most {window} later.",
            "What happened in other sessions does not count."
            if unit == "session"
            else "What happened before the first staged day or after the last is not known.",
            *([f"Left out: {', '.join(self.without)}."] if self.without else []),
            "What comes before a conversion did not necessarily cause it.",
        )


class PathSequences(PathsQuestion):
    """Show the paths to a micro-conversion or page, or from one; without either, those that sessions begin with.

    Each session (or actor) has one journey: to its first POINT, or from it. Tables, charts, CSV and kept results show
    the most frequent sequences of nodes, the transitions from node to node, or the links of a flow by position; JSON
    has all three.
    """

    result_type: ClassVar[type[PathsResult]] = PathSequencesResult


class PathTransitions(PathsQuestion):
    """Show how often each node follows another, over whole journeys."""

    result_type: ClassVar[type[PathsResult]] = PathTransitionsResult


class PathLinks(PathsQuestion):
    """Show the flow of journeys next to the point, by position."""

    result_type: ClassVar[type[PathsResult]] = PathLinksResult


def _staged(name: str, taxonomy: Taxonomy) -> str:
    """Return the name of a node in the staged tables: the path of a page, or the id that occurrences count under."""
    page = page_of(name)
    return taxonomy.counted(name) if page is None else page


def _ranked(taxonomy: Taxonomy) -> list[str]:
    """The ids that occurrences are counted under, in the order of the journey."""
    return sorted({entry.counts_as for entry in taxonomy.entries}, key=taxonomy.rank)


def _transitions(rows: Sequence[Mapping[str, Any]]) -> tuple[Transition, ...]:
    leaving: dict[str, int] = {}
    for row in rows:
        leaving[row["from_node"]] = leaving.get(row["from_node"], 0) + row["transitions"]
    return tuple(Transition(**row, probability=row["transitions"] / leaving[row["from_node"]]) for row in rows)
