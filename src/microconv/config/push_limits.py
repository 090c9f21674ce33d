"""Limits beyond which nothing is sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from microconv.config.occurrences import Section

Percent = Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)]


class PushGuards(Section):
    """`push` of a segment or destination: limits beyond which nothing is sent; what is left out is as in `[push]`."""

    min_size: int | None = Field(default=None, ge=1, strict=True, description="the minimum of people on a list")
    max_size: int | None = Field(default=None, ge=1, strict=True, description="the maximum of people on a list")
    max_delete_pct: Percent | None = Field(
        default=None, le=100, description="the maximum share of a list that is removed"
    )
    max_deletes: int | None = Field(
        default=None, ge=0, strict=True, description="the maximum number of identifiers that are removed"
    )
    max_churn_pct: Percent | None = Field(
        default=None, description="the maximum that is added and removed, as a share of what is listed"
    )

    def over(self, other: PushGuards) -> PushGuards:
        """Return these limits, and those of `other` for what these leave out."""
        own = {name: value for name in PushGuards.model_fields if (value := getattr(self, name)) is not None}
        rest = {name: getattr(other, name) for name in PushGuards.model_fields}
        return PushGuards(**rest | own)
