"""GA4's Measurement Protocol: one device a request, and never a word about what became of it.

It answers 204 whatever it was sent, also when it then throws it away. Only its validation server says what is wrong
with a request, and that one counts nothing. The secret is part of the address, which is never shown or logged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from pydantic import SecretStr

from microconv.clients.outgoing import Outgoing, Reply

ENDPOINT = "https://www.google-analytics.com"
MOST_BYTES = 130_000
_CODE, _PLACE = re.compile(r"[A-Z_]{1,60}"), re.compile(r"[A-Za-z0-9_.\[\]]{1,100}")


@dataclass(frozen=True)
class MeasurementProtocol:
    """One data stream.

    Attributes:
        stream: The measurement id of a web stream (`G-…`), or the app id of Firebase (`1:…`).
        secret: An API secret of that stream.
        outgoing: Makes the requests.
        endpoint: Google's, or another one.
    """

    stream: str
    secret: SecretStr = field(repr=False)
    outgoing: Outgoing
    endpoint: str = ENDPOINT

    @property
    def is_app(self) -> bool:
        """Whether the stream is that of an app."""
        return is_app(self.stream)

    def collect(self, payload: Mapping[str, Any]) -> Reply:
        """Send a payload.

        Raises:
            NotSentError: There was no connection.
            NoAnswerError: It left, and no answer came.
        """
        return self._called("/mp/collect", payload)

    def mistakes(self, payload: Mapping[str, Any]) -> tuple[str, ...] | None:
        """Ask the validation server what is wrong with a payload, as codes and places; None: it did not say.

        Raises:
            NotSentError: There was no connection.
            NoAnswerError: It left, and no answer came.
        """
        strictly = {**payload, "validation_behavior": "ENFORCE_RECOMMENDATIONS"}
        reply = self._called("/debug/mp/collect", strictly)
        found = reply.document.get("validationMessages") if isinstance(reply.document, dict) else None
        if reply.status != 200 or not isinstance(found, list):  # noqa: PLR2004 - OK
            return None
        return tuple(_in_words(each) for each in found)

    def _called(self, path: str, payload: Mapping[str, Any]) -> Reply:
        query = {"firebase_app_id" if self.is_app else "measurement_id": self.stream}
        query["api_secret"] = self.secret.get_secret_value()
        body = json.dumps(payload, separators=(",", ":")).encode()
        assert len(body) < MOST_BYTES  # noqa: S101 - names and values are short
        headers = {"Content-Type": "application/json", "User-Agent": "microconv"}
        return self.outgoing.call("POST", f"{self.endpoint}{path}?{urlencode(query)}", headers, body)


def is_app(stream: str) -> bool:
    """Tell whether a stream is that of an app, by its id."""
    return ":" in stream


def _in_words(message: object) -> str:
    """Return code and place of a message; its sentence may quote what was sent."""
    said = message if isinstance(message, dict) else {}
    code, place = str(said.get("validationCode", "")), str(said.get("fieldPath", ""))
    shown = code if _CODE.fullmatch(code) else "a mistake without a code"
    return f"{shown} at {place}" if _PLACE.fullmatch(place) else shown
