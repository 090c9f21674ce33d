"""Models of propensity and the chances that they gave: tables that `microconv propensity` keeps."""

from __future__ import annotations

from microconv.engines.tables import Column, Table

PROPENSITY_MODELS = Table(
    "mc_propensity_models",
    "One row per model that was trained; that of a goal that was trained last counts.",
    ("model_id",),
    (
        Column("model_id", "STRING", "id of the model"),
        Column("goal", "STRING", "the micro-conversion whose chance it gives"),
        Column("trained_at", "TIMESTAMP", "when it was trained (UTC)"),
        Column("as_of", "TIMESTAMP", "until when the data reached: the end of the hold-out's window (UTC)"),
        Column("status", "STRING", "accepted or refused"),
        Column("reason", "STRING", "why it was refused; NULL: it was not"),
        Column("window_seconds", "INT64", "within how long the goal is reached, in seconds"),
        Column("lookback_seconds", "INT64", "how far back features look, in seconds"),
        Column("taxonomy", "STRING", "name and version of the taxonomy"),
        Column("taxonomy_fingerprint", "STRING", "fingerprint of the taxonomy"),
        Column("model", "STRING", "features, weights and figures of the hold-out, as JSON"),
        Column("version", "STRING", "version of microconv"),
    ),
)
PROPENSITY_SCORES = Table(
    "mc_propensity_scores",
    "One row per goal and actor: the chance by the model that scored last; a new scoring replaces those of its goal.",
    ("goal", "actor_key"),
    (
        Column("goal", "STRING", "the micro-conversion"),
        Column("actor_key", "INT64", "the actor, as in mc_sessions"),
        Column("model_id", "STRING", "the model, as in mc_propensity_models"),
        Column("scored_at", "TIMESTAMP", "the moment up to which the actor was looked at (UTC)"),
        Column("probability", "FLOAT64", "chance to reach the goal in the model's window after that moment, 0 to 1"),
        Column("decile", "INT64", "1, the tenth of actors with the smallest chances, to 10"),
    ),
    cluster=("goal", "actor_key"),
)
TABLES: dict[str, Table] = {table.name: table for table in (PROPENSITY_MODELS, PROPENSITY_SCORES)}
