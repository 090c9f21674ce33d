"""Who is and was in which segment, and what each build found: tables that `microconv segment build` keeps."""

from __future__ import annotations

from microconv.engines.tables import Column, Table

SEGMENT_MEMBERS = Table(
    "mc_segment_members",
    "One row per stay of an actor in a segment.",
    ("segment", "actor_key", "since"),
    (
        Column("segment", "STRING", "name of the segment"),
        Column("actor_key", "INT64", "the actor, as in mc_sessions; a client that became a user has the user's key"),
        Column("user_id", "STRING", "the user_id of the actor; NULL: it never signed in"),
        Column("since", "TIMESTAMP", "the moment of the build that the actor entered with (UTC)"),
        Column("until", "TIMESTAMP", "the moment of the build that the actor left with (UTC); NULL while it is in"),
        Column("rule_version", "STRING", "fingerprint of the rule that put or kept the actor in, taxonomy included"),
        Column("run_id", "STRING", "the build that the actor entered with"),
        Column("reason", "STRING", "why it left: no longer matches, expired, routed elsewhere or removed"),
    ),
    cluster=("segment", "actor_key"),
)
SEGMENT_BUILDS = Table(
    "mc_segment_builds",
    "One row per segment and build.",
    ("run_id", "segment"),
    (
        Column("run_id", "STRING", "id of the build"),
        Column("segment", "STRING", "name of the segment"),
        Column("as_of", "TIMESTAMP", "the moment that it was built for (UTC)"),
        Column("built_at", "TIMESTAMP", "when it was built (UTC)"),
        Column("rule_version", "STRING", "fingerprint of the rule; NULL: the configuration no longer has the segment"),
        Column("matching", "INT64", "actors the rule held for"),
        Column("members", "INT64", "actors in the segment afterwards"),
        Column("with_user_id", "INT64", "of these, actors with a user_id"),
        Column("entered_members", "INT64", "actors who entered"),
        Column("left_members", "INT64", "actors who left"),
    ),
)
TABLES: dict[str, Table] = {table.name: table for table in (SEGMENT_MEMBERS, SEGMENT_BUILDS)}
