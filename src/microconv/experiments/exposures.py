"""Who is in an experiment: the parameters that all its queries share, and whether its split is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from microconv import wording
from microconv.config.experiment_settings import ExperimentConfig
from microconv.queries import templates
from microconv.queries.conditions import Operands
from microconv.queries.templates import Query, Value
from microconv.result import column
from microconv.staging.properties import parameter_looked_at, variant_of
from microconv.stats.sample_ratio import FAILS_BELOW, Misplaced, located, split_test

_DIMENSIONS = ("device", "country", "day")


def exposure_query(
    name: str,
    experiment: ExperimentConfig,
    end_at: datetime,
    params: Mapping[str, Value] | None = None,
    **structure: object,
) -> Query:
    """Return a query over those who are in an experiment.

    Args:
        name: The template, one of `sql/experiments/`.
        experiment: The experiment.
        end_at: When the data end.
        params: What else it takes.
        structure: What else decides its structure.
    """
    exposure, operands = experiment.exposure, Operands()
    tests = []
    for each in exposure.where:
        looked_at = parameter_looked_at(each)
        tests.append(operands.add(each, looked_at.column, is_number=looked_at.is_number))
    of_exposure: dict[str, Value] = {
        "event": exposure.external or exposure.event,
        "variants": list(experiment.names),
        "first_date": experiment.since,
        "last_date": experiment.until,
        "end_at": end_at,
    }
    return templates.query(
        name,
        params={**of_exposure, **(params or {}), **operands.params},
        structure={
            "source": "external" if exposure.external else "events",
            "variant_column": variant_of(experiment).column,
            "tests": tests,
            **structure,
        },
    )


@dataclass(frozen=True)
class VariantSize:
    """How many actors a variant has, and what share of all; `expected` is the share that it should have."""

    variant: str = column("variant")
    actors: int = column("actors", wording.count)
    share: float | None = column("share", wording.share)
    expected: float = column("should be", wording.share)


@dataclass(frozen=True)
class WrongSplit:
    """A level of a dimension in which the split is wrong; `is_alone` where it is right in all others."""

    dimension: str = column("by")
    level: str = column("level")
    actors: str = column("actors by variant")
    p_value: float = column("p", wording.p_value)
    is_alone: bool = column("right in the rest")


@dataclass(frozen=True)
class Split:
    """The actors of an experiment by variant, held against the shares that they should have.

    Attributes:
        sizes: By variant, the control first.
        p_value: Of such a split, or a worse one, by chance.
        is_told: Whether there are enough actors to tell.
        places: Where the split is wrong, the farthest off first.
        in_two: Actors who saw two variants, and count in none.
        of_others: Actors of variants that are not of the experiment, by variant.
        first_date: The first day on which somebody was exposed.
        last_date: The last such day.
    """

    sizes: tuple[VariantSize, ...]
    p_value: float
    is_told: bool
    places: tuple[WrongSplit, ...]
    in_two: int
    of_others: tuple[tuple[str, int], ...]
    first_date: date | None
    last_date: date | None

    @classmethod
    def read(cls, rows: Iterable[Mapping[str, Any]], experiment: ExperimentConfig) -> Split:
        """Read the rows of `sql/experiments/splits.sql`."""
        names = experiment.names
        shares = [experiment.variants[each] for each in names]
        levels: dict[str, dict[str, list[int]]] = {each: {} for each in ("all", *_DIMENSIONS)}
        in_two, others = 0, []
        for row in rows:
            if row["dimension"] in levels:
                counted = levels[row["dimension"]].setdefault(row["level"], [0] * len(names))
                counted[names.index(row["variant"])] = row["actors"]
            elif row["dimension"] == "two variants":
                in_two = row["actors"]
            else:
                others.append((str(row["variant"]), int(row["actors"])))
        actors = levels["all"].get("", [0] * len(names))
        test, number = split_test(actors, shares), sum(actors)
        places = [(each, dimension) for dimension in _DIMENSIONS for each in located(levels[dimension], shares)]
        places.sort(key=lambda place: (not place[0].is_alone, -place[0].statistic, place[1], place[0].level))
        days = sorted(levels["day"])
        return cls(
            sizes=tuple(
                VariantSize(name, own, wording.ratio(own, number), share)
                for name, own, share in zip(names, actors, shares, strict=True)
            ),
            p_value=test.p_value,
            is_told=test.is_told,
            places=tuple(_place(each, dimension, names) for each, dimension in places),
            in_two=in_two,
            of_others=tuple(sorted(others, key=lambda other: (-other[1], other[0]))),
            first_date=date.fromisoformat(days[0]) if days else None,
            last_date=date.fromisoformat(days[-1]) if days else None,
        )

    @property
    def actors(self) -> int:
        """How many actors count."""
        return sum(each.actors for each in self.sizes)

    @property
    def is_wrong(self) -> bool:
        """Whether the split is wrong, in all or somewhere."""
        return self.p_value < FAILS_BELOW or bool(self.places)

    @property
    def says(self) -> str:
        """Say whether the split is right, and if not, where it is wrong."""
        told = ", ".join(f"{each.variant}: {wording.count(each.actors)}" for each in self.sizes)
        if not self.is_told:
            return f"There are too few actors to tell whether the split is right ({told})."
        if not self.is_wrong:
            return f"The split is as it should be ({told}; p {written_p(self.p_value)})."
        wanted = " to ".join(wording.share(each.expected) for each in self.sizes)
        said = f"The split is wrong: {told}, and it should be {wanted} (p {written_p(self.p_value)})."
        alone = [each for each in self.places if each.is_alone]
        if alone:
            named = wording.listed([f"{each.level} ({each.dimension})" for each in alone[:3]])
            return f"{said} It lies in {named}: elsewhere the split is right."
        if self.places:
            named = wording.listed([f"{each.level} ({each.dimension})" for each in self.places[:3]])
            return f"{said} It is farthest off in {named}, and wrong elsewhere, too."
        return f"{said} No device, country or day explains it."

    def assumptions(self) -> Iterator[str]:
        """Say who does not count."""
        if self.in_two:
            share = wording.share(self.in_two / (self.in_two + self.actors))
            yield f"{wording.plural(self.in_two, 'actor')} saw two variants and count in none ({share} of all exposed)."
        else:
            yield "No actor saw two variants."
        if self.of_others:
            named = wording.listed([f"{name} ({wording.count(number)})" for name, number in self.of_others])
            yield f"Left out, since [[experiments]] does not name their variant: {named}."


def written_p(value: float) -> str:
    """Write a p-value for a sentence: `= 0.012`, `<0.001`."""
    written = wording.p_value(value)
    return written if written.startswith("<") else f"= {written}"


def _place(found: Misplaced, dimension: str, names: Sequence[str]) -> WrongSplit:
    told = ", ".join(f"{name}: {wording.count(own)}" for name, own in zip(names, found.actors, strict=True))
    return WrongSplit(dimension, found.level, told, found.p_value, found.is_alone)
