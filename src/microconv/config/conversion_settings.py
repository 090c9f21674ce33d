"""`[[conversions]]`: what ad platforms get back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from microconv.config.guardrail_settings import GuardrailNames
from microconv.config.occurrences import Section
from microconv.config.problems import ItemError
from microconv.config.push_limits import PushGuards
from microconv.config.values import Duration, EntryId, FileStem, Label, Length, Switch, as_list, unique

ConversionIdentifier = Literal["click_id", "email", "phone", "user_id"]


class ConversionConfig(Section):
    """`[[conversions]]`: occurrences of an entry that an ad platform gets as conversions, and what they are worth."""

    name: FileStem = Field(description="the name used on the command line")
    entry: EntryId = Field(description="the micro-conversion whose occurrences are sent")
    destination: FileStem = Field(description="the destination that gets them")
    action: Label = Field(
        description="what the destination calls them: the id of a conversion action, or the name of an event"
    )
    identity: Annotated[
        tuple[ConversionIdentifier, ...], BeforeValidator(as_list), Field(min_length=1), AfterValidator(unique)
    ] = Field(default=("click_id", "email", "phone"), description="what they may be matched by")
    value: Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False, strict=True)] | None = Field(
        default=None, description="what each is worth, in the project's currency; default: its own value"
    )
    refund: EntryId | None = Field(
        default=None, description="the entry that gives money back, by the same transaction id"
    )
    since: date | None = Field(default=None, description="none that happened before that day (UTC) is sent")
    click_lookback: Length = Field(
        default=Duration.parse("90d"), description="how long before it the ad click may be, such as 30d"
    )
    provisional: Switch = Field(default=False, description="whether those of days that are not final are sent, too")
    guardrails: GuardrailNames = Field(default=(), description="the guardrails that must hold before any are sent")
    push: PushGuards = Field(default_factory=PushGuards)

    def named(self) -> Iterator[tuple[str, str]]:
        """Yield the ids of its entries."""
        yield self.entry, f'conversion "{self.name}"'
        if self.refund is not None:
            yield self.refund, f'conversion "{self.name}"'


def unique_actions(conversions: tuple[ConversionConfig, ...]) -> tuple[ConversionConfig, ...]:
    """Refuse two conversions that a destination would count as one kind."""
    seen: dict[tuple[str, str], str] = {}
    for index, each in enumerate(conversions):
        other = seen.setdefault((each.destination, each.action), each.name)
        if other != each.name:
            raise ItemError(f'is that of "{other}", too: one order would count there for both', (index, "action"))
    return conversions
