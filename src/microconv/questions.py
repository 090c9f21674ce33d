"""The queries of a configuration, by template: what `microconv sql` prints and estimates."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from microconv.analyses import funnels
from microconv.analyses.attribution import attribution_query, paths_query, spend_query, touchpoints_query
from microconv.analyses.paths import PathsQuestion, links_query, sequences_query, transitions_query
from microconv.analyses.paths.discovery import discovery_query
from microconv.audit import coverage
from microconv.config.problems import nearest
from microconv.config.sections import Config, FunnelConfig, Order, PeopleTable
from microconv.engines.base import RAW_EVENTS
from microconv.errors import UsageError
from microconv.exports import RAW_LEAVES, ShardSchema
from microconv.queries import templates
from microconv.queries.templates import Query
from microconv.segments import members
from microconv.staging import batch_queries
from microconv.staging.rules import Rules
from microconv.taxonomy import Taxonomy

# What is known only when a query runs.
_EXAMPLE_SCHEMA = ShardSchema(RAW_LEAVES, "", None)
_EXAMPLE_MOMENT = datetime(2024, 1, 1, tzinfo=UTC)
_EXAMPLE_SPAN = (_EXAMPLE_MOMENT.date(), _EXAMPLE_MOMENT.date())
_EXAMPLE_RUN = f"{_EXAMPLE_MOMENT:%Y%m%dT%H%M%SZ}-000000"
_EXAMPLE_BREAKDOWN = funnels.Breakdown.parse("channel_group")
_OF_A_SYNC = (
    *(RAW_EVENTS, batch_queries.CHANGED_EVENTS, batch_queries.TOUCHED_SESSIONS, batch_queries.NEIGHBOUR_EVENTS),
    *(batch_queries.SESSIONS, batch_queries.MOVED_SESSIONS, batch_queries.MICRO_CONVERSIONS),
)


@dataclass(frozen=True)
class Question:
    """A query as this configuration asks it; `about` names the part of the configuration that it is for, if any."""

    about: str | None
    query: Query

    @property
    def needs_sync(self) -> bool:
        """Whether it reads tables that are there only while a sync runs, so that it cannot be asked by itself."""
        return any(f"`{name}`" in self.query.sql for name in _OF_A_SYNC)


def questions(name: str, config: Config, taxonomy: Taxonomy) -> tuple[Question, ...]:
    """Return the queries that a configuration makes of a template; none when nothing in it asks for the template.

    Days, moments and runs that are known only when a query runs are examples; raw events have every column.

    Args:
        name: As in `templates.names()`.
        config: The configuration.
        taxonomy: Its taxonomy.

    Raises:
        UsageError: There is no such template; the message names the nearest.
        TaxonomyError: The configuration names a micro-conversion that the taxonomy does not have.
    """
    if name not in templates.names():
        raise UsageError(
            f"There is no template {name!r}{nearest(name, templates.names())}.", hint="`microconv sql` lists them."
        )
    ask = _ASKED.get(name)
    return tuple(ask(config, taxonomy)) if ask else (Question(None, templates.query(name)),)


Asked = Callable[["Config", "Taxonomy"], Iterable[Question]]


def _once(ask: Callable[[Config, Taxonomy], Query]) -> Asked:
    return lambda config, taxonomy: [Question(None, ask(config, taxonomy))]


def _by_property(ask: Callable[[str, Rules], Query]) -> Asked:
    return lambda config, taxonomy: [
        Question(f"property {label}", ask(label, Rules.of(config, taxonomy)))
        for label in dict.fromkeys(source.property for source in config.sources)
    ]


def _people(section: Literal["identity", "consent"]) -> Asked:
    """Ask for a first-party table, where it is one of the engine."""

    def asked(config: Config, _: Taxonomy) -> Iterator[Question]:
        people: PeopleTable = getattr(config, section)
        if people.table is not None:
            yield Question(None, templates.query(f"segments/{section}", relations={section: people.table}))

    return asked


def _to_the_macro(ask: Callable[[PathsQuestion, Taxonomy], Query]) -> Asked:
    return _once(lambda _, taxonomy: ask(PathsQuestion(to=taxonomy.macros[0]), taxonomy))


def _funnels(ask: Callable[[FunnelConfig, Taxonomy], Query], *orders: Order) -> Asked:
    return lambda config, taxonomy: [
        Question(f"funnel {funnel.name}", ask(funnel, taxonomy)) for funnel in config.funnels if funnel.order in orders
    ]


_ASKED: Mapping[str, Asked] = {
    "analyses/attribution/credits": _once(lambda config, taxonomy: attribution_query(config.attribution, taxonomy)),
    "analyses/attribution/paths": _once(lambda config, taxonomy: paths_query(config.attribution, taxonomy)),
    "analyses/attribution/spend": lambda config, _: [
        Question(None, spend_query(table)) for table in (config.attribution.spend_table,) if table is not None
    ],
    "analyses/attribution/touchpoints": lambda config, _: [
        Question(None, touchpoints_query(asked))
        for asked in (config.attribution,)
        if asked.touchpoint != "micro_conversion"
    ],
    "analyses/paths/discover": _once(lambda _, taxonomy: discovery_query(taxonomy)),
    "analyses/funnels/counts": _funnels(funnels.funnel_query, "ordered", "strict"),
    "analyses/funnels/breakdown": _funnels(
        lambda funnel, taxonomy: funnels.breakdown_query(funnel, taxonomy, _EXAMPLE_BREAKDOWN), "ordered", "strict"
    ),
    "analyses/funnels/drop_off": _funnels(funnels.drop_off_query, "ordered", "strict"),
    "analyses/funnels/times": _funnels(funnels.times_query, "ordered", "strict"),
    "analyses/funnels/trend": _funnels(funnels.trend_query, "ordered", "strict"),
    "analyses/funnels/unordered": _funnels(funnels.funnel_query, "unordered"),
    "analyses/paths/links": _to_the_macro(links_query),
    "analyses/paths/sequences": _to_the_macro(sequences_query),
    "analyses/paths/transitions": _to_the_macro(transitions_query),
    "audit/coverage": _once(lambda _, taxonomy: coverage.coverage_query(taxonomy)),
    "operations/run_days": _once(lambda *_: templates.query("operations/run_days", params={"run_id": _EXAMPLE_RUN})),
    "operations/runs": _once(
        lambda *_: templates.query("operations/runs", params={"status": None, "prefix": "", "most": 20})
    ),
    "segments/consent": _people("consent"),
    "segments/identity": _people("identity"),
    "segments/members": lambda config, taxonomy: [
        Question(f"segment {segment.name}", members.members_query(segment, taxonomy, _EXAMPLE_MOMENT))
        for segment in config.segments
    ],
    "staging/events": _by_property(
        lambda label, rules: batch_queries.events(label, _EXAMPLE_SCHEMA, rules, is_provisional=False)
    ),
    "staging/micro_conversions": _once(
        lambda config, taxonomy: batch_queries.micro_conversions(Rules.of(config, taxonomy), _EXAMPLE_SPAN)
    ),
    "staging/neighbour_events": _by_property(
        lambda label, rules: batch_queries.neighbour_events(label, [_EXAMPLE_MOMENT.date()], _EXAMPLE_SPAN, rules)
    ),
    "staging/session_span": _by_property(
        lambda label, _: batch_queries.session_span(label, batch_queries.TOUCHED_SESSIONS)
    ),
    "staging/sessions": _once(lambda _, taxonomy: batch_queries.sessions(taxonomy)),
    "staging/staged_shards": _once(lambda *_: batch_queries.staged_shards()),
    "staging/touched_sessions": _by_property(
        lambda label, _: batch_queries.touched_sessions(label, [_EXAMPLE_MOMENT.date()])
    ),
}
"""How a template is asked that has parameters or variables; the others are asked as they are."""
