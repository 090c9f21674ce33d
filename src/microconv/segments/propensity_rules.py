"""Rules that look at chances: where nothing was scored, or what was is stale, they are refused, and nobody is let go.

A segment whose scores are missing would be empty, and an empty segment takes everybody off its lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from microconv import wording
from microconv.config.sections import Config
from microconv.config.segment_rules import SegmentRule
from microconv.engines.base import DeleteKeys, Engine
from microconv.errors import FindingsError, SourceError
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.question import Context
from microconv.segments.propensity_tables import PROPENSITY_MODELS, PROPENSITY_SCORES
from microconv.taxonomy import Taxonomy

STALE_AFTER = timedelta(days=7)
"""How much older than the moment of a segment scores may be."""


def goals_of(rule: SegmentRule, taxonomy: Taxonomy) -> Iterator[str]:
    """Yield the goals whose chances a rule looks at, each once.

    Raises:
        TaxonomyError: The taxonomy does not have one.
    """
    found = (leaf for leaf in rule.leaves() if leaf.propensity is not None)
    yield from dict.fromkeys(goal_of(leaf, taxonomy) for leaf in found)


def goal_of(leaf: SegmentRule, taxonomy: Taxonomy) -> str:
    """Return the goal whose chance a leaf looks at: by default the first macro-conversion."""
    return taxonomy.goal(leaf.goal)


def check_scores(engine: Engine, rules: Iterable[SegmentRule], taxonomy: Taxonomy, as_of: datetime | None) -> None:
    """Refuse rules whose scores are missing, older than `STALE_AFTER` before a moment, or of a model that was refused.

    Raises:
        SourceError: Nothing was scored.
        FindingsError: What was scored may not be used.
    """
    goals = list(dict.fromkeys(goal for rule in rules for goal in goals_of(rule, taxonomy)))
    if not goals:
        return
    scored = last_scores(engine)
    models = last_models(engine)
    for goal in goals:
        if goal not in scored:
            raise SourceError(
                f"A segment's rule looks at the propensity to {goal}, and nobody is scored for it.",
                hint=_again(goal, "Run", train=goal not in models),
            )
        if models.get(goal, {}).get("status") != "accepted":
            reason = models.get(goal, {}).get("reason") or "its model is gone"
            raise FindingsError(
                f"The scores of {goal} are not used, since the model trained last was refused: {reason}",
                hint=_again(goal, "Take the rule out, or once there are more data run", train=True),
            )
        scored_at = scored[goal]["scored_at"]
        if as_of is not None and scored_at > as_of:
            raise FindingsError(
                f"The scores of {goal} are of {wording.minute(scored_at)} UTC, after the moment asked for "
                f"({wording.minute(as_of)} UTC): they know what came later.",
                hint="Ask for that moment or a later one.",
            )
        if as_of is not None and as_of - scored_at > STALE_AFTER:
            raise FindingsError(
                f"The scores of {goal} are of {wording.minute(scored_at)} UTC, more than "
                f"{STALE_AFTER.days} days before the moment asked for ({wording.minute(as_of)} UTC).",
                hint=_again(goal, "Run", train=False),
            )


def check_asked(context: Context, rule: SegmentRule, as_of: datetime | None) -> None:
    """Refuse what a question asks of scores, as `check_scores` does; but not where only its SQL is wanted."""
    if context.open_engine is not None and any(leaf.propensity for leaf in rule.leaves()):
        check_scores(context.engine, [rule], context.taxonomy, as_of)


def last_models(engine: Engine) -> dict[str, dict[str, Any]]:
    """Return the model of each goal that was trained last; none where nothing was trained."""
    return _by_goal(engine, PROPENSITY_MODELS.name, models_query())


def last_scores(engine: Engine) -> dict[str, Mapping[str, Any]]:
    """Return for each goal by which model its actors were scored, as of when, and how many; none where none were."""
    return dict(_by_goal(engine, PROPENSITY_SCORES.name, scores_query()))


def models_query() -> Query:
    """Return the query of the models trained last."""
    return templates.query("segments/propensity_models")


def scores_query() -> Query:
    """Return the query of what was scored."""
    return templates.query("segments/propensity_scored")


def erasing_scores(scratch: str) -> DeleteKeys:
    """Return the change that removes the scores of the actors whose `actor_key` is in a scratch table."""
    return DeleteKeys(PROPENSITY_SCORES, "actor_key", scratch)


def examples(_config: Config, _taxonomy: Taxonomy) -> Iterator[tuple[str | None, Query]]:
    """Yield the queries of models and scores."""
    yield None, models_query()
    yield None, scores_query()


def _by_goal(engine: Engine, table: str, query: Query) -> dict[str, dict[str, Any]]:
    if engine.version(table) is None:
        return {}
    return {row["goal"]: row for row in engine.query(query).to_pylist()}


def _again(goal: str, begin: str, *, train: bool) -> str:
    steps = ([f"`microconv propensity train --goal {goal}`"] if train else []) + [
        f"`microconv propensity score --goal {goal}`"
    ]
    return f"{begin} {', then '.join(steps)}."
