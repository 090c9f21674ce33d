"""The audience of GA4 for a segment: how it is defined there, or why it is not; made there when that is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any, ClassVar

from microconv import wording
from microconv.activation.destinations.base import Destination
from microconv.activation.destinations.ga4 import Ga4Destination
from microconv.config.load import find_named
from microconv.config.sections import Config
from microconv.errors import UsageError
from microconv.result import Result, column
from microconv.segments.ga4_definition import Ga4Definition, by_rule, by_user_property, differences
from microconv.taxonomy import Taxonomy
from microconv.wording import Sheet


@dataclass(frozen=True)
class Ga4Condition:
    """A line of the definition: users are in or out when any of its conditions holds; all that say in must hold."""

    clause: str = column("users are")
    condition: str = column("when any of these holds")


@dataclass(frozen=True)
class Ga4AudienceResult(Result):
    """How a segment is an audience of GA4.

    Attributes:
        segment: The name of the segment.
        definition: The audience as the Admin API takes it; None: there is none that says the same.
        reasons: Why there is none.
        audience: The resource name in GA4, once it is there.
    """

    row_type: ClassVar[type] = Ga4Condition

    segment: str
    definition: Mapping[str, Any] | None
    reasons: tuple[str, ...]
    audience: str | None
    sentence: str
    assumptions: tuple[str, ...]

    @property
    def title(self) -> str:
        """What the table is called."""
        return "" if self.definition is None else f"Audience {self.definition['display_name']}"

    def sheets(self) -> Iterable[Sheet | str]:
        """Return the conditions, where there are any."""
        return () if self.definition is None else super().sheets()

    @property
    def rows(self) -> tuple[Ga4Condition, ...]:
        """The conditions."""
        return tuple(_conditions(self.definition or {"filter_clauses": ()}))


def ga4_audience(
    config: Config,
    taxonomy: Taxonomy,
    destination: Callable[[str], Destination],
    name: str,
    *,
    by_push: bool = False,
    create: bool = False,
    to: str | None = None,
) -> Ga4AudienceResult:
    """Define the audience of GA4 for a segment, and make it there if that is asked for.

    Args:
        config: The configuration.
        taxonomy: The taxonomy.
        destination: Gives a destination by its name.
        name: The name of the segment.
        by_push: Define it by the user property that a push sets, not by the rule.
        create: Make it, unless there is one of that name.
        to: The name of the destination of the kind `ga4`; None: the only one.

    Raises:
        UsageError: There is no such segment or destination.
        ConfigError: There are no credentials.
        AnalyticsError: GA4 refused or failed.
    """
    segment = find_named(config.segments, name, "segment")
    there = _destination(config, destination, to) if by_push or create else None
    user_property: str | None = None
    definition, reasons, notes = *by_rule(segment, taxonomy), tuple(differences(segment))
    if by_push:
        assert there is not None  # noqa: S101 - see above
        user_property = there.settings.user_property(name)
        definition = by_user_property(name, user_property)
        notes = (f"A push sets {user_property} of devices whose users agreed, and of nobody else.",)
    if definition is None:
        said = f"No audience of GA4 is made of {name}."
        return Ga4AudienceResult(name, None, reasons, None, said, reasons)
    audience = None
    said = f"An audience of GA4 can say what {name} says; with --create it is made."
    if create:
        assert there is not None  # noqa: S101 - see above
        audience, was_made = _made(there, definition, user_property)
        said = f'Made the audience "{definition.display_name}" in GA4 property {there.settings.ga4_property}.'
        if not was_made:
            said = (
                f'GA4 property {there.settings.ga4_property} has an audience "{definition.display_name}" already, and '
                "audiences cannot be changed: archive it there to have it made anew."
            )
    return Ga4AudienceResult(name, definition.document(), (), audience, said, notes)


def _destination(config: Config, destination: Callable[[str], Destination], name: str | None) -> Ga4Destination:
    of_ga4 = [each.name for each in config.destinations if each.kind == "ga4"]
    if name is not None:
        find_named(config.destinations, name, "destination")
    if name is None and len(of_ga4) == 1:
        (name,) = of_ga4
    if name not in of_ga4:
        raise UsageError(
            "Which property of GA4 is meant is not said." if name is None else f"{name} is not of the kind ga4.",
            hint=f"Give --to NAME: {wording.listed(of_ga4)}."
            if of_ga4
            else 'Add a destination with kind = "ga4": see docs/ga4-audiences.md.',
        )
    found = destination(name)
    assert isinstance(found, Ga4Destination)  # noqa: S101 - its kind says so
    return found


def _made(there: Ga4Destination, definition: Ga4Definition, user_property: str | None) -> tuple[str, bool]:
    with closing(there.admin()) as admin:
        if user_property is not None:
            admin.make_user_dimension(user_property)
        return admin.make_audience(definition.document())


def _conditions(definition: Mapping[str, Any]) -> Iterator[Ga4Condition]:
    for clause in definition["filter_clauses"]:
        for group in clause["simple_filter"]["filter_expression"]["and_group"]["filter_expressions"]:
            words = [_in_words(each) for each in group["or_group"]["filter_expressions"]]
            yield Ga4Condition("in" if clause["clause_type"] == "INCLUDE" else "out", "; or ".join(words))


def _in_words(expression: Mapping[str, Any]) -> str:
    if "dimension_or_metric_filter" in expression:
        one = expression["dimension_or_metric_filter"]
        values = one["in_list_filter"]["values"] if "in_list_filter" in one else [one["string_filter"]["value"]]
        return f"{one['field_name']} is {' or '.join(values)}"
    event = expression["event_filter"]
    (inner,) = event["event_parameter_filter_expression"]["and_group"]["filter_expressions"]
    one = inner["dimension_or_metric_filter"]
    days = one.get("in_any_n_day_period")
    return f"{event['event_name']} {_times(one)}" + (f" in the last {wording.plural(days, 'day')}" if days else "")


def _times(one: Mapping[str, Any]) -> str:
    if "between_filter" in one:
        bounds = (one["between_filter"][key]["int64_value"] for key in ("from_value", "to_value"))
        return f"{' to '.join(map(wording.count, bounds))} times"
    value = one["numeric_filter"]["value"]["int64_value"]
    if one["numeric_filter"]["operation"] == "EQUAL":
        return f"exactly {wording.plural(value, 'time')}"
    return f"at least {wording.plural(value + 1, 'time')}"
