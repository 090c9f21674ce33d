"""What the configuration says of the report."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from microconv.config.occurrences import Section
from microconv.config.values import Label, unique


class ReportConfig(Section):
    """The page for the meeting: which sections it has, and in which order."""

    sections: Annotated[tuple[Label, ...], AfterValidator(unique)] = Field(
        default=(), description='the sections to show, in this order, such as ["overview", "funnels"]; default: all'
    )
