"""What a model of propensity looks at: features of an actor before a moment, the query of them, and their words."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Self, get_args

from pydantic import BaseModel, ConfigDict

from microconv import wording
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.taxonomy import Taxonomy
from microconv.taxonomy.entry import STAGES

Kind = Literal[
    "times",
    "acts",
    "recent_acts",
    "sessions",
    "active_days",
    "hours_since_last",
    "hours_since_first",
    "returning",
    "reached_stage",
    "hesitated_last",
    "device",
    "channel",
]

EVERYBODY = "ffffff"
"""The largest piece of a hash that `last_hash` takes: no actor is left out."""
_MOST: Mapping[str, int] = {"times": 20, "acts": 100, "recent_acts": 50, "sessions": 30, "active_days": 60}
_FLAGS = ("returning", "reached_stage", "hesitated_last", "device", "channel")
_FEWEST_OF_A_TRAIT = 0.01
_MOST_OF_A_TRAIT = 8
_HASHES = 16**6


class GoalWindow(NamedTuple):
    """A goal, within how long it is to be reached after a moment, and how far features look back before it."""

    goal: str
    window_seconds: int
    lookback_seconds: int

    def params(self, cut_offs_us: Sequence[int], last_hash: str) -> dict[str, Any]:
        """Return the parameters of `sql/analyses/propensity/_actors.sql`."""
        return {
            "cut_offs_us": list(cut_offs_us),
            "lookback_us": self.lookback_seconds * 1_000_000,
            "window_us": self.window_seconds * 1_000_000,
            "goals": [self.goal],
            "last_hash": last_hash,
        }


class PropensityFeature(BaseModel):
    """One feature: its kind, and the entry, stage, device or channel that it is about."""

    model_config = ConfigDict(frozen=True)

    kind: Kind
    about: str = ""

    @property
    def name(self) -> str:
        """What it is called in messages and tables: `view_item`, `sessions`, `device mobile`."""
        if self.kind == "times":
            return self.about
        said = {
            "acts": "micro-conversions",
            "recent_acts": "micro-conversions in the last 3 days",
            "active_days": "days with a visit",
            "hours_since_last": "time since the last visit",
            "hours_since_first": "time since the first visit",
            "hesitated_last": "hesitation last",
        }
        return " ".join(filter(None, [said.get(self.kind, self.kind.replace("_", " ")), self.about]))

    @property
    def is_flag(self) -> bool:
        """Whether an actor has it or not; it is a number otherwise."""
        return self.kind in _FLAGS

    @property
    def is_time(self) -> bool:
        """Whether it is a time, in hours."""
        return self.kind in ("hours_since_last", "hours_since_first")

    def written(self, mean: float) -> str:
        """Write a mean of it: a share of actors, a time, or a number."""
        if self.is_flag:
            return wording.fine_share(mean)
        return wording.elapsed(round(mean) * 3_600) if self.is_time else wording.decimal(mean)

    def compared(self, mean: float, of_all: float) -> str:
        """Say how some actors differ from all: `more view_item (3.2, all: 0.8)`."""
        more = mean > of_all
        if self.kind == "hours_since_last":
            said = "longer away" if more else "back more recently"
        elif self.kind == "hours_since_first":
            said = "first seen longer ago" if more else "first seen more recently"
        elif self.is_flag:
            on = {"device": f"on {self.about}", "channel": f"last from {self.about}"}
            of = {"returning": "returning visitors", "reached_stage": f"in the stage {self.about}, or beyond"}
            what = on.get(self.kind) or of.get(self.kind) or "with hesitation as the last thing done"
            said = f"{'more' if more else 'fewer'} of them {what}"
        else:
            said = f"{'more' if more else 'fewer'} {self.name}"
        return f"{said} ({self.written(mean)}, all: {self.written(of_all)})"


class PropensityFeatures(BaseModel):
    """The features of a model in their order, and the lists that its query needs.

    Attributes:
        entries: What occurrences are counted of; each may have a feature, and all count together.
        stages: The stage of each, 1 to 4.
        hesitations: Those that show hesitation.
        devices: Devices that have a feature.
        channels: Channels that have one.
        features: The features.
    """

    model_config = ConfigDict(frozen=True)

    entries: tuple[str, ...]
    stages: tuple[int, ...]
    hesitations: tuple[str, ...]
    devices: tuple[str, ...]
    channels: tuple[str, ...]
    features: tuple[PropensityFeature, ...]

    @classmethod
    def candidates(cls, taxonomy: Taxonomy, goal: str, traits: Iterable[Mapping[str, Any]]) -> Self:
        """Return all features that a taxonomy and the devices and channels of the data give.

        Args:
            taxonomy: Its entries are counted, but for the goal.
            goal: The id under which the goal is staged.
            traits: Rows of `sql/analyses/propensity/traits.sql`.
        """
        entries = sorted({each.counts_as for each in taxonomy.entries} - {goal}, key=taxonomy.rank)
        known = [taxonomy.entry(each) for each in entries]
        rows = list(traits)
        devices, channels = (_frequent(rows, trait) for trait in ("device", "channel"))
        plain = [kind for kind in get_args(Kind) if kind not in ("times", "reached_stage", "device", "channel")]
        return cls(
            entries=tuple(entries),
            stages=tuple(STAGES.index(each.stage) + 1 for each in known),
            hesitations=tuple(each.id for each in known if each.is_hesitation),
            devices=devices,
            channels=channels,
            features=(
                *(PropensityFeature(kind=kind) for kind in plain),
                *(PropensityFeature(kind="reached_stage", about=each) for each in STAGES[1:3]),
                *(PropensityFeature(kind="device", about=each) for each in devices),
                *(PropensityFeature(kind="channel", about=each) for each in channels),
                *(PropensityFeature(kind="times", about=each) for each in entries),
            ),
        )

    def only(self, places: Iterable[int]) -> Self:
        """Return it with the features at some places only."""
        return self.model_copy(update={"features": tuple(self.features[place] for place in places)})

    def query(
        self, asked: GoalWindow, cut_offs_us: Sequence[int], last_hash: str = EVERYBODY, *, is_ordered: bool = False
    ) -> Query:
        """Return the query of the features at some moments, in microseconds since 1970."""
        return templates.query(
            "analyses/propensity/features",
            params={
                **asked.params(cut_offs_us, last_hash),
                "entries": list(self.entries),
                "stages": list(self.stages),
                "hesitations": list(self.hesitations),
                "devices": list(self.devices),
                "channels": list(self.channels),
            },
            structure={"features": [self._shape(each) for each in self.features], "is_ordered": is_ordered},
        )

    def _shape(self, feature: PropensityFeature) -> dict[str, Any]:
        lists: Mapping[str, Sequence[str]] = {
            "times": self.entries,
            "device": self.devices,
            "channel": self.channels,
            "reached_stage": ("", *STAGES),
        }
        place = lists[feature.kind].index(feature.about) if feature.kind in lists else 0
        return {"kind": feature.kind, "place": place, "most": _MOST.get(feature.kind, 0)}


def goal_rate_query(asked: GoalWindow, cut_offs_us: Sequence[int]) -> Query:
    """Return the query of how many actors there are at some moments, and how many of them reach the goal."""
    return templates.query("analyses/propensity/goal_rate", params=asked.params(cut_offs_us, EVERYBODY))


def traits_query(from_us: int, before_us: int) -> Query:
    """Return the query of devices and channels."""
    return templates.query("analyses/propensity/traits", params={"from_us": from_us, "before_us": before_us})


def part_of_actors(share: float) -> str:
    """Return the `last_hash` that keeps this share of actors, and the same ones whenever it is asked."""
    return f"{max(0, min(_HASHES - 1, round(share * _HASHES) - 1)):06x}"


def _frequent(rows: Sequence[Mapping[str, Any]], trait: str) -> tuple[str, ...]:
    """Return the most frequent values of a trait, in the order of the alphabet."""
    own = [row for row in rows if row["trait"] == trait]
    everybody = sum(row["actors"] for row in own)
    usual = [row for row in own if row["actors"] >= _FEWEST_OF_A_TRAIT * everybody]
    usual.sort(key=lambda row: (-row["actors"], row["value"]))
    return tuple(sorted(row["value"] for row in usual[:_MOST_OF_A_TRAIT]))
