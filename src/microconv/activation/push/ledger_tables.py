"""The two tables of a push: `mc_ledger` has the batches, `mc_sent` what the destination was told of each identifier.

Who may read the database may read `mc_sent`: it holds identifiers in the form in which they were sent, so that they can
be taken back. No other table, log or message has any.
"""

from __future__ import annotations

from microconv.engines.tables import Column, Table

LEDGER = Table(
    "mc_ledger",
    "One row per batch: what it asked of a destination, and what became of it.",
    ("batch_id",),
    (
        Column("batch_id", "STRING", "id of the batch"),
        Column("push_id", "STRING", "the push that planned it"),
        Column("destination", "STRING", "name of the destination"),
        Column("segment", "STRING", "name of the segment"),
        Column("operation", "STRING", "add or remove"),
        Column("state", "STRING", "planned, sent, accepted, success, partial, failed or unknown"),
        Column("identifiers", "INT64", "how many identifiers it has"),
        Column("rejected", "INT64", "how many of them the destination refused; NULL: not said"),
        Column("request_id", "STRING", "what the destination calls it; NULL: it never answered"),
        Column("attempts", "INT64", "how often it was sent"),
        Column("planned_at", "TIMESTAMP", "when it was planned (UTC)"),
        Column("sent_at", "TIMESTAMP", "when it was sent last (UTC)"),
        Column("settled_at", "TIMESTAMP", "when its state became final (UTC)"),
        Column("reason", "STRING", "why it failed, in the destination's words without any identifier"),
    ),
)
SENT = Table(
    "mc_sent",
    "One row per identifier that a destination was told of, or is about to be: the last operation on it.",
    ("sent_key",),
    (
        Column("sent_key", "STRING", "destination, segment, kind and identifier"),
        Column("destination", "STRING", "name of the destination"),
        Column("segment", "STRING", "name of the segment"),
        Column("kind", "STRING", "what it is: email, phone, user_id"),
        Column("identifier", "STRING", "in the form in which it is sent"),
        Column("normalisation", "STRING", "version of the rules by which it was made"),
        Column("people", "INT64", "how many members had it when it was said last"),
        Column("operation", "STRING", "the last operation on it: add or remove"),
        Column("batch_id", "STRING", "the batch of that operation, whose state is that of the identifier"),
        Column("was_sent", "BOOL", "an operation before that one left this machine"),
        Column("added_at", "TIMESTAMP", "when an addition before that operation was sent (UTC)"),
        Column("refusals", "INT64", "how often in a row a batch with it was refused in part; -1: refused by name"),
        Column("unsure_until", "TIMESTAMP", "an older operation may still take effect until then (UTC); NULL: none"),
    ),
    cluster=("destination", "segment"),
)
TABLES = {table.name: table for table in (LEDGER, SENT)}
