"""What a push says of its batches."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from microconv.activation.push.push_ledger import LedgerBatch
from microconv.activation.push.push_result import became_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SENT = LedgerBatch("p1-s0-0", "p1", "crm", "carts", "add", "success", 3, None, "r1", 1, NOW, NOW, NOW, None)
REFUSED = replace(SENT, batch_id="p1-s0-0-x1", state="failed", identifiers=2, rejected=2, reason="not known")
LOST = replace(SENT, batch_id="p1-s0-1", state="sent")
ACCEPTED = replace(SENT, batch_id="p1-s0-2", state="accepted")


@pytest.mark.parametrize(
    ("batches", "outcome", "refused", "unconfirmed"),
    [
        ((), "nothing to send", None, None),
        ((SENT,), "sent", None, None),
        ((SENT, ACCEPTED), "accepted", None, None),
        ((SENT, REFUSED), "sent", "2 identifiers", None),
        ((REFUSED,), "refused", "2 identifiers", None),
        ((SENT, LOST), "partly failed", None, "3 identifiers of carts (no answer came)"),
        ((SENT, LOST, REFUSED), "partly failed", "2 identifiers", "3 identifiers of carts (no answer came)"),
        (
            (replace(REFUSED, operation="remove"),),
            "partly failed",
            "2 identifiers",
            "2 identifiers of carts (not known)",
        ),
    ],
)
def test_what_became_of_batches(
    batches: tuple[LedgerBatch, ...], outcome: str, refused: str | None, unconfirmed: str | None
):
    became = became_of(batches, "crm", "carts", "identifier", "Run it again.")

    assert became.outcome == outcome
    assert became.warnings == (() if refused is None else (f"crm refused {refused} of carts.",))
    said = None if became.failure is None else became.failure.message
    assert said == (None if unconfirmed is None else f"crm did not confirm {unconfirmed}.")


@pytest.mark.parametrize("batch", [REFUSED, replace(REFUSED, batch_id="p1.2-s0-13-x12")])
def test_a_batch_of_what_was_refused_by_name_is_known_by_its_id(batch: LedgerBatch):
    refused, rest = SENT.split([0], reason="not known", now=NOW)

    assert batch.is_set_apart
    assert refused.is_set_apart
    assert not rest.is_set_apart
