"""`[[destinations]]`: what all kinds of destinations have in common, and how each kind checks its own keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self, TypeAlias, cast

from pydantic import ConfigDict, Field, ModelWrapValidatorHandler, ValidationInfo, field_validator, model_validator

from microconv.config.occurrences import Section
from microconv.config.problems import ItemError
from microconv.config.push_limits import PushGuards
from microconv.config.values import Duration, FileStem, Label, Length
from microconv.errors import UsageError


class DestinationConfig(Section):
    """`[[destinations]]`: where audiences go. Further keys belong to the kind, whose settings are a subclass."""

    model_config = ConfigDict(extra="allow")

    name: FileStem = Field(description="the name used on the command line")
    kind: Label = "file"
    max_age: Length = Field(
        default=Duration.parse("30d"), description="how long ago the latest event may be when an audience is sent"
    )
    push: PushGuards = Field(default_factory=PushGuards, description="limits of a push, other than those of [push]")

    def clash(self, other: DestinationConfig) -> str | None:  # noqa: ARG002 - others look at it
        """Return why it cannot stand beside an earlier destination, if so."""
        return None

    @field_validator("kind", mode="after")
    @classmethod
    def _is_known(cls, kind: str, info: ValidationInfo) -> str:
        settings_of: SettingsOf | None = (info.context or {}).get("destinations")
        try:
            if settings_of is not None:
                settings_of(kind)
        except UsageError as error:
            message = error.message[:1].lower() + error.message[1:].removesuffix(".")
            raise ValueError(f"cannot be used: {message}") from None
        return kind

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_kind(cls, value: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo) -> Self:  # noqa: ANN401 - whatever the file holds
        settings_of: SettingsOf | None = (info.context or {}).get("destinations")
        settings = settings_model(value, settings_of) if cls is DestinationConfig and settings_of else cls
        if settings is cls:
            return handler(value)
        # Mistakes of its own keys are told together with all others.
        return cast("Self", settings.model_validate(value, context=info.context))


SettingsOf: TypeAlias = Callable[[str], type[DestinationConfig]]
"""Gives the settings of a kind of destination; UsageError says that there are none."""


def settings_model(entry: object, settings_of: SettingsOf) -> type[DestinationConfig]:
    """Return what checks an entry of `[[destinations]]`: the settings of its kind, if it has one that is known."""
    kind = entry.get("kind", DestinationConfig.model_fields["kind"].default) if isinstance(entry, Mapping) else None
    try:
        return settings_of(kind) if isinstance(kind, str) else DestinationConfig
    except UsageError:
        return DestinationConfig


def told_apart(destinations: tuple[DestinationConfig, ...]) -> tuple[DestinationConfig, ...]:
    """Refuse a destination that cannot stand beside an earlier one."""
    for index, one in enumerate(destinations):
        for other in destinations[:index]:
            if clash := one.clash(other):
                raise ItemError(clash, (index,))
    return destinations
