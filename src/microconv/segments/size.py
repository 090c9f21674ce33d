"""How many a segment holds, before anything is sent."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from microconv import wording
from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.config.segment_rules import SegmentRule
from microconv.config.segment_settings import SegmentConfig
from microconv.queries.templates import Query
from microconv.question import HIDDEN, Context, Option, Question, overlay, section_of
from microconv.result import Result, column
from microconv.segments.members import actors_query, members_query
from microconv.segments.propensity_rules import check_asked
from microconv.segments.sentence import sentence
from microconv.staging import properties
from microconv.staging.properties import Property
from microconv.taxonomy import Taxonomy
from microconv.wording import Bar

if TYPE_CHECKING:
    import pyarrow as pa


def _moment(value: datetime | None) -> str:
    return wording.NOTHING if value is None else f"{value:%Y-%m-%d %H:%M %Z}"


@dataclass(frozen=True)
class SegmentCount:
    """The members of a segment at a moment, those of them who are known by user_id, and what share of all they are."""

    segment: str = column("segment")
    as_of: datetime | None = column("as of", _moment)
    members: int = column("members", wording.count)
    with_user_id: int = column("with a user_id", wording.count)
    actors: int = column("all actors", wording.count)
    share: float | None = column("share of all", wording.share)


@dataclass(frozen=True)
class SegmentResult(Result):
    """How many a segment holds at a moment; those with a `user_id` can be looked up in the identity table.

    `as_of` is None where no event is staged, so that nobody is a member at any moment.
    """

    row_type: ClassVar[type] = SegmentCount

    segment: str
    as_of: datetime | None
    members: int
    with_user_id: int
    actors: int
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def rows(self) -> tuple[SegmentCount, ...]:
        """The segment."""
        return (
            SegmentCount(
                self.segment,
                self.as_of,
                self.members,
                self.with_user_id,
                self.actors,
                wording.ratio(self.members, self.actors),
            ),
        )

    @property
    def title(self) -> str:
        """Name the segment."""
        return f"Segment {self.segment}"

    def bars(self) -> tuple[Bar, ...]:
        """One bar for the members, one for those with a user_id."""
        return (
            Bar("members", self.members, wording.count(self.members)),
            Bar("with a user_id", self.with_user_id, wording.count(self.with_user_id)),
        )


class Segment(SegmentConfig, Question):
    """Count the members of the segment NAME, and how many of them are known by user_id. Nothing is written."""

    options: ClassVar[Mapping[str, Option]] = {
        "name": Option(metavar="NAME", is_argument=True),
        **{key: HIDDEN for key in SegmentConfig.model_fields if key != "name"},
    }
    examples: ClassVar[tuple[str, ...]] = (
        "segment cart_abandoners",
        "segment cart_abandoners --as-of 2024-03-01T00:00:00+01:00 --format json",
    )
    in_report: ClassVar[bool] = False

    as_of: datetime | None = Field(
        default=None,
        description="moment to build it for, ISO 8601, UTC unless it says otherwise; default: the latest event",
    )

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield the question for each segment of the configuration."""
        for segment in config.segments:
            yield section_of(cls, overlay(segment, {}))

    @classmethod
    def asked(cls, config: Config, given: Mapping[str, Any]) -> Self:
        """Return the question about a segment of the configuration."""
        return section_of(cls, overlay(find_named(config.segments, given.get("name") or "", "segment"), given))

    @property
    def about(self) -> str:
        """Name the segment."""
        return f"segment {self.name}"

    def properties(self) -> Collection[Property]:
        """Return the properties that the rule names."""
        return properties.of_rule(self.rule)

    def moment(self, context: Context) -> datetime | None:
        """Return the moment to build it for."""
        return self.as_of or context.latest_event_at

    def queries(self, context: Context) -> tuple[Query, ...]:
        """Return the queries of the members, and of how many actors there are."""
        moment = self.moment(context)
        check_asked(context, self.rule, moment)
        return members_query(self, context.taxonomy, moment), actors_query(moment)

    def result(self, tables: Sequence[pa.Table], context: Context) -> SegmentResult:
        """Count the members."""
        moment = self.moment(context)
        table, everybody = tables
        actors = everybody.column("actors")[0].as_py()
        of_all = wording.share(wording.ratio(table.num_rows, actors))
        known = table.num_rows - table.column("user_id").null_count
        return SegmentResult(
            segment=self.name,
            as_of=moment,
            members=table.num_rows,
            with_user_id=known,
            actors=actors,
            sentence=(
                f"{self.name}: 0 members, since no event is staged."
                if moment is None
                else f"{self.name}: {wording.plural(table.num_rows, 'member')} as of {_moment(moment)}, "
                f"{of_all} of all actors; "
                f"{wording.count(known)} of them have a user_id and can be looked up in the identity table."
            ),
            assumptions=(
                sentence(self.rule),
                *_meaning(self.rule),
                "Times are looked at backwards from that moment; both ends of each are included.",
                "Occurrences with the same transaction id count once, at the earliest.",
            ),
        )


def _meaning(rule: SegmentRule) -> Iterator[str]:
    """Say what is easily taken otherwise."""
    if any(leaf.not_did for leaf in rule.leaves()):
        yield "What undoes counts only when it comes after; what came before does not matter."
