"""A destination in memory, asynchronous as platforms are: the short fake to test with what stands before one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Literal

from microconv.activation.audience.audience_rows import AudienceRow
from microconv.activation.audience.normalise import PLAIN
from microconv.activation.destinations.base import (
    Accepts,
    Batch,
    Delivery,
    Destination,
    DestinationSettings,
    Previous,
    Receipt,
    Send,
    State,
    Target,
)
from microconv.errors import DestinationError


class MemorySettings(DestinationSettings):
    kind: Literal["memory"] = "memory"


class MemoryDestination(Destination):
    settings_type = MemorySettings
    accepts = Accepts("memory", frozenset({"email"}), PLAIN, members_per_batch=2)

    def __init__(self, settings: DestinationSettings) -> None:
        super().__init__(settings)
        self.lists: dict[str, tuple[AudienceRow, ...]] = {}
        self.is_down = False
        self.ends_as: State = "success"
        self.loses = 0

    def target(self, segment: str) -> Target:
        return Target("sent to memory", {"list": segment})

    def previous(self, segment: str) -> Previous | None:
        rows = self.lists.get(segment)
        return None if rows is None else Previous(len(rows), "the list in memory")

    @contextmanager
    def begin(self, delivery: Delivery) -> Iterator[Send]:
        taken: list[AudienceRow] = []

        def send(batch: Batch) -> Receipt:
            taken.extend(batch.rows)
            return Receipt(batch.number, max(0, len(batch.rows) - self.loses), "accepted", f"request {batch.number}")

        yield send
        if self.is_down:
            raise DestinationError("Memory is down. The list is as it was.", hint="Try again.")
        self.lists[delivery.segment] = tuple(taken)

    def poll(self, receipt: Receipt) -> Receipt:
        return replace(receipt, state=self.ends_as)
