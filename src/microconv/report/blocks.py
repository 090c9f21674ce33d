"""What a section of the report is made of. The page and the Markdown show the same blocks, each in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from microconv.audit.audit_findings import AuditResult
from microconv.findings import Finding
from microconv.report.heat import HeatMap
from microconv.wording import Sheet

if TYPE_CHECKING:  # it loads plotly
    from microconv.report.figures import Figure


@dataclass(frozen=True)
class Key:
    """One entry of a chart's legend: its mark (a plotly symbol) and the CSS variable of its colour."""

    name: str
    symbol: str
    colour: str


@dataclass(frozen=True)
class Plot:
    """A figure with the id of its element, the words for those who do not see it, and its legend.

    The legend is the page's own, because plotly's does not wrap on a phone. A figure that `is_wide` scrolls inside
    itself where there is no room for it.
    """

    id: str
    label: str
    figure: Figure
    legend: tuple[Key, ...] = ()
    is_wide: bool = False


@dataclass(frozen=True)
class Said:
    """A paragraph. One that explains how to read what follows is written smaller (`is_aside`)."""

    kind: ClassVar[str] = "said"

    text: str
    is_aside: bool = False


@dataclass(frozen=True)
class Copied:
    """Text to copy as it is, such as SQL."""

    kind: ClassVar[str] = "copied"

    text: str


@dataclass(frozen=True)
class Tabled:
    """A table; with `folded`, behind these words, and open on paper."""

    kind: ClassVar[str] = "table"

    sheet: Sheet
    folded: str = ""


@dataclass(frozen=True)
class Picture:
    """A chart and the table of its numbers: beside it where there is room, below it, or folded behind some words."""

    kind: ClassVar[str] = "picture"

    plot: Plot
    sheet: Sheet
    folded: str = ""
    is_beside: bool = False


@dataclass(frozen=True)
class Points:
    """A list of sentences behind a title, such as what figures rest on."""

    kind: ClassVar[str] = "points"

    title: str
    points: tuple[str, ...]


@dataclass(frozen=True)
class Titled:
    """Blocks under a heading of their own; without a title they only belong together."""

    kind: ClassVar[str] = "titled"

    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Panel:
    """One of several views, with what it is called in the choice (`name`) and above it (`title`)."""

    id: str
    name: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Choice:
    """Panels of which the reader sees one at a time; the last one at first. On paper, all of them."""

    kind: ClassVar[str] = "choice"

    legend: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Heat:
    """The coverage heat map."""

    kind: ClassVar[str] = "heat"

    heat: HeatMap


@dataclass(frozen=True)
class Audited:
    """An audit: its findings, and what became of each check."""

    kind: ClassVar[str] = "audited"

    audit: AuditResult


@dataclass(frozen=True)
class Findings:
    """Findings with the anchors that have their details, by check; empty where nothing stands out."""

    kind: ClassVar[str] = "findings"

    findings: tuple[Finding, ...]
    details: dict[str, str]


@dataclass(frozen=True)
class Tile:
    """A key figure: its name, its value, and how that compares with the days before, if it does."""

    name: str
    value: str
    against: str = ""


@dataclass(frozen=True)
class Tiles:
    """Key figures."""

    kind: ClassVar[str] = "tiles"

    tiles: tuple[Tile, ...]


@dataclass(frozen=True)
class OverviewLine:
    """A sentence of the overview, and the id of the section that it comes from."""

    text: str
    section: str


@dataclass(frozen=True)
class Lines:
    """Sentences of the overview under a few words."""

    kind: ClassVar[str] = "lines"

    title: str
    lines: tuple[OverviewLine, ...]


@dataclass(frozen=True)
class Signal:
    """An entry of the journey map that was seen, and how often."""

    name: str
    seen: str
    is_macro: bool


@dataclass(frozen=True)
class Stage:
    """A stage of the journey map: its signals (`more` of them are not named), its friction and its gaps."""

    name: str
    signals: tuple[Signal, ...]
    more: int
    friction: tuple[str, ...]
    gaps: tuple[str, ...]


@dataclass(frozen=True)
class Journey:
    """The journey map."""

    kind: ClassVar[str] = "journey"

    stages: tuple[Stage, ...]


Block = (
    Said | Copied | Tabled | Picture | Points | Titled | Choice | Heat | Audited | Findings | Tiles | Lines | Journey
)
"""One thing on the page."""


@dataclass(frozen=True)
class Part:
    """One section as it is shown: its anchor, its heading and its blocks."""

    id: str
    title: str
    blocks: tuple[Block, ...]
