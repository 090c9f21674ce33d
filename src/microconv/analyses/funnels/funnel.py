"""What all questions about a funnel share: the funnel, which starts count, and what its templates are told."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Self

from pydantic import Field

from microconv import wording
from microconv.config.funnel_settings import FunnelConfig
from microconv.config.load import find_named
from microconv.config.sections import Config, Period
from microconv.config.segment_settings import SegmentConfig
from microconv.errors import UsageError
from microconv.queries.templates import Value
from microconv.question import HIDDEN, Context, Option, Question, overlay, section_of
from microconv.segments.compiled import CompiledRule, compiled
from microconv.segments.propensity_rules import check_asked
from microconv.staging import properties
from microconv.staging.properties import Property
from microconv.taxonomy import Taxonomy

AD_HOC = "ad_hoc"
"""What a funnel made on the spot is called."""

_DAY_SECONDS = 86_400
_ORDERS = {
    "ordered": "Each step follows the one before; anything may happen in between.",
    "strict": "Each step follows the one before; in between, no event meets a step other than these two.",
    "immediate": "Each step follows the one before with no other micro-conversion and no page view in between.",
    "unordered": "Steps come in any order; each is taken by another event.",
}
_ATTEMPTS = {
    "closed": "Every occurrence of the first step starts an attempt; what follows belongs to the latest one it can.",
    "open": "Every step not taken on the way from an earlier one starts an attempt; what follows belongs to the one "
    "that came in at the earliest step, and of those to the latest.",
}


def _steps(text: str) -> list[dict[str, Any]]:
    """Read `view_item,add_to_cart|add_to_wishlist,begin_checkout?`: `|` is any of several, `?` optional."""
    steps = (step.strip() for step in text.split(","))
    return [{"did": step.removesuffix("?").split("|"), "optional": step.endswith("?")} for step in steps]


class FunnelQuestion(FunnelConfig, Period, Question):
    """A funnel of the configuration by its NAME, or one made on the spot; and whose starts count.

    `since` and `until` are days of starts; later steps may lie after them. `as_of` is the moment at which the segment
    is built, by default that of the latest staged event.
    """

    options: ClassVar[Mapping[str, Option]] = {
        "name": Option(is_argument=True),
        "steps": Option(metavar="A,B|C,D?", parse=_steps),
        "window": Option(metavar="TIME"),
        "step_window": Option(metavar="TIME"),
        "hold": Option(metavar="PROPERTY"),
        "exclude": HIDDEN,
        "segment": Option(metavar="NAME"),
    }
    configured: ClassVar[tuple[str, ...]] = tuple(FunnelConfig.model_fields)
    in_report: ClassVar[bool] = False

    segment: SegmentConfig | None = Field(default=None, description="only actors of this segment")
    as_of: datetime | None = Field(
        default=None, description="moment to build the segment for; default: the latest event"
    )

    @classmethod
    def over(cls, funnel: FunnelConfig, given: Mapping[str, Any] | None = None) -> Self:
        """Return the question about a funnel, with some of its keys changed."""
        return section_of(cls, overlay(funnel, given or {}, exclusive=("window", "step_window")))

    @classmethod
    def of(cls, config: Config, taxonomy: Taxonomy) -> Iterator[Self]:  # noqa: ARG003 - as the contract has it
        """Yield the question for each funnel of the configuration that it can be asked of."""
        for funnel in config.funnels:
            if cls.fits(funnel):
                yield cls.over(funnel)

    @classmethod
    def fits(cls, funnel: FunnelConfig) -> bool:
        """Whether it can be asked of this funnel: most questions need an order of steps."""
        return funnel.order != "unordered"

    @classmethod
    def asked(cls, config: Config, given: Mapping[str, Any]) -> Self:
        """Return the question about a funnel of the configuration (`name`) or one of these `steps`."""
        changed = dict(given)
        name, steps = changed.pop("name", None), changed.pop("steps", None)
        if isinstance(segment := changed.get("segment"), str):
            changed["segment"] = find_named(config.segments, segment, "segment")
        if (name is None) == (steps is None):
            known = ", ".join(each.name for each in config.funnels) or "none"
            raise UsageError(
                "A funnel is asked for by its name, or by its steps.",
                hint=f"Give NAME (the configuration has: {known}) or --steps, one of the two.",
            )
        if "as_of" in changed and not {"segment", "against"} & changed.keys():
            raise UsageError("as_of is the moment of a segment, and none is given.", hint="Name a segment, too.")
        if steps is None:
            return cls.over(find_named(config.funnels, name, "funnel"), changed)
        return cls.over(section_of(FunnelConfig, {"name": AD_HOC, "steps": steps}), changed)

    @property
    def about(self) -> str:
        """Name the funnel."""
        return f"funnel {self.name}"

    @property
    def unit(self) -> str:
        """What is counted, in the singular: `actor`, `session` or `attempt`."""
        return self.count.removesuffix("s")

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of the funnel and of the segment."""
        yield from FunnelConfig.named(self)
        if self.segment is not None:
            yield from self.segment.named()

    def properties(self) -> Collection[Property]:
        """Return the properties that the funnel and the segment's rule name."""
        of_segment = properties.of_rule(self.segment.rule) if self.segment else ()
        return (*properties.of_funnel(self), *of_segment)

    def moment(self, context: Context) -> datetime | None:
        """Return the moment of the segment; None without one."""
        return None if self.segment is None else self.as_of or context.latest_event_at

    def refuse_without_order(self, what: str) -> None:
        """Refuse a funnel whose steps come in any order, and which thus has `no time between two` or the like.

        Raises:
            UsageError: it is one.
        """
        if self.order == "unordered":
            raise UsageError(
                f"The funnel {self.name} has no order of steps, and so {what}.",
                hint='Ask with order = "ordered".',
            )

    def days(self) -> dict[str, Value]:
        """Return the days of starts, and the days to read.

        Properties differ in their zones, so that what follows a start may lie on the day before. Where steps come in
        any order a stretch is told to begin in time by the days of its events alone.
        """
        if self.since is None and self.until is None:
            return {}
        first, last = self.since or date.min, self.until or date.max
        before = 0 if self.order == "unordered" else 1
        after = self._longest_seconds() // _DAY_SECONDS + 2
        return {
            "first_day": first,
            "last_day": last,
            "first_read": first - timedelta(days=min(before, (first - date.min).days)),
            "last_read": last + timedelta(days=min(after, (date.max - last).days)),
        }

    def _longest_seconds(self) -> int:
        """How long after its start a path may go on."""
        if self.whole_window is not None:
            return self.whole_window.seconds
        return (self.step_window or self.window).seconds * (len(self.steps) - 1)

    def members(self, context: Context) -> CompiledRule | None:
        """Return the rule of the segment as templates take it; None without a segment."""
        if self.segment is None:
            return None
        check_asked(context, self.segment.rule, self.moment(context))
        return compiled(self.segment.rule, context.taxonomy, self.moment(context))

    def assumptions(self, context: Context) -> tuple[str, ...]:
        """Say what the figures of the funnel rest on."""
        said = [_ORDERS[self.order]]
        if self.order != "unordered":
            said.append("A path may begin at any step." if self.entry == "open" else "A path begins at the first step.")
            said.append("An event takes one step; of several ways to a step, the one that began last counts.")
        said.append(
            f"The last step of a path lies within {self._time}, inclusive."
            if self.whole_window
            else f"Each step lies within {self._time}, inclusive."
        )
        if self.count == "attempts":
            said.append(_ATTEMPTS[self.entry])
        else:
            said.append(f"Each {self.unit} counts once in a step, whichever of its attempts took it.")
        if self.hold:
            names = " and ".join(self.hold)
            said.append(
                f"{names} stay the same along a path; occurrences without take no part."
                if len(self.hold) > 1
                else f"{names} stays the same along a path; occurrences without it take no part."
            )
        said += [
            f"{exclusion.label} may not come between step {first} and step {last}."
            for exclusion in self.exclude
            for first, last in [exclusion.between or (1, len(self.steps))]
        ]
        if self.excluded == "leave":
            said.append(f"No step counts the {self.count} that an exclusion stopped at their furthest step.")
        if self.since or self.until:
            begin, end = self.since or "the first staged day", self.until or "the last staged day"
            said.append(f"Paths begin from {begin} to {end}; later steps may lie after that.")
        if self.segment is not None:
            moment = self.moment(context)
            as_of = f" as of {moment:%Y-%m-%d %H:%M} UTC" if moment else ""
            said.append(f"Only actors of the segment {self.segment.name}{as_of} count.")
        said.append("Occurrences with the same transaction id count once, at the earliest.")
        return tuple(said)

    @property
    def _time(self) -> str:
        if self.whole_window:
            return f"{wording.span(self.window.seconds)} of the first"
        return f"{wording.span((self.step_window or self.window).seconds)} of the step before"
