"""The two tables of conversions: what a destination was told of each order, and the batches in which it was.

Who may read the database may read them: `mc_conversions` holds users and identifiers in the form in which they were
sent, so that a conversion can be taken back. No other table, log or message has any.
"""

from __future__ import annotations

from microconv.engines.tables import Column, Table

CONVERSIONS = Table(
    "mc_conversions",
    "One row per order that a destination was told of, or is about to be: the last operation on it.",
    ("conversion_key",),
    (
        Column("conversion_key", "STRING", "destination, conversion and order id"),
        Column("destination", "STRING", "name of the destination"),
        Column("conversion", "STRING", "name of the conversion"),
        Column(
            "order_id", "STRING", "what the destination knows it by: the transaction id, else a key of the occurrence"
        ),
        Column("property", "STRING", "the GA4 property"),
        Column("event_date", "DATE", "property's day of the occurrence"),
        Column("external_source", "STRING", "name under [[external_events]] that it comes from; NULL: from the export"),
        Column("occurred_at", "TIMESTAMP", "when it happened (UTC)"),
        Column("actor_key", "INT64", "who converted"),
        Column("user_id", "STRING", "the user whose consent counts"),
        Column("value_micros", "INT64", "the value that was said last, in millionths; 0 where it was retracted"),
        Column("currency", "STRING", "currency of the value"),
        Column("who", "STRING", "click ids and identifiers as they are sent, as JSON; NULL where only the order id is"),
        Column("normalisation", "STRING", "version of the rules by which identifiers were made"),
        Column("operation", "STRING", "the last operation on it: send, restate or retract"),
        Column("why", "STRING", "why that was planned"),
        Column("said_at", "TIMESTAMP", "when it was planned (UTC)"),
        Column("batch_id", "STRING", "the batch of that operation, whose state is that of the order"),
        Column("was_sent", "BOOL", "an operation before that one may have taken effect"),
        Column("first_sent_at", "TIMESTAMP", "when the first of those left (UTC)"),
        Column("refusals", "INT64", "how often in a row a batch with it was refused in part: batches shrink with it"),
        Column("unsure_until", "TIMESTAMP", "an older operation may still take effect until then (UTC); NULL: none"),
    ),
    cluster=("destination", "conversion"),
)
BATCHES = Table(
    "mc_conversion_batches",
    "One row per batch of orders: what it asked of a destination, and what became of it.",
    ("batch_id",),
    (
        Column("batch_id", "STRING", "id of the batch"),
        Column("push_id", "STRING", "the run that planned it"),
        Column("destination", "STRING", "name of the destination"),
        Column("conversion", "STRING", "name of the conversion"),
        Column("operation", "STRING", "send, restate or retract"),
        Column("state", "STRING", "planned, sent, accepted, success, partial, failed or unknown"),
        Column("identifiers", "INT64", "how many orders it has"),
        Column("rejected", "INT64", "how many of them the destination refused; NULL: not said"),
        Column("request_id", "STRING", "what the destination calls it; NULL: it never answered"),
        Column("attempts", "INT64", "how often it was sent"),
        Column("planned_at", "TIMESTAMP", "when it was planned (UTC)"),
        Column("sent_at", "TIMESTAMP", "when it was sent last (UTC)"),
        Column("settled_at", "TIMESTAMP", "when its state became final (UTC)"),
        Column("reason", "STRING", "why it failed, in the destination's words without any identifier"),
    ),
)
TABLES = {table.name: table for table in (CONVERSIONS, BATCHES)}
