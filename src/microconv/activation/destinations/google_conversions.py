"""Conversions of Google Ads, by events of the Data Manager API: offline conversions, and enhanced ones for leads.

One transaction id counts once for a conversion action, however often it is sent; with another value, it is restated.
Sources: https://developers.google.com/data-manager/api/devguides/events/google-ads/offline/send-events and
https://developers.google.com/data-manager/api/devguides/events/google-ads/conversion-adjustments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from microconv.activation.audience.normalise import GOOGLE
from microconv.activation.conversions.conversion_destination import (
    Adjustments,
    ClickId,
    Conversion,
    ConversionOperation,
    ConversionRules,
)
from microconv.activation.destinations.data_manager_answers import answer_of, as_answers
from microconv.activation.push.audience_list import Answer, ListLimits, UnsureError
from microconv.clients.data_manager import DataManager, Receiver, ReceiverStatus
from microconv.clients.data_manager_failures import BusyError, RequestRefusedError
from microconv.clients.outgoing import NoAnswerError, NotSentError

RULES = ConversionRules(
    "Google Ads",
    clicks=frozenset({"gclid", "gbraid", "wbraid"}),
    identity=frozenset({"email", "phone"}),
    normalisation=GOOGLE,
    max_age=timedelta(days=90),
    # It names the person again, and it cannot be taken back: only its value can become 0.
    adjustments=Adjustments(restates=True, retracts="value", for_=timedelta(days=55)),
)
_CLICKS: tuple[ClickId, ...] = ("gclid", "wbraid", "gbraid")
"""One of them says which click it was; this is the order in which they are taken."""
_FIELDS = {"email": "emailAddress", "phone": "phoneNumber"}
_GRANTED = {"adUserData": "CONSENT_GRANTED", "adPersonalization": "CONSENT_GRANTED"}
_THERE_ALREADY = "DUPLICATE_TRANSACTION_ID"


class GoogleConversions:
    """A conversion action of an account."""

    rules = RULES

    def __init__(self, client: DataManager, action: Receiver, limits: ListLimits) -> None:
        self.limits = limits
        self._client = client
        self._action = action

    def send(self, operation: ConversionOperation, conversions: Sequence[Conversion]) -> Answer:
        """Send conversions; a restatement and a retraction are the same event with another value.

        Raises:
            TryLaterError: Nothing was sent, or it was turned away for its rate.
            UnsureError: It was sent, and no answer tells what came of it.
            RefusedError: It was refused.
        """
        del operation
        events = list(map(event_of, conversions))
        with as_answers():
            return Answer("accepted", self._client.ingest_events([self._action], events))

    def validate(self, conversions: Sequence[Conversion]) -> Answer | None:
        """Let Google check conversions without any effect.

        Raises:
            TryLaterError, UnsureError, RefusedError: See `send`.
        """
        with as_answers():
            events = [event_of(each) for each in conversions]
            self._client.ingest_events([self._action], events, validate_only=True)
        return Answer("success", reason="it would take them")

    def ask(self, request_id: str) -> Answer:
        """Ask what became of a request; what Google had already is there.

        Raises:
            UnsureError: Google did not say.
        """
        try:
            statuses = self._client.status(request_id)
        except (NotSentError, NoAnswerError, BusyError, RequestRefusedError) as error:
            raise UnsureError(str(error)) from None
        answer = answer_of(request_id, statuses)
        if answer.state in ("partial", "failed") and all(map(_has_all, statuses)):
            return Answer("success", request_id)
        return answer

    def now(self) -> datetime | None:
        """Tell no time: this machine's clock counts."""
        return None


def _has_all(status: ReceiverStatus) -> bool:
    """Tell whether whatever was rejected was there already; of all rejected without a reason nobody knows that."""
    if status.state == "success" and not status.rejected:
        return True
    known = sum(count for word, count in status.reasons if word.endswith(_THERE_ALREADY))
    all_told = status.records if status.state == "failed" and status.records else status.rejected
    return 0 < known == all_told


def event_of(conversion: Conversion) -> Mapping[str, Any]:
    """Return a conversion as the API takes it (https://developers.google.com/data-manager/api/reference/rest/v1/Event)."""
    event: dict[str, Any] = {
        "transactionId": conversion.order_id,
        "eventTimestamp": _moment(conversion.occurred_at),
        "lastUpdatedTimestamp": _moment(conversion.said_at),
        "eventSource": "WEB",
        "consent": _GRANTED,
    }
    click = next((name for name in _CLICKS if name in conversion.clicks), None)
    if click is not None:
        event["adIdentifiers"] = {click: conversion.clicks[click]}
    if conversion.identifiers:
        event["userData"] = {"userIdentifiers": [{_FIELDS[each.kind]: each.value} for each in conversion.identifiers]}
    if conversion.value is not None and conversion.currency is not None:
        event |= {"conversionValue": conversion.value, "currency": conversion.currency}
    return event


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
