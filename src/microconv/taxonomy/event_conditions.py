"""Conditions of entries: what an event must carry to count, beside its name."""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import model_validator

from microconv.queries.conditions import Comparison
from microconv.taxonomy.names import ParameterName


class Condition(Comparison):
    """One condition on an event: a parameter or the page, and exactly one operator.

    `field = "page"` is the path of `page_location` (`/pricing`: no scheme, host, query or fragment).
    """

    parameter: ParameterName | None = None
    field: Literal["page"] | None = None

    @model_validator(mode="after")
    def _one_subject(self) -> Condition:
        if (self.parameter is None) == (self.field is None):
            raise ValueError('must name what it looks at: a parameter, or field = "page"')
        if self.field == "page" and self.is_numeric:
            raise ValueError(f"{self.operator} needs a number, and the page is text")
        return self

    @property
    def subject(self) -> str:
        """The parameter, or "page"."""
        return self.parameter or self.field or ""

    def document(self) -> dict[str, Any]:
        """Return the JSON form: `parameter` or `field`, `operator`, `operand`."""
        subject = {"parameter": self.parameter} if self.parameter else {"field": self.field}
        operand = list(self.operand) if isinstance(self.operand, tuple) else self.operand
        return {**subject, "operator": self.operator, "operand": operand}

    def canonical(self) -> str:
        """Return a text that two conditions share when they mean the same: the order of texts does not count."""
        document = self.document()
        if isinstance(document["operand"], list):
            document["operand"] = sorted(set(document["operand"]))
        return json.dumps(document, sort_keys=True)
