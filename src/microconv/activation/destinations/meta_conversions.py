"""Conversions for Meta, by its Conversions API: events of a dataset, known again by name and order id for two days.

Meta takes nothing back and no other value: an event that it has stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from microconv.activation.audience.audience_rows import IdentityKind
from microconv.activation.audience.normalise import META
from microconv.activation.conversions.conversion_destination import (
    Conversion,
    ConversionOperation,
    ConversionRules,
)
from microconv.activation.destinations.meta_answers import in_words_of_a_push, is_digest
from microconv.activation.push.audience_list import Answer, ListLimits, RefusedError, UnsureError
from microconv.clients.graph import Graph

ActionSource = Literal["system_generated", "physical_store", "phone_call", "chat", "email", "other"]
"""Where a conversion happened, as Meta wants it declared. `website` would need the browser of each person."""

MOST_EVENTS = 1_000
_RECOGNISES_FOR = timedelta(hours=48)
_SETTLES_AFTER = timedelta(hours=1)
_MAX_AGE, _MAX_AGE_OF_A_STORE = timedelta(days=7), timedelta(days=62)
_FIELDS: Mapping[str, str] = {"email": "em", "phone": "ph", "user_id": "external_id"}
_NEEDS_VALUE = "Purchase"
_TRACE = re.compile(r"[A-Za-z0-9_-]{1,80}")


class MetaConversions:
    """Events of one name in a dataset."""

    def __init__(
        self,
        graph: Graph,
        dataset: str,
        event_name: str,
        *,
        action_source: ActionSource,
        identity: frozenset[IdentityKind],
        clock: Callable[[], float],
    ) -> None:
        max_age = _MAX_AGE_OF_A_STORE if action_source == "physical_store" else _MAX_AGE
        self.rules = ConversionRules("Meta", frozenset({"fbclid"}), identity, META, max_age, _RECOGNISES_FOR)
        self.limits = ListLimits(MOST_EVENTS, _SETTLES_AFTER, answers_for=_SETTLES_AFTER)
        self._graph = graph
        self._dataset = dataset
        self._event_name = event_name
        self._action_source = action_source
        self._clock = clock

    def send(self, operation: ConversionOperation, conversions: Sequence[Conversion]) -> Answer:
        """Send conversions.

        Raises:
            TryLaterError: Nothing was sent, or it was turned away for its rate.
            UnsureError: It was sent, and no answer tells what came of it.
            RefusedError: It was refused. One that is too old makes Meta refuse all, so it is named before.
        """
        if operation != "send":
            raise RefusedError("Meta takes no conversion back, and no other value of one")
        now = self._clock()
        for reason, is_wrong in self._wrongs(now).items():
            if places := [place for place, each in enumerate(conversions) if is_wrong(each)]:
                raise RefusedError(reason, rows=places)
        with in_words_of_a_push():
            said = self._graph.post(f"{self._dataset}/events", data=[self._event(each) for each in conversions])
        received, count = said.get("events_received"), len(conversions)
        if not isinstance(received, int) or isinstance(received, bool):
            raise UnsureError("its answer does not say how many events it received")
        trace = said.get("fbtrace_id")
        request_id = trace if isinstance(trace, str) and _TRACE.fullmatch(trace) else None
        if received >= count:
            return Answer("success", request_id)
        return Answer("partial" if received > 0 else "failed", request_id, rejected=count - max(0, received))

    def validate(self, conversions: Sequence[Conversion]) -> Answer | None:
        """Do nothing: to Meta, events of a test are events as well."""
        del conversions
        return None

    def ask(self, request_id: str) -> Answer:
        """Say that nobody can tell: each answer was final."""
        return Answer("unknown", request_id, reason="Meta does not say later what became of a request")

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None

    def __repr__(self) -> str:
        return f"MetaConversions({self._event_name!r})"

    def _wrongs(self, now: float) -> Mapping[str, Callable[[Conversion], bool]]:
        oldest = now - self.rules.max_age.total_seconds()
        return {
            "it is older than Meta takes": lambda each: each.occurred_at.timestamp() <= oldest,
            "it lies in the future": lambda each: each.occurred_at.timestamp() > now,
            "it has neither a click id nor a hashed identifier": lambda each: not self._user_data(each),
            f"a {_NEEDS_VALUE} needs a value and a currency": lambda each: (
                self._event_name == _NEEDS_VALUE and (each.value_micros is None or each.currency is None)
            ),
        }

    def _event(self, conversion: Conversion) -> dict[str, Any]:
        of_order: dict[str, Any] = {"order_id": conversion.order_id}
        if conversion.value is not None and conversion.currency is not None:
            of_order |= {"value": conversion.value, "currency": conversion.currency}
        return {
            "event_name": self._event_name,
            "event_id": conversion.order_id,
            "event_time": int(conversion.occurred_at.timestamp()),
            "action_source": self._action_source,
            "user_data": self._user_data(conversion),
            "custom_data": of_order,
        }

    def _user_data(self, conversion: Conversion) -> dict[str, Any]:
        user_data: dict[str, Any] = {}
        for each in conversion.identifiers:
            if each.kind in self.rules.identity and is_digest(each.value):
                user_data.setdefault(_FIELDS[each.kind], []).append(each.value)
        click = conversion.clicks.get("fbclid")
        if click and conversion.clicked_at is not None:
            # developers.facebook.com, Conversions API, "fbp and fbc": version, depth of the domain, when it was seen.
            user_data["fbc"] = f"fb.1.{int(conversion.clicked_at.timestamp() * 1_000)}.{click}"
        return user_data
